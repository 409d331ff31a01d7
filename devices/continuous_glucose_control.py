"""CGM Specific Ops Control Point (0x2AAC): session, interval, calibration and alert levels.

A collector writes an operation; the sensor indicates one: the value that was asked for, or a
response code.

Source: Bluetooth SIG, Continuous Glucose Monitoring Service 1.0.2, section 3.7; GATT Specification
Supplement, CGM Specific Ops Control Point.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum, IntFlag, auto
from typing import Final

from devices.crc import with_e2e_crc, without_e2e_crc
from devices.errors import EncodeError, ReservedValueError
from devices.glucose import read_type_location, write_type_location
from devices.medfloat import MedFloat, Special
from devices.payload import PayloadReader, PayloadWriter


class CgmOpCode(IntEnum):
    """What is asked for or answered."""

    SET_COMMUNICATION_INTERVAL = 0x01
    GET_COMMUNICATION_INTERVAL = 0x02
    COMMUNICATION_INTERVAL_RESPONSE = 0x03
    SET_CALIBRATION_VALUE = 0x04
    GET_CALIBRATION_VALUE = 0x05
    CALIBRATION_VALUE_RESPONSE = 0x06
    SET_PATIENT_HIGH_ALERT_LEVEL = 0x07
    GET_PATIENT_HIGH_ALERT_LEVEL = 0x08
    PATIENT_HIGH_ALERT_LEVEL_RESPONSE = 0x09
    SET_PATIENT_LOW_ALERT_LEVEL = 0x0A
    GET_PATIENT_LOW_ALERT_LEVEL = 0x0B
    PATIENT_LOW_ALERT_LEVEL_RESPONSE = 0x0C
    SET_HYPO_ALERT_LEVEL = 0x0D
    GET_HYPO_ALERT_LEVEL = 0x0E
    HYPO_ALERT_LEVEL_RESPONSE = 0x0F
    SET_HYPER_ALERT_LEVEL = 0x10
    GET_HYPER_ALERT_LEVEL = 0x11
    HYPER_ALERT_LEVEL_RESPONSE = 0x12
    SET_RATE_OF_DECREASE_ALERT_LEVEL = 0x13
    GET_RATE_OF_DECREASE_ALERT_LEVEL = 0x14
    RATE_OF_DECREASE_ALERT_LEVEL_RESPONSE = 0x15
    SET_RATE_OF_INCREASE_ALERT_LEVEL = 0x16
    GET_RATE_OF_INCREASE_ALERT_LEVEL = 0x17
    RATE_OF_INCREASE_ALERT_LEVEL_RESPONSE = 0x18
    RESET_DEVICE_SPECIFIC_ALERT = 0x19
    START_SESSION = 0x1A
    STOP_SESSION = 0x1B
    RESPONSE_CODE = 0x1C


class CgmResponseCode(IntEnum):
    """How a sensor answers an operation that has no other answer."""

    SUCCESS = 1
    OP_CODE_NOT_SUPPORTED = 2
    INVALID_OPERAND = 3
    PROCEDURE_NOT_COMPLETED = 4
    PARAMETER_OUT_OF_RANGE = 5


class CgmCalibrationStatus(IntFlag):
    """What became of a calibration; bits 3 to 7 are reserved."""

    REJECTED = 1 << 0
    OUT_OF_RANGE = 1 << 1
    PROCESS_PENDING = 1 << 2


_DEFINED_CALIBRATION_STATUS: Final = 0x07


@dataclass(frozen=True, slots=True, kw_only=True)
class CgmCalibration:
    """A calibration.

    Attributes
    ----------
    glucose_mg_per_dl
        As another instrument measured it.
    time_min, next_time_min
        When that was, and when the next is due: minutes since the start of the session.
    sample_type, sample_location
        A `SampleType` and a `SampleLocation` of `devices.glucose` where they are ones; 0 to 15.
    record_number
        Of the stored calibration.
    status
        What became of it; the sensor says.
    """

    glucose_mg_per_dl: MedFloat
    time_min: int
    sample_type: int
    sample_location: int
    next_time_min: int
    record_number: int
    status: CgmCalibrationStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class CgmResponse:
    """How an operation ended: a `CgmOpCode` and a `CgmResponseCode` where they are ones."""

    request_op_code: int
    response_code: int


CgmOperand = int | MedFloat | CgmCalibration | CgmResponse | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CgmOperation:
    """What a collector writes, or a sensor indicates.

    Attributes
    ----------
    op_code
        Says what the operand is.
    operand
        Interval: minutes, 0 for none at all and 255 for the shortest that there is. Get
        calibration: record number, 0xFFFF for the last. Levels: mg/dL, those of rates mg/dL/min.
        None where the op code has none.
    """

    op_code: CgmOpCode
    operand: CgmOperand = None


class _Kind(Enum):
    NOTHING = auto()
    INTERVAL = auto()
    RECORD_NUMBER = auto()
    LEVEL = auto()
    CALIBRATION = auto()
    RESPONSE = auto()


_LEVELS: Final = range(
    CgmOpCode.SET_PATIENT_HIGH_ALERT_LEVEL, CgmOpCode.RESET_DEVICE_SPECIFIC_ALERT
)
"""Op codes of alert levels: set, get and response, for one level after the other."""
_KINDS: Final[Mapping[CgmOpCode, _Kind]] = {
    CgmOpCode.SET_COMMUNICATION_INTERVAL: _Kind.INTERVAL,
    CgmOpCode.COMMUNICATION_INTERVAL_RESPONSE: _Kind.INTERVAL,
    CgmOpCode.SET_CALIBRATION_VALUE: _Kind.CALIBRATION,
    CgmOpCode.GET_CALIBRATION_VALUE: _Kind.RECORD_NUMBER,
    CgmOpCode.CALIBRATION_VALUE_RESPONSE: _Kind.CALIBRATION,
    **{CgmOpCode(level): _Kind.LEVEL for level in _LEVELS if (level - _LEVELS.start) % 3 != 1},
    CgmOpCode.RESPONSE_CODE: _Kind.RESPONSE,
}
"""What op codes have as their operand; the others have none."""
_OPERAND_BYTES: Final[Mapping[_Kind, int]] = {
    _Kind.NOTHING: 0,
    _Kind.INTERVAL: 1,
    _Kind.RECORD_NUMBER: 2,
    _Kind.LEVEL: 2,
    _Kind.CALIBRATION: 10,
    _Kind.RESPONSE: 2,
}


def decode_cgm_operation(payload: bytes, *, e2e_crc: bool | None = None) -> CgmOperation:
    """Decode what a collector writes, or a sensor indicates.

    Parameters
    ----------
    e2e_crc
        Whether there is a check sum; None: go by the length.

    Raises
    ------
    DecodeError
    """
    op_code = PayloadReader(payload).u8("op_code")
    if op_code not in set(CgmOpCode):
        raise ReservedValueError(field="op_code", value=op_code)
    kind = _KINDS.get(CgmOpCode(op_code), _Kind.NOTHING)
    body = without_e2e_crc(payload, n_bytes=1 + _OPERAND_BYTES[kind], e2e_crc=e2e_crc)
    reader = PayloadReader(body[1:])
    operand = _read_operand(reader, kind)
    reader.finish()
    return CgmOperation(op_code=CgmOpCode(op_code), operand=operand)


def encode_cgm_operation(operation: CgmOperation, *, e2e_crc: bool = False) -> bytes:
    """Encode what a collector writes, or a sensor indicates.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u8("op_code", operation.op_code)
    _write_operand(writer, operation)
    return with_e2e_crc(writer.finish()) if e2e_crc else writer.finish()


def _read_operand(reader: PayloadReader, kind: _Kind) -> CgmOperand:
    match kind:
        case _Kind.NOTHING:
            return None
        case _Kind.INTERVAL:
            return reader.u8("interval")
        case _Kind.RECORD_NUMBER:
            return reader.u16("record_number")
        case _Kind.LEVEL:
            return reader.sfloat("level")
        case _Kind.CALIBRATION:
            return _read_calibration(reader)
        case _Kind.RESPONSE:
            return _read_response(reader)


def _read_calibration(reader: PayloadReader) -> CgmCalibration:
    glucose_mg_per_dl = reader.sfloat("concentration")
    time_min = reader.u16("calibration_time")
    sample_type, sample_location = read_type_location(reader)
    return CgmCalibration(
        glucose_mg_per_dl=glucose_mg_per_dl,
        time_min=time_min,
        sample_type=sample_type,
        sample_location=sample_location,
        next_time_min=reader.u16("next_calibration_time"),
        record_number=reader.u16("record_number"),
        status=CgmCalibrationStatus(reader.u8("calibration_status") & _DEFINED_CALIBRATION_STATUS),
    )


def _read_response(reader: PayloadReader) -> CgmResponse:
    request = reader.u8("request_op_code")
    code = reader.u8("response_code")
    return CgmResponse(
        request_op_code=CgmOpCode(request) if request in set(CgmOpCode) else request,
        response_code=CgmResponseCode(code) if code in set(CgmResponseCode) else code,
    )


def _write_operand(writer: PayloadWriter, operation: CgmOperation) -> None:
    match _KINDS.get(operation.op_code, _Kind.NOTHING), operation.operand:
        case _Kind.NOTHING, None:
            pass
        case _Kind.INTERVAL, int(interval_min):
            writer.u8("interval", interval_min)
        case _Kind.RECORD_NUMBER, int(number):
            writer.u16("record_number", number)
        case _Kind.LEVEL, (int() | float() | Special()) as level:
            writer.sfloat("level", level)
        case _Kind.CALIBRATION, CgmCalibration() as calibration:
            _write_calibration(writer, calibration)
        case _Kind.RESPONSE, CgmResponse() as response:
            writer.u8("request_op_code", response.request_op_code)
            writer.u8("response_code", response.response_code)
        case _, operand:
            why = f"is not an operand of {operation.op_code.name}"
            raise EncodeError(field="operand", value=operand, why=why)


def _write_calibration(writer: PayloadWriter, calibration: CgmCalibration) -> None:
    writer.sfloat("concentration", calibration.glucose_mg_per_dl)
    writer.u16("calibration_time", calibration.time_min)
    write_type_location(writer, calibration.sample_type, calibration.sample_location)
    writer.u16("next_calibration_time", calibration.next_time_min)
    writer.u16("record_number", calibration.record_number)
    writer.u8("calibration_status", calibration.status)
