"""What the quality of a respiratory rate is worth, and one heart rate from several sources.

Second by second on recordings of intensive care monitors: the last 32 s as two annotators counted
their breaths, and the heart rate of the beats on which two detectors agree.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal as sp

from devices import codes
from ingest.recording import Recording, Signal, SignalKind, open_recording
from processors.scoring.rates import RateScore, score_rates
from processors.scoring.rates import reference_rates_bpm as rates_of_beats
from processors.vitals import beat_respiration, ecg, fusion, ppg, respiration, respiration_fusion
from tests.benchmarks.accuracy_ecg import EMPTY_RATES
from tests.benchmarks.figures import Figure
from tests.benchmarks.monitor_reference import Reference
from tests.benchmarks.observed import Observed, observe
from tests.benchmarks.recordings import BREATHS_AGREE, WINDOW_S, MonitorRecord, bidmc

Floats = NDArray[np.float64]

LEVELS: Final = (0.0, 0.5, 0.8, 0.9, 0.95)
GOOD: Final = 0.9
CLOSE: Final = (2.0, 3.0)
"""Breaths per minute."""
WRONG_BPM: Final = 5.0
_AGREE: Final = 0.95
_NEAR_S: Final = 12.0
"""A rate rests on so many seconds before it."""
_EM_HZ: Final = 360
_MINUTE_S: Final = 60
_SNR_DB: Final = 0.0
_MOVEMENT_HZ: Final = (0.4, 4.0)

_BREATHING: Final = "what the quality of a respiratory rate is worth, fused and from some signals"
_HEART: Final = (
    "one heart rate from several sources, each second; disturbed: by noise of the signal's "
    "strength in every other minute"
)
_ECG: Final = "ECG"
_DISTURBED: Final = ("", _ECG, "pulse wave")

_BREATHS: Final[dict[str, tuple[tuple[SignalKind, ...], str]]] = {
    "all signals": (("ecg", "pleth", "resp"), respiration_fusion.ALGORITHM.name),
    "impedance": (("resp",), respiration.RATE.name),
    "ECG and pulse wave": (("ecg", "pleth"), beat_respiration.ALGORITHM.name),
    "ECG alone": (("ecg",), beat_respiration.ALGORITHM.name),
    "pulse wave alone": (("pleth",), beat_respiration.ALGORITHM.name),
}
_DEVICE_FIGURES: Final = (codes.HEART_RATE.name, codes.PULSE_RATE.name)


def fusions(folder: Path) -> list[Figure]:
    """Measure both."""
    records = list(bidmc(folder))
    return [*_breathing(records), *_heart(records, _electrode_motion(folder))]


def _values(found: Observed, name: str, algorithm: str) -> tuple[Floats, Floats, Floats]:
    rows = found.rows.get(name, {}).get(algorithm, np.zeros((0, 3)))
    return rows[:, 0], rows[:, 1], rows[:, 2]


# Breathing


def _breathing(records: list[MonitorRecord]) -> Iterator[Figure]:
    scores: dict[str, RateScore] = {}
    for title, (kinds, algorithm) in _BREATHS.items():
        scores[title] = EMPTY_RATES
        for record in records:
            found = observe(record.only(*kinds))
            times_s, rates, quality = _values(found, codes.RESPIRATORY_RATE.name, algorithm)
            whole = times_s >= WINDOW_S
            known = _breath_rates(record, times_s[whole])
            scores[title] += score_rates(rates[whole], quality[whole], known)
    return _curves(scores)


def _breath_rates(record: MonitorRecord, at_s: Floats) -> Floats:
    one, other = (_breaths_per_min(times_s, at_s) for times_s in record.breaths_s)
    return np.where(np.abs(one - other) <= BREATHS_AGREE, (one + other) / 2, np.nan)


def _breaths_per_min(times_s: Floats, at_s: Floats) -> Floats:
    """Give 60 over the mean interval between the breaths of the last 32 s."""
    first = np.searchsorted(times_s, at_s - WINDOW_S)
    last = np.searchsorted(times_s, at_s) - 1
    rates = np.full(at_s.shape, np.nan)
    known = last > first
    rates[known] = 60 * (last - first)[known] / (times_s[last[known]] - times_s[first[known]])
    return rates


def _curves(scores: dict[str, RateScore]) -> Iterator[Figure]:
    for level in LEVELS:
        found: dict[tuple[str, str], dict[str, float | None]] = {}
        for title, score in scores.items():
            errors = np.abs(score.errors_bpm)
            left = errors[score.quality >= level]
            share = 100 * left.size / max(1, score.n_asked)
            found.setdefault(("shown", "% of seconds"), {})[title] = share
            for close in CLOSE:
                right = 100 * float(np.mean(left <= close)) if left.size else None
                found.setdefault((f"of these within {close:g}/min", "%"), {})[title] = right
            mae = float(left.mean()) if left.size else None
            found.setdefault(("mean absolute error", "/min"), {})[title] = mae
        for (name, unit), values in found.items():
            yield _beside(
                f"bidmc, {_BREATHING}",
                (codes.RESPIRATORY_RATE.name,),
                (f"quality from {level:g}: {name}", unit),
                values,
            )


def _beside(
    section: str,
    quantities: tuple[str, ...],
    row: tuple[str, str],
    values: dict[str, float | None],
) -> Figure:
    """Make a row of a table; the first of ``values`` is the fused one."""
    name, unit = row
    (_, ours), *others = values.items()
    return Figure(
        section=section, quantities=quantities, name=name, unit=unit, ours=ours, peers=dict(others),
        n_digits=0 if unit == "s" else 2,
    )  # fmt: skip


# The heart


class _Seconds:
    """Rates and qualities of several methods on the same seconds, and the reference."""

    def __init__(self) -> None:
        self._reference: list[Floats] = []
        self._rates: dict[str, list[Floats]] = {}
        self._quality: dict[str, list[Floats]] = {}

    def add(self, reference: Floats, found: dict[str, tuple[Floats, Floats]]) -> None:
        """Take a recording; each array has one value per second."""
        self._reference.append(reference)
        for title, (rates, quality) in found.items():
            self._rates.setdefault(title, []).append(rates)
            self._quality.setdefault(title, []).append(quality)

    def rows(self) -> dict[tuple[str, str], dict[str, float | None]]:
        """Give the figures by name and unit, each by method."""
        reference = np.concatenate(self._reference)
        asked = np.isfinite(reference)
        errors = {
            title: np.abs(np.concatenate(rates) - reference)[asked]
            for title, rates in self._rates.items()
        }
        of_ecg = errors[_ECG]
        found: dict[tuple[str, str], dict[str, float | None]] = {}
        for title, error in errors.items():
            good = np.concatenate(self._quality[title])[asked] >= GOOD
            shown, wrong = np.isfinite(error), error > WRONG_BPM
            with_ecg = shown & np.isfinite(of_ecg)
            of_title: dict[tuple[str, str], float] = {
                ("shown", "% of seconds"): 100 * float(shown.mean()),
                ("mean absolute error", "/min"): float(error[shown].mean()),
                ("the same where the ECG shows one", "/min"): float(error[with_ecg].mean()),
                ("off by more than 5/min", "s"): float(wrong.sum()),
                ("off with a quality from 0.9", "s"): float((wrong & good).sum()),
                ("off where the ECG alone is right", "s"): float(
                    (wrong & (of_ecg <= WRONG_BPM)).sum()
                ),
            }
            for row, value in of_title.items():
                found.setdefault(row, {})[title] = value
        return found


def _heart(records: list[MonitorRecord], em_uv: Floats) -> Iterator[Figure]:
    references = [Reference(record) for record in records]
    for disturbed in _DISTURBED:
        seconds = _Seconds()
        for seed, (record, reference) in enumerate(zip(records, references, strict=True)):
            if reference.agreement < _AGREE:
                continue
            times_s = np.arange(1.0, float(record.recording.duration_s))
            agreed = reference.agreed(times_s - _NEAR_S, times_s)
            known = np.where(agreed, rates_of_beats(reference.beats_s, times_s), np.nan)
            recording = record.only("ecg", "pleth")
            if disturbed == "ECG":
                recording = _disturbed(recording, "ecg", _motion_ecg(record, seed, em_uv))
            elif disturbed == "pulse wave":
                recording = _disturbed(recording, "pleth", _motion_pulse(record, seed))
            seconds.add(known, _heart_rates(recording, record, times_s))
        for (name, unit), values in seconds.rows().items():
            shown = f"{disturbed} disturbed: {name}" if disturbed else name
            quantities = (codes.HEART_RATE.name, codes.PULSE_RATE.name)
            yield _beside(f"bidmc, {_HEART}", quantities, (shown, unit), values)


def _heart_rates(
    recording: Recording, record: MonitorRecord, at_s: Floats
) -> dict[str, tuple[Floats, Floats]]:
    """Give rate and quality on each second, by what they are from."""
    numerics = {name: record.recording.numerics[name] for name in _DEVICE_FIGURES}
    alone, helped = observe(recording), observe(replace(recording, numerics=numerics))
    heart, fused = codes.HEART_RATE.name, fusion.ALGORITHM.name
    return {
        "fused": _at(at_s, *_values(alone, heart, fused)),
        _ECG: _at(at_s, *_values(alone, heart, ecg.HEART_RATE.name)),
        "pulse wave": _at(at_s, *_values(alone, codes.PULSE_RATE.name, ppg.PULSE_RATE.name)),
        "fused with the monitor's own figures": _at(at_s, *_values(helped, heart, fused)),
    }


def _at(at_s: Floats, times_s: Floats, rates: Floats, quality: Floats) -> tuple[Floats, Floats]:
    place = {time_s: n for n, time_s in enumerate(np.rint(times_s).tolist())}
    found = [place.get(time_s) for time_s in at_s.tolist()]
    return (
        np.array([np.nan if n is None else rates[n] for n in found]),
        np.array([0.0 if n is None else quality[n] for n in found]),
    )


def _electrode_motion(folder: Path) -> Floats:
    return open_recording(str(folder / "nstdb" / "em"), beats=False).signals[0].physical()


def _disturbed(recording: Recording, kind: SignalKind, noise: Floats) -> Recording:
    def one(signal: Signal) -> Signal:
        if signal.kind != kind:
            return signal
        noisy = signal.physical() + noise
        counts = np.rint((noisy - signal.offset) / signal.scale).astype(np.int32)
        return replace(signal, counts=counts)

    return replace(recording, signals=tuple(one(signal) for signal in recording.signals))


def _every_other_minute(n_samples: int, fs_hz: float) -> NDArray[np.bool_]:
    return np.asarray(np.arange(n_samples) / fs_hz % (2 * _MINUTE_S) >= _MINUTE_S)


def _motion_ecg(record: MonitorRecord, seed: int, em_uv: Floats) -> Floats:
    """Electrode motion whose power above 1 Hz is an eighth of the squared height of the signal."""
    one = record.signal("ecg")
    ecg_uv, fs_hz = one.physical(), float(one.sampling_rate)
    motion = np.asarray(sp.resample_poly(em_uv, round(fs_hz), _EM_HZ))
    i_first = int(np.random.default_rng(seed).integers(0, motion.size - ecg_uv.size))
    motion = motion[i_first : i_first + ecg_uv.size]
    fast = sp.sosfiltfilt(sp.butter(2, 1.0, "highpass", fs=fs_hz, output="sos"), motion)
    seconds = ecg_uv[: ecg_uv.size // round(fs_hz) * round(fs_hz)].reshape(-1, round(fs_hz))
    power = float(np.median(np.ptp(seconds, axis=1))) ** 2 / 8 / 10 ** (_SNR_DB / 10)
    gain = np.sqrt(power) / float(np.std(fast))
    return np.asarray(gain * (motion - motion.mean()) * _every_other_minute(ecg_uv.size, fs_hz))


def _motion_pulse(record: MonitorRecord, seed: int) -> Floats:
    """Noise of the frequencies at which hands move, as strong as the pulse wave."""
    one = record.signal("pleth")
    wave, fs_hz = one.physical(), float(one.sampling_rate)
    band = sp.butter(2, _MOVEMENT_HZ, "bandpass", fs=fs_hz, output="sos")
    motion = np.asarray(sp.sosfilt(band, np.random.default_rng(seed).normal(0, 1, wave.size)))
    gain = float(np.std(wave)) / float(np.std(motion)) / 10 ** (_SNR_DB / 20)
    return gain * motion * _every_other_minute(wave.size, fs_hz)
