"""Chevet Virtual O2Ring: a ring that measures and says nothing until it is asked."""

import asyncio
from collections.abc import Coroutine, Iterable
from fractions import Fraction
from typing import Any, Final

import numpy as np
from bumble.device import Connection
from bumble.gatt import Characteristic, CharacteristicValue, Service
from numpy.typing import NDArray

from devices import uuids
from devices.viatom import (
    ViatomAssembler,
    ViatomCommand,
    ViatomReply,
    ViatomRequest,
    decode_viatom_request,
    encode_viatom_reply,
    viatom_chunks,
)
from devices.viatom_data import (
    ViatomCharging,
    ViatomContact,
    ViatomRealTime,
    ViatomSensors,
    encode_viatom_real_time,
    encode_viatom_sensors,
)
from edge.virtual.ether import Ether
from edge.virtual.peripheral import (
    ADVERTISING_INTERVAL_MS_DEFAULT,
    Counters,
    Identity,
    Permissions,
    Properties,
    bumble_uuid,
    notifying,
)
from edge.virtual.player import Body, Clock, SampleGrid
from edge.virtual.recorded import RecordedPeripheral

MODEL: Final = "Virtual O2Ring"
WAVEFORM_RATE_HZ: Final = 125
WAVEFORM_SAMPLES_MAX: Final = 250
"""Two seconds: what is older when it is asked for is lost, as nobody asked in time."""

_REQUEST_HEAD: Final = 0xAA
_REFUSED: Final = 1
_SAMPLE_MAX: Final = 200
_MARK: Final = 156


class O2Ring(RecordedPeripheral):
    """Saturation, pulse rate and a waveform, for a central that polls.

    What the recording has not is never made up: saturation and pulse rate are then those of a ring
    that is still searching. The waveform is the first plethysmogram, scaled to the ring's byte;
    perfusion index and motion are 0.

    Parameters
    ----------
    ether, identity, clock, advertising_interval_ms
        See ``Peripheral``.
    body
        Who wears it.
    """

    def __init__(
        self,
        ether: Ether,
        identity: Identity,
        clock: Clock,
        body: Body,
        *,
        advertising_interval_ms: float = ADVERTISING_INTERVAL_MS_DEFAULT,
    ) -> None:
        super().__init__(
            ether, identity, clock, body, advertising_interval_ms=advertising_interval_ms
        )
        self._waveform = ring_waveform(body)
        self._i_next: int | None = None
        self.worn = True
        self.answers = True
        """False: it hears the questions and is silent, as one that has hung itself up."""
        self.n_asked = 0
        """Whole questions that came."""
        self.requests = ViatomAssembler(_REQUEST_HEAD)
        """Its counters account for the bytes that were written."""
        self.readings["sensors"] = Counters()
        self._answering = asyncio.Lock()
        self._notify = notifying(uuids.VIATOM_NOTIFY)
        self._write: Characteristic[bytes] = Characteristic(
            bumble_uuid(uuids.VIATOM_WRITE),
            Properties.WRITE | Properties.WRITE_WITHOUT_RESPONSE,
            Permissions.WRITEABLE,
            CharacteristicValue(write=self._on_write),
        )

    @property
    def advertised_services(self) -> tuple[str, ...]:
        """UUIDs in the advertisement: none, it is known by its name."""
        return ()

    def services(self) -> Iterable[Service]:
        """Give the ring's service."""
        return (Service(bumble_uuid(uuids.VIATOM_SERVICE), [self._write, self._notify]),)

    def jobs(self) -> Iterable[Coroutine[Any, Any, None]]:
        """Give nothing: it only answers."""
        return ()

    def sensors_at(self, t_ns: int) -> ViatomSensors:
        """Return the older answer at an instant."""
        spo2_percent, pulse_rate_bpm = self._values_at(t_ns)
        return ViatomSensors(
            spo2_percent=spo2_percent,
            pulse_rate_bpm=pulse_rate_bpm,
            battery_percent=self._battery_percent,
            charging=ViatomCharging.DISCHARGING,
            motion=0,
            perfusion_index_percent=0.0,
            contact=ViatomContact(self.worn),
        )

    def real_time_at(self, t_ns: int) -> ViatomRealTime:
        """Return the newer answer at an instant, with the waveform since the last."""
        spo2_percent, pulse_rate_bpm = self._values_at(t_ns)
        return ViatomRealTime(
            spo2_percent=spo2_percent,
            pulse_rate_bpm=pulse_rate_bpm,
            battery_percent=self._battery_percent,
            charging=ViatomCharging.DISCHARGING,
            perfusion_index_percent=0.0,
            contact=ViatomContact(self.worn),
            waveform=self._take_waveform(t_ns),
        )

    def waveform_between(self, i_first: int, i_end: int) -> tuple[int | None, ...]:
        """Return samples of the ring's 125 each second, counted from the recording's start."""
        taken = self._waveform[np.arange(i_first, i_end) % len(self._waveform)]
        return tuple(taken.tolist())

    def _on_connection(self, connection: Connection) -> None:
        super()._on_connection(connection)
        self.requests.end()

    def _on_write(self, connection: Connection, value: bytes) -> None:
        for frame in self.requests.process(bytes(value)):
            self.n_asked += 1
            if self.answers:
                self.spawn(self._answer(connection, decode_viatom_request(frame)))

    async def _answer(self, connection: Connection, request: ViatomRequest) -> None:
        async with self._answering:
            if connection is not self.connection:
                return
            reply = self._reply(request)
            *chunks, last = viatom_chunks(encode_viatom_reply(reply))
            sent = Counters()
            for chunk in chunks:
                await self.notify(self._notify, chunk, [(sent, 1)])
            counters = self.readings["sensors"]
            # The chunks stay in order: once the others are on the link, the last decides.
            counts = () if sent.unsent or reply.status else ((counters, 1),)
            await self.notify(self._notify, last, counts)
            if sent.unsent and not reply.status:
                counters.produced += 1
                counters.unsent += 1

    def _reply(self, request: ViatomRequest) -> ViatomReply:
        t_ns = self.clock.now_ns()
        match request.command, request.data:
            case ViatomCommand.SENSORS, b"":
                return ViatomReply(status=0, data=encode_viatom_sensors(self.sensors_at(t_ns)))
            case ViatomCommand.SENSORS | ViatomCommand.REAL_TIME, b"\0":
                return ViatomReply(status=0, data=encode_viatom_real_time(self.real_time_at(t_ns)))
            case _:
                return ViatomReply(status=_REFUSED)

    def _values_at(self, t_ns: int) -> tuple[int | None, int | None]:
        if not self.worn:
            return None, None
        recorded = self._body.recording.numerics
        spo2_percent = self._body.numeric("spo2", t_ns) if "spo2" in recorded else None
        if "pulse_rate" in recorded or self._beats is None:
            pulse_rate_bpm = self._body.numeric("pulse_rate", t_ns)
        else:
            pulse_rate_bpm = self._beats.rate_bpm(self._body.elapsed_s(t_ns))
        return round(spo2_percent or 0), round(pulse_rate_bpm or 0)

    def _take_waveform(self, t_ns: int) -> tuple[int | None, ...]:
        n_taken = SampleGrid(self._body.start_ns, Fraction(WAVEFORM_RATE_HZ)).n_taken(t_ns)
        i_first = n_taken if self._i_next is None else self._i_next
        self._i_next = n_taken
        if not len(self._waveform):
            return ()
        return self.waveform_between(max(i_first, n_taken - WAVEFORM_SAMPLES_MAX), n_taken)


def ring_waveform(body: Body) -> NDArray[np.int64]:
    """Return one round of the recording's first plethysmogram, as the ring sends it.

    Each place has the nearest recorded sample before it, scaled to 0 to 200 without 156, which the
    maker has made a mark; shape ``(n_samples,)`` at 125 Hz, empty where the recording has no
    plethysmogram.
    """
    signal = body.recording.first("pleth")
    if signal is None:
        return np.zeros(0, dtype=np.int64)
    n_samples = int(signal.duration * WAVEFORM_RATE_HZ)
    rate_hz = float(signal.sampling_rate)
    places = (np.arange(n_samples) * (rate_hz / WAVEFORM_RATE_HZ)).astype(np.int64)
    counts = signal.counts[np.minimum(places, len(signal.counts) - 1)].astype(np.float64)
    span = float(np.ptp(counts)) or 1.0
    scaled: NDArray[np.int64] = np.rint((counts - counts.min()) / span * _SAMPLE_MAX).astype(
        np.int64
    )
    scaled[scaled == _MARK] -= 1
    return scaled
