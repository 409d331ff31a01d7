"""A ward of any virtual sensors and one agent on them, counted on both ends."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.scanner import BaseBleakScanner
from bleak.backends.service import BleakGATTServiceCollection
from bleak.exc import BleakGATTProtocolError
from bumble.device import Peer

from devices import uuids
from edge.agent import run_agent
from edge.identity import device_label, load_key
from edge.links.recovery import NoRecovery
from edge.settings import DeviceSettings, EdgeSettings
from edge.virtual.bleak_bumble import backend
from edge.virtual.ether import Ether, EtherSettings
from edge.virtual.peripheral import Peripheral
from edge.virtual.player import SteadyClock
from edge.virtual.radio import VirtualRadio
from edge.virtual.sensors import PersonSettings, SensorsSettings, build_sensors
from ingest.frame import DeviceEvent, Frame
from ingest.settings import KafkaSettings
from tests.edge.test_agent import SUBJECT, broker_of
from tests.stored import stored_frames
from tests.waiting import WAIT_S

__all__ = ["broker_of"]

_INVALID_HANDLE = 0x01


class SensorWard:
    """Sensors of any persons in this process, and agents that are run on them."""

    def __init__(
        self,
        kafka: KafkaSettings,
        folder: Path,
        persons: Sequence[PersonSettings],
        **settings: object,
    ) -> None:
        self.kafka = kafka
        self.folder = folder
        self.ether = Ether(EtherSettings(supervision_timeout_s=0.5))
        self.sensors: list[Peripheral] = list(
            build_sensors(
                SensorsSettings(persons=tuple(persons), thermometer_period_s=1.0),
                self.ether,
                SteadyClock(),
            )
        )
        self.radio = VirtualRadio(self.ether, 0)
        self.log: Sequence[MutableMapping[str, Any]] = []
        self._settings = settings

    def settings(self) -> EdgeSettings:
        values: dict[str, Any] = {
            "subject_id": SUBJECT,
            "agent_id": "a-1",
            "kafka": self.kafka,
            "spool_path": self.folder / "spool.sqlite",
            "flush_interval_s": 0.1,
            "reconnect_s_max": 0.5,
            "drain_s": WAIT_S,
            "radio_backend": "edge.virtual.bleak_bumble:backend",
            "radio_transport": self.radio.transport_spec,
        }
        if "devices" not in self._settings:
            names = [one.identity.name for one in self.sensors]
            values["devices"] = tuple(DeviceSettings(name=name) for name in names)
        return EdgeSettings(**(values | self._settings))

    def set(self, **settings: object) -> None:
        """Change settings of the next agent."""
        self._settings |= settings

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["SensorWard"]:
        """Run broker, radio and sensors."""
        async with broker_of(self.kafka), self.radio, contextlib.AsyncExitStack() as sensors:
            for one in self.sensors:
                await sensors.enter_async_context(one.running())
            yield self

    @contextlib.asynccontextmanager
    async def agent(self) -> AsyncIterator[asyncio.Event]:
        """Run an agent and record its log; stop it in good order at the end."""
        stop = asyncio.Event()
        with structlog.testing.capture_logs() as captured:
            self.log = captured
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(run_agent(self.settings(), stop), name="agent")
                try:
                    yield stop
                finally:
                    stop.set()
                    async with asyncio.timeout(WAIT_S):
                        await asyncio.wait([running])

    async def frames(self) -> list[Frame]:
        """Read what has arrived in Kafka, each Frame once, in order."""
        return await stored_frames(self.kafka, SUBJECT)

    def logged(self, event: str) -> list[MutableMapping[str, Any]]:
        """Give what the agent has logged under a name."""
        return [one for one in self.log if one["event"] == event]

    def connects_of(self, sensor: Peripheral) -> list[MutableMapping[str, Any]]:
        """Give the log of the connections that were made to a sensor and have led to it."""
        key = load_key(self.settings().spool_path.with_name("agent.key"))
        label = device_label(sensor.identity.name, key)
        return [one for one in self.logged("connected") if one["device"] == label]

    def has_connected(self, sensor: Peripheral, n_times: int) -> bool:
        """Tell whether the agent has connected to a sensor so many times."""
        return len(self.connects_of(sensor)) == n_times

    def assert_nobody_is_named(self, frames: Iterable[Frame]) -> None:
        """Look for names, addresses and serial numbers in all that leaves the agent."""
        said = f"{self.log}{[(f.events, f.gaps, f.readings, f.clocks) for f in frames]}"
        for one in self.sensors:
            for identity in (one.identity.name, one.identity.address, one.identity.address.lower()):
                assert identity not in said


def five_slots(
    transport_spec: str,
) -> contextlib.AbstractAsyncContextManager[tuple[type[BaseBleakScanner], type[BaseBleakClient]]]:
    """Open a controller that holds five links."""
    return backend(transport_spec, max_connections=5)


def _without(uuid: str, services: BleakGATTServiceCollection) -> BleakGATTServiceCollection:
    kept = BleakGATTServiceCollection()
    for service in services:
        if service.uuid != uuid:
            kept.add_service(service)
            for one in service.characteristics:
                kept.characteristics[one.handle] = one
    return kept


@contextlib.asynccontextmanager
async def remembering(
    transport_spec: str, *, forgets: bool = True, misplaces: bool = False
) -> AsyncIterator[tuple[type[BaseBleakScanner], type[BaseBleakClient]]]:
    """Open a controller whose system remembers no Heart Rate service, until it is told to forget.

    So a system does that has read the services of an older firmware.
    """
    remembers = [True]

    async with backend(transport_spec) as (scanner_type, client_type):

        class Client(client_type):  # type: ignore[misc,valid-type]
            async def _discover(self, peer: Peer) -> None:
                await super()._discover(peer)
                if remembers[0] and not misplaces:
                    self.services = _without(
                        uuids.HEART_RATE_SERVICE,
                        self.services,  # type: ignore[has-type]
                    )

            async def read_gatt_char(
                self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False
            ) -> bytearray:
                if remembers[0] and misplaces:
                    raise BleakGATTProtocolError(_INVALID_HANDLE)
                read: bytearray = await super().read_gatt_char(
                    characteristic, use_cached=use_cached
                )
                return read

        class Recovery(NoRecovery):
            async def forget_services(self, address: str) -> bool:
                remembers[0] = not forgets
                return True

        scanner_type.recovery = Recovery("hci0")  # type: ignore[attr-defined]
        yield scanner_type, Client


def misplacing(
    transport_spec: str,
) -> contextlib.AbstractAsyncContextManager[tuple[type[BaseBleakScanner], type[BaseBleakClient]]]:
    """Open a controller whose system remembers handles of an older firmware."""
    return remembering(transport_spec, misplaces=True)


def stubborn(
    transport_spec: str,
) -> contextlib.AbstractAsyncContextManager[tuple[type[BaseBleakScanner], type[BaseBleakClient]]]:
    """Open a controller whose system does not forget, as if the device had no such service."""
    return remembering(transport_spec, forgets=False)


@contextlib.asynccontextmanager
async def restarting(
    transport_spec: str,
) -> AsyncIterator[tuple[type[BaseBleakScanner], type[BaseBleakClient]]]:
    """Open a controller whose scanner finds its bus gone twice, as when bluetoothd restarts."""
    errors: list[Exception] = [EOFError(), BrokenPipeError()]

    async with backend(transport_spec) as (scanner_type, client_type):

        class Scanner(scanner_type):  # type: ignore[misc,valid-type]
            async def start(self) -> None:
                if errors:
                    raise errors.pop()
                await super().start()

        yield Scanner, client_type


def events_of(frames: Iterable[Frame]) -> list[DeviceEvent]:
    return [event for frame in frames for event in frame.events]


def accounts_of(
    sensors: Iterable[Peripheral], frames: Sequence[Frame]
) -> tuple[Counter[str], Counter[str]]:
    """Add up both ends; give the samples stored and in gaps by cause.

    On the sensors' side: all that was taken while a stream was started, and what was passed over
    between a stop and a start, which the agent cannot tell from a loss. On the other side: samples
    in Frames, and samples in their gaps.
    """
    stored: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    for frame in frames:
        for block in frame.waveforms:
            stored[block.channel] += block.n_samples
        for gap in frame.gaps:
            stored[gap.channel] += gap.n_samples
            causes[gap.cause] += gap.n_samples
    produced: Counter[str] = Counter()
    for one in sensors:
        for name, counters in one.channels.items():
            produced[name] += counters.produced + counters.n_between
    print(f"produced {dict(+produced)}\nstored and in gaps {dict(stored)}, of it {dict(causes)}")
    assert [frame.sequence for frame in frames] == list(range(len(frames)))
    assert +produced == stored
    return stored, causes
