"""A peripheral that wants to be paired with."""

import asyncio

from bumble.device import Connection
from bumble.gatt import Characteristic, Service
from bumble.keys import MemoryKeyStore
from bumble.pairing import PairingConfig, PairingDelegate

from devices import uuids
from edge.virtual.ether import Ether
from edge.virtual.peripheral import Identity, Peripheral, Permissions, Properties, bumble_uuid
from edge.virtual.player import Clock

LOCKED = uuids.sig_uuid(0x2A1D)
SECRET = b"\x02"


class Display(PairingDelegate):
    """A display that shows a passkey, and nothing to type with."""

    def __init__(self) -> None:
        super().__init__(PairingDelegate.DISPLAY_OUTPUT_ONLY)
        self.shown: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def display_number(self, number: int, digits: int) -> None:
        """Show a passkey."""
        self.shown.set_result(number)


class BondingPeripheral(Peripheral):
    """Has one characteristic that needs encryption, and counts how it was paired with."""

    advertised_services = (uuids.HEALTH_THERMOMETER_SERVICE,)

    def __init__(
        self,
        ether: Ether,
        identity: Identity,
        clock: Clock,
        *,
        secure_connections: bool,
        display: Display | None = None,
    ) -> None:
        super().__init__(ether, identity, clock)
        self.n_pairings = 0
        self.n_encrypted_links = 0
        self._secure_connections = secure_connections
        self._display = display
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
            sc=self._secure_connections,
            mitm=self._display is not None,
            bonding=True,
            delegate=self._display or PairingDelegate(),
        )

    def _watch(self, connection: Connection) -> None:
        def paired(_keys: object) -> None:
            self.n_pairings += 1

        def encrypted() -> None:
            self.n_encrypted_links += int(connection.is_encrypted)

        connection.on("pairing", paired)
        connection.on("connection_encryption_change", encrypted)
