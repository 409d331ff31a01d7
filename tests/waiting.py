"""Waiting for what has no event of its own."""

import asyncio
from collections.abc import Callable
from typing import Final

WAIT_S: Final = 90.0
"""Nothing that a test waits for takes seconds on an idle machine; a loaded one is given its time.
Half of the time that a test may take."""
LOOK_S_MIN: Final = 0.001
LOOK_S_MAX: Final = 0.02


def nothing_more() -> str:
    return ""


async def until(
    fact: Callable[[], bool], what: str = "it is true", state: Callable[[], str] = nothing_more
) -> None:
    """Wait for a fact.

    Parameters
    ----------
    what, state
        What is said where it does not come true, and what there is then.
    """
    try:
        async with asyncio.timeout(WAIT_S):
            look_s = LOOK_S_MIN
            while not fact():
                await asyncio.sleep(look_s)
                look_s = min(LOOK_S_MAX, 1.5 * look_s)
    except TimeoutError:
        raise AssertionError(f"not within {WAIT_S} s that {what} {state()}") from None
