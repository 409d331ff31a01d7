"""Back-off, circuit breaker, stream watch, scan watch: state machines without a clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.links.back_off import BackOff
from edge.links.circuit_breaker import BreakerState, CircuitBreaker
from edge.links.scan_watch import ScanStep, ScanWatch
from edge.links.stream_watch import Progress, StreamWatch, WatchLimits, WatchStep

LIMITS = WatchLimits(n_periods=4, least_s=2.0, longest_s=20.0)


@given(
    n_failures=st.integers(0, 10_000),
    jitter=st.floats(0, 1),
    first_s=st.floats(0.01, 10),
    factor=st.floats(1, 10_000),
)
def test_a_pause_is_within_its_bounds_and_never_shrinks(
    n_failures: int, jitter: float, first_s: float, factor: float
) -> None:
    back_off = BackOff(first_s=first_s, max_s=first_s * factor)
    pause_s = back_off.pause_s(n_failures, jitter)

    assert first_s / 2 <= pause_s <= back_off.max_s
    assert back_off.pause_s(n_failures + 1, jitter) >= pause_s


@pytest.mark.parametrize(("first_s", "max_s"), [(0, 1), (-1, 1), (2, 1)])
def test_pauses_that_make_no_sense_are_refused(first_s: float, max_s: float) -> None:
    with pytest.raises(ValueError, match="not possible"):
        BackOff(first_s=first_s, max_s=max_s)


def breaker() -> CircuitBreaker:
    return CircuitBreaker(n_failures_max=3, open_s=10, open_s_max=35)


def test_the_breaker_opens_after_failures_in_a_row_and_lets_one_probe_through() -> None:
    one = breaker()

    assert [one.failed(t) for t in (0, 1, 2)] == [False, False, True]
    assert one.state(2) is BreakerState.OPEN
    assert one.wait_s(5) == 7
    assert one.state(12) is BreakerState.HALF_OPEN
    assert one.wait_s(12) == 0


def test_each_probe_that_fails_keeps_it_open_twice_as_long_up_to_a_bound() -> None:
    one = breaker()
    for t_s in range(3):
        one.failed(t_s)

    waits = []
    now_s = 2.0
    for _ in range(4):
        now_s += one.wait_s(now_s)
        assert one.failed(now_s)
        waits.append(one.wait_s(now_s))

    assert waits == [20, 35, 35, 35]
    assert one.n_openings == 5


def test_a_success_closes_it_and_its_first_time_is_short_again() -> None:
    one = breaker()
    for t_s in range(3):
        one.failed(t_s)
    one.succeeded()

    assert one.state(3) is BreakerState.CLOSED
    assert [one.failed(t) for t in (4, 5, 6)] == [False, False, True]
    assert one.wait_s(6) == 10


@given(st.lists(st.sampled_from(("fail", "succeed", "wait")), max_size=60))
def test_a_breaker_that_is_open_says_for_how_long_and_one_that_is_not_does_not(
    events: list[str],
) -> None:
    one, now_s, in_a_row = breaker(), 0.0, 0
    for event in events:
        if event == "wait":
            now_s += 7
        elif event == "fail":
            in_a_row += 1
            one.failed(now_s)
        else:
            in_a_row = 0
            one.succeeded()
        assert one.n_failures == in_a_row
        assert (one.wait_s(now_s) > 0) == (one.state(now_s) is BreakerState.OPEN)
        assert (one.state(now_s) is BreakerState.CLOSED) == (in_a_row < 3)
        assert one.wait_s(now_s) <= 35


def progress(n_payloads: int, period_s: float | None = 1.0) -> dict[str, Progress]:
    return {"ecg": Progress(characteristic="c", n_payloads=n_payloads, period_s=period_s)}


def test_the_ladder_is_climbed_one_rung_after_another() -> None:
    watch = StreamWatch(LIMITS)
    steps = []
    for t_s in range(20):
        steps += [(t_s, one.step) for one in watch.look(progress(5), t_s)]

    assert steps == [
        (4, WatchStep.RESUBSCRIBE),
        (8, WatchStep.RESTART),
        (12, WatchStep.RECONNECT),
        (16, WatchStep.RECONNECT),
    ]


def test_a_stream_that_goes_on_is_left_alone_and_begins_at_the_first_rung_again() -> None:
    watch = StreamWatch(LIMITS)
    watch.look(progress(5), 0)
    (stall,) = watch.look(progress(5), 4)
    assert (stall.step, stall.silent_s) == (WatchStep.RESUBSCRIBE, 4)

    assert watch.look(progress(6), 5) == []
    (stall,) = watch.look(progress(6), 9)
    assert stall.step is WatchStep.RESUBSCRIBE


def test_the_first_payload_is_waited_for_longer() -> None:
    watch = StreamWatch(LIMITS)
    watch.look(progress(0, None), 0)

    assert watch.look(progress(0, None), 19) == []
    assert [one.step for one in watch.look(progress(0, None), 20)] == [WatchStep.RESUBSCRIBE]


def test_a_stream_that_is_ignored_is_silent_for_good() -> None:
    watch = StreamWatch(LIMITS)
    watch.look(progress(5), 0)
    watch.ignore("ecg")

    assert watch.look(progress(5), 100) == []


@pytest.mark.parametrize(("period_s", "silence_s"), [(0.1, 2.0), (1.0, 4.0), (60.0, 20.0)])
def test_silence_is_a_number_of_periods_within_bounds(period_s: float, silence_s: float) -> None:
    assert LIMITS.silence_s(period_s) == silence_s


@given(st.lists(st.tuples(st.floats(0.01, 3), st.booleans()), min_size=1, max_size=80))
def test_no_step_is_due_while_payloads_come_in_time(looks: list[tuple[float, bool]]) -> None:
    watch, now_s, heard_s, n_payloads = StreamWatch(LIMITS), 0.0, 0.0, 1
    watch.look(progress(n_payloads), now_s)
    for pause_s, comes in looks:
        now_s += pause_s
        n_payloads += comes
        stalls = watch.look(progress(n_payloads), now_s)
        if comes:
            heard_s = now_s
        assert not stalls or now_s - heard_s >= LIMITS.silence_s(1.0)


def scan_watch() -> ScanWatch:
    return ScanWatch(silence_s=10, silence_s_max=35, now_s=0)


def steps_of(watch: ScanWatch, until_s: int, *, links: bool = False) -> list[tuple[int, str]]:
    due = ((t, watch.due(t, expected=True, carries_links=links)) for t in range(until_s))
    return [(t, step.value) for t, step in due if step is not None]


def test_a_silent_adapter_is_restarted_then_power_cycled_and_each_round_waits_longer() -> None:
    assert steps_of(scan_watch(), 130) == [
        (10, "restart_scanner"),
        (20, "power_cycle"),
        (40, "restart_scanner"),
        (60, "power_cycle"),
        (95, "restart_scanner"),
    ]


def test_an_adapter_with_links_is_never_power_cycled() -> None:
    assert {step for _, step in steps_of(scan_watch(), 500, links=True)} == {
        ScanStep.RESTART_SCANNER
    }


def test_silence_proves_nothing_while_no_device_is_expected() -> None:
    watch = scan_watch()
    for t_s in range(100):
        assert watch.due(t_s, expected=False, carries_links=False) is None
    assert watch.due(108, expected=True, carries_links=False) is None
    assert watch.due(109, expected=True, carries_links=False) is ScanStep.RESTART_SCANNER


def test_an_advertisement_ends_the_silence() -> None:
    watch = scan_watch()
    steps_of(watch, 30)
    watch.heard(30)

    assert watch.due(39, expected=True, carries_links=False) is None
    assert watch.due(40, expected=True, carries_links=False) is ScanStep.RESTART_SCANNER
