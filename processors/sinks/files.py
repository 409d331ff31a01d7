"""The store for one laptop: line-protocol files, which ``influx write`` takes later.

What is kept for long is in the folder itself, and each other bucket in a folder of its name there.
Lines are appended and synchronised before a write returns. A part that has reached its size is
closed and a new one begun. A line torn by a crash is cut off when the store is opened again; its
input had not been committed, so it comes again.
"""

import asyncio
import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from processors.sinks.measurements import Bucket, bucket_of
from processors.sinks.store import RejectedLines, StoreRefusedError, StoreUnavailableError

PART_BYTES_MAX: Final = 64_000_000
"""A part of this size opens in any editor and uploads in one request."""


class LineFileStore:
    """Line protocol in ``part-000001.lp``, ``part-000002.lp`` … of one folder and those within.

    Raises
    ------
    StoreRefusedError
        The folder cannot be used, or another store has it open.
    """

    name = "files"
    n_parallel = 1

    def __init__(self, folder: Path, *, part_bytes_max: int = PART_BYTES_MAX) -> None:
        self._folder = folder
        # A write that was cancelled goes on in its thread: the next one, and close, wait for it.
        self._lock = threading.Lock()
        with contextlib.ExitStack() as undo:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                undo.callback(os.close, self._folder_fd)
                fcntl.flock(self._folder_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._parts: dict[Bucket, _Parts] = {}
                for bucket in Bucket:
                    parts = _Parts(_folder_of(folder, bucket), part_bytes_max)
                    undo.callback(parts.close)
                    self._parts[bucket] = parts
            except BlockingIOError as error:
                raise StoreRefusedError(f"store folder {folder}: in use by another") from error
            except OSError as error:
                raise StoreRefusedError(f"store folder {folder}: {error}") from error
            undo.pop_all()

    async def write(self, lines: Sequence[bytes]) -> list[RejectedLines]:
        """Append the lines and wait until the disk has them.

        Raises
        ------
        StoreUnavailableError
            Full or broken disk. What is in some buckets' files may have been appended.
        """
        await asyncio.to_thread(self._append, lines)
        return []

    async def close(self) -> None:
        """Close the present parts and let go of the folder; a second time does nothing."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        with self._lock:
            if self._folder_fd >= 0:
                os.close(self._folder_fd)
                self._folder_fd = -1
            for parts in self._parts.values():
                parts.close()

    def _append(self, lines: Sequence[bytes]) -> None:
        with self._lock:
            if self._folder_fd < 0:
                raise StoreUnavailableError(f"store folder {self._folder}: the store is closed")
            try:
                for bucket, parts in self._parts.items():
                    payload = b"".join(one + b"\n" for one in lines if bucket_of(one) is bucket)
                    if payload:
                        parts.append(payload)
            except OSError as error:
                raise StoreUnavailableError(f"store folder {self._folder}: {error}") from error


class _Parts:
    """The parts of one bucket; a folder of its own is made when something comes."""

    def __init__(self, folder: Path, part_bytes_max: int) -> None:
        self._folder = folder
        self._part_bytes_max = part_bytes_max
        parts = part_files(folder)
        if parts:
            _cut_torn_line(parts[-1])
        self._n_part = _number(parts[-1]) if parts else 1
        self._file: BinaryIO | None = self._open() if folder.is_dir() else None

    def append(self, payload: bytes) -> None:
        """Append all or nothing, and wait for the disk."""
        _append_durably(self._present(), payload)

    def close(self) -> None:
        """Close the present part."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _present(self) -> BinaryIO:
        """Give the present part, or a new one where that is full or could not be opened."""
        if self._file is not None and self._file.tell() >= self._part_bytes_max:
            self.close()
            self._n_part += 1
        if self._file is None:
            if not self._folder.is_dir():
                self._folder.mkdir()
                _synchronise(self._folder.parent)
            self._file = self._open()
        return self._file

    def _open(self) -> BinaryIO:
        # Without a buffer: what failed to be written must not be tried again behind our back.
        file = (self._folder / f"part-{self._n_part:06d}.lp").open("ab", buffering=0)
        file.seek(0, os.SEEK_END)
        _synchronise(self._folder)
        return file


def _folder_of(folder: Path, bucket: Bucket) -> Path:
    return folder if bucket is Bucket.LONG else folder / bucket


def _synchronise(folder: Path) -> None:
    """Wait until the disk knows a folder's files."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _append_durably(file: BinaryIO, payload: bytes) -> None:
    """Append all or nothing, and wait for the disk."""
    start = file.tell()
    left = memoryview(payload)
    try:
        while left:
            left = left[file.write(left) :]
        os.fsync(file.fileno())
    except OSError:
        # Half a write must not stand in front of the next one.
        file.truncate(start)
        file.seek(start)
        raise


def part_files(folder: Path) -> list[Path]:
    """List the parts of a folder in the order in which they were written."""
    return sorted(folder.glob("part-[0-9]*.lp"), key=_number)


def _number(part: Path) -> int:
    return int(part.stem.removeprefix("part-"))


def read_lines(folder: Path) -> Iterator[bytes]:
    """Give every stored line, bucket by bucket and oldest part first.

    One that was delivered twice comes twice. A line that is still being written, or was torn by a
    crash, is not stored.
    """
    for bucket in Bucket:
        for part in part_files(_folder_of(folder, bucket)):
            with part.open("rb") as file:
                for line in file:
                    if line.endswith(b"\n"):
                        yield line.removesuffix(b"\n")


def _cut_torn_line(part: Path) -> None:
    with part.open("r+b") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
