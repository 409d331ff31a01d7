"""Holds the files of an archive against its manifest: what is missing, unknown or damaged."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from processors.sinks.archive.compaction import all_folders
from processors.sinks.archive.errors import ArchiveRefusedError
from processors.sinks.archive.manifest import FOLDER, FileEntry, read_lines
from processors.sinks.archive.writer import COMMIT, read_state

CHUNK_BYTES: Final = 4_000_000


class Fault(StrEnum):
    """What is wrong with a file."""

    MISSING = "missing"
    """The manifest names it and it is not there: somebody has deleted it."""
    UNKNOWN = "unknown"
    """It is there and the manifest does not name it: it was put there by somebody else."""
    DAMAGED = "damaged"
    """Its bytes are not those that were written."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One file that is not as it was written."""

    fault: Fault
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was looked at, and what is wrong."""

    n_files: int
    n_bytes: int
    n_samples: int
    findings: tuple[Finding, ...]


def read_manifest(root: Path) -> dict[str, FileEntry]:
    """Give the files of an archive by path, as its manifest has them.

    Raises
    ------
    ArchiveRefusedError
        The manifest is damaged.
    """
    found: dict[str, FileEntry] = {}
    for path in sorted((root / FOLDER).glob("*.jsonl")):
        try:
            found |= read_lines(path.read_text("utf-8").splitlines())
        except ValueError as error:
            raise ArchiveRefusedError(f"{path}: {error}") from error
    return found


def verify(root: Path, on_progress: Callable[[int], None] = lambda _n: None) -> Verdict:
    """Read every file of an archive that nobody writes at this time.

    Parameters
    ----------
    on_progress
        Called after each file with the number of those that were read.

    Raises
    ------
    ArchiveRefusedError
        There is no archive, its manifest is damaged, or a commit was begun and is not finished.
    """
    read_state(root)
    if (root / COMMIT).exists():
        raise ArchiveRefusedError(
            f"archive {root}: a commit was begun and is not finished; `chevet archive compact`, "
            "or the recorder, finishes it"
        )
    entries = read_manifest(root)
    findings = [Finding(Fault.UNKNOWN, path) for path in _files(root) if path not in entries]
    for n_read, (path, entry) in enumerate(sorted(entries.items()), start=1):
        fault = _fault_of(root / path, entry)
        if fault is not None:
            findings.append(Finding(fault, path))
        on_progress(n_read)
    return Verdict(
        n_files=len(entries),
        n_bytes=sum(entry.n_bytes for entry in entries.values()),
        n_samples=sum(entry.n_samples for entry in entries.values()),
        findings=tuple(findings),
    )


def _files(root: Path) -> Iterator[str]:
    for folder in sorted(all_folders(root)):
        for path in sorted((root / folder).iterdir()):
            yield str(path.relative_to(root))


def _fault_of(path: Path, entry: FileEntry) -> Fault | None:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    except FileNotFoundError:
        return Fault.MISSING
    except OSError:
        return Fault.DAMAGED
    return None if digest.hexdigest() == entry.sha256 else Fault.DAMAGED
