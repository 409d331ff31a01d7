"""The host's wall clock against its monotonic one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.clocks.clock_state import host_state, host_text
from edge.clocks.host_clock import LEAD_KEPT_NS_MAX, HostClock, HostState
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


def kept(clock: HostClock) -> HostState:
    return host_state(host_text(clock.state))


@pytest.mark.parametrize("correction_ns", [0, 5 * NS_PER_S, -HOUR_NS])
def test_steady_time_goes_on_behind_a_reboot(correction_ns: int) -> None:
    before = HostClock(100 * NS_PER_S, UTC_0_NS, boot="first")
    last = before.read(101 * NS_PER_S, UTC_0_NS + NS_PER_S + correction_ns)
    wall_ns = UTC_0_NS + 61 * NS_PER_S + correction_ns

    # The monotonic clock of the next boot begins at 0.
    after = HostClock(3 * NS_PER_S, wall_ns, boot="second", before=kept(before))
    now = after.read(3 * NS_PER_S, wall_ns)

    assert now.steady_ns - last.steady_ns == 60 * NS_PER_S
    assert now.utc_ns == wall_ns
    assert now.told_ns >= last.told_ns
    assert now.stepped_ns == 0


@pytest.mark.parametrize("step_ns", [HOUR_NS, -HOUR_NS, 10 * MS])
def test_a_wall_that_was_set_between_two_runs_of_one_boot_leaves_steady_time_alone(
    step_ns: int,
) -> None:
    before = HostClock(100 * NS_PER_S, UTC_0_NS, boot="first")
    last = before.read(101 * NS_PER_S, UTC_0_NS + NS_PER_S)

    wall_ns = UTC_0_NS + 61 * NS_PER_S + step_ns
    after = HostClock(161 * NS_PER_S, wall_ns, boot="first", before=kept(before))
    now = after.read(161 * NS_PER_S, wall_ns)

    assert now.steady_ns - last.steady_ns == 60 * NS_PER_S
    assert now.utc_ns == wall_ns
    assert now.told_ns >= last.told_ns
    assert now.stepped_ns == (step_ns if abs(step_ns) == HOUR_NS else 0)


def test_the_rate_of_the_crystal_is_known_behind_a_reboot() -> None:
    before = HostClock(0, UTC_0_NS, boot="first")
    for s in range(1, 125):
        before.read(s * NS_PER_S, UTC_0_NS + s * (NS_PER_S + 30_000))

    after = HostClock(NS_PER_S, UTC_0_NS + 600 * NS_PER_S, boot="second", before=kept(before))

    assert after.rate_ppt == 30 * 10**6


@pytest.mark.parametrize("boot", ["", "first", "second"])
def test_a_restart_in_one_boot_changes_nothing(boot: str) -> None:
    clock = HostClock(0, UTC_0_NS, boot="first")
    for s in range(1, 125):
        clock.read(s * NS_PER_S, UTC_0_NS + s * (NS_PER_S + 30_000) - (s > 100) * 5 * NS_PER_S)
    wall_ns = UTC_0_NS + 125 * NS_PER_S - 5 * NS_PER_S

    restarted = HostClock(125 * NS_PER_S, wall_ns, boot=boot, before=kept(clock))

    same = clock.read(125 * NS_PER_S, wall_ns) == restarted.read(125 * NS_PER_S, wall_ns)
    assert same == (boot == "first")


def test_a_wall_that_was_in_2038_by_mistake_is_forgotten_by_the_next_boot() -> None:
    before = HostClock(0, UTC_0_NS + 12 * 365 * 24 * HOUR_NS, boot="first")

    after = HostClock(0, UTC_0_NS, boot="second", before=kept(before))

    assert after.read(0, UTC_0_NS).told_ns == UTC_0_NS


@pytest.mark.parametrize(("step_s", "lead_s"), [(5, 0), (9, 3), (3_600, 3_600)])
def test_told_time_is_slowed_down_for_a_small_step_back_and_keeps_its_rate_for_a_great_one(
    step_s: int, lead_s: int
) -> None:
    clock = HostClock(0, UTC_0_NS)
    now = clock.read(0, UTC_0_NS)
    for s in range(1, 1_201):
        now = clock.read(s * NS_PER_S, UTC_0_NS + (s - step_s) * NS_PER_S)

    assert now.lead_ns == pytest.approx(lead_s * NS_PER_S, abs=10 * MS)
    assert now.told_ns == now.utc_ns + now.lead_ns


def test_a_host_that_is_set_forward_again_tells_utc() -> None:
    clock = HostClock(0, UTC_0_NS)
    clock.read(NS_PER_S, UTC_0_NS + NS_PER_S - HOUR_NS)

    now = clock.read(2 * NS_PER_S, UTC_0_NS + 2 * NS_PER_S)

    assert now.told_ns == now.utc_ns == UTC_0_NS + 2 * NS_PER_S


@given(
    st.lists(
        st.tuples(
            st.integers(1, 2**36),
            st.one_of(st.integers(-(2**20), 2**20), st.integers(-(2**45), 2**45)),
            st.sampled_from(["", "first", "second"]),
        ),
        max_size=30,
    )
)
def test_told_time_never_goes_back_whatever_the_wall_does(
    course: list[tuple[int, int, str]],
) -> None:
    clock, boot = HostClock(0, UTC_0_NS, boot=""), ""
    mono_ns, wall_ns, told_ns = 0, UTC_0_NS, UTC_0_NS
    for pause_ns, set_ns, next_boot in course:
        mono_ns, wall_ns = mono_ns + pause_ns, wall_ns + pause_ns + set_ns
        if next_boot != boot:
            clock, boot = HostClock(mono_ns, wall_ns, boot=next_boot, before=kept(clock)), next_boot
            if told_ns - wall_ns > LEAD_KEPT_NS_MAX - NS_PER_S:
                told_ns = 0  # an agent that starts a day earlier than it ended was wrong before
        now = clock.read(mono_ns, wall_ns)

        assert now.told_ns >= told_ns
        assert clock.at(now.told_ns) == replace(now, stepped_ns=0)
        told_ns = now.told_ns


def test_a_payload_from_before_a_step_is_no_step() -> None:
    clock = HostClock(0, UTC_0_NS)
    clock.read(2 * NS_PER_S, UTC_0_NS + 2 * NS_PER_S + HOUR_NS)

    late = clock.read(NS_PER_S, UTC_0_NS + NS_PER_S)

    assert late.stepped_ns == 0
    assert late.utc_ns == UTC_0_NS + NS_PER_S + HOUR_NS


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
