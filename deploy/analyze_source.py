"""A subject of an archive, of Kafka or of InfluxDB through the pipeline, at its own times."""

import hashlib
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Final
from urllib.parse import quote

from deploy.analysis_options import AnalyzeOptions
from deploy.analysis_results import Results
from deploy.analysis_summary import Summary
from deploy.annotation_marks import EVENT_KINDS
from deploy.record_jobs import OnShare
from deploy.run_manifest import Input, portable
from deploy.source_settings import SourceSettings
from deploy.sources import Source, SourceError, SourceKind, open_source
from ingest.codec import encode_frame
from ingest.errors import RecordingError
from ingest.frame import NS_PER_S, Frame, WaveformBlock
from ingest.observation import Observation
from processors.catalogue import ECG, PPG
from processors.pipeline import SubjectPipeline
from processors.sinks.archive import ArchiveError, open_archive

BEHIND_NS: Final = 60 * NS_PER_S
"""How far behind the end a gap reaches that makes the pipeline say what it still knows."""

FIRST_FRAMES: Final = 256
"""Among so many a track is looked for that annotations can count in: a minute."""

_KINDS: Final = {"ecg": frozenset(ECG.ranks), "pleth": frozenset(PPG.ranks)}
"""Codes by kind of signal, the one first whose samples annotations count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectOf:
    """One subject of a source, and from when to when."""

    spec: str
    subject_id: str
    start_ns: int | None = None
    end_ns: int | None = None
    settings: SourceSettings | None = None
    """How to reach servers; None: what the environment says."""

    @property
    def name(self) -> str:
        """What its files are called."""
        return quote(self.subject_id, safe="")

    def open(self) -> Source:
        """Open the source for this subject alone.

        Raises
        ------
        SourceError, IngestError, ArchiveError
        """
        return open_source(
            self.spec,
            subjects=(self.subject_id,),
            start_ns=self.start_ns,
            end_ns=self.end_ns,
            settings=self.settings,
        )


@contextmanager
def source_errors() -> Iterator[None]:
    """Say of whatever is wrong with a source that it is wrong with what is analyzed.

    Raises
    ------
    RecordingError
    """
    try:
        yield
    except (SourceError, ArchiveError) as error:
        raise RecordingError(str(error)) from error


def subjects_of(whole: SubjectOf, wanted: tuple[str, ...]) -> list[SubjectOf]:
    """Name the subjects of a source, all or those that are wanted.

    Raises
    ------
    IngestError
        It cannot be read, or has nobody.
    """
    with source_errors():
        source = open_source(
            whole.spec,
            subjects=wanted,
            start_ns=whole.start_ns,
            end_ns=whole.end_ns,
            settings=whole.settings,
        )
        found = source.subjects()
    if not found:
        raise RecordingError(f"{whole.spec} has nobody's Frames of that time")
    return [replace(whole, subject_id=one) for one in found]


def analyze_subject(subject: SubjectOf, options: AnalyzeOptions, on_share: OnShare) -> Summary:
    """Analyze one subject and write the files, as ``analyze`` does of a recording.

    Annotations count in samples of the first ECG track, or else the first plethysmogram, from the
    first sample of all.

    Raises
    ------
    IngestError, OSError
    """
    if options.channels or options.leads or options.device_model:
        raise RecordingError(f"{subject.spec}: channels, leads and models are chosen of recordings")
    with source_errors():
        return _analyzed(subject, options, on_share)


def _analyzed(subject: SubjectOf, options: AnalyzeOptions, on_share: OnShare) -> Summary:
    began_s = time.process_time()
    source = subject.open()
    facts = _SourceFacts(subject, source)
    passed = _Passed()
    frames = facts.noting(passed.noting(source.frames(subject.subject_id)))
    first = list(islice(frames, FIRST_FRAMES))
    start_ns, fs_hz = _grid(subject, first)
    pipeline = SubjectPipeline(subject.subject_id)
    last_ns = _last_ns(source, subject)
    results = Results(subject.name, options, start_ns=start_ns, fs_hz=fs_hz, began_s=began_s)
    with results:
        for frame in chain(first, frames):
            for observation in _observations(pipeline, frame):
                results.add(observation)
            if last_ns is not None:
                on_share(min(1.0, (passed.end_ns - start_ns) / max(1, last_ns - start_ns)))
        for frame in passed.frames_behind():
            for observation in _observations(pipeline, frame):
                if observation.t_ns <= passed.end_ns:
                    results.add(observation)
        duration_s = (passed.end_ns - start_ns) / NS_PER_S
        results.end(round(duration_s * fs_hz), passed.annotators())
    return results.finish(
        facts if options.annotations or options.observations else None,
        duration_s=duration_s,
        channels=sorted({block.channel for block in passed.last.values()}),
        left_out=source.notes,
    )


def _observations(pipeline: SubjectPipeline, frame: Frame) -> Iterator[Observation]:
    return (one for one in pipeline.process(frame) if isinstance(one, Observation))


def _grid(subject: SubjectOf, frames: Iterable[Frame]) -> tuple[int, float]:
    """Choose where times begin, and what annotations count in."""
    blocks = [block for frame in frames for block in frame.waveforms]
    if not blocks:
        raise RecordingError(
            f"{subject.subject_id} of {subject.spec} has no waveform in its first Frames"
        )
    counted = next(
        (one for codes in _KINDS.values() for one in blocks if one.mdc_code in codes), blocks[0]
    )
    return min(block.t0_ns for block in blocks), counted.period.rate_hz


def _last_ns(source: Source, subject: SubjectOf) -> int | None:
    """Tell where an archive ends, to show how far it has come; None: nobody knows."""
    if source.kind is not SourceKind.ARCHIVE:
        return None
    signals = open_archive(Path(subject.spec).expanduser()).subject(subject.subject_id).signals()
    last_ns = max((one.last_ns for one in signals), default=None)
    return last_ns if subject.end_ns is None or last_ns is None else min(last_ns, subject.end_ns)


class _Passed:
    """What has passed: the last block of every channel, and the end of the latest."""

    def __init__(self) -> None:
        self.last: dict[tuple[str, str, str], WaveformBlock] = {}
        self.end_ns = 0
        self._sequences: dict[str, Frame] = {}
        self._codes: set[int] = set()

    def noting(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Pass Frames on."""
        for frame in frames:
            self._sequences[frame.agent_id] = frame
            for block in frame.waveforms:
                self.last[frame.agent_id, block.device_id, block.channel] = block
                self.end_ns = max(self.end_ns, block.time_ns(block.i_end))
                self._codes.add(block.mdc_code)
            yield frame

    def annotators(self) -> list[str]:
        """Name the annotators whose signal there was."""
        return [kind.annotator for kind in EVENT_KINDS if _KINDS[kind.signal] & self._codes]

    def frames_behind(self) -> Iterator[Frame]:
        """Make a Frame of each agent with one sample of each channel, far behind the end."""
        for agent_id, last in self._sequences.items():
            blocks = [
                self._behind(one) for (agent, *_), one in self.last.items() if agent == agent_id
            ]
            yield Frame(
                subject_id=last.subject_id,
                agent_id=agent_id,
                sequence=last.sequence + 1,
                waveforms=tuple(blocks),
            )

    def _behind(self, block: WaveformBlock) -> WaveformBlock:
        period = block.period
        later_ns = self.end_ns + BEHIND_NS - block.epoch_ns
        i_first = later_ns * period.ns_denominator // period.ns_numerator
        return replace(
            block, i_first=i_first, t0_ns=block.time_ns(i_first), counts=block.counts[-1:]
        )


class _SourceFacts:
    """What a manifest says of a source: its Frames have one checksum, wherever they are kept."""

    mapping: Path | None = None
    mapping_name: str | None = None

    def __init__(self, subject: SubjectOf, source: Source) -> None:
        self._subject = subject
        self._source = source
        self._sum = hashlib.sha256()

    def noting(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Pass Frames on."""
        for frame in frames:
            encoded = encode_frame(frame)
            self._sum.update(len(encoded).to_bytes(8, "big"))
            self._sum.update(encoded)
            yield frame

    @property
    def frames_sha256(self) -> str:
        """SHA-256 of all Frames, in the order in which they came, each with its length before."""
        return self._sum.hexdigest()

    def seen_from(self, folder: Path) -> Input:
        """Give what a manifest in this folder says; a server is named by what it is only."""
        kind = self._source.kind
        is_folder = kind is SourceKind.ARCHIVE
        # The files of an archive are merged as time goes by: the Frames stay what they are.
        left_out = {"files", "source", "subjects"}
        said = {key: one for key, one in self._source.inputs().items() if key not in left_out}
        return Input(
            spec=portable(Path(self._subject.spec), folder) if is_folder else f"{kind}:",
            files=(),
            frames_sha256=self.frames_sha256,
            source={**said, "subject": self._subject.subject_id},
        )
