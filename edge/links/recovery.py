"""What can be done about an adapter that hangs or has moved. A shell."""

import asyncio
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Final, Protocol

import structlog
from bleak_retry_connector import clear_cache

log = structlog.get_logger()

RECOVERY_S_MAX: Final = 60.0
"""A power cycle with a USB reset takes about ten seconds."""
LOOK_S_MAX: Final = 10.0
SYSFS_FOLDER: Final = Path("/sys/class/bluetooth")
_ADAPTER_NAME: Final = re.compile(r"hci\d+")


class Recovery(Protocol):
    """The steps for one adapter."""

    async def locate(self) -> str | None:
        """Give the name under which the system knows it now; None: it is not there."""

    def mark(self) -> int:
        """Give a number that is another one once the adapter was away, however shortly. Cheap."""
        ...

    async def power_cycle(self) -> bool:
        """Take its power away and give it back; its links end. False: it did not help."""
        ...

    async def forget_services(self, address: str) -> bool:
        """Forget what is remembered of a peripheral's services; False: there was nothing.

        Must not be called for a peripheral that is bonded: BlueZ forgets the bond, too.
        """
        ...


class BlueZRecovery:
    """BlueZ's management interface, by bluetooth-auto-recovery. It needs CAP_NET_ADMIN.

    Parameters
    ----------
    name
        As the system knows the adapter at the start, ``hci0``.
    address
        By which it is found again when it comes back under another name.
    addresses
        Of all adapters in use: another one's is not taken for this one, whatever its name.
    """

    def __init__(self, name: str, address: str, addresses: Collection[str] = ()) -> None:
        self._name = name
        self._address = address
        self._addresses = addresses

    async def locate(self) -> str | None:
        """Look for the adapter by its address."""
        found = await bluez_adapters()
        self._name = next(
            (name for name, address in found.items() if address == self._address), self._name
        )
        address = found.get(self._name)
        is_anothers = address != self._address and address in self._addresses
        return None if address is None or is_anothers else self._name

    def mark(self) -> int:
        """Give the inode of its entry in sysfs: Linux makes a new one whenever it is plugged in."""
        return present_adapters().get(self._name, 0)

    async def power_cycle(self) -> bool:
        """Unblock, power-cycle and, where that does not help, reset the USB port."""
        # Imported late: it opens sockets of Linux only.
        from bluetooth_auto_recovery import recover_adapter  # noqa: PLC0415

        number = int(self._name.removeprefix("hci"))
        try:
            async with asyncio.timeout(RECOVERY_S_MAX):
                return await recover_adapter(number, self._address, gone_silent=True)
        except (OSError, TimeoutError, EOFError) as error:
            log.warning("adapter_not_recovered", adapter=self._name, error=type(error).__name__)
            return False

    async def forget_services(self, address: str) -> bool:
        """Let BlueZ forget the peripheral."""
        return await clear_cache(address)


class NoRecovery:
    """Nothing can be done: a system, or a backend, that has no such steps."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def locate(self) -> str | None:
        """Take it to be there."""
        return self._name

    def mark(self) -> int:
        """Take it to have been there."""
        return 0

    async def power_cycle(self) -> bool:
        """Do nothing."""
        return False

    async def forget_services(self, address: str) -> bool:
        """Do nothing."""
        return False


def present_adapters(folder: Path = SYSFS_FOLDER) -> dict[str, int]:
    """Give the inodes of Linux' adapters in sysfs by their names, in order; elsewhere none."""
    try:
        with os.scandir(folder) as entries:
            return {
                one.name: one.inode()
                for one in sorted(entries, key=lambda one: one.name)
                # Links are there, too, as hci0:64.
                if _ADAPTER_NAME.fullmatch(one.name)
            }
    except OSError:
        return {}


async def bluez_adapters() -> dict[str, str]:
    """Give the addresses of BlueZ's adapters by their names, in order; none where it is silent."""
    # Imported late: it reads the machine's buses.
    from bluetooth_adapters import get_adapters  # noqa: PLC0415

    adapters = get_adapters()
    try:
        async with asyncio.timeout(LOOK_S_MAX):
            await adapters.refresh()
    except (OSError, TimeoutError, EOFError) as error:
        log.warning("adapters_not_listed", error=type(error).__name__)
        return {}
    return {name: details.get("address", "") for name, details in sorted(adapters.adapters.items())}
