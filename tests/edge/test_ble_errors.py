"""What bleak's errors mean, and that no name or address leaves them."""

import pytest
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakCharacteristicNotFoundError,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
)
from bleak_retry_connector import (
    BleakAbortedError,
    BleakConnectionError,
    BleakNotFoundError,
    BleakOutOfConnectionSlotsError,
)

from edge.errors import (
    BondLostError,
    ConnectAbortedError,
    DeviceNotFoundError,
    EdgeError,
    LinkLostError,
    OutOfSlotsError,
    RadioUnavailableError,
    StaleServicesError,
)
from edge.links.ble_errors import call_error, connect_error, describe, pair_error

WHO = "C4:E7:01:00:00:01 - Polar H10 12345678"
OFF = BleakBluetoothNotAvailableReason.POWERED_OFF


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BleakNotFoundError(WHO), DeviceNotFoundError),
        (TimeoutError(WHO), DeviceNotFoundError),
        (BleakAbortedError(WHO), ConnectAbortedError),
        (BleakOutOfConnectionSlotsError(WHO), OutOfSlotsError),
        (BleakError(f"no available connection slot on hci0: {WHO}"), OutOfSlotsError),
        (
            BleakDBusError("org.bluez.Error.Failed", ["le-connection-concurrent-connection-limit"]),
            OutOfSlotsError,
        ),
        (BleakBluetoothNotAvailableError(WHO, OFF), RadioUnavailableError),
        (BleakConnectionError(WHO), LinkLostError),
        (BrokenPipeError(WHO), LinkLostError),
        (EOFError(WHO), LinkLostError),
        (KeyError(WHO), StaleServicesError),
    ],
)
def test_a_connect_that_fails_is_told_apart(error: Exception, kind: type[EdgeError]) -> None:
    told = connect_error(error)

    assert type(told) is kind
    assert "C4:E7" not in str(told)
    assert "12345678" not in str(told)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BleakCharacteristicNotFoundError("2a37"), StaleServicesError),
        (BleakGATTProtocolError(0x01), StaleServicesError),
        (BleakGATTProtocolError(0x0A), StaleServicesError),
        (BleakGATTProtocolError(0x12), StaleServicesError),
        (BleakGATTProtocolError(0x05), BondLostError),
        (BleakGATTProtocolError(0x0F), BondLostError),
        (BleakGATTProtocolError(0x0E), LinkLostError),
        (BleakError(f"{WHO} is not connected"), LinkLostError),
        (BleakDeviceNotFoundError(WHO, WHO), LinkLostError),
    ],
)
def test_a_call_that_fails_is_told_apart(error: Exception, kind: type[EdgeError]) -> None:
    told = call_error("read", error)

    assert type(told) is kind
    assert "C4:E7" not in str(told)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BleakDBusError("org.bluez.Error.AuthenticationFailed", [WHO]), BondLostError),
        (BleakError(f"{WHO}: HCI_PIN_OR_KEY_MISSING_ERROR"), BondLostError),
        (TimeoutError(), LinkLostError),
    ],
)
def test_a_pairing_that_fails_is_told_apart(error: Exception, kind: type[EdgeError]) -> None:
    assert type(pair_error(error)) is kind


def test_an_error_keeps_what_helps_and_names_nobody() -> None:
    assert describe(BleakDBusError("org.bluez.Error.Failed", [WHO])) == "org.bluez.Error.Failed"
    assert describe(BleakGATTProtocolError(0x0E)) == "ATT error 14"
    assert describe(BleakBluetoothNotAvailableError(WHO, OFF)) == "no Bluetooth: powered_off"
    assert describe(ConnectionRefusedError(111, "Connection refused")) == (
        "ConnectionRefusedError: Connection refused"
    )
    assert describe(BleakError(WHO)) == "BleakError"
