"""The agent on a Generic Health Sensor: what it kept, what it observes live, and its clock."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from devices import codes
from devices.ghs_header import ObservationStatus
from devices.ghs_observation import ObservationBundle
from devices.ghs_values import NumericValue
from edge.protocols.stored_records import StoredRecordsSpeaker
from edge.virtual.ether import Ether
from edge.virtual.health_sensor import MODEL, HealthSensor, PatchSettings
from edge.virtual.peripheral import Identity
from edge.virtual.player import NS_PER_S, Clock
from ingest.frame import DeviceEventKind
from ingest.reading_marks import TIME_OF_ARRIVAL, TIME_UNCHECKED
from ingest.settings import KafkaSettings
from tests.edge.device_ward import DeviceWard, events_of, readings_of
from tests.edge.test_agent import kafka
from tests.waiting import until

__all__ = ["kafka"]

AHEAD_S = -3 * 3600.0


@pytest.fixture(autouse=True)
def asked_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StoredRecordsSpeaker, "ASK_AGAIN_S", 1.0)


def ward_of(
    kafka: KafkaSettings, folder: Path, status: ObservationStatus | None = None
) -> DeviceWard[HealthSensor]:
    def patch(ether: Ether, clock: Clock) -> HealthSensor:
        return HealthSensor(
            ether,
            Identity(model=MODEL, serial="0001", address="C4:E7:41:00:00:01"),
            clock,
            settings=PatchSettings(status=status, store_period_s=0.1, clock_ahead_s=AHEAD_S),
            advertising_interval_ms=20.0,
        )

    return DeviceWard(kafka, folder, patch)


def heart_rates(sensor: HealthSensor) -> Iterator[float]:
    """What the store holds, oldest first."""
    for observation in sensor.store.records.values():
        assert isinstance(observation, ObservationBundle)
        for one in observation.observations:
            if one.header.observation_type == codes.HEART_RATE.mdc:
                assert isinstance(one.value, NumericValue)
                assert isinstance(one.value.value, float)
                yield one.value.value


async def test_what_was_kept_and_what_is_observed_live_arrive_once_on_one_time(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = ward_of(kafka, tmp_path)
    sensor = ward.device
    begun_ns = ward.clock.now_ns()
    live = sensor.readings["heart_rate"]
    async with ward.running():
        await until(lambda: len(sensor.store.records) >= 30)
        async with ward.agent():
            await until(lambda: live.sent >= 3)
            await ward.lose_the_link(dark_s=0.5)
            n_before = live.sent
            await until(lambda: live.sent >= n_before + 3)
        n_kept = len(sensor.store.records)
        ended_ns = ward.clock.now_ns()
        frames = await ward.frames()

    found = readings_of(frames, codes.HEART_RATE.mdc)
    n_live = live.sent
    assert n_live + 30 < len(found)
    by_reading = {one.t_ns: one.value for one in found}
    assert len(by_reading) == len(found)
    assert all(begun_ns - NS_PER_S <= one.t_ns <= ended_ns for one in found)
    assert not any(one.status_bits & (TIME_UNCHECKED | TIME_OF_ARRIVAL) for one in found)
    # What it keeps while the agent stops is for the next link.
    n_stored = len(found) - n_live
    assert n_stored <= n_kept
    # A transfer that did not complete says so, and leaves some of it for the next link.
    others = Counter(one.value for one in found) - Counter(heart_rates(sensor))
    assert others.total() <= n_live
    blocks = [block for frame in frames for block in frame.waveforms]
    pleth = sensor.channels["pleth"]
    assert sum(block.n_samples for block in blocks) == pleth.sent
    first = blocks[0]
    for block in blocks:
        steps = np.arange(block.i_first - first.i_first, block.i_end - first.i_first)
        wanted = (int(first.counts[0]) + 97 * steps) % 4001
        np.testing.assert_array_equal(block.counts, wanted)
        assert (block.unit, block.scale) == ("1", 0.001)
    [clock_set] = events_of(frames, DeviceEventKind.CLOCK_SET)
    assert abs(float(clock_set.detail.split()[2]) + 10800) < 0.1
    taken = events_of(frames, DeviceEventKind.RECORDS_TAKEN)
    assert sum(int(one.detail.partition(" ")[0]) for one in taken) == n_stored


async def test_test_data_is_withheld_and_its_waveform_is_refused_aloud(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = ward_of(kafka, tmp_path, ObservationStatus.TEST_DATA)
    sensor = ward.device
    async with ward.running():
        async with ward.agent():
            await until(lambda: sensor.channels["pleth"].sent >= 100)
        frames = await ward.frames()

    found = readings_of(frames, codes.HEART_RATE.mdc)
    assert found
    assert {one.reason for one in found} == {"test_data"}
    assert not any(frame.waveforms for frame in frames)
    [refused] = events_of(frames, DeviceEventKind.STREAM_REFUSED)
    assert refused.detail == "PLETH: test_data"
