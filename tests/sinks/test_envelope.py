import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from ingest.frame import NS_PER_S, Frame, Gap, SamplePeriod, WaveformBlock
from processors.sinks import envelope as envelope_module
from processors.sinks.envelope import Envelope, PartitionEnvelopes
from processors.sinks.envelope_kernel import (
    N_COLUMNS,
    N_SLOT_COLUMNS,
    N_SLOTS,
    SLOT_NS,
    measure_seconds,
    merge_slots,
)
from tests.ingest import records
from tests.ingest.records import HZ_360, T0_NS

Points = dict[tuple[tuple[str, str, str], int], Envelope]
"""What a store keeps: of two points for one series and second the later one."""


def points(found: Iterable[Envelope]) -> Points:
    return {(one.series, one.t_ns): one for one in found}


def envelopes() -> PartitionEnvelopes:
    return PartitionEnvelopes(Counter())


def given_by(log: Sequence[Frame]) -> Points:
    partition = envelopes()
    return points(one for offset, frame in enumerate(log) for one in partition.frame(frame, offset))


def slots_of(counts: Sequence[Sequence[int]]) -> bytes:
    """The parts of a second as an Envelope has them, from the counts in each."""
    rows = [[len(each), min(each), max(each)] if each else [0, 0, 0] for each in counts]
    return np.array(rows, dtype=np.int64).tobytes()


@dataclass(frozen=True)
class Stream:
    """A channel as it was sampled: what is not in a gap was received."""

    counts: np.ndarray
    period: SamplePeriod
    t0_ns: int
    gaps: tuple[tuple[int, int], ...] = ()
    subject_id: str = "p-1"
    channel: str = "ecg"
    i_first: int = 700

    def time_ns(self, i: int) -> int:
        epoch_ns = self.t0_ns - self.period.offset_ns(self.i_first)
        return epoch_ns + self.period.offset_ns(self.i_first + i)

    def is_missing(self, i: int) -> bool:
        return any(begin <= i < end for begin, end in self.gaps)

    def frames(self, cuts: Iterable[int]) -> list[Frame]:
        """Cut the stream into Frames before these samples."""
        n = self.counts.size
        ends = sorted({cut for cut in cuts if 0 < cut < n} | {n})
        return [
            self._frame(sequence, begin, end)
            for sequence, (begin, end) in enumerate(itertools.pairwise((0, *ends)))
        ]

    def _frame(self, sequence: int, begin: int, end: int) -> Frame:
        items: list[WaveformBlock | Gap] = []
        for missing, places in itertools.groupby(range(begin, end), self.is_missing):
            found = list(places)
            items.append(self._item(found[0], found[-1] + 1, missing=missing))
        return records.frame(
            *(item for item in items if isinstance(item, WaveformBlock)),
            gaps=tuple(item for item in items if isinstance(item, Gap)),
            sequence=sequence,
            subject_id=self.subject_id,
        )

    def _item(self, begin: int, end: int, *, missing: bool) -> WaveformBlock | Gap:
        place = {"i_first": self.i_first + begin, "t0_ns": self.time_ns(begin)}
        if missing:
            return records.gap(channel=self.channel, n_samples=end - begin, **place)
        return records.block(
            self.counts[begin:end], channel=self.channel, period=self.period, **place
        )

    def expected(self) -> Points:
        """Compute the envelopes of the seconds that are whole, in the plainest way."""
        by_second: dict[int, list[int]] = {}
        by_slot: dict[int, list[int]] = {}
        for i, count in enumerate(self.counts.tolist()):
            by_second.setdefault(self.time_ns(i) // NS_PER_S, [])
            if not self.is_missing(i):
                by_second[self.time_ns(i) // NS_PER_S].append(count)
                by_slot.setdefault(self.time_ns(i) // SLOT_NS, []).append(count)
        series = (self.subject_id, "strap-1", self.channel)
        first, last = self.time_ns(-1) // NS_PER_S, self.time_ns(self.counts.size) // NS_PER_S
        return points(
            Envelope(
                series,
                second * NS_PER_S,
                min(found),
                max(found),
                sum(found) / len(found),
                len(found),
                slots_of([by_slot.get(N_SLOTS * second + i, []) for i in range(N_SLOTS)]),
            )
            for second, found in by_second.items()
            if found and first < second < last
        )


def stream(rng: Random, **fixed: object) -> Stream:
    n = rng.randint(1, 60)
    gaps = [(rng.randint(1, n), rng.randint(1, 20)) for _ in range(rng.randint(0, 3))]
    fields: dict[str, object] = {
        "counts": np.array([rng.randint(-(2**31), 2**31 - 1) for _ in range(n)], dtype=np.int32),
        "period": SamplePeriod(
            ns_numerator=rng.randint(50, 2_500) * 10**6, ns_denominator=rng.randint(1, 7)
        ),
        "t0_ns": T0_NS + rng.randint(0, 10**10),
        # A stream neither begins with a gap nor ends with one.
        "gaps": tuple((begin, min(begin + length, n - 1)) for begin, length in gaps),
        **fixed,
    }
    return Stream(**fields)  # type: ignore[arg-type]


def cuts(rng: Random) -> list[int]:
    return [rng.randint(1, 60) for _ in range(rng.randint(0, 12))]


seeds = st.integers(0, 2**32).map(Random)
"""Of what is too much to be drawn number by number."""


@settings(deadline=None)
@given(seeds)
def test_every_whole_second_is_given_however_the_samples_were_cut(rng: Random) -> None:
    sampled = stream(rng)

    assert given_by(sampled.frames(cuts(rng))) == sampled.expected()


@settings(deadline=None)
@given(seeds)
def test_frames_that_come_twice_change_nothing(rng: Random) -> None:
    sampled = stream(rng)
    log = sampled.frames(cuts(rng))
    for _ in range(3):
        i_frame = rng.randrange(len(log))
        log.insert(rng.randint(i_frame, len(log)), log[i_frame])

    assert given_by(log) == sampled.expected()


def partition_log(rng: Random, *, repeats: bool) -> list[Frame]:
    """A partition: subjects side by side, Frames that are missing, and Frames twice."""
    waiting = [
        stream(rng, subject_id=f"p-{i}", channel=f"c-{i % 2}").frames(cuts(rng))
        for i in range(rng.randint(1, 3))
    ]
    log: list[Frame] = []
    while waiting := [frames for frames in waiting if frames]:
        frame = rng.choice(waiting).pop(0)
        happens = rng.randrange(15)
        if happens > 0:
            log.append(frame)
        if repeats and happens in {1, 2}:
            log.append(frame if happens == 1 else rng.choice(log))
    return log


@pytest.mark.parametrize(("n_held", "repeats"), [(2, False), (5, False), (5_000, True)])
@settings(deadline=None, max_examples=300)
@given(rng=seeds)
def test_restarts_change_nothing(n_held: int, repeats: bool, rng: Random) -> None:  # noqa: FBT001
    log = partition_log(rng, repeats=repeats)
    stored: Points = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(envelope_module, "HELD_RECORDS_MAX", n_held)
        undisturbed = given_by(log)
        partition, offset, committed, n_restarts = envelopes(), 0, 0, 0
        while offset < len(log):
            end = min(len(log), offset + rng.randint(1, 4))
            for i in range(offset, end):
                stored |= points(partition.frame(log[i], i))
            offset = end
            if rng.random() < 0.5:
                committed = partition.first_needed(offset)
                assert offset - n_held <= committed <= offset
            if rng.random() < 0.5:
                partition.forget_silent(offset)
            if n_restarts < 4 and rng.random() < 0.25:
                partition, offset, n_restarts = envelopes(), committed, n_restarts + 1

    assert stored == undisturbed


def test_a_second_of_which_the_beginning_was_not_seen_is_not_given() -> None:
    late = records.block([5] * 700, i_first=100, t0_ns=T0_NS + HZ_360.offset_ns(100))

    (only,) = envelopes().frame(records.frame(late), 0)

    assert (only.t_ns, only.n_samples) == (T0_NS + NS_PER_S, 360)


def test_a_second_is_given_as_soon_as_its_last_sample_has_come() -> None:
    whole = records.block([-3, *[5] * 358, 1])

    (only,) = envelopes().frame(records.frame(whole), 0)

    series = ("p-1", "strap-1", "ecg/MLII")
    # 360 Hz: 14 or 15 samples in 40 ms.
    ends = [-(-360 * (i + 1) // N_SLOTS) for i in range(N_SLOTS)]
    counts = [-3, *[5] * 358, 1]
    slots = slots_of([counts[a:b] for a, b in itertools.pairwise((0, *ends))])
    assert only == Envelope(series, T0_NS, -3, 5, (358 * 5 - 2) / 360, 360, slots)


def test_what_is_missing_is_not_among_the_samples_of_a_second() -> None:
    first = records.block([1] * 100)
    missing = records.gap(i_first=100, n_samples=350, t0_ns=T0_NS + HZ_360.offset_ns(100))
    last = records.block([9] * 270, i_first=450, t0_ns=T0_NS + HZ_360.offset_ns(450))

    found = list(envelopes().frame(records.frame(first, last, gaps=(missing,)), 0))

    assert [(one.t_ns, one.n_samples, one.mean) for one in found] == [
        (T0_NS, 100, 1.0),
        (T0_NS + NS_PER_S, 270, 9.0),
    ]


def test_a_second_with_a_missing_frame_is_given_up() -> None:
    parts = [
        records.frame(
            records.block([7] * 90, i_first=i * 90, t0_ns=T0_NS + HZ_360.offset_ns(i * 90)),
            sequence=i,
        )
        for i in range(12)
    ]
    del parts[5]

    assert sorted(t_ns for _, t_ns in given_by(parts)) == [T0_NS, T0_NS + 2 * NS_PER_S]


def test_no_more_series_are_remembered_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelope_module, "N_SERIES_MAX", 3)
    counts: Counter[str] = Counter()
    partition = PartitionEnvelopes(counts)

    for i in range(10):
        block = records.block(channel=str(i))
        assert not list(partition.frame(records.frame(block, subject_id=str(i)), i))
        assert len(partition._channels) <= 3
        assert len(partition._senders) <= 3

    assert counts["forgotten_series"] == 9


def test_samples_that_come_late_are_counted_and_in_no_envelope() -> None:
    counts: Counter[str] = Counter()
    partition = PartitionEnvelopes(counts)
    now = records.block([1] * 360, t0_ns=T0_NS + 10 * NS_PER_S, i_first=3600)

    list(partition.frame(records.frame(now), 0))
    late = list(partition.frame(records.frame(records.block([1] * 360), sequence=1), 1))

    assert late == []
    assert counts["late_samples"] == 360


def test_a_second_for_each_sample_of_the_longest_period_is_given_piece_by_piece() -> None:
    slowest = SamplePeriod(ns_numerator=10**12, ns_denominator=1)
    block = records.block(np.arange(70_000), period=slowest, t0_ns=0)

    found = envelopes().frame(records.frame(block), 0)

    assert next(found).high == 0
    assert sum(1 for _ in found) == 69_999


@settings(deadline=None)
@given(records.blocks, st.integers(0, 40), st.integers(-1, 2**62))
def test_the_compiled_kernel_is_the_plain_one(
    block: WaveformBlock, i_first: int, after_ns: int
) -> None:
    period = block.period
    remainder = block.i_first * period.ns_numerator % period.ns_denominator
    results = []
    for measure in (measure_seconds, measure_seconds.py_func):  # type: ignore[attr-defined]
        rows = np.zeros((block.n_samples, N_COLUMNS), dtype=np.int64)
        slots = np.zeros((block.n_samples, N_SLOTS, N_SLOT_COLUMNS), dtype=np.int64)
        n_rows = measure(
            block.counts,
            min(i_first, block.n_samples),
            block.n_samples,
            block.t0_ns,
            period.ns_numerator,
            period.ns_denominator,
            remainder,
            after_ns,
            rows,
            slots,
        )
        results.append((rows[:n_rows].tolist(), slots[:n_rows].tolist()))

    assert results[0] == results[1]


_parts = npst.arrays(np.int64, (N_SLOTS, N_SLOT_COLUMNS), elements=st.integers(0, 3))


@settings(deadline=None)
@given(_parts, _parts)
def test_the_compiled_merge_is_the_plain_one(into: np.ndarray, more: np.ndarray) -> None:
    merged = [into.copy(), into.copy()]
    merge_slots(merged[0], more)
    merge_slots.py_func(merged[1], more)  # type: ignore[attr-defined]

    assert merged[0].tolist() == merged[1].tolist()


def test_the_parts_of_a_second_are_on_its_grid_and_those_without_a_sample_say_so() -> None:
    first = records.block([7] * 90)
    missing = records.gap(i_first=90, n_samples=180, t0_ns=T0_NS + NS_PER_S // 4)
    last = records.block([-9] * 90, i_first=270, t0_ns=T0_NS + 3 * NS_PER_S // 4)

    (only,) = envelopes().frame(records.frame(first, last, gaps=(missing,)), 0)

    parts = np.frombuffer(only.slots, dtype=np.int64).reshape(N_SLOTS, N_SLOT_COLUMNS)
    assert parts[:, 0].sum() == only.n_samples == 180
    assert parts[:6, 1:].tolist() == [[7, 7]] * 6
    assert parts[7:18].tolist() == [[0, 0, 0]] * 11
    assert parts[19:, 1:].tolist() == [[-9, -9]] * 6


def test_a_frame_of_another_agent_ends_what_the_first_one_began() -> None:
    half = [
        records.block([1] * 180),
        records.block([2] * 181, i_first=180, t0_ns=T0_NS + NS_PER_S // 2),
    ]
    partition = envelopes()

    found = list(partition.frame(records.frame(half[0]), 0))
    found += partition.frame(replace(records.frame(half[1]), agent_id="agent-2"), 1)

    assert found == []
