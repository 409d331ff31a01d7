"""Many jobs on all cores: one process each, and the end of one is not the end of the others."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any, Final, NoReturn, Protocol, TypeVar

Result = TypeVar("Result")

OnShare = Callable[[float], None]
"""Called with the share of a job that is done."""

Job = Callable[[OnShare], Result]
"""What is to be done; it and its result can be pickled."""

STOP_S: Final = 10.0
"""How long a process may take to clean up when it is told to stop; then it is killed."""

_SHARE_STEP: Final = 0.01


class Listener(Protocol):
    """Who is told how far the jobs are; each is named by its place among all."""

    def begun(self, i_job: int) -> None:
        """Hear that a job was begun."""
        ...

    def share(self, i_job: int, share: float) -> None:
        """Hear how much of it is done."""
        ...

    def ended(self, i_job: int, result: object) -> None:
        """Hear that it has ended, and what came of it."""
        ...


@dataclass(frozen=True, slots=True)
class ProcessEnded:
    """A job has no result, for its process has ended."""

    i_job: int
    pid: int
    exit_code: int | None
    """Below 0: the signal that ended it."""

    def __str__(self) -> str:
        if self.exit_code == -signal.SIGKILL:
            return (
                "the process that had it was killed (SIGKILL), as the system does when memory is "
                "short: try fewer at once with --jobs"
            )
        how = f"exit code {self.exit_code}"
        if self.exit_code is not None and self.exit_code < 0:
            how = f"signal {-self.exit_code}"
        return f"the process that had it has ended ({how}); what it said is above"


def n_cores() -> int:
    """Count the cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_jobs(
    jobs: Sequence[Job[Result]],
    n_processes: int,
    listener: Listener,
    clean_up: Callable[[ProcessEnded], None] = lambda _: None,
) -> list[Result | ProcessEnded]:
    """Do jobs, as many at once as there may be processes; give the results in the jobs' order.

    One process, or one job, is this process. Processes are started anew rather than forked, for
    libraries have threads; each does one job after the other. An exception of a job ends its
    process and is that job's `ProcessEnded`; here, alone, it is raised. When this function is left
    by an exception, as by Ctrl-C, all processes are told to stop and have stopped.

    Parameters
    ----------
    clean_up
        Called for each process that has ended in a job.
    """
    if min(n_processes, len(jobs)) <= 1:
        return list(_here(jobs, listener))
    results: dict[int, Result | ProcessEnded] = {}
    waiting = iter(enumerate(jobs))
    with _Processes(min(n_processes, len(jobs)), clean_up) as processes:
        processes.give_as_many(waiting)
        while len(results) < len(jobs):
            for i_job, (what, value) in processes.heard():
                if what == "begun":
                    listener.begun(i_job)
                elif what == "share":
                    listener.share(i_job, value)
                else:
                    results[i_job] = value
                    listener.ended(i_job, value)
            processes.give_as_many(waiting)
    return [results[i_job] for i_job in range(len(jobs))]


def _here(jobs: Sequence[Job[Result]], listener: Listener) -> Iterator[Result]:
    for i_job, job in enumerate(jobs):
        listener.begun(i_job)
        result = job(partial(listener.share, i_job))
        listener.ended(i_job, result)
        yield result


@dataclass(slots=True)
class _Worker:
    process: Any
    """A process of the multiprocessing context, which has no type of its own."""
    connection: Connection
    i_job: int | None = None


class _Processes:
    """Processes that wait for jobs, each at the other end of a pipe."""

    def __init__(self, n_processes: int, clean_up: Callable[[ProcessEnded], None]) -> None:
        self._n_processes = n_processes
        self._clean_up = clean_up
        self._context = get_context("spawn")
        self._workers: list[_Worker] = []

    def __enter__(self) -> "_Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            if worker.i_job is None:
                worker.connection.close()
            else:
                worker.process.terminate()
        for worker in self._workers:
            self._end(worker)

    def give_as_many(self, waiting: Iterator[tuple[int, Job[Any]]]) -> None:
        """Give jobs to all processes that have none; start those that are missing."""
        while sum(one.i_job is not None for one in self._workers) < self._n_processes:
            i_job, job = next(waiting, (None, None))
            if i_job is None:
                return
            worker = next((one for one in self._workers if one.i_job is None), None)
            worker = worker or self._started()
            worker.i_job = i_job
            # One that has ended meanwhile is heard of by whoever listens to it.
            with suppress(OSError):
                worker.connection.send(job)

    def _started(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def heard(self) -> Iterator[tuple[int, tuple[str, Any]]]:
        """Wait until a process says something; give which job it is about, and what."""
        busy = {worker.connection: worker for worker in self._workers if worker.i_job is not None}
        for connection in wait(list(busy)):
            worker = busy[connection]  # type: ignore[index]  # wait gives what it was given
            i_job = worker.i_job
            if i_job is None:
                continue
            try:
                said = worker.connection.recv()
            except (EOFError, OSError):
                self._workers.remove(worker)
                yield i_job, ("ended", self._end(worker))
                continue
            if said[0] == "done":
                worker.i_job = None
            yield i_job, said

    def _end(self, worker: _Worker) -> ProcessEnded | None:
        """Wait for the end of a process; a second too long and it is killed."""
        worker.process.join(STOP_S)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.connection.close()
        if worker.i_job is None:
            return None
        ended = ProcessEnded(worker.i_job, worker.process.pid, worker.process.exitcode)
        self._clean_up(ended)
        return ended


# In the other process


def _serve(connection: Connection) -> None:
    """Do the jobs that come until nobody sends any more."""
    # Ctrl-C reaches every process of the terminal: the one that has started this one says stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    while (job := _received(connection)) is not None:
        shares = _Shares(connection)
        shares.send("begun", None)
        shares.send("done", job(shares))


def _received(connection: Connection) -> Job[Any] | None:
    try:
        return connection.recv()  # type: ignore[no-any-return]
    except (EOFError, ConnectionResetError):
        return None  # With the last job, or by a violent end, the other side was closed.


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    # Raised wherever the job is, so that it takes back what it has half written.
    sys.exit(128 + number)


class _Shares:
    """Says each hundredth that is done."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._said = 0.0

    def __call__(self, share: float) -> None:
        if share >= self._said + _SHARE_STEP:
            self._said = share
            self.send("share", share)

    def send(self, what: str, value: object) -> None:
        """Say it; where nobody listens any more there is nothing left to do."""
        try:
            self._connection.send((what, value))
        except (BrokenPipeError, ConnectionResetError):
            sys.exit(1)
