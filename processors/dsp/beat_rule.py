"""Which peaks of the QRS envelope are beats: levels that follow the signal, and the rhythm."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Final

import numpy as np

from processors.dsp.envelope import Peak
from processors.dsp.state import Array, State

_KIND = "beat_rule"
_VERSION = 1

LEARNING_S: Final = 2.0
_N_REMEMBERED: Final = 8
_REFRACTORY_S: Final = 0.2
_SHARE_OF_FIRST_MAX: Final = 0.7
"""Of the highest peak while learning: the first guess of a beat's height."""
_NOISE_OF_FIRST: Final = 0.2
_BEAT_RANK: Final = 2 / 8
_NOISE_RANK: Final = 3 / 8
"""Low ranks of the recent heights: small ectopic beats count, and must not raise the threshold."""
_NOISE_MIN: Final = 0.03
_NOISE_MAX: Final = 0.8
_EXPONENT: Final = 0.5
"""Threshold = noise * math.pow(beat / noise, exponent)."""
_EXPONENT_MIN: Final = 0.2
_EARLY: Final = 0.75
_EARLY_SLOPE: Final = 0.6
_OVERDUE: Final = 1.1
_OVERDUE_SLOPE: Final = 0.5
_THRESHOLD_OF_BEAT_MIN: Final = 0.12
_HEIGHT_CAP: Final = 2.0
"""An artefact counts as no more than twice a beat."""
_ROOM_FOR_A_BEAT_S: Final = 0.35
"""A peak this far from both beats around it may be a beat that was missed: no proof of noise.

Without this, small ectopic beats that were missed raise the threshold and go on being missed."""
_N_PASSED_MAX: Final = 8
_SILENCE_S: Final = 3.0
_FORGETTING_S: Final = 4.5
_KEEP_PER_S: Final = 0.6
"""In silence the levels sink, after 3 s of it, for 4.5 s, to a tenth: lower lies noise."""
_RR_S_UNKNOWN: Final = 1.0
_N_RR_MIN: Final = 3


class BeatRule:
    """Choose among peaks, one after another, and learn from the choice.

    ``interval`` is the time since the last beat over the recent median RR interval: much less
    than 1 raises the threshold (T waves), more than 1 lowers it (a beat is overdue).
    """

    def __init__(self, fs_hz: float) -> None:
        self._fs_hz = float(fs_hz)
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
        self._i_silent: int | None = None  # silence since here: the last beat, or the first peak
        self._i_forgotten = 0
        self._passed: deque[Peak] = deque(maxlen=_N_PASSED_MAX)
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
            self._accept(peak, since_s)
            return True
        self._pass_over(peak)
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
        return max(noise * math.pow(beat / noise, exponent), _THRESHOLD_OF_BEAT_MIN * beat)

    def _accept(self, peak: Peak, since_s: float) -> None:
        noise = max((p.height for p in self._passed if not self._has_room(p, peak)), default=0.0)
        if noise > 0:
            self._noises.append(noise)
        self._beats.append(min(peak.height, _HEIGHT_CAP * self._beat_height()))
        if self._i_last is not None and since_s < _SILENCE_S:
            self._rrs_s.append(since_s)
        self._passed.clear()
        self._i_last = self._i_silent = peak.i_sample

    def _has_room(self, passed: Peak, beat: Peak) -> bool:
        n_room = _ROOM_FOR_A_BEAT_S * self._fs_hz
        after_last = self._i_last is None or passed.i_sample - self._i_last >= n_room
        return after_last and beat.i_sample - passed.i_sample >= n_room

    def _pass_over(self, peak: Peak) -> None:
        self._passed.append(peak)
        if self._i_silent is None:
            self._i_silent = peak.i_sample
        first = self._i_silent + round(_SILENCE_S * self._fs_hz)
        last = first + round(_FORGETTING_S * self._fs_hz)
        n_forget = min(peak.i_sample, last) - max(self._i_forgotten, first)
        if n_forget > 0:
            self._i_forgotten = peak.i_sample
            share = math.pow(_KEEP_PER_S, n_forget / self._fs_hz)
            for levels in (self._beats, self._noises):
                sunk = [share * height for height in levels]
                levels.clear()
                levels.extend(sunk)

    def to_bytes(self) -> bytes:
        """Everything the rule remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "fs_hz": self._fs_hz,
                "i_last": self._i_last,
                "i_silent": self._i_silent,
                "i_forgotten": self._i_forgotten,
            },
            arrays={
                "beats": np.array(self._beats, dtype=np.float64),
                "noises": np.array(self._noises, dtype=np.float64),
                "rrs_s": np.array(self._rrs_s, dtype=np.float64),
                **_peak_arrays("passed", self._passed),
                **_peak_arrays("waiting", self._waiting),
            },
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> BeatRule:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        restored = cls(kept.number("fs_hz"))
        restored._i_last = kept.optional_integer("i_last")
        restored._i_silent = kept.optional_integer("i_silent")
        restored._i_forgotten = kept.integer("i_forgotten")
        restored._beats.extend(kept.float_array("beats", (None,)).tolist())
        restored._noises.extend(kept.float_array("noises", (None,)).tolist())
        restored._rrs_s.extend(kept.float_array("rrs_s", (None,)).tolist())
        restored._passed.extend(_peaks(kept, "passed"))
        restored._waiting = _peaks(kept, "waiting")
        return restored


def _peak_arrays(name: str, peaks: Iterable[Peak]) -> dict[str, Array]:
    known = list(peaks)
    return {
        f"{name}_i": np.array([peak.i_sample for peak in known], dtype=np.int64),
        f"{name}_height": np.array([peak.height for peak in known], dtype=np.float64),
    }


def _peaks(kept: State, name: str) -> list[Peak]:
    indices = kept.int_array(f"{name}_i").tolist()
    heights = kept.float_array(f"{name}_height", (len(indices),)).tolist()
    return [Peak(i, height) for i, height in zip(indices, heights, strict=True)]


def _ranked(heights: deque[float], rank: float) -> float:
    return sorted(heights)[int(len(heights) * rank)]
