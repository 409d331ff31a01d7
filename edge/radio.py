"""Which Bluetooth the agent uses: the system's, or a backend that the settings name."""

import contextlib
import importlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from bleak.backends.client import BaseBleakClient
from bleak.backends.scanner import BaseBleakScanner
from bleak.exc import BleakError

from edge.errors import RadioUnavailableError
from edge.settings import AgentSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Radio:
    """bleak's backend types; None: the platform's own."""

    scanner: type[BaseBleakScanner] | None = None
    client: type[BaseBleakClient] | None = None


@contextlib.asynccontextmanager
async def open_radio(settings: AgentSettings) -> AsyncIterator[Radio]:
    """Give the radio of the settings and let go of it afterwards.

    Raises
    ------
    RadioUnavailableError
        The backend does not exist or its controller does not answer.
    """
    if settings.radio_backend is None:
        yield Radio()
        return
    module_name, _, function_name = settings.radio_backend.partition(":")
    try:
        backend = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise RadioUnavailableError(
            f"radio_backend {settings.radio_backend!r} is no module:function that is installed: "
            f"{error}"
        ) from error
    try:
        manager = backend(settings.radio_transport)
        scanner, client = await manager.__aenter__()
    except (BleakError, OSError, TimeoutError) as error:
        raise RadioUnavailableError(f"no radio at {settings.radio_transport!r}: {error}") from error
    try:
        yield Radio(scanner=scanner, client=client)
    finally:
        await manager.__aexit__(None, None, None)
