"""The store for one laptop: line-protocol files, which ``influx write`` takes later.

Lines are appended and synchronised before a write returns. A part that has reached its size is
closed and a new one begun. A line torn by a crash is cut off when the store is opened again; its
input had not been committed, so it comes again.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from processors.sinks.store import RejectedLines, StoreUnavailableError

PART_BYTES_MAX: Final = 64_000_000
"""A part of this size opens in any editor and uploads in one request."""


class LineFileStore:
    """Line protocol in ``part-000001.lp``, ``part-000002.lp`` … of one folder."""

    name = "files"

    def __init__(self, folder: Path, *, part_bytes_max: int = PART_BYTES_MAX) -> None:
        self._folder = folder
        self._part_bytes_max = part_bytes_max
        try:
            folder.mkdir(parents=True, exist_ok=True)
            parts = part_files(folder)
            if parts:
                _cut_torn_line(parts[-1])
            self._file = self._open(len(parts) or 1)
        except OSError as error:
            raise StoreUnavailableError(f"store folder {folder}: {error}") from error

    async def write(self, lines: Sequence[bytes]) -> list[RejectedLines]:
        """Append the lines and wait until the disk has them.

        Raises
        ------
        StoreUnavailableError
            Full or broken disk.
        """
        await asyncio.to_thread(self._append, b"".join(line + b"\n" for line in lines))
        return []

    async def close(self) -> None:
        """Close the present part."""
        self._file.close()

    def _append(self, payload: bytes) -> None:
        start = self._file.tell()
        try:
            if start >= self._part_bytes_max:
                self._file.close()
                self._file = self._open(len(part_files(self._folder)) + 1)
                start = 0
            self._file.write(payload)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            # Half a write must not stand in front of the next one.
            self._file.truncate(start)
            self._file.seek(start)
            raise StoreUnavailableError(f"store folder {self._folder}: {error}") from error

    def _open(self, n_part: int) -> BinaryIO:
        file = (self._folder / f"part-{n_part:06d}.lp").open("ab")
        file.seek(0, os.SEEK_END)
        return file


def part_files(folder: Path) -> list[Path]:
    """List the parts of a store in the order in which they were written."""
    return sorted(folder.glob("part-*.lp"))


def read_lines(folder: Path) -> Iterator[bytes]:
    """Give every stored line, oldest part first; one that was delivered twice comes twice."""
    for part in part_files(folder):
        with part.open("rb") as file:
            for line in file:
                yield line.rstrip(b"\n")


def _cut_torn_line(part: Path) -> None:
    with part.open("r+b") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
