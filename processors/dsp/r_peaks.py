"""R peaks from one or two ECG leads, as they come.

Each lead is split into two bands, of 8-20 and 20-40 Hz, which hold the QRS complex: the lower one
also most of T waves and electrode motion, the higher one most of the muscles' noise. Their energies
over a window of 120 ms, each weighed by its own recent noise, add up to an envelope with one hump
per complex (energy detectors: Pan and Tompkins, IEEE Trans Biomed Eng 32:230-236, 1985; Elgendi,
PLoS ONE 8(9):e73557, 2013). So in every noise the band and the lead count that are clear of it.

In noise a beat need not be where the energy is highest. There the shapes of recent beats are slid
along the signal (matched filters; the bands, weighed by their noise, whiten it), and where it is
most like a shape lies a hump too, whose R peak is where the shape has it.

Whether a hump is a beat is a matter of odds: logistic weights on its amplitude between those of
recent beats and recent noise, on its likeness to the shapes of recent beats (a matched filter that
knows amplitude), and on its time. The rhythm weighs the more, the deeper the beats lie in noise;
in a clean signal an ectopic beat needs no rhythm. What shows in one of two leads alone is the less
a beat, the clearer the other is. A decision waits until nearly half a second after the R peak, and
takes the best choice among the humps known by then, behind each hump that may have been the last
beat: a P wave loses to its QRS complex, which beats its T wave, and one false beat in noise does
not put those after it out of step.
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from processors.dsp.kernel import Record, new_record, restored_record
from processors.dsp.r_peaks_decide_kernel import decide_due
from processors.dsp.r_peaks_kernel import detect
from processors.dsp.r_peaks_layout import (
    BEAT_DTYPE,
    DESIGN_DTYPE,
    LEARNED_FIELDS,
    N_LEADS_MAX,
    N_PATHS,
    N_PENDING,
    N_SHAPES,
    STATE_DTYPE,
)
from processors.dsp.r_peaks_odds_kernel import REFRACTORY_S
from processors.dsp.r_peaks_weights import WEIGHTS
from processors.dsp.state import MalformedStateError, State, translated_errors

__all__ = ["BEAT_DTYPE", "RPeakDetector"]

_KIND = "r_peak_detector"
_VERSION = 2

FS_HZ_MIN: Final = 100.0
FS_HZ_MAX: Final = 2000.0
LOW_HZ_MIN: Final = 170.0
"""The energy is found at this rate or up to twice as much, whatever the rate of the input."""
KEEP_LEVELS_S_MAX: Final = 10.0
"""After a longer gap everything is learned again: the electrodes may have been moved."""
LEARNING_S: Final = 1.5

_BANDS_HZ: Final = ((8.0, 20.0), (20.0, 40.0))
_BAND_SHARE_MAX: Final = 0.45
_WINDOW_S: Final = 0.12
_REACH_S: Final = 0.1
_SEARCH_S: Final = 0.09
_SMOOTH_S: Final = 0.017
_BASELINE_S: Final = 0.2
_LEVEL_S: Final = (0.11, 0.06)
"""Before the R peak, between the P wave and the complex."""
_SHAPE_S: Final = 0.1
_TRACE_REACH_S: Final = 0.1
_SLIDE_S: Final = 0.05
_DECISION_S: Final = 0.48
_BUFFER_S: Final = 0.8
_HUMPS_IN_HAND_MAX: Final = 64


class RPeakDetector:
    """R peaks of one or two leads, each once, in order, within a fixed delay.

    The R peak is the largest deflection, up or down, of the signal (smoothed over 17 ms) from its
    mean over the 200 ms around, within 90 ms of the middle of the complex (25 ms of where the shape
    has it, in noise); a parabola through three samples gives the part of a sample. It is looked for
    in the first lead, unless the second is twice as clear of noise. The height is that of the R
    peak above the level, which is the mean from 110 to 60 ms before it.

    A beat is given no earlier than 0.25 s and no later than ``delay_s`` (0.49 s) after its R peak;
    those of the first ``LEARNING_S`` after the first hump since the start or a long gap, together
    at the end of these.

    Parameters
    ----------
    fs_hz
        Sampling rate, 100..2000.
    n_leads
        One or two, sampled together.
    """

    def __init__(self, fs_hz: float, n_leads: int = 1) -> None:
        if not FS_HZ_MIN <= fs_hz <= FS_HZ_MAX:
            raise ValueError(f"{fs_hz} Hz is not within {FS_HZ_MIN} to {FS_HZ_MAX} Hz")
        if not 1 <= n_leads <= N_LEADS_MAX:
            raise ValueError(f"{n_leads} leads: one or two can be taken")
        self._fs_hz = float(fs_hz)
        self._n_leads = n_leads
        self._design = _design(self._fs_hz, n_leads).copy()
        self._n_delay = round(self.delay_s * self._fs_hz)
        self._state = new_record(STATE_DTYPE)
        self._ring = np.zeros((n_leads, _ring_size(self._fs_hz)))

    @property
    def i_next(self) -> int:
        """Index of the next sample."""
        return int(self._state["i_next"].item())

    @property
    def delay_s(self) -> float:
        """From the R peak to the sample with which it is given, at most."""
        return float(self._design["n_decide"][0] + self._design["n_block"][0]) / self._fs_hz

    @property
    def watermark(self) -> int:
        """All beats before this sample index have been given."""
        state = self._state
        i_due = self.i_next - self._n_delay
        if state["n_pending"].item() and not state["learned"].item():
            i_due = min(i_due, int(state["pending"][0, 0]["i_r"]))
        return max(int(state["i_start"].item()), i_due)

    def process(self, chunk_uv: NDArray[np.float64]) -> NDArray[np.void]:
        """Take the next samples in microvolt, all finite; give the beats now certain.

        Parameters
        ----------
        chunk_uv : shape (n_samples,) for one lead, (n_leads, n_samples) for two

        Returns
        -------
        shape (n_beats,), of BEAT_DTYPE
            ``i_r`` rising, counted in samples since the start of the stream.

        Raises
        ------
        ValueError
            Another number of leads.
        """
        samples = np.ascontiguousarray(chunk_uv, dtype=np.float64)
        if samples.ndim == 1:
            samples = samples[np.newaxis]
        if samples.shape[0] != self._n_leads:
            raise ValueError(f"{samples.shape[0]} leads were given, not {self._n_leads}")
        n_max = int(samples.shape[1] / (REFRACTORY_S * self._fs_hz)) + N_PENDING
        beats = np.zeros(n_max, BEAT_DTYPE)
        n_beats = detect(samples, self._design, self._state, self._ring, beats)
        return beats[:n_beats]

    def skip(self, n_samples: int) -> NDArray[np.void]:
        """Pass over a gap: give the beats still in hand, then start anew behind it.

        The signal is taken to have held its last value for the length of the delay, so that a
        beat just before the gap is not lost.
        """
        i_end = self.i_next
        beats = self._beats_in_hand(i_end)
        self._rearm(i_end + n_samples, forget=n_samples > KEEP_LEVELS_S_MAX * self._fs_hz)
        return beats

    def _beats_in_hand(self, i_end: int) -> NDArray[np.void]:
        if not self._state["started"][0]:
            return np.zeros(0, BEAT_DTYPE)
        last = self._ring[:, (i_end - 1) & (self._ring.shape[1] - 1)]
        n_hold = round((self.delay_s + _WINDOW_S) * self._fs_hz)
        held = self.process(np.repeat(last[:, np.newaxis], n_hold, axis=1))
        learned_now = self._design.copy()
        learned_now["n_learn"] = 0
        rest = np.zeros(_HUMPS_IN_HAND_MAX, BEAT_DTYPE)
        n_rest = decide_due(learned_now, self._state, self.i_next, rest, 0)
        beats = np.concatenate((held, rest[:n_rest]))
        return beats[beats["i_r"] < i_end]

    def _rearm(self, i_start: int, *, forget: bool) -> None:
        before = self._state
        self._state = new_record(STATE_DTYPE)
        self._state["i_start"] = self._state["i_next"] = i_start
        for name in () if forget else LEARNED_FIELDS:
            self._state[name] = before[name]
        self._ring[:] = 0.0

    def to_bytes(self) -> bytes:
        """Everything the detector remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={"fs_hz": self._fs_hz, "n_leads": self._n_leads},
            arrays={"ring": self._ring},
            children={"kernel": self._state.tobytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> RPeakDetector:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            restored = cls(kept.number("fs_hz"), kept.integer("n_leads"))
        restored._state = restored_record(kept.child("kernel"), STATE_DTYPE)
        restored._check_counts()
        restored._ring = kept.float_array("ring", restored._ring.shape)
        return restored

    def _check_counts(self) -> None:
        """Refuse counts that would lead a kernel beyond its arrays."""
        bounds = {
            "n_pending": N_PENDING,
            "n_paths": N_PATHS,
            "n_in_block": int(self._design["n_block"][0]) - 1,
            "lead": self._n_leads - 1,
            "started": 1,
            "learned": 1,
        }
        for name, most in bounds.items():
            if not 0 <= self._state[name][0] <= most:
                raise MalformedStateError(f"{_KIND}: {name} is {self._state[name][0]}")
        shapes = self._state["pending"]["shape"]
        counts = [self._state[f"n_{name}"] for name in _COUNTED]
        if not (0 <= shapes.min() <= shapes.max() < N_SHAPES):
            raise MalformedStateError(f"{_KIND}: a shape is unknown")
        if min(int(count.min()) for count in counts) < 0:
            raise MalformedStateError(f"{_KIND}: a count is negative")


_COUNTED: Final = ("passed", "beats", "noises", "deflections", "rrs", "shape_beats")


def _ring_size(fs_hz: float) -> int:
    return 1 << int(np.ceil(np.log2(_BUFFER_S * fs_hz)))


@functools.lru_cache(maxsize=16)
def _design(fs_hz: float, n_leads: int) -> Record:
    """Everything that follows from the sampling rate."""
    n_block = max(1, int(fs_hz / LOW_HZ_MIN))
    low_hz = fs_hz / n_block
    design = new_record(DESIGN_DTYPE)
    delays_s: list[float] = []
    for band, (from_hz, to_hz) in enumerate(_BANDS_HZ):
        edges_hz = (from_hz, min(to_hz, _BAND_SHARE_MAX * low_hz))
        sos = signal.butter(2, edges_hz, "bandpass", fs=low_hz, output="sos")
        design["bands"][0, band] = sos[:, [0, 1, 2, 4, 5]]
        delays_s.append(_group_delay_s(sos, low_hz, (from_hz * to_hz) ** 0.5))
    n_window = round(_WINDOW_S * low_hz)
    late_s = delays_s[0] + (n_window - 1) / 2 / low_hz - (n_block - 1) / 2 / fs_hz
    values = {
        "fs_hz": fs_hz,
        "n_leads": n_leads,
        "n_block": n_block,
        "n_shift": round((delays_s[0] - delays_s[1]) * low_hz),
        "n_window": n_window,
        "n_reach": round(_REACH_S * low_hz),
        "n_late": round(late_s * fs_hz),
        "n_search": round(_SEARCH_S * fs_hz),
        "n_decide": round(_DECISION_S * fs_hz),
        "n_learn": round(LEARNING_S * fs_hz),
        "n_smooth": max(1, round(_SMOOTH_S / 2 * fs_hz)),
        "n_baseline": round(_BASELINE_S / 2 * fs_hz),
        "n_level_from": round(_LEVEL_S[0] * fs_hz),
        "n_level_to": round(_LEVEL_S[1] * fs_hz),
        "n_trace_reach": 2 * round(_TRACE_REACH_S * low_hz / 2),
        "n_shape": round(_SHAPE_S * low_hz),
        "n_slide": round(_SLIDE_S * low_hz),
        "k_shape_late": (n_window - 1) // 2,
    }
    for name, value in (values | WEIGHTS).items():
        design[name] = value
    return design


def _group_delay_s(sos: NDArray[np.float64], fs_hz: float, f_hz: float) -> float:
    step_hz = 1e-3
    _, response = signal.sosfreqz(sos, worN=np.array([f_hz - step_hz, f_hz + step_hz]), fs=fs_hz)
    turn_rad = float(np.angle(response[0] * np.conj(response[1])))
    return turn_rad / (2 * np.pi * 2 * step_hz)
