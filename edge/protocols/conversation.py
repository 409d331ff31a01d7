"""A conversation with a device: what it answers is decoded as soon as it comes. A shell."""

import asyncio
from collections.abc import Callable

from edge.clocks.clocks import Stamp
from edge.errors import LinkLostError
from edge.inbox import Inbox
from edge.intakes.intake import DeviceIntake
from edge.links.link import Link
from edge.waiting import wait_any


class Conversation:
    """Subscriptions of one speaker, and the wait for what they bring.

    Payloads go the way of all others, through the inbox into the intake: counted, stamped on
    arrival, in their order. Only their time is another: a device that waits for the next question
    is not kept waiting until a Frame is cut.
    """

    def __init__(self, link: Link, intake: DeviceIntake, inbox: Inbox) -> None:
        self._link = link
        self._intake = intake
        self._inbox = inbox
        self._arrived = asyncio.Event()

    async def listen(self, uuid: str) -> None:
        """Subscribe to a characteristic, if the device has it.

        Raises
        ------
        LinkLostError
        """
        if not self._link.offers(uuid):
            return
        door = self._inbox.door(self._intake, uuid)

        def arrive(payload: bytes, arrival: Stamp) -> None:
            door(payload, arrival)
            self._arrived.set()

        await self._link.notify(uuid, arrive)

    async def until(self, fact: Callable[[], bool], silence_s: float) -> bool:
        """Wait until what has come makes something true.

        Parameters
        ----------
        fact
            Is asked after each arrival.
        silence_s
            The longest wait from one payload to the next; positive.

        Returns
        -------
        False if nothing came for so long.

        Raises
        ------
        LinkLostError
        """
        while True:
            self._inbox.decode()
            if fact():
                return True
            self._arrived.clear()
            if self._link.lost.is_set():
                raise LinkLostError("the link was lost while an answer was awaited")
            if not await self._wait(silence_s):
                return False

    async def within(self, fact: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until what has come makes something true; False: it did not within ``timeout_s``.

        Raises
        ------
        LinkLostError
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self.until(fact, timeout_s)
        except TimeoutError:
            return False

    async def _wait(self, silence_s: float) -> bool:
        """Wait for a payload or the end of the link; False: neither came."""
        await wait_any(silence_s, self._arrived, self._link.lost)
        return self._arrived.is_set() or self._link.lost.is_set()
