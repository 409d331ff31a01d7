"""Record Access Control Point (0x2A52) as a Generic Health Sensor has it.

It differs from that of a glucose meter: records have numbers of 32 bits, are reported and counted
in one procedure, and operands begin with a filter type.

Source: Bluetooth SIG, Generic Health Sensor Service 1.0 (2023), section 3.4, whose text was not at
hand. Op codes, operators, filter types, answers and counts of 32 bits: ST's public GHS sensor for
STM32WBA (2024), Realtek's GHSS server v1.0 and Philips' GHS server agree. Two of them also know op
code 1, a report without a count, which the third does not; it is not read here. What a filter by
time holds could not be verified; such an operand is passed on as bytes.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from devices.errors import EncodeError, InvalidFieldError, ReservedValueError
from devices.payload import PayloadReader, PayloadWriter


class RecordOpCode(IntEnum):
    """What a request or an answer is."""

    DELETE = 0x02
    ABORT = 0x03
    COUNT = 0x04
    COUNT_ANSWER = 0x05
    ANSWER = 0x06
    REPORT = 0x07
    REPORT_ANSWER = 0x08


class RecordOperator(IntEnum):
    """Which records are meant."""

    NONE = 0x00
    ALL = 0x01
    LESS_OR_EQUAL = 0x02
    GREATER_OR_EQUAL = 0x03
    WITHIN_RANGE = 0x04
    FIRST = 0x05
    LAST = 0x06


class RecordFilter(IntEnum):
    """By what records are chosen."""

    RECORD_NUMBER = 0x01
    TIME = 0x02


class RecordAnswerCode(IntEnum):
    """How a procedure ended."""

    SUCCESS = 0x01
    OP_CODE_NOT_SUPPORTED = 0x02
    INVALID_OPERATOR = 0x03
    OPERATOR_NOT_SUPPORTED = 0x04
    INVALID_OPERAND = 0x05
    NO_RECORDS_FOUND = 0x06
    ABORT_UNSUCCESSFUL = 0x07
    PROCEDURE_NOT_COMPLETED = 0x08
    OPERAND_NOT_SUPPORTED = 0x09
    SERVER_BUSY = 0x0A


_REQUESTS: Final = frozenset(
    {RecordOpCode.DELETE, RecordOpCode.ABORT, RecordOpCode.COUNT, RecordOpCode.REPORT}
)
_WITH_COUNT: Final = frozenset({RecordOpCode.COUNT_ANSWER, RecordOpCode.REPORT_ANSWER})
_N_NUMBERS: Final = {
    RecordOperator.LESS_OR_EQUAL: 1,
    RecordOperator.GREATER_OR_EQUAL: 1,
    RecordOperator.WITHIN_RANGE: 2,
}
"""Record numbers that an operator takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRequest:
    """What a collector writes.

    Attributes
    ----------
    op_code
        Delete, abort, count or report.
    operator
        Which records; none for an abort.
    record_numbers
        One, or two for a range, both included; none where the operator takes none.
    time_operand
        Of a filter by time instead of numbers, as sent; None: the filter is by number.
    """

    op_code: RecordOpCode
    operator: RecordOperator
    record_numbers: tuple[int, ...] = ()
    time_operand: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCount:
    """How many records there are, or how many were reported.

    Attributes
    ----------
    op_code
        The answer to a count, or to a report that is complete.
    n_records
        32 bits.
    """

    op_code: RecordOpCode
    n_records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAnswer:
    """How a procedure ended.

    Attributes
    ----------
    request
        The request's `RecordOpCode` where it is one.
    code
        A `RecordAnswerCode` where it is one.
    """

    request: int
    code: int


def decode_record_request(payload: bytes) -> RecordRequest:
    """Decode what a collector writes.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    op_code = reader.u8("op_code")
    if op_code not in _REQUESTS:
        raise ReservedValueError(field="op_code", value=op_code)
    operator = reader.u8("operator")
    if operator not in set(RecordOperator):
        raise ReservedValueError(field="operator", value=operator)
    numbers: tuple[int, ...] = ()
    time_operand = None
    n_numbers = _N_NUMBERS.get(RecordOperator(operator), 0)
    if n_numbers:
        numbers, time_operand = _read_operand(reader, n_numbers)
    reader.finish()
    return RecordRequest(
        op_code=RecordOpCode(op_code),
        operator=RecordOperator(operator),
        record_numbers=numbers,
        time_operand=time_operand,
    )


def encode_record_request(request: RecordRequest) -> bytes:
    """Encode what a collector writes.

    Raises
    ------
    EncodeError
    """
    if request.op_code not in _REQUESTS:
        raise EncodeError(field="op_code", value=request.op_code, why="is not a request")
    n_numbers = _N_NUMBERS.get(request.operator, 0)
    by_time = request.time_operand is not None
    n_wanted = 0 if by_time else n_numbers
    if len(request.record_numbers) != n_wanted or (by_time and not n_numbers):
        raise EncodeError(
            field="record_numbers",
            value=request.record_numbers,
            why=f"do not go with the operator {request.operator.name}",
        )
    writer = PayloadWriter()
    writer.u8("op_code", request.op_code)
    writer.u8("operator", request.operator)
    if request.time_operand is not None:
        writer.u8("filter_type", RecordFilter.TIME)
        writer.raw("time_operand", request.time_operand)
    elif n_numbers:
        writer.u8("filter_type", RecordFilter.RECORD_NUMBER)
        for number in request.record_numbers:
            writer.u32("record_number", number)
    return writer.finish()


def decode_record_answer(payload: bytes) -> RecordCount | RecordAnswer:
    """Decode what a sensor indicates.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    op_code = reader.u8("op_code")
    if op_code not in _WITH_COUNT | {RecordOpCode.ANSWER}:
        raise ReservedValueError(field="op_code", value=op_code)
    operator = reader.u8("operator")
    if operator != RecordOperator.NONE:
        raise InvalidFieldError(field="operator", value=operator, why="is not 0 in an answer")
    answer: RecordCount | RecordAnswer
    if op_code in _WITH_COUNT:
        answer = RecordCount(op_code=RecordOpCode(op_code), n_records=reader.u32("n_records"))
    else:
        request, code = reader.u8("request"), reader.u8("answer_code")
        answer = RecordAnswer(
            request=RecordOpCode(request) if request in set(RecordOpCode) else request,
            code=RecordAnswerCode(code) if code in set(RecordAnswerCode) else code,
        )
    reader.finish()
    return answer


def encode_record_answer(answer: RecordCount | RecordAnswer) -> bytes:
    """Encode what a sensor indicates.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    if isinstance(answer, RecordCount):
        if answer.op_code not in _WITH_COUNT:
            raise EncodeError(field="op_code", value=answer.op_code, why="has no count")
        writer.u8("op_code", answer.op_code)
        writer.u8("operator", RecordOperator.NONE)
        writer.u32("n_records", answer.n_records)
    else:
        writer.u8("op_code", RecordOpCode.ANSWER)
        writer.u8("operator", RecordOperator.NONE)
        writer.u8("request", answer.request)
        writer.u8("answer_code", answer.code)
    return writer.finish()


def _read_operand(reader: PayloadReader, n_numbers: int) -> tuple[tuple[int, ...], bytes | None]:
    kind = reader.u8("filter_type")
    if kind == RecordFilter.TIME:
        return (), reader.rest("time_operand")
    if kind != RecordFilter.RECORD_NUMBER:
        raise ReservedValueError(field="filter_type", value=kind)
    return tuple(reader.u32("record_number") for _ in range(n_numbers)), None
