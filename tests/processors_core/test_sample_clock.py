"""The time of a sample: integers, exact for years."""

from bisect import bisect_right
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.dsp.sample_clock import KEPT_NS, LINES_MAX, SampleClock
from processors.dsp.state import MalformedStateError, State

SECOND_NS = 10**9

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


# A clock that bends


def line_at(clock: SampleClock, i_first: int, num: int, den: int, by_ns: int = 0) -> SampleClock:
    """Give the line that has sample ``i_first`` where a clock has it, but for ``by_ns``."""
    epoch_ns = clock.time_ns(i_first) + by_ns - i_first * num // den
    return SampleClock(epoch_ns=epoch_ns, period_num_ns=num, period_den=den)


def go_on(clock: SampleClock, i_first: int, ppm: float, by_ns: int = 0) -> SampleClock:
    num = round(clock.period_num_ns * 1000 * (1 + ppm / 1e6))
    bent = clock.bent(line_at(clock, i_first, num, clock.period_den * 1000, by_ns), i_first)
    assert bent is not None
    return bent


CLOCK = SampleClock(epoch_ns=1_790_000_000 * SECOND_NS + 7, period_num_ns=25_000_000, period_den=9)

bends = st.lists(
    st.tuples(st.integers(1, 5_000), st.sampled_from([20.0, -80.0, 4e3, -4e3]), st.integers(-1, 1)),
    min_size=1,
    max_size=12,
)


def bent_clock(found: list[tuple[int, float, int]]) -> tuple[SampleClock, list[SampleClock]]:
    """Give a clock, and what it was before and behind each bend."""
    clocks, i_first = [CLOCK], 0
    for n, ppm, by_ns in found:
        i_first += n
        clocks.append(go_on(clocks[-1], i_first, ppm, by_ns))
    return clocks[-1], clocks


@given(found=bends, i=st.integers(-10, 70_000), rest=st.floats(0, 0.999))
def test_each_sample_has_the_time_of_its_own_line(
    found: list[tuple[int, float, int]], i: int, rest: float
) -> None:
    clock, clocks = bent_clock(found)
    own = clocks[bisect_right([one.i_from for one in clocks[1:]], i)].line

    assert clock.time_ns(i) == own.time_ns(i)
    assert clock.time_between_ns(abs(i) + rest) == clock.at(abs(i)).line.time_between_ns(
        abs(i) + rest
    )


@given(found=bends, t_ns=st.integers(-SECOND_NS, 200 * SECOND_NS))
def test_a_bent_clock_still_finds_the_first_sample(
    found: list[tuple[int, float, int]], t_ns: int
) -> None:
    clock, _ = bent_clock(found)

    i = clock.index_at_or_after(CLOCK.epoch_ns + t_ns)

    assert clock.time_ns(i) >= CLOCK.epoch_ns + t_ns
    assert clock.time_ns(i - 1) < CLOCK.epoch_ns + t_ns
    assert clock.index_at_or_after(clock.time_ns(i)) == i


@given(found=bends)
def test_what_was_before_a_bend_stays_as_it_was(found: list[tuple[int, float, int]]) -> None:
    clock, clocks = bent_clock(found)

    for old, new in pairwise(clocks):
        for i in (0, new.i_from - 1):
            assert clock.time_ns(i) == old.time_ns(i)
        assert abs(new.time_ns(new.i_from) - old.time_ns(new.i_from)) <= 1
        assert new.has_gone_on_from(old)
        assert not old.has_gone_on_from(new)
    assert clock.line.before is None
    assert clock.line.time_ns(10**6) == clock.time_ns(10**6)


@given(found=bends, i=st.floats(0, 70_000), n=st.floats(1, 5_000))
def test_the_rate_between_two_places_is_the_mean_one(
    found: list[tuple[int, float, int]], i: float, n: float
) -> None:
    clock, _ = bent_clock(found)
    passed_s = (clock.time_between_ns(i + n) - clock.time_between_ns(i)) / SECOND_NS

    assert clock.rate_hz(i, i + n) == pytest.approx(n / passed_s, rel=1e-5)
    assert CLOCK.rate_hz(i, i + n) == CLOCK.fs_hz


@given(found=bends)
def test_a_bent_clock_is_the_same_one_when_read_back(found: list[tuple[int, float, int]]) -> None:
    clock, _ = bent_clock(found)
    state = State(kind="step", version=1, scalars=clock.scalars()).to_bytes()

    assert SampleClock.of_state(State.from_bytes(state, kind="step", version=1)) == clock


@pytest.mark.parametrize("by_ns", [2, -2, 10**6])
def test_a_line_that_is_elsewhere_is_no_going_on(by_ns: int) -> None:
    assert CLOCK.bent(line_at(CLOCK, 100, 25_000_100, 9, by_ns), 100) is None


def test_a_period_of_another_rate_is_no_going_on() -> None:
    for num, goes_on in ((25_490_000, True), (25_510_000, False), (24_490_000, False)):
        assert (CLOCK.bent(line_at(CLOCK, 100, num, 9), 100) is not None) == goes_on


def test_a_clock_bends_forward_only() -> None:
    bent = go_on(CLOCK, 100, 80.0)

    for i_first in (0, 50, 100):
        assert bent.bent(line_at(bent, i_first, 25_000_000, 9), i_first) is None
    with pytest.raises(ValueError, match="bent at 100 and then at 100"):
        SampleClock(epoch_ns=0, period_num_ns=1, i_from=100, before=bent)


def test_the_lines_of_the_last_minute_are_known_and_others_forgotten() -> None:
    quick = slow = CLOCK
    for n in range(1, LINES_MAX):
        quick = go_on(quick, 100 * n, 80.0 * (-1) ** n)
        slow = go_on(slow, 3_600 * n, 80.0 * (-1) ** n)
    i_next = 100 * LINES_MAX
    assert quick.bent(line_at(quick, i_next, 25_000_000, 9), i_next) is None

    i_next = 3_600 * LINES_MAX
    longer = go_on(slow, i_next, 80.0)

    assert len(list(longer.lines())) == LINES_MAX == len(list(slow.lines()))
    minute_ago = longer.index_at_or_after(longer.time_ns(i_next) - KEPT_NS)
    for i in (minute_ago, minute_ago + 1_000, i_next - 1):
        assert longer.time_ns(i) == slow.time_ns(i)
