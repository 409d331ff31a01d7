"""The agent: one subject, several devices, and nothing lost silently. A shell.

scanner ─► links ─► inbox ─► intakes ─► framer ─► spool ─► sender ─► Kafka
(callbacks only stamp)   (pure: decode, number)     (disk)
"""

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass
from typing import Final

import structlog
from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError

from devices import uuids
from devices.catalogue import DeviceModel, PmdStream, find_model
from devices.errors import DecodeError
from devices.polar_pmd import decode_start_factor
from edge import metrics
from edge.errors import DeviceRefusedError, LinkLostError
from edge.framer import Framer
from edge.identity import device_pseudonym, load_key
from edge.intake import DeviceIntake
from edge.link import Link, connect
from edge.radio import Radio, open_radio
from edge.sender import Sender
from edge.settings import EdgeSettings
from edge.spool import Spool, SpoolError
from ingest.frame import DeviceEventKind, GapCause

log = structlog.get_logger()

INBOX_PAYLOADS_MAX: Final = 20_000
"""Payloads that wait for decoding: minutes of ten sensors. A newer one is dropped and counted."""

FRAMER_SAMPLES_MAX: Final = 500_000
"""Samples kept in memory while the disk is full; then the oldest become a gap."""

SCAN_RETRY_S: Final = 5.0
STOP_S_MAX: Final = 10.0
REFUSED_RETRY_S: Final = 300.0
"""A device that refused is asked again: somebody may have changed its battery or firmware."""


@dataclass(frozen=True, slots=True)
class _Payload:
    """A notification on its way from the callback to the intake."""

    intake: DeviceIntake
    characteristic: str
    payload: bytes
    received_ns: int


class Agent:
    """All of one agent's links and its one way out."""

    def __init__(self, settings: EdgeSettings, radio: Radio, spool: Spool, key: bytes) -> None:
        self._settings = settings
        self._radio = radio
        self._spool = spool
        self._key = key
        self._framer = Framer(settings.subject_id, settings.agent_id)
        self._sender = Sender(settings.kafka, spool, settings.subject_id)
        self._inbox: asyncio.Queue[_Payload] = asyncio.Queue(INBOX_PAYLOADS_MAX)
        self._states = spool.streams()
        self._intakes: dict[str, DeviceIntake] = {}
        self._heard: dict[str, tuple[BLEDevice, AdvertisementData]] = {}
        self._news = asyncio.Condition()

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop`` is set; then stop the streams, flush and deliver what can be.

        Raises
        ------
        BrokerRefusedError
            Wrong credentials or rights.
        """
        links_over = asyncio.Event()
        spooled = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(
                self._sender.run(spooled, drain_s=self._settings.drain_s), name="sender"
            )
            tasks.create_task(self._flush(links_over, spooled), name="flush")
            tasks.create_task(self._run_links(stop, links_over), name="links")

    async def _run_links(self, stop: asyncio.Event, over: asyncio.Event) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._scan(stop), name="scan")
                for device in self._settings.devices:
                    tasks.create_task(self._supervise(device.name, stop), name=device.name)
        finally:
            over.set()

    async def _scan(self, stop: asyncio.Event) -> None:
        """Listen to advertisements for as long as the agent runs."""
        kwargs = {} if self._radio.scanner is None else {"backend": self._radio.scanner}
        while not stop.is_set():
            try:
                async with BleakScanner(self._advertised, **kwargs):  # type: ignore[arg-type]
                    await stop.wait()
            except (BleakError, OSError, EOFError) as error:
                log.warning("scan_failed", error=str(error))
                await _wait(stop, SCAN_RETRY_S)

    async def _advertised(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        name = advertisement.local_name or device.name
        if name is not None and name in {wanted.name for wanted in self._settings.devices}:
            self._heard[name] = (device, advertisement)
            async with self._news:
                self._news.notify_all()

    async def _supervise(self, name: str, stop: asyncio.Event) -> None:
        """Keep one device connected for as long as the agent runs."""
        n_failures = 0
        while not stop.is_set():
            if not await self._await_advertisement(name, stop):
                return
            try:
                async with contextlib.AsyncExitStack() as stack:
                    link, intake = await self._open(name, stack)
                    n_failures = 0
                    await self._stay(link, intake, stop)
            except LinkLostError as error:
                n_failures += 1
                log.info("link_failed", device=name, error=str(error))
            except DeviceRefusedError as error:
                log.error("device_refused", device=name, error=str(error))
                await _wait(stop, REFUSED_RETRY_S)
            # What was heard before the link is no sign that the device is still there.
            self._heard.pop(name, None)
            await _wait(stop, self._pause_s(n_failures))

    async def _await_advertisement(self, name: str, stop: asyncio.Event) -> bool:
        async def heard() -> None:
            async with self._news:
                await self._news.wait_for(lambda: name in self._heard)

        waiters = [
            asyncio.create_task(heard(), name=f"heard {name}"),
            asyncio.create_task(stop.wait(), name="stop"),
        ]
        await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
        return not stop.is_set()

    async def _open(self, name: str, stack: contextlib.AsyncExitStack) -> tuple[Link, DeviceIntake]:
        """Connect, find out what it is, subscribe and start its streams."""
        held: list[tuple[str, bytes, int]] = []
        known: list[DeviceIntake] = []

        def on_payload(characteristic: str, payload: bytes, received_ns: int) -> None:
            if known:
                self._put(known[0], characteristic, payload, received_ns)
            elif len(held) < INBOX_PAYLOADS_MAX:
                held.append((characteristic, payload, received_ns))

        link = await connect(
            lambda: self._heard[name][0],
            name,
            self._radio,
            on_payload,
            timeout_s=self._settings.connect_timeout_s,
        )
        stack.push_async_callback(link.disconnect)
        intake = await self._identify(name, link)
        known.append(intake)
        stack.callback(self._end, link, intake)
        now_ns = time.time_ns()
        intake.event(DeviceEventKind.CONNECTED, now_ns, intake.model.name)
        metrics.CONNECTIONS.labels(intake.device_id).inc()
        metrics.CONNECTED.labels(intake.device_id).set(1)
        log.info("connected", device_id=intake.device_id, model=intake.model.name)
        for uuid in await link.subscribe(intake.model):
            log.warning("characteristic_missing", device_id=intake.device_id, uuid=uuid)
        if link.offers(uuids.BATTERY_LEVEL):
            battery = await link.read(uuids.BATTERY_LEVEL)
            self._put(intake, uuids.BATTERY_LEVEL, battery, time.time_ns())
        await self._start_streams(link, intake)
        return link, intake

    async def _identify(self, name: str, link: Link) -> DeviceIntake:
        device, advertisement = self._heard[name]
        identity = await link.identity()
        model = find_model(
            local_name=advertisement.local_name or device.name,
            manufacturer=identity.get(uuids.MANUFACTURER_NAME),
            model_number=identity.get(uuids.MODEL_NUMBER),
            service_uuids=link.service_uuids(),
        )
        if model is None:
            raise DeviceRefusedError(f"{name} is no model of the catalogue")
        if model.gsp_streams or model.viatom_question is not None:
            raise DeviceRefusedError(f"{model.name}: this agent does not speak its protocol yet")
        return self._intake(model, identity.get(uuids.SERIAL_NUMBER) or device.address)

    def _intake(self, model: DeviceModel, identity: str) -> DeviceIntake:
        device_id = device_pseudonym(model.name, identity, self._key)
        if device_id not in self._intakes:
            self._intakes[device_id] = DeviceIntake(device_id, model, self._framer, self._states)
        return self._intakes[device_id]

    async def _start_streams(self, link: Link, intake: DeviceIntake) -> None:
        if not intake.model.pmd_streams:
            return
        await link.open_streams()
        for row in intake.model.pmd_streams:
            try:
                await self._start_stream(link, intake, row)
            except DeviceRefusedError as error:
                # One stream that a device cannot give must not cost the others.
                log.error("stream_refused", device_id=intake.device_id, error=str(error))
                detail = f"{row.measurement.name}: {error}"
                intake.event(DeviceEventKind.STREAM_REFUSED, time.time_ns(), detail[:200])

    async def _start_stream(self, link: Link, intake: DeviceIntake, row: PmdStream) -> None:
        try:
            settings = await link.choose_settings(row)
            # The intake must know the stream before its first frame arrives.
            rate_hz = row.true_rate_hz(settings.sample_rates_hz[0])
            intake.begin_stream(row, rate_hz=rate_hz, factor=1.0, now_ns=time.time_ns())
            response = await link.start_stream(row, settings)
            intake.set_factor(row, decode_start_factor(response.parameters))
        except (DecodeError, IndexError) as error:
            raise DeviceRefusedError(f"settings not understood: {error!r}") from error

    def _put(
        self, intake: DeviceIntake, characteristic: str, payload: bytes, received_ns: int
    ) -> None:
        try:
            self._inbox.put_nowait(_Payload(intake, characteristic, payload, received_ns))
        except asyncio.QueueFull:
            intake.overflowed(characteristic)

    async def _stay(self, link: Link, intake: DeviceIntake, stop: asyncio.Event) -> None:
        """Wait until the link is lost, a stream falls silent, or the agent stops."""
        n_payloads = -1
        while not link.lost.is_set() and not stop.is_set():
            # A thermometer may rightly say nothing for hours; a stream may not.
            streaming = bool(intake.model.pmd_streams)
            if n_payloads == (n_payloads := intake.n_payloads) and streaming:
                raise LinkLostError(f"silent for {self._settings.stream_silence_s} s")
            await _wait(stop, self._settings.stream_silence_s, link.lost)
        if link.lost.is_set():
            raise LinkLostError("disconnected")
        with contextlib.suppress(LinkLostError, DeviceRefusedError, TimeoutError):
            async with asyncio.timeout(STOP_S_MAX):
                await link.stop_streams()
                self._decode()
                intake.stop_streams(time.time_ns())

    def _end(self, link: Link, intake: DeviceIntake) -> None:
        """Decode what the link has delivered, then note that it is over."""
        self._decode()
        intake.end_link(time.time_ns(), lost=link.lost.is_set())
        metrics.CONNECTED.labels(intake.device_id).set(0)
        if link.lost.is_set():
            metrics.LINKS_LOST.labels(intake.device_id).inc()

    def _decode(self) -> None:
        while not self._inbox.empty():
            one = self._inbox.get_nowait()
            one.intake.take(one.characteristic, one.payload, one.received_ns)

    async def _flush(self, over: asyncio.Event, spooled: asyncio.Event) -> None:
        """Cut a Frame every flush interval; a last one when the links are over."""
        try:
            while not over.is_set():
                await _wait(over, self._settings.flush_interval_s)
                await self._spool_frame()
            await self._spool_frame()
        finally:
            spooled.set()
            self._sender.wake()

    async def _spool_frame(self) -> None:
        self._decode()
        if self._framer.empty:
            return
        frames = self._framer.cut(self._spool.next_sequence)
        for intake in self._intakes.values():
            intake.note_states()
        try:
            await asyncio.to_thread(self._spool.append, frames, dict(self._states))
        except SpoolError as error:
            log.error("frame_not_spooled", error=str(error))
            metrics.SPOOL_FAILURES.inc()
            metrics.READINGS_LOST.inc(self._framer.restore(frames))
            self._framer.give_up(FRAMER_SAMPLES_MAX, GapCause.SPOOL_FULL)
            return
        metrics.FRAMES_SPOOLED.inc(len(frames))
        self._sender.wake()

    def _pause_s(self, n_failures: int) -> float:
        # Jitter keeps agents apart whose links fell together.
        jitter = random.uniform(0.5, 1.0)  # noqa: S311
        pause_s = 0.2 * 2.0 ** min(n_failures, 12)
        return float(min(self._settings.reconnect_s_max, pause_s) * jitter)


async def _wait(stop: asyncio.Event, timeout_s: float, *others: asyncio.Event) -> None:
    """Wait until one of the events is set, at most ``timeout_s``."""
    waiters = [asyncio.create_task(event.wait()) for event in (stop, *others)]
    await asyncio.wait(waiters, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)


async def run_agent(settings: EdgeSettings, stop: asyncio.Event) -> None:
    """Run an agent with these settings until ``stop`` is set.

    Raises
    ------
    SpoolError, RadioUnavailableError, BrokerRefusedError
    """
    spool = Spool(settings.spool_path, n_bytes_max=settings.spool_bytes_max)
    try:
        key = load_key(settings.spool_path.with_name("agent.key"))
        async with open_radio(settings) as radio:
            await Agent(settings, radio, spool, key).run(stop)
    finally:
        spool.close()
