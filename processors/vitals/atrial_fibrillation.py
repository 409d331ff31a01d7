"""Atrial fibrillation, suspected from a minute of RR intervals.

Fibrillation is irregular without order: the next interval follows neither from the last one nor
from the last two. Sinus arrhythmia follows from the last two, bigeminy from the last one. Frequent
atrial ectopy is disorderly too, but a short interval is followed by a long one, and the odd
intervals are the short ones. Ventricular beats are told by their shape, and their intervals
are left out.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from devices import codes
from processors.dsp.state import State, translated_errors
from processors.vitals.atrial_fibrillation_kernel import N_FIGURES, measure_rhythm
from processors.vitals.derived import Algorithm, Beat, BeatClass, Derived
from processors.vitals.reasons import NoValueReason
from processors.vitals.suspicion import DISCONNECTED, Announcer, Verdict, suspected, unjudged

_KIND = "atrial_fibrillation"
_VERSION = 1

ALGORITHM: Final = Algorithm(
    name="atrial_fibrillation",
    version=2,
    method=(
        "A logistic sum over the RR intervals between non-ventricular beats: sample entropy with "
        "one and with two intervals of memory at a tolerance of 6 % of the mean interval, less "
        "negative autocorrelation at lag one and a tail of short intervals, which are the marks of "
        "atrial ectopy. Suspected above one threshold, and until it is below a lower one."
    ),
    source=(
        "Lake and Moorman, Am J Physiol Heart Circ Physiol 300:H319-H325 (2011); Sarkar, Ritscher "
        "and Mehra, IEEE Trans Biomed Eng 55:1219-1224 (2008); Richman and Moorman, Am J Physiol "
        "278:H2039-H2049 (2000)"
    ),
    delay_s=0.5,
    averaging=(
        "Over the last minute, at most the last 100 intervals; judged every five seconds, given "
        "on every change and on every whole ten seconds. A change of rhythm is said when it fills "
        "about half of the window."
    ),
    validity=(
        "None with fewer than 20 pairs of successive intervals between non-ventricular beats "
        "(ectopy, if a quarter of the beats is ventricular), unless the cycles between the ectopic "
        "beats are plainly regular; with a fifth of the beats unknown; and while the lead is off. "
        "In a second of poor signal only intervals between sure beats count. Flutter with variable "
        "conduction is often suspected as well; flutter with fixed conduction, and fibrillation "
        "with a regular paced or escape rhythm, are not."
    ),
)

WINDOW_NS: Final = 60_000_000_000
_STEP_NS: Final = 5_000_000_000
_SECOND_NS: Final = 1_000_000_000
_N_MAX: Final = 100
_N_PAIRS_MIN: Final = 20
_CONDUCTED: Final = frozenset({BeatClass.NORMAL, BeatClass.PACED})
_BEAT_QUALITY_MIN: Final = 0.3
_SURE_BEAT_MIN: Final = 0.7
"""In a second of poor signal. Fibrillation itself, and the ventricular beats in it, make seconds
poor to an index of even rhythms; their beats are found nevertheless. In noise they are not."""
_N_POOR_MAX: Final = 20
"""More seconds of poor signal among the last sixty are the reason why intervals are few."""
_SIXTY: Final = (1 << 60) - 1
_VENTRICULAR_SHARE: Final = 0.25
_UNKNOWN_SHARE_MAX: Final = 0.2
"""Of the beats: more that are like nothing before is noise."""

_N_CYCLES_MIN: Final = 12
_REGULAR_SPREAD: Final = 0.15
"""Between the tenths of the cycles: half of what fibrillation has at the least."""
_WEIGHTS: Final = (-10.0, 4.0, 8.2, 13.6, 9.8)
"""Constant; then of the two entropies, the negative autocorrelation and the negative skewness.
Fitted on simulated rhythms and the records of the MIT-BIH Arrhythmia Database, each kind alike."""
_LOGIT_BEGIN: Final = 3.0
_LOGIT_END: Final = -0.5
"""A suspicion needs more to begin than to go on: most of a day is no fibrillation, and frequent
atrial ectopy comes near to it for some seconds."""


class AtrialFibrillation:
    """The suspicion of one subject, from beats with their classes."""

    def __init__(self) -> None:
        self._announcer = Announcer(codes.ATRIAL_FIBRILLATION, ALGORITHM)
        self._ends_ns: list[int] = []
        self._rrs_s: list[float] = []
        self._valid: list[float] = []
        self._qualities: list[float] = []
        self._kinds: list[float] = []
        self._before_normal = False
        self._poor = 0
        self._verdict = unjudged(NoValueReason.WARMING_UP)
        self._is_suspected = False
        self._start_ns = 0

    def reset(self, start_ns: int) -> None:
        """Begin at ``start_ns``, or anew behind a gap: no interval spans it."""
        self._start_ns = start_ns
        self._before_normal = False

    def add_beat(self, beat: Beat) -> None:
        """Take the next beat."""
        normal = beat.beat_class in _CONDUCTED and beat.quality >= _BEAT_QUALITY_MIN
        interval_s = beat.interval_s
        valid = interval_s is not None and normal and self._before_normal
        self._before_normal = normal
        self._ends_ns.append(beat.t_ns)
        self._rrs_s.append(0.0 if interval_s is None else interval_s)
        self._valid.append(1.0 if valid else 0.0)
        self._qualities.append(beat.quality)
        self._kinds.append(float(beat.beat_class))
        if len(self._ends_ns) > _N_MAX:
            self._forget(1)

    def at(self, t_ns: int, signal: NoValueReason | None = None) -> list[Derived]:
        """Give what is due on this whole second, all beats up to it being known.

        ``signal`` is the reason for which the signal's quality gives no value, if it does.
        """
        poor = signal is NoValueReason.POOR_SIGNAL
        self._poor = (self._poor << 1 | poor) & _SIXTY
        if poor:
            self._leave_out_since(t_ns - _SECOND_NS)
        if signal is not None and signal in DISCONNECTED:
            self.reset(t_ns)
            self._verdict = unjudged(signal)
        elif t_ns % _STEP_NS == 0 or self._verdict.reason in DISCONNECTED:
            self._verdict = self._judge(t_ns)
        age_s = (t_ns - self._ends_ns[-1]) / 1e9 if self._ends_ns else 0.0
        return self._announcer.say(t_ns, self._verdict, age_s)

    def _leave_out_since(self, t_ns: int) -> None:
        """Let no interval from or to an unsure beat count that ended after ``t_ns``, or goes on."""
        unsure = [quality < _SURE_BEAT_MIN for quality in self._qualities]
        if unsure and unsure[-1]:
            self._before_normal = False
        i = len(self._ends_ns) - 1
        while i >= 0 and self._ends_ns[i] > t_ns:
            if unsure[i] or unsure[max(0, i - 1)]:
                self._valid[i] = 0.0
            i -= 1

    def _judge(self, t_ns: int) -> Verdict:
        n_old = 0
        while n_old < len(self._ends_ns) and self._ends_ns[n_old] <= t_ns - WINDOW_NS:
            n_old += 1
        self._forget(n_old)
        if self._share(BeatClass.UNKNOWN) > _UNKNOWN_SHARE_MAX:
            return unjudged(NoValueReason.POOR_SIGNAL)
        logit = self._logit()
        if logit is None and self._is_regular():
            self._is_suspected = False
            return suspected(yes=False, quality=self._mean_quality())
        if logit is None:
            return unjudged(self._why_few(t_ns))
        self._is_suspected = logit > (_LOGIT_END if self._is_suspected else _LOGIT_BEGIN)
        sure = 1.0 / (1.0 + math.exp(-abs(logit - 0.5 * (_LOGIT_BEGIN + _LOGIT_END))))
        return suspected(yes=self._is_suspected, quality=sure * self._mean_quality())

    def _logit(self) -> float | None:
        rrs_s = np.array(self._rrs_s)
        figures = np.zeros(N_FIGURES)
        scratch = np.empty((2, rrs_s.size))
        n_pairs = measure_rhythm(rrs_s, np.array(self._valid), scratch[0], scratch[1], figures)
        if n_pairs < _N_PAIRS_MIN:
            return None
        _, entropy_1, entropy_2, autocorrelation, skewness = figures.tolist()
        constant, *weights = _WEIGHTS
        terms = (entropy_1, entropy_2, min(autocorrelation, 0.0), min(skewness, 0.0))
        return constant + sum(w * term for w, term in zip(weights, terms, strict=True))

    def _is_regular(self) -> bool:
        """Tell whether the cycles of the basic rhythm, where it shows, are nearly the same.

        A cycle is an interval between normal beats, or half of the two around a ventricular one.
        """
        cycles_s = [rr_s for rr_s, valid in zip(self._rrs_s, self._valid, strict=True) if valid]
        kinds, rrs_s = self._kinds, self._rrs_s
        normal, ventricular = float(BeatClass.NORMAL), float(BeatClass.VENTRICULAR)
        for i in range(2, len(kinds)):
            around = kinds[i - 2] == normal and kinds[i - 1] == ventricular and kinds[i] == normal
            if around and rrs_s[i - 1] > 0.0 and rrs_s[i] > 0.0:
                cycles_s.append(0.5 * (rrs_s[i - 1] + rrs_s[i]))
        n = len(cycles_s)
        if n < _N_CYCLES_MIN:
            return False
        cycles_s.sort()
        spread_s = cycles_s[n - 1 - n // 10] - cycles_s[n // 10]
        return spread_s < _REGULAR_SPREAD * cycles_s[n // 2]

    def _mean_quality(self) -> float:
        return sum(self._qualities) / max(1, len(self._qualities))

    def _why_few(self, t_ns: int) -> NoValueReason:
        if self._poor.bit_count() > _N_POOR_MAX:
            return NoValueReason.POOR_SIGNAL
        if self._share(BeatClass.VENTRICULAR) > _VENTRICULAR_SHARE:
            return NoValueReason.ECTOPY
        if t_ns - self._start_ns < WINDOW_NS:
            return NoValueReason.WARMING_UP
        return NoValueReason.TOO_FEW_BEATS

    def _share(self, beat_class: BeatClass) -> float:
        """Share of a class among the beats of the window; of few beats, among twenty."""
        return self._kinds.count(float(beat_class)) / max(_N_PAIRS_MIN, len(self._kinds))

    def _forget(self, n_beats: int) -> None:
        if n_beats:
            for column in self._columns():
                del column[:n_beats]
            del self._ends_ns[:n_beats]

    def _columns(self) -> tuple[list[float], ...]:
        return self._rrs_s, self._valid, self._qualities, self._kinds

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        value, reason, quality = self._verdict
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "start_ns": self._start_ns,
                "before_normal": self._before_normal,
                "poor": self._poor,
                "is_suspected": self._is_suspected,
                "value": value,
                "reason": reason,
                "quality": quality,
                "said": self._announcer.to_text(),
            },
            arrays={
                "ends_ns": np.array(self._ends_ns, dtype=np.int64),
                "columns": np.array(self._columns(), dtype=np.float64),
            },
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> AtrialFibrillation:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        restored = cls()
        restored._start_ns = kept.integer("start_ns")
        restored._before_normal = kept.flag("before_normal")
        restored._poor = kept.integer("poor") & _SIXTY
        restored._is_suspected = kept.flag("is_suspected")
        restored._ends_ns = kept.int_array("ends_ns").tolist()
        columns = kept.float_array("columns", (4, len(restored._ends_ns))).tolist()
        restored._rrs_s, restored._valid, restored._qualities, restored._kinds = columns
        with translated_errors(_KIND):
            quality = kept.number("quality")
            if kept.scalars["reason"] is None:
                restored._verdict = Verdict(kept.number("value"), None, quality)
            else:
                reason = NoValueReason(str(kept.scalars["reason"]))
                restored._verdict = Verdict(None, reason, quality)
            restored._announcer.take_text(str(kept.scalars["said"]))
        return restored
