"""One watched subject: its traces, numerals and events, and its time. Pure and bounded."""

from typing import Final

from ingest.frame import NS_PER_S, Frame, WaveformBlock
from ingest.observation import AlarmEvent, Observation
from processors.sinks.grafana_live.channels import (
    EVENTS,
    NUMERALS,
    measurement,
    numbered,
    signal_stem,
)
from processors.sinks.grafana_live.counts import PushCounts
from processors.sinks.grafana_live.events import EventLog
from processors.sinks.grafana_live.numerals import NumeralBoard
from processors.sinks.grafana_live.trace import TimeWindow, Trace

CHANNELS_MAX: Final = 16
"""Waveform channels of a subject; blocks of others are refused, until one has fallen silent."""

SILENT_NS: Final = 10 * NS_PER_S
"""A source that is silent for so long leaves its place to the next one of its kind."""

FORGET_NS: Final = 60 * NS_PER_S
"""A channel, or a subject, that is silent for so long makes room for others."""

NUMERALS_NS: Final = NS_PER_S

_Source = tuple[str, str]
"""Device and channel."""


class LiveSubject:
    """What is pushed of one subject.

    Parameters
    ----------
    subject_id
        As in the records.
    window
        What is live.
    """

    def __init__(self, subject_id: str, window: TimeWindow, counts: PushCounts) -> None:
        self._subject_id = subject_id
        self._window = window
        self._counts = counts
        self._traces: dict[str, tuple[Trace, int]] = {}
        self._shown: dict[str, _Source] = {}
        # Sources of each kind with when they were last heard of, in the order in which they began.
        self._sources: dict[str, dict[_Source, int]] = {}
        self._numerals = NumeralBoard(measurement(subject_id, NUMERALS))
        self._events = EventLog(measurement(subject_id, EVENTS), counts)
        self._numerals_due_ns = 0
        self._heard_ns = 0

    @property
    def n_waiting(self) -> int:
        """Samples that wait."""
        return sum(trace.n_waiting for trace, _ in self._traces.values())

    def add_frame(self, frame: Frame, now_ns: int) -> None:
        """Take a Frame that came at ``now_ns``."""
        self._heard_ns = now_ns
        for block in frame.waveforms:
            self._counts.samples_came += block.n_samples
            self._add_block(block, now_ns)
        for event in frame.events:
            if self._is_live(event.t_ns, now_ns):
                self._events.add_event(event)
            else:
                self._counts.events_dropped += 1

    def add_observation(self, observation: Observation, now_ns: int) -> None:
        """Take a derived value; what is no numeral is passed over."""
        self._heard_ns = now_ns
        if self._is_live(observation.t_ns, now_ns):
            self._numerals.add(observation)

    def add_alarm(self, alarm: AlarmEvent, now_ns: int) -> None:
        """Take the beginning or the end of an alarm condition."""
        self._heard_ns = now_ns
        if self._is_live(alarm.t_ns, now_ns):
            self._events.add_alarm(alarm)
        else:
            self._counts.events_dropped += 1

    def take_samples(self, now_ns: int) -> list[tuple[Trace, list[str], int]]:
        """Give the lines that are due of each trace that has any, with the number of samples."""
        taken = ((trace, *trace.take(now_ns)) for trace, _ in self._traces.values())
        return [one for one in taken if one[1]]

    def take_events(self) -> list[str]:
        """Give the lines of the events."""
        return self._events.take()

    def take_numerals(self, now_ns: int) -> list[str]:
        """Give the lines of the numerals, once a second; where all is silent, until all are gone.

        Their time, and their age, are by our clock: an old number is old whoever says it.
        """
        is_over = self._numerals.is_blank and self._is_silent(now_ns)
        if now_ns < self._numerals_due_ns or is_over:
            return []
        next_ns = self._numerals_due_ns + NUMERALS_NS
        self._numerals_due_ns = next_ns if next_ns > now_ns else now_ns + NUMERALS_NS
        return [self._numerals.line(now_ns)]

    def blank_numerals(self, now_ns: int) -> list[str]:
        """Give lines that take all numerals from the panels."""
        if self._numerals.is_blank:
            return []
        self._numerals.forget()
        return [self._numerals.line(now_ns)]

    def may_be_forgotten(self, now_ns: int) -> bool:
        """Tell whether it has been silent for long, and no panel has a number of it."""
        return self._is_silent(now_ns) and self._numerals.is_blank

    def _is_silent(self, now_ns: int) -> bool:
        return now_ns - self._heard_ns >= FORGET_NS

    def _is_live(self, t_ns: int, now_ns: int) -> bool:
        return -self._window.late_ns <= t_ns - now_ns <= self._window.ahead_ns

    def _add_block(self, block: WaveformBlock, now_ns: int) -> None:
        # What is not live takes no channel.
        if block.time_ns(block.i_end - 1) < now_ns - self._window.late_ns:
            self._counts.samples_late += block.n_samples
        elif block.t0_ns > now_ns + self._window.ahead_ns:
            self._counts.samples_ahead += block.n_samples
        elif (trace := self._trace(block, now_ns)) is None:
            self._counts.samples_refused += block.n_samples
        else:
            trace.add(block, now_ns, self._window)

    def _trace(self, block: WaveformBlock, now_ns: int) -> Trace | None:
        stem = signal_stem(block)
        source = (block.device_id, block.channel)
        sources = self._sources.get(stem, {})
        for silent in [key for key, ns in sources.items() if now_ns - ns > SILENT_NS]:
            del sources[silent]
        i_place = list(sources).index(source) if source in sources else len(sources)
        name = numbered(stem, i_place)
        if name not in self._traces and not self._has_room(now_ns):
            return None
        sources[source] = now_ns
        self._sources[stem] = sources
        known = self._traces.get(name)
        trace = (
            Trace(measurement(self._subject_id, name), self._counts) if known is None else known[0]
        )
        self._traces[name] = (trace, now_ns)
        if self._shown.get(name) != source:
            # One trace can show another lead than before: a panel does not say so.
            self._shown[name] = source
            self._events.add_source(name, *source, now_ns)
        return trace

    def _has_room(self, now_ns: int) -> bool:
        """Forget traces that are silent, if there are too many."""
        if len(self._traces) < CHANNELS_MAX:
            return True
        for name, (trace, ns) in list(self._traces.items()):
            if now_ns - ns > FORGET_NS:
                self._counts.samples_expired += trace.n_waiting
                del self._traces[name], self._shown[name]
        live = {name.partition("--")[0] for name in self._traces}
        self._sources = {stem: of for stem, of in self._sources.items() if stem in live}
        return len(self._traces) < CHANNELS_MAX
