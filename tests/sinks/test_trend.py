from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import fsum
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.frame import NS_PER_S
from ingest.observation import Observation
from processors.sinks import trend as trend_module
from processors.sinks.trend import (
    BACK_FILLED,
    GRACE_NS,
    MINUTE_NS,
    N_VALUES_MAX,
    PartitionTrends,
    Trend,
)
from tests.ingest import records
from tests.ingest.records import T0_NS

assert T0_NS % MINUTE_NS == 0

Points = dict[tuple[tuple[str, str, str], int], Trend]
"""What a store keeps: of two points for one series and minute the later one."""

Record = Sequence[Observation]

seeds = st.integers(0, 2**32).map(Random)
"""Of what is too much to be drawn number by number."""


def points(found: Iterable[Trend]) -> Points:
    return {(one.series, one.t_ns): one for one in found}


def trends() -> PartitionTrends:
    return PartitionTrends(Counter())


def given_by(log: Sequence[Record]) -> Points:
    partition = trends()
    return points(
        one for offset, record in enumerate(log) for one in partition.record(record, offset)
    )


def observation(t_s: float, value: float | None = 72.0, **changes: object) -> Observation:
    reason = None if value is not None else "poor_signal"
    t_ns = T0_NS + round(t_s * NS_PER_S)
    return records.observation(t_ns=t_ns, value=value, reason=reason, **changes)


def expected(observations: Iterable[Observation], first_minute: int, end_minute: int) -> Points:
    """Compute the trends of some minutes in the plainest way."""
    by_minute: dict[tuple[tuple[str, str, str], int], dict[int, Observation]] = {}
    for one in observations:
        series = (one.subject_id, one.name, one.algorithm)
        by_minute.setdefault((series, one.t_ns // MINUTE_NS), {}).setdefault(one.t_ns, one)
    found = {}
    for (series, minute), of_minute in by_minute.items():
        values = sorted(one.value for one in of_minute.values() if one.value is not None)
        if first_minute <= minute - T0_NS // MINUTE_NS < end_minute:
            n = len(values)
            found[series, minute * MINUTE_NS] = Trend(
                series,
                minute * MINUTE_NS,
                fsum(values) / n if n else 0.0,
                min(values, default=0.0),
                max(values, default=0.0),
                n,
                len(of_minute) - n,
                fsum(one.quality for one in of_minute.values()) / len(of_minute),
            )
    return found


def a_day_of(rng: Random, subject_id: str, minutes: int) -> list[Observation]:
    """What follows from one subject: quantities at paces of their own, some of them late."""
    found: list[tuple[float, Observation]] = []
    for name, step_s, late_s in (("heart_rate", 1, 8), ("spo2", 4, 0), ("temperature", 200, 3)):
        for t_s in range(rng.randint(0, 5), 60 * minutes, step_s):
            value = None if rng.random() < 0.2 else rng.uniform(30, 200)
            one = observation(
                t_s + rng.random(), value, name=name, subject_id=subject_id, quality=rng.random()
            )
            found.append((t_s + rng.uniform(0, late_s), one))
    return [one for _, one in sorted(found, key=lambda each: each[0])]


def cut(rng: Random, observations: Sequence[Observation]) -> list[Record]:
    """Share Observations out to records of less than what may be late."""
    ends = sorted({rng.randint(0, len(observations)) for _ in range(len(observations) // 3)})
    return [observations[a:b] for a, b in pairwise((0, *ends, len(observations)))]


@settings(deadline=None, max_examples=40)
@given(seeds)
def test_every_whole_minute_is_given_however_the_observations_were_cut(rng: Random) -> None:
    observations = a_day_of(rng, "p-1", 5)

    # The first minute began before anything was seen.
    assert given_by(cut(rng, observations)) == expected(observations, 1, 4)


@settings(deadline=None, max_examples=40)
@given(seeds)
def test_records_that_come_twice_change_nothing(rng: Random) -> None:
    observations = a_day_of(rng, "p-1", 5)
    log = cut(rng, observations)
    # A worker that was killed sends some seconds once more.
    for _ in range(3):
        i_first = rng.randrange(len(log))
        i_end = min(len(log), i_first + rng.randint(1, 5))
        log[i_end:i_end] = log[i_first:i_end]

    assert given_by(log) == expected(observations, 1, 4)


@settings(deadline=None, max_examples=60)
@given(rng=seeds)
def test_restarts_change_nothing(rng: Random) -> None:
    waiting = [cut(rng, a_day_of(rng, f"p-{i}", rng.randint(2, 6))) for i in range(3)]
    log: list[Record] = []
    while waiting := [each for each in waiting if each]:
        log.append(rng.choice(waiting).pop(0))
    undisturbed = given_by(log)
    stored: Points = {}
    partition, offset, committed, n_restarts = trends(), 0, 0, 0

    while offset < len(log):
        end = min(len(log), offset + rng.randint(1, 40))
        for i in range(offset, end):
            stored |= points(partition.record(log[i], i))
        offset = end
        if rng.random() < 0.5:
            needed = partition.first_needed(offset)
            assert committed <= needed <= offset
            committed = needed
        if n_restarts < 6 and rng.random() < 0.2:
            partition, offset, n_restarts = trends(), committed, n_restarts + 1

    assert stored == undisturbed


def test_a_minute_is_given_half_a_minute_after_its_end() -> None:
    partition = trends()
    found = {
        t_s: list(partition.record([observation(t_s, 60.0 + t_s)], i))
        for i, t_s in enumerate((0, 70, 110, 119.5, 120, 149, 150, 151))
    }

    assert {t_s: [one.t_ns for one in given] for t_s, given in found.items() if given} == {
        150: [T0_NS + MINUTE_NS]
    }
    (only,) = found[150]
    assert only.n_values == 3
    assert only.mean == pytest.approx(60 + (70 + 110 + 119.5) / 3)
    assert (only.low, only.high, only.n_missing, only.quality) == (130.0, 179.5, 0, 0.9)


def test_a_quantity_that_is_measured_once_has_a_trend_as_soon_as_the_others() -> None:
    log = [[observation(t_s)] for t_s in range(200)]
    log[90] = [*log[90], observation(90, 37.2, name="body_temperature")]

    found = given_by(log)

    temperature = found[("p-1", "body_temperature", "rr_median"), T0_NS + MINUTE_NS]
    assert (temperature.mean, temperature.n_values) == (37.2, 1)


def test_a_minute_without_a_value_says_how_many_are_missing() -> None:
    found = given_by([[observation(t_s, None, quality=0.25)] for t_s in range(160)])

    (only,) = found.values()
    assert (only.n_values, only.n_missing, only.quality) == (0, 60, 0.25)


def test_what_comes_after_its_minute_is_over_is_counted_and_what_was_stored_is_of_the_past() -> (
    None
):
    counts: Counter[str] = Counter()
    partition = PartitionTrends(counts)
    for t_s in range(200):
        list(partition.record([observation(t_s)], t_s))

    late = [observation(100.5), observation(-86_400, algorithm=BACK_FILLED)]

    assert list(partition.record(late, 200)) == []
    assert counts == {"late_observations": 1}


def test_a_subject_that_falls_silent_has_its_last_minutes_given_and_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trend_module, "SILENT_RECORDS", 300)
    partition = trends()
    given: list[Trend] = []
    for t_s in range(100):
        given += partition.record([observation(t_s)], t_s)
    assert given == []

    assert partition.first_needed(350) == 0
    assert list(partition.forget_silent(300)) == []
    given += partition.forget_silent(301)

    assert [(one.t_ns, one.n_values) for one in given] == [(T0_NS + MINUTE_NS, 40)]
    assert partition.first_needed(350) == 350
    # It is seen from its beginning no more.
    assert list(partition.record([observation(200)], 400)) == []


def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trend_module, "HELD_RECORDS_MAX", 50)
    partition = trends()
    for t_s in range(100):
        list(partition.record([observation(t_s)], t_s))

    assert partition.first_needed(100) == 100
    assert list(partition.record([observation(GRACE_NS / NS_PER_S + 120)], 100)) == []


def test_no_more_is_remembered_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trend_module, "N_SUBJECTS_MAX", 2)
    monkeypatch.setattr(trend_module, "N_SERIES_MAX", 3)
    counts: Counter[str] = Counter()
    partition = PartitionTrends(counts)
    many = [observation(i / 100) for i in range(N_VALUES_MAX + 7)]
    names = [observation(0, name=str(i)) for i in range(5)]
    subjects = [observation(0, subject_id=str(i)) for i in range(4)]

    list(partition.record([*many, *names, *subjects], 0))

    assert counts == {"observations_beyond_bounds": 7 + 3 + 3}
    assert len(partition._subjects) == 2


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_the_mean_is_between_the_least_and_the_greatest(values: list[float]) -> None:
    minute = [observation(60 + i / 100, value) for i, value in enumerate(values)]

    found = given_by([[observation(0)], minute, [observation(200)]])

    only = found[("p-1", "heart_rate", "rr_median"), T0_NS + MINUTE_NS]
    assert (only.low, only.high) == (min(values), max(values))
    assert only.low <= only.mean <= only.high
