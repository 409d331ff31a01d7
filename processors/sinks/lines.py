"""Frames and Observations as InfluxDB line protocol: pure.

One point per sample, the raw integer count, at the sample's exact time: the cheapest form on disk,
and a point that is written twice is the same point. Scale and unit are in ``waveform_meta``.

=================  ===========================  ==========================================
measurement        tags                         fields
=================  ===========================  ==========================================
waveform           subject, device, channel     v (integer count)
waveform_meta      subject, device, channel     scale, offset, unit, rate_hz, mdc
reading            subject, device, name        value or reason, status
observation        subject, name, algorithm     value or reason, quality, age_s, version
gap                subject, device, channel,    n_samples, i_first
                   cause
device_event       subject, device, kind        detail
device_clock       subject, device              device_ns, offset_ns, drift_ppm, uncertainty_ns
alarm              subject, name                active, priority, detail
=================  ===========================  ==========================================

``device_clock`` is at UTC, ``device_ns`` what the device's clock showed then: a coincident time
stamp. Of Frames of version 1 there is none, for these do not say when an offset was true.

Source: InfluxDB line protocol reference (2.x); the 1.x server reads the same.
"""

from collections.abc import Iterator
from typing import Final

from devices.codes import quantity_name
from ingest.frame import (
    NS_PER_S,
    ClockRelation,
    DeviceEvent,
    Frame,
    Gap,
    Reading,
    WaveformBlock,
)
from ingest.observation import AlarmEvent, Observation

META_REPEAT_NS: Final = 3600 * NS_PER_S
"""``waveform_meta`` is said again after so long: a store drops old points, these too."""

METAS_MAX: Final = 100_000
"""Series whose ``waveform_meta`` is remembered; beyond, all are forgotten and said once more."""

_TAG_ESCAPES = str.maketrans(
    {",": r"\,", "=": r"\=", " ": r"\ ", "\\": "/", "\n": r"\ ", "\r": r"\ "}
)
# A backslash at the end of a tag value would escape the delimiter: it is written as a slash.
_STRING_ESCAPES = str.maketrans({'"': r"\"", "\\": r"\\", "\n": " ", "\r": " "})


def tag(value: str) -> str:
    """Write a tag value; an empty one, which the protocol cannot say, becomes ``-``."""
    return value.translate(_TAG_ESCAPES) or "-"


def string(value: str) -> str:
    """Write a string field with its quotes."""
    return f'"{value.translate(_STRING_ESCAPES)}"'


class LineEncoder:
    """Turns records into lines; remembers which ``waveform_meta`` it has said, and when."""

    def __init__(self) -> None:
        self._metas: dict[str, tuple[str, int]] = {}

    def frame(self, frame: Frame) -> Iterator[bytes]:
        """Write a Frame, one line per sample, reading, gap, event and clock.

        One by one: all lines of a hostile Frame together are thousands of times its size.
        """
        subject = tag(frame.subject_id)
        for block in frame.waveforms:
            series = f"channel={tag(block.channel)},device={tag(block.device_id)},subject={subject}"
            yield from self._meta(series, block)
            yield from _samples(series, block)
        for reading in frame.readings:
            yield _reading(subject, reading)
        for gap in frame.gaps:
            yield _gap(subject, gap)
        for event in frame.events:
            yield _event(subject, event)
        for clock in frame.clocks:
            if clock.device_ns is not None:
                yield _clock(subject, clock, clock.device_ns)

    def observation(self, observation: Observation) -> list[bytes]:
        """Write an Observation as one line."""
        result = _value_or_reason(observation.value, observation.reason)
        return [
            f"observation,algorithm={tag(observation.algorithm)},name={tag(observation.name)},"
            f"subject={tag(observation.subject_id)} {result},"
            f"quality={_float(observation.quality)},age_s={_float(observation.age_s)},"
            f"version={observation.algorithm_version}i {observation.t_ns}".encode()
        ]

    def alarm(self, alarm: AlarmEvent) -> list[bytes]:
        """Write an AlarmEvent as one line."""
        return [
            f"alarm,name={tag(alarm.name)},subject={tag(alarm.subject_id)} "
            f"active={str(alarm.active).lower()},priority={string(alarm.priority)},"
            f"detail={string(alarm.detail)} {alarm.t_ns}".encode()
        ]

    def _meta(self, series: str, block: WaveformBlock) -> Iterator[bytes]:
        fields = (
            f"scale={_float(block.scale)},offset={_float(block.offset)},"
            f"unit={string(block.unit)},rate_hz={_float(block.period.rate_hz)},"
            f"mdc={block.mdc_code}i"
        )
        said, said_ns = self._metas.get(series, ("", 0))
        if said != fields or abs(block.t0_ns - said_ns) >= META_REPEAT_NS:
            if len(self._metas) >= METAS_MAX:
                self._metas.clear()
            self._metas[series] = (fields, block.t0_ns)
            yield f"waveform_meta,{series} {fields} {block.t0_ns}".encode()


def _samples(series: str, block: WaveformBlock) -> Iterator[bytes]:
    prefix = f"waveform,{series} v=".encode()
    return (
        b"%b%di %d" % (prefix, count, t_ns)
        for count, t_ns in zip(block.counts.tolist(), block.times_ns().tolist(), strict=True)
    )


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


def _clock(subject: str, clock: ClockRelation, device_ns: int) -> bytes:
    return (
        f"device_clock,device={tag(clock.device_id)},subject={subject} "
        f"device_ns={device_ns}i,offset_ns={clock.offset_ns}i,drift_ppm={_float(clock.drift_ppm)},"
        f"uncertainty_ns={clock.uncertainty_ns}i {device_ns + clock.offset_ns}"
    ).encode()
