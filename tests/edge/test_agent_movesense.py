"""The agent on a Movesense: every sample at its place, though the link is lost."""

from pathlib import Path

import numpy as np

from devices import codes
from devices.movesense_data import GspKind, gsp_path
from edge.intakes.movesense import STEP
from edge.virtual.ether import Ether
from edge.virtual.movesense import MODEL, Movesense
from edge.virtual.peripheral import Identity
from edge.virtual.player import Body, Clock
from ingest.frame import DeviceEventKind, Frame, GapCause, WaveformBlock
from ingest.settings import KafkaSettings
from tests.edge.device_ward import DeviceWard, events_of, readings_of
from tests.edge.test_agent import kafka
from tests.edge_virtual.conftest import ecg_recording
from tests.waiting import until

__all__ = ["kafka"]


def ward_of(kafka: KafkaSettings, folder: Path) -> DeviceWard[Movesense]:
    def sensor(ether: Ether, clock: Clock) -> Movesense:
        return Movesense(
            ether,
            Identity(model=MODEL, serial="0001", address="C4:E7:08:00:00:01"),
            clock,
            Body(recording=ecg_recording(), start_ns=clock.now_ns(), loops=True),
            advertising_interval_ms=20.0,
        )

    return DeviceWard(kafka, folder, sensor)


def blocks_of(frames: list[Frame], channel: str) -> list[WaveformBlock]:
    return [one for frame in frames for one in frame.waveforms if one.channel == channel]


def n_missing(frames: list[Frame], channel: str, cause: GapCause) -> int:
    gaps = [one for frame in frames for one in frame.gaps if one.channel == channel]
    assert {one.cause for one in gaps} <= {cause}
    return sum(one.n_samples for one in gaps)


def assert_true(sensor: Movesense, frames: list[Frame], channel: str, path: str) -> None:
    """Hold every stored sample against what the sensor measured at its index."""
    blocks = blocks_of(frames, channel)
    column = 0 if channel == "ecg" else "xyz".index(channel[-1])
    table = sensor.values_of(path).reshape(-1, 1 if channel == "ecg" else 3)[:, column]
    sent = sensor.channels[channel]
    for block in blocks:
        i_samples = (sent.i_first or 0) + np.arange(block.i_first, block.i_end)
        wanted = table[i_samples % len(table)]
        got = block.counts if channel == "ecg" else block.counts * STEP
        np.testing.assert_allclose(got, wanted, atol=STEP / 2, rtol=0)
    assert sum(one.n_samples for one in blocks) == sent.sent
    n_gap = n_missing(frames, channel, GapCause.LINK_LOST)
    assert blocks[-1].i_end == sent.sent + n_gap


async def test_every_sample_stands_at_its_place_though_the_link_is_lost(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = ward_of(kafka, tmp_path)
    sensor = ward.device
    ecg = sensor.channels["ecg"]
    async with ward.running():
        async with ward.agent():
            await until(lambda: ecg.sent >= 500)
            await ward.lose_the_link()
            n_before = ecg.sent
            await until(lambda: ecg.sent >= n_before + 500)
            assert len(sensor.subscribed) == 4
        await until(lambda: not sensor.connected)
        frames = await ward.frames()

    assert sensor.subscribed == {}
    assert sensor.utc_us_set is not None
    assert_true(sensor, frames, "ecg", gsp_path(GspKind.ECG, 250))
    for axis in "xyz":
        assert_true(sensor, frames, f"acc/{axis}", gsp_path(GspKind.ACC, 52))
    assert n_missing(frames, "ecg", GapCause.LINK_LOST) > 0
    for quantity, name in (
        (codes.HEART_RATE, "heart_rate"),
        (codes.RR_INTERVAL, "rr_interval"),
        (codes.DEVICE_TEMPERATURE, "device_temperature"),
    ):
        assert len(readings_of(frames, quantity.mdc)) == sensor.readings[name].sent
    started = events_of(frames, DeviceEventKind.STREAM_STARTED)
    assert [one.detail for one in started] == ["ECG 250 Hz", "ACC 52 Hz"] * 2
    stopped = events_of(frames, DeviceEventKind.STREAM_STOPPED)
    assert sorted(one.detail for one in stopped) == ["acc", "ecg"]


async def test_a_stream_that_is_not_offered_does_not_cost_the_others(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = ward_of(kafka, tmp_path)
    sensor = ward.device
    del sensor._offers[gsp_path(GspKind.ECG, 250)]
    async with ward.running():
        async with ward.agent():
            await until(lambda: sensor.channels["acc/x"].sent >= 52)
        frames = await ward.frames()

    [refused] = events_of(frames, DeviceEventKind.STREAM_REFUSED)
    assert "404" in refused.detail
    assert blocks_of(frames, "ecg") == []
    assert sum(one.n_samples for one in blocks_of(frames, "acc/x")) == sensor.channels["acc/x"].sent
