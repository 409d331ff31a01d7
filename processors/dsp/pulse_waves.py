"""Pulse waves from one photoplethysmogram, as it comes.

The slope of the signal, over a tenth of a second and smoothed as much, has one sharp top in the
systolic upslope of each pulse: it is the part of the wave that changes least with breathing,
vasomotion and the form of the wave, so its top is the time of the beat. A top is a beat if it
stands above a level between those of recent beats and of recent rises between beats, on the
logarithmic scale (as Pan and Tompkins have it for the ECG, IEEE Trans Biomed Eng 32:230-236, 1985;
Zong et al. for the pressure wave, Comput Cardiol 30:259-262, 2003). The rises between beats are
kept apart by when they come: the dicrotic wave follows the systolic one within 0.42 s, and is never
half as steep; what comes later and is no noise is a weak beat, of which an irregular rhythm has
many. A rise that a steeper one follows within 0.4 s is no beat, unless it came when one was due.
In an even rhythm a rise that comes early, and within 0.5 s before the beat that is due, is none
either, unless it looks like a pulse and is no higher: that is a movement.
The height of a rise includes some of the descent before it, because an early pulse rides on the
falling limb of the one before; but what comes early, behind a fall that no pulse wave has, is the
return from a movement.

Which way is up is found from the shape: the systolic upslope is the steepest part of the wave.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, new_record, restored_record
from processors.dsp.pulse_waves_kernel import take_samples
from processors.dsp.pulse_waves_layout import BEAT_DTYPE, DESIGN_DTYPE, N_LOW, STATE_DTYPE
from processors.dsp.state import MalformedStateError, State, translated_errors

__all__ = ["BEAT_DTYPE", "PulseWaveDetector"]

_KIND = "pulse_wave_detector"
_VERSION = 3

Floats = NDArray[np.float64]

FS_HZ_MIN: Final = 20.0
FS_HZ_MAX: Final = 1000.0
KEEP_LEVELS_S_MAX: Final = 10.0
"""After a longer gap the levels are learned again: the sensor may have been moved."""
LEARNING_S: Final = 4.0
"""Beats of the first seconds come together, when these are over."""

_LOW_HZ: Final = 125.0
_SMOOTH_S: Final = 0.04
_LAG_S: Final = 0.1
_REACH_S: Final = 0.12
_BEFORE_S: Final = 0.25
_AHEAD_S: Final = 0.5
"""A rise waits so long for what follows: for the beat that is due, above 60 per minute or so."""
_TOPPED_S: Final = 0.4
_WALK_S: Final = 0.3
_PLATEAU_S: Final = 0.1
_BEATS_PER_S_MAX: Final = 5


class PulseWaveDetector:
    """Pulse waves of one channel, each once, in order, within a fixed delay.

    Parameters
    ----------
    fs_hz
        Sampling rate, 20..1000.
    inverted
        True: more blood is less signal (raw light); False: more; None: found from the shape in
        the first four seconds, and watched over sixteen seconds afterwards.
    """

    def __init__(self, fs_hz: float, *, inverted: bool | None = None) -> None:
        if not FS_HZ_MIN <= fs_hz <= FS_HZ_MAX:
            raise ValueError(f"{fs_hz} Hz is not within {FS_HZ_MIN} to {FS_HZ_MAX} Hz")
        self._fs_hz = float(fs_hz)
        self._inverted = inverted
        self._design = _design(self._fs_hz, inverted=inverted)
        self._n_delay = _delay(self._design[0])
        self._state = new_record(STATE_DTYPE)
        self._rearm(0, kept=None)

    @property
    def record(self) -> Record:
        """What the kernel remembers (``STATE_DTYPE``); to be read only."""
        return self._state

    @property
    def i_next(self) -> int:
        """Index of the next sample."""
        return int(self._state["i_next"][0])

    @property
    def n_delay(self) -> int:
        """From a beat to the sample with which it is given, at most; learning aside."""
        return self._n_delay

    @property
    def delay_s(self) -> float:
        """The same in seconds."""
        return self._n_delay / self._fs_hz

    @property
    def i_learned(self) -> int:
        """The index behind the sample with which learning ends; none is given before."""
        if self._state["learned"][0]:
            return int(self._state["i_start"][0])
        design = self._design[0]
        return int(self._state["i_start"][0]) + int(design["n_learn"]) * int(design["n_block"])

    @property
    def watermark(self) -> int:
        """All beats before this sample index have been given."""
        if self.i_next < self.i_learned:
            return int(self._state["i_start"][0])
        return max(int(self._state["i_start"][0]), self.i_next - self.n_delay)

    def process(self, chunk: Floats) -> NDArray[np.void]:
        """Take the next ``(n_samples,)``, in any unit, all finite; give the beats now certain."""
        n_max = int((chunk.size / self._fs_hz + LEARNING_S + 1) * _BEATS_PER_S_MAX) + 1
        beats = np.zeros(n_max, BEAT_DTYPE)
        samples = np.ascontiguousarray(chunk, dtype=np.float64)
        n_beats = take_samples(samples, self._design, self._state, beats)
        return beats[:n_beats]

    def skip(self, n_samples: int) -> NDArray[np.void]:
        """Pass over a gap: give the beats still in hand, then start anew behind it.

        The signal is taken to have held its last value for the length of the delay, so that a
        beat just before the gap is not lost.
        """
        i_end = self.i_next
        beats = np.zeros(0, BEAT_DTYPE)
        if self._state["started"][0]:
            n_hold = max(self.n_delay, self.i_learned + self.n_delay - i_end)
            beats = self.process(np.full(n_hold, self._state["newest"][0]))
            beats = beats[beats["i_upslope"] < i_end]
        is_short = n_samples <= KEEP_LEVELS_S_MAX * self._fs_hz
        self._rearm(i_end + n_samples, kept=self._state if is_short else None)
        return beats

    def _rearm(self, i_start: int, *, kept: Record | None) -> None:
        polarity = int(self._design["polarity"][0]) or 1
        self._state = new_record(STATE_DTYPE)
        self._state["i_start"] = self._state["i_next"] = i_start
        self._state["polarity"] = polarity
        if kept is not None and kept["learned"][0]:
            for name in _LEVELS:
                self._state[name] = kept[name]

    def to_bytes(self) -> bytes:
        """Everything the detector remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={"fs_hz": self._fs_hz, "inverted": self._inverted},
            children={"kernel": self._state.tobytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> PulseWaveDetector:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            inverted = None if kept.scalars["inverted"] is None else kept.flag("inverted")
            restored = cls(kept.number("fs_hz"), inverted=inverted)
        restored._state = _checked(restored_record(kept.child("kernel"), STATE_DTYPE))
        return restored


_LEVELS: Final = (
    "learned", "polarity", "tops", "bottoms", "n_seconds", "i_turned", "heights", "n_heights",
    "early", "late", "n_between", "intervals", "n_intervals", "template", "shape", "n_shapes",
)  # fmt: skip
"""What is still true behind a short gap."""


def _checked(record: Record) -> Record:
    """Refuse a record whose counts the kernel could not have written: they are used as indices."""
    state = record[0]
    counts = [state[name] for name in STATE_DTYPE.names or () if name[:2] in ("n_", "k_")]
    if min(counts) < 0 or state["n_pending"] > state["pending"].size:
        raise MalformedStateError(f"{_KIND}: a count is out of range")
    if state["polarity"] not in (-1, 1) or state["k_rise"] > state["k_next"]:
        raise MalformedStateError(f"{_KIND}: polarity or position is out of range")
    return record


def _delay(design: np.void) -> int:
    n_low = int(design["n_reach"]) + int(design["n_ahead"]) + int(design["n_smooth"])
    n_low += (int(design["n_lag"]) + 1) // 2 + 2
    return n_low * int(design["n_block"]) + 1


def _design(fs_hz: float, *, inverted: bool | None) -> Record:
    design = new_record(DESIGN_DTYPE)
    n_block = max(1, round(fs_hz / _LOW_HZ))
    low_hz = fs_hz / n_block
    design["fs_hz"], design["fs_low_hz"], design["n_block"] = fs_hz, low_hz, n_block
    for name, seconds in (
        ("n_smooth", _SMOOTH_S), ("n_lag", _LAG_S), ("n_reach", _REACH_S),
        ("n_before", _BEFORE_S), ("n_ahead", _AHEAD_S), ("n_topped", _TOPPED_S),
        ("n_learn", LEARNING_S), ("n_second", 1.0), ("n_walk", _WALK_S),
    ):  # fmt: skip
        design[name] = max(1, round(seconds * low_hz))
    design["n_learn"] = min(4 * int(design["n_second"][0]), N_LOW - 1)
    design["n_plateau"] = max(3, round(_PLATEAU_S * fs_hz))
    design["polarity"] = 0 if inverted is None else -1 if inverted else 1
    return design
