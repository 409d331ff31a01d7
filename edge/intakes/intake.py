"""From one device's payloads to the framer: decode, number, time. Pure: no clock, no I/O.

Whatever the radio brings gives samples, readings, or a count of what could not be used.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import tzinfo
from typing import Final

from devices import codes, uuids
from devices.catalogue import DeviceModel, Quirk
from devices.errors import DecodeError, UnknownCharacteristicError
from devices.heart_rate import decode_heart_rate
from devices.notifications import decode_notification
from devices.readings import Measured, heart_rate_readings
from edge import metrics
from edge.clocks.host_clock import HostClock
from edge.clocks.sample_streams import SampleStreams
from edge.clocks.wall_clock import StatedTime, WallClock
from edge.framer import Framer
from ingest.frame import DeviceEvent, DeviceEventKind, GapCause, Reading

_TIME_STEP_NS: Final = 1
"""Two readings of one quantity, and two events of one device, never share a time: in a store the
later one would erase the earlier."""

_TIMES_MAX: Final = 4_096
"""Times of readings that are remembered, so that no two of one quantity share one; the oldest is
forgotten first. Those that a device dates with the same second come near each other."""

TakePayload = Callable[[bytes, int], None]
"""Takes a payload and the UTC of its arrival in nanoseconds; raises DecodeError."""


class DeviceIntake:
    """Everything that is known about one device while the agent runs.

    Parameters
    ----------
    device_id
        The pseudonym that goes into the Frames.
    model
        Its row of the catalogue.
    framer
        What takes all that is decoded.
    states
        What is to survive a restart, as text by key: ``<device_id>/<what>``. The spool keeps it.
    host
        What tells the times of arrival; None: one that is never set.
    zone
        Where the device is, whose clock shows local time; None: as this computer is set.
    user_index
        The subject's number among the device's users; None: all that it measures is the subject's.

    Attributes
    ----------
    clock
        The device's own clock, where it tells the date.
    streams
        Its waveforms.
    n_payloads
        How many have been taken, decodable or not.
    n_links
        How often it was connected.
    connected, since_ns
        Whether it is connected, and since when, UTC; None: it never was.
    last_payload_ns
        When the newest payload came.
    battery_percent
        As it said last.
    has_failed
        Whether something that came over this link met an error of this program.
    """

    def __init__(
        self,
        device_id: str,
        model: DeviceModel,
        framer: Framer,
        states: dict[str, str],
        host: HostClock | None = None,
        *,
        zone: tzinfo | None = None,
        user_index: int | None = None,
    ) -> None:
        self.device_id = device_id
        self.model = model
        self.clock = WallClock(zone)
        self._host = host or HostClock(0, 0)
        self.streams = SampleStreams(device_id, framer, states, self.event, self._host)
        self.n_payloads = 0
        self.n_links = 0
        self.connected = False
        self.since_ns: int | None = None
        self.last_payload_ns: int | None = None
        self.battery_percent: float | None = None
        self.has_failed = False
        self._framer = framer
        self._states = states
        self._keepers: dict[str, Callable[[], str]] = {}
        self._user_index = user_index
        self._takers: dict[str, TakePayload] = {}
        self._over: frozenset[str] = frozenset()
        self._reading_streams: list[str] = []
        self._last_reading_ns: dict[int, int] = {}
        self._times: OrderedDict[tuple[int, int], None] = OrderedDict()
        self._last_event_ns = 0
        self._expect_by_model()

    @property
    def expected(self) -> frozenset[str]:
        """Characteristics whose payloads have been given to somebody."""
        return frozenset(self._takers)

    def expect(self, characteristic: str, take: TakePayload) -> None:
        """Give the payloads of a characteristic to ``take``; others have their standard meaning."""
        self._takers[characteristic] = take
        self._over -= {characteristic}

    def kept(self, name: str) -> str | None:
        """Give what was kept under a name, by an earlier link or an earlier run of the agent."""
        return self._states.get(f"{self.device_id}/{name}")

    def keep(self, name: str, text: Callable[[], str]) -> None:
        """Keep under a name what ``text`` gives whenever a Frame is stored, in the same commit."""
        self._keepers[name] = text

    def note_states(self) -> None:
        """Bring up to date what is stored with the next Frame."""
        self.streams.note_states()
        for name, text in self._keepers.items():
            self._states[f"{self.device_id}/{name}"] = text()

    def begin_link(self, now_ns: int) -> None:
        """Note that the device is connected."""
        self.connected, self.since_ns = True, now_ns
        self.has_failed = False
        self.n_links += 1
        self.event(DeviceEventKind.CONNECTED, now_ns, self.model.name)

    def end_link(self, now_ns: int, *, lost: bool) -> None:
        """Note that the link has ended."""
        self.connected, self.since_ns = False, now_ns
        self.note_states()
        self._keepers.clear()
        self.streams.end_link()
        self._over = frozenset(self._takers)
        self._takers.clear()
        self._reading_streams.clear()
        self._expect_by_model()
        if lost:
            self.event(DeviceEventKind.LINK_LOST, now_ns)

    def begin_readings(self, name: str) -> None:
        """Note that a stream was started whose frames are readings, not samples."""
        self._reading_streams.append(name)

    def withdraw(self, name: str) -> None:
        """Expect a stream no longer: the device has refused it."""
        self.streams.withdraw(name)
        if name in self._reading_streams:
            self._reading_streams.remove(name)

    def stop_streams(self, now_ns: int, *, asked_ns: int) -> None:
        """Note that the agent has stopped the streams.

        Parameters
        ----------
        now_ns
            UTC, as it was just told.
        asked_ns
            When it began to, on the host's line that never steps.
        """
        for name in (*self.streams.stop(asked_ns), *self._reading_streams):
            self.event(DeviceEventKind.STREAM_STOPPED, now_ns, name)
        self._reading_streams.clear()

    def overflowed(self, characteristic: str) -> None:
        """Note that a payload had to be dropped; its samples will be found missing."""
        self.streams.spoil(characteristic, GapCause.OVERFLOW)
        metrics.OVERFLOWED.labels(self.device_id).inc()

    def failed(self, characteristic: str) -> bool:
        """Note that a payload met an error of this program; tell whether it is this link's first.

        It is lost, and its samples will be found missing.
        """
        metrics.FAULTS.labels(self.device_id).inc()
        self.streams.spoil(characteristic, GapCause.UNDECODABLE)
        is_first, self.has_failed = not self.has_failed, True
        return is_first

    def event(self, kind: DeviceEventKind, t_ns: int, detail: str = "") -> None:
        """Note something that happened to the device."""
        t_ns = max(t_ns, self._last_event_ns + _TIME_STEP_NS)
        self._last_event_ns = t_ns
        self._framer.add_event(
            DeviceEvent(device_id=self.device_id, kind=kind, t_ns=t_ns, detail=detail)
        )

    def take(self, characteristic: str, payload: bytes, received_ns: int) -> bool:
        """Take one notification; False where it could not be decoded."""
        self.n_payloads += 1
        self.last_payload_ns = received_ns
        metrics.PAYLOADS.labels(self.device_id).inc()
        if not self.connected and characteristic in self._over:
            # It came while its link was being ended. Who took such payloads has gone, and will ask
            # for the record again, or find the samples missing.
            metrics.READINGS_DROPPED.labels(self.device_id, "link_ended").inc()
            return True
        try:
            if take := self._takers.get(characteristic):
                take(payload, received_ns)
            else:
                measured = decode_notification(
                    characteristic, payload, weight_factor=self.model.weight_factor
                )
                self.add_readings(measured, received_ns)
        except (DecodeError, UnknownCharacteristicError):
            metrics.UNDECODABLE.labels(self.device_id).inc()
            self.streams.spoil(characteristic, GapCause.UNDECODABLE)
            return False
        return True

    def steady_ns(self, received_ns: int) -> int:
        """Give the same moment on a line that nobody sets: for a pause between two arrivals.

        Parameters
        ----------
        received_ns
            As it was just told.
        """
        return self._host.at(received_ns).steady_ns

    def is_subjects(self, user: int | None) -> bool:
        """Tell whether something is the subject's, by the device's number of its user.

        What is another's, or nobody's, is counted.
        """
        if self._user_index is None or user in (None, self._user_index):
            return True
        metrics.READINGS_DROPPED.labels(self.device_id, "other_user").inc()
        return False

    def add_readings(
        self, measured: Iterable[Measured], received_ns: int, *, stored: bool = False
    ) -> None:
        """Take what a payload has measured.

        Parameters
        ----------
        measured
            In the order in which it was measured.
        received_ns
            UTC of the payload's arrival.
        stored
            It comes from the device's memory.
        """
        for one in measured:
            if one.quantity is codes.BATTERY_LEVEL:
                self.battery_percent = one.value
            if not self.is_subjects(one.user):
                continue
            stated = self._time_of(one, received_ns, stored=stored)
            self._framer.add_reading(
                Reading(
                    device_id=self.device_id,
                    mdc_code=one.quantity.mdc,
                    unit=one.quantity.ucum,
                    value=one.value,
                    t_ns=self._time_of_its_own(one.quantity.mdc, stated.t_ns),
                    reason=None if one.reason is None else str(one.reason),
                    status_bits=one.status_bits | stated.marks,
                    received_ns=received_ns,
                )
            )

    def _time_of(self, one: Measured, received_ns: int, *, stored: bool) -> StatedTime:
        if one.elapsed_time is not None:
            return self.clock.utc_of_elapsed(one.elapsed_time, received_ns)
        if stored or one.measured_at is not None:
            return self.clock.utc(one.measured_at, received_ns, stored=stored)
        last_ns = self._last_reading_ns.get(one.quantity.mdc, 0)
        t_ns = max(received_ns + one.offset_ns, last_ns + _TIME_STEP_NS)
        self._last_reading_ns[one.quantity.mdc] = t_ns
        return StatedTime(t_ns)

    def _time_of_its_own(self, mdc_code: int, t_ns: int) -> int:
        """Move a reading to the next time that no other one of its quantity has."""
        while (mdc_code, t_ns) in self._times:
            t_ns += _TIME_STEP_NS
        self._times[mdc_code, t_ns] = None
        if len(self._times) > _TIMES_MAX:
            self._times.popitem(last=False)
        return t_ns

    def _expect_by_model(self) -> None:
        if Quirk.CONTACT_UNRELIABLE in self.model.quirks:
            self.expect(uuids.HEART_RATE_MEASUREMENT, self._take_heart_rate)

    def _take_heart_rate(self, payload: bytes, received_ns: int) -> None:
        """Take a heart rate whose contact flags are not to be believed: as if they were not."""
        measurement = replace(decode_heart_rate(payload), contact=None)
        self.add_readings(heart_rate_readings(measurement), received_ns)
