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

_GAIN_FIELD: Final = 2
"""Of a signal line, from 0: gain, baseline and unit."""


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

    A unit with a character that it does not expect it takes for a part of the name, and the signal
    for one in millivolts.

    Raises
    ------
    RecordingError
        There is such a unit.
    """
    raw = header_file(path).read_bytes()
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    lines = [fields for fields in map(str.split, text.splitlines()) if fields]
    described = [fields for fields in lines if not fields[0].startswith("#")][1:]
    units: list[str] = []
    for i, (fields, known) in enumerate(zip(described, header.units or (), strict=True)):
        gain = fields[_GAIN_FIELD] if len(fields) > _GAIN_FIELD else ""
        unit = gain.partition("/")[2] or known
        if unit.encode("ascii", "ignore").decode() != known:
            raise RecordingError(f"signal {i} is in {unit!r}, which no header of WFDB can say")
        units.append(unit)
    return units
