"""Several processes kept running: real ones, short."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from deploy.process import EXIT_USAGE
from deploy.supervisor import Supervisor

WAIT_S = 60.0

LASTING = """
import os, signal, sys, threading
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
open(sys.argv[1], "a").write(f"started {os.getpid()}\\n")
while not stop.wait(0.1):
    pass
open(sys.argv[1], "a").write("stopped\\n")
"""


def lasting(notes: Path) -> list[str]:
    return [sys.executable, "-c", LASTING, str(notes)]


async def lines(notes: Path, n: int) -> list[str]:
    """Wait until so many lines have been written."""
    async with asyncio.timeout(WAIT_S):
        while len(written := read(notes)) < n:  # noqa: ASYNC110  # another process writes
            await asyncio.sleep(0.05)
    return written


def read(notes: Path) -> list[str]:
    return notes.read_text().splitlines() if notes.exists() else []


def start_supervisor(*command: str) -> subprocess.Popen[bytes]:
    program = (
        "import asyncio, sys; from deploy.supervisor import Supervisor; "
        "asyncio.run(Supervisor([sys.argv[1:]]).run(asyncio.Event()))"
    )
    return subprocess.Popen([sys.executable, "-c", program, *command])


async def test_processes_are_started_again_and_stopped_together(tmp_path: Path) -> None:
    notes = [tmp_path / "one", tmp_path / "two"]
    stop = asyncio.Event()
    supervisor = Supervisor([lasting(one) for one in notes], back_off_s=0.1)
    running = asyncio.create_task(supervisor.run(stop))

    (started,) = await lines(notes[0], 1)
    os.kill(int(started.split()[1]), signal.SIGKILL)
    await lines(notes[0], 2)
    await lines(notes[1], 1)
    stop.set()

    assert await running
    assert [line.split()[0] for line in read(notes[0])] == ["started", "started", "stopped"]
    assert read(notes[1])[-1] == "stopped"


async def test_wrong_settings_end_all(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    wrong = [sys.executable, "-c", f"raise SystemExit({EXIT_USAGE})"]
    supervisor = Supervisor([lasting(notes), wrong])

    async with asyncio.timeout(WAIT_S):
        assert not await supervisor.run(asyncio.Event())


async def test_a_supervisor_that_is_killed_leaves_nobody_behind(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    process = start_supervisor(*lasting(notes))
    (started,) = await lines(notes, 1)

    process.kill()
    process.wait(timeout=30)

    with contextlib.suppress(ProcessLookupError):
        async with asyncio.timeout(WAIT_S):
            while True:
                os.kill(int(started.split()[1]), 0)
                await asyncio.sleep(0.05)
