"""Which files of an archive Frames of some subjects and days are made of, with their checksums."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ingest.frame_times import FRAME_NS_MAX
from processors.sinks.archive.errors import ArchiveRefusedError
from processors.sinks.archive.layout import FRAME_KINDS, day_of, subject_folder
from processors.sinks.archive.manifest import FOLDER, FileEntry, read_lines


def files_of(
    root: Path, subjects: Sequence[str], start_ns: int | None, end_ns: int | None
) -> list[dict[str, Any]]:
    """Name the files, sorted, each with its length and SHA-256 as the manifest notes them.

    Raises
    ------
    ArchiveRefusedError
        The manifest cannot be read.
    """
    first = "" if start_ns is None else day_of(max(0, start_ns - FRAME_NS_MAX))
    last = "~" if end_ns is None else day_of(end_ns)
    folders = {subject_folder(one) for one in subjects}
    entries = [
        entry
        for path in sorted((root / FOLDER).glob("*.jsonl"))
        if first <= path.stem <= last
        for entry in _entries(path)
        if _is_wanted(entry, folders)
    ]
    return [
        {"path": one.path, "bytes": one.n_bytes, "sha256": one.sha256}
        for one in sorted(entries, key=lambda one: one.path)
    ]


def _entries(path: Path) -> list[FileEntry]:
    try:
        return list(read_lines(path.read_text("utf-8").splitlines()).values())
    except (OSError, ValueError) as error:
        raise ArchiveRefusedError(f"{path} cannot be read: {error}") from error


def _is_wanted(entry: FileEntry, folders: set[str]) -> bool:
    table, _, subject, *_ = PurePosixPath(entry.path).parts
    return table in set(FRAME_KINDS) and subject in folders
