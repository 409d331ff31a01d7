"""Leaving a device alone that fails again and again. Pure: no clock.

    closed ──n failures in a row──► open ──its time is over──► half open ──success──► closed
                                      ▲──────────failure──────────┘

A device that flaps, or advertises and does not answer, would otherwise hold the one connect that an
adapter makes at a time, and cost the others their data.
"""

from enum import StrEnum


class BreakerState(StrEnum):
    """Whether a device may be connected."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    """One probe may be made."""


class CircuitBreaker:
    """Counts the failures of one device.

    Parameters
    ----------
    n_failures_max
        Failures in a row that open it, at least 1.
    open_s
        How long it stays open the first time; twice as long after each probe that failed.
    open_s_max
        The longest that it stays open.

    Attributes
    ----------
    n_failures
        In a row.
    n_openings
        Since the start.
    """

    def __init__(self, *, n_failures_max: int, open_s: float, open_s_max: float) -> None:
        if n_failures_max < 1 or not 0 < open_s <= open_s_max:
            raise ValueError(f"no breaker: {n_failures_max} failures, {open_s} to {open_s_max} s")
        self.n_failures = 0
        self.n_openings = 0
        self._n_failures_max = n_failures_max
        self._first_open_s = open_s
        self._open_s_max = open_s_max
        self._open_s = open_s
        self._probe_at_s: float | None = None

    def state(self, now_s: float) -> BreakerState:
        """Tell the state at an instant of a clock that never goes back."""
        if self._probe_at_s is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now_s < self._probe_at_s else BreakerState.HALF_OPEN

    def wait_s(self, now_s: float) -> float:
        """Tell how long the device is to be left alone; 0: it may be connected."""
        return 0.0 if self._probe_at_s is None else max(0.0, self._probe_at_s - now_s)

    def failed(self, now_s: float) -> bool:
        """Count a failure; tell whether it has opened the breaker."""
        self.n_failures += 1
        if self._probe_at_s is not None:
            self._open_s = min(2 * self._open_s, self._open_s_max)
        elif self.n_failures < self._n_failures_max:
            return False
        self._probe_at_s = now_s + self._open_s
        self.n_openings += 1
        return True

    def succeeded(self) -> None:
        """Close: the device works."""
        self.n_failures = 0
        self._open_s = self._first_open_s
        self._probe_at_s = None
