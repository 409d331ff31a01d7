"""The DeadLetter: what nobody could use, kept with its bytes and the reason."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A record, or a point of a store, that was refused for good."""

    reason: str
    source: str
    """The stage that refused it: ``worker``, ``sink-influx`` …"""
    topic: str
    partition: int
    offset: int
    """Where it, or the record that it came from, stands in Kafka."""
    payload: bytes
    """The original bytes, untouched."""
