"""Device resources: sensors, agents, and the algorithms that derive; and the clocks of sensors.

An agent is what the guide calls a personal health gateway (PHG), a sensor a personal health device
(PHD). Serial numbers and addresses never leave the agent, so they are in no export either.

Source: HL7 FHIR R4 4.0.1, Device; Personal Health Device Implementation Guide 2.0.0.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from devices import codes
from devices.catalogue import Quirk
from ingest.frame import ClockRelation
from processors.exports.codings import MDC, Coding
from processors.exports.device_book import KnownDevice
from processors.exports.fhir_parts import (
    DEVICES,
    PHD,
    TEST_DATA,
    UNKNOWN,
    Json,
    Resource,
    concept,
    instant,
    own,
    reference,
    resource_id,
)

_SENSOR: Final = (Coding(MDC, "65573", "MDC_MOC_VMS_MDS_SIMP"),)
_GATEWAY: Final = (Coding(MDC, "531981", "MDC_MOC_VMS_MDS_AHD"),)
_SOFTWARE_REVISION: Final = (Coding(MDC, "531975", "MDC_ID_PROD_SPEC_SW"),)
_CLOCK: Final = (Coding(MDC, "67975", "MDC_ATTR_TIME_ABS"),)

_GENERIC: Final = Coding(MDC, "528457", "MDC_DEV_SPEC_PROFILE_GENERIC")
_OXIMETER: Final = Coding(MDC, "528388", "MDC_DEV_SPEC_PROFILE_PULS_OXIM")
_PRESSURE: Final = Coding(MDC, "528391", "MDC_DEV_SPEC_PROFILE_BP")
_ECG: Final = Coding(MDC, "528524", "MDC_DEV_SUB_SPEC_PROFILE_ECG")
_HEART_RATE: Final = Coding(MDC, "528525", "MDC_DEV_SUB_SPEC_PROFILE_HR")
_GLUCOSE: Final = Coding(MDC, "528401", "MDC_DEV_SPEC_PROFILE_GLUCOSE")

_SPECIALIZATIONS: Final[Mapping[int, Coding]] = MappingProxyType(
    {
        **{row.mdc: _ECG for name, row in codes.QUANTITIES.items() if name.startswith("ecg")},
        **{row.mdc: _GLUCOSE for name, row in codes.QUANTITIES.items() if "blood" in name},
        codes.HEART_RATE.mdc: _HEART_RATE,
        codes.RR_INTERVAL.mdc: _HEART_RATE,
        codes.SPO2.mdc: _OXIMETER,
        codes.PLETH.mdc: _OXIMETER,
        codes.PULSE_RATE.mdc: _OXIMETER,
        codes.SYSTOLIC_PRESSURE.mdc: _PRESSURE,
        codes.DIASTOLIC_PRESSURE.mdc: _PRESSURE,
        codes.BODY_TEMPERATURE.mdc: Coding(MDC, "528392", "MDC_DEV_SPEC_PROFILE_TEMP"),
        codes.RESPIRATORY_RATE.mdc: Coding(MDC, "528397", "MDC_DEV_SPEC_PROFILE_RESP_RATE"),
        codes.BODY_MASS.mdc: Coding(MDC, "528399", "MDC_DEV_SPEC_PROFILE_SCALE"),
        codes.BODY_FAT.mdc: Coding(MDC, "528404", "MDC_DEV_SPEC_PROFILE_BCA"),
        codes.GLUCOSE_INTERSTITIAL.mdc: Coding(MDC, "528409", "MDC_DEV_SPEC_PROFILE_CGM"),
    }
)
"""What a device is by what it measures, where it says no more of itself."""


def sensor_id(subject_id: str, device_id: str) -> str:
    """Name a sensor's resource; its own name tells it from the subject's others only."""
    return resource_id("Device", subject_id, device_id)


def gateway_id(agent_id: str) -> str:
    """Name an agent's resource."""
    return resource_id("Device/gateway", agent_id)


def algorithm_id(name: str, version: int) -> str:
    """Name the resource of an algorithm in one version."""
    return resource_id("Device/algorithm", name, str(version))


def conforms(device: KnownDevice) -> bool:
    """Tell whether enough is known of a device for the guide's profiles."""
    return device.row is not None and device.agent_id is not None


def is_test_device(device: KnownDevice) -> bool:
    """Tell whether it is software that plays a sensor."""
    return device.row is not None and Quirk.DEMONSTRATION in device.row.quirks


def labels(profiles: Sequence[str], devices: Iterable[KnownDevice]) -> Resource:
    """Write what a resource claims to be, and whether it is of anybody."""
    meta: dict[str, Json] = {"profile": profiles} if profiles else {}
    if any(map(is_test_device, devices)):
        meta["security"] = [TEST_DATA]
    return {"meta": meta} if meta else {}


def sensor(subject_id: str, device: KnownDevice) -> Resource:
    """Describe a sensor, as far as its Frames did."""
    found: Resource = {
        "resourceType": "Device",
        "id": sensor_id(subject_id, device.device_id),
        **labels([f"{PHD}/PhdDevice"] if conforms(device) else [], [device]),
        "identifier": [{"system": DEVICES, "value": device.device_id}],
        "type": concept(_SENSOR, "Personal health device"),
        "specialization": [
            # Which edition of the standard it follows is said nowhere in its protocol.
            {"systemType": concept([one], one.display), "_version": UNKNOWN}
            for one in _specializations(device)
        ],
    }
    row = device.row
    if row is not None and row.manufacturer is not None:
        found["manufacturer"] = row.manufacturer
    if device.model is not None:
        found["modelNumber"] = device.model
        found["deviceName"] = [{"name": device.model, "type": "model-name"}]
    return found


def _specializations(device: KnownDevice) -> list[Coding]:
    found = {_SPECIALIZATIONS.get(code, _GENERIC) for code in device.mdc_codes}
    if len(found) > 1:
        found.discard(_GENERIC)
    if _ECG in found:
        found.discard(_HEART_RATE)
    return sorted(found) or [_GENERIC]


def gateway(agent_id: str) -> Resource:
    """Describe an agent."""
    return {
        "resourceType": "Device",
        "id": gateway_id(agent_id),
        "meta": {"profile": [f"{PHD}/PhgDevice"]},
        "identifier": [{"system": DEVICES, "value": agent_id}],
        "manufacturer": "Chevet",
        "modelNumber": "Chevet edge agent",
        "deviceName": [{"name": "Chevet edge agent", "type": "model-name"}],
        "type": concept(_GATEWAY, "Personal health gateway"),
        "specialization": [
            {"systemType": concept([_GENERIC], _GENERIC.display), "_version": UNKNOWN}
        ],
        # Frames do not say which version of the agent made them.
        "version": [{"type": concept(_SOFTWARE_REVISION, "Software revision"), "_value": UNKNOWN}],
    }


def algorithm(name: str, version: int) -> Resource:
    """Describe the software that derived a value: one resource for each version of an algorithm."""
    return {
        "resourceType": "Device",
        "id": algorithm_id(name, version),
        "identifier": [{"system": DEVICES, "value": f"{name}.{version}"}],
        "manufacturer": "Chevet",
        "deviceName": [{"name": name, "type": "model-name"}],
        "type": own("algorithm", "Algorithm"),
        "version": [
            {"type": concept(_SOFTWARE_REVISION, "Software revision"), "value": str(version)}
        ],
    }


def clock_id(subject_id: str, clock: ClockRelation) -> str:
    """Name the resource of one relation of a device's clock to UTC."""
    parts = (clock.device_id, str(clock.device_ns), str(clock.offset_ns))
    return resource_id("Observation/clock", subject_id, *parts)


def clocks(subject_id: str, device: KnownDevice) -> Iterator[Resource]:
    """Say what a sensor's clock showed at which time of the agent's: coincident time stamps."""
    profiles = [f"{PHD}/PhdCoincidentTimeStampObservation"] if conforms(device) else []
    for clock in device.clocks:
        if clock.device_ns is None or device.agent_id is None:
            continue
        yield {
            "resourceType": "Observation",
            "id": clock_id(subject_id, clock),
            **labels(profiles, [device]),
            "status": "final",
            "code": concept(_CLOCK, "Time of the device's clock"),
            "subject": reference(sensor_id(subject_id, device.device_id)),
            "effectiveDateTime": instant(clock.device_ns + clock.offset_ns),
            "valueDateTime": instant(clock.device_ns),
            "device": reference(gateway_id(device.agent_id)),
        }
