"""Where annotations are: an archive that nobody writes, or the topic from which it is written."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Protocol

from ingest.annotation import SubjectAnnotation
from ingest.codec import decode_annotation
from ingest.errors import RecordError
from ingest.history import open_history
from ingest.recorded_annotations import produce_annotations
from ingest.settings import KafkaSettings
from ingest.topics import ANNOTATIONS
from processors.sinks.archive import open_archive
from processors.sinks.archive.annotating import annotate


class Place(Protocol):
    """Keeps annotations."""

    def known(self, subject_id: str) -> list[SubjectAnnotation]:
        """Give every version of a subject's annotations, as they became known."""
        ...

    def add(self, annotations: Sequence[SubjectAnnotation]) -> None:
        """Keep more of them; when this returns they are safe."""
        ...


class ArchivePlace:
    """An archive."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def known(self, subject_id: str) -> list[SubjectAnnotation]:
        """Give every version of a subject's annotations.

        Raises
        ------
        ArchiveError
        """
        return open_archive(self._folder).subject(subject_id).annotations(every_version=True)

    def add(self, annotations: Sequence[SubjectAnnotation]) -> None:
        """Write them, all or none.

        Raises
        ------
        ArchiveError
        """
        annotate(self._folder, *annotations)


class TopicPlace:
    """The topic of annotations: known is what it still holds, of about a year.

    Parameters
    ----------
    archive
        Where older ones are looked for; None: nowhere.
    """

    def __init__(self, kafka: KafkaSettings, archive: ArchivePlace | None = None) -> None:
        self._kafka = kafka
        self._archive = archive

    def known(self, subject_id: str) -> list[SubjectAnnotation]:
        """Give every version of a subject's annotations; the whole topic is read.

        Raises
        ------
        BrokerError, BrokerRefusedError, ArchiveError
        """
        older = [] if self._archive is None else self._archive.known(subject_id)
        return [*older, *asyncio.run(self._read(subject_id))]

    async def _read(self, subject_id: str) -> list[SubjectAnnotation]:
        key = subject_id.encode()
        found: list[SubjectAnnotation] = []
        async with (
            open_history(self._kafka, ANNOTATIONS) as history,
            aclosing(history.records()) as records,
        ):
            async for record in records:
                if record.key == key:
                    found += _readable(record.payload)
        return found

    def add(self, annotations: Sequence[SubjectAnnotation]) -> None:
        """Send them.

        Raises
        ------
        BrokerError, BrokerRefusedError
        """
        asyncio.run(produce_annotations(self._kafka, annotations))


def _readable(payload: bytes) -> list[SubjectAnnotation]:
    # What nobody can read the recorder puts into the dead letters.
    try:
        return [decode_annotation(payload)]
    except RecordError:
        return []
