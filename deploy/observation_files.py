"""Observations of one record as a table on disk, Parquet or CSV, written row group by row group."""

import csv
import math
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, TextIO

import numpy as np
from numpy.typing import NDArray

from deploy.wfdb_files import WfdbFileError, aside_of
from ingest.errors import RecordingError
from ingest.observation import Observation

TableFormat = Literal["parquet", "csv"]

COLUMNS: Final = (
    "time_s",
    "t_ns",
    "name",
    "mdc_code",
    "unit",
    "value",
    "reason",
    "quality",
    "age_s",
    "channels",
    "algorithm",
    "algorithm_version",
)
"""``time_s`` counts from the record's first sample; ``channels`` are joined by a semicolon."""

ROWS_MAX: Final = 50_000
"""Rows in memory; then they are written."""

_FUSED: Final = "_fusion"
_DEVICE: Final = ("device_reading", "device_record")
"""What the devices say themselves, the current one first."""

_INTEGERS: Final = frozenset({"t_ns", "mdc_code", "algorithm_version"})
_NUMBERS: Final = frozenset({"time_s", "value", "quality", "age_s"})


class ObservationFileError(Exception):
    """A table of observations cannot be read. The message names it."""


class ObservationTable:
    """A table that is there under its name when it is complete, and not before.

    Raises
    ------
    RecordingError
        The package for Parquet is missing.
    """

    def __init__(self, path: Path, *, start_ns: int) -> None:
        self._path = path
        self._start_ns = start_ns
        self._rows: list[tuple[object, ...]] = []
        self._aside = aside_of(path)
        self._writer = (_ParquetRows if path.suffix == ".parquet" else _CsvRows)(self._aside)

    def add(self, observation: Observation) -> None:
        """Append one row."""
        self._rows.append(
            (
                (observation.t_ns - self._start_ns) / 1e9,
                observation.t_ns,
                observation.name,
                observation.mdc_code,
                observation.unit,
                observation.value,
                observation.reason,
                observation.quality,
                observation.age_s,
                ";".join(observation.channels),
                observation.algorithm,
                observation.algorithm_version,
            )
        )
        if len(self._rows) >= ROWS_MAX:
            self._flush()

    def _flush(self) -> None:
        self._writer.write(self._rows)
        self._rows = []

    def __enter__(self) -> "ObservationTable":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Whatever happens, also to the last rows or to the disk: nothing is left half written.
        try:
            with closing(self._writer):
                if kind is None:
                    self._flush()
            if kind is None:
                self._aside.replace(self._path)
        finally:
            self._aside.unlink(missing_ok=True)


class _CsvRows:
    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("w", newline="", encoding="utf-8")
        self._csv = csv.writer(self._file)
        self._csv.writerow(COLUMNS)

    def write(self, rows: list[tuple[object, ...]]) -> None:
        self._csv.writerows(rows)

    def close(self) -> None:
        self._file.close()


class _ParquetRows:
    def __init__(self, path: Path) -> None:
        self._arrow, parquet = import_pyarrow()
        self._schema = self._arrow.schema(
            [(column, self._type(column)) for column in COLUMNS],
        )
        self._parquet = parquet.ParquetWriter(path, self._schema)

    def _type(self, column: str) -> Any:  # noqa: ANN401 - pyarrow has no types
        if column in _INTEGERS:
            return self._arrow.int64()
        return self._arrow.float64() if column in _NUMBERS else self._arrow.string()

    def write(self, rows: list[tuple[object, ...]]) -> None:
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(COLUMNS)
        arrays = [
            self._arrow.array(values, type=self._schema.field(column).type)
            for column, values in zip(COLUMNS, columns, strict=True)
        ]
        self._parquet.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        self._parquet.close()


def import_pyarrow() -> tuple[Any, Any]:
    """Give pyarrow and its part for Parquet.

    Raises
    ------
    RecordingError
        It is not installed.
    """
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        raise RecordingError(
            "Parquet needs the package pyarrow: pip install 'chevet[recordings]', or --format csv"
        ) from error
    return arrow, parquet


Floats = NDArray[np.float64]


def preferred(algorithms: Iterable[str]) -> str:
    """Choose whose figure is *the* figure where several algorithms give one: the fused one."""
    return min(algorithms, key=lambda name: (not name.endswith(_FUSED), name in _DEVICE, name))


def read_values(path: Path, name: str) -> tuple[Floats, Floats, Floats]:
    """Read one quantity of a table: times in seconds, values (NaN: none), qualities.

    Where several algorithms give it, those of the `preferred` one are read.

    Raises
    ------
    WfdbFileError, RecordingError
    """
    try:
        rows = list(_read_rows(path, name))
    except (OSError, KeyError, ValueError) as error:
        raise WfdbFileError(
            f"observations {path} cannot be read ({error}); write them with chevet analyze"
        ) from error
    algorithm = preferred({row[0] for row in rows} or {""})
    values = [row[1:] for row in rows if row[0] == algorithm]
    columns = np.array(values, dtype=np.float64).reshape(-1, 3)
    return columns[:, 0], columns[:, 1], columns[:, 2]


def _read_rows(path: Path, name: str) -> Iterator[tuple[str, float, float, float]]:
    if path.suffix == ".parquet":
        _, parquet = import_pyarrow()
        wanted = ["algorithm", "time_s", "value", "quality"]
        table = parquet.read_table(path, columns=wanted, filters=[("name", "=", name)])
        columns = [table[one].to_pylist() for one in wanted]
        for algorithm, time_s, value, quality in zip(*columns, strict=True):
            yield algorithm, time_s, math.nan if value is None else value, quality
        return
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["name"] == name:
                value = float(row["value"]) if row["value"] else math.nan
                yield row["algorithm"], float(row["time_s"]), value, float(row["quality"])
