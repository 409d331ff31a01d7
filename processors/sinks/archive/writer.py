"""Writes an archive, commit by commit: all of one, or nothing of it, whenever the power fails.

A commit writes its files aside, in ``_staging``, and waits for the disk. Then it writes
``_commit.json``, which names them, the files that they replace, and how far Kafka has been read:
with the renaming of that one file the commit is made. What is left - to bring the files to their
places, remove the replaced ones, and note all that in the manifest - can be done again and again,
and is done first when the archive is opened after a crash. So no row is there twice, none is
missing, and what Kafka has to give again is what ``offsets`` says.
"""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import structlog

from processors.sinks.archive.disk import (
    append_lines,
    synchronise,
    write_durably,
    write_whole,
)
from processors.sinks.archive.errors import ArchiveRefusedError, ArchiveUnavailableError
from processors.sinks.archive.layout import FORMAT, FileSpan, file_name, folder_of
from processors.sinks.archive.manifest import FOLDER as MANIFEST
from processors.sinks.archive.manifest import FileEntry, lines_by_day
from processors.sinks.archive.parquet import parquet_bytes
from processors.sinks.archive.rows import Part

log = structlog.get_logger()

STATE: Final = "_state.json"
COMMIT: Final = "_commit.json"
STAGING: Final = "_staging"

_OWN: Final = ("_", ".", "lost+found")
"""What may be in the folder of an archive that begins."""

Place = tuple[str, int]
"""Topic and partition."""

Offsets = Mapping[Place, int]
"""Of each partition, the record to go on with."""


@dataclass(slots=True)
class Commit:
    """What one commit changes."""

    number: int
    offsets: dict[Place, int]
    added: list[FileEntry] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    @property
    def n_samples(self) -> int:
        """Samples in the files that it writes."""
        return sum(entry.n_samples for entry in self.added)

    def to_bytes(self) -> bytes:
        """Write it."""
        return json.dumps(
            {
                "format": FORMAT,
                "number": self.number,
                "offsets": _nested(self.offsets),
                "added": [entry.as_json() for entry in self.added],
                "removed": self.removed,
            }
        ).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what ``to_bytes`` has written."""
        said = json.loads(content)
        return cls(
            number=said["number"],
            offsets=_flat(said["offsets"]),
            added=[FileEntry.of(entry) for entry in said["added"]],
            removed=list(said["removed"]),
        )


class ArchiveWriter:
    """The one who writes an archive.

    Parameters
    ----------
    folder
        Made where there is none.

    Raises
    ------
    ArchiveRefusedError
        It is no archive, or another process writes it.
    ArchiveUnavailableError
        A commit cannot be finished that was begun before.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with contextlib.ExitStack() as undo:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                undo.callback(os.close, self._lock)
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._number, self._offsets = _read_state(folder)
                self._unfinished = _read_commit(folder)
                self._finish()
                self._clear_staging()
            except BlockingIOError as error:
                raise ArchiveRefusedError(
                    f"archive {folder}: another process writes it; one at a time may"
                ) from error
            except OSError as error:
                raise ArchiveUnavailableError(f"archive {folder}: {error}") from error
            undo.pop_all()

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self._folder

    @property
    def number(self) -> int:
        """Of the next commit."""
        return self._number

    @property
    def offsets(self) -> dict[Place, int]:
        """How far Kafka is in the archive: of each partition, the record to go on with."""
        return dict(self._offsets)

    def commit(
        self, parts: Iterable[Part], offsets: Offsets | None = None, removed: Sequence[str] = ()
    ) -> Commit:
        """Write parts, all or nothing; when this returns they are safe.

        Parameters
        ----------
        parts
            Taken one after the other, each written before the next is asked for. An error from
            there leaves the archive as it is.
        offsets
            How far Kafka is in the archive with this; of partitions that are not named as before.
        removed
            Files that these replace.

        Raises
        ------
        ArchiveUnavailableError
            The disk is full or unwell, and nothing of this is in the archive.
        ArchiveRefusedError
            The disk fails so that nobody knows: the archive has to be opened anew.
        """
        made = Commit(
            number=self._number,
            offsets={**self._offsets, **(offsets or {})},
            removed=list(removed),
        )
        try:
            self._finish()
            for part in parts:
                made.added.append(self._stage(made.number, len(made.added), part))
            synchronise([self._folder / STAGING])
        except Exception as error:
            with contextlib.suppress(OSError):
                self._clear_staging()
            if isinstance(error, OSError):
                raise ArchiveUnavailableError(f"archive {self._folder}: {error}") from error
            raise
        self._publish(made)
        # From here on it is made, whatever happens.
        self._number, self._offsets = made.number + 1, made.offsets
        self._unfinished = made
        try:
            self._finish()
        except OSError as error:
            log.warning("archive_commit_unfinished", number=made.number, error=str(error))
        return made

    def close(self) -> None:
        """Let go of the folder; a second time does nothing."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _publish(self, made: Commit) -> None:
        """Make the commit; where the disk refuses, take it back."""
        path = self._folder / COMMIT
        try:
            write_whole(path, made.to_bytes())
        except OSError as error:
            try:
                path.unlink(missing_ok=True)
                synchronise([self._folder])
            except OSError:
                # Whether it is made only the next start can tell: nothing may go on from here.
                raise ArchiveRefusedError(
                    f"archive {self._folder}: the disk fails in the middle of a commit: {error}"
                ) from error
            with contextlib.suppress(OSError):
                self._clear_staging()
            raise ArchiveUnavailableError(f"archive {self._folder}: {error}") from error

    def _stage(self, number: int, i_file: int, part: Part) -> FileEntry:
        """Write a file aside."""
        span = FileSpan(part.first_s, part.last_s, number, i_file)
        path = folder_of(part.kind, part.day, part.subject_id) / file_name(span)
        content = memoryview(parquet_bytes(part))
        write_durably(self._folder / STAGING / str(i_file), content)
        return FileEntry(
            path=str(path),
            n_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            n_rows=len(part.rows),
            n_samples=part.n_samples,
        )

    def _finish(self) -> None:
        """Do what is left of a commit that was made; all of it may have been done before."""
        made = self._unfinished
        if made is None:
            return
        touched: set[Path] = set()
        for i_file, entry in enumerate(made.added):
            place = self._folder / entry.path
            place.parent.mkdir(parents=True, exist_ok=True)
            # It is not there any more where this was done before.
            with contextlib.suppress(FileNotFoundError):
                (self._folder / STAGING / str(i_file)).replace(place)
            touched.add(place.parent)
        for path in made.removed:
            place = self._folder / path
            place.unlink(missing_ok=True)
            touched.add(place.parent)
        synchronise(self._with_parents(touched))
        manifest = self._folder / MANIFEST
        for day, lines in lines_by_day(made.added, made.removed).items():
            append_lines(manifest / f"{day}.jsonl", lines)
        synchronise([manifest])
        _write_state(self._folder, made.number + 1, made.offsets)
        (self._folder / COMMIT).unlink(missing_ok=True)
        synchronise([self._folder])
        self._number, self._offsets = made.number + 1, made.offsets
        self._unfinished = None

    def _with_parents(self, folders: Iterable[Path]) -> set[Path]:
        """Give folders with those above them, up to the archive's: each knows the one below."""
        return {
            one
            for folder in folders
            for one in (folder, *folder.parents)
            if one.is_relative_to(self._folder) and one.is_dir()
        }

    def _clear_staging(self) -> None:
        staging = self._folder / STAGING
        staging.mkdir(exist_ok=True)
        for left in staging.iterdir():
            left.unlink()


def _read_state(folder: Path) -> tuple[int, dict[Place, int]]:
    """Give the number of the next commit and the offsets; make the archive where there is none."""
    path = folder / STATE
    if not path.exists():
        others = [one.name for one in folder.iterdir() if not one.name.startswith(_OWN)]
        if others:
            raise ArchiveRefusedError(
                f"{folder} is no archive, and not empty ({others[0]} …): name another folder"
            )
        (folder / MANIFEST).mkdir(exist_ok=True)
        _write_state(folder, 1, {})
    said = read_state(folder)
    return said["number"], _flat(said["offsets"])


def read_state(folder: Path) -> dict[str, Any]:
    """Read the state of an archive.

    Raises
    ------
    ArchiveRefusedError
        There is none, or of another format.
    OSError
    """
    try:
        said: dict[str, Any] = json.loads((folder / STATE).read_bytes())
        found = said["format"]
    except FileNotFoundError as error:
        raise ArchiveRefusedError(f"no archive in {folder}: {STATE} is missing") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ArchiveRefusedError(f"archive {folder}: {STATE} is damaged") from error
    if found != FORMAT:
        raise ArchiveRefusedError(
            f"archive {folder} has format {found}, this program writes and reads {FORMAT}"
        )
    return said


def _write_state(folder: Path, number: int, offsets: Offsets) -> None:
    said = {"format": FORMAT, "number": number, "offsets": _nested(offsets)}
    write_whole(folder / STATE, json.dumps(said, indent=1).encode())


def _read_commit(folder: Path) -> Commit | None:
    path = folder / COMMIT
    return Commit.from_bytes(path.read_bytes()) if path.exists() else None


def _nested(offsets: Offsets) -> dict[str, dict[str, int]]:
    nested: dict[str, dict[str, int]] = {}
    for (topic, partition), offset in sorted(offsets.items()):
        nested.setdefault(topic, {})[str(partition)] = offset
    return nested


def _flat(nested: Mapping[str, Mapping[str, int]]) -> dict[Place, int]:
    return {
        (topic, int(partition)): offset
        for topic, partitions in nested.items()
        for partition, offset in partitions.items()
    }
