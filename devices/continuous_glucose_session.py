"""CGM Session Start Time (0x2AAA) and CGM Session Run Time (0x2AAB).

Source: Bluetooth SIG, Continuous Glucose Monitoring Service 1.0.2, sections 3.4 and 3.5; GATT
Specification Supplement, Time Zone and DST Offset.
"""

from dataclasses import dataclass
from typing import Final

from devices.crc import with_e2e_crc, without_e2e_crc
from devices.date_time import DeviceDateTime
from devices.errors import EncodeError
from devices.glucose import later
from devices.payload import PayloadReader, PayloadWriter

_START_BYTES: Final = 9
_RUN_TIME_BYTES: Final = 2
_QUARTER_MIN: Final = 15
_ZONE_UNKNOWN: Final = -128
_DST_UNKNOWN: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class CgmSessionStart:
    """When the session began.

    Attributes
    ----------
    start
        Local time.
    time_zone_min
        From UTC to local standard time, minutes, a multiple of 15; None where it is not known.
    dst_offset_min
        From standard to local time, minutes, a multiple of 15; None where it is not known.
    """

    start: DeviceDateTime
    time_zone_min: int | None = None
    dst_offset_min: int | None = None

    def at(self, time_offset_min: int) -> DeviceDateTime | None:
        """Tell the local time so many minutes later; None if the date is not wholly known."""
        return later(self.start, time_offset_min)


def decode_cgm_session_start(payload: bytes, *, e2e_crc: bool | None = None) -> CgmSessionStart:
    """Decode a CGM Session Start Time.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(without_e2e_crc(payload, n_bytes=_START_BYTES, e2e_crc=e2e_crc))
    start = reader.date_time("session_start_time")
    zone = reader.signed("time_zone", 1)
    dst = reader.u8("dst_offset")
    reader.finish()
    return CgmSessionStart(
        start=start,
        time_zone_min=None if zone == _ZONE_UNKNOWN else zone * _QUARTER_MIN,
        dst_offset_min=None if dst == _DST_UNKNOWN else dst * _QUARTER_MIN,
    )


def encode_cgm_session_start(session: CgmSessionStart, *, e2e_crc: bool = False) -> bytes:
    """Encode a CGM Session Start Time.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.date_time("session_start_time", session.start)
    writer.signed("time_zone", _quarters("time_zone", session.time_zone_min, _ZONE_UNKNOWN), 1)
    writer.u8("dst_offset", _quarters("dst_offset", session.dst_offset_min, _DST_UNKNOWN))
    return with_e2e_crc(writer.finish()) if e2e_crc else writer.finish()


def decode_cgm_session_run_time(payload: bytes, *, e2e_crc: bool | None = None) -> int:
    """Decode a CGM Session Run Time: the hours that a session is expected to run.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(without_e2e_crc(payload, n_bytes=_RUN_TIME_BYTES, e2e_crc=e2e_crc))
    run_time_h = reader.u16("session_run_time")
    reader.finish()
    return run_time_h


def encode_cgm_session_run_time(run_time_h: int, *, e2e_crc: bool = False) -> bytes:
    """Encode a CGM Session Run Time in hours.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u16("session_run_time", run_time_h)
    return with_e2e_crc(writer.finish()) if e2e_crc else writer.finish()


def _quarters(field: str, minutes: int | None, unknown: int) -> int:
    if minutes is None:
        return unknown
    quarters, rest = divmod(minutes, _QUARTER_MIN)
    if rest or quarters == unknown:
        raise EncodeError(field=field, value=minutes, why="is not a number of quarter hours")
    return quarters
