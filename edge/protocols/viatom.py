"""Viatom and Wellue oximeters, which say nothing until they are asked. A shell."""

import asyncio
import time

from devices import uuids
from devices.viatom_poll import ViatomFailure, ViatomPoller, ViatomQuestion
from edge.errors import DeviceRefusedError, LinkLostError
from edge.inbox import Inbox
from edge.intakes.intake import DeviceIntake
from edge.intakes.viatom import ViatomIntake
from edge.links.link import Link
from edge.protocols.conversation import Conversation
from ingest.frame import NS_PER_S, DeviceEventKind


class ViatomSpeaker:
    """Asks for the present measurement for as long as the link lasts."""

    def __init__(
        self, link: Link, intake: DeviceIntake, inbox: Inbox, question: ViatomQuestion
    ) -> None:
        self._link = link
        self._intake = intake
        self._inbox = inbox
        self._answers = ViatomIntake(intake, question, time.monotonic_ns())
        self._conversation = Conversation(link, intake, inbox)

    async def open(self) -> None:
        """Subscribe to the answers.

        Raises
        ------
        DeviceRefusedError
            The device has not what its row says.
        LinkLostError
        """
        if not self._link.offers(uuids.VIATOM_NOTIFY) or not self._link.offers(uuids.VIATOM_WRITE):
            raise DeviceRefusedError("it lacks its maker's service, though its model has one")
        await self._conversation.listen(uuids.VIATOM_NOTIFY)
        self._answers.begin(self._inbox.now_ns())

    async def attend(self) -> None:
        """Ask, and take the answers, until too many questions in a row have failed.

        Raises
        ------
        DeviceRefusedError
            This firmware does not know the question.
        LinkLostError
            It has fallen silent: a new link may wake it.
        """
        poller = self._answers.poller
        while (wake_at_ns := poller.wake_at_ns) is not None:
            await self._await(poller, (wake_at_ns - time.monotonic_ns()) / NS_PER_S)
            for chunk in poller.tick(time.monotonic_ns()):
                # As the device wants them: it acknowledges no write.
                await self._link.write_unanswered(uuids.VIATOM_WRITE, chunk)
            self._answers.note_failures()
        if set(poller.n_failed) == {ViatomFailure.REFUSED}:
            detail = "the device does not know the question"
            self._intake.event(DeviceEventKind.STREAM_REFUSED, self._inbox.now_ns(), detail)
            raise DeviceRefusedError(detail)
        raise LinkLostError(f"no answer to {sum(poller.n_failed.values())} questions")

    async def restart(self, name: str) -> bool:
        """Leave it to the next question: there is nothing to start."""
        return False

    async def close(self) -> None:
        """Say nothing more: who does not ask is not answered."""

    async def _await(self, poller: ViatomPoller, wait_s: float) -> None:
        if wait_s <= 0:
            return
        if poller.is_open:
            await self._conversation.within(lambda: not poller.is_open, wait_s)
        else:
            await asyncio.sleep(wait_s)
