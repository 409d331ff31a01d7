"""The files of one record while it is analyzed: each is there completely or not at all."""

import errno
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from deploy.analysis_options import AnalyzeOptions
from deploy.analysis_summary import Summary, Tally
from deploy.annotation_marks import Marks
from deploy.observation_files import ObservationTable
from deploy.run_manifest import InputFacts, retract, write_manifest
from deploy.run_of_analysis import manifest_of
from deploy.wfdb_files import write_annotations
from ingest.observation import Observation
from ingest.observation_digest import ObservationDigest


class Results:
    """Takes the observations of a record in order of delivery; a context, then `finish`.

    Parameters
    ----------
    name
        What the files are called.
    start_ns
        UTC of the first sample: where the times of the table and the annotations count from.
    fs_hz
        What annotations count in.
    began_s
        When this process began with the record, by its ``process_time``.

    Raises
    ------
    OSError
        A folder cannot be written.
    """

    def __init__(
        self, name: str, options: AnalyzeOptions, *, start_ns: int, fs_hz: float, began_s: float
    ) -> None:
        self._began_s = began_s
        self._name = name
        self._options = options
        self._start_ns = start_ns
        self._fs_hz = fs_hz
        self._folders = prepared(options)
        self._files: list[Path] = []
        self._undo = ExitStack()
        self._tally, self._digest = Tally(), ObservationDigest()
        self._marks = Marks(start_ns=start_ns, fs_hz=fs_hz, n_samples=0)
        self._takers = [self._marks.add, self._tally.add, self._digest.add]

    def __enter__(self) -> "Results":
        folder = self._options.observations
        if folder is not None:
            path = folder / f"{self._name}.{self._options.table_format}"
            table = self._undo.enter_context(ObservationTable(path, start_ns=self._start_ns))
            self._takers.append(table.add)
            self._files.append(path)
        return self

    def add(self, observation: Observation) -> None:
        """Take the next observation."""
        for take in self._takers:
            take(observation)

    def end(self, n_samples: int, annotators: Sequence[str]) -> None:
        """Write what is left.

        Parameters
        ----------
        n_samples
            What the record has of what annotations count in: behind it none is written.
        annotators
            Whose files are written, without events too.
        """
        self._marks.n_samples = n_samples
        self._annotators = annotators
        retract(self._folders, self._name)
        folder = self._options.annotations
        for annotator in annotators if folder is not None else ():
            path = Path(folder or ".", f"{self._name}.{annotator}")
            write_annotations(path, self._marks.annotations(annotator), self._fs_hz)
            self._files.append(path)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._undo.__exit__(kind, error, traceback)

    def finish(
        self,
        facts: InputFacts | None,
        *,
        duration_s: float,
        channels: Sequence[str],
        left_out: Sequence[str] = (),
        missing_s: dict[str, float] | None = None,
    ) -> Summary:
        """Sum up what became of the record, and write the manifests: the files are all there.

        Parameters
        ----------
        facts
            What was read; None: nobody has looked, and there is no manifest.
        """
        summary = Summary(
            record=self._name,
            start_ns=self._start_ns,
            duration_s=duration_s,
            channels=tuple(channels),
            left_out=tuple(left_out),
            missing_s=missing_s or {},
            n_events={one: self._marks.n_events(one) for one in self._annotators},
            n_observations=dict(sorted(self._tally.n_observations.items())),
            digest=self._digest.hexdigest(),
            n_different=self._digest.n_observations,
            heart_rate_coverage=self._tally.coverage,
            heart_rate_median_bpm=self._tally.median_bpm,
            files=tuple(map(str, self._files)),
            cpu_s=time.process_time() - self._began_s,
            frames_sha256=None if facts is None else facts.frames_sha256,
        )
        if facts is None:
            return summary
        manifests = [
            write_manifest(folder, manifest_of(folder, self._options, facts, summary))
            for folder in self._folders
        ]
        return replace(summary, manifests=tuple(map(str, manifests)))


def prepared(options: AnalyzeOptions) -> list[Path]:
    """Make the folders of the results; give each once.

    What cannot be written is said before a night of samples is processed.

    Raises
    ------
    OSError
    """
    folders: dict[Path, Path] = {}
    for folder in (options.annotations, options.observations):
        if folder is not None:
            _prepare(folder)
            folders.setdefault(folder.resolve(), folder)
    return list(folders.values())


def _prepare(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
