"""The ledger: each sample that was on the air is in exactly one place, at every moment."""

import dataclasses
import json
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.framer import ChannelFormat, Framer
from edge.ledger import Channel, ChannelTotals, Stored, Taken, account_of, account_text, totals_of
from ingest.codec import decode_frame, encode_frame
from ingest.frame import Frame, Gap, GapCause, SamplePeriod, WaveformBlock

PERIOD = SamplePeriod(ns_numerator=1_000_000_000, ns_denominator=130)
T0_NS = 10**18
NEVER_DECODED = [
    GapCause.RADIO_LOSS, GapCause.LINK_LOST, GapCause.AGENT_DOWN,
    GapCause.UNDECODABLE, GapCause.OVERFLOW,
]  # fmt: skip


class Sensor:
    """A channel whose samples are counted at the source."""

    def __init__(self, framer: Framer, name: str) -> None:
        self.framer = framer
        self.name = name
        self.n_on_air = 0
        self.n_before_run = 0

    @property
    def i_next(self) -> int:
        return self.n_on_air - self.n_before_run

    def send(self, n_samples: int) -> None:
        self.framer.add_samples(
            ChannelFormat(
                device_id="strap-1",
                channel=self.name,
                mdc_code=131328,
                unit="mV",
                scale=1e-3,
                offset=0.0,
                period=PERIOD,
            ),
            np.zeros(n_samples, dtype=np.int32),
            i_first=self.i_next,
            t0_ns=T0_NS + PERIOD.offset_ns(self.n_on_air),
            received_ns=T0_NS,
        )
        self.n_on_air += n_samples

    def lose(self, n_samples: int, cause: GapCause) -> None:
        self.framer.add_gap(
            Gap(
                device_id="strap-1",
                channel=self.name,
                cause=cause,
                i_first=self.i_next,
                n_samples=n_samples,
                t0_ns=T0_NS + PERIOD.offset_ns(self.n_on_air),
            )
        )
        self.n_on_air += n_samples

    def begin_anew(self) -> None:
        self.n_before_run = self.n_on_air


def by_name(totals: list[ChannelTotals]) -> dict[str, ChannelTotals]:
    return {one.channel: one for one in totals}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from("ab"), st.integers(1, 40)),
        st.tuples(st.just("lose"), st.sampled_from("ab"), st.integers(1, 40)),
        st.tuples(st.just("begin anew"), st.sampled_from("ab"), st.just(0)),
        st.tuples(st.just("cut"), st.just("a"), st.just(0)),
        st.tuples(st.just("take back"), st.just("a"), st.just(0)),
        st.tuples(st.just("give up"), st.just("a"), st.integers(1, 60)),
    ),
    max_size=40,
)


class Ward:
    """Sensors, their framer, and the Frames that were cut; each step is one of its methods."""

    def __init__(self) -> None:
        self.framer = Framer("p-1", "a-1")
        self.sensors = {name: Sensor(self.framer, name) for name in "ab"}
        self.in_gaps: Counter[str] = Counter()
        self.cut: list[Frame] = []

    def step(self, what: str, name: str, n_samples: int) -> None:
        match what:
            case "send":
                self.sensors[name].send(n_samples)
            case "lose":
                cause = NEVER_DECODED[n_samples % len(NEVER_DECODED)]
                self.sensors[name].lose(n_samples, cause)
                self.in_gaps[name] += n_samples
            case "begin anew":
                self.sensors[name].begin_anew()
            case "cut":
                self.cut += self.framer.cut(len(self.cut))
            case "take back":
                self.framer.restore(self.cut)
                self.cut = []
            case _:
                self.framer.give_up(n_samples, GapCause.SPOOL_FULL)

    def check(self) -> None:
        totals = by_name(totals_of(self.framer.taken(), {}))
        for name, sensor in self.sensors.items():
            if sensor.n_on_air:
                one = totals[name]
                assert one.on_air == sensor.n_on_air
                assert one.unaccounted == 0
                assert sum(one.in_gaps.values()) == self.in_gaps[name]
                assert one.framed == sum(block.n_samples for block in self.blocks(name))
                assert one.held == one.decoded - sum(one.dropped.values())

    def blocks(self, name: str) -> list[WaveformBlock]:
        return [b for frame in self.cut for b in frame.waveforms if b.channel == name]

    def gaps(self, name: str) -> list[Gap]:
        return [gap for frame in self.cut for gap in frame.gaps if gap.channel == name]


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_what_was_on_the_air_is_held_or_lost_at_every_moment(
    steps: list[tuple[str, str, int]],
) -> None:
    ward = Ward()
    for step in steps:
        ward.step(*step)
        ward.check()

    ward.step("cut", "a", 0)

    for name, one in by_name(totals_of(ward.framer.taken(), {})).items():
        assert one.held == sum(block.n_samples for block in ward.blocks(name))
        assert one.on_air == one.held + sum(gap.n_samples for gap in ward.gaps(name))


def test_a_sample_that_nobody_told_of_is_unaccounted_for() -> None:
    framer = Framer("p-1", "a-1")
    sensor = Sensor(framer, "ecg")
    sensor.send(10)
    sensor.n_on_air += 7
    sensor.send(10)

    [totals] = totals_of(framer.taken(), {})

    assert (totals.on_air, totals.unaccounted) == (27, 7)


def test_a_sample_that_is_counted_twice_is_unaccounted_for() -> None:
    framer = Framer("p-1", "a-1")
    sensor = Sensor(framer, "ecg")
    sensor.send(10)
    sensor.n_on_air -= 4
    sensor.send(10)

    [totals] = totals_of(framer.taken(), {})

    assert totals.unaccounted == -4


def test_a_gap_that_is_told_late_fills_the_hole_that_it_names() -> None:
    taken = Taken()
    taken.add_samples(0, 10)
    taken.add_samples(15, 10)

    taken.add_gap(10, 5, GapCause.RADIO_LOSS)

    assert taken.on_air == 25
    assert taken.decoded + taken.in_gaps.total() == 25


def test_the_ledger_in_a_frame_is_as_of_that_frame() -> None:
    framer = Framer("p-1", "a-1")
    sensor = Sensor(framer, "ecg")
    sensor.send(100)
    sensor.lose(30, GapCause.RADIO_LOSS)
    stored: dict[Channel, Stored] = {("strap-1", "ecg"): Stored(spooled=60, acknowledged=20)}

    [frame] = framer.cut(0, stored=stored)
    frame = decode_frame(encode_frame(frame))

    [totals] = frame.ledger
    assert (totals.device_id, totals.channel) == ("strap-1", "ecg")
    assert (totals.on_air, totals.decoded, totals.framed) == (130, 100, 100)
    assert (totals.spooled, totals.acknowledged) == (60, 20)
    [loss] = frame.losses
    assert (loss.cause, loss.n_dropped, loss.n_in_gaps) == (GapCause.RADIO_LOSS, 0, 30)


def test_no_frame_carries_the_ledger_unasked() -> None:
    framer = Framer("p-1", "a-1")
    Sensor(framer, "ecg").send(1)

    [frame] = framer.cut(0)

    assert (frame.ledger, frame.losses) == ((), ())


counters = st.dictionaries(st.sampled_from(GapCause), st.integers(1, 2**53), max_size=3).map(
    Counter
)


@given(
    taken=st.builds(
        Taken,
        on_air=st.integers(0, 2**60),
        decoded=st.integers(0, 2**60),
        given_up=counters,
        in_gaps=counters,
        i_end=st.integers(0, 2**53),
        run=st.integers(0, 2**31),
        epoch_ns=st.integers(0, 2**62),
        period=st.just(PERIOD),
    ),
    stored=st.builds(Stored, spooled=st.integers(0, 2**60), dropped=counters),
    channel=st.tuples(st.text(max_size=9), st.text(max_size=9)),
)
def test_an_account_survives_as_text(channel: Channel, taken: Taken, stored: Stored) -> None:
    assert account_of(account_text(channel, taken, stored)) == (channel, taken, stored)


def test_the_totals_are_plain_values() -> None:
    stored = Stored(spooled=5, dropped=Counter({GapCause.SPOOL_FULL: 2}))
    [totals] = totals_of({}, {("strap-1", "ecg"): stored})

    written = json.loads(json.dumps(dataclasses.asdict(totals)))

    assert (written["waiting"], written["dropped"]) == (3, {"spool_full": 2})
