"""From ECG samples to beats, signal quality and heart rate: one or two leads of one subject."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import codes
from processors.dsp.mains import MainsCanceller
from processors.dsp.r_peaks import RPeakDetector
from processors.dsp.sample_clock import SampleClock
from processors.dsp.state import State, translated_errors
from processors.vitals import beat_class
from processors.vitals.arrhythmia import FibrillationSuspicion
from processors.vitals.beat_class import BeatClassifier
from processors.vitals.derived import Algorithm, Beat, BeatClass, Derived
from processors.vitals.ecg_beats_kernel import N_FEATURES
from processors.vitals.ecg_quality import (
    N_GOOD_MIN,
    QUALITY_MIN,
    QUALITY_QUIET_MIN,
    QUIET_SHARE,
    Assessment,
    EcgQuality,
    best_assessments,
)
from processors.vitals.rate import AVERAGING, BeatRate
from processors.vitals.reasons import NoValueReason

_KIND = "ecg_chain"
_VERSION = 5

Floats = NDArray[np.float64]
BeatInHand = tuple[float, float, float, float, int]

GRID_NS: Final = 1_000_000_000
_N_FIELDS: Final = 5
"""Of a beat in hand: index, height, level, certainty (those of BEAT_DTYPE), and class."""
_DELAY_S: Final = 0.5

BEATS: Final = Algorithm(
    name="ecg_r_peaks",
    version=2,
    method="R peaks from one or two leads, their time refined to a fraction of a sample; the "
    "interval is the difference of two such times. Before anything else mains of 50 or 60 Hz is "
    "found and taken out.",
    source="processors.dsp.mains, processors.dsp.r_peaks",
    delay_s=_DELAY_S,
    averaging="None: one value per beat.",
    validity="From the second beat after the start or a gap on (first_beat); no interval spans a "
    "gap. Its quality is the lower one of the two beats.",
)
HEART_RATE: Final = Algorithm(
    name="ecg_heart_rate",
    version=3,
    method=f"{AVERAGING}. Withheld where the quality for a rate is too low for the noise there is: "
    "in a quiet signal mostly one beat of ten seconds is in doubt, an error of 6 per minute.",
    source="IEC 60601-2-27 (the maker discloses the averaging rule)",
    delay_s=_DELAY_S,
    averaging=f"{AVERAGING}.",
    validity="At least two intervals (warming_up, too_few_beats); a beat within the last 4 s "
    "(asystole_suspected); electrodes on (lead_off), amplifier in range (saturated); quality for a "
    f"rate at least {QUALITY_MIN} in noise, {QUALITY_QUIET_MIN} where the noise between beats is "
    f"no more than {QUIET_SHARE} of their height, and after it was lower for {N_GOOD_MIN} s "
    "(poor_signal).",
)
QUALITY: Final = Algorithm(
    name="ecg_quality",
    version=3,
    method="Likelihood that no beat of the last 10 s is false and none was missed (for a rate), "
    "that its intervals are right within 20 ms (for intervals): logistic functions of the likeness "
    "of complexes, their height against what lies between them, and their timing. Where the "
    "amplifier is at its rail, a beat may lie.",
    source="Orphanidou et al., IEEE J Biomed Health Inform 19:832-838 (2015); Moody, Muldrow and "
    "Mark, Comput Cardiol 11:381-384 (1984)",
    delay_s=_DELAY_S,
    averaging="The last 10 s, each second.",
    validity="Always a value; 0 where there is no signal.",
)
_CLASSES: Final = {int(one): one for one in BeatClass}
_NO_PLACES: Final = np.zeros((0, 2))
_NO_ENDS: Final = np.zeros((0, 2), dtype=np.int64)
_MISSING: Final = Assessment(0.0, 0.0, NoValueReason.NO_SAMPLES, connected=False)


class EcgChain:
    """One or two leads of one subject: however the samples are cut, the same outputs.

    They come in the order of ``t_ns``; at one instant first the beat, its interval and class, then
    the qualities, the heart rate, and whether the first lead looks like fibrillation. These are
    given on whole seconds, as soon as all beats up to them are known (about 0.5 s later). A gap in
    the sample index starts the chain anew: the first whole second within it says NO_SAMPLES, and no
    interval spans it.

    Parameters
    ----------
    fs_hz
        Nominal sampling rate, 100..2000.
    clock
        Time of sample ``i``, counted since the start of the stream.
    n_leads
        One or two, sampled together.
    """

    def __init__(self, fs_hz: float, clock: SampleClock, n_leads: int = 1) -> None:
        self._fs_hz = float(fs_hz)
        self._clock = clock
        self._n_leads = n_leads
        self._mains = [MainsCanceller(fs_hz) for _ in range(n_leads)]
        self._detector = RPeakDetector(fs_hz, n_leads)
        self._qualities = [EcgQuality(fs_hz) for _ in range(n_leads)]
        self._classifier = BeatClassifier(fs_hz, n_leads)
        self._fibrillation = FibrillationSuspicion(fs_hz)
        self._rate = BeatRate()
        self._i_next: int | None = None
        self._beats: list[BeatInHand] = []
        self._beats_ns: list[int] = []
        self._grid_ns = 0
        self._watermark_ns = clock.time_ns(self._detector.watermark)

    @property
    def watermark_ns(self) -> int:
        """Every output before this time has been given."""
        return self._watermark_ns

    def go_on(self, clock: SampleClock) -> None:
        """Take the next samples by a clock that has bent with the first of them."""
        self._clock = clock

    def process(self, chunk_uv: NDArray[np.float64], i_first: int) -> list[Beat | Derived]:
        """Take ``(n_samples,)`` or ``(n_leads, n_samples)`` in microvolt, from sample ``i_first``.

        Samples that were there before are dropped; an index further on than expected is a gap.

        Raises
        ------
        ValueError
            A sample is not a finite number, or the number of leads is another one.
        """
        leads = np.ascontiguousarray(chunk_uv, dtype=np.float64)
        if not leads.flags.writeable:
            leads = leads.copy()  # for another kind of array the kernels would be compiled anew
        leads = leads if leads.ndim > 1 else leads[np.newaxis]
        if leads.shape[0] != self._n_leads:
            raise ValueError(f"{leads.shape[0]} leads were given, not {self._n_leads}")
        if not np.isfinite(leads).all():
            raise ValueError("a sample is not a finite number; leave out what was not measured")
        i_next = i_first if self._i_next is None else self._i_next
        fresh = leads[:, max(0, i_next - i_first) :]
        if fresh.size == 0:
            return []
        outputs = self._pass_gap(max(i_first, i_next))
        self._i_next = max(i_first, i_next) + fresh.shape[1]
        clean = np.empty(fresh.shape)
        for n, (mains, quality) in enumerate(zip(self._mains, self._qualities, strict=True)):
            quality.process(mains.process(fresh[n], clean[n]), fresh[n])
        self._keep(self._detector.process(clean), clean)
        self._fibrillation.process(clean[0])
        i_end = self._detector.watermark
        self._watermark_ns = self._clock.time_ns(i_end)
        outputs += self._outputs_before(self._watermark_ns)
        for quality in self._qualities:
            quality.forget_before(i_end)
        return outputs

    def _keep(self, found: NDArray[np.void], leads_uv: Floats) -> None:
        """Put beats in hand until the watermark has passed them."""
        classes = self._classifier.process(leads_uv, found["i_r"])
        for said, kind in zip(found.tolist(), classes.tolist(), strict=True):
            self._beats.append((*said, kind))
            self._beats_ns.append(self._clock.time_between_ns(said[0]))

    def _pass_gap(self, i_first: int) -> list[Beat | Derived]:
        """End the stretch of samples before a gap and begin one at ``i_first``, if there is one."""
        if i_first == self._i_next:
            return []
        outputs: list[Beat | Derived] = []
        i_end = self._detector.i_next
        self._keep(self._detector.skip(i_first - i_end), np.zeros((self._n_leads, 0)))
        self._classifier.skip(i_first - i_end)
        start_ns = self._clock.time_ns(i_first)
        if self._i_next is not None:
            outputs += self._outputs_before(self._clock.time_ns(i_end))
            if self._grid_ns < start_ns:
                self._add_second(_MISSING, outputs)
        self._fibrillation.skip(i_first - i_end)
        for mains, quality in zip(self._mains, self._qualities, strict=True):
            mains.skip()
            quality.reset(i_first)
        self._rate.reset(start_ns)
        self._grid_ns = -(-start_ns // GRID_NS) * GRID_NS
        return outputs

    def _outputs_before(self, end_ns: int) -> list[Beat | Derived]:
        """Everything that is certain once all beats before ``end_ns`` are known."""
        ends_ns = range(self._grid_ns, end_ns, GRID_NS)
        n_beats = bisect_left(self._beats_ns, end_ns)
        if not ends_ns and not n_beats:
            return []
        beats_ns, self._beats_ns = self._beats_ns[:n_beats], self._beats_ns[n_beats:]
        beats, self._beats = self._beats[:n_beats], self._beats[n_beats:]
        n_before = [bisect_right(beats_ns, t_ns) for t_ns in ends_ns]
        qualities, assessments = self._judge(beats, ends_ns, n_before)
        found = list(zip(beats_ns, qualities, beats, strict=True))
        outputs: list[Beat | Derived] = []
        n = 0
        for n_next, judged in zip(n_before, assessments, strict=True):
            self._add_beats(found[n:n_next], outputs)
            self._add_second(judged, outputs)
            n = n_next
        self._add_beats(found[n:], outputs)
        return outputs

    def _judge(
        self, beats: list[BeatInHand], ends_ns: range, n_before: list[int]
    ) -> tuple[list[list[float]], list[Assessment]]:
        """Quality of each beat and of each second; of two leads, the better one's."""
        index_at_or_after = self._clock.index_at_or_after
        of_ends = [(index_at_or_after(t + 1), n) for t, n in zip(ends_ns, n_before, strict=True)]
        of_beats = [(beat[0], beat[3]) for beat in beats]
        ends = np.array(of_ends, dtype=np.int64) if of_ends else _NO_ENDS
        places = np.array(of_beats, dtype=np.float64) if of_beats else _NO_PLACES
        said = [quality.judge(places, ends) for quality in self._qualities]
        qualities = said[0][0][:, N_FEATURES:]
        for of_others, _ in said[1:]:
            qualities = np.maximum(qualities, of_others[:, N_FEATURES:])
        return qualities.tolist(), best_assessments([of_seconds for _, of_seconds in said])

    def _add_beats(
        self, found: list[tuple[int, list[float], BeatInHand]], outputs: list[Beat | Derived]
    ) -> None:
        for t_ns, (quality, of_interval), (_, height_uv, level_uv, _, kind) in found:
            interval_s = self._rate.add_beat(t_ns)
            outputs.append(
                Beat(
                    t_ns=t_ns,
                    interval_s=interval_s,
                    beat_class=_CLASSES[kind],
                    quality=quality,
                    height=height_uv,
                    level=level_uv,
                )
            )
            interval_ms = None if interval_s is None else 1e3 * interval_s
            reason = NoValueReason.FIRST_BEAT if interval_s is None else None
            # By position: that is quicker, and there are six of them each second.
            outputs += (
                Derived(codes.RR_INTERVAL, BEATS, t_ns, interval_ms, of_interval, reason),
                Derived(codes.BEAT_CLASS, beat_class.ALGORITHM, t_ns, float(kind), quality),
            )

    def _add_second(self, judged: Assessment, outputs: list[Beat | Derived]) -> None:
        t_ns = self._grid_ns
        self._grid_ns += GRID_NS
        if not judged.connected:
            self._rate.reset(t_ns)  # no interval spans it
        rate, reason, age_s = self._rate.at(t_ns)
        if not judged.connected or reason is None:
            reason = judged.reason
        for_rate, for_interval = judged.rate_quality, judged.interval_quality
        rate = rate if reason is None else None
        outputs += (
            Derived(codes.SIGNAL_QUALITY, QUALITY, t_ns, for_rate, for_rate),
            Derived(codes.INTERVAL_QUALITY, QUALITY, t_ns, for_interval, for_interval),
            Derived(codes.HEART_RATE, HEART_RATE, t_ns, rate, for_rate, reason, age_s),
        )
        i_second = self._clock.index_at_or_after(t_ns)
        outputs += self._fibrillation.at(t_ns, i_second, judged.reason)

    def to_bytes(self) -> bytes:
        """Everything the chain remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "fs_hz": self._fs_hz,
                "n_leads": self._n_leads,
                **self._clock.scalars(),
                "i_next": self._i_next,
                "grid_ns": self._grid_ns,
            },
            arrays={
                "beats": np.array(self._beats, dtype=np.float64).reshape(-1, _N_FIELDS),
                "beats_ns": np.array(self._beats_ns, dtype=np.int64),
            },
            children={
                "detector": self._detector.to_bytes(),
                "classifier": self._classifier.to_bytes(),
                "fibrillation": self._fibrillation.to_bytes(),
                "rate": self._rate.to_bytes(),
                **{f"mains_{n}": part.to_bytes() for n, part in enumerate(self._mains)},
                **{f"quality_{n}": part.to_bytes() for n, part in enumerate(self._qualities)},
            },
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> EcgChain:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            restored = cls(
                kept.number("fs_hz"), SampleClock.of_state(kept), kept.integer("n_leads")
            )
        restored._i_next = kept.optional_integer("i_next")
        restored._grid_ns = kept.integer("grid_ns")
        restored._beats_ns = kept.int_array("beats_ns").tolist()
        beats = kept.float_array("beats", (len(restored._beats_ns), _N_FIELDS)).tolist()
        with translated_errors(_KIND):
            restored._beats = [
                (i_r, height_uv, level_uv, certainty, int(kind))
                for i_r, height_uv, level_uv, certainty, kind in beats
            ]
        restored._detector = RPeakDetector.from_bytes(kept.child("detector"))
        restored._watermark_ns = restored._clock.time_ns(restored._detector.watermark)
        restored._classifier = BeatClassifier.from_bytes(kept.child("classifier"))
        restored._fibrillation = FibrillationSuspicion.from_bytes(kept.child("fibrillation"))
        restored._rate = BeatRate.from_bytes(kept.child("rate"))
        restored._mains = [
            MainsCanceller.from_bytes(kept.child(f"mains_{n}")) for n in range(restored._n_leads)
        ]
        restored._qualities = [
            EcgQuality.from_bytes(kept.child(f"quality_{n}")) for n in range(restored._n_leads)
        ]
        return restored
