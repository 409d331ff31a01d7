"""Which Bluetooth the agent uses: the system's adapters, or those of a backend. A shell."""

import contextlib
import importlib
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from bleak import BleakScanner
from bleak.backends.client import BaseBleakClient
from bleak.backends.scanner import AdvertisementDataCallback, BaseBleakScanner
from bleak.exc import BleakError

from edge.errors import RadioUnavailableError
from edge.links.recovery import BlueZRecovery, NoRecovery, Recovery, bluez_adapters
from edge.settings import AgentSettings

DEFAULT_ADAPTER: Final = "default"
"""The adapter that the system chooses."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Radio:
    """All adapters of an agent."""

    adapters: tuple[RadioAdapter, ...] = field(
        default_factory=lambda: (
            RadioAdapter(name=DEFAULT_ADAPTER, recovery=NoRecovery(DEFAULT_ADAPTER)),
        )
    )


@contextlib.asynccontextmanager
async def open_radio(settings: AgentSettings) -> AsyncIterator[Radio]:
    """Give the radio of the settings and let go of it afterwards.

    Raises
    ------
    RadioUnavailableError
        The backend does not exist or a controller does not answer.
    """
    if settings.radio_backend is None:
        yield await _system_radio(settings)
        return
    async with AsyncExitStack() as opened:
        adapters = [
            await _open_adapter(settings.radio_backend, transport.strip(), number, opened)
            for number, transport in enumerate(settings.radio_transport.split(","))
        ]
        yield Radio(adapters=tuple(adapters))


async def _system_radio(settings: AgentSettings) -> Radio:
    """Take BlueZ's adapters that the settings name, or all; the default one where none is known."""
    found = await bluez_adapters() if sys.platform == "linux" else {}
    missing = set(settings.adapters) - set(found)
    if missing:
        raise RadioUnavailableError(
            f"no adapter {', '.join(sorted(missing))}: there are {', '.join(found) or 'none'}"
        )
    return (
        Radio(
            adapters=tuple(
                RadioAdapter(name=name, recovery=BlueZRecovery(name, found[name]), by_name=True)
                for name in settings.adapters or found
            )
        )
        if found
        else Radio()
    )


async def _open_adapter(
    backend_name: str, transport: str, number: int, opened: AsyncExitStack
) -> RadioAdapter:
    module_name, _, function_name = backend_name.partition(":")
    try:
        backend = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise RadioUnavailableError(
            f"radio_backend {backend_name!r} is no module:function that is installed: {error}"
        ) from error
    try:
        scanner, client = await opened.enter_async_context(backend(transport))
    except (BleakError, OSError, TimeoutError) as error:
        raise RadioUnavailableError(f"no radio at {transport!r}: {error}") from error
    name = f"radio{number}"
    recovery: Recovery = getattr(scanner, "recovery", None) or NoRecovery(name)
    return RadioAdapter(name=name, recovery=recovery, scanner=scanner, client=client)


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
        for adapter in radio.adapters:
            scanner = BleakScanner(take, **await adapter.scanner_arguments())
            await scanners.enter_async_context(scanner)
        yield tuple(adapter.name for adapter in radio.adapters)
