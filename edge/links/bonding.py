"""Keys that a device and this machine share: renewed by an operator, never by the agent. A shell.

The agent pairs with a device that its row says needs it, and that it has no key of. A device that
has lost the key, or a stranger that poses as it, is refused: it is the operator beside the bed who
knows which of the two it is.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from bleak.backends.device import BLEDevice

from edge.links.link import Link, connect
from edge.links.radio import RadioAdapter

STORE_S: Final = 1.0
"""A device stores its key a moment after the link is encrypted: who leaves at once may be forgotten
by it."""


async def renew_bond(
    find: Callable[[], Awaitable[BLEDevice]],
    label: str,
    adapter: RadioAdapter,
    *,
    timeout_s: float,
) -> None:
    """Forget the key that is shared with a device, and pair with it anew.

    Only after an operator has consented, with the device in the hand.

    Parameters
    ----------
    find
        Scans for the device until it is heard: the system forgets it together with its key.
    label
        For messages: no name and no address.
    adapter
        The one that hears it.
    timeout_s
        For each of the two connects.

    Raises
    ------
    LinkLostError, RadioUnavailableError
        The old key may be gone all the same.
    DeviceRefusedError
        The system does not pair at a program's request.
    BondLostError
        The device does not pair: it may have to be put into its pairing mode.
    """
    for pairs in (False, True):
        link = await _connect_to(await find(), label, adapter, timeout_s)
        try:
            if pairs:
                await link.pair()
                await asyncio.sleep(STORE_S)
            else:
                await link.unpair()
        finally:
            await link.disconnect()


async def _connect_to(
    heard: BLEDevice, label: str, adapter: RadioAdapter, timeout_s: float
) -> Link:
    return await connect(lambda: heard, label, adapter, timeout_s=timeout_s)
