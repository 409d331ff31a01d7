"""What the columns of a CSV file are: a TOML file that somebody wrote beside it.

delimiter = ","            # what is between two values, unless told
header_lines = 1           # lines in front of the first values, the last of them the titles
missing = ["", "NaN"]      # how the file says that there is no value

[time]
rate_hz = 250              # rows per second: 250, 62.5 or "1000/3"
column = "t"               # left out where every row follows the one before
unit = "ms"                # s, ms, us, ns, or iso8601

[[signal]]
column = "ecg"             # a title, or a number from 0
name = "II"                # the title unless told
kind = "ecg"               # ecg, pleth, resp, pressure, acc, other; by the name unless told
unit = "mV"
scale = 0.005              # mV per step of what the file has; 1 unless told
offset = 0                 # mV where the file has 0
decimals = 3               # digits behind the point that count; as many as there are unless told
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, get_args

from ingest.errors import RecordingError
from ingest.recorded import SignalKind
from ingest.signal_kinds import kind_of, ucum_exactly

KINDS: Final[tuple[SignalKind, ...]] = get_args(SignalKind)

TIME_UNITS: Final[Mapping[str, Fraction | None]] = {
    "s": Fraction(1),
    "ms": Fraction(1, 10**3),
    "us": Fraction(1, 10**6),
    "ns": Fraction(1, 10**9),
    "iso8601": None,
}
"""Seconds in a step of a column of times; None: dates."""

_MAPPING_BYTES_MAX: Final = 1 << 20
_N_HEADER_LINES_MAX: Final = 1_000
_N_DECIMALS_MAX: Final = 9
_FINEST: Final = Fraction(1, 10**30)
"""Scales and rates are within this and its inverse: beyond there is nothing to measure."""

Column = str | int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalColumn:
    """One column with samples."""

    column: Column
    name: str
    kind: SignalKind
    unit: str
    """UCUM."""
    scale: Fraction
    """Of ``unit`` for each 1 that the file has."""
    offset: Fraction
    decimals: int | None
    """Digits behind the point that count; None: as many as there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvMapping:
    """How a file is to be read."""

    delimiter: str
    header_lines: int
    missing: frozenset[str]
    rate: Fraction | None
    """Rows per second; None: to be read off the times."""
    time_column: Column | None
    time_step_s: Fraction | None
    """Seconds in 1 of the column of times; None: it has dates."""
    signals: tuple[SignalColumn, ...]


def mapping_beside(path: Path) -> Path:
    """Name the mapping of a file of which none is given: ``x.toml`` for ``x.csv``."""
    return path.with_suffix(".toml")


def read_mapping(path: Path) -> CsvMapping:
    """Read a mapping.

    Raises
    ------
    RecordingError
        With the key, what it says and what it may say.
    """
    try:
        with path.open("rb") as file:
            return parse_mapping(file.read(_MAPPING_BYTES_MAX + 1).decode())
    except FileNotFoundError as error:
        raise RecordingError(
            f"there is no mapping {path}: it must say what the columns are; write it, or name "
            "another (--mapping); docs/recordings.md has an example"
        ) from error
    except OSError as error:
        raise RecordingError(f"the mapping {path} cannot be read: {error.strerror}") from error
    except (RecordingError, ValueError, RecursionError) as error:  # TOML's errors are ValueErrors
        raise RecordingError(f"{path}: {error}") from error


def parse_mapping(text: str) -> CsvMapping:
    """Read the text of a mapping.

    Raises
    ------
    RecordingError
    ValueError
        It is no TOML.
    """
    if len(text) > _MAPPING_BYTES_MAX:
        raise RecordingError(f"the mapping is longer than {_MAPPING_BYTES_MAX} bytes")
    table = _Table(tomllib.loads(text, parse_float=Decimal), "")
    delimiter = table.text("delimiter", ",")
    if len(delimiter) != 1 or delimiter in '\r\n"':
        raise RecordingError(f"delimiter is {delimiter!r}: it must be one character")
    missing = table.take("missing", ["", "NaN"])
    if not isinstance(missing, list) or not all(isinstance(one, str) for one in missing):
        raise RecordingError(f"missing is {missing!r}: it must be a list of texts")
    time = _Table(table.take("time", {}), "time.")
    signals = table.take("signal", [])
    if not isinstance(signals, list) or not signals:
        raise RecordingError("it names no signal: a [[signal]] says which column it is")
    mapping = _with_time(time, table, delimiter, frozenset(one.strip() for one in missing), signals)
    time.finish()
    table.finish()
    return mapping


def _with_time(
    time: "_Table", table: "_Table", delimiter: str, missing: frozenset[str], signals: list[Any]
) -> CsvMapping:
    rate = time.number("rate_hz", None)
    column = time.column("column")
    unit = time.text("unit", "s")
    if unit not in TIME_UNITS:
        raise RecordingError(f"time.unit is {unit!r}: it may be {', '.join(TIME_UNITS)}")
    if rate is None and column is None:
        raise RecordingError(
            "it says nothing of time: [time] needs rate_hz, or the column with the times"
        )
    if rate is not None and not _FINEST <= rate <= 1 / _FINEST:
        raise RecordingError(f"time.rate_hz is {float(rate):g}: it must be positive")
    return CsvMapping(
        delimiter=delimiter,
        header_lines=table.whole("header_lines", 1, 0, _N_HEADER_LINES_MAX),
        missing=missing,
        rate=rate,
        time_column=column,
        time_step_s=TIME_UNITS[unit],
        signals=tuple(_signal(_Table(one, f"signal {i}: "), rate) for i, one in enumerate(signals)),
    )


def _signal(table: "_Table", rate: Fraction | None) -> SignalColumn:
    column = table.column("column")
    if column is None:
        raise RecordingError(f"{table.where}it has no column")
    name = table.text("name", str(column))
    written_unit = table.text("unit", "")
    unit, factor = ucum_exactly(written_unit)
    # Whoever writes a mapping has waveforms in mind: the rate is only asked for where it is known.
    kind = table.text("kind", kind_of(name, written_unit, float(rate or 1_000)))
    if kind not in KINDS:
        raise RecordingError(f"{table.where}kind is {kind!r}: it may be {', '.join(KINDS)}")
    scale = table.number("scale", Fraction(1)) or Fraction(0)
    offset = table.number("offset", Fraction(0)) or Fraction(0)
    if not _FINEST <= abs(scale) <= 1 / _FINEST or abs(offset) > 1 / _FINEST:
        raise RecordingError(
            f"{table.where}scale {scale} and offset {offset}: the scale must not be 0, and neither "
            "without measure"
        )
    has_decimals = "decimals" in table
    decimals = table.whole("decimals", 0, 0, _N_DECIMALS_MAX)
    table.finish()
    return SignalColumn(
        column=column,
        name=name,
        kind=kind,
        unit=unit,
        scale=scale * factor,
        offset=offset * factor,
        decimals=decimals if has_decimals else None,
    )


class _Table:
    """A table of TOML of which every key is taken: one that nobody takes is misspelt."""

    def __init__(self, content: object, where: str) -> None:
        if not isinstance(content, dict):
            raise RecordingError(f"{where or 'the mapping '}is {content!r}: it must be a table")
        self._left: dict[str, object] = dict(content)
        self.where = where

    def __contains__(self, key: str) -> bool:
        return key in self._left

    def take(self, key: str, default: object) -> Any:  # noqa: ANN401 - its kind is seen by who asks
        return self._left.pop(key, default)

    def text(self, key: str, default: str) -> str:
        value = self.take(key, default)
        if not isinstance(value, str):
            raise RecordingError(f"{self.where}{key} is {value!r}: it must be a text")
        return value

    def column(self, key: str) -> Column | None:
        value = self.take(key, None)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        raise RecordingError(f"{self.where}{key} is {value!r}: it must be a title or a number")

    def number(self, key: str, default: Fraction | None) -> Fraction | None:
        value = self.take(key, default)
        if value is None or isinstance(value, Fraction):
            return value
        if isinstance(value, (int, Decimal, str)) and not isinstance(value, bool):
            try:
                # The exponent is looked at first: 1e999999999 would be a number of as many digits.
                if math.isfinite(float(Fraction(value) if "/" in str(value) else Decimal(value))):
                    return Fraction(value)
            except (ArithmeticError, ValueError):
                pass
        raise RecordingError(f"{self.where}{key} is {value!r}: it must be a number, or '1000/3'")

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        value = self.take(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise RecordingError(
                f"{self.where}{key} is {value!r}: it must be a whole number of {least} to {most}"
            )
        return value

    def finish(self) -> None:
        """Refuse what nobody has taken."""
        if self._left:
            raise RecordingError(f"{self.where}nobody knows {', '.join(sorted(self._left))}")
