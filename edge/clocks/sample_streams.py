"""The waveforms of one device: numbered, timed, and what is missing named. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.catalogue import Channel
from devices.errors import InvalidFieldError
from edge import metrics
from edge.clocks.clock_state import ClockStateError, grid_state, grid_text
from edge.clocks.device_clock import LOST, DeviceClock, jump_text
from edge.clocks.host_clock import HostClock
from edge.clocks.recent_stamps import RecentStamps
from edge.clocks.sample_grid import GridPlacement, GridState, SampleGrid
from edge.framer import ChannelFormat, Framer
from edge.links.stream_watch import Progress
from ingest.frame import (
    NS_PER_S,
    TIME_NS_MAX,
    ClockRelation,
    DeviceEventKind,
    Gap,
    GapCause,
    SamplePeriod,
)

RECENT_MAX: Final = 64
"""Streams at one rate whose newest stamps are remembered: more than a device has, unless it states
another rate each time. The oldest is forgotten first."""

SILENT_NS_MIN: Final = 2 * NS_PER_S
SILENT_PAYLOADS_MIN: Final = 4
"""A stream that sent nothing for so long, and for so many of its payloads, had fallen silent."""

OnEvent = Callable[[DeviceEventKind, int, str], None]
"""Kind, UTC in nanoseconds, and what else there is to say."""


@dataclass(slots=True)
class _Stream:
    """A stream that has been started."""

    key: str
    characteristic: str
    channels: tuple[Channel | None, ...]
    grid: SampleGrid
    recent: RecentStamps
    gap_cause: GapCause
    n_payloads: int = 0
    payload_s: float | None = None


class SampleStreams:
    """The streams of one device while the agent runs.

    Parameters
    ----------
    device_id
        The pseudonym that goes into the Frames.
    framer
        What takes the samples and the gaps.
    states
        What the spool keeps, as text by key: the device's clock as ``<device_id>/clock`` and the
        numbering of each stream as ``<device_id>/<stream>``. Brought up to date in place.
    on_event
        Is told of a clock that jumped.
    host
        What tells the times at which payloads arrive.
    """

    def __init__(
        self,
        device_id: str,
        framer: Framer,
        states: dict[str, str],
        on_event: OnEvent,
        host: HostClock,
    ) -> None:
        self._device_id = device_id
        self._framer = framer
        self._states = states
        self._on_event = on_event
        self._clock_key = f"{device_id}/clock"
        self._clock = DeviceClock(host, states.get(self._clock_key))
        self._streams: dict[str, _Stream] = {}
        self._recent: dict[tuple[str, Fraction], RecentStamps] = {}
        # Until the first link of this run, what is missing was missed because no agent ran.
        self._absence = GapCause.AGENT_DOWN

    @property
    def names(self) -> tuple[str, ...]:
        """The streams that have been started."""
        return tuple(self._streams)

    @property
    def clock_relation(self) -> ClockRelation | None:
        """How the device's clock stands to UTC; None before its first stamp."""
        return self._clock.relation(self._device_id)

    def begin(
        self,
        name: str,
        characteristic: str,
        channels: Sequence[Channel | None],
        rate_hz: int | Fraction,
    ) -> None:
        """Expect the samples of a stream that is being started, or started again.

        Parameters
        ----------
        name
            Unique within the device, such as ``ecg``, not ``clock``: its numbering goes on under
            this name.
        characteristic
            UUID of where its payloads come from.
        channels
            One for each column; None for a column that is not recorded.
        rate_hz
            The rate that was asked for and granted.
        """
        self.note_states()  # one that runs already goes on where it is
        running = self._streams.get(name)
        key = f"{self._device_id}/{name}"
        rate = Fraction(rate_hz)
        nominal = SamplePeriod(
            ns_numerator=NS_PER_S * rate.denominator, ns_denominator=rate.numerator
        )
        while len(self._recent) >= RECENT_MAX and (name, rate) not in self._recent:
            del self._recent[next(iter(self._recent))]
        self._streams[name] = _Stream(
            key=key,
            characteristic=characteristic,
            channels=tuple(channels),
            grid=SampleGrid(nominal, self._kept(key)),
            recent=self._recent.setdefault((name, rate), RecentStamps(nominal)),
            gap_cause=self._absence if running is None else running.gap_cause,
        )

    def _kept(self, key: str) -> GridState | None:
        """Give where a stream stood."""
        text = self._states.get(key)
        if text is None:
            return None
        try:
            state = grid_state(text)
        except ClockStateError:
            metrics.STATES_UNREADABLE.inc()
            return None
        # Its stamps would be held against those of a clock that is not known any more.
        return state if self._clock.known else replace(state, segment=LOST)

    def note_states(self, *, exact: bool = False) -> None:
        """Bring clock and numberings up to date, to be stored with the next Frame.

        Parameters
        ----------
        exact
            The clock, too, as of now and not as of some seconds ago.
        """
        for stream in self._streams.values():
            if stream.grid.state is not None:
                self._states[stream.key] = grid_text(stream.grid.state)
        clock = self._clock.text(exact=exact)
        if clock is not None:
            self._states[self._clock_key] = clock

    @property
    def progress(self) -> dict[str, Progress]:
        """How far each stream has come that was begun, by name."""
        return {
            name: Progress(
                characteristic=one.characteristic,
                n_payloads=one.n_payloads,
                period_s=one.payload_s,
            )
            for name, one in self._streams.items()
        }

    def withdraw(self, name: str) -> None:
        """Expect the samples of a stream no longer: the device has refused it."""
        self._streams.pop(name, None)

    def stop(self, asked_ns: int) -> list[str]:
        """Forget the streams that the agent has stopped; give their names.

        A later start begins a new numbering: nothing is on the air between a stop and a start, so
        nothing is missing. It does not begin before the end of the one before. What a stream would
        have sent that had fallen silent before the stop is a gap, counted on our clock.

        Parameters
        ----------
        asked_ns
            When the first of them was asked to stop, on the host's line that never steps. The
            answers may take seconds, one after the other: who has stopped meanwhile was not silent.
        """
        self.note_states(exact=True)
        for stream in self._streams.values():
            if stream.grid.state is None:
                continue
            least_ns = max(SILENT_NS_MIN, SILENT_PAYLOADS_MIN * stream.recent.length_ns)
            n_silent = stream.grid.n_silent(asked_ns, least_ns)
            state = stream.grid.state
            if n_silent:
                for channel in filter(None, stream.channels):
                    self._add_gap(
                        channel.name,
                        stream.gap_cause,
                        i_first=state.i_next,
                        n_samples=n_silent,
                        t0_ns=state.time_ns(state.i_next),
                    )
                state = replace(state, i_next=state.i_next + n_silent)
            self._states[stream.key] = grid_text(replace(state, ended=True))
        names = list(self._streams)
        self._streams.clear()
        return names

    def end_link(self) -> None:
        """Note that the link has ended; what is missing from now on is missing for that."""
        self.note_states(exact=True)
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
            UTC at which the payload arrived, as the host's clock has just told it.
        factor
            What a sample is multiplied with before its channel's scale.

        Raises
        ------
        InvalidFieldError
            The columns are not those of the stream, or no clock shows such a time.
        """
        stream = self._streams.get(name)
        if stream is None:
            return
        _check(name, len(stream.channels), samples.shape[1], device_last_ns)
        n_samples = samples.shape[0]
        was_set = stream.recent.contradict(device_last_ns, n_samples)
        goes_on = stream.recent.segment == self._clock.segment and stream.grid.goes_on(
            device_last_ns, n_samples
        )
        stamp, jump_ns = self._clock.map(
            device_last_ns, received_ns, was_set=was_set, goes_on=goes_on
        )
        if jump_ns is not None:
            self._tell_jump(jump_ns, received_ns)
        placement = stream.grid.place(stamp, n_samples, host_slipped=self._clock.host_slipped)
        if placement.duplicate:
            metrics.DUPLICATES.labels(self._device_id).inc()
            return
        stream.recent.add(device_last_ns, n_samples, stamp.segment)
        stream.n_payloads += 1
        stream.payload_s = placement.period.offset_ns(n_samples) / NS_PER_S
        for channel, counts in zip(stream.channels, samples.T, strict=True):
            if channel is not None:
                self._add(stream, channel, counts, factor, placement, received_ns)
        stream.gap_cause = GapCause.RADIO_LOSS
        if relation := self._clock.relation(self._device_id):
            self._framer.set_clock(relation)

    def _tell_jump(self, jump_ns: int, received_ns: int) -> None:
        if self._clock.host_slipped:
            metrics.HOST_CLOCK_STEPS.inc()
            detail = jump_text(-jump_ns)
            self._on_event(DeviceEventKind.HOST_CLOCK_STEPPED, received_ns, detail)
        else:
            metrics.CLOCK_JUMPS.labels(self._device_id).inc()
            self._on_event(DeviceEventKind.CLOCK_JUMPED, received_ns, jump_text(jump_ns))

    def _add(
        self,
        stream: _Stream,
        channel: Channel,
        counts: NDArray[np.int32],
        factor: float,
        placement: GridPlacement,
        received_ns: int,
    ) -> None:
        """Add one channel's samples, and the gap before them."""
        fmt = ChannelFormat(
            device_id=self._device_id,
            channel=channel.name,
            mdc_code=channel.quantity.mdc,
            unit=channel.ucum,
            scale=channel.scale * factor,
            offset=channel.offset,
            period=placement.period,
        )
        if placement.n_missing:
            self._add_gap(
                channel.name,
                stream.gap_cause,
                i_first=placement.i_first - placement.n_missing,
                n_samples=placement.n_missing,
                t0_ns=placement.gap_t0_ns,
            )
        self._framer.add_samples(
            fmt,
            np.ascontiguousarray(counts),
            i_first=placement.i_first,
            t0_ns=placement.t0_ns,
            received_ns=received_ns,
        )
        metrics.SAMPLES.labels(self._device_id, channel.name).inc(counts.size)

    def _add_gap(
        self, channel: str, cause: GapCause, *, i_first: int, n_samples: int, t0_ns: int
    ) -> None:
        self._framer.add_gap(
            Gap(
                device_id=self._device_id,
                channel=channel,
                cause=cause,
                i_first=i_first,
                n_samples=n_samples,
                t0_ns=t0_ns,
            )
        )
        metrics.SAMPLES_MISSING.labels(self._device_id, channel, cause).inc(n_samples)


def _check(name: str, n_channels: int, n_columns: int, device_ns: int) -> None:
    """Refuse a payload that cannot be the stream's."""
    if n_columns != n_channels:
        raise InvalidFieldError(
            field="columns", value=n_columns, why=f"is not the {n_channels} of {name} of this model"
        )
    if not 0 <= device_ns <= TIME_NS_MAX:
        raise InvalidFieldError(
            field="device time", value=device_ns, why="is before 1970 or after 2116"
        )
