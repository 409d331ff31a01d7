"""How long the records of a partition wait for the worker: pure."""


class Lag:
    """By the records' own time in Kafka, not by event time: that of a backlog is old anyhow.

    A partition that was caught up a moment ago is no further behind than that moment, however long
    before it the last record came; one in which something always waits is as far behind as the last
    record that was processed is old.
    """

    def __init__(self) -> None:
        self.n_records = 0
        """Records that wait."""
        self._processed_s = 0.0
        self._caught_up_s = 0.0

    def processed(self, record_s: float) -> None:
        """Note that a record was processed; its time in seconds since 1970."""
        self._processed_s = record_s

    def waits(self, n_records: int, now_s: float) -> None:
        """Note how many records wait now."""
        self.n_records = n_records
        if n_records == 0 or not self._caught_up_s:
            self._caught_up_s = now_s

    def seconds(self, now_s: float) -> float:
        """Give the seconds that records wait; 0 where none does."""
        if self.n_records == 0:
            return 0.0
        return max(0.0, now_s - max(self._processed_s, self._caught_up_s))
