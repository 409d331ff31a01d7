"""The pipelines of one partition, each with the place in the input behind which it stands.

Pure. A record of a subject that stands before that place is in the subject's state already, and
all that follows from it was delivered before the state was kept: it is passed over. So the state of
each subject is exact by itself, and no two of them need be kept at the same moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from ingest.checkpoint import Checkpoint
from ingest.errors import RecordError
from ingest.frame import Frame
from ingest.topics import DAY_MS, FRAMES
from processors.dsp.state import StateError
from processors.order_counts import COUNTED
from processors.pipeline import Output, SubjectPipeline

SUBJECTS_MAX: Final = 5_000
"""Subjects of one partition in memory, some hundred kilobytes each with everything on; more than a
worker can keep up with. The one that was heard of least lately gives way, and warms up again if it
comes back."""

SILENT_MS: Final = FRAMES.retention_ms
"""A subject that was silent for longer, in the time of Kafka's records, begins anew: nothing
of what it was is in the topic any more."""

Build = Callable[[str], SubjectPipeline]
Restore = Callable[[bytes], SubjectPipeline]


class FrameFailedError(Exception):
    """The pipeline could not take a Frame. A bug: the subject begins anew, the others go on."""


@dataclass(slots=True)
class Counts:
    """What happened beside processing, since the partition was taken over."""

    n_skipped: int = 0
    """Records passed over: the state had them already."""
    n_rearmed: int = 0
    """Subjects that began anew because their state could not be used."""
    n_failed: int = 0
    """Subjects that began anew because the pipeline could not take a Frame."""
    n_evicted: int = 0
    """Subjects that gave way to others."""
    n_restarted: int = 0
    """Records whose offsets are used already, but that are newer than what was said of them: the
    topic was made anew."""
    n_jumped: int = 0
    """Records that are not in the topic any more, and were not read."""
    n_samples_repeated: int = 0
    """Samples that came again and were not processed a second time."""
    out_of_order: list[int] = field(default_factory=lambda: [0] * len(COUNTED))
    """What `processors.order_counts.COUNTED` names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A subject's state, on its way to the topic."""

    key: str
    checkpoint: Checkpoint


@dataclass(slots=True, kw_only=True)
class _Subject:
    """One subject: its pipeline or what was kept of it, and how far that is."""

    pipeline: SubjectPipeline | None = None
    kept: Checkpoint | None = None
    next_offset: int = 0
    record_ms: int = -1
    newest_ns: int = 0
    open_from: int | None = None  # the first record that no kept state has
    taken: Snapshot | None = None  # on its way
    open_since: int | None = None  # the first record that the one on its way has not
    keys: set[str] = field(default_factory=set[str])  # of records in the topic that are of it


class Partition:
    """The subjects of one partition.

    Parameters
    ----------
    writer
        Names who writes: keys end with it, so that a worker that was thought dead overwrites
        nothing of its successor's.
    program
        The version of this program.
    build, restore
        Make a pipeline, of nothing or of its state.
    """

    def __init__(
        self,
        writer: str,
        program: str,
        *,
        build: Build = SubjectPipeline,
        restore: Restore = SubjectPipeline.from_bytes,
    ) -> None:
        self._writer = writer
        self._program = program
        self._build = build
        self._restore = restore
        self._subjects: dict[str, _Subject] = {}  # the one heard of least lately is the first
        self._orphans: set[str] = set()  # keys of subjects that are not remembered any more
        self._record_ms = self._before_ms = -1
        self.position: int | None = None
        """The offset behind the last record seen; before the first, that to begin with, or None."""
        self.counts: Final = Counts()

    def __len__(self) -> int:
        return len(self._subjects)

    def load(self, kept: Mapping[str, Checkpoint | None]) -> None:
        """Take over what was kept, by key; None where the record cannot be read.

        Of several states of one subject the one furthest on counts. None is unpacked before the
        subject's next record comes.
        """
        for key, checkpoint in kept.items():
            subject_id = key.rpartition("/")[0] if checkpoint is None else checkpoint.subject_id
            subject = self._subjects.setdefault(subject_id, _Subject())
            subject.keys.add(key)
            if checkpoint is None:
                self.counts.n_rearmed += 1
            elif subject.kept is None or checkpoint.next_offset > subject.kept.next_offset:
                subject.kept = checkpoint
                subject.next_offset = checkpoint.next_offset
                subject.record_ms = checkpoint.record_ms
                subject.newest_ns = checkpoint.newest_ns
        by_offset = sorted(self._subjects.items(), key=lambda one: one[1].next_offset)
        self._subjects = dict(by_offset)
        while len(self._subjects) > SUBJECTS_MAX:
            self._evict()

    def process(self, offset: int, record_ms: int, frame: Frame) -> list[Output]:
        """Take the Frame of the next record; give what follows from it.

        Parameters
        ----------
        offset
            Its place in the partition; records come in order, but may come again.
        record_ms
            Kafka's time of the record, milliseconds since 1970; -1: it has none.

        Raises
        ------
        FrameFailedError
        """
        self.passed(offset)
        subject_id, newest_ns = frame.subject_id, newest_time_ns(frame)
        subject = self._subjects.pop(subject_id, None)
        if subject is None:
            if len(self._subjects) >= SUBJECTS_MAX:
                self._evict()
            subject = _Subject()
        self._subjects[subject_id] = subject
        if offset < subject.next_offset:
            if newest_ns <= subject.newest_ns:
                self.counts.n_skipped += 1
                return []
            self.counts.n_restarted += 1
        if 0 <= subject.record_ms < record_ms - SILENT_MS:
            subject.pipeline = subject.kept = None
        self._before_ms, self._record_ms = self._record_ms, record_ms
        subject.record_ms = record_ms
        subject.next_offset = offset + 1
        subject.newest_ns = max(subject.newest_ns, newest_ns)
        if subject.open_from is None:
            subject.open_from = offset
        if subject.open_since is None:
            subject.open_since = offset
        return self._run(subject_id, subject, frame)

    def passed(self, offset: int) -> None:
        """Note a record; of one that is no Frame this is all that is done."""
        if self.position is not None and offset > self.position:
            self.counts.n_jumped += offset - self.position
        self.position = offset + 1

    def _run(self, subject_id: str, subject: _Subject, frame: Frame) -> list[Output]:
        pipeline = subject.pipeline
        if pipeline is None:
            pipeline = subject.pipeline = self._pipeline(subject_id, subject.kept)
            subject.kept = None
        before, order = pipeline.n_samples_repeated, pipeline.order_counts.totals()
        try:
            outputs = pipeline.process(frame)
        except Exception as error:
            # Half of the Frame may be in its state: nothing that follows from it could be believed.
            subject.pipeline = self._build(subject_id)
            self.counts.n_failed += 1
            raise FrameFailedError(f"{type(error).__name__}: {error}") from error
        self.counts.n_samples_repeated += pipeline.n_samples_repeated - before
        for i, (old, new) in enumerate(zip(order, pipeline.order_counts.totals(), strict=True)):
            self.counts.out_of_order[i] += new - old
        return outputs

    def _pipeline(self, subject_id: str, kept: Checkpoint | None) -> SubjectPipeline:
        if kept is not None:
            try:
                return self._restore(kept.state())
            except (StateError, RecordError):
                self.counts.n_rearmed += 1
        return self._build(subject_id)

    def _evict(self) -> None:
        subject = self._subjects.pop(next(iter(self._subjects)))
        self._orphans |= subject.keys
        self.counts.n_evicted += 1

    def unsaved(self) -> Iterator[str]:
        """Name the subjects of which records have come that no stored state has."""
        return (name for name, one in self._subjects.items() if one.open_from is not None)

    def take(self, subject_id: str) -> Snapshot | None:
        """Write down a subject's state as it is now; None if what is stored has all of it."""
        subject = self._subjects.get(subject_id)
        if subject is None or subject.pipeline is None:
            return None
        if subject.open_since is None:
            return subject.taken
        checkpoint = Checkpoint.of(
            subject.pipeline.to_bytes(),
            subject_id=subject_id,
            next_offset=subject.next_offset,
            record_ms=subject.record_ms,
            newest_ns=subject.newest_ns,
            program=self._program,
        )
        subject.taken = Snapshot(key=f"{subject_id}/{self._writer}", checkpoint=checkpoint)
        subject.open_since = None
        return subject.taken

    def saved(self, snapshot: Snapshot) -> list[str]:
        """Note that a state, and all that follows from what is in it, is stored.

        Gives the keys of the subject's older states, which may be deleted.
        """
        subject = self._subjects.get(snapshot.checkpoint.subject_id)
        if subject is None:  # it has given way meanwhile
            return [snapshot.key]
        older = sorted(subject.keys - {snapshot.key})
        subject.keys = {snapshot.key}
        if subject.taken is snapshot:  # else a newer one has been taken
            subject.taken = None
            subject.open_from = subject.open_since
        return older

    def committable(self) -> int | None:
        """Give the offset from which a successor must read; None before the first record."""
        open_from = (one.open_from for one in self._subjects.values() if one.open_from is not None)
        return min(open_from, default=self.position)

    def forget_silent(self) -> list[str]:
        """Forget the subjects that were silent for too long; give the keys of what was kept."""
        # A day beyond, so that no record that is a little late finds a subject forgotten; and one
        # record with a time in the far future, without another, makes nobody silent.
        heard_ms = min(self._record_ms, self._before_ms) - SILENT_MS - DAY_MS
        silent = [
            name
            for name, one in self._subjects.items()
            if one.open_from is None and 0 <= one.record_ms < heard_ms
        ]
        keys = set(chain(self._orphans, *(self._subjects.pop(name).keys for name in silent)))
        self._orphans.clear()
        return sorted(keys)


def newest_time_ns(frame: Frame) -> int:
    """Give the newest event time that a Frame states, nanoseconds since 1970; 0: it has none."""
    times: Iterable[int] = chain(
        (block.t0_ns for block in frame.waveforms),
        (reading.t_ns for reading in frame.readings),
        (event.t_ns for event in frame.events),
    )
    return max(times, default=0)
