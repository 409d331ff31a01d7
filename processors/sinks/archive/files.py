"""Which files of an archive hold what is asked for, and their rows. Nothing is written here."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import parquet

from processors.sinks.archive.errors import ArchiveRefusedError
from processors.sinks.archive.layout import Kind, span_of, subject_folder
from processors.sinks.archive.tables import TABLES

Between = tuple[int | None, int | None]
"""From the one time on and before the other, ns since 1970; None: no bound."""

ALWAYS: Final[Between] = (None, None)
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

TRIES: Final = 3
"""So often the files are looked for anew where one was replaced while they were read."""


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
    where: Mapping[str, str] = NOTHING,
    between: Between = ALWAYS,
    day: str | None = None,
) -> Any:  # noqa: ANN401
    """Read the rows of a table and subject; give an Arrow table.

    Parameters
    ----------
    columns
        Which; None: all.
    where
        The values that some columns of texts must have.
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
    wanted = list(columns or table.names)
    last = "t_last_ns" if kind is Kind.WAVEFORMS else table.time
    asked = _Asked(where, between, first=table.time, last=last)
    for n_tries in range(1, TRIES + 1):
        paths = files_of(root, kind, subject_id, between=between, day=day)
        try:
            found = [asked.rows_of(path, wanted) for path in paths]
        except FileNotFoundError:
            # It was merged with others in this moment.
            if n_tries == TRIES:
                raise
            continue
        except (pa.ArrowException, OSError) as error:
            raise ArchiveRefusedError(
                f"a file of {kind} of {subject_id!r} cannot be read ({error}); "
                "`chevet archive verify` names it"
            ) from error
        schema = pa.schema([table.schema.field(name) for name in wanted])
        some = [rows.cast(schema) for rows in found if rows is not None]
        return pa.concat_tables(some) if some else schema.empty_table()
    raise AssertionError("the last try returns or raises")


class _Asked:
    """Which rows of a file are asked for."""

    def __init__(
        self, where: Mapping[str, str], between: Between, *, first: str, last: str
    ) -> None:
        self._where = where
        self._start_ns, self._end_ns = between
        self._first, self._last = first, last

    def rows_of(self, path: Path, wanted: Sequence[str]) -> Any:  # noqa: ANN401
        """Give the rows of one file; None where there are none."""
        needed = list(dict.fromkeys((*wanted, *self._where, self._first, self._last)))
        with parquet.ParquetFile(path) as file:
            groups = [
                i for i in range(file.num_row_groups) if self._may(file.metadata.row_group(i))
            ]
            if not groups:
                return None
            rows = file.read_row_groups(groups, columns=needed, use_threads=False)
        is_asked = self._mask(rows)
        if not is_asked.all():
            rows = rows.filter(pa.array(is_asked))
        return rows.select(list(wanted))

    def _may(self, group: Any) -> bool:  # noqa: ANN401
        """Tell by its statistics whether a group may have such rows."""
        known = {
            column.path_in_schema: column.statistics
            for column in map(group.column, range(group.num_columns))
            if column.statistics is not None and column.statistics.has_min_max
        }
        for name, value in self._where.items():
            if name in known and not known[name].min <= value <= known[name].max:
                return False
        first, last = known.get(self._first), known.get(self._last)
        is_before = self._start_ns is not None and last is not None and last.max < self._start_ns
        is_behind = self._end_ns is not None and first is not None and first.min >= self._end_ns
        return not (is_before or is_behind)

    def _mask(self, rows: Any) -> NDArray[np.bool_]:  # noqa: ANN401
        mask = np.ones(len(rows), dtype=np.bool_)
        compute: Any = pc
        for name, value in self._where.items():
            is_equal = compute.fill_null(compute.equal(rows[name], value), fill_value=False)
            mask &= is_equal.to_numpy()
        if self._start_ns is not None:
            mask &= rows[self._last].to_numpy() >= self._start_ns
        if self._end_ns is not None:
            mask &= rows[self._first].to_numpy() < self._end_ns
        return mask


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
