"""What can be done about an adapter that hangs or has moved. A shell."""

import asyncio
from typing import Final, Protocol

import structlog
from bleak_retry_connector import clear_cache

log = structlog.get_logger()

RECOVERY_S_MAX: Final = 60.0
"""A power cycle with a USB reset takes about ten seconds."""
LOOK_S_MAX: Final = 10.0


class Recovery(Protocol):
    """The steps for one adapter."""

    async def locate(self) -> str | None:
        """Give the name under which the system knows it now; None: it is not there."""

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
    """

    def __init__(self, name: str, address: str) -> None:
        self._name = name
        self._address = address

    async def locate(self) -> str | None:
        """Look for the adapter by its address."""
        found = await bluez_adapters()
        self._name = next(
            (name for name, address in found.items() if address == self._address), self._name
        )
        return self._name if self._name in found else None

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

    async def power_cycle(self) -> bool:
        """Do nothing."""
        return False

    async def forget_services(self, address: str) -> bool:
        """Do nothing."""
        return False


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
