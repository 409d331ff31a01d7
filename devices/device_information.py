"""Device Information: names and revisions (strings), System ID (0x2A23) and PnP ID (0x2A50).

Source: Bluetooth SIG, Device Information Service 1.2, section 3.
"""

from dataclasses import dataclass
from enum import IntEnum

from devices.errors import EncodeError, InvalidFieldError
from devices.payload import PayloadReader, PayloadWriter


class VendorIdSource(IntEnum):
    """Who gave the vendor id of a PnP ID."""

    BLUETOOTH_SIG = 1
    USB_FORUM = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PnpId:
    """Which product a device is.

    Attributes
    ----------
    vendor_id_source
        A `VendorIdSource` where it is one.
    vendor_id, product_id
        16 bits each.
    product_version
        16 bits; 0x0213 is version 2.1.3.
    """

    vendor_id_source: int
    vendor_id: int
    product_id: int
    product_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemId:
    """Which instance of a product a device is.

    Attributes
    ----------
    manufacturer_identifier
        40 bits, the manufacturer's own.
    organizationally_unique_identifier
        24 bits, the IEEE's.
    """

    manufacturer_identifier: int
    organizationally_unique_identifier: int


def decode_string(payload: bytes) -> str:
    """Decode any of the strings: manufacturer, model, serial number, revisions.

    Some firmware pads them with NULs, which are taken off.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    raw = reader.rest().rstrip(b"\0")
    if b"\0" in raw:
        raise InvalidFieldError(field="string", value=raw, why="has a NUL inside")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidFieldError(field="string", value=raw, why="is not UTF-8") from error


def encode_string(text: str) -> bytes:
    """Encode any of the strings.

    Raises
    ------
    EncodeError
    """
    if "\0" in text:
        raise EncodeError(field="string", value=text, why="has a NUL inside")
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise EncodeError(field="string", value=text, why="is not UTF-8") from error
    writer = PayloadWriter()
    writer.raw("string", encoded)
    return writer.finish()


def decode_pnp_id(payload: bytes) -> PnpId:
    """Decode a PnP ID.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    source = reader.u8("vendor_id_source")
    pnp_id = PnpId(
        vendor_id_source=VendorIdSource(source) if source in set(VendorIdSource) else source,
        vendor_id=reader.u16("vendor_id"),
        product_id=reader.u16("product_id"),
        product_version=reader.u16("product_version"),
    )
    reader.finish()
    return pnp_id


def encode_pnp_id(pnp_id: PnpId) -> bytes:
    """Encode a PnP ID.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u8("vendor_id_source", pnp_id.vendor_id_source)
    writer.u16("vendor_id", pnp_id.vendor_id)
    writer.u16("product_id", pnp_id.product_id)
    writer.u16("product_version", pnp_id.product_version)
    return writer.finish()


def decode_system_id(payload: bytes) -> SystemId:
    """Decode a System ID.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    system_id = SystemId(
        manufacturer_identifier=reader.unsigned("manufacturer_identifier", 5),
        organizationally_unique_identifier=reader.u24("organizationally_unique_identifier"),
    )
    reader.finish()
    return system_id


def encode_system_id(system_id: SystemId) -> bytes:
    """Encode a System ID.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.unsigned("manufacturer_identifier", system_id.manufacturer_identifier, 5)
    writer.u24("organizationally_unique_identifier", system_id.organizationally_unique_identifier)
    return writer.finish()
