"""Asystole, extreme bradycardia and tachycardia, ventricular tachycardia and fibrillation.

Suspicions: 1 is suspected and 0 is not, each with the confidence in what it says. They are hints
for whoever looks at a recording or a screen, never alarms. What is said is said on every change,
and again on every whole ten seconds.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import codes
from processors.dsp.fibrillation import FibrillationDetector
from processors.dsp.state import State, translated_errors
from processors.vitals.derived import Algorithm, Beat, Derived
from processors.vitals.reasons import NoValueReason
from processors.vitals.suspicion import DISCONNECTED, Announcer, Verdict, suspected, unjudged
from processors.vitals.ventricular_run import N_LONG, VentricularRun

_AAMI: Final = "ANSI/AAMI EC13:2002; IEC 60601-2-27:2011"


def _suspicion(
    name: str,
    method: str,
    except_when: str,
    *,
    version: int = 1,
    source: str = _AAMI,
    delay_s: float = 0.5,
    window: str = "",
) -> Algorithm:
    """Describe a suspicion; all are judged and said alike, and none without a connected lead."""
    given = "Judged on every whole second, given on every change and on every whole ten seconds."
    return Algorithm(
        name=name,
        version=version,
        method=method,
        source=source,
        delay_s=delay_s,
        averaging=f"{window}{given}",
        validity=f"None while the lead is off, at its rail or without samples{except_when}",
    )


ASYSTOLE_ALGORITHM: Final = _suspicion(
    "asystole",
    "No beat for four seconds on a connected lead.",
    ". In a poor signal the confidence is halved.",
)
BRADYCARDIA_ALGORITHM: Final = _suspicion(
    "extreme_bradycardia",
    "The mean of the last four RR intervals, or the beats of the last ten seconds, are fewer than "
    "35 per minute.",
    ", in a poor signal, and before four intervals or ten seconds.",
)
TACHYCARDIA_ALGORITHM: Final = _suspicion(
    "extreme_tachycardia",
    "The mean of the last eight RR intervals is more than 150 per minute (adults).",
    ", in a poor signal, and before eight intervals or ten seconds.",
)
VENTRICULAR_TACHYCARDIA_ALGORITHM: Final = _suspicion(
    "ventricular_tachycardia",
    "Three or more consecutive ventricular beats at more than 100 per minute, sustained or not; an "
    "unknown beat neither counts nor ends the run. The confidence is the quality of the beats, "
    "seven tenths of it before the fifth, when it is said again.",
    ", and while the classes of beats are unknown. In a poor signal only a run whose beats are "
    "fair, behind four good ones of another class, is suspected, with half the confidence, and "
    "otherwise there is none.",
    version=2,
    source=(
        f"{_AAMI}; Buxton et al., Circulation 114:2534-2570 (2006), definitions; Drew et al., "
        "Circulation 110:2721-2746 (2004)"
    ),
)
VENTRICULAR_FIBRILLATION_ALGORITHM: Final = _suspicion(
    "ventricular_fibrillation",
    "From samples of 2.5 to 20 Hz, without beats: the share of time away from the baseline less "
    "what a stop filter at the mean frequency leaves of the signal. Flutter is included.",
    ", and before the first six seconds are there. A tachycardia whose complexes are so wide that "
    "they leave no baseline looks the same; so does a rhythmic movement of an electrode, or a "
    "tremor, at 3 to 9 Hz. A mean deflection under 30 uV is never suspected. Tried on models of "
    "fibrillation, and on people without it.",
    source=(
        "Arafat, Chowdhury and Hasan, Signal Image Video Process 5:1-10 (2011); Kuo and Dillman, "
        "Comput Cardiol 347-349 (1978)"
    ),
    delay_s=1.0,
    window="Over six seconds. ",
)

_SECOND_NS: Final = 1_000_000_000
_N_BRADY: Final = 4
_N_TACHY: Final = 8
_WINDOW_NS: Final = 10 * _SECOND_NS
_POOR_CONFIDENCE: Final = 0.5


class ArrhythmiaSuspicion:
    """Suspicions from the times, classes and qualities of beats.

    Parameters
    ----------
    asystole_s
        Seconds without a beat.
    bradycardia_bpm, tachycardia_bpm
        Limits of the extreme rates; those of adults unless others are given.
    ventricular_bpm
        A run of ventricular beats is a tachycardia above this rate.
    """

    _KIND = "arrhythmia"
    _VERSION = 2

    def __init__(
        self,
        *,
        asystole_s: float = 4.0,
        bradycardia_bpm: float = 35.0,
        tachycardia_bpm: float = 150.0,
        ventricular_bpm: float = 100.0,
    ) -> None:
        self._asystole_s = asystole_s
        self._bradycardia_bpm = bradycardia_bpm
        self._tachycardia_bpm = tachycardia_bpm
        self._ventricular_bpm = ventricular_bpm
        self._announcers = (
            Announcer(codes.ASYSTOLE, ASYSTOLE_ALGORITHM),
            Announcer(codes.BRADYCARDIA, BRADYCARDIA_ALGORITHM),
            Announcer(codes.TACHYCARDIA, TACHYCARDIA_ALGORITHM),
            Announcer(codes.VENTRICULAR_TACHYCARDIA, VENTRICULAR_TACHYCARDIA_ALGORITHM),
        )
        self.reset(0)

    def reset(self, start_ns: int) -> None:
        """Begin at ``start_ns``, or anew behind a gap: no interval spans it."""
        self._start_ns = start_ns
        self._times_ns: list[int] = []
        self._qualities: list[float] = []
        self._run = VentricularRun(self._ventricular_bpm)

    def add_beat(self, beat: Beat) -> None:
        """Take the next beat."""
        times_ns = self._times_ns
        times_ns.append(beat.t_ns)
        self._qualities.append(beat.quality)
        oldest_ns = beat.t_ns - _WINDOW_NS
        while times_ns[0] <= oldest_ns and len(times_ns) > _N_TACHY + 1:
            del times_ns[0], self._qualities[0]
        self._run.add_beat(beat)

    def at(self, t_ns: int, signal: NoValueReason | None = None) -> list[Derived]:
        """Give what is due on this whole second, all beats up to it being known.

        ``signal`` is the reason for which the signal's quality gives no value, if it does.
        """
        if signal is not None and signal in DISCONNECTED:
            self.reset(t_ns)
            verdicts = [unjudged(signal)] * len(self._announcers)
        else:
            quality = self._mean_quality()
            verdicts = [
                self._asystole(t_ns, signal),
                self._bradycardia(t_ns, quality),
                self._tachycardia(t_ns, quality),
                self._ventricular_tachycardia(t_ns, quality),
            ]
            if signal is NoValueReason.POOR_SIGNAL:
                verdicts[1:3] = [unjudged(signal)] * 2
                verdicts[3] = self._in_noise(verdicts[3])
        age_s = (t_ns - self._times_ns[-1]) / 1e9 if self._times_ns else 0.0
        asystole, bradycardia, tachycardia, ventricular = self._announcers
        return [
            *asystole.say(t_ns, verdicts[0], age_s),
            *bradycardia.say(t_ns, verdicts[1], age_s),
            *tachycardia.say(t_ns, verdicts[2], age_s),
            *ventricular.say(t_ns, verdicts[3], age_s, again=self._run.became_long(t_ns)),
        ]

    def _asystole(self, t_ns: int, signal: NoValueReason | None) -> Verdict:
        since_ns = self._times_ns[-1] if self._times_ns else self._start_ns
        silence_s = (t_ns - since_ns) / 1e9
        trust = _POOR_CONFIDENCE if signal is NoValueReason.POOR_SIGNAL else 1.0
        if silence_s >= self._asystole_s:
            longer = silence_s / self._asystole_s
            return suspected(yes=True, quality=trust * longer / (longer + 0.5))
        if not self._times_ns:
            return unjudged(NoValueReason.WARMING_UP)
        return suspected(yes=False, quality=trust * (1.0 - 0.5 * silence_s / self._asystole_s))

    def _bradycardia(self, t_ns: int, quality: float) -> Verdict:
        times_ns = self._times_ns
        old = t_ns - self._start_ns >= _WINDOW_NS
        if len(times_ns) <= _N_BRADY and not old:
            return unjudged(NoValueReason.WARMING_UP)
        n_recent = len(times_ns) - bisect_right(times_ns, t_ns - _WINDOW_NS)
        few = old and n_recent < self._bradycardia_bpm / 6.0 - 0.5
        slow = self._slower_than(self._bradycardia_bpm, _N_BRADY)
        return suspected(yes=few or slow, quality=quality)

    def _tachycardia(self, t_ns: int, quality: float) -> Verdict:
        times_ns = self._times_ns
        if len(times_ns) <= _N_TACHY and t_ns - self._start_ns < _WINDOW_NS:
            return unjudged(NoValueReason.WARMING_UP)
        fast = (
            len(times_ns) > _N_TACHY
            and times_ns[-1] > t_ns - 2 * _SECOND_NS
            and not self._slower_than(self._tachycardia_bpm, _N_TACHY)
        )
        return suspected(yes=fast, quality=quality)

    def _ventricular_tachycardia(self, t_ns: int, quality: float) -> Verdict:
        if self._run.n_classed < N_LONG:
            young = t_ns - self._start_ns < _WINDOW_NS
            return unjudged(NoValueReason.WARMING_UP if young else NoValueReason.TOO_FEW_BEATS)
        if self._run.seen(t_ns):
            return suspected(yes=True, quality=self._run.confidence)
        return suspected(yes=False, quality=quality)

    def _in_noise(self, verdict: Verdict) -> Verdict:
        """Let a suspicion of ventricular tachycardia stand if the run began among good beats."""
        if verdict.value and self._run.believed:
            return suspected(yes=True, quality=_POOR_CONFIDENCE * verdict.quality)
        return unjudged(NoValueReason.POOR_SIGNAL)

    def _slower_than(self, limit_bpm: float, n_intervals: int) -> bool:
        times_ns = self._times_ns
        if len(times_ns) <= n_intervals:
            return False
        span_s = (times_ns[-1] - times_ns[-1 - n_intervals]) / 1e9
        return span_s * limit_bpm > 60.0 * n_intervals

    def _mean_quality(self) -> float:
        return sum(self._qualities) / len(self._qualities) if self._qualities else 0.0

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=self._KIND,
            version=self._VERSION,
            scalars={
                "asystole_s": self._asystole_s,
                "bradycardia_bpm": self._bradycardia_bpm,
                "tachycardia_bpm": self._tachycardia_bpm,
                "ventricular_bpm": self._ventricular_bpm,
                "start_ns": self._start_ns,
                "said": "|".join(announcer.to_text() for announcer in self._announcers),
            },
            arrays={
                "times_ns": np.array(self._times_ns, dtype=np.int64),
                "qualities": np.array(self._qualities, dtype=np.float64),
            },
            children={"run": self._run.to_bytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> ArrhythmiaSuspicion:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=cls._KIND, version=cls._VERSION)
        restored = cls(
            asystole_s=kept.number("asystole_s"),
            bradycardia_bpm=kept.number("bradycardia_bpm"),
            tachycardia_bpm=kept.number("tachycardia_bpm"),
            ventricular_bpm=kept.number("ventricular_bpm"),
        )
        restored._start_ns = kept.integer("start_ns")
        restored._times_ns = kept.int_array("times_ns").tolist()
        restored._qualities = kept.float_array("qualities", (len(restored._times_ns),)).tolist()
        restored._run = VentricularRun.from_bytes(kept.child("run"))
        with translated_errors(cls._KIND):
            texts = str(kept.scalars["said"]).split("|")
            for announcer, text in zip(restored._announcers, texts, strict=True):
                announcer.take_text(text)
        return restored


class FibrillationSuspicion:
    """Ventricular fibrillation or flutter, from the samples of one lead.

    Parameters
    ----------
    fs_hz
        Sampling rate, 100..2000.
    """

    _KIND = "fibrillation_suspicion"
    _VERSION = 1

    def __init__(self, fs_hz: float) -> None:
        self._detector = FibrillationDetector(fs_hz)
        self._announcer = Announcer(
            codes.VENTRICULAR_FIBRILLATION, VENTRICULAR_FIBRILLATION_ALGORITHM
        )

    def process(self, chunk_uv: NDArray[np.float64]) -> None:
        """Take the next ``(n_samples,)`` in microvolt, all finite."""
        self._detector.process(chunk_uv)

    def skip(self, n_samples: int) -> None:
        """Pass a gap."""
        self._detector.skip(n_samples)

    def at(self, t_ns: int, i_end: int, signal: NoValueReason | None = None) -> list[Derived]:
        """Give what is due on this whole second; ``i_end`` is its first sample.

        A poor signal is judged nevertheless: fibrillation is one to every index that looks for
        complexes.
        """
        yes, confidence = self._detector.at(i_end)
        if signal in DISCONNECTED and signal is not None:
            verdict = unjudged(signal)
        elif yes is None:
            verdict = unjudged(NoValueReason.WARMING_UP)
        else:
            verdict = suspected(yes=yes, quality=confidence)
        return self._announcer.say(t_ns, verdict, 0.0)

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=self._KIND,
            version=self._VERSION,
            scalars={"said": self._announcer.to_text()},
            children={"detector": self._detector.to_bytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> FibrillationSuspicion:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=cls._KIND, version=cls._VERSION)
        detector = FibrillationDetector.from_bytes(kept.child("detector"))
        restored = cls(detector.fs_hz)
        restored._detector = detector
        with translated_errors(cls._KIND):
            restored._announcer.take_text(str(kept.scalars["said"]))
        return restored
