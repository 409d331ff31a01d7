"""Steps: how long somebody walks, divided by how long a step takes.

The magnitude of the acceleration repeats itself with each step, wherever the device is worn and
however it is turned. Its likeness to itself a step later says whether this is gait and how long a
step is; each second of gait then holds a second's worth of steps, also fractions of one. Counting
by periodicity is what walks of more than a thousand people at all body sites were recognised by
(Straczkiewicz, Huang and Onnela, npj Digit Med 6:29, 2023); the measure of likeness is that of
McLeod and Wyvill (Proc ICMC 2005).
"""

from __future__ import annotations

import functools
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from processors.dsp.at_rest import sections_at_rest
from processors.dsp.gait_kernel import GAIT, follow_gait, judge_gait
from processors.dsp.kernel import new_record, restored_record
from processors.dsp.state import State, translated_errors
from processors.vitals.derived import Algorithm
from processors.vitals.gravity import Site, site_named

_KIND = "step_counter"
_VERSION = 1

WINDOW_S: Final = 4.0
"""Four steps of the slowest gait; longer ones lose short walks."""
BEHIND_S: Final = 1.5
"""A moment is judged when so much after it is known."""

_BAND_HZ: Final = (0.7, 4.0)
_WORK_HZ: Final = 25.0
_STEP_S_MIN: Final = 0.27
_STEP_S_MAX: Final = 1.12
"""222 to 54 steps per minute."""
_KIN: Final = {"chest": 0.6, "wrist": 0.4, "unknown": 0.5}
"""A shorter period is taken when it peaks to this share of the highest: an arm that swings further
forward than back repeats itself every second step."""
_RMS_G_MIN: Final = {"chest": 0.025, "wrist": 0.035, "unknown": 0.035}
"""A shuffling gait at the sternum; hands at rest on something that shakes are above it."""
_LIKENESS_MIN: Final = 0.6
_LIKENESS_MIN_WALKING: Final = 0.4
"""Who walks already may stumble; who does not must be clearly walking."""
_N_ALIKE_MIN: Final = 3
_N_STEPS_MIN: Final = 5.0
"""Seconds of the same step, and steps, before any of them count: a pedometer's usual patience."""
_STRIDE_S_MIN: Final = 0.64
_STRIDE_G: Final = 0.07
"""Acceleration grows with the square of the cadence: what repeats itself once a second with less
than this walks 60 steps per minute; with more 120, of which an arm's swing, or a device on one
side, shows every second one. Twice as much is asked for where nothing is alike half a period
later."""
_STRIDE_HALFWAY_MIN: Final = -0.5
"""Less alike than this half a period later is one plain wave, and no two steps are one."""
_ALIKE: Final = 0.2
_N_MISSED_MAX: Final = 1
_RATE_S: Final = 10

STEPS: Final = Algorithm(
    name="steps",
    version=1,
    method=(
        "Normalised likeness of the magnitude of acceleration, 0.7 to 4 Hz, to itself one step"
        " later, over four seconds; where it is regular, time divided by the duration of a step."
    ),
    source=(
        "Straczkiewicz, Huang and Onnela, npj Digit Med 6:29 (2023); McLeod and Wyvill, Proc ICMC"
        " (2005)"
    ),
    delay_s=0.0,
    averaging=(
        "Count since the start, rate of the ten seconds up to two seconds before; every ten"
        " seconds. Steps count once five in a row were regular."
    ),
    validity="54 to 222 steps per minute; no rate in the first ten seconds and behind a gap.",
)


class StepCounter:
    """Counts the steps of one person; any cutting of the input gives the same.

    ``process`` takes the samples, ``judge`` is to be called on each whole second.

    Parameters
    ----------
    fs_hz
        Sampling rate, 10..400.
    site
        Where the accelerometer is worn.
    """

    def __init__(self, fs_hz: float, site: Site) -> None:
        self._fs_hz = float(fs_hz)
        self._site: Site = site
        self._kin = _KIN[site]
        self._rms_g_min = _RMS_G_MIN[site]
        self._every = max(1, round(fs_hz / _WORK_HZ))
        self._work_hz = fs_hz / self._every
        sos, at_rest = _band(self._fs_hz)
        self._sos, self._at_rest = sos.copy(), at_rest.copy()
        self._n_window = round(WINDOW_S * self._work_hz)
        self._lags = (
            max(2, math.ceil(_STEP_S_MIN * self._work_hz)),
            math.floor(2 * _STEP_S_MAX * self._work_hz),
        )
        self._n_behind = round(BEHIND_S * self._work_hz)
        self._n_near_max = round(_STEP_S_MAX * self._work_hz)
        self._record = new_record(GAIT)
        self._steps = 0.0
        self._recent: list[float] = []
        self._walks = False
        self._pending_s = 0.0
        self._n_alike = 0
        self._n_missed = 0
        self._last_step_s = 0.0
        self._last_moving_s = 0.0

    @property
    def n_steps(self) -> int:
        """Steps since the start, those of a walk that has just begun not among them."""
        return int(self._steps + 0.5)

    @property
    def rate_per_min(self) -> float | None:
        """Steps per minute over ten seconds; None until there are ten."""
        if len(self._recent) <= _RATE_S:
            return None
        return (self._steps - self._recent[0]) * 60.0 / _RATE_S

    @property
    def regularity(self) -> float:
        """How alike one step is to the next, 0..1."""
        return max(0.0, min(1.0, float(self._record["regularity"].item())))

    def process(self, chunk_g: NDArray[np.float64], i_begin: int, i_end: int) -> None:
        """Take the columns ``i_begin..i_end - 1`` of ``(3, n_samples)`` in g."""
        follow_gait(self._record, self._sos, self._at_rest, chunk_g, i_begin, i_end, self._every)

    def judge(self) -> None:
        """Count what is certain now that a second is over."""
        if self._record["n_ring"].item() >= self._n_window:
            judge_gait(
                self._record,
                self._n_window,
                *self._lags,
                self._n_behind,
                self._n_near_max,
                self._kin,
            )
            self._count()
        self._recent.append(self._steps)
        del self._recent[: -_RATE_S - 1]

    def _count(self) -> None:
        moving_s = self._moving_s()
        step_s = self._step_s()
        if step_s is None:
            self._n_missed += 1
            if not self._walks or self._n_missed > _N_MISSED_MAX:
                self._stop(moving_s)
                return
            step_s = self._last_step_s
        elif self._last_step_s and abs(step_s / self._last_step_s - 1) > _ALIKE:
            self._stop(self._last_moving_s)
        else:
            self._n_missed = 0
        self._last_moving_s = moving_s
        self._last_step_s = step_s
        self._n_alike += 1
        self._pending_s += moving_s
        self._walks |= self._n_alike >= _N_ALIKE_MIN and self._pending_s >= _N_STEPS_MIN * step_s
        if self._walks:
            self._steps += self._pending_s / step_s
            self._pending_s = 0.0

    def _moving_s(self) -> float:
        """How long something moved in the second that is judged."""
        if self._record["rms"].item() < self._rms_g_min:
            return 0.0
        return int(self._record["n_moving"].item()) / self._work_hz

    def _step_s(self) -> float | None:
        """How long a step takes, or None where nobody walks."""
        period_s = float(self._record["period"].item()) / self._work_hz
        needed = _LIKENESS_MIN_WALKING if self._walks else _LIKENESS_MIN
        if (
            period_s == 0.0
            or self._record["rms"].item() < self._rms_g_min
            or self._record["regularity"].item() < needed
        ):
            return None
        if period_s > _STEP_S_MAX or self._is_stride(period_s):
            period_s /= 2
        return _in_the_octave_of(self._last_step_s, period_s)

    def _is_stride(self, period_s: float) -> bool:
        """Tell two steps, of which one is the stronger, from a slow one by their vigour."""
        halfway = float(self._record["halfway"].item())
        if period_s < _STRIDE_S_MIN or halfway < _STRIDE_HALFWAY_MIN:
            return False
        vigour = float(self._record["rms"].item()) * period_s**2
        return vigour > (_STRIDE_G if halfway > 0 else 2 * _STRIDE_G)

    def _stop(self, moving_s: float) -> None:
        """End a walk; the second just before may be the beginning of another."""
        self._walks = False
        self._pending_s = moving_s
        self._n_alike = 0
        self._n_missed = 0
        self._last_step_s = 0.0
        self._last_moving_s = 0.0

    def reset(self) -> None:
        """Forget the signal so far, and go on counting."""
        self._record = new_record(GAIT)
        self._recent = []
        self._stop(0.0)

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "fs_hz": self._fs_hz,
                "site": self._site,
                "steps": self._steps,
                "pending_s": self._pending_s,
                "n_alike": self._n_alike,
                "n_missed": self._n_missed,
                "last_step_s": self._last_step_s,
                "last_moving_s": self._last_moving_s,
                "walks": self._walks,
            },
            arrays={"recent": np.array(self._recent, dtype=np.float64)},
            children={"kernel": self._record.tobytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> StepCounter:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            restored = cls(kept.number("fs_hz"), site_named(kept.scalars["site"]))
            restored._record = restored_record(kept.child("kernel"), GAIT)
        restored._steps = kept.number("steps")
        restored._pending_s = kept.number("pending_s")
        restored._last_moving_s = kept.number("last_moving_s")
        restored._n_alike = kept.integer("n_alike")
        restored._n_missed = kept.integer("n_missed")
        restored._last_step_s = kept.number("last_step_s")
        restored._walks = kept.flag("walks")
        restored._recent = kept.float_array("recent", (None,)).tolist()
        return restored


def _in_the_octave_of(last_s: float, period_s: float) -> float:
    """Stay with the step that was, where the new one is twice or half of it."""
    for octave in (0.5, 2.0):
        if last_s and abs(period_s * octave / last_s - 1) <= _ALIKE:
            return period_s * octave
    return period_s


@functools.lru_cache(maxsize=16)
def _band(fs_hz: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sections of the band, and what they remember of a constant."""
    sos = signal.butter(2, _BAND_HZ, "bandpass", fs=fs_hz, output="sos")
    at_rest = sections_at_rest(sos)
    return (
        np.ascontiguousarray(sos, dtype=np.float64),
        np.ascontiguousarray(at_rest, dtype=np.float64),
    )
