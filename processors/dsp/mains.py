"""Mains interference, found and taken out: 50 or 60 Hz, and 16.7 Hz beside a railway.

A fixed notch rings behind each QRS complex and takes away what belongs to the signal where there is
no mains at all. So it is looked for first: a line that stands out from its neighbours for seconds.
Then a wave is fitted to it and subtracted (Widrow et al., Proc IEEE 63:1692-1716, 1975; on the ECG
Hamilton, IEEE Trans Biomed Eng 43:105-109, 1996), whose frequency follows that of the grid (Ziarani
and Konrad, IEEE Trans Biomed Eng 49:540-547, 2002), and which a QRS complex cannot push far.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from processors.dsp.kernel import new_record, restored_record
from processors.dsp.mains_kernel import MAINS, N_CANDIDATES_MAX, cancel_mains
from processors.dsp.state import State, translated_errors

_KIND = "mains_canceller"
_VERSION = 1

GRIDS_HZ: Final = (50.0, 60.0)
RAILWAY_HZ: Final = 50.0 / 3
"""To be asked for: within the band of the QRS complex a steady heart has lines of its own."""

WINDOW_S: Final = 1.0
FOUND_AFTER_S: Final = 3.0
"""Three windows in a row; in one a chirp of muscle may look like a line."""

_LINE_MIN: Final = 5.0
"""Times the strongest neighbour: noise does that three times in a row once in a month."""
_N_MISSES_MAX: Final = 6
_BESIDE_HZ: Final = (3.0, 5.0)
"""A line in a Hann window of a second reaches 2 Hz to either side."""
_ROOM_HZ: Final = 0.7
"""No public grid strays further; a hospital's own generator may by half a hertz."""
_SETTLED_S: Final = 0.4
_SETTLED_TURN_S: Final = 1.0
_SHARE_S: Final = 0.5
_LIMIT: Final = 2.0
_USUAL_S: Final = 0.5
_NYQUIST_SHARE_MAX: Final = 0.9


class MainsCanceller:
    """Takes mains interference out of a signal, without delay; where there is none, does nothing.

    Parameters
    ----------
    fs_hz
        Sampling rate; a candidate over 0.9 of half of it is left alone.
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
        away = [0.0, *(-f for f in _BESIDE_HZ), *_BESIDE_HZ]
        around = np.array(self._looked_for).reshape(-1, 1) + np.array([away])
        self._bins = np.ascontiguousarray(2 * np.cos(2 * np.pi * around / fs_hz))
        self._window = np.asarray(signal.get_window("hann", max(2, round(WINDOW_S * fs_hz))))
        self._record = new_record(MAINS)

    @property
    def found_hz(self) -> float | None:
        """Which of the candidates there is now."""
        found = int(self._record["found"].item())
        return self._looked_for[found - 1] if found else None

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

    def process(self, chunk: NDArray[np.float64]) -> NDArray[np.float64]:
        """Clean the next ``(n_samples,)``; same unit out as in."""
        samples = np.ascontiguousarray(chunk, dtype=np.float64)
        if not self._looked_for:
            return samples
        cleaned = np.empty(samples.size)
        cancel_mains(
            self._record,
            self._bins,
            self._window,
            _LINE_MIN,
            round(FOUND_AFTER_S / WINDOW_S),
            _N_MISSES_MAX,
            2 / (_SETTLED_S * self._fs_hz),
            1 / (_SETTLED_TURN_S * self._fs_hz),
            2 * math.pi * _ROOM_HZ / self._fs_hz,
            1 / (_SHARE_S * self._fs_hz),
            _LIMIT,
            1 / (_USUAL_S * self._fs_hz),
            samples,
            cleaned,
        )
        return cleaned

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
            if not 0 <= restored._record["found"].item() <= len(restored._looked_for):
                raise ValueError("what was found is not among the candidates")
        return restored
