"""Which peaks of the QRS envelope are beats: levels that follow the signal, and the rhythm."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

import numpy as np

from processors.dsp.envelope import Peak
from processors.dsp.state import State

_KIND = "beat_rule"
_VERSION = 1

LEARNING_S: Final = 2.0
_N_REMEMBERED: Final = 8
_REFRACTORY_S: Final = 0.2
_SHARE_OF_FIRST_MAX: Final = 0.7
"""Of the highest peak while learning: the first guess of a beat's height."""
_NOISE_OF_FIRST: Final = 0.2
_BEAT_RANK: Final = 2 / 8
_NOISE_RANK: Final = 1 / 8
"""Low ranks of the recent heights: a small ectopic must not be taken for noise and raise the bar."""
_NOISE_MIN: Final = 0.03
_NOISE_MAX: Final = 0.8
_EXPONENT: Final = 0.5
"""Threshold = noise * (beat / noise) ** exponent."""
_EXPONENT_MIN: Final = 0.2
_EARLY: Final = 0.6
_EARLY_SLOPE: Final = 0.6
_OVERDUE: Final = 1.1
_OVERDUE_SLOPE: Final = 0.5
_THRESHOLD_OF_BEAT_MIN: Final = 0.12
_HEIGHT_CAP: Final = 2.0
"""An artefact counts as no more than twice a beat."""
_ROOM_FOR_A_BEAT: Final = 1.3
"""In an interval longer than this many, the peak passed over may have been a beat: not noise."""
_SILENCE_S: Final = 3.0
_FORGET_PER_PEAK: Final = 0.9
_RR_S_UNKNOWN: Final = 1.0
_N_RR_MIN: Final = 3


class BeatRule:
    """Choose among peaks, one after another, and learn from the choice.

    ``interval`` is the time since the last beat over the recent median RR interval: much less
    than 1 raises the threshold (T waves), more than 1 lowers it (a beat is overdue).
    """

    def __init__(self, fs_hz: float) -> None:
        self._fs_hz = fs_hz
        self._beats: deque[float] = deque(maxlen=_N_REMEMBERED)
        self._noises: deque[float] = deque(maxlen=_N_REMEMBERED)
        self._rrs_s: deque[float] = deque(maxlen=_N_REMEMBERED)
        self.rearm()

    def forget(self) -> None:
        """Forget levels and rhythm: learn them again."""
        self._beats.clear()
        self._noises.clear()
        self._rrs_s.clear()

    def rearm(self) -> None:
        """Go on behind a gap, with the levels as they are."""
        self._i_last: int | None = None
        self._highest_passed = 0.0
        self._waiting: list[Peak] = []

    @property
    def learning(self) -> bool:
        """True while the levels are unknown and peaks wait."""
        return not self._beats

    @property
    def i_undecided(self) -> int | None:
        """The oldest peak that waits for the end of learning."""
        return self._waiting[0].i_sample if self._waiting else None

    def end_learning(self) -> None:
        """Learn from what has been seen, though it be short."""
        if self.learning and self._waiting:
            self._learn(self._waiting)

    def process(self, peaks: Iterable[Peak], i_undecided: int) -> list[int]:
        """Take the peaks found before sample ``i_undecided``; give those that are beats."""
        self._waiting.extend(peaks)
        if self.learning and self._waiting:
            i_learned = self._waiting[0].i_sample + round(LEARNING_S * self._fs_hz)
            if i_undecided >= i_learned:
                self._learn([peak for peak in self._waiting if peak.i_sample < i_learned])
        if self.learning:
            return []
        decided, self._waiting = self._waiting, []
        return [peak.i_sample for peak in decided if self._is_beat(peak)]

    def _learn(self, peaks: Iterable[Peak]) -> None:
        first = _SHARE_OF_FIRST_MAX * max(peak.height for peak in peaks)
        self._beats.append(first)
        self._noises.append(_NOISE_OF_FIRST * first)

    def _is_beat(self, peak: Peak) -> bool:
        rr_s = self._typical_rr_s()
        since_s = rr_s if self._i_last is None else (peak.i_sample - self._i_last) / self._fs_hz
        if since_s < _REFRACTORY_S:
            return False
        if peak.height >= self._threshold(since_s / rr_s):
            self._accept(peak, since_s, rr_s)
            return True
        self._pass_over(peak, since_s)
        return False

    def _typical_rr_s(self) -> float:
        if len(self._rrs_s) < _N_RR_MIN:
            return _RR_S_UNKNOWN
        return sorted(self._rrs_s)[len(self._rrs_s) // 2]

    def _beat_height(self) -> float:
        return _ranked(self._beats, _BEAT_RANK)

    def _threshold(self, interval: float) -> float:
        beat = self._beat_height()
        noise = _ranked(self._noises, _NOISE_RANK)
        noise = min(max(noise, _NOISE_MIN * beat), _NOISE_MAX * beat)
        exponent = _EXPONENT
        if interval < _EARLY:
            exponent += _EARLY_SLOPE * (_EARLY - interval)
        elif interval > _OVERDUE:
            exponent = max(_EXPONENT_MIN, exponent - _OVERDUE_SLOPE * (interval - _OVERDUE))
        return max(noise * (beat / noise) ** exponent, _THRESHOLD_OF_BEAT_MIN * beat)

    def _accept(self, peak: Peak, since_s: float, rr_s: float) -> None:
        known = self._i_last is not None
        room = known and since_s >= _ROOM_FOR_A_BEAT * rr_s and len(self._rrs_s) >= _N_RR_MIN
        if self._highest_passed > 0 and not room:
            self._noises.append(self._highest_passed)
        self._beats.append(min(peak.height, _HEIGHT_CAP * self._beat_height()))
        if known and since_s < _SILENCE_S:
            self._rrs_s.append(since_s)
        self._highest_passed = 0.0
        self._i_last = peak.i_sample

    def _pass_over(self, peak: Peak, since_s: float) -> None:
        self._highest_passed = max(self._highest_passed, peak.height)
        if since_s > _SILENCE_S:
            for i, height in enumerate(self._beats):
                self._beats[i] = height * _FORGET_PER_PEAK

    def to_bytes(self) -> bytes:
        """Everything the rule remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "fs_hz": self._fs_hz,
                "i_last": self._i_last,
                "highest_passed": self._highest_passed,
            },
            arrays={
                "beats": np.array(self._beats, dtype=np.float64),
                "noises": np.array(self._noises, dtype=np.float64),
                "rrs_s": np.array(self._rrs_s, dtype=np.float64),
                "waiting_i": np.array([peak.i_sample for peak in self._waiting], dtype=np.int64),
                "waiting_height": np.array([peak.height for peak in self._waiting], dtype=np.float64),
            },
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> BeatRule:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        restored = cls(kept.number("fs_hz"))
        restored._i_last = kept.optional_integer("i_last")
        restored._highest_passed = kept.number("highest_passed")
        restored._beats.extend(kept.float_array("beats", (None,)).tolist())
        restored._noises.extend(kept.float_array("noises", (None,)).tolist())
        restored._rrs_s.extend(kept.float_array("rrs_s", (None,)).tolist())
        indices = kept.int_array("waiting_i").tolist()
        heights = kept.float_array("waiting_height", (len(indices),)).tolist()
        restored._waiting = [Peak(i, height) for i, height in zip(indices, heights, strict=True)]
        return restored


def _ranked(heights: deque[float], rank: float) -> float:
    return sorted(heights)[int(len(heights) * rank)]
