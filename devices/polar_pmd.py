"""The control point of Polar's measurement data service (PMD), both directions.

A central reads the feature bitmap, asks for a measurement's settings, and starts and stops it; the
peripheral answers by indications. Data frames are in `devices.polar_frames`.

Source: Polar Electro, Polar Measurement Data Specification for 3rd Party, and
online_measurement.pdf v1.0 (2024-08).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final

from devices.errors import EncodeError, InvalidFieldError, ReservedValueError
from devices.payload import PayloadReader, PayloadWriter

_FEATURES: Final = 0x0F
_RESPONSE: Final = 0xF0
_STOPPED: Final = 0x01
_N_FEATURE_BYTES: Final = 16
_MEASUREMENT_MAX: Final = 0x3F
"""A measurement type has six bits; those above choose offline recording, which is not served."""


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


class PmdOpCode(IntEnum):
    """What a central asks of the control point."""

    GET_SETTINGS = 1
    START = 2
    STOP = 3


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


class PmdSettingType(IntEnum):
    """Which setting a group of values belongs to."""

    SAMPLE_RATE = 0
    RESOLUTION = 1
    RANGE = 2
    RANGE_MILLIUNIT = 3
    CHANNELS = 4
    FACTOR = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PmdSettings:
    """Settings of one measurement: what a peripheral offers, or the one of each that is chosen.

    Attributes
    ----------
    sample_rates_hz
        Samples per second.
    resolutions_bits
        Bits of a sample.
    ranges
        Full scale, one sided: g for acceleration, deg/s for angular velocity.
    ranges_milliunit
        The same in thousandths of the unit.
    n_channels
        Channels of a sample.
    factors
        Unit per count; given in the answer to a start, never asked for.
    """

    sample_rates_hz: tuple[int, ...] = ()
    resolutions_bits: tuple[int, ...] = ()
    ranges: tuple[int, ...] = ()
    ranges_milliunit: tuple[int, ...] = ()
    n_channels: tuple[int, ...] = ()
    factors: tuple[float, ...] = ()

    def are_offered_by(self, offer: "PmdSettings") -> bool:
        """Tell whether every value here is among those of `offer`."""
        offered = offer.by_type()
        return all(set(values) <= set(offered[kind]) for kind, values in self.by_type().items())

    def by_type(self) -> Mapping[PmdSettingType, tuple[float, ...]]:
        """List the values by type, in the order of the types."""
        return {
            PmdSettingType.SAMPLE_RATE: self.sample_rates_hz,
            PmdSettingType.RESOLUTION: self.resolutions_bits,
            PmdSettingType.RANGE: self.ranges,
            PmdSettingType.RANGE_MILLIUNIT: self.ranges_milliunit,
            PmdSettingType.CHANNELS: self.n_channels,
            PmdSettingType.FACTOR: self.factors,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class GetSettingsRequest:
    """A central asks which settings a measurement has."""

    op_code: ClassVar[PmdOpCode] = PmdOpCode.GET_SETTINGS
    measurement: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """A central asks to start a measurement with the chosen settings."""

    op_code: ClassVar[PmdOpCode] = PmdOpCode.START
    measurement: int
    settings: PmdSettings = PmdSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequest:
    """A central asks to stop a measurement."""

    op_code: ClassVar[PmdOpCode] = PmdOpCode.STOP
    measurement: int


PmdRequest = GetSettingsRequest | StartRequest | StopRequest


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
        The request's; a `PmdMeasurement` where it is one.
    status
        A `PmdStatus` where it is one.
    more
        True if the parameters go on in a further response: see `join_parameters`.
    parameters
        For `decode_settings` after a get-settings, for `decode_start_factor` after a start.
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


def encode_request(request: PmdRequest) -> bytes:
    """Write what a central writes to the control point.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u8("op_code", request.op_code)
    _write_measurement(writer, request.measurement)
    if isinstance(request, StartRequest):
        writer.raw("settings", encode_settings(request.settings))
    return writer.finish()


def decode_request(payload: bytes) -> PmdRequest:
    """Read what a central has written to the control point.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    op_code = reader.u8("op_code")
    measurement = _read_measurement(reader)
    match op_code:
        case PmdOpCode.GET_SETTINGS:
            request: PmdRequest = GetSettingsRequest(measurement=measurement)
        case PmdOpCode.START:
            settings = decode_settings(reader.rest())
            request = StartRequest(measurement=measurement, settings=settings)
        case PmdOpCode.STOP:
            request = StopRequest(measurement=measurement)
        case _:
            raise ReservedValueError(field="op_code", value=op_code)
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


def encode_settings(settings: PmdSettings) -> bytes:
    """Write settings as type, count and values; those without a value are left out.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    for kind, values in settings.by_type().items():
        if not values:
            continue
        writer.u8("setting_type", kind)
        writer.u8("setting_count", len(values))
        for value in values:
            _write_setting(writer, kind, value)
    return writer.finish()


def decode_settings(parameters: bytes) -> PmdSettings:
    """Read settings from the parameters of a request or a response.

    An unknown setting is refused: its width is not known, and guessing would misread the rest.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(parameters)
    found: dict[PmdSettingType, tuple[int, ...]] = {}
    factors: tuple[float, ...] = ()
    while reader.n_left:
        kind = _read_setting_type(reader)
        if kind in found:
            raise InvalidFieldError(field="setting_type", value=int(kind), why="comes twice")
        n_values = reader.u8("setting_count")
        if kind is PmdSettingType.FACTOR:
            factors = tuple(_read_factor(reader) for _ in range(n_values))
            found[kind] = ()
        else:
            width = _WIDTHS_BYTES[kind]
            found[kind] = tuple(reader.unsigned(kind.name.lower(), width) for _ in range(n_values))
    return PmdSettings(
        sample_rates_hz=found.get(PmdSettingType.SAMPLE_RATE, ()),
        resolutions_bits=found.get(PmdSettingType.RESOLUTION, ()),
        ranges=found.get(PmdSettingType.RANGE, ()),
        ranges_milliunit=found.get(PmdSettingType.RANGE_MILLIUNIT, ()),
        n_channels=found.get(PmdSettingType.CHANNELS, ()),
        factors=factors,
    )


def decode_start_factor(parameters: bytes) -> float:
    """Read the unit per count from the answer to a start; 1.0 if it states none.

    A Polar H10 answers a start with one zero byte instead of settings.

    Raises
    ------
    DecodeError
    """
    if parameters in (b"", b"\x00"):
        return 1.0
    factors = decode_settings(parameters).factors
    return factors[0] if factors else 1.0


_WIDTHS_BYTES: Final[Mapping[PmdSettingType, int]] = {
    PmdSettingType.SAMPLE_RATE: 2,
    PmdSettingType.RESOLUTION: 2,
    PmdSettingType.RANGE: 2,
    PmdSettingType.RANGE_MILLIUNIT: 4,
    PmdSettingType.CHANNELS: 1,
}


def _named_measurement(code: int) -> int:
    """Give the enum member where there is one, else the bare number."""
    return PmdMeasurement(code) if code in set(PmdMeasurement) else code


def _read_measurement(reader: PayloadReader) -> int:
    code = reader.u8("measurement")
    if code > _MEASUREMENT_MAX:
        raise InvalidFieldError(field="measurement", value=code, why="is not an online measurement")
    return _named_measurement(code)


def _write_measurement(writer: PayloadWriter, measurement: int) -> None:
    if measurement > _MEASUREMENT_MAX:
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
        measurement=_named_measurement(measurement),
        status=PmdStatus(status) if status in set(PmdStatus) else status,
        more=more != 0,
        parameters=reader.rest(),
    )


def _read_stopped(reader: PayloadReader) -> PmdStopped:
    measurements: list[int] = []
    while reader.n_left:
        measurements.append(_read_measurement(reader))
    return PmdStopped(measurements=tuple(measurements))


def _read_setting_type(reader: PayloadReader) -> PmdSettingType:
    code = reader.u8("setting_type")
    if code not in set(PmdSettingType):
        raise ReservedValueError(field="setting_type", value=code)
    return PmdSettingType(code)


def _read_factor(reader: PayloadReader) -> float:
    factor = reader.binary32("factor")
    if not (math.isfinite(factor) and factor > 0):
        raise InvalidFieldError(field="factor", value=factor, why="is not a positive number")
    return factor


def _write_setting(writer: PayloadWriter, kind: PmdSettingType, value: float) -> None:
    if kind is PmdSettingType.FACTOR:
        if not (math.isfinite(value) and value > 0):
            raise EncodeError(field="factor", value=value, why="is not a positive number")
        writer.binary32("factor", value)
    else:
        writer.unsigned(kind.name.lower(), int(value), _WIDTHS_BYTES[kind])


_INDICATIONS: Final[Mapping[int, Callable[[PayloadReader], PmdIndication]]] = {
    _FEATURES: _read_features,
    _RESPONSE: _read_response,
    _STOPPED: _read_stopped,
}
"""What follows each response code."""
