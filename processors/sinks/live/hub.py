"""The hub between the stream and the open pages: it remembers the last seconds of each subject.

Synchronous and without a clock, a socket or a task of its own: who feeds it gives the time. A slow
page loses its oldest samples and is told so; it never holds up the stream or the other pages.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ingest.annotation import SubjectAnnotation
from ingest.frame import Frame
from ingest.observation import AlarmEvent, Observation
from processors.sinks.live.protocol import (
    Hello,
    Message,
    Samples,
    encode_samples,
    encode_text,
    ms_from_ns,
)
from processors.sinks.live.subject import SubjectState
from processors.sinks.live.subscription import Subscription
from processors.sinks.live.system_state import SystemState
from processors.sinks.live.ward import WardBoard, WardPage

SUBJECTS_MAX: Final = 256
"""Subjects remembered. Beyond, the one that was silent longest and that no page shows is
forgotten."""
PAGES_MAX: Final = 64
"""Pages open at once, and as many wards. Beyond, a page is refused."""

_NS_PER_S: Final = 1_000_000_000


class TooManyPagesError(Exception):
    """As many pages are open as the hub serves."""


@dataclass(slots=True)
class HubCounts:
    """What came, and what happened at each limit."""

    n_frames: int = 0
    n_frames_repeated: int = 0
    n_observations: int = 0
    n_alarms: int = 0
    n_subjects_forgotten: int = 0
    n_subjects_refused: int = 0
    """Frames, observations and alarms of a subject for which there was no room."""
    n_pages_refused: int = 0
    n_samples_dropped: int = 0
    """Sample messages that slow pages did not get."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectSummary:
    """One row of the subject chooser."""

    subject: str
    devices: tuple[str, ...]
    last_event_ms: float | None
    """Newest event time."""
    age_s: float | None
    """Age of the newest event time; of a replayed recording it says nothing."""
    heard_s: float | None
    """Seconds since data last came."""


class LiveHub:
    """Takes records from anywhere, gives messages to the open pages.

    Parameters
    ----------
    n_subjects_max
        Subjects remembered at once.
    n_pages_max
        Pages served at once.
    """

    def __init__(self, *, n_subjects_max: int = SUBJECTS_MAX, n_pages_max: int = PAGES_MAX) -> None:
        self.counts = HubCounts()
        self.system = SystemState()
        """What of all that is behind the pages lives; who feeds the hub feeds it, too."""
        self._n_subjects_max = n_subjects_max
        self._n_pages_max = n_pages_max
        # In the order in which they were last heard of, the latest last.
        self._subjects: OrderedDict[str, SubjectState] = OrderedDict()
        self._pages: list[Subscription] = []
        self._ward = WardBoard()
        self._ward_pages: list[WardPage] = []

    def add_frame(self, frame: Frame, now_ns: int) -> None:
        """Take a frame that came at ``now_ns``, our clock."""
        subject = self._subject(frame.subject_id)
        if subject is None:
            return
        n_repeated = subject.counts.n_frames_repeated
        messages = subject.process_frame(frame, now_ns)
        if subject.counts.n_frames_repeated > n_repeated:
            self.counts.n_frames_repeated += 1
            return
        self.counts.n_frames += 1
        self._publish(frame.subject_id, messages, now_ns)

    def add_observation(self, obs: Observation, now_ns: int | None = None) -> None:
        """Take a derived value or a beat that came at ``now_ns``, our clock."""
        subject = self._subject(obs.subject_id)
        if subject is not None:
            self.counts.n_observations += 1
            self._publish(obs.subject_id, subject.process_observation(obs, now_ns))

    def add_alarm(self, alarm: AlarmEvent) -> None:
        """Take the beginning or the end of an alarm condition."""
        subject = self._subject(alarm.subject_id)
        if subject is not None:
            self.counts.n_alarms += 1
            self._publish(alarm.subject_id, subject.process_alarm(alarm))

    def add_annotation(self, annotation: SubjectAnnotation) -> None:
        """Take what somebody has marked."""
        subject = self._subject(annotation.subject_id)
        if subject is not None:
            self._publish(annotation.subject_id, subject.process_annotation(annotation))

    def subscribe(self, subject_id: str, on_ready: Callable[[], None], now_ns: int) -> Subscription:
        """Open a page, with all that it missed in its queue. The subject may be unknown yet.

        Raises
        ------
        TooManyPagesError
        """
        if len(self._pages) >= self._n_pages_max:
            self.counts.n_pages_refused += 1
            raise TooManyPagesError(f"{len(self._pages)} pages are open, as many as are served")
        page = Subscription(subject_id, on_ready)
        subject = self._subjects.get(subject_id)
        hello = Hello(
            subject=subject_id, server_ms=ms_from_ns(now_ns), heard_ms=self.heard_ms(subject_id)
        )
        page.push_text(encode_text(hello))
        if subject is not None:
            self._deliver([page], subject.snapshot(now_ns), now_ns)
        self._pages.append(page)
        return page

    def unsubscribe(self, page: Subscription) -> None:
        """Close a page; one that is closed already stays so."""
        if page in self._pages:
            self._pages.remove(page)

    def open_ward(self) -> WardPage:
        """Open a page of all subjects.

        Raises
        ------
        TooManyPagesError
        """
        if len(self._ward_pages) >= self._n_pages_max:
            self.counts.n_pages_refused += 1
            raise TooManyPagesError(
                f"{len(self._ward_pages)} wards are open, as many as are served"
            )
        page = WardPage()
        self._ward_pages.append(page)
        return page

    def close_ward(self, page: WardPage) -> None:
        """Close a page of all subjects; one that is closed already stays so."""
        if page in self._ward_pages:
            self._ward_pages.remove(page)

    def ward_message(
        self, page: WardPage, now_ns: int, may_watch: Callable[[str], bool]
    ) -> str | None:
        """Give what is new to a page of those whom it may watch, as JSON; None: nothing."""
        self._ward.update(self._subjects.values(), now_ns)
        return page.message(self._ward, may_watch)

    def heard_ms(self, subject_id: str) -> float | None:
        """Tell when data of a subject last came."""
        subject = self._subjects.get(subject_id)
        if subject is None or subject.heard_ns is None:
            return None
        return ms_from_ns(subject.heard_ns)

    def subjects(self, now_ns: int) -> list[SubjectSummary]:
        """List the subjects, sorted."""
        return [_summary(self._subjects[key], now_ns) for key in sorted(self._subjects)]

    @property
    def n_pages(self) -> int:
        """Open pages of one subject."""
        return len(self._pages)

    @property
    def n_ward_pages(self) -> int:
        """Open pages of all subjects."""
        return len(self._ward_pages)

    def _subject(self, subject_id: str) -> SubjectState | None:
        subject = self._subjects.get(subject_id)
        if subject is None:
            if len(self._subjects) >= self._n_subjects_max and not self._forget_one():
                self.counts.n_subjects_refused += 1
                return None
            subject = self._subjects[subject_id] = SubjectState(subject_id)
        self._subjects.move_to_end(subject_id)
        return subject

    def _forget_one(self) -> bool:
        shown = {page.subject_id for page in self._pages}
        forgotten = next((key for key in self._subjects if key not in shown), None)
        if forgotten is None:
            return False
        del self._subjects[forgotten]
        self.counts.n_subjects_forgotten += 1
        return True

    def _publish(self, subject_id: str, messages: list[Message], now_ns: int = 0) -> None:
        pages = [page for page in self._pages if page.subject_id == subject_id]
        if pages:
            self._deliver(pages, messages, now_ns)

    def _deliver(self, pages: list[Subscription], messages: list[Message], now_ns: int) -> None:
        for message in messages:
            if isinstance(message, Samples):
                payload = encode_samples(message)
                for page in pages:
                    self.counts.n_samples_dropped += page.push_samples(payload, now_ns)
            else:
                text = encode_text(message)
                for page in pages:
                    page.push_text(text)


def _summary(subject: SubjectState, now_ns: int) -> SubjectSummary:
    newest_ns, heard_ns = subject.newest_ns, subject.heard_ns
    return SubjectSummary(
        subject=subject.subject_id,
        devices=subject.devices,
        last_event_ms=None if newest_ns is None else ms_from_ns(newest_ns),
        age_s=None if newest_ns is None else (now_ns - newest_ns) / _NS_PER_S,
        heard_s=None if heard_ns is None else (now_ns - heard_ns) / _NS_PER_S,
    )
