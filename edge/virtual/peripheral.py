"""What all virtual peripherals have in common: an identity, a link, and honest counters."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Any, Final, Self

from bumble import core, hci
from bumble.device import (
    AdvertisingEventProperties,
    AdvertisingParameters,
    Connection,
    Device,
    DeviceConfiguration,
)
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.host import Host

from devices import uuids
from devices.battery import encode_battery_level
from devices.device_information import encode_string
from edge.virtual.ether import LINK_PDUS_MAX, Ether, PeripheralController
from edge.virtual.player import Clock

Properties = Characteristic.Properties
Permissions = Characteristic.Permissions

MANUFACTURER: Final = "Chevet"
ADVERTISING_INTERVAL_MS_DEFAULT: Final = 100.0
BATTERY_PERCENT_DEFAULT: Final = 85

_LEGACY_DATA_BYTES_MAX: Final = 31
_WAITING_MAX: Final = 16
_STREAM_WAITING_MAX: Final = 3 * LINK_PDUS_MAX // 4
"""A stream waits where no more than a few PDUs still have a place: streams at many times the speed
of time share a link."""
_ROOM_POLL_S: Final = 0.005
_NOTIFY: Final = 0x01
_INDICATE: Final = 0x02
_AdType = core.AdvertisingData.Type


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a peripheral is."""

    model: str
    """As in the catalogue, without the manufacturer: ``Virtual Strap``."""
    serial: str
    address: str
    """Static random address: the two highest bits are set."""

    @property
    def name(self) -> str:
        """The advertised name."""
        return f"{MANUFACTURER} {self.model} {self.serial}"


class Mend(IntEnum):
    """What makes a peripheral speak again that has fallen silent, from the mildest."""

    SUBSCRIPTION = 1
    START = 2
    CONNECTION = 3


@dataclass(slots=True, kw_only=True)
class Counters:
    """What became of the values of one kind.

    ``produced`` equals ``sent`` plus ``unsent`` once the link is quiet. What was handed to the
    link and could not be delivered before the link ended is taken back from ``sent``.
    """

    produced: int = 0
    """Taken by the sensor and put into a frame."""
    sent: int = 0
    """Handed to the link of a subscribed central."""
    unsent: int = 0
    """On the air while nobody listened: no link, no subscription, a dark peer, a dropped frame."""
    unconfirmed: int = 0
    """Of ``unsent``: indicated on a link that ended before the confirmation came; the peer may
    have them."""


@dataclass(slots=True, kw_only=True)
class ChannelCounters(Counters):
    """What became of the samples of one waveform channel."""

    first_sample_utc_ns: int | None = None
    """When the first sample of the first stream was taken."""
    i_first: int | None = None
    """Its place in the recording."""
    sampling_rate_hz: float | None = None
    n_starts: int = 0
    """Start commands that began a stream; one that only joined it is not counted."""
    n_between: int = 0
    """Samples that were not taken between a stop, or a loss of power, and the next start."""
    i_end: int | None = None
    """Behind the last sample that was taken, in the recording."""


Counts = Iterable[tuple[Counters, int]]
"""How many values of each kind a payload holds."""


class Peripheral(ABC):
    """A virtual peripheral; subclasses have the services and what they send.

    Parameters
    ----------
    ether
        The air it is in.
    identity
        Who it is.
    clock
        The time it lives in.
    advertising_interval_ms
        From 20 to 10240.
    """

    def __init__(
        self,
        ether: Ether,
        identity: Identity,
        clock: Clock,
        *,
        advertising_interval_ms: float = ADVERTISING_INTERVAL_MS_DEFAULT,
    ) -> None:
        self.identity = identity
        self.clock = clock
        self.channels: dict[str, ChannelCounters] = {}
        """Waveforms, by the names of the catalogue: ``ecg``, ``acc/x`` …"""
        self.readings: dict[str, Counters] = {"battery": Counters()}
        """Single values: ``heart_rate``, ``rr_interval``, ``plx``, ``temperature``."""
        self.n_connections = 0
        """Connections since the start."""
        self.started = asyncio.Event()
        """Set once it advertises."""
        self._advertising_interval_ms = advertising_interval_ms
        self._n_to_drop = 0
        self._n_to_repeat = 0
        self._n_to_swap = 0
        self._held: tuple[Characteristic[bytes], bytes, Counts] | None = None
        self._bonded = asyncio.Event()
        self._silent_until: Mend | None = None
        self._battery_percent = BATTERY_PERCENT_DEFAULT
        self._tasks: asyncio.TaskGroup | None = None
        self._controller = PeripheralController(identity.name, ether)
        self._controller.random_address = hci.Address(identity.address)
        self._device = Device(
            config=DeviceConfiguration(name=identity.name, address=hci.Address(identity.address)),
            host=Host(self._controller, self._controller),
        )
        self._device.on(Device.EVENT_CONNECTION, self._on_connection)
        self._device.on(Device.EVENT_KEY_STORE_UPDATE, self._bonded.set)
        self._battery = notifying(uuids.BATTERY_LEVEL, self._read_battery)

    # What a subclass says

    @property
    @abstractmethod
    def advertised_services(self) -> tuple[str, ...]:
        """UUIDs in the advertisement; each a 16-bit one."""

    @abstractmethod
    def services(self) -> Iterable[Service]:
        """Give the services beside Device Information and Battery."""

    @abstractmethod
    def jobs(self) -> Iterable[Coroutine[Any, Any, None]]:
        """Give what runs from the start to the end."""

    # What others use

    @property
    def connected(self) -> bool:
        """Whether a central is connected, as far as the peripheral knows."""
        return bool(self._device.connections)

    @property
    def connection(self) -> Connection | None:
        """The connection to the central, if there is one."""
        return next(iter(self._device.connections.values()), None)

    @property
    def record_name(self) -> str | None:
        """Name of the recording that is played; None if all is simulated."""
        return None

    @property
    def recording_start_ns(self) -> int | None:
        """When sample 0 of the recording was taken; None if all is simulated."""
        return None

    def drop_next_notifications(self, n_notifications: int) -> None:
        """Lose the next notifications before they reach the link, and count them as unsent."""
        self._n_to_drop = n_notifications

    def repeat_next_notifications(self, n_notifications: int) -> None:
        """Send the next notifications twice, as firmware does that does not trust its stack."""
        self._n_to_repeat = n_notifications

    def swap_next_notifications(self, n_pairs: int) -> None:
        """Send the next notifications in pairs, the second of each before the first.

        The first of a pair waits for the second: they are swapped only where both are of one
        characteristic and the link stands; where it is lost meanwhile, the first is lost with it.
        """
        self._n_to_swap = n_pairs

    def fall_silent(self, until: Mend) -> None:
        """Notify nothing any more, on links that stand, as a firmware does that hangs.

        What would have been sent is counted as unsent. It ends with what ``until`` says, or more.
        """
        self._silent_until = until

    def mended(self, by: Mend) -> None:
        """Speak again, if this helps."""
        if self._silent_until is not None and by >= self._silent_until:
            self._silent_until = None

    @property
    def bonded(self) -> asyncio.Event:
        """Set once it has stored a key, which is a moment after the link is encrypted."""
        return self._bonded

    async def forget_bonds(self) -> None:
        """Forget all keys, as after a change of the battery; the links stay as they are."""
        if self._device.keystore is not None:
            await self._device.keystore.delete_all()
        self._bonded.clear()

    async def set_battery(self, percent: int) -> None:
        """Change the battery level and notify it."""
        self._battery_percent = percent
        counts = [(self.readings["battery"], 1)]
        await self.notify(self._battery, encode_battery_level(percent), counts)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Run while the block lasts."""
        run = asyncio.create_task(self.run(), name=self.identity.name)
        started = asyncio.create_task(self.started.wait())
        try:
            await asyncio.wait({run, started}, return_when=asyncio.FIRST_COMPLETED)
            if run.done():
                await run
            yield self
        finally:
            started.cancel()
            run.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await run

    async def run(self) -> None:
        """Advertise, accept connections and send, until cancelled."""
        try:
            services = [*self._common_services(), *self.services()]
            for characteristic in (one for service in services for one in service.characteristics):
                characteristic.on(Characteristic.EVENT_SUBSCRIPTION, self._on_subscription)
            self._device.add_services(services)
            await self._device.power_on()
            await self._advertise()
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for job in (*self.jobs(), asyncio.Event().wait()):
                    tasks.create_task(job)
                self.started.set()
        finally:
            self._tasks = None
            self._controller.close()

    # What a subclass uses

    def spawn(self, job: Coroutine[Any, Any, None]) -> None:
        """Run a job that ends by itself, or with the peripheral."""
        if self._tasks is None:
            job.close()
        else:
            self._tasks.create_task(job)

    def is_subscribed(self, characteristic: "Characteristic[bytes]") -> bool:
        """Whether the central wants notifications or indications."""
        return self._cccd(characteristic) != 0

    async def notify(
        self, characteristic: "Characteristic[bytes]", payload: bytes, counts: Counts
    ) -> None:
        """Send a notification, if anybody listens, and count.

        Parameters
        ----------
        counts
            What the payload holds.
        """
        counts = tuple(counts)
        for counters, n_values in counts:
            counters.produced += n_values
        connection = self.connection
        if (
            connection is None
            or not self._cccd(characteristic) & _NOTIFY
            or self._silent_until is not None
        ):
            _count(counts, sent=False)
        elif self._n_to_drop > 0:
            self._n_to_drop -= 1
            _count(counts, sent=False)
        elif len(payload) > connection.att_mtu - 3:
            # bumble would cut the payload short; a sensor refuses to send.
            _count(counts, sent=False)
        else:
            await self._send(connection, characteristic, payload, counts)

    async def _send(
        self,
        connection: Connection,
        characteristic: "Characteristic[bytes]",
        payload: bytes,
        counts: Counts,
    ) -> None:
        """Hand a notification to the link, or do with it what a fault asks for."""
        held, self._held = self._held, None
        if held is not None and held[0] is not characteristic:
            await self._hand_over(connection, held[0], held[1], held[2])
            held = None
        if held is None and self._n_to_swap > 0:
            self._n_to_swap -= 1
            self._held = (characteristic, payload, counts)
            return
        await self._hand_over(connection, characteristic, payload, counts)
        if held is not None:
            await self._hand_over(connection, characteristic, held[1], held[2])
        if self._n_to_repeat > 0:
            self._n_to_repeat -= 1
            await self._hand_over(connection, characteristic, payload, ())

    async def _hand_over(
        self,
        connection: Connection,
        characteristic: "Characteristic[bytes]",
        payload: bytes,
        counts: Counts,
    ) -> None:
        _count(counts, sent=True)
        self._controller.undelivered = partial(_take_back, counts)
        await self._device.gatt_server.notify_subscriber(
            connection, characteristic, payload, force=True
        )
        self._controller.undelivered = None

    async def room(
        self, given_up: Callable[[], bool] = lambda: False, *, n_waiting_max: int = _WAITING_MAX
    ) -> None:
        """Wait until the link can take more: a stack that is full lets its application wait.

        Parameters
        ----------
        given_up
            Tells that nobody wants to send any more.
        n_waiting_max
            PDUs that may wait on the link.
        """

        def full() -> bool:
            return self.connected and self._controller.n_waiting > n_waiting_max

        while full() and not given_up():  # noqa: ASYNC110  # a queue has no event of its own
            await asyncio.sleep(_ROOM_POLL_S)

    async def keep_pace(self) -> None:
        """Wait while a link that stands is full.

        A host that was held up has much to send at once, which a real sensor never has. On a dark
        link nobody waits: what is too much is refused there.
        """
        await self.room(lambda: self._controller.is_dark, n_waiting_max=_STREAM_WAITING_MAX)

    async def indicate(
        self, characteristic: "Characteristic[bytes]", payload: bytes, counts: Counts
    ) -> None:
        """Send an indication, wait for its confirmation or the end of the link, and count."""
        counts = tuple(counts)
        for counters, n_values in counts:
            counters.produced += n_values
        connection = self.connection
        if connection is None or not self._cccd(characteristic) & _INDICATE:
            _count(counts, sent=False)
            return
        confirmed = await self._indicate(connection, characteristic, payload)
        _count(counts, sent=confirmed)
        if not confirmed:
            for counters, n_values in counts:
                counters.unconfirmed += n_values

    # Internals

    async def _indicate(
        self, connection: Connection, characteristic: "Characteristic[bytes]", payload: bytes
    ) -> bool:
        link_lost: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def on_disconnection(_reason: int) -> None:
            if not link_lost.done():
                link_lost.set_result(None)

        connection.on(Connection.EVENT_DISCONNECTION, on_disconnection)
        indication: asyncio.Future[Any] = asyncio.ensure_future(
            self._device.gatt_server.indicate_subscriber(
                connection, characteristic, payload, force=True
            )
        )
        try:
            # bumble itself would wait 30 s for the confirmation of a peer that is gone.
            await asyncio.wait({indication, link_lost}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            connection.remove_listener(Connection.EVENT_DISCONNECTION, on_disconnection)
            indication.cancel()
            await asyncio.wait({indication})
        return not indication.cancelled() and indication.exception() is None

    def _cccd(self, characteristic: "Characteristic[bytes]") -> int:
        connection = self.connection
        if connection is None:
            return 0
        return self._device.gatt_server.read_cccd(connection, characteristic)[0]

    def _on_connection(self, _connection: Connection) -> None:
        self.n_connections += 1
        if self._held is not None:
            # It waited for a second one on a link that is gone.
            _count(self._held[2], sent=False)
            self._held = None
        self.mended(Mend.CONNECTION)

    def _on_subscription(self, _connection: Connection, notify: bool, _indicate: bool) -> None:  # noqa: FBT001
        if notify:
            self.mended(Mend.SUBSCRIPTION)

    def _read_battery(self, _connection: Connection) -> bytes:
        return encode_battery_level(self._battery_percent)

    def _common_services(self) -> tuple[Service, ...]:
        strings = {
            uuids.MANUFACTURER_NAME: MANUFACTURER,
            uuids.MODEL_NUMBER: self.identity.model,
            uuids.SERIAL_NUMBER: self.identity.serial,
            uuids.FIRMWARE_REVISION: "virtual",
        }
        information = [readable(uuid, encode_string(text)) for uuid, text in strings.items()]
        return (
            Service(bumble_uuid(uuids.DEVICE_INFORMATION_SERVICE), information),
            Service(bumble_uuid(uuids.BATTERY_SERVICE), [self._battery]),
        )

    async def _advertise(self) -> None:
        """Advertise with the name in the scan response, or extended where it does not fit there."""
        services = b"".join(bytes(bumble_uuid(uuid)) for uuid in self.advertised_services)
        head = bytes(
            core.AdvertisingData(
                [
                    (_AdType.FLAGS, b"\x06"),
                    (_AdType.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, services),
                ]
            )
        )
        name = bytes(
            core.AdvertisingData([(_AdType.COMPLETE_LOCAL_NAME, self.identity.name.encode())])
        )
        legacy = len(name) <= _LEGACY_DATA_BYTES_MAX
        await self._device.create_advertising_set(
            advertising_parameters=AdvertisingParameters(
                advertising_event_properties=AdvertisingEventProperties(
                    is_connectable=True, is_scannable=legacy, is_legacy=legacy
                ),
                primary_advertising_interval_min=self._advertising_interval_ms,
                primary_advertising_interval_max=self._advertising_interval_ms,
            ),
            random_address=hci.Address(self.identity.address),
            advertising_data=head if legacy else head + name,
            scan_response_data=name if legacy else b"",
            auto_start=True,
            auto_restart=True,
        )


def _count(counts: Counts, *, sent: bool) -> None:
    for counters, n_values in counts:
        if sent:
            counters.sent += n_values
        else:
            counters.unsent += n_values


def _take_back(counts: Counts) -> None:
    for counters, n_values in counts:
        counters.sent -= n_values
        counters.unsent += n_values


def bumble_uuid(uuid: str) -> core.UUID:
    """Convert a UUID as ``devices.uuids`` writes it; assigned numbers become 16 bits again."""
    assigned_number = int(uuid[4:8], 16)
    if uuid == uuids.sig_uuid(assigned_number):
        return core.UUID.from_16_bits(assigned_number)
    return core.UUID(uuid)


def readable(uuid: str, value: "bytes | CharacteristicValue[bytes]") -> "Characteristic[bytes]":
    """Make a characteristic that is only read."""
    return Characteristic(bumble_uuid(uuid), Properties.READ, Permissions.READABLE, value)


def notifying(uuid: str, read: Any = None) -> "Characteristic[bytes]":  # noqa: ANN401
    """Make a characteristic that notifies and, given a function, can be read."""
    if read is None:
        return Characteristic(bumble_uuid(uuid), Properties.NOTIFY, Permissions(0), b"")
    return Characteristic(
        bumble_uuid(uuid),
        Properties.READ | Properties.NOTIFY,
        Permissions.READABLE,
        CharacteristicValue(read=read),
    )
