"""Whether the agent's loops still come round."""

import time
from collections.abc import Callable


class Heartbeat:
    """When each loop last came round, on the clock that never steps.

    Parameters
    ----------
    now_s
        Gives the time in seconds.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._beats: dict[str, float] = {}

    def beat(self, loop: str) -> None:
        """Note that a loop has come round."""
        self._beats[loop] = self._now_s()

    def ended(self, loop: str) -> None:
        """Note that a loop has ended in good order: nobody waits for it any more."""
        self._beats.pop(loop, None)

    def ages_s(self) -> dict[str, float]:
        """Give the seconds since each loop came round."""
        now_s = self._now_s()
        return {loop: now_s - beat_s for loop, beat_s in list(self._beats.items())}
