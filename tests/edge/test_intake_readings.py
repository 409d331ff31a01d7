"""Readings on their way into a Frame: whose they are, when they were taken, in which unit."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from devices import codes, uuids
from devices.body_measures import UserId
from devices.catalogue import CATALOGUE, DeviceModel, find_model
from devices.date_time import DeviceDateTime
from devices.heart_rate import HeartRateMeasurement, encode_heart_rate
from devices.weight_scale import WeightMeasurement, encode_weight
from edge.framer import Framer
from edge.intakes.intake import DeviceIntake
from edge.intakes.stock import SpotCheckRecords
from ingest.frame import NS_PER_S, Reading
from ingest.reading_marks import TIME_UNCHECKED

UTC_0_NS = 1_790_000_000 * NS_PER_S


def row(name: str) -> DeviceModel:
    return next(one for one in CATALOGUE if one.name == name)


def take(model: DeviceModel, uuid: str, *payloads: bytes, **keywords: object) -> list[Reading]:
    framer = Framer("p-1", "a-1")
    intake = DeviceIntake("d-1", model, framer, {}, {}, **keywords)  # type: ignore[arg-type]
    for payload in payloads:
        assert intake.take(uuid, payload, UTC_0_NS)
    return [one for frame in framer.cut(0) for one in frame.readings]


def weight(kg: float, user_id: int | None = None, at: DeviceDateTime | None = None) -> bytes:
    return encode_weight(WeightMeasurement(weight=kg, user_id=user_id, measured_at=at))


def test_another_users_weight_is_left_out_where_the_subjects_number_is_known() -> None:
    payloads = (weight(70.0, 1), weight(80.0, 2), weight(90.0, UserId.UNKNOWN), weight(60.0))

    of_two = take(row("Weighing scale"), uuids.WEIGHT_MEASUREMENT, *payloads, user_index=2)
    of_all = take(row("Weighing scale"), uuids.WEIGHT_MEASUREMENT, *payloads)

    assert [one.value for one in of_two] == [80.0, 60.0]
    assert [one.value for one in of_all] == [70.0, 80.0, 90.0, 60.0]


def test_a_scale_that_means_another_unit_is_corrected_by_its_row() -> None:
    catties = replace(row("Weighing scale"), weight_factor=0.5)

    [reading] = take(catties, uuids.WEIGHT_MEASUREMENT, weight(140.0))

    assert (reading.value, reading.unit) == (70.0, codes.BODY_MASS.ucum)


def test_two_measurements_of_one_second_do_not_share_a_time() -> None:
    at = DeviceDateTime(year=2026, month=9, day=21, hour=14, minute=0, second=0)

    first, second = take(
        row("Weighing scale"),
        uuids.WEIGHT_MEASUREMENT,
        weight(70.0, at=at),
        weight(71.0, at=at),
        zone=ZoneInfo("UTC"),
    )

    assert second.t_ns == first.t_ns + 1
    assert first.t_ns % NS_PER_S == 0
    assert first.status_bits & TIME_UNCHECKED
    assert first.received_ns == UTC_0_NS


def test_contact_flags_that_are_not_to_be_believed_withhold_no_heart_rate() -> None:
    payload = encode_heart_rate(HeartRateMeasurement(heart_rate_bpm=61, contact=False))

    [believed] = take(row("Polar H10"), uuids.HEART_RATE_MEASUREMENT, payload)
    [other] = take(row("Polar Verity Sense"), uuids.HEART_RATE_MEASUREMENT, payload)

    assert (believed.value, believed.reason) == (None, "no_contact")
    assert (other.value, other.status_bits) == (61.0, 0)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_device_of_several_services_is_subscribed_to_as_all_of_them(
    reverse: bool,  # noqa: FBT001
) -> None:
    services = [uuids.HEART_RATE_SERVICE, uuids.RUNNING_SPEED_CADENCE_SERVICE]

    model = find_model(
        local_name="Somebody's",
        manufacturer=None,
        model_number=None,
        service_uuids=services[::-1] if reverse else services,
    )

    assert model is not None
    assert model.name == "Heart-rate sensor"
    assert model.characteristics == (
        uuids.HEART_RATE_MEASUREMENT,
        uuids.BATTERY_LEVEL,
        uuids.RSC_MEASUREMENT,
    )
    assert model.services == frozenset(services)


def test_a_spot_check_that_cannot_be_written_again_is_undecodable_and_ends_nothing() -> None:
    intake = DeviceIntake("d-1", row("Chevet Virtual Spot Oximeter"), Framer("p-1", "a-1"), {})
    SpotCheckRecords(intake).begin()
    least_mantissa = bytes.fromhex("00 00 78 3c 00")

    assert not intake.take(uuids.PLX_SPOT_CHECK, least_mantissa, UTC_0_NS)
    assert intake.take(uuids.PLX_SPOT_CHECK, bytes.fromhex("00 61 00 3c 00"), UTC_0_NS)


def test_a_record_that_comes_while_its_link_is_ended_is_left_to_the_next_transfer() -> None:
    framer = Framer("p-1", "a-1")
    intake = DeviceIntake("d-1", row("Chevet Virtual Spot Oximeter"), framer, {})
    spot_check = bytes.fromhex("00 61 00 3c 00")
    SpotCheckRecords(intake).begin()
    intake.begin_link(UTC_0_NS)
    intake.end_link(UTC_0_NS, lost=False)
    intake.take(uuids.PLX_SPOT_CHECK, spot_check, UTC_0_NS)

    SpotCheckRecords(intake).begin()
    intake.begin_link(UTC_0_NS)
    intake.take(uuids.PLX_SPOT_CHECK, spot_check, UTC_0_NS)

    values = [one.value for frame in framer.cut(0) for one in frame.readings]
    assert values == [97.0, 60.0]
