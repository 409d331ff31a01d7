"""Frames of Viatom and Wellue oximeters (O2Ring and its family), and their way through 20 bytes.

Such an oximeter is asked and answers; it notifies nothing by itself. A frame is a head, data and a
check byte, and is cut into chunks of 20 bytes; a chunk does not say where a frame begins.

Source: not published by the maker. As the maker's example application (viatom-develop/LepuBle) and
the clients o2r and viatom_o2ring_ble read and write them. The newer O2Ring S speaks another
protocol.
"""

from collections import Counter
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from devices.errors import InvalidFieldError
from devices.payload import PAYLOAD_BYTES_MAX, PayloadReader, PayloadWriter

CHUNK_BYTES: Final = 20
FRAME_BYTES_MAX: Final = PAYLOAD_BYTES_MAX
"""Chosen: an answer with a second of waveform has about 150 bytes."""

_REQUEST_HEAD: Final = 0xAA
_REPLY_HEAD: Final = 0x55
_HEAD_BYTES: Final = 7
_CRC_POLYNOMIAL: Final = 0x07
_BYTE: Final = 0xFF


class ViatomCommand(IntEnum):
    """What is asked. Those that change a setting or read a stored night are not served."""

    INFO = 0x14
    SENSORS = 0x17
    REAL_TIME = 0x1B


@dataclass(frozen=True, slots=True, kw_only=True)
class ViatomRequest:
    """A frame to the oximeter.

    Attributes
    ----------
    command
        A `ViatomCommand` where it is one.
    block
        Number of the piece of a file; 0 otherwise.
    data
        At most 504 bytes.
    """

    command: int
    block: int = 0
    data: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViatomReply:
    """A frame from the oximeter; it does not say which command it answers.

    Attributes
    ----------
    status
        0 if the command was obeyed.
    block
        Number of the piece of a file; 0 otherwise.
    data
        At most 504 bytes.
    """

    status: int
    block: int = 0
    data: bytes = b""


def viatom_crc(octets: bytes) -> int:
    """Compute the check byte: CRC-8 of polynomial 0x07, from 0, most significant bit first."""
    crc = 0
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = (crc << 1 ^ (_CRC_POLYNOMIAL if crc & 0x80 else 0)) & _BYTE
    return crc


def decode_viatom_request(payload: bytes) -> ViatomRequest:
    """Decode a whole frame to the oximeter.

    Raises
    ------
    DecodeError
    """
    code, block, data = _decode_frame(payload, _REQUEST_HEAD)
    known = code in set(ViatomCommand)
    return ViatomRequest(command=ViatomCommand(code) if known else code, block=block, data=data)


def encode_viatom_request(request: ViatomRequest) -> bytes:
    """Encode a frame to the oximeter; see `viatom_chunks` for how to write it.

    Raises
    ------
    EncodeError
    """
    return _encode_frame(_REQUEST_HEAD, request.command, request.block, request.data)


def decode_viatom_reply(payload: bytes) -> ViatomReply:
    """Decode a whole frame from the oximeter.

    Raises
    ------
    DecodeError
    """
    status, block, data = _decode_frame(payload, _REPLY_HEAD)
    return ViatomReply(status=status, block=block, data=data)


def encode_viatom_reply(reply: ViatomReply) -> bytes:
    """Encode a frame from the oximeter.

    Raises
    ------
    EncodeError
    """
    return _encode_frame(_REPLY_HEAD, reply.status, reply.block, reply.data)


def viatom_chunks(frame: bytes) -> tuple[bytes, ...]:
    """Cut a frame into what is written or notified at a time."""
    return tuple(frame[i : i + CHUNK_BYTES] for i in range(0, len(frame), CHUNK_BYTES))


class ViatomLossCause(StrEnum):
    """Why a byte is in no frame."""

    NO_HEAD = "no_head"
    """It is not where a frame could begin."""
    WRONG_CRC = "wrong_crc"
    """It looked like the beginning of a frame, and the check byte said no."""
    INCOMPLETE = "incomplete"
    """The rest of the frame did not come in time."""


class ViatomAssembler:
    """Finds the oximeter's frames in chunks, however they are cut, and accounts for every byte.

    ``n_bytes`` always equals ``n_framed_bytes`` plus all of ``n_lost_bytes`` plus ``n_pending``.
    At most one frame is held, of at most 512 bytes: what claims to be longer is not a frame.

    After a damaged frame the search goes on at its second byte, so that the next one is found.
    """

    def __init__(self, head: int = _REPLY_HEAD) -> None:
        self.n_bytes = 0
        """Bytes that came."""
        self.n_framed_bytes = 0
        """Those that are in a frame."""
        self.n_lost_bytes: Counter[ViatomLossCause] = Counter()
        """Those that are in none, by cause."""
        self._head = head
        self._pending = bytearray()

    @property
    def n_pending(self) -> int:
        """Bytes that wait for the rest of a frame."""
        return len(self._pending)

    def process(self, chunk: bytes) -> tuple[bytes, ...]:
        """Take the next bytes; give the whole frames that they complete, in order."""
        self.n_bytes += len(chunk)
        self._pending += chunk
        frames: list[bytes] = []
        while (n_bytes := self._frame_bytes()) is not None and len(self._pending) >= n_bytes:
            frame = bytes(self._pending[:n_bytes])
            if viatom_crc(frame[:-1]) == frame[-1]:
                del self._pending[:n_bytes]
                self.n_framed_bytes += n_bytes
                frames.append(frame)
            else:
                self._lose(1, ViatomLossCause.WRONG_CRC)
        return tuple(frames)

    def end(self) -> None:
        """Give up what is incomplete."""
        self._lose(len(self._pending), ViatomLossCause.INCOMPLETE)

    def _frame_bytes(self) -> int | None:
        """Skip to where a frame may begin; give its length, or None if too little has come."""
        while self._pending and not self._may_begin():
            self._lose(1, ViatomLossCause.NO_HEAD)
        if len(self._pending) < _HEAD_BYTES:
            return None
        return _HEAD_BYTES + int.from_bytes(self._pending[5:7], "little") + 1

    def _may_begin(self) -> bool:
        """Tell whether what has come so far can be the beginning of a frame."""
        pending = self._pending
        if pending[0] != self._head:
            return False
        if len(pending) > len(("head", "code")) and pending[1] ^ pending[2] != _BYTE:
            return False
        n_data_bytes = int.from_bytes(pending[5:_HEAD_BYTES], "little")
        return len(pending) < _HEAD_BYTES or _HEAD_BYTES + n_data_bytes + 1 <= FRAME_BYTES_MAX

    def _lose(self, n_bytes: int, cause: ViatomLossCause) -> None:
        del self._pending[:n_bytes]
        if n_bytes:
            self.n_lost_bytes[cause] += n_bytes


def _decode_frame(payload: bytes, head: int) -> tuple[int, int, bytes]:
    reader = PayloadReader(payload)
    first = reader.u8("head")
    if first != head:
        raise InvalidFieldError(field="head", value=first, why=f"is not {head:#04x}")
    code = reader.u8("code")
    complement = reader.u8("complement")
    if code ^ complement != _BYTE:
        raise InvalidFieldError(field="complement", value=complement, why=f"does not fit {code}")
    block = reader.u16("block")
    data = reader.raw("data", reader.u16("length"))
    crc = reader.u8("crc")
    reader.finish()
    if crc != viatom_crc(payload[:-1]):
        raise InvalidFieldError(field="crc", value=crc, why=f"is not {viatom_crc(payload[:-1])}")
    return code, block, data


def _encode_frame(head: int, code: int, block: int, data: bytes) -> bytes:
    writer = PayloadWriter()
    writer.u8("head", head)
    writer.u8("code", code)
    writer.u8("complement", code ^ _BYTE)
    writer.u16("block", block)
    writer.u16("length", len(data))
    writer.raw("data", data)
    writer.u8("crc", viatom_crc(writer.finish()))
    return writer.finish()
