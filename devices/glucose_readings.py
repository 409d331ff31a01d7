"""Glucose in the common form: one quantity for each kind of sample, in mg/dL.

Whole blood and plasma differ by a tenth, and capillary, venous and interstitial glucose differ in
time: they are never one series. What is no person's (control solution) is withheld.

Source: Bluetooth SIG, Glucose Service 1.0.1; Continuous Glucose Monitoring Service 1.0.2;
ISO/IEEE 11073-10417 (codes).
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntFlag
from typing import Final

from devices.codes import (
    GLUCOSE,
    GLUCOSE_ARTERIAL_PLASMA,
    GLUCOSE_ARTERIAL_WHOLE_BLOOD,
    GLUCOSE_CAPILLARY_PLASMA,
    GLUCOSE_CAPILLARY_WHOLE_BLOOD,
    GLUCOSE_INTERSTITIAL,
    GLUCOSE_QUALITY,
    GLUCOSE_TREND,
    GLUCOSE_UNDETERMINED_PLASMA,
    GLUCOSE_UNDETERMINED_WHOLE_BLOOD,
    GLUCOSE_VENOUS_PLASMA,
    GLUCOSE_VENOUS_WHOLE_BLOOD,
    HBA1C,
    Quantity,
)
from devices.continuous_glucose import CgmCalTemp, CgmMeasurement, CgmStatus, CgmWarning
from devices.continuous_glucose_session import CgmSessionStart
from devices.date_time import DeviceDateTime
from devices.glucose import (
    GlucoseConcentration,
    GlucoseMeasurement,
    GlucoseStatus,
    SampleLocation,
    SampleType,
)
from devices.glucose_context import GlucoseContext
from devices.medfloat import MedFloat, Special
from devices.readings import Measured, NoValueReason, measured

_SCADA: Final = 2 << 16
_PRIVATE: Final = _SCADA | 0xF000
_NS_PER_MIN: Final = 60 * 10**9
_SAMPLE_TYPE_SHIFT: Final = 16
_SAMPLE_LOCATION_SHIFT: Final = 20
_CAL_TEMP_SHIFT: Final = 8
_WARNING_SHIFT: Final = 16


_QUANTITIES: Final[Mapping[int, Quantity]] = {
    SampleType.CAPILLARY_WHOLE_BLOOD: GLUCOSE_CAPILLARY_WHOLE_BLOOD,
    SampleType.CAPILLARY_PLASMA: GLUCOSE_CAPILLARY_PLASMA,
    SampleType.VENOUS_WHOLE_BLOOD: GLUCOSE_VENOUS_WHOLE_BLOOD,
    SampleType.VENOUS_PLASMA: GLUCOSE_VENOUS_PLASMA,
    SampleType.ARTERIAL_WHOLE_BLOOD: GLUCOSE_ARTERIAL_WHOLE_BLOOD,
    SampleType.ARTERIAL_PLASMA: GLUCOSE_ARTERIAL_PLASMA,
    SampleType.UNDETERMINED_WHOLE_BLOOD: GLUCOSE_UNDETERMINED_WHOLE_BLOOD,
    SampleType.UNDETERMINED_PLASMA: GLUCOSE_UNDETERMINED_PLASMA,
    SampleType.INTERSTITIAL_FLUID: GLUCOSE_INTERSTITIAL,
}
"""By the sample; `GLUCOSE` for the others."""


def glucose_readings(
    measurement: GlucoseMeasurement, context: GlucoseContext | None = None
) -> tuple[Measured, ...]:
    """List the glucose of a meter's record, and the HbA1c of its context if sent.

    A record without a concentration has a reading only if its status says why there is none.
    """
    status = measurement.status or GlucoseStatus(0)
    glucose = measurement.glucose
    reason = next((why for bit, why in _METER_REASONS.items() if bit in status), None)
    clock_trusted = GlucoseStatus.TIME_FAULT not in status
    measured_at = measurement.measured_at if clock_trusted else None
    readings: list[Measured] = []
    if glucose is not None or reason is not None:
        words, bits = _sample(glucose)
        number = Special.NAN if glucose is None else glucose.glucose_mg_per_dl
        readings.append(
            measured(
                GLUCOSE if glucose is None else _quantity(glucose.sample_type),
                number,
                _control(glucose) or reason or _range_reason(number),
                status=frozenset(words) | _words(status),
                status_bits=status | bits,
                measured_at=measured_at,
            )
        )
    if context is not None and context.hba1c_percent is not None:
        number = context.hba1c_percent
        readings.append(measured(HBA1C, number, _range_reason(number), measured_at=measured_at))
    return tuple(readings)


def cgm_readings(
    records: Sequence[CgmMeasurement],
    *,
    session: CgmSessionStart | None = None,
    sample_type: int = SampleType.INTERSTITIAL_FLUID,
) -> tuple[Measured, ...]:
    """List glucose and, if sent, trend and quality of each record of a notification, in order.

    Parameters
    ----------
    records
        Of one notification. The one with the latest time is taken to be of its arrival; for
        records from storage, which come later, go by `measured_at`.
    session
        Its start gives each reading the time of the device's clock.
    sample_type
        As the CGM Feature says.
    """
    latest_min = max((record.time_offset_min for record in records), default=0)
    return tuple(
        reading
        for record in records
        for reading in _cgm_record_readings(
            record,
            quantity=_quantity(sample_type),
            control=sample_type == SampleType.CONTROL_SOLUTION,
            offset_ns=(record.time_offset_min - latest_min) * _NS_PER_MIN,
            measured_at=None if session is None else session.at(record.time_offset_min),
        )
    )


def _cgm_record_readings(
    record: CgmMeasurement,
    *,
    quantity: Quantity,
    control: bool,
    offset_ns: int,
    measured_at: DeviceDateTime | None,
) -> Iterable[Measured]:
    octets = (
        record.status or CgmStatus(0),
        record.cal_temp or CgmCalTemp(0),
        record.warning or CgmWarning(0),
    )
    why = (
        reason
        for octet, reasons in zip(octets, _CGM_REASONS, strict=True)
        for bit, reason in reasons.items()
        if bit & octet
    )
    reason = NoValueReason.TEST_DATA if control else next(why, None)
    status = frozenset[str]().union(*(_words(octet) for octet in octets))
    bits = octets[0] | octets[1] << _CAL_TEMP_SHIFT | octets[2] << _WARNING_SHIFT
    rows = (
        (quantity, record.glucose_mg_per_dl, reason, False),
        (GLUCOSE_TREND, record.trend_mg_per_dl_per_min, reason, True),
        (GLUCOSE_QUALITY, record.quality_percent, None, False),
    )
    for row, number, withheld, may_fall in rows:
        if number is not None:
            yield measured(
                row,
                number,
                withheld or (None if may_fall else _range_reason(number)),
                status=status,
                status_bits=bits,
                offset_ns=offset_ns,
                measured_at=measured_at,
            )


def _range_reason(number: MedFloat) -> NoValueReason | None:
    is_negative = not isinstance(number, Special) and number < 0
    return NoValueReason.OUT_OF_RANGE if is_negative else None


def _quantity(sample_type: int) -> Quantity:
    return _QUANTITIES.get(sample_type, GLUCOSE)


def _control(glucose: GlucoseConcentration | None) -> NoValueReason | None:
    """Withhold what was measured in control solution: either nibble may say so."""
    if glucose is None:
        return None
    by_type = glucose.sample_type == SampleType.CONTROL_SOLUTION
    by_location = glucose.sample_location == SampleLocation.CONTROL_SOLUTION
    return NoValueReason.TEST_DATA if by_type or by_location else None


def _sample(glucose: GlucoseConcentration | None) -> tuple[list[str], int]:
    """Give the words and bits of a sample."""
    if glucose is None:
        return [], 0
    location = glucose.sample_location
    named = isinstance(location, SampleLocation) and location is not SampleLocation.NOT_AVAILABLE
    words = [f"site_{SampleLocation(location).name.lower()}"] if named else []
    bits = glucose.sample_type << _SAMPLE_TYPE_SHIFT | location << _SAMPLE_LOCATION_SHIFT
    return words, bits


def _words(flags: IntFlag) -> frozenset[str]:
    return frozenset(str(flag.name).lower() for flag in flags)


_METER_REASONS: Final[Mapping[GlucoseStatus, NoValueReason]] = {
    GlucoseStatus.RESULT_TOO_HIGH: NoValueReason.ABOVE_RANGE,
    GlucoseStatus.RESULT_TOO_LOW: NoValueReason.BELOW_RANGE,
    GlucoseStatus.SENSOR_MALFUNCTION: NoValueReason.SENSOR_UNAVAILABLE,
    GlucoseStatus.GENERAL_DEVICE_FAULT: NoValueReason.SENSOR_UNAVAILABLE,
    GlucoseStatus.SAMPLE_SIZE_INSUFFICIENT: NoValueReason.INVALID,
    GlucoseStatus.STRIP_INSERTION_ERROR: NoValueReason.INVALID,
    GlucoseStatus.STRIP_TYPE_INCORRECT: NoValueReason.INVALID,
    GlucoseStatus.TEMPERATURE_TOO_HIGH: NoValueReason.INVALID,
    GlucoseStatus.TEMPERATURE_TOO_LOW: NoValueReason.INVALID,
    GlucoseStatus.READ_INTERRUPTED: NoValueReason.INVALID,
}
"""Bits that withhold a value; the first that is set gives the reason."""

_CGM_REASONS: Final[tuple[Mapping[int, NoValueReason], ...]] = (
    {
        CgmStatus.SESSION_STOPPED: NoValueReason.SENSOR_UNAVAILABLE,
        CgmStatus.SENSOR_MALFUNCTION: NoValueReason.SENSOR_UNAVAILABLE,
        CgmStatus.GENERAL_DEVICE_FAULT: NoValueReason.SENSOR_UNAVAILABLE,
        CgmStatus.SENSOR_TYPE_INCORRECT: NoValueReason.INVALID,
    },
    {
        CgmCalTemp.TEMPERATURE_TOO_HIGH: NoValueReason.INVALID,
        CgmCalTemp.TEMPERATURE_TOO_LOW: NoValueReason.INVALID,
    },
    {
        CgmWarning.RESULT_TOO_LOW: NoValueReason.BELOW_RANGE,
        CgmWarning.RESULT_TOO_HIGH: NoValueReason.ABOVE_RANGE,
    },
)
"""The same of the three octets of a continuous monitor; a calibration that is due withholds none,
for a sensor without a valid one sends no number."""
