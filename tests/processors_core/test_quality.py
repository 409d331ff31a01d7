"""Signal quality: high on beats of any size and kind, low on what only looks like beats."""

import numpy as np
import pytest
from numpy.typing import NDArray

from processors.dsp.qrs import QrsDetector
from processors.vitals.quality import Assessment, EcgQuality
from processors.vitals.reasons import NoValueReason
from tests.processors_core.synthetic_ecg import NORMAL, WIDE, Wave, ecg_uv, regular_s

Floats = NDArray[np.float64]
FS_HZ = 250.0


def assess(ecg: Floats, every_s: float = 1.0) -> list[Assessment]:
    """Assess each whole second, as the chain does, with the detector's own beats."""
    detector, quality = QrsDetector(FS_HZ), EcgQuality(FS_HZ)
    beats = [*detector.process(ecg), *detector.skip(0)]
    quality.process(ecg)
    found: list[Assessment] = []
    n_step = round(every_s * FS_HZ)
    for i_end in range(n_step, ecg.size + 1, n_step):
        while beats and beats[0] < i_end:
            quality.add_beat(beats.pop(0))
        found.append(quality.assess(i_end))
        quality.forget_before(i_end)
    return found


def noise_uv(n_samples: int, rms_uv: float) -> Floats:
    return np.random.default_rng(3).normal(0, rms_uv, n_samples)


@pytest.mark.parametrize("scale", [-1.0, 0.2, 5.0])
@pytest.mark.parametrize("rr_s", [0.4, 0.8, 1.5])
@pytest.mark.parametrize("beats", [(NORMAL,), (NORMAL, WIDE)])
def test_a_clean_ecg_is_good_whatever_its_amplitude_rate_and_rhythm(
    scale: float, rr_s: float, beats: tuple[tuple[Wave, ...], ...]
) -> None:
    ecg = ecg_uv(regular_s(rr_s, 30), FS_HZ, 30, beats) + noise_uv(7500, 8)

    found = assess(scale * ecg)

    assert all(judged.reason is NoValueReason.WARMING_UP for judged in found[:2])
    assert all(judged.reason is None and judged.quality > 0.9 for judged in found[5:])


@pytest.mark.parametrize("rms_uv", [20.0, 200.0, 2000.0])
def test_noise_alone_is_poor(rms_uv: float) -> None:
    found = assess(noise_uv(15_000, rms_uv))

    assert all(judged.reason is not None for judged in found)
    assert np.mean([judged.quality for judged in found[10:]]) < 0.3


def test_noise_as_strong_as_the_beats_makes_a_good_ecg_poor() -> None:
    ecg = ecg_uv(regular_s(0.8, 60), FS_HZ, 60) + noise_uv(15_000, 8)
    ecg[5000:10_000] += noise_uv(5000, 1000)

    found = assess(ecg)

    assert found[18].reason is None
    assert {judged.reason for judged in found[25:40]} == {NoValueReason.POOR_SIGNAL}
    assert found[55].reason is None


def test_a_flat_line_is_a_lead_off_within_seconds() -> None:
    ecg = ecg_uv(regular_s(0.8, 40), FS_HZ, 40) + noise_uv(10_000, 8)
    ecg[5000:] = ecg[5000] + np.tile([0.0, 2.0], 2500)

    found = assess(ecg)

    assert {judged.reason for judged in found[23:]} == {NoValueReason.LEAD_OFF}


@pytest.mark.parametrize("rail_uv", [-5000.0, 5000.0])
def test_a_signal_at_the_rail_stays_saturated_as_long_as_it_is_there(rail_uv: float) -> None:
    ecg = ecg_uv(regular_s(0.8, 60), FS_HZ, 60) + noise_uv(15_000, 8)
    ecg[5000:] = rail_uv

    found = assess(ecg)

    assert {judged.reason for judged in found[23:]} == {NoValueReason.SATURATED}


def test_a_signal_that_keeps_hitting_the_rails_is_saturated() -> None:
    t = np.arange(10_000) / FS_HZ
    ecg = np.clip(ecg_uv(regular_s(0.8, 40), FS_HZ, 40) + 8000 * np.sin(t), -5000, 5000)

    found = assess(ecg)

    assert sum(judged.reason is NoValueReason.SATURATED for judged in found[10:]) > 20


def test_an_exactly_flat_isoelectric_line_between_beats_is_no_rail() -> None:
    ecg = np.round(ecg_uv(regular_s(1.0, 30), FS_HZ, 30) / 5) * 5

    assert all(judged.reason is None for judged in assess(ecg)[5:])


def test_a_heart_that_stands_still_has_too_few_beats() -> None:
    ecg = noise_uv(10_000, 3)
    ecg[:5000] += ecg_uv(regular_s(0.8, 20), FS_HZ, 20)

    assert assess(ecg)[31].reason is NoValueReason.TOO_FEW_BEATS


def test_a_beat_is_as_good_as_it_is_like_another() -> None:
    ecg = ecg_uv(regular_s(0.8, 6), FS_HZ, 6, (NORMAL, NORMAL, NORMAL, WIDE)) + noise_uv(1500, 8)
    quality = EcgQuality(FS_HZ)
    quality.process(ecg)

    first, second, _, wide = (quality.add_beat(round(s * FS_HZ)) for s in (0.5, 1.3, 2.1, 2.9))

    assert first == 0.0
    assert second > 0.95
    assert wide < 0.8


def test_beats_without_any_signal_between_them_are_not_believed() -> None:
    quality = EcgQuality(FS_HZ)
    quality.process(noise_uv(2500, 100))
    for i_beat in range(20, 2500, 50):
        quality.add_beat(i_beat)

    assert quality.assess(2500) == Assessment(0.0, NoValueReason.POOR_SIGNAL)
