"""A small ward for the tests: a fast ether, a clock that is moved by hand, and recorded people."""

import asyncio
import contextlib
import heapq
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from fractions import Fraction
from functools import partial
from typing import Generic, TypeVar

import numpy as np
import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import BaseBleakScanner

from devices import uuids
from devices.polar_frames import PmdFrame, decode_frame
from devices.polar_pmd import (
    GetSettingsRequest,
    PmdIndication,
    PmdMeasurement,
    PmdRequest,
    PmdResponse,
    PmdSettings,
    StartRequest,
    StopRequest,
    decode_indication,
    encode_request,
)
from edge.virtual.adapter import TransportOpener
from edge.virtual.bleak_bumble import backend
from edge.virtual.ether import Ether, EtherSettings, open_local_transport
from edge.virtual.oximeter import MODEL as OXIMETER_MODEL
from edge.virtual.oximeter import Oximeter
from edge.virtual.peripheral import Peripheral
from edge.virtual.player import NS_PER_S, Body
from edge.virtual.radio import VirtualRadio
from edge.virtual.sensors import identity
from edge.virtual.strap import MODEL as STRAP_MODEL
from edge.virtual.strap import Strap
from edge.virtual.thermometer import MODEL as THERMOMETER_MODEL
from edge.virtual.thermometer import Thermometer
from ingest.recording import Numeric, Recording, Signal
from tests.waiting import WAIT_S

START_NS = 1_800_000_000 * NS_PER_S
SUPERVISION_TIMEOUT_S = 0.15
ADVERTISING_INTERVAL_MS = 20.0

Item = TypeVar("Item")
Types = tuple[type[BaseBleakScanner], type[BaseBleakClient]]


class HandClock:
    """A clock that stands still until it is moved; a move wakes the sleepers in order."""

    def __init__(self) -> None:
        self._now_ns = START_NS
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Event]] = []

    def now_ns(self) -> int:
        return self._now_ns

    async def sleep_until(self, t_ns: int) -> None:
        if t_ns > self._now_ns:
            woken = asyncio.Event()
            heapq.heappush(self._sleepers, (t_ns, next(self._order), woken))
            await woken.wait()

    async def leap(self, seconds: float) -> None:
        """Advance at once, as for a process that was held up."""
        self._now_ns += round(seconds * NS_PER_S)
        await self.advance(0.0)

    async def advance(self, seconds: float) -> None:
        target_ns = self._now_ns + round(seconds * NS_PER_S)
        while self._sleepers and self._sleepers[0][0] <= target_ns:
            t_ns, _, woken = heapq.heappop(self._sleepers)
            self._now_ns = max(self._now_ns, t_ns)
            woken.set()
            await let_run()
        self._now_ns = target_ns


async def let_run() -> None:
    """Let everything run that can run now: enough turns of the loop for a frame to leave."""
    for _ in range(8):
        await asyncio.sleep(0)


class Inbox(Generic[Item]):
    """What a subscription has brought, and a wait for more."""

    def __init__(self, decode: Callable[[bytes], Item]) -> None:
        self.items: list[Item] = []
        self._decode = decode
        self._arrived = asyncio.Event()

    def __call__(self, _characteristic: object, payload: bytearray) -> None:
        self.items.append(self._decode(bytes(payload)))
        self._arrived.set()

    async def until(self, condition: Callable[[list[Item]], bool]) -> list[Item]:
        async with asyncio.timeout(WAIT_S):
            while not condition(self.items):
                self._arrived.clear()
                await self._arrived.wait()
        return self.items

    async def count(self, n_items: int) -> list[Item]:
        return await self.until(lambda items: len(items) >= n_items)


class Pmd:
    """The central's side of the measurement data service."""

    def __init__(self, client: BleakClient) -> None:
        self._client = client
        self._answers: Inbox[PmdIndication] = Inbox(decode_indication)
        self.frames: Inbox[PmdFrame] = Inbox(decode_frame)

    async def subscribe(self) -> "Pmd":
        await self._client.start_notify(uuids.PMD_CONTROL_POINT, self._answers)
        await self._client.start_notify(uuids.PMD_DATA, self.frames)
        return self

    async def ask(self, request: PmdRequest) -> PmdResponse:
        return await self.ask_raw(encode_request(request))

    async def ask_raw(self, request: bytes) -> PmdResponse:
        n_before = len(self._answers.items)
        await self._client.write_gatt_char(uuids.PMD_CONTROL_POINT, request, response=True)
        answer = (await self._answers.count(n_before + 1))[n_before]
        assert isinstance(answer, PmdResponse)
        return answer

    async def settings(self, measurement: PmdMeasurement) -> PmdResponse:
        return await self.ask(GetSettingsRequest(measurement=measurement))

    async def start(self, measurement: PmdMeasurement, *rates_hz: int) -> PmdResponse:
        settings = PmdSettings(sample_rates_hz=rates_hz)
        return await self.ask(StartRequest(measurement=measurement, settings=settings))

    async def stop(self, measurement: PmdMeasurement) -> PmdResponse:
        return await self.ask(StopRequest(measurement=measurement))

    def samples(self, column: int = 0) -> list[int]:
        columns = [frame.samples[:, column] for frame in self.frames.items]
        return np.concatenate(columns).tolist() if columns else []

    @property
    def n_samples(self) -> int:
        return sum(len(frame.samples) for frame in self.frames.items)


class World:
    """One ether, its sensors, and the agents on it."""

    def __init__(self, *, over_tcp: bool, stack: AsyncExitStack) -> None:
        self.ether = Ether(
            EtherSettings(
                connection_interval_s=0.0, supervision_timeout_s=SUPERVISION_TIMEOUT_S, seed=1
            )
        )
        self.clock = HandClock()
        self.radio: VirtualRadio | None = None
        self._over_tcp = over_tcp
        self._stack = stack

    def body(self, recording: Recording, *, loops: bool = True) -> Body:
        return Body(recording=recording, start_ns=START_NS, loops=loops)

    async def strap(self, number: int = 1, *, body: Body | None = None) -> Strap:
        strap = Strap(
            self.ether,
            identity(STRAP_MODEL, number),
            self.clock,
            body or self.body(ecg_recording()),
            advertising_interval_ms=ADVERTISING_INTERVAL_MS,
        )
        await self._stack.enter_async_context(strap.running())
        return strap

    async def oximeter(self, recording: Recording, number: int = 1) -> Oximeter:
        oximeter = Oximeter(
            self.ether,
            identity(OXIMETER_MODEL, number),
            self.clock,
            self.body(recording),
            advertising_interval_ms=ADVERTISING_INTERVAL_MS,
        )
        await self._stack.enter_async_context(oximeter.running())
        return oximeter

    async def thermometer(self, number: int = 1) -> Thermometer:
        thermometer = Thermometer(
            self.ether,
            identity(THERMOMETER_MODEL, number),
            self.clock,
            advertising_interval_ms=ADVERTISING_INTERVAL_MS,
        )
        await self._stack.enter_async_context(thermometer.running())
        return thermometer

    async def transport(self) -> str | TransportOpener:
        if not self._over_tcp:
            return partial(open_local_transport, self.ether)
        if self.radio is None:
            self.radio = await self._stack.enter_async_context(VirtualRadio(self.ether))
        return self.radio.transport_spec

    async def agent(self, max_connections: int = 7) -> "Agent":
        types = await self._stack.enter_async_context(
            backend(await self.transport(), max_connections)
        )
        return Agent(types, self._stack)


class Agent:
    """What the agent does with bleak's API, and the two types that it was given."""

    def __init__(self, types: Types, stack: AsyncExitStack) -> None:
        self.scanner_type, self.client_type = types
        self._stack = stack

    def scanner(self) -> BleakScanner:
        return BleakScanner(backend=self.scanner_type)

    async def find(self, name: str) -> BLEDevice:
        found = await BleakScanner.find_device_by_name(
            name, timeout=WAIT_S, backend=self.scanner_type
        )
        assert found is not None, name
        return found

    def client(
        self,
        device: BLEDevice | str,
        on_disconnect: Callable[[BleakClient], None] | None = None,
        timeout: float = WAIT_S,
    ) -> BleakClient:
        return BleakClient(device, on_disconnect, timeout=timeout, backend=self.client_type)

    async def connect(
        self,
        peripheral: Peripheral,
        on_disconnect: Callable[[BleakClient], None] | None = None,
    ) -> BleakClient:
        client = self.client(await self.find(peripheral.identity.name), on_disconnect)
        await client.connect()
        self._stack.push_async_callback(client.disconnect)
        return client


def ecg_recording(rate_hz: int = 250, duration_s: int = 20, name: str = "made") -> Recording:
    """A made recording whose every sample is different: any misplaced one shows."""
    n_samples = rate_hz * duration_s
    counts = (np.arange(n_samples) * 7 % 4001 - 2000).astype(np.int32)
    signal = Signal(
        name="ECG", kind="ecg", unit="uV", sampling_rate=Fraction(rate_hz), counts=counts, scale=1.0
    )
    beats_s = np.cumsum(0.7 + 0.1 * np.sin(np.arange(200)))
    return Recording(
        name=name,
        signals=(signal,),
        beats_s=beats_s[beats_s < duration_s],
        beats_source="made",
        source="made",
    )


def ppg_recording(*, with_numerics: bool) -> Recording:
    rate_hz, duration_s = 125, 20
    counts = (np.arange(rate_hz * duration_s) * 5 - 3000).astype(np.int32)
    signal = Signal(
        name="PPG", kind="pleth", unit="1", sampling_rate=Fraction(rate_hz), counts=counts, scale=1
    )
    times_s = np.arange(duration_s, dtype=np.float64)
    spo2 = np.where(times_s == 3, np.nan, 90 + times_s % 5)
    numerics = {
        "spo2": Numeric(unit="%", times_s=times_s, values=spo2),
        "pulse_rate": Numeric(unit="/min", times_s=times_s, values=60 + times_s),
    }
    return Recording(
        name="made",
        signals=(signal,),
        beats_s=np.arange(0.5, duration_s, 0.8),
        beats_source="made",
        numerics=numerics if with_numerics else {},
        source="made",
    )


@contextlib.asynccontextmanager
async def _world(*, over_tcp: bool) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        yield World(over_tcp=over_tcp, stack=stack)


@pytest.fixture(params=["in process", "over TCP"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A ward whose agents are in this process, then one that they reach by HCI over TCP."""
    async with _world(over_tcp=request.param == "over TCP") as made:
        yield made


@pytest.fixture
async def tcp_world() -> AsyncIterator[World]:
    async with _world(over_tcp=True) as made:
        yield made


@pytest.fixture(autouse=True)
async def no_task_left_behind() -> AsyncIterator[None]:
    """Fail a test that leaves a task of its own behind."""
    before = asyncio.all_tasks()
    yield
    await let_run()
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, f"left behind: {sorted(task.get_name() for task in left)}"
