"""The averaging rule, and the reasons that take the value's place."""

import pytest

from processors.dsp.state import StateError
from processors.vitals.ecg_events import HeartRate
from processors.vitals.heart_rate import HeartRateAverage
from processors.vitals.quality import Assessment
from processors.vitals.reasons import NoValueReason

GOOD = Assessment(0.99, None)
NS = 1_000_000_000


def average_of(*r_peaks_s: float) -> HeartRateAverage:
    average = HeartRateAverage()
    for r_peak_s in r_peaks_s:
        average.add_beat(round(r_peak_s * NS))
    return average


def test_the_rate_is_sixty_over_the_mean_interval() -> None:
    rate = average_of(1.0, 2.0, 2.5, 3.5, 4.5).at(5 * NS, GOOD)

    assert rate == HeartRate(
        t_ns=5 * NS,
        heart_rate_bpm=60 / 0.875,
        reason=None,
        quality=0.99,
        n_beats=4,
        age_s=0.5,
    )


def test_an_interval_counts_while_its_later_beat_is_within_ten_seconds() -> None:
    average = average_of(0.0, 1.0, 2.0, 4.0, 6.0, 8.0)

    assert average.at(11 * NS - 1, GOOD).n_beats == 5
    assert average.at(11 * NS, GOOD).n_beats == 4


def test_the_first_beat_ends_no_interval() -> None:
    average = HeartRateAverage()

    assert average.add_beat(NS) is None
    assert average.add_beat(3 * NS // 2) == 0.5


@pytest.mark.parametrize(
    ("r_peaks_s", "t_s", "assessment", "reason"),
    [
        ((0.5, 1.0, 1.5, 2.0), 3, Assessment(0.4, NoValueReason.POOR_SIGNAL), "poor_signal"),
        ((0.5, 1.0, 1.5, 2.0), 3, Assessment(0.0, NoValueReason.LEAD_OFF), "lead_off"),
        ((0.5, 1.0, 1.5, 2.0), 3, Assessment(0.0, NoValueReason.SATURATED), "saturated"),
        ((0.5, 1.0, 1.5, 2.0), 7, GOOD, "asystole_suspected"),
        ((), 5, GOOD, "asystole_suspected"),
        ((0.5, 1.0, 1.5), 2, GOOD, "warming_up"),
        ((9.0, 10.0, 11.0), 12, GOOD, "too_few_beats"),
    ],
)
def test_without_a_value_there_is_a_reason(
    r_peaks_s: tuple[float, ...], t_s: int, assessment: Assessment, reason: str
) -> None:
    rate = average_of(*r_peaks_s).at(t_s * NS, assessment)

    assert (rate.heart_rate_bpm, rate.reason) == (None, reason)


def test_no_interval_spans_a_lead_that_was_off() -> None:
    average = average_of(1.0, 2.0, 3.0, 4.0, 5.0)
    average.at(8 * NS, Assessment(0.0, NoValueReason.LEAD_OFF))

    assert average.add_beat(9 * NS) is None


def test_a_value_and_a_reason_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="never both"):
        HeartRate(t_ns=0, heart_rate_bpm=None, reason=None, quality=0.0, n_beats=0, age_s=None)


def test_the_state_comes_back() -> None:
    average = average_of(1.0, 2.0, 2.5, 3.5, 4.5)

    back = HeartRateAverage.from_bytes(average.to_bytes())

    assert back.at(5 * NS, GOOD) == average.at(5 * NS, GOOD)
    with pytest.raises(StateError):
        HeartRateAverage.from_bytes(b"")
