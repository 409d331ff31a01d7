"""Annotation files of others: those of WFDB, and tables in CSV."""

import csv
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Final

from ingest.annotation import NOTE
from ingest.annotation_words import Said
from ingest.errors import RecordingError
from ingest.frame import NS_PER_S
from ingest.recorded_annotations import Placed, read_annotation_file
from processors.sinks.archive import ArchiveError
from processors.sinks.archive.reader import ns_of

BYTES_MAX: Final = 64_000_000
"""Longest file; an annotation of WFDB takes two bytes and more."""

_COLUMNS: Final = frozenset({"time", "duration", "text", "symbol", "subtype"})
_SECONDS: Final = re.compile(r"-?\d{1,12}(\.\d{0,12})?")
_PARTS: Final = re.compile(r"(.*[Tt ]\d\d:\d\d:\d\d)\.(\d{1,9})(|[Zz]|[+-]\d\d:?\d\d)")
_NANOSECONDS: Final = re.compile(r"\d{15,19}")


def time_ns(text: str) -> int:
    """Read a time, to the nanosecond: ``2026-11-22T08:00:00.5Z``, or nanoseconds since 1970.

    Raises
    ------
    ValueError
    """
    if _NANOSECONDS.fullmatch(text):
        return int(text)
    parts = _PARTS.fullmatch(text)
    whole, fraction = (f"{parts[1]}{parts[3]}", parts[2]) if parts else (text, "0")
    try:
        found = ns_of(whole)
    except ArchiveError as error:
        raise ValueError(
            f"{text!r} is no time: write 2026-11-22T08:00:00.25Z, or nanoseconds since 1970"
        ) from error
    return (found or 0) + int(fraction.ljust(9, "0"))


def read_file(
    path: Path, annotator: str | None, start_ns: int, rate: Fraction | None
) -> list[Placed]:
    """Read a file: a table where its name ends in ``.csv``, else annotations of WFDB.

    Parameters
    ----------
    annotator
        The set that they belong to; None: the suffix of a WFDB file, ``atr`` of a table.
    rate
        Samples per second of what a WFDB file counts, where it does not say so itself.

    Raises
    ------
    RecordingError
        The message names the file, the place, and what is wrong there.
    """
    try:
        n_bytes = path.stat().st_size
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    if n_bytes > BYTES_MAX:
        raise RecordingError(f"{path} has {n_bytes} bytes; at most {BYTES_MAX} are read")
    if path.suffix.lower() == ".csv":
        return list(_of_table(path, annotator or Said().annotator, start_ns))
    return read_annotation_file(path, annotator or path.suffix[1:], rate)


def _of_table(path: Path, annotator: str, start_ns: int) -> Iterator[Placed]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, strict=True)
            names = frozenset(rows.fieldnames or ())
            if "time" not in names or not names <= _COLUMNS:
                others = ", ".join(sorted(map(str, names - _COLUMNS))) or "no column time"
                raise RecordingError(
                    f"{path} has {others}: its first row names the columns, of which there may be "
                    f"{', '.join(sorted(_COLUMNS))}; time is needed"
                )
            for row in rows:
                try:
                    yield _of_row(row, annotator, start_ns)
                except ValueError as error:
                    raise RecordingError(f"{path}, line {rows.line_num}: {error}") from error
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(f"{path} is no table in CSV and UTF-8: {error}") from error


def _of_row(row: Mapping[str, str | None], annotator: str, start_ns: int) -> Placed:
    if None in row or None in row.values():
        raise ValueError("it has more or fewer fields than the first row")
    fields = {name: value or "" for name, value in row.items()}
    at = fields["time"].strip()
    if _SECONDS.fullmatch(at) and not _NANOSECONDS.fullmatch(at):
        since_s = Fraction(at)
    else:
        since_s = Fraction(time_ns(at) - start_ns, NS_PER_S)
    lasts = fields.get("duration", "").strip()
    if lasts and not _SECONDS.fullmatch(lasts):
        raise ValueError(f"duration {lasts!r} is no number of seconds")
    said = Said(
        annotator=annotator,
        symbol=fields.get("symbol", "").strip() or NOTE,
        subtype=int(fields.get("subtype", "").strip() or 0),
        text=fields.get("text", ""),
    )
    return since_s, Fraction(lasts or 0), said
