"""Writes what the encoders made: each file is there completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


def write_files(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files into a folder, which is made if it is not there; give their paths.

    The last one is put in its place last: where the header of a WFDB record is given last, whoever
    sees it finds what it names.

    Raises
    ------
    OSError
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        with complete_file(folder, name) as aside:
            aside.write_bytes(content)
    return [folder / name for name in files]


@contextmanager
def complete_file(folder: Path, name: str) -> Iterator[Path]:
    """Give the path that a file is written under; it gets its name when that went well.

    Raises
    ------
    OSError
    """
    aside = folder / f".{name}.{os.getpid()}"
    try:
        yield aside
        aside.replace(folder / name)
    finally:
        aside.unlink(missing_ok=True)
