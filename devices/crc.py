"""Check sums over payloads.

Source: Bluetooth SIG, GATT Specification Supplement, CRC calculation (E2E-CRC of 16 bits: the
polynomial of CCITT, least significant bit first, all ones at the start); known elsewhere as
CRC-16/MCRF4XX.
"""

from typing import Final

_POLYNOMIAL_REVERSED: Final = 0x8408
_START: Final = 0xFFFF


def crc16_mcrf4xx(payload: bytes) -> int:
    """Compute the E2E-CRC of 16 bits over all of `payload`."""
    crc = _START
    for octet in payload:
        crc = crc >> 8 ^ _TABLE[(crc ^ octet) & 0xFF]
    return crc


def _row(octet: int) -> int:
    crc = octet
    for _ in range(8):
        crc = crc >> 1 ^ (_POLYNOMIAL_REVERSED if crc & 1 else 0)
    return crc


_TABLE: Final = tuple(_row(octet) for octet in range(256))
