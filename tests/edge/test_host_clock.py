"""The host's wall clock against its monotonic one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.host_clock import HostClock
from ingest.frame import NS_PER_S

MS = 1_000_000
UTC_0_NS = 1_790_000_000 * NS_PER_S
HOUR_NS = 3_600 * NS_PER_S


def test_without_steps_and_slews_steady_time_is_utc() -> None:
    clock = HostClock(5 * NS_PER_S, UTC_0_NS)

    now = clock.read(15 * NS_PER_S, UTC_0_NS + 10 * NS_PER_S)

    assert now.steady_ns == now.utc_ns == UTC_0_NS + 10 * NS_PER_S
    assert now.stepped_ns == 0
    assert clock.rate_ppt == 0


@pytest.mark.parametrize("step_ns", [5 * NS_PER_S, -5 * NS_PER_S, HOUR_NS, -HOUR_NS])
def test_a_step_of_the_wall_is_told_once_and_leaves_steady_time_alone(step_ns: int) -> None:
    clock = HostClock(0, UTC_0_NS)
    clock.read(NS_PER_S, UTC_0_NS + NS_PER_S)

    stepped = clock.read(2 * NS_PER_S, UTC_0_NS + 2 * NS_PER_S + step_ns)
    after = clock.read(3 * NS_PER_S, UTC_0_NS + 3 * NS_PER_S + step_ns)

    assert stepped.stepped_ns == step_ns
    assert after.stepped_ns == 0
    assert after.steady_ns == UTC_0_NS + 3 * NS_PER_S
    assert after.utc_ns == UTC_0_NS + 3 * NS_PER_S + step_ns


def test_a_slew_of_500_ppm_is_followed_exactly_and_is_no_step_and_no_rate() -> None:
    clock = HostClock(0, UTC_0_NS)
    for s in range(1, 1_200):
        slewed_ns = 500_000 * max(0, min(s - 600, 60))
        now = clock.read(s * NS_PER_S, UTC_0_NS + s * NS_PER_S + slewed_ns)

        assert now.correction_ns == slewed_ns
        assert now.stepped_ns == 0
        assert abs(clock.rate_ppt) < 1_000


def test_the_rate_of_a_raw_clock_is_known_after_a_minute_or_two() -> None:
    clock = HostClock(0, UTC_0_NS)
    for s in range(1, 125):
        clock.read(s * NS_PER_S, UTC_0_NS + s * (NS_PER_S + 30_000))

    assert clock.rate_ppt == 30 * 10**6


def test_a_program_that_was_interrupted_between_two_clocks_moves_nothing() -> None:
    clock = HostClock(0, UTC_0_NS)
    clock.read(NS_PER_S, UTC_0_NS + NS_PER_S)

    held_up = clock.read(2 * NS_PER_S, UTC_0_NS + 2 * NS_PER_S + 80 * MS)
    after = clock.read(3 * NS_PER_S, UTC_0_NS + 3 * NS_PER_S)

    assert held_up.correction_ns <= MS
    assert after.correction_ns == 0


def test_a_step_changes_no_rate() -> None:
    clock = HostClock(0, UTC_0_NS)
    for s in range(1, 300):
        clock.read(s * NS_PER_S, UTC_0_NS + s * (NS_PER_S + 30_000) + (s > 130) * HOUR_NS)

    assert clock.rate_ppt == 30 * 10**6


@pytest.mark.parametrize("correction_ns", [0, 5 * NS_PER_S, -HOUR_NS])
def test_steady_time_goes_on_behind_a_restart_and_a_reboot(correction_ns: int) -> None:
    before = HostClock(100 * NS_PER_S, UTC_0_NS)
    last = before.read(101 * NS_PER_S, UTC_0_NS + NS_PER_S + correction_ns)
    wall_ns = UTC_0_NS + 61 * NS_PER_S + correction_ns

    # The monotonic clock of the next boot begins at 0.
    after = HostClock(3 * NS_PER_S, wall_ns, correction_ns=before.correction_ns)
    now = after.read(3 * NS_PER_S, wall_ns)

    assert now.steady_ns - last.steady_ns == 60 * NS_PER_S
    assert now.utc_ns == wall_ns


def test_stamps_that_are_read_out_of_order_keep_their_own_time() -> None:
    clock = HostClock(0, UTC_0_NS)
    clock.read(5 * NS_PER_S, UTC_0_NS + 5 * NS_PER_S)

    earlier = clock.read(4 * NS_PER_S, UTC_0_NS + 4 * NS_PER_S)

    assert earlier.utc_ns == UTC_0_NS + 4 * NS_PER_S


@given(st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 2**62)), max_size=30))
def test_steady_time_is_the_monotonic_clock_whatever_the_wall_does(
    stamps: list[tuple[int, int]],
) -> None:
    clock = HostClock(0, UTC_0_NS)
    for mono_ns, wall_ns in stamps:
        now = clock.read(mono_ns, wall_ns)

        assert now.steady_ns == mono_ns + UTC_0_NS
        assert now.utc_ns == now.steady_ns + now.correction_ns
