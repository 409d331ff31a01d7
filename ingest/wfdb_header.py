"""Headers of WFDB records: what wfdb reads in them, and what it reads wrong.

Source: WFDB Applications Guide, header(5).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final

from ingest.errors import RecordingError
from ingest.packages import import_package, third_party_warnings_off

_UNIT_OF_NONE: Final = "mV"
"""What a signal is in whose header names no unit."""

_GAIN_FIELD: Final = 2
"""Of a signal line, from 0: gain, baseline and unit; behind it come numbers, then the name."""
_NAME_FIELD: Final = 8


def read_header(path: Path) -> Any:  # noqa: ANN401 - wfdb has no types
    """Read a header with wfdb: a record of one segment, or one with ``seg_name`` and ``seg_len``.

    Parameters
    ----------
    path
        Of the record, without suffix.

    Raises
    ------
    RecordingError
    """
    wfdb = import_package("wfdb", "recordings")
    with errors_of(header_file(path)), third_party_warnings_off():
        return wfdb.rdheader(str(path))


def header_file(path: Path) -> Path:
    """Name the header of a record."""
    return path.parent / f"{path.name}.hea"


@contextmanager
def errors_of(file: Path) -> Iterator[None]:
    """Translate whatever goes wrong with a file, and name it.

    wfdb states most of its errors as bare ``Exception``, and hostile files reach errors of Python
    itself in it: no shorter list would do.
    """
    try:
        yield
    except RecordingError as error:
        if str(error).startswith(str(file)):
            raise
        raise RecordingError(f"{file}: {error}") from error
    except FileNotFoundError as error:
        raise RecordingError(f"{file} names a file that is missing: {error.filename}") from error
    except Exception as error:
        raise RecordingError(
            f"{file} or its signal files cannot be read: {error or type(error).__name__}"
        ) from error


def began(header: Any) -> datetime | time | None:  # noqa: ANN401
    """Tell when the first sample was taken, as far as the header says it."""
    day: date | None = header.base_date
    at: time | None = header.base_time
    return at if at is None or day is None else datetime.combine(day, at)


def units_of(path: Path, header: Any) -> list[str]:  # noqa: ANN401
    """Give the units as they are written: wfdb drops what is not ASCII, and makes of µV volts.

    Where a unit has a character that wfdb does not expect it takes millivolts, and the rest of the
    line as the name.
    """
    raw = header_file(path).read_bytes()
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    lines = [line.split(maxsplit=_NAME_FIELD) for line in text.splitlines()]
    described = [fields for fields in lines if fields and not fields[0].startswith("#")][1:]
    units: list[str] = []
    for fields, name in zip(described, header.sig_name or (), strict=True):
        unit = "/".join(fields[_GAIN_FIELD].split("/")[1:]) if len(fields) > _GAIN_FIELD else ""
        if len(fields) > _NAME_FIELD and _ascii(fields[_NAME_FIELD]) != _ascii(name or ""):
            raise RecordingError(f"the line of {fields[_NAME_FIELD]}, in {unit!r}, is not clear")
        units.append(unit or _UNIT_OF_NONE)
    return units


def _ascii(name: str) -> str:
    return name.partition("\t")[0].encode("ascii", "ignore").decode().strip()
