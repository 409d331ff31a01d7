"""What goes over the WebSocket, from the server to the page. The page never sends anything.

``GET /ws?subject=ID``. Text messages are JSON objects with a ``type``; binary messages are samples.
All times of text messages are milliseconds since 1970, UTC, as numbers.

    hello       first; version of the protocol, when this subject was last heard of, and the limits
                beyond which a value has another colour
    channel     names a channel id, before the first samples that carry it
    numeral     the newest value of a quantity, or the reason why there is none
    beat        one heart beat, at its event time
    beat_class  of which class a beat was that was told before
    gap         samples that will never come, and why
    device      state of one device
    alarm       a technical alarm condition began or ended
    label       what somebody has marked on a page of this server
    trend       means of ten seconds and of a minute: the last hours, then each that is over
    dropped     how many sample messages this page was too slow for, since it connected
    heartbeat   every second: the server's wall clock, and what it was told of last
    system      before a heartbeat, where it changed: what of the system behind it is dead or silent

After ``hello`` comes what the page missed: the channels, states and numerals as they are, and the
last seconds of samples with the flag ``HISTORY``. Then the same messages as they happen.

Binary messages, little-endian:

    offset  type   what
    0       u8     kind of the counts: 1 = int16, 2 = int32
    1       u8     flags: 1 = HISTORY, sent before to others; it says nothing about latency
    2       u16    channel id
    4       u32    n, number of samples
    8       i64    index of the first sample in its stream, lost samples included
    16      i64    UTC of the first sample, nanoseconds since 1970
    24      i64    UTC of the arrival of the first payload at the agent; 0 where not known
    32      i64    UTC of the sending by the server
    40             n counts

A page that cannot read a version closes the connection and says so.

``GET /ws/ward`` tells of all subjects at once: ``hello`` (its subject is empty), then every second
``heartbeat`` and, if anything has changed, ``ward``; see ``ward.py``.
"""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from processors.sinks.live.limits import LIMITS, Band

PROTOCOL_VERSION: Final = 1
HEARTBEAT_S: Final = 1.0
TEXT_CHARS_MAX: Final = 160
"""Characters of any text from outside: ids, labels, details. The rest is cut."""

_HEADER: Final = struct.Struct("<BBHIqqqq")
_SENT: Final = struct.Struct("<q")
_SENT_AT: Final = 32
_INT16: Final = 1
_INT32: Final = 2
_DTYPES: Final[dict[int, np.dtype[np.int16] | np.dtype[np.int32]]] = {
    _INT16: np.dtype("<i2"),
    _INT32: np.dtype("<i4"),
}
_HISTORY: Final = 1


class ProtocolError(ValueError):
    """Bytes that are no binary message of this protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Consecutive samples of one channel."""

    channel_id: int
    i_first: int
    t0_ns: int
    counts: NDArray[np.int32]
    """Shape ``(n_samples,)``."""
    received_ns: int | None = None
    sent_ns: int = 0
    history: bool = False


def encode_samples(samples: Samples) -> bytes:
    """Encode, with 16-bit counts where all of them fit."""
    counts = samples.counts
    narrow = counts.size == 0 or (counts.min() >= -(1 << 15) and counts.max() < 1 << 15)
    kind = _INT16 if narrow else _INT32
    header = _HEADER.pack(
        kind,
        _HISTORY if samples.history else 0,
        samples.channel_id,
        counts.size,
        samples.i_first,
        samples.t0_ns,
        samples.received_ns or 0,
        samples.sent_ns,
    )
    return header + counts.astype(_DTYPES[kind]).tobytes()


def decode_samples(payload: bytes) -> Samples:
    """Read a binary message.

    Raises
    ------
    ProtocolError
    """
    if len(payload) < _HEADER.size:
        raise ProtocolError(f"{len(payload)} bytes; a header has {_HEADER.size}")
    kind, flags, channel_id, n_samples, i_first, t0_ns, received_ns, sent_ns = _HEADER.unpack_from(
        payload
    )
    dtype = _DTYPES.get(kind)
    if dtype is None:
        raise ProtocolError(f"kind of counts {kind} is unknown")
    n_bytes = len(payload) - _HEADER.size
    if n_bytes != n_samples * dtype.itemsize:
        raise ProtocolError(f"{n_bytes} bytes of counts for {n_samples} samples of {dtype}")
    return Samples(
        channel_id=channel_id,
        i_first=i_first,
        t0_ns=t0_ns,
        counts=np.frombuffer(payload, dtype, offset=_HEADER.size).astype(np.int32),
        received_ns=received_ns or None,
        sent_ns=sent_ns,
        history=bool(flags & _HISTORY),
    )


def stamp_sent(payload: bytes, sent_ns: int) -> bytes:
    """Copy a binary message and write the time of its sending into the copy."""
    return payload[:_SENT_AT] + _SENT.pack(sent_ns) + payload[_SENT_AT + _SENT.size :]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The first message of a connection."""

    TYPE: ClassVar[str] = "hello"
    protocol: int = PROTOCOL_VERSION
    subject: str
    server_ms: float
    heard_ms: float | None
    """Server's clock when data of this subject last came; None: never."""
    limits: Mapping[str, tuple[Band, ...]] = field(default_factory=lambda: LIMITS)
    """By quantity: from where on which score; see ``limits.py``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """The server lives, and its clock."""

    TYPE: ClassVar[str] = "heartbeat"
    server_ms: float
    heard_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One thing that is wrong; ``system_state.py`` says what there is."""

    kind: str
    since_ms: float
    """Server's clock when it was last known to be well."""
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What is wrong behind the page, the worst first; empty: nothing."""

    TYPE: ClassVar[str] = "system"
    conditions: tuple[Trouble, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """What the samples with this channel id are."""

    TYPE: ClassVar[str] = "channel"
    id: int
    device: str
    channel: str
    quantity: str
    """Name in ``devices.codes``, or ``mdc_`` and the code where it has none."""
    label: str
    kind: str
    """``ecg``, ``pleth``, ``respiration``, ``motion`` or ``other``: order, colour and scale."""
    unit: str
    """UCUM unit of ``counts * scale + offset``."""
    scale: float
    offset: float
    period_ns: tuple[int, int]
    """Numerator and denominator of the exact time between two samples, nanoseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numeral:
    """The newest value of a quantity, or the reason why there is none."""

    TYPE: ClassVar[str] = "numeral"
    name: str
    source: str
    """Where two sources give one quantity, this tells them apart."""
    value: float | None
    unit: str
    reason: str | None
    quality: float
    t_ms: float
    channels: tuple[str, ...]
    heard_ms: float | None = None
    """Server's clock when it came: an old one that is sent to a new page is old there too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """One heart beat; the interval before it where it is known."""

    TYPE: ClassVar[str] = "beat"
    source: str
    t_ms: float
    rr_interval: float | None
    unit: str
    quality: float
    channels: tuple[str, ...]
    """Where it was found, as ``device/channel``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatClass:
    """The class of the beat at this time in these channels."""

    TYPE: ClassVar[str] = "beat_class"
    t_ms: float
    beat_class: int
    """An annotation code of WFDB, as ``processors.vitals.derived.BeatClass`` has them."""
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GapMark:
    """Samples of one channel that will never come."""

    TYPE: ClassVar[str] = "gap"
    device: str
    channel: str
    cause: str
    t0_ms: float
    t1_ms: float
    """Time of the first sample after the gap."""
    n_samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """State of one device; None means that it never said."""

    TYPE: ClassVar[str] = "device"
    device: str
    connected: bool | None
    contact: bool | None
    battery_percent: float | None
    battery_low: bool
    event: str
    """The last event's kind; empty where there was none."""
    detail: str
    t_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A technical alarm condition. Never a primary alarm."""

    TYPE: ClassVar[str] = "alarm"
    name: str
    priority: str
    active: bool
    detail: str
    t_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What somebody says of a moment or an interval."""

    TYPE: ClassVar[str] = "label"
    t_ms: float
    end_ms: float
    """That of a moment is the same."""
    text: str
    author: str
    device: str | None
    channel: str | None
    """None: of all that there is of the subject."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """The page is too slow; how many sample messages it did not get since it connected."""

    TYPE: ClassVar[str] = "dropped"
    n_messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Means of one quantity over steps of event time that follow one another."""

    TYPE: ClassVar[str] = "trend"
    name: str
    unit: str
    step_s: int
    t0_ms: float
    """Begin of the first step."""
    mean: tuple[float | None, ...]
    """None: there was no value that is believed in that step."""
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]


TextMessage = (
    Hello
    | Heartbeat
    | System
    | Channel
    | Numeral
    | Beat
    | BeatClass
    | GapMark
    | Device
    | Alarm
    | Trend
    | Label
    | Dropped
)
Message = TextMessage | Samples


def encode_text(message: TextMessage) -> str:
    """Encode as JSON. A number that JSON cannot say becomes null."""
    return encode_json(content_of(message))


def content_of(message: TextMessage) -> dict[str, object]:
    """Give what a text message says as plain values."""
    content: dict[str, object] = {"type": message.TYPE}
    for item in fields(message):
        content[item.name] = _plain(getattr(message, item.name))
    return content


def encode_json(content: object) -> str:
    """Encode plain values, without a space."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def _plain(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return value[:TEXT_CHARS_MAX]
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value


def ms_from_ns(t_ns: int) -> float:
    """Nanoseconds to milliseconds, to a fraction of a microsecond."""
    return t_ns / 1_000_000
