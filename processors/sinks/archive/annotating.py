"""Annotations straight into an archive that nobody else writes at this time.

Where a recorder writes it, they go to Kafka and come with the rest: ``chevet annotate --kafka``.
"""

import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ingest.annotation import ANNOTATOR, NOTE, SubjectAnnotation
from processors.sinks.archive.errors import ArchiveRefusedError
from processors.sinks.archive.importing import import_items
from processors.sinks.archive.reader import Time, ns_of, open_archive
from processors.sinks.archive.writer import ArchiveWriter


def new_annotation(  # noqa: PLR0913
    subject_id: str,
    at: Time,
    until: Time | None = None,
    *,
    author: str,
    text: str = "",
    symbol: str = NOTE,
    subtype: int = 0,
    annotator: str = ANNOTATOR,
    device_id: str | None = None,
    channel: str | None = None,
) -> SubjectAnnotation:
    """Make the first version of an annotation, under an id that nothing else has.

    Parameters
    ----------
    until
        Where an interval ends; None: a moment.

    Raises
    ------
    MalformedRecordError
    ArchiveRefusedError
        A time is none.
    """
    at_ns = ns_of(at)
    until_ns = ns_of(until)
    if at_ns is None:
        raise ArchiveRefusedError("an annotation needs a time")
    return SubjectAnnotation(
        subject_id=subject_id,
        annotation_id=uuid.uuid4().hex,
        annotator=annotator,
        t_ns=at_ns,
        duration_ns=0 if until_ns is None else until_ns - at_ns,
        symbol=symbol,
        subtype=subtype,
        text=text,
        device_id=device_id,
        channel=channel,
        author=author,
        created_ns=time.time_ns(),
    )


def annotate(folder: Path | str, *annotations: SubjectAnnotation) -> None:
    """Write annotations into an archive that is there, all or none; when this returns they are.

    Raises
    ------
    ArchiveRefusedError
        There is no archive, it has nothing of such a subject, or somebody writes it.
    ArchiveUnavailableError
    """
    opened = open_archive(folder)
    for subject_id in dict.fromkeys(one.subject_id for one in annotations):
        opened.subject(subject_id)
    with ArchiveWriter(Path(folder)) as writer:
        import_items(writer, annotations)


def change_annotation(
    folder: Path | str,
    subject_id: str,
    annotation_id: str,
    *,
    author: str,
    **changes: Any,  # noqa: ANN401
) -> SubjectAnnotation:
    """Write the next version of an annotation; give it. ``retracted=True`` takes it back.

    Raises
    ------
    ArchiveRefusedError
        There is no such annotation, or as `annotate`.
    ArchiveUnavailableError, MalformedRecordError
    """
    known = open_archive(folder).subject(subject_id).annotations(every_version=True)
    made = last_version(known, annotation_id).changed(
        author=author, created_ns=time.time_ns(), **changes
    )
    annotate(folder, made)
    return made


def last_version(known: Sequence[SubjectAnnotation], annotation_id: str) -> SubjectAnnotation:
    """Find the last version of an annotation, by its id or by a begin that no other has.

    Raises
    ------
    ArchiveRefusedError
    """
    fits = [one for one in known if one.annotation_id.startswith(annotation_id)]
    exact = [one for one in fits if one.annotation_id == annotation_id]
    found = exact or fits
    ids = sorted({one.annotation_id for one in found})
    if not annotation_id or not ids:
        raise ArchiveRefusedError(f"no annotation {annotation_id!r}; `list` shows their ids")
    if len(ids) > 1:
        raise ArchiveRefusedError(
            f"{annotation_id!r} is the begin of {len(ids)} ids: {', '.join(ids[:3])} …; write more"
        )
    return max(found, key=lambda one: one.version)
