"""Many recordings at once: one that fails does not keep the others from it."""

import glob
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from deploy.analysis_options import AnalyzeOptions
from deploy.analysis_summary import Summary
from deploy.record_jobs import Listener, OnShare, ProcessEnded, run_jobs
from deploy.wfdb_files import WfdbFileError
from ingest.errors import IngestError, RecordError
from ingest.recording import recording_name

if TYPE_CHECKING:
    from deploy.analyze_source import SubjectOf

Shown = Callable[[Sequence[str], Callable[[Any], str]], AbstractContextManager[Listener]]
"""Shows how far jobs of these names are: ``deploy.analyze_progress.shown_progress``."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a record was not analyzed."""

    spec: str
    message: str
    """Names the record and what to do."""


Task = Union[str, "SubjectOf"]
"""A recording, by what it is called, or a subject of another source."""


def name_of(task: Task) -> str:
    """Name the files of a task."""
    return recording_name(task) if isinstance(task, str) else task.name


def attempt(task: Task, options: AnalyzeOptions, on_share: OnShare) -> Summary | Failure:
    """Analyze one record, or say what is wrong with it."""
    spec = task if isinstance(task, str) else f"{task.subject_id} of {task.spec}"
    try:
        return _analyzed(task, options, on_share)
    except RecordError as error:
        return Failure(spec, f"{spec}: {error}")
    except (IngestError, WfdbFileError) as error:
        return Failure(spec, str(error))
    except MemoryError:
        return Failure(spec, f"{spec}: not enough memory; try fewer at once with --jobs")
    except OSError as error:
        # A full disk, and pyarrow, do not say which file it was.
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return Failure(spec, f"{spec}: {what}; is there room, and may you write there?")


def _analyzed(task: Task, options: AnalyzeOptions, on_share: OnShare) -> Summary:
    # Here, for who only gives records to other processes need not wait for what they need.
    if isinstance(task, str):
        from deploy.analyze import analyze

        return analyze(task, options, on_share)
    from deploy.analyze_source import analyze_subject

    return analyze_subject(task, options, on_share)


def run(
    tasks: Sequence[Task], options: AnalyzeOptions, n_processes: int, shown: Shown
) -> list[Summary | Failure]:
    """Analyze records: the same results and the same files, in any number of processes.

    Returns
    -------
    In the order of the records.
    """
    jobs = [partial(attempt, task, options) for task in tasks]
    names = list(map(name_of, tasks))

    def clean_up(ended: ProcessEnded) -> None:
        remove_half_written(options, names[ended.i_job], ended.pid)

    with shown(names, _what_of) as listener:
        done = run_jobs(jobs, n_processes, listener, clean_up)
    return [
        Failure(name, f"{name}: {one}") if isinstance(one, ProcessEnded) else one
        for name, one in zip(names, done, strict=True)
    ]


def _what_of(result: object) -> str:
    return "done" if isinstance(result, Summary) else "failed"


def remove_half_written(options: AnalyzeOptions, record: str, pid: int) -> None:
    """Remove what a process that was killed could not take back (`wfdb_files.aside_of`)."""
    for folder in (options.annotations, options.observations):
        if folder is not None:
            for path in Path(folder).glob(f".{glob.escape(record)}.*.{pid}"):
                path.unlink(missing_ok=True)
