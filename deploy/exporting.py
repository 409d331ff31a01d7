"""What an archive has of a subject, in the formats of others."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from deploy.annotation_marks import BEATS, Marks
from ingest.annotation import SubjectAnnotation
from ingest.frame import Frame, WaveformBlock
from ingest.observation import AlarmEvent, Observation
from processors.exports.clinical import N_OBSERVATIONS_MAX, ClinicalRecord
from processors.exports.deidentify import Deidentifier
from processors.exports.device_book import DeviceBook
from processors.exports.edf import encode_edf
from processors.exports.edf_header import EdfKind
from processors.exports.fhir import encode_bundle
from processors.exports.files import write_files
from processors.exports.marks import Mark, marks_of, marks_of_annotations
from processors.exports.oru import encode_oru
from processors.exports.strips import cut_block
from processors.exports.tracks import Track, tracks_of
from processors.exports.wfdb import encode_wfdb
from processors.sinks.archive import SubjectArchive
from processors.sinks.archive.importing import import_items
from processors.sinks.archive.layout import subject_folder
from processors.sinks.archive.writer import ArchiveWriter

_END_NS: Final = 2**63 - 1
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")
_MARKS_HZ: Final = 1_000_000
"""Marks are counted in microseconds on their way."""
_FOUND: Final = "chevet"
"""The set of what was found, where people have a set of its name."""
_READING: Final = ("t_ns", "device_id", "mdc_code", "unit", "value", "reason")
_OBSERVATION: Final = (
    *("t_ns", "name", "value", "unit", "quality", "reason"),
    *("algorithm", "algorithm_version", "age_s", "channels"),
)
_GAP: Final = ("t0_ns", "device_id", "channel", "cause", "i_first", "n_samples")
_EVENT: Final = ("t_ns", "device_id", "kind", "detail")
_ANNOTATION: Final = (
    *("t_ns", "duration_ns", "annotator", "symbol", "subtype", "chan", "num", "text"),
    *("device_id", "channel", "author", "annotation_id", "version", "created_ns"),
)
_ALARM: Final = ("t_ns", "name", "priority", "active", "detail")


@dataclass(frozen=True, slots=True)
class Span:
    """From this time on, and before that one; ns UTC since 1970."""

    begin_ns: int = 0
    end_ns: int = _END_NS

    def has(self, t_ns: int) -> bool:
        """Tell whether a moment is in it."""
        return self.begin_ns <= t_ns < self.end_ns

    def cut(self, frame: Frame) -> Frame:
        """Leave out of a Frame what is not in it; a gap that begins in it stays whole."""
        if self == Span():
            return frame
        blocks = (cut_block(block, self.begin_ns, self.end_ns) for block in frame.waveforms)
        return replace(
            frame,
            waveforms=tuple(block for block in blocks if block is not None),
            readings=tuple(one for one in frame.readings if self.has(one.t_ns)),
            gaps=tuple(one for one in frame.gaps if self.has(one.t0_ns)),
            events=tuple(one for one in frame.events if self.has(one.t_ns)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """What an export tells of one subject, under the names that it tells."""

    subject_id: str
    frames: Sequence[Frame]
    """In the order in which they came."""
    observations: Sequence[Observation]
    alarms: Sequence[AlarmEvent]
    annotations: Sequence[SubjectAnnotation] = ()
    """Those that hold, in order of time."""
    left_out: Sequence[str] = ()
    """What is not told, in words."""

    @property
    def stem(self) -> str:
        """The begin of a file's name."""
        return _NO_NAME.sub("_", self.subject_id)

    @property
    def blocks(self) -> list[WaveformBlock]:
        """Every block, in order of time."""
        found = [block for frame in self.frames for block in frame.waveforms]
        return sorted(found, key=lambda block: block.t0_ns)

    def tracks(self) -> list[Track]:
        """Put the channels together."""
        return tracks_of(self.blocks)

    def marks(self) -> Iterator[Mark]:
        """Give what people say, and what was found: beats, rhythms and notes of suspicions."""
        yield from marks_of_annotations(self.annotations)
        named = {one.annotator for one in self.annotations}
        times = [one.t_ns for one in self.observations]
        if not times:
            return
        start_ns, end_ns = min(times), max(times)
        n_samples = (end_ns - start_ns) * _MARKS_HZ // 1_000_000_000 + 2
        marks = Marks(start_ns=start_ns, fs_hz=float(_MARKS_HZ), n_samples=n_samples)
        for one in self.observations:
            marks.add(one)
        found = marks_of(marks.annotations(BEATS), start_ns, Fraction(_MARKS_HZ))
        for mark in found:
            yield replace(mark, annotator=_FOUND if BEATS in named else BEATS)


@dataclass(slots=True)
class Exported:
    """What was written of one subject."""

    files: list[Path] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """What the format does not hold, in words."""


def extract(subject: SubjectArchive, names: Deidentifier | None, span: Span) -> Extract:
    """Read one subject.

    Parameters
    ----------
    names
        Who changes names and times; None: they stay as they are.

    Raises
    ------
    ArchiveError, MalformedRecordError
    """
    frames = [span.cut(frame) for frame in subject.frames()]
    between = (span.begin_ns, span.end_ns)
    observations = subject.observations(None, *between)
    alarms = subject.alarms(*between)
    annotations = subject.annotations(None, *between)
    left_out: list[str] = []
    subject_id = subject.subject_id
    if names is not None:
        subject_id = names.subject(subject_id)
        frames = [names.frame(frame) for frame in frames]
        observations = [names.observation(one) for one in observations]
        alarms = [names.alarm(one) for one in alarms]
        annotations, left_out = _without_texts(annotations, names)
    return Extract(
        subject_id=subject_id,
        frames=frames,
        observations=observations,
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


def _wfdb(found: Extract, folder: Path) -> Exported:
    done = Exported()
    for record in encode_wfdb(found.stem, found.tracks(), found.marks(), annotator=BEATS):
        done.files += write_files(folder, record.files)
        done.lost += [f"{record.name}: {words}" for words in record.lost]
    return done


def _edf(kind: EdfKind) -> Callable[[Extract, Path], Exported]:
    def write(found: Extract, folder: Path) -> Exported:
        done = Exported()
        files = encode_edf(
            found.stem, found.tracks(), found.marks(), subject_id=found.subject_id, kind=kind
        )
        for one in files:
            done.files += write_files(folder, {one.name: one.content})
            done.lost += [f"{one.name}: {words}" for words in one.lost]
        return done

    return write


def _fhir(found: Extract, folder: Path) -> Exported:
    bundles = [encode_bundle(record) for record in _records(found)]
    lost = _lost_annotations(found)
    return Exported(write_files(folder, _numbered(found.stem, "json", bundles)), lost)


def _oru(found: Extract, folder: Path) -> Exported:
    lost = ["alarms: they have a transaction of their own"] if found.alarms else []
    lost += _lost_annotations(found)
    messages = [encode_oru(record) for record in _records(found)]
    return Exported(write_files(folder, _numbered(found.stem, "hl7", messages)), lost)


def _lost_annotations(found: Extract) -> list[str]:
    return [f"{len(found.annotations)} annotations"] if found.annotations else []


def _records(found: Extract) -> Iterator[ClinicalRecord]:
    """Cut what is too much for one file; the alarms are in the first."""
    devices = DeviceBook.of(found.frames)
    n_at_once = N_OBSERVATIONS_MAX - len(found.alarms)
    if n_at_once <= 0:
        raise ValueError(f"{len(found.alarms)} alarms: cut the export by time")
    for i in range(0, max(1, len(found.observations)), n_at_once):
        yield ClinicalRecord(
            subject_id=found.subject_id,
            observations=found.observations[i : i + n_at_once],
            alarms=() if i else found.alarms,
            devices=devices,
        )


def _numbered(stem: str, suffix: str, contents: Iterable[bytes]) -> dict[str, bytes]:
    return {
        f"{stem}.{suffix}" if number == 1 else f"{stem}_{number}.{suffix}": content
        for number, content in enumerate(contents, start=1)
    }


def _parquet(found: Extract, folder: Path) -> Exported:
    """Write an archive of its own."""
    with ArchiveWriter(folder) as writer:
        import_items(
            writer, [*found.frames, *found.observations, *found.alarms, *found.annotations]
        )
    return Exported(sorted(folder.glob(f"*/*/{subject_folder(found.subject_id)}/*.parquet")))


def _csv(found: Extract, folder: Path) -> Exported:
    """Write a table of each kind, and one of each channel's samples."""
    stem = found.stem
    frames = found.frames
    tables: dict[str, bytes] = {}
    signals: list[tuple[object, ...]] = []
    by_channel: dict[tuple[str, str], list[WaveformBlock]] = {}
    for block in found.blocks:
        by_channel.setdefault((block.device_id, block.channel), []).append(block)
    for (device_id, channel), blocks in by_channel.items():
        name = f"{stem}_{_NO_NAME.sub('_', f'{device_id}_{channel}')}.csv"
        if name in tables:
            name = f"{name.removesuffix('.csv')}_{len(signals)}.csv"
        tables[name] = _samples(blocks)
        first = blocks[0]
        signals.append((name, device_id, channel, first.mdc_code, first.unit))
    of_kind: dict[str, tuple[Sequence[str], Sequence[object]]] = {
        "readings": (_READING, [one for frame in frames for one in frame.readings]),
        "gaps": (_GAP, [one for frame in frames for one in frame.gaps]),
        "events": (_EVENT, [one for frame in frames for one in frame.events]),
        "observations": (_OBSERVATION, found.observations),
        "alarms": (_ALARM, found.alarms),
        "annotations": (_ANNOTATION, found.annotations),
    }
    for kind, (columns, items) in of_kind.items():
        if items:
            tables[f"{stem}_{kind}.csv"] = _table(columns, (_row(one, columns) for one in items))
    columns = ("file", "device_id", "channel", "mdc_code", "unit")
    tables[f"{stem}_signals.csv"] = _table(columns, signals)
    lost = ["clock relations and the ledger of the agent"] if any(f.clocks for f in frames) else []
    return Exported(write_files(folder, tables), lost)


def _samples(blocks: Sequence[WaveformBlock]) -> bytes:
    """Write time, count and value of each sample, each once."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    t_ns = np.concatenate([block.times_ns() for block in blocks])
    counts = np.concatenate([block.counts for block in blocks])
    values = np.concatenate([block.counts * block.scale + block.offset for block in blocks])
    _, once = np.unique(t_ns, return_index=True)
    columns = {"t_ns": t_ns[once], "count": counts[once], "value": values[once]}
    content = io.BytesIO()
    pa_csv.write_csv(pa.table(columns), content)
    return content.getvalue()


def _row(item: object, columns: Sequence[str]) -> list[Any]:
    return [_cell(getattr(item, name)) for name in columns]


def _cell(value: object) -> object:
    return " ".join(value) if isinstance(value, tuple) else value


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


FORMATS: Final[Mapping[str, Callable[[Extract, Path], Exported]]] = MappingProxyType(
    {
        "wfdb": _wfdb,
        "edf": _edf("edf"),
        "bdf": _edf("bdf"),
        "parquet": _parquet,
        "csv": _csv,
        "fhir": _fhir,
        "oru": _oru,
    }
)
"""Who writes a subject into a folder, by the name of the format."""
