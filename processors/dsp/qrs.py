"""R peaks from one ECG channel, as it comes.

The band of 8-20 Hz holds most of the QRS complex and least of T waves, baseline wander and muscle
noise; its energy over a window as wide as a wide complex gives one hump per beat (Elgendi, PLoS
ONE 8(9):e73557, 2013). A hump is a beat if it stands above a level between those of recent beats
and recent noise (Pan and Tompkins, IEEE Trans Biomed Eng 32:230-236, 1985). Here the level lies
between the two on the logarithmic scale, because ECG artefacts and beats differ by factors, and
it sinks when a beat is overdue, in the place of a search-back: so a beat is always known within a
fixed delay.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.beat_rule import LEARNING_S, BeatRule
from processors.dsp.envelope import Envelope, PeakFinder, sliding_sum
from processors.dsp.filters import bandpass
from processors.dsp.state import State, translated_errors

_KIND = "qrs_detector"
_VERSION = 1

FS_HZ_MIN: Final = 100.0
FS_HZ_MAX: Final = 2000.0
KEEP_LEVELS_S_MAX: Final = 10.0
"""After a longer gap the levels are learned again: the electrodes may have been moved."""

_BAND_HZ: Final = (8.0, 20.0)
_WINDOW_S: Final = 0.14
_PEAK_REACH_S: Final = 0.15
_ENVELOPE_UV_MIN: Final = 4.0
"""A seventh of what a 0.15 mV complex of 100 ms gives, which IEC 60601-2-27 forbids to count."""
_SEARCH_S: Final = 0.09
_SMOOTH_S: Final = 0.017
_BASELINE_S: Final = 0.2
_R_SPACING_S_MIN: Final = 0.12


class QrsDetector:
    """Sample indices of R peaks, each once, in order, within a fixed delay.

    The R peak is the largest deflection, up or down, from the local baseline within the complex.
    A beat is given ``delay_s`` (0.37 s) after its R peak at the latest; in the first
    ``LEARNING_S`` after the start or after a long gap, together at the end of these.

    Parameters
    ----------
    fs_hz
        Sampling rate, 100..2000.
    """

    def __init__(self, fs_hz: float) -> None:
        if not FS_HZ_MIN <= fs_hz <= FS_HZ_MAX:
            raise ValueError(f"{fs_hz} Hz is not within {FS_HZ_MIN} to {FS_HZ_MAX} Hz")
        self._fs_hz = float(fs_hz)
        band = bandpass(*_BAND_HZ, fs_hz, order=2)
        n_window = self._n(_WINDOW_S)
        centre_hz = (_BAND_HZ[0] * _BAND_HZ[1]) ** 0.5
        self._n_late = round(band.group_delay_s(centre_hz) * fs_hz + (n_window - 1) / 2)
        self._n_search = self._n(_SEARCH_S)
        self._half_smooth = self._n(_SMOOTH_S / 2)
        self._half_baseline = self._n(_BASELINE_S / 2)
        self._n_kept = self._n_late + self._n_search + self._half_baseline + self._n(_PEAK_REACH_S)
        self._envelope = Envelope(band, n_window)
        self._peaks = PeakFinder(self._n(_PEAK_REACH_S), _ENVELOPE_UV_MIN)
        self._rule = BeatRule(fs_hz)
        self.reset()

    def _n(self, seconds: float) -> int:
        return max(1, round(seconds * self._fs_hz))

    @property
    def delay_s(self) -> float:
        """From the R peak to the sample with which it is given, at most."""
        n_delay = self._n_late + self._n_search + self._n(_PEAK_REACH_S)
        return n_delay / self._fs_hz

    @property
    def i_next(self) -> int:
        """Index of the next sample."""
        return self._i_next

    @property
    def watermark(self) -> int:
        """All beats before this sample index have been given."""
        i_waiting = self._rule.i_undecided
        i_peak = self._peaks.i_undecided if i_waiting is None else i_waiting
        return max(self._i_start, i_peak - self._n_late - self._n_search)

    def reset(self) -> None:
        """Start again at index 0, knowing nothing."""
        self._rule.forget()
        self._rearm(0)

    def _rearm(self, i_start: int) -> None:
        self._i_start = i_start
        self._i_next = i_start
        self._i_last_r: int | None = None
        self._recent = np.zeros(0)
        self._envelope.reset()
        self._peaks.reset(i_start)
        self._rule.rearm()

    def process(self, chunk_uv: NDArray[np.float64]) -> list[int]:
        """Take the next ``(n_samples,)`` in microvolt, all finite; give the beats now certain."""
        if chunk_uv.size == 0:
            return []
        recent = np.concatenate((self._recent, chunk_uv))
        self._i_next += chunk_uv.size
        envelope = self._envelope.process(chunk_uv)
        peaks = self._rule.process(self._peaks.process(envelope), self._peaks.i_undecided)
        beats = [self._locate(recent, i_peak) for i_peak in peaks]
        self._recent = recent[-self._n_remembered() :]
        return beats

    def _n_remembered(self) -> int:
        # While the rule learns, it may still call for its oldest peak.
        n_learning = self._n(LEARNING_S) if self._rule.learning else 0
        return self._n_kept + n_learning

    def skip(self, n_samples: int) -> list[int]:
        """Pass over a gap: give the beats still in hand, then start anew behind it.

        The signal is taken to have held its last value for the length of the delay, so that a
        beat just before the gap is not lost.
        """
        i_end = self._i_next
        beats: list[int] = []
        if self._recent.size:
            self._rule.end_learning()
            n_hold = self._n_kept + 1
            beats = [i for i in self.process(np.full(n_hold, self._recent[-1])) if i < i_end]
        if n_samples > KEEP_LEVELS_S_MAX * self._fs_hz:
            self._rule.forget()
        self._rearm(i_end + n_samples)
        return beats

    def _locate(self, recent: NDArray[np.float64], i_peak: int) -> int:
        """R peak of the complex whose envelope peaks at ``i_peak``."""
        i_recent = self._i_next - recent.size
        first = max(i_peak - self._n_late - self._n_search, self._i_start)
        if self._i_last_r is not None:
            first = max(first, self._i_last_r + self._n(_R_SPACING_S_MIN))
        last = max(i_peak - self._n_late + self._n_search, first)
        deflection = np.abs(self._deflection(recent, first - i_recent, last - i_recent))
        i_r = first + int(np.argmax(deflection))
        self._i_last_r = i_r
        return i_r

    def _deflection(self, x: NDArray[np.float64], first: int, last: int) -> NDArray[np.float64]:
        """Short minus long moving average, both centred, at ``first`` to ``last`` inclusive."""
        margin = self._half_baseline
        i = np.arange(first - margin, last + margin + 1)
        cut = x[np.clip(i, 0, x.size - 1)]
        baseline = sliding_sum(cut, 2 * margin + 1) / (2 * margin + 1)
        near = cut[margin - self._half_smooth : cut.size - margin + self._half_smooth]
        n_near = 2 * self._half_smooth + 1
        return sliding_sum(near, n_near) / n_near - baseline

    def to_bytes(self) -> bytes:
        """Everything the detector remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "fs_hz": self._fs_hz,
                "i_start": self._i_start,
                "i_next": self._i_next,
                "i_last_r": self._i_last_r,
            },
            arrays={"recent": self._recent},
            children={
                "envelope": self._envelope.to_bytes(),
                "peaks": self._peaks.to_bytes(),
                "rule": self._rule.to_bytes(),
            },
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> QrsDetector:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            restored = cls(kept.number("fs_hz"))
        restored._i_start = kept.integer("i_start")
        restored._i_next = kept.integer("i_next")
        restored._i_last_r = kept.optional_integer("i_last_r")
        restored._recent = kept.float_array("recent", (None,))
        restored._envelope = Envelope.from_bytes(kept.child("envelope"))
        restored._peaks = PeakFinder.from_bytes(kept.child("peaks"))
        restored._rule = BeatRule.from_bytes(kept.child("rule"))
        return restored
