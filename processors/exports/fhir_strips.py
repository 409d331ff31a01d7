"""Strips of waveforms as SampledData: the sensor's own integers, and how to read them.

Source: HL7 FHIR R4 4.0.1, SampledData; PHD 2.0.0, PhdRtsaObservation.
"""

from typing import Final

from devices.codes import quantity_name
from processors.exports.codings import codings_of, label_of
from processors.exports.fhir_devices import conforms, gateway_id, labels, sensor_id
from processors.exports.fhir_observations import Surroundings
from processors.exports.fhir_parts import (
    FHIR,
    PHD,
    PHD_CATEGORY,
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
from processors.exports.strips import Strip

_NS_PER_MS: Final = 1_000_000
_MISSING: Final = "E"
_BELOW: Final = "L"
_ABOVE: Final = "U"


def strip_id(subject_id: str, strip: Strip) -> str:
    """Name a strip's resource: another cut of the same signal is another strip."""
    block = strip.block
    parts = (block.device_id, block.channel, str(block.t0_ns), str(strip.end_ns))
    return resource_id("Observation/strip", subject_id, *parts)


def strip(cut: Strip, around: Surroundings) -> Resource:
    """Make a resource of a strip."""
    block = cut.block
    identity = strip_id(around.subject_id, cut)
    device = around.devices.device(block.device_id)
    name = quantity_name(block.mdc_code)
    is_phd = conforms(device)
    made: Resource = {
        "resourceType": "Observation",
        "id": identity,
        **labels([f"{PHD}/PhdRtsaObservation"] if is_phd else [], [device]),
        "identifier": identifier_of(identity),
        "status": "final",
        "category": [category("procedure"), *([PHD_CATEGORY] if is_phd else [])],
        "code": concept(codings_of(name, block.mdc_code), label_of(name)),
        "subject": around.patient,
        "effectivePeriod": {"start": instant(block.t0_ns), "end": instant(cut.end_ns)},
        "valueSampledData": _sampled(cut),
        "device": reference(sensor_id(around.subject_id, block.device_id)),
        "component": [{"code": own("channel", "Channel"), "valueString": block.channel}],
    }
    if device.agent_id is not None:
        agent = reference(gateway_id(device.agent_id))
        made["extension"] = [extension(f"{FHIR}/observation-gatewayDevice", valueReference=agent)]
    return made


def _sampled(cut: Strip) -> Json:
    block = cut.block
    made: dict[str, Json] = {
        "origin": quantity(block.offset, block.unit),
        "period": block.period.ns_numerator / (block.period.ns_denominator * _NS_PER_MS),
        "factor": block.scale,
    }
    if cut.limits is not None:
        made["lowerLimit"], made["upperLimit"] = cut.limits
    return made | {"dimensions": 1, "data": _data(cut)}


def _data(cut: Strip) -> str:
    counts = cut.block.counts.tolist()
    words = list(map(str, counts))
    if cut.limits is not None:
        least, greatest = cut.limits
        for i, count in enumerate(counts):
            if not least <= count <= greatest:
                words[i] = _BELOW if count < least else _ABOVE
    for begin, end in cut.missing:
        words[begin:end] = [_MISSING] * (end - begin)
    return " ".join(words)
