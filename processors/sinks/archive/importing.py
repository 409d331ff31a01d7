"""A recording straight into an archive, without Kafka."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ingest.frame import Frame
from processors.sinks.archive.rows import Rows
from processors.sinks.archive.writer import ArchiveWriter

SAMPLES_MAX: Final = 20_000_000
"""Samples of one commit: eighty megabytes, and as much again while they are written."""


@dataclass(slots=True)
class Imported:
    """What came into the archive."""

    n_frames: int = 0
    n_samples: int = 0
    n_bytes: int = 0
    """Of the files."""
    n_commits: int = 0


def import_frames(
    writer: ArchiveWriter,
    frames: Iterable[Frame],
    on_progress: Callable[[Imported], None] = lambda _: None,
) -> Imported:
    """Write Frames; of many there are several commits, and those before an error are made.

    Raises
    ------
    ArchiveUnavailableError
    """
    done = Imported()
    rows = Rows(writer.number)
    n_waiting = 0
    for frame in frames:
        rows.add_frame(frame)
        n_waiting += 1
        if rows.n_samples >= SAMPLES_MAX:
            _commit(writer, rows, n_waiting, done)
            on_progress(done)
            rows, n_waiting = Rows(writer.number), 0
    if n_waiting:
        _commit(writer, rows, n_waiting, done)
        on_progress(done)
    return done


def _commit(writer: ArchiveWriter, rows: Rows, n_frames: int, done: Imported) -> None:
    made = writer.commit(rows.parts())
    done.n_frames += n_frames
    done.n_samples += made.n_samples
    done.n_bytes += sum(entry.n_bytes for entry in made.added)
    done.n_commits += 1
