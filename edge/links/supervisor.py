"""All devices of the subject, on all adapters: who hears whom, and who is connected next. A shell.

    scanners ──advertisements──► roster ──whose?──► keepers ──turns──► connect queue
(one per adapter)                                (one per device)
"""

import asyncio
import time
from collections.abc import Callable

import structlog
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from edge.inbox import Inbox
from edge.links.adapter_watch import AdapterWatch
from edge.links.connect_plan import ConnectPlan
from edge.links.connect_queue import ConnectQueue
from edge.links.keeper import Keeper
from edge.links.radio import Radio, RadioAdapter
from edge.links.roster import Roster, Wanted
from edge.links.scanner import AdapterScanner
from edge.links.session import IntakeOf
from edge.settings import EdgeSettings

log = structlog.get_logger()


class Supervisor:
    """All links of one agent.

    Parameters
    ----------
    settings, radio, inbox, intake_of
        Of the agent.
    label_of
        Gives what logs may call a device of the settings.
    """

    def __init__(
        self,
        settings: EdgeSettings,
        radio: Radio,
        inbox: Inbox,
        intake_of: IntakeOf,
        label_of: Callable[[str], str],
    ) -> None:
        wanted = [
            Wanted(label=label_of(one.name or one.serial), name=one.name, serial=one.serial)
            for one in settings.devices
        ]
        self._roster = Roster(wanted)
        self._plan = ConnectPlan()
        self._queue = ConnectQueue(self._plan, self._give_way)
        self._settings = settings
        self._radio = radio
        self._adapters: dict[str, RadioAdapter] = {}
        self._scanners: dict[str, AdapterScanner] = {}
        self._keepers = {
            one.label: Keeper(
                one,
                settings,
                inbox=inbox,
                intake_of=intake_of,
                queue=self._queue,
                roster=self._roster,
                adapters=self,
            )
            for one in wanted
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Keep every device of the settings connected until ``stop`` is set."""
        async with asyncio.TaskGroup() as tasks:

            def scan(adapter: RadioAdapter) -> None:
                scanner = self._use(adapter)
                tasks.create_task(scanner.run(stop), name=f"scan {adapter.name}")

            watch = AdapterWatch(self._radio, scan, lambda name: self._scanners[name].doubt())
            tasks.create_task(watch.run(stop), name="adapters")
            for label, keeper in self._keepers.items():
                tasks.create_task(keeper.run(stop), name=label)

    def _use(self, adapter: RadioAdapter) -> AdapterScanner:
        self._adapters[adapter.name] = adapter
        self._plan.add_adapter(adapter.name, self._settings.adapter_slots)
        self._scanners[adapter.name] = scanner = AdapterScanner(
            adapter,
            silence_s=self._settings.scan_silence_s,
            on_advertisement=self._advertised,
            on_usable=self._set_usable,
            expected=self._is_missing,
            n_links=self._plan.n_links,
        )
        return scanner

    @property
    def keepers(self) -> tuple[Keeper, ...]:
        """One for each device of the settings."""
        return tuple(self._keepers.values())

    # For the keepers

    def adapter(self, name: str) -> RadioAdapter:
        """Give an adapter by its name."""
        return self._adapters[name]

    def doubt(self, name: str) -> None:
        """Look at an adapter that carries no link any more: it may have been pulled out."""
        if self._plan.n_links(name) == 0:
            self._scanners[name].doubt()

    # From the scanners

    def _advertised(
        self, adapter: str, device: BLEDevice, advertisement: AdvertisementData
    ) -> None:
        name = advertisement.local_name or device.name
        found = self._roster.candidates(
            name, device.address, advertisement.service_uuids, time.monotonic()
        )
        for wanted in found:
            self._keepers[wanted.label].heard(adapter, (device, advertisement))
            self._queue.heard(wanted.label, adapter, advertisement.rssi)

    def _set_usable(self, adapter: str, *, usable: bool) -> None:
        self._queue.set_usable(adapter, usable=usable)
        if not usable:
            for keeper in self._keepers.values():
                keeper.forget(adapter)

    def _is_missing(self) -> bool:
        return any(keeper.missing for keeper in self._keepers.values())

    def _give_way(self, label: str) -> None:
        log.info("link_gives_way", device=label)
        self._keepers[label].give_way.set()
