"""Breaths from impedance, a belt or any signal that rises with the lungs' filling."""

from __future__ import annotations

import functools
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from processors.dsp.breaths_kernel import (
    DESIGN_DTYPE,
    N_SWINGS,
    STATE_DTYPE,
    find_breaths,
    judge_window,
)
from processors.dsp.kernel import Record, new_record, restored_record
from processors.dsp.state import MalformedStateError, State, translated_errors

_KIND = "breath_detector"
_VERSION = 1

FS_HZ_MIN: Final = 4.0
FS_HZ_MAX: Final = 500.0
LEARNING_S: Final = 6.0
"""At least one breath at 12 per minute: its range is the first idea of a breath's height."""

_LOW_PASS_HZ: Final = 0.6
"""Passes the fundamental of 36 breaths per minute and half of that of 60; takes away most of what
the heart moves. A Bessel filter delays all breaths alike, so that peaks keep their distance."""
_SHARE: Final = 0.25
"""Of a breath's height: less is a notch within it, more is another breath. The accuracy hardly
changes between 0.2 and 0.3."""
_HOLD_S: Final = 8.0
_FORGET_S: Final = 20.0
"""Shallow breathing of a fifth of the former height is found 20 s after the last breath."""
_SHARE_MIN: Final = 0.08
_FORGOTTEN_S: Final = 300.0
"""What is smaller than this share of a breath is none, for minutes: it is the heart, or noise.
Nobody lives longer without a breath: then the sensor has changed, and anything may be one."""
_FLAT_SHARE: Final = 0.002
_TYPICAL_HZ: Final = 0.3


class BreathWindow(NamedTuple):
    """The breaths of a window; places are sample indices, intervals samples."""

    n_breaths: int
    i_first: float
    i_last: float
    interval: float
    """Median."""
    interval_spread: float
    """Median distance from the median."""
    height: float
    """Median over the trough before the breath, in the signal's unit."""
    height_spread: float
    i_newest: float | None
    """Last breath up to the end of the window, within it or before; None: there was none."""


class BreathDetector:
    """Breaths with their fiducial at the end of inspiration: the peak of the smoothed signal.

    The peak's time has the delay of the smoothing taken off. It is decided when the signal has
    gone back by a quarter of a breath's height: usually within 1 s.

    Parameters
    ----------
    fs_hz
        Sampling rate, 4..500.
    """

    def __init__(self, fs_hz: float) -> None:
        if not FS_HZ_MIN <= fs_hz <= FS_HZ_MAX:
            raise ValueError(f"{fs_hz} Hz is not within {FS_HZ_MIN} to {FS_HZ_MAX} Hz")
        self._fs_hz = float(fs_hz)
        self._design = _design(self._fs_hz).copy()
        self._state = new_record(STATE_DTYPE)
        self._said = np.zeros(8)

    @property
    def i_next(self) -> int:
        """Index of the next sample."""
        return int(self._state["i_next"][0])

    @property
    def swing(self) -> float:
        """Usual height of a breath, in the signal's unit; 0 before anything is known."""
        return float(self._state["swing"][0])

    @property
    def i_flat(self) -> int:
        """Since this sample the signal has not moved, or hardly."""
        return int(self._state["i_flat"][0])

    @property
    def at_extreme(self) -> bool:
        """Whether it rests on the lowest or highest of all that came, and there was more."""
        me = self._state[0]
        lowest, highest = float(me["lowest"]), float(me["highest"])
        return lowest < highest and float(me["flat_value"]) in (lowest, highest)

    def heart_rate_hint(self, rate_bpm: float | None) -> None:
        """From the next sample on, do not take small swings in the heart's rhythm for breaths."""
        self._state["heart_period_s"] = 60.0 / rate_bpm if rate_bpm and rate_bpm > 0.0 else 0.0

    def process(self, chunk: NDArray[np.float64]) -> None:
        """Take the next ``(n_samples,)``, all finite."""
        samples = np.ascontiguousarray(chunk, dtype=np.float64)
        find_breaths(self._design, self._state, samples)

    def reset(self, i_start: int) -> None:
        """Forget the signal so far: the next sample is ``i_start``."""
        period_s = self._state["heart_period_s"][0]
        self._state = new_record(STATE_DTYPE)
        self._state["i_start"] = self._state["i_next"] = i_start
        self._state["heart_period_s"] = period_s

    def window(self, i_from: float, i_to: float) -> BreathWindow:
        """Describe the breaths that are known now and peak in ``(i_from, i_to]``."""
        n_breaths = judge_window(self._state, i_from, i_to, self._said)
        said: list[float] = self._said.tolist()
        return BreathWindow(
            n_breaths=n_breaths,
            i_first=said[0],
            i_last=said[1],
            interval=said[2],
            interval_spread=said[3],
            height=said[4],
            height_spread=said[5],
            i_newest=said[6] if n_breaths or said[7] > 0 else None,
        )

    def to_bytes(self) -> bytes:
        """Everything the detector remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={"fs_hz": self._fs_hz},
            children={"kernel": self._state.tobytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> BreathDetector:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            restored = cls(kept.number("fs_hz"))
        restored._state = restored_record(kept.child("kernel"), STATE_DTYPE)
        me = restored._state[0]
        if not 0 <= int(me["n_swings"]) <= N_SWINGS or int(me["n_breaths"]) < 0:
            raise MalformedStateError(f"{_KIND}: counts that cannot be")
        return restored


@functools.lru_cache(maxsize=16)
def _design(fs_hz: float) -> Record:
    sos = signal.bessel(4, _LOW_PASS_HZ, "lowpass", fs=fs_hz, output="sos", norm="mag")
    design = new_record(DESIGN_DTYPE)
    design["fs_hz"] = fs_hz
    design["sos"] = sos[:, [0, 1, 2, 4, 5]]
    design["late_s"] = _group_delay_s(sos, fs_hz)
    design["share"] = _SHARE
    design["n_learn"] = round(LEARNING_S * fs_hz)
    design["hold_s"] = _HOLD_S
    design["forget_s"] = _FORGET_S
    design["share_min"] = _SHARE_MIN
    design["forgotten_s"] = _FORGOTTEN_S
    design["flat_share"] = _FLAT_SHARE
    return design


def _group_delay_s(sos: NDArray[np.float64], fs_hz: float) -> float:
    step_hz = 1e-3
    at_hz = np.array([_TYPICAL_HZ - step_hz, _TYPICAL_HZ + step_hz])
    _, response = signal.sosfreqz(sos, worN=at_hz, fs=fs_hz)
    turn_rad = float(np.angle(response[0] * np.conj(response[1])))
    return turn_rad / (2 * np.pi * 2 * step_hz)
