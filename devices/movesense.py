"""Movesense's GATT sensor data protocol (GSP): commands, answers, and data in one or two parts.

A central writes commands, each with a reference of its choice; the sensor notifies answers and data
with the same reference. Data that do not fit one notification are sent as a first part and a second
one, and neither says how long the whole is: `devices.movesense_parts` joins them. What the data
mean is in `devices.movesense_data`.

Source: Movesense, GATT SensorData Protocol specification (GD-77 v1.0), of which only an excerpt
could be read; the answer to HELLO and the time of PUT_UTCTIME are as public clients read and write
them, and no capture of either was found.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus
from typing import ClassVar, Final

from devices.errors import EncodeError, InvalidFieldError, ReservedValueError
from devices.payload import PayloadReader, PayloadWriter

_PATH_BYTES_MAX: Final = 128
"""Chosen: the longest path that is served has 13 bytes."""
_SUCCESS: Final = range(200, 300)
_NAMED_STATUSES: Final = frozenset(HTTPStatus)


class GspCommandCode(IntEnum):
    """What a central asks. The commands of the logbook (3, 5, 6, 9) and mode (7) are not served."""

    HELLO = 0
    SUBSCRIBE = 1
    UNSUBSCRIBE = 2
    GET = 4
    PUT_UTC_TIME = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class GspHelloCommand:
    """A central asks who the sensor is; the answer is a `GspHello`."""

    code: ClassVar[GspCommandCode] = GspCommandCode.HELLO
    reference: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GspSubscribeCommand:
    """A central asks for the data of a resource, under its reference, until it unsubscribes."""

    code: ClassVar[GspCommandCode] = GspCommandCode.SUBSCRIBE
    reference: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GspUnsubscribeCommand:
    """A central ends the subscription that has its reference."""

    code: ClassVar[GspCommandCode] = GspCommandCode.UNSUBSCRIBE
    reference: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GspGetCommand:
    """A central asks for a resource once; the answer is a `GspResult` with the content."""

    code: ClassVar[GspCommandCode] = GspCommandCode.GET
    reference: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GspPutUtcTimeCommand:
    """A central sets the sensor's clock.

    Attributes
    ----------
    reference
        Chosen by the central.
    utc_us
        Microseconds since 1970-01-01 UTC.
    """

    code: ClassVar[GspCommandCode] = GspCommandCode.PUT_UTC_TIME
    reference: int
    utc_us: int


GspCommand = (
    GspHelloCommand
    | GspSubscribeCommand
    | GspUnsubscribeCommand
    | GspGetCommand
    | GspPutUtcTimeCommand
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GspResponse:
    """The answer to the command that has its reference.

    Attributes
    ----------
    reference
        Of the command.
    body
        A `GspHello` if the command was HELLO, else a `GspResult`: only the asker knows.
    """

    code: ClassVar[int] = 1
    reference: int
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class GspData:
    """Data of a subscription: all of them, or their first part."""

    code: ClassVar[int] = 2
    reference: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class GspDataPart:
    """A later part of a subscription's data."""

    code: ClassVar[int] = 3
    reference: int
    body: bytes


GspNotification = GspResponse | GspData | GspDataPart


@dataclass(frozen=True, slots=True, kw_only=True)
class GspResult:
    """How a command ended.

    Attributes
    ----------
    status
        An `HTTPStatus` where it is one.
    content
        What a GET has asked for.
    """

    status: int
    content: bytes = b""

    @property
    def succeeded(self) -> bool:
        """Whether the command was obeyed."""
        return self.status in _SUCCESS


@dataclass(frozen=True, slots=True, kw_only=True)
class GspHello:
    """Who the sensor says that it is.

    Attributes
    ----------
    protocol_version
        Of GSP: 1.
    serial_number, product_name
        As printed on it.
    dfu_address
        Bluetooth address in firmware update mode.
    app_name, app_version
        Its firmware.
    """

    protocol_version: int
    serial_number: str
    product_name: str
    dfu_address: str
    app_name: str
    app_version: str


def decode_gsp_command(payload: bytes) -> GspCommand:
    """Decode what a central has written.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    code = reader.u8("command")
    reference = reader.u8("reference")
    decode = _COMMANDS.get(code)
    if decode is None:
        raise InvalidFieldError(field="command", value=code, why="is no command that is served")
    command = decode(reader, reference)
    reader.finish()
    return command


def encode_gsp_command(command: GspCommand) -> bytes:
    """Encode a command.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u8("command", command.code)
    writer.u8("reference", command.reference)
    if isinstance(command, GspSubscribeCommand | GspGetCommand):
        writer.raw("path", _path_bytes(command.path))
    elif isinstance(command, GspPutUtcTimeCommand):
        writer.signed("utc_time", command.utc_us, 8)
    return writer.finish()


def decode_gsp_notification(payload: bytes) -> GspNotification:
    """Decode a notification as far as its reference; see `GspResponse` for what its body is.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    code = reader.u8("response")
    reference = reader.u8("reference")
    for kind in (GspResponse, GspData, GspDataPart):
        if code == kind.code:
            return kind(reference=reference, body=reader.rest())
    raise ReservedValueError(field="response", value=code)


def encode_gsp_notification(notification: GspNotification) -> bytes:
    """Encode a notification.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u8("response", notification.code)
    writer.u8("reference", notification.reference)
    writer.raw("body", notification.body)
    return writer.finish()


def decode_gsp_result(payload: bytes) -> GspResult:
    """Decode the body of an answer to any command but HELLO.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    status = reader.u16("status")
    known = status in _NAMED_STATUSES
    return GspResult(status=HTTPStatus(status) if known else status, content=reader.rest())


def encode_gsp_result(result: GspResult) -> bytes:
    """Encode the body of an answer to any command but HELLO.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u16("status", result.status)
    writer.raw("content", result.content)
    return writer.finish()


def decode_gsp_hello(payload: bytes) -> GspHello:
    """Decode the body of an answer to HELLO: it has no status.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    version = reader.u8("protocol_version")
    texts = reader.rest("serial_number").split(b"\0")
    if not texts[-1]:
        texts.pop()
    if len(texts) != len(_HELLO_TEXTS):
        why = f"are not {len(_HELLO_TEXTS)} texts"
        raise InvalidFieldError(field="hello", value=payload, why=why)
    named = {field: _text(field, text) for field, text in zip(_HELLO_TEXTS, texts, strict=True)}
    return GspHello(protocol_version=version, **named)


def encode_gsp_hello(hello: GspHello) -> bytes:
    """Encode the body of an answer to HELLO.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u8("protocol_version", hello.protocol_version)
    for field in _HELLO_TEXTS:
        writer.raw(field, _text_bytes(field, getattr(hello, field)) + b"\0")
    return writer.finish()


def _read_path(reader: PayloadReader) -> str:
    raw = reader.rest("path")
    # Some clients end the path with a zero byte, the vendor's example does not.
    path = _text("path", raw.removesuffix(b"\0"))
    if not path or len(raw) > _PATH_BYTES_MAX or "\0" in path:
        raise InvalidFieldError(field="path", value=raw, why="is not the path of a resource")
    return path


def _path_bytes(path: str) -> bytes:
    raw = _text_bytes("path", path)
    if not raw or len(raw) > _PATH_BYTES_MAX:
        raise EncodeError(field="path", value=path, why="is not the path of a resource")
    return raw


def _text(field: str, raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidFieldError(field=field, value=raw, why="is not UTF-8") from error


def _text_bytes(field: str, text: str) -> bytes:
    try:
        raw = text.encode()
    except UnicodeEncodeError as error:
        raise EncodeError(field=field, value=text, why="cannot be UTF-8") from error
    if b"\0" in raw:
        raise EncodeError(field=field, value=text, why="holds a zero byte, which ends a text")
    return raw


_HELLO_TEXTS: Final = ("serial_number", "product_name", "dfu_address", "app_name", "app_version")
"""Fields of the answer to HELLO, each ended by a zero byte."""

_COMMANDS: Final[Mapping[int, Callable[[PayloadReader, int], GspCommand]]] = {
    GspCommandCode.HELLO: lambda _, reference: GspHelloCommand(reference=reference),
    GspCommandCode.SUBSCRIBE: lambda reader, reference: GspSubscribeCommand(
        reference=reference, path=_read_path(reader)
    ),
    GspCommandCode.UNSUBSCRIBE: lambda _, reference: GspUnsubscribeCommand(reference=reference),
    GspCommandCode.GET: lambda reader, reference: GspGetCommand(
        reference=reference, path=_read_path(reader)
    ),
    GspCommandCode.PUT_UTC_TIME: lambda reader, reference: GspPutUtcTimeCommand(
        reference=reference, utc_us=reader.signed("utc_time", 8)
    ),
}
"""What follows the reference of each command."""
