"""Characteristics of the Bluetooth SIG that a device sends once it is subscribed to. A shell."""

from collections.abc import Collection

import structlog

from devices import uuids
from edge.clocks.clocks import read_clocks
from edge.inbox import Inbox
from edge.intakes.intake import DeviceIntake
from edge.links.link import Link

log = structlog.get_logger()


class StandardSpeaker:
    """Subscribes to the characteristics of a device's row, and reads its battery.

    Parameters
    ----------
    left_out
        Characteristics that another speaker subscribes to.
    """

    def __init__(
        self,
        link: Link,
        intake: DeviceIntake,
        inbox: Inbox,
        left_out: Collection[str] = (),
    ) -> None:
        self._left_out = frozenset(left_out)
        self._link = link
        self._intake = intake
        self._inbox = inbox

    async def open(self) -> None:
        """Subscribe to what the device has of its row."""
        for uuid in self._intake.model.characteristics:
            if uuid in self._left_out:
                continue
            if self._link.offers(uuid):
                await self._link.notify(uuid, self._inbox.door(self._intake, uuid))
            else:
                log.warning("characteristic_missing", device_id=self._intake.device_id, uuid=uuid)
        if self._link.can_read(uuids.BATTERY_LEVEL):
            battery = await self._link.read(uuids.BATTERY_LEVEL)
            self._inbox.put(self._intake, uuids.BATTERY_LEVEL, battery, read_clocks())

    async def attend(self) -> None:
        """Say nothing more."""

    async def restart(self, name: str) -> bool:
        """Leave it to others: it has no streams."""
        return False

    async def close(self) -> None:
        """Leave the subscriptions to the end of the link."""
