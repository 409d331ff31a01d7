"""What is annotated in a recording, as the annotations of a subject.

Of a WFDB record these are its annotation files, of an EDF+ or BDF+ file its annotations. A sample
number ``n`` becomes the time ``start + n / rate``, rounded down to the nanosecond, from which the
number follows again at any rate below a gigahertz.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Final
from urllib.parse import quote

from ingest import csv_recording, edf_recording
from ingest.annotation import ANNOTATOR, SubjectAnnotation
from ingest.annotation_words import Said, said_by
from ingest.codec import encode_annotation
from ingest.errors import BrokerRefusedError, MalformedRecordError, RecordingError
from ingest.frame import NS_PER_S
from ingest.kafka import Producer, missing_topics, open_producer
from ingest.recording import BUILT_IN, recording_name
from ingest.replay import ReplayPlan
from ingest.settings import KafkaSettings
from ingest.topics import ANNOTATIONS
from ingest.wfdb_annotations import AnnotationFileError, decode_annotations
from ingest.wfdb_header import read_header

REFERENCES: Final = (ANNOTATOR, "breath")
"""The sets that databases have as their references: of beats and rhythms, and of breaths."""

BATCH_ANNOTATIONS: Final = 1_000
"""Annotations in flight."""

_NAME_CHARS_MAX: Final = 120


def annotations_of_recording(
    spec: str, plan: ReplayPlan, annotators: Sequence[str] | None = None
) -> list[SubjectAnnotation]:
    """Read what is annotated in a recording.

    The same recording with the same start gives the same: ids are of these, the set and the place.

    Parameters
    ----------
    spec
        As `ingest.recording.open_recording` takes it.
    plan
        Whose the recording becomes, from when on, and how much of it.
    annotators
        The sets to read: the suffixes of files of a WFDB record. None: those of ``REFERENCES``
        that there are.
        A recording that is no WFDB record has what it has.

    Raises
    ------
    RecordingError
        A file is damaged, or a set that was asked for is not there.
    """
    suffix = Path(spec).suffix.lower()
    name = recording_name(spec)
    wanted = REFERENCES if annotators is None else tuple(dict.fromkeys(annotators))
    if spec in BUILT_IN or suffix in csv_recording.SUFFIXES:
        return []
    if suffix in edf_recording.SUFFIXES:
        found = list(_of_edf(Path(spec).expanduser(), wanted))
    else:
        path = Path(spec).expanduser()
        path = path.with_suffix("") if suffix == ".hea" else path
        found = list[Placed]()
        for annotator in wanted:
            file = path.with_name(f"{path.name}.{annotator}")
            if annotators is not None and not file.is_file():
                raise RecordingError(f"no annotations {file}: there is no such file")
            if file.is_file():
                found += read_annotation_file(file, annotator, Fraction(str(read_header(path).fs)))
    template = SubjectAnnotation(
        subject_id=plan.subject_id,
        annotation_id="0",
        t_ns=plan.start_ns,
        author=f"recording {quote(name)[:_NAME_CHARS_MAX]}",
    )
    # Played again at another time it is another one.
    name = f"{name}@{plan.start_ns}"
    return annotations_at(found, template, name=name, seconds_max=plan.seconds_max)


Placed = tuple[Fraction, Fraction, Said]
"""Seconds since the first sample, seconds that it lasts, and what it says."""


def annotations_at(
    placed: Sequence[Placed],
    template: SubjectAnnotation,
    *,
    name: str,
    seconds_max: float | None = None,
) -> list[SubjectAnnotation]:
    """Give what is said at places of a recording its times.

    Parameters
    ----------
    template
        Whose they are, who says so, and when the first sample is.
    name
        Of the recording, for their ids.
    seconds_max
        Leave out what is later.

    Raises
    ------
    RecordingError
        A time or a text is none that an annotation may have.
    """
    stem = quote(name, safe="@")
    if len(stem) > _NAME_CHARS_MAX or "~" in stem:
        stem = hashlib.sha256(name.encode()).hexdigest()
    made: list[SubjectAnnotation] = []
    for number, (since_s, lasts_s, said) in enumerate(placed):
        if seconds_max is not None and since_s >= Fraction(seconds_max):
            continue
        try:
            made.append(
                replace(
                    template,
                    annotation_id=f"{stem}/{said.annotator}/{number:07}",
                    t_ns=template.t_ns + int(since_s * NS_PER_S // 1),
                    duration_ns=int(lasts_s * NS_PER_S // 1),
                    annotator=said.annotator,
                    symbol=said.symbol,
                    subtype=said.subtype,
                    chan=said.chan,
                    num=said.num,
                    text=said.text,
                )
            )
        except MalformedRecordError as error:
            raise RecordingError(
                f"annotation {number} of {name}, at {float(since_s):g} s: {error}"
            ) from error
    return made


async def send_annotations(producer: Producer, annotations: Sequence[SubjectAnnotation]) -> None:
    """Send annotations; when this returns the broker has them.

    Raises
    ------
    BrokerError, BrokerRefusedError
    """
    for i in range(0, len(annotations), BATCH_ANNOTATIONS):
        batch = annotations[i : i + BATCH_ANNOTATIONS]
        await producer.send(
            ANNOTATIONS, [(one.subject_id, encode_annotation(one)) for one in batch]
        )


async def produce_annotations(
    kafka: KafkaSettings, annotations: Sequence[SubjectAnnotation]
) -> None:
    """Send annotations over a connection of its own.

    Raises
    ------
    BrokerError
    BrokerRefusedError
        There is no topic of annotations, or this client may not write to it.
    """
    # Asked to write to a topic that is not there a broker may create it its own way.
    if await missing_topics(kafka, (ANNOTATIONS,)):
        raise BrokerRefusedError(
            f"{kafka.bootstrap_servers} has no topic {ANNOTATIONS.name}; `chevet topics` creates it"
        )
    async with open_producer(kafka) as producer:
        await send_annotations(producer, annotations)


def _of_edf(path: Path, wanted: Sequence[str]) -> Iterator[Placed]:
    for one in edf_recording.read_edf_annotations(path):
        said = said_by(one.text)
        if said.annotator in wanted:
            yield one.onset_s, one.duration_s or Fraction(0), said


def read_annotation_file(file: Path, annotator: str, rate: Fraction | None) -> list[Placed]:
    """Read a WFDB annotation file.

    Parameters
    ----------
    rate
        Samples per second of what it counts; its own statement, if there is one, comes before.
        None: it must have one.

    Raises
    ------
    RecordingError
    """
    try:
        read = decode_annotations(file.read_bytes(), exactly=True)
    except OSError as error:
        raise RecordingError(f"annotations {file} cannot be read: {error.strerror}") from error
    except AnnotationFileError as error:
        raise RecordingError(f"annotations {file}: {error}") from error
    if read.fs_hz is not None:
        if not 0 < read.fs_hz < float("inf"):
            raise RecordingError(f"annotations {file} state {read.fs_hz} samples per second")
        rate = Fraction(str(read.fs_hz))
    if rate is None:
        raise RecordingError(
            f"annotations {file} do not state how many samples per second they count: say it"
        )
    return [
        (
            one.sample / rate,
            Fraction(0),
            Said(
                annotator=annotator,
                symbol=one.symbol,
                subtype=one.subtype,
                chan=one.chan,
                num=one.num,
                text=one.aux,
            ),
        )
        for one in read.annotations
    ]
