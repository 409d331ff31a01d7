"""What each day of an archive consists of: its files, with their checksums. Pure.

``_manifest/2026-11-22.jsonl`` has a line for each file of that day that was written, and for each
that was removed. A line that stands there twice says nothing new.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, Final, Self

FOLDER: Final = "_manifest"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file."""

    path: str
    """Within the archive."""
    n_bytes: int
    sha256: str
    n_rows: int
    n_samples: int

    @property
    def day(self) -> str:
        """The day under which it stands."""
        return PurePosixPath(self.path).parts[1].removeprefix("date=")

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """Read what ``as_line`` or a commit has written."""
        return cls(
            path=str(fields["path"]),
            n_bytes=int(fields["n_bytes"]),
            sha256=str(fields["sha256"]),
            n_rows=int(fields["n_rows"]),
            n_samples=int(fields["n_samples"]),
        )

    def as_json(self) -> dict[str, Any]:
        """Give it as a JSON object."""
        return asdict(self)


def day_of_path(path: str) -> str:
    """Give the day under which a file of the archive stands."""
    return PurePosixPath(path).parts[1].removeprefix("date=")


def lines_by_day(added: Iterable[FileEntry], removed: Iterable[str]) -> dict[str, list[str]]:
    """Write what a commit has changed, by day."""
    lines: dict[str, list[str]] = {}
    for entry in added:
        lines.setdefault(entry.day, []).append(json.dumps(entry.as_json()))
    for path in removed:
        lines.setdefault(day_of_path(path), []).append(json.dumps({"removed": path}))
    return lines


def read_lines(lines: Iterable[str]) -> dict[str, FileEntry]:
    """Give the files of a day by path.

    Raises
    ------
    ValueError
        A line is no entry.
    """
    found: dict[str, FileEntry] = {}
    for line in lines:
        try:
            fields = json.loads(line)
            if "removed" in fields:
                found.pop(fields["removed"], None)
            else:
                entry = FileEntry.of(fields)
                found[entry.path] = entry
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no entry of a manifest: {line[:80]!r}") from error
    return found
