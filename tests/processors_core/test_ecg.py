"""The ECG chain: the same outputs in any pieces, over gaps, repetitions and restarts."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from devices.codes import Quantity
from processors.dsp.sample_clock import SampleClock
from processors.dsp.state import State, StateError, StateVersionError
from processors.vitals.derived import Beat, BeatClass, Derived
from processors.vitals.ecg import EcgChain
from processors.vitals.reasons import NoValueReason
from tests.processors_core.synthetic_ecg import NORMAL, WIDE, ecg_uv, regular_s

Floats = NDArray[np.float64]
Outputs = list[Beat | Derived]

NS = 1_000_000_000
EPOCH_NS = 1_700_000_000 * NS + 123_456_789
CLOCK_360 = SampleClock(epoch_ns=EPOCH_NS, period_num_ns=NS, period_den=360)
CLOCK_250 = SampleClock(epoch_ns=EPOCH_NS, period_num_ns=NS // 250)
AT_ONE_INSTANT = (
    None,
    "rr_interval",
    "beat_class",
    "signal_quality",
    "interval_quality",
    "heart_rate",
    "ventricular_fibrillation_suspected",
)


def derived(outputs: Outputs, name: str = "heart_rate") -> list[Derived]:
    return [x for x in outputs if isinstance(x, Derived) and x.quantity.name == name]


def beats_of(outputs: Outputs) -> list[Beat]:
    return [output for output in outputs if isinstance(output, Beat)]


def quantity_of(output: Beat | Derived) -> Quantity | None:
    return output.quantity if isinstance(output, Derived) else None


def noisy_ecg(rr_s: float, duration_s: float, fs_hz: float = 250) -> Floats:
    ecg = ecg_uv(regular_s(rr_s, duration_s), fs_hz, duration_s)
    return ecg + np.random.default_rng(5).normal(0, 8, ecg.size)


@given(
    cuts=st.lists(st.integers(0, 9000), max_size=8),
    gap=st.tuples(st.integers(0, 9000), st.integers(0, 2000)),
    n_overlap=st.integers(0, 500),
    i_start=st.integers(0, 2**40),
    n_leads=st.integers(1, 2),
    restore=st.booleans(),
)
@settings(deadline=None, max_examples=40)
def test_pieces_repetitions_and_restarts_give_the_outputs_of_the_whole(
    wheel_ecg: Floats,
    cuts: list[int],
    gap: tuple[int, int],
    n_overlap: int,
    i_start: int,
    n_leads: int,
    *,
    restore: bool,
) -> None:
    ecg = np.stack((wheel_ecg[20_000:29_000], -0.4 * wheel_ecg[20_002:29_002]))[:n_leads]
    n_samples = ecg.shape[1]
    at, n_gap = gap
    i_of = np.arange(n_samples) + i_start + n_gap * (np.arange(n_samples) >= at)
    whole = EcgChain(360, CLOCK_360, n_leads)
    expected = whole.process(ecg[:, :at], i_start)
    expected += whole.process(ecg[:, at:], i_start + at + n_gap)
    streaming = EcgChain(360, CLOCK_360, n_leads)

    outputs: Outputs = []
    for first, last in pairwise([0, *sorted([*cuts, at]), n_samples]):
        again = max(first - n_overlap, at if first >= at else 0)
        i_first = int(i_of[again]) if again < n_samples else 0
        outputs += streaming.process(ecg[:, again:last], i_first)
        if restore:
            streaming = EcgChain.from_bytes(streaming.to_bytes())

    assert outputs == expected
    assert streaming.to_bytes() == whole.to_bytes()


def test_single_samples_give_the_outputs_of_the_whole(wheel_ecg: Floats) -> None:
    ecg = wheel_ecg[:3600]
    streaming, whole = EcgChain(360, CLOCK_360), EcgChain(360, CLOCK_360)

    outputs = [x for i in range(ecg.size) for x in streaming.process(ecg[i : i + 1], i)]

    assert outputs == whole.process(ecg, 0)
    assert streaming.to_bytes() == whole.to_bytes()
    assert len(derived(outputs)) == 9


def test_outputs_come_in_order_of_time_on_whole_seconds_none_left_out(wheel_ecg: Floats) -> None:
    outputs = EcgChain(360, CLOCK_360).process(wheel_ecg[:36_000], 0)
    keys = [
        (output.t_ns, AT_ONE_INSTANT.index(quantity.name if quantity else None))
        for output in outputs
        for quantity in [quantity_of(output)]
    ]
    grid = [rate.t_ns for rate in derived(outputs)]

    assert keys == sorted(set(keys))
    assert grid == list(range(grid[0], grid[-1] + NS, NS))
    assert grid[0] == EPOCH_NS // NS * NS + NS
    assert len(derived(outputs, "interval_quality")) == len(grid)
    assert len(derived(outputs, "beat_class")) == len(beats_of(outputs)) > 100


def test_the_watermark_keeps_what_it_promises(wheel_ecg: Floats) -> None:
    chain = EcgChain(360, CLOCK_360)

    for i in range(0, 7200, 90):
        promised_ns = chain.watermark_ns
        outputs = chain.process(wheel_ecg[i : i + 90], i)
        assert all(output.t_ns >= promised_ns for output in outputs)
        assert all(output.t_ns < chain.watermark_ns for output in outputs)

    assert CLOCK_360.time_ns(7200) - chain.watermark_ns < 6 * NS // 10


@pytest.mark.parametrize("rr_s", [0.35, 0.6, 1.0, 1.7])
def test_a_known_rhythm_has_its_rate_within_five_seconds(rr_s: float) -> None:
    rates = derived(EcgChain(250, CLOCK_250).process(noisy_ecg(rr_s, 40), 0))

    first = next(i for i, rate in enumerate(rates) if rate.value is not None)
    assert first <= max(4, 4 * rr_s)
    assert [rate.value for rate in rates[first:]] == pytest.approx(
        [60 / rr_s] * (len(rates) - first), rel=0.005
    )
    assert all(rate.quality > 0.9 for rate in rates[10:])


@pytest.mark.parametrize("fs_hz", [100, 125, 200, 360, 500, 1000, 2000])
def test_every_sampling_rate_gives_the_rate_and_the_quality(fs_hz: int) -> None:
    clock = SampleClock(epoch_ns=0, period_num_ns=NS, period_den=fs_hz)

    rates = derived(EcgChain(fs_hz, clock).process(noisy_ecg(0.8, 20, fs_hz), 0))

    assert [rate.value for rate in rates[8:]] == pytest.approx([75.0] * len(rates[8:]), rel=0.005)
    assert all(rate.quality > 0.9 for rate in rates[8:])


def test_intervals_are_those_between_the_beats() -> None:
    outputs = EcgChain(250, CLOCK_250).process(noisy_ecg(0.8, 20), 0)
    beats, intervals = beats_of(outputs), derived(outputs, "rr_interval")

    assert (beats[0].interval_s, intervals[0].reason) == (None, NoValueReason.FIRST_BEAT)
    for (before, after), interval in zip(pairwise(beats), intervals[1:], strict=True):
        assert after.interval_s == (after.t_ns - before.t_ns) / 1e9
        assert interval.value == 1e3 * after.interval_s
        assert interval.t_ns == after.t_ns
        assert after.interval_s == pytest.approx(0.8, abs=0.004)
    assert all(beat.height == pytest.approx(1000, rel=0.15) for beat in beats)


def test_a_gap_says_so_and_no_interval_spans_it() -> None:
    ecg = noisy_ecg(0.8, 60)
    chain = EcgChain(250, CLOCK_250)
    before = chain.process(ecg[:7500], 0)
    after = chain.process(ecg[7500:], 7500 + 3600 * 250)
    i_gap = next(i for i, x in enumerate(derived(after)) if x.reason is NoValueReason.NO_SAMPLES)
    rates = derived(after)

    assert rates[i_gap].t_ns == derived(before)[-1].t_ns + (i_gap + 1) * NS
    assert rates[i_gap].t_ns - CLOCK_250.time_ns(7500) < NS
    assert rates[i_gap + 1].t_ns >= CLOCK_250.time_ns(7500 + 3600 * 250)
    assert {x.reason for x in rates[i_gap + 1 : i_gap + 3]} == {NoValueReason.WARMING_UP}
    assert {x.reason for x in rates[i_gap + 8 :]} == {None}
    assert len(rates) < 45  # an hour's gap is not an hour of nothing
    assert all(x.value is None or x.value < 900 for x in derived(after, "rr_interval"))
    assert [x.reason for x in derived(after, "rr_interval")].count(NoValueReason.FIRST_BEAT) == 1


def test_samples_delivered_again_give_nothing() -> None:
    ecg = noisy_ecg(0.8, 20)
    chain = EcgChain(250, CLOCK_250)
    chain.process(ecg, 0)
    kept = chain.to_bytes()

    assert chain.process(ecg, 0) == []
    assert chain.process(ecg[100:200], 100) == []
    assert chain.process(ecg[:0], 10**9) == []
    assert chain.to_bytes() == kept


def test_mains_of_half_the_height_of_beats_changes_neither_beats_nor_their_class() -> None:
    kinds = (NORMAL, NORMAL, NORMAL, NORMAL, WIDE)
    ecg = ecg_uv(regular_s(0.8, 60), 250, 60, kinds) + np.random.default_rng(5).normal(0, 8, 15_000)
    humming = ecg + 500 * np.sin(2 * np.pi * 50.1 * np.arange(15_000) / 250)

    quiet, loud = (beats_of(EcgChain(250, CLOCK_250).process(x, 0)) for x in (ecg, humming))

    assert [b.beat_class for b in loud[20:]] == [b.beat_class for b in quiet[20:]]
    assert {b.beat_class for b in loud[20:]} == {BeatClass.NORMAL, BeatClass.VENTRICULAR}
    assert [b.t_ns for b in loud[20:]] == pytest.approx([b.t_ns for b in quiet[20:]], abs=2e6)


def test_a_lead_that_gathers_mains_only_is_off() -> None:
    hum = 300 * np.sin(2 * np.pi * 60 * np.arange(10_000) / 250)

    rates = derived(EcgChain(250, CLOCK_250).process(hum, 0))

    assert {rate.reason for rate in rates[10:]} == {NoValueReason.LEAD_OFF}


def test_the_rails_are_seen_through_the_mains() -> None:
    ecg = noisy_ecg(0.8, 60) + 300 * np.sin(2 * np.pi * 50 * np.arange(15_000) / 250)
    ecg[5000:10_000] = 5000.0

    rates = derived(EcgChain(250, CLOCK_250).process(ecg, 0))

    assert {rate.reason for rate in rates[23:39]} == {NoValueReason.SATURATED}


def test_noise_has_no_heart_rate() -> None:
    noise = np.random.default_rng(6).normal(0, 300, 60 * 250)

    rates = derived(EcgChain(250, CLOCK_250).process(noise, 0))

    assert all(rate.value is None for rate in rates)
    assert {rate.reason for rate in rates[10:]} <= {
        NoValueReason.POOR_SIGNAL,
        NoValueReason.TOO_FEW_BEATS,
        NoValueReason.ASYSTOLE_SUSPECTED,
    }


def test_a_lead_that_comes_back_starts_anew() -> None:
    ecg = noisy_ecg(0.8, 60)
    ecg[5000:10_000] = 0.0

    rates = derived(EcgChain(250, CLOCK_250).process(ecg, 0))

    assert {rate.reason for rate in rates[23:39]} == {NoValueReason.LEAD_OFF}
    assert rates[40].reason is NoValueReason.WARMING_UP
    assert all(rate.value is None for rate in rates[41:43])
    assert [rate.value for rate in rates[48:]] == pytest.approx([75.0] * len(rates[48:]), rel=0.02)


def test_a_heart_that_stops_is_suspected_within_seconds() -> None:
    ecg = noisy_ecg(0.8, 40)
    ecg[5000:] = np.random.default_rng(7).normal(0, 4, 5000)

    rates = derived(EcgChain(250, CLOCK_250).process(ecg, 0))

    assert {rate.reason for rate in rates[25:29]} == {NoValueReason.ASYSTOLE_SUSPECTED}
    assert all(rate.value is None for rate in rates[25:])


def test_of_two_leads_the_better_one_says_how_good_the_rate_is() -> None:
    good = noisy_ecg(0.8, 40)
    off = np.zeros(good.size)

    alone = derived(EcgChain(250, CLOCK_250).process(good, 0))
    both = derived(EcgChain(250, CLOCK_250, 2).process(np.stack((off, good)), 0))

    assert [rate.reason for rate in both[8:]] == [None] * len(both[8:])
    assert np.mean([rate.quality for rate in both[8:]]) == pytest.approx(
        np.mean([rate.quality for rate in alone[8:]]), abs=0.05
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_no_number_is_refused_and_changes_nothing(bad: float) -> None:
    ecg = noisy_ecg(0.8, 5)
    chain = EcgChain(250, CLOCK_250)
    chain.process(ecg[:500], 0)
    kept = chain.to_bytes()

    with pytest.raises(ValueError, match="not a finite number"):
        chain.process(np.array([1.0, bad]), 500)
    with pytest.raises(ValueError, match="leads"):
        chain.process(np.zeros((2, 10)), 500)

    assert chain.to_bytes() == kept


@given(
    pieces=st.lists(
        st.tuples(
            st.integers(0, 500),
            st.integers(0, 3000),
            st.sampled_from(["flat", "steps", "noise", "huge", "alternating"]),
        ),
        max_size=8,
    )
)
@settings(deadline=None, max_examples=40)
def test_whatever_comes_the_outputs_ascend_and_are_no_nonsense(
    pieces: list[tuple[int, int, str]],
) -> None:
    rng = np.random.default_rng(len(pieces))
    shapes: dict[str, Callable[[int], Floats]] = {
        "flat": np.zeros,
        "steps": lambda n: np.cumsum(rng.choice([0.0, 5e4, -5e4], n)),
        "noise": lambda n: rng.normal(0, 1e3, n),
        "huge": lambda n: rng.normal(0, 1e9, n),
        "alternating": lambda n: np.resize([1e6, -1e6], n),
    }
    chain, i_next, last_ns = EcgChain(250, CLOCK_250), 0, 0
    for n_gap, n_samples, kind in pieces:
        for output in chain.process(shapes[kind](n_samples), i_next + n_gap):
            assert output.t_ns >= last_ns
            assert 0 <= output.quality <= 1
            last_ns = output.t_ns
        i_next += n_gap + n_samples
    EcgChain.from_bytes(chain.to_bytes())


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

    assert len(chain.to_bytes()) < 100_000
