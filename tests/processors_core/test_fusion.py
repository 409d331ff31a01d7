"""One heart rate from several sources: who is believed, and when nobody is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import codes
from processors.dsp.state import StateError
from processors.vitals.derived import Algorithm, Derived
from processors.vitals.fusion import (
    AGE_S_MAX,
    SOURCES_MAX,
    HeartRateFusion,
    RateKind,
)
from processors.vitals.last_words import KEPT_MAX
from processors.vitals.rate import BeatRate
from processors.vitals.reasons import NoValueReason

NS = 1_000_000_000
SAID = Algorithm(
    name="said", version=1, method="", source="", delay_s=0.0, averaging="", validity=""
)
ECG, PULSE, STRAP, OXIMETER = RateKind


def said(
    rate: float | None,
    quality: float = 0.98,
    t_s: float = 100,
    reason: NoValueReason = NoValueReason.POOR_SIGNAL,
) -> Derived:
    return Derived(
        quantity=codes.HEART_RATE,
        algorithm=SAID,
        t_ns=round(t_s * NS),
        value=rate,
        reason=reason if rate is None else None,
        quality=quality,
    )


def fused(*sources: tuple[RateKind, Derived], t_s: int = 100) -> Derived:
    fusion = HeartRateFusion()
    for n, (kind, derived) in enumerate(sources):
        fusion.add(f"{kind}{n}", kind, derived)
    (result,) = fusion.at(t_s * NS)
    return result


def test_nobody_has_spoken_and_nothing_is_said() -> None:
    assert HeartRateFusion().at(100 * NS) == []


def test_a_single_source_is_named_and_keeps_its_rate_and_quality() -> None:
    result = fused((ECG, said(72.0, 0.97)))

    assert result.value == pytest.approx(72.0)
    assert result.sources == ("ecg0",)
    assert result.quality == pytest.approx(0.97)
    assert result.algorithm.name == "heart_rate_fusion"


def test_sources_that_agree_are_averaged_by_their_odds_and_strengthen_each_other() -> None:
    result = fused((ECG, said(70.0, 0.9)), (PULSE, said(73.0, 0.5)))

    pulse_odds = 0.45 / 0.55
    assert result.value == pytest.approx((70 * 9 + 73 * pulse_odds) / (9 + pulse_odds))
    assert result.sources == ("ecg0", "pulse1")
    assert result.quality > 0.9


@pytest.mark.parametrize("kind", [PULSE, OXIMETER])
def test_a_good_ecg_is_right_in_pulse_deficit(kind: RateKind) -> None:
    result = fused((ECG, said(110.0)), (kind, said(82.0)))

    assert result.value == pytest.approx(110.0)
    assert result.sources == ("ecg0",)


@pytest.mark.parametrize(("spread", "filled_s"), [(0.2, 0.45), (0.25, 0.55), (0.2, 0.0)])
def test_in_fibrillation_the_rate_is_the_hearts_and_not_the_vessels(
    spread: float, filled_s: float
) -> None:
    """A beat so early that the heart had not filled makes no pulse."""
    rng = np.random.default_rng(8)
    intervals_s = np.maximum(0.33, 0.6 * np.exp(rng.normal(0, spread, 400)))
    beats_s = np.cumsum(intervals_s)
    pulses_s = 0.25 + beats_s[intervals_s > filled_s]
    heart, vessel = BeatRate(), BeatRate()
    fusion = HeartRateFusion()
    errors = []
    for t_s in range(1, 200):
        for times_s, rate in ((beats_s, heart), (pulses_s, vessel)):
            for time_s in times_s[(times_s > t_s - 1) & (times_s <= t_s)]:
                rate.add_beat(round(time_s * NS))
        of_heart, of_vessel = (rate.at(t_s * NS)[0] for rate in (heart, vessel))
        fusion.add("ecg", ECG, said(of_heart, 0.97, t_s))
        fusion.add("ppg", PULSE, said(of_vessel, 0.95, t_s))
        (result,) = fusion.at(t_s * NS)
        if of_heart is not None and t_s > 12:
            errors.append(np.nan if result.value is None else result.value / of_heart - 1)

    assert np.isfinite(errors).all()
    assert np.max(np.abs(errors)) < 0.02


def test_a_good_pulse_faster_than_a_good_ecg_leaves_nobody_to_believe() -> None:
    result = fused((ECG, said(60.0)), (PULSE, said(85.0)))

    assert (result.value, result.reason) == (None, NoValueReason.SOURCES_DISAGREE)
    assert result.quality == 0.0


def test_an_ecg_that_is_not_good_is_not_preferred_to_a_slower_pulse() -> None:
    result = fused((ECG, said(110.0, 0.8)), (PULSE, said(82.0)))

    assert result.reason is NoValueReason.SOURCES_DISAGREE


def test_a_third_source_decides() -> None:
    result = fused((ECG, said(60.0, 0.6)), (PULSE, said(85.0)), (OXIMETER, said(84.0, 1.0)))

    assert result.value == pytest.approx(85.0, abs=1)
    assert result.sources == ("pulse1", "device_pulse2")


def test_a_poor_source_does_not_trouble_a_good_one() -> None:
    result = fused((ECG, said(60.0)), (PULSE, said(150.0, 0.3)))

    assert (result.value, result.sources) == (60.0, ("ecg0",))


@pytest.mark.parametrize(("ours", "device"), [(ECG, STRAP), (ECG, OXIMETER), (PULSE, OXIMETER)])
def test_a_devices_own_figure_gives_way_to_ours(ours: RateKind, device: RateKind) -> None:
    assert fused((ours, said(60.0)), (device, said(75.0, 1.0))).value == pytest.approx(60.0)


def test_the_electrodes_of_a_strap_weigh_against_a_pulse_of_ours() -> None:
    result = fused((PULSE, said(60.0)), (STRAP, said(75.0, 1.0)))

    assert result.reason is NoValueReason.SOURCES_DISAGREE


def test_a_device_alone_is_heard() -> None:
    result = fused((ECG, said(None)), (STRAP, said(75.0, 1.0)))

    assert (result.value, result.sources) == (75.0, ("device_ecg1",))
    assert result.quality < 0.5


def test_a_pulse_speaks_against_an_asystole_that_the_ecg_suspects() -> None:
    silent = said(None, 0.0, reason=NoValueReason.ASYSTOLE_SUSPECTED)

    assert fused((ECG, silent), (PULSE, said(64.0))).value == pytest.approx(64.0)


def test_without_a_value_the_best_source_says_why() -> None:
    off = said(None, 0.0, reason=NoValueReason.LEAD_OFF)

    assert fused((PULSE, said(None)), (ECG, off)).reason is NoValueReason.LEAD_OFF
    assert fused((PULSE, said(None))).reason is NoValueReason.POOR_SIGNAL
    assert fused((ECG, said(60.0, 0.0))).reason is NoValueReason.NO_SAMPLES


@pytest.mark.parametrize("kind", list(RateKind))
def test_a_source_that_has_fallen_silent_does_not_count(kind: RateKind) -> None:
    last_s = int(AGE_S_MAX[kind])

    assert fused((kind, said(72.0)), t_s=100 + last_s).age_s == last_s
    assert fused((kind, said(72.0)), t_s=101 + last_s).reason is NoValueReason.NO_SAMPLES


def test_what_is_said_of_later_does_not_count_before() -> None:
    fusion = HeartRateFusion()
    fusion.add("ecg", ECG, said(60.0, t_s=99))
    fusion.add("ecg", ECG, said(90.0, t_s=101))

    assert [fusion.at(t * NS)[0].value for t in (99, 100, 101)] == [60.0, 60.0, 90.0]


def test_what_comes_again_or_late_is_passed_over() -> None:
    fusion = HeartRateFusion()
    fusion.add("ecg", ECG, said(60.0))
    fusion.add("ecg", ECG, said(90.0))
    fusion.add("ecg", ECG, said(90.0, t_s=99))

    assert fusion.at(100 * NS)[0].value == pytest.approx(60.0)


def test_a_source_that_becomes_another_kind_starts_anew() -> None:
    fusion = HeartRateFusion()
    fusion.add("x", ECG, said(60.0))
    fusion.add("x", PULSE, said(90.0, t_s=99))

    assert fusion.at(100 * NS)[0].value == pytest.approx(90.0)


def test_sources_and_their_values_are_bounded() -> None:
    fusion = HeartRateFusion()
    for n in range(100):
        fusion.add(f"device{n}", STRAP, said(60.0 + n))
    for n in range(100):
        fusion.add("device99", STRAP, said(160.0, t_s=101 + n))
    kept = fusion.to_bytes()

    assert len(kept) < 250 * (SOURCES_MAX + KEPT_MAX)
    assert fusion.at(200 * NS)[0].sources == ("device99",)


WORDS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(list(RateKind)),
        st.one_of(st.none(), st.floats(20, 300)),
        st.floats(0, 1),
        st.integers(95, 105),
    ),
    max_size=20,
)


@given(words=WORDS, cut=st.integers(0, 20))
def test_a_restart_changes_nothing_and_a_value_lies_among_its_sources(
    words: list[tuple[str, RateKind, float | None, float, int]], cut: int
) -> None:
    whole, parts = HeartRateFusion(), HeartRateFusion()
    for n, (source, kind, rate, quality, t_s) in enumerate(words):
        if n == cut:
            parts = HeartRateFusion.from_bytes(parts.to_bytes())
        for fusion in (whole, parts):
            fusion.add(source, kind, said(rate, quality, t_s))
    assert parts.to_bytes() == whole.to_bytes()
    for t_s in range(95, 112):
        results = whole.at(t_s * NS)
        assert parts.at(t_s * NS) == results
        for result in results:
            assert 0 <= result.quality <= 1
            if result.value is not None:
                rates = [rate for source, _, rate, *_ in words if source in result.sources]
                known = [rate for rate in rates if rate is not None]
                assert min(known) - 1e-9 <= result.value <= max(known) + 1e-9


@given(st.binary(max_size=40))
def test_any_bytes_are_no_state(junk: bytes) -> None:
    with pytest.raises(StateError):
        HeartRateFusion.from_bytes(junk)
