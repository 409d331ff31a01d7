"""Rails and flat lines are told from signals, whatever the level of the rails."""

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.dsp.kernel import new_record
from processors.dsp.mains import MainsCanceller
from processors.dsp.rails import Lead, LeadWatch
from processors.dsp.rails_kernel import LEAD, watch_lead
from processors.dsp.state import StateError
from tests.processors_core.synthetic_ecg import ecg_uv, regular_s

Floats = NDArray[np.float64]
NOISE = np.random.default_rng(4).normal(0, 8, 5000)


def ecg() -> Floats:
    return ecg_uv(regular_s(0.8, 20), 250, 20) + NOISE


def watch() -> LeadWatch:
    return LeadWatch(250, rail_min=500.0, flat_max=5.0)


def eventful() -> Floats:
    eventful = ecg()
    eventful[1000:1200] = 3000.0
    eventful[2000:3000] = 1.0
    eventful[3200:3300] = 3000.0
    return eventful


@given(cuts=st.lists(st.integers(0, 5000), max_size=8), restore=st.booleans())
@settings(deadline=None, max_examples=40)
def test_pieces_and_restarts_tell_the_same(cuts: list[int], *, restore: bool) -> None:
    expected = watch().process(eventful())
    streaming = watch()

    parts = []
    for piece in np.split(eventful(), sorted(cuts)):
        parts.append(streaming.process(piece))
        if restore:
            streaming = LeadWatch.from_bytes(streaming.to_bytes())

    assert np.concatenate(parts).tolist() == expected.tolist()


def test_an_ecg_is_good_throughout() -> None:
    assert set(watch().process(ecg()).tolist()) == {Lead.GOOD}


def test_a_rail_is_told_after_its_first_moment_and_at_once_when_it_comes_again() -> None:
    leads = watch().process(eventful())

    railed = np.flatnonzero(leads == Lead.RAILED)
    first, again = railed[railed < 2000], railed[railed >= 2000]
    assert 1000 < first[0] <= 1010
    assert first[-1] == 1199
    assert again.tolist() == list(range(3200, 3300))


@pytest.mark.parametrize("rail", [-1e6, -2000.0, 5000.0, 2.0**23])
def test_rails_may_be_anywhere(rail: float) -> None:
    clipped = ecg()
    clipped[500:2000] = rail

    assert (watch().process(clipped)[520:2000] == Lead.RAILED).all()


def test_clipped_tops_are_rails_and_whole_ones_are_not() -> None:
    wave = 4000 * np.sin(2 * np.pi * 1.2 * np.arange(5000) / 250)

    whole = watch().process(wave)
    clipped = watch().process(np.clip(wave, -3000, 3000))

    assert set(whole.tolist()) == {Lead.GOOD}
    assert np.mean(clipped == Lead.RAILED) == pytest.approx(0.46, abs=0.03)


def test_what_is_exceeded_was_no_rail() -> None:
    step = np.concatenate(
        [ecg(), np.full(100, 2500.0), ecg(), np.full(1, 4000.0), np.full(50, 2500.0)]
    )

    leads = watch().process(step)

    assert (leads[5010:5100] == Lead.RAILED).all()
    assert (leads[-50:] == Lead.GOOD).all()


def test_a_flat_line_is_told_after_two_seconds_and_ends_with_the_first_beat() -> None:
    flat = ecg()
    flat[1000:3000] = 100.0 + np.arange(2000) % 3

    leads = watch().process(flat)

    assert (leads[:1490] == Lead.GOOD).all()
    assert (leads[1500:3000] == Lead.FLAT).all()
    assert (leads[3010:] == Lead.GOOD).all()


def test_a_flat_line_may_drift() -> None:
    drifting = np.concatenate([ecg(), np.linspace(900.0, 910.0, 5000)])

    assert (watch().process(drifting)[5510:] == Lead.FLAT).all()


def test_a_lead_that_gathers_mains_only_is_flat() -> None:
    humming = 300 * np.sin(2 * np.pi * 50 * np.arange(5000) / 250)
    mains_free = MainsCanceller(250).process(humming)

    assert (watch().process(humming, mains_free)[3000:] == Lead.FLAT).all()
    assert set(watch().process(humming).tolist()) == {Lead.GOOD}


def test_behind_a_gap_flatness_counts_anew_and_rails_are_known() -> None:
    lead = watch()
    lead.process(eventful())
    lead.reset()

    leads = lead.process(np.concatenate([np.full(3, 3000.0), np.zeros(600)]))

    assert leads[:3].tolist() == [Lead.RAILED] * 3
    assert (leads[3:502] == Lead.GOOD).all()
    assert leads[-1] == Lead.FLAT


@pytest.mark.parametrize("bad", [(0, 500, 5), (250, -1, 5), (250, 500, float("nan"))])
def test_limits_that_say_nothing_are_refused(bad: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="say nothing"):
        LeadWatch(*bad)


@given(st.binary(max_size=40))
def test_any_bytes_are_no_state(junk: bytes) -> None:
    with pytest.raises(StateError):
        LeadWatch.from_bytes(junk)


def test_the_kernel_and_its_source_agree_bit_for_bit() -> None:
    results: list[bytes] = []
    ecg = eventful()[800:2600]
    for form in (watch_lead, cast("Any", watch_lead).py_func):
        record, leads = new_record(LEAD), np.zeros(ecg.size, np.int64)
        form(record, watch()._design, ecg, ecg, leads)
        results.append(record.tobytes() + leads.tobytes())

    assert results[0] == results[1]
