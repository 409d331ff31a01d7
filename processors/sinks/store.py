"""What a store is, and what can go wrong with one.

StoreError
├── StoreUnavailableError   the same write may succeed later: keep the input, back off
└── StoreRefusedError       it never will: wrong address, token or rights; the process ends
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class StoreError(Exception):
    """The root of a store's errors."""


class StoreUnavailableError(StoreError):
    """The store is unwell; the same write may succeed later."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreRefusedError(StoreError):
    """The store refuses every write: address, token, rights or bucket are wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedLines:
    """Lines that the store will never take, and why."""

    reason: str
    lines: bytes


class LineStore(Protocol):
    """Several buckets; takes line protocol; what it has taken is safe when the call returns."""

    name: str
    n_parallel: int
    """Writes at once that gain something."""

    async def write(self, lines: Sequence[bytes]) -> list[RejectedLines]:
        """Store pieces of lines, in order in each bucket; give the lines rejected for good.

        A piece is one line, or several with a newline between two, all for the bucket that the
        measurement of the first is in (`measurements.bucket_of`). Nothing is promised of the order
        of two writes at once.

        Raises
        ------
        StoreUnavailableError, StoreRefusedError
            Some of the lines may have been stored; writing all again is harmless.
        """
        ...

    async def close(self) -> None:
        """Let go of files and connections."""
        ...
