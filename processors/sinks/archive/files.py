"""Which files of an archive hold what is asked for, and their rows. Nothing is written here."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow import parquet

from processors.sinks.archive.errors import ArchiveRefusedError
from processors.sinks.archive.layout import Kind, span_of, subject_folder
from processors.sinks.archive.tables import TABLES

Between = tuple[int | None, int | None]
"""From the one time on and before the other, ns since 1970; None: no bound."""

ALWAYS: Final[Between] = (None, None)

TRIES: Final = 3
"""So often the files are looked for anew where one was replaced while they were read."""

_THREADS_FROM_FILES: Final = 4
"""With fewer files threads cost more than they gain."""


def files_of(
    root: Path,
    kind: Kind,
    subject_id: str,
    *,
    between: Between = ALWAYS,
    day: str | None = None,
) -> list[Path]:
    """Give the files of a table and subject that may have rows of a time, oldest day first."""
    found: list[tuple[str, int, int, Path]] = []
    name = subject_folder(subject_id)
    days = _folders(root / kind) if day is None else [root / kind / f"date={day}"]
    for one in days:
        for path in _files(one / name):
            span = span_of(path.name)
            if span is not None and span.meets(*between):
                found.append((one.name, span.number, span.i_file, path))
    return [path for *_, path in sorted(found)]


def days_of(root: Path, kinds: Iterable[Kind], subject_id: str) -> list[str]:
    """Give the days on which a subject has something in one of these tables, oldest first."""
    name = subject_folder(subject_id)
    found = {
        day.name.removeprefix("date=")
        for kind in kinds
        for day in _folders(root / kind)
        if next(_files(day / name), None) is not None
    }
    return sorted(found)


def subjects_of(root: Path) -> list[str]:
    """Give the pseudonyms of which there is something, sorted."""
    folders: dict[str, Path] = {}
    for kind in Kind:
        for day in _folders(root / kind):
            for folder in _folders(day):
                if next(_files(folder), None) is not None:
                    folders.setdefault(folder.name, folder)
    return sorted(_subject_of(folder) for folder in folders.values())


def _subject_of(folder: Path) -> str:
    name = folder.name.removeprefix("subject=")
    if not name.startswith("~"):
        return unquote(name)
    # Too long for the name of a folder: its rows say it.
    with parquet.ParquetFile(next(_files(folder))) as file:
        rows = file.read(columns=["subject_id"])
    return str(rows["subject_id"][0].as_py())


def _folders(folder: Path) -> Iterator[Path]:
    try:
        yield from (one for one in folder.iterdir() if one.is_dir() and "=" in one.name)
    except FileNotFoundError:
        return


def _files(folder: Path) -> Iterator[Path]:
    try:
        yield from (one for one in folder.iterdir() if one.suffix == ".parquet")
    except (FileNotFoundError, NotADirectoryError):
        return


def read(
    root: Path,
    kind: Kind,
    subject_id: str,
    *,
    columns: Sequence[str] | None = None,
    where: Any = None,  # noqa: ANN401  # pyarrow has no types
    between: Between = ALWAYS,
    day: str | None = None,
) -> Any:  # noqa: ANN401
    """Read the rows of a table and subject; give an Arrow table, one chunk at least.

    Parameters
    ----------
    columns
        Which; None: all.
    where
        Which rows, as an expression of Arrow.
    between
        Rows that are of this time, wholly or in part.
    day
        Under which they stand; None: under any.

    Raises
    ------
    ArchiveRefusedError
        A file is damaged.
    """
    table = TABLES[kind]
    last = "t_last_ns" if kind is Kind.WAVEFORMS else table.time
    wanted = list(columns or table.names)
    schema = table.schema
    start_ns, end_ns = between
    for bound in (
        None if start_ns is None else pc.field(last) >= start_ns,
        None if end_ns is None else pc.field(table.time) < end_ns,
    ):
        if bound is not None:
            where = bound if where is None else where & bound
    for n_tries in range(1, TRIES + 1):
        paths = files_of(root, kind, subject_id, between=between, day=day)
        if not paths:
            return pa.schema([schema.field(name) for name in wanted]).empty_table()
        try:
            found = ds.dataset(list(map(str, paths)), schema=schema, format="parquet")
            return found.to_table(
                columns=wanted, filter=where, use_threads=len(paths) >= _THREADS_FROM_FILES
            )
        except FileNotFoundError:
            # It was merged with others in this moment.
            if n_tries == TRIES:
                raise
        except (pa.ArrowInvalid, OSError) as error:
            raise ArchiveRefusedError(
                f"a file of {kind} of {subject_id!r} cannot be read ({error}); "
                "`chevet archive verify` names it"
            ) from error
    raise AssertionError("the last try returns or raises")


def each_once(rows: Any, order: Sequence[str], same: Sequence[str]) -> Any:  # noqa: ANN401
    """Sort rows, and leave out those that are like the one before in the columns ``same``."""
    if len(rows) <= 1:
        return rows
    keys = rows.select(list(dict.fromkeys((*order, *same))))
    compute: Any = pc
    indices = compute.sort_indices(keys, sort_keys=[(name, "ascending") for name in order])
    ranked = keys.take(indices)
    differs = np.ones(len(rows), dtype=np.bool_)
    differs[1:] = False
    for name in same:
        # Numbers of the values, so that two nulls are alike.
        column = ranked[name].combine_chunks().dictionary_encode(null_encoding="encode")
        values = column.indices.to_numpy(zero_copy_only=False)
        differs[1:] |= values[1:] != values[:-1]
    kept = indices.to_numpy()[differs]
    if kept.size == len(rows) and bool(np.all(kept == np.arange(kept.size))):
        return rows
    return rows.take(pa.array(kept))
