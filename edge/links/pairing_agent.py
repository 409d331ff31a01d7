"""What BlueZ asks while a device is paired with: a passkey, a comparison, consent. A shell.

BlueZ answers nothing by itself. It asks an agent on the system's D-Bus, and without one it pairs
with nobody.

Source: BlueZ, doc/org.bluez.Agent.rst and doc/org.bluez.AgentManager.rst.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from dbus_fast import BusType, DBusError, Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusObjectPath, DBusUInt16, DBusUInt32
from dbus_fast.service import ServiceInterface, dbus_method

from edge.errors import RadioUnavailableError

AGENT_PATH: Final = "/chevet/pairing"
PASSKEY_DIGITS_MAX: Final = 6
"""Core 5.4 Vol 3 H 2.3.5."""
_REJECTED: Final = "org.bluez.Error.Rejected"
_CANCELED: Final = "org.bluez.Error.Canceled"

Ask = Callable[[str], Awaitable[str]]
"""Puts a question to the operator beside the device and gives the answer; cancelled when the device
gives up."""


class PairingAgent(ServiceInterface):
    """Answers for one device at a time, and refuses all others that would like to be paired with.

    Parameters
    ----------
    ask
        Asks the operator; None: nobody is there, and nothing but consent can be given.
    """

    def __init__(self, ask: Ask | None) -> None:
        super().__init__("org.bluez.Agent1")
        self._ask = ask
        self._device: str | None = None
        self._asking: asyncio.Future[str] | None = None

    @property
    def capability(self) -> str:
        """What the operator can do, in BlueZ's words."""
        return "NoInputNoOutput" if self._ask is None else "KeyboardDisplay"

    def expect(self, device_path: str) -> None:
        """Answer for this device from now on."""
        self._device = device_path

    @dbus_method(name="RequestPasskey")
    async def passkey(self, device: DBusObjectPath) -> DBusUInt32:
        """Let the operator type what the device shows."""
        answer = await self._answer(device, "The passkey that the device shows, six digits")
        if (passkey := passkey_of(answer)) is None:
            raise DBusError(_REJECTED, "no passkey was given")
        return passkey

    @dbus_method(name="RequestConfirmation")
    async def confirm(self, device: DBusObjectPath, passkey: DBusUInt32) -> None:
        """Let the operator compare what both sides show."""
        answer = await self._answer(device, f"Does the device show {passkey:06}? y or n")
        if answer.strip().lower() not in {"y", "yes"}:
            raise DBusError(_REJECTED, "the numbers are not the same")

    @dbus_method(name="DisplayPasskey")
    async def display(
        self, device: DBusObjectPath, passkey: DBusUInt32, entered: DBusUInt16
    ) -> None:
        """Let the operator type a passkey on the device; it is told of each digit, once here."""
        if entered == 0:
            await self._answer(device, f"Type {passkey:06} on the device, then press Enter here")

    @dbus_method(name="RequestAuthorization")
    def authorize(self, device: DBusObjectPath) -> None:
        """Agree that the device is paired with, though nobody can compare numbers."""
        self._check(device)

    @dbus_method(name="Cancel")
    def cancel(self) -> None:
        """Ask no longer: the device has given up, and the pairing itself says so."""
        self.stop_asking()

    @dbus_method(name="Release")
    def release(self) -> None:
        """Be no agent any more."""

    def stop_asking(self) -> None:
        """Leave the operator in peace: the answer is of no use any more."""
        if self._asking is not None:
            self._asking.cancel()

    async def _answer(self, device: str, question: str) -> str:
        self._check(device)
        if self._ask is None:
            raise DBusError(_REJECTED, "nobody is there to answer")
        self._asking = asking = asyncio.ensure_future(self._ask(question))
        try:
            await asyncio.wait({asking})
        finally:
            asking.cancel()
        if asking.cancelled():
            raise DBusError(_CANCELED, "the device has given up")
        return asking.result()

    def _check(self, device: str) -> None:
        if device != self._device:
            raise DBusError(_REJECTED, "not the device that is being paired with")


def passkey_of(answer: str) -> int | None:
    """Read a passkey as somebody types it, ``012 345``; None: it is none."""
    digits = answer.replace(" ", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= PASSKEY_DIGITS_MAX):
        return None
    return int(digits)


@contextlib.asynccontextmanager
async def pairing_agent(ask: Ask | None) -> AsyncIterator[PairingAgent]:
    """Be the one whom BlueZ asks, while the block lasts.

    Raises
    ------
    RadioUnavailableError
        There is no BlueZ, or this user may not use it.
    """
    agent = PairingAgent(ask)
    try:
        bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    except (OSError, EOFError, DBusError) as error:
        raise RadioUnavailableError(f"no system D-Bus: {type(error).__name__}") from error
    bus.export(AGENT_PATH, agent)
    try:
        await _manage(bus, "RegisterAgent", "os", [AGENT_PATH, agent.capability])
        await _manage(bus, "RequestDefaultAgent", "o", [AGENT_PATH])
        yield agent
    finally:
        agent.stop_asking()
        # BlueZ forgets the agent of a bus that is gone.
        bus.disconnect()


async def _manage(bus: MessageBus, member: str, signature: str, body: list[str]) -> None:
    reply = await bus.call(
        Message(
            destination="org.bluez",
            path="/org/bluez",
            interface="org.bluez.AgentManager1",
            member=member,
            signature=signature,
            body=body,
        )
    )
    if reply is None or reply.message_type is MessageType.ERROR:
        raise RadioUnavailableError(f"BlueZ lets nobody pair: {reply and reply.error_name}")
