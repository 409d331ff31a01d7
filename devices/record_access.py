"""Record Access Control Point (0x2A52): asking a device for the records that it has stored.

A collector writes a request; the device notifies the records on other characteristics and ends
with an indication here. What the bounds of a request mean is the service's: sequence numbers and
times in the Glucose service, minutes since the session's start in Continuous Glucose Monitoring.

Source: Bluetooth SIG, GATT Specification Supplement, Record Access Control Point; Glucose Service
1.0.1, section 3.4 (filter types).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from devices.date_time import DeviceDateTime
from devices.errors import EncodeError, InvalidFieldError, ReservedValueError
from devices.payload import PayloadReader, PayloadWriter


class RacpOpCode(IntEnum):
    """What a request asks for, or what an indication is."""

    REPORT_STORED_RECORDS = 1
    DELETE_STORED_RECORDS = 2
    ABORT_OPERATION = 3
    REPORT_NUMBER_OF_STORED_RECORDS = 4
    NUMBER_OF_STORED_RECORDS_RESPONSE = 5
    RESPONSE_CODE = 6
    COMBINED_REPORT = 7
    COMBINED_REPORT_RESPONSE = 8


class RacpOperator(IntEnum):
    """Which records a request is about."""

    NULL = 0
    ALL_RECORDS = 1
    LESS_OR_EQUAL = 2
    GREATER_OR_EQUAL = 3
    WITHIN_RANGE = 4
    FIRST_RECORD = 5
    LAST_RECORD = 6


class RacpFilterType(IntEnum):
    """What the bounds of a request are."""

    SEQUENCE_NUMBER = 1
    """In the continuous glucose service: the time offset in minutes."""
    USER_FACING_TIME = 2


class RacpResponseCode(IntEnum):
    """How a device answers a request that has no other answer."""

    SUCCESS = 1
    OP_CODE_NOT_SUPPORTED = 2
    INVALID_OPERATOR = 3
    OPERATOR_NOT_SUPPORTED = 4
    INVALID_OPERAND = 5
    NO_RECORDS_FOUND = 6
    ABORT_UNSUCCESSFUL = 7
    PROCEDURE_NOT_COMPLETED = 8
    OPERAND_NOT_SUPPORTED = 9
    SERVER_BUSY = 10


RacpBound = int | DeviceDateTime
"""A sequence number (or time offset), or a user facing time."""

_BOUNDS: Final[Mapping[RacpOperator, tuple[bool, bool]]] = {
    RacpOperator.LESS_OR_EQUAL: (False, True),
    RacpOperator.GREATER_OR_EQUAL: (True, False),
    RacpOperator.WITHIN_RANGE: (True, True),
}
"""Operators that have a minimum, and a maximum; the others have neither."""
_SELECTING: Final = frozenset(
    {
        RacpOpCode.REPORT_STORED_RECORDS,
        RacpOpCode.DELETE_STORED_RECORDS,
        RacpOpCode.REPORT_NUMBER_OF_STORED_RECORDS,
        RacpOpCode.COMBINED_REPORT,
    }
)
"""Requests that are about records."""
_COUNT_BYTES: Final = frozenset({1, 2, 4})
"""Widths of a number of records; each service has its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RacpRequest:
    """What a collector writes.

    Attributes
    ----------
    op_code
        One of a request.
    operator
        `NULL` of an abort, and of an abort only.
    minimum, maximum
        Inclusive bounds, both of one kind, where the operator has them.

    Raises
    ------
    ValueError
        The parts do not belong together.
    """

    op_code: RacpOpCode
    operator: RacpOperator = RacpOperator.ALL_RECORDS
    minimum: RacpBound | None = None
    maximum: RacpBound | None = None

    def __post_init__(self) -> None:
        if self.op_code not in _SELECTING | {RacpOpCode.ABORT_OPERATION}:
            raise ValueError(f"{self.op_code.name} is not a request")
        if (self.operator is RacpOperator.NULL) != (self.op_code is RacpOpCode.ABORT_OPERATION):
            raise ValueError(f"{self.op_code.name} with the operator {self.operator.name}")
        bounds = (self.minimum is not None, self.maximum is not None)
        if bounds != _BOUNDS.get(self.operator, (False, False)):
            raise ValueError(f"{self.operator.name} has other bounds")
        if all(bounds) and isinstance(self.minimum, int) != isinstance(self.maximum, int):
            raise ValueError("a sequence number and a time cannot bound one range")

    @property
    def filter_type(self) -> RacpFilterType | None:
        """What the bounds are; None if there are none."""
        bound = self.maximum if self.minimum is None else self.minimum
        if bound is None:
            return None
        times = isinstance(bound, DeviceDateTime)
        return RacpFilterType.USER_FACING_TIME if times else RacpFilterType.SEQUENCE_NUMBER


ABORT: Final = RacpRequest(op_code=RacpOpCode.ABORT_OPERATION, operator=RacpOperator.NULL)
"""The request that ends the running one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RacpNumberOfRecords:
    """The answer to a request for the number of records, or the end of a combined report.

    Attributes
    ----------
    n_records
        Records that the request's operator selects.
    combined
        The records were sent before it.
    n_bytes
        Width of the number: 1, 2 or 4 as the service says; 2 in the glucose services.
    """

    n_records: int
    combined: bool = False
    n_bytes: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RacpResponse:
    """The end of a procedure, or its refusal.

    Attributes
    ----------
    request_op_code
        A `RacpOpCode` where it is one.
    response_code
        A `RacpResponseCode` where it is one.
    """

    request_op_code: int
    response_code: int


RacpIndication = RacpNumberOfRecords | RacpResponse


def decode_racp_request(payload: bytes) -> RacpRequest:
    """Decode what a collector writes.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    op_code = reader.u8("op_code")
    if op_code not in _SELECTING | {RacpOpCode.ABORT_OPERATION}:
        raise ReservedValueError(field="op_code", value=op_code)
    operator = reader.u8("operator")
    if operator not in set(RacpOperator):
        raise ReservedValueError(field="operator", value=operator)
    if (operator == RacpOperator.NULL) != (op_code == RacpOpCode.ABORT_OPERATION):
        raise InvalidFieldError(field="operator", value=operator, why=f"of op code {op_code}")
    has_minimum, has_maximum = _BOUNDS.get(RacpOperator(operator), (False, False))
    filter_type = reader.u8("filter_type") if has_minimum or has_maximum else 0
    minimum = _read_bound(reader, "minimum", filter_type) if has_minimum else None
    maximum = _read_bound(reader, "maximum", filter_type) if has_maximum else None
    reader.finish()
    return RacpRequest(
        op_code=RacpOpCode(op_code),
        operator=RacpOperator(operator),
        minimum=minimum,
        maximum=maximum,
    )


def encode_racp_request(request: RacpRequest) -> bytes:
    """Encode what a collector writes.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u8("op_code", request.op_code)
    writer.u8("operator", request.operator)
    if request.filter_type is not None:
        writer.u8("filter_type", request.filter_type)
    _write_bound(writer, "minimum", request.minimum)
    _write_bound(writer, "maximum", request.maximum)
    return writer.finish()


def decode_racp_indication(payload: bytes) -> RacpIndication:
    """Decode what a device indicates.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    op_code = reader.u8("op_code")
    operator = reader.u8("operator")
    if operator != RacpOperator.NULL:
        raise InvalidFieldError(field="operator", value=operator, why="is not Null in a response")
    if op_code == RacpOpCode.RESPONSE_CODE:
        indication: RacpIndication = _read_response(reader)
    elif op_code in _COUNTS:
        indication = _read_count(reader, combined=_COUNTS[op_code])
    else:
        raise ReservedValueError(field="op_code", value=op_code)
    reader.finish()
    return indication


def encode_racp_indication(indication: RacpIndication) -> bytes:
    """Encode what a device indicates.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    if isinstance(indication, RacpResponse):
        writer.u8("op_code", RacpOpCode.RESPONSE_CODE)
        writer.u8("operator", RacpOperator.NULL)
        writer.u8("request_op_code", indication.request_op_code)
        writer.u8("response_code", indication.response_code)
        return writer.finish()
    if indication.n_bytes not in _COUNT_BYTES:
        raise EncodeError(field="n_records", value=indication.n_bytes, why="is not its width")
    op_code = next(code for code, combined in _COUNTS.items() if combined == indication.combined)
    writer.u8("op_code", op_code)
    writer.u8("operator", RacpOperator.NULL)
    writer.unsigned("n_records", indication.n_records, indication.n_bytes)
    return writer.finish()


_COUNTS: Final[Mapping[int, bool]] = {
    RacpOpCode.NUMBER_OF_STORED_RECORDS_RESPONSE: False,
    RacpOpCode.COMBINED_REPORT_RESPONSE: True,
}
"""Op codes of a number of records, and whether the records came before it."""


def _read_bound(reader: PayloadReader, field: str, filter_type: int) -> RacpBound:
    if filter_type == RacpFilterType.SEQUENCE_NUMBER:
        return reader.u16(field)
    if filter_type == RacpFilterType.USER_FACING_TIME:
        return reader.date_time(field)
    raise ReservedValueError(field="filter_type", value=filter_type)


def _write_bound(writer: PayloadWriter, field: str, bound: RacpBound | None) -> None:
    if isinstance(bound, DeviceDateTime):
        writer.date_time(field, bound)
    elif bound is not None:
        writer.u16(field, bound)


def _read_response(reader: PayloadReader) -> RacpResponse:
    request = reader.u8("request_op_code")
    code = reader.u8("response_code")
    return RacpResponse(
        request_op_code=RacpOpCode(request) if request in set(RacpOpCode) else request,
        response_code=RacpResponseCode(code) if code in set(RacpResponseCode) else code,
    )


def _read_count(reader: PayloadReader, *, combined: bool) -> RacpNumberOfRecords:
    n_bytes = reader.n_left
    if n_bytes not in _COUNT_BYTES:
        raw = reader.rest("n_records")
        raise InvalidFieldError(field="n_records", value=raw, why="is not of 1, 2 or 4 bytes")
    return RacpNumberOfRecords(
        n_records=reader.unsigned("n_records", n_bytes), combined=combined, n_bytes=n_bytes
    )
