"""Waiting for one of several things, so that nothing is left running. A shell."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


async def wait_any(timeout_s: float | None, *events: asyncio.Event) -> None:
    """Wait until one of the events is set, at most ``timeout_s``; None: without end."""
    waiters = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiters, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)


async def unless(
    stop: asyncio.Event, job: Coroutine[Any, Any, _T], *, grace_s: float = 0.0
) -> _T | None:
    """Do a job, unless ``stop`` is set.

    Parameters
    ----------
    stop
        Set at any time.
    job
        Cancelled when that happens.
    grace_s
        For so long it may go on after that.

    Returns
    -------
    object
        What the job gives; None where it was not finished.
    """
    task = asyncio.create_task(job)
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done() and grace_s:
            await asyncio.wait({task}, timeout=grace_s)
    finally:
        stopped.cancel()
        task.cancel()
        await asyncio.wait({task, stopped})
    return None if task.cancelled() else task.result()
