"""What stands in the resources: the values, bit for bit, and what is said about them."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import codes
from ingest.frame import NS_PER_S, TIME_NS_MAX
from ingest.observation import AlarmEvent, Observation
from processors.exports.clinical import ClinicalRecord
from processors.exports.codings import CHEVET, LOINC, MDC
from processors.exports.device_book import CLOCK_EVERY_NS, DeviceBook
from processors.exports.fhir import encode_bundle
from processors.exports.fhir_observations import observation_id
from processors.exports.fhir_parts import instant, resource_id
from processors.exports.strips import Strip, strips_of
from tests.exports_fhir.cases import (
    SUBJECT,
    alarm,
    bedside_frames,
    block,
    clock,
    frame_of,
    observation,
    outputs,
    record,
)
from tests.pipeline.bedside import START_NS

Resource = dict[str, Any]


def exported(record: ClinicalRecord) -> dict[str, Resource]:
    found = json.loads(encode_bundle(record))["entry"]
    return {entry["resource"]["id"]: entry["resource"] for entry in found}


def only(*observations: Observation, strips: Sequence[Strip] = ()) -> Resource:
    """The one Observation resource of a record, besides clocks."""
    whole = ClinicalRecord(subject_id=SUBJECT, observations=observations, strips=strips)
    (found,) = [
        one
        for one in exported(whole).values()
        if one["resourceType"] == "Observation" and "valueDateTime" not in one
    ]
    return found


def codes_of(concept: Resource, system: str) -> list[str]:
    return [one["code"] for one in concept["coding"] if one["system"] == system]


def test_every_value_of_a_run_comes_back_bit_for_bit() -> None:
    resources = exported(record())
    observations, _ = outputs()

    n_compared = 0
    for one in observations:
        found = resources.get(observation_id(one))
        if found is None:
            assert one.name.endswith("_pressure")
            continue
        assert found["effectiveDateTime"] == instant(one.t_ns)
        if one.value is None:
            assert found["dataAbsentReason"]["text"] == one.reason
        elif "valueQuantity" in found:
            assert found["valueQuantity"]["value"] == one.value
            assert found["valueQuantity"]["code"] == one.unit
            n_compared += 1
        quality = found["component"][0]["valueQuantity"]["value"]
        assert quality == one.quality
    assert n_compared > 200


@given(st.integers(0, TIME_NS_MAX))
def test_an_instant_says_every_nanosecond(t_ns: int) -> None:
    text = instant(t_ns)

    whole, _, rest = text.removesuffix("Z").partition(".")
    seconds = int(np.datetime64(whole, "s").astype(np.int64))
    assert seconds * NS_PER_S + int((rest or "0").ljust(9, "0")) == t_ns
    assert len(rest) in {0, 3, 6, 9}


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_two_things_have_two_names(one: list[str], other: list[str]) -> None:
    same = resource_id("Observation", *one) == resource_id("Observation", *other)

    assert same == (one == other)


def test_a_heart_rate_is_a_vital_sign_with_the_codes_of_all() -> None:
    found = only(observation(codes.HEART_RATE, 61.0))

    assert codes_of(found["code"], LOINC) == ["8867-4"]
    assert codes_of(found["code"], MDC) == ["147842"]
    assert codes_of(found["code"], CHEVET) == ["heart_rate"]
    assert found["meta"]["profile"] == ["http://hl7.org/fhir/StructureDefinition/heartrate"]
    assert found["valueQuantity"] == {
        "value": 61.0,
        "unit": "/min",
        "system": "http://unitsofmeasure.org",
        "code": "/min",
    }


def test_saturation_has_both_of_its_codes_and_a_pulse_rate_is_found_as_a_heart_rate() -> None:
    saturation = only(observation(codes.SPO2, 97.0))
    pulse_rate = only(observation(codes.PULSE_RATE, 61.0))

    assert codes_of(saturation["code"], LOINC) == ["2708-6", "59408-5"]
    assert codes_of(pulse_rate["code"], LOINC) == ["8867-4", "8889-8"]


def test_a_height_is_in_the_unit_that_the_profile_asks_for_to_the_last_digit() -> None:
    found = only(observation(codes.BODY_HEIGHT, 1.83))

    assert (found["valueQuantity"]["value"], found["valueQuantity"]["code"]) == (183.0, "cm")


def test_what_is_withheld_has_the_nearest_reason_and_ours() -> None:
    found = only(observation(codes.HEART_RATE, None, reason="lead_off"))

    assert found["dataAbsentReason"]["coding"][0]["code"] == "not-performed"
    assert found["dataAbsentReason"]["text"] == "lead_off"
    assert not any(name.startswith("value") for name in found)


def test_a_suspicion_is_true_or_false_and_a_posture_has_a_name() -> None:
    suspected = only(observation(codes.ASYSTOLE, 1.0))
    posture = only(observation(codes.POSTURE, 2.0))

    assert suspected["valueBoolean"] is True
    assert posture["valueCodeableConcept"]["text"] == "supine"
    assert codes_of(posture["valueCodeableConcept"], CHEVET) == ["posture-2"]


def test_an_inflation_is_one_panel_and_half_of_one_is_not() -> None:
    pressures = [
        observation(row, value, channels=(f"cuff-1/{row.name}",))
        for row, value in (
            (codes.SYSTOLIC_PRESSURE, 121.0),
            (codes.DIASTOLIC_PRESSURE, 79.0),
            (codes.MEAN_ARTERIAL_PRESSURE, 93.0),
        )
    ]

    panel = only(*pressures)
    half = only(pressures[0])

    assert codes_of(panel["code"], LOINC) == ["85354-9"]
    assert [
        (codes_of(part["code"], LOINC), part["valueQuantity"]["value"])
        for part in panel["component"]
    ] == [(["8480-6"], 121.0), (["8462-4"], 79.0), (["8478-0"], 93.0)]
    assert panel["meta"]["profile"] == ["http://hl7.org/fhir/StructureDefinition/bp"]
    assert codes_of(half["code"], LOINC) == ["8480-6"]
    assert "meta" not in half


def test_the_panel_of_another_cuff_at_the_same_moment_is_another_one() -> None:
    rows = ((codes.SYSTOLIC_PRESSURE, 121.0), (codes.DIASTOLIC_PRESSURE, 79.0))
    both = [
        observation(row, value, channels=(f"{cuff}/{row.name}",))
        for cuff in ("cuff-1", "cuff-2")
        for row, value in rows
    ]

    found = exported(ClinicalRecord(subject_id=SUBJECT, observations=both))

    assert sum(one["resourceType"] == "Observation" for one in found.values()) == 2


def test_what_a_device_says_points_to_it_to_its_agent_and_to_what_its_clock_was_worth() -> None:
    one = observation(codes.HEART_RATE, 61.0)
    resources = exported(replace(record(), observations=[one]))

    found = resources[observation_id(one)]
    by_url = {each["url"].rpartition("/")[2]: each for each in found["extension"]}
    agent = resources[_target(by_url["observation-gatewayDevice"]["valueReference"])]
    stamp = resources[_target(by_url["CoincidentTimeStampReference"]["valueReference"])]
    sensor = resources[_target(found["device"])]

    assert (sensor["manufacturer"], sensor["modelNumber"]) == ("Polar Electro", "Polar H10")
    assert "serialNumber" not in sensor
    assert agent["identifier"][0]["value"] == "a-1"
    assert stamp["effectiveDateTime"] == instant(START_NS + NS_PER_S)
    assert stamp["valueDateTime"] == instant(START_NS + NS_PER_S - 1_500_000_000)
    assert (stamp["subject"], _target(stamp["device"])) == (found["device"], agent["id"])
    assert found["meta"]["profile"][-1].endswith("PhdNumericObservation")


def _target(reference: Resource) -> str:
    return str(reference["reference"]).removeprefix("urn:uuid:")


def test_what_is_derived_says_by_which_version_of_what_and_from_which_channels() -> None:
    resources = exported(record())
    one = next(one for one in outputs()[0] if one.algorithm == "ecg_heart_rate")

    (found,) = [
        each
        for each in resources.values()
        if each["resourceType"] == "Provenance"
        and _target(each["target"][0]) == observation_id(one)
    ]
    algorithm = resources[_target(found["agent"][0]["who"])]

    assert algorithm["deviceName"][0]["name"] == "ecg_heart_rate"
    assert algorithm["version"][0]["value"] == str(one.algorithm_version)
    assert tuple(each["what"]["display"] for each in found["entity"]) == one.channels
    assert found["recorded"] == instant(one.t_ns)


def test_two_devices_that_say_the_same_at_one_moment_are_two_observations() -> None:
    both = [
        observation(codes.BODY_TEMPERATURE, value, channels=(f"{device_id}/body_temperature",))
        for device_id, value in (("patch-1", 37.1), ("ear-1", 36.9))
    ]

    found = exported(ClinicalRecord(subject_id=SUBJECT, observations=both)).values()

    values = [one["valueQuantity"]["value"] for one in found if "valueQuantity" in one]
    assert sorted(values) == [36.9, 37.1]


def test_a_series_of_beats_is_no_device() -> None:
    one = observation(codes.RESPIRATORY_RATE, 14.0)._replace(
        channels=("ecg_height", "strap-1/ecg"), algorithm="beat_respiration"
    )

    found = exported(ClinicalRecord(subject_id=SUBJECT, observations=[one])).values()

    sensors = [
        each for each in found if each.get("type", {}).get("text") == "Personal health device"
    ]
    assert [each["identifier"][0]["value"] for each in sensors] == ["strap-1"]
    (derived,) = [each for each in found if each["resourceType"] == "Provenance"]
    assert derived["entity"][0]["what"] == {"display": "ecg_height"}
    assert derived["entity"][1]["what"]["reference"] == f"urn:uuid:{sensors[0]['id']}"


def test_a_device_of_which_nothing_is_known_is_only_named() -> None:
    found = exported(
        ClinicalRecord(subject_id=SUBJECT, observations=[observation(codes.SPO2, 97.0)])
    )

    (device,) = [one for one in found.values() if one["resourceType"] == "Device"]
    assert "meta" not in device
    assert device["identifier"][0]["value"] == "strap-1"


def test_a_clock_is_told_now_and_then_and_at_once_when_it_was_set() -> None:
    times_s = range(3600)
    frame = bedside_frames()[0]
    told = [
        replace(frame, sequence=i, clocks=(clock(START_NS + second * NS_PER_S),))
        for i, second in enumerate(times_s)
    ]
    told[100] = replace(told[100], clocks=(clock(START_NS + 100 * NS_PER_S, offset_ns=-(10**12)),))

    kept = DeviceBook.of(told).device("strap-1").clocks

    # Before it was set, when it was, when it was set back, and every ten minutes from then on.
    assert len(kept) == 3 + (3600 - 101) * NS_PER_S // CLOCK_EVERY_NS
    assert kept[1].offset_ns == -(10**12)


def test_the_clock_that_counts_is_the_newest_before() -> None:
    frame = bedside_frames()[0]
    early, late = START_NS + NS_PER_S, START_NS + 2 * CLOCK_EVERY_NS
    book = DeviceBook.of([replace(frame, clocks=(clock(early), clock(late)))])

    device = book.device("strap-1")

    assert device.clock_at(START_NS) == clock(early)
    assert device.clock_at(late - 1) == clock(early)
    assert device.clock_at(late) == clock(late)


def strip_resource(cut: Strip) -> Resource:
    return only(strips=[cut])


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=30))
def test_the_integers_of_a_strip_come_back(counts: list[int]) -> None:
    (cut,) = strips_of(
        [frame_of(block(7, counts), block(7 + len(counts) + 3, [5]))],
        device_id="strap-1",
        channel="ecg/II",
        begin_ns=0,
        end_ns=TIME_NS_MAX,
    )

    found = strip_resource(cut)
    data = found["valueSampledData"]

    assert data["data"].split(" ") == [*map(str, counts), "E", "E", "E", "5"]
    assert (data["factor"], data["origin"]["value"], data["dimensions"]) == (5.0, 0.0, 1)
    assert data["period"] == pytest.approx(1000 / 360, rel=1e-15)
    assert found["effectivePeriod"] == {
        "start": instant(cut.block.t0_ns),
        "end": instant(cut.end_ns),
    }
    assert codes_of(found["code"], MDC) == ["131330"]


def test_what_is_beyond_the_sensor_is_above_or_below_and_what_is_at_its_rail_is_a_number() -> None:
    cut = Strip(block=block(0, [-101, -100, 0, 100, 101]), limits=(-100, 100))

    data = strip_resource(cut)["valueSampledData"]

    assert data["data"] == "L -100 0 100 U"
    assert (data["lowerLimit"], data["upperLimit"]) == (-100, 100)


def test_a_channel_without_a_unit_is_a_number() -> None:
    data = strip_resource(Strip(block=block(0, [1], unit="")))["valueSampledData"]

    assert data["origin"]["code"] == "1"


def conditions(*events: AlarmEvent) -> list[Resource]:
    found = exported(ClinicalRecord(subject_id=SUBJECT, alarms=events))
    return [one for one in found.values() if one["resourceType"] == "Observation"]


def test_an_alarm_lasts_from_its_begin_to_its_end() -> None:
    (found,) = conditions(alarm(5, active=True), alarm(9, active=False))

    assert found["effectivePeriod"] == {
        "start": instant(START_NS + 5 * NS_PER_S),
        "end": instant(START_NS + 9 * NS_PER_S),
    }
    assert (found["status"], found["valueBoolean"]) == ("final", True)
    assert found["note"] == [{"text": "no heart rate: lead_off"}]


def test_an_alarm_that_lasts_is_the_same_resource_when_it_has_ended() -> None:
    (lasting,) = conditions(alarm(5, active=True))
    (ended,) = conditions(alarm(5, active=True), alarm(9, active=False))

    assert lasting["status"] == "preliminary"
    assert "end" not in lasting["effectivePeriod"]
    assert lasting["id"] == ended["id"]


def test_conditions_of_two_kinds_do_not_end_each_other() -> None:
    found = conditions(
        alarm(5, active=True),
        alarm(6, active=True, name="frames_missing"),
        alarm(7, active=True, name="frames_missing"),
        alarm(8, active=False, name="frames_missing"),
        alarm(9, active=False),
    )

    spans = {one["code"]["coding"][0]["code"]: one["effectivePeriod"] for one in found}
    assert spans["alarm-frames_missing"] == {
        "start": instant(START_NS + 6 * NS_PER_S),
        "end": instant(START_NS + 8 * NS_PER_S),
    }
    assert len(found) == 2


def test_an_end_whose_begin_is_not_there_is_told_as_that() -> None:
    (found,) = conditions(alarm(9, active=False))

    assert found["effectivePeriod"] == {"end": instant(START_NS + 9 * NS_PER_S)}
