"""The largest number for which something holds, in few trials: each takes a minute."""

from collections.abc import Callable
from typing import Final

RATIO: Final = 1.5
"""How far a step up or down goes while only one side is known."""


def largest(
    holds: Callable[[int], bool], *, first: int, n_max: int, resolution: float
) -> tuple[int, int | None]:
    """Find the largest number that holds: steps outward from the first guess, then halving.

    Parameters
    ----------
    holds
        Asked once for each number; true below some number and false above it.
    first
        Where to begin, from 1 to ``n_max``.
    resolution
        Ends when what holds and what does not are no further apart than this part of the latter.

    Returns
    -------
    tuple
        The largest that was seen to hold, 0 if none; and the smallest that was seen not to, None
        if ``n_max`` holds.
    """
    good, bad = 0, n_max + 1
    n = min(first, n_max)
    while good < n_max and (bad > n_max or bad - good > max(1, int(resolution * bad))):
        if holds(n):
            good = n
        else:
            bad = n
        n = _next(good, bad, n_max)
    return good, bad if bad <= n_max else None


def _next(good: int, bad: int, n_max: int) -> int:
    if bad > n_max:
        return min(n_max, max(good + 1, round(good * RATIO)))
    if good == 0:
        return max(1, min(bad - 1, round(bad / RATIO)))
    return (good + bad) // 2
