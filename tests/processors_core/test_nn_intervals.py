"""NN intervals: artefacts are found and left out, a sinus rhythm is left alone."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.dsp.kernel import new_record
from processors.dsp.state import StateError
from processors.vitals import hrv_kernel
from processors.vitals.derived import Beat, BeatClass
from processors.vitals.hrv_time import rmssd_ms
from processors.vitals.nn_intervals import Interval, IntervalKind, NnIntervals, judge_intervals
from tests.processors_core.simulated_nn import ipfm_beats_s, sinus_beats_s, to_beats

Floats = NDArray[np.float64]
K = IntervalKind


def judged(beats: list[Beat]) -> list[Interval]:
    step = NnIntervals()
    intervals = [interval for beat in beats for interval in step.add_beat(beat)]
    return intervals + step.settle()


def kinds(times_s: Floats) -> list[IntervalKind]:
    return [K(kind) for kind in judge_intervals(np.diff(times_s)).tolist()]


def nn_rmssd_ms(times_s: Floats) -> float:
    interval_s = np.diff(times_s)
    nn = judge_intervals(interval_s) == K.NN
    follows = np.concatenate(([False], nn[1:] & nn[:-1]))
    return rmssd_ms(interval_s[nn], follows[nn])


def regular(n: int, step_s: float = 0.8) -> Floats:
    return np.arange(n, dtype=np.float64) * step_s


def test_every_interval_of_a_sinus_rhythm_with_deep_breathing_is_nn() -> None:
    for f_hz, depth in [(0.1, 0.15), (0.25, 0.1), (0.33, 0.08), (0.02, 0.2)]:
        beats_s = ipfm_beats_s([(f_hz, depth)], mean_s=0.9, n_beats=600, jitter_s=0.005, seed=3)

        assert kinds(beats_s).count(K.NN) >= 597, (f_hz, depth)


def test_a_lasting_change_of_rate_is_no_artefact() -> None:
    interval_s = np.concatenate((np.full(60, 1.0), np.full(60, 0.85), np.full(60, 1.05)))

    assert set(judge_intervals(interval_s).tolist()) == {K.NN}


def test_a_premature_beat_takes_both_its_intervals_away() -> None:
    beats_s = regular(60)
    beats_s[30] -= 0.25

    found = kinds(beats_s)

    assert found[29:31] == [K.PREMATURE, K.PREMATURE]
    assert found.count(K.NN) == 57


def test_a_premature_beat_that_resets_the_sinus_node_takes_both_its_intervals_away() -> None:
    beats_s = regular(60)
    beats_s[30:] -= 0.3

    found = kinds(beats_s)

    assert found[29:31] == [K.PREMATURE, K.PREMATURE]
    assert found.count(K.NN) == 57


@pytest.mark.parametrize("n_missing", [1, 2])
def test_missed_beats_are_named(n_missing: int) -> None:
    beats_s = np.delete(0.9 * sinus_beats_s(200), slice(100, 100 + n_missing))

    found = kinds(beats_s)

    assert found[99] is K.MISSED_BEAT
    assert found.count(K.NN) == len(found) - 1


@pytest.mark.parametrize("share", [0.2, 0.35, 0.5, 0.75])
def test_an_extra_beat_takes_both_parts_of_the_interval_away(share: float) -> None:
    beats_s = sinus_beats_s(200)
    between_s = beats_s[100] + share * (beats_s[101] - beats_s[100])

    found = kinds(np.insert(beats_s, 101, between_s))

    assert K.NN not in found[100:102]
    assert {K.EXTRA_BEAT} <= set(found[100:102]) <= {K.EXTRA_BEAT, K.OUT_OF_BOUNDS}
    assert found.count(K.NN) == len(found) - 2


def test_a_pause_that_is_no_whole_number_of_intervals_is_late() -> None:
    beats_s = regular(60)
    beats_s[30:] += 0.5

    assert kinds(beats_s)[29] is K.LATE


@pytest.mark.parametrize("beat_class", [BeatClass.VENTRICULAR, BeatClass.PACED])
def test_an_ectopic_beat_takes_both_its_intervals_away(beat_class: BeatClass) -> None:
    classes = [BeatClass.NORMAL] * 40
    classes[20] = beat_class

    found = [interval.kind for interval in judged(to_beats(regular(40), classes))]

    assert found[19:21] == [K.ECTOPIC_BEAT, K.ECTOPIC_BEAT]
    assert found.count(K.NN) == 37


def test_a_beat_that_is_not_sure_takes_both_its_intervals_away() -> None:
    beats = to_beats(regular(40))
    beats[20] = to_beats(regular(40), quality=0.3)[20]

    found = [interval.kind for interval in judged(beats)]

    assert found[19:21] == [K.POOR_BEAT, K.POOR_BEAT]
    assert found.count(K.NN) == 37


def test_sure_beats_of_unknown_class_make_nn_intervals() -> None:
    beats = to_beats(regular(40), [BeatClass.UNKNOWN] * 40)

    assert {interval.kind for interval in judged(beats)} == {K.NN}


def test_between_ectopic_beats_everywhere_a_lone_interval_is_unsettled() -> None:
    classes = ([BeatClass.NORMAL] * 2 + [BeatClass.VENTRICULAR] * 9) * 4

    found = {interval.kind for interval in judged(to_beats(regular(44), classes))}

    assert found == {K.ECTOPIC_BEAT, K.UNSETTLED}


@pytest.mark.parametrize("interval_s", [0.1, 3.0, math.nan, math.inf, -1.0])
def test_what_no_heart_has_is_out_of_bounds(interval_s: float) -> None:
    step = NnIntervals()
    beats = to_beats(regular(20))
    strange = Beat(t_ns=beats[10].t_ns, interval_s=interval_s, quality=1.0, height=1.0, level=0.0)
    given_out = [i for beat in [*beats[:10], strange] for i in step.add_beat(beat)]

    assert (given_out + step.settle())[9].kind is K.OUT_OF_BOUNDS


def test_no_interval_spans_a_gap_and_none_is_lost_before_it() -> None:
    step = NnIntervals()
    beats = to_beats(regular(40))
    before = [interval for beat in beats[:20] for interval in step.add_beat(beat)]
    before += step.reset()
    behind = [interval for beat in beats[22:] for interval in step.add_beat(beat)]
    behind += step.settle()

    assert [interval.t_ns for interval in before] == [beat.t_ns for beat in beats[1:20]]
    assert [interval.t_ns for interval in behind] == [beat.t_ns for beat in beats[23:]]
    assert [interval.follows for interval in behind] == [False] + [True] * 16


def test_a_beat_without_an_interval_begins_a_stretch() -> None:
    beats = to_beats(regular(10)) + to_beats(regular(10) + 20.0)

    found = judged(beats)

    assert len(found) == 18
    assert [i for i, interval in enumerate(found) if not interval.follows] == [0, 9]


def test_a_repeated_beat_is_dropped() -> None:
    beats = to_beats(regular(20))

    assert judged(sorted(beats * 2, key=lambda beat: beat.t_ns)) == judged(beats)


def test_a_verdict_waits_for_five_intervals() -> None:
    step = NnIntervals()
    n_given = [len(step.add_beat(beat)) for beat in to_beats(regular(12))]

    assert n_given == [0] * 6 + [1] * 6


def test_a_preview_is_what_settling_gives_and_changes_nothing() -> None:
    step = NnIntervals()
    beats = to_beats(sinus_beats_s(100))
    for beat in beats:
        step.add_beat(beat)
    state = step.to_bytes()

    previewed = step.preview(beats[-2].t_ns)

    assert step.to_bytes() == state
    assert previewed == step.settle(beats[-2].t_ns)
    assert len(previewed) == 4
    assert step.oldest_ns == beats[-1].t_ns


def test_the_kernels_and_their_plain_forms_agree_bit_for_bit() -> None:
    interval_s = np.random.default_rng(5).uniform(0.2, 1.6, 150)
    interval_s[40:110] = np.diff(sinus_beats_s(71))
    compiled, plain = new_record(hrv_kernel.JUDGE), new_record(hrv_kernel.JUDGE)
    for x in interval_s.tolist():
        kind = int(K.NN if 0.25 <= x <= 1.5 else K.OUT_OF_BOUNDS)
        verdict = hrv_kernel.judge_interval(compiled, x, kind)
        hrv_kernel.push_interval.py_func(plain, x, kind)  # type: ignore[attr-defined]
        decide = hrv_kernel.decide_interval.py_func  # type: ignore[attr-defined]

        assert verdict == decide(plain, hrv_kernel.N_AHEAD)
        assert compiled.tobytes() == plain.tobytes()


beats_of_any_kind = st.lists(
    st.builds(
        lambda step_ns, interval_s, beat_class, quality: (step_ns, interval_s, beat_class, quality),
        st.integers(0, 3 * 10**9),
        st.none() | st.floats(0.3, 1.5) | st.floats(),
        st.sampled_from(BeatClass),
        st.floats(0.4, 1.0) | st.floats(),
    ),
    max_size=60,
)


def hostile(rows: list[tuple[int, float | None, BeatClass, float]]) -> list[Beat]:
    t_ns = np.cumsum([row[0] for row in rows]).tolist()
    return [
        Beat(t_ns=t, interval_s=x, beat_class=kind, quality=quality, height=0.0, level=0.0)
        for t, (_, x, kind, quality) in zip(t_ns, rows, strict=True)
    ]


@given(rows=beats_of_any_kind)
def test_any_beats_give_each_interval_once_and_in_order(
    rows: list[tuple[int, float | None, BeatClass, float]],
) -> None:
    beats = hostile(rows)
    taken = beats[:1] + [b for a, b in pairwise(beats) if b.t_ns > a.t_ns]

    found = judged(beats)

    expected = [beat.t_ns for beat in taken[1:] if beat.interval_s is not None]
    assert [interval.t_ns for interval in found] == expected
    assert all(math.isfinite(i.interval_s) and 0.0 <= i.quality <= 1.0 for i in found)


@given(rows=beats_of_any_kind, cuts=st.sets(st.integers(0, 60), max_size=4))
@settings(deadline=None)
def test_a_restart_between_any_two_beats_changes_nothing(
    rows: list[tuple[int, float | None, BeatClass, float]], cuts: set[int]
) -> None:
    step, found = NnIntervals(), []
    for i, beat in enumerate(hostile(rows)):
        if i in cuts:
            step = NnIntervals.from_bytes(step.to_bytes())
        found += step.add_beat(beat)

    assert found + step.settle() == judged(hostile(rows))


@given(st.binary(max_size=64))
def test_any_bytes_are_refused_with_a_state_error(junk: bytes) -> None:
    with pytest.raises(StateError):
        NnIntervals.from_bytes(junk)


@pytest.mark.parametrize("seed", range(4))
def test_missed_extra_and_premature_beats_barely_move_rmssd(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clean_s = sinus_beats_s(600, seed)
    places = rng.choice(np.arange(5, 595, 4), 18, replace=False)
    missed, early, extra = places[:6], places[6:12], places[12:]
    spoilt_s = clean_s.copy()
    spoilt_s[early] -= 0.3 * np.diff(clean_s)[early - 1]
    between_s = clean_s[extra] + rng.uniform(0.3, 0.7, 6) * np.diff(clean_s)[extra]
    spoilt_s = np.sort(np.concatenate((np.delete(spoilt_s, missed), between_s)))
    true_ms = rmssd_ms(np.diff(clean_s))

    assert rmssd_ms(np.diff(spoilt_s)) > 3.0 * true_ms
    assert nn_rmssd_ms(spoilt_s) == pytest.approx(true_ms, rel=0.05)
