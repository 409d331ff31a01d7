"""What the newest payloads of a stream say of a clock that is set back: pure.

A clock set back by some seconds looks like a link that stood still, but for one thing: it shows
times that were had. A payload whose samples were taken while others were, is one from a clock that
was set; one that comes again has the same stamp to the nanosecond.
"""

from collections import deque
from typing import Final

from ingest.frame import SamplePeriod

STAMPS_MAX: Final = 128
"""Over a minute of an electrocardiogram. A clock set back by more is seen by its delay."""

COVERED_MIN: Final = (3, 4)
"""Of a payload's time, this share was had. Rates may be misstated by a factor of two, and a pause
between two payloads be shorter than their samples say."""


class RecentStamps:
    """When the newest payloads of a stream were taken, on the device's clock.

    Parameters
    ----------
    period
        Of its samples, as the device was asked for it.
    """

    def __init__(self, period: SamplePeriod) -> None:
        self._period = period
        self._segment = -1
        self._spans: deque[tuple[int, int]] = deque(maxlen=STAMPS_MAX)

    @property
    def segment(self) -> int:
        """Of the newest payload; -1 before the first."""
        return self._segment

    @property
    def length_ns(self) -> int:
        """How long the newest payload is; 0 before the first."""
        return self._spans[-1][1] - self._spans[-1][0] if self._spans else 0

    def add(self, device_ns: int, n_samples: int, segment: int) -> None:
        """Remember a payload by its last sample's stamp and the segment of the device's clock.

        Within a segment each is newer than the one before.
        """
        length_ns = self._period.offset_ns(n_samples)
        begin_ns = device_ns - length_ns
        if segment != self._segment:
            self._segment = segment
            # Another stream may have shown that the clock was set before this one's last payload
            # from the time before that has come.
            if not (self._spans and abs(begin_ns - self._spans[-1][1]) < length_ns // 4):
                self._spans.clear()
        if self._spans:
            begin_ns = max(begin_ns, self._spans[-1][1])
        self._spans.append((begin_ns, device_ns))

    def contradict(self, device_ns: int, n_samples: int) -> bool:
        """Tell whether the next payload's stamp is one that the clock cannot show any more."""
        length_ns = self._period.offset_ns(n_samples)
        begin_ns = device_ns - length_ns
        if not self._spans or begin_ns >= self._spans[-1][1]:
            return False
        if any(end == device_ns for _, end in self._spans):
            return False  # it comes again
        covered_ns = sum(
            max(0, min(device_ns, end) - max(begin_ns, begin)) for begin, end in self._spans
        )
        share, of = COVERED_MIN
        return covered_ns * of > length_ns * share
