"""FHIR R4 bundles of what is known of one subject.

The same record gives the same bytes, and every resource the same name in every export: sent twice,
or with more around it, nothing is there twice.

Source: HL7 FHIR R4 4.0.1; Personal Health Device Implementation Guide 2.0.0.
"""

import hashlib
import json
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from ingest.observation import Observation
from processors.exports.clinical import ClinicalRecord, device_of, devices_of
from processors.exports.codings import PRESSURES
from processors.exports.fhir_devices import (
    algorithm,
    algorithm_id,
    clocks,
    gateway,
    sensor,
    sensor_id,
)
from processors.exports.fhir_observations import (
    DEVICE_ALGORITHMS,
    Surroundings,
    alarms,
    observation_id,
    observations,
    patient_id,
)
from processors.exports.fhir_parts import (
    SUBJECTS,
    TERMINOLOGY,
    Json,
    Resource,
    instant,
    reference,
    resource_id,
    urn,
)
from processors.exports.fhir_strips import strip

_ORDER: Final = ("Patient", "Device", "Observation", "Provenance")
"""What others refer to comes first."""


class BundleType(StrEnum):
    """What a bundle is for."""

    COLLECTION = "collection"
    """To be read."""
    TRANSACTION = "transaction"
    """To be sent to a server: each resource is put where its name says, anew or over itself."""


def encode_bundle(record: ClinicalRecord, kind: BundleType = BundleType.COLLECTION) -> bytes:
    """Write a bundle of everything in a record, UTF-8 JSON.

    Parameters
    ----------
    record
        With names and times as they are to be told.
    kind
        A transaction needs a server that takes names from its clients (update as create), because
        R4 has no identifier for Provenance that a conditional update could look for.
    """
    found = _by_identity(record)
    entries = [_entry(resource, kind) for resource in found]
    bundle: Resource = {
        "resourceType": "Bundle",
        "type": str(kind),
        "entry": entries,
    }
    digest = hashlib.sha256(_json(bundle)).hexdigest()
    return _json({"resourceType": "Bundle", "id": resource_id("Bundle", digest), **bundle})


def _json(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _entry(resource: Resource, kind: BundleType) -> Json:
    identity = str(resource["id"])
    entry: dict[str, Json] = {"fullUrl": urn(identity), "resource": resource}
    if kind is BundleType.TRANSACTION:
        entry["request"] = {"method": "PUT", "url": f"{resource['resourceType']}/{identity}"}
    return entry


def _by_identity(record: ClinicalRecord) -> list[Resource]:
    """Make every resource, each once: of two with one name the later one holds."""
    found = {str(resource["id"]): resource for resource in _resources(record)}
    return sorted(found.values(), key=_place)


def _place(resource: Resource) -> tuple[int, str, str]:
    kind = _ORDER.index(str(resource["resourceType"]))
    return (kind, str(resource.get("effectiveDateTime", "")), str(resource["id"]))


def _resources(record: ClinicalRecord) -> Iterator[Resource]:
    subject_id, book = record.subject_id, record.devices
    around = Surroundings(subject_id=subject_id, devices=book)
    yield {
        "resourceType": "Patient",
        "id": patient_id(subject_id),
        "identifier": [{"system": SUBJECTS, "value": subject_id}],
    }
    for device_id in sorted({*book.device_ids, *_named_devices(record)}):
        device = book.device(device_id)
        yield sensor(subject_id, device)
        if device.agent_id is not None:
            yield gateway(device.agent_id)
        yield from clocks(subject_id, device)
    yield from observations(record.observations, around)
    yield from alarms(record.alarms, around)
    for cut in record.strips:
        yield strip(cut, around)
    for one in record.observations:
        if one.algorithm not in DEVICE_ALGORITHMS and one.name not in PRESSURES:
            yield algorithm(one.algorithm, one.algorithm_version)
            yield _provenance(one, subject_id)


def _named_devices(record: ClinicalRecord) -> Iterator[str]:
    for one in record.observations:
        yield from devices_of(one.channels)
    for cut in record.strips:
        yield cut.block.device_id


def _provenance(one: Observation, subject_id: str) -> Resource:
    """Say what a value was derived by, and from what.

    It is recorded when it is observed, in event time: when a program was run says nothing of a
    value that comes out the same whenever that is.
    """
    target = observation_id(one)
    made: Resource = {
        "resourceType": "Provenance",
        "id": resource_id("Provenance", target),
        "target": [reference(target)],
        "occurredDateTime": instant(one.t_ns),
        "recorded": instant(one.t_ns),
        "activity": {"coding": [{"system": f"{TERMINOLOGY}/v3-DataOperation", "code": "CREATE"}]},
        "agent": [
            {
                "type": {
                    "coding": [
                        {
                            "system": f"{TERMINOLOGY}/provenance-participant-type",
                            "code": "assembler",
                        }
                    ]
                },
                "who": reference(algorithm_id(one.algorithm, one.algorithm_version)),
            }
        ],
    }
    if one.channels:
        made["entity"] = [
            {
                "role": "source",
                "what": _source(channel, subject_id),
            }
            for channel in one.channels
        ]
    return made


def _source(channel: str, subject_id: str) -> Json:
    device_id = device_of(channel)
    if device_id is None:
        return {"display": channel}
    return {"reference": urn(sensor_id(subject_id, device_id)), "display": channel}
