"""What is pushed to Grafana Live, and when: pure. Records in, bodies of requests out.

Nothing here reads a clock: who feeds it says when a record came and what time it is. Whatever is
given out is given once. A request that fails is not repeated, for Grafana may have taken it, and a
panel keeps what comes twice: its channels are broken where it is missing.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ingest.frame import NS_PER_S, Frame
from ingest.observation import AlarmEvent, Observation
from processors.sinks.grafana_live.counts import PushCounts
from processors.sinks.grafana_live.limits import AHEAD_S, LATE_S, SUBJECTS_MAX
from processors.sinks.grafana_live.subject import LiveSubject
from processors.sinks.grafana_live.trace import TimeWindow, Trace

BODY_BYTES_MAX: Final = 1_000_000
"""Lines of one channel stay together; a body ends before it would become longer."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """The lines of one channel in one push."""

    lines: list[str]
    n_samples: int = 0
    n_numerals: int = 0
    n_events: int = 0
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """One request."""

    payload: bytes
    pieces: tuple[_Piece, ...]

    @property
    def n_samples(self) -> int:
        """Samples in it."""
        return sum(piece.n_samples for piece in self.pieces)


class LivePusher:
    """The watched subjects and what waits of each.

    Parameters
    ----------
    is_watched
        Tells of a subject whether somebody may watch it.
    n_subjects_max
        Subjects at once; records of others are refused until one has been silent for a minute.
    late_s
        What is older than this when it comes is not live.
    """

    def __init__(
        self,
        is_watched: Callable[[str], bool],
        *,
        n_subjects_max: int = SUBJECTS_MAX,
        late_s: float = LATE_S,
        ahead_s: float = AHEAD_S,
    ) -> None:
        self.is_watched = is_watched
        self.counts = PushCounts()
        self._n_subjects_max = n_subjects_max
        self._window = TimeWindow(
            late_ns=round(late_s * NS_PER_S), ahead_ns=round(ahead_s * NS_PER_S)
        )
        self._subjects: dict[str, LiveSubject] = {}

    @property
    def n_subjects(self) -> int:
        """Subjects that are followed."""
        return len(self._subjects)

    @property
    def n_waiting(self) -> int:
        """Samples that wait."""
        return sum(subject.n_waiting for subject in self._subjects.values())

    def add_frame(self, frame: Frame, now_ns: int) -> None:
        """Take a Frame that came at ``now_ns``, our clock."""
        subject = self._subject(frame.subject_id, now_ns)
        if subject is not None:
            subject.add_frame(frame, now_ns)

    def add_observation(self, observation: Observation, now_ns: int) -> None:
        """Take a derived value."""
        subject = self._subject(observation.subject_id, now_ns)
        if subject is not None:
            subject.add_observation(observation, now_ns)

    def add_alarm(self, alarm: AlarmEvent, now_ns: int) -> None:
        """Take the beginning or the end of an alarm condition."""
        subject = self._subject(alarm.subject_id, now_ns)
        if subject is not None:
            subject.add_alarm(alarm, now_ns)

    def take(self, now_ns: int) -> list[Body]:
        """Give what is due; each channel is in one of the bodies. Call it ten times a second."""
        return _bodies(self._due(now_ns))

    def farewell(self, now_ns: int) -> list[Body]:
        """Give what takes the numerals from the panels: nobody will say when they are old."""
        blanks = (subject.blank_numerals(now_ns) for subject in self._subjects.values())
        return _bodies(_Piece(lines, n_numerals=1) for lines in blanks if lines)

    def settle(self, body: Body, *, arrived: bool) -> None:
        """Take note of what became of a body; one that may not have arrived is lost."""
        counts = self.counts
        for piece in body.pieces:
            if arrived:
                counts.samples_pushed += piece.n_samples
                counts.numerals_pushed += piece.n_numerals
                counts.events_pushed += piece.n_events
                continue
            counts.samples_lost += piece.n_samples
            counts.numerals_lost += piece.n_numerals
            counts.events_lost += piece.n_events
            if piece.trace is not None:
                piece.trace.break_off()

    def _due(self, now_ns: int) -> Iterator[_Piece]:
        for subject in self._subjects.values():
            for trace, lines, n_samples in subject.take_samples(now_ns):
                yield _Piece(lines, n_samples=n_samples, trace=trace)
            if numerals := subject.take_numerals(now_ns):
                yield _Piece(numerals, n_numerals=1)
            if events := subject.take_events():
                yield _Piece(events, n_events=len(events))

    def _subject(self, subject_id: str, now_ns: int) -> LiveSubject | None:
        subject = self._subjects.get(subject_id)
        if subject is not None:
            return subject
        if not self.is_watched(subject_id):
            return None
        if len(self._subjects) >= self._n_subjects_max and not self._forget(now_ns):
            self.counts.subjects_refused += 1
            return None
        subject = self._subjects[subject_id] = LiveSubject(subject_id, self._window, self.counts)
        return subject

    def _forget(self, now_ns: int) -> bool:
        """Forget a subject that has long been silent, if there is one."""
        for subject_id, subject in self._subjects.items():
            if subject.may_be_forgotten(now_ns):
                self.counts.samples_expired += subject.n_waiting
                del self._subjects[subject_id]
                return True
        return False


def _bodies(pieces: Iterable[_Piece]) -> list[Body]:
    bodies: list[Body] = []
    together: list[_Piece] = []
    texts: list[str] = []
    n_bytes = 0
    for piece in pieces:
        text = "\n".join(piece.lines)
        if together and n_bytes + len(text) > BODY_BYTES_MAX:
            bodies.append(_body(texts, together))
            together, texts, n_bytes = [], [], 0
        together.append(piece)
        texts.append(text)
        n_bytes += len(text) + 1
    return [*bodies, _body(texts, together)] if together else bodies


def _body(texts: list[str], pieces: list[_Piece]) -> Body:
    return Body("\n".join([*texts, ""]).encode(), tuple(pieces))
