"""The agent on an armband whose frames are compressed and come with a factor."""

import asyncio
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from devices import codes
from devices.polar_pmd import PmdMeasurement, PmdStopped, encode_indication
from edge.virtual.armband import Armband
from edge.virtual.player import SteadyClock
from edge.virtual.pmd import IntervalOffer
from edge.virtual.sensors import PersonSettings, SensorsSettings, build_sensors
from edge.virtual.strap import still_person_mg
from ingest.frame import DeviceEventKind, Frame, Reading
from ingest.settings import KafkaSettings
from tests.edge.test_agent import Ward, broker_of, kafka
from tests.waiting import until

__all__ = ["kafka"]


class ArmbandWard(Ward):
    """One person with an armband."""

    def __init__(self, kafka: KafkaSettings, folder: Path) -> None:
        super().__init__(kafka, folder)
        settings = SensorsSettings(persons=(PersonSettings(armband="heartpy"),))
        self.sensors = build_sensors(settings, self.ether, SteadyClock())


async def test_light_and_motion_arrive_in_their_units(
    kafka: KafkaSettings,
    tmp_path: Path,
) -> None:
    ward = ArmbandWard(kafka, tmp_path)
    armband = ward.sensors[0]
    async with ward.radio, broker_of(kafka):
        run = asyncio.create_task(armband.run(), name=armband.identity.name)
        try:
            await armband.started.wait()
            async with ward.agent():
                await until(lambda: armband.channels["gyro/x"].sent >= 150)
            frames = await ward.frames()
        finally:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)

    stored: Counter[str] = Counter()
    physical: defaultdict[str, list[float]] = defaultdict(list)
    for frame in frames:
        assert frame.gaps == ()
        for block in frame.waveforms:
            stored[block.channel] += block.n_samples
            physical[block.channel] += block.physical().tolist()
    assert stored == {name: one.produced for name, one in armband.channels.items()}
    assert len(stored) == 10
    i_first = armband.channels["acc/x"].i_first or 0
    expected_mg = still_person_mg(52, seed=1)[i_first : i_first + stored["acc/x"]]
    for axis, name in enumerate(("acc/x", "acc/y", "acc/z")):
        np.testing.assert_allclose(physical[name], expected_mg[:, axis] / 1000, atol=2e-4)
    assert max(map(abs, physical["gyro/x"])) < 4.0


async def test_intervals_are_started_without_settings_and_sdk_mode_is_left(
    kafka: KafkaSettings,
    tmp_path: Path,
) -> None:
    ward = ArmbandWard(kafka, tmp_path)
    armband = ward.sensors[0]
    assert isinstance(armband, Armband)
    offer = armband.pmd._offers[PmdMeasurement.PPI]
    assert isinstance(offer, IntervalOffer)
    armband.pmd._offers[PmdMeasurement.PPI] = replace(offer, warm_up_s=1.0, period_s=1.0)
    armband.pmd._sdk_mode = True
    intervals = armband.readings["pp_interval"]
    async with ward.radio, broker_of(kafka), armband.running():
        async with ward.agent():
            await until(lambda: intervals.sent >= 2)
            assert not armband.pmd.sdk_mode
            ward.ether.silence(armband.identity.address)
            await until(lambda: not armband.connected)
            ward.ether.restore(armband.identity.address)
            n_before = intervals.sent
            await until(lambda: intervals.sent >= n_before + 2)
            stop = PmdStopped(measurements=(PmdMeasurement.GYRO,))
            await armband.indicate(armband.pmd._control_point, encode_indication(stop), ())
        assert not armband.pmd.running
        frames = await ward.frames()

    found = [one for one in all_readings(frames) if one.mdc_code == codes.PP_INTERVAL.mdc]
    assert len(found) == intervals.sent
    assert all(300 < (one.value or 0) < 2000 for one in found)
    assert any(one.mdc_code == codes.HEART_RATE.mdc for one in all_readings(frames))
    events = [event for frame in frames for event in frame.events]
    started = [one.detail for one in events if one.kind is DeviceEventKind.STREAM_STARTED]
    stopped = [one.detail for one in events if one.kind is DeviceEventKind.STREAM_STOPPED]
    [refused] = [one.detail for one in events if one.kind is DeviceEventKind.STREAM_REFUSED]
    assert refused == "GYRO: stopped by the device"
    assert started == ["PPG 55 Hz", "ACC 52 Hz", "GYRO 52 Hz", "PPI"] * 2
    assert sorted(stopped) == ["acc", "gyro", "ppg", "ppi"]


def all_readings(frames: list[Frame]) -> list[Reading]:
    return [one for frame in frames for one in frame.readings]
