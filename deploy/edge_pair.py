"""The part of ``chevet edge enrol`` that pairs: keys that a device and this machine share."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import click
from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError

from deploy.edge_enrol import EnrolError, find_row
from devices.catalogue import Quirk
from edge.errors import (
    BondLostError,
    DeviceNotFoundError,
    DeviceRefusedError,
    LinkLostError,
    RadioUnavailableError,
)
from edge.links.bonding import renew_bond
from edge.links.radio import RadioAdapter, open_radio
from edge.settings import AgentSettings

if TYPE_CHECKING:
    from edge.links.pairing_agent import Ask, PairingAgent

LABEL: Final = "the device"
"""What its connector may call it: a name would go into logs."""


def need_bond(names: Collection[str]) -> list[str]:
    """Choose those whose row of the catalogue, as far as a name tells it, needs a bond."""
    return [
        name
        for name in names
        if (row := find_row(name, ())) is not None and Quirk.BONDING_NEEDED in row.quirks
    ]


async def pair_devices(
    settings: AgentSettings, names: Sequence[str], listen_s: float, ask: "Ask | None"
) -> None:
    """Pair with devices, anew where there is a key already; on each adapter that hears them.

    Parameters
    ----------
    settings
        Which adapters.
    names
        As the devices advertise themselves.
    listen_s
        How long to look for each of them, on each adapter.
    ask
        Puts a question to the operator; None: nobody is there to answer.

    Raises
    ------
    EnrolError
        One of them could not be paired with; those before it are.
    """
    try:
        async with open_radio(settings) as radio:
            if not radio.adapters:
                raise EnrolError("no pairing: no adapter; chevet edge check says what to do")
            for name in names:
                paired = [
                    await _pair(name, adapter, listen_s, settings.connect_timeout_s, ask)
                    for adapter in radio.adapters
                ]
                if not any(paired):
                    raise EnrolError(
                        f"{name} was not heard, and has to be paired with: switch it on, put it "
                        "into its pairing mode, and stop an agent that is connected to it; or "
                        "enrol it with --no-pair"
                    )
    except RadioUnavailableError as error:
        raise EnrolError(f"no pairing: {error}; chevet edge check says what to do") from error


async def _pair(
    name: str, adapter: RadioAdapter, listen_s: float, timeout_s: float, ask: "Ask | None"
) -> bool:
    """Pair through one adapter; False: it does not hear the device."""
    async with _agent(adapter, ask) as agent:

        def is_it(device: BLEDevice, advertisement: AdvertisementData) -> bool:
            return (advertisement.local_name or device.name) == name

        async def look() -> BLEDevice | None:
            found = await BleakScanner.find_device_by_filter(
                is_it, timeout=listen_s, **await adapter.scanner_arguments()
            )
            if found is not None and agent is not None:
                agent.expect(found.details["path"])
            return found

        async def find() -> BLEDevice:
            if (found := await look()) is None:
                raise DeviceNotFoundError("not heard any more")
            return found

        with _enrol_errors(name):
            if await look() is None:
                return False
            await renew_bond(find, LABEL, adapter, timeout_s=timeout_s)
    return True


@contextlib.contextmanager
def _enrol_errors(name: str) -> Iterator[None]:
    try:
        yield
    except BondLostError as error:
        raise EnrolError(
            f"{name} was not paired with: was the passkey right, and is it in its pairing mode?"
        ) from error
    except (DeviceRefusedError, LinkLostError) as error:
        raise EnrolError(f"{name} was not paired with: {error}") from error
    except (BleakError, OSError, EOFError) as error:
        raise EnrolError(f"no scan: {error}; chevet edge check says what to do") from error


@contextlib.asynccontextmanager
async def _agent(adapter: RadioAdapter, ask: "Ask | None") -> AsyncIterator["PairingAgent | None"]:
    """Answer BlueZ's questions; other backends ask nobody."""
    if not adapter.by_name:
        yield None
        return
    # Imported late: Linux only.
    from edge.links.pairing_agent import pairing_agent

    async with pairing_agent(ask) as agent:
        yield agent


def terminal() -> "Ask | None":
    """Give what asks at the terminal; None: there is none, and nobody to ask."""
    return _ask if sys.stdin.isatty() else None


async def _ask(question: str) -> str:
    """Ask for a line; whoever gives up asking leaves nothing waiting for it."""
    click.echo(f"{question}: ", err=True, nl=False)
    loop, line = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

    def read() -> None:
        if not line.done():
            line.set_result(sys.stdin.readline())

    loop.add_reader(sys.stdin, read)
    try:
        return str(await line).strip()
    finally:
        loop.remove_reader(sys.stdin)
