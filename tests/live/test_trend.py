"""The trends: what is averaged, what is a gap, and that nothing grows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import codes
from ingest.frame import NS_PER_S
from ingest.observation import Observation
from processors.sinks.live import LiveHub
from processors.sinks.live.trend import STEPS, TrendBook, TrendRing
from processors.vitals.fusion import ALGORITHM as FUSION
from processors.vitals.readings import DEVICE_RECORD

if TYPE_CHECKING:
    from collections.abc import Iterable

T0_S = 1_800_000_000


def heart_rate(t_s: float, value: float | None = 70.0, **changes: Any) -> Observation:  # noqa: ANN401 - any field
    fields: dict[str, Any] = {
        "subject_id": "s1",
        "t_ns": int((T0_S + t_s) * NS_PER_S),
        "name": codes.HEART_RATE.name,
        "mdc_code": codes.HEART_RATE.mdc,
        "unit": codes.HEART_RATE.ucum,
        "value": value,
        "reason": None if value is not None else "lead_off",
        "quality": 0.9 if value is not None else 0.0,
        "age_s": 0.1,
        "channels": ("strap/ecg",),
        "algorithm": "ecg_rate",
        "algorithm_version": 1,
    }
    return Observation(**(fields | changes))


def ring_of(observations: Iterable[Observation], step_s: int = 10, n_steps: int = 6) -> TrendRing:
    ring = TrendRing("heart_rate", "/min", step_s, n_steps)
    for one in observations:
        ring.process(one)
    return ring


def means(ring: TrendRing) -> tuple[float | None, ...]:
    trend = ring.snapshot()
    return () if trend is None else trend.mean


def test_a_step_has_mean_least_and_greatest() -> None:
    trend = ring_of([heart_rate(0, 60), heart_rate(1, 90), heart_rate(9, 66)]).snapshot()

    assert trend is not None
    assert (trend.t0_ms, trend.step_s) == (T0_S * 1000, 10)
    assert (trend.mean, trend.low, trend.high) == ((72.0,), (60.0,), (90.0,))


def test_a_step_is_told_when_the_next_begins() -> None:
    ring = TrendRing("heart_rate", "/min", 10, 6)
    told = [ring.process(heart_rate(t_s, 60 + t_s)) for t_s in (0, 5, 10, 15, 20)]

    assert [None if one is None else one.mean for one in told] == [
        None,
        None,
        (62.5,),
        None,
        (72.5,),
    ]


def test_the_end_of_a_step_is_told_even_if_no_value_comes_any_more() -> None:
    ring = TrendRing("heart_rate", "/min", 10, 6)
    ring.process(heart_rate(0, 60))

    over = ring.process(heart_rate(10, None))

    assert over is not None
    assert over.mean == (60.0,)
    assert ring.process(heart_rate(20, None)) is None


def test_where_no_value_was_believed_there_is_a_gap() -> None:
    ring = ring_of(
        [
            heart_rate(0, 60),
            heart_rate(10, None),
            heart_rate(20, 99, quality=0.4),
            heart_rate(30, 63),
        ]
    )

    assert means(ring) == (60.0, None, None, 63.0)


def test_what_is_fused_stands_for_all_sources() -> None:
    fused = {"algorithm": FUSION.name, "channels": ("strap/ecg", "oximeter/pleth")}
    ring = ring_of([heart_rate(0, 50), heart_rate(1, 80, **fused), heart_rate(2, 50)])

    assert means(ring) == (80.0,)


def test_two_sources_are_never_mixed() -> None:
    other = {"channels": ("patch/ecg",)}
    ring = ring_of([heart_rate(0, 60), heart_rate(1, 90, **other), heart_rate(10, 90, **other)])

    assert means(ring) == (60.0, 90.0)


def test_late_values_fill_their_own_place() -> None:
    ring = ring_of([heart_rate(0, 60), heart_rate(30, 63), heart_rate(10, 61), heart_rate(20, 62)])

    assert means(ring) == (60.0, 61.0, 62.0, 63.0)


def test_the_oldest_give_way() -> None:
    ring = ring_of([heart_rate(10 * i, 60 + i) for i in range(9)])

    assert means(ring) == (63.0, 64.0, 65.0, 66.0, 67.0, 68.0)
    ring.process(heart_rate(0, 99))
    assert means(ring) == (63.0, 64.0, 65.0, 66.0, 67.0, 68.0)


def test_after_a_clock_was_set_back_by_days_the_trend_goes_on() -> None:
    ring = ring_of([heart_rate(10 * i, 60) for i in range(9)])

    ring.process(heart_rate(-200_000, 70))
    ring.process(heart_rate(-199_990, 71))

    assert means(ring) == (70.0, 71.0)


RATES = st.lists(
    st.tuples(st.integers(0, 200), st.floats(20, 250, allow_nan=False)), min_size=1, max_size=60
)


@given(RATES)
@settings(max_examples=60, deadline=None)
def test_what_comes_twice_counts_once(rates: list[tuple[int, float]]) -> None:
    observations = [heart_rate(t_s, value) for t_s, value in sorted(rates)]

    once = ring_of(observations)
    twice = ring_of(observations)
    for one in observations:
        twice.process(one)

    assert once.snapshot() == twice.snapshot()


@given(RATES)
@settings(max_examples=60, deadline=None)
def test_means_are_those_of_the_values_in_the_step(rates: list[tuple[int, float]]) -> None:
    values = dict(rates)
    ring = ring_of([heart_rate(t_s, value) for t_s, value in sorted(values.items())], n_steps=21)

    trend = ring.snapshot()

    assert trend is not None
    first = int(trend.t0_ms / 10_000) - T0_S // 10
    for i, mean in enumerate(trend.mean, start=first):
        inside = [value for t_s, value in values.items() if t_s // 10 == i]
        assert (mean is None) == (not inside)
        if inside:
            assert mean == pytest.approx(sum(inside) / len(inside), abs=0.006)


def test_a_book_keeps_each_quantity_at_each_step_and_no_stored_values() -> None:
    book = TrendBook()
    book.process(heart_rate(0, 60))
    book.process(heart_rate(0, 97, name=codes.SPO2.name))
    book.process(heart_rate(0, 50, name=codes.PERFUSION_INDEX.name))
    book.process(heart_rate(0, 36, name=codes.BODY_TEMPERATURE.name, algorithm=DEVICE_RECORD.name))

    kept = {(trend.name, trend.step_s) for trend in book.snapshot()}

    assert kept == {(name, step_s) for name in ("heart_rate", "spo2") for step_s, _ in STEPS}


def test_a_page_that_opens_gets_the_trends_and_then_each_step() -> None:
    hub = LiveHub()
    for t_s in range(25):
        hub.add_observation(heart_rate(t_s, 60 + t_s))
    page = hub.subscribe("s1", lambda: None, 0)
    texts, _ = page.take()
    assert sum('"type":"trend"' in text for text in texts) == len(STEPS)

    for t_s in range(25, 31):
        hub.add_observation(heart_rate(t_s, 60 + t_s))

    told = [text for text in page.take()[0] if '"type":"trend"' in text]
    assert len(told) == 1
    assert '"mean":[84.5]' in told[0]
