"""The agent on a glucose meter: every stored record once, whatever the link and the agent do."""

from pathlib import Path

import pytest

from devices import codes
from edge.protocols.stored_records import StoredRecordsSpeaker
from edge.virtual.ether import Ether
from edge.virtual.glucose_meter import MODEL, GlucoseMeter, MeterSettings
from edge.virtual.peripheral import Identity
from edge.virtual.player import NS_PER_S, Clock
from ingest.frame import DeviceEventKind, Frame, Reading
from ingest.reading_marks import TIME_OF_ARRIVAL, TIME_UNCHECKED
from ingest.settings import KafkaSettings
from tests.edge.device_ward import DeviceWard, events_of, readings_of
from tests.edge.test_agent import kafka
from tests.waiting import until

__all__ = ["kafka"]

GLUCOSE = codes.GLUCOSE_CAPILLARY_PLASMA.mdc
HOUR_S = 3600.0
ZONE = "Asia/Kathmandu"
ZONE_AHEAD_S = (5 * 60 + 45) * 60


@pytest.fixture(autouse=True)
def asked_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StoredRecordsSpeaker, "ASK_AGAIN_S", 0.2)


def ward_of(kafka: KafkaSettings, folder: Path, **settings: float) -> DeviceWard[GlucoseMeter]:
    def meter(ether: Ether, clock: Clock) -> GlucoseMeter:
        return GlucoseMeter(
            ether,
            Identity(model=MODEL, serial="0001", address="C4:E7:20:00:00:01"),
            clock,
            MeterSettings(**{"period_s": HOUR_S, **settings}),  # type: ignore[arg-type]
            advertising_interval_ms=20.0,
        )

    return DeviceWard(kafka, folder, meter, time_zone=ZONE)


def taken(frames: list[Frame]) -> list[Reading]:
    return readings_of(frames, GLUCOSE)


def mg_per_dl(meter: GlucoseMeter) -> list[float]:
    """What the meter holds, oldest first."""
    records = [one.measurement.glucose for one in meter.stored]
    return [float(one.glucose_mg_per_dl) for one in records if one is not None]


async def test_all_that_is_stored_arrives_once_though_the_link_is_lost_in_the_middle(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = ward_of(kafka, tmp_path, n_stored=400)
    meter = ward.device
    sent = meter.readings["glucose"]
    async with ward.running():
        async with ward.agent():
            await until(lambda: sent.sent >= 100)
            await ward.lose_the_link()
            n_before = sent.sent
            await until(lambda: sent.sent > n_before and meter.connected)
            meter.measure(ward.clock.now_ns())
            await ward.until_taken(401)
        frames = await ward.frames()

    assert n_before < 400
    assert [one.value for one in taken(frames)] == mg_per_dl(meter)
    assert len({one.t_ns for one in taken(frames)}) == 401
    kinds = [one.kind for one in events_of(frames, *DeviceEventKind)]
    assert DeviceEventKind.TRANSFER_FAILED in kinds
    assert DeviceEventKind.RECORDS_LOST not in kinds
    print([one.detail for one in events_of(frames, *DeviceEventKind) if one.detail])


async def test_a_restarted_agent_goes_on_and_names_what_was_overwritten(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = ward_of(kafka, tmp_path, n_stored=8, capacity=10)
    meter = ward.device
    async with ward.running():
        async with ward.agent():
            await until(lambda: meter.wall_clock.n_set == 1)
        before = mg_per_dl(meter)
        for _ in range(15):
            meter.measure(ward.clock.now_ns())
        asked = meter.readings["glucose"].sent
        async with ward.agent():
            # The new ones, then all, for the last one known is gone; who asks for more after that
            # has dealt with them.
            await until(lambda: meter.readings["glucose"].sent > asked + 2 * 10)
        frames = await ward.frames()

    assert [one.value for one in taken(frames)] == [*before, *mg_per_dl(meter)]
    [lost] = events_of(frames, DeviceEventKind.RECORDS_LOST)
    assert lost.detail == "at most 5: overwritten before they were taken"


async def test_times_are_corrected_by_the_meters_clock_which_is_then_set(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = ward_of(kafka, tmp_path, n_stored=3, clock_ahead_s=-7 * 86_400 + 12)
    meter = ward.device
    begun_ns = ward.clock.now_ns()
    async with ward.running():
        async with ward.agent():
            await ward.until_logged("clock_set")
            meter.measure(ward.clock.now_ns())
            await ward.until_taken(4)
        frames = await ward.frames()

    assert abs(meter.wall_clock.ahead_ns - ZONE_AHEAD_S * NS_PER_S) < NS_PER_S
    *stored, live = taken(frames)
    for k, one in zip((3, 2, 1), stored, strict=True):
        assert abs(one.t_ns - (begun_ns - k * HOUR_S * NS_PER_S)) < 2 * NS_PER_S
    assert abs(live.t_ns - (live.received_ns or 0)) < 4 * NS_PER_S
    assert not any(one.status_bits & (TIME_UNCHECKED | TIME_OF_ARRIVAL) for one in taken(frames))
    [clock_set] = events_of(frames, DeviceEventKind.CLOCK_SET)
    assert clock_set.detail.endswith("s behind")
