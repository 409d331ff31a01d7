"""Everything that is derived from one subject's Frames: pure, synchronous, event time only.

The same Frames give the same outputs, whole or in pieces, live or replayed, and a Frame that is
delivered twice gives nothing the second time: what has been processed is known by sample number
and by time, not by who delivered it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from devices import codes
from ingest.frame import NS_PER_S, Frame, Reading, WaveformBlock
from ingest.observation import AlarmEvent, Observation
from processors.across import AcrossSources
from processors.alarms.technical import NoHeartRateAlarm
from processors.catalogue import ALGORITHMS, BEAT_STEPS, CROSS_STEPS, MODALITIES
from processors.dsp.state import State, translated_errors
from processors.slices import slices_of
from processors.sources import SILENCE_NS, Item, Modality, Stream
from processors.vitals import ecg
from processors.vitals.derived import Beat, Derived
from processors.vitals.readings import DEVICE_READING
from processors.vitals.reasons import NoValueReason

_KIND = "subject_pipeline"
_VERSION = 1

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

LATENESS_NS: Final = 4 * NS_PER_S
"""A stream that is further behind the newest one is not waited for: more than a missing lead, the
delay of a chain and a whole second together make."""

BORNE_OUT_NS: Final = 86_400 * NS_PER_S
"""A reading further behind the one before it says what time it is only when another follows."""

READINGS_MAX: Final = 256
"""Devices times quantities of one subject that are remembered; the oldest give way."""

_DISCONNECTED: Final = frozenset(
    {NoValueReason.LEAD_OFF, NoValueReason.SATURATED, NoValueReason.NO_SAMPLES}
)

Output = Observation | AlarmEvent

_MODALITY_OF: Final = MappingProxyType(
    {mdc_code: modality for modality in MODALITIES for mdc_code in modality.ranks}
)


class SubjectPipeline:
    """All streams of one subject, in the order of their samples."""

    def __init__(self, subject_id: str) -> None:
        self._subject_id = subject_id
        self._streams: dict[str, Stream] = {}
        self._beat_steps = [build() for build, _ in BEAT_STEPS]
        self._across = AcrossSources([build() for build, _ in CROSS_STEPS])
        self._last_reading_ns: dict[tuple[str, int], int] = {}
        self._newest_reading_ns = 0  # that another one bears out
        self._before_reading_ns = 0
        self._second_ns = 0  # the newest whole second of the ECG
        self._slice_second = 0  # the second of which something came last
        self._alarm = NoHeartRateAlarm(subject_id)
        self.n_samples_repeated = 0
        """Samples that came again and were not processed a second time."""

    def process(self, frame: Frame) -> list[Output]:
        """Take the subject's next Frame; give what follows from it, in order of event time."""
        usable = [b for b in frame.waveforms if _is_usable(b)]
        outputs: list[Output] = []
        for part in slices_of(usable, frame.readings):
            if part.second != self._slice_second:
                # All that is before this second has come: what is known now, whatever the cut.
                outputs += self._across_sources()
                self._slice_second = part.second
            for modality in MODALITIES:
                blocks = [block for block in part.blocks if block.mdc_code in modality.ranks]
                if blocks:
                    outputs += self._process_modality(modality, blocks)
            outputs += self._process_readings(part.readings)
        return sorted(outputs, key=lambda output: output.t_ns)

    def _process_modality(
        self, modality: Modality, blocks: list[WaveformBlock]
    ) -> Iterator[Output]:
        stream = self._stream(modality, blocks)
        owned = [] if stream is None else [block for block in blocks if stream.owns(block)]
        if stream is None or not owned:
            return
        before = stream.n_samples_repeated
        items = stream.process(owned)
        self.n_samples_repeated += stream.n_samples_repeated - before
        sources = stream.sources
        self._across.add(modality.name, sources[0], items)
        for derived in self._with_beat_steps(items) if modality.name == "ecg" else items:
            if isinstance(derived, Derived):
                observation = self._observation(derived, sources)
                yield observation
                yield from self._alarm.process(observation)

    def _stream(self, modality: Modality, blocks: list[WaveformBlock]) -> Stream | None:
        """Give the stream of a modality; one that is silent gives way to another device's."""
        stream = self._streams.get(modality.name)
        if stream is not None:
            if any(stream.owns(block) for block in blocks):
                return stream
            # The next one begins behind it: time never goes back.
            silent_ns = stream.newest_ns + SILENCE_NS
            blocks = [block for block in blocks if block.t0_ns > silent_ns]
        chosen = modality.choose(blocks)
        if chosen:
            stream = self._streams[modality.name] = Stream.of_blocks(modality, chosen)
        return stream

    def _with_beat_steps(self, items: Iterable[Item]) -> Iterator[Derived]:
        """Add what follows from the heart beats, second by second."""
        for item in items:
            if isinstance(item, Beat):
                self._take_beat(item)
                continue
            yield item
            if item.algorithm is ecg.HEART_RATE:
                yield from self._take_second(item)

    def _take_beat(self, beat: Beat) -> None:
        for step in self._beat_steps:
            if beat.interval_s is None:
                step.reset(beat.t_ns)
            step.add_beat(beat)

    def _take_second(self, rate: Derived) -> Iterator[Derived]:
        follows = rate.t_ns - self._second_ns == NS_PER_S
        self._second_ns = rate.t_ns
        for step in self._beat_steps:
            if not follows or rate.reason in _DISCONNECTED:
                step.reset(rate.t_ns)
            yield from step.at(rate.t_ns, rate.reason)

    def _across_sources(self) -> Iterator[Observation]:
        watermarks = [stream.watermark_ns for stream in self._streams.values()]
        newest_ns = max(watermarks, default=0)
        if self._newest_reading_ns - newest_ns > SILENCE_NS:  # there are no streams, or no more
            watermarks, newest_ns = [], self._newest_reading_ns + 1
        end_ns = min((t for t in watermarks if newest_ns - t <= LATENESS_NS), default=newest_ns)
        for derived in self._across.advance(end_ns):
            yield self._observation(derived, ())

    def _observation(self, derived: Derived, channels: tuple[str, ...]) -> Observation:
        return Observation(
            subject_id=self._subject_id,
            t_ns=derived.t_ns,
            name=derived.quantity.name,
            mdc_code=derived.quantity.mdc,
            unit=derived.quantity.ucum,
            value=derived.value,
            reason=None if derived.reason is None else str(derived.reason),
            quality=derived.quality,
            age_s=derived.age_s,
            channels=derived.sources or channels,
            algorithm=derived.algorithm.name,
            algorithm_version=derived.algorithm.version,
        )

    def _process_readings(self, readings: Iterable[Reading]) -> Iterator[Observation]:
        for reading in readings:
            quantity = PASSED_THROUGH.get(reading.mdc_code) or FUSED.get(reading.mdc_code)
            key = (reading.device_id, reading.mdc_code)
            if quantity is None or reading.t_ns <= self._last_reading_ns.get(key, -1):
                continue
            self._last_reading_ns.pop(key, None)
            self._last_reading_ns[key] = reading.t_ns
            if len(self._last_reading_ns) > READINGS_MAX:
                del self._last_reading_ns[next(iter(self._last_reading_ns))]
            # One device whose clock is far ahead for a moment must not end all that comes before.
            if reading.t_ns - self._before_reading_ns <= BORNE_OUT_NS:
                self._newest_reading_ns = max(self._newest_reading_ns, reading.t_ns)
            self._before_reading_ns = reading.t_ns
            source = f"{reading.device_id}/{quantity.name}"
            # A device's own figure is believed as far as the device says: all or nothing.
            derived = Derived(
                quantity=quantity,
                algorithm=DEVICE_READING,
                t_ns=reading.t_ns,
                value=reading.value,
                reason=None if reading.value is not None else NoValueReason.NO_SAMPLES,
                quality=0.0 if reading.value is None else 1.0,
            )
            if reading.mdc_code in FUSED:
                self._across.add("reading", source, [derived])
            if reading.mdc_code in PASSED_THROUGH:
                yield replace(self._observation(derived, (source,)), reason=reading.reason)

    def to_bytes(self) -> bytes:
        """Everything that is remembered of the subject."""
        children = {"across": self._across.to_bytes(), "alarm": self._alarm.to_bytes()}
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
                "newest_reading_ns": self._newest_reading_ns,
                "before_reading_ns": self._before_reading_ns,
                "second_ns": self._second_ns,
                "slice_second": self._slice_second,
                "n_samples_repeated": self.n_samples_repeated,
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
        restored._newest_reading_ns = kept.integer("newest_reading_ns")
        restored._before_reading_ns = kept.integer("before_reading_ns")
        restored._second_ns = kept.integer("second_ns")
        restored._slice_second = kept.integer("slice_second")
        restored.n_samples_repeated = kept.integer("n_samples_repeated")
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


def _is_usable(block: WaveformBlock) -> bool:
    modality = _MODALITY_OF.get(block.mdc_code)
    return modality is not None and modality.accepts(block)
