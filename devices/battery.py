"""Battery Level (0x2A19).

Source: Bluetooth SIG, Battery Service 1.1, section 3.1.
"""

from typing import Final

from devices.errors import EncodeError, InvalidFieldError
from devices.payload import PayloadReader, PayloadWriter

_PERCENT_MAX: Final = 100


def decode_battery_level(payload: bytes) -> int:
    """Decode a Battery Level, in percent.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    percent = reader.u8("battery_level")
    reader.finish()
    if percent > _PERCENT_MAX:
        raise InvalidFieldError(field="battery_level", value=percent, why="is above 100 %")
    return percent


def encode_battery_level(percent: int) -> bytes:
    """Encode a Battery Level, in percent.

    Raises
    ------
    EncodeError
    """
    if percent > _PERCENT_MAX:
        raise EncodeError(field="battery_level", value=percent, why="is above 100 %")
    writer = PayloadWriter()
    writer.u8("battery_level", percent)
    return writer.finish()
