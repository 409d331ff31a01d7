"""Where what stands in an archive: folders by table, day and subject. Pure.

    waveforms/date=2026-11-22/subject=icu-7/1795300000-1795300600-12-0.parquet

A file's name says from which second of event time to which its rows are, and which commit of the
archive wrote it. What begins with an underscore is the archive's own.
"""

import hashlib
import re
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Final, NamedTuple
from urllib.parse import quote

from ingest.frame import NS_PER_S

FORMAT: Final = 1
"""Of folders, files and columns; an archive of another one is refused."""

_DAY_NS: Final = 86_400 * NS_PER_S

SUBJECT_CHARS_MAX: Final = 180
"""Longest name of a subject's folder; of a longer one it is a hash."""


class Kind(StrEnum):
    """A table of the archive, and the folder that it is in."""

    WAVEFORMS = "waveforms"
    READINGS = "readings"
    GAPS = "gaps"
    EVENTS = "events"
    CLOCKS = "clocks"
    LEDGER = "ledger"
    LOSSES = "losses"
    FRAMES = "frames"
    OBSERVATIONS = "observations"
    ALARMS = "alarms"
    ANNOTATIONS = "annotations"


FRAME_KINDS: Final = tuple(
    kind for kind in Kind if kind not in {Kind.OBSERVATIONS, Kind.ALARMS, Kind.ANNOTATIONS}
)
"""The tables of which a Frame is made again."""


class FileSpan(NamedTuple):
    """What the name of a file says."""

    first_s: int
    """The second of the earliest row, UTC since 1970."""
    last_s: int
    """The second in which the latest row is, or ends."""
    number: int
    """Of the commit that wrote it."""
    i_file: int
    """Of that commit's files."""

    def meets(self, start_ns: int | None, end_ns: int | None) -> bool:
        """Tell whether a row may be from ``start_ns`` on and before ``end_ns``."""
        if start_ns is not None and (self.last_s + 1) * NS_PER_S <= start_ns:
            return False
        return end_ns is None or self.first_s * NS_PER_S < end_ns


_FILE: Final = re.compile(r"(\d+)-(\d+)-(\d+)-(\d+)\.parquet")


def file_name(span: FileSpan) -> str:
    """Write the name of a file."""
    return f"{span.first_s}-{span.last_s}-{span.number}-{span.i_file}.parquet"


def span_of(name: str) -> FileSpan | None:
    """Read the name of a file; None where it is none of the archive's."""
    found = _FILE.fullmatch(name)
    return FileSpan(*map(int, found.groups())) if found else None


def day_of(t_ns: int) -> str:
    """Give the day of a time, UTC."""
    return _day(t_ns // _DAY_NS)


@lru_cache(maxsize=64)
def _day(number: int) -> str:
    """Give the day of this number since 1970: one is asked for with every Frame."""
    return f"{datetime.fromtimestamp(number * 86_400, UTC):%Y-%m-%d}"


def subject_folder(subject_id: str) -> str:
    """Name the folder of a subject: the pseudonym, percent-encoded where a path cannot say it."""
    name = quote(subject_id, safe="").replace("~", "%7E")
    if 0 < len(name) <= SUBJECT_CHARS_MAX:
        return f"subject={name}"
    return f"subject=~{hashlib.sha256(subject_id.encode()).hexdigest()}"


def folder_of(kind: Kind, day: str, subject_id: str) -> PurePosixPath:
    """Give the folder of a table's rows of a day and subject, within the archive."""
    return PurePosixPath(kind, f"date={day}", subject_folder(subject_id))
