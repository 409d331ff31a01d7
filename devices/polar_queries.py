"""What a PMD peripheral answers to the queries that are about no single measurement.

Source: polar-ble-sdk 5 (control point op codes 5 and 6); a public capture of a Verity Sense.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from devices.errors import EncodeError
from devices.payload import PayloadReader, PayloadWriter
from devices.polar_pmd import MEASUREMENT_MAX, named_measurement

_ONLINE: Final = 0x40
_OFFLINE: Final = 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementStatus:
    """Whether a measurement is running.

    Attributes
    ----------
    measurement
        A `PmdMeasurement` where it is one.
    online, offline
        As a stream, and as a recording in the device's own memory.
    """

    measurement: int
    online: bool = False
    offline: bool = False


def encode_measurement_status(running: Iterable[MeasurementStatus]) -> bytes:
    """Write the parameters of the answer to `GetStatusQuery`: a byte for each measurement.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    for row in running:
        if not 0 <= row.measurement <= MEASUREMENT_MAX:
            why = "has more than six bits"
            raise EncodeError(field="measurement", value=row.measurement, why=why)
        flags = (_ONLINE if row.online else 0) | (_OFFLINE if row.offline else 0)
        writer.u8("status", row.measurement | flags)
    return writer.finish()


def decode_measurement_status(parameters: bytes) -> tuple[MeasurementStatus, ...]:
    """Read which measurements are running from the answer to `GetStatusQuery`.

    Raises
    ------
    DecodeError
    """
    return tuple(
        MeasurementStatus(
            measurement=named_measurement(code & MEASUREMENT_MAX),
            online=bool(code & _ONLINE),
            offline=bool(code & _OFFLINE),
        )
        for code in PayloadReader(parameters).rest()
    )


def encode_sdk_mode(*, enabled: bool) -> bytes:
    """Write the parameters of the answer to `GetSdkModeQuery`."""
    return bytes([enabled])


def decode_sdk_mode(parameters: bytes) -> bool:
    """Read whether SDK mode is on from the answer to `GetSdkModeQuery`: any value but 0 is.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(parameters)
    enabled = reader.u8("sdk_mode") != 0
    reader.finish()
    return enabled
