"""When a sample is due: blocks come four times a second, and are pushed ten times.

A sample is due a constant while after its own time, and that while is as long as the blocks need:
the first sample of a block is due when the block comes, the others as far behind it as they were
measured. A block that comes too late makes the while longer; when blocks come early again and
again it becomes shorter.
"""

from typing import Final

from ingest.frame import NS_PER_S

HOLD_NS_MAX: Final = NS_PER_S
"""Nothing waits longer: of a longer block, and after a stall, what is older is due at once."""

EASE_BLOCKS: Final = 16
EASE_MARGIN_NS: Final = 20_000_000
"""The while is made shorter by half of what all of so many blocks came too early, beyond this."""


class Playout:
    """The while of one channel, from blocks and their arrival."""

    def __init__(self) -> None:
        self._offset_ns: int | None = None
        self._early_ns = NS_PER_S
        self._n_blocks = 0

    def arrive(self, first_ns: int, last_ns: int, waiting_ns: int | None, now_ns: int) -> None:
        """Take note of a block.

        Parameters
        ----------
        first_ns, last_ns
            Times of its first and last sample.
        waiting_ns
            Time of the newest sample that still waits; None: none does.
        now_ns
            When it came.
        """
        first_ns = max(first_ns, last_ns - HOLD_NS_MAX)
        if self._offset_ns is None or waiting_ns is None:
            self._begin(first_ns, now_ns)
            return
        if not 0 <= last_ns + self._offset_ns - now_ns <= HOLD_NS_MAX:
            self._begin(first_ns, now_ns)
            return
        self._early_ns = min(self._early_ns, waiting_ns + self._offset_ns - now_ns)
        self._n_blocks += 1
        if self._n_blocks == EASE_BLOCKS:
            self._offset_ns -= max(0, self._early_ns - EASE_MARGIN_NS) // 2
            self._forget()

    def due_ns(self, now_ns: int) -> int:
        """Give the time up to which samples are due."""
        return now_ns - (self._offset_ns or 0)

    def _begin(self, first_ns: int, now_ns: int) -> None:
        self._offset_ns = now_ns - first_ns
        self._forget()

    def _forget(self) -> None:
        self._early_ns = NS_PER_S
        self._n_blocks = 0
