"""A peripheral that wants to be paired with, and the consent that BlueZ asks for."""

import contextlib
from collections.abc import AsyncIterator

from bumble.device import Connection
from bumble.gatt import Characteristic, Service
from bumble.keys import MemoryKeyStore
from bumble.pairing import PairingConfig, PairingDelegate
from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusObjectPath
from dbus_fast.service import ServiceInterface, dbus_method

from devices import uuids
from edge.virtual.ether import Ether
from edge.virtual.peripheral import Identity, Peripheral, Permissions, Properties, bumble_uuid
from edge.virtual.player import Clock

LOCKED = uuids.sig_uuid(0x2A1D)
SECRET = b"\x02"


AGENT_PATH = "/chevet/agent"


class Consent(ServiceInterface):
    """An agent without a display and without keys: it can but agree, or not.

    Source: BlueZ, doc/agent-api.txt.
    """

    def __init__(self) -> None:
        super().__init__("org.bluez.Agent1")

    @dbus_method(name="RequestAuthorization")
    def authorize(self, _device: DBusObjectPath) -> None:
        """Agree that a device is paired with, though nobody can compare numbers."""

    @dbus_method(name="Cancel")
    def cancel(self) -> None:
        """Stop asking: nobody was asked."""

    @dbus_method(name="Release")
    def release(self) -> None:
        """Be no agent any more."""


@contextlib.asynccontextmanager
async def consent() -> AsyncIterator[None]:
    """Be BlueZ's agent while the block lasts."""
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    bus.export(AGENT_PATH, Consent())
    try:
        await _manage(bus, "RegisterAgent", "os", [AGENT_PATH, "NoInputNoOutput"])
        await _manage(bus, "RequestDefaultAgent", "o", [AGENT_PATH])
        yield
    finally:
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
        raise OSError(f"{member}: {reply and reply.error_name}")


class BondingPeripheral(Peripheral):
    """Has one characteristic that needs encryption, and counts how it was paired with."""

    advertised_services = (uuids.HEALTH_THERMOMETER_SERVICE,)

    def __init__(
        self, ether: Ether, identity: Identity, clock: Clock, *, secure_connections: bool
    ) -> None:
        super().__init__(ether, identity, clock)
        self.n_pairings = 0
        self.n_encrypted_links = 0
        self._secure_connections = secure_connections
        self._device.keystore = MemoryKeyStore()
        self._device.pairing_config_factory = self._pairing
        self._device.on("connection", self._watch)

    def services(self) -> tuple[Service, ...]:
        locked: Characteristic[bytes] = Characteristic(
            bumble_uuid(LOCKED),
            Properties.READ,
            Permissions.READABLE | Permissions.READ_REQUIRES_ENCRYPTION,
            SECRET,
        )
        return (Service(bumble_uuid(uuids.HEALTH_THERMOMETER_SERVICE), [locked]),)

    def jobs(self) -> tuple[()]:
        return ()

    def _pairing(self, _connection: Connection) -> PairingConfig:
        return PairingConfig(
            sc=self._secure_connections, mitm=False, bonding=True, delegate=PairingDelegate()
        )

    def _watch(self, connection: Connection) -> None:
        def paired(_keys: object) -> None:
            self.n_pairings += 1

        def encrypted() -> None:
            self.n_encrypted_links += int(connection.is_encrypted)

        connection.on("pairing", paired)
        connection.on("connection_encryption_change", encrypted)
