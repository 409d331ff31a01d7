"""WFDB headers and annotation files on disk: what the comparators need of them."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest.wfdb_annotations import (
    Annotation,
    AnnotationFile,
    AnnotationFileError,
    decode_annotations,
    encode_annotations,
)

_DEFAULTS: Final = ("250", "0")
"""Frames per second and number of frames, as the format's definition has them where a header says
nothing."""


class WfdbFileError(Exception):
    """A file is missing or says what nobody can read. The message names it and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The record line of a header."""

    fs_hz: float
    """Frames per second: what annotations count in."""
    n_samples: int | None
    """Frames in the record; None where the header does not say."""


def read_header(path: Path) -> Header:
    """Read the record line of a ``.hea``.

    Raises
    ------
    WfdbFileError
    """
    try:
        lines = [line.split() for line in path.read_text("latin-1").splitlines()]
        words = next(words for words in lines if words and not words[0].startswith("#"))
        rate, n_samples = (*words[2:4], *_DEFAULTS[len(words[2:4]) :])
        # The rate may be followed by that of a counter and its base: 360/1000(0).
        fs_hz = float(rate.split("/")[0].split("(")[0])
        n_frames = int(n_samples)
    except OSError as error:
        raise WfdbFileError(f"header {path} cannot be read: {error.strerror}") from error
    except (StopIteration, ValueError) as error:
        raise WfdbFileError(f"header {path} has no record line that can be read") from error
    if not fs_hz > 0:
        raise WfdbFileError(f"header {path} states {fs_hz} samples per second")
    return Header(fs_hz=fs_hz, n_samples=n_frames or None)


def read_annotations(path: Path) -> AnnotationFile:
    """Read an annotation file.

    Raises
    ------
    WfdbFileError
    """
    try:
        return decode_annotations(path.read_bytes())
    except OSError as error:
        raise WfdbFileError(f"annotations {path} cannot be read: {error.strerror}") from error
    except AnnotationFileError as error:
        raise WfdbFileError(f"annotations {path}: {error}") from error


def write_annotations(path: Path, annotations: Iterable[Annotation], fs_hz: float) -> None:
    """Write an annotation file: all of it or nothing.

    Raises
    ------
    OSError
    """
    aside = aside_of(path)
    try:
        aside.write_bytes(encode_annotations(annotations, fs_hz))
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def aside_of(path: Path) -> Path:
    """Name the file in which ``path`` is written until it is complete."""
    return path.with_name(f".{path.name}.{os.getpid()}")
