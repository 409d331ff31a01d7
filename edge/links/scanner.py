"""One adapter that listens to advertisements for as long as the agent runs. A shell."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from typing import Final, Protocol

import structlog
from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from edge.errors import RadioUnavailableError
from edge.links import link_metrics
from edge.links.back_off import BackOff
from edge.links.ble_errors import BLE_ERRORS, describe
from edge.links.radio import RadioAdapter
from edge.links.scan_watch import ScanStep, ScanWatch
from edge.waiting import unless, wait_any

log = structlog.get_logger()

START_S_MAX: Final = 20.0
STOP_S_MAX: Final = 5.0
"""For stopping a scan; an agent that stops waits no longer for an adapter that hangs, either."""
SILENCE_S_MAX: Final = 3600.0
LOOKS_PER_SILENCE: Final = 8
RETRY: Final = BackOff(first_s=0.5, max_s=5.0)

OnAdvertisement = Callable[[str, BLEDevice, AdvertisementData], None]
"""Adapter, device and what it says."""


class OnUsable(Protocol):
    """Is told when an adapter begins or ceases to scan."""

    def __call__(self, adapter: str, *, usable: bool) -> None:
        """Take it."""


class AdapterScanner:
    """Keeps one adapter scanning, and does what can be done when it does not.

    Parameters
    ----------
    adapter
        Whose it is.
    silence_s
        How long it may hear nothing while devices are expected.
    on_advertisement
        Takes what is heard.
    on_usable
        Is told when the adapter begins or ceases to scan.
    expected
        Tells whether a device should be in the air.
    n_links
        Tells how many links the adapter carries.
    """

    def __init__(
        self,
        adapter: RadioAdapter,
        *,
        silence_s: float,
        on_advertisement: OnAdvertisement,
        on_usable: OnUsable,
        expected: Callable[[], bool],
        n_links: Callable[[str], int],
    ) -> None:
        self._adapter = adapter
        self._silence_s = silence_s
        self._on_advertisement = on_advertisement
        self._on_usable = on_usable
        self._expected = expected
        self._n_links = n_links
        self._doubted = asyncio.Event()
        self._usable = False
        self._watch = ScanWatch(
            silence_s=silence_s,
            silence_s_max=max(silence_s, SILENCE_S_MAX),
            now_s=time.monotonic(),
        )

    def doubt(self) -> None:
        """Note that the adapter has failed elsewhere or was away: its scan is started anew."""
        self._doubted.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Scan until ``stop`` is set."""
        n_failures = 0
        while not stop.is_set():
            try:
                step = await unless(stop, self._scan(stop), grace_s=STOP_S_MAX)
                n_failures = 0
            except (*BLE_ERRORS, RadioUnavailableError) as error:
                self._set_usable(usable=False, reason=describe(error))
                pause_s = RETRY.pause_s(n_failures, random.random())  # noqa: S311
                await wait_any(pause_s, stop, self._doubted)
                n_failures += 1
                step = self._due()
            if step is ScanStep.POWER_CYCLE:
                await unless(stop, self._power_cycle(), grace_s=STOP_S_MAX)
            elif step is not None:
                self._count(step, "done")

    async def _scan(self, stop: asyncio.Event) -> ScanStep | None:
        """Scan until the agent stops, or a step is due."""
        self._doubted.clear()
        arguments = await self._adapter.scanner_arguments()
        scanner = BleakScanner(self._heard, **arguments)
        async with asyncio.timeout(START_S_MAX):
            await scanner.start()
        self._set_usable(usable=True)
        try:
            while not stop.is_set() and not self._doubted.is_set():
                await wait_any(self._silence_s / LOOKS_PER_SILENCE, stop, self._doubted)
                if (step := self._due()) is not None:
                    return step
        finally:
            # An adapter that hangs does not stop, either: the next start will say so.
            with contextlib.suppress(*BLE_ERRORS):
                async with asyncio.timeout(STOP_S_MAX):
                    await scanner.stop()
        return None

    def _due(self) -> ScanStep | None:
        return self._watch.due(
            time.monotonic(),
            expected=self._expected(),
            carries_links=self._n_links(self._adapter.name) > 0,
        )

    async def _heard(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        self._watch.heard(time.monotonic())
        self._on_advertisement(self._adapter.name, device, advertisement)

    async def _power_cycle(self) -> None:
        self._set_usable(usable=False, reason="it hears nothing")
        recovered = await self._adapter.recovery.power_cycle()
        self._count(ScanStep.POWER_CYCLE, "done" if recovered else "failed")
        if not recovered:
            log.error("adapter_not_recovered", adapter=self._adapter.name)

    def _count(self, step: ScanStep, outcome: str) -> None:
        log.warning("adapter_silent", adapter=self._adapter.name, step=step, outcome=outcome)
        link_metrics.ADAPTER_STEPS.labels(self._adapter.name, step, outcome).inc()

    def _set_usable(self, *, usable: bool, reason: str = "") -> None:
        if usable is not self._usable:
            event = "adapter_scans" if usable else "adapter_lost"
            log.warning(event, adapter=self._adapter.name, reason=reason)
        self._usable = usable
        self._on_usable(self._adapter.name, usable=usable)
