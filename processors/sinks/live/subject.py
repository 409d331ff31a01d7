"""What a page must see of one subject: pure, synchronous, and bounded in every direction."""

from collections import OrderedDict, deque
from dataclasses import dataclass, replace
from typing import Final

from devices import codes
from ingest.annotation import SubjectAnnotation
from ingest.frame import NS_PER_S, DeviceEvent, DeviceEventKind, Frame, Gap, Reading, WaveformBlock
from ingest.observation import AlarmEvent, Observation
from processors.sinks.live.labels import waveform_kind, waveform_label
from processors.sinks.live.protocol import (
    Alarm,
    Beat,
    BeatClass,
    Channel,
    Device,
    GapMark,
    Label,
    Message,
    Numeral,
    Samples,
    ms_from_ns,
)
from processors.sinks.live.trail import CLOCK_JUMP_S, TRAIL_S, WaveformTrail
from processors.sinks.live.trend import TrendBook
from processors.sinks.live.voices import source_of
from processors.vitals.readings import DEVICE_RECORD

CHANNELS_MAX: Final = 64
DEVICES_MAX: Final = 32
NUMERALS_MAX: Final = 64
GAPS_MAX: Final = 64
ALARMS_MAX: Final = 32
SHOWN: Final = frozenset(
    quantity.name
    for quantity in (
        codes.HEART_RATE,
        codes.SPO2,
        codes.PULSE_RATE,
        codes.RESPIRATORY_RATE,
        codes.BODY_TEMPERATURE,
        codes.PERFUSION_INDEX,
        codes.BATTERY_LEVEL,
        codes.SIGNAL_QUALITY,
        codes.PULSE_QUALITY,
        codes.RESPIRATION_QUALITY,
    )
)
"""The quantities that the page has a place for; the others are not sent to it."""

RATE_SHARE_MAX: Final = 0.02
"""A rate that differs by more is another channel, whose sweep begins empty; the samples of one
Frame are drawn where they belong within 5 ms."""

WRONG_CLOCK_S: Final = 86_400
"""A numeral that is further ahead of the next was by a clock that was wrong: it must not stay. What
is less far behind is late, and no numeral."""

FRAMES_REMEMBERED: Final = 4_096
"""Identities of frames kept to know a repeated one: 17 minutes of four frames a second."""

ChannelKey = tuple[str, str]
"""Device and channel."""


@dataclass(slots=True)
class SubjectCounts:
    """What happened at the limits of one subject."""

    n_frames: int = 0
    n_frames_repeated: int = 0
    n_blocks_repeated: int = 0
    n_blocks_refused: int = 0
    """Blocks of a channel beyond the limit."""
    n_states_refused: int = 0
    """Devices, alarms or sources of beats beyond the limit."""
    n_numerals_forgotten: int = 0
    """Numerals that made room for newer ones."""


@dataclass(slots=True)
class _LiveChannel:
    message: Channel
    trail: WaveformTrail
    heard_ns: int


LABELS_MAX: Final = 64
"""Labels of a subject that a new page is told of. Beyond, the oldest is not told any more; the
topic has all of them."""


class SubjectState:
    """The last seconds of one subject. Each ``process_*`` returns what the open pages are told."""

    def __init__(self, subject_id: str) -> None:
        self.subject_id = subject_id
        self.counts = SubjectCounts()
        self.heard_ns: int | None = None
        """Our clock when data last came: samples, or of a subject without waveforms readings."""
        self.newest_ns: int | None = None
        """Newest event time."""
        self._frames: OrderedDict[tuple[str, int, int], None] = OrderedDict()
        self._channels: dict[ChannelKey, _LiveChannel] = {}
        self._n_channel_ids = 0
        self._numerals: dict[tuple[str, str], Numeral] = {}
        self._beats: dict[str, float] = {}
        self._devices: dict[str, Device] = {}
        self._gaps: list[GapMark] = []
        self._alarms: dict[str, Alarm] = {}
        self._trends = TrendBook()
        self._labels: deque[Label] = deque(maxlen=LABELS_MAX)

    @property
    def devices(self) -> tuple[str, ...]:
        """Devices that were heard of, sorted."""
        return tuple(sorted(self._devices))

    @property
    def device_states(self) -> list[Device]:
        """What is known of each device, sorted."""
        return [self._devices[name] for name in self.devices]

    @property
    def numerals(self) -> list[Numeral]:
        """The newest value of each quantity and source."""
        return list(self._numerals.values())

    @property
    def active_alarms(self) -> list[Alarm]:
        """The conditions that last."""
        return [alarm for alarm in self._alarms.values() if alarm.active]

    @property
    def waveforms(self) -> list[tuple[Channel, WaveformTrail, int]]:
        """Each channel, its last seconds, and our clock when samples of it last came."""
        return [(one.message, one.trail, one.heard_ns) for one in self._channels.values()]

    def process_frame(self, frame: Frame, now_ns: int) -> list[Message]:
        """Take a frame; one that came before says nothing new."""
        if self._is_repeated(frame):
            self.counts.n_frames_repeated += 1
            return []
        self.counts.n_frames += 1
        if frame.waveforms or (frame.readings and not self._channels):
            self.heard_ns = now_ns
        messages: list[Message] = []
        for event in frame.events:
            messages += self._process_event(event)
        for gap in frame.gaps:
            messages += self._process_gap(gap)
        for block in frame.waveforms:
            messages += self._process_block(block, now_ns)
        for reading in frame.readings:
            messages += self._process_reading(reading, now_ns)
        return messages

    def process_observation(
        self, observation: Observation, now_ns: int | None = None
    ) -> list[Message]:
        """Take a derived value or a beat."""
        self._note_time(observation.t_ns)
        if observation.name == codes.RR_INTERVAL.name:
            return self._process_beat(observation)
        if observation.name == codes.BEAT_CLASS.name:
            return _beat_class(observation)
        if observation.name not in SHOWN or observation.algorithm == DEVICE_RECORD.name:
            return []
        numeral = Numeral(
            name=observation.name,
            source=source_of(observation),
            value=observation.value,
            unit=observation.unit,
            reason=observation.reason,
            quality=observation.quality,
            t_ms=ms_from_ns(observation.t_ns),
            channels=observation.channels[:CHANNELS_MAX],
            heard_ms=None if now_ns is None else ms_from_ns(now_ns),
        )
        return [*self._keep_numeral(numeral), *self._trends.process(observation)]

    def process_alarm(self, alarm: AlarmEvent) -> list[Message]:
        """Take the beginning or the end of an alarm condition."""
        message = Alarm(
            name=alarm.name,
            priority=alarm.priority.value,
            active=alarm.active,
            detail=alarm.detail,
            t_ms=ms_from_ns(alarm.t_ns),
        )
        kept = self._alarms.get(alarm.name)
        if kept is not None and _is_behind(message.t_ms, kept.t_ms):
            return []
        if kept is None and len(self._alarms) >= ALARMS_MAX:
            self.counts.n_states_refused += 1
            return []
        # An ended condition is kept too: a late repetition of its beginning must not raise it.
        self._alarms[alarm.name] = message
        return [message]

    def process_annotation(self, annotation: SubjectAnnotation) -> list[Message]:
        """Take what somebody has marked."""
        message = Label(
            t_ms=ms_from_ns(annotation.t_ns),
            end_ms=ms_from_ns(annotation.end_ns),
            text=annotation.words,
            author=annotation.author,
            device=annotation.device_id,
            channel=annotation.channel,
        )
        self._labels.append(message)
        return [message]

    def snapshot(self, now_ns: int) -> list[Message]:
        """Give all that a page which opens now has to know, in the order of the protocol."""
        messages: list[Message] = [*self._devices.values()]
        messages += [channel.message for channel in self._channels.values()]
        messages += self._gaps
        messages += self.active_alarms
        messages += self._numerals.values()
        messages += self._trends.snapshot()
        messages += self._labels
        for channel in self._channels.values():
            # Old samples would be drawn as if they were new.
            if now_ns - channel.heard_ns <= TRAIL_S * NS_PER_S:
                messages += [
                    _samples(channel.message.id, block, history=True)
                    for block in channel.trail.pieces(channel.message.period_ns)
                ]
        return messages

    def _is_repeated(self, frame: Frame) -> bool:
        # With its time: an agent that was set up anew counts from 0 again.
        identity = (frame.agent_id, frame.sequence, _frame_time_ns(frame))
        if identity in self._frames:
            return True
        self._frames[identity] = None
        if len(self._frames) > FRAMES_REMEMBERED:
            self._frames.popitem(last=False)
        return False

    def _process_block(self, block: WaveformBlock, now_ns: int) -> list[Message]:
        if not self._has_room_for(block):
            self.counts.n_blocks_refused += 1
            return []
        key = (block.device_id, block.channel)
        channel = self._channels.get(key)
        messages: list[Message] = []
        if channel is None or not _describes(channel.message, block):
            channel = _LiveChannel(self._describe(block), WaveformTrail(), now_ns)
            self._channels[key] = channel
            messages.append(channel.message)
        fresh = channel.trail.process(block)
        if fresh is None:
            self.counts.n_blocks_repeated += 1
            return messages
        channel.heard_ns = now_ns
        end_ns = fresh.time_ns(fresh.i_end - 1)
        self._note_time(end_ns)
        messages += self._note_device(block.device_id, end_ns)
        messages.append(_samples(channel.message.id, fresh, history=False))
        return messages

    def _has_room_for(self, block: WaveformBlock) -> bool:
        is_known = (block.device_id, block.channel) in self._channels
        return is_known or len(self._channels) < CHANNELS_MAX

    def _describe(self, block: WaveformBlock) -> Channel:
        self._n_channel_ids += 1
        return Channel(
            id=self._n_channel_ids & 0xFFFF,
            device=block.device_id,
            channel=block.channel,
            quantity=codes.quantity_name(block.mdc_code),
            label=waveform_label(block),
            kind=waveform_kind(block),
            unit=block.unit,
            scale=block.scale,
            offset=block.offset,
            period_ns=(block.period.ns_numerator, block.period.ns_denominator),
        )

    def _process_beat(self, observation: Observation) -> list[Message]:
        t_ms = ms_from_ns(observation.t_ns)
        newest_ms = self._beats.get(observation.algorithm)
        if newest_ms is not None and _is_behind(t_ms, newest_ms):
            return []
        if newest_ms is None and len(self._beats) >= NUMERALS_MAX:
            self.counts.n_states_refused += 1
            return []
        self._beats[observation.algorithm] = t_ms
        return [
            Beat(
                source=observation.algorithm,
                t_ms=t_ms,
                rr_interval=observation.value,
                unit=observation.unit,
                quality=observation.quality,
                channels=observation.channels[:CHANNELS_MAX],
            )
        ]

    def _process_reading(self, reading: Reading, now_ns: int) -> list[Message]:
        self._note_time(reading.t_ns)
        messages = self._note_device(reading.device_id, reading.t_ns)
        if reading.mdc_code != codes.BATTERY_LEVEL.mdc:
            return messages
        battery = Numeral(
            name=codes.BATTERY_LEVEL.name,
            source=reading.device_id,
            value=reading.value,
            unit=reading.unit,
            reason=reading.reason,
            quality=1.0 if reading.value is not None else 0.0,
            t_ms=ms_from_ns(reading.t_ns),
            channels=(reading.device_id,),
            heard_ms=ms_from_ns(now_ns),
        )
        kept = self._keep_numeral(battery)
        device = self._devices.get(reading.device_id)
        if kept and device is not None and reading.value is not None:
            device = replace(device, battery_percent=reading.value)
            self._devices[reading.device_id] = device
            kept = [*kept, device]
        return messages + kept

    def _keep_numeral(self, numeral: Numeral) -> list[Message]:
        key = (numeral.name, numeral.source)
        kept = self._numerals.get(key)
        if kept is not None and _is_behind(numeral.t_ms, kept.t_ms, WRONG_CLOCK_S):
            return []
        if kept is None and len(self._numerals) >= NUMERALS_MAX:
            oldest = min(self._numerals, key=lambda name: self._numerals[name].t_ms)
            del self._numerals[oldest]
            self.counts.n_numerals_forgotten += 1
        self._numerals[key] = numeral
        return [numeral]

    def _process_gap(self, gap: Gap) -> list[Message]:
        channel = self._channels.get((gap.device_id, gap.channel))
        newest = channel.trail.newest if channel is not None else None
        if newest is None:
            return []  # nothing of this channel was shown, so nothing is missing on the page
        end_ns = gap.t0_ns + newest.period.offset_ns(gap.n_samples)
        mark = GapMark(
            device=gap.device_id,
            channel=gap.channel,
            cause=gap.cause.value,
            t0_ms=ms_from_ns(gap.t0_ns),
            t1_ms=ms_from_ns(end_ns),
            n_samples=gap.n_samples,
        )
        self._gaps = [*self._gaps[-GAPS_MAX + 1 :], mark]
        return [mark]

    def _process_event(self, event: DeviceEvent) -> list[Message]:
        device = self._device(event.device_id, event.t_ns)
        if device is None:
            return []
        device = replace(
            _after_event(device, event.kind),
            event=event.kind.value,
            detail=event.detail,
            t_ms=ms_from_ns(event.t_ns),
        )
        self._devices[event.device_id] = device
        self._note_time(event.t_ns)
        return [device]

    def _note_device(self, device_id: str, t_ns: int) -> list[Message]:
        """Who sends is connected, unless the link was lost after that."""
        device = self._device(device_id, t_ns)
        t_ms = ms_from_ns(t_ns)
        if device is None or device.connected or t_ms < device.t_ms:
            return []
        device = replace(device, connected=True, t_ms=t_ms)
        self._devices[device_id] = device
        return [device]

    def _device(self, device_id: str, t_ns: int) -> Device | None:
        device = self._devices.get(device_id)
        if device is None and len(self._devices) >= DEVICES_MAX:
            self.counts.n_states_refused += 1
            return None
        return device or Device(
            device=device_id,
            connected=None,
            contact=None,
            battery_percent=None,
            battery_low=False,
            event="",
            detail="",
            t_ms=ms_from_ns(t_ns),
        )

    def _note_time(self, t_ns: int) -> None:
        if self.newest_ns is None or t_ns > self.newest_ns:
            self.newest_ns = t_ns


def _beat_class(observation: Observation) -> list[Message]:
    """Tell it whenever it comes: a page knows which beat it is of by its time."""
    if observation.value is None:
        return []
    return [
        BeatClass(
            t_ms=ms_from_ns(observation.t_ns),
            beat_class=int(observation.value),
            channels=observation.channels[:CHANNELS_MAX],
        )
    ]


def _after_event(device: Device, kind: DeviceEventKind) -> Device:
    match kind:
        case DeviceEventKind.CONNECTED | DeviceEventKind.STREAM_STARTED:
            return replace(device, connected=True)
        case DeviceEventKind.LINK_LOST:
            # What it said of the skin it said while it was there.
            return replace(device, connected=False, contact=None)
        case DeviceEventKind.CONTACT_LOST | DeviceEventKind.CONTACT_FOUND:
            return replace(device, contact=kind is DeviceEventKind.CONTACT_FOUND)
        case DeviceEventKind.BATTERY_LOW:
            return replace(device, battery_low=True)
        case _:
            return device


def _describes(channel: Channel, block: WaveformBlock) -> bool:
    return (
        channel.scale == block.scale
        and channel.offset == block.offset
        and channel.unit == block.unit
        and channel.quantity == codes.quantity_name(block.mdc_code)
        and _is_of_rate(block, channel.period_ns)
    )


def _is_of_rate(block: WaveformBlock, period_ns: tuple[int, int]) -> bool:
    """Tell whether samples can be drawn with a period; it is measured anew now and then."""
    ours = block.period.ns_numerator * period_ns[1]
    theirs = period_ns[0] * block.period.ns_denominator
    return abs(ours - theirs) <= RATE_SHARE_MAX * theirs


def _samples(channel_id: int, block: WaveformBlock, *, history: bool) -> Samples:
    return Samples(
        channel_id=channel_id,
        i_first=block.i_first,
        t0_ns=block.t0_ns,
        counts=block.counts,
        received_ns=block.received_ns,
        history=history,
    )


def _is_behind(t_ms: float, newest_ms: float, jump_s: float = CLOCK_JUMP_S) -> bool:
    """Say whether this came before; far behind, the clock was set back instead."""
    return 0 <= newest_ms - t_ms <= jump_s * 1_000


def _frame_time_ns(frame: Frame) -> int:
    parts = (frame.waveforms, frame.readings, frame.gaps, frame.events)
    first = next((part[0] for part in parts if part), None)
    if isinstance(first, WaveformBlock | Gap):
        return first.t0_ns
    return first.t_ns if first is not None else 0
