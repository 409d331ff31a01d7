"""A bleak backend on bumble's host stack, for any controller that bumble can open.

The agent knows only bleak's API. Given the two types that ``backend`` yields, it talks to the
virtual radio (``tcp-client:127.0.0.1:PORT``) or to a dongle without BlueZ (``usb:0``), over a real
HCI, L2CAP and ATT. One host per controller is shared by all scanners and clients.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, ClassVar, Final, TypeVar

import bleak
from bleak.args import SizedBuffer
from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import (
    AdvertisementData,
    AdvertisementDataCallback,
    BaseBleakScanner,
)
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDeviceNotFoundError, BleakError
from bumble import hci
from bumble.device import Advertisement, Connection, Peer
from bumble.gatt_client import CharacteristicProxy, ServiceProxy

from edge.virtual.adapter import (
    MAX_CONNECTIONS_DEFAULT,
    Adapter,
    TransportOpener,
    bleak_errors,
    hang_up,
    open_adapter,
)
from edge.virtual.advertisement import decode_advertisement, merge_advertisements, uuid_text
from edge.virtual.recovery import AdapterRecovery

MTU_REQUESTED: Final = 517
DEVICES_HEARD_MAX: Final = 1024
"""Devices whose advertisements a scanner remembers; those heard first are forgotten first."""

_T = TypeVar("_T")


class BumbleScanner(BaseBleakScanner):
    """bleak's scanner; made by ``bleak.BleakScanner(backend=...)`` only."""

    adapter_name: ClassVar[str] = "hci0"
    recovery: ClassVar[AdapterRecovery | None] = None

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: str,
        **_kwargs: Any,  # noqa: ANN401 - arguments for other backends
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self.active = scanning_mode != "passive"
        self._adapter = Adapter.named(self.adapter_name)
        self._heard: dict[str, AdvertisementData] = {}

    async def start(self) -> None:
        """Begin to scan, with nothing remembered."""
        self.seen_devices = {}
        self._heard.clear()
        await self._adapter.start_scanner(self)

    async def stop(self) -> None:
        """End scanning."""
        await self._adapter.stop_scanner(self)

    def on_advertisement(self, advertisement: Advertisement) -> None:
        """Merge with what the device said before, as BlueZ does, and tell the callbacks."""
        address = advertisement.address.to_string(with_type_qualifier=False)
        data = decode_advertisement(advertisement)
        if address in self._heard:
            data = merge_advertisements(self._heard[address], data)
        self._heard[address] = data
        while len(self._heard) > DEVICES_HEARD_MAX:
            self._heard.pop(next(iter(self._heard)))
        if not self.is_allowed_uuid(data.service_uuids):
            return
        details = {"adapter": self._adapter.name, "address": advertisement.address}
        device = self.create_or_update_device(address, address, data.local_name, details, data)
        self.call_detection_callbacks(device, data)


class BumbleClient(BaseBleakClient):
    """bleak's client; made by ``bleak.BleakClient(backend=...)`` only."""

    adapter_name: ClassVar[str] = "hci0"
    scanner_type: ClassVar[type[BumbleScanner]] = BumbleScanner

    def __init__(self, address_or_ble_device: BLEDevice | str, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(address_or_ble_device, **kwargs)
        self._adapter = Adapter.named(self.adapter_name)
        self._services_wanted: set[str] | None = kwargs.get("services")
        self._name: str | None = None
        self._peer_address: hci.Address | None = None
        if isinstance(address_or_ble_device, BLEDevice):
            self._use(address_or_ble_device)
        self._connection: Connection | None = None
        self._link_lost: asyncio.Future[None] | None = None
        self._established = False
        self._subscriptions: dict[int, Callable[[bytes], None]] = {}

    @property
    def name(self) -> str:
        """The advertised name, or the address."""
        return self._name or self.address.replace(":", "-")

    @property
    def mtu_size(self) -> int:
        """The negotiated ATT MTU."""
        return 23 if self._connection is None else self._connection.att_mtu

    @property
    def is_connected(self) -> bool:
        """Whether the link is up and its services are known."""
        return self._established

    async def connect(self, pair: bool, **kwargs: Any) -> None:  # noqa: ANN401, FBT001
        """Connect, raise the MTU and discover the services.

        Raises
        ------
        TimeoutError, BleakError
        """
        if self._connection is not None:
            raise BleakError("already connected")
        timeout_s: float = kwargs.get("timeout", self._timeout)
        address = await self._find(timeout_s)
        async with asyncio.timeout(timeout_s):
            connection = await self._adapter.connect(address)
            try:
                self._attach(connection)
                if pair:
                    await self._run(connection.pair())
                await self._run(self._discover(Peer(connection)))
            except BaseException:
                # Not established: the disconnected callback stays silent, and serves a next try.
                await self.disconnect()
                raise
            self._established = True

    async def disconnect(self) -> None:
        """End the link and wait until it has ended."""
        connection, link_lost = self._connection, self._link_lost
        if connection is None or link_lost is None:
            return
        await hang_up(connection.device, connection)
        if not link_lost.done():
            # The controller did not confirm: treat the link as lost all the same.
            self._on_disconnection(connection)

    async def pair(self, *_args: Any, **_kwargs: Any) -> None:  # noqa: ANN401
        """Encrypt with the key of an earlier pairing, or pair and bond where there is none."""
        connection = self._connected()
        keystore = connection.device.keystore
        keys = None if keystore is None else await keystore.get(str(connection.peer_address))
        await self._run(connection.pair() if keys is None else connection.encrypt())

    async def unpair(self) -> None:
        """Forget the bond and end the link."""
        if self._peer_address is not None:
            await self._adapter.forget_bond(self._peer_address)
        await self.disconnect()

    async def read_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        *,
        use_cached: bool = False,
        **_kwargs: Any,  # noqa: ANN401
    ) -> bytearray:
        """Read a characteristic by its handle."""
        return bytearray(await self._run(self._live(characteristic).read_value()))

    async def read_gatt_descriptor(
        self,
        descriptor: BleakGATTDescriptor,
        *,
        use_cached: bool = False,
        **_kwargs: Any,  # noqa: ANN401
    ) -> bytearray:
        """Read a descriptor by its handle."""
        return bytearray(await self._run(self._live(descriptor).read_value()))

    async def write_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        data: SizedBuffer,
        response: bool,  # noqa: FBT001 - bleak's interface
    ) -> None:
        """Write a characteristic."""
        await self._run(self._live(characteristic).write_value(bytes(data), response))

    async def write_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, data: SizedBuffer
    ) -> None:
        """Write a descriptor."""
        await self._run(self._live(descriptor).write_value(bytes(data), with_response=True))

    async def start_notify(
        self,
        characteristic: BleakGATTCharacteristic,
        callback: NotifyCallback,
        **_kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Subscribe; notifications are preferred to indications."""
        handle = characteristic.handle
        if handle in self._subscriptions:
            raise BleakError(f"notifications of {characteristic.uuid} already started")

        def pass_on(value: bytes) -> None:
            callback(bytearray(value))

        proxy = self._live(characteristic)
        self._subscriptions[handle] = pass_on
        try:
            await self._run(proxy.subscribe(pass_on, prefer_notify=True))
        except BaseException:
            self._subscriptions.pop(handle, None)
            raise

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Unsubscribe; nothing if not subscribed."""
        subscription = self._subscriptions.pop(characteristic.handle, None)
        if subscription is not None:
            await self._run(self._live(characteristic).unsubscribe(subscription))

    # Internals

    def _use(self, device: BLEDevice) -> None:
        self._name = device.name
        if isinstance(device.details, dict):
            self._peer_address = device.details.get("address")

    async def _find(self, timeout_s: float) -> hci.Address:
        """Return the peer's full address; a bare one is scanned for, as the other backends do."""
        if self._peer_address is None:
            found = await bleak.BleakScanner.find_device_by_address(
                self.address, timeout=timeout_s, backend=self.scanner_type
            )
            if found is not None:
                self._use(found)
        if self._peer_address is None:
            raise BleakDeviceNotFoundError(self.address, f"device {self.address} was not found")
        return self._peer_address

    def _attach(self, connection: Connection) -> None:
        self._link_lost = asyncio.get_running_loop().create_future()
        self._connection = connection
        connection.once(
            Connection.EVENT_DISCONNECTION, lambda _: self._on_disconnection(connection)
        )
        if connection.handle not in connection.device.connections:
            # Ended between the connection's event and the task that waited for it.
            self._on_disconnection(connection)

    def _on_disconnection(self, connection: Connection) -> None:
        if self._connection is not connection:
            return
        self._connection = None
        self.services = None
        self._subscriptions.clear()
        if self._link_lost is not None and not self._link_lost.done():
            self._link_lost.set_result(None)
        established, self._established = self._established, False
        if established and self._disconnected_callback is not None:
            self._disconnected_callback()

    def _connected(self) -> Connection:
        if self._connection is None:
            raise BleakError(f"{self.name} is not connected")
        return self._connection

    def _live(self, attribute: BleakGATTCharacteristic | BleakGATTDescriptor) -> Any:  # noqa: ANN401
        """Return bumble's proxy, unless it belongs to a link that has ended."""
        if attribute.obj.client.connection is not self._connected():
            raise BleakError(f"{attribute.uuid} is of an earlier connection of {self.name}")
        return attribute.obj

    async def _run(self, operation: Coroutine[Any, Any, _T]) -> _T:
        """Run an operation that the loss of the link ends, with an error and at once.

        bumble cancels a pending request when the link is lost; here that cancellation stays
        within a task, so that only a cancellation of the caller reaches the caller.
        """
        link_lost = self._link_lost
        if self._connection is None or link_lost is None:
            operation.close()
            raise BleakError(f"{self.name} is not connected")
        task = asyncio.ensure_future(operation)
        ends: set[asyncio.Future[Any]] = {task, link_lost}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if task.cancelled():
            raise BleakError(f"{self.name} disconnected during the operation")
        with bleak_errors(self.name):
            return task.result()

    async def _discover(self, peer: Peer) -> None:
        # bumble does not ask by itself, and 20 bytes a notification truncate every waveform.
        await peer.request_mtu(MTU_REQUESTED)
        collection = BleakGATTServiceCollection()
        for proxy in await peer.discover_services():
            uuid = uuid_text(proxy.uuid)
            if self._services_wanted is None or uuid in self._services_wanted:
                service = BleakGATTService(proxy, proxy.handle, uuid)
                collection.add_service(service)
                await self._discover_characteristics(proxy, service, collection)
        self.services = collection

    async def _discover_characteristics(
        self, proxy: ServiceProxy, service: BleakGATTService, collection: BleakGATTServiceCollection
    ) -> None:
        for found in await proxy.discover_characteristics():
            characteristic = self._characteristic(found, service)
            collection.add_characteristic(characteristic)
            for descriptor in await found.discover_descriptors():
                collection.add_descriptor(
                    BleakGATTDescriptor(
                        descriptor, descriptor.handle, uuid_text(descriptor.type), characteristic
                    )
                )

    def _characteristic(
        self, proxy: "CharacteristicProxy[bytes]", service: BleakGATTService
    ) -> BleakGATTCharacteristic:
        return BleakGATTCharacteristic(
            proxy,
            proxy.handle,
            uuid_text(proxy.uuid),
            list(gatt_char_props_to_strs(int(proxy.properties))),
            lambda: self.mtu_size - 3,
            service,
        )


@contextlib.asynccontextmanager
async def backend(
    transport_spec: str | TransportOpener, max_connections: int = MAX_CONNECTIONS_DEFAULT
) -> AsyncIterator[tuple[type[BaseBleakScanner], type[BaseBleakClient]]]:
    """Open a controller; give the two types that ``bleak`` takes as ``backend=``.

    The types are bound to this controller, so that several can be open at once. Leaving ends all
    links and releases the controller.

    Raises
    ------
    BleakBluetoothNotAvailableError
    """
    name = next(name for i in itertools.count() if (name := f"hci{i}") not in Adapter.registry)
    adapter = await open_adapter(transport_spec, name, max_connections)
    scanner_type = type(
        f"BumbleScanner_{name}",
        (BumbleScanner,),
        {"adapter_name": name, "recovery": AdapterRecovery(adapter)},
    )
    client_type = type(
        f"BumbleClient_{name}",
        (BumbleClient,),
        {"adapter_name": name, "scanner_type": scanner_type},
    )
    try:
        yield scanner_type, client_type
    finally:
        await adapter.close()
