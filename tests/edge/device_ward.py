"""One virtual device of any kind, and the unmodified agent on it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Generic, TypeVar

from edge import metrics
from edge.identity import device_pseudonym, load_key
from edge.settings import EdgeSettings
from edge.virtual.ether import Ether
from edge.virtual.peripheral import Peripheral
from edge.virtual.player import Clock, SteadyClock
from ingest.frame import DeviceEvent, DeviceEventKind, Frame, Reading
from ingest.settings import KafkaSettings
from tests.edge.test_agent import Ward, broker_of
from tests.waiting import until

Device = TypeVar("Device", bound=Peripheral)


class DeviceWard(Ward, Generic[Device]):
    """A ward with one device.

    Parameters
    ----------
    device_of
        Builds the device in its ether, by its clock.
    user_index
        The subject's number among the device's users.
    changes
        To the agent's settings.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        folder: Path,
        device_of: Callable[[Ether, Clock], Device],
        *,
        user_index: int | None = None,
        **changes: object,
    ) -> None:
        super().__init__(kafka, folder)
        self.clock = SteadyClock()
        self.device = device_of(self.ether, self.clock)
        self.sensors = (self.device,)
        device = {"name": self.device.identity.name, "user_index": user_index}
        self._changes = {"devices": (device,), **changes}

    def settings(self) -> EdgeSettings:
        return EdgeSettings.model_validate(super().settings().model_dump() | self._changes)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the radio, the broker and the device."""
        async with self.radio, broker_of(self.kafka), self.device.running():
            yield

    async def lose_the_link(self, dark_s: float = 0.0) -> None:
        """Silence the device until it has noticed and so long after, then let it be heard again."""
        address = self.device.identity.address
        self.ether.silence(address)
        await until(lambda: not self.device.connected)
        await asyncio.sleep(dark_s)
        self.ether.restore(address)

    async def until_connected(self, n_connections: int = 1) -> None:
        await until(lambda: self.device.n_connections >= n_connections)

    def n_taken(self) -> int:
        """Count the device's stored records that the agents have taken over."""
        identity = self.device.identity
        key = load_key(self.settings().key_path)
        device_id = device_pseudonym(f"Chevet {identity.model}", identity.serial, key)
        return int(metrics.RECORDS_TAKEN.labels(device_id)._value.get())

    async def until_taken(self, n_records: int) -> None:
        await until(lambda: self.n_taken() >= n_records, f"{n_records} records are taken over")


def readings_of(frames: list[Frame], mdc_code: int) -> list[Reading]:
    return [one for frame in frames for one in frame.readings if one.mdc_code == mdc_code]


def events_of(frames: list[Frame], *kinds: DeviceEventKind) -> list[DeviceEvent]:
    return [one for frame in frames for one in frame.events if one.kind in kinds]
