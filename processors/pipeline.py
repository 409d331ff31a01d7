"""Everything that is derived from one subject's Frames: pure, synchronous, event time only.

The same Frames give the same outputs, whole or in pieces, live or replayed, and a Frame that is
delivered twice gives nothing the second time: what has been processed is known by sample number
and by time, not by who delivered it.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import codes
from ingest.frame import NS_PER_S, Frame, Reading, WaveformBlock
from ingest.observation import AlarmEvent, Observation
from processors.alarms.technical import NoHeartRateAlarm
from processors.dsp.sample_clock import SampleClock
from processors.vitals.ecg_chain import EcgChain
from processors.vitals.ecg_events import Beat, EcgEvent, HeartRate, SignalQuality

ECG_ALGORITHM: Final = "ecg_chain"
ECG_ALGORITHM_VERSION: Final = 1
READING_ALGORITHM: Final = "device_reading"
READING_ALGORITHM_VERSION: Final = 1

ECG_CODES: Final = frozenset(
    quantity.mdc for name, quantity in codes.QUANTITIES.items() if name.split("_")[0] == "ecg"
)

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

MICROVOLTS: Final[Mapping[str, float]] = MappingProxyType({"uV": 1.0, "mV": 1e3, "V": 1e6})
"""Factor to microvolts by UCUM unit."""

ECG_SILENCE_NS: Final = 10 * NS_PER_S
"""Another ECG channel takes over when the present one has been silent for this long."""

ECG_RATE_HZ_MIN: Final = 100.0
ECG_RATE_HZ_MAX: Final = 2000.0

ECG_MICROVOLTS_MAX: Final = 1e9
"""A kilovolt at full scale: no electrode gives it, and sums of it are far from overflow."""

READINGS_MAX: Final = 256
"""Devices times quantities of one subject that are remembered; the oldest give way."""

Output = Observation | AlarmEvent


class SubjectPipeline:
    """All streams of one subject, in the order of their samples."""

    def __init__(self, subject_id: str) -> None:
        self._subject_id = subject_id
        self._ecg: _EcgStream | None = None
        self._last_reading_ns: dict[tuple[str, int], int] = {}
        self._alarm = NoHeartRateAlarm(subject_id)
        self.n_samples_repeated = 0
        """Samples that came again and were not processed a second time."""

    def process(self, frame: Frame) -> list[Output]:
        """Take the subject's next Frame; give what follows from it, in order of event time."""
        outputs: list[Output] = []
        for block in sorted(frame.waveforms, key=lambda block: block.t0_ns):
            outputs += self._process_block(block)
        outputs += self._pass_through(frame.readings)
        return sorted(outputs, key=lambda output: output.t_ns)

    def _process_block(self, block: WaveformBlock) -> Iterator[Output]:
        if not _is_usable_ecg(block):
            return
        if self._ecg is None or self._ecg.gives_way_to(block):
            self._ecg = _EcgStream(block)
        if not self._ecg.owns(block):
            return
        before = self._ecg.n_samples_repeated
        for event in self._ecg.process(block):
            observation = self._observation(event, self._ecg.source)
            yield observation
            yield from self._alarm.process(observation)
        self.n_samples_repeated += self._ecg.n_samples_repeated - before

    def _observation(self, event: EcgEvent, source: str) -> Observation:
        quantity, value, reason, age_s = _described(event)
        return Observation(
            subject_id=self._subject_id,
            t_ns=event.t_ns,
            name=quantity.name,
            mdc_code=quantity.mdc,
            unit=quantity.ucum,
            value=value,
            reason=reason,
            quality=event.quality,
            age_s=age_s,
            channels=(source,),
            algorithm=ECG_ALGORITHM,
            algorithm_version=ECG_ALGORITHM_VERSION,
        )

    def _pass_through(self, readings: Iterable[Reading]) -> Iterator[Observation]:
        for reading in sorted(readings, key=lambda reading: reading.t_ns):
            quantity = PASSED_THROUGH.get(reading.mdc_code)
            key = (reading.device_id, reading.mdc_code)
            if quantity is None or reading.t_ns <= self._last_reading_ns.get(key, -1):
                continue
            self._last_reading_ns.pop(key, None)
            self._last_reading_ns[key] = reading.t_ns
            if len(self._last_reading_ns) > READINGS_MAX:
                del self._last_reading_ns[next(iter(self._last_reading_ns))]
            yield Observation(
                subject_id=self._subject_id,
                t_ns=reading.t_ns,
                name=quantity.name,
                mdc_code=quantity.mdc,
                unit=quantity.ucum,
                value=reading.value,
                reason=reading.reason,
                # A device's own figure is believed as far as the device says: all or nothing.
                quality=0.0 if reading.value is None else 1.0,
                age_s=0.0,
                channels=(f"{reading.device_id}/{quantity.name}",),
                algorithm=READING_ALGORITHM,
                algorithm_version=READING_ALGORITHM_VERSION,
            )


class _EcgStream:
    """One ECG channel from the sensor's counts to the chain, each sample once."""

    def __init__(self, block: WaveformBlock) -> None:
        self.source = _source(block)
        self.n_samples_repeated = 0
        self._epoch_ns = block.epoch_ns
        self._period = block.period
        self._chain = _chain(block)
        self._i_next = block.i_first
        self._t_next_ns = block.t0_ns

    def owns(self, block: WaveformBlock) -> bool:
        """Tell whether the block belongs to this channel."""
        return _source(block) == self.source

    def gives_way_to(self, block: WaveformBlock) -> bool:
        """Tell whether this channel has been silent so long that the block's one takes over."""
        return not self.owns(block) and block.t0_ns - self._t_next_ns > ECG_SILENCE_NS

    def process(self, block: WaveformBlock) -> list[EcgEvent]:
        """Process the samples of the block that are new."""
        if (block.epoch_ns, block.period) != (self._epoch_ns, self._period):
            return self._begin_again(block)
        n_repeated = min(block.n_samples, max(0, self._i_next - block.i_first))
        self.n_samples_repeated += n_repeated
        if n_repeated == block.n_samples:
            return []
        self._i_next = block.i_end
        self._t_next_ns = block.time_ns(block.i_end)
        return self._chain.process(_microvolts(block)[n_repeated:], block.i_first + n_repeated)

    def _begin_again(self, block: WaveformBlock) -> list[EcgEvent]:
        """Re-arm on a new time grid; a grid that lies in the past is a repetition."""
        if block.t0_ns < self._t_next_ns:
            self.n_samples_repeated += block.n_samples
            return []
        self._epoch_ns, self._period = block.epoch_ns, block.period
        self._chain = _chain(block)
        self._i_next = block.i_end
        self._t_next_ns = block.time_ns(block.i_end)
        return self._chain.process(_microvolts(block), block.i_first)


def _source(block: WaveformBlock) -> str:
    return f"{block.device_id}/{block.channel}"


def _is_usable_ecg(block: WaveformBlock) -> bool:
    if block.mdc_code not in ECG_CODES or block.unit not in MICROVOLTS:
        return False
    full_scale = (abs(block.scale) * 2**31 + abs(block.offset)) * MICROVOLTS[block.unit]
    return (
        ECG_RATE_HZ_MIN <= block.period.rate_hz <= ECG_RATE_HZ_MAX
        and full_scale <= ECG_MICROVOLTS_MAX * 2**31
    )


def _microvolts(block: WaveformBlock) -> NDArray[np.float64]:
    # Scale and factor first, rounded to what a gain can mean: counts that a strap sends in µV and
    # the same counts of a file in steps of 5 µV must give the same numbers to the last bit.
    factor = MICROVOLTS[block.unit]
    scale, offset = (float(f"{term * factor:.12g}") for term in (block.scale, block.offset))
    return block.counts.astype(np.float64) * scale + offset


def _chain(block: WaveformBlock) -> EcgChain:
    clock = SampleClock(
        epoch_ns=block.epoch_ns,
        period_num_ns=block.period.ns_numerator,
        period_den=block.period.ns_denominator,
    )
    return EcgChain(block.period.rate_hz, clock)


def _described(event: EcgEvent) -> tuple[codes.Quantity, float | None, str | None, float]:
    """Give an event's quantity, value, reason for none, and the age of its inputs."""
    match event:
        case Beat():
            if event.rr_interval_s is None:
                return codes.RR_INTERVAL, None, "first_beat", 0.0
            return codes.RR_INTERVAL, 1e3 * event.rr_interval_s, None, 0.0
        case SignalQuality():
            return codes.SIGNAL_QUALITY, event.quality, None, 0.0
        case HeartRate():
            reason = None if event.reason is None else str(event.reason)
            return codes.HEART_RATE, event.heart_rate_bpm, reason, event.age_s or 0.0
