"""Several processes of one role on one machine: started, started again, and stopped together."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Sequence
from typing import Final

import structlog

from deploy.local import launch
from deploy.process import EXIT_USAGE

log = structlog.get_logger()

BACK_OFF_S: Final = 1.0
BACK_OFF_S_MAX: Final = 30.0
"""The pause before a process is started again doubles, up to this one."""

STEADY_S: Final = 60.0
"""A process that ran for so long was well: the pause is short again."""

STOP_S_MAX: Final = 30.0
"""For a process to end in good order after SIGTERM; then it is killed."""


class Supervisor:
    """Keeps processes running until it is told to stop.

    Parameters
    ----------
    commands
        One for each process, program first. They end when the supervisor ends, however it does.
    """

    def __init__(
        self, commands: Sequence[Sequence[str]], *, back_off_s: float = BACK_OFF_S
    ) -> None:
        self._commands = commands
        self._back_off_s = back_off_s
        self._has_wrong_settings = False

    async def run(self, stop: asyncio.Event) -> bool:
        """Run until ``stop`` is set, or a process says that its settings are wrong: then False."""
        async with asyncio.TaskGroup() as tasks:
            for number, command in enumerate(self._commands):
                tasks.create_task(self._keep(number, command, stop), name=f"process-{number}")
        return not self._has_wrong_settings

    async def _keep(self, number: int, command: Sequence[str], stop: asyncio.Event) -> None:
        pause_s = self._back_off_s
        while not stop.is_set():
            started_s = time.monotonic()
            code = await _run(number, command, stop)
            if code == EXIT_USAGE:
                # It has said why; it would say so for ever.
                self._has_wrong_settings = True
                stop.set()
            if stop.is_set():
                return
            if time.monotonic() - started_s >= STEADY_S:
                pause_s = self._back_off_s
            log.error("process_ended", number=number, code=code, again_in_s=pause_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause_s)
            pause_s = min(2 * pause_s, BACK_OFF_S_MAX)


async def _run(number: int, command: Sequence[str], stop: asyncio.Event) -> int:
    """Run a process until it ends, or is stopped; give its exit code."""
    launcher = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), os.curdir]
    process = await asyncio.create_subprocess_exec(*launcher, *command)
    log.info("process_started", number=number, pid=process.pid)
    ended = asyncio.create_task(process.wait(), name="ended")
    stopping = asyncio.create_task(stop.wait(), name="stopping")
    await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not ended.done():
        process.terminate()
        await asyncio.wait([ended], timeout=STOP_S_MAX)
    if not ended.done():
        log.error("process_killed", number=number, after_s=STOP_S_MAX)
        process.kill()
    return await ended
