"""What an agent's ``sequence`` says of a Frame: next, ahead, seen, late, or a numbering anew.

An agent that was enrolled again, or has lost its spool, counts from elsewhere. Its event time goes
on, though: a Frame of a number that was passed is a repetition where its time was passed, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from processors.frame_times import FAR_NS

AHEAD_MAX: Final = 1_000_000
"""A hole that is longer is none: three days of four Frames a second. The numbering is another."""

HOLES_MAX: Final = 16
"""Stretches of numbers that never came. Of those forgotten, a late Frame counts as repeated."""


class Place(Enum):
    """Where a Frame belongs among those of its agent."""

    NEXT = auto()
    AHEAD = auto()
    REPEATED = auto()
    LATE = auto()
    """It was missing, and those behind it have gone on."""
    ANEW = auto()
    """It begins another numbering."""
    ODD = auto()
    """Its number was passed and its time is far ahead: it says nothing of the numbering."""


@dataclass(slots=True)
class Numbering:
    """How far the Frames of one agent have come."""

    next_sequence: int
    newest_ns: int
    """Newest event time that another Frame bears out; no Frame is repeated that is behind it."""
    before_ns: int
    """Event time of the Frame before."""
    holes: list[tuple[int, int]]
    """Half-open, of numbers that were passed over."""
    odd: tuple[int, int] = (-1, -1)
    """Number and time of the last Frame that was odd."""
    former: tuple[int, int] = (0, -1)
    """End and newest time of the numbering before this one."""

    @classmethod
    def beginning(cls, sequence: int, t_ns: int | None) -> Numbering:
        """Begin with a Frame's number; what is before it never came."""
        return cls(sequence + 1, t_ns or 0, t_ns or 0, [(0, sequence)] if sequence else [])

    def place_of(self, sequence: int, t_ns: int | None) -> Place:
        """Tell where a Frame with a number and a time belongs."""
        if sequence == self.next_sequence:
            return Place.NEXT
        if t_ns is not None and sequence < self.former[0] and t_ns <= self.former[1]:
            return Place.REPEATED
        if sequence > self.next_sequence:
            return Place.AHEAD if sequence - self.next_sequence <= AHEAD_MAX else Place.ANEW
        if t_ns is not None and t_ns > self.newest_ns:
            return self._ahead_in_time(sequence, t_ns)
        is_missing = any(first <= sequence < end for first, end in self.holes)
        return Place.LATE if is_missing else Place.REPEATED

    def _ahead_in_time(self, sequence: int, t_ns: int) -> Place:
        if t_ns - self.newest_ns <= FAR_NS:
            return Place.ANEW
        odd_sequence, odd_ns = self.odd
        if (sequence, t_ns) == self.odd:
            return Place.REPEATED
        self.odd = (sequence, t_ns)
        follows = sequence == odd_sequence + 1 and abs(t_ns - odd_ns) <= FAR_NS
        return Place.ANEW if follows else Place.ODD

    def take_next(self, t_ns: int | None) -> None:
        """Count the Frame that is next."""
        sequence = self.next_sequence
        self.next_sequence = sequence + 1
        if t_ns is None:
            return
        if t_ns - self.before_ns <= FAR_NS:
            self.newest_ns = max(self.newest_ns, t_ns)
        else:
            self.odd = (sequence, t_ns)
        self.before_ns = t_ns

    def skip_to(self, sequence: int) -> None:
        """Pass over the numbers before this one."""
        self.holes = [*self.holes, (self.next_sequence, sequence)][-HOLES_MAX:]
        self.next_sequence = sequence

    def take_late(self, sequence: int) -> None:
        """Note that a number that was passed over has come."""
        parts = [
            part
            for first, end in self.holes
            for part in (
                ((first, sequence), (sequence + 1, end))
                if first <= sequence < end
                else ((first, end),)
            )
        ]
        self.holes = [(first, end) for first, end in parts if first < end][-HOLES_MAX:]

    def begin_anew(self, sequence: int, t_ns: int | None) -> None:
        """Go on from another number; its Frame has been taken."""
        self.former = (self.next_sequence, self.newest_ns)
        self.holes = [(0, sequence)] if sequence else []
        self.next_sequence = sequence
        self.before_ns = self.newest_ns if t_ns is None else t_ns
        self.take_next(t_ns)

    def to_row(self) -> list[object]:
        """Write it as what JSON can say."""
        times = [self.next_sequence, self.newest_ns, self.before_ns]
        return [*times, self.holes, self.odd, self.former]

    @classmethod
    def of_row(cls, row: Sequence[object]) -> Numbering:
        """Read back what `to_row` wrote; ValueError where it was none."""
        match row:
            case [int(next_sequence), int(newest), int(before), list(holes), list(odd), list(form)]:
                pairs = [_pair(one) for one in (*holes, odd, form)]
                return cls(next_sequence, newest, before, pairs[:-2], pairs[-2], pairs[-1])
            case _:
                raise ValueError(f"{row!r} is no numbering")


def _pair(one: object) -> tuple[int, int]:
    match one:
        case [int(first), int(second)]:
            return first, second
        case _:
            raise ValueError(f"{one!r} is no pair of numbers")
