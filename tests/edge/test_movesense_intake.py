"""A Movesense's notifications: time beyond its 32 bits, numbers as counts, links too narrow."""

import numpy as np
import pytest

from devices import uuids
from devices.catalogue import CATALOGUE
from devices.movesense import GspData, encode_gsp_notification
from devices.movesense_data import GspFrame, GspKind, encode_gsp_frame
from edge.framer import Framer
from edge.intakes.intake import DeviceIntake
from edge.intakes.movesense import STEP, MovesenseIntake
from ingest.frame import NS_PER_S, DeviceEventKind, Frame

UTC_0_NS = 1_790_000_000 * NS_PER_S
ECG, ACC = 1, 2


class Bench:
    def __init__(self) -> None:
        model = next(one for one in CATALOGUE if one.name == "Movesense")
        self.framer = Framer("p-1", "a-1")
        self.intake = DeviceIntake("m-1", model, self.framer, {})
        self.sensor = MovesenseIntake(self.intake)
        self.sensor.begin(ECG, UTC_0_NS)
        self.sensor.begin(ACC, UTC_0_NS)

    def take(self, reference: int, frame: GspFrame, at_ns: int) -> bool:
        data = GspData(reference=reference, body=encode_gsp_frame(frame))
        return self.intake.take(uuids.GSP_DATA, encode_gsp_notification(data), at_ns)

    def cut(self) -> Frame:
        [frame] = self.framer.cut(0)
        return frame


def ecg(timestamp_ms: int) -> GspFrame:
    samples = np.arange(16, dtype=np.int32).reshape(-1, 1)
    return GspFrame(kind=GspKind.ECG, timestamp_ms=timestamp_ms, samples=samples)


def test_time_goes_on_when_the_sensors_32_bits_are_full() -> None:
    bench = Bench()
    for k in range(8):
        timestamp_ms = ((1 << 32) - 256 + 64 * k) % (1 << 32)
        assert bench.take(ECG, ecg(timestamp_ms), UTC_0_NS + k * 64_000_000)

    frame = bench.cut()
    assert sum(block.n_samples for block in frame.waveforms) == 128
    assert frame.gaps == ()
    assert not [one for one in frame.events if one.kind is DeviceEventKind.CLOCK_JUMPED]


@pytest.mark.parametrize(("value", "exact"), [(9.80665, True), (-157.0, True), (1e-3, False)])
def test_a_number_of_32_bits_keeps_what_it_says(value: float, exact: bool) -> None:  # noqa: FBT001
    bench = Bench()
    samples = np.full((4, 3), value, dtype=np.float32)
    assert bench.take(ACC, GspFrame(kind=GspKind.ACC, timestamp_ms=0, samples=samples), UTC_0_NS)

    block = bench.cut().waveforms[0]
    sent = float(np.float32(value))
    assert abs(block.counts[0] * STEP - sent) <= (0.0 if exact else STEP / 2)
    np.testing.assert_allclose(block.physical(), sent / 9.80665, atol=STEP)
    assert (block.channel, block.unit) == ("acc/x", "[g]")


def test_a_number_beyond_any_sensor_is_no_sample() -> None:
    bench = Bench()
    samples = np.full((4, 3), 1e9, dtype=np.float32)

    frame = GspFrame(kind=GspKind.ACC, timestamp_ms=0, samples=samples)
    assert not bench.take(ACC, frame, UTC_0_NS)


def test_parts_that_end_where_the_narrowest_link_does_are_refused_aloud_once() -> None:
    bench = Bench()
    whole = encode_gsp_notification(GspData(reference=ECG, body=encode_gsp_frame(ecg(0))))
    for _ in range(4):
        bench.intake.take(uuids.GSP_DATA, whole[:20], UTC_0_NS)

    events = bench.cut().events
    [refused] = [one for one in events if one.kind is DeviceEventKind.STREAM_REFUSED]
    assert refused.detail.startswith("ECG: notifications end at 20 bytes; 68 are needed")
