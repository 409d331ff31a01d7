"""What a receiver may hold a bundle to, from the standards' own words, not from our tables.

Sources: HL7 FHIR R4 4.0.1: definitions (by ``fhir.resources``, whose R4B is R4 for what is used
here: Patient, Device, Observation, Provenance, Bundle are the same in both), Vital Signs Profile,
code systems; Personal Health Device Implementation Guide 2.0.0; LOINC's and IEEE's own pairs.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fhir.resources.R4B.bundle import Bundle
from pydantic import ValidationError

LOINC, MDC = "http://loinc.org", "urn:iso:std:iso:11073:10101"
FHIR = "http://hl7.org/fhir/StructureDefinition/"
PHD = "http://hl7.org/fhir/uv/phd/StructureDefinition/"

STATUSES = {"registered", "preliminary", "final", "amended"}
ABSENT = {
    "unknown",
    "asked-unknown",
    "temp-unknown",
    "not-asked",
    "asked-declined",
    "masked",
    "not-applicable",
    "unsupported",
    "as-text",
    "error",
    "not-a-number",
    "negative-infinity",
    "positive-infinity",
    "not-performed",
    "not-permitted",
}
CATEGORIES = {"vital-signs", "activity", "laboratory", "procedure", "phd-observation"}

VITAL_SIGNS: Mapping[str, tuple[str, set[str]]] = {
    "9279-1": ("resprate", {"/min"}),
    "8867-4": ("heartrate", {"/min"}),
    "2708-6": ("oxygensat", {"%"}),
    "8310-5": ("bodytemp", {"Cel", "[degF]"}),
    "8302-2": ("bodyheight", {"cm", "[in_i]"}),
    "29463-7": ("bodyweight", {"g", "kg", "[lb_av]"}),
    "39156-5": ("bmi", {"kg/m2"}),
}
"""LOINC code, profile, and the units that it allows."""
PRESSURES = {"8480-6": "150021", "8462-4": "150022", "8478-0": "150023"}
"""LOINC's and IEEE's code of each part."""

SAME: Mapping[str, set[str]] = {
    **{loinc: {mdc} for loinc, mdc in PRESSURES.items()},
    "85354-9": {"150020"},
    "8867-4": {"147842", "149530", "149546"},
    "8889-8": {"149530"},
    "9279-1": {"151562"},
    "2708-6": {"150456"},
    "59408-5": {"150456"},
    "61006-3": {"150488"},
    "8310-5": {"150364"},
    "8637-1": {"147240"},
    "29463-7": {"188736"},
    "8302-2": {"188740"},
    "39156-5": {"188752"},
    "80404-7": {"192560"},
}
"""Which codes of IEEE mean what a LOINC code means; the last is our own."""

UNITS = {
    "/min",
    "%",
    "1",
    "Cel",
    "Ohm",
    "[g]",
    "cm",
    "deg",
    "kg",
    "kg/m2",
    "mV",
    "mg/dL",
    "mm[Hg]",
    "ms",
    "ms2",
    "s",
    "uV",
}
"""UCUM's codes of what the cases hold."""

Resource = dict[str, Any]


def problems(bundle: Resource) -> list[str]:
    """Everything that is wrong with a bundle; empty: nothing."""
    found = list(_definitions(bundle))
    found += _references(bundle)
    for entry in bundle["entry"]:
        resource = entry["resource"]
        where = f"{resource['resourceType']}/{resource.get('id')}"
        found += [f"{where}: {problem}" for problem in _rules(resource)]
    return found


def _definitions(bundle: Resource) -> Iterator[str]:
    try:
        Bundle.model_validate(bundle)
    except ValidationError as error:
        yield f"not of R4's definitions: {error}"


def _references(bundle: Resource) -> Iterator[str]:
    there = [entry["fullUrl"] for entry in bundle["entry"]]
    if len(there) != len(set(there)):
        yield "two entries with one fullUrl"
    for entry in bundle["entry"]:
        resource = entry["resource"]
        if entry["fullUrl"] != f"urn:uuid:{resource['id']}":
            yield f"{entry['fullUrl']} is not the resource's id"
        for pointed in _pointed(resource):
            if pointed not in there:
                yield f"{resource['id']} refers to {pointed}, which is not in the bundle"


def _pointed(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for each in value.values():
            yield from _pointed(each)
    elif isinstance(value, list):
        for each in value:
            yield from _pointed(each)


def _rules(resource: Resource) -> Iterator[str]:
    profiles = resource.get("meta", {}).get("profile", [])
    if resource["resourceType"] == "Observation":
        yield from _observation(resource, profiles)
    for profile in profiles:
        if profile.startswith(PHD):
            yield from _phd(resource, profile.removeprefix(PHD))


def _observation(resource: Resource, profiles: list[str]) -> Iterator[str]:
    if resource.get("status") not in STATUSES:
        yield f"status {resource.get('status')}"
    for part in (resource, *resource.get("component", [])):
        yield from _value(part)
        yield from _pairs(part["code"]["coding"])
    categories = {
        coding["code"] for each in resource.get("category", []) for coding in each["coding"]
    }
    if not categories <= CATEGORIES:
        yield f"categories {categories}"
    yield from _vital_sign(resource, profiles, categories)


def _value(part: Resource) -> Iterator[str]:
    values = [name for name in part if name.startswith("value")]
    absent = part.get("dataAbsentReason")
    if len(values) > 1 or (values and absent):
        yield f"{values} and dataAbsentReason {absent}"
    for coding in (absent or {}).get("coding", []):
        if coding["code"] not in ABSENT:
            yield f"no reason that FHIR knows: {coding['code']}"
    quantity = part.get("valueQuantity")
    if quantity is not None and not _is_ucum(quantity):
        yield f"no unit of UCUM: {quantity}"


def _is_ucum(quantity: Resource) -> bool:
    return quantity["system"] == "http://unitsofmeasure.org" and quantity["code"] in UNITS


def _pairs(codings: list[Resource]) -> Iterator[str]:
    mdc = {coding["code"] for coding in codings if coding["system"] == MDC}
    for coding in codings:
        if coding["system"] == LOINC and not mdc <= SAME.get(coding["code"], set()):
            yield f"LOINC {coding['code']} is not MDC {mdc}"


def _vital_sign(resource: Resource, profiles: list[str], categories: set[str]) -> Iterator[str]:
    loinc = {one["code"] for one in resource["code"]["coding"] if one["system"] == LOINC}
    claimed = {one.removeprefix(FHIR) for one in profiles if one.startswith(FHIR)}
    wanted = {VITAL_SIGNS[code][0] for code in loinc & VITAL_SIGNS.keys()}
    if "85354-9" in loinc:
        wanted.add("bp")
        yield from _pressures(resource)
    if claimed != wanted:
        yield f"profiles {claimed} claimed, by its codes it is {wanted}"
    if wanted and "vital-signs" not in categories:
        yield "a vital sign that is not said to be one"
    if wanted and "effectiveDateTime" not in resource:
        yield "a vital sign without a time"
    for code in loinc & VITAL_SIGNS.keys():
        unit = resource.get("valueQuantity", {}).get("code")
        if unit is not None and unit not in VITAL_SIGNS[code][1]:
            yield f"{code} in {unit}"
        if unit is None and "dataAbsentReason" not in resource:
            yield f"{code} has neither a value nor a reason"


def _pressures(resource: Resource) -> Iterator[str]:
    parts = {
        coding["code"]: part
        for part in resource["component"]
        for coding in part["code"]["coding"]
        if coding["system"] == LOINC
    }
    if not {"8480-6", "8462-4"} <= parts.keys():
        yield f"a blood pressure of {sorted(parts)}"
    for code, part in parts.items():
        if part.get("valueQuantity", {"code": "mm[Hg]"})["code"] != "mm[Hg]":
            yield f"{code} in {part['valueQuantity']}"


_MDC_OF_PROFILE = {
    "PhdDevice": "65573",
    "PhgDevice": "531981",
    "PhdCoincidentTimeStampObservation": "67975",
}
_NEEDED = {
    "PhdDevice": {"identifier", "manufacturer", "modelNumber", "type", "specialization"},
    "PhgDevice": {"identifier", "type", "specialization", "version"},
    "PhdCoincidentTimeStampObservation": {"subject", "code", "device"},
    "PhdNumericObservation": {"subject", "device", "category", "extension"},
    "PhdCompoundNumericObservation": {"subject", "device", "category", "extension", "component"},
    "PhdRtsaObservation": {"subject", "device", "category", "extension", "valueSampledData"},
}


def _phd(resource: Resource, profile: str) -> Iterator[str]:
    missing = _NEEDED[profile] - resource.keys()
    if missing:
        yield f"{profile} without {missing}"
        return
    code = resource["code"] if "code" in resource else resource["type"]
    mdc = [one["code"] for one in code["coding"] if one["system"] == MDC]
    if len(mdc) != 1 or _MDC_OF_PROFILE.get(profile, mdc[0]) != mdc[0]:
        yield f"{profile} with MDC {mdc}"
    if "category" in _NEEDED[profile]:
        categories = [one["code"] for each in resource["category"] for one in each["coding"]]
        gateways = [one for one in resource["extension"] if one["url"].endswith("gatewayDevice")]
        if "phd-observation" not in categories or len(gateways) != 1:
            yield f"{profile} of {categories} with {len(gateways)} gateways"
