"""From bumble's advertisements to bleak's."""

from bumble import hci
from bumble.core import AdvertisingData
from bumble.device import Advertisement
from hypothesis import given
from hypothesis import strategies as st

from devices import uuids
from edge.virtual.advertisement import decode_advertisement, merge_advertisements

Type = AdvertisingData.Type
PMD_LITTLE_ENDIAN = bytes.fromhex(uuids.PMD_SERVICE.replace("-", ""))[::-1]


def advertisement(*structures: tuple[Type, bytes], rssi: int = -50) -> Advertisement:
    data = bytes(AdvertisingData([(kind, value) for kind, value in structures]))
    return Advertisement(address=hci.Address("C0:00:00:00:00:01"), rssi=rssi, data_bytes=data)


def test_every_structure_that_bleak_shows_is_decoded() -> None:
    data = decode_advertisement(
        advertisement(
            (Type.FLAGS, b"\x06"),
            (Type.COMPLETE_LOCAL_NAME, "Gürtel".encode()),
            (Type.TX_POWER_LEVEL, b"\xfc"),
            (Type.MANUFACTURER_SPECIFIC_DATA, b"\x6b\x00\x72\x08"),
            (Type.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, b"\x0d\x18\x0f\x18"),
            (Type.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, PMD_LITTLE_ENDIAN),
            (Type.SERVICE_DATA_16_BIT_UUID, b"\x0f\x18\x55"),
            rssi=-81,
        )
    )

    assert data.local_name == "Gürtel"
    assert data.tx_power == -4
    assert data.manufacturer_data == {0x6B: b"\x72\x08"}
    assert data.service_uuids == [
        uuids.HEART_RATE_SERVICE,
        uuids.BATTERY_SERVICE,
        uuids.PMD_SERVICE,
    ]
    assert data.service_data == {uuids.BATTERY_SERVICE: b"\x55"}
    assert data.rssi == -81


def test_malformed_structures_are_skipped() -> None:
    data = decode_advertisement(
        advertisement(
            (Type.TX_POWER_LEVEL, b""),
            (Type.MANUFACTURER_SPECIFIC_DATA, b"\x6b"),
            (Type.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, b"\x0d\x18\x0f"),
            (Type.SERVICE_DATA_128_BIT_UUID, b"\x0f\x18\x55"),
        )
    )

    assert data.tx_power is None
    assert data.manufacturer_data == {}
    assert data.service_data == {}
    assert data.service_uuids == [uuids.HEART_RATE_SERVICE]


@given(st.binary(max_size=62))
def test_any_bytes_are_some_advertisement(payload: bytes) -> None:
    heard = Advertisement(address=hci.Address("C0:00:00:00:00:01"), data_bytes=payload)

    decode_advertisement(heard)


def test_merge_completes_and_prefers_the_later() -> None:
    first = decode_advertisement(
        advertisement(
            (Type.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, b"\x0d\x18"),
            (Type.TX_POWER_LEVEL, b"\x00"),
            rssi=-90,
        )
    )
    second = decode_advertisement(
        advertisement((Type.COMPLETE_LOCAL_NAME, b"strap"), (Type.TX_POWER_LEVEL, b"\x04"))
    )

    both = merge_advertisements(first, second)
    back = merge_advertisements(second, first)

    assert (both.local_name, both.service_uuids) == ("strap", [uuids.HEART_RATE_SERVICE])
    assert (back.local_name, back.service_uuids) == ("strap", [uuids.HEART_RATE_SERVICE])
    assert (both.tx_power, both.rssi) == (4, -50)
    assert (back.tx_power, back.rssi) == (0, -90)
