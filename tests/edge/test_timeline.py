"""Numbering and timing of samples from device time stamps."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.timeline import DelayEnvelope, StreamState, Timeline
from ingest.frame import NS_PER_S, SamplePeriod

PERIOD = SamplePeriod(ns_numerator=25_000_000, ns_denominator=9)  # 360 Hz
DEVICE_0_NS = 700_000_000 * NS_PER_S
UTC_0_NS = 1_790_000_000 * NS_PER_S


def stamp(i_sample: int) -> int:
    return DEVICE_0_NS + round(Fraction(i_sample) * PERIOD.ns_numerator / PERIOD.ns_denominator)


def arrival(i_sample: int, delay_ns: int = 5_000_000) -> int:
    return UTC_0_NS + stamp(i_sample) - DEVICE_0_NS + delay_ns


def play(timeline: Timeline, ends: list[int], begin: int = 0) -> list[tuple[int, int, int]]:
    """Place payloads that end before the given samples; give index, time and loss of each."""
    placed = []
    for start, end in itertools.pairwise([begin, *ends]):
        placement = timeline.place(
            device_last_ns=stamp(end - 1), n_samples=end - start, received_ns=arrival(end - 1)
        )
        placed.append((placement.i_first, placement.t0_ns, placement.n_missing))
    return placed


@given(st.lists(st.integers(1, 80), min_size=1, max_size=60))
def test_payloads_of_any_length_lie_on_one_grid(lengths: list[int]) -> None:
    timeline = Timeline(PERIOD)
    ends = list(itertools.accumulate(lengths))

    placed = play(timeline, ends)

    assert [i for i, _, _ in placed] == [0, *ends[:-1]]
    assert all(missing == 0 for _, _, missing in placed)
    epoch_ns = placed[0][1]
    assert [t for _, t, _ in placed] == [epoch_ns + PERIOD.offset_ns(i) for i in [0, *ends[:-1]]]


@given(
    st.lists(st.tuples(st.integers(1, 80), st.booleans()), min_size=3, max_size=60),
)
def test_lost_payloads_are_counted_to_the_sample(payloads: list[tuple[int, bool]]) -> None:
    timeline = Timeline(PERIOD)
    i_sample, lost, received, missing = 0, 0, 0, 0
    for n, (length, arrives) in enumerate(payloads):
        if n == 0 or arrives:
            placement = timeline.place(
                device_last_ns=stamp(i_sample + length - 1),
                n_samples=length,
                received_ns=arrival(i_sample + length - 1),
            )
            assert placement.i_first == i_sample
            missing += placement.n_missing
            received += length
            lost_before_last_arrival = lost
        else:
            lost += length
        i_sample += length
    assert missing == lost_before_last_arrival


def test_a_restarted_agent_goes_on_behind_the_last_sample_that_was_stored() -> None:
    before = Timeline(PERIOD)
    play(before, [73, 146])
    after = Timeline(PERIOD, before.state)

    placement = after.place(
        device_last_ns=stamp(10_000 + 72), n_samples=73, received_ns=arrival(10_000 + 72)
    )

    assert placement.i_first == 10_000
    assert placement.n_missing == 10_000 - 146
    assert before.state is not None
    assert placement.t0_ns == before.state.epoch_ns + PERIOD.offset_ns(10_000)


def test_a_payload_that_comes_twice_counts_once() -> None:
    timeline = Timeline(PERIOD)
    play(timeline, [73, 146])
    state = timeline.state

    again = timeline.place(device_last_ns=stamp(145), n_samples=73, received_ns=arrival(150))
    older = timeline.place(device_last_ns=stamp(72), n_samples=73, received_ns=arrival(151))

    assert again.duplicate
    assert older.duplicate
    assert timeline.state == state


@pytest.mark.parametrize("jump_ns", [-3 * 365 * 86_400 * NS_PER_S, 86_400 * NS_PER_S])
def test_a_clock_that_jumps_begins_a_new_grid_behind_the_old_one(jump_ns: int) -> None:
    timeline = Timeline(PERIOD)
    play(timeline, [73, 146])
    i_first = 146 + 360 * 10  # ten seconds were missed while the device rebooted

    placement = timeline.place(
        device_last_ns=stamp(i_first + 72) + jump_ns,
        n_samples=73,
        received_ns=arrival(i_first + 72),
    )

    assert placement.clock_jumped
    assert placement.i_first == pytest.approx(i_first, abs=2)
    assert placement.n_missing == placement.i_first - 146
    assert placement.t0_ns > arrival(145)


def test_no_two_samples_share_a_time_after_a_jump_with_late_arrival() -> None:
    timeline = Timeline(PERIOD)
    placed = play(timeline, [73, 146])
    t_last_ns = placed[1][1] + PERIOD.offset_ns(145) - PERIOD.offset_ns(73)

    placement = timeline.place(
        device_last_ns=stamp(200) + 86_400 * NS_PER_S, n_samples=73, received_ns=arrival(146)
    )

    assert placement.t0_ns > t_last_ns


def test_another_rate_is_another_numbering() -> None:
    before = Timeline(PERIOD)
    play(before, [73])

    after = Timeline(SamplePeriod(ns_numerator=NS_PER_S, ns_denominator=130), before.state)

    assert after.state is None


def test_a_worse_crystal_than_nominal_does_not_look_like_loss() -> None:
    timeline = Timeline(PERIOD)
    for n in range(1, 20_000):
        end_ns = stamp(73 * n - 1)
        drifted_ns = DEVICE_0_NS + round((end_ns - DEVICE_0_NS) * (1 + 200e-6))
        placement = timeline.place(
            device_last_ns=drifted_ns,
            n_samples=73,
            received_ns=UTC_0_NS + drifted_ns - DEVICE_0_NS,
        )
        assert placement.n_missing == 0


def test_drift_is_seen_through_the_radios_delays() -> None:
    envelope = DelayEnvelope()
    for n in range(40_000):
        device_ns = n * 200_000_000
        utc_ns = round(device_ns * (1 + 50e-6))
        delay_ns = 4_000_000 + (n * 7919 % 45) * 1_000_000
        envelope.add(device_ns, device_ns, utc_ns + delay_ns)

    assert envelope.drift_ppm == pytest.approx(50, abs=2)


@given(
    st.lists(
        st.tuples(st.integers(0, 2**63), st.integers(1, 500), st.integers(0, 2**61)), max_size=30
    )
)
def test_any_time_stamps_give_rising_numbers_and_times(
    payloads: list[tuple[int, int, int]],
) -> None:
    timeline = Timeline(PERIOD)
    i_next, t_next_ns = 0, -(2**63)
    for device_ns, n_samples, received_ns in sorted(payloads, key=lambda one: one[2]):
        placement = timeline.place(
            device_last_ns=device_ns, n_samples=n_samples, received_ns=received_ns
        )
        if placement.duplicate:
            continue
        assert placement.i_first >= i_next
        assert placement.t0_ns >= t_next_ns
        i_next = placement.i_first + n_samples
        t_next_ns = placement.t0_ns + PERIOD.offset_ns(n_samples)


def test_the_state_names_all_that_a_restart_needs() -> None:
    timeline = Timeline(PERIOD)
    play(timeline, [73])

    assert timeline.state == StreamState(
        epoch_ns=arrival(72) - PERIOD.offset_ns(72),
        i_next=73,
        period=PERIOD,
        device_last_ns=stamp(72),
        received_last_ns=arrival(72),
    )
