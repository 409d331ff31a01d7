"""A store in memory: it passes the same contract as the real ones, and fails when it is told."""

import asyncio
from collections.abc import Callable, Sequence

from processors.sinks.store import RejectedLines, StoreError
from tests.waiting import WAIT_S


class MemoryStore:
    """Keeps what it is given.

    Attributes
    ----------
    failures
        Raised one by one before anything is stored.
    rejects
        Tells which lines are refused for good.
    answers
        While this is not set, a write does not end.
    """

    name = "memory"

    def __init__(
        self,
        *failures: StoreError,
        rejects: Callable[[bytes], bool] | None = None,
        n_parallel: int = 1,
    ) -> None:
        self.n_parallel = n_parallel
        self.failures = list(failures)
        self.rejects = rejects or (lambda _line: False)
        self.lines: list[bytes] = []
        self.writes: list[int] = []
        self.n_tries = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.after_write: Callable[[], None] = lambda: None
        self._changed = asyncio.Condition()

    @property
    def points(self) -> dict[bytes, bytes]:
        """Fields by series and time: a point that is written twice is one point."""
        split = (line.rsplit(b" ", 2) for line in self.lines)
        return {series + b" " + time: fields for series, fields, time in split}

    async def write(self, lines: Sequence[bytes]) -> list[RejectedLines]:
        """Store the lines, or fail as told."""
        lines = [line for piece in lines for line in piece.split(b"\n")]
        async with self._changed:
            self.n_tries += 1
            self._changed.notify_all()
        await self.answers.wait()
        async with self._changed:
            if self.failures:
                raise self.failures.pop(0)
            self.lines += [line for line in lines if not self.rejects(line)]
            self.writes.append(len(lines))
            self._changed.notify_all()
        self.after_write()
        return [
            RejectedLines(reason="rejected as told", lines=line)
            for line in lines
            if self.rejects(line)
        ]

    async def close(self) -> None:
        """There is nothing to let go of."""

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a write makes the condition true."""
        async with asyncio.timeout(WAIT_S), self._changed:
            await self._changed.wait_for(condition)
