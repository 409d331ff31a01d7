"""bleak's errors, and those of what is under it, as decisions. Pure.

Their texts name devices and addresses: none of them leaves this module.
"""

from typing import Final

from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakCharacteristicNotFoundError,
    BleakDBusError,
    BleakError,
    BleakGATTProtocolError,
)
from bleak_retry_connector import (
    BleakAbortedError,
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

BLE_ERRORS: Final = (BleakError, OSError, EOFError, KeyError, AttributeError)
"""What a call of bleak may raise: EOFError and BrokenPipeError when bluetoothd restarts, KeyError
and AttributeError when BlueZ's objects vanish while bleak reads them; TimeoutError is an OSError.
"""

_OUT_OF_SLOTS: Final = ("connection slot", "available connection", "connection-limit")
"""BlueZ calls it le-connection-concurrent-connection-limit, which is HCI's error 0x09."""
_KEY_MISSING: Final = (
    "key-missing",
    "KEY_MISSING",
    "AuthenticationFailed",
)
"""BlueZ's and bumble's words for HCI's error 0x06, and for a pairing that failed for it."""
_STALE_ATT_CODES: Final = frozenset({0x01, 0x0A, 0x12})
"""Invalid handle, attribute not found, database out of sync: what is remembered is of another
firmware. Core 5.4 Vol 3 F 3.4.1."""
_INSUFFICIENT_ATT_CODES: Final = frozenset({0x05, 0x0F})
"""Insufficient authentication, insufficient encryption."""


def describe(error: BaseException) -> str:
    """Name an error without naming a device: its class, and a code where it has one."""
    if isinstance(error, BleakDBusError):
        return error.dbus_error
    if isinstance(error, BleakGATTProtocolError):
        return f"ATT error {int(error.code)}"
    if isinstance(error, BleakBluetoothNotAvailableError):
        return f"no Bluetooth: {error.reason.name.lower()}"
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"
    return type(error).__name__


def connect_error(error: BaseException) -> EdgeError:
    """Tell what a connect that failed means."""
    if (certain := certain_error(error)) is not None:
        return certain
    if isinstance(error, TimeoutError | BleakNotFoundError):
        return DeviceNotFoundError(f"no answer: {describe(error)}")
    if isinstance(error, BleakAbortedError):
        return ConnectAbortedError(f"aborted: {describe(error)}")
    if isinstance(error, KeyError):
        return StaleServicesError(f"services not understood: {describe(error)}")
    return LinkLostError(f"no link: {describe(error)}")


def certain_error(error: BaseException) -> EdgeError | None:
    """Tell what an error means that another attempt would not change; None: it might."""
    if isinstance(error, BleakBluetoothNotAvailableError):
        return RadioUnavailableError(describe(error))
    text = str(error)
    if isinstance(error, BleakOutOfConnectionSlotsError) or any(w in text for w in _OUT_OF_SLOTS):
        return OutOfSlotsError("the adapter holds no more links")
    return None


def call_error(what: str, error: BaseException) -> EdgeError:
    """Tell what it means that a call on a link failed."""
    text = f"{what}: {describe(error)}"
    if isinstance(error, BleakCharacteristicNotFoundError | KeyError):
        return StaleServicesError(text)
    if isinstance(error, BleakGATTProtocolError):
        if int(error.code) in _STALE_ATT_CODES:
            return StaleServicesError(text)
        if int(error.code) in _INSUFFICIENT_ATT_CODES:
            return BondLostError(f"{text}: it wants a key, or another one: enrol it again")
    return LinkLostError(text)


def pair_error(error: BaseException) -> EdgeError:
    """Tell what it means that pairing, or encrypting with a known key, failed."""
    if any(word in str(error) for word in _KEY_MISSING):
        return BondLostError("it does not have our key: enrol it again")
    return call_error("pair", error)
