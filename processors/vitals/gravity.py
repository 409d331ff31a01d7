"""Which way gravity points in an accelerometer, and how much moves beside it."""

from __future__ import annotations

import functools
import math
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from processors.dsp.kernel import new_record, restored_record
from processors.dsp.motion_kernel import MOTION, follow_motion
from processors.dsp.state import State, translated_errors

_KIND = "gravity_tracker"
_VERSION = 1

Vector = tuple[float, float, float]

Site = Literal["chest", "wrist", "unknown"]
"""Where an accelerometer is worn; what is judged for an unknown site must hold at either."""

SITES: Final[tuple[Site, ...]] = ("chest", "wrist", "unknown")

FS_HZ_MIN: Final = 10.0
FS_HZ_MAX: Final = 400.0

FREE_FALL_G: Final = 0.6
IMPACT_G: Final = 2.0
"""Total acceleration before and at the impact of a fall (Kangas et al., Gait Posture 28:285-291,
2008: the thresholds that miss none)."""

_GRAVITY_HZ: Final = 0.3
"""Above the slowest changes of posture, below breathing, gait and tremor."""
_FREE_FALL_S_MIN: Final = 0.04
_TO_IMPACT_S_MAX: Final = 1.0


class MovedSecond(NamedTuple):
    """What the accelerometer felt since it was last asked."""

    n_samples: int
    rms_g: float
    """Root mean square of the acceleration beside gravity, all three axes together."""
    railed_share: float
    """0..1: samples at the end of the device's range."""
    gravity_g: Vector


class Impact(NamedTuple):
    """The latest blow that followed a free fall."""

    n_before: int
    """Samples since the start up to and with its last sample."""
    height_g: float
    low_g: float
    """The lowest acceleration of the free fall before it."""


class GravityTracker:
    """Gravity by a low-pass, and what is beside it; any cutting of the input gives the same.

    Parameters
    ----------
    fs_hz
        Sampling rate, 10..400.
    """

    def __init__(self, fs_hz: float) -> None:
        if not FS_HZ_MIN <= fs_hz <= FS_HZ_MAX:
            raise ValueError(f"{fs_hz} Hz is not within {FS_HZ_MIN}..{FS_HZ_MAX} Hz")
        self._fs_hz = float(fs_hz)
        self._lowpass = _lowpass(self._fs_hz).copy()
        self._n_low_min = max(1, round(_FREE_FALL_S_MIN * fs_hz))
        self._n_to_impact = round(_TO_IMPACT_S_MAX * fs_hz)
        self._record = new_record(MOTION)

    def process(self, chunk_g: NDArray[np.float64], i_begin: int, i_end: int) -> None:
        """Take the columns ``i_begin..i_end - 1`` of ``(3, n_samples)`` in g."""
        follow_motion(
            self._record,
            self._lowpass,
            chunk_g,
            i_begin,
            i_end,
            self._n_low_min,
            self._n_to_impact,
            FREE_FALL_G,
            IMPACT_G,
        )

    def take_second(self) -> MovedSecond:
        """Return what was felt since the last call, and start counting anew."""
        sum_squares = self._record["sum_squares"].item()
        n_samples = self._record["n_samples"].item()
        n_railed = self._record["n_railed"].item()
        self._record["sum_squares"] = 0.0
        self._record["n_samples"] = 0
        self._record["n_railed"] = 0
        x, y, z = self._record["gravity"][0].tolist()
        return MovedSecond(
            n_samples=n_samples,
            rms_g=math.sqrt(sum_squares / max(n_samples, 1)),
            railed_share=n_railed / max(n_samples, 1),
            gravity_g=(x, y, z),
        )

    @property
    def n_seen(self) -> int:
        """Samples since the start."""
        return int(self._record["n_seen"].item())

    @property
    def impact(self) -> Impact | None:
        """The latest one since the start."""
        at = self._record["impact_at"].item()
        if at == 0:
            return None
        return Impact(
            n_before=at,
            height_g=self._record["impact_g"].item(),
            low_g=self._record["impact_low_g"].item(),
        )

    def reset(self) -> None:
        """Forget the signal so far."""
        self._record = new_record(MOTION)

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={"fs_hz": self._fs_hz},
            children={"kernel": self._record.tobytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> GravityTracker:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            restored = cls(kept.number("fs_hz"))
            restored._record = restored_record(kept.child("kernel"), MOTION)
        return restored


def site_named(name: object) -> Site:
    """Read a site from a kept state; ValueError."""
    for site in SITES:
        if name == site:
            return site
    raise ValueError(f"{name!r} is no site")


def angle_deg(one: Vector, other: Vector) -> float:
    """Angle between two vectors, 0..180 degrees; 0 where one of them is none."""
    lengths = math.hypot(*one) * math.hypot(*other)
    if lengths == 0.0:
        return 0.0
    cosine = (one[0] * other[0] + one[1] * other[1] + one[2] * other[2]) / lengths
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))


@functools.lru_cache(maxsize=16)
def _lowpass(fs_hz: float) -> NDArray[np.float64]:
    sos = signal.butter(2, _GRAVITY_HZ, fs=fs_hz, output="sos")
    return np.ascontiguousarray(sos[0], dtype=np.float64)
