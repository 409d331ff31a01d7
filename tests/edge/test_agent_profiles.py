"""The agent on devices of standard services: scales of several users, cuffs, runners' straps."""

from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any

from bumble.gatt import Service

from devices import codes, uuids
from devices.heart_rate import HeartRateMeasurement, encode_heart_rate
from devices.running_speed_cadence import RscMeasurement, encode_rsc_measurement
from edge import metrics
from edge.virtual.cuff import DEFLATION_S, Cuff
from edge.virtual.cuff import MODEL as CUFF_MODEL
from edge.virtual.ether import Ether
from edge.virtual.peripheral import Counters, Identity, Peripheral, bumble_uuid, notifying
from edge.virtual.player import NS_PER_S, Clock, ticks
from edge.virtual.scale import MODEL as SCALE_MODEL
from edge.virtual.scale import Scale
from ingest.frame import DeviceEventKind
from ingest.reading_marks import TIME_OF_ARRIVAL, TIME_UNCHECKED
from ingest.settings import KafkaSettings
from tests.edge.device_ward import DeviceWard, events_of, readings_of
from tests.edge.test_agent import kafka
from tests.waiting import until

__all__ = ["kafka"]

DOUBTFUL = TIME_UNCHECKED | TIME_OF_ARRIVAL
ZONE = "Asia/Kathmandu"


def scale(ether: Ether, clock: Clock) -> Scale:
    identity = Identity(model=SCALE_MODEL, serial="0001", address="C4:E7:05:00:00:01")
    return Scale(ether, identity, clock, period_s=0.5, user_id=2, advertising_interval_ms=20.0)


async def test_a_scales_weighings_arrive_once_with_their_time_though_the_link_is_lost(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = DeviceWard(kafka, tmp_path, scale, user_index=2, time_zone=ZONE)
    device = ward.device
    weight = device.readings["weight"]
    async with ward.running():
        async with ward.agent():
            await until(lambda: device.wall_clock.n_set == 1 and weight.sent >= 4)
            await ward.lose_the_link()
            n_before = weight.sent
            await until(lambda: weight.sent >= n_before + 4)
        frames = await ward.frames()

    found = readings_of(frames, codes.BODY_MASS.mdc)
    # A body composition repeats no weight here. What was confirmed as the link fell may have
    # arrived without its confirmation: the scale then counts it as lost.
    assert weight.sent <= len(found) <= weight.sent + weight.unconfirmed
    assert len({one.t_ns for one in found}) == len(found)
    assert all(abs(one.t_ns - (one.received_ns or 0)) < 3 * NS_PER_S for one in found)
    assert not any(one.status_bits & DOUBTFUL for one in found)
    assert len(events_of(frames, DeviceEventKind.CLOCK_SET)) == 1


async def test_another_users_weighings_are_counted_and_left_out(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = DeviceWard(kafka, tmp_path, scale, user_index=1, time_zone=ZONE)
    weight = ward.device.readings["weight"]
    async with ward.running():
        async with ward.agent():
            await until(lambda: weight.sent >= 3)
        frames = await ward.frames()

    assert readings_of(frames, codes.BODY_MASS.mdc) == []
    assert readings_of(frames, codes.BATTERY_LEVEL.mdc)
    [device_id] = {event.device_id for event in events_of(frames, DeviceEventKind.CONNECTED)}
    dropped = metrics.READINGS_DROPPED.labels(device_id, "other_user")
    # Weight, body mass index and height of each, and what is in the body composition.
    assert dropped._value.get() >= 3 * weight.sent


async def test_a_cuff_whose_clock_is_a_date_only_is_read_and_set(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    def cuff(ether: Ether, clock: Clock) -> Cuff:
        identity = Identity(model=CUFF_MODEL, serial="0001", address="C4:E7:06:00:00:01")
        return Cuff(ether, identity, clock, period_s=DEFLATION_S + 1, advertising_interval_ms=20.0)

    ward = DeviceWard(kafka, tmp_path, cuff, time_zone=ZONE)
    device = ward.device
    device.wall_clock.ahead_ns = -400 * 86_400 * NS_PER_S
    pressure = device.readings["cuff_pressure"]
    async with ward.running():
        async with ward.agent():
            # The agent does not know yet that it did.
            await until(lambda: device.wall_clock.n_set == 1)
            device._give_result(ward.clock.now_ns())
            await until(lambda: device.readings["blood_pressure"].sent == 1)
            await ward.until_logged("clock_set")
        frames = await ward.frames()

    [systolic] = readings_of(frames, codes.SYSTOLIC_PRESSURE.mdc)
    assert abs(systolic.t_ns - (systolic.received_ns or 0)) < 4 * NS_PER_S
    assert not systolic.status_bits & DOUBTFUL
    assert len(readings_of(frames, codes.CUFF_PRESSURE.mdc)) == pressure.sent
    [clock_set] = events_of(frames, DeviceEventKind.CLOCK_SET)
    assert clock_set.detail.endswith("s behind")


class RunnersStrap(Peripheral):
    """A strap of no model that is known: heart rate, speed and cadence."""

    def __init__(self, ether: Ether, clock: Clock) -> None:
        identity = Identity(model="Unknown Strap", serial="7", address="C4:E7:30:00:00:01")
        super().__init__(ether, identity, clock, advertising_interval_ms=20.0)
        self.readings |= {"heart_rate": Counters(), "speed": Counters()}
        self._heart_rate = notifying(uuids.HEART_RATE_MEASUREMENT)
        self._speed = notifying(uuids.RSC_MEASUREMENT)

    @property
    def advertised_services(self) -> tuple[str, ...]:
        return (uuids.HEART_RATE_SERVICE, uuids.RUNNING_SPEED_CADENCE_SERVICE)

    def services(self) -> Iterable[Service]:
        return (
            Service(bumble_uuid(uuids.HEART_RATE_SERVICE), [self._heart_rate]),
            Service(bumble_uuid(uuids.RUNNING_SPEED_CADENCE_SERVICE), [self._speed]),
        )

    def jobs(self) -> Iterable[Coroutine[Any, Any, None]]:
        return (self._run(),)

    async def _run(self) -> None:
        heart_rate = encode_heart_rate(HeartRateMeasurement(heart_rate_bpm=150))
        speed = encode_rsc_measurement(
            RscMeasurement(speed_m_per_s=3.0, cadence_per_min=170, running=True)
        )
        async for _ in ticks(self.clock, self.clock.now_ns(), 0.1):
            await self.notify(self._heart_rate, heart_rate, [(self.readings["heart_rate"], 1)])
            await self.notify(self._speed, speed, [(self.readings["speed"], 1)])


async def test_a_strap_that_is_a_running_sensor_too_is_heard_as_both(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = DeviceWard(kafka, tmp_path, RunnersStrap)
    counters = ward.device.readings
    async with ward.running():
        async with ward.agent():
            await until(lambda: counters["speed"].sent >= 5)
            await ward.lose_the_link()
            n_before = counters["speed"].sent
            await until(lambda: counters["speed"].sent >= n_before + 5)
        frames = await ward.frames()

    assert len(readings_of(frames, codes.HEART_RATE.mdc)) == counters["heart_rate"].sent
    assert len(readings_of(frames, codes.SPEED.mdc)) == counters["speed"].sent
    assert len(readings_of(frames, codes.CADENCE.mdc)) == counters["speed"].sent
