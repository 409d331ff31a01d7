"""Headers of EDF+ and BDF+ files: what they say to bytes.

Source: Kemp et al., Electroencephalogr. Clin. Neurophysiol. 82:391-393 (1992); Kemp and Olivan,
Clin. Neurophysiol. 114:1755-1761 (2003); BioSemi, the BDF file format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from processors.exports.edf_cut import Cut
from processors.exports.edf_fields import Calibration
from processors.exports.tracks import ExportError

EdfKind: TypeAlias = Literal["edf", "bdf"]

SAMPLE_BYTES: Final[Mapping[EdfKind, int]] = MappingProxyType({"edf": 2, "bdf": 3})
LABEL_CHARS: Final = 16
DIMENSION_CHARS: Final = 8

_VERSIONS: Final[Mapping[EdfKind, bytes]] = MappingProxyType(
    {"edf": b"0       ", "bdf": b"\xffBIOSEMI"}
)
_WIDTHS: Final = (LABEL_CHARS, 80, DIMENSION_CHARS, 8, 8, 8, 8, 80, 8, 32)
"""Of the fields of a signal."""
_YEARS: Final = range(1985, 2085)
"""Two digits of a year mean one of these."""
_MONTHS: Final = (
    "JAN",
    "FEB",
    "MAR",
    "APR",
    "MAY",
    "JUN",
    "JUL",
    "AUG",
    "SEP",
    "OCT",
    "NOV",
    "DEC",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One signal of a file."""

    label: str
    transducer: str
    dimension: str
    calibration: Calibration
    counts: NDArray[np.int32]
    """Those that are there, one stretch after the other, as they are to be stored."""
    n_per_record: int


def encode_header(
    subject_id: str,
    start_s: int,
    cut: Cut,
    columns: Sequence[Column],
    n_annotation_samples: int,
    kind: EdfKind,
) -> bytes:
    """Write a header; the annotation signal is the last one.

    Parameters
    ----------
    start_s
        UTC, whole seconds since 1970.

    Raises
    ------
    ExportError
        The year is none of EDF's.
    """
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=start_s)
    if start.year not in _YEARS:
        raise ExportError(
            f"the recording begins in {start.year}, and EDF knows {_YEARS[0]} to {_YEARS[-1]}: "
            "shift its dates"
        )
    family = kind.upper()
    code = printable("_".join(subject_id.split()), 70) or "X"
    n_signals = len(columns) + 1
    fixed = (
        (f"{code} X X X", 80),
        (f"Startdate {start.day:02d}-{_MONTHS[start.month - 1]}-{start.year} X X Chevet", 80),
        (f"{start:%d.%m.%y}", 8),
        (f"{start:%H.%M.%S}", 8),
        (str(256 * (1 + n_signals)), 8),
        (f"{family}+{'C' if cut.is_continuous else 'D'}", 44),
        (str(len(cut.onsets_ns)), 8),
        (cut.duration, 8),
        (str(n_signals), 4),
    )
    limit = 1 << (8 * SAMPLE_BYTES[kind] - 1)
    digital = str(-limit), str(limit - 1)
    n_samples = str(n_annotation_samples)
    rows = [
        *map(_row, columns),
        (f"{family} Annotations", "", "", "-1", "1", *digital, "", n_samples, ""),
    ]
    described = [(row[i], width) for i, width in enumerate(_WIDTHS) for row in rows]
    return _VERSIONS[kind] + b"".join(
        printable(text, width).encode().ljust(width) for text, width in (*fixed, *described)
    )


def _row(column: Column) -> tuple[str, ...]:
    return (
        column.label,
        column.transducer,
        column.dimension,
        *column.calibration.physical,
        *map(str, column.calibration.digital),
        "",
        str(column.n_per_record),
        "",
    )


def printable(text: str, n_chars_max: int) -> str:
    """Keep what a header may have: printable characters of ASCII."""
    kept = "".join(one if " " <= one <= "~" else "?" for one in text)
    return kept[:n_chars_max].strip()
