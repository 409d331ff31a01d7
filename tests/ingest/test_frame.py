import itertools
from collections.abc import Callable, Iterable
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import MalformedRecordError
from ingest.frame import (
    INDEX_MAX,
    NS_PER_S,
    PERIOD_TERM_MAX,
    TIME_NS_MAX,
    TOTAL_MAX,
    ClockRelation,
    SamplePeriod,
    WaveformBlock,
)
from ingest.frame_limits import (
    FRAME_LIMITS,
    N_BLOCKS_MAX,
    N_CLOCKS_MAX,
    N_EVENTS_MAX,
    N_GAPS_MAX,
    N_LEDGER_MAX,
    N_LOSSES_MAX,
    N_READINGS_MAX,
    N_SAMPLES_MAX,
)
from tests.ingest import records
from tests.ingest.records import HZ_360, T0_NS


def split(block: WaveformBlock, cuts: Iterable[int]) -> list[WaveformBlock]:
    """Cut a block as an agent would: each part with its own first index and time."""
    bounds = [0, *sorted({cut % block.n_samples for cut in cuts} - {0}), block.n_samples]
    return [
        replace(
            block,
            i_first=block.i_first + start,
            t0_ns=block.time_ns(block.i_first + start),
            counts=block.counts[start:end],
        )
        for start, end in itertools.pairwise(bounds)
    ]


def _has_room(block: WaveformBlock) -> bool:
    return block.i_end <= INDEX_MAX and block.time_ns(block.i_end) <= TIME_NS_MAX


@given(
    block=records.blocks.filter(_has_room),
    cuts=st.lists(st.integers(0, 100), max_size=6),
)
def test_times_do_not_depend_on_how_the_stream_was_cut(
    block: WaveformBlock, cuts: list[int]
) -> None:
    parts = split(block, cuts)

    times_ns = np.concatenate([part.times_ns() for part in parts])
    assert times_ns.tolist() == block.times_ns().tolist()
    assert {part.epoch_ns for part in parts} == {block.epoch_ns}
    assert [part.i_end for part in parts[:-1]] == [part.i_first for part in parts[1:]]
    assert np.concatenate([part.counts for part in parts]).tolist() == block.counts.tolist()


@given(records.blocks)
def test_times_rise_strictly_and_are_those_of_whole_numbers(block: WaveformBlock) -> None:
    times_ns = block.times_ns()

    assert (np.diff(times_ns) > 0).all()
    assert times_ns.tolist() == [block.time_ns(i) for i in range(block.i_first, block.i_end)]
    assert times_ns.dtype == np.int64


@settings(max_examples=10, deadline=None)
@given(
    period=records.periods,
    i_first=st.sampled_from([0, 1, INDEX_MAX]),
    t0_ns=st.sampled_from([0, T0_NS, TIME_NS_MAX]),
)
def test_times_of_the_longest_block_stay_within_64_bits(
    period: SamplePeriod, i_first: int, t0_ns: int
) -> None:
    counts = np.zeros(N_SAMPLES_MAX, dtype=np.int32)

    block = records.block(counts, period=period, i_first=i_first, t0_ns=t0_ns)

    times_ns = block.times_ns()
    assert times_ns[0] == t0_ns
    assert times_ns[-1] == block.time_ns(block.i_end - 1)
    assert (np.diff(times_ns) > 0).all()


def test_360_hz_for_a_day_is_exact() -> None:
    n_day = 360 * 86_400
    block = records.block([0] * 361, i_first=n_day, t0_ns=T0_NS + 86_400 * 10**9)

    assert block.epoch_ns == T0_NS
    assert block.times_ns()[360] == T0_NS + 86_401 * 10**9
    assert HZ_360.rate_hz == 360.0


def test_values_are_counts_times_scale_plus_offset() -> None:
    block = records.block([0, 2, -2], scale=0.5, offset=10.0)

    assert block.physical().tolist() == [10.0, 11.0, 9.0]
    assert records.frame(block, block).n_samples == 6


@pytest.mark.parametrize(
    ("numerator", "denominator"),
    [
        (0, 1),
        (1, 0),
        (-9, -9),
        (PERIOD_TERM_MAX + 1, 1),
        (PERIOD_TERM_MAX, PERIOD_TERM_MAX + 1),
        (1, 2),  # half a nanosecond: two samples would have one time
    ],
)
def test_a_period_out_of_bounds_is_malformed(numerator: int, denominator: int) -> None:
    with pytest.raises(MalformedRecordError, match=f"{numerator}/{denominator} ns"):
        SamplePeriod(ns_numerator=numerator, ns_denominator=denominator)


NO_VALUES = "give no values"
BAD: dict[str, tuple[Callable[[], object], str]] = {
    "no samples": (lambda: records.block([]), "0 samples"),
    "too many samples": (
        lambda: records.block(np.zeros(N_SAMPLES_MAX + 1, dtype=np.int32)),
        "1000001 samples",
    ),
    "counts of another type": (
        lambda: replace(records.block(), counts=np.zeros(3, dtype=np.int64)),
        "int64",
    ),
    "counts in two rows": (
        lambda: replace(records.block(), counts=np.zeros((2, 2), dtype=np.int32)),
        r"\(2, 2\)",
    ),
    "a negative index": (lambda: records.block(i_first=-1), "i_first -1"),
    "an index too high": (lambda: records.block(i_first=INDEX_MAX + 1), "i_first"),
    "a block before 1970": (lambda: records.block(t0_ns=-1), "t0_ns -1"),
    "a block too late": (lambda: records.block(t0_ns=TIME_NS_MAX + 1), "t0_ns"),
    "a scale of 0": (lambda: records.block(scale=0.0), NO_VALUES),
    "a scale of infinity": (lambda: records.block(scale=float("inf")), NO_VALUES),
    "a scale that is no number": (lambda: records.block(scale=float("nan")), NO_VALUES),
    "a scale that overflows": (lambda: records.block(scale=1e300), NO_VALUES),
    "an offset that is no number": (lambda: records.block(offset=float("nan")), NO_VALUES),
    "a reading with value and reason": (lambda: records.reading(reason="why"), "exactly one"),
    "a reading with neither": (lambda: records.reading(value=None), "exactly one"),
    "a reading of infinity": (lambda: records.reading(value=float("inf")), "inf is not finite"),
    "a reading before 1970": (lambda: records.reading(t_ns=-1), "t_ns -1"),
    "a gap of nothing": (lambda: records.gap(n_samples=0), "gap of 0 samples"),
    "a gap without end": (lambda: records.gap(n_samples=INDEX_MAX + 1), "gap of"),
    "a gap before the stream": (lambda: records.gap(i_first=-1), "at -1"),
    "a gap before 1970": (lambda: records.gap(t0_ns=-1), "t0_ns -1"),
    "an event too late": (lambda: records.event(t_ns=TIME_NS_MAX + 1), "t_ns"),
    "a drift that is no number": (lambda: records.clock(drift_ppm=float("nan")), "drift nan"),
    "a clock before 1970": (lambda: records.clock(device_ns=-1), "device_ns -1"),
    "a clock that leads out of time": (
        lambda: records.clock(device_ns=5, offset_ns=-6),
        "UTC of device_ns -1",
    ),
    "a frame of nobody": (lambda: records.frame(subject_id=""), "needs a subject_id"),
    "a frame from nobody": (lambda: records.frame(agent_id=""), "needs a subject_id and"),
    "a frame before the first": (lambda: records.frame(sequence=-1), "sequence -1"),
    "a frame of too many samples": (
        lambda: records.frame(*[records.block(np.zeros(N_SAMPLES_MAX, dtype=np.int32))] * 2),
        "2000000 samples in one record",
    ),
    "a frame of too many blocks": (
        lambda: records.frame(*[records.block()] * (N_BLOCKS_MAX + 1)),
        "4097 waveforms in one record; at most 4096 are allowed",
    ),
    "a frame of too many readings": (
        lambda: records.frame(readings=(records.reading(),) * (N_READINGS_MAX + 1)),
        "16385 readings in one record; at most 16384",
    ),
    "a frame of too many clocks": (
        lambda: records.frame(clocks=(records.clock(),) * (N_CLOCKS_MAX + 1)),
        "1025 clocks in one record; at most 1024",
    ),
    "a frame of too many gaps": (
        lambda: records.frame(gaps=(records.gap(),) * (N_GAPS_MAX + 1)),
        "8193 gaps in one record; at most 8192",
    ),
    "a frame of too many events": (
        lambda: records.frame(events=(records.event(),) * (N_EVENTS_MAX + 1)),
        "4097 events in one record; at most 4096",
    ),
    "a frame of too many totals": (
        lambda: records.frame(ledger=(records.totals(),) * (N_LEDGER_MAX + 1)),
        "4097 ledger in one record; at most 4096",
    ),
    "a frame of too many losses": (
        lambda: records.frame(losses=(records.loss(),) * (N_LOSSES_MAX + 1)),
        "8193 losses in one record; at most 8192",
    ),
    "a negative total": (lambda: records.totals(spooled=-1), "ledger of ecg/MLII"),
    "a loss beyond all numbers": (
        lambda: records.loss(n_dropped=TOTAL_MAX + 1),
        "ledger of ecg/MLII",
    ),
    "an observation with both": (lambda: records.observation(reason="why"), "exactly one"),
    "an observation with neither": (lambda: records.observation(value=None), "exactly one"),
    "an observation of infinity": (
        lambda: records.observation(value=float("-inf")),
        "-inf is not finite",
    ),
    "a quality beyond 1": (lambda: records.observation(quality=1.01), "quality 1.01"),
    "a quality that is no number": (lambda: records.observation(quality=float("nan")), "nan"),
    "an age that is no number": (lambda: records.observation(age_s=float("nan")), "age nan"),
    "an age without end": (lambda: records.observation(age_s=float("inf")), "age inf"),
    "an observation before 1970": (lambda: records.observation(t_ns=-1), "t_ns -1"),
    "an alarm before 1970": (lambda: records.alarm(t_ns=-1), "t_ns -1"),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_out_of_bounds_is_malformed(make: Callable[[], object], message: str) -> None:
    with pytest.raises(MalformedRecordError, match=message):
        make()


def test_the_same_record_delivered_twice_has_one_identity() -> None:
    assert records.observation().identity == records.observation(quality=0.1).identity
    assert records.observation().identity != records.observation(t_ns=T0_NS + 1).identity
    assert records.alarm().identity != records.alarm(active=False).identity


def test_every_list_of_a_frame_has_a_limit() -> None:
    frame = records.frame()

    lists = [one.name for one in fields(frame) if isinstance(getattr(frame, one.name), tuple)]

    assert lists == list(FRAME_LIMITS)


# Coincident time stamps


def test_a_clock_relation_gives_utc_of_any_device_time() -> None:
    clock = records.clock(device_ns=600 * NS_PER_S, offset_ns=7, drift_ppm=-80.0)

    assert clock.utc_ns(600 * NS_PER_S) == 600 * NS_PER_S + 7
    assert clock.utc_ns(610 * NS_PER_S) == 610 * NS_PER_S + 7 - 800_000
    assert clock.utc_ns(599 * NS_PER_S) == 599 * NS_PER_S + 7 + 80_000


def test_a_relation_that_does_not_say_when_it_was_true_gives_no_utc() -> None:
    assert records.clock(device_ns=None).utc_ns(600 * NS_PER_S) is None


@given(records.clocks, st.integers(0, TIME_NS_MAX))
def test_any_relation_gives_a_whole_number(clock: ClockRelation, device_ns: int) -> None:
    assert isinstance(clock.utc_ns(device_ns), int) == (clock.device_ns is not None)
