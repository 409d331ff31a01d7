"""From bumble's advertisements to bleak's."""

from collections.abc import Callable
from typing import Final
from uuid import UUID

from bleak.backends.scanner import AdvertisementData
from bumble import core
from bumble.device import Advertisement

_Type = core.AdvertisingData.Type

_NAMES: Final = (_Type.SHORTENED_LOCAL_NAME, _Type.COMPLETE_LOCAL_NAME)
_SERVICE_UUID_BYTES: Final = {
    _Type.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS: 2,
    _Type.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS: 2,
    _Type.INCOMPLETE_LIST_OF_32_BIT_SERVICE_CLASS_UUIDS: 4,
    _Type.COMPLETE_LIST_OF_32_BIT_SERVICE_CLASS_UUIDS: 4,
    _Type.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS: 16,
    _Type.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS: 16,
}
_SERVICE_DATA_UUID_BYTES: Final = {
    _Type.SERVICE_DATA_16_BIT_UUID: 2,
    _Type.SERVICE_DATA_32_BIT_UUID: 4,
    _Type.SERVICE_DATA_128_BIT_UUID: 16,
}
_COMPANY_ID_BYTES: Final = 2


def uuid_text(uuid: core.UUID) -> str:
    """Write a UUID of any length as bleak does: 128 bits, lower case, with dashes."""
    return str(UUID(bytes=uuid.to_bytes(force_128=True)[::-1]))


def decode_advertisement(advertisement: Advertisement) -> AdvertisementData:
    """Decode the structures of one advertisement; malformed and unknown ones are skipped."""
    name: str | None = None
    tx_power: int | None = None
    manufacturer_data: dict[int, bytes] = {}
    service_data: dict[str, bytes] = {}
    service_uuids: list[str] = []
    for kind, value in advertisement.data.ad_structures:
        if kind in _NAMES:
            name = value.decode("utf-8", "replace")
        elif kind == _Type.TX_POWER_LEVEL and value:
            tx_power = int.from_bytes(value[:1], "little", signed=True)
        elif kind == _Type.MANUFACTURER_SPECIFIC_DATA and len(value) >= _COMPANY_ID_BYTES:
            company = int.from_bytes(value[:_COMPANY_ID_BYTES], "little")
            manufacturer_data[company] = bytes(value[_COMPANY_ID_BYTES:])
        elif length := _bytes_if_enough(_SERVICE_UUID_BYTES.get, kind, value):
            service_uuids += _uuids(value, length)
        elif length := _bytes_if_enough(_SERVICE_DATA_UUID_BYTES.get, kind, value):
            service_data[_uuids(value[:length], length)[0]] = bytes(value[length:])
    return AdvertisementData(
        local_name=name,
        manufacturer_data=manufacturer_data,
        service_data=service_data,
        service_uuids=service_uuids,
        tx_power=tx_power,
        rssi=advertisement.rssi,
        platform_data=(advertisement,),
    )


def merge_advertisements(earlier: AdvertisementData, later: AdvertisementData) -> AdvertisementData:
    """Complete what a device says now with what it said before.

    A name in the scan response and services in the advertisement arrive apart; without the merge
    each would erase the other, and a filter by services would flicker.
    """
    return AdvertisementData(
        local_name=later.local_name or earlier.local_name,
        manufacturer_data={**earlier.manufacturer_data, **later.manufacturer_data},
        service_data={**earlier.service_data, **later.service_data},
        service_uuids=list(dict.fromkeys([*earlier.service_uuids, *later.service_uuids])),
        tx_power=earlier.tx_power if later.tx_power is None else later.tx_power,
        rssi=later.rssi,
        platform_data=later.platform_data,
    )


def _bytes_if_enough(
    length_of: Callable[[core.AdvertisingData.Type], int | None],
    kind: core.AdvertisingData.Type,
    value: bytes,
) -> int | None:
    length = length_of(kind)
    return length if length is not None and len(value) >= length else None


def _uuids(value: bytes, length: int) -> list[str]:
    whole = len(value) - len(value) % length
    parts = (value[start : start + length] for start in range(0, whole, length))
    return [uuid_text(core.UUID.from_bytes(part)) for part in parts]
