"""What happened to the Frames of a subject that were not simply the next ones."""

from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Final


@dataclass(slots=True)
class OrderCounts:
    """Since the subject was first heard of."""

    n_frames_repeated: int = 0
    n_samples_repeated: int = 0
    n_frames_held: int = 0
    """They came ahead of their turn."""
    n_frames_missing: int = 0
    """Holes were given up for them; those that came after all are late, too."""
    n_frames_late: int = 0
    n_samples_late: int = 0
    n_samples_doubted: int = 0
    """Far ahead of everything, and nothing bore them out."""
    n_agents_begun_anew: int = 0
    """An agent's sequence went on elsewhere."""
    n_agents_forgotten: int = 0

    def totals(self) -> tuple[int, ...]:
        """Give all of them, in the order of `COUNTED`."""
        totals: tuple[int, ...] = _totals(self)
        return totals


COUNTED: Final = tuple(one.name.removeprefix("n_") for one in fields(OrderCounts))
"""What is counted."""

_totals = attrgetter(*(one.name for one in fields(OrderCounts)))
