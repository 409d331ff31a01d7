"""What is asked of the disk: whole files under their names, and folders that know them."""

import os
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from typing import Final

TORN_BYTES_MAX: Final = 64_000_000
"""Lines that were being appended when the power failed are no more than this."""


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file that is there wholly or not at all, and wait for the disk.

    Raises
    ------
    OSError
    """
    aside = path.with_name(f"{path.name}.aside")
    try:
        write_durably(aside, content)
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    synchronise([path.parent])


def write_durably(path: Path, content: bytes | memoryview) -> None:
    """Write a file and wait for the disk; its folder may not know it yet.

    Raises
    ------
    OSError
    """
    with path.open("wb", buffering=0) as file:
        left = memoryview(content)
        while left:
            left = left[file.write(left) :]
        os.fsync(file.fileno())


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Append whole lines and wait for the disk; a line torn by a crash before gives way.

    Raises
    ------
    OSError
    """
    with path.open("a+b", buffering=0) as file:
        _cut_torn_line(file)
        left = memoryview("".join(f"{line}\n" for line in lines).encode())
        while left:
            left = left[file.write(left) :]
        os.fsync(file.fileno())


def _cut_torn_line(file: FileIO) -> None:
    end = file.seek(0, os.SEEK_END)
    if end == 0 or os.pread(file.fileno(), 1, end - 1) == b"\n":
        return
    begin = file.seek(max(0, end - TORN_BYTES_MAX))
    tail = file.read(end - begin) or b""
    file.truncate(begin + tail.rfind(b"\n") + 1)


def synchronise(folders: Iterable[Path]) -> None:
    """Wait until the disk knows the files of these folders.

    Raises
    ------
    OSError
    """
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
