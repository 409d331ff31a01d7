"""Frames in any order, repeated, missing, late, numbered anew: each is put in its place or told."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import codes
from ingest.frame import NS_PER_S, Frame, Reading
from ingest.observation import AlarmEvent
from processors.alarms.technical import QUIET_NS
from processors.dsp.state import MalformedStateError, State
from processors.frame_numbering import AHEAD_MAX, HOLES_MAX, Numbering
from processors.frame_order import (
    AGENTS_MAX,
    HELD_BYTES_MAX,
    HELD_FRAMES_MAX,
    HELD_NS_MAX,
    BeginAgain,
    FrameOrder,
)
from processors.frame_times import FAR_NS
from processors.order_counts import COUNTED
from processors.partition import Partition
from tests.ingest import records

S = NS_PER_S
FRAME_NS = S // 4
AGENT = "a-1"


def frame(
    sequence: int,
    t_ns: int | None = None,
    agent_id: str = AGENT,
    **parts: Any,  # noqa: ANN401 - any part
) -> Frame:
    """A Frame with three samples, a quarter of a second after the one before."""
    at_ns = records.T0_NS + sequence * FRAME_NS if t_ns is None else t_ns
    block = records.block((sequence % 1000, 1, 2), i_first=3 * (sequence % 10**9), t0_ns=at_ns)
    fields: dict[str, Any] = {"waveforms": (block,), **parts}
    return Frame(subject_id="p-1", agent_id=agent_id, sequence=sequence, **fields)


def frames(first: int, end: int, agent_id: str = AGENT) -> list[Frame]:
    return [frame(n, agent_id=agent_id) for n in range(first, end)]


def taken(order: FrameOrder, delivered: Iterable[Frame]) -> list[Frame]:
    return [one for frame in delivered for one in order.take(frame) if isinstance(one, Frame)]


def alarms(order: FrameOrder, delivered: Iterable[Frame]) -> list[AlarmEvent]:
    return [one for frame in delivered for one in order.take(frame) if isinstance(one, AlarmEvent)]


def sequences(found: Iterable[Frame]) -> list[int]:
    return [one.sequence for one in found]


def disordered(
    given_frames: Sequence[Frame], random: Random, *, n_ahead_max: int, n_again: int
) -> list[Frame]:
    """No Frame but the first moves further than the bound; some come again, at once or later."""
    first, *rest = given_frames
    by_delay = sorted(
        enumerate(rest), key=lambda one: (one[0] + random.randint(0, n_ahead_max), one[0])
    )
    delivered = [first, *(frame for _, frame in by_delay)]
    for _ in range(n_again):
        n = random.randrange(len(delivered))
        delivered.insert(random.randint(n + 1, len(delivered)), delivered[n])
    return delivered


@settings(deadline=None)
@given(
    random=st.randoms(use_true_random=False),
    first=st.integers(0, 10**12),
    n_again=st.integers(0, 30),
    n_cuts=st.integers(0, 3),
)
def test_any_order_within_the_bound_any_repeats_any_restart_give_the_order_of_the_agent(
    random: Random, first: int, n_again: int, n_cuts: int
) -> None:
    start_ns = records.T0_NS
    made = [frame(first + n, start_ns + n * FRAME_NS) for n in range(60)]
    n_ahead_max = HELD_NS_MAX // FRAME_NS - 1
    delivered = disordered(made, random, n_ahead_max=n_ahead_max, n_again=n_again)
    order = FrameOrder("p-1")

    found: list[Frame] = []
    cuts = {random.randrange(len(delivered)) for _ in range(n_cuts)}
    for n, one in enumerate(delivered):
        if n in cuts:
            order = FrameOrder.from_bytes(order.to_bytes(), "p-1")
        found += taken(order, [one])

    assert found == made
    assert order.counts.n_frames_repeated == n_again
    assert order.counts.n_samples_repeated == 3 * n_again
    assert order.counts.n_frames_missing == order.counts.n_frames_late == 0


def test_a_frame_in_its_turn_passes_as_it_is() -> None:
    order = FrameOrder("p-1")
    one, two = frames(7, 9)

    assert order.take(one)[0] is one
    assert order.take(two)[0] is two


def test_a_hole_is_given_up_when_enough_event_time_has_come_behind_it() -> None:
    order = FrameOrder("p-1")
    n_waiting = HELD_NS_MAX // FRAME_NS + 1

    before = taken(order, [frame(0), *frames(3, 3 + n_waiting)])
    behind = order.take(frame(3 + n_waiting))

    assert sequences(before) == [0]
    told, *rest = behind
    assert isinstance(told, AlarmEvent)
    assert (told.name, told.active) == ("frames_missing", True)
    assert told.t_ns == frame(3).waveforms[0].t0_ns
    assert told.detail == "2 missing of agent a-1: sequence 1 to 2"
    assert rest == frames(3, 4 + n_waiting)
    assert order.counts.n_frames_missing == 2


def test_a_hole_is_given_up_when_enough_frames_have_come_behind_it() -> None:
    order = FrameOrder("p-1")
    made = [frame(n, records.T0_NS) for n in range(HELD_FRAMES_MAX + 3)]

    held = taken(order, [made[0], *made[2:-1]])
    given_up = taken(order, [made[-1]])

    assert sequences(held) == [0]
    assert given_up == made[2:]


def test_a_hole_is_given_up_when_what_is_held_is_too_much() -> None:
    order = FrameOrder("p-1")
    counts = [2**30] * (HELD_BYTES_MAX // 10)
    big = [
        frame(n, waveforms=(records.block(counts, t0_ns=records.T0_NS + n),)) for n in range(2, 6)
    ]

    order.take(frame(0))
    n_given = [len(taken(order, [one])) for one in big]

    assert n_given[0] == 0
    assert sum(n_given) == len(big)


def test_of_several_holes_each_waits_for_itself() -> None:
    order = FrameOrder("p-1")
    n_waiting = HELD_NS_MAX // FRAME_NS

    found = taken(order, [frame(0), *frames(2, 10), *frames(11, 3 + n_waiting)])
    assert sequences(found) == [0]
    assert sequences(taken(order, [frame(3 + n_waiting)])) == list(range(2, 10))
    assert sequences(taken(order, [frame(10)])) == list(range(10, 4 + n_waiting))
    assert order.counts.n_frames_missing == 1


def test_what_comes_after_its_hole_was_given_up_is_late_and_its_readings_go_on() -> None:
    order = FrameOrder("p-1")
    late = frame(1, readings=(records.reading(),), events=(records.event(),))
    taken(order, [frame(0), *frames(3, 40)])

    [found] = order.take(late)
    again = order.take(late)

    assert found == replace(late, waveforms=())
    assert again == ()
    assert (order.counts.n_frames_late, order.counts.n_samples_late) == (1, 3)
    assert order.counts.n_frames_repeated == 1
    assert sequences(taken(order, [frame(40)])) == [40]


def test_what_is_from_before_the_beginning_is_late() -> None:
    order = FrameOrder("p-1")
    taken(order, frames(5, 9))

    [found] = order.take(frame(4))

    assert isinstance(found, Frame)
    assert found.waveforms == ()
    assert order.counts.n_frames_late == 1


def test_the_alarm_ends_a_minute_after_the_last_hole() -> None:
    order = FrameOrder("p-1")
    delivered = [frame(0), *frames(2, 100), *frames(101, 600)]

    found = alarms(order, delivered)

    assert [one.active for one in found] == [True, True, False]
    assert len({one.identity for one in found}) == 3
    assert found[1].t_ns == frame(101).waveforms[0].t0_ns
    assert found[2].t_ns - found[1].t_ns == QUIET_NS


@pytest.mark.parametrize("first", [0, 17, 5 + AHEAD_MAX + 100, 1_790_000_000_000])
def test_a_numbering_that_begins_anew_is_no_hole_and_no_repetition(first: int) -> None:
    order = FrameOrder("p-1")
    before = frames(0, 100)
    start_ns = records.T0_NS + 3600 * S
    after = [frame(first + n, start_ns + n * FRAME_NS) for n in range(20)]

    found = taken(order, [*before, *after])

    assert found == [*before, *after]
    assert order.counts.n_agents_begun_anew == 1
    assert order.counts.n_frames_missing == 0
    assert taken(order, [before[3], before[99], after[0], after[19]]) == []
    assert order.counts.n_frames_repeated == 4


def test_what_is_held_of_the_numbering_before_goes_on_before_the_new_one() -> None:
    order = FrameOrder("p-1")
    anew = frame(0, records.T0_NS + 60 * S)

    found = taken(order, [*frames(3, 6), *frames(8, 10), anew])

    assert found == [*frames(3, 6), *frames(8, 10), anew]
    assert order.counts.n_frames_missing == 2


def test_two_agents_do_not_wait_for_each_other() -> None:
    order = FrameOrder("p-1")
    held = [frame(0), *frames(2, 5)]
    other = frames(0, 5, agent_id="a-2")

    assert sequences(taken(order, held)) == [0]
    assert taken(order, other) == other
    assert taken(order, [frame(1)]) == frames(1, 5)


def test_the_agent_heard_of_longest_ago_is_forgotten_and_what_is_held_of_it_goes_on() -> None:
    order = FrameOrder("p-1")
    taken(order, [frame(0), frame(2)])
    for n in range(1, AGENTS_MAX):
        taken(order, [frame(0, records.T0_NS + S, agent_id=f"b-{n}")])

    [told, held, newest] = order.take(frame(0, records.T0_NS + S, agent_id="c"))

    assert isinstance(told, AlarmEvent)
    assert held == frame(2)
    assert isinstance(newest, Frame)
    assert newest.agent_id == "c"
    assert order.counts.n_agents_forgotten == 1


def test_no_more_holes_are_remembered_than_make_sense() -> None:
    order = FrameOrder("p-1")
    taken(order, frames(0, 1))
    for n in range(2, 100 * 2 * HOLES_MAX, 2):
        taken(order, [frame(n)])

    rows = json.loads(
        State.from_bytes(order.to_bytes(), kind="frame_order", version=1).text("agents")
    )

    assert len(rows[0][1][3]) == HOLES_MAX


def test_a_frame_without_anything_to_process_counts_and_is_not_given() -> None:
    order = FrameOrder("p-1")
    bare = Frame(subject_id="p-1", agent_id=AGENT, sequence=1)

    assert taken(order, [frame(0), bare, frame(2)]) == [frame(0), frame(2)]
    assert taken(order, [bare]) == []


# Times that are far ahead

FAR = records.T0_NS + 100 * FAR_NS


def test_one_frame_of_the_far_future_loses_its_samples_and_nothing_else() -> None:
    order = FrameOrder("p-1")
    reading = records.reading()
    far = frame(5, FAR, readings=(reading,))

    found = taken(order, [*frames(0, 5), far, *frames(6, 9)])

    assert found == [*frames(0, 5), replace(far, waveforms=()), *frames(6, 9)]
    assert order.counts.n_samples_doubted == 3
    assert taken(order, [far]) == []


def test_a_channel_of_the_far_future_is_left_out_of_each_frame() -> None:
    order = FrameOrder("p-1")
    far = records.block(channel="acc/x", t0_ns=FAR)
    made = frames(0, 6)
    strange = [
        replace(one, waveforms=(*one.waveforms, far)) if n else one for n, one in enumerate(made)
    ]

    assert taken(order, strange) == made
    assert order.counts.n_samples_doubted == 5 * far.n_samples


@pytest.mark.parametrize("first", [5, 0, 1_790_000_000_000])
def test_after_days_without_a_sample_nothing_is_lost(first: int) -> None:
    order = FrameOrder("p-1")
    later_ns = records.T0_NS + 3 * FAR_NS
    made = [*frames(0, 5), *(frame(first + n, later_ns + n * FRAME_NS) for n in range(4))]

    found = taken(order, made[:6])
    order = FrameOrder.from_bytes(order.to_bytes(), "p-1")
    found += taken(order, made[6:])

    n_lost = 1 if first == 0 else 0  # who counts anew is believed with the second Frame
    assert sequences(found) == sequences(made)
    assert order.counts.n_samples_doubted == 3 * n_lost


def test_a_first_frame_of_the_far_future_is_forgotten_with_the_second() -> None:
    order = FrameOrder("p-1")

    found = [one for frame in [frame(0, FAR), *frames(1, 4)] for one in order.take(frame)]

    assert found == [frame(0, FAR), BeginAgain.BEGIN_AGAIN, *frames(1, 4)]


def test_a_strange_number_with_a_strange_time_says_nothing_of_the_numbering() -> None:
    order = FrameOrder("p-1")
    strange = frame(3, FAR, readings=(records.reading(t_ns=FAR),), waveforms=())

    found = taken(order, [*frames(0, 9), strange, strange, *frames(9, 12)])

    assert found == [*frames(0, 9), strange, *frames(9, 12)]
    assert order.counts.n_frames_repeated == 1


# State


@settings(max_examples=50, deadline=None)
@given(st.lists(records.frames, max_size=20))
def test_any_frames_leave_an_order_that_can_be_written_and_go_on(hostile: list[Frame]) -> None:
    order, other = FrameOrder("p-1"), FrameOrder("p-1")
    for one in hostile:
        same = replace(one, agent_id=f"a-{one.sequence % 3}")
        found = order.take(same)
        other = FrameOrder.from_bytes(other.to_bytes(), "p-1")

        assert list(other.take(same)) == list(found)
        assert other.to_bytes() == order.to_bytes()


@pytest.mark.parametrize("what", ["agents", "counts", "0/held/0"])
def test_a_damaged_state_is_refused(what: str) -> None:
    order = FrameOrder("p-1")
    taken(order, [frame(0), frame(2)])
    kept = State.from_bytes(order.to_bytes(), kind="frame_order", version=1)
    scalars, children = dict(kept.scalars), dict(kept.children)
    if what in scalars:
        scalars[what] = '[["a-1", [1, 2]]]'
    else:
        children[what] = b"no frame"
    damaged = replace(kept, scalars=scalars, children=children).to_bytes()

    with pytest.raises(MalformedStateError, match="frame_order"):
        FrameOrder.from_bytes(damaged, "p-1")


def test_a_numbering_is_written_and_read_back() -> None:
    numbering = Numbering.beginning(8, 5 * S)
    numbering.skip_to(12)
    numbering.take_next(6 * S)

    assert Numbering.of_row(json.loads(json.dumps(numbering.to_row()))) == numbering


def test_what_was_not_in_order_is_counted_for_a_partition() -> None:
    partition = Partition("w", "1")

    for offset, one in enumerate([frame(0), *frames(3, 40)]):
        partition.process(offset, -1, one)

    counted = dict(zip(COUNTED, partition.counts.out_of_order, strict=True))
    assert counted["frames_missing"] == 2
    assert counted["frames_held"] > 0


def test_a_reading_without_samples_is_never_doubted() -> None:
    """A thermometer may be used once a week."""
    order = FrameOrder("p-1")
    week_ns = 7 * FAR_NS
    made = [
        frame(n, waveforms=(), readings=(temperature(records.T0_NS + n * week_ns),))
        for n in range(5)
    ]

    assert taken(order, made) == made


def temperature(t_ns: int) -> Reading:
    quantity = codes.BODY_TEMPERATURE
    return Reading(
        device_id="t-1", mdc_code=quantity.mdc, unit=quantity.ucum, value=36.8, t_ns=t_ns
    )
