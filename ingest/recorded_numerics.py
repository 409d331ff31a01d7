"""What the monitor at the bedside showed while a record was taken."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from ingest.errors import RecordingError
from ingest.recorded import Numeric

_NUMERIC_COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    "HR": ("heart_rate", "/min"),
    "PULSE": ("pulse_rate", "/min"),
    "RESP": ("respiratory_rate", "/min"),
    "SpO2": ("spo2", "%"),
}
_NUMERICS_FOLDERS: Final = ("csv", "bidmc_csv", ".")


def read_numerics(path: Path) -> dict[str, Numeric]:
    """Read the monitor's numerics that the BIDMC set keeps beside its records.

    Parameters
    ----------
    path
        Of the record, without suffix.

    Raises
    ------
    RecordingError
    """
    name = f"bidmc_{path.name.removeprefix('bidmc')}_Numerics.csv"
    for folder in _NUMERICS_FOLDERS:
        table_path = path.parent / folder / name
        if path.name.startswith("bidmc") and table_path.is_file():
            return _parse_numerics(table_path)
    return {}


def _parse_numerics(path: Path) -> dict[str, Numeric]:
    try:
        header = path.read_text().splitlines()[0]
        table = np.genfromtxt(path, delimiter=",", skip_header=1, ndmin=2)
    except (OSError, ValueError, IndexError) as error:
        raise RecordingError(f"the numerics {path} cannot be read: {error}") from error
    numerics: dict[str, Numeric] = {}
    for i_column, title in enumerate(header.split(",")):
        if title.strip() in _NUMERIC_COLUMNS:
            quantity, unit = _NUMERIC_COLUMNS[title.strip()]
            numerics[quantity] = Numeric(unit=unit, times_s=table[:, 0], values=table[:, i_column])
    return numerics
