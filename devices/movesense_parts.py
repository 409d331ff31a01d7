"""Movesense data that come in several notifications, joined; every part is accounted for.

Source: Movesense, GATT SensorData Protocol specification (GD-77 v1.0): DATA and DATA_PART2.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from devices.movesense import GspData, GspDataPart
from devices.payload import PAYLOAD_BYTES_MAX


class GspLossCause(StrEnum):
    """Why a notification is not in any whole."""

    REST_MISSING = "rest_missing"
    """The next data came, or the link ended, before the later part."""
    FIRST_PART_MISSING = "first_part_missing"
    WRONG_LENGTH = "wrong_length"
    """Alone or with what came before it is longer than the whole."""
    UNKNOWN_REFERENCE = "unknown_reference"
    """Nobody has subscribed under this reference."""


@dataclass(slots=True)
class _Begun:
    body: bytes
    n_parts: int = 1


class GspAssembler:
    """Joins the parts of each subscription's data.

    A first part does not say that a later one follows, so the length of the whole must be known.
    What is held is at most one whole for each subscription.

    Parts have no number: where a later part and the first part after it are both lost, what is left
    of the two wholes fits together, and is given as one. A link layer that loses nothing makes that
    rare: only a sensor that cannot get rid of its notifications drops them.

    ``n_parts`` always equals ``n_joined`` plus all of ``n_lost`` plus ``n_pending``.

    Parameters
    ----------
    whole_bytes
        Length of the whole body for each reference; None where data are never parted and may have
        any length.

    Raises
    ------
    ValueError
        A whole would be empty or longer than 512 bytes, the longest body that is decoded.
    """

    def __init__(self, whole_bytes: Mapping[int, int | None]) -> None:
        for reference, n_bytes in whole_bytes.items():
            if n_bytes is not None and not 1 <= n_bytes <= PAYLOAD_BYTES_MAX:
                raise ValueError(f"reference {reference}: no whole has {n_bytes} bytes")
        self.n_parts = 0
        """Notifications that came."""
        self.n_joined = 0
        """Those that are in a whole."""
        self.n_lost: Counter[GspLossCause] = Counter()
        """Those that are in none, by cause."""
        self._whole_bytes = dict(whole_bytes)
        self._begun: dict[int, _Begun] = {}

    @property
    def n_pending(self) -> int:
        """Notifications that wait for a later part."""
        return sum(begun.n_parts for begun in self._begun.values())

    def process(self, part: GspData | GspDataPart) -> GspData | None:
        """Take the next notification; give the whole that it completes, if it does."""
        self.n_parts += 1
        if part.reference not in self._whole_bytes:
            self.n_lost[GspLossCause.UNKNOWN_REFERENCE] += 1
            return None
        if isinstance(part, GspData):
            self._give_up(part.reference)
            return self._join(part.reference, _Begun(part.body))
        begun = self._begun.pop(part.reference, None)
        if begun is None:
            self.n_lost[GspLossCause.FIRST_PART_MISSING] += 1
            return None
        return self._join(part.reference, _Begun(begun.body + part.body, begun.n_parts + 1))

    def end(self) -> None:
        """Give up what is incomplete: the link is gone, and later parts will not come."""
        for reference in tuple(self._begun):
            self._give_up(reference)

    def _join(self, reference: int, begun: _Begun) -> GspData | None:
        n_bytes = self._whole_bytes[reference]
        if n_bytes is None or len(begun.body) == n_bytes:
            self.n_joined += begun.n_parts
            return GspData(reference=reference, body=begun.body)
        if len(begun.body) > n_bytes:
            self.n_lost[GspLossCause.WRONG_LENGTH] += begun.n_parts
        else:
            self._begun[reference] = begun
        return None

    def _give_up(self, reference: int) -> None:
        begun = self._begun.pop(reference, None)
        if begun is not None:
            self.n_lost[GspLossCause.REST_MISSING] += begun.n_parts
