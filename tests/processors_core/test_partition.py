"""The pipelines of a partition: whatever is cut, killed or overtaken, the output is the same."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from devices import codes
from ingest.checkpoint import Checkpoint
from ingest.frame import NS_PER_S, Frame, Reading
from processors import partition as partition_module
from processors.checkpoint_schedule import CheckpointSchedule
from processors.dsp.state import StateError
from processors.order_counts import OrderCounts
from processors.partition import (
    SILENT_MS,
    FrameFailedError,
    Partition,
    Snapshot,
    newest_time_ns,
)
from processors.pipeline import SubjectPipeline

START_NS = 1_790_000_000 * NS_PER_S
DAY_MS = 86_400_000


def frame(subject: str, n: int, t_s: int | None = None) -> Frame:
    reading = Reading(
        device_id="ox-1",
        mdc_code=codes.SPO2.mdc,
        unit="%",
        value=90.0,
        t_ns=START_NS + (n if t_s is None else t_s) * NS_PER_S,
    )
    return Frame(subject_id=subject, agent_id="a-1", sequence=n, readings=(reading,))


class Chain:
    """A pipeline whose every output depends on all Frames before it, and on their order."""

    n_samples_repeated = 0
    order_counts = OrderCounts()

    def __init__(self, subject_id: str, so_far: int = 7) -> None:
        self.subject_id = subject_id
        self.so_far = so_far

    def process(self, taken: Frame) -> list[Any]:
        if taken.sequence == 666:
            raise ZeroDivisionError("a bug")
        self.so_far = hash((self.so_far, newest_time_ns(taken)))
        return [(self.subject_id, newest_time_ns(taken), self.so_far)]

    def to_bytes(self) -> bytes:
        return json.dumps([self.subject_id, self.so_far]).encode()

    @classmethod
    def from_bytes(cls, state: bytes) -> "Chain":
        if state == b"of another version":
            raise StateError("state is of another version")
        return cls(*json.loads(state))


def new_partition(writer: str) -> Partition:
    build, restore = cast(Any, Chain), cast(Any, Chain.from_bytes)
    return Partition(writer, "1.0", build=build, restore=restore)


@dataclass
class World:
    """What Kafka would hold, and the worker that has the partition."""

    log: Sequence[Frame]

    def __post_init__(self) -> None:
        self.topic: dict[str, Checkpoint] = {}
        self.committed = 0
        self.delivered: set[Any] = set()
        self.n_workers = 0
        self.taken: list[tuple[Partition, Snapshot, list[Any]]] = []
        self.start_worker()

    def start_worker(self) -> None:
        self.n_workers += 1
        self.on_its_way: list[Any] = []
        self.partition = new_partition(f"w{self.n_workers}")
        self.partition.load(dict(self.topic))
        self.offset = self.committed

    def process(self, n: int) -> None:
        for offset in range(self.offset, min(self.offset + n, len(self.log))):
            self.on_its_way += self.partition.process(offset, offset, self.log[offset])
            self.offset = offset + 1

    def deliver(self) -> None:
        self.delivered.update(self.on_its_way)
        self.on_its_way.clear()

    def take(self, subject: str) -> None:
        if snapshot := self.partition.take(subject):
            self.taken.append((self.partition, snapshot, [*self.on_its_way]))

    def store_one(self) -> None:
        """What was taken first is written: also what a worker took that is dead by now."""
        self.deliver()
        if self.taken:
            owner, snapshot, said_before = self.taken.pop(0)
            self.delivered.update(said_before)  # whoever writes a state has waited for that
            self.topic[snapshot.key] = snapshot.checkpoint
            if owner is self.partition:
                for key in owner.saved(snapshot):
                    self.topic.pop(key, None)

    def store_taken(self) -> None:
        while self.taken:
            self.store_one()

    def commit(self) -> None:
        self.deliver()
        committable = self.partition.committable()
        if committable is not None:
            self.committed = committable

    def read_again(self) -> None:
        """A rebalance after which the partition is ours again."""
        self.offset = self.committed


SUBJECTS = "abc"
STEPS = st.one_of(
    st.tuples(st.just("process"), st.integers(1, 6)),
    st.tuples(st.just("take"), st.sampled_from(SUBJECTS)),
    st.tuples(
        st.sampled_from(
            ["store_one", "store_taken", "deliver", "commit", "read_again", "start_worker"]
        )
    ),
)
KILLED_BETWEEN_TAKING_AND_STORING = [
    ("process", 1),
    ("take", "a"),
    ("process", 1),
    ("store_taken",),
    ("commit",),
    ("start_worker",),
]
STORED_WHILE_A_NEWER_ONE_IS_ON_ITS_WAY = [
    ("process", 1),
    ("take", "a"),
    ("process", 1),
    ("take", "a"),
    ("store_one",),
    ("commit",),
    ("start_worker",),
]
STORED_TWICE = [
    *2 * [("process", 1), ("take", "a"), ("store_taken",)],
    ("commit",),
    ("start_worker",),
]
WRITTEN_BY_ONE_THAT_WAS_THOUGHT_DEAD = [
    ("process", 1),
    ("take", "a"),
    ("process", 1),
    ("start_worker",),
    ("process", 3),
    ("take", "a"),
    ("store_taken",),
    ("start_worker",),
]
WRITTEN_BY_ONE_THAT_WAS_HELD_UP = [
    ("process", 1),
    ("take", "a"),
    ("start_worker",),
    ("store_one",),
    ("start_worker",),
]


FRAMES = st.lists(st.tuples(st.sampled_from(SUBJECTS), st.integers(0, 9)), max_size=30)
"""Whose Frame it is, and of when: what was fetched late comes late."""


@given(who=FRAMES, steps=st.lists(STEPS, max_size=40))
@example(who=[("a", 0), ("a", 1), ("b", 2), ("a", 3)], steps=KILLED_BETWEEN_TAKING_AND_STORING)
@example(who=[("a", 0), ("a", 1), ("b", 2), ("a", 3)], steps=STORED_WHILE_A_NEWER_ONE_IS_ON_ITS_WAY)
@example(who=[("a", 0), ("a", 1), ("b", 2), ("a", 3)], steps=STORED_TWICE)
@example(who=[("a", 0), ("a", 1), ("b", 2), ("a", 3)], steps=WRITTEN_BY_ONE_THAT_WAS_THOUGHT_DEAD)
@example(who=[("a", 0)], steps=WRITTEN_BY_ONE_THAT_WAS_HELD_UP)
def test_no_kill_and_no_rebalance_changes_what_comes_out(
    who: list[tuple[str, int]], steps: list[tuple[Any, ...]]
) -> None:
    log = [frame(subject, n, t_s) for n, (subject, t_s) in enumerate(who)]
    undisturbed = {one: Chain(one) for one in SUBJECTS}
    expected = {out for one in log for out in undisturbed[one.subject_id].process(one)}
    world = World(log)

    for name, *arguments in steps:
        getattr(world, name)(*arguments)
    world.process(len(log))
    world.deliver()

    assert world.delivered == expected


@given(who=st.lists(st.sampled_from(SUBJECTS), min_size=1, max_size=30))
def test_all_can_be_committed_when_all_is_stored(who: list[str]) -> None:
    world = World([frame(subject, n) for n, subject in enumerate(who)])

    world.process(len(who))
    for subject in list(world.partition.unsaved()):
        world.take(subject)
    world.store_taken()
    world.commit()

    assert world.committed == len(who)
    assert len(world.topic) == len(set(who))


def test_the_real_pipeline_continues_where_it_stood() -> None:
    log = [frame("a", n) for n in range(20)]
    whole = SubjectPipeline("a")
    expected = [out for one in log for out in whole.process(one)]
    first, second = Partition("w1", "1.0"), Partition("w2", "1.0")

    found = [out for n, one in enumerate(log[:12]) for out in first.process(n, n, one)]
    snapshot = first.take("a")
    assert snapshot is not None
    second.load({snapshot.key: snapshot.checkpoint})
    found += [out for n, one in enumerate(log) for out in second.process(n, n, one)]

    assert found == expected
    assert second.counts.n_skipped == 12


def test_of_several_states_the_one_furthest_on_counts_and_the_others_are_deleted() -> None:
    log = [frame("a", n) for n in range(6)]
    late, early = new_partition("w2"), new_partition("w1")
    for n, one in enumerate(log[:4]):
        late.process(n, n, one)
    early.process(0, 0, log[0])
    taken = [part.take("a") for part in (late, early)]
    kept = {one.key: one.checkpoint for one in taken if one is not None}
    third = new_partition("w3")

    third.load(kept)
    outputs = [third.process(n, n, one) for n, one in enumerate(log)]
    snapshot = third.take("a")

    assert [len(one) for one in outputs] == [0, 0, 0, 0, 1, 1]
    assert snapshot is not None
    assert third.saved(snapshot) == ["a/w1", "a/w2"]


def test_a_state_that_cannot_be_used_is_begun_anew_behind_the_place_where_it_stood() -> None:
    one = new_partition("w1")
    one.process(0, 0, frame("a", 0))
    snapshot = one.take("a")
    assert snapshot is not None
    fields: dict[str, Any] = {"subject_id": "a", "next_offset": 1, "record_ms": 0, "program": "0"}
    kept = {
        "other version": Checkpoint.of(b"of another version", newest_ns=START_NS, **fields),
        "not zstd": Checkpoint(newest_ns=START_NS, n_bytes=9, packed=b"junk", **fields),
        "too long": Checkpoint(newest_ns=START_NS, n_bytes=2**31 - 1, packed=b"", **fields),
    }
    for checkpoint in kept.values():
        partition = new_partition("w2")
        partition.load({"a/w1": checkpoint})

        assert partition.process(0, 0, frame("a", 0)) == []
        assert partition.process(1, 1, frame("a", 1)) == Chain("a").process(frame("a", 1))
        assert partition.counts.n_rearmed == 1


def test_a_record_that_is_no_checkpoint_is_counted_and_deleted_with_the_next_one() -> None:
    partition = new_partition("w2")
    partition.load({"a/w1": None})

    partition.process(0, 0, frame("a", 0))
    snapshot = partition.take("a")

    assert partition.counts.n_rearmed == 1
    assert snapshot is not None
    assert partition.saved(snapshot) == ["a/w1"]


def test_a_topic_made_anew_is_not_taken_for_what_was_processed() -> None:
    old = new_partition("w1")
    for n in range(50):
        old.process(n, n, frame("a", n))
    snapshot = old.take("a")
    assert snapshot is not None
    partition = new_partition("w2")
    partition.load({snapshot.key: snapshot.checkpoint})

    outputs = [partition.process(n, n, frame("a", 50 + n)) for n in range(3)]

    assert [len(one) for one in outputs] == [1, 1, 1]
    assert partition.counts.n_restarted == 1
    assert partition.committable() == 0


def test_a_frame_that_the_pipeline_cannot_take_begins_its_subject_anew_and_no_other() -> None:
    partition = new_partition("w1")
    partition.process(0, 0, frame("a", 0))
    partition.process(1, 1, frame("b", 1))

    with pytest.raises(FrameFailedError, match="ZeroDivisionError: a bug"):
        partition.process(2, 2, frame("a", 666))

    assert partition.counts.n_failed == 1
    assert partition.process(3, 3, frame("a", 3)) == Chain("a").process(frame("a", 3))
    whole = Chain("b")
    whole.process(frame("b", 1))
    assert partition.process(4, 4, frame("b", 4)) == whole.process(frame("b", 4))


def test_records_that_are_gone_are_counted() -> None:
    partition = new_partition("w1")
    partition.process(5, 5, frame("a", 0))

    partition.process(9, 9, frame("a", 1))

    assert partition.counts.n_jumped == 3


def test_a_subject_that_was_silent_for_too_long_is_forgotten_and_begins_anew() -> None:
    partition = new_partition("w1")
    partition.process(0, 0, frame("a", 0))
    snapshot = partition.take("a")
    assert snapshot is not None
    partition.saved(snapshot)
    later = SILENT_MS + DAY_MS + 1

    partition.process(1, later, frame("b", 1))
    assert partition.forget_silent() == []  # one record from the far future makes nobody silent
    partition.process(2, later, frame("b", 2))

    assert partition.forget_silent() == ["a/w1"]
    assert len(partition) == 1
    assert partition.process(3, later, frame("a", 3)) == Chain("a").process(frame("a", 3))


def test_a_subject_begins_anew_after_a_long_silence_whether_or_not_it_was_forgotten() -> None:
    partition = new_partition("w1")
    partition.process(0, 0, frame("a", 0))

    assert partition.process(1, SILENT_MS + 1, frame("a", 1)) == Chain("a").process(frame("a", 1))


def test_the_subject_heard_of_least_lately_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition_module, "SUBJECTS_MAX", 2)
    partition = new_partition("w1")
    for n, subject in enumerate("abac"):
        partition.process(n, n, frame(subject, n))

    assert len(partition) == 2
    assert partition.counts.n_evicted == 1
    assert partition.process(4, 4, frame("b", 4)) == Chain("b").process(frame("b", 4))


def test_a_state_taken_again_without_anything_new_is_the_same_one() -> None:
    partition = new_partition("w1")
    partition.process(0, 0, frame("a", 0))

    first = partition.take("a")

    assert first is not None
    assert partition.take("a") is first
    partition.saved(first)
    assert partition.take("a") is None
    assert partition.take("nobody") is None


INTERVAL_S = 10.0


def test_states_are_written_at_about_the_interval_and_not_all_at_once() -> None:
    schedule = CheckpointSchedule(INTERVAL_S)
    names = [f"subject-{n}" for n in range(200)]
    written: dict[str, list[float]] = {name: [] for name in names}
    per_tick = []
    for tick in range(240):
        now_s = 0.5 * tick
        for name in names:
            schedule.touched(name, now_s)
        due = schedule.due(now_s)
        per_tick.append(len(due))
        for name in due:
            schedule.written(name, now_s)
            written[name].append(now_s)

    assert max(per_tick) < 40
    for times in written.values():
        gaps = [after - before for before, after in pairwise(times)]
        assert times[0] <= INTERVAL_S
        assert gaps
        assert all(INTERVAL_S <= gap <= INTERVAL_S + 0.5 for gap in gaps)


def test_a_subject_that_falls_silent_is_written_once_more_and_not_again() -> None:
    schedule = CheckpointSchedule(INTERVAL_S)
    schedule.touched("a", 0.0)

    assert schedule.age_s(4.0) == 4.0
    assert schedule.due(INTERVAL_S) == ["a"]
    schedule.written("a", INTERVAL_S)
    assert schedule.due(1_000.0) == []
    assert schedule.age_s(1_000.0) == 0.0
