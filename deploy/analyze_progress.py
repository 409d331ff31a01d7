"""How far ``chevet analyze`` and ``chevet verify`` are: bars on a terminal, else lines."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from deploy.record_jobs import Listener

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


@contextmanager
def shown_progress(names: Sequence[str], what_of: Callable[[Any], str]) -> "Iterator[Listener]":
    """Show the progress of jobs on standard error.

    Parameters
    ----------
    names
        Of the jobs.
    what_of
        Says in a word what came of one.
    """
    if not (sys.stderr.isatty() and find_spec("rich")):
        yield Lines(names, what_of)
        return
    from rich.console import Console
    from rich.progress import Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:-1], TimeRemainingColumn(compact=True))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bars(names, what_of, progress)


class Lines:
    """A line when a job has ended."""

    def __init__(self, names: Sequence[str], what_of: Callable[[Any], str]) -> None:
        self._names = names
        self._what_of = what_of
        self._n_ended = 0

    def begun(self, i_job: int) -> None:
        """Say nothing yet."""

    def share(self, i_job: int, share: float) -> None:
        """Say nothing yet."""

    def ended(self, i_job: int, result: object) -> None:
        """Say what came of it."""
        self._n_ended += 1
        what = self._what_of(result)
        click.echo(f"[{self._n_ended}/{len(self._names)}] {self._names[i_job]} {what}", err=True)


class Bars:
    """A bar for all jobs, with the time that is left, and one for each that runs."""

    def __init__(
        self, names: Sequence[str], what_of: Callable[[Any], str], progress: "Progress"
    ) -> None:
        self._names = names
        self._what_of = what_of
        self._progress = progress
        self._all = progress.add_task(f"0 of {len(names)}", total=len(names))
        self._running: dict[int, tuple[TaskID, float]] = {}
        self._n_ended = 0

    def begun(self, i_job: int) -> None:
        """Add its bar."""
        self._running[i_job] = self._progress.add_task(self._names[i_job], total=1.0), 0.0

    def share(self, i_job: int, share: float) -> None:
        """Move its bar, and the one of all by as much."""
        task, before = self._running[i_job]
        self._running[i_job] = task, share
        self._progress.update(task, completed=share)
        self._progress.advance(self._all, share - before)

    def ended(self, i_job: int, result: object) -> None:
        """Take its bar away, and say what came of it if it was not what was wanted."""
        task, before = self._running.pop(i_job, (None, 0.0))
        if task is not None:
            self._progress.remove_task(task)
        self._n_ended += 1
        self._progress.advance(self._all, 1.0 - before)
        n_all = len(self._names)
        self._progress.update(self._all, description=f"{self._n_ended} of {n_all}")
        self._progress.console.print(
            f"[{self._n_ended}/{n_all}] {self._names[i_job]} {self._what_of(result)}",
            markup=False,
            highlight=False,
        )
