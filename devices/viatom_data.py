"""What Viatom and Wellue oximeters answer when they are asked for the present measurement.

There are two layouts. The older has one byte of pulse rate and a motion number; the newer, which
the maker's own application asks for, has two bytes of pulse rate and the waveform since the last
time. An answer does not say which it is.

Source: as `devices.viatom`; the older layout has two captures (in o2r's source), the newer none.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from devices import codes
from devices.codes import Quantity
from devices.errors import EncodeError
from devices.payload import PayloadReader, PayloadWriter
from devices.readings import Measured, NoValueReason

_NO_FINGER_U8: Final = 0xFF
_NO_FINGER_U16: Final = 0xFFFF
_NO_SAMPLE: Final = 156
_COUNTS_PER_PERCENT: Final = 10
_PERCENT_MAX: Final = 100
_CONTACT_DETECTED: Final = 1 << 1
_CONTACT_SUPPORTED: Final = 1 << 2


class ViatomCharging(IntEnum):
    """What the battery is doing."""

    DISCHARGING = 0
    CHARGING = 1
    FULL = 2


class ViatomContact(IntEnum):
    """Whether the oximeter is worn."""

    OFF = 0
    ON = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ViatomSensors:
    """The older answer.

    Attributes
    ----------
    spo2_percent
        Oxygen saturation; 0 while it is being found; None: no finger.
    pulse_rate_bpm
        Beats per minute, 254 at most; 0 while it is being found; None: no finger.
    battery_percent
        Battery level.
    charging
        A `ViatomCharging` where it is one.
    motion
        The device's own measure, 0 at rest.
    perfusion_index_percent
        In steps of 0.1: so the maker's application shows it.
    contact
        A `ViatomContact` where it is one.
    """

    spo2_percent: int | None
    pulse_rate_bpm: int | None
    battery_percent: int
    charging: int
    motion: int
    perfusion_index_percent: float
    contact: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ViatomRealTime:
    """The newer answer.

    Attributes
    ----------
    spo2_percent, pulse_rate_bpm
        As in `ViatomSensors`; the pulse rate has two bytes.
    battery_percent, charging, perfusion_index_percent, contact
        As in `ViatomSensors`.
    waveform
        Raw plethysmogram since the last answer, oldest first, at 125 Hz if asked for with 0; None
        for a place that holds the maker's mark instead of a sample.
    """

    spo2_percent: int | None
    pulse_rate_bpm: int | None
    battery_percent: int
    charging: int
    perfusion_index_percent: float
    contact: int
    waveform: tuple[int | None, ...] = ()


ViatomMeasurement = ViatomSensors | ViatomRealTime


def decode_viatom_sensors(payload: bytes) -> ViatomSensors:
    """Decode the data of the older answer.

    Bytes 2 to 6 and 12 are not known and skipped; byte 2 may be the upper half of the pulse rate.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    spo2 = reader.u8("spo2")
    pulse_rate = reader.u8("pulse_rate")
    reader.raw("unknown", 5)
    measurement = ViatomSensors(
        spo2_percent=_or_none(spo2, _NO_FINGER_U8),
        pulse_rate_bpm=_or_none(pulse_rate, _NO_FINGER_U8),
        battery_percent=reader.u8("battery"),
        charging=_charging(reader.u8("charging")),
        motion=reader.u8("motion"),
        perfusion_index_percent=reader.u8("perfusion_index") / _COUNTS_PER_PERCENT,
        contact=_contact(reader.u8("contact")),
    )
    reader.raw("unknown", 1)
    reader.finish()
    return measurement


def encode_viatom_sensors(measurement: ViatomSensors) -> bytes:
    """Encode the data of the older answer; bytes that are not known are 0.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u8("spo2", _or_sentinel("spo2", measurement.spo2_percent, _NO_FINGER_U8))
    pulse_rate = _or_sentinel("pulse_rate", measurement.pulse_rate_bpm, _NO_FINGER_U8)
    writer.u8("pulse_rate", pulse_rate)
    writer.raw("unknown", bytes(5))
    writer.u8("battery", measurement.battery_percent)
    writer.u8("charging", measurement.charging)
    writer.u8("motion", measurement.motion)
    writer.u8("perfusion_index", _perfusion_counts(measurement))
    writer.u8("contact", measurement.contact)
    writer.raw("unknown", bytes(1))
    return writer.finish()


def decode_viatom_real_time(payload: bytes) -> ViatomRealTime:
    """Decode the data of the newer answer; bytes 7 to 9 are not known and skipped.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    spo2 = reader.u8("spo2")
    pulse_rate = reader.u16("pulse_rate")
    battery_percent = reader.u8("battery")
    charging = _charging(reader.u8("charging"))
    perfusion = reader.u8("perfusion_index")
    contact = _contact(reader.u8("contact"))
    reader.raw("unknown", 3)
    waveform = reader.raw("waveform", reader.u16("waveform_length"))
    reader.finish()
    return ViatomRealTime(
        spo2_percent=_or_none(spo2, _NO_FINGER_U8),
        pulse_rate_bpm=_or_none(pulse_rate, _NO_FINGER_U16),
        battery_percent=battery_percent,
        charging=charging,
        perfusion_index_percent=perfusion / _COUNTS_PER_PERCENT,
        contact=contact,
        waveform=tuple(_or_none(sample, _NO_SAMPLE) for sample in waveform),
    )


def encode_viatom_real_time(measurement: ViatomRealTime) -> bytes:
    """Encode the data of the newer answer; bytes that are not known are 0.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u8("spo2", _or_sentinel("spo2", measurement.spo2_percent, _NO_FINGER_U8))
    pulse_rate = _or_sentinel("pulse_rate", measurement.pulse_rate_bpm, _NO_FINGER_U16)
    writer.u16("pulse_rate", pulse_rate)
    writer.u8("battery", measurement.battery_percent)
    writer.u8("charging", measurement.charging)
    writer.u8("perfusion_index", _perfusion_counts(measurement))
    writer.u8("contact", measurement.contact)
    writer.raw("unknown", bytes(3))
    writer.u16("waveform_length", len(measurement.waveform))
    for sample in measurement.waveform:
        writer.u8("waveform", _or_sentinel("waveform", sample, _NO_SAMPLE))
    return writer.finish()


def viatom_readings(measurement: ViatomMeasurement) -> tuple[Measured, ...]:
    """List saturation, pulse rate, perfusion index, battery level and, if sent, motion.

    Without a finger, and while the first values are being found, only battery and motion have one.
    """
    spo2, pulse_rate = measurement.spo2_percent, measurement.pulse_rate_bpm
    unfit = _unfit_reason(measurement)
    spo2_reason = unfit or _range_reason(spo2) or (None if spo2 else NoValueReason.CALIBRATING)
    rate_reason = unfit or (None if pulse_rate else NoValueReason.CALIBRATING)
    battery = measurement.battery_percent
    rows: list[tuple[Quantity, float | None, NoValueReason | None]] = [
        (codes.SPO2, spo2, spo2_reason),
        (codes.PULSE_RATE, pulse_rate, rate_reason),
        (codes.PERFUSION_INDEX, measurement.perfusion_index_percent, unfit),
        (codes.BATTERY_LEVEL, battery, _range_reason(battery)),
    ]
    if isinstance(measurement, ViatomSensors):
        rows.append((codes.MOTION_INDEX, measurement.motion, None))
    status, status_bits = _status(measurement)
    return tuple(
        Measured(
            quantity=quantity,
            value=None if reason or number is None else float(number),
            reason=reason,
            status=status,
            status_bits=status_bits,
        )
        for quantity, number, reason in rows
    )


def _unfit_reason(measurement: ViatomMeasurement) -> NoValueReason | None:
    spo2, pulse_rate = measurement.spo2_percent, measurement.pulse_rate_bpm
    if measurement.contact == ViatomContact.OFF or spo2 is None or pulse_rate is None:
        return NoValueReason.NO_CONTACT
    return None if spo2 or pulse_rate else NoValueReason.CALIBRATING


def _range_reason(percent: int | None) -> NoValueReason | None:
    too_high = percent is not None and percent > _PERCENT_MAX
    return NoValueReason.OUT_OF_RANGE if too_high else None


def _status(measurement: ViatomMeasurement) -> tuple[frozenset[str], int]:
    words: set[str] = set()
    bits = 0
    if measurement.contact == ViatomContact.OFF:
        words.add("contact_lost")
        bits = _CONTACT_SUPPORTED
    elif measurement.contact == ViatomContact.ON:
        words.add("contact_detected")
        bits = _CONTACT_SUPPORTED | _CONTACT_DETECTED
    if isinstance(measurement.charging, ViatomCharging):
        words.add(f"battery_{measurement.charging.name.lower()}")
    return frozenset(words), bits


def _charging(number: int) -> int:
    return ViatomCharging(number) if number in set(ViatomCharging) else number


def _contact(number: int) -> int:
    return ViatomContact(number) if number in set(ViatomContact) else number


def _perfusion_counts(measurement: ViatomMeasurement) -> int:
    return round(measurement.perfusion_index_percent * _COUNTS_PER_PERCENT)


def _or_none(number: int, sentinel: int) -> int | None:
    return None if number == sentinel else number


def _or_sentinel(field: str, value: int | None, sentinel: int) -> int:
    if value == sentinel:
        raise EncodeError(field=field, value=value, why="means that there is no value")
    return sentinel if value is None else value
