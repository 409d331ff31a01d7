"""Reading and writing the fields of a payload: little-endian, bounded, every error named.

Source: Bluetooth SIG, GATT Specification Supplement (field formats); Core Specification 5.4,
vol 3 part F, 3.2.9 (length of an attribute value).
"""

import struct
from typing import Final

from devices.date_time import DeviceDateTime
from devices.errors import (
    EncodeError,
    InvalidFieldError,
    PayloadTooLongError,
    TrailingBytesError,
    TruncatedPayloadError,
)
from devices.medfloat import (
    MedFloat,
    decode_float,
    decode_sfloat,
    encode_float,
    encode_sfloat,
)

PAYLOAD_BYTES_MAX: Final = 512
"""The longest attribute value."""


class PayloadReader:
    """Reads a payload field by field.

    Every method takes the name of the field, for the error, and raises `TruncatedPayloadError`
    if the payload ends inside it.

    Parameters
    ----------
    payload
        What to read.
    n_bytes_max
        The longest that it may be: more than an attribute value only where a service sends one
        message in several notifications.

    Raises
    ------
    PayloadTooLongError
        The payload is longer than that.
    """

    def __init__(self, payload: bytes, *, n_bytes_max: int = PAYLOAD_BYTES_MAX) -> None:
        if len(payload) > n_bytes_max:
            raise PayloadTooLongError(n_bytes=len(payload), n_bytes_max=n_bytes_max)
        self._payload = payload
        self._i_next = 0

    @property
    def n_left(self) -> int:
        """Bytes not read yet."""
        return len(self._payload) - self._i_next

    def raw(self, field: str, n_bytes: int) -> bytes:
        """Read so many bytes as they are."""
        if self.n_left < n_bytes:
            raise TruncatedPayloadError(field=field, needed=n_bytes, available=self.n_left)
        i_first = self._i_next
        self._i_next += n_bytes
        return self._payload[i_first : self._i_next]

    def rest(self, field: str | None = None) -> bytes:
        """Read all that is left: perhaps nothing, unless a `field` is named that must be there."""
        if field is not None and not self.n_left:
            raise TruncatedPayloadError(field=field, needed=1, available=0)
        return self.raw("rest", self.n_left)

    def unsigned(self, field: str, n_bytes: int) -> int:
        """Read an unsigned integer of so many bytes."""
        return int.from_bytes(self.raw(field, n_bytes), "little")

    def u8(self, field: str) -> int:
        """Read an unsigned integer of 8 bits."""
        return self.unsigned(field, 1)

    def u16(self, field: str) -> int:
        """Read an unsigned integer of 16 bits."""
        return self.unsigned(field, 2)

    def u24(self, field: str) -> int:
        """Read an unsigned integer of 24 bits."""
        return self.unsigned(field, 3)

    def u32(self, field: str) -> int:
        """Read an unsigned integer of 32 bits."""
        return self.unsigned(field, 4)

    def u64(self, field: str) -> int:
        """Read an unsigned integer of 64 bits."""
        return self.unsigned(field, 8)

    def signed(self, field: str, n_bytes: int) -> int:
        """Read a signed integer of so many bytes."""
        return int.from_bytes(self.raw(field, n_bytes), "little", signed=True)

    def s24(self, field: str) -> int:
        """Read a signed integer of 24 bits."""
        return self.signed(field, 3)

    def sfloat(self, field: str) -> MedFloat:
        """Read a medical number of 16 bits."""
        return decode_sfloat(self.u16(field))

    def float_(self, field: str) -> MedFloat:
        """Read a medical number of 32 bits (IEEE 11073, not IEEE 754)."""
        return decode_float(self.u32(field))

    def binary32(self, field: str) -> float:
        """Read a number of 32 bits (IEEE 754)."""
        (number,) = struct.unpack("<f", self.raw(field, 4))
        return float(number)

    def date_time(self, field: str) -> DeviceDateTime:
        """Read a Date Time of seven bytes.

        Raises
        ------
        InvalidFieldError
            There is no such date or time.
        """
        raw = self.raw(field, 7)
        year, month, day, hour, minute, second = struct.unpack("<H5B", raw)
        try:
            return DeviceDateTime(
                year=year or None,
                month=month or None,
                day=day or None,
                hour=hour,
                minute=minute,
                second=second,
            )
        except ValueError as error:
            raise InvalidFieldError(field=field, value=raw, why=f": {error}") from error

    def finish(self) -> None:
        """End the reading.

        Raises
        ------
        TrailingBytesError
            Bytes are left that no field has claimed.
        """
        if self.n_left:
            raise TrailingBytesError(n_bytes=self.n_left)


class PayloadWriter:
    """Writes a payload field by field: the mirror of `PayloadReader`.

    Every method takes the name of the field, for the error, and raises `EncodeError` if the value
    does not fit.

    Parameters
    ----------
    n_bytes_max
        The longest that the payload may become; see `PayloadReader`.
    """

    def __init__(self, *, n_bytes_max: int = PAYLOAD_BYTES_MAX) -> None:
        self._payload = bytearray()
        self._n_bytes_max = n_bytes_max

    def raw(self, field: str, value: bytes) -> None:
        """Write bytes as they are."""
        if len(self._payload) + len(value) > self._n_bytes_max:
            raise EncodeError(field=field, value=value, why="makes the payload too long")
        self._payload += value

    def unsigned(self, field: str, value: int, n_bytes: int) -> None:
        """Write an unsigned integer of so many bytes."""
        self._integer(field, value, n_bytes, signed=False)

    def u8(self, field: str, value: int) -> None:
        """Write an unsigned integer of 8 bits."""
        self.unsigned(field, value, 1)

    def u16(self, field: str, value: int) -> None:
        """Write an unsigned integer of 16 bits."""
        self.unsigned(field, value, 2)

    def u24(self, field: str, value: int) -> None:
        """Write an unsigned integer of 24 bits."""
        self.unsigned(field, value, 3)

    def u32(self, field: str, value: int) -> None:
        """Write an unsigned integer of 32 bits."""
        self.unsigned(field, value, 4)

    def u64(self, field: str, value: int) -> None:
        """Write an unsigned integer of 64 bits."""
        self.unsigned(field, value, 8)

    def signed(self, field: str, value: int, n_bytes: int) -> None:
        """Write a signed integer of so many bytes."""
        self._integer(field, value, n_bytes, signed=True)

    def s24(self, field: str, value: int) -> None:
        """Write a signed integer of 24 bits."""
        self.signed(field, value, 3)

    def sfloat(self, field: str, value: MedFloat) -> None:
        """Write a medical number of 16 bits."""
        try:
            self.u16(field, encode_sfloat(value))
        except EncodeError as error:
            raise EncodeError(field=field, value=value, why=error.why) from error

    def float_(self, field: str, value: MedFloat) -> None:
        """Write a medical number of 32 bits (IEEE 11073, not IEEE 754)."""
        try:
            self.u32(field, encode_float(value))
        except EncodeError as error:
            raise EncodeError(field=field, value=value, why=error.why) from error

    def binary32(self, field: str, value: float) -> None:
        """Write a number of 32 bits (IEEE 754), rounded to the nearest."""
        try:
            self.raw(field, struct.pack("<f", value))
        except OverflowError as error:
            raise EncodeError(field=field, value=value, why="is too large") from error

    def date_time(self, field: str, value: DeviceDateTime) -> None:
        """Write a Date Time of seven bytes."""
        self.u16(field, value.year or 0)
        for part in (value.month or 0, value.day or 0, value.hour, value.minute, value.second):
            self.u8(field, part)

    def finish(self) -> bytes:
        """Give the payload."""
        return bytes(self._payload)

    def _integer(self, field: str, value: int, n_bytes: int, *, signed: bool) -> None:
        try:
            self.raw(field, value.to_bytes(n_bytes, "little", signed=signed))
        except OverflowError as error:
            kind = "signed" if signed else "unsigned"
            why = f"does not fit {n_bytes} bytes {kind}"
            raise EncodeError(field=field, value=value, why=why) from error
