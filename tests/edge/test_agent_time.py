"""Time as the agent makes it: encoded payloads in, Frames out, held against the truth.

The radio is that of ``radio_model``: 73 samples a payload, a 45 ms connection interval, 3 % of the
payloads held up by 250 ms on average, 4 ms at least. Every error has those 4 ms taken off: stamps
that go one way cannot show them.
"""

from dataclasses import replace
from typing import Final

import numpy as np
import pytest

from devices import uuids
from devices.heart_rate import HeartRateMeasurement, encode_heart_rate
from devices.polar_pmd import PmdMeasurement
from ingest.frame import NS_PER_S, DeviceEventKind, GapCause
from tests.edge.bedside import (
    Bedside,
    Samples,
    acc_payload,
    assert_numbers_are_the_devices,
    delivered_in_order,
    ecg_payload,
    error_ms,
    played,
)
from tests.edge.radio_model import (
    DEVICE_0_NS,
    N_SAMPLES,
    RATE_HZ,
    UTC_0_NS,
    Packet,
    Radio,
    constant,
    drift_ppm,
)

MS: Final = 1_000_000
HOUR_NS: Final = 3_600 * NS_PER_S
WARM_UP_S: Final = 120
DRIFT_KNOWN_S: Final = 600
IN_2019_NS: Final = 600_000_000 * NS_PER_S - 5 * 24 * HOUR_NS  # 2019-01-01, seconds since 2000


@pytest.mark.parametrize("ppm", [80, -80])
def test_four_hours_are_within_six_milliseconds_and_one_ppm(ppm: float) -> None:
    radio = Radio(ppm=constant(ppm), hours=4, seed=7)
    packets = list(radio.packets())

    side = played(packets)

    samples = Samples.of_blocks(side.blocks())
    assert_numbers_are_the_devices(side.blocks())
    assert samples.i.size == packets[-1].i_last + 1
    assert side.gaps() == []
    assert side.n_events(DeviceEventKind.CLOCK_JUMPED) == 0
    clocks = [(frame.waveforms[-1].t0_ns, frame.clocks[0]) for frame in side.frames]
    known = [one for t_ns, one in clocks if t_ns - UTC_0_NS > DRIFT_KNOWN_S * NS_PER_S]
    off_ppm = max(abs(one.drift_ppm - drift_ppm(radio, 0)) for one in known)
    epochs = [one.epoch_ns for one in side.blocks()]
    print(
        f"{ppm:+} ppm, 4 h: {samples.i.size} samples, none missing; "
        f"error at most {error_ms(samples, packets, WARM_UP_S):.2f} ms after {WARM_UP_S} s, "
        f"{error_ms(samples, packets, DRIFT_KNOWN_S):.2f} ms after {DRIFT_KNOWN_S} s, "
        f"{error_ms(samples, packets, 0):.0f} ms before; drift within {off_ppm:.2f} ppm; "
        f"{np.count_nonzero(np.diff(epochs))} grids; "
        f"told uncertainty {known[-1].uncertainty_ns / MS:.1f} ms at the end"
    )
    assert error_ms(samples, packets, WARM_UP_S) < 6.0
    assert off_ppm < 1.0


# The device's clock is set


def after_reset(packets: list[Packet], at_s: float, device_ns: int) -> list[Packet]:
    """Give the packets of a device whose clock is set at a time; its samples go on."""
    kept = [one for one in packets if one.true_ns < at_s * NS_PER_S]
    shift_ns = device_ns - kept[-1].device_ns
    return kept + [replace(one, device_ns=one.device_ns + shift_ns) for one in packets[len(kept) :]]


@pytest.mark.parametrize(
    "device_ns",
    [
        IN_2019_NS,
        DEVICE_0_NS + 24 * HOUR_NS,
        DEVICE_0_NS + 1_800 * NS_PER_S + NS_PER_S // 2,
        DEVICE_0_NS + 1_799 * NS_PER_S,
        DEVICE_0_NS + 1_790 * NS_PER_S,
        DEVICE_0_NS + 1_760 * NS_PER_S,
    ],
    ids=["2019", "a day forward", "half a second forward", "1 s back", "10 s back", "40 s back"],
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_clock_that_is_set_is_seen_with_its_first_payload_and_costs_no_sample(
    device_ns: int, seed: int
) -> None:
    radio = Radio(ppm=constant(80), hours=0.55, seed=seed)
    packets = after_reset(list(radio.packets()), 1_800, device_ns)
    first = next(one for one in packets if one.true_ns >= 1_800 * NS_PER_S)

    side = played(packets)

    [event] = [
        event
        for frame in side.frames
        for event in frame.events
        if event.kind is DeviceEventKind.CLOCK_JUMPED
    ]
    assert event.t_ns == UTC_0_NS + first.arrival_ns
    jump_s = (first.device_ns - DEVICE_0_NS) / NS_PER_S - first.true_ns / NS_PER_S
    assert float(event.detail.removesuffix(" s")) == pytest.approx(jump_s, abs=1.0)
    samples = Samples.of_blocks(side.blocks())
    assert_numbers_are_the_devices(side.blocks())
    assert (samples.i.size, side.gaps()) == (packets[-1].i_last + 1, [])
    assert error_ms(samples, packets, WARM_UP_S, 1_800) < 6.0
    assert error_ms(samples, packets, 1_800 + WARM_UP_S) < 6.0


@pytest.mark.parametrize("at_s", [0.0, 100.0])
@pytest.mark.parametrize("stall_s", [2.5, 8.0, 60.0])
def test_a_host_that_stands_still_takes_no_clock_for_set_and_loses_no_sample(
    at_s: float, stall_s: float
) -> None:
    """Everything that came meanwhile is stamped when it goes on: late, one behind the other."""
    radio = Radio(ppm=constant(80), hours=0.15)
    end_ns = round((at_s + stall_s) * NS_PER_S)
    packets = [
        replace(one, arrival_ns=end_ns + i * 50_000)
        if at_s * NS_PER_S <= one.arrival_ns < end_ns
        else one
        for i, one in enumerate(radio.packets())
    ]

    side = played(packets)

    assert side.n_events(DeviceEventKind.CLOCK_JUMPED) == 0
    samples = Samples.of_blocks(side.blocks())
    assert (samples.i.size, side.gaps()) == (packets[-1].i_last + 1, [])
    if at_s:  # a stream that begins late is made up for, but not within minutes
        assert error_ms(samples, packets, at_s + stall_s + WARM_UP_S) < 6.0


def test_a_device_that_loses_power_is_counted_on_our_clock() -> None:
    radio = Radio(ppm=constant(-80), hours=0.75)
    packets = [
        one
        for one in after_reset(list(radio.packets()), 1_800, IN_2019_NS)
        if not 1_800 * NS_PER_S < one.true_ns < 1_830 * NS_PER_S
    ]
    side = Bedside()
    side.start(0)
    side.play([one for one in packets if one.true_ns < 1_800 * NS_PER_S])

    side.lose_link(1_801 * NS_PER_S)
    side.link(1_828 * NS_PER_S)
    side.play([one for one in packets if one.true_ns > 1_800 * NS_PER_S])

    assert side.n_events(DeviceEventKind.CLOCK_JUMPED) == 1
    [gap] = side.gaps()
    assert gap.cause is GapCause.LINK_LOST
    assert gap.n_samples == pytest.approx(30 * RATE_HZ, abs=N_SAMPLES)
    samples = Samples.of_blocks(side.blocks())
    assert samples.i.size + gap.n_samples == samples.i[-1] + 1


# The host's clock is set


@pytest.mark.parametrize("step_h", [1, -1])
def test_a_host_that_is_set_by_an_hour_costs_no_sample_and_turns_no_time_back(step_h: int) -> None:
    step_ns = step_h * HOUR_NS
    radio = Radio(ppm=constant(80), hours=0.75)
    packets = delivered_in_order(radio.packets())
    pulse = encode_heart_rate(HeartRateMeasurement(heart_rate_bpm=60))

    side = Bedside(wall=lambda t_ns: t_ns + step_ns * (t_ns > 1_500 * NS_PER_S))
    side.start(0)
    for n, packet in enumerate(packets):
        side.take(ecg_payload(packet), packet.arrival_ns)
        side.take(pulse, packet.arrival_ns, uuids.HEART_RATE_MEASUREMENT)
        if n % 3 == 0:
            side.cut()
    side.cut()

    samples = Samples.of_blocks(side.blocks())
    assert_numbers_are_the_devices(side.blocks())
    assert (samples.i.size, side.gaps()) == (packets[-1].i_last + 1, [])
    assert side.n_events(DeviceEventKind.CLOCK_JUMPED) == 0
    [event] = [
        one
        for frame in side.frames
        for one in frame.events
        if one.kind is DeviceEventKind.HOST_CLOCK_STEPPED
    ]
    assert event.detail == f"{step_h * 3600:+.3f} s"
    # Forward, all is right from the first payload on. Back, all goes on an hour ahead, at its rate.
    told_ns = max(step_ns, 0)
    errors_ns = samples.errors_ns(packets) - told_ns * (samples.i > _i_at(packets, 1_500))
    assert np.abs(errors_ns[samples.i > _i_at(packets, WARM_UP_S)]).max() < 6 * MS
    # Readings stay beside the samples.
    times_ns = np.array([one.t_ns for frame in side.frames for one in frame.readings])
    arrivals_ns = np.array([UTC_0_NS + one.arrival_ns for one in packets])
    assert (np.diff(times_ns) > 0).all()
    late = np.array([one.arrival_ns > 1_500 * NS_PER_S for one in packets])
    np.testing.assert_array_equal(times_ns, arrivals_ns + told_ns * late)


def _i_at(packets: list[Packet], t_s: float) -> int:
    """Give the last sample that was here at a time."""
    return max(one.i_last for one in packets if one.arrival_ns <= t_s * NS_PER_S)


def test_a_pause_between_two_arrivals_is_no_longer_for_a_host_that_is_set() -> None:
    side = Bedside(wall=lambda t_ns: t_ns + HOUR_NS * (t_ns > NS_PER_S))
    side.start(0)

    moments = [side.intake.steady_ns(side.told(s * NS_PER_S).told_ns) for s in range(4)]

    assert np.diff(moments).tolist() == [NS_PER_S] * 3


# What a device sends beside its electrocardiogram


ACC_TRUE_NS: Final = [n * 720 * MS for n in range(1, 2_000)]
"""When the last sample of each payload of acceleration was taken: 50 Hz, 36 samples."""


def acc_arrivals_ns() -> list[int]:
    """Give when payloads of acceleration come: always 40 ms later than the ECG's at best."""
    rng = np.random.default_rng(4)
    return [true_ns + 44 * MS + int(rng.integers(45 * MS)) for true_ns in ACC_TRUE_NS]


def played_together(ecg: list[Packet], *, set_back_ns: int = 0, at_ns: int = 0) -> Bedside:
    """Take both streams of one clock, which is set back at a time."""
    # It showed DEVICE_0_NS at the first ECG sample, one period after the start.
    begun_ns = DEVICE_0_NS - NS_PER_S // RATE_HZ
    arrivals = [
        (
            one.arrival_ns,
            ecg_payload(
                replace(one, device_ns=one.device_ns - set_back_ns * (one.true_ns > at_ns))
            ),
        )
        for one in ecg
    ]
    for true_ns, arrival_ns in zip(ACC_TRUE_NS, acc_arrivals_ns(), strict=True):
        device_ns = begun_ns + true_ns + true_ns * 80 // 1_000_000 - set_back_ns * (true_ns > at_ns)
        arrivals.append((arrival_ns, acc_payload(device_ns, 36)))
    side = Bedside()
    side.start(0)
    side.link(0, PmdMeasurement.ECG, PmdMeasurement.ACC)
    for n, (arrival_ns, payload) in enumerate(sorted(arrivals)):
        side.take(payload, arrival_ns)
        if n % 5 == 0:
            side.cut()
    side.cut()
    return side


def acc_error_ms(side: Bedside, from_s: float, to_s: float = 1e9) -> float:
    motion = Samples.of_blocks(side.blocks("acc/x"))
    assert motion.i.size == 36 * len(ACC_TRUE_NS)
    t_s = np.array(ACC_TRUE_NS) / NS_PER_S
    off_ns = np.abs(motion.t_ns[35::36] - UTC_0_NS - 4 * MS - np.array(ACC_TRUE_NS))
    return float(off_ns[(from_s < t_s) & (t_s < to_s)].max()) / MS


def test_streams_of_one_clock_are_timed_by_it_whatever_the_delay_of_each() -> None:
    ecg = delivered_in_order(Radio(ppm=constant(80), hours=0.5, seed=4).packets())

    side = played_together(ecg)

    assert side.n_events(DeviceEventKind.CLOCK_JUMPED) == 0
    assert error_ms(Samples.of_blocks(side.blocks()), ecg, WARM_UP_S) < 6.0
    assert acc_error_ms(side, WARM_UP_S) < 6.0


def test_a_payload_from_before_a_clock_was_set_back_that_comes_behind_spoils_no_time() -> None:
    ecg = delivered_in_order(Radio(ppm=constant(80), hours=0.5, seed=4).packets())
    # The acceleration was taken before the clock was set, the ECG behind it, and came first.
    at_ns = next(
        (one.true_ns + true_ns) // 2
        for true_ns, arrival_ns in zip(ACC_TRUE_NS, acc_arrivals_ns(), strict=True)
        for one in ecg
        if true_ns > 700 * NS_PER_S and true_ns < one.true_ns and one.arrival_ns < arrival_ns
    )

    side = played_together(ecg, set_back_ns=NS_PER_S, at_ns=at_ns)

    at_s = at_ns / NS_PER_S
    assert side.gaps() == side.gaps("acc/x") == []
    samples = Samples.of_blocks(side.blocks())
    assert error_ms(samples, ecg, WARM_UP_S, at_s) < 6.0
    assert error_ms(samples, ecg, at_s + WARM_UP_S) < 6.0
    assert acc_error_ms(side, WARM_UP_S, at_s) < 6.0
    assert acc_error_ms(side, at_s + WARM_UP_S) < 6.0


def test_pulse_intervals_whose_frames_have_no_time_leave_the_clock_alone() -> None:
    packets = list(Radio(ppm=constant(80), hours=0.1).packets())
    interval = bytes([PmdMeasurement.PPI]) + bytes(9) + bytes.fromhex("3c e8 03 0a 00 06")
    plain, mixed = Bedside(), Bedside()
    plain.start(0)
    mixed.start(0)

    for packet in packets:
        plain.take(ecg_payload(packet), packet.arrival_ns)
        mixed.take(ecg_payload(packet), packet.arrival_ns)
        mixed.take(interval, packet.arrival_ns)
    plain.cut()
    mixed.cut()

    assert mixed.blocks() == plain.blocks()
    assert mixed.frames[0].clocks == plain.frames[0].clocks
    readings = [one.t_ns for frame in mixed.frames for one in frame.readings]
    assert len(readings) == len(set(readings)) >= len(packets)


def test_payloads_that_come_twice_or_overtake_one_another_count_once() -> None:
    rng = np.random.default_rng(3)
    packets: list[Packet] = []
    radio = list(Radio(ppm=constant(80), hours=0.3).packets())
    for packet in radio:
        packets.append(packet)
        if rng.random() < 0.1:
            packets.append(replace(packet, arrival_ns=packet.arrival_ns + 5 * MS))
        if rng.random() < 0.05 and len(packets) > 2:
            packets[-1], packets[-2] = packets[-2], packets[-1]

    side = played(packets)

    assert_numbers_are_the_devices(side.blocks())
    samples = Samples.of_blocks(side.blocks())
    n_missing = sum(one.n_samples for one in side.gaps())
    assert samples.i.size + n_missing == samples.i[-1] + 1
    assert {one.cause for one in side.gaps()} == {GapCause.RADIO_LOSS}


@pytest.mark.parametrize("device_ns", [2**64 - 1, 2**62 + 1])
def test_a_stamp_that_no_clock_shows_is_refused_and_harms_nothing(device_ns: int) -> None:
    packets = list(Radio(ppm=constant(80), hours=0.02).packets())
    side = Bedside()
    side.start(0)
    side.play(packets[:50])

    wrong = ecg_payload(replace(packets[50], device_ns=device_ns))
    told_ns = side.told(packets[50].arrival_ns).told_ns
    assert not side.intake.take(uuids.PMD_DATA, wrong, told_ns)
    side.play(packets[51:])

    assert side.n_events(DeviceEventKind.CLOCK_JUMPED) == 0
    [gap] = side.gaps()
    assert (gap.cause, gap.n_samples) == (GapCause.UNDECODABLE, N_SAMPLES)
