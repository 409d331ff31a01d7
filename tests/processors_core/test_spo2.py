"""Oxygen saturation: known saturations come out, and what spoils them is named."""

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.dsp.sample_clock import SampleClock
from processors.dsp.state import StateError
from processors.vitals import spo2, spo2_kernel
from processors.vitals.calibration import CURVES, CalibrationCurve
from processors.vitals.derived import Derived
from processors.vitals.reasons import NoValueReason
from processors.vitals.spo2 import Spo2Chain
from tests.processors_core.synthetic_ppg import ppg, regular_s

Floats = NDArray[np.float64]

S = 10**9
CURVE = CURVES["max86141_evaluation"]


def ratio_of(spo2_percent: float, curve: CalibrationCurve = CURVE) -> float:
    """Turn the curve round, on the branch on which less oxygen is more ratio."""
    ratios = np.linspace(0.3, 2.5, 20_001)
    values = np.polyval(curve.coefficients, ratios)
    return float(ratios[np.abs(values - spo2_percent).argmin()])


def light(  # noqa: PLR0913
    spo2_percent: float | Floats,
    *,
    fs_hz: int = 100,
    seconds: int = 40,
    rate_bpm: float = 72.0,
    perfusion: float = 0.02,
    noise: float = 2e-4,
    motion: Floats | float = 0.0,
    ambient: float = 3000.0,
    seed: int = 0,
) -> Floats:
    """Red, infrared and ambient light; noise and motion as shares of the light."""
    rng = np.random.default_rng(seed)
    t_s = np.arange(seconds * fs_hz) / fs_hz
    pulse = perfusion * ppg(regular_s(60 / rate_bpm, seconds + 2), fs_hz, seconds)
    breath = 0.003 * np.sin(2 * np.pi * 0.25 * t_s)
    ratio = np.vectorize(ratio_of)(np.broadcast_to(spo2_percent, t_s.shape)[::fs_hz])
    ratio = np.repeat(ratio, fs_hz)
    seen = noise * rng.normal(size=(2, t_s.size))
    red = 8e4 * (1 - ratio * pulse - breath - motion + seen[0])
    infrared = 1e5 * (1 - pulse - breath - motion + seen[1])
    room = ambient * (1 + 0.3 * np.sin(2 * np.pi * 0.9 * t_s))
    return np.stack((red + room, infrared + room, room))


def chain(fs_hz: int = 100, curve: CalibrationCurve | None = CURVE) -> Spo2Chain:
    return Spo2Chain(fs_hz, SampleClock(epoch_ns=0, period_num_ns=S, period_den=fs_hz), curve)


def run(signal: Floats, fs_hz: int = 100, curve: CalibrationCurve | None = CURVE) -> list[Derived]:
    return chain(fs_hz, curve).process(signal, 0)


@pytest.mark.parametrize("fs_hz", [25, 100, 400])
@pytest.mark.parametrize("spo2_percent", [99.0, 95.0, 88.0, 80.0, 72.0])
@pytest.mark.parametrize("rate_bpm", [45.0, 80.0, 140.0])
def test_a_known_saturation_comes_out(fs_hz: int, spo2_percent: float, rate_bpm: float) -> None:
    outputs = run(light(spo2_percent, fs_hz=fs_hz, rate_bpm=rate_bpm), fs_hz)[9:]

    values = [one.value for one in outputs]
    assert values == pytest.approx([spo2_percent] * len(values), abs=0.8)
    assert min(one.quality for one in outputs) >= 0.8


@pytest.mark.parametrize("spo2_percent", [97.0, 85.0, 75.0])
@pytest.mark.parametrize(("perfusion", "noise"), [(0.02, 1e-3), (0.004, 1e-4)])
def test_noise_does_not_bias(spo2_percent: float, perfusion: float, noise: float) -> None:
    signal = light(spo2_percent, perfusion=perfusion, noise=noise, seconds=120)

    values = np.array([one.value for one in run(signal)[9:]], dtype=float)

    assert abs(np.nanmean(values) - spo2_percent) <= 0.3
    assert np.nanstd(values) <= 1.0
    assert np.isfinite(values).mean() >= 0.95


def test_a_desaturation_is_followed_within_ten_seconds() -> None:
    fs_hz = 100
    course = np.where(np.arange(60 * fs_hz) < 30 * fs_hz, 97.0, 86.0)

    outputs = run(light(course, seconds=60))

    assert outputs[28].value == pytest.approx(97, abs=0.8)
    later = [one.value for one in outputs[41:]]
    assert later == pytest.approx([86.0] * len(later), abs=0.8)


@pytest.mark.parametrize("seed", range(3))
def test_motion_that_moves_the_two_unlike_is_poor_and_not_a_number(seed: int) -> None:
    rng = np.random.default_rng(seed)
    signal = light(97.0, seconds=60)
    signal[:2] *= 1 + 0.05 * np.cumsum(rng.normal(size=(2, signal.shape[1])), axis=1) / 10

    outputs = run(signal)[9:]

    wrong = [one for one in outputs if one.value is not None and abs(one.value - 97) > 4]
    assert len(wrong) <= 0.1 * len(outputs)
    assert NoValueReason.POOR_SIGNAL in {one.reason for one in outputs}


def test_ambient_light_that_is_not_taken_away_biases_and_is_why_it_is_a_channel() -> None:
    signal = light(85.0, ambient=4e4)
    constant = signal.copy()
    constant[2] = 0

    with_ambient = run(signal)[20].value
    without = run(constant)[20]

    assert with_ambient == pytest.approx(85, abs=0.8)
    assert without.value is None or abs(without.value - 85) > 1.5


def test_a_model_without_a_curve_gives_no_number() -> None:
    assert {one.reason for one in run(light(97.0), curve=None)[9:]} == {
        NoValueReason.NOT_CALIBRATED
    }


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda x: np.broadcast_to(x[:, :1], x.shape), NoValueReason.SATURATED),
        (lambda x: np.concatenate((x[:, :1000], np.full((3, 3000), 5.0)), axis=1),
         NoValueReason.LEAD_OFF),
        (lambda x: x - np.array([[2e5], [2e5], [0.0]]), NoValueReason.LEAD_OFF),
        (lambda x: np.concatenate((x[:, :1000], np.full((3, 3000), 2.0**19)), axis=1),
         NoValueReason.SATURATED),
    ],
)  # fmt: skip
def test_no_light_and_too_much_of_it_are_told_apart(
    spoil: Callable[[Floats], Floats], reason: NoValueReason
) -> None:
    assert run(spoil(light(97.0)))[-1].reason is reason


def test_too_weak_a_pulse_is_low_perfusion() -> None:
    signal = light(97.0, perfusion=2e-4, noise=1e-5)
    signal[:2] += np.array([[8e4], [1e5]]) * 0.003 * np.sin(np.arange(4000) * 2 * np.pi / 400)

    assert run(signal)[-1].reason is NoValueReason.LOW_PERFUSION


def test_a_ratio_beyond_the_curve_is_out_of_range() -> None:
    strict = CalibrationCurve(
        model="strict", coefficients=CURVE.coefficients, spo2_percent_min=90.0, source="a test"
    )

    assert run(light(80.0), curve=strict)[-1].reason is NoValueReason.OUT_OF_RANGE


def test_a_gap_says_no_samples_and_starts_anew() -> None:
    signal = light(97.0, seconds=60)
    one = chain()

    outputs = one.process(signal[:, :2050], 0) + one.process(signal[:, 4050:], 4050)

    by_second = {o.t_ns // S: o.reason for o in outputs}
    assert by_second[21] is NoValueReason.NO_SAMPLES
    assert 30 not in by_second
    assert by_second[41] is NoValueReason.WARMING_UP
    assert by_second[58] is None


@given(
    cuts=st.lists(st.integers(0, 2000), max_size=10), restore=st.booleans(), seed=st.integers(0, 99)
)
@settings(max_examples=25, deadline=None)
def test_any_cutting_and_any_restart_gives_the_same_outputs(
    cuts: list[int],
    restore: bool,  # noqa: FBT001
    seed: int,
) -> None:
    signal = light(93.0, seconds=20, noise=2e-3, seed=seed)
    whole = chain()
    expected = whole.process(signal, 0)

    part = chain()
    found, at = [], 0
    for piece in np.split(signal, sorted(cuts), axis=1):
        found += part.process(piece, at)
        at += piece.shape[1]
        if restore:
            part = Spo2Chain.from_bytes(part.to_bytes())

    assert found == expected
    assert part.to_bytes() == whole.to_bytes()


def test_the_compiled_kernel_gives_the_bits_of_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    signal = light(93.0, seconds=9, fs_hz=25, noise=1e-3)
    compiled = chain(25)
    expected = compiled.process(signal, 0)
    for name, value in list(vars(spo2_kernel).items()):
        if hasattr(value, "py_func"):
            monkeypatch.setattr(spo2_kernel, name, cast("Any", value).py_func)
            monkeypatch.setattr(spo2, name, cast("Any", value).py_func, raising=False)

    plain = chain(25)

    assert plain.process(signal, 0) == expected
    assert plain.to_bytes() == compiled.to_bytes()
    assert any(one.value for one in expected)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_number_or_no_pair_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        chain().process(np.array([[1.0], [bad]]), 0)
    with pytest.raises(ValueError, match="channels"):
        chain().process(np.zeros((1, 5)), 0)
    with pytest.raises(StateError):
        Spo2Chain.from_bytes(b"nothing")


@given(
    samples=st.lists(
        st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)), min_size=1, max_size=120
    )
)
@settings(max_examples=40, deadline=None)
def test_hostile_light_gives_reasons_or_percentages(samples: list[tuple[float, float]]) -> None:
    signal = np.repeat(np.array(samples).T, 20, axis=1)

    for one in run(signal, 50):
        assert one.value is None or 0 < one.value <= 100
        assert 0 <= one.quality <= 1


@pytest.mark.parametrize("curve", CURVES.values(), ids=lambda curve: curve.model)
def test_published_curves_fall_from_a_full_saturation(curve: CalibrationCurve) -> None:
    values = [curve.spo2_percent(ratio) for ratio in (0.5, 0.7, 0.9, 1.1)]

    assert all(value is not None for value in values)
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=True)
    assert 94 <= known[0] <= 100
    assert curve.spo2_percent(5.0) is None or curve.model == "none"
