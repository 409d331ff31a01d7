"""Everything that is derived from one subject's Frames: pure, synchronous, event time only.

The same Frames give the same outputs, whole or in pieces, live or replayed. They are put in order
first (`frame_order.py`). What has been processed is known by sample number and by time, too, not by
who delivered it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Final, TypeGuard, TypeVar

from devices import codes
from ingest.frame import (
    NS_PER_S,
    TIME_NS_MAX,
    DeviceEvent,
    DeviceEventKind,
    Frame,
    Reading,
    SamplePeriod,
    WaveformBlock,
)
from ingest.observation import AlarmEvent, Observation
from processors.across import UNJUDGED, AcrossSources
from processors.alarms.technical import NoHeartRateAlarm
from processors.catalogue import ALGORITHMS, BEAT_STEPS, CROSS_STEPS, MODALITIES
from processors.dsp.state import State, translated_errors
from processors.frame_order import FrameOrder
from processors.frame_times import FAR_NS
from processors.items import Item
from processors.light_in_motion import JUDGED
from processors.order_counts import OrderCounts
from processors.slices import slices_of
from processors.sources import SILENCE_NS, Hearer, Modality, Stream, unheard
from processors.vitals import ecg
from processors.vitals.derived import Algorithm, Beat, Derived
from processors.vitals.readings import DEVICE_READING, DEVICE_RECORD
from processors.vitals.reasons import NoValueReason
from processors.vitals.suspicion import DISCONNECTED
from processors.waiting import WaitingBlocks

_KIND = "subject_pipeline"
_VERSION = 3

PASSED_THROUGH: Final[Mapping[int, codes.Quantity]] = MappingProxyType(
    {
        quantity.mdc: quantity
        for quantity in (
            codes.SPO2,
            codes.PULSE_RATE,
            codes.PERFUSION_INDEX,
            codes.BODY_TEMPERATURE,
        )
    }
)
"""Readings that the device itself derived and that become Observations as they are."""

FUSED: Final[Mapping[int, codes.Quantity]] = MappingProxyType(
    {
        quantity.mdc: quantity
        for quantity in (codes.HEART_RATE, codes.PULSE_RATE, codes.RESPIRATORY_RATE)
    }
)
"""Readings that are weighed against what is derived from the signals."""

SPOT_CHECKS: Final[Mapping[int, codes.Quantity]] = MappingProxyType(
    {
        quantity.mdc: quantity
        for name, quantity in codes.QUANTITIES.items()
        if quantity
        in {codes.SYSTOLIC_PRESSURE, codes.DIASTOLIC_PRESSURE, codes.MEAN_ARTERIAL_PRESSURE}
        or (name.startswith("glucose") and quantity.ucum == codes.GLUCOSE.ucum)
    }
)
"""Readings of single measurements. They pass, too; nothing else goes by their time."""

LATENESS_NS: Final = 4 * NS_PER_S
"""A stream whose samples are further behind those of the newest one is not waited for."""

FIRST_LATE_NS: Final = NS_PER_S // 2
"""So much later than others the samples of a stream may come: two Frames of an agent. It costs
nothing: from beats and breaths all that is said of several streams is said later still."""

DELAY_NS_MAX: Final = 10 * NS_PER_S
"""Nor one that has said nothing of the time since; the first pulses of light take four seconds."""

READINGS_MAX: Final = 256
"""Devices times quantities of one subject that are remembered; the oldest give way."""

Output = Observation | AlarmEvent

_QUANTITIES: Final = MappingProxyType({**FUSED, **PASSED_THROUGH, **SPOT_CHECKS})

_LIGHT: Final = frozenset({"ppg", "oximetry"})
_HEARD_WITH: Final = MappingProxyType({"ppg": "motion", "motion": "ppg"})

_MODALITIES_OF: Final = MappingProxyType(
    {
        mdc_code: tuple(modality for modality in MODALITIES if mdc_code in modality.ranks)
        for mdc_code in {mdc_code for modality in MODALITIES for mdc_code in modality.ranks}
    }
)

_t_ns = attrgetter("t_ns")

_Key = TypeVar("_Key")
_Known = TypeVar("_Known")


class SubjectPipeline:
    """All streams of one subject, in the order of their samples."""

    def __init__(self, subject_id: str) -> None:
        self._subject_id = subject_id
        self._order = FrameOrder(subject_id)
        self._streams: dict[str, Stream] = {}
        self._beat_steps = [build() for build, _ in BEAT_STEPS]
        self._across = AcrossSources([build() for build, _ in CROSS_STEPS])
        self._waiting = WaitingBlocks()
        self._models: dict[str, str] = {}
        self._last_reading_ns: dict[tuple[str, int], int] = {}
        self._speakers: dict[int, tuple[str, int]] = {}
        self._newest_reading_ns = 0  # of those fused, that another one bears out
        self._before_reading_ns = 0
        self._second_ns = 0  # the newest whole second of the ECG
        self._slice_second = 0  # the second of which something came last
        self._samples_second = 0  # the newest second of which samples came
        self._alarm = NoHeartRateAlarm(subject_id)
        self._n_samples_repeated = 0  # of Frames that had not come before

    @property
    def n_samples_repeated(self) -> int:
        """Samples that came again and were not processed a second time."""
        return self._n_samples_repeated + self._order.counts.n_samples_repeated

    @property
    def order_counts(self) -> OrderCounts:
        """What happened to the Frames that did not come in order."""
        return self._order.counts

    def process(self, frame: Frame) -> list[Output]:
        """Take the subject's next Frame as delivered; give what follows from those in order by now.

        What follows from one Frame is in order of event time.
        """
        outputs: list[Output] = []
        for one in self._order.take(frame):
            if isinstance(one, Frame):
                outputs += self._process(one)
            elif isinstance(one, AlarmEvent):
                outputs.append(one)
            else:
                self._begin_again()
        return outputs

    def _begin_again(self) -> None:
        """Forget everything but the order of the Frames."""
        fresh = SubjectPipeline(self._subject_id)
        fresh._order = self._order
        self.__dict__ = fresh.__dict__

    def _process(self, frame: Frame) -> list[Output]:
        usable = [block for block in frame.waveforms if _is_usable(block)]
        outputs: list[Output] = []
        for part in slices_of(usable, frame.readings, frame.events):
            if part.second != self._slice_second:
                # All that is before this second has come: what is known now, whatever the cut.
                now_ns = part.second * NS_PER_S
                outputs += self._begin_streams(now_ns)
                outputs += self._across_sources(now_ns)
                self._slice_second = part.second
            if part.events:
                outputs += self._learn_models(part.events)
            if part.blocks:
                self._samples_second = max(self._samples_second, part.second)
            by_modality = _by_modality(part.blocks)
            for modality in MODALITIES:
                if modality.name in by_modality:
                    outputs += self._process_modality(modality, by_modality[modality.name])
            if part.readings:
                outputs += self._process_readings(part.readings)
        outputs.sort(key=_t_ns)
        return outputs

    def _process_modality(self, modality: Modality, blocks: list[WaveformBlock]) -> list[Output]:
        stream = self._streams.get(modality.name)
        if stream is None:
            self._waiting.add(modality.name, blocks)
            return []
        said: list[Output] = []
        owned = [block for block in blocks if stream.owns(block)]
        if owned:
            before = stream.n_samples_repeated
            items = stream.process(owned, self._hearer(stream))
            self._n_samples_repeated += stream.n_samples_repeated - before
            said = self._said(stream, items)
        if len(owned) < len(blocks):
            self._waiting.add(modality.name, _behind(stream, blocks))
        return said

    def _begin_streams(self, now_ns: int) -> Iterator[Output]:
        """Begin the streams whose channels have had time to come.

        A stream that is silent gives way to another device's; the next one begins behind it: time
        never goes back.
        """
        if not self._waiting:
            return
        for modality in MODALITIES:
            old = self._streams.get(modality.name)
            blocks = self._waiting.due(modality.name, now_ns)
            chosen = modality.choose(blocks if old is None else _behind(old, blocks))
            if chosen:
                model = self._models.get(chosen[0].device_id)
                stream = Stream.of_blocks(modality, chosen, model)
                self._streams[modality.name] = stream
                self._waiting.forget(modality.name)
                yield from self._process_modality(modality, blocks)

    def _learn_models(self, events: Iterable[DeviceEvent]) -> Iterator[Output]:
        for event in events:
            if event.kind is DeviceEventKind.CONNECTED and event.detail:
                _remember(self._models, event.device_id, event.detail)
                for stream in self._streams.values():
                    if stream.device_id == event.device_id:
                        items = stream.learn_model(event.detail, self._hearer(stream))
                        yield from self._said(stream, items)

    def _said(self, stream: Stream, items: list[Item]) -> list[Output]:
        """Give what follows from what a stream said."""
        if not items:  # of most Frames that are shorter than a second
            return []
        sources = stream.sources
        name = stream.modality.name
        if self._is_judged(stream):
            unjudged = [one for one in items if _is_unjudged(one)]
            items = [one for one in items if not _is_unjudged(one)]
            self._across.add(
                UNJUDGED, sources[0], [one._replace(sources=sources) for one in unjudged]
            )
        self._across.add(name, sources[0], items)
        said: list[Output] = []
        for derived in self._with_beat_steps(items) if name == "ecg" else _values_of(items):
            observation = self._observation(derived, sources)
            said.append(observation)
            if derived.quantity is codes.HEART_RATE:
                said += self._alarm.process(observation)
        return said

    def _is_judged(self, stream: Stream) -> bool:
        """Tell whether a stream is light of a device whose motion is known."""
        if stream.modality.name not in _LIGHT:
            return False
        motion = self._streams.get("motion")
        return motion is not None and motion.device_id == stream.device_id

    def _hearer(self, stream: Stream) -> Hearer:
        """Give who hears the samples: what a wrist says of a pulse takes light and motion."""
        other = self._streams.get(_HEARD_WITH.get(stream.modality.name, ""))
        if other is None or other.device_id != stream.device_id:
            return unheard
        return functools.partial(self._across.hear, stream.modality.name)

    def _with_beat_steps(self, items: Iterable[Item]) -> list[Derived]:
        """Add what follows from the heart beats, second by second."""
        found: list[Derived] = []
        for item in items:
            if isinstance(item, Beat):
                self._take_beat(item)
                continue
            found.append(item)
            if item.algorithm is ecg.HEART_RATE:
                found += self._take_second(item)
        return found

    def _take_beat(self, beat: Beat) -> None:
        for step in self._beat_steps:
            if beat.interval_s is None:
                step.reset(beat.t_ns)
            step.add_beat(beat)

    def _take_second(self, rate: Derived) -> list[Derived]:
        t_ns, reason = rate.t_ns, rate.reason
        begins_anew = t_ns - self._second_ns != NS_PER_S or reason in DISCONNECTED
        self._second_ns = t_ns
        found: list[Derived] = []
        for step in self._beat_steps:
            if begins_anew:
                step.reset(t_ns)
            found += step.at(t_ns, reason)
        return found

    def _across_sources(self, now_ns: int) -> list[Observation]:
        streams = self._streams.values()
        newest_ns = max((stream.newest_ns for stream in streams), default=0)
        watermarks = [
            stream.watermark_ns
            for stream in streams
            if newest_ns - stream.newest_ns <= LATENESS_NS
            and newest_ns - stream.watermark_ns <= DELAY_NS_MAX
        ]
        # A stream that is yet to begin has something to say of the time since its first sample,
        # and that may come later than other streams' samples of the same time.
        watermarks += self._waiting.begins_ns(now_ns)
        if newest_ns:
            watermarks.append(newest_ns - FIRST_LATE_NS)
        known_ns = max(newest_ns, *watermarks, 0)
        if self._newest_reading_ns - known_ns > SILENCE_NS:  # there are no streams, or no more
            watermarks = [self._newest_reading_ns + 1]
        end_ns = min(watermarks, default=newest_ns)
        return [self._observation(derived, ()) for derived in self._across.advance(end_ns)]

    def _observation(self, derived: Derived, channels: tuple[str, ...]) -> Observation:
        quantity, algorithm, t_ns, value, quality, reason, age_s, sources = derived
        return Observation(  # by position: that is quicker, and there are ten a second
            self._subject_id,
            t_ns,
            quantity.name,
            quantity.mdc,
            quantity.ucum,
            value,
            None if reason is None else reason.value,
            quality,
            age_s,
            sources or channels,
            algorithm.name,
            algorithm.version,
        )

    def _process_readings(self, readings: Iterable[Reading]) -> Iterator[Observation]:
        for reading in readings:
            quantity = _QUANTITIES.get(reading.mdc_code)
            key = (reading.device_id, reading.mdc_code)
            last_ns = self._last_reading_ns.get(key, -1)
            if quantity is None or reading.t_ns == last_ns:
                continue
            source = f"{reading.device_id}/{quantity.name}"
            if self._is_back_filled(reading, last_ns):
                derived = _as_said(reading, quantity, DEVICE_RECORD)
                yield self._observation(derived, (source,))._replace(reason=reading.reason)
                continue
            _remember(self._last_reading_ns, key, reading.t_ns)
            derived = _as_said(reading, quantity, DEVICE_READING)
            if reading.mdc_code in SPOT_CHECKS:
                yield self._observation(derived, (source,))._replace(reason=reading.reason)
                continue
            if reading.mdc_code in FUSED:
                # One device whose clock is far ahead for a moment must not end all before it.
                if reading.t_ns - self._before_reading_ns <= FAR_NS:
                    self._newest_reading_ns = max(self._newest_reading_ns, reading.t_ns)
                self._before_reading_ns = reading.t_ns
                self._across.add("reading", source, [derived])
            if reading.mdc_code in PASSED_THROUGH and self._speaks(reading):
                yield self._observation(derived, (source,))._replace(reason=reading.reason)

    def _is_back_filled(self, reading: Reading, last_ns: int) -> bool:
        """Tell whether newer ones have come, or all else is so far on that it counts no more."""
        if reading.t_ns < last_ns:
            return True
        _, spoke_ns = self._speakers.get(reading.mdc_code, ("", 0))
        newest_ns = max(self._samples_second * NS_PER_S, self._newest_reading_ns, spoke_ns)
        return newest_ns - reading.t_ns > SILENCE_NS

    def _speaks(self, reading: Reading) -> bool:
        """Tell whether a device speaks for a quantity: the first one that does not fall silent.

        Two oximeters at once would be one value that jumps; each one's figures stand in its Frames.
        """
        device_id, spoke_ns = self._speakers.get(reading.mdc_code, ("", 0))
        has_value = reading.value is not None
        if device_id not in ("", reading.device_id) and (
            not has_value or reading.t_ns - spoke_ns <= SILENCE_NS
        ):
            return False
        if has_value or not device_id:
            self._speakers[reading.mdc_code] = (reading.device_id, reading.t_ns)
        return True

    def to_bytes(self) -> bytes:
        """Everything that is remembered of the subject."""
        children = {
            "order": self._order.to_bytes(),
            "across": self._across.to_bytes(),
            "alarm": self._alarm.to_bytes(),
            "waiting": self._waiting.to_bytes(),
        }
        # In the order of the table: a restored pipeline must write the same bytes.
        names = [modality.name for modality in MODALITIES if modality.name in self._streams]
        children |= {f"stream/{name}": self._streams[name].to_bytes() for name in names}
        children |= {f"beat_step/{n}": one.to_bytes() for n, one in enumerate(self._beat_steps)}
        readings = [[device, code, t] for (device, code), t in self._last_reading_ns.items()]
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "subject_id": self._subject_id,
                "readings": json.dumps(readings),
                "speakers": json.dumps([[code, *one] for code, one in self._speakers.items()]),
                "models": json.dumps(list(self._models.items())),
                "newest_reading_ns": self._newest_reading_ns,
                "before_reading_ns": self._before_reading_ns,
                "second_ns": self._second_ns,
                "slice_second": self._slice_second,
                "samples_second": self._samples_second,
                "n_samples_repeated": self._n_samples_repeated,
            },
            children=children,
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> SubjectPipeline:
        """Continue where ``to_bytes`` stood.

        Raises
        ------
        StateError
            Start afresh: another version wrote it, or it is damaged.
        """
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        restored = cls(kept.text("subject_id"))
        with translated_errors(_KIND):
            rows = json.loads(kept.text("readings"))
            restored._last_reading_ns = {(str(d), int(code)): int(t) for d, code, t in rows}
            rows = json.loads(kept.text("speakers"))
            restored._speakers = {int(code): (str(d), int(t)) for code, d, t in rows}
            rows = json.loads(kept.text("models"))
            restored._models = {str(device): str(model) for device, model in rows}
        restored._order = FrameOrder.from_bytes(kept.child("order"), restored._subject_id)
        restored._waiting = WaitingBlocks.from_bytes(kept.child("waiting"))
        restored._newest_reading_ns = kept.integer("newest_reading_ns")
        restored._before_reading_ns = kept.integer("before_reading_ns")
        restored._second_ns = kept.integer("second_ns")
        restored._slice_second = kept.integer("slice_second")
        restored._samples_second = kept.integer("samples_second")
        restored._n_samples_repeated = kept.integer("n_samples_repeated")
        for modality in MODALITIES:
            if f"stream/{modality.name}" in kept.children:
                stream = Stream.from_bytes(kept.child(f"stream/{modality.name}"), modality)
                restored._streams[modality.name] = stream
        restored._beat_steps = [
            restore(kept.child(f"beat_step/{n}")) for n, (_, restore) in enumerate(BEAT_STEPS)
        ]
        restored._across = AcrossSources.from_bytes(
            kept.child("across"), [restore for _, restore in CROSS_STEPS], ALGORITHMS
        )
        restored._alarm = NoHeartRateAlarm.from_bytes(kept.child("alarm"))
        return restored


def _by_modality(blocks: Iterable[WaveformBlock]) -> dict[str, list[WaveformBlock]]:
    found: dict[str, list[WaveformBlock]] = {}
    for block in blocks:
        for modality in _MODALITIES_OF[block.mdc_code]:
            found.setdefault(modality.name, []).append(block)
    return found


def _is_usable(block: WaveformBlock) -> bool:
    """Tell whether any modality accepts a block."""
    period = block.period
    return block.time_ns(block.i_end) <= TIME_NS_MAX and _is_usable_kind(
        block.mdc_code,
        block.unit,
        period.ns_numerator,
        period.ns_denominator,
        block.scale,
        block.offset,
    )


@functools.lru_cache(maxsize=4096)
def _is_usable_kind(
    mdc_code: int, unit: str, period_num_ns: int, period_den: int, scale: float, offset: float
) -> bool:
    # Kept, because it is asked of every block, and a sensor sends the same kind for hours.
    rate_hz = SamplePeriod(ns_numerator=period_num_ns, ns_denominator=period_den).rate_hz
    return any(
        modality.accepts_kind(mdc_code, unit, rate_hz, scale, offset)
        for modality in _MODALITIES_OF.get(mdc_code, ())
    )


def _values_of(items: Iterable[Item]) -> list[Derived]:
    return [item for item in items if isinstance(item, Derived)]


def _as_said(reading: Reading, quantity: codes.Quantity, algorithm: Algorithm) -> Derived:
    """Take a device's own figure, believed as far as the device says: all or nothing."""
    return Derived(
        quantity=quantity,
        algorithm=algorithm,
        t_ns=reading.t_ns,
        value=reading.value,
        reason=None if reading.value is not None else NoValueReason.NO_SAMPLES,
        quality=0.0 if reading.value is None else 1.0,
    )


def _is_unjudged(item: Item) -> TypeGuard[Derived]:
    return isinstance(item, Derived) and item.algorithm.name in JUDGED


def _behind(stream: Stream, blocks: list[WaveformBlock]) -> list[WaveformBlock]:
    """Keep what is of others, and so late that the stream has fallen silent."""
    silent_ns = stream.newest_ns + SILENCE_NS
    return [block for block in blocks if block.t0_ns > silent_ns and not stream.owns(block)]


def _remember(known: dict[_Key, _Known], key: _Key, value: _Known) -> None:
    """Keep the newest; the oldest give way."""
    known.pop(key, None)
    known[key] = value
    if len(known) > READINGS_MAX:
        del known[next(iter(known))]
