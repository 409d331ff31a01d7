"""Apnoea as the chest shows it: the heart beats on, people talk, belts slip, electrodes move."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from devices import codes
from processors.dsp.sample_clock import SampleClock
from processors.vitals.reasons import NoValueReason
from processors.vitals.respiration import RespirationChain
from tests.processors_core.breathing_records import FS_HZ as RECORD_HZ
from tests.processors_core.breathing_records import BreathingRecord, breathing_records
from tests.processors_core.simulated_breathing import (
    Chest,
    chest_of,
    irregular,
    speech,
    with_sighs,
    without,
)

Floats = NDArray[np.float64]
FS_HZ = 25
NS = 1_000_000_000
CLOCK = SampleClock(epoch_ns=0, period_num_ns=NS, period_den=FS_HZ)


def suspected(
    samples: Floats, heart_bpm: float | None = None, i_gap: int | None = None, gap_s: int = 0
) -> Floats:
    """Give 1, 0 or NaN (not judged) of each second; ``gap_s`` are missing before ``i_gap``."""
    chain = RespirationChain(FS_HZ, CLOCK)
    chain.heart_rate_hint(heart_bpm)
    cut = samples.size if i_gap is None else i_gap
    said = chain.process(samples[:cut], 0) + chain.process(samples[cut:], cut + gap_s * FS_HZ)
    given = {one.t_ns // NS: one.value for one in said if one.quantity is codes.APNOEA}
    found = np.full(samples.size // FS_HZ + gap_s, np.nan)
    value = None
    for t_s in range(found.size):
        value = given.get(t_s, value)
        found[t_s] = np.nan if value is None else value
    return found


@pytest.mark.parametrize(
    ("heart_bpm", "cardiogenic"),
    [(45.0, 0.1), (60.0, 0.1), (60.0, 0.2), (75.0, 0.2), (75.0, 0.3), (100.0, 0.3)],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_central_apnoea_is_suspected_though_the_heart_moves_the_chest(
    heart_bpm: float, cardiogenic: float, seed: int
) -> None:
    breathing = without(irregular(14, 240, 0.15, seed), 118, 162)
    last_s = breathing.peaks_s[breathing.peaks_s < 118][-1]
    samples = chest_of(breathing, Chest(heart_bpm=heart_bpm, cardiogenic=cardiogenic), 240, seed)

    found = np.flatnonzero(suspected(samples) == 1)

    assert last_s + 19 <= found[0] <= last_s + 23
    assert 160 <= found[-1] <= breathing.peaks_s[breathing.peaks_s > 162][0] + 2


@pytest.mark.parametrize("heart_bpm", [45.0, 60.0, 90.0])
def test_an_arrest_stays_an_apnoea_for_minutes(heart_bpm: float) -> None:
    breathing = without(irregular(14, 400, 0.15), 118, 400)
    found = [
        suspected(chest_of(breathing, Chest(heart_bpm=heart_bpm), 400, seed))[142:395]
        for seed in range(4)
    ]

    assert np.mean(np.concatenate(found) == 1) > 0.9
    assert min(np.mean(one == 1) for one in found) > 0.8


@pytest.mark.parametrize("heart_bpm", [45.0, 60.0, 90.0])
def test_who_knows_the_heart_rate_is_not_deceived_by_a_strong_heart(heart_bpm: float) -> None:
    breathing = without(irregular(14, 240, 0.15), 118, 162)
    samples = chest_of(breathing, Chest(heart_bpm=heart_bpm, cardiogenic=0.5), 240)

    assert (suspected(samples, heart_bpm)[145:160] == 1).all()


def test_an_obstructed_airway_is_not_seen_while_the_chest_pulls_against_it() -> None:
    """The limit of any chest signal: it says movement, and not air."""
    breathing = irregular(14, 240, 0.15)
    blocked = (breathing.peaks_s > 118) & (breathing.peaks_s < 162)
    breathing.depths[blocked] *= 0.6

    assert (suspected(chest_of(breathing, Chest(), 240))[30:235] == 0).all()


@pytest.mark.parametrize("kind", ["speech", "sighs", "uneven", "slow"])
def test_breathing_that_is_uneven_is_no_apnoea(kind: str) -> None:
    breathing = {
        "speech": speech(1200),
        "sighs": with_sighs(14, 1200),
        "uneven": irregular(14, 1200, 0.3),
        "slow": irregular(8, 1200, 0.25),
    }[kind]

    assert (suspected(chest_of(breathing, Chest(), 1200))[30:1190] == 0).all()


def test_a_belt_that_slips_is_no_apnoea() -> None:
    samples = chest_of(irregular(14, 600, 0.15), Chest(noise=0.0), 600)
    at_s = np.arange(samples.size) / FS_HZ
    loose = at_s % 120 > 60
    slipped = np.where(loose, 0.4 * samples + 7.0, samples)

    assert (suspected(slipped)[30:590] == 0).all()


def test_quiet_breaths_after_turning_over_are_no_apnoea() -> None:
    samples = chest_of(irregular(14, 600, 0.15), Chest(), 600)
    at_s = np.arange(samples.size) / FS_HZ
    band = signal.butter(2, (0.1, 1.0), "bandpass", fs=FS_HZ, output="sos")
    movement = signal.sosfilt(band, np.random.default_rng(6).normal(0, 1, samples.size))
    moved = samples + (at_s % 120 > 100) * 1.2 * movement / np.std(movement)

    assert (suspected(moved)[30:590] == 0).all()


def test_a_movement_of_the_body_makes_the_wait_begin_anew() -> None:
    breathing = without(irregular(14, 260, 0.1), 118, 175)
    samples = chest_of(breathing, Chest(), 260)
    moved = samples.copy()
    at_s = np.arange(samples.size) / FS_HZ
    moved += 3.0 * np.exp(-(((at_s - 133) / 0.8) ** 2))

    assert np.flatnonzero(suspected(samples) == 1)[0] < 141
    assert 151 <= np.flatnonzero(suspected(moved) == 1)[0] <= 157


def test_a_gap_is_no_apnoea() -> None:
    samples = chest_of(irregular(14, 180, 0.15), Chest(), 180)
    found = suspected(samples, i_gap=90 * FS_HZ, gap_s=60)

    assert not (found == 1).any()
    assert np.isnan(found[92:166]).all()


def test_an_electrode_that_comes_off_in_apnoea_says_so() -> None:
    breathing = without(irregular(14, 240, 0.15), 118, 240)
    samples = chest_of(breathing, Chest(), 240)
    samples[170 * FS_HZ :] = 0.5
    chain = RespirationChain(FS_HZ, CLOCK)

    said = chain.process(samples, 0)

    reasons = {one.t_ns // NS: one.reason for one in said if one.quantity is codes.RESPIRATORY_RATE}
    assert reasons[160] is NoValueReason.APNOEA_SUSPECTED
    assert reasons[190] is NoValueReason.LEAD_OFF


def _breathless(record: BreathingRecord, start_s: float, length_s: float) -> tuple[Floats, float]:
    """Hold the chest of a recording at rest after a breath; what the heart moves goes on."""
    samples = record.impedance[:: RECORD_HZ // FS_HZ]
    low_pass = signal.butter(4, 0.8, "lowpass", fs=FS_HZ, output="sos")
    breathing = np.asarray(signal.sosfiltfilt(low_pass, samples))
    breaths_s = np.sort(record.breaths_s[0])
    from_s = float(breaths_s[breaths_s < start_s][-1]) + 1.5
    first, last = round(from_s * FS_HZ), round((from_s + length_s) * FS_HZ)
    held = np.zeros(samples.size)
    held[first:last] = 1.0
    ramp = np.hanning(1.5 * FS_HZ)
    held = np.asarray(np.convolve(held, ramp / ramp.sum(), "same"), dtype=np.float64)
    at_rest = np.percentile(breathing[max(0, first - 20 * FS_HZ) : first], 10)
    return samples - held * (breathing - at_rest), from_s


def test_recorded_people_who_stop_breathing_are_mostly_noticed(chevet_data: Path) -> None:
    n_found = n_asked = 0
    for record in breathing_records(chevet_data):
        for start_s in (100.0, 250.0, 380.0):
            samples, from_s = _breathless(record, start_s, 30.0)
            begin = round(from_s)
            n_found += bool((suspected(samples)[begin + 10 : begin + 33] == 1).any())
            n_asked += 1
    print(f"\nbidmc, breathing taken out for 30 s: {n_found} of {n_asked} suspected")

    assert n_found >= 0.88 * n_asked


def test_recorded_people_who_breathe_have_no_apnoea(chevet_data: Path) -> None:
    rng = np.random.default_rng(4)
    for record in breathing_records(chevet_data):
        samples = record.impedance[:: RECORD_HZ // FS_HZ]
        band = signal.butter(2, (0.05, 1.5), "bandpass", fs=FS_HZ, output="sos")
        movement = np.asarray(signal.sosfilt(band, rng.normal(0, 1, samples.size)))
        for share in (0.0, 0.5):
            moved = samples + share * np.std(samples) / np.std(movement) * movement
            assert not (suspected(moved) == 1).any(), record.name
