"""Which Bluetooth the agent uses: the system's adapters, or those of a backend. A shell."""

import contextlib
import importlib
import sys
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final, Protocol

from bleak import BleakScanner
from bleak.backends.client import BaseBleakClient
from bleak.backends.scanner import AdvertisementDataCallback, BaseBleakScanner
from bleak.exc import BleakError

from edge.errors import RadioUnavailableError
from edge.links.recovery import (
    BlueZRecovery,
    NoRecovery,
    Recovery,
    bluez_adapters,
    present_adapters,
)
from edge.settings import AgentSettings

DEFAULT_ADAPTER: Final = "default"
"""The adapter that the system chooses."""

Backend = Callable[
    [str], AbstractAsyncContextManager[tuple[type[BaseBleakScanner], type[BaseBleakClient]]]
]
"""Opens a controller by its transport; gives bleak's types for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioAdapter:
    """One adapter.

    Attributes
    ----------
    name
        The agent's, for as long as it runs.
    recovery
        What can be done when it hangs.
    scanner, client
        bleak's backend types; None: the platform's own.
    by_name
        Whether the system is asked for it by name.
    """

    name: str
    recovery: Recovery
    scanner: type[BaseBleakScanner] | None = None
    client: type[BaseBleakClient] | None = None
    by_name: bool = False

    async def scanner_arguments(self) -> dict[str, Any]:
        """Give what bleak's scanner is made with.

        Raises
        ------
        RadioUnavailableError
            The adapter is not there.
        """
        if self.scanner is not None:
            return {"backend": self.scanner}
        if not self.by_name:
            return {}
        name = await self.recovery.locate()
        if name is None:
            raise RadioUnavailableError(f"{self.name} is not there")
        return {"bluez": {"adapter": name}}

    @property
    def client_arguments(self) -> dict[str, Any]:
        """What bleak's client is made with; it knows its adapter by the device that was heard."""
        return {} if self.client is None else {"backend": self.client}


class Radio(Protocol):
    """All adapters of an agent, and those that come while it runs."""

    @property
    def adapters(self) -> tuple[RadioAdapter, ...]:
        """Those that were there at the start."""
        ...

    @property
    def missing(self) -> tuple[str, ...]:
        """Those that the settings name and that were not there, each with the reason."""
        ...

    def newcomers(self) -> list[str]:
        """Name the adapters that are, or may be, there now and are not in use. Cheap."""
        ...

    async def open(self, name: str) -> RadioAdapter | None:
        """Take a newcomer into use; None: it is one that is in use under another name.

        Raises
        ------
        RadioUnavailableError
            It cannot be used, or not yet.
        """
        ...


class SystemRadio:
    """The system's adapters: BlueZ's, that the settings name, or all; elsewhere the one there is.

    No more names come than adapters were plugged in at one time: Linux gives the lowest that is
    free.
    """

    def __init__(self, wanted: Collection[str], found: Mapping[str, str]) -> None:
        self._wanted = wanted
        self._addresses: dict[str, str] = {}
        self.missing = tuple(
            f"no adapter {name}: there are {', '.join(found) or 'none'}"
            for name in wanted
            if name not in found
        )
        self.adapters = (
            tuple(self._use(name, found[name]) for name in wanted or found if name in found)
            if sys.platform == "linux"
            else (RadioAdapter(name=DEFAULT_ADAPTER, recovery=NoRecovery(DEFAULT_ADAPTER)),)
        )

    def newcomers(self) -> list[str]:
        """Look into the system's folder of adapters."""
        return [
            name
            for name in present_adapters()
            if name not in self._addresses and (not self._wanted or name in self._wanted)
        ]

    async def open(self, name: str) -> RadioAdapter | None:
        """Take an adapter that BlueZ knows by now; one that has moved is known by its address."""
        address = (await bluez_adapters()).get(name)
        if not address:
            raise RadioUnavailableError(f"BlueZ does not know {name}")
        return None if address in self._addresses.values() else self._use(name, address)

    def _use(self, name: str, address: str) -> RadioAdapter:
        self._addresses[name] = address
        recovery = BlueZRecovery(name, address, self._addresses.values())
        return RadioAdapter(name=name, recovery=recovery, by_name=True)


class BackendRadio:
    """The controllers of a bleak backend, by their transports."""

    def __init__(self, backend: Backend, transports: Sequence[str], opened: AsyncExitStack) -> None:
        self.adapters: tuple[RadioAdapter, ...] = ()
        self.missing: tuple[str, ...] = ()
        self._backend = backend
        self._transports = {f"radio{i}": transport for i, transport in enumerate(transports)}
        self._opened = opened
        self._in_use: set[str] = set()

    async def start(self) -> None:
        """Open all controllers.

        Raises
        ------
        RadioUnavailableError
            None of them answers.
        """
        for name in self._transports:
            try:
                self.adapters += (await self.open(name),)
            except RadioUnavailableError as error:
                self.missing += (str(error),)
        if not self.adapters:
            raise RadioUnavailableError("; ".join(self.missing))

    def newcomers(self) -> list[str]:
        """Name those that have not answered yet: nothing tells whether they would."""
        return [name for name in self._transports if name not in self._in_use]

    async def open(self, name: str) -> RadioAdapter:
        """Open a controller."""
        transport = self._transports[name]
        try:
            scanner, client = await self._opened.enter_async_context(self._backend(transport))
        except (BleakError, OSError, TimeoutError) as error:
            raise RadioUnavailableError(f"no radio at {transport!r}: {error}") from error
        self._in_use.add(name)
        recovery: Recovery = getattr(scanner, "recovery", None) or NoRecovery(name)
        return RadioAdapter(name=name, recovery=recovery, scanner=scanner, client=client)


@contextlib.asynccontextmanager
async def open_radio(settings: AgentSettings) -> AsyncIterator[Radio]:
    """Give the radio of the settings and let go of it afterwards.

    Raises
    ------
    RadioUnavailableError
        The backend does not exist, or none of its controllers answers.
    """
    if settings.radio_backend is None:
        found = await bluez_adapters() if sys.platform == "linux" else {}
        yield SystemRadio(settings.adapters, found)
        return
    backend = _backend(settings.radio_backend)
    transports = [one.strip() for one in settings.radio_transport.split(",")]
    async with AsyncExitStack() as opened:
        radio = BackendRadio(backend, transports, opened)
        await radio.start()
        yield radio


def _backend(name: str) -> Backend:
    module_name, _, function_name = name.partition(":")
    try:
        backend: Backend = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise RadioUnavailableError(
            f"radio_backend {name!r} is no module:function that is installed: {error}"
        ) from error
    return backend


@contextlib.asynccontextmanager
async def listening(
    settings: AgentSettings, take: AdvertisementDataCallback
) -> AsyncIterator[tuple[str, ...]]:
    """Hear advertisements on all adapters of the settings while the block lasts; give their names.

    Raises
    ------
    RadioUnavailableError, BleakError, OSError, EOFError
    """
    async with open_radio(settings) as radio, AsyncExitStack() as scanners:
        if radio.missing:
            raise RadioUnavailableError("; ".join(radio.missing))
        if not radio.adapters:
            # bleak knows best why there is none.
            await scanners.enter_async_context(BleakScanner(take))
        for adapter in radio.adapters:
            scanner = BleakScanner(take, **await adapter.scanner_arguments())
            await scanners.enter_async_context(scanner)
        yield tuple(adapter.name for adapter in radio.adapters)
