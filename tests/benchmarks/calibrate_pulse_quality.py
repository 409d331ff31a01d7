"""What the quality of the pulse wave is worth: coverage/error curves, and the weights that fit.

``python -m tests.benchmarks.calibrate_pulse_quality`` prints, for the weights in the code, how many
pulse rates are left and how many of them are right at each level of quality; with ``each``, the
same of each recording. With ``intervals`` it fits the weights of an interval, with ``rate`` those
of the ten seconds (which rest on the former: put these into the code first), and prints what they
reach on recordings that were left out of the fit. Round what it prints into
``processors/vitals/ppg_quality_kernel.py``.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from processors.dsp.pulse_waves import PulseWaveDetector
from processors.dsp.pulse_waves_layout import N_BEATS
from processors.scoring.pairing import pair_beats
from processors.scoring.rates import WINDOW_S, reference_rates_bpm
from processors.vitals.ppg_quality_kernel import (
    N_COLUMNS,
    N_FEATURES,
    N_OUT,
    N_TRAITS,
    N_TRUSTED,
    QUALITY,
    SPAN,
    look_back,
)
from tests.benchmarks import peers
from tests.benchmarks.monitor_reference import MATCH_MS, NEAR_S, Reference, delay_of, whole_ms
from tests.benchmarks.recordings import bidmc

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FS_HZ: Final = 125
RIGHT_BPM: Final = 5.0
CONSENSUS_BPM: Final = 3.0
"""Where two detectors differ by more, nobody knows the rate. Single beats on which they differ do
not matter here: it is those of which there is no pulse."""
FROM_S: Final = 5
LEVELS: Final = (0.0, 0.5, 0.8, 0.9, 0.95, 0.97)
MARGIN: Final = 0.3
"""Added to the constant of the rate: the odds of an error are taken a third higher than fitted."""
PENALTY: Final = 1e-4
WEIGHT_MAX: Final = 12.0
OFFSET_MAX: Final = 20.0
N_NOISES: Final = 12
NOISE_S: Final = 120
NOISE_SHARES: Final = (0.3, 1.0)
"""RMS of a movement, of that of the pulses."""
BURST_S: Final = 8.0
GROUP_WEIGHTS: Final = {"bidmc": 1.0, "noised": 0.15, "noise": 0.15}
"""What a second counts for in a fit: movements are invented, and no heart is in plain noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Wave:
    """One pulse wave, and when the heart beat; nobody knows where ``reference`` is missing."""

    name: str
    group: str
    samples: Floats
    reference: Reference | None
    opinions_s: tuple[Floats, ...] = ()
    """Beats of the heart by each of two detectors."""
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What detector and quality say of a wave, second by second, and what was right."""

    wave: Wave
    said: Floats
    """Shape ``(n_seconds, N_OUT)``."""
    known: Bools
    errors_bpm: Floats
    traits: Floats
    """Shape ``(n, N_TRAITS)``: of each interval of each third second on which one can judge."""
    is_right: Bools


def waves(folder: Path) -> Iterator[Wave]:
    """Every recording on whose ECG two detectors agree; the same in movement; movement alone."""
    rng = np.random.default_rng(1)
    for record in bidmc(folder):
        reference = Reference(record)
        samples, ecg = (record.signal(kind).physical() for kind in ("pleth", "ecg"))
        opinions_s = tuple(peer.events_s(ecg, FS_HZ) for peer in (peers.SLEEPECG, peers.XQRS))
        behind_s = delay_of(reference, _pulses_s(samples))
        yield Wave(record.name, "bidmc", samples, reference, opinions_s, behind_s)
        for share in NOISE_SHARES:
            noise = _movement(rng, samples.size) * _in_bursts(rng, samples.size)
            noisy = samples + share * samples.std() * noise
            yield Wave(record.name, "noised", noisy, reference, opinions_s, behind_s)
    for i in range(N_NOISES):
        yield Wave(f"noise {i}", "noise", _movement(rng, NOISE_S * FS_HZ), None)


def _pulses_s(samples: Floats) -> Floats:
    return np.asarray(PulseWaveDetector(FS_HZ).process(samples)["i_upslope"]) / FS_HZ


def _movement(rng: np.random.Generator, n: int) -> Floats:
    """Make noise of RMS 1 that falls with the frequency, in a band that differs each time."""
    hz = np.fft.rfftfreq(n, 1 / FS_HZ)
    low_hz, high_hz = rng.uniform(0.1, 0.8), rng.uniform(2.0, 12.0)
    height = np.where((hz >= low_hz) & (hz <= high_hz), 1 / np.maximum(hz, low_hz), 0.0)
    noise = np.fft.irfft(height ** rng.uniform(0, 1.5) * _phases(rng, hz.size) * (hz <= high_hz), n)
    return np.asarray(noise / noise.std())


def _phases(rng: np.random.Generator, n: int) -> NDArray[np.complex128]:
    return np.asarray(rng.normal(size=n) + 1j * rng.normal(size=n))


def _in_bursts(rng: np.random.Generator, n: int) -> Floats:
    """Switch on and off, each for some seconds."""
    states = np.cumsum(rng.exponential(BURST_S * FS_HZ, size=n // 100))
    return np.asarray(np.searchsorted(states, np.arange(n)) % 2, dtype=np.float64)


def judge(wave: Wave) -> Judged:
    """Run detector and quality over a wave."""
    detector = PulseWaveDetector(FS_HZ)
    n_delay, n_seconds = detector.n_delay, wave.samples.size // FS_HZ - 1
    said, tables, stops = np.zeros((n_seconds, N_OUT)), [], []
    beats = [np.zeros(0)]
    for second in range(n_seconds):
        i_end = second * FS_HZ + 1
        beats.append(detector.process(wave.samples[detector.i_next : i_end + n_delay])["i_upslope"])
        table = np.zeros((N_BEATS, N_COLUMNS))
        n = look_back(
            detector.record, 0, i_end, round(WINDOW_S * FS_HZ), FS_HZ, table, said[second]
        )
        tables.append(table[:n])
        stops.append(i_end)
    pulses_s = np.concatenate(beats) / FS_HZ
    is_known, is_right = _intervals(wave, pulses_s)
    traits, right = [np.zeros((0, N_TRAITS))], [np.zeros(0, bool)]
    for i_end, table in list(zip(stops, tables, strict=True))[FROM_S::3]:
        stop = int(np.searchsorted(pulses_s * FS_HZ, i_end))
        own = slice(stop - len(table), stop)
        traits.append(table[is_known[own], :N_TRAITS])
        right.append(is_right[own][is_known[own]])
    known, errors = _errors(wave, said)
    return Judged(wave, said, known, errors, np.vstack(traits), np.concatenate(right))


def _intervals(wave: Wave, pulses_s: Floats) -> tuple[Bools, Bools]:
    """Tell of the interval that each pulse ends whether one knows, and whether it is right."""
    n = pulses_s.size
    if wave.reference is None:
        return np.ones(n, bool), np.zeros(n, bool)
    beats_s = wave.reference.beats_s + wave.delay_s
    pairing = pair_beats(whole_ms(beats_s), whole_ms(pulses_s), MATCH_MS)
    beat = np.full(n, -1)
    beat[pairing.i_test] = pairing.i_reference
    is_known, is_right = np.zeros(n, bool), np.zeros(n, bool)
    at_s = pulses_s - wave.delay_s
    is_known[1:] = wave.reference.agreed(at_s[:-1] - NEAR_S, at_s[1:] + NEAR_S)
    is_known &= (at_s > NEAR_S) & (pulses_s < wave.samples.size / FS_HZ - 1)
    is_right[1:] = (beat[:-1] >= 0) & (np.diff(beat) == 1)
    return is_known, is_right


def _errors(wave: Wave, said: Floats) -> tuple[Bools, Floats]:
    seconds = np.arange(len(said), dtype=np.float64)
    known = seconds >= FROM_S
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = 60 * FS_HZ * said[:, N_TRUSTED] / said[:, SPAN]
    if wave.reference is None:
        return known, np.full(seconds.shape, np.inf)
    one, other = (reference_rates_bpm(o + wave.delay_s, seconds) for o in wave.opinions_s)
    known &= np.abs(one - other) < CONSENSUS_BPM
    errors = np.abs(rates - (one + other) / 2)
    return known & (seconds >= WINDOW_S), np.where(np.isfinite(errors), errors, np.inf)


def show(judged: list[Judged]) -> None:
    """Print how many rates are left at each level of quality, and how many are right."""
    for group in GROUP_WEIGHTS:
        own = [one for one in judged if one.wave.group == group]
        quality = np.concatenate([one.said[one.known, QUALITY] for one in own])
        errors = np.concatenate([one.errors_bpm[one.known] for one in own])
        _curve(group, quality, errors)


def _curve(title: str, quality: Floats, errors: Floats) -> None:
    for level in LEVELS:
        left = errors[quality >= level]
        if left.size:
            finite = left[np.isfinite(left)]
            print(
                f"{title:10} quality {level:.2f}: {left.size / errors.size:8.2%} left, "
                f"{np.mean(left <= RIGHT_BPM):8.3%} of these right, "
                f"mean error {finite.mean() if finite.size else np.inf:.3f}"
            )


def show_each(judged: list[Judged]) -> None:
    """Print the same of each recording."""
    for one in judged:
        if one.wave.group == "bidmc":
            _curve(one.wave.name, one.said[one.known, QUALITY], one.errors_bpm[one.known])


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """What is right or wrong, with what speaks against it."""

    traits: Floats
    is_right: Bools
    weight: Floats
    name: NDArray[np.str_]
    group: NDArray[np.str_]


def _interval_cases(judged: list[Judged]) -> Cases:
    return _cases(judged, [one.traits for one in judged], [one.is_right for one in judged])


def _rate_cases(judged: list[Judged]) -> Cases:
    """Seconds with a verdict."""
    chosen = [one.known & (one.said[:, QUALITY] > 0) for one in judged]
    pairs = list(zip(judged, chosen, strict=True))
    return _cases(
        judged,
        [one.said[own, :N_FEATURES] for one, own in pairs],
        [one.errors_bpm[own] <= RIGHT_BPM for one, own in pairs],
    )


def _cases(judged: list[Judged], traits: list[Floats], is_right: list[Bools]) -> Cases:
    sizes = [right.size for right in is_right]
    groups = [one.wave.group for one in judged]
    return Cases(
        traits=np.vstack(traits),
        is_right=np.concatenate(is_right),
        weight=np.repeat([GROUP_WEIGHTS[group] for group in groups], sizes),
        name=np.repeat([one.wave.name for one in judged], sizes),
        group=np.repeat(groups, sizes),
    )


def fit(title: str, cases: Cases, margin: float) -> None:
    """Print the weights, and what is reached where one recording was left out."""
    left_out = np.zeros(cases.is_right.size)
    for name in np.unique(cases.name):
        own = cases.name == name
        weights = _fitted(cases, ~own)
        weights[-1] += margin
        left_out[own] = 1 / (1 + np.exp(_scores(cases.traits[own], weights)))
    weights = _fitted(cases, np.ones(cases.is_right.size, bool))
    weights[-1] += margin
    print(title, "weights and offset:", np.round(weights, 2).tolist())
    for group in GROUP_WEIGHTS:
        own = cases.group == group
        for level in LEVELS:
            right = cases.is_right[own & (left_out >= level)]
            if right.size:
                print(
                    f"{group:10} left out, probability {level:.2f}: "
                    f"{right.size / own.sum():8.2%} kept, {right.mean():8.3%} of these right"
                )


def _scores(traits: Floats, weights: Floats) -> Floats:
    return np.asarray(traits @ weights[:-1] + weights[-1])


def _fitted(cases: Cases, chosen: Bools) -> Floats:
    traits, is_right = cases.traits[chosen], cases.is_right[chosen]
    share = cases.weight[chosen] / cases.weight[chosen].sum()

    def loss(weights: Floats) -> tuple[float, Floats]:
        scores = _scores(traits, weights)
        costs = np.logaddexp(0, np.where(is_right, scores, -scores))
        slopes = share * (1 / (1 + np.exp(-scores)) - ~is_right)
        penalty = np.append(weights[:-1], 0.0)
        gradient = np.append(traits.T @ slopes, slopes.sum()) + 2 * PENALTY * penalty
        return float((share * costs).sum() + PENALTY * (penalty**2).sum()), gradient

    n = traits.shape[1]
    found = minimize(
        loss,
        np.append(np.ones(n), -4.0),
        jac=True,
        bounds=[(0.0, WEIGHT_MAX)] * n + [(-OFFSET_MAX, OFFSET_MAX)],
        method="L-BFGS-B",
    )
    return np.asarray(found.x)


def main(words: list[str]) -> None:
    """Print the curves, or fit."""
    judged = [judge(wave) for wave in waves(Path(os.environ["CHEVET_DATA"]))]
    show(judged)
    if "each" in words:
        show_each(judged)
    if "intervals" in words:
        recorded = [one for one in judged if one.wave.group == "bidmc"]
        fit("intervals", _interval_cases(recorded), 0.0)
    if "rate" in words:
        fit("rate", _rate_cases(judged), MARGIN)


if __name__ == "__main__":
    main(sys.argv[1:])
