"""The DeadLetter: what nobody could use, kept with its bytes and the reason."""

from dataclasses import dataclass
from enum import StrEnum


class LetterContent(StrEnum):
    """What the bytes of a dead letter are."""

    RECORD = "record"
    """A Kafka record's value, as it was read."""
    LINES = "lines"
    """Lines that a store rejected; the record that they came from was read."""


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
    content: LetterContent = LetterContent.RECORD
    key: bytes | None = None
    """The record's key. Not known of letters in version 1."""
    timestamp_ms: int | None = None
    """The record's own time stamp in Kafka. Not known of letters in version 1."""
    n_bytes_cut: int = 0
    """Bytes of payload and key that were too many to be kept; 0: both are whole."""
