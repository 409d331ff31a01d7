"""Writes what the encoders made: each file is there completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
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
    written: list[Path] = []
    for name, content in files.items():
        path = folder / name
        aside = folder / f".{name}.{os.getpid()}"
        try:
            aside.write_bytes(content)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
        written.append(path)
    return written
