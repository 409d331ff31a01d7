"""The Frames that the spool has given out, until the broker has them: pure."""

from dataclasses import dataclass, field

from edge.spool.rows import Row, Span


@dataclass(frozen=True, slots=True)
class Given:
    """A Frame that was given out, and may be on its way to the broker."""

    row: Row
    spans: list[Span]


@dataclass(slots=True)
class OnTheWay:
    """Which Frames were given out, and which of them are acknowledged and still on disk."""

    from_before: int = -1
    """Up to here the agent before this one may have sent Frames without hearing of it."""
    given: dict[int, Given] = field(default_factory=dict)
    """By sequence, rising."""
    acknowledged: dict[int, int] = field(default_factory=dict)
    """Bytes, by sequence."""
    last_acknowledged: int = -1
    delivered: list[range] = field(default_factory=list)
    """Sequences that the broker has, since the spool was opened; rising."""

    @property
    def last(self) -> int:
        """Sequence of the last Frame that must not give way."""
        last_given = next(reversed(self.given), -1)
        return max(self.from_before, self.last_acknowledged, last_given)

    @property
    def n_bytes_acknowledged(self) -> int:
        """What could be deleted."""
        return sum(self.acknowledged.values())

    def give(self, row: Row, spans: list[Span]) -> None:
        """Note that a Frame is given out."""
        self.given[row.sequence] = Given(row, spans)

    def take_back(self, sequence: int) -> None:
        """Note that the Frames from this one on were not given after all."""
        for one in [given for given in self.given if given >= sequence]:
            del self.given[one]

    def acknowledge(self, sequence: int) -> list[Given]:
        """Note that the broker has what was given up to and with this one; give that."""
        done = [one for one in self.given if one <= sequence]
        frames = [self.given.pop(one) for one in done]
        self.acknowledged |= {frame.row.sequence: frame.row.n_bytes for frame in frames}
        self.last_acknowledged = max([self.last_acknowledged, *done])
        for one in done:
            last = self.delivered[-1] if self.delivered else range(one, one)
            if last.stop == one:
                self.delivered[-1:] = [range(last.start, one + 1)]
            else:
                self.delivered.append(range(one, one + 1))
        return frames

    def was_delivered(self, sequence: int) -> bool:
        """Tell whether the broker is known to have a Frame that a damaged file still shows."""
        return any(sequence in one for one in reversed(self.delivered))
