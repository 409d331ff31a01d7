"""Calls asynchronous code from code that is not: a loop of its own, in a thread of its own.

So a connection stays alive while nobody asks for anything, as in a pause of a replay.
"""

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

_Result = TypeVar("_Result")


class LoopThread:
    """A running event loop. ``call`` waits for what it runs there."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="source", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        """Run it there; give its result, or raise its error."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
