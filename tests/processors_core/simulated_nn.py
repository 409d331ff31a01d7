"""Beats whose variability is known, and what detectors do to them."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from processors.vitals.derived import Beat, BeatClass, Derived
from processors.vitals.hrv import HeartRateVariability

Floats = NDArray[np.float64]


def ipfm_beats_s(
    waves: Iterable[tuple[float, float]], *, mean_s: float, n_beats: int, jitter_s: float, seed: int
) -> Floats:
    """Beat times of an integral pulse frequency modulator.

    Each wave is a frequency in hertz and a depth relative to the mean rate; the intervals then
    swing by ``mean_s * depth``. ``jitter_s`` is the standard deviation of each beat's own time.
    """
    grid_s = np.arange(0.0, 1.2 * mean_s * n_beats + 10.0, 0.005)
    rate = np.ones_like(grid_s)
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, 16)
    for (f_hz, depth), phase in zip(waves, phases, strict=False):
        rate += depth * np.sin(2 * np.pi * f_hz * grid_s + phase)
    integral = np.concatenate(([0.0], np.cumsum(0.5 * (rate[1:] + rate[:-1]) * 0.005))) / mean_s
    beats_s = np.interp(np.arange(n_beats) + 0.5, integral, grid_s)
    jitter = np.random.default_rng(seed).standard_normal(n_beats)
    return np.asarray(beats_s + jitter_s * jitter, dtype=np.float64)


def sinus_beats_s(n_beats: int, seed: int = 0) -> Floats:
    """Somebody at rest: breathing, Mayer waves, slow drift."""
    waves = [(0.25, 0.04), (0.1, 0.04), (0.02, 0.03)]
    return ipfm_beats_s(waves, mean_s=0.85, n_beats=n_beats, jitter_s=0.004, seed=seed)


def to_beats(
    times_s: Floats, classes: Iterable[BeatClass] | None = None, quality: float = 1.0
) -> list[Beat]:
    """Make beats of one stretch, the first of them without an interval."""
    t_ns = [round(t * 1e9) for t in times_s.tolist()]
    kinds = [BeatClass.NORMAL] * len(t_ns) if classes is None else list(classes)
    return [
        Beat(
            t_ns=t,
            interval_s=None if i == 0 else (t - t_ns[i - 1]) / 1e9,
            beat_class=kinds[i],
            quality=quality,
            height=1000.0,
            level=0.0,
        )
        for i, t in enumerate(t_ns)
    ]


def run(
    step: HeartRateVariability, beats: Iterable[Beat], from_s: int, until_s: int
) -> list[Derived]:
    """Feed beats and ask on every whole second after ``from_s``, up to ``until_s``."""
    derived: list[Derived] = []
    second = from_s + 1
    for beat in beats:
        while second <= until_s and second * 10**9 < beat.t_ns:
            derived += step.at(second * 10**9)
            second += 1
        step.add_beat(beat)
    for rest in range(second, until_s + 1):
        derived += step.at(rest * 10**9)
    return derived
