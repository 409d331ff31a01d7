"""Observation resources: a value, or why there is none; several pressures as one panel; alarms.

Source: HL7 FHIR R4 4.0.1, Observation and Vital Signs Profile; PHD 2.0.0, PhdNumericObservation.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from devices import codes
from ingest.observation import AlarmEvent, Observation
from processors.exports.clinical import devices_of
from processors.exports.codings import PRESSURE_PANEL, PRESSURES, VITAL_SIGNS, codings_of, label_of
from processors.exports.device_book import DeviceBook, KnownDevice
from processors.exports.fhir_devices import (
    clock_id,
    conforms,
    gateway_id,
    labels,
    sensor_id,
)
from processors.exports.fhir_parts import (
    FHIR,
    PHD,
    PHD_CATEGORY,
    TERMINOLOGY,
    Json,
    Resource,
    category,
    concept,
    extension,
    identifier_of,
    instant,
    own,
    quantity,
    reference,
    resource_id,
)
from processors.exports.no_value import no_value
from processors.vitals.derived import BeatClass
from processors.vitals.posture import Posture
from processors.vitals.readings import DEVICE_READING, DEVICE_RECORD

DEVICE_ALGORITHMS: Final = frozenset({DEVICE_READING.name, DEVICE_RECORD.name})
"""Not derived here: the device's own figures."""

_TRUTHS: Final = frozenset(
    {codes.STILL.name, *(name for name in codes.QUANTITIES if name.endswith("_suspected"))}
)
"""Quantities that are 1 or 0."""
_KINDS: Final[Mapping[str, type[BeatClass] | type[Posture]]] = MappingProxyType(
    {codes.BEAT_CLASS.name: BeatClass, codes.POSTURE.name: Posture}
)
"""Quantities that are a kind, by its number."""
_ACTIVITY: Final = frozenset(
    row.name
    for row in (
        codes.MOTION_INTENSITY,
        codes.ACTIVITY_COUNTS,
        codes.STEP_COUNT,
        codes.STEP_RATE,
        codes.POSTURE,
        codes.STILL,
        codes.SPEED,
        codes.CADENCE,
        codes.STRIDE_LENGTH,
        codes.TOTAL_DISTANCE,
        codes.ENERGY_EXPENDED,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an observation refers to."""

    subject_id: str
    devices: DeviceBook = field(default_factory=DeviceBook)

    @property
    def patient(self) -> Json:
        """The subject."""
        return reference(patient_id(self.subject_id))

    def single_device(self, channels: Sequence[str]) -> KnownDevice | None:
        """Give the device that all inputs are of; None where there are several, or none."""
        found = devices_of(channels)
        return self.devices.device(found[0]) if len(found) == 1 else None


def patient_id(subject_id: str) -> str:
    """Name the subject's resource."""
    return resource_id("Patient", subject_id)


def observation_id(one: Observation) -> str:
    """Name an observation's resource: what was measured, when, by what and from what.

    The version of the algorithm is not in it: what a newer one says of the same moment replaces
    what the older one said.
    """
    parts = (one.subject_id, one.name, one.algorithm, str(one.t_ns), *one.channels)
    return resource_id("Observation", *parts)


def observations(found: Iterable[Observation], around: Surroundings) -> Iterator[Resource]:
    """Make resources of observations: one of each, but one of the pressures of one inflation."""
    inflations: dict[tuple[int, str, str], dict[str, Observation]] = {}
    for one in found:
        if one.name in PRESSURES:
            device_ids = ",".join(devices_of(one.channels))
            inflations.setdefault((one.t_ns, one.algorithm, device_ids), {})[one.name] = one
        else:
            yield _single(one, around)
    for parts in inflations.values():
        if parts.keys() >= set(PRESSURES[:2]):
            yield _panel([parts[name] for name in PRESSURES if name in parts], around)
        else:
            yield from (_single(one, around) for one in parts.values())


def _single(one: Observation, around: Surroundings) -> Resource:
    sign = VITAL_SIGNS.get(one.name)
    profiles = ("" if sign is None else sign.profile or "", "PhdNumericObservation")
    return {
        **_frame(one, around, observation_id(one), profiles),
        **_what(one),
        "component": _about(one),
    }


def _panel(parts: list[Observation], around: Surroundings) -> Resource:
    profiles = ("bp", "PhdCompoundNumericObservation")
    return {
        **_frame(parts[0], around, panel_id(parts[0]), profiles),
        "code": concept(PRESSURE_PANEL, "Blood pressure"),
        "component": [_what(one) for one in parts],
    }


def _what(one: Observation) -> Resource:
    """Say what was measured, and what came out."""
    return {"code": concept(codings_of(one.name, one.mdc_code), label_of(one.name)), **_value(one)}


def panel_id(one: Observation) -> str:
    """Name the resource of an inflation by any of its pressures."""
    parts = (one.subject_id, one.algorithm, str(one.t_ns), *devices_of(one.channels))
    return resource_id("Observation/pressures", *parts)


def _frame(
    one: Observation, around: Surroundings, identity: str, profiles: tuple[str, str]
) -> Resource:
    """Give what every observation has, whatever its value is.

    ``profiles`` are FHIR's, which may be empty, and the guide's for what a device says itself.
    """
    device = around.single_device(one.channels)
    by_device = one.algorithm in DEVICE_ALGORITHMS
    is_phd = by_device and device is not None and conforms(device)
    claimed = [f"{FHIR}/{profiles[0]}"] if profiles[0] else []
    claimed += [f"{PHD}/{profiles[1]}"] if is_phd else []
    named = [around.devices.device(each) for each in devices_of(one.channels)]
    made: Resource = {
        "resourceType": "Observation",
        "id": identity,
        **labels(claimed, named),
        "identifier": identifier_of(identity),
        "status": "final",
        "category": [category(_category(one.name)), *([PHD_CATEGORY] if is_phd else [])],
        "subject": around.patient,
        "effectiveDateTime": instant(one.t_ns),
        "method": own(one.algorithm, f"{one.algorithm}, version {one.algorithm_version}"),
    }
    if device is not None:
        made["device"] = reference(sensor_id(around.subject_id, device.device_id))
        made |= _gateway(around.subject_id, device, one.t_ns if by_device else None)
    return made


def _gateway(subject_id: str, device: KnownDevice, t_ns: int | None) -> Resource:
    """Point to the agent and, for what the device dated, to what its clock was worth then."""
    if device.agent_id is None:
        return {}
    agent = reference(gateway_id(device.agent_id))
    found = [extension(f"{FHIR}/observation-gatewayDevice", valueReference=agent)]
    clock = None if t_ns is None else device.clock_at(t_ns)
    if clock is not None:
        stamp = reference(clock_id(subject_id, clock))
        found.append(extension(f"{PHD}/CoincidentTimeStampReference", valueReference=stamp))
    return {"extension": found}


def _category(name: str) -> str:
    if name in VITAL_SIGNS:
        return "vital-signs"
    if name in _ACTIVITY:
        return "activity"
    if name.startswith("glucose") or name == codes.HBA1C.name:
        return "laboratory"
    return "procedure"


def _value(one: Observation) -> Resource:
    if one.value is None:
        reason = one.reason or "unknown"
        absent = {"system": f"{TERMINOLOGY}/data-absent-reason", "code": no_value(reason).absent}
        return {"dataAbsentReason": {"coding": [absent], "text": reason}}
    if one.name in _TRUTHS:
        return {"valueBoolean": bool(one.value)}
    if one.name in _KINDS:
        return {"valueCodeableConcept": _kind(_KINDS[one.name], one.name, int(one.value))}
    vital_sign = VITAL_SIGNS.get(one.name)
    if vital_sign is None:
        return {"valueQuantity": quantity(one.value, one.unit)}
    return {"valueQuantity": quantity(one.value, vital_sign.ucum, vital_sign.factor)}


def _kind(kinds: type[BeatClass] | type[Posture], name: str, number: int) -> Json:
    word = next((one.name.lower() for one in kinds if one == number), str(number))
    return own(f"{name}-{number}", word)


def _about(one: Observation) -> list[Json]:
    """Say how far a value can be believed, and how old it was."""
    row = codes.SIGNAL_QUALITY
    found: list[Json] = [
        {
            "code": concept(codings_of(row.name, row.mdc), "Quality, 0 to 1"),
            "valueQuantity": quantity(one.quality, "1"),
        }
    ]
    if one.age_s:
        found.append(
            {
                "code": own("input_age", "Age of the newest input"),
                "valueQuantity": quantity(one.age_s, "s"),
            }
        )
    return found


def alarms(events: Iterable[AlarmEvent], around: Surroundings) -> Iterator[Resource]:
    """Make a resource of each condition: from when it began until it ended, if it did.

    An observation, because that is what it is: the system looked, and a condition was there from
    then to then. A Flag warns whoever meets the patient next, a DetectedIssue is a judgement of
    somebody's actions, and the DeviceAlert that is meant for this is not in R4.
    """
    began: dict[str, AlarmEvent] = {}
    for event in sorted(events, key=lambda one: (one.t_ns, one.active, one.name)):
        if event.active:
            before = began.get(event.name)
            # Told again while it lasts, as more Frames are missing: one condition.
            began[event.name] = event if before is None else before
            continue
        yield _condition(began.pop(event.name, None), event, around)
    for event in began.values():
        yield _condition(event, None, around)


def _condition(begin: AlarmEvent | None, end: AlarmEvent | None, around: Surroundings) -> Resource:
    edge = begin or end
    if edge is None:
        raise ValueError("a condition has a begin or an end")
    identity = alarm_id(edge)
    period = {} if begin is None else {"start": instant(begin.t_ns)}
    period |= {} if end is None else {"end": instant(end.t_ns)}
    made: Resource = {
        "resourceType": "Observation",
        "id": identity,
        "identifier": identifier_of(identity),
        # It lasts, and the same resource will say when it has ended.
        "status": "preliminary" if end is None else "final",
        "category": [category("procedure")],
        "code": own(f"alarm-{edge.name}", f"Technical alarm condition: {edge.name}"),
        "subject": around.patient,
        "effectivePeriod": period,
        "valueBoolean": True,
        "component": [
            {
                "code": own("alarm_priority", "Priority, IEC 60601-1-8"),
                "valueString": str(edge.priority),
            }
        ],
    }
    if edge.detail:
        made["note"] = [{"text": edge.detail}]
    return made


def alarm_id(edge: AlarmEvent) -> str:
    """Name a condition by its begin; by its end where that is all that is known of it."""
    word = "begin" if edge.active else "end"
    return resource_id("Observation/alarm", edge.subject_id, edge.name, word, str(edge.t_ns))
