"""The ECG chain: the same events in any pieces, over gaps, repetitions and restarts."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.dsp.sample_clock import SampleClock
from processors.dsp.state import State, StateError, StateVersionError
from processors.vitals.ecg_chain import EcgChain
from processors.vitals.ecg_events import Beat, EcgEvent, HeartRate, SignalQuality
from processors.vitals.reasons import NoValueReason
from tests.processors_core.synthetic_ecg import ecg_uv, regular_s

Floats = NDArray[np.float64]

NS = 1_000_000_000
EPOCH_NS = 1_700_000_000 * NS + 123_456_789
CLOCK_360 = SampleClock(epoch_ns=EPOCH_NS, period_num_ns=NS, period_den=360)
CLOCK_250 = SampleClock(epoch_ns=EPOCH_NS, period_num_ns=NS // 250)


def heart_rates(events: list[EcgEvent]) -> list[HeartRate]:
    return [event for event in events if isinstance(event, HeartRate)]


def noisy_ecg(rr_s: float, duration_s: float) -> Floats:
    ecg = ecg_uv(regular_s(rr_s, duration_s), 250, duration_s)
    return ecg + np.random.default_rng(5).normal(0, 8, ecg.size)


@given(
    cuts=st.lists(st.integers(0, 9000), max_size=10),
    gap=st.tuples(st.integers(0, 9000), st.integers(0, 2000)),
    n_overlap=st.integers(0, 500),
    i_start=st.integers(0, 2**40),
    restore=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_pieces_repetitions_and_restarts_give_the_events_of_the_whole(
    wheel_ecg: Floats,
    cuts: list[int],
    gap: tuple[int, int],
    n_overlap: int,
    i_start: int,
    *,
    restore: bool,
) -> None:
    ecg = wheel_ecg[20_000:29_000]
    at, n_gap = gap
    i_of = np.arange(ecg.size) + i_start + n_gap * (np.arange(ecg.size) >= at)
    whole = EcgChain(360, CLOCK_360)
    expected = whole.process(ecg[:at], i_start)
    expected += whole.process(ecg[at:], i_start + at + n_gap)
    streaming = EcgChain(360, CLOCK_360)

    events: list[EcgEvent] = []
    for first, last in pairwise([0, *sorted([*cuts, at]), ecg.size]):
        again = max(first - n_overlap, at if first >= at else 0)
        i_first = int(i_of[again]) if again < ecg.size else 0
        events += streaming.process(ecg[again:last], i_first)
        if restore:
            streaming = EcgChain.from_bytes(streaming.to_bytes())

    assert events == expected
    assert streaming.to_bytes() == EcgChain.from_bytes(streaming.to_bytes()).to_bytes()


def test_single_samples_give_the_events_of_the_whole(wheel_ecg: Floats) -> None:
    ecg = wheel_ecg[:3600]
    streaming = EcgChain(360, CLOCK_360)

    events = [e for i in range(ecg.size) for e in streaming.process(ecg[i : i + 1], i)]

    assert events == EcgChain(360, CLOCK_360).process(ecg, 0)
    assert len(heart_rates(events)) == 9


def test_events_come_in_order_of_time_on_whole_seconds_none_left_out(wheel_ecg: Floats) -> None:
    events = EcgChain(360, CLOCK_360).process(wheel_ecg[:36_000], 0)
    rank = {Beat: 0, SignalQuality: 1, HeartRate: 2}
    keys = [(event.t_ns, rank[type(event)]) for event in events]
    grid = [rate.t_ns for rate in heart_rates(events)]

    assert keys == sorted(set(keys))
    assert grid == list(range(grid[0], grid[-1] + NS, NS))
    assert grid[0] == EPOCH_NS // NS * NS + NS


def test_the_watermark_keeps_what_it_promises(wheel_ecg: Floats) -> None:
    chain = EcgChain(360, CLOCK_360)

    for i in range(0, 7200, 90):
        promised_ns = chain.watermark_ns
        events = chain.process(wheel_ecg[i : i + 90], i)
        assert all(event.t_ns >= promised_ns for event in events)
        assert all(event.t_ns < chain.watermark_ns for event in events)

    assert CLOCK_360.time_ns(7200) - chain.watermark_ns < NS // 2


@pytest.mark.parametrize("rr_s", [0.35, 0.6, 1.0, 1.7])
def test_a_known_rhythm_has_its_rate_within_five_seconds(rr_s: float) -> None:
    rates = heart_rates(EcgChain(250, CLOCK_250).process(noisy_ecg(rr_s, 40), 0))

    first = next(i for i, rate in enumerate(rates) if rate.heart_rate_bpm is not None)
    assert first <= max(4, 4 * rr_s)
    assert [rate.heart_rate_bpm for rate in rates[first:]] == pytest.approx(
        [60 / rr_s] * (len(rates) - first), rel=0.02
    )


def test_intervals_are_those_between_the_beats() -> None:
    events = EcgChain(250, CLOCK_250).process(noisy_ecg(0.8, 20), 0)
    beats = [event for event in events if isinstance(event, Beat)]

    assert beats[0].rr_interval_s is None
    assert [beat.rr_interval_s for beat in beats[1:]] == pytest.approx(
        [0.8] * (len(beats) - 1), abs=0.013
    )
    assert all(beat.t_ns == CLOCK_250.time_ns(beat.i_sample) for beat in beats)


def test_a_gap_says_so_once_and_no_interval_spans_it() -> None:
    ecg = noisy_ecg(0.8, 40)
    chain = EcgChain(250, CLOCK_250)

    before = chain.process(ecg[:5000], 0)
    after = chain.process(ecg[5000:], 5000 + 3600 * 250)

    beats = [event for event in after if isinstance(event, Beat) and event.i_sample >= 5000]
    reasons = [rate.reason for rate in heart_rates(after)]
    assert beats[0].rr_interval_s is None
    assert all(beat.rr_interval_s < 1 for beat in beats[1:] if beat.rr_interval_s is not None)
    assert reasons.count(NoValueReason.NO_SAMPLES) == 1
    i_gap = reasons.index(NoValueReason.NO_SAMPLES)
    assert set(reasons[i_gap + 1 : i_gap + 3]) == {NoValueReason.WARMING_UP}
    assert set(reasons[i_gap + 8 :]) == {None}
    assert len(heart_rates(before + after)) < 45  # an hour's gap is not an hour of nothing


def test_samples_delivered_again_give_nothing() -> None:
    ecg = noisy_ecg(0.8, 20)
    chain = EcgChain(250, CLOCK_250)
    chain.process(ecg, 0)
    kept = chain.to_bytes()

    assert chain.process(ecg, 0) == []
    assert chain.process(ecg[100:200], 100) == []
    assert chain.process(ecg[:0], 10**9) == []
    assert chain.to_bytes() == kept


def test_noise_has_no_heart_rate() -> None:
    noise = np.random.default_rng(6).normal(0, 300, 60 * 250)

    rates = heart_rates(EcgChain(250, CLOCK_250).process(noise, 0))

    assert all(rate.heart_rate_bpm is None for rate in rates)
    assert rates[-1].reason is NoValueReason.POOR_SIGNAL


def test_a_lead_that_comes_back_starts_anew() -> None:
    ecg = noisy_ecg(0.8, 60)
    ecg[5000:10_000] = 0.0

    rates = heart_rates(EcgChain(250, CLOCK_250).process(ecg, 0))

    assert {rate.reason for rate in rates[23:39]} == {NoValueReason.LEAD_OFF}
    assert all(rate.heart_rate_bpm is None for rate in rates[40:42])
    assert [rate.heart_rate_bpm for rate in rates[45:]] == pytest.approx(
        [75.0] * len(rates[45:]), rel=0.02
    )


def test_a_heart_that_stops_is_suspected_within_seconds() -> None:
    ecg = noisy_ecg(0.8, 40)
    ecg[5000:] = np.random.default_rng(7).normal(0, 4, 5000)

    rates = heart_rates(EcgChain(250, CLOCK_250).process(ecg, 0))

    assert {rate.reason for rate in rates[25:29]} == {NoValueReason.ASYSTOLE_SUSPECTED}
    assert all(rate.heart_rate_bpm is None for rate in rates[25:])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_no_number_is_refused_and_changes_nothing(bad: float) -> None:
    ecg = noisy_ecg(0.8, 5)
    chain = EcgChain(250, CLOCK_250)
    chain.process(ecg[:500], 0)
    kept = chain.to_bytes()

    with pytest.raises(ValueError, match="not a finite number"):
        chain.process(np.array([1.0, bad]), 500)

    assert chain.to_bytes() == kept


def test_the_state_of_another_version_is_refused() -> None:
    other = State(kind="ecg_chain", version=999)

    with pytest.raises(StateVersionError, match="ecg_chain 999"):
        EcgChain.from_bytes(other.to_bytes())


@given(st.binary(max_size=40))
def test_any_bytes_are_no_state(junk: bytes) -> None:
    with pytest.raises(StateError):
        EcgChain.from_bytes(junk)


def test_the_state_stays_small(wheel_ecg: Floats) -> None:
    chain = EcgChain(360, CLOCK_360)
    chain.process(wheel_ecg, 0)

    assert len(chain.to_bytes()) < 40_000
