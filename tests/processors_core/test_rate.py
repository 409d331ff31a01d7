"""The averaging rule of heart and pulse rate, and what takes the value's place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.dsp.state import MalformedStateError, State, StateError
from processors.vitals.rate import BeatRate
from processors.vitals.reasons import NoValueReason

NS = 1_000_000_000
INTERVALS = st.lists(st.integers(NS // 5, 3 * NS), max_size=40)


def rate_of(*beats_s: float) -> BeatRate:
    rate = BeatRate()
    for beat_s in beats_s:
        rate.add_beat(round(beat_s * NS))
    return rate


def test_the_rate_is_sixty_over_the_mean_interval() -> None:
    assert rate_of(1.0, 2.0, 2.5, 3.5, 4.5).at(5 * NS) == (60 / 0.875, None, 0.5)


def test_an_interval_counts_while_its_later_beat_is_within_ten_seconds() -> None:
    rate = rate_of(0.0, 1.0, 2.0, 4.0, 6.0, 8.0)

    assert rate.at(11 * NS - 1)[0] == 60 / (8.0 / 5)
    assert rate.at(11 * NS)[0] == 60 / (7.0 / 4)


def test_the_first_beat_ends_no_interval() -> None:
    rate = BeatRate()

    assert rate.add_beat(NS) is None
    assert rate.add_beat(3 * NS // 2) == 0.5


def test_no_interval_spans_a_reset() -> None:
    rate = rate_of(1.0, 2.0, 3.0)
    rate.reset(60 * NS)

    assert rate.add_beat(61 * NS) is None
    assert rate.at(62 * NS)[:2] == (None, NoValueReason.WARMING_UP)


@pytest.mark.parametrize(
    ("beats_s", "t_s", "reason"),
    [
        ((0.5, 1.0, 1.5, 2.0), 7, "asystole_suspected"),
        ((), 5, "asystole_suspected"),
        ((0.5, 1.0), 2, "warming_up"),
        ((), 2, "warming_up"),
        ((10.0, 11.0), 12, "too_few_beats"),
    ],
)
def test_what_is_no_rate_says_why(beats_s: tuple[float, ...], t_s: int, reason: str) -> None:
    value, why, _ = rate_of(*beats_s).at(t_s * NS)

    assert value is None
    assert why == reason


def test_a_pulse_that_is_not_seen_is_no_asystole() -> None:
    rate = BeatRate(NoValueReason.TOO_FEW_BEATS)
    rate.add_beat(NS)

    assert rate.at(6 * NS)[:2] == (None, NoValueReason.TOO_FEW_BEATS)


@given(intervals_ns=INTERVALS)
def test_every_second_is_the_plain_mean_of_its_window(intervals_ns: list[int]) -> None:
    beats_ns = [sum(intervals_ns[:n]) for n in range(len(intervals_ns) + 1)]
    rate, n = BeatRate(), 0
    for t_ns in range(0, beats_ns[-1] + 5 * NS, NS):
        while n < len(beats_ns) and beats_ns[n] <= t_ns:
            rate.add_beat(beats_ns[n])
            n += 1
        ends = [k for k in range(1, n) if t_ns - 10 * NS < beats_ns[k] <= t_ns]
        value, reason, age_s = rate.at(t_ns)

        assert age_s == (t_ns - beats_ns[n - 1]) / 1e9
        if age_s > 4:
            assert reason is NoValueReason.ASYSTOLE_SUSPECTED
        elif len(ends) < 2:
            assert value is None
        else:
            mean_s = sum(intervals_ns[k - 1] for k in ends) / len(ends) / 1e9
            assert value == pytest.approx(60 / mean_s, rel=1e-12)


@given(intervals_ns=INTERVALS, cut=st.integers(0, 40))
def test_a_restart_between_two_beats_changes_nothing(intervals_ns: list[int], cut: int) -> None:
    whole, parts = BeatRate(), BeatRate()
    t_ns = 0
    for n, interval_ns in enumerate(intervals_ns):
        t_ns += interval_ns
        if n == cut:
            parts = BeatRate.from_bytes(parts.to_bytes())
        assert parts.add_beat(t_ns) == whole.add_beat(t_ns)
        assert parts.at(t_ns) == whole.at(t_ns)
    assert parts.to_bytes() == whole.to_bytes()


@given(st.binary(max_size=40))
def test_any_bytes_are_no_state(junk: bytes) -> None:
    with pytest.raises(StateError):
        BeatRate.from_bytes(junk)


def test_a_state_whose_beats_do_not_ascend_is_refused() -> None:
    kept = State.from_bytes(rate_of(2.0, 3.0).to_bytes(), kind="beat_rate", version=1)
    turned = State(
        kind="beat_rate",
        version=1,
        scalars=kept.scalars,
        arrays={"beats_ns": kept.int_array("beats_ns")[::-1].copy()},
    )

    with pytest.raises(MalformedStateError, match="ascend"):
        BeatRate.from_bytes(turned.to_bytes())
