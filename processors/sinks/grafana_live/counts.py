"""What became of everything that came for Grafana Live."""

from dataclasses import dataclass, fields


@dataclass(slots=True)
class PushCounts:
    """Counters since the start; of samples, ``came`` is the sum of the others and what waits."""

    samples_came: int = 0
    """Of watched subjects."""
    samples_pushed: int = 0
    samples_late: int = 0
    """Older than what was pushed of their channel, or older than ``late_s``; repeated ones too."""
    samples_ahead: int = 0
    """Too far ahead of our clock: one such sample would keep out all that follow."""
    samples_thinned: int = 0
    """A panel's times are milliseconds: of several samples in one, the first is pushed."""
    samples_expired: int = 0
    """Waited too long for Grafana; the oldest give way."""
    samples_lost: int = 0
    """In a request that Grafana did not take: it is never sent twice."""
    samples_refused: int = 0
    """Of subjects or channels beyond the limit."""
    numerals_pushed: int = 0
    """Rows of numerals."""
    numerals_lost: int = 0
    events_pushed: int = 0
    events_lost: int = 0
    events_dropped: int = 0
    """Events that gave way to newer ones, or that were too old."""
    subjects_refused: int = 0
    """Records of subjects beyond the limit."""

    def as_dict(self) -> dict[str, int]:
        """Give all counters by name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @property
    def samples_settled(self) -> int:
        """Samples that came and do not wait any more."""
        return (
            self.samples_pushed
            + self.samples_late
            + self.samples_ahead
            + self.samples_thinned
            + self.samples_expired
            + self.samples_lost
            + self.samples_refused
        )
