"""The clock of a virtual peripheral that tells the date: read and written."""

from datetime import UTC, datetime
from typing import Final

from bumble.att import ATT_Error
from bumble.device import Connection
from bumble.gatt import Characteristic, CharacteristicValue, Service

from devices import uuids
from devices.current_time import (
    current_time_of,
    decode_current_time,
    decode_date_time,
    encode_current_time,
    encode_date_time,
)
from devices.date_time import DeviceDateTime
from devices.errors import DecodeError
from edge.virtual.peripheral import Permissions, Properties, bumble_uuid
from edge.virtual.player import NS_PER_S, Clock

_DATA_FIELD_IGNORED: Final = 0x80
"""ATT error of the Current Time Service."""


class WallClockService:
    """The clock of a peripheral, and the dates that it gives.

    Parameters
    ----------
    clock
        The true time.
    ahead_s
        How far it is ahead of UTC until it is set.
    uuid
        How it is told: as a Current Time, or as a Date Time, which has whole seconds only.
    """

    def __init__(
        self, clock: Clock, *, ahead_s: float = 0.0, uuid: str = uuids.CURRENT_TIME
    ) -> None:
        self._clock = clock
        self._uuid = uuid
        self.ahead_ns = round(ahead_s * NS_PER_S)
        self.n_set = 0
        """How often it was set."""
        characteristic: Characteristic[bytes] = Characteristic(
            bumble_uuid(uuid),
            Properties.READ | Properties.WRITE,
            Permissions.READABLE | Permissions.WRITEABLE,
            CharacteristicValue(read=self._read, write=self._set),
        )
        self.service = Service(bumble_uuid(uuids.CURRENT_TIME_SERVICE), [characteristic])

    def shown(self, t_ns: int) -> datetime:
        """Return what it shows at an instant, without a zone."""
        ns = t_ns + self.ahead_ns
        whole = datetime.fromtimestamp(ns // NS_PER_S, UTC)
        return whole.replace(microsecond=ns % NS_PER_S // 1000, tzinfo=None)

    def date_time(self, t_ns: int) -> DeviceDateTime:
        """Return the date that it gives what is measured at an instant."""
        return current_time_of(self.shown(t_ns)).date_time

    def _read(self, _connection: Connection) -> bytes:
        shown = current_time_of(self.shown(self._clock.now_ns()))
        if self._uuid == uuids.CURRENT_TIME:
            return encode_current_time(shown)
        return encode_date_time(shown.date_time)

    def _set(self, _connection: Connection, value: bytes) -> None:
        try:
            if self._uuid == uuids.CURRENT_TIME:
                local = decode_current_time(bytes(value)).to_datetime()
            else:
                local = decode_date_time(bytes(value)).to_datetime()
        except DecodeError:
            local = None
        if local is None:
            raise ATT_Error(_DATA_FIELD_IGNORED)
        at = local.replace(tzinfo=UTC)
        shown_ns = int(at.timestamp()) * NS_PER_S + at.microsecond * 1000
        self.ahead_ns = shown_ns - self._clock.now_ns()
        self.n_set += 1
