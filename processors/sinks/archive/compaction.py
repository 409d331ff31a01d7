"""Merges small files of one table, day and subject into larger ones.

A merge is a commit like any other: the new file and the names of those that it replaces. Files of
about one size are merged as soon as there are eight of them, so that a row is written anew about
as often as the size of its file can be multiplied by eight.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import pyarrow as pa

from processors.sinks.archive.errors import ArchiveRefusedError
from processors.sinks.archive.files import files_of
from processors.sinks.archive.layout import Kind, span_of
from processors.sinks.archive.parquet import read_rows
from processors.sinks.archive.rows import Part, part_of
from processors.sinks.archive.writer import ArchiveWriter

MERGE_FILES: Final = 8
"""So many files of about one size are merged."""

MERGED_BYTES_MAX: Final = 32_000_000
"""A merge reads no more than this: some hundred megabytes in memory. A day of a subject with ECG at
250 Hz is one file or two."""

_SMALLEST_TIER: Final = 16_384
"""Bytes; all that are smaller count as of one size."""


@dataclass(frozen=True, slots=True)
class FileSize:
    """One file of a folder."""

    name: str
    n_bytes: int


def plan_merges(files: Iterable[FileSize], *, everything: bool = False) -> Iterator[list[str]]:
    """Give the groups of files that are to be merged, oldest first in each.

    Parameters
    ----------
    everything
        As few files as there can be; else only where enough of one size have come together.
    """
    by_tier: dict[int, list[FileSize]] = defaultdict(list)
    for file in sorted(files, key=_age):
        if file.n_bytes < MERGED_BYTES_MAX:
            by_tier[0 if everything else _tier(file.n_bytes)].append(file)
    least = 2 if everything else MERGE_FILES
    for tier in sorted(by_tier):
        for group in _within_bounds(by_tier[tier]):
            if len(group) >= least:
                yield [file.name for file in group]


def _tier(n_bytes: int) -> int:
    tier, bound = 0, _SMALLEST_TIER
    while n_bytes >= bound:
        tier, bound = tier + 1, bound * MERGE_FILES
    return tier


def _age(file: FileSize) -> tuple[int, int]:
    span = span_of(file.name)
    return (span.number, span.i_file) if span is not None else (0, 0)


def _within_bounds(files: Sequence[FileSize]) -> Iterator[list[FileSize]]:
    group: list[FileSize] = []
    n_bytes = 0
    for file in files:
        if group and n_bytes + file.n_bytes > MERGED_BYTES_MAX:
            yield group
            group, n_bytes = [], 0
        group.append(file)
        n_bytes += file.n_bytes
    if group:
        yield group


def compact(
    writer: ArchiveWriter,
    folders: Iterable[Path] | None = None,
    *,
    everything: bool = False,
    on_progress: Callable[[int], None] = lambda _n: None,
) -> int:
    """Merge what is to be merged; give how many files larger ones have replaced.

    Parameters
    ----------
    folders
        Within the archive, such as ``waveforms/date=2026-11-22/subject=icu-7``; None: all.
    everything
        As `plan_merges`.
    on_progress
        Called after each merge, with the number of files replaced so far.

    Raises
    ------
    ArchiveUnavailableError
    ArchiveRefusedError
        A file is damaged; those before are merged.
    """
    n_merged = 0
    for folder in sorted(all_folders(writer.folder) if folders is None else folders):
        place = writer.folder / folder
        found = [
            FileSize(path.name, path.stat().st_size)
            for path in place.glob("*.parquet")
            if span_of(path.name) is not None
        ]
        for names in plan_merges(found, everything=everything):
            writer.commit(
                [_merged(place, folder, names)], removed=[str(folder / name) for name in names]
            )
            n_merged += len(names)
            on_progress(n_merged)
    return n_merged


def all_folders(root: Path) -> Iterator[Path]:
    """Give every folder of an archive that may hold files, within the archive."""
    for kind in Kind:
        for folder in (root / kind).glob("date=*/subject=*"):
            yield folder.relative_to(root)


def _merged(place: Path, folder: Path, names: Sequence[str]) -> Part:
    """Read the rows of several files of one folder as one part."""
    kind_name, day, _subject = PurePosixPath(folder).parts
    kind = Kind(kind_name)
    tables = []
    for name in names:
        try:
            tables.append(read_rows(place / name, kind))
        except (pa.ArrowException, OSError) as error:
            raise ArchiveRefusedError(f"{folder / name} cannot be read: {error}") from error
    rows = pa.concat_tables(tables).combine_chunks()
    subject_id = str(rows["subject_id"][0].as_py())
    return part_of(kind, day.removeprefix("date="), subject_id, rows)


def forget_subject(writer: ArchiveWriter, subject_id: str) -> int:
    """Delete every file of a subject; give how many there were.

    Raises
    ------
    ArchiveUnavailableError
    """
    paths = [
        str(path.relative_to(writer.folder))
        for kind in Kind
        for path in files_of(writer.folder, kind, subject_id)
    ]
    if paths:
        writer.commit((), removed=paths)
    return len(paths)
