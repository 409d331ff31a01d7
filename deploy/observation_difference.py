"""Where two tables of observations differ first."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from deploy.observation_files import COLUMNS, ObservationFileError, import_pyarrow

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first rows that are not the same; None: that table has ended before."""

    i_row: int
    then: Row | None
    now: Row | None

    def __str__(self) -> str:
        if self.then is None or self.now is None:
            more, there = ("now", self.now) if self.then is None else ("then", self.then)
            return f"row {self.i_row + 1}: only {more}: {_said(there or {})}"
        columns = [name for name in COLUMNS if _cell(self.then, name) != _cell(self.now, name)]
        told = {"name", "time_s", "value", "reason"}
        others = "".join(
            f", {name} {_cell(self.then, name)} then, {_cell(self.now, name)} now"
            for name in columns
            if name not in told
        )
        return f"row {self.i_row + 1}: {_said(self.then)} then, {_said(self.now)} now{others}"


def _said(row: Row) -> str:
    value = row.get("value")
    said = f"none ({row.get('reason')})" if value in {None, ""} else f"{value} {row.get('unit')}"
    return f"{row.get('name')} at {row.get('time_s')} s = {said}"


def _cell(row: Row, name: str) -> str:
    # As text, so that NaN is NaN and every bit of a number counts.
    return repr(row.get(name))


def first_difference(then: Path, now: Path) -> Difference | None:
    """Compare two tables of one format, row by row; None where they hold the same.

    Raises
    ------
    ObservationFileError
        One cannot be read.
    """
    for i_row, (one, other) in enumerate(zip_longest(_rows(then), _rows(now))):
        if one is None or other is None or any(_cell(one, c) != _cell(other, c) for c in COLUMNS):
            return Difference(i_row, one, other)
    return None


def _rows(path: Path) -> Iterator[Row]:
    try:
        if path.suffix == ".parquet":
            _, parquet = import_pyarrow()
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches():
                    yield from batch.to_pylist()
        else:
            with path.open(newline="", encoding="utf-8") as file:
                yield from csv.DictReader(file)
    except (OSError, ValueError, csv.Error) as error:
        raise ObservationFileError(f"{path} cannot be read: {error}") from error
