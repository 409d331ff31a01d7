"""Keeps the subject's devices connected: scan, connect, stay, come back. A shell."""

import asyncio
import random
from typing import Final

import structlog
from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError

from edge.errors import DeviceRefusedError, LinkLostError
from edge.inbox import Inbox
from edge.link import connect
from edge.radio import Radio
from edge.session import IntakeOf, open_session, wait_any
from edge.settings import EdgeSettings

log = structlog.get_logger()

SCAN_RETRY_S: Final = 5.0
REFUSED_RETRY_S: Final = 300.0
"""A device that refused is asked again: somebody may have changed its battery or firmware."""


class Supervisor:
    """All links of one agent."""

    def __init__(
        self, settings: EdgeSettings, radio: Radio, inbox: Inbox, intake_of: IntakeOf
    ) -> None:
        self._settings = settings
        self._radio = radio
        self._inbox = inbox
        self._intake_of = intake_of
        self._heard: dict[str, tuple[BLEDevice, AdvertisementData]] = {}
        self._news = asyncio.Condition()

    async def run(self, stop: asyncio.Event) -> None:
        """Keep every device of the settings connected until ``stop`` is set."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._scan(stop), name="scan")
            for device in self._settings.devices:
                tasks.create_task(self._supervise(device.name, stop), name=device.name)

    async def _scan(self, stop: asyncio.Event) -> None:
        """Listen to advertisements for as long as the agent runs."""
        kwargs = {} if self._radio.scanner is None else {"backend": self._radio.scanner}
        while not stop.is_set():
            try:
                async with BleakScanner(self._advertised, **kwargs):  # type: ignore[arg-type]
                    await stop.wait()
            except (BleakError, OSError, EOFError) as error:
                log.warning("scan_failed", error=str(error))
                await wait_any(SCAN_RETRY_S, stop)

    async def _advertised(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        name = advertisement.local_name or device.name
        if name is not None and name in {wanted.name for wanted in self._settings.devices}:
            self._heard[name] = (device, advertisement)
            async with self._news:
                self._news.notify_all()

    async def _supervise(self, name: str, stop: asyncio.Event) -> None:
        """Keep one device connected for as long as the agent runs."""
        n_failures = 0
        while not stop.is_set():
            if not await self._await_advertisement(name, stop):
                return
            try:
                link = await connect(
                    lambda: self._heard[name][0],
                    name,
                    self._radio,
                    timeout_s=self._settings.connect_timeout_s,
                )
                heard = self._heard[name]
                async with open_session(link, heard, self._intake_of, self._inbox) as session:
                    n_failures = 0
                    await session.stay(stop, self._settings.stream_silence_s)
                    await session.close()
            except* LinkLostError as group:
                n_failures += 1
                log.info("link_failed", device=name, error=str(group.exceptions[0]))
            except* DeviceRefusedError as group:
                log.error("device_refused", device=name, error=str(group.exceptions[0]))
                await wait_any(REFUSED_RETRY_S, stop)
            # What was heard before the link is no sign that the device is still there.
            self._heard.pop(name, None)
            await wait_any(self._pause_s(n_failures), stop)

    async def _await_advertisement(self, name: str, stop: asyncio.Event) -> bool:
        async def heard() -> None:
            async with self._news:
                await self._news.wait_for(lambda: name in self._heard)

        waiters = [
            asyncio.create_task(heard(), name=f"heard {name}"),
            asyncio.create_task(stop.wait(), name="stop"),
        ]
        await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
        return not stop.is_set()

    def _pause_s(self, n_failures: int) -> float:
        # Jitter keeps agents apart whose links fell together.
        jitter = random.uniform(0.5, 1.0)  # noqa: S311
        pause_s = 0.2 * 2.0 ** min(n_failures, 12)
        return float(min(self._settings.reconnect_s_max, pause_s) * jitter)
