"""What a collector remembers of the records that it has taken from a meter.

A record is known by its content, not by its number alone: numbers begin again when a meter is
reset, and when they have reached 65535.
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from devices.glucose import GlucoseMeasurement

DIGEST_BYTES: Final = 8
_VERSION: Final = 1
_HEAD: Final = struct.Struct(f"<B?{DIGEST_BYTES}sII")
_ROW: Final = struct.Struct(f"<{DIGEST_BYTES}sH")
_NOTHING: Final[Mapping[bytes, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenRecords:
    """The memory that is kept from one transfer to the next, in one commit with the records.

    Attributes
    ----------
    settled
        Sequence numbers by digest, as of the last complete transfer.
    fresh
        Those taken since, by transfers that did not come to their end.
    anchor
        Digest of the record where we left off: nothing before it is outstanding. None: ask for
        all.

    Raises
    ------
    ValueError
        The anchor is not among the records.
    """

    settled: Mapping[bytes, int] = field(default_factory=lambda: _NOTHING)
    fresh: Mapping[bytes, int] = field(default_factory=lambda: _NOTHING)
    anchor: bytes | None = None

    def __post_init__(self) -> None:
        if self.anchor is not None and self.anchor not in {**self.settled, **self.fresh}:
            raise ValueError("the record where we left off is not among those that were taken")

    @property
    def resume(self) -> int | None:
        """The number to go on from; None: ask for all."""
        return None if self.anchor is None else {**self.fresh, **self.settled}[self.anchor]

    def to_bytes(self) -> bytes:
        """Write it for keeping."""
        head = _HEAD.pack(
            _VERSION,
            self.anchor is not None,
            self.anchor or bytes(DIGEST_BYTES),
            len(self.settled),
            len(self.fresh),
        )
        rows = (*self.settled.items(), *self.fresh.items())
        return head + b"".join(_ROW.pack(digest, number) for digest, number in rows)

    @classmethod
    def from_bytes(cls, kept: bytes) -> "TakenRecords":
        """Read what `to_bytes` wrote.

        Raises
        ------
        ValueError
            It is not that.
        """
        if len(kept) < _HEAD.size:
            raise ValueError(f"{len(kept)} bytes are no memory of taken records")
        version, anchored, anchor, n_settled, n_fresh = _HEAD.unpack_from(kept)
        if version != _VERSION or len(kept) != _HEAD.size + (n_settled + n_fresh) * _ROW.size:
            raise ValueError(
                f"{len(kept)} bytes of version {version} are no memory of this version"
            )
        rows: list[tuple[bytes, int]] = list(_ROW.iter_unpack(kept[_HEAD.size :]))
        return cls(
            settled=dict(rows[:n_settled]),
            fresh=dict(rows[n_settled:]),
            anchor=anchor if anchored else None,
        )


def digest_of(measurement: GlucoseMeasurement) -> bytes:
    """Digest what a record is known by: all but whether a context follows.

    A meter's user may add a context to a record that was transferred without one.
    """
    base = measurement.base_time
    glucose = measurement.glucose
    parts = (
        measurement.sequence_number,
        (base.year, base.month, base.day, base.hour, base.minute, base.second),
        _text(measurement.time_offset_min),
        None
        if glucose is None
        else (
            _text(glucose.concentration),
            glucose.unit.value,
            int(glucose.sample_type),
            int(glucose.sample_location),
        ),
        None if measurement.status is None else int(measurement.status),
    )
    return hashlib.blake2b(repr(parts).encode(), digest_size=DIGEST_BYTES).digest()


def _text(number: float | str | None) -> str:
    """Write a number or a special the same way for as long as there are memories."""
    return "" if number is None else str(number)
