"""One respiratory rate from several sources: who is believed, and when nobody is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import codes
from processors.dsp.state import StateError
from processors.vitals.derived import Algorithm, Derived
from processors.vitals.last_words import KEPT_MAX
from processors.vitals.reasons import NoValueReason
from processors.vitals.respiration_fusion import (
    AGE_S_MAX,
    SOURCES_MAX,
    BreathSource,
    RespirationFusion,
)

NS = 1_000_000_000
SAID = Algorithm(
    name="said", version=1, method="", source="", delay_s=0.0, averaging="", validity=""
)
CHEST, BEATS, DEVICE = BreathSource


def said(
    rate: float | None,
    quality: float = 0.95,
    t_s: float = 100,
    reason: NoValueReason = NoValueReason.POOR_SIGNAL,
) -> Derived:
    return Derived(
        quantity=codes.RESPIRATORY_RATE,
        algorithm=SAID,
        t_ns=round(t_s * NS),
        value=rate,
        reason=reason if rate is None else None,
        quality=quality,
    )


def fused(*sources: tuple[BreathSource, Derived], t_s: int = 100) -> Derived:
    fusion = RespirationFusion()
    for n, (kind, derived) in enumerate(sources):
        fusion.add(f"{kind}{n}", kind, derived)
    (result,) = fusion.at(t_s * NS)
    return result


def test_nobody_has_spoken_and_nothing_is_said() -> None:
    assert RespirationFusion().at(100 * NS) == []


def test_a_single_source_keeps_its_rate_and_is_named() -> None:
    result = fused((CHEST, said(15.0, 0.97)))

    assert result.value == pytest.approx(15.0)
    assert result.sources == ("chest0",)
    assert result.quality == pytest.approx(0.97)
    assert result.algorithm.name == "respiration_fusion"


def test_two_that_agree_are_surer_and_the_chest_counts_more() -> None:
    result = fused((CHEST, said(15.0, 0.8)), (BEATS, said(16.0, 0.8)))

    assert result.value is not None
    assert 15.0 < result.value < 15.25
    assert result.quality > 0.8
    assert result.sources == ("chest0", "beats1")


def test_a_good_chest_signal_is_right_against_beats() -> None:
    result = fused((CHEST, said(15.0)), (BEATS, said(30.0)))

    assert (result.value, result.sources) == (15.0, ("chest0",))


def test_a_bad_chest_signal_and_good_beats_that_differ_leave_nobody_right() -> None:
    result = fused((CHEST, said(15.0, 0.5)), (BEATS, said(30.0, 0.9)))

    assert result.reason is NoValueReason.SOURCES_DISAGREE


def test_beats_stand_in_where_the_chest_has_no_value() -> None:
    result = fused((CHEST, said(None, reason=NoValueReason.LEAD_OFF)), (BEATS, said(18.0)))

    assert result.value == pytest.approx(18.0)
    assert result.sources == ("beats1",)


def test_an_apnoea_of_the_chest_is_not_covered_by_beats() -> None:
    result = fused((BEATS, said(18.0)), (CHEST, said(None, reason=NoValueReason.APNOEA_SUSPECTED)))

    assert result.reason is NoValueReason.APNOEA_SUSPECTED


def test_without_values_the_reason_is_that_of_the_best_source() -> None:
    result = fused(
        (BEATS, said(None, reason=NoValueReason.TOO_FEW_BEATS)),
        (CHEST, said(None, reason=NoValueReason.LEAD_OFF)),
    )

    assert result.reason is NoValueReason.LEAD_OFF


def test_what_is_too_old_does_not_count() -> None:
    assert fused((CHEST, said(15.0)), t_s=int(100 + AGE_S_MAX)).age_s == AGE_S_MAX
    assert fused((CHEST, said(15.0)), t_s=int(101 + AGE_S_MAX)).reason is NoValueReason.NO_SAMPLES


def test_what_is_of_later_does_not_count_yet() -> None:
    fusion = RespirationFusion()
    fusion.add("a", CHEST, said(15.0, t_s=100))
    fusion.add("a", CHEST, said(25.0, t_s=102))
    fusion.add("a", CHEST, said(35.0, t_s=101))  # older than its last word

    assert [fusion.at(t * NS)[0].value for t in (100, 101, 102)] == [15.0, 15.0, 25.0]


def test_the_source_that_is_silent_longest_gives_way() -> None:
    fusion = RespirationFusion()
    for n in range(SOURCES_MAX + 1):
        fusion.add(f"s{n}", DEVICE, said(15.0 if n else 40.0))

    (result,) = fusion.at(100 * NS)

    assert "s0" not in result.sources
    assert len(result.sources) == SOURCES_MAX


def test_a_source_that_changes_its_kind_starts_anew() -> None:
    fusion = RespirationFusion()
    fusion.add("a", DEVICE, said(15.0, t_s=100))
    fusion.add("a", CHEST, said(20.0, t_s=99))

    assert fusion.at(100 * NS)[0].value == pytest.approx(20.0)


@given(
    words=st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from(BreathSource),
            st.none() | st.floats(4, 60),
            st.floats(0, 1),
        ),
        max_size=3 * KEPT_MAX,
    )
)
def test_a_restart_between_any_two_words_changes_nothing(
    words: list[tuple[int, BreathSource, float | None, float]],
) -> None:
    plain, restarted = RespirationFusion(), RespirationFusion()

    for t_s, (source, kind, rate, quality) in enumerate(words):
        for fusion in (plain, restarted):
            fusion.add(f"s{source}", kind, said(rate, quality, t_s))
        restarted = RespirationFusion.from_bytes(restarted.to_bytes())

        assert restarted.at(t_s * NS) == plain.at(t_s * NS)


@given(damage=st.binary(max_size=200))
def test_any_bytes_are_a_state_or_a_state_error(damage: bytes) -> None:
    with pytest.raises(StateError):
        RespirationFusion.from_bytes(damage)
