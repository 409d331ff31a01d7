"""Jobs in several processes: what comes of them, and of those whose process ends."""

import multiprocessing
import os
from functools import partial
from pathlib import Path

import pytest

from deploy.record_jobs import ProcessEnded, n_cores, run_jobs
from tests.deploy.jobs import half_written, killed_at, raised, squared


class Heard:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.shares: dict[int, list[float]] = {}

    def begun(self, i_job: int) -> None:
        self.told.append(("begun", i_job))

    def share(self, i_job: int, share: float) -> None:
        self.shares.setdefault(i_job, []).append(share)

    def ended(self, i_job: int, result: object) -> None:
        self.told.append(("ended", i_job))


@pytest.mark.parametrize("n_processes", [1, 2])
def test_results_are_in_the_order_of_the_jobs(n_processes: int) -> None:
    heard = Heard()

    results = run_jobs([partial(squared, i) for i in range(5)], n_processes, heard)

    done = [one for one in results if not isinstance(one, ProcessEnded)]
    assert [number for number, _ in done] == [0, 1, 4, 9, 16]
    pids = {pid for _, pid in done}
    assert (pids == {os.getpid()}) == (n_processes == 1)
    assert len(pids) <= n_processes
    assert sorted(heard.told) == sorted((w, i) for w in ("begun", "ended") for i in range(5))
    assert all(shares == sorted(shares) and shares[-1] == 1.0 for shares in heard.shares.values())
    assert set(heard.shares) == set(range(5))
    assert multiprocessing.active_children() == []


def test_a_process_that_is_killed_costs_its_own_job_only() -> None:
    ended: list[ProcessEnded] = []

    results = run_jobs([partial(killed_at, i, 1) for i in range(4)], 2, Heard(), ended.append)

    assert [one for one in results if isinstance(one, ProcessEnded)] == ended
    assert [one.i_job for one in ended] == [1]
    assert "memory" in str(ended[0])
    assert [one[0] for one in results if not isinstance(one, ProcessEnded)] == [0, 4, 9]


def test_an_error_nobody_foresaw_costs_its_own_job_only(capfd: pytest.CaptureFixture[str]) -> None:
    first, second = run_jobs([partial(raised, 7), partial(raised, 8)], 2, Heard())

    assert (str(first), str(second)) == (
        "the process that had it has ended (exit code 1); what it said is above",
    ) * 2
    said = capfd.readouterr().err
    assert "ZeroDivisionError: 7" in said
    assert "ZeroDivisionError: 8" in said


class Interrupting(Heard):
    """Is interrupted when every job has half written its file."""

    def share(self, i_job: int, share: float) -> None:
        super().share(i_job, share)
        if len(self.shares) == 2:
            raise KeyboardInterrupt


def test_who_is_interrupted_leaves_no_process_and_nothing_half_written(tmp_path: Path) -> None:
    jobs = [partial(half_written, tmp_path / name) for name in "ab"]

    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, 2, Interrupting())

    assert list(tmp_path.iterdir()) == []
    assert multiprocessing.active_children() == []


def test_as_many_processes_as_cores_that_may_be_used() -> None:
    assert 1 <= n_cores() <= (os.cpu_count() or 1)
