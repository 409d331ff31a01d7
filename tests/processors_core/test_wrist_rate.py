"""Pulse rate from the wrist in motion: simulated runs, and a recording of a wrist at rest."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.dsp.sample_clock import SampleClock
from processors.vitals import wrist_rate, wrist_rate_kernel
from processors.vitals.derived import Derived
from processors.vitals.reasons import NoValueReason
from processors.vitals.wrist_rate import WristRate

Floats = NDArray[np.float64]
Course = Callable[[Floats], Floats]

S = 10**9
PPG_HZ, ACC_HZ = 55, 52


def clocks() -> tuple[SampleClock, SampleClock]:
    return (
        SampleClock(epoch_ns=123_456_789, period_num_ns=S, period_den=PPG_HZ),
        SampleClock(epoch_ns=-321_000_000, period_num_ns=S, period_den=ACC_HZ),
    )


def phase(rate_bpm: Floats, t_s: Floats) -> Floats:
    """Radians of something that happens ``rate_bpm`` times a minute."""
    step_s = np.diff(t_s, prepend=t_s[0])
    return 2 * np.pi * np.cumsum(rate_bpm / 60 * step_s)


def run_simulated(
    heart_bpm: Course, cadence_bpm: Course, *, artefact: float = 1.5, seconds: int = 120,
    seed: int = 0, with_acc: bool = True,
) -> list[Derived]:  # fmt: skip
    """A runner's wrist: the arm swings at half the cadence, the light moves with it."""
    rng = np.random.default_rng(seed)
    t_s = np.arange(seconds * PPG_HZ) / PPG_HZ
    heart, step = phase(heart_bpm(t_s), t_s), phase(cadence_bpm(t_s), t_s)
    pulse = np.sin(heart) + 0.4 * np.sin(2 * heart + 1)
    moved = artefact * (np.sin(step) + 0.5 * np.sin(step / 2 + 0.3) + 0.3 * np.sin(2 * step))
    light = np.stack([g * pulse + h * moved for g, h in ((1, 1), (0.8, 1.3), (1.1, 0.8))])
    light = 1e5 - 300 * (light + rng.normal(0, 0.4, light.shape))
    t_s = np.arange(seconds * ACC_HZ) / ACC_HZ - 0.444
    step = phase(cadence_bpm(t_s), t_s)
    moving = 1.0 if artefact else 0.005
    acc = np.stack(
        (
            moving * (0.8 * np.sin(step) + 0.3 * np.sin(2 * step)),
            moving * 0.6 * np.sin(step / 2),
            1 + moving * 0.5 * np.sin(step + 1),
        )
    ) + rng.normal(0, 0.003, (3, t_s.size))
    return feed(WristRate(3), light, acc if with_acc else acc[:, :0])


def feed(rate: WristRate, light: Floats, acc: Floats, n: int = 50) -> list[Derived]:
    outputs: list[Derived] = []
    ppg_clock, acc_clock = clocks()
    i_ppg = i_acc = 0
    for t in range(1, light.shape[1] // PPG_HZ):
        for name, clock, signal in (("ppg", ppg_clock, light), ("acc", acc_clock, acc)):
            i_end = min(clock.index_at_or_after(t * S), signal.shape[1])
            i_first = i_ppg if name == "ppg" else i_acc
            for i in range(i_first, i_end, n):
                piece = signal[:, i : min(i + n, i_end)]
                (rate.add_ppg if name == "ppg" else rate.add_acc)(clock, piece, i)
            if name == "ppg":
                i_ppg = i_end
            else:
                i_acc = max(i_acc, i_end)
        outputs += rate.at(t * S)
    return outputs


def errors_bpm(outputs: list[Derived], heart_bpm: Course, after_s: int = 20) -> Floats:
    """Against the mean of the eight seconds before; NaN where there is no value."""
    found = []
    for one in outputs:
        t = one.t_ns / S
        if t >= after_s:
            truth = float(np.mean(heart_bpm(np.linspace(t - 8, t, 50))))
            found.append(np.nan if one.value is None else abs(one.value - truth))
    return np.array(found)


@pytest.mark.parametrize("rate_bpm", [45.0, 72.0, 110.0, 170.0])
def test_a_wrist_at_rest_gives_its_rate(rate_bpm: float) -> None:
    def heart(t_s: Floats) -> Floats:
        return np.full_like(t_s, rate_bpm)

    outputs = run_simulated(heart, heart, artefact=0.0, seconds=60)

    errors = errors_bpm(outputs, heart)
    assert np.nanmax(errors) <= 2
    assert np.isfinite(errors).all()


@pytest.mark.parametrize("cadence_bpm", [150.0, 165.0, 180.0])
@pytest.mark.parametrize("seed", range(2))
def test_a_runners_heart_is_told_from_his_steps(cadence_bpm: float, seed: int) -> None:
    def heart(t_s: Floats) -> Floats:
        return 80 + 55 * (1 - np.exp(-np.clip(t_s - 20, 0, None) / 30))

    def cadence(t_s: Floats) -> Floats:
        return cadence_bpm + 2 * np.sin(t_s / 7)

    errors = errors_bpm(run_simulated(heart, cadence, seed=seed), heart)

    assert np.nanmean(errors <= 5) >= 0.95
    assert np.isfinite(errors).mean() >= 0.9


def test_a_heart_that_crosses_the_cadence_is_not_lost() -> None:
    def heart(t_s: Floats) -> Floats:
        return 120 + 60 / (1 + np.exp(-(t_s - 70) / 15))

    def cadence(t_s: Floats) -> Floats:
        return np.full_like(t_s, 150.0)

    errors = errors_bpm(run_simulated(heart, cadence, seconds=140), heart)

    shown = np.isfinite(errors)
    assert shown.mean() >= 0.75
    assert np.mean(errors[shown] <= 6) >= 0.85
    assert np.nanmax(errors[-10:]) <= 4


def test_without_acceleration_it_says_so_in_its_sources() -> None:
    def heart(t_s: Floats) -> Floats:
        return np.full_like(t_s, 70.0)

    outputs = run_simulated(heart, heart, artefact=0.0, seconds=30, with_acc=False)

    assert {one.sources for one in outputs} == {("ppg",)}
    assert outputs[-1].value == pytest.approx(70, abs=2)


def test_light_without_a_pulse_gives_no_rate() -> None:
    rng = np.random.default_rng(0)
    light = rng.normal(1e5, 50, (3, 120 * PPG_HZ))
    acc = rng.normal(0, 0.003, (3, 120 * ACC_HZ))

    outputs = feed(WristRate(3), light, acc)

    assert sum(one.value is not None for one in outputs) <= 0.1 * len(outputs)
    assert NoValueReason.POOR_SIGNAL in {one.reason for one in outputs}


def test_a_gap_says_no_samples_and_a_flat_light_says_lead_off() -> None:
    t_s = np.arange(60 * PPG_HZ) / PPG_HZ
    light = np.tile(np.sin(2 * np.pi * 1.2 * t_s), (1, 1))
    light[:, 40 * PPG_HZ :] = 1.0
    rate = WristRate(1)
    outputs = []
    for t in range(1, 59):
        piece = slice((t - 1) * PPG_HZ, t * PPG_HZ)
        if not 20 <= t < 26:
            rate.add_ppg(clocks()[0], light[:, piece], (t - 1) * PPG_HZ)
        outputs += rate.at(t * S)

    reasons = {one.t_ns // S: one.reason for one in outputs}
    assert reasons[4] is NoValueReason.WARMING_UP
    assert reasons[16] is None
    assert reasons[24] is NoValueReason.NO_SAMPLES
    assert reasons[30] is NoValueReason.WARMING_UP
    assert reasons[38] is None
    assert reasons[56] is NoValueReason.LEAD_OFF


@given(n=st.integers(1, 200), restore_at=st.integers(1, 18), seed=st.integers(0, 50))
@settings(max_examples=15, deadline=None)
def test_any_cutting_and_a_restart_give_the_same_outputs(
    n: int, restore_at: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    light, acc = rng.normal(size=(2, 20 * PPG_HZ)), rng.normal(size=(3, 20 * ACC_HZ))
    light += 3 * np.sin(2 * np.pi * 1.3 * np.arange(light.shape[1]) / PPG_HZ)
    whole = WristRate(2)
    expected = feed(whole, light, acc, 10_000)

    class Restored(WristRate):
        def at(self, t_ns: int, expected_bpm: float | None = None) -> list[Derived]:
            if t_ns == restore_at * S:
                self.__dict__.update(WristRate.from_bytes(self.to_bytes()).__dict__)
            return super().at(t_ns, expected_bpm)

    cut = Restored(2)

    assert feed(cut, light, acc, n) == expected
    assert cut.to_bytes() == whole.to_bytes()
    assert len(expected) == 9


def resampled(ppms: list[float], leap_ns: int = 0) -> tuple[Floats, Floats]:
    """Resample seconds of what a sensor saw of a wave, the clock bending once every 1.3 s.

    Gives the wave as resampled, ``(n_seconds, N_PER_S)``, and as it was.
    """
    clock = SampleClock(epoch_ns=10**15, period_num_ns=20_000_000)
    stream = wrist_rate._Stream(1, clock)
    n = 65
    for k, ppm in enumerate(ppms):
        i_first = k * n
        if k:
            num = round(20_000_000 * (1e3 + ppm / 1e3))
            epoch_ns = clock.time_ns(i_first) - i_first * num // 1_000 + leap_ns
            line = SampleClock(epoch_ns=epoch_ns, period_num_ns=num, period_den=1_000)
            bent = clock.bent(line, i_first, abs(leap_ns) + 1)
            assert bent is not None
            clock = bent
            stream.go_on(clock)
        lost = 10 if k and leap_ns else 0
        times_ns = [clock.time_ns(i) for i in range(i_first, i_first + n)]
        stream.add(wave(np.array(times_ns))[lost:], i_first + lost)
    out, truth = [], []
    for t_s in range(3, int(n * len(ppms) / 50) - 1):
        t_ns = 10**15 + t_s * 10**9
        points_ns = t_ns - 1_100_000_000 + np.arange(32) * 31_250_000
        out.append(stream.second(t_ns)[0])
        truth.append(wave(points_ns))
    return np.array(out), np.array(truth)


def wave(t_ns: NDArray[np.int64]) -> Floats:
    found: Floats = np.sin(2 * np.pi * 1.3 * (t_ns - 10**15) / 1e9)
    return found


def test_a_second_is_resampled_along_each_line_of_a_clock_that_bends() -> None:
    straight, truth = resampled([0.0] * 8)
    bent, of_bent = resampled([0.0, 5e3, -5e3, 80.0, 5e3, 20.0, -80.0, -5e3])

    assert np.abs(bent - of_bent).max() <= 1.05 * np.abs(straight - truth).max() < 0.03


@pytest.mark.parametrize("leap_ns", [150_000_000, -150_000_000])
def test_samples_behind_a_gap_are_nowhere_else(leap_ns: int) -> None:
    """A grid that begins elsewhere there does not put them where the old one would have."""
    out, truth = resampled([0.0] * 6, leap_ns)

    known = np.isfinite(out)
    assert np.abs(out - truth)[known].max() < 0.03
    assert 0.6 < known.mean() < 1.0


def test_the_compiled_kernel_gives_the_bits_of_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    light, acc = rng.normal(size=(1, 14 * PPG_HZ)), rng.normal(size=(3, 14 * ACC_HZ))
    expected = feed(WristRate(1), light, acc)
    for name, value in list(vars(wrist_rate_kernel).items()):
        if hasattr(value, "py_func"):
            monkeypatch.setattr(wrist_rate, name, cast("Any", value).py_func)

    assert feed(WristRate(1), light, acc) == expected


def test_what_is_no_number_or_of_another_shape_is_refused() -> None:
    rate = WristRate(2)

    with pytest.raises(ValueError, match="finite"):
        rate.add_ppg(clocks()[0], np.array([[1.0], [np.nan]]), 0)
    with pytest.raises(ValueError, match="channels"):
        rate.add_acc(clocks()[1], np.zeros((2, 5)), 0)


def polar(folder: Path, name: str, columns: list[int]) -> Floats:
    path = folder / "polar_verity" / f"Polar_Sense_{name}.txt"
    return np.loadtxt(path, delimiter=";", skiprows=1, usecols=columns)


def test_a_wrist_band_at_rest_agrees_with_its_own_intervals(chevet_data: Path) -> None:
    light, acc = polar(chevet_data, "PPG", [1, 2, 3, 4]), polar(chevet_data, "ACC", [1, 2, 3, 4])
    intervals_ms = polar(chevet_data, "PPI", [1])
    begin_ns = int(light[0, 0])
    grids = [
        SampleClock(
            epoch_ns=int(times[0]) - begin_ns,
            period_num_ns=int(times[-1] - times[0]),
            period_den=times.size - 1,
        )
        for times in (light[:, 0], acc[:, 0])
    ]
    rate = WristRate(3)
    outputs, ends = [], [0, 0]
    for t in range(1, 510):
        for i, (clock, signal, add) in enumerate(
            zip(grids, (light, acc), (rate.add_ppg, rate.add_acc), strict=True)
        ):
            i_end = max(ends[i], clock.index_at_or_after(t * S))
            add(clock, signal[ends[i] : i_end, 1:].T * (1.0 if i == 0 else 1e-3), ends[i])
            ends[i] = i_end
        outputs += rate.at(t * S)

    values = np.array([one.value for one in outputs if one.value is not None])

    # The band's times are those of a telephone, seconds late: the whole is compared.
    assert len(values) >= 0.9 * len(outputs)
    assert np.mean(values) == pytest.approx(6e4 / np.mean(intervals_ms[20:]), abs=2)
    assert np.std(values) < 8
