"""Breathing that is not that of a ventilator, and what it does to beats and to the chest.

Depths are those that are usual in adults at rest: an interval changes by some per cent with
breathing, the height of R waves and pulse waves by some tenths.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processors.vitals.derived import Beat, BeatClass

Floats = NDArray[np.float64]
NS = 1_000_000_000
T0_NS = 1_700_000_000 * NS


@dataclass(frozen=True, slots=True, eq=False)
class Breathing:
    """Ends of inspiration, and how deep each breath is; between two breaths the chest may rest."""

    peaks_s: Floats
    depths: Floats
    lengths_s: Floats
    """Of each breath, from its begin to its end; its peak lies in the middle."""

    def volume(self, at_s: Floats) -> Floats:
        """Filling of the lungs, 0 at rest."""
        filled = np.zeros(at_s.shape)
        for peak_s, depth, length_s in zip(self.peaks_s, self.depths, self.lengths_s, strict=True):
            phase = (at_s - peak_s) / length_s
            near = np.abs(phase) < 0.5
            filled[near] += depth * 0.5 * (1 + np.cos(2 * np.pi * phase[near]))
        return filled

    def rate(self, at_s: float, window_s: float = 32.0) -> float:
        """Breaths per minute of the last seconds: 60 over their mean interval."""
        own = self.peaks_s[(self.peaks_s > at_s - window_s) & (self.peaks_s <= at_s)]
        return 60 * (own.size - 1) / float(own[-1] - own[0]) if own.size > 1 else np.nan


def _of_intervals(intervals_s: Floats, depths: Floats, share: float = 1.0) -> Breathing:
    """Put breaths one behind the other; each takes ``share`` of its interval."""
    return Breathing(np.cumsum(intervals_s) - intervals_s / 2, depths, share * intervals_s)


def regular(rate: float, seconds: float) -> Breathing:
    """As a ventilator does it."""
    n = int(seconds * rate / 60) + 1
    return _of_intervals(np.full(n, 60 / rate), np.ones(n))


def irregular(rate: float, seconds: float, spread: float, seed: int = 0) -> Breathing:
    """Intervals and depths vary from breath to breath, as in people who are awake.

    Parameters
    ----------
    spread
        Standard deviation of the logarithm of an interval; of that of the depth likewise.
    """
    rng = np.random.default_rng(seed)
    n = int(2 * seconds * rate / 60) + 9
    intervals_s = 60 / rate * np.exp(rng.normal(0, spread, n) - spread**2 / 2)
    return _of_intervals(intervals_s, np.exp(rng.normal(0, spread, n)))


def with_sighs(rate: float, seconds: float, every_s: float = 70.0) -> Breathing:
    """One breath a minute is three times as deep and twice as long."""
    n = int(seconds * rate / 60) + 1
    is_sigh = np.arange(n) % max(2, round(every_s * rate / 60)) == 1
    return _of_intervals(60 / rate * np.where(is_sigh, 2.0, 1.0), np.where(is_sigh, 3.0, 1.0))


def speech(seconds: float, seed: int = 0) -> Breathing:
    """Quick breaths of uneven depth between sentences of two to eight seconds."""
    rng = np.random.default_rng(seed)
    intervals_s = rng.uniform(2.5, 8.0, int(seconds / 2.5) + 9)
    return _of_intervals(intervals_s, rng.uniform(0.5, 1.6, intervals_s.size))


def cheyne_stokes(seconds: float, cycle_s: float = 60.0, apnoea_s: float = 25.0) -> Breathing:
    """Breaths at 24 per minute that wax and wane, then none."""
    interval_s = 2.5
    in_cycle_s = np.arange(interval_s, cycle_s - apnoea_s, interval_s)
    depths = 0.15 + np.sin(np.pi * in_cycle_s / (cycle_s - apnoea_s)) ** 2
    starts_s = np.arange(0.0, seconds, cycle_s)
    peaks_s = (starts_s[:, None] + in_cycle_s).ravel()
    return Breathing(peaks_s, np.tile(depths, starts_s.size), np.full(peaks_s.size, interval_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Heart:
    """How beats go with breathing, and with what else."""

    rate_bpm: float = 75.0
    interval_depth: float = 0.04
    height_depth: float = 0.12
    level_depth: float = 0.12
    noise: float = 0.02
    fibrillation: float = 0.0
    """Spread of intervals that are independent of each other; heights then go with them."""
    step_hz: float = 0.0
    step_depth: float = 0.0
    """What a step moves, of height and level."""


def beats_of(breathing: Breathing, heart: Heart, seconds: float, seed: int = 0) -> list[Beat]:
    """Make the beats of a heart in a chest that breathes; both signals may be taken from them."""
    rng = np.random.default_rng(seed)
    grid_s = np.arange(0.0, seconds + 10.0, 0.05)
    volume = breathing.volume(grid_s)
    t_s, interval_s = 0.3, None
    found: list[Beat] = []
    while t_s < seconds:
        filled = float(np.interp(t_s, grid_s, volume))
        step = heart.step_depth * np.sin(2 * np.pi * heart.step_hz * t_s)
        late = heart.fibrillation * rng.normal()
        noises = heart.noise * rng.normal(size=2)
        found.append(
            Beat(
                t_ns=T0_NS + round(t_s * NS),
                interval_s=interval_s,
                beat_class=BeatClass.NORMAL,
                quality=0.95,
                height=float(1 + heart.height_depth * filled + step + 0.5 * late + noises[0]),
                level=float(heart.level_depth * filled + step + noises[1]),
            )
        )
        change = 1 + heart.interval_depth * (filled - 0.5) + late + 0.1 * heart.noise * rng.normal()
        interval_s = float(max(0.3, 60 / heart.rate_bpm * change))
        t_s += interval_s
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Chest:
    """What an electrode pair or a belt sees beside the lungs; shares of the height of a breath."""

    fs_hz: int = 25
    heart_bpm: float = 70.0
    cardiogenic: float = 0.1
    """Peak to peak: the heart and its blood move in the current's way; their first harmonic too."""
    noise: float = 0.01
    drift: float = 0.1
    """Slow change within a minute: electrodes dry, the body settles."""


def chest_of(breathing: Breathing, chest: Chest, seconds: float, seed: int = 0) -> Floats:
    """Make the signal of impedance or of a belt, about one unit per breath."""
    rng = np.random.default_rng(seed)
    at_s = np.arange(round(seconds * chest.fs_hz)) / chest.fs_hz
    heart = 2 * np.pi * np.cumsum(
        chest.heart_bpm / 60 * (1 + 0.03 * np.sin(2 * np.pi * 0.1 * at_s))
    ) / chest.fs_hz  # fmt: skip
    moved = 0.7 * np.sin(heart) + 0.3 * np.sin(2 * heart + 1.0)
    wander = np.cumsum(rng.normal(0, 1, at_s.size)) / np.sqrt(60 * chest.fs_hz)
    return np.asarray(
        breathing.volume(at_s)
        + chest.cardiogenic / 2 * moved
        + chest.drift * wander
        + rng.normal(0, chest.noise, at_s.size)
    )


def without(breathing: Breathing, start_s: float, stop_s: float) -> Breathing:
    """Leave out the breaths that peak between two times."""
    kept = (breathing.peaks_s < start_s) | (breathing.peaks_s >= stop_s)
    return Breathing(breathing.peaks_s[kept], breathing.depths[kept], breathing.lengths_s[kept])
