"""Resampling: time is kept, bands pass or do not, and pieces give the bits of the whole."""

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.dsp.kernel import new_record
from processors.dsp.resample import Resampler
from processors.dsp.resample_kernel import POSITION, resample
from processors.dsp.sample_clock import SampleClock
from processors.dsp.state import StateError

SIGNAL = np.random.default_rng(1).normal(0, 1, 3000) + 1e4
RATES = [(360, 250), (130, 250), (1000, 250), (250, 250), (125, 25), (128, 125), (25, 50)]


@pytest.mark.parametrize(("fs_in", "fs_out"), [(360, 250), (130, 250), (125, 25)])
@given(
    cuts=st.lists(st.integers(0, 3000), max_size=8),
    i_start=st.integers(0, 2**40),
    restore=st.booleans(),
)
@settings(deadline=None, max_examples=25)
def test_pieces_and_restarts_give_the_bits_of_the_whole(
    fs_in: int, fs_out: int, cuts: list[int], i_start: int, *, restore: bool
) -> None:
    whole, streaming = Resampler(fs_in, fs_out), Resampler(fs_in, fs_out)
    whole.start_at(i_start)
    streaming.start_at(i_start)
    expected = whole.process(SIGNAL)

    parts = []
    for piece in np.split(SIGNAL, sorted(cuts)):
        parts.append(streaming.process(piece))
        if restore:
            streaming = Resampler.from_bytes(streaming.to_bytes())

    assert np.concatenate(parts).tobytes() == expected.tobytes()
    assert streaming.i_out == whole.i_out


@pytest.mark.parametrize(("fs_in", "fs_out"), RATES)
def test_a_wave_keeps_its_time_and_height(fs_in: int, fs_out: int) -> None:
    resampler = Resampler(fs_in, fs_out)
    f_hz = 0.3 * min(fs_in, fs_out)

    out = resampler.process(np.sin(2 * np.pi * f_hz * np.arange(20 * fs_in) / fs_in))

    t = np.arange(out.size) / fs_out
    inside = (t > 2) & (t < 18)
    assert np.abs(out - np.sin(2 * np.pi * f_hz * t))[inside].max() < 2e-3


@pytest.mark.parametrize(("fs_in", "fs_out"), [(1000, 250), (360, 250), (125, 25)])
def test_what_the_lower_rate_cannot_hold_does_not_pass(fs_in: int, fs_out: int) -> None:
    t = np.arange(10 * fs_in) / fs_in

    out = Resampler(fs_in, fs_out).process(np.sin(2 * np.pi * 0.52 * fs_out * t))

    assert np.abs(out[fs_out:-fs_out]).max() < 2e-3


@pytest.mark.parametrize(("fs_in", "fs_out"), RATES)
def test_a_constant_stays_what_it_is_from_the_first_sample(fs_in: int, fs_out: int) -> None:
    out = Resampler(fs_in, fs_out).process(np.full(1000, 1e5))

    assert out == pytest.approx(1e5, rel=1e-12)


@pytest.mark.parametrize(("fs_in", "fs_out"), RATES)
def test_everything_is_known_when_the_delay_says_so(fs_in: int, fs_out: int) -> None:
    resampler = Resampler(fs_in, fs_out)

    for i in range(1000):
        resampler.process(SIGNAL[i : i + 1])
        known_to_s = (resampler.i_out - 1) / fs_out
        assert i / fs_in - resampler.delay_s <= known_to_s + 1 / fs_out
        assert known_to_s <= i / fs_in


def test_behind_a_gap_the_grid_is_the_same_and_nothing_is_from_before_it() -> None:
    resampler = Resampler(360, 250)
    resampler.process(SIGNAL)
    resampler.start_at(10_001)

    first = resampler.i_out
    out = resampler.process(np.full(500, 5.0))

    assert first * 360 >= 10_001 * 250 > (first - 1) * 360
    assert out == pytest.approx(5.0)


def test_the_clock_of_the_output_tells_its_time() -> None:
    clock = SampleClock(epoch_ns=5, period_num_ns=10**9, period_den=360)

    out = Resampler(360, 250).clock(clock)

    assert out.fs_hz == pytest.approx(250)
    assert out.time_ns(250 * 3600) == clock.time_ns(360 * 3600)


@pytest.mark.parametrize(("fs_in", "fs_out"), [(0, 250), (250, -1), (250, 249.99), (1, 5000)])
def test_a_ratio_that_is_none_is_refused(fs_in: float, fs_out: float) -> None:
    with pytest.raises(ValueError, match="Hz"):
        Resampler(fs_in, fs_out)


@given(st.binary(max_size=40))
def test_any_bytes_are_no_state(junk: bytes) -> None:
    with pytest.raises(StateError):
        Resampler.from_bytes(junk)


def test_the_kernel_and_its_source_agree_bit_for_bit() -> None:
    resampler = Resampler(130, 250)
    results: list[bytes] = []
    for form in (resample, cast("Any", resample).py_func):
        record, ring, out = new_record(POSITION), np.zeros_like(resampler._ring), np.zeros(500)
        n_out = form(record, resampler._phases, ring, 25, 13, SIGNAL[:200], out)
        results.append(record.tobytes() + ring.tobytes() + out[:n_out].tobytes())

    assert results[0] == results[1]


def test_a_state_whose_samples_in_and_out_do_not_belong_together_is_refused() -> None:
    resampler = Resampler(360, 250)
    resampler.process(SIGNAL)
    resampler._record["i_out"] -= 1

    with pytest.raises(StateError, match="belong together"):
        Resampler.from_bytes(resampler.to_bytes())
