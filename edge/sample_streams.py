"""The waveforms of one device: numbered, timed, and what is missing named. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.catalogue import Channel
from devices.errors import InvalidFieldError
from edge import metrics
from edge.framer import ChannelFormat, Framer
from edge.timeline import Placement, StreamState, Timeline
from ingest.frame import NS_PER_S, ClockRelation, DeviceEventKind, Gap, GapCause, SamplePeriod

OnEvent = Callable[[DeviceEventKind, int, str], None]
"""Kind, UTC in nanoseconds, and what else there is to say."""


@dataclass(slots=True)
class _Stream:
    """A stream that has been started."""

    key: str
    characteristic: str
    channels: tuple[Channel | None, ...]
    period: SamplePeriod
    timeline: Timeline
    gap_cause: GapCause


class SampleStreams:
    """The streams of one device while the agent runs.

    Parameters
    ----------
    device_id
        The pseudonym that goes into the Frames.
    framer
        What takes the samples and the gaps.
    states
        Numbering of all streams by stream key, as the spool keeps it; those of this device are
        brought up to date in place.
    on_event
        Is told of a clock that jumped.
    """

    def __init__(
        self,
        device_id: str,
        framer: Framer,
        states: dict[str, StreamState],
        on_event: OnEvent,
    ) -> None:
        self._device_id = device_id
        self._framer = framer
        self._states = states
        self._on_event = on_event
        self._streams: dict[str, _Stream] = {}
        # Until the first link of this run, what is missing was missed because no agent ran.
        self._absence = GapCause.AGENT_DOWN

    def begin(
        self, name: str, characteristic: str, channels: Sequence[Channel | None], rate_hz: int
    ) -> None:
        """Expect the samples of a stream that is being started.

        Parameters
        ----------
        name
            Unique within the device, such as ``ecg``: its numbering goes on under this name.
        characteristic
            UUID of where its payloads come from.
        channels
            One for each column; None for a column that is not recorded.
        rate_hz
            The rate that was asked for and granted.
        """
        key = f"{self._device_id}/{name}"
        period = SamplePeriod(ns_numerator=NS_PER_S, ns_denominator=rate_hz)
        self._streams[name] = _Stream(
            key=key,
            characteristic=characteristic,
            channels=tuple(channels),
            period=period,
            timeline=Timeline(period, self._states.get(key)),
            gap_cause=self._absence,
        )

    def note_states(self) -> None:
        """Bring the numbering of every stream up to date, to be stored with the next Frame."""
        for stream in self._streams.values():
            if stream.timeline.state is not None:
                self._states[stream.key] = stream.timeline.state

    def stop(self) -> list[str]:
        """Forget the streams that the agent has stopped; give their names.

        A later start begins a new numbering: nothing is on the air between a stop and a start, so
        nothing is missing.
        """
        for stream in self._streams.values():
            self._states.pop(stream.key, None)
        names = list(self._streams)
        self._streams.clear()
        return names

    def end_link(self) -> None:
        """Note that the link has ended; what is missing from now on is missing for that."""
        self.note_states()
        self._streams.clear()
        self._absence = GapCause.LINK_LOST

    def spoil(self, characteristic: str, cause: GapCause) -> None:
        """Note that a payload could not be used; what is found missing next is for this cause."""
        for stream in self._streams.values():
            if stream.characteristic == characteristic:
                stream.gap_cause = cause

    def take(
        self,
        name: str,
        samples: NDArray[np.int32],
        *,
        device_last_ns: int,
        received_ns: int,
        factor: float = 1.0,
    ) -> None:
        """Take the samples of one payload.

        Parameters
        ----------
        name
            Of a stream that was begun; the samples of another are left over from an earlier link,
            and are left out.
        samples
            Counts, of shape (samples, columns).
        device_last_ns
            The device's time of the last of them, in nanoseconds on its own clock.
        received_ns
            UTC at which the payload arrived.
        factor
            What a sample is multiplied with before its channel's scale.

        Raises
        ------
        InvalidFieldError
            The columns are not those of the stream.
        """
        stream = self._streams.get(name)
        if stream is None:
            return
        if samples.shape[1] != len(stream.channels):
            raise InvalidFieldError(
                field="columns",
                value=samples.shape[1],
                why=f"is not the {len(stream.channels)} of {name} of this model",
            )
        placement = stream.timeline.place(
            device_last_ns=device_last_ns,
            n_samples=samples.shape[0],
            received_ns=received_ns,
        )
        if placement.duplicate:
            metrics.DUPLICATES.labels(self._device_id).inc()
            return
        if placement.clock_jumped:
            self._on_event(DeviceEventKind.CLOCK_JUMPED, received_ns, name)
        for channel, counts in zip(stream.channels, samples.T, strict=True):
            if channel is not None:
                self._add(stream, channel, counts, factor, placement, received_ns)
        stream.gap_cause = GapCause.RADIO_LOSS
        envelope = stream.timeline.envelope
        self._framer.set_clock(
            ClockRelation(
                device_id=self._device_id,
                offset_ns=envelope.offset_ns,
                drift_ppm=envelope.drift_ppm,
                uncertainty_ns=envelope.uncertainty_ns,
            )
        )

    def _add(
        self,
        stream: _Stream,
        channel: Channel,
        counts: NDArray[np.int32],
        factor: float,
        placement: Placement,
        received_ns: int,
    ) -> None:
        """Add one channel's samples, and the gap before them."""
        fmt = ChannelFormat(
            device_id=self._device_id,
            channel=channel.name,
            mdc_code=channel.quantity.mdc,
            unit=channel.ucum,
            scale=channel.scale * factor,
            offset=0.0,
            period=stream.period,
        )
        if placement.n_missing:
            self._add_gap(fmt, placement, stream.gap_cause)
        self._framer.add_samples(
            fmt,
            np.ascontiguousarray(counts),
            i_first=placement.i_first,
            t0_ns=placement.t0_ns,
            received_ns=received_ns,
        )
        metrics.SAMPLES.labels(self._device_id, channel.name).inc(counts.size)

    def _add_gap(self, channel: ChannelFormat, placement: Placement, cause: GapCause) -> None:
        i_first = placement.i_first - placement.n_missing
        self._framer.add_gap(
            Gap(
                device_id=self._device_id,
                channel=channel.channel,
                cause=cause,
                i_first=i_first,
                n_samples=placement.n_missing,
                t0_ns=placement.t0_ns
                - channel.period.offset_ns(placement.i_first)
                + channel.period.offset_ns(i_first),
            )
        )
        metrics.SAMPLES_MISSING.labels(self._device_id, channel.channel, cause).inc(
            placement.n_missing
        )
