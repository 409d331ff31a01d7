"""The control point of Polar's measurement data service (PMD), both directions.

A central reads the feature bitmap, asks for a measurement's settings, and starts and stops it; the
peripheral answers by indications. Settings are in `devices.polar_settings`, answers to
queries in `devices.polar_queries`, data frames in `devices.polar_frames`.

In SDK mode a peripheral offers wider settings and runs no algorithms of its own: no heart rate, no
PPI. It is started and stopped as if it were a measurement, while no other is running.

Source: Polar Electro, Polar Measurement Data Specification for 3rd Party, and
online_measurement.pdf v1.0 (2024-08); polar-ble-sdk 5, SdkModeExplained.md and its control point
(op codes 4 to 6).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, Final

from devices.errors import EncodeError, InvalidFieldError, ReservedValueError
from devices.payload import PayloadReader, PayloadWriter
from devices.polar_settings import (
    PmdSettings,
    PmdSettingType,
    decode_settings,
    decode_start_factor,
    encode_settings,
)

__all__ = [
    "MEASUREMENT_MAX",
    "NO_MEASUREMENT",
    "GetSdkModeQuery",
    "GetSdkSettingsRequest",
    "GetSettingsRequest",
    "GetStatusQuery",
    "PmdCommand",
    "PmdFeatures",
    "PmdIndication",
    "PmdMeasurement",
    "PmdOpCode",
    "PmdQuery",
    "PmdRequest",
    "PmdResponse",
    "PmdSettingType",
    "PmdSettings",
    "PmdStatus",
    "PmdStopped",
    "StartRequest",
    "StopRequest",
    "decode_indication",
    "decode_request",
    "decode_settings",
    "decode_start_factor",
    "encode_indication",
    "encode_request",
    "encode_settings",
    "join_parameters",
    "named_measurement",
]

_FEATURES: Final = 0x0F
_RESPONSE: Final = 0xF0
_STOPPED: Final = 0x01
_N_FEATURE_BYTES: Final = 16
MEASUREMENT_MAX: Final = 0x3F
"""A measurement type has six bits; those above choose offline recording, which is not served."""
NO_MEASUREMENT: Final = 0xFF
"""In the answer to a query, which is about no measurement; as a Verity Sense sends it."""


class PmdMeasurement(IntEnum):
    """What a PMD stream measures."""

    ECG = 0
    PPG = 1
    ACC = 2
    PPI = 3
    GYRO = 5
    MAGNETOMETER = 6
    SKIN_TEMPERATURE = 7
    SDK_MODE = 9
    LOCATION = 10
    PRESSURE = 11
    TEMPERATURE = 12
    OFFLINE_RECORDING = 13
    """Among the features only: recordings in the device's own memory, which are not served."""
    OFFLINE_HEART_RATE = 14


class PmdOpCode(IntEnum):
    """What a central asks of the control point."""

    GET_SETTINGS = 1
    START = 2
    STOP = 3
    GET_SDK_SETTINGS = 4
    GET_MEASUREMENT_STATUS = 5
    GET_SDK_MODE_STATUS = 6


class PmdStatus(IntEnum):
    """How the peripheral answers."""

    SUCCESS = 0
    INVALID_OP_CODE = 1
    INVALID_MEASUREMENT_TYPE = 2
    NOT_SUPPORTED = 3
    INVALID_LENGTH = 4
    INVALID_PARAMETER = 5
    ALREADY_IN_STATE = 6
    INVALID_RESOLUTION = 7
    INVALID_SAMPLE_RATE = 8
    INVALID_RANGE = 9
    INVALID_MTU = 10
    INVALID_NUMBER_OF_CHANNELS = 11
    INVALID_STATE = 12
    DEVICE_IN_CHARGER = 13
    DISK_FULL = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class GetSettingsRequest:
    """A central asks which settings a measurement has."""

    op_code: ClassVar[PmdOpCode] = PmdOpCode.GET_SETTINGS
    measurement: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GetSdkSettingsRequest:
    """A central asks which settings a measurement has in SDK mode, whether that is on or not."""

    op_code: ClassVar[PmdOpCode] = PmdOpCode.GET_SDK_SETTINGS
    measurement: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """A central asks to start a measurement with the chosen settings; SDK mode has none."""

    op_code: ClassVar[PmdOpCode] = PmdOpCode.START
    measurement: int
    settings: PmdSettings = field(default_factory=PmdSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequest:
    """A central asks to stop a measurement."""

    op_code: ClassVar[PmdOpCode] = PmdOpCode.STOP
    measurement: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GetStatusQuery:
    """A central asks which measurements are running."""

    op_code: ClassVar[PmdOpCode] = PmdOpCode.GET_MEASUREMENT_STATUS


@dataclass(frozen=True, slots=True, kw_only=True)
class GetSdkModeQuery:
    """A central asks whether SDK mode is on."""

    op_code: ClassVar[PmdOpCode] = PmdOpCode.GET_SDK_MODE_STATUS


PmdRequest = GetSettingsRequest | GetSdkSettingsRequest | StartRequest | StopRequest
"""What is asked of one measurement."""
PmdQuery = GetStatusQuery | GetSdkModeQuery
"""What is asked of the peripheral: the answer is known by its op code alone."""
PmdCommand = PmdRequest | PmdQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class PmdFeatures:
    """What a peripheral can measure: what a read of the control point gives."""

    measurements: frozenset[PmdMeasurement]


@dataclass(frozen=True, slots=True, kw_only=True)
class PmdResponse:
    """The answer to a request.

    Attributes
    ----------
    op_code
        The request's; a `PmdOpCode` where it is one.
    measurement
        The request's; a `PmdMeasurement` where it is one. 255 in the answer to a query.
    status
        A `PmdStatus` where it is one.
    more
        True if the parameters go on in a further response: see `join_parameters`.
    parameters
        For `decode_settings` after a get-settings, for `decode_start_factor` after a start, for
        `devices.polar_queries` after a query.
    """

    op_code: int
    measurement: int
    status: int
    more: bool = False
    parameters: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class PmdStopped:
    """The peripheral has stopped measurements by itself: charger, battery or a button."""

    measurements: tuple[int, ...]


PmdIndication = PmdFeatures | PmdResponse | PmdStopped


def encode_request(request: PmdCommand) -> bytes:
    """Write what a central writes to the control point.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u8("op_code", request.op_code)
    if not isinstance(request, PmdQuery):
        _write_measurement(writer, request.measurement)
    if isinstance(request, StartRequest):
        writer.raw("settings", encode_settings(request.settings))
    return writer.finish()


def decode_request(payload: bytes) -> PmdCommand:
    """Read what a central has written to the control point.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    op_code = reader.u8("op_code")
    read = _COMMANDS.get(op_code)
    if read is None:
        raise ReservedValueError(field="op_code", value=op_code)
    request = read(reader)
    reader.finish()
    return request


def encode_indication(indication: PmdIndication) -> bytes:
    """Write what a peripheral sends from the control point, or gives to a read of it.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    if isinstance(indication, PmdFeatures):
        bits = sum(1 << measurement for measurement in indication.measurements)
        writer.u8("response_code", _FEATURES)
        writer.raw("features", bits.to_bytes(_N_FEATURE_BYTES, "little"))
    elif isinstance(indication, PmdResponse):
        writer.u8("response_code", _RESPONSE)
        writer.u8("op_code", indication.op_code)
        writer.u8("measurement", indication.measurement)
        writer.u8("status", indication.status)
        writer.u8("more", int(indication.more))
        writer.raw("parameters", indication.parameters)
    else:
        writer.u8("response_code", _STOPPED)
        for measurement in indication.measurements:
            _write_measurement(writer, measurement)
    return writer.finish()


def decode_indication(payload: bytes) -> PmdIndication:
    """Read what the control point indicates, or gives to a read.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    code = reader.u8("response_code")
    read = _INDICATIONS.get(code)
    if read is None:
        raise ReservedValueError(field="response_code", value=code)
    return read(reader)


def join_parameters(*responses: PmdResponse) -> bytes:
    """Put together the parameters of a response and of those that continue it, in order."""
    return b"".join(response.parameters for response in responses)


def named_measurement(code: int) -> int:
    """Give the enum member where there is one, else the bare number."""
    return PmdMeasurement(code) if code in set(PmdMeasurement) else code


def _read_measurement(reader: PayloadReader) -> int:
    code = reader.u8("measurement")
    if code > MEASUREMENT_MAX:
        raise InvalidFieldError(field="measurement", value=code, why="is not an online measurement")
    return named_measurement(code)


def _write_measurement(writer: PayloadWriter, measurement: int) -> None:
    if measurement > MEASUREMENT_MAX:
        raise EncodeError(field="measurement", value=measurement, why="has more than six bits")
    writer.u8("measurement", measurement)


def _read_features(reader: PayloadReader) -> PmdFeatures:
    bits = int.from_bytes(reader.rest("features"), "little")
    return PmdFeatures(
        measurements=frozenset(kind for kind in PmdMeasurement if bits >> kind & 1),
    )


def _read_response(reader: PayloadReader) -> PmdResponse:
    op_code = reader.u8("op_code")
    measurement = reader.u8("measurement")
    status = reader.u8("status")
    # Left out by some firmware where nothing follows.
    more = reader.u8("more") if reader.n_left else 0
    return PmdResponse(
        op_code=PmdOpCode(op_code) if op_code in set(PmdOpCode) else op_code,
        measurement=named_measurement(measurement),
        status=PmdStatus(status) if status in set(PmdStatus) else status,
        more=more != 0,
        parameters=reader.rest(),
    )


def _read_stopped(reader: PayloadReader) -> PmdStopped:
    measurements: list[int] = []
    while reader.n_left:
        measurements.append(_read_measurement(reader))
    return PmdStopped(measurements=tuple(measurements))


def _read_start(reader: PayloadReader) -> PmdCommand:
    measurement = _read_measurement(reader)
    return StartRequest(measurement=measurement, settings=decode_settings(reader.rest()))


_COMMANDS: Final[Mapping[int, Callable[[PayloadReader], PmdCommand]]] = {
    PmdOpCode.GET_SETTINGS: lambda r: GetSettingsRequest(measurement=_read_measurement(r)),
    PmdOpCode.START: _read_start,
    PmdOpCode.STOP: lambda r: StopRequest(measurement=_read_measurement(r)),
    PmdOpCode.GET_SDK_SETTINGS: lambda r: GetSdkSettingsRequest(measurement=_read_measurement(r)),
    PmdOpCode.GET_MEASUREMENT_STATUS: lambda _: GetStatusQuery(),
    PmdOpCode.GET_SDK_MODE_STATUS: lambda _: GetSdkModeQuery(),
}
"""What follows each op code."""

_INDICATIONS: Final[Mapping[int, Callable[[PayloadReader], PmdIndication]]] = {
    _FEATURES: _read_features,
    _RESPONSE: _read_response,
    _STOPPED: _read_stopped,
}
"""What follows each response code."""
