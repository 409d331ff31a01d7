"""What the monitor at the bedside showed while a record was taken."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.errors import RecordingError
from ingest.recorded import Numeric, Signal
from ingest.signal_kinds import WAVEFORM_HZ_MIN

_QUANTITIES: Final[Mapping[str, tuple[str, str]]] = {
    "hr": ("heart_rate", "/min"),
    "pulse": ("pulse_rate", "/min"),
    "resp": ("respiratory_rate", "/min"),
    "spo2": ("spo2", "%"),
    "abpsys": ("abp_systolic", "mm[Hg]"),
    "abpdias": ("abp_diastolic", "mm[Hg]"),
    "abpmean": ("abp_mean", "mm[Hg]"),
    "nbpsys": ("nbp_systolic", "mm[Hg]"),
    "nbpdias": ("nbp_diastolic", "mm[Hg]"),
    "nbpmean": ("nbp_mean", "mm[Hg]"),
}
"""By the letters and digits of the name in lower case, as ``ABP Sys`` and ``ABPSys`` are one: our
name, and the UCUM unit in which every monitor gives it."""

_UNITS: Final[Mapping[str, frozenset[str]]] = {
    "/min": frozenset({"/min", "{pm}", "{1/min}", "{/min}"}),
    "%": frozenset({"%"}),
    "mm[Hg]": frozenset({"mm[Hg]"}),
}
"""What a signal with such a name may be in: a ``RESP`` in millivolts is no rate."""

_TABLE_FOLDERS: Final = ("csv", "bidmc_csv", ".")

_DAY_S: Final = 86_400


def read_table(path: Path) -> dict[str, Numeric]:
    """Read the monitor's numerics that the BIDMC set keeps in tables beside its records.

    Parameters
    ----------
    path
        Of the record, without suffix.

    Raises
    ------
    RecordingError
    """
    table_path = table_beside(path)
    return {} if table_path is None else _parse_table(table_path)


def table_beside(path: Path) -> Path | None:
    """Name the table that the BIDMC set has of a record; None where there is none."""
    name = f"bidmc_{path.name.removeprefix('bidmc')}_Numerics.csv"
    tables = (path.parent / folder / name for folder in _TABLE_FOLDERS)
    return next((one for one in tables if path.name.startswith("bidmc") and one.is_file()), None)


def numerics_of(signals: Sequence[Signal], later_s: float = 0.0) -> dict[str, Numeric]:
    """Take the numerics among the signals of a record: those that are slow and known by name.

    Parameters
    ----------
    later_s
        How much later than the recording the signals begin; less than 0: earlier.
    """
    numerics: dict[str, Numeric] = {}
    for signal in signals:
        known = _QUANTITIES.get(_letters(signal.name))
        if known is None or signal.sampling_rate >= WAVEFORM_HZ_MIN:
            continue
        quantity, unit = known
        if signal.unit in _UNITS[unit] and quantity not in numerics:
            times_s = np.arange(signal.n_samples) / float(signal.sampling_rate) + later_s
            numerics[quantity] = _numeric(unit, times_s, signal.physical())
    return numerics


def later_by_s(start: datetime | time | None, other: datetime | time | None) -> float:
    """Tell by how many seconds ``other`` is later than ``start``; 0 where nobody knows.

    Where a header has the time of day only, the two are less than half a day apart.
    """
    if isinstance(start, datetime) and isinstance(other, datetime):
        return (other - start).total_seconds()
    if start is None or other is None:
        return 0.0
    seconds = (_on_one_day(other) - _on_one_day(start)).total_seconds()
    return (seconds + _DAY_S / 2) % _DAY_S - _DAY_S / 2


def _on_one_day(at: datetime | time) -> datetime:
    return datetime.combine(date.min, at.time() if isinstance(at, datetime) else at)


def _letters(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def _numeric(unit: str, times_s: NDArray[np.float64], values: NDArray[np.float64]) -> Numeric:
    """Make a numeric. Nothing of a living person is 0: monitors store it where they show nothing.

    Where a heart stands still they show 0 indeed, and no value beats a wrong one.
    """
    return Numeric(unit=unit, times_s=times_s, values=np.where(values > 0, values, np.nan))


def _parse_table(path: Path) -> dict[str, Numeric]:
    try:
        header = path.read_text().splitlines()[0]
        table = np.genfromtxt(path, delimiter=",", skip_header=1, ndmin=2)
    except (OSError, ValueError, IndexError) as error:
        raise RecordingError(f"the numerics {path} cannot be read: {error}") from error
    numerics: dict[str, Numeric] = {}
    for i_column, title in enumerate(header.split(",")):
        known = _QUANTITIES.get(_letters(title))
        if known is not None:
            quantity, unit = known
            numerics[quantity] = _numeric(unit, table[:, 0], table[:, i_column])
    return numerics
