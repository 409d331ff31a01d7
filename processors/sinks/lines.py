"""Frames, Observations and envelopes as InfluxDB line protocol: pure.

One point per sample, the raw integer count, at the sample's exact time: the cheapest form on disk,
measurement        tags                         fields
=================  ===========================  ==========================================
waveform           subject, device, channel     v (integer count)
waveform_meta      subject, device, channel     scale, offset, unit, rate_hz, mdc
envelope           subject, device, channel     min, max (counts), mean, n_samples
reading            subject, device, name        value or reason, status
observation        subject, name, algorithm     value or reason, quality, age_s, version
gap                subject, device, channel,    n_samples, i_first
                   cause
device_event       subject, device, kind        detail
device_clock       subject, device              device_ns, offset_ns, drift_ppm, uncertainty_ns
alarm              subject, name                active, priority, detail
role_status        role, instance               state, reason, and a float for each gauge
=================  ===========================  ==========================================

``envelope`` is one second of event time, at its begin. ``waveform`` is written of the subjects of
whom the settings say so, everything else always. ``device_clock`` is at UTC, ``device_ns`` what the
device's clock showed then: a coincident time stamp. Of Frames of version 1 there is none, for these
do not say when an offset was true.
=======
and a point that is written twice is the same point. What each measurement consists of is in
`processors.sinks.measurements`.

Lines come in pieces: bytes of one line or of several, with a newline between two and none at the
end. All lines of a piece are for one bucket.

Source: InfluxDB line protocol reference (2.x); the 1.x server reads the same.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.codes import quantity_name
from ingest.frame import (
    NS_PER_S,
    ChannelLedger,
    ClockRelation,
    DeviceEvent,
    Frame,
    Gap,
    Reading,
    SamplePeriod,
    WaveformBlock,
)
from ingest.observation import AlarmEvent, Observation
from ingest.role_status import RoleStatus
from processors.sinks.envelope import Envelope
from processors.sinks.envelope_kernel import N_SLOT_COLUMNS, N_SLOTS
from processors.sinks.lines_kernel import (
    SAMPLE_BYTES_MAX,
    SLOT_BYTES_MAX,
    write_samples,
    write_slots,
)
from processors.sinks.trend import Trend

META_REPEAT_NS: Final = 3600 * NS_PER_S
"""``waveform_meta`` is said again after so long: a store drops old points, these too."""

SERIES_MAX: Final = 100_000
"""Series whose names and ``waveform_meta`` are remembered; beyond, all are forgotten and said once
more."""

PIECE_BYTES_MAX: Final = 200_000
"""Of the samples of a block in one piece, unless a single line is longer."""

N_PIECE_OBSERVATIONS: Final = 256

_TAG_ESCAPES = str.maketrans(
    {",": r"\,", "=": r"\=", " ": r"\ ", "\\": "/", "\n": r"\ ", "\r": r"\ "}
)
# A backslash at the end of a tag value would escape the delimiter: it is written as a slash.
_STRING_ESCAPES = str.maketrans({'"': r"\"", "\\": r"\\", "\n": " ", "\r": " "})

_Meaning = tuple[float, float, str, SamplePeriod, int]
"""Scale, offset, unit, period and code of a series."""


def tag(value: str) -> str:
    """Write a tag value; an empty one, which the protocol cannot say, becomes ``-``."""
    return value.translate(_TAG_ESCAPES) or "-"


def string(value: str) -> str:
    """Write a string field with its quotes."""
    return f'"{value.translate(_STRING_ESCAPES)}"'


class _Channel:
    """How a channel is named in lines, and what was said of it."""

    __slots__ = ("meaning", "prefix", "said_ns", "series", "slots_prefix")

    def __init__(self, subject_id: str, device_id: str, channel: str) -> None:
        self.series = f"channel={tag(channel)},device={tag(device_id)},subject={tag(subject_id)}"
        self.prefix = np.frombuffer(f"waveform,{self.series} v=".encode(), dtype=np.uint8)
        slots_prefix = f"envelope_25hz,{self.series} min=".encode()
        self.slots_prefix = np.frombuffer(slots_prefix, dtype=np.uint8)
        self.meaning: _Meaning | None = None
        self.said_ns = 0


class LineEncoder:
    """Turns records into lines; remembers which ``waveform_meta`` it has said, and when.

    Parameters
    ----------
    has_waveforms
        Tells of a subject whether its samples are written; None: those of all.
    """

    def __init__(self, has_waveforms: Callable[[str], bool] | None = None) -> None:
        self._has_waveforms = has_waveforms or (lambda _subject_id: True)
        self._channels: dict[tuple[str, str, str], _Channel] = {}
        self._derived: dict[tuple[str, str, str], str] = {}

    def frame(self, frame: Frame) -> Iterator[bytes]:
        """Write a Frame, one line per sample, reading, gap, event, clock and channel of the ledger.

        Piece by piece: all lines of a hostile Frame together are thousands of times its size.
        """
        has_waveforms = self._has_waveforms(frame.subject_id)
        for block in frame.waveforms:
            channel = self._channel((frame.subject_id, block.device_id, block.channel))
            yield from _meta(channel, block)
            if has_waveforms:
                yield from _samples(channel.prefix, block)
        subject = tag(frame.subject_id)
        for reading in frame.readings:
            yield _reading(subject, reading)
        for gap in frame.gaps:
            yield _gap(subject, gap)
        for event in frame.events:
            yield _event(subject, event)
        for clock in frame.clocks:
            yield from _clock(subject, clock)
        yield from _ledger(subject, frame)

    def envelopes(self, envelopes: Iterable[Envelope]) -> Iterator[bytes]:
        """Write each Envelope as one line, and its parts as one piece.

        The parts are written of those whose samples are written: of all, they would be most of what
        a database has to take.
        """
        for series, t_ns, low, high, mean, n_samples, slots in envelopes:
            channel = self._channel(series)
            yield (
                f"envelope,{channel.series} min={low}i,max={high}i,"
                f"mean={_float(mean)},n_samples={n_samples}i {t_ns}"
            ).encode()
            if slots:
                yield _slots(channel.slots_prefix, slots, t_ns)

    def trends(self, trends: Iterable[Trend]) -> Iterator[bytes]:
        """Write Trends as one piece, if there are any."""
        lines = [self._trend(trend) for trend in trends]
        if lines:
            yield "\n".join(lines).encode()

    def observations(self, observations: Sequence[Observation]) -> Iterator[bytes]:
        """Write Observations, each as one line, several to a piece."""
        for i_first in range(0, len(observations), N_PIECE_OBSERVATIONS):
            piece = observations[i_first : i_first + N_PIECE_OBSERVATIONS]
            yield "\n".join(map(self._observation, piece)).encode()

    def observation(self, observation: Observation) -> list[bytes]:
        """Write an Observation as one line."""
        return list(self.observations((observation,)))

    def alarm(self, alarm: AlarmEvent) -> list[bytes]:
        """Write an AlarmEvent as one line."""
        return [
            f"alarm,name={tag(alarm.name)},subject={tag(alarm.subject_id)} "
            f"active={str(alarm.active).lower()},priority={string(alarm.priority)},"
            f"detail={string(alarm.detail)} {alarm.t_ns}".encode()
        ]

    def role_status(self, status: RoleStatus) -> list[bytes]:
        """Write a RoleStatus as one line."""
        gauges = "".join(f",{name}={_float(value)}" for name, value in status.gauges.items())
        return [
            f"role_status,instance={tag(status.instance)},role={tag(status.role)} "
            f"state={string(status.state)},reason={string(status.reason)}"
            f"{gauges} {status.t_ns}".encode()
        ]

    def _channel(self, key: tuple[str, str, str]) -> _Channel:
        channel = self._channels.get(key)
        if channel is None:
            if len(self._channels) >= SERIES_MAX:
                self._channels.clear()
            channel = self._channels[key] = _Channel(*key)
        return channel

    def _derived_series(self, key: tuple[str, str, str]) -> str:
        """Write the tags of a subject's quantity by an algorithm."""
        series = self._derived.get(key)
        if series is None:
            if len(self._derived) >= SERIES_MAX:
                self._derived.clear()
            subject_id, name, algorithm = map(tag, key)
            series = f"algorithm={algorithm},name={name},subject={subject_id} "
            self._derived[key] = series
        return series

    def _trend(self, trend: Trend) -> str:
        statistics = (
            ""
            if trend.n_values == 0
            else f"mean={_float(trend.mean)},min={_float(trend.low)},max={_float(trend.high)},"
        )
        return (
            f"trend,{self._derived_series(trend.series)}{statistics}n_values={trend.n_values}i,"
            f"n_missing={trend.n_missing}i,quality={_float(trend.quality)} {trend.t_ns}"
        )

    def _observation(self, observation: Observation) -> str:
        series = self._derived_series(
            (observation.subject_id, observation.name, observation.algorithm)
        )
        return (
            f"observation,{series}{_value_or_reason(observation.value, observation.reason)},"
            f"quality={_float(observation.quality)},age_s={_float(observation.age_s)},"
            f"version={observation.algorithm_version}i {observation.t_ns}"
        )


def _meta(channel: _Channel, block: WaveformBlock) -> Iterator[bytes]:
    meaning = (block.scale, block.offset, block.unit, block.period, block.mdc_code)
    if channel.meaning != meaning or abs(block.t0_ns - channel.said_ns) >= META_REPEAT_NS:
        channel.meaning = meaning
        channel.said_ns = block.t0_ns
        yield (
            f"waveform_meta,{channel.series} scale={_float(block.scale)},"
            f"offset={_float(block.offset)},unit={string(block.unit)},"
            f"rate_hz={_float(block.period.rate_hz)},mdc={block.mdc_code}i {block.t0_ns}"
        ).encode()


def _samples(prefix: NDArray[np.uint8], block: WaveformBlock) -> Iterator[bytes]:
    line_bytes_max = prefix.size + SAMPLE_BYTES_MAX
    n_lines_max = max(1, PIECE_BYTES_MAX // line_bytes_max)
    numerator, denominator = block.period.ns_numerator, block.period.ns_denominator
    remainder = block.i_first * numerator % denominator
    for i_first in range(0, block.n_samples, n_lines_max):
        i_end = min(i_first + n_lines_max, block.n_samples)
        room = np.empty((i_end - i_first) * line_bytes_max, dtype=np.uint8)
        n_bytes = write_samples(
            prefix,
            block.counts,
            i_first,
            i_end,
            block.t0_ns,
            numerator,
            denominator,
            remainder,
            room,
        )
        yield room[:n_bytes].tobytes()


def _slots(prefix: NDArray[np.uint8], slots: bytes, t0_ns: int) -> bytes:
    parts = np.frombuffer(slots, dtype=np.int64).reshape(N_SLOTS, N_SLOT_COLUMNS)
    room = np.empty(N_SLOTS * (prefix.size + SLOT_BYTES_MAX), dtype=np.uint8)
    return room[: write_slots(prefix, parts, t0_ns, room)].tobytes()


def _float(value: float) -> str:
    # A field's type must never change, whatever kind of number the value is.
    return repr(float(value))


def _value_or_reason(value: float | None, reason: str | None) -> str:
    return f"reason={string(reason or '')}" if value is None else f"value={_float(value)}"


def _reading(subject: str, reading: Reading) -> bytes:
    return (
        f"reading,device={tag(reading.device_id)},name={quantity_name(reading.mdc_code)},"
        f"subject={subject} {_value_or_reason(reading.value, reading.reason)},"
        f"status={reading.status_bits}i {reading.t_ns}"
    ).encode()


def _gap(subject: str, gap: Gap) -> bytes:
    return (
        f"gap,cause={gap.cause},channel={tag(gap.channel)},device={tag(gap.device_id)},"
        f"subject={subject} n_samples={gap.n_samples}i,i_first={gap.i_first}i {gap.t0_ns}"
    ).encode()


def _event(subject: str, event: DeviceEvent) -> bytes:
    return (
        f"device_event,device={tag(event.device_id)},kind={event.kind},subject={subject} "
        f"detail={string(event.detail)} {event.t_ns}"
    ).encode()


def _clock(subject: str, clock: ClockRelation) -> Iterator[bytes]:
    device_ns = clock.device_ns
    if device_ns is None:
        return
    yield (
        f"device_clock,device={tag(clock.device_id)},subject={subject} "
        f"device_ns={device_ns}i,offset_ns={clock.offset_ns}i,drift_ppm={_float(clock.drift_ppm)},"
        f"uncertainty_ns={clock.uncertainty_ns}i {device_ns + clock.offset_ns}"
    ).encode()


def _ledger(subject: str, frame: Frame) -> Iterator[bytes]:
    """Write an agent's totals, one line per channel: they are as of the newest of the Frame."""
    if not frame.ledger and not frame.losses:
        return
    t_ns = _newest_ns(frame)
    if t_ns is None:
        return
    found: dict[tuple[str, str], dict[str, int]] = {}
    for totals in frame.ledger:
        found.setdefault((totals.device_id, totals.channel), {}).update(
            {name: getattr(totals, name) for name in _TOTALS}
        )
    for loss in frame.losses:
        found.setdefault((loss.device_id, loss.channel), {}).update(
            {f"{loss.cause}_dropped": loss.n_dropped, f"{loss.cause}_in_gaps": loss.n_in_gaps}
        )
    for (device_id, channel), numbers in found.items():
        written = ",".join(f"{name}={number}i" for name, number in numbers.items())
        yield (
            f"ledger,agent={tag(frame.agent_id)},channel={tag(channel)},device={tag(device_id)},"
            f"subject={subject} {written} {t_ns}"
        ).encode()


_TOTALS: Final = tuple(
    one.name for one in fields(ChannelLedger) if one.name not in {"device_id", "channel"}
)


def _newest_ns(frame: Frame) -> int | None:
    """Find the newest time in a Frame; None where it has none."""
    times = [
        *(block.time_ns(block.i_end - 1) for block in frame.waveforms),
        *(reading.t_ns for reading in frame.readings),
        *(event.t_ns for event in frame.events),
        *(gap.t0_ns for gap in frame.gaps),
    ]
    return max(times, default=None)
