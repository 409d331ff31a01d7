"""Check sums over payloads.

Source: Bluetooth SIG, GATT Specification Supplement, CRC calculation (E2E-CRC of 16 bits: the
polynomial of CCITT, least significant bit first, all ones at the start); known elsewhere as
CRC-16/MCRF4XX.
"""

from typing import Final

from devices.errors import InvalidFieldError
from devices.payload import PayloadReader

CRC16_BYTES: Final = 2
_POLYNOMIAL_REVERSED: Final = 0x8408
_START: Final = 0xFFFF


def crc16_mcrf4xx(payload: bytes) -> int:
    """Compute the E2E-CRC of 16 bits over all of `payload`."""
    crc = _START
    for octet in payload:
        crc = crc >> 8 ^ _TABLE[(crc ^ octet) & 0xFF]
    return crc


def with_e2e_crc(body: bytes) -> bytes:
    """Append the E2E-CRC of a body."""
    return body + crc16_mcrf4xx(body).to_bytes(CRC16_BYTES, "little")


def without_e2e_crc(payload: bytes, *, n_bytes: int, e2e_crc: bool | None) -> bytes:
    """Check and remove the E2E-CRC at the end of a payload.

    Parameters
    ----------
    payload
        With or without a check sum.
    n_bytes
        Length of the body.
    e2e_crc
        Whether there is one; None: there is one if the payload is that much longer than the body.

    Raises
    ------
    TruncatedPayloadError, PayloadTooLongError
    InvalidFieldError
        The check sum is another.
    """
    reader = PayloadReader(payload)
    if e2e_crc is None:
        e2e_crc = len(payload) == n_bytes + CRC16_BYTES
    if not e2e_crc:
        return payload
    body = reader.raw("body", max(n_bytes, len(payload) - CRC16_BYTES))
    stated = reader.u16("e2e_crc")
    if stated != crc16_mcrf4xx(body):
        raise InvalidFieldError(
            field="e2e_crc", value=stated, why=f"where {crc16_mcrf4xx(body)} is right"
        )
    return body


def _row(octet: int) -> int:
    crc = octet
    for _ in range(8):
        crc = crc >> 1 ^ (_POLYNOMIAL_REVERSED if crc & 1 else 0)
    return crc


_TABLE: Final = tuple(_row(octet) for octet in range(256))
