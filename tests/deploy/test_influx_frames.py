"""Points back to Frames: each count at its time, whatever the rate, the holes and the cuts."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deploy.influx_frames import FrameMaker, Meaning, Points, period_of
from ingest.frame import NS_PER_S, Frame, SamplePeriod
from tests.ingest import records
from tests.ingest.records import T0_NS

CHANNEL = ("strap-1", "ecg")
periods = st.tuples(st.integers(1, 2_000), st.integers(1, 7)).map(
    lambda rate: period_of(rate[0] / rate[1])
)
holes = st.lists(st.tuples(st.integers(1, 400), st.integers(1, 300)), min_size=1, max_size=6)


def meaning(period: SamplePeriod, t_ns: int = 0) -> Meaning:
    return Meaning(t_ns=t_ns, scale=5.0, offset=-1.0, unit="uV", period=period, mdc_code=131330)


def frames_of(times: list[int], period: SamplePeriod, cuts: list[int]) -> list[Frame]:
    """Frames of samples 0, 1, 2 … at these times, read in stretches."""
    maker = FrameMaker("p-1")
    found: list[Frame] = []
    for begin, end in pairwise([0, *sorted(cuts), len(times)]):
        samples = {
            CHANNEL: (np.array(times[begin:end], np.int64), np.arange(begin, end, dtype=np.int32))
        }
        points = Points(samples=samples, meanings={CHANNEL: [meaning(period)]})
        found += maker.frames(points)
    return found


def read(frames: list[Frame]) -> tuple[list[int], list[int], list[int]]:
    """Times, counts and numbers of all samples."""
    blocks = [block for one in frames for block in one.waveforms]
    return (
        [t_ns for block in blocks for t_ns in block.times_ns().tolist()],
        [count for block in blocks for count in block.counts.tolist()],
        [i for block in blocks for i in range(block.i_first, block.i_end)],
    )


@settings(max_examples=40)
@given(
    period=periods,
    i_first=st.integers(0, 10**8),
    runs=holes,
    shares=st.lists(st.floats(0, 1), max_size=3),
)
def test_every_sample_is_given_at_its_time(
    period: SamplePeriod, i_first: int, runs: list[tuple[int, int]], shares: list[float]
) -> None:
    numbers: list[int] = []
    for n_there, n_missing in runs:
        numbers += range(i_first, i_first + n_there)
        i_first += n_there + n_missing
    times = [T0_NS + period.offset_ns(i) for i in numbers]
    cuts = [int(share * len(times)) for share in shares]

    given_frames = frames_of(times, period, cuts)

    given_times, counts, given_numbers = read(given_frames)
    assert given_times == times
    assert counts == list(range(len(times)))
    assert [one.sequence for one in given_frames] == list(range(len(given_frames)))
    for one in given_frames:
        assert len({block.t0_ns // NS_PER_S for block in one.waveforms}) == 1
    n_first = min(size for size in (runs[0][0], *cuts, len(times)) if size)
    if n_first >= period.ns_denominator:  # else they leave open which sample of the grid is first
        steps = [after - before for before, after in pairwise(numbers)]
        assert [after - before for before, after in pairwise(given_numbers)] == steps


@given(times=st.lists(st.integers(0, 10**11), min_size=1, max_size=60, unique=True).map(sorted))
def test_times_of_no_rate_are_given_too(times: list[int]) -> None:
    given_times, counts, _ = read(frames_of(times, period_of(250.0), []))

    assert given_times == times
    assert counts == list(range(len(times)))


@given(terms=st.tuples(st.integers(1, 10**12), st.integers(1, 1_000)))
@example(terms=(10**12, 1))
@example(terms=(2 * 10**9, 1))
def test_a_period_has_the_rate_that_was_stored(terms: tuple[int, int]) -> None:
    period = SamplePeriod(ns_numerator=max(terms), ns_denominator=min(terms))

    assert period_of(period.rate_hz).rate_hz == pytest.approx(period.rate_hz, rel=1e-12)


@pytest.mark.parametrize(
    ("rate_hz", "period"),
    [
        (360.0, (25_000_000, 9)),
        (250.0, (4_000_000, 1)),
        (1_000 / 3, (3_000_000, 1)),
        (128.0, (7_812_500, 1)),
        (62.4725, (400_000_000_000, 24_989)),
    ],
)
def test_usual_rates_have_their_exact_period(rate_hz: float, period: tuple[int, int]) -> None:
    found = period_of(rate_hz)

    assert (found.ns_numerator, found.ns_denominator) == period
    assert found.rate_hz == rate_hz


def test_what_counts_mean_changes_where_it_was_said() -> None:
    period = period_of(100.0)
    times = np.array([T0_NS + period.offset_ns(i) for i in range(100)], np.int64)
    meanings = [meaning(period), meaning(period_of(50.0), int(times[40]))]
    maker = FrameMaker("p-1")

    points = Points(
        samples={
            CHANNEL: (times, np.zeros(100, np.int32)),
            ("x", "y"): (times, times.astype(np.int32)),
        },
        meanings={CHANNEL: meanings},
        gaps=(records.gap(channel="ecg", t0_ns=T0_NS + NS_PER_S),),
    )
    first, second = maker.frames(points)

    assert sum(block.n_samples for block in first.waveforms if block.period == period) == 40
    assert first.n_samples == 100
    assert maker.n_meaningless == 100
    assert second.gaps[0].i_first > 0
