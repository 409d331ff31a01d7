"""Ectopy burden: counted by whole minutes, summed over an hour."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.dsp.state import StateError
from processors.vitals.derived import Beat, BeatClass, Derived
from processors.vitals.ectopy import Ectopy

NS = 1_000_000_000
MINUTE = 60 * NS
T0 = 29_000_000 * MINUTE
N, V, UNKNOWN = BeatClass.NORMAL, BeatClass.VENTRICULAR, BeatClass.UNKNOWN


def fill(step: Ectopy, minute: int, classes: list[BeatClass], quality: float = 1.0) -> None:
    """Spread beats over a minute, the last on its end."""
    for k, beat_class in enumerate(classes, 1):
        t_ns = T0 + minute * MINUTE + k * MINUTE // len(classes)
        step.add_beat(
            Beat(
                t_ns=t_ns,
                interval_s=None,
                beat_class=beat_class,
                quality=quality,
                height=1.0,
                level=0.0,
            )
        )


def at_minute(step: Ectopy, minute: int) -> dict[str, Derived]:
    return {d.algorithm.name: d for d in step.at(T0 + minute * MINUTE)}


def test_the_burden_is_the_share_of_ventricular_beats_among_known_ones() -> None:
    step = Ectopy()
    fill(step, 0, [N] * 45 + [V] * 15 + [UNKNOWN] * 20)

    burden = at_minute(step, 1)["ectopy_60s"]

    assert burden.value == 25.0
    assert burden.quality == 0.75
    assert burden.age_s == 0.0


def test_the_next_minute_begins_at_nothing_and_the_hour_goes_on() -> None:
    step = Ectopy()
    for minute in range(60):
        fill(step, minute, ([V] if minute < 30 else [N]) * 10 + [N] * 90)
        out = at_minute(step, minute + 1)

    assert out["ectopy_60s"].value == 0.0
    assert out["ectopy_3600s"].value == 5.0
    fill(step, 60, [N] * 100)
    assert at_minute(step, 61)["ectopy_3600s"].value == pytest.approx(100 * 290 / 6000)


def test_too_few_beats_have_no_burden() -> None:
    step = Ectopy()
    fill(step, 0, [V] * 19 + [UNKNOWN] * 30)

    out = at_minute(step, 1)

    assert [d.reason for d in out.values()] == ["too_few_beats", "too_few_beats"]


def test_nothing_is_given_between_whole_minutes() -> None:
    step = Ectopy()
    fill(step, 0, [N] * 60)

    assert step.at(T0 + 30 * NS) == []
    assert len(step.at(T0 + MINUTE)) == 2


def test_beats_behind_the_whole_minute_do_not_count_for_it() -> None:
    step = Ectopy()
    fill(step, 0, [N] * 60)
    before = at_minute(step, 1)["ectopy_60s"]
    fill(step, 1, [V] * 60)

    assert before.value == 0.0
    assert at_minute(step, 2)["ectopy_60s"].value == 100.0


def test_a_gap_of_hours_empties_the_hour() -> None:
    step = Ectopy()
    for minute in range(30):
        fill(step, minute, [V] * 60)

    step.reset(T0 + 200 * MINUTE)
    fill(step, 200, [N] * 60)

    out = at_minute(step, 201)
    assert out["ectopy_60s"].value == 0.0
    assert out["ectopy_3600s"].reason == "too_few_beats"


@given(cut=st.integers(0, 9))
def test_a_restart_changes_nothing(cut: int) -> None:
    whole, pieces = Ectopy(), Ectopy()
    for minute in range(10):
        fill(whole, minute, [N] * 90 + [V] * minute * 2)
        fill(pieces, minute, [N] * 90 + [V] * minute * 2)
        if minute == cut:
            pieces = Ectopy.from_bytes(pieces.to_bytes())
        assert at_minute(pieces, minute + 1) == at_minute(whole, minute + 1)


def test_junk_is_no_state() -> None:
    with pytest.raises(StateError):
        Ectopy.from_bytes(b"junk")
