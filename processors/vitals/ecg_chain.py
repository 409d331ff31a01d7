"""From ECG samples to beats, signal quality and heart rate: one channel, event by event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.qrs import QrsDetector
from processors.dsp.sample_clock import SampleClock
from processors.dsp.state import State, translated_errors
from processors.vitals.ecg_events import Beat, EcgEvent, SignalQuality
from processors.vitals.heart_rate import HeartRateAverage
from processors.vitals.quality import Assessment, EcgQuality
from processors.vitals.reasons import NoValueReason

_KIND = "ecg_chain"
_VERSION = 1

GRID_NS: Final = 1_000_000_000


class EcgChain:
    """One ECG channel of one subject: however the samples are cut, the same events.

    Events come in the order of ``t_ns``; at one instant first the beat, then the signal quality,
    then the heart rate. Quality and heart rate are given on whole seconds, as soon as all beats up
    to them are known (about 0.4 s later). A gap in the sample index starts the chain anew: the
    first whole second within it says NO_SAMPLES, and no interval spans it.

    Parameters
    ----------
    fs_hz
        Nominal sampling rate, 100..2000.
    clock
        Time of sample ``i``, counted since the start of the stream.
    """

    def __init__(self, fs_hz: float, clock: SampleClock) -> None:
        self._fs_hz = float(fs_hz)
        self._clock = clock
        self._detector = QrsDetector(fs_hz)
        self._quality = EcgQuality(fs_hz)
        self._average = HeartRateAverage()
        self._i_next: int | None = None
        self._i_beats: list[int] = []
        self._grid_ns = 0

    @property
    def watermark_ns(self) -> int:
        """Every event before this time has been given."""
        return self._clock.time_ns(self._detector.watermark)

    def process(self, chunk_uv: NDArray[np.float64], i_first: int) -> list[EcgEvent]:
        """Take ``(n_samples,)`` in microvolt, the first of them being sample ``i_first``.

        Samples that were there before are dropped; an index further on than expected is a gap.
        """
        if not np.isfinite(chunk_uv).all():
            raise ValueError("a sample is not a finite number; leave out what was not measured")
        i_next = i_first if self._i_next is None else self._i_next
        fresh = chunk_uv[max(0, i_next - i_first) :]
        if fresh.size == 0:
            return []
        events = self._pass_gap(max(i_first, i_next))
        self._i_next = max(i_first, i_next) + fresh.size
        self._i_beats += self._detector.process(fresh)
        self._quality.process(fresh)
        return [*events, *self._events_before(self._detector.watermark)]

    def _pass_gap(self, i_first: int) -> list[EcgEvent]:
        """End the stretch of samples before a gap and begin one at ``i_first``, if there is one."""
        if i_first == self._i_next:
            return []
        events: list[EcgEvent] = []
        i_end = self._detector.i_next
        self._i_beats += self._detector.skip(i_first - i_end)
        start_ns = self._clock.time_ns(i_first)
        if self._i_next is not None:
            events += self._events_before(i_end)
            events += self._gap_mark(start_ns)
        self._quality.reset(i_first)
        self._average.reset(start_ns)
        self._grid_ns = -(-start_ns // GRID_NS) * GRID_NS
        return events

    def _gap_mark(self, start_ns: int) -> list[EcgEvent]:
        if self._grid_ns >= start_ns:
            return []
        missing = Assessment(0.0, NoValueReason.NO_SAMPLES)
        return self._grid_events(missing)

    def _events_before(self, i_end: int) -> list[EcgEvent]:
        """Everything that is certain once all beats before sample ``i_end`` are known."""
        events: list[EcgEvent] = []
        while (i_grid := self._clock.index_at_or_after(self._grid_ns + 1)) <= i_end:
            events += self._beats_before(i_grid)
            events += self._grid_events(self._quality.assess(i_grid))
        events += self._beats_before(i_end)
        self._quality.forget_before(i_end)
        return events

    def _beats_before(self, i_end: int) -> Iterator[EcgEvent]:
        while self._i_beats and self._i_beats[0] < i_end:
            i_sample = self._i_beats.pop(0)
            t_ns = self._clock.time_ns(i_sample)
            yield Beat(
                t_ns=t_ns,
                i_sample=i_sample,
                rr_interval_s=self._average.add_beat(t_ns),
                quality=self._quality.add_beat(i_sample),
            )

    def _grid_events(self, assessment: Assessment) -> list[EcgEvent]:
        t_ns = self._grid_ns
        self._grid_ns += GRID_NS
        quality = SignalQuality(t_ns=t_ns, quality=assessment.quality, reason=assessment.reason)
        return [quality, self._average.at(t_ns, assessment)]

    def to_bytes(self) -> bytes:
        """Everything the chain remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "fs_hz": self._fs_hz,
                "epoch_ns": self._clock.epoch_ns,
                "period_num_ns": self._clock.period_num_ns,
                "period_den": self._clock.period_den,
                "i_next": self._i_next,
                "grid_ns": self._grid_ns,
            },
            arrays={"i_beats": np.array(self._i_beats, dtype=np.int64)},
            children={
                "detector": self._detector.to_bytes(),
                "quality": self._quality.to_bytes(),
                "average": self._average.to_bytes(),
            },
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> EcgChain:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            clock = SampleClock(
                epoch_ns=kept.integer("epoch_ns"),
                period_num_ns=kept.integer("period_num_ns"),
                period_den=kept.integer("period_den"),
            )
            restored = cls(kept.number("fs_hz"), clock)
        restored._i_next = kept.optional_integer("i_next")
        restored._grid_ns = kept.integer("grid_ns")
        restored._i_beats = kept.int_array("i_beats").tolist()
        restored._detector = QrsDetector.from_bytes(kept.child("detector"))
        restored._quality = EcgQuality.from_bytes(kept.child("quality"))
        restored._average = HeartRateAverage.from_bytes(kept.child("average"))
        return restored
