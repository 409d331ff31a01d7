"""Bundles: valid, whole, the same every time, and wrong as soon as anything in them is."""

import copy
import json
import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from processors.exports.clinical import ClinicalRecord
from processors.exports.fhir import BundleType, encode_bundle
from tests.exports_fhir.cases import bedside_frames, outputs, record
from tests.exports_fhir.r4_checks import LOINC, MDC, problems

Bundle = dict[str, Any]


@cache
def encoded() -> bytes:
    return encode_bundle(record())


def resources(bundle: Bundle, kind: str) -> list[Bundle]:
    found = (entry["resource"] for entry in bundle["entry"])
    return [one for one in found if one["resourceType"] == kind]


def test_the_cases_are_of_a_real_run() -> None:
    observations, _ = outputs()

    names = {one.name for one in observations}
    assert {"heart_rate", "rr_interval", "spo2", "respiratory_rate", "pulse_rate"} <= names
    assert any(one.value is None for one in observations)
    assert any(len(one.channels) > 1 for one in observations)


def test_every_resource_is_valid_and_every_reference_is_in_the_bundle() -> None:
    assert problems(json.loads(encoded())) == []


def test_a_transaction_is_valid_and_puts_each_resource_where_its_name_says() -> None:
    bundle = json.loads(encode_bundle(record(), BundleType.TRANSACTION))

    assert problems(bundle) == []
    for entry in bundle["entry"]:
        kind, identity = entry["resource"]["resourceType"], entry["resource"]["id"]
        assert entry["request"] == {"method": "PUT", "url": f"{kind}/{identity}"}


def test_there_is_one_resource_for_each_observation_and_a_provenance_for_each_derived_one() -> None:
    bundle = json.loads(encoded())
    observations, _ = outputs()
    derived = [one for one in observations if one.algorithm != "device_reading"]

    # Of seven that the cuff gave, three are one panel; one more is a clock, three are conditions,
    # two are strips.
    n_alarms, n_strips, n_clocks = 2 + _n_conditions(), 2, 1
    expected = len(observations) - 2 + n_alarms + n_strips + n_clocks
    assert len(resources(bundle, "Observation")) == expected
    assert len(resources(bundle, "Provenance")) == len(derived)


def _n_conditions() -> int:
    _, alarms = outputs()
    return sum(one.active for one in alarms)


def test_the_same_record_gives_the_same_bytes_in_whatever_order_and_however_often() -> None:
    whole = record()
    observations, alarms = list(whole.observations), list(whole.alarms)
    observations += observations[:50]
    random.Random(1).shuffle(observations)
    random.Random(2).shuffle(alarms)

    shuffled = replace(
        whole, observations=observations, alarms=alarms, strips=list(reversed(whole.strips))
    )

    assert encode_bundle(shuffled) == encoded()


def test_a_second_export_with_more_around_doubles_nothing() -> None:
    whole = record()
    half = len(whole.observations) // 2
    parts = [
        json.loads(encode_bundle(replace(whole, observations=part), BundleType.TRANSACTION))
        for part in (whole.observations[: half + 100], whole.observations[half - 100 :])
    ]

    server: dict[str, Bundle] = {}
    for part in parts:
        for entry in part["entry"]:
            before = server.setdefault(entry["request"]["url"], entry["resource"])
            assert before == entry["resource"]

    everything = json.loads(encode_bundle(whole, BundleType.TRANSACTION))
    assert server == {entry["request"]["url"]: entry["resource"] for entry in everything["entry"]}


def test_a_newer_version_of_an_algorithm_replaces_what_the_older_one_said() -> None:
    one = next(one for one in record().observations if one.algorithm == "ecg_heart_rate")
    older = ClinicalRecord(subject_id=one.subject_id, observations=[one])
    newer = replace(older, observations=[one._replace(algorithm_version=one.algorithm_version + 1)])

    first, second = (
        resources(json.loads(encode_bundle(each)), "Observation")[0] for each in (older, newer)
    )

    assert first["id"] == second["id"]
    assert first["method"] != second["method"]


def test_two_records_of_the_same_content_but_another_subject_share_no_resource_but_algorithms() -> (
    None
):
    def ids(subject_id: str) -> set[str]:
        moved = [one._replace(subject_id=subject_id) for one in record().observations[:200]]
        bundle = encode_bundle(ClinicalRecord(subject_id=subject_id, observations=moved))
        return {
            entry["resource"]["id"]
            for entry in json.loads(bundle)["entry"]
            if entry["resource"].get("type", {}).get("text") != "Algorithm"
        }

    assert ids("p-1") & ids("p-2") == set()


def test_an_export_is_of_one_subject() -> None:
    with pytest.raises(ValueError, match="observations of 1 other subjects"):
        replace(record(), subject_id="p-2")


def test_an_export_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.exports.clinical.N_OBSERVATIONS_MAX", 10)

    with pytest.raises(ValueError, match="at most 10 go into one export: cut it by time"):
        replace(record())


def test_only_the_clips_and_cuffs_that_are_software_are_marked_as_such() -> None:
    bundle = json.loads(encoded())

    marked = {
        one["modelNumber"]
        for one in resources(bundle, "Device")
        if one.get("meta", {}).get("security")
    }

    assert marked == {"Chevet Virtual Cuff"}
    assert {frame.agent_id for frame in bedside_frames()} == {"a-1"}


# What a mutant breaks, and how: each must be seen.


def _code(system: str, code: str, other: str) -> Callable[[Bundle], None]:
    def change(bundle: Bundle) -> None:
        for one in resources(bundle, "Observation"):
            for part in (one, *one.get("component", [])):
                for coding in part["code"]["coding"]:
                    if (coding["system"], coding["code"]) == (system, code):
                        coding["code"] = other
                        return
        raise AssertionError(f"no {code}")

    return change


def _first(bundle: Bundle, loinc: str) -> Bundle:
    return next(
        one
        for one in resources(bundle, "Observation")
        if loinc in {coding["code"] for coding in one["code"]["coding"]}
        and ("valueQuantity" in one or loinc == "85354-9")
    )


def _unit(loinc: str, unit: str) -> Callable[[Bundle], None]:
    def change(bundle: Bundle) -> None:
        found = _first(bundle, loinc)
        holder = found if "valueQuantity" in found else found["component"][0]
        holder["valueQuantity"]["code"] = unit

    return change


def _reference(path: list[str]) -> Callable[[Bundle], None]:
    def change(bundle: Bundle) -> None:
        for entry in bundle["entry"]:
            holder = entry["resource"]
            for step in path:
                holder = holder.get(step, {}) if isinstance(holder, dict) else holder[0]
                holder = holder[0] if isinstance(holder, list) else holder
            if holder:
                holder["reference"] = "urn:uuid:00000000-0000-0000-0000-000000000000"
                return
        raise AssertionError(f"no {path}")

    return change


def _drop(kind: str, name: str) -> Callable[[Bundle], None]:
    def change(bundle: Bundle) -> None:
        del next(one for one in resources(bundle, kind) if name in one)[name]

    return change


def _absent(bundle: Bundle) -> None:
    found = next(one for one in resources(bundle, "Observation") if "dataAbsentReason" in one)
    found["dataAbsentReason"]["coding"][0]["code"] = "warming_up"


def _both(bundle: Bundle) -> None:
    found = next(one for one in resources(bundle, "Observation") if "dataAbsentReason" in one)
    found["valueQuantity"] = _first(bundle, "8867-4")["valueQuantity"]


def _lost_resource(bundle: Bundle) -> None:
    at = next(
        i for i, one in enumerate(bundle["entry"]) if one["resource"]["resourceType"] == "Device"
    )
    del bundle["entry"][at]


def _lost_pressure(bundle: Bundle) -> None:
    del _first(bundle, "85354-9")["component"][0]


def _unlabelled(bundle: Bundle) -> None:
    _first(bundle, "2708-6")["category"] = []


def _text_for_number(bundle: Bundle) -> None:
    _first(bundle, "8867-4")["valueQuantity"]["value"] = "fast"


MUTANTS: dict[str, Callable[[Bundle], None]] = {
    "a code of LOINC": _code(LOINC, "8867-4", "8867-5"),
    "the code of another vital sign": _code(LOINC, "9279-1", "8867-4"),
    "a code of the nomenclature": _code(MDC, "147842", "147843"),
    "a code within a panel": _code(MDC, "150021", "150022"),
    "a unit": _unit("8867-4", "bpm"),
    "a unit of another vital sign": _unit("2708-6", "/min"),
    "a unit within a panel": _unit("85354-9", "%"),
    "who it is of": _reference(["subject"]),
    "what it was measured by": _reference(["device"]),
    "what was derived": _reference(["target"]),
    "what it was derived from": _reference(["entity", "what"]),
    "a resource less": _lost_resource,
    "a pressure less": _lost_pressure,
    "no status": _drop("Observation", "status"),
    "no code": _drop("Provenance", "target"),
    "no period of a waveform": lambda bundle: next(
        one for one in resources(bundle, "Observation") if "valueSampledData" in one
    )["valueSampledData"].pop("period"),
    "a reason that is ours": _absent,
    "a value and a reason": _both,
    "no category": _unlabelled,
    "a word for a number": _text_for_number,
}


def test_what_is_not_broken_is_not() -> None:
    assert problems(_small()) == []


@pytest.mark.parametrize("mutant", MUTANTS)
def test_what_is_broken_is_seen(mutant: str) -> None:
    bundle = copy.deepcopy(_small())

    MUTANTS[mutant](bundle)

    assert problems(bundle) != []


@cache
def _small() -> Bundle:
    """Enough of the record for every mutant, and quick to check."""
    whole = record()
    kept: dict[tuple[str, bool], list[Any]] = {}
    for one in whole.observations:
        kept.setdefault((f"{one.name} {one.algorithm}", one.value is None), []).append(one)
    few = [one for many in kept.values() for one in many[:3]]
    bundle: Bundle = json.loads(encode_bundle(replace(whole, observations=few)))
    return bundle
