"""The steps of recovery for an adapter that bumble has opened."""

from bleak.exc import BleakError

from edge.virtual.adapter import Adapter


class AdapterRecovery:
    """What `edge.links.recovery.Recovery` asks for.

    Parameters
    ----------
    adapter
        Open; when its controller is gone, it is opened again by whoever uses it next.
    """

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    async def locate(self) -> str | None:
        """Give its name, which never changes."""
        return self._adapter.name

    def mark(self) -> int:
        """Count how often its controller was lost."""
        return self._adapter.n_lost

    async def power_cycle(self) -> bool:
        """Release the controller and open it anew."""
        try:
            await self._adapter.power_cycle()
        except (BleakError, OSError):
            return False
        return True

    async def forget_services(self, address: str) -> bool:
        """Do nothing: services are read anew with every link."""
        return False
