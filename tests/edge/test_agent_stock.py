"""The agent on a glucose monitor and on an oximeter that keeps spot-checks."""

from collections import Counter
from pathlib import Path

import pytest

from devices import codes
from edge.protocols.stored_records import StoredRecordsSpeaker
from edge.virtual.ether import Ether
from edge.virtual.glucose_monitor import MODEL as MONITOR_MODEL
from edge.virtual.glucose_monitor import GlucoseMonitor, MonitorSettings
from edge.virtual.peripheral import Identity
from edge.virtual.player import NS_PER_S, Clock
from edge.virtual.spot_oximeter import MODEL as OXIMETER_MODEL
from edge.virtual.spot_oximeter import SpotOximeter
from ingest.frame import DeviceEventKind
from ingest.reading_marks import TIME_OF_ARRIVAL, TIME_UNCHECKED
from ingest.settings import KafkaSettings
from tests.edge.device_ward import DeviceWard, events_of, readings_of
from tests.edge.test_agent import kafka
from tests.waiting import until

__all__ = ["kafka"]

DOUBTFUL = TIME_UNCHECKED | TIME_OF_ARRIVAL
MIN_NS = 60 * NS_PER_S


@pytest.fixture(autouse=True)
def asked_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StoredRecordsSpeaker, "ASK_AGAIN_S", 0.3)


def monitor_ward(
    kafka: KafkaSettings, folder: Path, settings: MonitorSettings
) -> DeviceWard[GlucoseMonitor]:
    def monitor(ether: Ether, clock: Clock) -> GlucoseMonitor:
        identity = Identity(model=MONITOR_MODEL, serial="0001", address="C4:E7:21:00:00:01")
        return GlucoseMonitor(ether, identity, clock, settings, advertising_interval_ms=20.0)

    return DeviceWard(kafka, folder, monitor, time_zone="America/New_York")


@pytest.mark.parametrize("states_zone", [True, False])
async def test_every_minute_of_a_session_arrives_once_though_the_link_is_lost(
    kafka: KafkaSettings,
    tmp_path: Path,
    states_zone: bool,  # noqa: FBT001
) -> None:
    settings = MonitorSettings(period_s=0.5, n_stored=300, states_zone=states_zone)
    ward = monitor_ward(kafka, tmp_path, settings)
    monitor = ward.device
    sent = monitor.readings["cgm"]
    async with ward.running():
        async with ward.agent():
            await until(lambda: sent.sent >= 100)
            monitor.drop_next_notifications(3)
            await ward.lose_the_link()
            # All that there is, some of it measured meanwhile: what was dropped has come, too.
            await until(lambda: ward.n_taken() == len(monitor.store.records) > 304)
            n_minutes = ward.n_taken()
        frames = await ward.frames()

    found = readings_of(frames, codes.GLUCOSE_INTERSTITIAL.mdc)
    assert len(found) >= n_minutes
    wanted = Counter(map(monitor.glucose_mg_per_dl, range(len(found))))
    assert Counter(one.value for one in found) == wanted
    # From here on its minutes are half seconds, and would be of the future.
    by_minute = {round((one.t_ns - monitor.start_ns) / MIN_NS): one for one in found}
    tolerance_ns = (1 if states_zone else 60) * NS_PER_S
    for minute in range(300):
        one = by_minute[minute]
        assert one.value == monitor.glucose_mg_per_dl(minute)
        assert abs(one.t_ns - monitor.start_ns - minute * MIN_NS) <= tolerance_ns
        assert not one.status_bits & DOUBTFUL
    assert not events_of(frames, DeviceEventKind.RECORDS_LOST)


async def test_a_new_session_is_taken_from_its_beginning(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = monitor_ward(kafka, tmp_path, MonitorSettings(period_s=3600.0, n_stored=20))
    monitor = ward.device
    async with ward.running():
        async with ward.agent():
            await ward.until_taken(20)
        monitor.begin_session(12)
        async with ward.agent():
            await ward.until_taken(32)
        frames = await ward.frames()

    assert len(readings_of(frames, codes.GLUCOSE_INTERSTITIAL.mdc)) == 32


async def test_spot_checks_arrive_once_stored_or_live(kafka: KafkaSettings, tmp_path: Path) -> None:
    def oximeter(ether: Ether, clock: Clock) -> SpotOximeter:
        identity = Identity(model=OXIMETER_MODEL, serial="0001", address="C4:E7:22:00:00:01")
        return SpotOximeter(
            ether, identity, clock, clock_ahead_s=-86_400.0, advertising_interval_ms=20.0
        )

    ward = DeviceWard(kafka, tmp_path, oximeter, time_zone="UTC")
    device = ward.device
    begun_ns = ward.clock.now_ns()
    for k in range(60):
        device.measure(40 + k, begun_ns - (60 - k) * MIN_NS)
    sent = device.readings["spot_check"]
    async with ward.running():
        async with ward.agent():
            await until(lambda: sent.sent >= 15)
            await ward.lose_the_link()
            await ward.until_logged("clock_set")  # what comes before the agent knows it is marked
            device.measure(100, ward.clock.now_ns())
            await ward.until_taken(61)
        n_before = sent.sent
        async with ward.agent():
            # Who asks a second time has dealt with what came the first time.
            await until(lambda: sent.sent > n_before + 61)
        frames = await ward.frames()

    found = readings_of(frames, codes.SPO2.mdc)
    assert [one.value for one in found] == [*map(float, range(40, 101))]
    assert not any(one.status_bits & DOUBTFUL for one in found)
    for k, one in enumerate(found[:60]):
        assert abs(one.t_ns - (begun_ns - (60 - k) * MIN_NS)) < 2 * NS_PER_S
    assert abs(found[60].t_ns - (found[60].received_ns or 0)) < 3 * NS_PER_S
