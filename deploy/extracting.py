"""What an export tells of one subject, read from the archive piece by piece."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from deploy.annotation_marks import BEATS, Marks
from ingest.annotation import SubjectAnnotation
from ingest.frame import DeviceEvent, Frame, Gap, Reading, WaveformBlock
from ingest.observation import AlarmEvent, Observation
from processors.exports.deidentify import NS_PER_DAY, Deidentifier
from processors.exports.marks import Mark, marks_of, marks_of_annotations
from processors.exports.strips import cut_block
from processors.exports.tracks import Track, tracks_of
from processors.sinks.archive import SubjectArchive
from processors.sinks.archive.stretches import each_block, each_observation

_END_NS: Final = 2**63 - 1
NO_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")
"""What no name of a file has."""
_MARKS_HZ: Final = 1_000_000
"""Marks are counted in microseconds on their way."""
_FOUND: Final = "chevet"
"""The set of what was found, where people have a set of its name."""


@dataclass(frozen=True, slots=True)
class Span:
    """From this time on, and before that one; ns UTC since 1970."""

    begin_ns: int = 0
    end_ns: int = _END_NS

    @property
    def is_whole(self) -> bool:
        """Whether nothing is cut."""
        return self == Span()

    @property
    def bounds(self) -> tuple[int | None, int | None]:
        """Give begin and end, None where there is none: to be looked for in the archive."""
        return (None, None) if self.is_whole else (self.begin_ns, self.end_ns)

    def has(self, t_ns: int) -> bool:
        """Tell whether a moment is in it."""
        return self.begin_ns <= t_ns < self.end_ns

    def cut(self, frame: Frame) -> Frame:
        """Leave out of a Frame what is not in it; a gap that begins in it stays whole."""
        blocks = (cut_block(block, self.begin_ns, self.end_ns) for block in frame.waveforms)
        return replace(
            frame,
            waveforms=tuple(block for block in blocks if block is not None),
            readings=tuple(one for one in frame.readings if self.has(one.t_ns)),
            gaps=tuple(one for one in frame.gaps if self.has(one.t0_ns)),
            events=tuple(one for one in frame.events if self.has(one.t_ns)),
        )


@dataclass(slots=True, kw_only=True)
class Extract:
    """One subject under the names and times that are told. Whatever is many is read as it is used.

    Attributes
    ----------
    annotations
        Those that hold, in order of time.
    left_out
        What is not told, in words.
    n_samples, n_observations
        So many of them were read; those that are read twice count once.
    """

    subject: SubjectArchive
    names: Deidentifier | None
    span: Span
    subject_id: str
    alarms: Sequence[AlarmEvent] = ()
    annotations: Sequence[SubjectAnnotation] = ()
    left_out: Sequence[str] = ()
    n_samples: int = 0
    n_observations: int = 0

    @property
    def stem(self) -> str:
        """The begin of a file's name."""
        return NO_NAME.sub("_", self.subject_id)

    @property
    def shift_ns(self) -> int:
        """By how much told times are before those of the archive."""
        if self.names is None:
            return 0
        return self.names.shift_days(self._id) * NS_PER_DAY

    def frames(self) -> Iterator[Frame]:
        """Give the Frames that have something of the time, cut to it, as they came."""
        self.n_samples = 0
        for frame in self.subject.frames_about(*self.span.bounds):
            cut = frame if self.span.is_whole else self.span.cut(frame)
            if cut is not frame and not (cut.waveforms or cut.readings or cut.gaps or cut.events):
                continue
            self.n_samples += cut.n_samples
            yield cut if self.names is None else self.names.frame(cut)

    def blocks(self) -> Iterator[WaveformBlock]:
        """Give what there is of the waveforms, each channel in order of time."""
        self.n_samples = 0
        for block in self.blocks_between(self.span.begin_ns, self.span.end_ns):
            self.n_samples += block.n_samples
            yield block

    def blocks_between(self, begin_ns: int, end_ns: int) -> Iterator[WaveformBlock]:
        """Give the blocks of a time of the archive's, cut to it."""
        span = Span(begin_ns, end_ns)
        found = each_block(self.subject, *span.bounds)
        if not span.is_whole:
            cuts = (cut_block(block, begin_ns, end_ns) for block in found)
            found = (block for block in cuts if block is not None)
        names = self.names
        yield from found if names is None else names.blocks(self._id, found)

    def tracks(self) -> list[Track]:
        """Put the channels together: all their counts are in memory then."""
        return tracks_of(self.blocks())

    def observations(self) -> Iterator[Observation]:
        """Give the observations, in order of time."""
        self.n_observations = 0
        for one in each_observation(self.subject, *self.span.bounds):
            self.n_observations += 1
            yield one if self.names is None else self.names.observation(one)

    def readings(self) -> Iterator[Reading]:
        """Give what devices stated, in order of time."""
        found = self.subject.readings(None, *self.span.bounds)
        return iter(found) if self.names is None else self.names.readings(self._id, found)

    def gaps(self) -> Iterator[Gap]:
        """Give the gaps that begin in the time, by device, channel and time."""
        found = self.subject.gaps(*self.span.bounds)
        return iter(found) if self.names is None else self.names.gaps(self._id, found)

    def events(self) -> Iterator[DeviceEvent]:
        """Give what happened to the devices, in order of time."""
        found = self.subject.events(*self.span.bounds)
        return iter(found) if self.names is None else self.names.events(self._id, found)

    def has_clocks(self) -> bool:
        """Tell whether Frames of the time relate clocks."""
        rows = self.subject.rows("clocks", *self.span.bounds, columns=("t_ns",))
        return len(rows) > 0 and not self.shift_ns

    def marks(self) -> Iterator[Mark]:
        """Give what people say, and what was found: beats, rhythms and notes of suspicions."""
        yield from marks_of_annotations(self.annotations)
        named = {one.annotator for one in self.annotations}
        found = self.observations()
        first = next(found, None)
        if first is None:
            return
        marks = Marks(start_ns=first.t_ns, fs_hz=float(_MARKS_HZ), n_samples=_END_NS)
        marks.add(first)
        for one in found:
            marks.add(one)
        for mark in marks_of(marks.annotations(BEATS), first.t_ns, Fraction(_MARKS_HZ)):
            yield replace(mark, annotator=_FOUND if BEATS in named else BEATS)

    @property
    def _id(self) -> str:
        """The name in the archive."""
        return self.subject.subject_id


def extract(subject: SubjectArchive, names: Deidentifier | None, span: Span) -> Extract:
    """Begin to read one subject.

    Parameters
    ----------
    names
        Who changes names and times; None: they stay as they are.

    Raises
    ------
    ArchiveError, MalformedRecordError
    """
    alarms = subject.alarms(span.begin_ns, span.end_ns)
    annotations = subject.annotations(None, span.begin_ns, span.end_ns)
    left_out: list[str] = []
    subject_id = subject.subject_id
    if names is not None:
        subject_id = names.subject(subject_id)
        alarms = [names.alarm(one) for one in alarms]
        annotations, left_out = _without_texts(annotations, names)
    return Extract(
        subject=subject,
        names=names,
        span=span,
        subject_id=subject_id,
        alarms=alarms,
        annotations=annotations,
        left_out=left_out,
    )


def _without_texts(
    annotations: Sequence[SubjectAnnotation], names: Deidentifier
) -> tuple[list[SubjectAnnotation], list[str]]:
    """Leave the free texts out; tell of how many annotations."""
    told = [(one, names.annotation(one)) for one in annotations]
    kept = [(one, changed) for one, changed in told if changed is not None]
    left_out: list[str] = []
    if n_notes := len(told) - len(kept):
        left_out.append(f"{n_notes} annotations that are free texts: --as-recorded tells them")
    if n_texts := sum(one.text != changed.text for one, changed in kept):
        left_out.append(f"the free texts of {n_texts} annotations")
    return [changed for _, changed in kept], left_out
