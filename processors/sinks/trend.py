"""Trends: what the Observations of each quantity were in one minute of event time: pure.

A minute that was stored must never be overwritten by a part of it, though after a restart the input
comes again from somewhere, and though a quantity may be measured once a day. Therefore a subject's
time is that of its newest Observation, and:

* A minute is given when the subject's time is ``GRACE_NS`` behind its end: quantities do not all
  come at the same pace. What comes for it later is in no trend, and counted.
* It is given only if it was seen from its beginning: a record of the subject was seen whose time
  was ``GRACE_NS`` before the minute's begin.
* `first_needed` says from which record on the input must come again, so that every minute that was
  not given is seen from its beginning. What is committed stays behind it.
* A subject of whom that record is too old is forgotten; its minutes are given then.

An Observation that comes twice counts once. Sums are exact before they are rounded, so what is
given does not depend on the order of the Observations within their minute, nor on how they were cut
into records, nor on restarts. What a device had stored and gave later (``device_record``) is of the
past: it is in no trend.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import fsum
from typing import Final, NamedTuple

from ingest.frame import NS_PER_S
from ingest.observation import Observation

MINUTE_NS: Final = 60 * NS_PER_S

GRACE_NS: Final = 30 * NS_PER_S
"""Half a minute: an Observation may be so far behind its subject's newest."""

HELD_RECORDS_MAX: Final = 50_000
"""Records of a partition that are read again at most, because a minute is not over: five minutes of
forty subjects with four records a second."""

SILENT_RECORDS: Final = 30_000
"""A subject that takes longer than so many records for two minutes is forgotten when that is looked
at, each 10,000 records."""

N_SUBJECTS_MAX: Final = 100_000
N_SERIES_MAX: Final = 1_000
"""Of a subject in one minute. What is beyond either bound is in no trend, and counted."""

N_VALUES_MAX: Final = 1_200
"""Observations of a quantity in a minute; what is beyond is in no trend, and counted."""

BACK_FILLED: Final = "device_record"

_MARKS_PER_MINUTE: Final = MINUTE_NS // GRACE_NS
_MARKS_MAX: Final = 3 * _MARKS_PER_MINUTE
"""As many as may be needed at once."""

Key = tuple[str, str]
"""Quantity and algorithm."""


class Trend(NamedTuple):
    """The Observations of one quantity in one minute."""

    series: tuple[str, str, str]
    """Subject, quantity and algorithm."""
    t_ns: int
    """UTC of the minute's begin."""
    mean: float
    """Of the values; 0 where there is none, as the next two."""
    low: float
    high: float
    n_values: int
    n_missing: int
    """Observations that had a reason and no value."""
    quality: float
    """Mean of all of them."""


class _Minute:
    """The Observations of one quantity so far."""

    __slots__ = ("newest_ns", "qualities", "times", "values")

    def __init__(self) -> None:
        self.newest_ns = -1
        self.times = array("q")
        self.values = array("d")
        self.qualities = array("d")

    def add(self, observation: Observation) -> bool:
        """Take one that was not there yet; False where there is no room for it."""
        times, t_ns = self.times, observation.t_ns
        if t_ns <= self.newest_ns and t_ns in times:
            return True
        if len(times) >= N_VALUES_MAX:
            return False
        self.newest_ns = max(t_ns, self.newest_ns)
        times.append(t_ns)
        self.qualities.append(observation.quality)
        if observation.value is not None:
            self.values.append(observation.value)
        return True

    def trend(self, series: tuple[str, str, str], t_ns: int) -> Trend:
        """Sum up."""
        values, n_all = self.values, len(self.times)
        quality = fsum(self.qualities) / n_all
        if not values:
            return Trend(series, t_ns, 0.0, 0.0, 0.0, 0, n_all, quality)
        low, high = min(values), max(values)
        mean = min(high, max(low, _mean(values)))
        return Trend(series, t_ns, mean, low, high, len(values), n_all - len(values), quality)


def _mean(values: Sequence[float]) -> float:
    try:
        return fsum(values) / len(values)
    except OverflowError:
        # The sum of what is finite may not be.
        return 2.0 * fsum(0.5 * one / len(values) for one in values)


class _Mark(NamedTuple):
    """The first record in which a subject's time was in this half minute."""

    i_half: int
    offset: int


class _Subject:
    """The minutes of a subject that are not over."""

    __slots__ = ("marks", "minutes", "newest_ns")

    def __init__(self) -> None:
        self.newest_ns = -1
        self.marks: list[_Mark] = []
        self.minutes: dict[int, dict[Key, _Minute]] = {}
        """By number since 1970."""

    @property
    def first_open(self) -> int:
        """The oldest minute that is not over."""
        return (self.newest_ns - GRACE_NS) // MINUTE_NS

    def mark_of(self, minute: int) -> _Mark | None:
        """Find the newest record that shows that a minute was seen from its beginning."""
        i_half_max = (minute - 1) * _MARKS_PER_MINUTE
        return next((mark for mark in reversed(self.marks) if mark.i_half <= i_half_max), None)

    def needed_from(self) -> int:
        """Give the offset of the first record of which something is not over."""
        for minute in range(self.first_open, self.first_open + 2):
            mark = self.mark_of(minute)
            if mark is not None:
                return mark.offset
        return self.marks[-1].offset

    def pass_to(self, newest_ns: int, offset: int) -> None:
        """Let the subject's time go on, never back."""
        if newest_ns <= self.newest_ns:
            return
        self.newest_ns = newest_ns
        i_half = newest_ns // GRACE_NS
        if not self.marks or i_half > self.marks[-1].i_half:
            self.marks.append(_Mark(i_half, offset))

    def forget_marks(self) -> None:
        """Forget what no minute needs that is not over."""
        needed = self.needed_from()
        self.marks = [mark for mark in self.marks if mark.offset >= needed]


class PartitionTrends:
    """The trends of the subjects of one partition, record by record in order of offset.

    Parameters
    ----------
    counts
        Where what is in no trend is counted: ``late_observations``, whose minute was over, those
        that came twice after a worker's restart among them, and ``observations_beyond_bounds``.
    """

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._subjects: dict[str, _Subject] = {}

    def record(self, observations: Sequence[Observation], offset: int) -> Iterator[Trend]:
        """Take the Observations of the next record; give the minutes that are over."""
        newest: dict[str, int] = {}
        for one in observations:
            if one.algorithm == BACK_FILLED:
                continue
            subject = self._subject(one.subject_id)
            if subject is None or not self._add(subject, one):
                continue
            newest[one.subject_id] = max(one.t_ns, newest.get(one.subject_id, -1))
        for subject_id, t_ns in newest.items():
            subject = self._subjects[subject_id]
            subject.pass_to(t_ns, offset)
            if subject.minutes and min(subject.minutes) < subject.first_open:
                yield from _given(subject_id, subject, subject.first_open, offset)
            if len(subject.marks) > _MARKS_MAX:
                subject.forget_marks()

    def first_needed(self, end_offset: int) -> int:
        """Give the offset from which on the records must come again after a restart.

        Parameters
        ----------
        end_offset
            Of the record after the last; no more than this is given.
        """
        oldest = end_offset - HELD_RECORDS_MAX
        needed = (subject.needed_from() for subject in self._subjects.values() if subject.marks)
        return min((offset for offset in needed if offset >= oldest), default=end_offset)

    def forget_silent(self, end_offset: int) -> Iterator[Trend]:
        """Forget whose record is so old that it would soon be too old; give their minutes."""
        oldest = end_offset - SILENT_RECORDS
        silent = {
            name: one
            for name, one in self._subjects.items()
            if not one.marks or one.needed_from() < oldest
        }
        for subject_id, subject in silent.items():
            del self._subjects[subject_id]
            if subject.minutes:
                yield from _given(subject_id, subject, max(subject.minutes) + 1, end_offset)

    def _subject(self, subject_id: str) -> _Subject | None:
        subject = self._subjects.get(subject_id)
        if subject is None:
            if len(self._subjects) >= N_SUBJECTS_MAX:
                self._counts["observations_beyond_bounds"] += 1
                return None
            subject = self._subjects[subject_id] = _Subject()
        return subject

    def _add(self, subject: _Subject, observation: Observation) -> bool:
        """Put an Observation into its minute; whether the subject's time may be its time."""
        minute = observation.t_ns // MINUTE_NS
        if minute < subject.first_open:
            self._counts["late_observations"] += 1
            return False
        quantities = subject.minutes.setdefault(minute, {})
        key = (observation.name, observation.algorithm)
        found = quantities.get(key)
        if found is None:
            if len(quantities) >= N_SERIES_MAX:
                self._counts["observations_beyond_bounds"] += 1
                return True
            found = quantities[key] = _Minute()
        if not found.add(observation):
            self._counts["observations_beyond_bounds"] += 1
        return True


def _given(subject_id: str, subject: _Subject, end: int, offset: int) -> Iterator[Trend]:
    """Give the minutes before ``end`` that were seen from their beginning, and forget them."""
    for minute in sorted(one for one in subject.minutes if one < end):
        quantities = subject.minutes.pop(minute)
        mark = subject.mark_of(minute)
        if mark is not None and mark.offset >= offset - HELD_RECORDS_MAX:
            yield from _trends(subject_id, minute, quantities.items())


def _trends(
    subject_id: str, minute: int, quantities: Iterable[tuple[Key, _Minute]]
) -> Iterator[Trend]:
    for (name, algorithm), found in quantities:
        yield found.trend((subject_id, name, algorithm), minute * MINUTE_NS)
