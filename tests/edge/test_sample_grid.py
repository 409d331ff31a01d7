"""Numbers and times of samples on grids that follow the hull."""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clocks.clock_hull import Arrival, ClockHull
from edge.clocks.clock_state import grid_state, grid_text, hull_state, hull_text
from edge.clocks.host_clock import HostClock
from edge.clocks.sample_grid import GridPlacement, GridState, MappedStamp, SampleGrid, map_stamp
from ingest.frame import NS_PER_S, SamplePeriod, WaveformBlock
from processors.dsp.sample_clock import SampleClock
from tests.edge.radio_model import (
    DEVICE_0_NS,
    LEAST_DELAY_NS,
    N_SAMPLES,
    RATE_HZ,
    UTC_0_NS,
    Packet,
    Radio,
    constant,
    ramp,
)

MS: Final = 1_000_000
WARM_UP_S: Final = 600
NOMINAL: Final = SamplePeriod(ns_numerator=NS_PER_S, ns_denominator=RATE_HZ)
HOUR_NS: Final = 3_600 * NS_PER_S


def stamped(device_ns: int, t_ns: int, *, drift_ppt: int = 0, segment: int = 0) -> MappedStamp:
    return MappedStamp(
        device_ns=device_ns, steady_ns=t_ns, t_ns=t_ns, drift_ppt=drift_ppt, segment=segment
    )


def on_time(t_ns: int) -> int:
    """Give the wall of a host that is always right."""
    return t_ns


@dataclass(slots=True)
class Receiver:
    """What an agent does with a stream's payloads."""

    wall: Callable[[int], int] = on_time
    """What the wall shows; the monotonic clock shows true time."""
    hull: ClockHull = field(default_factory=lambda: ClockHull(least_delay_ns=LEAST_DELAY_NS))
    grid: SampleGrid = field(default_factory=lambda: SampleGrid(NOMINAL))
    host: HostClock | None = None
    n_host_steps: int = 0

    def take(self, packet: Packet, n_samples: int = N_SAMPLES) -> GridPlacement:
        wall_ns = UTC_0_NS + self.wall(packet.arrival_ns)
        self.host = self.host or HostClock(packet.arrival_ns, wall_ns)
        now = self.host.read(packet.arrival_ns, wall_ns)
        self.n_host_steps += now.stepped_ns != 0
        self.hull.add(packet.device_ns, now.steady_ns)
        stamp = map_stamp(packet.device_ns, self.hull, now)
        return self.grid.place(stamp, n_samples)

    def restart(self) -> None:
        assert self.hull.state is not None
        assert self.grid.state is not None
        hull = hull_state(hull_text(self.hull.state))
        self.hull = ClockHull(hull, least_delay_ns=LEAST_DELAY_NS)
        self.grid = SampleGrid(NOMINAL, grid_state(grid_text(self.grid.state)))


@dataclass(frozen=True, slots=True)
class Placed:
    """A payload and where it went."""

    packet: Packet
    placement: GridPlacement
    last_ns: int
    """Time of its last sample on the grid."""

    @property
    def t_s(self) -> float:
        return self.packet.true_ns / NS_PER_S

    @property
    def error_ns(self) -> int:
        return self.last_ns - UTC_0_NS - self.packet.true_ns


def play(packets: Iterable[Packet], receiver: Receiver | None = None) -> Iterator[Placed]:
    """Place payloads and hold each to what every grid promises."""
    receiver = receiver or Receiver()
    newest_ns, i_next = -(2**62), 0
    for packet in packets:
        before = receiver.grid.state
        placement = receiver.take(packet)
        if placement.duplicate:
            continue
        state = receiver.grid.state
        assert state is not None
        assert placement.t0_ns > newest_ns
        assert placement.i_first == i_next + placement.n_missing
        if placement.grid_changed and before is not None and not placement.n_missing:
            assert placement.t0_ns >= before.time_ns(placement.i_first)
            assert_nothing_is_lost_in_processing(before, placement)
        if placement.grid_changed:
            times = block(placement).times_ns()
            assert (np.diff(times) > 0).all()
            assert times[-1] == state.time_ns(state.i_next - 1)
        if before is not None:
            assert placement.gap_t0_ns == before.time_ns(before.i_next)
        newest_ns, i_next = state.time_ns(state.i_next - 1), state.i_next
        yield Placed(packet, placement, newest_ns)


def block(placement: GridPlacement) -> WaveformBlock:
    return WaveformBlock(
        device_id="d",
        channel="ecg",
        mdc_code=1,
        unit="mV",
        scale=1.0,
        offset=0.0,
        i_first=placement.i_first,
        t0_ns=placement.t0_ns,
        period=placement.period,
        counts=np.zeros(N_SAMPLES, np.int32),
    )


def assert_nothing_is_lost_in_processing(before: GridState, placement: GridPlacement) -> None:
    """Do what a chain does that begins on a new grid: go on behind the newest sample's end."""
    clock = SampleClock(
        epoch_ns=block(placement).epoch_ns,
        period_num_ns=placement.period.ns_numerator,
        period_den=placement.period.ns_denominator,
    )
    assert clock.index_at_or_after(before.time_ns(before.i_next)) <= placement.i_first


def n_changes(placed: list[Placed], from_s: float = WARM_UP_S) -> int:
    return sum(one.placement.grid_changed for one in placed if one.t_s > from_s)


def error_ns_max(placed: list[Placed], from_s: float = WARM_UP_S, to_s: float = 1e9) -> int:
    return max(abs(one.error_ns) for one in placed if from_s < one.t_s < to_s)


@pytest.mark.parametrize("ppm", [80, -80, 20, -20])
def test_four_hours_stay_within_six_milliseconds_on_few_grids(ppm: float) -> None:
    placed = list(play(Radio(ppm=constant(ppm), hours=4, seed=7).packets()))

    assert error_ns_max(placed) < 4 * MS
    assert n_changes(placed) <= 4
    assert sum(one.placement.n_missing for one in placed) == 0
    assert all(one.placement.i_first == one.packet.i_last + 1 - N_SAMPLES for one in placed)


@pytest.mark.parametrize("late_ms", [45, 300, 1_500])
def test_a_first_payload_that_was_late_is_made_up_for(late_ms: int) -> None:
    radio = Radio(
        ppm=constant(-80), hours=0.5, late_ns=lambda t_s: late_ms * MS if t_s < 0.1 else 0
    )

    placed = list(play(radio.packets()))

    assert placed[0].error_ns >= late_ms * MS
    assert error_ns_max(placed) < 6 * MS


def test_the_period_of_the_frame_is_the_true_one() -> None:
    radio = Radio(ppm=constant(80), hours=1)
    *_, last = play(radio.packets())

    true_hz = RATE_HZ * (1 + 80e-6)
    assert last.placement.period.rate_hz == pytest.approx(true_hz, rel=2e-6)


@pytest.mark.parametrize("change", [(80, 90), (80, 70), (-80, -70), (-80, -90)])
def test_a_crystal_that_changes_by_ten_ppm_in_two_minutes_is_followed(
    change: tuple[float, float],
) -> None:
    radio = Radio(ppm=ramp(*change, at_s=3_000, lasts_s=120), hours=2)

    placed = list(play(radio.packets()))

    assert error_ns_max(placed) < 6 * MS
    assert n_changes(placed, from_s=3_000) <= 8


def test_ten_minutes_of_late_packets_do_not_move_the_times() -> None:
    radio = Radio(
        ppm=constant(50),
        hours=2,
        late_ns=lambda t_s: 100 * MS if 4_000 < t_s < 4_600 else 0,
    )

    placed = list(play(radio.packets()))

    assert error_ns_max(placed) < 6 * MS
    assert not any(one.placement.n_missing or one.placement.clock_jumped for one in placed)


@pytest.mark.parametrize("ppm", [80, -80])
@pytest.mark.parametrize("rate_error_ppm", [0, 3_000])
def test_the_samples_lost_in_an_hour_are_counted_to_the_sample(
    ppm: float, rate_error_ppm: int
) -> None:
    radio = Radio(ppm=constant(ppm), hours=2, silent=lambda t_s: 2_000 < t_s < 5_600)
    packets = [_faster(one, rate_error_ppm) for one in radio.packets()]

    placed = list(play(packets))

    assert all(one.placement.i_first == one.packet.i_last + 1 - N_SAMPLES for one in placed)
    assert sum(one.placement.n_missing > 0 for one in placed) == 1


def _faster(packet: Packet, ppm: int) -> Packet:
    """Give the packet of a device that takes its samples faster than it says."""

    def sooner(t_ns: int) -> int:
        return t_ns * 1_000_000 // (1_000_000 + ppm)

    return Packet(
        i_last=packet.i_last,
        true_ns=sooner(packet.true_ns),
        device_ns=DEVICE_0_NS + sooner(packet.device_ns - DEVICE_0_NS),
        arrival_ns=sooner(packet.arrival_ns),
    )


def test_behind_a_long_gap_the_grid_begins_where_it_is_right() -> None:
    # The host is set back by 400 ms while nothing comes: without the gap that takes 80 s.
    def wall(t_ns: int) -> int:
        return t_ns - (400 * MS if t_ns > 2_100 * NS_PER_S else 0)

    radio = Radio(ppm=constant(20), hours=1, silent=lambda t_s: 2_000 < t_s < 2_400)

    placed = list(play(radio.packets(), Receiver(wall)))

    after = [one for one in placed if one.t_s > 2_400]
    assert after[0].placement.grid_changed
    assert all(abs(one.error_ns + 400 * MS) < 6 * MS for one in after)


@pytest.mark.parametrize("device_ns", [0, 620_000_000 * NS_PER_S - 365 * 24 * HOUR_NS])
def test_a_sensor_that_reboots_goes_on_behind_its_last_sample(device_ns: int) -> None:
    radio = Radio(ppm=constant(80), hours=1)
    packets = [
        replace(one, device_ns=one.device_ns - DEVICE_0_NS + device_ns)
        if one.true_ns > 1_830 * NS_PER_S
        else one
        for one in radio.packets()
        if not 1_800 * NS_PER_S < one.true_ns < 1_830 * NS_PER_S
    ]

    placed = list(play(packets))

    jumped = [one for one in placed if one.placement.clock_jumped]
    assert len(jumped) == 1
    assert 1_829 < jumped[0].t_s < 1_831  # its first payload
    assert jumped[0].placement.n_missing == pytest.approx(30 * RATE_HZ, abs=N_SAMPLES)
    assert error_ns_max(placed, 700, 1_800) < 4 * MS
    assert error_ns_max(placed, 1_800, 2_000) < 350 * MS
    assert error_ns_max(placed, 2_000) < 4 * MS


@pytest.mark.parametrize("step_ns", [5 * NS_PER_S, HOUR_NS])
def test_a_host_set_forward_moves_the_grid_at_once_and_no_sample_is_lost(step_ns: int) -> None:
    receiver = Receiver(lambda t_ns: t_ns + (step_ns if t_ns > 2_000 * NS_PER_S else 0))

    placed = list(play(Radio(ppm=constant(80), hours=1.5).packets(), receiver))

    assert receiver.n_host_steps == 1
    assert not any(one.placement.n_missing or one.placement.clock_jumped for one in placed)
    after = [one for one in placed if one.t_s > 2_000]
    assert all(abs(one.error_ns - step_ns) < 6 * MS for one in after)
    assert n_changes(placed, 1_999) <= 4


def test_a_host_set_back_a_little_is_followed_by_slower_time() -> None:
    step_ns = 300 * MS
    receiver = Receiver(lambda t_ns: t_ns - (step_ns if t_ns > 2_000 * NS_PER_S else 0))

    placed = list(play(Radio(ppm=constant(80), hours=1.5).packets(), receiver))

    assert receiver.n_host_steps == 1
    assert not any(one.placement.n_missing or one.placement.clock_jumped for one in placed)
    assert all(abs(one.error_ns + step_ns) < 6 * MS for one in placed if one.t_s > 2_100)
    assert n_changes(placed, 1_999) <= 6


@pytest.mark.parametrize("step_ns", [-5 * NS_PER_S, -HOUR_NS])
def test_a_host_set_back_far_never_turns_time_back(step_ns: int) -> None:
    receiver = Receiver(lambda t_ns: t_ns + (step_ns if t_ns > 2_000 * NS_PER_S else 0))

    placed = list(play(Radio(ppm=constant(80), hours=1.5).packets(), receiver))

    assert receiver.n_host_steps == 1
    assert not any(one.placement.n_missing or one.placement.clock_jumped for one in placed)
    assert n_changes(placed, 1_999) <= 6
    assert receiver.grid.state is not None
    lead_ns = placed[-1].last_ns - UTC_0_NS - placed[-1].packet.true_ns - step_ns
    if step_ns == -HOUR_NS:  # the grid keeps its rate
        assert lead_ns == pytest.approx(HOUR_NS, abs=50 * MS)
    else:
        assert abs(lead_ns) < 6 * MS
    # What is told of the last payload is that it is ahead by so much.
    assert placed[-1].placement.error_ns == pytest.approx(-lead_ns, abs=6 * MS)


def test_a_host_that_is_slewed_for_a_minute_is_followed() -> None:
    # The monotonic clock here is one that nobody slews.
    def wall(t_ns: int) -> int:
        return t_ns + max(0, min(t_ns - 2_000 * NS_PER_S, 60 * NS_PER_S)) * 500 // 1_000_000

    placed = list(play(Radio(ppm=constant(20), hours=1.5).packets(), Receiver(wall)))

    off_ns = [
        (one.t_s, abs(one.error_ns + one.packet.true_ns - wall(one.packet.true_ns)))
        for one in placed
        if one.t_s > 1_000
    ]
    assert max(off for _, off in off_ns) < 25 * MS
    assert max(off for t_s, off in off_ns if t_s < 2_000 or t_s > 2_130) < 6 * MS
    assert n_changes(placed, 1_999) <= 8


def test_duplicates_and_overtaken_payloads_count_once() -> None:
    rng = random.Random(3)
    packets: list[Packet] = []
    for packet in Radio(ppm=constant(80), hours=0.5).packets():
        packets.append(packet)
        if rng.random() < 0.1:
            packets.append(replace(packet, arrival_ns=packet.arrival_ns + rng.randrange(NS_PER_S)))
        if rng.random() < 0.05 and len(packets) > 2:
            packets[-1], packets[-2] = packets[-2], packets[-1]

    placed = list(play(packets))

    for one in placed:
        assert one.placement.i_first == one.packet.i_last + 1 - N_SAMPLES
    n_known = sum(N_SAMPLES + one.placement.n_missing for one in placed)
    assert n_known == placed[-1].packet.i_last + 1


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 3_000), max_size=4), st.integers(0, 2**32))
def test_a_restart_at_any_payload_changes_nothing(cuts: list[int], seed: int) -> None:
    packets = list(Radio(ppm=constant(80), hours=0.5, seed=seed).packets())
    whole, parts = Receiver(), Receiver()
    for i, packet in enumerate(packets):
        if i in cuts:
            parts.restart()

        assert whole.take(packet) == parts.take(packet)

    assert whole.grid.state == parts.grid.state


def test_a_rate_that_is_none_is_not_learned() -> None:
    # Stamps that advance by half of what their samples last.
    grid = SampleGrid(NOMINAL)
    for n in range(2_500):
        t_ns = UTC_0_NS + n * NS_PER_S // 4
        grid.place(stamped(t_ns, t_ns), RATE_HZ // 2)

    assert grid.state is not None
    rate = grid.state.rate
    assert (rate.span_ns, rate.n_samples) == (NOMINAL.ns_numerator, NOMINAL.ns_denominator)


def test_another_rate_is_another_numbering() -> None:
    receiver = Receiver()
    list(play(Radio(ppm=constant(0), hours=0.01).packets(), receiver))

    other = SampleGrid(SamplePeriod(ns_numerator=NS_PER_S, ns_denominator=200), receiver.grid.state)

    assert other.state is None


SECOND: Final = SamplePeriod(ns_numerator=10**7, ns_denominator=1)  # 100 Hz


def begun() -> SampleGrid:
    """Give a grid with a hundred samples, a second of them."""
    grid = SampleGrid(SECOND)
    grid.place(stamped(10 * NS_PER_S, UTC_0_NS), 100)
    return grid


def ended(grid: SampleGrid) -> GridState:
    assert grid.state is not None
    return replace(grid.state, ended=True)


@pytest.mark.parametrize(
    ("behind_ns", "lead_ns"),
    [(-HOUR_NS, 0), (HOUR_NS, HOUR_NS), (25 * HOUR_NS, 0)],
    ids=["later", "an hour too early", "a day too early"],
)
def test_a_stream_begun_anew_is_numbered_anew_behind_the_last_one(
    behind_ns: int, lead_ns: int
) -> None:
    last = ended(begun())
    t_ns = last.time_ns(last.i_next) - behind_ns

    placement = SampleGrid(SECOND, last).place(stamped(0, t_ns + SECOND.offset_ns(99)), 100)

    assert (placement.i_first, placement.n_missing) == (0, 0)
    assert placement.t0_ns == t_ns + lead_ns


def test_another_rate_begins_behind_the_last_one_too() -> None:
    state = begun().state
    assert state is not None

    placement = SampleGrid(NOMINAL, state).place(stamped(0, UTC_0_NS), 130)

    assert (placement.i_first, placement.t0_ns) == (0, state.time_ns(100))


@pytest.mark.parametrize(
    ("late_ms", "n_missing"), [(0, 0), (450, 0), (550, 55), (1_000, 100), (3_600_000, 360_000)]
)
def test_samples_lost_while_a_clock_was_set_are_counted_on_ours(
    late_ms: int, n_missing: int
) -> None:
    stamp = stamped(0, UTC_0_NS + NS_PER_S + late_ms * MS, segment=1)

    placement = begun().place(stamp, 100)

    assert placement.clock_jumped
    assert placement.n_missing == n_missing


def test_a_host_that_is_set_while_a_clock_is_set_changes_no_count() -> None:
    stamp = replace(stamped(0, UTC_0_NS + NS_PER_S, segment=1), t_ns=UTC_0_NS + HOUR_NS)

    assert begun().place(stamp, 100).n_missing == 0


def test_a_host_that_slipped_is_not_asked_for_the_count() -> None:
    # 20 s by the device, one by the host.
    stamp = stamped(30 * NS_PER_S, UTC_0_NS + NS_PER_S, segment=1)

    placement = begun().place(stamp, 100, host_slipped=True)

    assert placement.n_missing == 1_900
    assert placement.t0_ns == UTC_0_NS + SECOND.offset_ns(1_901)


@pytest.mark.parametrize("device_ns", [9 * NS_PER_S, 10 * NS_PER_S + 31 * 24 * HOUR_NS])
def test_a_device_that_was_set_while_the_host_slipped_is_not_asked_either(device_ns: int) -> None:
    stamp = stamped(device_ns, UTC_0_NS + NS_PER_S, segment=1)

    assert begun().place(stamp, 100, host_slipped=True).n_missing == 0


def test_a_stamp_that_no_link_holds_up_for_so_long_is_of_another_clock() -> None:
    placement = begun().place(stamped(-60 * NS_PER_S, UTC_0_NS + NS_PER_S), 100)

    assert not placement.duplicate
    assert placement.clock_jumped


def test_a_known_drift_is_in_the_first_period_already() -> None:
    grid = SampleGrid(NOMINAL)
    drift_ppt = -80 * 10**6

    placement = grid.place(stamped(0, UTC_0_NS, drift_ppt=drift_ppt), N_SAMPLES)

    assert placement.period.rate_hz == pytest.approx(RATE_HZ * (1 + 80e-6), rel=1e-8)
    assert grid.state is not None
    assert grid.state.time_ns(N_SAMPLES - 1) == UTC_0_NS


PERIODS = st.sampled_from(
    [
        NOMINAL,
        SamplePeriod(ns_numerator=25_000_000, ns_denominator=9),
        SamplePeriod(ns_numerator=NS_PER_S, ns_denominator=1),
        SamplePeriod(ns_numerator=10**12, ns_denominator=1),
        SamplePeriod(ns_numerator=3, ns_denominator=2),
    ]
)


@given(
    PERIODS,
    st.lists(
        st.tuples(
            st.integers(0, 2**62), st.integers(0, 2**61), st.integers(1, 500), st.integers(0, 2)
        ),
        max_size=30,
    ),
    st.integers(-500 * 10**6, 500 * 10**6),
)
def test_any_stamps_give_rising_numbers_and_times(
    nominal: SamplePeriod, payloads: list[tuple[int, int, int, int]], drift_ppt: int
) -> None:
    grid = SampleGrid(nominal)
    i_next, t_next_ns = 0, -(2**63)
    for device_ns, t_ns, n_samples, segment in payloads:
        stamp = stamped(device_ns, t_ns, drift_ppt=drift_ppt, segment=segment)
        placement = grid.place(stamp, n_samples)
        if placement.duplicate:
            continue
        assert grid.state is not None
        assert placement.i_first == i_next + placement.n_missing
        assert placement.t0_ns >= t_next_ns
        i_next, t_next_ns = grid.state.i_next, grid.state.time_ns(grid.state.i_next)
        assert i_next == placement.i_first + n_samples


def test_a_late_payload_is_no_loss_and_no_jump() -> None:
    receiver = Receiver()
    packets = list(Radio(ppm=constant(80), hours=0.3).packets())
    held_up = packets[-20].arrival_ns
    packets[-40:-20] = [replace(one, arrival_ns=held_up) for one in packets[-40:-20]]

    placed = list(play(packets, receiver))

    assert not any(one.placement.n_missing or one.placement.clock_jumped for one in placed)
    assert error_ns_max(placed) < 6 * MS
    assert receiver.hull.add(0, 0) is Arrival.CLOCK_JUMPED
