"""From observations to WFDB annotations: beats, rhythms, and notes of whatever is suspected."""

from dataclasses import dataclass
from typing import Final

from devices import codes
from ingest.frame import NS_PER_S
from ingest.observation import Observation
from ingest.wfdb_annotations import SYMBOLS, Annotation
from processors.scoring.tracks import LABEL_OF
from processors.vitals import ecg
from processors.vitals.reasons import NoValueReason


@dataclass(frozen=True, slots=True)
class EventKind:
    """A quantity of which one observation is one event: a beat, a pulse."""

    annotator: str
    """Suffix of the annotation file."""
    quantity: codes.Quantity
    signal: str
    """Kind of signal that it is read from: with that, a file without events is written too."""


EVENT_KINDS: Final = (
    EventKind("qrs", codes.RR_INTERVAL, "ecg"),
    EventKind("ppg", codes.PP_INTERVAL, "pleth"),
)
"""One row per annotator."""

BEATS: Final = EVENT_KINDS[0].annotator
"""Where beat classes, rhythms and notes go."""

RHYTHMS: Final = (
    (codes.VENTRICULAR_TACHYCARDIA.name, "(VT"),
    (codes.ATRIAL_FIBRILLATION.name, "(AFIB"),
)
"""What a suspicion is called in a rhythm annotation; where two last, the first is named."""
_NO_RHYTHM: Final = "(N"

_EVENT_OF: Final = {kind.quantity.name: kind.annotator for kind in EVENT_KINDS}
_RHYTHM_NAMES: Final = frozenset(name for name, _ in RHYTHMS)
_SUSPECTED: Final = "_suspected"
_UNKNOWN_CLASS: Final = "N"
"""A beat whose class nobody has looked at."""

SHUTDOWN: Final = 0x33
"""Subtype of a ``~``: noise and no signal on the first two channels. Comparators take it for "no
channel can be read" whatever the number of channels."""
READABLE: Final = 0
_NO_SIGNAL: Final = frozenset({NoValueReason.NO_SAMPLES, NoValueReason.LEAD_OFF})
_SILENCE_NS: Final = 3 * NS_PER_S
"""Later than this after the start of a record a first heart rate, or the statement that there is
none yet, means that there was no signal before."""


class Marks:
    """What the annotation files of one record will say.

    Parameters
    ----------
    start_ns
        UTC of the record's first sample.
    fs_hz
        Frames per second of the record: what annotations count in.
    n_samples
        Frames in the record: nothing is annotated behind them. It may be set at the end.
    """

    def __init__(self, *, start_ns: int, fs_hz: float, n_samples: int) -> None:
        self._start_ns = start_ns
        self._fs_hz = fs_hz
        self.n_samples = n_samples
        self._events: dict[str, dict[int, Observation]] = {}
        self._symbols: dict[int, str] = {}
        self._others: list[Annotation] = []
        self._active: dict[str, bool] = {}
        self._rhythm: str | None = None
        self._is_shut_down: bool | None = None

    def add(self, observation: Observation) -> None:
        """Take the next observation, in order of time."""
        name = observation.name
        if name in _EVENT_OF:
            self._events.setdefault(_EVENT_OF[name], {})[observation.t_ns] = observation
        elif name == codes.BEAT_CLASS.name and observation.value is not None:
            self._symbols[observation.t_ns] = SYMBOLS.get(round(observation.value), "Q")
        elif name.endswith(_SUSPECTED):
            self._suspect(observation)
        elif observation.algorithm == ecg.HEART_RATE.name:
            self._mark_shutdown(observation)

    def _mark_shutdown(self, second: Observation) -> None:
        """Mark where every lead is off or missing, to the second, and where it is so no more."""
        if self._is_shut_down is None and second.t_ns - self._start_ns > _SILENCE_NS:
            self._mark(self._start_ns, "~", subtype=SHUTDOWN)
            self._is_shut_down = True
        is_shut_down = second.reason in _NO_SIGNAL
        if is_shut_down != bool(self._is_shut_down):
            self._mark(second.t_ns, "~", subtype=SHUTDOWN if is_shut_down else READABLE)
        self._is_shut_down = is_shut_down

    def _suspect(self, observation: Observation) -> None:
        """Mark where a suspicion begins and ends; without a judgement there is none."""
        name, active = observation.name, bool(observation.value)
        if active == self._active.get(name, False):
            return
        self._active[name] = active
        if name == codes.VENTRICULAR_FIBRILLATION.name:
            self._mark(observation.t_ns, "[" if active else "]")
        elif name in _RHYTHM_NAMES:
            rhythm = next((text for key, text in RHYTHMS if self._active.get(key)), _NO_RHYTHM)
            if rhythm != self._rhythm:
                self._mark(observation.t_ns, "+", rhythm)
                self._rhythm = rhythm
        else:
            self._mark(observation.t_ns, '"', f"{name} {'begins' if active else 'ends'}")

    def _mark(self, t_ns: int, symbol: str, aux: str = "", *, subtype: int = 0) -> None:
        sample = self._sample(t_ns)
        self._others.append(Annotation(sample=sample, symbol=symbol, subtype=subtype, aux=aux))

    def _sample(self, t_ns: int) -> int:
        return round((t_ns - self._start_ns) * self._fs_hz / 1e9)

    def n_events(self, annotator: str) -> int:
        """Beats or pulses so far."""
        return len(self._events.get(annotator, ()))

    def annotations(self, annotator: str) -> list[Annotation]:
        """Give what goes into one file, in order of time, one beat at most per sample."""
        events = self._events.get(annotator, {})
        found: dict[int, Annotation] = {}
        for t_ns in sorted(events):
            sample = self._sample(t_ns)
            symbol = self._symbols.get(t_ns, _UNKNOWN_CLASS) if annotator == BEATS else "N"
            found[sample] = Annotation(sample=sample, symbol=symbol)
        marks = [*found.values(), *(self._others if annotator == BEATS else ())]
        inside = (mark for mark in marks if 0 <= mark.sample < self.n_samples)
        # What begins a state stands in front of the beat at the same sample.
        return sorted(inside, key=lambda mark: (mark.sample, mark.symbol in LABEL_OF))
