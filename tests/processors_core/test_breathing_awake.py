"""Breathing of people who are awake - uneven, talking, sighing - in the chest and in beats."""

import numpy as np
import pytest
from numpy.typing import NDArray

from devices import codes
from processors.dsp.sample_clock import SampleClock
from processors.vitals.beat_respiration import BeatRespiration
from processors.vitals.derived import Beat
from processors.vitals.respiration import RespirationChain
from tests.processors_core.simulated_breathing import (
    NS,
    T0_NS,
    Breathing,
    Chest,
    Heart,
    beats_of,
    chest_of,
    cheyne_stokes,
    irregular,
    regular,
    speech,
    with_sighs,
)

Floats = NDArray[np.float64]
SECONDS = 420
FIBRILLATION = Heart(rate_bpm=95.0, interval_depth=0.0, fibrillation=0.2)


def judged(
    breathing: Breathing, heart: Heart, seed: int, *, pulse: bool = True
) -> tuple[Floats, Floats]:
    """Give errors against the breaths of the last 32 s (NaN: no rate) and qualities."""
    step = BeatRespiration()
    step.reset(T0_NS)
    waiting = [(beat.t_ns, 0, beat) for beat in beats_of(breathing, heart, SECONDS, seed)]
    if pulse:
        waiting += [(beat.t_ns, 1, beat) for beat in beats_of(breathing, heart, SECONDS, seed + 50)]
    waiting.sort(key=lambda row: row[:2], reverse=True)
    errors, quality = [], []
    for t_s in range(SECONDS):
        while waiting and waiting[-1][0] <= T0_NS + t_s * NS:
            _, source, beat = waiting.pop()
            (step.add_pulse if source else step.add_ecg_beat)(beat)
        (said,) = step.at(T0_NS + t_s * NS)
        if t_s >= 60:
            rate = breathing.rate(t_s)
            errors.append(np.nan if said.value is None else abs(said.value - rate))
            quality.append(said.quality)
    return np.array(errors), np.array(quality)


@pytest.mark.parametrize("rate", [6.0, 10.0, 18.0, 28.0, 38.0])
def test_even_breathing_is_found_from_six_to_forty(rate: float) -> None:
    errors, quality = judged(regular(rate, SECONDS), Heart(rate_bpm=90.0), 0)

    assert np.nanmax(errors) < 1.2
    assert quality.min() > 0.9


@pytest.mark.parametrize("rate", [10.0, 16.0, 24.0])
@pytest.mark.parametrize("pulse", [True, False])
def test_in_fibrillation_the_heights_tell(rate: float, *, pulse: bool) -> None:
    errors, quality = judged(irregular(rate, SECONDS, 0.1), FIBRILLATION, 1, pulse=pulse)

    assert np.isfinite(errors).mean() > 0.95
    assert np.mean(errors[quality >= 0.5] <= 2.0) > 0.97


@pytest.mark.parametrize(
    "kind", ["uneven", "very uneven", "speech", "sighs", "Cheyne-Stokes", "fibrillation", "weak"]
)
def test_what_is_called_good_is_right_within_three(kind: str) -> None:
    found = []
    for seed in range(2):
        breathing = {
            "uneven": irregular(16, SECONDS, 0.15, seed),
            "very uneven": irregular(14, SECONDS, 0.3, seed),
            "speech": speech(SECONDS, seed),
            "sighs": with_sighs(14, SECONDS),
            "Cheyne-Stokes": cheyne_stokes(SECONDS),
            "fibrillation": irregular(16, SECONDS, 0.15, seed),
            "weak": irregular(16, SECONDS, 0.1, seed),
        }[kind]
        heart = {"fibrillation": FIBRILLATION, "weak": Heart(noise=0.08)}.get(kind, Heart())
        found.append(judged(breathing, heart, seed))
    errors, quality = (np.concatenate(parts) for parts in zip(*found, strict=True))

    good = errors[quality >= 0.9]
    shown = errors[np.isfinite(errors)]
    assert np.mean(good <= 3.0) >= 0.97 if good.size else True
    assert np.mean(shown <= 3.0) >= 0.9


def test_a_pulse_wave_that_swings_twice_in_a_breath_has_one_breath() -> None:
    rng = np.random.default_rng(9)
    step = BeatRespiration()
    step.reset(T0_NS)
    rates = []
    for n in range(300):
        t_s = 0.7 * n
        breath = 2 * np.pi * 13 / 60 * t_s
        swing = 0.8 * np.sin(breath) + np.sin(2 * breath + 1)
        noises = rng.normal(0, 0.1, 2)
        step.add_pulse(
            Beat(
                t_ns=T0_NS + round(t_s * NS),
                interval_s=0.7,
                quality=0.9,
                height=float(5 + 0.5 * swing + noises[0]),
                level=float(swing + noises[1]),
            )
        )
        rates.append(step.at(T0_NS + int(t_s) * NS)[0].value)

    assert rates[150:] == pytest.approx([13.0] * 150, abs=1.5)


def test_where_nothing_breathes_nothing_is_called_good() -> None:
    still = Heart(interval_depth=0.0, height_depth=0.0, level_depth=0.0)
    _, quality = judged(regular(15, SECONDS), still, 3)

    assert np.mean(quality >= 0.9) < 0.02
    assert np.mean(quality >= 0.5) < 0.4


def test_the_harder_breathing_is_to_find_the_lower_the_quality() -> None:
    qualities = [
        float(np.median(judged(irregular(16, SECONDS, 0.1), Heart(noise=noise), 4)[1]))
        for noise in (0.01, 0.1, 0.3)
    ]

    assert qualities == sorted(qualities, reverse=True)
    assert qualities[0] > 0.9
    assert qualities[-1] < 0.8


@pytest.mark.parametrize("cardiogenic", [0.1, 0.4])
@pytest.mark.parametrize("kind", ["uneven", "very uneven", "quick", "speech", "sighs"])
def test_the_chest_shows_every_breath_however_uneven(kind: str, cardiogenic: float) -> None:
    breathing = {
        "uneven": irregular(12, SECONDS, 0.15),
        "very uneven": irregular(16, SECONDS, 0.3),
        "quick": irregular(40, SECONDS, 0.1),
        "speech": speech(SECONDS),
        "sighs": with_sighs(14, SECONDS),
    }[kind]
    chest = Chest(cardiogenic=cardiogenic)
    clock = SampleClock(epoch_ns=0, period_num_ns=NS, period_den=chest.fs_hz)
    said = RespirationChain(chest.fs_hz, clock).process(chest_of(breathing, chest, SECONDS), 0)

    rates = {one.t_ns // NS: one.value for one in said if one.quantity is codes.RESPIRATORY_RATE}
    errors = [
        np.nan if rate is None else abs(rate - breathing.rate(t_s))
        for t_s, rate in rates.items()
        if t_s >= 60
    ]
    assert np.isfinite(errors).mean() > 0.8
    assert np.nanmean(errors) < 0.5
    assert np.nanmean(np.array(errors) <= 2.0) > 0.85
