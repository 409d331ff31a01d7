"""A recording straight into an archive, without Kafka."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ingest.annotation import SubjectAnnotation
from ingest.frame import Frame
from ingest.observation import AlarmEvent, Observation
from processors.sinks.archive.rows import Rows
from processors.sinks.archive.writer import ArchiveWriter

SAMPLES_MAX: Final = 20_000_000
"""Samples of one commit: eighty megabytes, and as much again while they are written."""
ITEMS_MAX: Final = 500_000
"""Frames, Observations, alarms and annotations of one commit."""

Item = Frame | Observation | AlarmEvent | SubjectAnnotation


@dataclass(slots=True)
class Imported:
    """What came into the archive."""

    n_frames: int = 0
    n_samples: int = 0
    n_bytes: int = 0
    """Of the files."""
    n_commits: int = 0


def import_items(
    writer: ArchiveWriter,
    items: Iterable[Item],
    on_progress: Callable[[Imported], None] = lambda _: None,
) -> Imported:
    """Write Frames, and what was derived of them or said about them.

    Of many there are several commits; those before an error are made.

    Raises
    ------
    ArchiveUnavailableError
    """
    done = Imported()
    rows = Rows(writer.number)
    n_frames = n_items = 0
    for item in items:
        n_items += 1
        if isinstance(item, Frame):
            rows.add_frame(item)
            n_frames += 1
        elif isinstance(item, Observation):
            rows.add_observations((item,))
        elif isinstance(item, AlarmEvent):
            rows.add_alarm(item)
        else:
            rows.add_annotation(item)
        if rows.n_samples >= SAMPLES_MAX or n_items >= ITEMS_MAX:
            _commit(writer, rows, n_frames, done)
            on_progress(done)
            rows, n_frames, n_items = Rows(writer.number), 0, 0
    if n_items:
        _commit(writer, rows, n_frames, done)
        on_progress(done)
    return done


def _commit(writer: ArchiveWriter, rows: Rows, n_frames: int, done: Imported) -> None:
    made = writer.commit(rows.parts())
    done.n_frames += n_frames
    done.n_samples += made.n_samples
    done.n_bytes += sum(entry.n_bytes for entry in made.added)
    done.n_commits += 1
