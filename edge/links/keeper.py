"""Keeps one device connected: wait until it is heard, connect, stay, come back. A shell."""

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Final, Protocol

import structlog
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from devices import uuids
from devices.catalogue import DeviceModel, Quirk, find_model
from edge import metrics
from edge.errors import (
    BondLostError,
    ConnectAbortedError,
    DeviceFaultError,
    DeviceNotFoundError,
    DeviceRefusedError,
    LinkLostError,
    OutOfSlotsError,
    RadioUnavailableError,
    StaleServicesError,
)
from edge.faults import trace_of
from edge.inbox import Inbox
from edge.intakes.intake import DeviceIntake
from edge.links import link_metrics
from edge.links.back_off import BackOff
from edge.links.circuit_breaker import CircuitBreaker
from edge.links.connect_plan import Connect
from edge.links.connect_queue import ConnectQueue
from edge.links.importance import Importance, importance_of
from edge.links.link import Link, connect
from edge.links.radio import RadioAdapter
from edge.links.roster import Roster, Wanted
from edge.links.session import OPEN_GRACE_S, IntakeOf, open_session
from edge.links.stream_watch import WatchLimits
from edge.settings import EdgeSettings
from edge.waiting import unless, wait_any
from ingest.frame import DeviceEventKind

log = structlog.get_logger()

STABLE_S: Final = 10.0
"""A link that stood for so long has worked; one that did not is a failure in a row."""
REFUSED_RETRY_S: Final = 300.0
"""A device that refused is asked again: somebody may have changed its battery or firmware."""
OPENINGS_FACTOR: Final = 10.0
STREAM_STEP_S: Final = 2.0

Sighting = tuple[BLEDevice, AdvertisementData]


class Adapters(Protocol):
    """What a keeper needs of the adapters."""

    def adapter(self, name: str) -> RadioAdapter:
        """Give an adapter by its name."""
        ...

    def doubt(self, name: str) -> None:
        """Let an adapter be looked at: something failed that should not."""


class StrangerError(Exception):
    """A nameless device that was asked is not the one that was looked for."""


class Keeper:
    """One device of the settings.

    Parameters
    ----------
    wanted
        Which.
    settings, inbox, intake_of, queue, roster, adapters
        Of the agent.
    """

    def __init__(
        self,
        wanted: Wanted,
        settings: EdgeSettings,
        *,
        inbox: Inbox,
        intake_of: IntakeOf,
        queue: ConnectQueue,
        roster: Roster,
        adapters: Adapters,
    ) -> None:
        self.wanted = wanted
        self.connected = False
        self.give_way = asyncio.Event()
        self._settings = settings
        self._inbox = inbox
        self._intake_of = intake_of
        self._queue = queue
        self._roster = roster
        self._adapters = adapters
        self._sightings: dict[str, Sighting] = {}
        self._heard = asyncio.Event()
        self._fresh_services = False
        self._intake: DeviceIntake | None = None
        self._had_link = False
        self._since_s = 0.0
        self._log = log.bind(device=wanted.label)
        self._back_off = BackOff(
            first_s=min(0.2, settings.reconnect_s_max), max_s=settings.reconnect_s_max
        )
        self._breaker = CircuitBreaker(
            n_failures_max=settings.breaker_failures,
            open_s=settings.breaker_open_s,
            open_s_max=settings.breaker_open_s * OPENINGS_FACTOR,
        )
        silence_s = settings.stream_silence_s
        self._limits = WatchLimits(
            n_periods=settings.stream_silence_periods,
            least_s=min(STREAM_STEP_S, silence_s),
            longest_s=silence_s,
        )

    @property
    def intake(self) -> DeviceIntake | None:
        """Its intake; None until it was connected for the first time."""
        return self._intake

    @property
    def missing(self) -> bool:
        """Whether it should be in the air: who gives results one by one is mostly asleep."""
        return not self.connected and self._importance() > Importance.RESULTS

    def heard(self, adapter: str, sighting: Sighting) -> None:
        """Note an advertisement that is, or may be, this device's."""
        self._sightings[adapter] = sighting
        self._heard.set()

    def forget(self, adapter: str) -> None:
        """Forget what an adapter has heard that is gone."""
        self._sightings.pop(adapter, None)

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the device connected until ``stop`` is set."""
        while not stop.is_set():
            await wait_any(self._pause_s(), stop)
            if stop.is_set() or await unless(stop, self._heard.wait()) is None:
                return
            turn = await unless(stop, self._queue.turn(self.wanted.label, self._importance()))
            if turn is not None:
                await self._take_turn(turn, stop)

    # One turn, from the connect to the end of the link

    async def _take_turn(self, turn: Connect, stop: asyncio.Event) -> None:
        try:
            await self._connect_and_stay(turn, stop)
            self._breaker.succeeded()
        except StrangerError:
            self._log.info("stranger_left")
        except OutOfSlotsError as error:
            self._note_failure("out_of_slots", error)
        except RadioUnavailableError as error:
            # The adapter's fault, not the device's: it does not count against it.
            self._note_failure("radio", error)
            self._adapters.doubt(turn.adapter)
        except DeviceRefusedError as error:
            await self._refused(error, stop)
        except LinkLostError as error:
            self._lost(error)
            if self._had_link:
                self._adapters.doubt(turn.adapter)
        except Exception as error:  # noqa: BLE001 - one device's fault is no other's
            self._faulted(error)
        finally:
            # What was heard before the link is no sign that the device is still there.
            self._sightings.clear()
            self._heard.clear()
            self._roster.forget_address(self.wanted)

    async def _connect_and_stay(self, turn: Connect, stop: asyncio.Event) -> None:
        self._had_link = False
        try:
            link = await unless(stop, self._connect(turn))
        except BaseException as error:
            self._queue.failed(turn, out_of_slots=isinstance(error, OutOfSlotsError))
            raise
        if link is None:
            self._queue.failed(turn)
            return
        self.give_way.clear()
        self._queue.connected(turn, self._importance())
        self.connected = self._had_link = True
        self._since_s = time.monotonic()
        try:
            await self._stay(turn, link, stop)
        except StaleServicesError:
            await self._read_services_anew(link)
            raise
        finally:
            self.connected = False
            try:
                await link.disconnect()
            finally:
                self._queue.ended(turn)

    async def _connect(self, turn: Connect) -> Link:
        """Connect through the adapter whose turn it is, to what it has heard last."""
        sighting = self._sightings.get(turn.adapter)
        if sighting is None:
            raise DeviceNotFoundError("not heard any more")
        last = sighting[0]

        def newest() -> BLEDevice:
            return self._sightings.get(turn.adapter, (last,))[0]

        return await connect(
            newest,
            self.wanted.label,
            self._adapters.adapter(turn.adapter),
            timeout_s=self._settings.connect_timeout_s,
            fresh_services=self._fresh_services,
        )

    async def _stay(self, turn: Connect, link: Link, stop: asyncio.Event) -> None:
        sighting = self._sightings.get(turn.adapter)
        if sighting is None:
            raise LinkLostError("the adapter is gone")
        intake = await unless(stop, self._identify(link, sighting))
        if intake is None:
            return
        self._intake = intake
        self._queue.rank(turn, importance_of(intake.model))
        if Quirk.BONDING_NEEDED in intake.model.quirks:
            await unless(stop, link.pair())
        self._log.info(
            "connected",
            device_id=intake.device_id,
            model=intake.model.name,
            adapter=turn.adapter,
            mtu_bytes=link.mtu_bytes,
        )
        async with open_session(link, intake, self._inbox, self._limits) as session:
            try:
                await unless(stop, session.open(), grace_s=OPEN_GRACE_S)
                self._fresh_services = False
                ended = await session.stay(stop, self.give_way)
                self._log.info("link_ended", device_id=intake.device_id, reason=ended)
            except DeviceRefusedError:
                # One protocol is refused; what another one has started is stopped.
                await session.close()
                raise
            await session.close()

    async def _identify(self, link: Link, sighting: Sighting) -> DeviceIntake:
        """Find out what the link leads to.

        Raises
        ------
        DeviceRefusedError
            It is no model of the catalogue, or not the device of the settings.
        StrangerError, LinkLostError
        """
        device, advertisement = sighting
        name = advertisement.local_name or device.name
        identity = await link.identity()
        self._check_serial(identity.get(uuids.SERIAL_NUMBER), name, device.address)
        model = _find_model(name, identity, link.service_uuids())
        if model is None:
            raise DeviceRefusedError("it is no model of the catalogue")
        wanted = self.wanted.name or self.wanted.serial
        return self._intake_of(model, identity.get(uuids.SERIAL_NUMBER) or device.address, wanted)

    def _check_serial(self, serial: str | None, name: str | None, address: str) -> None:
        wanted = self.wanted
        if not wanted.serial or serial == wanted.serial:
            if wanted.serial:
                self._roster.recognised(wanted, address)
            return
        if name:
            raise DeviceRefusedError("it states another serial number than the settings")
        # The address was another device's before, or this one was never ours.
        link_metrics.PROBED.inc()
        self._roster.forget_address(wanted)
        self._roster.asked(address, serial, time.monotonic())
        raise StrangerError

    async def _read_services_anew(self, link: Link) -> None:
        """Let the next connect read the services from the device itself."""
        link_metrics.SERVICES_STALE.inc()
        if self._fresh_services:
            # They were read from the device just now: it does lack what its model has.
            self._fresh_services = False
            raise DeviceRefusedError("it lacks what its model has")
        self._fresh_services = True
        self._log.warning("services_stale")
        model = self._model()
        # BlueZ would forget the bond, too.
        if model is None or Quirk.BONDING_NEEDED not in model.quirks:
            await link.forget_services()

    # What follows from a failure

    def _lost(self, error: LinkLostError) -> None:
        cause = next((name for kind, name in _CAUSES if isinstance(error, kind)), None)
        if cause is None and self._had_link and self._has_worked():
            self._breaker.succeeded()
            self._log.info("link_lost", error=str(error))
            return
        self._note_failure(cause or "no_link", error)
        if not (isinstance(error, StaleServicesError) and self._had_link):
            self._count_failure()

    def _faulted(self, error: Exception) -> None:
        """Take an error of this program as a failure of the device: the others go on."""
        if self._had_link and time.monotonic() - self._since_s >= STABLE_S:
            self._breaker.succeeded()
        if not isinstance(error, DeviceFaultError):
            device_id = self.wanted.label if self._intake is None else self._intake.device_id
            metrics.FAULTS.labels(device_id).inc()
            self._log.error("device_fault", error=trace_of(error))
        self._note_failure("fault", "an error of the agent itself: see device_fault")
        self._count_failure()

    def _has_worked(self) -> bool:
        """Tell whether a link that has ended was a good one."""
        if self._intake is None:
            return False
        # Who gives results one by one leaves when they are told.
        stood_s = time.monotonic() - self._since_s
        return stood_s >= STABLE_S or self._importance() <= Importance.RESULTS

    def _note_failure(self, cause: str, error: Exception | str) -> None:
        link_metrics.CONNECT_FAILURES.labels(cause).inc()
        self._log.info("link_failed", cause=cause, error=str(error))

    def _count_failure(self) -> None:
        if not self._breaker.failed(time.monotonic()):
            return
        open_s = self._breaker.wait_s(time.monotonic())
        link_metrics.BREAKER_OPENINGS.inc()
        self._log.warning(
            "device_left_alone", n_failures=self._breaker.n_failures, open_s=round(open_s)
        )
        if self._intake is not None:
            detail = f"{self._breaker.n_failures} failures in a row: not tried for {open_s:.0f} s"
            self._intake.event(DeviceEventKind.LEFT_ALONE, self._inbox.now_ns(), detail)

    async def _refused(self, error: DeviceRefusedError, stop: asyncio.Event) -> None:
        link_metrics.REFUSED.inc()
        self._log.error("device_refused", error=str(error))
        if isinstance(error, BondLostError) and self._intake is not None:
            self._intake.event(DeviceEventKind.BOND_LOST, self._inbox.now_ns(), str(error))
        await wait_any(REFUSED_RETRY_S, stop)

    def _pause_s(self) -> float:
        # Jitter keeps agents apart whose links fell together.
        pause_s = self._back_off.pause_s(self._breaker.n_failures, random.random())  # noqa: S311
        return max(pause_s, self._breaker.wait_s(time.monotonic()))

    def _importance(self) -> Importance:
        return importance_of(self._model())

    def _model(self) -> DeviceModel | None:
        """Tell the model by what was read from the device, or else by what it advertises."""
        if self._intake is not None:
            return self._intake.model
        for device, advertisement in self._sightings.values():
            name = advertisement.local_name or device.name
            return _find_model(name, {}, advertisement.service_uuids)
        return _find_model(self.wanted.name, {}, [])


_CAUSES: Final = (
    (DeviceNotFoundError, "not_found"),
    (ConnectAbortedError, "aborted"),
    (StaleServicesError, "stale_services"),
)


def _find_model(
    name: str | None, identity: Mapping[str, str], service_uuids: list[str]
) -> DeviceModel | None:
    return find_model(
        local_name=name,
        manufacturer=identity.get(uuids.MANUFACTURER_NAME),
        model_number=identity.get(uuids.MODEL_NUMBER),
        service_uuids=service_uuids,
    )
