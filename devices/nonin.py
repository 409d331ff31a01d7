"""Nonin's own continuous oximetry characteristic, as the model 3230 notifies it once a second.

Its numbers are big-endian, unlike those of all standard characteristics. The 3230 also offers the
standard Pulse Oximeter service, which is to be preferred.

Source: Nonin Medical, sample application for the 3230 (2013), as other clients and a public
simulator agree on it. No capture was found: every vector is made.
"""

from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from devices import codes
from devices.codes import Quantity
from devices.errors import EncodeError, InvalidFieldError
from devices.payload import PayloadReader, PayloadWriter
from devices.readings import Measured, NoValueReason

_LENGTH: Final = 10
_DEFINED_STATUS: Final = 0x3F
_SPO2_MISSING: Final = 127
_PULSE_RATE_MISSING: Final = 511
_SPO2_PERCENT_MAX: Final = 100
_COUNTS_PER_VOLT: Final = 10
_COUNTS_PER_PERCENT: Final = 100


class NoninStatus(IntFlag):
    """What the oximeter says of its measurement; bits 6 and 7 are reserved."""

    DISPLAY_SYNC = 1 << 0
    """The display shows the same values."""
    WEAK_SIGNAL = 1 << 1
    SMART_POINT = 1 << 2
    """The values are of the quality that a spot check needs."""
    SEARCHING = 1 << 3
    """No pulse is found yet."""
    CORRECT_CHECK = 1 << 4
    """The finger is placed correctly."""
    LOW_BATTERY = 1 << 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NoninContinuous:
    """One notification.

    Attributes
    ----------
    status
        About the measurement.
    battery_v
        Battery voltage, volts, in steps of 0.1.
    perfusion_index_percent
        Pulse amplitude index: pulsatile over non-pulsatile part of the signal, in steps of 0.01.
    counter_s
        Seconds since it was switched on, modulo 65536.
    spo2_percent
        Oxygen saturation; None: missing.
    pulse_rate_bpm
        Beats per minute; None: missing.
    """

    status: NoninStatus
    battery_v: float
    perfusion_index_percent: float
    counter_s: int
    spo2_percent: int | None
    pulse_rate_bpm: int | None


def decode_nonin_continuous(payload: bytes) -> NoninContinuous:
    """Decode a continuous oximetry notification.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    length = reader.u8("length")
    if length != _LENGTH:
        raise InvalidFieldError(field="length", value=length, why=f"is not {_LENGTH}")
    status = NoninStatus(reader.u8("status") & _DEFINED_STATUS)
    battery = reader.u8("battery")
    perfusion = _read_u16(reader, "pulse_amplitude_index")
    counter_s = _read_u16(reader, "counter")
    spo2 = reader.u8("spo2")
    pulse_rate = _read_u16(reader, "pulse_rate")
    reader.finish()
    return NoninContinuous(
        status=status,
        battery_v=battery / _COUNTS_PER_VOLT,
        perfusion_index_percent=perfusion / _COUNTS_PER_PERCENT,
        counter_s=counter_s,
        spo2_percent=None if spo2 == _SPO2_MISSING else spo2,
        pulse_rate_bpm=None if pulse_rate == _PULSE_RATE_MISSING else pulse_rate,
    )


def encode_nonin_continuous(measurement: NoninContinuous) -> bytes:
    """Encode a continuous oximetry notification.

    Raises
    ------
    EncodeError
    """
    perfusion = round(measurement.perfusion_index_percent * _COUNTS_PER_PERCENT)
    spo2 = _or_missing("spo2", measurement.spo2_percent, _SPO2_MISSING)
    pulse_rate = _or_missing("pulse_rate", measurement.pulse_rate_bpm, _PULSE_RATE_MISSING)
    writer = PayloadWriter()
    writer.u8("length", _LENGTH)
    writer.u8("status", measurement.status)
    writer.u8("battery", round(measurement.battery_v * _COUNTS_PER_VOLT))
    _write_u16(writer, "pulse_amplitude_index", perfusion)
    _write_u16(writer, "counter", measurement.counter_s)
    writer.u8("spo2", spo2)
    _write_u16(writer, "pulse_rate", pulse_rate)
    return writer.finish()


def nonin_readings(measurement: NoninContinuous) -> tuple[Measured, ...]:
    """List oxygen saturation, pulse rate, perfusion index and battery voltage.

    While the oximeter searches for a pulse, only the battery has a value.
    """
    spo2, pulse_rate = measurement.spo2_percent, measurement.pulse_rate_bpm
    no_pulse = None
    if NoninStatus.SEARCHING in measurement.status:
        no_pulse = NoValueReason.INADEQUATE_SIGNAL
    too_high = None
    if spo2 is not None and spo2 > _SPO2_PERCENT_MAX:
        too_high = NoValueReason.OUT_OF_RANGE
    none_found = None if pulse_rate else NoValueReason.INADEQUATE_SIGNAL
    words = frozenset(str(bit.name).lower() for bit in measurement.status)
    rows: tuple[tuple[Quantity, float | None, NoValueReason | None], ...] = (
        (codes.SPO2, spo2, no_pulse or too_high),
        (codes.PULSE_RATE, pulse_rate, no_pulse or none_found),
        (codes.PERFUSION_INDEX, measurement.perfusion_index_percent, no_pulse),
        (codes.BATTERY_VOLTAGE, measurement.battery_v, None),
    )
    return tuple(
        Measured(
            quantity=quantity,
            value=None if reason or number is None else float(number),
            reason=reason or (NoValueReason.INADEQUATE_SIGNAL if number is None else None),
            status=words,
            status_bits=measurement.status,
        )
        for quantity, number, reason in rows
    )


def _read_u16(reader: PayloadReader, field: str) -> int:
    return int.from_bytes(reader.raw(field, 2), "big")


def _write_u16(writer: PayloadWriter, field: str, value: int) -> None:
    try:
        writer.raw(field, value.to_bytes(2, "big"))
    except OverflowError as error:
        raise EncodeError(field=field, value=value, why="does not fit 2 bytes unsigned") from error


def _or_missing(field: str, value: int | None, missing: int) -> int:
    if value == missing:
        raise EncodeError(field=field, value=value, why="means that there is no value")
    return missing if value is None else value
