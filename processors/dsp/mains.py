"""Mains interference, found and taken out: 50 or 60 Hz, and 16.7 Hz beside a railway.

A fixed notch rings behind each QRS complex and takes away what belongs to the signal where there is
no mains at all. So it is looked for first: a line that stands out from its neighbours for seconds.
Then a wave is fitted to it and subtracted (Widrow et al., Proc IEEE 63:1692-1716, 1975; on the ECG
Hamilton, IEEE Trans Biomed Eng 43:105-109, 1996), whose frequency follows that of the grid (Ziarani
and Konrad, IEEE Trans Biomed Eng 49:540-547, 2002), and which a QRS complex cannot push far.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from processors.dsp.kernel import Record, new_record, restored_record
from processors.dsp.mains_kernel import MAINS, MAINS_DESIGN, N_CANDIDATES_MAX, cancel_mains
from processors.dsp.state import State, translated_errors

_KIND = "mains_canceller"
_VERSION = 2

GRIDS_HZ: Final = (50.0, 60.0)
RAILWAY_HZ: Final = 50.0 / 3
"""To be asked for: within the band of the QRS complex a steady heart has lines of its own."""

WINDOW_S: Final = 1.0
FOUND_AFTER_S: Final = 4.0
"""At most, from its beginning on, where it stands out: a strong one in the first window that is
full of it, a weak one in the third."""

_LINE_MIN: Final = 5.0
"""Times the strongest neighbour: less says nothing."""
_EVIDENCE_MIN: Final = 14.5
"""Noise alone does that once in a month."""
_N_MISSES_MAX: Final = 6
_BESIDE_HZ: Final = (3.0, 6.0)
"""A line in a Hann window of a second reaches 2 Hz to either side. Two complexes in a window are a
comb over all frequencies; twice one is in the other, so never do both fall between its teeth."""
_ROOM_HZ: Final = 0.7
"""No public grid strays further; a hospital's own generator may by half a hertz."""
_SETTLED_S: Final = 0.4
_SETTLED_TURN_S: Final = 1.0
_SHARE_S: Final = 0.5
_LIMIT: Final = 2.0
_USUAL_S: Final = 0.5
_ROUGH_S: Final = 0.1
"""As long as a complex, which is as rough with the wave as without."""
_NYQUIST_SHARE_MAX: Final = 0.97
"""Closer to it, a line and its mirror image are one."""


class MainsCanceller:
    """Takes mains interference out of a signal, without delay; where there is none, does nothing.

    Parameters
    ----------
    fs_hz
        Sampling rate; a candidate over 0.97 of half of it is left alone.
    candidates_hz
        At most three frequencies to look for.
    """

    def __init__(self, fs_hz: float, candidates_hz: Sequence[float] = GRIDS_HZ) -> None:
        if not 0 < fs_hz < math.inf or len(candidates_hz) > N_CANDIDATES_MAX:
            raise ValueError(f"{candidates_hz} Hz at {fs_hz} Hz cannot be looked for")
        self._fs_hz = float(fs_hz)
        self._candidates_hz = tuple(float(f) for f in candidates_hz)
        highest_hz = _NYQUIST_SHARE_MAX * fs_hz / 2
        self._looked_for = tuple(f for f in self._candidates_hz if f <= highest_hz)
        self._design = _design(self._fs_hz, self._looked_for).copy()
        self._window = _window(max(2, round(WINDOW_S * fs_hz))).copy()
        self._record = new_record(MAINS)

    @property
    def found_hz(self) -> float | None:
        """Which of the candidates there is now."""
        if not self._record["found"].item():
            return None
        return self._looked_for[int(self._record["tracked"].item()) - 1]

    @property
    def frequency_hz(self) -> float | None:
        """The frequency as it is followed, near ``found_hz``."""
        if not self._record["found"].item():
            return None
        return float(self._record["turn"].item()) * self._fs_hz / (2 * math.pi)

    @property
    def amplitude(self) -> float:
        """Of the wave that is taken out, in the unit of the signal."""
        wave = math.hypot(self._record["in_phase"].item(), self._record["quadrature"].item())
        return wave * float(self._record["share"].item())

    def process(
        self, chunk: NDArray[np.float64], out: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Clean the next ``(n_samples,)``; same unit out as in, in ``out`` if that is given."""
        samples = np.ascontiguousarray(chunk, dtype=np.float64)
        cleaned = np.empty(samples.size) if out is None else out
        cancel_mains(self._record, self._design, self._window, samples, cleaned)
        return cleaned

    def skip(self) -> None:
        """Pass over a gap: what was there is still there, its phase is another one."""
        for name in ("n_seen", "in_phase", "quadrature", "n_tracked", "share"):
            self._record[name] = 0

    def reset(self) -> None:
        """Forget the signal so far."""
        self._record = new_record(MAINS)

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={"fs_hz": self._fs_hz},
            arrays={"candidates_hz": np.array(self._candidates_hz, dtype=np.float64)},
            children={"kernel": self._record.tobytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> MainsCanceller:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            candidates_hz = kept.float_array("candidates_hz", (None,)).tolist()
            restored = cls(kept.number("fs_hz"), candidates_hz)
            restored._record = restored_record(kept.child("kernel"), MAINS)
            if not 0 <= restored._record["tracked"].item() <= len(restored._looked_for):
                raise ValueError("what is followed is not among the candidates")
        return restored


@functools.lru_cache(maxsize=16)
def _window(n_samples: int) -> NDArray[np.float64]:
    return np.asarray(signal.get_window("hann", n_samples), dtype=np.float64)


@functools.lru_cache(maxsize=16)
def _design(fs_hz: float, looked_for_hz: tuple[float, ...]) -> Record:
    design = new_record(MAINS_DESIGN)
    design["n_candidates"] = len(looked_for_hz)
    for c, f_hz in enumerate(looked_for_hz):
        # Too near to half the rate there is nothing above it: what is below counts twice.
        above = [b if f_hz + b < fs_hz / 2 else -b for b in _BESIDE_HZ]
        around_hz = np.array([f_hz, *(f_hz - b for b in _BESIDE_HZ), *(f_hz + b for b in above)])
        design["bins"][0, c] = 2 * np.cos(2 * np.pi * around_hz / fs_hz)
        turn = 2 * math.pi * f_hz / fs_hz
        design["nominal"][0, c] = turn
        design["gain"][0, c] = 2 / (_SETTLED_S * fs_hz) / (2 - 2 * math.cos(turn))
    values = {
        "line_min": _LINE_MIN,
        "evidence_min": _EVIDENCE_MIN,
        "n_misses_max": _N_MISSES_MAX,
        "pace_turn": 1 / (_SETTLED_TURN_S * fs_hz),
        "turn_room": 2 * math.pi * _ROOM_HZ / fs_hz,
        "pace_share": 1 / (_SHARE_S * fs_hz),
        "limit": _LIMIT,
        "forget": 1 / (_USUAL_S * fs_hz),
        "n_rough": max(2, round(_ROUGH_S * fs_hz)),
    }
    for name, value in values.items():
        design[name] = value
    return design
