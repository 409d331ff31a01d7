"""How long to wait after failures: growing, bounded, jittered. Pure: chance is an argument."""

from dataclasses import dataclass
from typing import Final

_DOUBLINGS_MAX: Final = 40
"""Beyond this no pause grows: any bound is reached long before, and no float overflows."""


@dataclass(frozen=True, slots=True)
class BackOff:
    """Pauses that double with every failure in a row.

    Parameters
    ----------
    first_s
        The longest pause after no failure, above 0 s.
    max_s
        The longest pause at all, at least ``first_s``.
    """

    first_s: float
    max_s: float

    def __post_init__(self) -> None:
        if not 0 < self.first_s <= self.max_s:
            raise ValueError(f"pauses from {self.first_s} s to {self.max_s} s are not possible")

    def pause_s(self, n_failures: int, jitter: float) -> float:
        """Give a pause.

        Parameters
        ----------
        n_failures
            In a row, 0 or more.
        jitter
            From 0 to 1, evenly drawn: it keeps those apart that failed together.

        Returns
        -------
        float
            Seconds, between half of the longest pause and the whole of it.
        """
        longest_s = min(self.max_s, self.first_s * 2.0 ** min(n_failures, _DOUBLINGS_MAX))
        return longest_s * (0.5 + 0.5 * jitter)
