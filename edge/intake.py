"""From one device's payloads to the framer: decode, number, time. Pure: no clock, no I/O.

Whatever the radio brings gives samples, readings, or a count of what could not be used.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from devices import uuids
from devices.catalogue import DeviceModel, PmdStream
from devices.errors import DecodeError, InvalidFieldError
from devices.notifications import decode_notification
from devices.polar_frames import PMD_EPOCH_UNIX_NS, PmdFrame, decode_frame
from devices.polar_pmd import PmdMeasurement
from devices.polar_readings import pmd_readings
from devices.readings import Measured
from edge import metrics
from edge.framer import ChannelFormat, Framer
from edge.timeline import Placement, StreamState, Timeline
from ingest.frame import (
    NS_PER_S,
    ClockRelation,
    DeviceEvent,
    DeviceEventKind,
    Gap,
    GapCause,
    Reading,
    SamplePeriod,
)

_TIME_STEP_NS: Final = 1
"""Two readings of one quantity, and two events of one device, never share a time: in a store the
later one would erase the earlier."""


@dataclass(slots=True)
class _Stream:
    """A PMD stream that has been started."""

    key: str
    row: PmdStream
    period: SamplePeriod
    factor: float
    timeline: Timeline
    gap_cause: GapCause


class DeviceIntake:
    """Everything that is known about one device while the agent runs.

    Parameters
    ----------
    device_id
        The pseudonym that goes into the Frames.
    states
        Numbering of all streams by stream key, as the spool keeps it; those of this device are
        brought up to date in place.
    """

    def __init__(
        self,
        device_id: str,
        model: DeviceModel,
        framer: Framer,
        states: dict[str, StreamState],
    ) -> None:
        self.device_id = device_id
        self.model = model
        self.n_payloads = 0
        self._framer = framer
        self._states = states
        self._streams: dict[int, _Stream] = {}
        self._last_reading_ns: dict[int, int] = {}
        self._last_event_ns = 0
        # Until the first link of this run, what is missing was missed because no agent ran.
        self._absence = GapCause.AGENT_DOWN

    def note_states(self) -> None:
        """Bring the numbering of every stream up to date, to be stored with the next Frame."""
        for stream in self._streams.values():
            if stream.timeline.state is not None:
                self._states[stream.key] = stream.timeline.state

    def begin_stream(self, row: PmdStream, *, rate_hz: int, factor: float, now_ns: int) -> None:
        """Expect the frames of a stream that is being started.

        Parameters
        ----------
        rate_hz
            The rate that was asked for and granted.
        factor
            Unit per count, from the answer to the start; 1.0 where there is none.
        """
        key = f"{self.device_id}/{row.measurement.name.lower()}"
        period = SamplePeriod(ns_numerator=NS_PER_S, ns_denominator=rate_hz)
        self._streams[row.measurement] = _Stream(
            key=key,
            row=row,
            period=period,
            factor=factor,
            timeline=Timeline(period, self._states.get(key)),
            gap_cause=self._absence,
        )
        self.event(DeviceEventKind.STREAM_STARTED, now_ns, f"{row.measurement.name} {rate_hz} Hz")

    def set_factor(self, row: PmdStream, factor: float) -> None:
        """Note the unit per count that the answer to the start gave."""
        self._streams[row.measurement].factor = factor

    def stop_streams(self, now_ns: int) -> None:
        """Note that the agent has stopped the streams: a later start begins a new numbering.

        Nothing is on the air between a stop and a start, so nothing is missing.
        """
        for stream in self._streams.values():
            self._states.pop(stream.key, None)
            self.event(DeviceEventKind.STREAM_STOPPED, now_ns, stream.row.measurement.name)
        self._streams.clear()

    def end_link(self, now_ns: int, *, lost: bool) -> None:
        """Note that the link has ended; what is missing from now on is missing for that."""
        self.note_states()
        self._streams.clear()
        self._absence = GapCause.LINK_LOST
        if lost:
            self.event(DeviceEventKind.LINK_LOST, now_ns)

    def overflowed(self, characteristic: str) -> None:
        """Note that a payload had to be dropped; its samples will be found missing."""
        if characteristic == uuids.PMD_DATA:
            for stream in self._streams.values():
                stream.gap_cause = GapCause.OVERFLOW
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
        metrics.PAYLOADS.labels(self.device_id).inc()
        try:
            if characteristic == uuids.PMD_DATA:
                self._take_frame(decode_frame(payload), received_ns)
            else:
                self._take_readings(decode_notification(characteristic, payload), received_ns)
        except DecodeError:
            metrics.UNDECODABLE.labels(self.device_id).inc()
            for stream in self._streams.values():
                if characteristic == uuids.PMD_DATA:
                    stream.gap_cause = GapCause.UNDECODABLE
            return False
        return True

    def _take_readings(self, measured: tuple[Measured, ...], received_ns: int) -> None:
        for one in measured:
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

    def _take_frame(self, frame: PmdFrame, received_ns: int) -> None:
        if frame.measurement is PmdMeasurement.PPI:
            self._take_readings(pmd_readings(frame), received_ns)
        elif frame.layout.waveform:
            self._take_samples(frame, received_ns)
        # Other frames say how samples are taken: there is nothing to record, and nothing is wrong.

    def _take_samples(self, frame: PmdFrame, received_ns: int) -> None:
        stream = self._streams.get(frame.measurement)
        if stream is None:
            # A frame of a stream that was not asked for: left over from an earlier link.
            return
        if frame.samples.shape[1] != len(stream.row.channels):
            raise InvalidFieldError(
                field="columns",
                value=frame.samples.shape[1],
                why=f"is not the {len(stream.row.channels)} of {self.model.name}",
            )
        placement = stream.timeline.place(
            device_last_ns=frame.timestamp_ns + PMD_EPOCH_UNIX_NS,
            n_samples=frame.samples.shape[0],
            received_ns=received_ns,
        )
        if placement.duplicate:
            metrics.DUPLICATES.labels(self.device_id).inc()
            return
        self._add_channels(stream, frame, placement, received_ns)
        stream.gap_cause = GapCause.RADIO_LOSS
        envelope = stream.timeline.envelope
        self._framer.set_clock(
            ClockRelation(
                device_id=self.device_id,
                offset_ns=envelope.offset_ns,
                drift_ppm=envelope.drift_ppm,
                uncertainty_ns=envelope.uncertainty_ns,
            )
        )

    def _add_channels(
        self, stream: _Stream, frame: PmdFrame, placement: Placement, received_ns: int
    ) -> None:
        if placement.clock_jumped:
            self.event(DeviceEventKind.CLOCK_JUMPED, received_ns, stream.row.measurement.name)
        for column, channel in enumerate(stream.row.channels):
            if channel is None:
                continue
            fmt = ChannelFormat(
                device_id=self.device_id,
                channel=channel.name,
                mdc_code=channel.quantity.mdc,
                unit=channel.ucum,
                scale=channel.scale * frame.scale_factor(stream.factor),
                offset=0.0,
                period=stream.period,
            )
            if placement.n_missing:
                self._add_gap(fmt, placement, stream.gap_cause)
            self._framer.add_samples(
                fmt,
                np.ascontiguousarray(frame.samples[:, column]),
                i_first=placement.i_first,
                t0_ns=placement.t0_ns,
                received_ns=received_ns,
            )
            metrics.SAMPLES.labels(self.device_id, channel.name).inc(frame.samples.shape[0])

    def _add_gap(self, channel: ChannelFormat, placement: Placement, cause: GapCause) -> None:
        i_first = placement.i_first - placement.n_missing
        self._framer.add_gap(
            Gap(
                device_id=self.device_id,
                channel=channel.channel,
                cause=cause,
                i_first=i_first,
                n_samples=placement.n_missing,
                t0_ns=placement.t0_ns
                - channel.period.offset_ns(placement.i_first)
                + channel.period.offset_ns(i_first),
            )
        )
        metrics.SAMPLES_MISSING.labels(self.device_id, channel.channel, cause).inc(
            placement.n_missing
        )
