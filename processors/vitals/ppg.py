"""From a photoplethysmogram to pulse beats, intervals, rate, perfusion and quality."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import codes
from processors.dsp.pulse_waves import BEAT_DTYPE, PulseWaveDetector
from processors.dsp.sample_clock import SampleClock
from processors.dsp.state import State, translated_errors
from processors.vitals.derived import Algorithm, Beat, Derived
from processors.vitals.ppg_quality import (
    QUALITY_MIN,
    WARM_UP_S,
    WINDOW_S,
    Assessment,
    PulseQuality,
)
from processors.vitals.pulse_deficit import PulseDeficit
from processors.vitals.rate import BeatRate
from processors.vitals.reasons import NoValueReason

_KIND = "ppg_chain"
_VERSION = 3

Floats = NDArray[np.float64]

GRID_NS: Final = 1_000_000_000
_DELAY_S: Final = 0.8

BEATS: Final = Algorithm(
    name="ppg_beats",
    version=3,
    method="The steepest point of the systolic upslope of each pulse wave, refined to a fraction "
    "of a sample; rises between beats (dicrotic waves, noise) are told apart by height and time; "
    "in an even rhythm, a rise within half a second before the beat that is due counts only if it "
    "looks like a pulse and is no higher. The interval is the difference of two such times.",
    source="processors.dsp.pulse_waves; after Zong et al., Comput Cardiol 30:259-262 (2003)",
    delay_s=_DELAY_S,
    averaging="None: one value per beat.",
    validity="From the second beat after the start or a gap on (first_beat); no interval spans a "
    "gap. Its quality is the lower one of the two beats, less where it is more than half as long "
    "again as those before: a beat that moves no blood into the fingertip has no pulse wave, and "
    "the interval is then that of two heart beats.",
)
PULSE_RATE: Final = Algorithm(
    name="ppg_pulse_rate",
    version=3,
    method="60 over the mean of those intervals that end in the last 10 s and can be believed, "
    "each second: not those within a movement, nor one that is plainly two (a beat without a "
    "pulse). Withheld where the quality is low.",
    source="ISO 80601-2-61 (the maker discloses the averaging)",
    delay_s=_DELAY_S,
    averaging="60 over the mean of the believed intervals of the last 10 s, each second.",
    validity="At least three believed intervals (warming_up, too_few_beats, poor_signal); a pulse "
    "within the last 4 s (low_perfusion); a sensor on the skin (lead_off) and within its range "
    "(saturated); quality at least "
    f"{QUALITY_MIN:g} (poor_signal). Where intervals are 1.7 times those of the half minute before "
    "there is none for some beats: every second pulse may be missing (pulse_deficit_suspected). It "
    "is shown when that has lasted, with a quality below 0.9 for five minutes or until it is no "
    "longer half of what it was. Pulses that were missing from the start nobody sees in light. "
    "Where the same device feels motion: while it does and for ten seconds after, only where "
    "`wrist_pulse_rate` agrees within 5/min (moving).",
)
PERFUSION: Final = Algorithm(
    name="ppg_perfusion_index",
    version=1,
    method="Height of the systolic upslope over the signal at its foot, in percent.",
    source="Lima, Beelen and Bakker, Crit Care Med 30:1210-1213 (2002)",
    delay_s=_DELAY_S,
    averaging="Median over the pulses of the last 10 s, each second.",
    validity="Only for signals whose constant part is light (not for the pleth of a monitor, which "
    "has none); while a rate is given, or perfusion is what it lacks; not while the same device "
    "feels motion (moving).",
)
QUALITY: Final = Algorithm(
    name="ppg_quality",
    version=2,
    method="Likelihood that the pulse rate is right within 5 bpm. Each interval is judged by its "
    "two pulses (height against what lies between them, likeness to the others), and by its length "
    "among the others; the rate by the doubt that is left in the intervals believed, their "
    "scatter, the time without such, the likeness of the pulses, a pulse that is overdue, and "
    "intervals suddenly longer: logistic functions.",
    source="Orphanidou et al., IEEE J Biomed Health Inform 19:832-838 (2015)",
    delay_s=_DELAY_S,
    averaging="The last 10 s, each second.",
    validity="Always a value; 0 where there is no signal.",
)
_DOUBTS: Final = (NoValueReason.POOR_SIGNAL, NoValueReason.PULSE_DEFICIT_SUSPECTED)
"""Reasons that give way to that of the rate itself."""
_MISSING: Final = Assessment(0.0, NoValueReason.NO_SAMPLES, connected=False)


class PpgChain:
    """One photoplethysmogram of one subject: however the samples are cut, the same outputs.

    They come in the order of ``t_ns``; at one instant first the beat and its interval, then
    quality, pulse rate and, with ``has_dc``, perfusion index. The latter are given on whole
    seconds, as soon as all beats up to them are known (about 0.7 s later; those of the first four
    seconds when these are over). A gap in the sample index starts the chain anew: the first whole
    second within it says NO_SAMPLES, and no interval spans it.

    Parameters
    ----------
    fs_hz
        Nominal sampling rate, 20..1000.
    clock
        Time of sample ``i``, counted since the start of the stream.
    inverted
        True: more blood is less signal, as in raw light; None: found from the shape.
    has_dc
        The constant part of the signal is the light that comes back: a perfusion index follows.
    """

    def __init__(
        self,
        fs_hz: float,
        clock: SampleClock,
        *,
        inverted: bool | None = None,
        has_dc: bool = False,
    ) -> None:
        self._fs_hz = float(fs_hz)
        self._clock = clock
        self._has_dc = has_dc
        self._detector = PulseWaveDetector(fs_hz, inverted=inverted)
        self._quality = PulseQuality(self._fs_hz, has_dc=has_dc)
        self._deficit = PulseDeficit()
        self._rate = BeatRate(NoValueReason.LOW_PERFUSION)
        self._i_next: int | None = None
        self._i_due = 0
        self._grid_ns = 0
        self._start_ns = 0
        self._i_on = 0
        self._certainty = 0.0
        self._beats: list[list[float]] = []
        self._beats_ns: list[int] = []

    @property
    def watermark_ns(self) -> int:
        """Every output before this time has been given."""
        return min(self._grid_ns, self._clock.time_ns(self._detector.watermark))

    def go_on(self, clock: SampleClock) -> None:
        """Take the next samples by a clock that has bent with the first of them."""
        self._clock = clock
        if self._i_next is not None:
            self._set_due()

    def process(self, chunk: Floats, i_first: int) -> list[Beat | Derived]:
        """Take ``(n_samples,)`` in any unit, from sample ``i_first``.

        Samples that were there before are dropped; an index further on than expected is a gap.

        Raises
        ------
        ValueError
            A sample is not a finite number.
        """
        samples = np.ascontiguousarray(chunk, dtype=np.float64)
        if not np.isfinite(samples).all():
            raise ValueError("a sample is not a finite number; leave out what was not measured")
        i_next = i_first if self._i_next is None else self._i_next
        fresh = samples[max(0, i_next - i_first) :]
        if fresh.size == 0:
            return []
        outputs = self._pass_gap(max(i_first, i_next))
        i_next = max(i_first, i_next)
        # In pieces that end where a second is due: what is judged never depends on the chunks.
        at = 0
        while at < fresh.size:
            piece = fresh[at : at + self._i_due - i_next]
            self._keep(self._detector.process(piece))
            at += piece.size
            i_next += piece.size
            while self._i_due <= i_next:
                self._add_second(outputs)
        self._i_next = i_next
        self._add_beats(self._clock.time_ns(self._detector.watermark), outputs)
        return outputs

    def _keep(self, found: NDArray[np.void]) -> None:
        for beat in found.tolist():
            self._beats.append(list(beat))
            self._beats_ns.append(self._clock.time_between_ns(beat[0]))

    def _pass_gap(self, i_first: int) -> list[Beat | Derived]:
        """End the stretch of samples before a gap and begin one at ``i_first``, if there is one."""
        if i_first == self._i_next:
            return []
        outputs: list[Beat | Derived] = []
        i_end = self._detector.i_next
        end_ns = self._clock.time_ns(i_end)
        start_ns = self._clock.time_ns(i_first)
        judged = self._detector.record.copy()
        self._keep(self._detector.skip(i_first - i_end))
        if self._i_next is not None:
            while self._grid_ns < end_ns:
                self._add_second(outputs, judged)
            self._add_beats(end_ns, outputs)
            if self._grid_ns < start_ns:
                self._report(_MISSING, outputs)
        self._beats.clear()
        self._beats_ns.clear()
        self._rate.reset(start_ns)
        self._start_ns = start_ns
        self._i_on = i_first
        self._grid_ns = -(-start_ns // GRID_NS) * GRID_NS
        self._set_due()
        return outputs

    def _set_due(self) -> None:
        """Find the sample with which the next whole second can be judged."""
        i_grid = self._clock.index_at_or_after(self._grid_ns + 1)
        self._i_due = max(i_grid + self._detector.n_delay, self._detector.i_learned)

    def _add_second(
        self, outputs: list[Beat | Derived], record: NDArray[np.void] | None = None
    ) -> None:
        t_ns = self._grid_ns
        self._add_beats(t_ns + 1, outputs)
        judged = self._quality.judge(
            self._detector.record if record is None else record,
            self._i_on,
            self._clock.index_at_or_after(t_ns + 1),
            young=t_ns - self._start_ns < WARM_UP_S * GRID_NS,
        )
        self._report(self._deficit.temper(t_ns, judged), outputs)

    def _add_beats(self, end_ns: int, outputs: list[Beat | Derived]) -> None:
        while self._beats_ns and self._beats_ns[0] < end_ns:
            t_ns = self._beats_ns.pop(0)
            _, height, level, certainty, likeness, timing = self._beats.pop(0)
            quality = certainty * likeness
            interval_s = self._rate.add_beat(t_ns)
            of_interval = timing * min(quality, self._certainty)
            self._certainty = quality
            outputs.append(
                Beat(t_ns=t_ns, interval_s=interval_s, quality=quality, height=height, level=level)
            )
            outputs.append(
                Derived(
                    quantity=codes.PP_INTERVAL,
                    algorithm=BEATS,
                    t_ns=t_ns,
                    value=None if interval_s is None else 1e3 * interval_s,
                    reason=NoValueReason.FIRST_BEAT if interval_s is None else None,
                    quality=quality if interval_s is None else of_interval,
                )
            )

    def _report(self, judged: Assessment, outputs: list[Beat | Derived]) -> None:
        t_ns = self._grid_ns
        self._grid_ns += GRID_NS
        if not judged.connected:
            self._rate.reset(t_ns)  # no interval spans it
            self._i_on = self._clock.index_at_or_after(t_ns + 1)
        rate, reason, age_s = self._rate.at(t_ns)
        if reason is None or judged.reason not in _DOUBTS:
            reason = judged.reason or reason
        if judged.interval_samples is not None:
            rate = 60.0 * self._rate_hz(t_ns) / judged.interval_samples
        quality = judged.quality
        outputs.append(
            Derived(
                quantity=codes.PULSE_QUALITY,
                algorithm=QUALITY,
                t_ns=t_ns,
                value=quality,
                quality=quality,
            )
        )
        outputs.append(
            Derived(
                quantity=codes.PULSE_RATE,
                algorithm=PULSE_RATE,
                t_ns=t_ns,
                value=rate if reason is None else None,
                reason=reason,
                quality=quality,
                age_s=age_s,
            )
        )
        if self._has_dc:
            outputs.append(self._perfusion(t_ns, judged, reason, age_s))
        self._set_due()

    def _rate_hz(self, t_ns: int) -> float:
        """Give the mean sampling rate of the ten seconds before an instant."""
        clock = self._clock
        if clock.before is None:
            return clock.fs_hz
        begin_ns = t_ns - round(WINDOW_S * GRID_NS)
        return clock.rate_hz(clock.index_at_or_after(begin_ns), clock.index_at_or_after(t_ns + 1))

    def _perfusion(
        self, t_ns: int, judged: Assessment, reason: NoValueReason | None, age_s: float
    ) -> Derived:
        value = judged.perfusion_percent
        if reason is NoValueReason.LOW_PERFUSION and value is not None:
            reason = None
        if reason is None and value is None:
            reason = NoValueReason.TOO_FEW_BEATS
        return Derived(
            quantity=codes.PERFUSION_INDEX,
            algorithm=PERFUSION,
            t_ns=t_ns,
            value=value if reason is None else None,
            reason=reason,
            quality=judged.quality,
            age_s=age_s,
        )

    def to_bytes(self) -> bytes:
        """Everything the chain remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "fs_hz": self._fs_hz,
                **self._clock.scalars(),
                "has_dc": self._has_dc,
                "i_next": self._i_next,
                "i_due": self._i_due,
                "grid_ns": self._grid_ns,
                "start_ns": self._start_ns,
                "i_on": self._i_on,
                "certainty": self._certainty,
            },
            arrays={
                "beats": np.array(self._beats, dtype=np.float64).reshape(-1, _N_FIELDS),
                "beats_ns": np.array(self._beats_ns, dtype=np.int64),
            },
            children={
                "detector": self._detector.to_bytes(),
                "deficit": self._deficit.to_bytes(),
                "rate": self._rate.to_bytes(),
            },
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> PpgChain:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            clock = SampleClock.of_state(kept)
            restored = cls(kept.number("fs_hz"), clock, has_dc=kept.flag("has_dc"))
        restored._i_next = kept.optional_integer("i_next")
        restored._i_due = kept.integer("i_due")
        restored._grid_ns = kept.integer("grid_ns")
        restored._start_ns = kept.integer("start_ns")
        restored._i_on = kept.integer("i_on")
        restored._certainty = kept.number("certainty")
        restored._beats_ns = kept.int_array("beats_ns").tolist()
        beats = kept.float_array("beats", (len(restored._beats_ns), _N_FIELDS))
        restored._beats = beats.tolist()
        restored._detector = PulseWaveDetector.from_bytes(kept.child("detector"))
        restored._deficit = PulseDeficit.from_bytes(kept.child("deficit"))
        restored._rate = BeatRate.from_bytes(kept.child("rate"))
        return restored


_N_FIELDS: Final = len(BEAT_DTYPE.names or ())
