"""SC Control Point (0x2A55) and Sensor Location (0x2A5D) of speed and cadence sensors.

Source: Bluetooth SIG, GATT Specification Supplement (fields); Running Speed and Cadence Service
1.0, sections 3.3 and 3.4 (the cumulative value is the total distance in tenths of a metre, 32
bits; that of cycling sensors counts wheel revolutions, and is not for this module).
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final

from devices.body_measures import write_steps
from devices.errors import EncodeError, ReservedValueError
from devices.payload import PayloadReader, PayloadWriter

_DISTANCES_PER_M: Final = 10
_DISTANCE_BYTES: Final = 4


class SensorLocation(IntEnum):
    """Where a speed or cadence sensor is worn or fixed."""

    OTHER = 0
    TOP_OF_SHOE = 1
    IN_SHOE = 2
    HIP = 3
    FRONT_WHEEL = 4
    LEFT_CRANK = 5
    RIGHT_CRANK = 6
    LEFT_PEDAL = 7
    RIGHT_PEDAL = 8
    FRONT_HUB = 9
    REAR_DROPOUT = 10
    CHAINSTAY = 11
    REAR_WHEEL = 12
    REAR_HUB = 13
    CHEST = 14
    SPIDER = 15
    CHAIN_RING = 16


class ScOpCode(IntEnum):
    """The procedures of the SC Control Point."""

    SET_CUMULATIVE_VALUE = 0x01
    START_SENSOR_CALIBRATION = 0x02
    UPDATE_SENSOR_LOCATION = 0x03
    REQUEST_SUPPORTED_SENSOR_LOCATIONS = 0x04
    RESPONSE_CODE = 0x10


class ScResponseValue(IntEnum):
    """How a procedure ended."""

    SUCCESS = 1
    OP_CODE_NOT_SUPPORTED = 2
    INVALID_OPERAND = 3
    OPERATION_FAILED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCumulativeValue:
    """A central sets the total distance."""

    op_code: ClassVar[ScOpCode] = ScOpCode.SET_CUMULATIVE_VALUE
    total_distance_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSensorCalibration:
    """A central asks for a calibration."""

    op_code: ClassVar[ScOpCode] = ScOpCode.START_SENSOR_CALIBRATION


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateSensorLocation:
    """A central says where the sensor is; a `SensorLocation` where it is one."""

    op_code: ClassVar[ScOpCode] = ScOpCode.UPDATE_SENSOR_LOCATION
    location: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSupportedLocations:
    """A central asks where the sensor may be."""

    op_code: ClassVar[ScOpCode] = ScOpCode.REQUEST_SUPPORTED_SENSOR_LOCATIONS


ScRequest = (
    SetCumulativeValue | StartSensorCalibration | UpdateSensorLocation | RequestSupportedLocations
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScResponse:
    """What a peripheral answers to a request.

    Attributes
    ----------
    request_op_code
        Of the request; a `ScOpCode` where it is one.
    value
        How it ended; a `ScResponseValue` where it is one.
    locations
        Where the sensor may be, if that was asked and answered; a `SensorLocation` where it is one.
    """

    request_op_code: int
    value: int
    locations: tuple[int, ...] = ()


def decode_sensor_location(payload: bytes) -> int:
    """Decode a Sensor Location: a `SensorLocation` where it is one.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    location = _read_location(reader)
    reader.finish()
    return location


def encode_sensor_location(location: int) -> bytes:
    """Encode a Sensor Location.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u8("sensor_location", location)
    return writer.finish()


def decode_sc_request(payload: bytes) -> ScRequest:
    """Read what a central has written to the SC Control Point.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    op_code = reader.u8("op_code")
    match op_code:
        case ScOpCode.SET_CUMULATIVE_VALUE:
            request: ScRequest = SetCumulativeValue(total_distance_m=read_distance(reader))
        case ScOpCode.START_SENSOR_CALIBRATION:
            request = StartSensorCalibration()
        case ScOpCode.UPDATE_SENSOR_LOCATION:
            request = UpdateSensorLocation(location=_read_location(reader))
        case ScOpCode.REQUEST_SUPPORTED_SENSOR_LOCATIONS:
            request = RequestSupportedLocations()
        case _:
            raise ReservedValueError(field="op_code", value=op_code)
    reader.finish()
    return request


def encode_sc_request(request: ScRequest) -> bytes:
    """Write what a central asks of the SC Control Point.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u8("op_code", request.op_code)
    if isinstance(request, SetCumulativeValue):
        write_distance(writer, request.total_distance_m)
    elif isinstance(request, UpdateSensorLocation):
        writer.u8("sensor_location", request.location)
    return writer.finish()


def decode_sc_response(payload: bytes) -> ScResponse:
    """Read what the SC Control Point indicates.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    op_code = reader.u8("op_code")
    if op_code != ScOpCode.RESPONSE_CODE:
        raise ReservedValueError(field="op_code", value=op_code)
    request = reader.u8("request_op_code")
    value = reader.u8("response_value")
    locations: list[int] = []
    while _lists_locations(request, value) and reader.n_left:
        locations.append(_read_location(reader))
    reader.finish()
    return ScResponse(
        request_op_code=ScOpCode(request) if request in set(ScOpCode) else request,
        value=ScResponseValue(value) if value in set(ScResponseValue) else value,
        locations=tuple(locations),
    )


def encode_sc_response(response: ScResponse) -> bytes:
    """Write what a peripheral answers from the SC Control Point.

    Raises
    ------
    EncodeError
    """
    if response.locations and not _lists_locations(response.request_op_code, response.value):
        why = "belong to a successful answer to the request for them only"
        raise EncodeError(field="locations", value=response.locations, why=why)
    writer = PayloadWriter()
    writer.u8("op_code", ScOpCode.RESPONSE_CODE)
    writer.u8("request_op_code", response.request_op_code)
    writer.u8("response_value", response.value)
    for location in response.locations:
        writer.u8("sensor_location", location)
    return writer.finish()


def _lists_locations(request_op_code: int, value: int) -> bool:
    asked = request_op_code == ScOpCode.REQUEST_SUPPORTED_SENSOR_LOCATIONS
    return asked and value == ScResponseValue.SUCCESS


def _read_location(reader: PayloadReader) -> int:
    number = reader.u8("sensor_location")
    return SensorLocation(number) if number in set(SensorLocation) else number


def read_distance(reader: PayloadReader) -> float:
    """Read a total distance in metres."""
    return reader.u32("total_distance") / _DISTANCES_PER_M


def write_distance(writer: PayloadWriter, distance_m: float) -> None:
    """Write a total distance in metres, rounded to tenths.

    Raises
    ------
    EncodeError
    """
    write_steps(writer, "total_distance", distance_m, _DISTANCES_PER_M, _DISTANCE_BYTES)
