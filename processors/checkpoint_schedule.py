"""When each subject's state is written down: evenly spread, so that no moment has all the work."""

from __future__ import annotations

from zlib import crc32


class CheckpointSchedule:
    """Due times of the subjects of one partition. Pure: the time is an argument.

    Parameters
    ----------
    interval_s
        About so long after a subject's state was written it is written again, if records came.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._due_s: dict[str, float] = {}
        self._touched_s: dict[str, float] = {}
        self._written_s: dict[str, float] = {}

    def touched(self, subject_id: str, now_s: float) -> None:
        """Note that a record of the subject was processed."""
        if subject_id in self._due_s:
            return
        written_s = self._written_s.get(subject_id)
        if written_s is None or now_s - written_s >= self._interval_s:
            # Each at a phase of its own: after an outage all come at once, and must not stay so.
            phase = (crc32(subject_id.encode()) + 1) / 2**32
            self._due_s[subject_id] = now_s + phase * self._interval_s
        else:
            self._due_s[subject_id] = written_s + self._interval_s
        self._touched_s[subject_id] = now_s

    def due(self, now_s: float) -> list[str]:
        """Name the subjects whose state should be written now, the longest due first."""
        self._written_s = {
            name: written_s
            for name, written_s in self._written_s.items()
            if now_s - written_s < self._interval_s
        }
        return sorted(
            (name for name, due_s in self._due_s.items() if due_s <= now_s),
            key=self._due_s.__getitem__,
        )

    def written(self, subject_id: str, now_s: float) -> None:
        """Note that a subject's state was taken, or that there is nothing to take."""
        if self._due_s.pop(subject_id, None) is not None:
            self._touched_s.pop(subject_id)
            self._written_s[subject_id] = now_s

    def age_s(self, now_s: float) -> float:
        """Give how long the oldest record has waited for its subject's state to be written."""
        return now_s - min(self._touched_s.values(), default=now_s)
