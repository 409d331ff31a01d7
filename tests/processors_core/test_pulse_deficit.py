"""Every second pulse missing: what light says at once, after half a minute, and for how long."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from devices import codes
from processors.dsp.sample_clock import SampleClock
from processors.dsp.state import StateError
from processors.vitals.derived import Derived
from processors.vitals.ppg import PpgChain
from processors.vitals.ppg_quality import QUALITY_MIN, Assessment
from processors.vitals.pulse_deficit import HALF, LASTING_NS, QUALITY_MAX, PulseDeficit
from processors.vitals.reasons import NoValueReason
from tests.processors_core.synthetic_ppg import ppg

Floats = NDArray[np.float64]

S = 10**9
FS_HZ = 60
GOOD = 0.9
SUSPECTED = NoValueReason.PULSE_DEFICIT_SUSPECTED


def rates_of(beats_s: Floats, duration_s: int) -> list[Derived]:
    """One each second."""
    signal = ppg(beats_s, FS_HZ, duration_s, dicrotic=0.15)
    signal += np.random.default_rng(1).normal(0, 0.003, signal.size)
    chain = PpgChain(FS_HZ, SampleClock(epoch_ns=0, period_num_ns=S, period_den=FS_HZ))
    return [
        one
        for one in chain.process(signal, 0)
        if isinstance(one, Derived) and one.quantity is codes.PULSE_RATE
    ]


def in_pieces(*pieces: tuple[float, float]) -> Floats:
    """Beats of so many seconds each at an interval."""
    intervals_s = [np.full(round(lasts_s / every_s), every_s) for lasts_s, every_s in pieces]
    return np.asarray(0.7 + np.cumsum(np.concatenate(intervals_s)))


def test_a_pulse_that_halves_at_once_says_why_there_is_no_rate() -> None:
    rates = rates_of(in_pieces((60, 0.8), (55, 1.6)), 116)

    after = rates[62:110]
    reasons = [one.reason for one in after]
    assert reasons.count(SUSPECTED) >= 15
    assert set(reasons) <= {None, SUSPECTED, NoValueReason.POOR_SIGNAL}
    shown = [one.value for one in rates[75:110] if one.value is not None]
    assert shown == pytest.approx([37.5] * len(shown), abs=1)


def test_half_the_rate_is_shown_and_not_called_good_for_five_minutes() -> None:
    rates = rates_of(in_pieces((60, 0.8), (400, 1.6)), 460)

    doubted = rates[120:360]
    assert all(one.value == pytest.approx(37.5, abs=1) for one in doubted)
    assert all(QUALITY_MIN <= one.quality < GOOD for one in doubted)
    assert all(one.quality >= GOOD for one in rates[60 + 300 + 40 : 450])


def test_when_every_pulse_is_back_the_rate_is_good_again() -> None:
    rates = rates_of(in_pieces((60, 0.8), (80, 1.6), (60, 0.8)), 200)

    assert max(one.quality for one in rates[110:138]) < GOOD
    back = rates[165:195]
    assert all(one.value == pytest.approx(75, abs=1) for one in back)
    assert all(one.quality >= GOOD for one in back)


def test_a_pulse_that_slows_over_half_a_minute_is_not_doubted() -> None:
    falling_s = np.linspace(0.8, 1.6, 60)
    intervals_s = np.concatenate((np.full(75, 0.8), falling_s, np.full(40, 1.6)))
    rates = rates_of(np.asarray(0.7 + np.cumsum(intervals_s)), 190)

    assert SUSPECTED not in {one.reason for one in rates}
    assert all(one.quality >= GOOD for one in rates[175:185])


def assessed(
    interval: float, quality: float = 0.99, halved_from: float | None = None
) -> Assessment:
    return Assessment(
        quality,
        NoValueReason.POOR_SIGNAL if quality < QUALITY_MIN else None,
        connected=True,
        interval_samples=interval,
        halved_from_samples=halved_from,
    )


def test_a_rate_that_is_no_longer_half_ends_the_doubt() -> None:
    deficit = PulseDeficit()
    deficit.temper(S, assessed(200.0, 0.5, 100.0))

    assert deficit.temper(2 * S, assessed(200.0)).quality == QUALITY_MAX
    assert deficit.temper(3 * S, assessed(100.0 * HALF[0] - 1)).quality > GOOD
    assert deficit.temper(4 * S, assessed(200.0)).quality > GOOD


def test_what_cannot_be_judged_changes_nothing() -> None:
    deficit = PulseDeficit()
    deficit.temper(S, assessed(200.0, 0.5, 100.0))
    poor = assessed(100.0, 0.3)

    assert deficit.temper(2 * S, poor) is poor
    assert deficit.temper(3 * S, Assessment(0.0, None, connected=False)).quality == 0.0
    assert deficit.temper(4 * S, assessed(200.0)).quality == QUALITY_MAX


def test_a_sensor_that_is_off_stays_off() -> None:
    off = Assessment(
        0.0, NoValueReason.SATURATED, connected=True, interval_samples=2.0, halved_from_samples=1.0
    )

    assert PulseDeficit().temper(S, off).reason is NoValueReason.SATURATED


@given(
    seconds=st.lists(
        st.tuples(
            st.sampled_from([90.0, 200.0, 300.0]), st.sampled_from([0.3, 0.99]), st.booleans()
        ),
        max_size=30,
    ),
    step_ns=st.sampled_from([S, LASTING_NS // 4]),
)
@settings(deadline=None)
def test_a_restart_between_any_two_seconds_changes_nothing(
    seconds: list[tuple[float, float, bool]], step_ns: int
) -> None:
    whole, cut = PulseDeficit(), PulseDeficit()

    for i, (interval, quality, is_halved) in enumerate(seconds):
        judged = assessed(interval, quality, 100.0 if is_halved else None)
        expected = whole.temper(i * step_ns, judged)
        assert cut.temper(i * step_ns, judged) == expected
        cut = PulseDeficit.from_bytes(cut.to_bytes())

    assert cut.to_bytes() == whole.to_bytes()


def test_a_damaged_state_is_refused() -> None:
    with pytest.raises(StateError):
        PulseDeficit.from_bytes(PulseDeficit().to_bytes()[:-1])
