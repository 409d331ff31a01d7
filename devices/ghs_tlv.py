"""Attributes of an observation that say themselves what they are: type, length, format, value.

Source: as in `devices.ghs_values`; that a format stands between length and value, and is not
counted in the length, is in both of its implementations. Formats: Bluetooth SIG, Assigned Numbers,
section 2.4.1 (Format Types).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final, Self

from devices.errors import InvalidFieldError
from devices.ghs_classes import ObservationClass
from devices.medfloat import MedFloat
from devices.payload import PayloadReader, PayloadWriter


class TlvFormat(IntEnum):
    """How the value of an attribute is written; those that are read here."""

    UINT8 = 0x04
    UINT16 = 0x06
    UINT24 = 0x07
    UINT32 = 0x08
    UINT48 = 0x09
    UINT64 = 0x0A
    SINT8 = 0x0C
    SINT16 = 0x0E
    SINT24 = 0x0F
    SINT32 = 0x10
    SINT48 = 0x11
    SINT64 = 0x12
    FLOAT32 = 0x14
    MEDFLOAT16 = 0x16
    MEDFLOAT32 = 0x17
    UTF8 = 0x19


@dataclass(frozen=True, slots=True, kw_only=True)
class Tlv:
    """An attribute.

    Attributes
    ----------
    attribute_type
        MDC code, 32 bits.
    format
        A `TlvFormat` where it is one.
    value
        As sent.
    """

    attribute_type: int
    format: int
    value: bytes

    def decoded(self) -> MedFloat | int | str | bytes:
        """Give what the value says; its bytes, if the format is not one that is read here.

        Raises
        ------
        DecodeError
            The value is not what its format says.
        """
        read = _FORMATS.get(self.format)
        if read is None:
            return self.value
        reader = PayloadReader(self.value)
        decoded = read(reader)
        reader.finish()
        return decoded


@dataclass(frozen=True, slots=True, kw_only=True)
class TlvValue:
    """The value of an observation that is made of attributes only."""

    observation_class: ClassVar = ObservationClass.TLV

    tlvs: tuple[Tlv, ...]

    @classmethod
    def read(cls, reader: PayloadReader) -> Self:
        """Read a value."""
        return cls(tlvs=read_tlvs(reader))

    def write(self, writer: PayloadWriter) -> None:
        """Write a value."""
        write_tlvs(writer, self.tlvs)


def read_tlvs(reader: PayloadReader) -> tuple[Tlv, ...]:
    """Read a count of 8 bits and so many attributes."""
    return tuple(_read_tlv(reader) for _ in range(reader.u8("number_of_tlvs")))


def write_tlvs(writer: PayloadWriter, tlvs: tuple[Tlv, ...]) -> None:
    """Write a count of 8 bits and so many attributes."""
    writer.u8("number_of_tlvs", len(tlvs))
    for tlv in tlvs:
        writer.u32("tlv_type", tlv.attribute_type)
        writer.u16("tlv_length", len(tlv.value))
        writer.u8("tlv_format", tlv.format)
        writer.raw("tlv_value", tlv.value)


def _read_tlv(reader: PayloadReader) -> Tlv:
    attribute_type = reader.u32("tlv_type")
    n_bytes = reader.u16("tlv_length")
    number = reader.u8("tlv_format")
    return Tlv(
        attribute_type=attribute_type,
        format=TlvFormat(number) if number in set(TlvFormat) else number,
        value=reader.raw("tlv_value", n_bytes),
    )


def _unsigned(n_bytes: int) -> Callable[[PayloadReader], int]:
    return lambda reader: reader.unsigned("tlv_value", n_bytes)


def _signed(n_bytes: int) -> Callable[[PayloadReader], int]:
    return lambda reader: reader.signed("tlv_value", n_bytes)


def _read_text(reader: PayloadReader) -> str:
    raw = reader.rest()
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidFieldError(field="tlv_value", value=raw, why="is not UTF-8") from error


_FORMATS: Final[Mapping[int, Callable[[PayloadReader], MedFloat | int | str]]] = {
    TlvFormat.UINT8: _unsigned(1),
    TlvFormat.UINT16: _unsigned(2),
    TlvFormat.UINT24: _unsigned(3),
    TlvFormat.UINT32: _unsigned(4),
    TlvFormat.UINT48: _unsigned(6),
    TlvFormat.UINT64: _unsigned(8),
    TlvFormat.SINT8: _signed(1),
    TlvFormat.SINT16: _signed(2),
    TlvFormat.SINT24: _signed(3),
    TlvFormat.SINT32: _signed(4),
    TlvFormat.SINT48: _signed(6),
    TlvFormat.SINT64: _signed(8),
    TlvFormat.FLOAT32: lambda reader: reader.binary32("tlv_value"),
    TlvFormat.MEDFLOAT16: lambda reader: reader.sfloat("tlv_value"),
    TlvFormat.MEDFLOAT32: lambda reader: reader.float_("tlv_value"),
    TlvFormat.UTF8: _read_text,
}
