"""Segments: how one observation travels in several notifications, and what became of each.

A notification is a header of one byte (first, last, a rolling counter of six bits) and a piece of
the observation. The counter goes on from one observation to the next while the connection lasts;
live and stored observations each have their own.

Source: Bluetooth SIG, Generic Health Sensor Service 1.0 (2023), section 3.2 (Segmentation Header),
whose text was not at hand: bits and rolling counter are as in Realtek's GHSS server v1.0, in ST's
STM32WBA sensor (2024) and in the Blood Pressure Record of the GATT Specification Supplement. Drafts
began the counter anew with each observation: from such a sensor segments are counted as lost that
were not, and one that is sent twice, byte for byte, is taken for one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from devices.errors import DecodeError
from devices.ghs_observation import OBSERVATION_BYTES_MAX
from devices.payload import PayloadReader, PayloadWriter

SEGMENT_COUNTERS: Final = 64
"""Numbers of the rolling counter, 0 to 63."""
LATE_MAX: Final = 8
"""How far a segment may be behind the newest and still be told from a long gap: chosen, as links
hardly reorder at all."""
_HEADER_BYTES: Final = 1
_FIRST: Final = 1 << 0
_LAST: Final = 1 << 1
_COUNTER_SHIFT: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One notification.

    Attributes
    ----------
    first, last
        Whether an observation begins, or ends, with it.
    counter
        0 to 63, rolling.
    content
        Its piece of the observation.
    """

    first: bool
    last: bool
    counter: int
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentCounts:
    """What became of the segments of a connection.

    ``received = delivered + discarded + duplicated + late + malformed + pending``; those that are
    `lost` were not received.

    Attributes
    ----------
    received
        Notifications.
    delivered
        In observations that are whole.
    discarded
        Of observations that are not whole: a segment is lost, or the observation is too long.
    duplicated
        The same segment again.
    late
        Received after a newer one, too late to be used.
    malformed
        Not even a header.
    pending
        Of an observation that is not at its end.
    lost
        By the counter. A gap of 55 or more may be taken for old segments, one of 64 is not seen at
        all; an observation that lacks them does not have its length, and is not decoded.
    observations
        That are whole.
    observations_broken
        Of which at least one segment came and not all; those of which none came are not known.
    """

    received: int = 0
    delivered: int = 0
    discarded: int = 0
    duplicated: int = 0
    late: int = 0
    malformed: int = 0
    pending: int = 0
    lost: int = 0
    observations: int = 0
    observations_broken: int = 0


def decode_segment(payload: bytes) -> Segment:
    """Decode one notification of live or stored observations.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    header = reader.u8("segmentation_header")
    return Segment(
        first=bool(header & _FIRST),
        last=bool(header & _LAST),
        counter=header >> _COUNTER_SHIFT,
        content=reader.rest(),
    )


def encode_segment(segment: Segment) -> bytes:
    """Encode one notification.

    Raises
    ------
    EncodeError
    """
    flags = (_FIRST if segment.first else 0) | (_LAST if segment.last else 0)
    writer = PayloadWriter()
    writer.u8("segmentation_header", flags | segment.counter << _COUNTER_SHIFT)
    writer.raw("content", segment.content)
    return writer.finish()


def cut_into_segments(
    observation: bytes, *, counter: int, payload_bytes_max: int
) -> Iterator[bytes]:
    """Give the notifications that carry an encoded observation.

    Parameters
    ----------
    observation
        As `encode_health_observation` or `encode_stored_observation` gives it; not empty.
    counter
        Of the first: one more, modulo 64, than that of the last one before.
    payload_bytes_max
        The longest notification, at least 2: the MTU less 3.
    """
    step = payload_bytes_max - _HEADER_BYTES
    starts = range(0, len(observation), step)
    for i_segment, start in enumerate(starts):
        yield encode_segment(
            Segment(
                first=i_segment == 0,
                last=i_segment == len(starts) - 1,
                counter=(counter + i_segment) % SEGMENT_COUNTERS,
                content=observation[start : start + step],
            )
        )


class SegmentAssembler:
    """Puts observations together from the notifications of one characteristic and connection.

    Parameters
    ----------
    n_bytes_max
        The longest observation that is put together; a longer one is discarded.
    """

    def __init__(self, n_bytes_max: int = OBSERVATION_BYTES_MAX) -> None:
        self._n_bytes_max = n_bytes_max
        self._last: Segment | None = None
        self._missing: frozenset[int] = frozenset()
        self._pieces: list[bytes] = []
        self._n_bytes = 0
        self._open = False
        self._counts = SegmentCounts()

    @property
    def counts(self) -> SegmentCounts:
        """What became of the segments so far."""
        return replace(self._counts, pending=len(self._pieces))

    def process(self, payload: bytes) -> bytes | None:
        """Take the next notification.

        Returns
        -------
        An observation that is whole with it, to be decoded, or None.

        Raises
        ------
        DecodeError
            There is no segment in the payload; what was pending stays.
        """
        self._count(received=1)
        try:
            segment = decode_segment(payload)
        except DecodeError:
            self._count(malformed=1)
            raise
        if self._is_old(segment):
            return None
        self._note_gap(segment)
        self._last = segment
        if segment.first:
            self._break_off()
            self._open = True
        return self._take(segment)

    def end(self) -> SegmentCounts:
        """End the connection: what is pending will not become whole, the next counter is any."""
        self._break_off()
        self._last = None
        self._missing = frozenset()
        return self.counts

    def _is_old(self, segment: Segment) -> bool:
        """Count a segment that was received before, or that newer ones have overtaken."""
        if self._last is None:
            return False
        if segment.counter in self._missing:
            self._missing -= {segment.counter}
            self._count(late=1, lost=-1)
            return True
        n_behind = (self._last.counter - segment.counter) % SEGMENT_COUNTERS
        # A first segment that is behind is a counter that began anew.
        again = 0 < n_behind <= LATE_MAX and not segment.first
        if again or segment == self._last:
            self._count(duplicated=1)
            return True
        return False

    def _note_gap(self, segment: Segment) -> None:
        if self._last is None:
            return
        n_lost = (segment.counter - self._last.counter - 1) % SEGMENT_COUNTERS
        recent = {(segment.counter - 1 - i) % SEGMENT_COUNTERS for i in range(LATE_MAX)}
        lost = {(segment.counter - 1 - i) % SEGMENT_COUNTERS for i in range(n_lost)}
        self._missing = frozenset((self._missing | lost) & recent)
        if n_lost:
            self._count(lost=n_lost)
            self._break_off()

    def _take(self, segment: Segment) -> bytes | None:
        if not self._open:
            self._count(discarded=1)
            return None
        self._pieces.append(segment.content)
        self._n_bytes += len(segment.content)
        if self._n_bytes > self._n_bytes_max:
            self._break_off()
            return None
        if not segment.last:
            return None
        whole = b"".join(self._pieces)
        self._count(delivered=len(self._pieces), observations=1)
        self._clear()
        return whole

    def _break_off(self) -> None:
        """Discard what is pending, and what follows up to the next first segment."""
        if self._open:
            self._count(discarded=len(self._pieces), observations_broken=1)
        self._clear()

    def _clear(self) -> None:
        self._pieces = []
        self._n_bytes = 0
        self._open = False

    def _count(self, **more: int) -> None:
        now = {name: getattr(self._counts, name) + n for name, n in more.items()}
        self._counts = replace(self._counts, **now)
