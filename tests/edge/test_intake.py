"""From payloads to Frames: what arrives, what is missing, and why."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import codes, uuids
from devices.catalogue import DeviceModel, find_model
from devices.heart_rate import HeartRateMeasurement, encode_heart_rate
from devices.polar_frames import PMD_EPOCH_UNIX_NS, encode_frame
from devices.polar_pmd import PmdMeasurement
from edge import metrics
from edge.clocks.sample_streams import RECENT_MAX
from edge.framer import Framer
from edge.intakes.intake import DeviceIntake
from edge.intakes.polar import PolarIntake
from ingest.frame import DeviceEventKind, Frame, GapCause

UTC_0_NS = 1_790_000_000 * 10**9
RATE_HZ = 130


def model(name: str = "Polar H10") -> DeviceModel:
    found = find_model(local_name=name, manufacturer=None, model_number=None, service_uuids=())
    assert found is not None
    return found


def device_ns(i_sample: int) -> int:
    return UTC_0_NS - PMD_EPOCH_UNIX_NS + i_sample * 10**9 // RATE_HZ


def ecg_payload(i_first: int, n_samples: int) -> bytes:
    return encode_frame(
        measurement=PmdMeasurement.ECG,
        timestamp_ns=device_ns(i_first + n_samples - 1),
        samples=np.arange(i_first, i_first + n_samples, dtype=np.int32).reshape(-1, 1),
    )


class Bench:
    """A device, its framer and what survives a restart of the agent."""

    def __init__(self, states: dict[str, str] | None = None) -> None:
        self.states = {} if states is None else states
        self.framer = Framer("p-1", "a-1")
        self.intake = DeviceIntake("strap-1", model(), self.framer, self.states)
        self.polar = PolarIntake(self.intake)
        self.sequence = 0

    def start(self) -> "Bench":
        row = model().pmd_stream(PmdMeasurement.ECG)
        assert row is not None
        self.polar = PolarIntake(self.intake)
        self.polar.begin(row, rate_hz=RATE_HZ, now_ns=UTC_0_NS)
        return self

    def take(self, i_first: int, n_samples: int = 26) -> bool:
        arrival_ns = UTC_0_NS + (i_first + n_samples - 1) * 10**9 // RATE_HZ + 4_000_000
        return self.intake.take(uuids.PMD_DATA, ecg_payload(i_first, n_samples), arrival_ns)

    def cut(self) -> Frame:
        self.intake.streams.note_states()
        [frame] = self.framer.cut(self.sequence)
        self.sequence += 1
        return frame


def test_samples_are_the_counts_that_were_sent_in_the_unit_of_the_catalogue() -> None:
    bench = Bench().start()
    for n in range(4):
        bench.take(26 * n)

    [block] = bench.cut().waveforms

    assert (block.device_id, block.channel, block.unit) == ("strap-1", "ecg", "mV")
    assert block.mdc_code == codes.ECG.mdc
    np.testing.assert_array_equal(block.counts, np.arange(104))
    np.testing.assert_allclose(block.physical(), np.arange(104) / 1000)
    assert block.period.rate_hz == RATE_HZ


def test_a_frame_of_the_next_interval_goes_on_with_the_numbers() -> None:
    bench = Bench().start()
    bench.take(0)
    first = bench.cut().waveforms[0]
    bench.take(26)
    second = bench.cut().waveforms[0]

    assert second.i_first == first.i_end
    assert second.epoch_ns == first.epoch_ns


def test_pulse_intervals_are_readings() -> None:
    bench = Bench().start()
    payload = bytes([PmdMeasurement.PPI]) + bytes(9) + bytes.fromhex("3c e8 03 0a 00 06")

    assert bench.intake.take(uuids.PMD_DATA, payload, UTC_0_NS)

    [reading] = bench.cut().readings
    assert (reading.mdc_code, reading.value) == (codes.PP_INTERVAL.mdc, 1000.0)


def test_a_frame_that_says_how_samples_are_taken_is_no_sample_and_no_fault() -> None:
    bench = Bench().start()
    bench.take(0)
    gains = bytes([PmdMeasurement.PPG]) + bytes(8) + b"\x0e\x08\x03\x04"

    assert bench.intake.take(uuids.PMD_DATA, gains, UTC_0_NS)
    bench.take(26)

    frame = bench.cut()
    assert frame.waveforms[0].n_samples == 52
    assert frame.gaps == ()


def lost_on_the_air(bench: Bench) -> None:
    bench.take(26 * 3)


def undecodable(bench: Bench) -> None:
    assert not bench.intake.take(uuids.PMD_DATA, b"\x00\x01\x02", UTC_0_NS)
    bench.take(26 * 3)


def overflown(bench: Bench) -> None:
    bench.intake.overflowed(uuids.PMD_DATA)
    bench.take(26 * 3)


def link_lost(bench: Bench) -> None:
    bench.intake.end_link(UTC_0_NS, lost=True)
    bench.start()
    bench.take(26 * 3)


@pytest.mark.parametrize(
    ("harm", "cause"),
    [
        (lost_on_the_air, GapCause.RADIO_LOSS),
        (undecodable, GapCause.UNDECODABLE),
        (overflown, GapCause.OVERFLOW),
        (link_lost, GapCause.LINK_LOST),
    ],
)
def test_what_is_missing_is_counted_with_its_cause(
    harm: Callable[[Bench], None], cause: GapCause
) -> None:
    bench = Bench().start()
    bench.take(0)

    harm(bench)
    bench.take(26 * 4)
    frame = bench.cut()

    [gap] = frame.gaps
    assert (gap.cause, gap.channel, gap.i_first, gap.n_samples) == (cause, "ecg", 26, 52)
    assert gap.t0_ns == frame.waveforms[0].time_ns(26)
    assert [block.i_first for block in frame.waveforms] == [0, 78]


def test_what_was_on_the_air_while_no_agent_ran_is_a_gap_of_that_cause() -> None:
    before = Bench().start()
    before.take(0)
    before.cut()  # stored, with the numbering; then the agent is killed
    before.take(26)

    after = Bench(dict(before.states)).start()
    after.take(26 * 10)
    [gap] = after.cut().gaps

    assert (gap.cause, gap.i_first, gap.n_samples) == (GapCause.AGENT_DOWN, 26, 26 * 9)


def test_a_stream_that_was_stopped_on_purpose_leaves_no_gap() -> None:
    bench = Bench().start()
    bench.take(0)
    bench.intake.stop_streams(UTC_0_NS, asked_ns=UTC_0_NS)
    bench.intake.end_link(UTC_0_NS, lost=False)
    frame = bench.cut()
    assert DeviceEventKind.STREAM_STOPPED in {event.kind for event in frame.events}

    bench.start()
    bench.take(26 * 1000)
    again = bench.cut()

    assert again.gaps == ()
    assert again.waveforms[0].i_first == 0
    assert again.waveforms[0].t0_ns > frame.waveforms[0].time_ns(26)


def test_a_stream_that_is_started_again_on_the_same_link_goes_on() -> None:
    bench = Bench().start()
    bench.take(0)
    bench.cut()
    bench.take(26)

    bench.start()
    bench.take(26 * 4)
    frame = bench.cut()

    [gap] = frame.gaps
    assert (gap.cause, gap.i_first, gap.n_samples) == (GapCause.RADIO_LOSS, 52, 52)
    assert [(block.i_first, block.i_end) for block in frame.waveforms] == [(26, 52), (104, 130)]


@pytest.mark.parametrize("text", ["nonsense", "[]", "{}", '{"segments": 3}', "null"])
def test_states_that_are_none_begin_anew_and_are_counted(text: str) -> None:
    before = metrics.STATES_UNREADABLE._value.get()

    bench = Bench({"strap-1/ecg": text, "strap-1/clock": text}).start()
    bench.take(26)
    frame = bench.cut()

    assert metrics.STATES_UNREADABLE._value.get() == before + 2
    assert (frame.waveforms[0].i_first, frame.gaps) == (0, ())


def test_a_numbering_whose_clock_is_lost_is_counted_on_with_ours() -> None:
    before = Bench().start()
    before.take(0)
    before.cut()
    del before.states["strap-1/clock"]

    after = Bench(before.states).start()
    after.take(26 * 10)
    [gap] = after.cut().gaps

    assert (gap.cause, gap.n_samples) == (GapCause.AGENT_DOWN, 26 * 9)


def test_a_stream_that_was_silent_before_it_was_stopped_leaves_a_gap() -> None:
    bench = Bench().start()
    bench.take(0)
    bench.take(26)
    last_ns = UTC_0_NS + 52 * 10**9 // RATE_HZ

    asked_ns = last_ns + 10 * 10**9
    bench.intake.stop_streams(asked_ns + 3 * 10**9, asked_ns=asked_ns)
    frame = bench.cut()

    [gap] = frame.gaps
    assert (gap.cause, gap.i_first) == (GapCause.RADIO_LOSS, 52)
    assert gap.n_samples == pytest.approx(10 * RATE_HZ, abs=3)
    assert gap.t0_ns == frame.waveforms[0].time_ns(52)
    bench.start()
    bench.take(26 * 1000)
    again = bench.cut()
    assert (again.gaps, again.waveforms[0].i_first) == ((), 0)


def test_a_payload_that_comes_twice_is_stored_once() -> None:
    bench = Bench().start()
    bench.take(0)
    bench.take(26)
    bench.take(26)

    frame = bench.cut()

    assert frame.n_samples == 52
    assert frame.gaps == ()


def test_frames_of_a_stream_that_was_not_started_are_left_out() -> None:
    bench = Bench()

    assert bench.take(0)

    assert bench.framer.empty


def test_a_payload_that_nobody_asked_for_is_counted_and_harms_nothing() -> None:
    bench = Bench().start()

    assert not bench.intake.take("0000ffff-0000-1000-8000-00805f9b34fb", b"late", UTC_0_NS)

    assert bench.take(0)


def test_events_of_one_device_never_share_a_time() -> None:
    bench = Bench().start()
    for _ in range(3):
        bench.intake.event(DeviceEventKind.STREAM_STOPPED, UTC_0_NS)

    times = [event.t_ns for event in bench.cut().events]

    assert times == sorted(set(times))


def test_readings_of_one_quantity_never_share_a_time() -> None:
    bench = Bench()
    payload = encode_heart_rate(
        HeartRateMeasurement(heart_rate_bpm=60, rr_intervals_s=(0.5, 0.5, 0.0, 0.25))
    )
    for n in range(3):
        bench.intake.take(uuids.HEART_RATE_MEASUREMENT, payload, UTC_0_NS + n * 100_000_000)

    readings = bench.cut().readings
    times = [(one.mdc_code, one.t_ns) for one in readings]

    assert len(set(times)) == len(times) == 15
    assert {one.reason for one in readings} == {None, "out_of_range"}


@given(st.lists(st.tuples(st.sampled_from(model().characteristics), st.binary(max_size=64))))
def test_any_bytes_on_any_characteristic_leave_the_device_usable(
    payloads: list[tuple[str, bytes]],
) -> None:
    bench = Bench().start()
    for characteristic, payload in payloads:
        bench.intake.take(characteristic, payload, UTC_0_NS)
        bench.intake.take(uuids.PMD_DATA, payload, UTC_0_NS)

    bench.cut()
    bench.take(26 * 1000)

    assert bench.cut().n_samples == 26


def test_frames_that_are_cut_by_a_narrow_link_are_refused_aloud_once() -> None:
    bench = Bench().start()
    whole = ecg_payload(0, 73)
    for _ in range(3):
        assert not bench.intake.take(uuids.PMD_DATA, whole[:20], UTC_0_NS)

    events = bench.cut().events
    [refused] = [one for one in events if one.kind is DeviceEventKind.STREAM_REFUSED]
    assert refused.detail == "ECG: frames are cut at 20 bytes: the link's ATT MTU is 23"


def test_skin_temperatures_are_readings_at_the_rate_that_was_granted() -> None:
    row = model("Polar 360").pmd_readings[0]
    framer = Framer("p-1", "a-1")
    intake = DeviceIntake("band-1", model("Polar 360"), framer, {})
    polar = PolarIntake(intake)
    polar.begin_readings(row, rate_hz=2, now_ns=UTC_0_NS)
    polar.set_factor(row.measurement, 1.0)
    payload = encode_frame(
        measurement=PmdMeasurement.SKIN_TEMPERATURE,
        timestamp_ns=device_ns(0),
        samples=np.array([[31.25], [31.5]], dtype=np.float32).view(np.int32),
    )

    assert intake.take(uuids.PMD_DATA, payload, UTC_0_NS)

    [frame] = framer.cut(0)
    first, second = frame.readings
    assert (first.value, second.value, first.unit) == (31.25, 31.5, "Cel")
    assert second.t_ns - first.t_ns == 500_000_000
    assert [one.detail for one in frame.events] == ["SKIN_TEMPERATURE 2 Hz"]
    intake.stop_streams(UTC_0_NS, asked_ns=UTC_0_NS)
    [stopped] = framer.cut(1)[0].events
    assert (stopped.kind, stopped.detail) == (DeviceEventKind.STREAM_STOPPED, "skin_temperature")


def test_a_device_that_states_another_rate_each_time_costs_no_memory() -> None:
    bench = Bench()
    row = model().pmd_stream(PmdMeasurement.ECG)
    assert row is not None

    for rate_hz in range(1, 1000):
        bench.intake.streams.begin("ecg", uuids.PMD_DATA, row.channels, rate_hz)

    assert len(bench.intake.streams._recent) <= RECENT_MAX
