"""Numbers and times of samples over restarts of the agent and losses of the link."""

from dataclasses import replace
from typing import Final

import pytest

from ingest.frame import NS_PER_S, DeviceEventKind, GapCause
from tests.edge.bedside import (
    Bedside,
    Samples,
    assert_numbers_are_the_devices,
    ecg_payload,
    error_ms,
)
from tests.edge.radio_model import N_SAMPLES, Radio, constant

MS: Final = 1_000_000
HOUR_NS: Final = 3_600 * NS_PER_S
WARM_UP_S: Final = 120


@pytest.mark.parametrize("kill_s", [200, 900, 1_795])
@pytest.mark.parametrize("boot", ["boot-1", "boot-2"])
@pytest.mark.parametrize("down_s", [0.1, 45, 3_600])
def test_an_agent_that_is_killed_counts_what_it_missed_to_the_sample(
    kill_s: float, boot: str, down_s: float
) -> None:
    radio = Radio(ppm=constant(80), hours=(kill_s + down_s) / 3_600 + 0.1)
    packets = list(radio.packets())
    before = [one for one in packets if one.arrival_ns < kill_s * NS_PER_S]
    after = [one for one in packets if one.arrival_ns > (kill_s + down_s) * NS_PER_S]
    side = Bedside()
    side.start(0)
    side.play(before)
    side.take(ecg_payload(after[0]), before[-1].arrival_ns + MS)  # decoded, never stored

    side.boot, side.mono_0_ns = boot, side.mono_0_ns if boot == "boot-1" else -side.mono_0_ns
    side.start(after[0].arrival_ns - MS)
    side.play(after)

    assert_numbers_are_the_devices(side.blocks())
    samples = Samples.of_blocks(side.blocks())
    assert side.n_events(DeviceEventKind.CLOCK_JUMPED) == 0
    n_missing = sum(one.n_samples for one in side.gaps())
    assert samples.i.size + n_missing == packets[-1].i_last + 1
    assert {one.cause for one in side.gaps()} <= {GapCause.AGENT_DOWN}
    assert error_ms(samples, packets, WARM_UP_S) < 6.0


def test_a_restart_while_the_host_is_set_costs_no_sample() -> None:
    radio = Radio(ppm=constant(80), hours=0.6)
    packets = list(radio.packets())
    side = Bedside()
    side.start(0)
    side.play([one for one in packets if one.true_ns < 1_000 * NS_PER_S])

    side.wall = lambda t_ns: t_ns - HOUR_NS
    after = [one for one in packets if one.true_ns > 1_100 * NS_PER_S]
    side.start(1_100 * NS_PER_S)
    side.play(after)

    assert_numbers_are_the_devices(side.blocks())
    samples = Samples.of_blocks(side.blocks())
    assert samples.i.size + sum(one.n_samples for one in side.gaps()) == packets[-1].i_last + 1


@pytest.mark.parametrize("behind_s", [600.0, 1_790_000_000.0 - 100.0])
def test_a_host_that_comes_back_without_the_time_believes_the_device(behind_s: float) -> None:
    # Its wall goes on where it ended, or in 1970, and is set right ten minutes later.
    behind_ns = round(behind_s * NS_PER_S)
    radio = Radio(ppm=constant(80), hours=0.75)
    packets = list(radio.packets())
    side = Bedside(
        wall=lambda t_ns: t_ns - behind_ns * (1_000 * NS_PER_S < t_ns < 2_200 * NS_PER_S)
    )
    side.start(0)
    side.play([one for one in packets if one.arrival_ns < 990 * NS_PER_S])

    side.boot, side.mono_0_ns = "boot-2", 0
    side.start(1_600 * NS_PER_S)
    side.play([one for one in packets if one.true_ns > 1_601 * NS_PER_S])

    assert_numbers_are_the_devices(side.blocks())
    [gap] = side.gaps()
    assert gap.cause is GapCause.AGENT_DOWN
    samples = Samples.of_blocks(side.blocks())
    assert samples.i.size + gap.n_samples == packets[-1].i_last + 1
    # Nothing but the old grid says when it was, until the host is set; then delays are known anew.
    assert error_ms(samples, packets, WARM_UP_S, 1_600) < 6.0
    assert error_ms(samples, packets, 1_600, 2_200) < 50.0
    assert error_ms(samples, packets, 2_200 + WARM_UP_S) < 6.0
    assert side.n_events(DeviceEventKind.CLOCK_JUMPED) == 0
    assert side.n_events(DeviceEventKind.HOST_CLOCK_STEPPED) == 2  # found, and set right


@pytest.mark.parametrize("ppm", [80, -80])
def test_the_samples_of_an_hour_without_a_link_are_counted_to_the_sample(ppm: float) -> None:
    radio = Radio(ppm=constant(ppm), hours=1.7)
    packets = list(radio.packets())
    side = Bedside()
    side.start(0)
    side.play([one for one in packets if one.arrival_ns < 2_000 * NS_PER_S])

    side.lose_link(2_001 * NS_PER_S)
    side.link(5_600 * NS_PER_S)
    side.play([one for one in packets if one.true_ns > 5_601 * NS_PER_S])

    assert_numbers_are_the_devices(side.blocks())
    [gap] = side.gaps()
    assert gap.cause is GapCause.LINK_LOST
    samples = Samples.of_blocks(side.blocks())
    assert samples.i.size + gap.n_samples == packets[-1].i_last + 1
    error = error_ms(samples, packets, WARM_UP_S)
    print(f"{ppm:+} ppm, an hour without a link: {gap.n_samples} counted, error {error:.2f} ms")
    assert error < 6.0


def test_a_stream_that_is_stopped_and_begun_anew_never_overlaps_the_one_before() -> None:
    packets = list(Radio(ppm=constant(80), hours=0.2).packets())
    side = Bedside(wall=lambda t_ns: t_ns - HOUR_NS * (t_ns > 300 * NS_PER_S))
    side.start(0)
    side.play([one for one in packets if one.arrival_ns < 400 * NS_PER_S])
    now = side.told(400 * NS_PER_S)
    side.intake.stop_streams(now.told_ns, asked_ns=now.steady_ns)
    side.intake.end_link(side.told(400 * NS_PER_S).told_ns, lost=False)
    side.cut()

    side.start(401 * NS_PER_S)
    side.play([one for one in packets if one.true_ns > 401 * NS_PER_S])

    blocks = side.blocks()
    assert [one.i_first for one in blocks].count(0) == 2
    assert side.gaps() == []
    Samples.of_blocks(blocks)  # times rise throughout


@pytest.mark.parametrize(("down_s", "back_s"), [(20, 4.0), (20, 10.0), (60, 31.0), (20, 200.0)])
@pytest.mark.parametrize("why", ["killed", "link lost"])
def test_a_clock_set_back_while_nobody_listened_hides_no_sample(
    down_s: float, back_s: float, why: str
) -> None:
    """It shows times that were not had, and all that comes seems late: not held up, but set."""
    begin_ns, end_ns = 600 * NS_PER_S, round((600 + down_s) * NS_PER_S)
    packets = list(Radio(ppm=constant(80), hours=0.4).packets())
    side = Bedside()
    side.start(0)
    side.play([one for one in packets if one.true_ns < begin_ns])
    if why == "killed":
        side.start(end_ns)
    else:
        side.lose_link(begin_ns + NS_PER_S)
        side.link(end_ns)
    after = [one for one in packets if one.true_ns > end_ns]
    side.play(replace(one, device_ns=one.device_ns - round(back_s * NS_PER_S)) for one in after)

    assert side.n_events(DeviceEventKind.CLOCK_JUMPED) == 1
    n_stored = sum(one.n_samples for one in side.blocks())
    n_missing = sum(one.n_samples for one in side.gaps())
    # Across the jump our own clock counts, with the delays of the radio in it.
    assert abs(n_stored + n_missing - packets[-1].i_last - 1) <= N_SAMPLES // 2
