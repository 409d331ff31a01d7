"""The public recordings as the benchmarks need them, with their references.

MIT-BIH Arrhythmia and Noise Stress Test Databases (Moody and Mark, IEEE Eng Med Biol 20(3):45-50,
2001; Moody, Muldrow and Mark, Comput Cardiol 11:381-384, 1984); BIDMC (Pimentel et al., IEEE Trans
Biomed Eng 64:1914-1923, 2017).
"""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deploy.wfdb_files import read_annotations
from ingest.recording import Recording, Signal, SignalKind, open_recording
from ingest.wfdb_annotations import Annotation
from processors.scoring.tracks import LABELS, BeatTrack, beat_track

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MITDB_HZ: Final = 360
NSTDB_DB: Final = (24, 18, 12, 6, 0, -6)
NSTDB_RECORDS: Final = ("118", "119")
NOISE_FROM_S: Final = 300
NOISE_PERIOD_S: Final = 240
"""From the sixth minute on, two minutes of noise and two without."""
_QRS_S: Final = 0.1
_N_MEASURED: Final = 300
"""Beats, and seconds of noise, from which the gain is taken."""
WINDOW_S: Final = 32
WINDOW_HOP_S: Final = 8
BREATHS_AGREE: Final = 2.0
"""Where two annotators differ by more breaths per minute, nobody knows the rate."""


@dataclass(frozen=True, slots=True, eq=False)
class EcgRecord:
    """An ECG with its reference annotations."""

    name: str
    recording: Recording
    annotations: tuple[Annotation, ...]

    @property
    def track(self) -> BeatTrack:
        """The annotated beats."""
        return beat_track(self.annotations)

    @property
    def ecg_uv(self) -> Floats:
        """Channel 0."""
        return self.recording.signals[0].physical()


def mitdb(folder: Path) -> Iterator[EcgRecord]:
    """Give every record that is there, both leads."""
    for path in sorted((folder / "mitdb").glob("*.atr")):
        recording = replace(open_recording(str(path.with_suffix("")), beats=False), numerics={})
        yield EcgRecord(path.stem, recording, read_annotations(path).annotations)


def single_lead(recording: Recording) -> Recording:
    """Keep channel 0."""
    return replace(recording, signals=recording.signals[:1])


def nstdb(folder: Path, snr_db: int) -> Iterator[EcgRecord]:
    """Rebuild the noise stress test of one signal-to-noise ratio: each lead has its own noise."""
    noise = open_recording(str(folder / "nstdb" / "em"), beats=False).signals
    for name in NSTDB_RECORDS:
        path = folder / "mitdb" / f"{name}.atr"
        clean = open_recording(str(path.with_suffix("")), beats=False)
        annotations = read_annotations(path).annotations
        track = beat_track(annotations)
        normal = track.samples[track.labels == LABELS.index("N")]
        signals = tuple(
            _noisy_signal(signal, own.physical(), normal, snr_db)
            for signal, own in zip(clean.signals, noise, strict=True)
        )
        recording = replace(clean, signals=signals, numerics={})
        yield EcgRecord(f"{name}e{snr_db:+03d}", recording, annotations)


def _noisy_signal(signal: Signal, noise: Floats, normal: Ints, snr_db: float) -> Signal:
    noisy = with_noise(signal.physical(), noise, normal, snr_db)
    counts = np.rint((noisy - signal.offset) / signal.scale).astype(np.int32)
    return replace(signal, counts=counts)


def with_noise(ecg: Floats, noise: Floats, beats: Ints, snr_db: float) -> Floats:
    """Add noise in the noisy minutes; in between the baseline stays where the noise has left it.

    The signal's power is an eighth of the squared height of its normal QRS complexes, as for a
    sine; that of the noise is measured second by second. Of both the outer twentieths are left out.
    """
    n_half = round(_QRS_S / 2 * MITDB_HZ)
    measured = beats[beats >= n_half][:_N_MEASURED]
    heights = [np.ptp(ecg[i - n_half : i + n_half + 1]) for i in measured]
    seconds = noise[: _N_MEASURED * MITDB_HZ].reshape(-1, MITDB_HZ)
    power = _trimmed_mean(np.array(heights)) ** 2 / 8 / 10 ** (snr_db / 10)
    gain = math.sqrt(power) / _trimmed_mean(seconds.std(axis=1))
    added = np.zeros(ecg.size)
    for start in range(NOISE_FROM_S * MITDB_HZ, ecg.size, NOISE_PERIOD_S * MITDB_HZ):
        stop = min(start + NOISE_PERIOD_S * MITDB_HZ // 2, ecg.size)
        added[start:stop] = added[start - 1] + gain * (noise[start:stop] - noise[start])
        added[stop:] = added[stop - 1]
    return ecg + added


def _trimmed_mean(values: Floats) -> float:
    n_cut = values.size // 20
    return float(np.sort(values)[n_cut : values.size - n_cut].mean())


def is_noisy(at_s: Floats) -> NDArray[np.bool_]:
    """Tell which times lie in the noisy minutes."""
    in_period_s = (at_s - NOISE_FROM_S) % NOISE_PERIOD_S
    return (at_s >= NOISE_FROM_S) & (in_period_s < NOISE_PERIOD_S / 2)


@dataclass(frozen=True, slots=True, eq=False)
class MonitorRecord:
    """A recording of an intensive care monitor: ECG, pulse wave, respiration, and its figures."""

    name: str
    recording: Recording
    breaths_s: tuple[Floats, Floats]
    """By annotator."""

    def signal(self, kind: SignalKind) -> Signal:
        """Give the first signal of a kind."""
        found = self.recording.first(kind)
        if found is None:
            raise LookupError(f"{self.name} has no {kind}")
        return found

    def only(self, *kinds: SignalKind) -> Recording:
        """Keep the signals of these kinds, and nothing of what the monitor said."""
        kept = tuple(one for one in self.recording.signals if one.kind in kinds)
        return replace(self.recording, signals=kept, numerics={})

    def windows_s(self) -> Floats:
        """Begin of every window; shape ``(n,)``."""
        last_s = float(self.recording.duration_s) - WINDOW_S
        return np.arange(0.0, last_s + 1e-6, WINDOW_HOP_S)

    def monitor(self, quantity: str) -> Floats:
        """Mean over each window of what the monitor showed; NaN where it showed nothing."""
        numeric = self.recording.numerics[quantity]
        return window_means(numeric.times_s, numeric.values, self.windows_s())

    def breath_rates(self) -> Floats:
        """Breaths per minute of each window, where both annotators agree; else NaN."""
        one, other = (rates_of_events(times, self.windows_s()) for times in self.breaths_s)
        agreed = np.abs(one - other) <= BREATHS_AGREE
        return np.where(agreed, (one + other) / 2, np.nan)


def window_means(
    times_s: Floats, values: Floats, begins_s: Floats, *, after_s: float = 0.0
) -> Floats:
    """Average what is known within each window; NaN where nothing is.

    Parameters
    ----------
    after_s
        Leave out what is said within so many seconds after the begin: it rests on what was before.
    """
    means = np.full(begins_s.shape, np.nan)
    for i, begin_s in enumerate(begins_s):
        inside = (times_s > begin_s + after_s) & (times_s <= begin_s + WINDOW_S)
        inside &= np.isfinite(values)
        if inside.any():
            means[i] = values[inside].mean()
    return means


def rates_of_events(times_s: Floats, begins_s: Floats) -> Floats:
    """Give events per minute of each window: 60 over the mean interval within it."""
    rates = np.full(begins_s.shape, np.nan)
    for i, begin_s in enumerate(begins_s):
        inside = times_s[(times_s >= begin_s) & (times_s < begin_s + WINDOW_S)]
        if inside.size > 1:
            rates[i] = 60.0 * (inside.size - 1) / (inside[-1] - inside[0])
    return rates


def bidmc(folder: Path) -> Iterator[MonitorRecord]:
    """Give every recording that is there."""
    for header in sorted((folder / "bidmc").glob("bidmc*.hea")):
        recording = open_recording(str(header.with_suffix("")), beats=False)
        rate = recording.signals[0].sampling_rate
        yield MonitorRecord(header.stem, recording, _breaths(folder, header.stem, rate))


def _breaths(folder: Path, name: str, rate: Fraction) -> tuple[Floats, Floats]:
    path = folder / "bidmc" / "csv" / f"bidmc_{name.removeprefix('bidmc')}_Breaths.csv"
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    one, other = (
        np.array([float(row[i]) for row in rows if i < len(row) and row[i].strip()]) / float(rate)
        for i in (0, 1)
    )
    return one, other
