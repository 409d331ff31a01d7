"""The lines of one waveform channel: pure.

Every line has one field, ``v``: the value with its scale applied, of an ECG in millivolt. Where
samples are missing, where another source begins, and where a push was lost, a line with a null
breaks the trace; else a panel would draw a straight line across.

A panel knows times by the millisecond, so no two rows share one.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.frame import NS_PER_S, SamplePeriod, WaveformBlock
from processors.sinks.grafana_live.counts import PushCounts
from processors.sinks.grafana_live.playout import Playout
from processors.sinks.live.labels import waveform_kind

WAIT_NS_MAX: Final = 3 * NS_PER_S
"""Samples that were due so long ago are not live any more."""

SAMPLES_MAX: Final = 8_192
"""Samples of a channel that wait; beyond, the oldest give way."""

NULL: Final = '"NaN"'
"""Line protocol has no null. Grafana takes this string for one, in a column of numbers (its pull
request 36924, Grafana 8.1)."""

NS_PER_MS: Final = 1_000_000

HOLE_PERIODS: Final = 1.5
"""Two samples that are further apart have one missing between them."""

_MV_PER_UNIT: Final = {"mV": 1.0, "uV": 1e-3, "V": 1e3}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeWindow:
    """What is live: samples at most ``late_ns`` older and ``ahead_ns`` newer than our clock."""

    late_ns: int
    ahead_ns: int


@dataclass(slots=True)
class _Piece:
    """Samples that follow one another; ``is_broken``: they do not follow those before."""

    times_ns: NDArray[np.int64]
    values: NDArray[np.float64]
    is_broken: bool

    def cut(self, n_first: int) -> "_Piece":
        """Take the first samples out."""
        head = _Piece(self.times_ns[:n_first], self.values[:n_first], self.is_broken)
        self.times_ns, self.values = self.times_ns[n_first:], self.values[n_first:]
        self.is_broken = False
        return head


class Trace:
    """Takes blocks in any order, gives lines whose times always rise.

    Parameters
    ----------
    measurement
        The channel's name without scope and stream.
    """

    def __init__(self, measurement: str, counts: PushCounts) -> None:
        self._name = measurement
        self._counts = counts
        self._waiting: deque[_Piece] = deque()
        self._n_waiting = 0
        self._playout = Playout()
        self._newest_ns = -1
        self._source = ("", "")
        self._written_ms = -1
        # What a panel has from before this process is not continued.
        self._is_broken = True

    @property
    def n_waiting(self) -> int:
        """Samples that wait."""
        return self._n_waiting

    def add(self, block: WaveformBlock, now_ns: int, window: TimeWindow) -> None:
        """Take a block that came at ``now_ns``; what is not newer than what came is left out."""
        times_ns = block.times_ns()
        times_ms = times_ns // NS_PER_MS
        newest_ms = self._newest_ns // NS_PER_MS
        is_ahead = times_ns > now_ns + window.ahead_ns
        is_late = (times_ms <= newest_ms) | (times_ns < now_ns - window.late_ns)
        values = _values(block)
        is_new = ~(is_ahead | is_late)
        is_kept = is_new & (np.diff(times_ms, prepend=newest_ms) > 0) & np.isfinite(values)
        self._counts.samples_ahead += int(is_ahead.sum())
        self._counts.samples_late += int(is_late.sum())
        self._counts.samples_thinned += int(is_new.sum() - is_kept.sum())
        if not is_kept.any():
            return
        times_ns = times_ns[is_kept]
        first_ns, last_ns = int(times_ns[0]), int(times_ns[-1])
        source = (block.device_id, block.channel)
        is_broken = source != self._source or _is_hole(first_ns - self._newest_ns, block.period)
        is_dry = not self._waiting
        self._playout.arrive(first_ns, last_ns, None if is_dry else self._newest_ns, now_ns)
        self._waiting.append(_Piece(times_ns, values[is_kept], is_broken))
        self._n_waiting += times_ns.size
        self._newest_ns, self._source = last_ns, source
        self._expire(now_ns)

    def take(self, now_ns: int) -> tuple[list[str], int]:
        """Give the lines that are due, and how many samples are in them."""
        self._expire(now_ns)
        due_ns = self._playout.due_ns(now_ns)
        lines: list[str] = []
        n_samples = 0
        while self._waiting and self._waiting[0].times_ns[0] <= due_ns:
            n_due = int(np.searchsorted(self._waiting[0].times_ns, due_ns, side="right"))
            n_samples += self._write(self._pop(n_due), lines)
        return lines, n_samples

    def break_off(self) -> None:
        """Take note that what was given last did not arrive: the trace is broken there."""
        self._is_broken = True

    def _write(self, piece: _Piece, lines: list[str]) -> int:
        """Append a piece's lines; give the number of its samples in them."""
        times_ns, values = piece.times_ns, piece.values
        if piece.is_broken or self._is_broken:
            mark_ns = int(times_ns[0]) - NS_PER_MS
            if mark_ns // NS_PER_MS <= self._written_ms:
                # No room for the break before it: it takes this sample's place.
                mark_ns, times_ns, values = int(times_ns[0]), times_ns[1:], values[1:]
                self._counts.samples_thinned += 1
            lines.append(f"{self._name} v={NULL} {mark_ns}")
            self._written_ms = mark_ns // NS_PER_MS
            self._is_broken = False
        if values.size:
            name = self._name
            rows = zip(times_ns.tolist(), values.tolist(), strict=True)
            lines += [f"{name} v={value:.7g} {t_ns}" for t_ns, value in rows]
            self._written_ms = int(times_ns[-1]) // NS_PER_MS
        return int(values.size)

    def _expire(self, now_ns: int) -> None:
        """Give up what was due too long ago, and the oldest of what is too much."""
        expired_ns = self._playout.due_ns(now_ns) - WAIT_NS_MAX
        while self._waiting and (
            self._waiting[0].times_ns[0] < expired_ns or self._n_waiting > SAMPLES_MAX
        ):
            first = self._waiting[0].times_ns
            n_old = int(np.searchsorted(first, expired_ns))
            n_beyond = min(first.size, max(0, self._n_waiting - SAMPLES_MAX))
            dropped = self._pop(max(n_old, n_beyond))
            self._counts.samples_expired += dropped.times_ns.size
            self._is_broken = True

    def _pop(self, n_samples: int) -> _Piece:
        piece = self._waiting[0]
        if n_samples >= piece.times_ns.size:
            self._waiting.popleft()
        else:
            piece = piece.cut(n_samples)
        self._n_waiting -= piece.times_ns.size
        return piece


def _is_hole(step_ns: int, period: SamplePeriod) -> bool:
    """Tell from the time between two samples whether others are missing between them."""
    period_ns = period.ns_numerator / period.ns_denominator
    # What is thinned may begin up to a millisecond later than its own period says.
    slack_ns = NS_PER_MS if period_ns < NS_PER_MS else 0
    return step_ns > HOLE_PERIODS * period_ns + slack_ns


def _values(block: WaveformBlock) -> NDArray[np.float64]:
    """Give the values, those of an ECG in millivolt where its unit is one of a voltage."""
    values = block.physical()
    if waveform_kind(block) == "ecg":
        values *= _MV_PER_UNIT.get(block.unit, 1.0)
    return values
