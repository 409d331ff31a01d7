"""A recording all the way: replayed over Kafka, recorded into an archive, exported, and compared.

Others read both ends: what is compared is what wfdb-python reads of the original and of the export,
and what edfio reads of the EDF+ file.
"""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import edfio
import numpy as np
import wfdb

from processors.sinks.archive import open_archive
from processors.sinks.archive.errors import ArchiveRefusedError

START: Final = "2026-01-01T00:00:00"
"""Of every recording's first sample."""
WAIT_S: Final = 150.0
STOP_S: Final = 60.0
ANNOTATORS: Final = ("atr", "breath")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One recording at the end of its way; everything in it was identical."""

    record: str
    n_samples: int
    n_missing: int
    n_annotations: dict[str, int]
    """By annotator."""
    edf_error: dict[str, float] = field(default_factory=dict)
    """By signal: how far a value in EDF+ is from the original's at most, in steps of its counts."""

    def line(self) -> str:
        """One line of a table."""
        marks = ", ".join(f"{n} {name}" for name, n in self.n_annotations.items()) or "none"
        worst = max(self.edf_error.values())
        return (
            f"{self.record:<10} {self.n_samples:>9} samples identical in WFDB and EDF+ "
            f"({self.n_missing} missing), annotations identical: {marks}; "
            f"EDF+ values within {worst:.1e} of a step"
        )


def chevet(*words: str | Path) -> str:
    """Run a command; give what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "deploy.cli", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"chevet {' '.join(map(str, words))}: {done.stderr}"
    return done.stdout


@contextmanager
def recorder(kafka: str, archive: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run ``chevet record`` beside what is done within."""
    command = [sys.executable, "-m", "deploy.cli", "record", "--archive", str(archive)]
    with (archive.parent / "record.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--kafka", kafka, "--metrics-port", "0"],
            env={**os.environ, "CHEVET_COMMIT_S": "1"},
            stderr=log,
        )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_S) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def travel(records: Sequence[Path], kafka: str, folder: Path) -> Iterator[Arrival]:
    """Send recordings on their way; each that arrives is told.

    Raises
    ------
    AssertionError
        Something is not what it was.
    """
    archive = folder / "archive"
    archive.mkdir(parents=True)
    chevet("topics", "--kafka", kafka)
    with recorder(kafka, archive):
        sent = {record.name: _replay(record, kafka) for record in records}
        _wait_for(archive, sent)
    for form in ("wfdb", "edf"):
        chevet("export", archive, "--format", form, "--out", folder / form, "--as-recorded")
    for record in records:
        yield _compared(record, folder)


def _replay(record: Path, kafka: str) -> dict[str, Any]:
    words = ("--kafka", kafka, "--speed", "max", "--start", START, "--json")
    said: dict[str, Any] = json.loads(chevet("replay", record, *words))
    return said


def _wait_for(archive: Path, sent: dict[str, dict[str, Any]]) -> None:
    """Wait until the archive has every Frame and annotation."""
    deadline_s = time.monotonic() + WAIT_S
    while True:
        missing = [name for name, said in sent.items() if not _is_there(archive, name, said)]
        if not missing:
            return
        assert time.monotonic() < deadline_s, f"not all of {missing} in the archive"
        time.sleep(0.3)


def _is_there(archive: Path, name: str, said: dict[str, Any]) -> bool:
    try:
        subject = open_archive(archive).subject(name)
        tables = ("frames", "annotations")
        return all(len(subject.rows(table)) == int(said[table]) for table in tables)
    except ArchiveRefusedError:
        return False


def _compared(record: Path, folder: Path) -> Arrival:
    name = record.name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = _read(record)
        after = _read(folder / "wfdb" / name)
        (edf,) = (folder / "edf").glob(f"{name}.edf")
        theirs = edfio.read_edf(edf)
        n_annotations = {
            annotator: _same_annotations(record, folder / "wfdb" / name, annotator)
            for annotator in ANNOTATORS
            if record.with_suffix(f".{annotator}").exists()
        }
    assert after.sig_name == before.sig_name, name
    assert (after.fs, after.sig_len) == (before.fs, before.sig_len), name
    n_missing = 0
    edf_error: dict[str, float] = {}
    for i, signal_name in enumerate(before.sig_name):
        where = f"{name} {signal_name}"
        ints, again = before.e_d_signal[i], after.e_d_signal[i]
        known = ~np.isnan(before.e_p_signal[i])
        assert np.array_equal(known, ~np.isnan(after.e_p_signal[i])), where
        assert np.array_equal(ints[known], again[known]), where
        assert (before.adc_gain[i], before.baseline[i], before.units[i]) == (
            after.adc_gain[i],
            after.baseline[i],
            after.units[i],
        ), where
        n_missing += int((~known).sum())
        assert np.array_equal(theirs.signals[i].digital[known], ints[known]), where
        physical = before.e_p_signal[i][known] * _unit_factor(before.units[i], theirs.signals[i])
        step = theirs.signals[i].physical_range
        counts = theirs.signals[i].digital_range
        size = (step.max - step.min) / (counts.max - counts.min)
        off = np.abs(theirs.signals[i].data[known] - physical).max() / abs(size)
        edf_error[signal_name] = float(off)
    return Arrival(
        record=name,
        n_samples=int(sum(one.size for one in before.e_d_signal)),
        n_missing=n_missing,
        n_annotations=n_annotations,
        edf_error=edf_error,
    )


def _unit_factor(unit: str, other: Any) -> float:  # noqa: ANN401
    """Give what a value in WFDB is in the unit of the EDF file."""
    return {("mV", "uV"): 1e3}.get((unit, other.physical_dimension), 1.0)


def _read(path: Path) -> Any:  # noqa: ANN401
    """Read the integers and the values of a record."""
    options = {"smooth_frames": False, "return_res": 64}
    found = wfdb.rdrecord(str(path), physical=False, **options)
    found.e_p_signal = wfdb.rdrecord(str(path), **options).e_p_signal
    return found


def _same_annotations(before: Path, after: Path, annotator: str) -> int:
    one, other = (wfdb.rdann(str(path), annotator) for path in (before, after))
    for what in ("sample", "symbol", "subtype", "chan", "num", "aux_note"):
        ours, theirs = list(getattr(other, what)), list(getattr(one, what))
        assert ours == theirs, f"{before.name}.{annotator}: {what}"
    return len(one.sample)
