"""Recordings in CSV files, read as a mapping says (`ingest.csv_mapping`).

Integers stay the integers of the file. Decimals become integers of their last digit, exactly. What
has no value is missing, and so is what the times leave out.
"""

import csv
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest import recorded
from ingest.csv_mapping import (
    Column,
    CsvMapping,
    SignalColumn,
    mapping_beside,
    read_mapping,
)
from ingest.errors import RecordingError
from ingest.recorded import Recording, Signal, stretches

SUFFIXES: Final = frozenset({".csv"})

N_VALUES_MAX: Final = 20_000_000
"""Values of all columns of one file: more belongs into a format for it."""

_COUNT_MAX: Final = 2**31 - 1
_NO_VALUE: Final = -(2**63)
_PS_PER_S: Final = 10**12
_TIME_PS_MAX: Final = 2**63 - 1
"""Times are kept in picoseconds since the first: 106 days."""
_NUMBER_CHARS_MAX: Final = 64
"""Longer is no number that anybody measured."""
_DECIMAL: Final = re.compile(
    rf"(?=.{{1,{_NUMBER_CHARS_MAX}}}$)[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{{1,3}})?"
)
_LINE_CHARS_MAX: Final = 1 << 20
_BYTE_ORDER_MARK: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_csv(path: Path, mapping_path: Path | None = None) -> Recording:
    """Read a file.

    Parameters
    ----------
    mapping_path
        None: the file of the same name with ``.toml``.

    Raises
    ------
    RecordingError
        The message names the file, the line and what is wrong there.
    """
    try:
        path.stat()
        mapping = read_mapping(mapping_path or mapping_beside(path))
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            signals = _signals(mapping, _rows(file, mapping))
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a name with a NUL in it
        raise RecordingError(f"no recording {str(path)!r}: {error}") from error
    except RecordingError as error:
        if str(error).startswith(str(mapping_path or mapping_beside(path))):
            raise
        raise RecordingError(f"{path}: {error}") from error
    return Recording(name=path.stem, signals=signals, source=f"CSV file {path.name}")


def _rows(file: Iterator[str], mapping: CsvMapping) -> Iterator[tuple[int, list[str]]]:
    """Give the rows with the number of their line; the first is that of the titles, if any."""
    bounded = _bounded_lines(file)
    for _ in range(mapping.header_lines - 1):
        next(bounded, None)
    reader = csv.reader(bounded, delimiter=mapping.delimiter)
    n_before = max(0, mapping.header_lines - 1)
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            line = reader.line_num + n_before
            raise RecordingError(f"line {line} is no row: {error}") from error
        if row is None:
            return
        if row:
            yield reader.line_num + n_before, row


def _bounded_lines(file: Iterator[str]) -> Iterator[str]:
    for number, line in enumerate(_lines(file), start=1):
        if len(line) > _LINE_CHARS_MAX:
            raise RecordingError(f"line {number} is longer than {_LINE_CHARS_MAX} characters")
        # What some programs write in front of a file stands for no character of its first title.
        yield line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line


def _lines(file: Iterator[str]) -> Iterator[str]:
    readline = getattr(file, "readline", None)
    while line := readline(_LINE_CHARS_MAX + 1) if readline else next(file, ""):
        yield line


@dataclass(slots=True)
class _Parsed:
    """A column as it is read: whole numbers of 10 to the power of ``-n_decimals``."""

    signal: SignalColumn
    i_column: int
    n_decimals: int = 0
    numbers: "array[int]" = field(default_factory=lambda: array("q"))
    """The numbers so far, ``_NO_VALUE`` where there is none."""

    def add(self, text: str, line: int, missing: frozenset[str]) -> None:
        """Take the next value."""
        text = text.strip()
        if text in missing:
            self.numbers.append(_NO_VALUE)
            return
        if text.isdigit() and text.isascii():  # as nearly all are
            number, n_decimals = int(text[:_NUMBER_CHARS_MAX]), 0
        else:
            number, n_decimals = _number(text, self.signal, line)
        if self.signal.decimals is not None and len(text) <= _NUMBER_CHARS_MAX:
            number, n_decimals = _rounded(number, n_decimals, self.signal.decimals)
        n_more = n_decimals - self.n_decimals
        if n_more > 0:
            self.n_decimals = n_decimals
            largest = max((abs(one) for one in self.numbers if one != _NO_VALUE), default=0)
            if largest * 10**n_more <= _COUNT_MAX:
                self._refine(10**n_more)
            else:
                number = _COUNT_MAX + 1  # now the others are too large
        else:
            number *= 10**-n_more
        if abs(number) > _COUNT_MAX or len(text) > _NUMBER_CHARS_MAX:
            raise RecordingError(
                f"line {line}: {text[:_NUMBER_CHARS_MAX]} in {self.signal.name}: with "
                f"{self.n_decimals} digits behind the point the values are beyond 32 bits; let the "
                "mapping say how many of them count (decimals)"
            )
        self.numbers.append(number)

    def _refine(self, factor: int) -> None:
        numbers = (one if one == _NO_VALUE else one * factor for one in self.numbers)
        self.numbers = array("q", numbers)


def _number(text: str, signal: SignalColumn, line: int) -> tuple[int, int]:
    """Read a decimal as a whole number and the digits behind the point, without trailing zeros."""
    decimal = _decimal(text[:_NUMBER_CHARS_MAX])
    sign, digits, exponent = decimal.as_tuple()
    if not isinstance(exponent, int) or abs(exponent) > _NUMBER_CHARS_MAX:
        raise RecordingError(
            f"line {line}: {text[:_NUMBER_CHARS_MAX]!r} in {signal.name} is no number; if it "
            "stands for no value, let the mapping say so (missing)"
        )
    number = int("".join(map(str, digits)) or "0") * (-1 if sign else 1)
    if exponent >= 0:
        return number * 10**exponent, 0
    while exponent < 0 and number % 10 == 0:
        number, exponent = number // 10, exponent + 1
    return number, -exponent


def _decimal(text: str) -> Decimal:
    """Read a decimal; NaN where it is none. Python's own reading knows digits of every script."""
    return Decimal(text) if _DECIMAL.fullmatch(text) else Decimal("NaN")


def _rounded(number: int, n_decimals: int, n_kept: int) -> tuple[int, int]:
    if n_decimals <= n_kept:
        return number * 10 ** (n_kept - n_decimals), n_kept
    return round(Fraction(number, 10 ** (n_decimals - n_kept))), n_kept


def _signals(mapping: CsvMapping, rows: Iterator[tuple[int, list[str]]]) -> tuple[Signal, ...]:
    titles: list[str] = []
    if mapping.header_lines:
        _, titles = next(rows, (0, []))
        titles = [title.strip() for title in titles]
    columns = [_Parsed(one, _i_column(one.column, titles)) for one in mapping.signals]
    times = _Times(mapping.time_step_s)
    i_time = None
    if mapping.time_column is not None:
        i_time = _i_column(mapping.time_column, titles)
    n_rows = _read_values(rows, columns, times, i_time, mapping.missing)
    rate, places = _grid(mapping, times.since_first_ps, n_rows)
    n_samples = int(places[-1]) + 1
    if n_samples * len(columns) > recorded.N_SAMPLES_MAX:
        raise RecordingError(
            f"with what is missing between the rows there would be {n_samples} samples of each "
            f"signal, together more than {recorded.N_SAMPLES_MAX}"
        )
    return tuple(_signal(column, rate, places, n_samples) for column in columns)


def _read_values(
    rows: Iterator[tuple[int, list[str]]],
    columns: Sequence[_Parsed],
    times: "_Times",
    i_time: int | None,
    missing: frozenset[str],
) -> int:
    """Take what the mapping names from every row; give how many rows there are."""
    i_last = max([one.i_column for one in columns] + [i_time or 0])
    n_rows = 0
    for line, row in rows:
        if len(row) <= i_last:
            raise RecordingError(
                f"line {line} has {len(row)} columns, and the mapping names column {i_last}"
            )
        n_rows += 1
        if n_rows * len(columns) > N_VALUES_MAX:
            raise RecordingError(
                f"there are more than {N_VALUES_MAX} values: split the file, or make an EDF of it"
            )
        for column in columns:
            column.add(row[column.i_column], line, missing)
        if i_time is not None:
            times.add(row[i_time].strip(), line)
    if n_rows == 0:
        raise RecordingError("the file holds no row of values")
    return n_rows


def _i_column(column: Column, titles: Sequence[str]) -> int:
    if isinstance(column, int):
        return column
    if titles.count(column) != 1:
        named = ", ".join(titles) or "none: header_lines is 0"
        raise RecordingError(
            f"{titles.count(column)} columns are called {column!r}; the titles are {named}"
        )
    return titles.index(column)


class _Times:
    """The column of times, as it is read.

    Parameters
    ----------
    step_s
        Seconds in 1 of it; None: it has dates.
    """

    def __init__(self, step_s: Fraction | None) -> None:
        self._step_s = step_s
        self._first_s: Fraction | None = None
        self.since_first_ps = array("q")

    def add(self, text: str, line: int) -> None:
        """Take the next time.

        Raises
        ------
        RecordingError
        """
        time_s = _time_s(text, self._step_s, line)
        self._first_s = time_s if self._first_s is None else self._first_s
        since_ps = round((time_s - self._first_s) * _PS_PER_S)
        if abs(since_ps) > _TIME_PS_MAX:
            raise RecordingError(
                f"line {line}: the time {text!r} is {float(since_ps / _PS_PER_S):g} s behind the "
                f"first, more than {_TIME_PS_MAX // _PS_PER_S}"
            )
        self.since_first_ps.append(since_ps)


def _time_s(text: str, step_s: Fraction | None, line: int) -> Fraction:
    try:
        if step_s is None:
            at = datetime.fromisoformat(text)
            since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH
            return Fraction(since // timedelta(microseconds=1), 10**6)
        decimal = _decimal(text)
        if decimal.is_finite() and abs(decimal.adjusted()) < _NUMBER_CHARS_MAX:
            return Fraction(decimal) * step_s
    except (ValueError, ArithmeticError):
        pass
    what = "date such as 2026-01-01T00:00:00.004" if step_s is None else "number"
    raise RecordingError(f"line {line}: the time {text[:_NUMBER_CHARS_MAX]!r} is no {what}")


def _grid(
    mapping: CsvMapping, since_first_ps: Sequence[int], n_rows: int
) -> tuple[Fraction, NDArray[np.int64]]:
    """Give the rate, and the place of every row: each at the sample next to its time."""
    if mapping.rate is not None and not since_first_ps:
        return mapping.rate, np.arange(n_rows, dtype=np.int64)
    rate = mapping.rate or _rate_of(since_first_ps)
    per_ps = rate / _PS_PER_S
    places = np.empty(n_rows, dtype=np.int64)
    before = -1
    for i, since_ps in enumerate(since_first_ps):
        # To the nearest, in integers: fractions would take minutes.
        doubled = 2 * since_ps * per_ps.numerator + per_ps.denominator
        place = doubled // (2 * per_ps.denominator)
        if not before < place < recorded.N_SAMPLES_MAX:
            raise RecordingError(
                f"row {i} of the values, {since_ps / _PS_PER_S:g} s behind the first, is at sample "
                f"{place} of {float(rate):g} Hz, and the one in front of it at {before}: the times "
                f"must rise, no two rows be of one sample, and none above {recorded.N_SAMPLES_MAX}"
            )
        places[i] = before = place
    return rate, places


def _rate_of(since_first_ps: Sequence[int]) -> Fraction:
    """Read the rate off times that lie on one grid, some of them left out.

    Raises
    ------
    RecordingError
        They do not, or there are not two of them.
    """
    since_ps = np.array(since_first_ps, dtype=np.int64)
    steps = since_ps[1:] - since_ps[:-1]
    least = int(steps.min(initial=_TIME_PS_MAX)) if steps.size else 0
    if least <= 0 or bool((steps % least).any()):
        raise RecordingError(
            "the rate cannot be read off the times: they do not lie on one grid, or do not rise; "
            "let the mapping state it (time.rate_hz)"
        )
    return Fraction(_PS_PER_S, least)


def _signal(parsed: _Parsed, rate: Fraction, places: NDArray[np.int64], n_samples: int) -> Signal:
    numbers = np.array(parsed.numbers, dtype=np.int64)
    is_known = numbers != _NO_VALUE
    is_missing = np.ones(n_samples, dtype=bool)
    is_missing[places[is_known]] = False
    counts = np.zeros(n_samples, dtype=np.int32)
    counts[places[is_known]] = numbers[is_known]
    return Signal(
        name=parsed.signal.name,
        kind=parsed.signal.kind,
        unit=parsed.signal.unit,
        sampling_rate=rate,
        counts=counts,
        scale=float(parsed.signal.scale / 10**parsed.n_decimals),
        offset=float(parsed.signal.offset),
        missing=stretches(is_missing),
    )
