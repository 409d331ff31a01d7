"""A store, and whether it takes what it is given."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from ingest.role_status import RoleState
from ingest.status_reporter import Said
from processors.sinks.store import LineStore, RejectedLines, StoreUnavailableError

SLOW_S: Final = 3.0
"""A write that takes longer counts as one that fails, until it is done."""


class WatchedStore:
    """Writes to another store and remembers how that went."""

    def __init__(self, store: LineStore, now_s: Callable[[], float] = time.monotonic) -> None:
        self.name = store.name
        self.n_parallel = store.n_parallel
        self._store = store
        self._now_s = now_s
        self._under_way: dict[int, float] = {}
        self._n_begun = 0
        self._stored_s: float | None = None
        self._is_away = False

    async def write(self, lines: Sequence[bytes]) -> list[RejectedLines]:
        """Store pieces of lines, as the store does."""
        number = self._n_begun = self._n_begun + 1
        self._under_way[number] = self._now_s()
        try:
            rejected = await self._store.write(lines)
        except StoreUnavailableError:
            self._is_away = True
            raise
        finally:
            del self._under_way[number]
        self._is_away = False
        self._stored_s = self._now_s()
        return rejected

    async def close(self) -> None:
        """Let go of files and connections."""
        await self._store.close()

    def said(self) -> Said:
        """Say how it stands: ``waiting`` for the store, or ``ready``."""
        now_s = self._now_s()
        oldest_s = min(self._under_way.values(), default=now_s)
        gauges = {"writes_under_way": float(len(self._under_way))}
        if self._stored_s is not None:
            gauges["stored_age_s"] = now_s - self._stored_s
        if self._is_away or now_s - oldest_s > SLOW_S:
            return Said(state=RoleState.WAITING, reason="store", gauges=gauges)
        # Statuses are stored as well, so something comes each second.
        state = RoleState.STARTING if self._stored_s is None else RoleState.READY
        return Said(state=state, gauges=gauges)
