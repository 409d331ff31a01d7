"""From one device's payloads to the framer: decode, number, time. Pure: no clock, no I/O.

Whatever the radio brings gives samples, readings, or a count of what could not be used.
"""

from collections.abc import Callable, Iterable
from typing import Final

from devices import codes
from devices.catalogue import DeviceModel
from devices.errors import DecodeError, UnknownCharacteristicError
from devices.notifications import decode_notification
from devices.readings import Measured
from edge import metrics
from edge.framer import Framer
from edge.host_clock import HostClock
from edge.sample_streams import SampleStreams
from ingest.frame import DeviceEvent, DeviceEventKind, GapCause, Reading

_TIME_STEP_NS: Final = 1
"""Two readings of one quantity, and two events of one device, never share a time: in a store the
later one would erase the earlier."""

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

    Attributes
    ----------
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
    """

    def __init__(
        self,
        device_id: str,
        model: DeviceModel,
        framer: Framer,
        states: dict[str, str],
        host: HostClock | None = None,
    ) -> None:
        self.device_id = device_id
        self.model = model
        self._host = host or HostClock(0, 0)
        self.streams = SampleStreams(device_id, framer, states, self.event, self._host)
        self.n_payloads = 0
        self.n_links = 0
        self.connected = False
        self.since_ns: int | None = None
        self.last_payload_ns: int | None = None
        self.battery_percent: float | None = None
        self._framer = framer
        self._takers: dict[str, TakePayload] = {}
        self._last_reading_ns: dict[int, int] = {}
        self._last_event_ns = 0

    def expect(self, characteristic: str, take: TakePayload) -> None:
        """Give the payloads of a characteristic to ``take``; others have their standard meaning."""
        self._takers[characteristic] = take

    def begin_link(self, now_ns: int) -> None:
        """Note that the device is connected."""
        self.connected, self.since_ns = True, now_ns
        self.n_links += 1
        self.event(DeviceEventKind.CONNECTED, now_ns, self.model.name)

    def end_link(self, now_ns: int, *, lost: bool) -> None:
        """Note that the link has ended."""
        self.connected, self.since_ns = False, now_ns
        self.streams.end_link()
        self._takers.clear()
        if lost:
            self.event(DeviceEventKind.LINK_LOST, now_ns)

    def stop_streams(self, now_ns: int) -> None:
        """Note that the agent has stopped the streams."""
        for name in self.streams.stop():
            self.event(DeviceEventKind.STREAM_STOPPED, now_ns, name)

    def overflowed(self, characteristic: str) -> None:
        """Note that a payload had to be dropped; its samples will be found missing."""
        self.streams.spoil(characteristic, GapCause.OVERFLOW)
        metrics.OVERFLOWED.labels(self.device_id).inc()

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
        try:
            if take := self._takers.get(characteristic):
                take(payload, received_ns)
            else:
                self.add_readings(decode_notification(characteristic, payload), received_ns)
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

    def add_readings(self, measured: Iterable[Measured], received_ns: int) -> None:
        """Take what a payload has measured."""
        for one in measured:
            if one.quantity is codes.BATTERY_LEVEL:
                self.battery_percent = one.value
            t_ns = max(
                received_ns + one.offset_ns,
                self._last_reading_ns.get(one.quantity.mdc, 0) + _TIME_STEP_NS,
            )
            self._last_reading_ns[one.quantity.mdc] = t_ns
            self._framer.add_reading(
                Reading(
                    device_id=self.device_id,
                    mdc_code=one.quantity.mdc,
                    unit=one.quantity.ucum,
                    value=one.value,
                    t_ns=t_ns,
                    reason=None if one.reason is None else str(one.reason),
                    status_bits=one.status_bits,
                    received_ns=received_ns,
                )
            )
