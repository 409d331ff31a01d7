"""Many recordings at once: one that fails does not keep the others from it."""

import glob
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from deploy.analysis_options import AnalyzeOptions
from deploy.analysis_summary import Summary
from deploy.record_jobs import Listener, OnShare, ProcessEnded, run_jobs
from ingest.errors import RecordError, RecordingError
from ingest.recording import recording_name

Shown = Callable[[Sequence[str], Callable[[Any], str]], AbstractContextManager[Listener]]
"""Shows how far jobs of these names are: ``deploy.analyze_progress.shown_progress``."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a record was not analyzed."""

    spec: str
    message: str
    """Names the record and what to do."""


def attempt(spec: str, options: AnalyzeOptions, on_share: OnShare) -> Summary | Failure:
    """Analyze one record, or say what is wrong with it."""
    # Here, for who only gives records to other processes need not wait for what they need.
    from deploy.analyze import analyze
    from deploy.wfdb_files import WfdbFileError

    try:
        return analyze(spec, options, on_share)
    except (RecordingError, WfdbFileError) as error:
        return Failure(spec, str(error))
    except RecordError as error:
        return Failure(spec, f"{spec}: {error}")
    except MemoryError:
        return Failure(spec, f"{spec}: not enough memory; try fewer at once with --jobs")
    except OSError as error:
        # A full disk, and pyarrow, do not say which file it was.
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return Failure(spec, f"{spec}: {what}; is there room, and may you write there?")


def run(
    specs: Sequence[str], options: AnalyzeOptions, n_processes: int, shown: Shown
) -> list[Summary | Failure]:
    """Analyze records: the same results and the same files, in any number of processes.

    Returns
    -------
    In the order of the records.
    """
    jobs = [partial(attempt, spec, options) for spec in specs]
    names = [recording_name(spec) for spec in specs]

    def clean_up(ended: ProcessEnded) -> None:
        remove_half_written(options, names[ended.i_job], ended.pid)

    with shown(names, _what_of) as listener:
        done = run_jobs(jobs, n_processes, listener, clean_up)
    return [
        Failure(spec, f"{spec}: {one}") if isinstance(one, ProcessEnded) else one
        for spec, one in zip(specs, done, strict=True)
    ]


def _what_of(result: object) -> str:
    return "done" if isinstance(result, Summary) else "failed"


def remove_half_written(options: AnalyzeOptions, record: str, pid: int) -> None:
    """Remove what a process that was killed could not take back (`wfdb_files.aside_of`)."""
    for folder in (options.annotations, options.observations):
        if folder is not None:
            for path in Path(folder).glob(f".{glob.escape(record)}.*.{pid}"):
                path.unlink(missing_ok=True)
