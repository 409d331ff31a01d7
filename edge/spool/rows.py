"""What the spool knows of a Frame without reading its payload: pure.

A Frame may give way, or be found damaged, a week after it was stored. Its *spans* say which samples
go with it, so that each of them gets into a gap although the payload is gone or encrypted.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from edge.ledger import Channel, Taken
from ingest.frame import Frame, Gap, GapCause, WaveformBlock

_SPAN: Final = struct.Struct("<HBxIqqq")
"""Channel, cause, numbering, first sample, number of samples, UTC of the first."""

_CAUSES: Final = (None, *(GapCause(cause) for cause in (
    "radio_loss", "link_lost", "agent_down", "undecodable", "overflow",
    "spool_full", "spool_age", "spool_damaged",
)))  # fmt: skip
"""By number, as files have it: append only. None: samples that are there."""

N_CHANNELS_MAX: Final = 65_536
"""Channels that one spool tells apart. One more is refused: no agent has so many."""


class RowDamagedError(Exception):
    """A row of the spool is not what was written."""


class Span(NamedTuple):
    """Consecutive samples of a channel: those of a block, or those that a gap names."""

    channel: int
    """Number of the channel in the spool's books."""
    cause: GapCause | None
    """None for a block."""
    run: int
    i_first: int
    n_samples: int
    t0_ns: int

    def gap(self, channel: Channel, cause: GapCause) -> Gap:
        """Give the gap that is left when the Frame is: a gap that it carried keeps its cause."""
        return Gap(
            device_id=channel[0],
            channel=channel[1],
            cause=self.cause or cause,
            i_first=self.i_first,
            n_samples=self.n_samples,
            t0_ns=self.t0_ns,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A Frame as it lies in the spool."""

    sequence: int
    spooled_ns: int
    """On the spool's own clock, see ``Books.clock_ns``."""
    n_readings: int
    """Readings and device events."""
    spans: bytes
    key_id: str
    """Of the key that the payload is sealed with; empty: it can be read as it is."""
    check: int
    """CRC-32 of all of the above."""
    payload: bytes

    @property
    def n_bytes(self) -> int:
        """What the row takes on disk, about."""
        return len(self.payload) + len(self.spans)

    def about(self) -> bytes:
        """Give everything but the payload as bytes, to be sealed with it."""
        return _about(self.sequence, self.spooled_ns, self.n_readings, self.key_id, self.spans)

    def checked_spans(self) -> list[Span]:
        """Give what the Frame names.

        Raises
        ------
        RowDamagedError
            What the row says of itself is not what was written.
        """
        try:
            is_whole = zlib.crc32(self.about()) == self.check
        except (AttributeError, TypeError, struct.error):
            # Damage may have made a text of a number.
            is_whole = False
        if not is_whole:
            raise RowDamagedError(f"row {self.sequence} is damaged")
        return list(_unpack(self.spans))


def row_of(
    frame: Frame,
    *,
    spooled_ns: int,
    key_id: str,
    numbers: Mapping[Channel, int],
    taken: Mapping[Channel, Taken],
) -> tuple[Row, list[Span]]:
    """Make a row of a Frame, the payload still missing; give it with its spans."""
    named = list(_spans_of(frame, numbers, taken))
    spans = _pack(named)
    n_readings = len(frame.readings) + len(frame.events)
    about = _about(frame.sequence, spooled_ns, n_readings, key_id, spans)
    row = Row(
        sequence=frame.sequence,
        spooled_ns=spooled_ns,
        n_readings=n_readings,
        spans=spans,
        key_id=key_id,
        check=zlib.crc32(about),
        payload=b"",
    )
    return row, named


def _spans_of(
    frame: Frame, numbers: Mapping[Channel, int], taken: Mapping[Channel, Taken]
) -> Iterator[Span]:
    named: tuple[WaveformBlock | Gap, ...] = (*frame.waveforms, *frame.gaps)
    for one in named:
        channel = (one.device_id, one.channel)
        known = taken.get(channel)
        yield Span(
            channel=numbers[channel],
            cause=one.cause if isinstance(one, Gap) else None,
            run=0 if known is None else known.run,
            i_first=one.i_first,
            n_samples=one.n_samples,
            t0_ns=one.t0_ns,
        )


def _pack(spans: Iterable[Span]) -> bytes:
    return b"".join(
        _SPAN.pack(channel, _CAUSES.index(cause), *rest) for channel, cause, *rest in spans
    )


def _unpack(packed: bytes) -> Iterator[Span]:
    for channel, cause, *rest in _SPAN.iter_unpack(packed):
        yield Span(channel, _CAUSES[cause], *rest)


def _about(sequence: int, spooled_ns: int, n_readings: int, key_id: str, spans: bytes) -> bytes:
    numbers = struct.pack("<qqqH", sequence, spooled_ns, n_readings, len(key_id))
    return b"".join((numbers, key_id.encode(), spans))
