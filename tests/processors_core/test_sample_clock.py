"""The time of a sample: integers, exact for years."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.dsp.sample_clock import SampleClock
from processors.dsp.state import MalformedStateError, State

clocks = st.builds(
    SampleClock,
    epoch_ns=st.integers(0, 2**62),
    period_num_ns=st.integers(1, 10**12),
    period_den=st.integers(1, 10**6),
)
fine_clocks = clocks.filter(lambda clock: clock.period_num_ns >= clock.period_den)


@given(clock=clocks, t_ns=st.integers(-(2**62), 2**63))
def test_the_first_sample_at_or_after_a_time_is_the_first(clock: SampleClock, t_ns: int) -> None:
    i = clock.index_at_or_after(t_ns)

    assert clock.time_ns(i) >= t_ns
    assert clock.time_ns(i - 1) < t_ns


@given(clock=fine_clocks, i=st.integers(0, 2**53))
def test_the_index_of_a_samples_own_time_is_that_sample(clock: SampleClock, i: int) -> None:
    assert clock.index_at_or_after(clock.time_ns(i)) == i


def test_a_third_of_a_hertz_does_not_drift() -> None:
    clock = SampleClock(epoch_ns=0, period_num_ns=3 * 10**9, period_den=1000)

    assert clock.time_ns(1000 * 10**9) == 3 * 10**18
    assert clock.fs_hz == pytest.approx(1000 / 3)


@pytest.mark.parametrize(("num", "den"), [(0, 1), (-1, 1), (1, 0), (1, -1)])
def test_a_period_that_is_not_positive_is_refused(num: int, den: int) -> None:
    with pytest.raises(ValueError, match="not positive"):
        SampleClock(epoch_ns=0, period_num_ns=num, period_den=den)


def test_a_place_between_samples_has_a_time_between_theirs() -> None:
    clock = SampleClock(epoch_ns=7, period_num_ns=25_000_000, period_den=9)

    assert clock.time_between_ns(36.0) == clock.time_ns(36)
    assert clock.time_between_ns(36.5) == clock.time_ns(36) + round(25_000_000 / 18)


def test_a_clock_is_the_same_one_when_read_back() -> None:
    clock = SampleClock(epoch_ns=1_700_000_000_123_456_789, period_num_ns=10**9, period_den=360)
    kept = State(kind="step", version=1, scalars={"more": 1, **clock.scalars()})

    assert SampleClock.of_state(State.from_bytes(kept.to_bytes(), kind="step", version=1)) == clock
    with pytest.raises(MalformedStateError, match="epoch_ns is missing"):
        SampleClock.of_state(State(kind="step", version=1))
