"""Heart rate variability: the time domain, and the step that gives every figure of every window."""

import math
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal

from devices import codes
from devices.codes import Quantity
from processors.dsp.state import MalformedStateError, State, StateError
from processors.vitals.derived import Beat, BeatClass, Derived
from processors.vitals.hrv import HeartRateVariability
from processors.vitals.hrv_day import DayOfIntervals
from processors.vitals.hrv_nonlinear import (
    ALPHA1_BEATS,
    ALPHA2_BEATS,
    dfa_exponent,
    poincare_ms,
    sample_entropy,
)
from processors.vitals.hrv_spectrum import lomb_scargle
from processors.vitals.hrv_time import (
    mean_nn_ms,
    pnn_percent,
    rmssd_ms,
    sdnn_ms,
    sdsd_ms,
    triangular_index,
)
from processors.vitals.nn_intervals import TooFewIntervalsError
from processors.vitals.reasons import NoValueReason
from tests.processors_core.scoring import BEAT_SYMBOLS, quiet
from tests.processors_core.simulated_nn import run, sinus_beats_s, to_beats

Floats = NDArray[np.float64]

HOUR_S = 3600
EPOCH = ("hrv_300s", 300)


def started(start_s: int = 0) -> HeartRateVariability:
    step = HeartRateVariability()
    step.reset(start_s * 10**9)
    return step


def of(
    derived: Sequence[Derived], algorithm: str, t_s: int | None = None
) -> dict[Quantity, Derived]:
    """Derived values of one algorithm at one time, by quantity; without a time, the last ones."""
    found = [d for d in derived if d.algorithm.name == algorithm]
    at_ns = found[-1].t_ns if t_s is None else t_s * 10**9
    return {d.quantity: d for d in found if d.t_ns == at_ns}


def values(derived: dict[Quantity, Derived]) -> dict[Quantity, float | None]:
    return {quantity: d.value for quantity, d in derived.items()}


def reasons(derived: dict[Quantity, Derived]) -> set[NoValueReason | None]:
    return {d.reason for quantity, d in derived.items() if quantity is not codes.NN_SHARE}


def ending_within(beats: Sequence[Beat], first_s: int, last_s: int) -> tuple[Floats, Floats]:
    """Intervals of ``beats`` that end in a window, and their ends since its start."""
    inside = [b for b in beats if first_s * 10**9 < b.t_ns <= last_s * 10**9]
    t_s = np.array([(b.t_ns - first_s * 10**9) / 1e9 for b in inside])
    return t_s, np.array([b.interval_s for b in inside], dtype=np.float64)


# The time domain


def test_the_time_domain_is_that_of_neurokit() -> None:
    nn_s = np.diff(sinus_beats_s(401))
    with quiet():
        import neurokit2 as nk

        peer = nk.hrv_time({"RRI": 1e3 * nn_s, "RRI_Time": np.cumsum(nn_s)}, sampling_rate=1000)
    peer = peer.iloc[0]

    assert mean_nn_ms(nn_s) == pytest.approx(peer["HRV_MeanNN"], rel=1e-9)
    assert sdnn_ms(nn_s) == pytest.approx(peer["HRV_SDNN"], rel=1e-9)
    assert rmssd_ms(nn_s) == pytest.approx(peer["HRV_RMSSD"], rel=1e-9)
    assert sdsd_ms(nn_s) == pytest.approx(peer["HRV_SDSD"], rel=1e-9)
    # There the count is divided by the intervals, here by the differences, of which there is one
    # less (Task Force: "divided by the total number of all NN intervals", counted in pairs).
    per_interval = 399 / 400
    assert per_interval * pnn_percent(nn_s, 50) == pytest.approx(peer["HRV_pNN50"], rel=1e-9)
    assert per_interval * pnn_percent(nn_s, 20) == pytest.approx(peer["HRV_pNN20"], rel=1e-9)


def test_figures_of_a_series_done_by_hand() -> None:
    nn_s = np.array([0.80, 0.85, 0.80, 0.90, 0.65])

    assert mean_nn_ms(nn_s) == pytest.approx(800)
    assert sdnn_ms(nn_s) == pytest.approx(math.sqrt((0 + 2500 + 0 + 10_000 + 22_500) / 4))
    assert rmssd_ms(nn_s) == pytest.approx(math.sqrt((2500 + 2500 + 10_000 + 62_500) / 4))
    assert sdsd_ms(nn_s) == pytest.approx(np.std([50, -50, 100, -250], ddof=1))
    assert pnn_percent(nn_s, 50) == 50.0  # 50 ms is not above 50 ms
    assert pnn_percent(nn_s, 20) == 100.0
    assert triangular_index(nn_s) == 2.5  # twice 0.80


def test_no_difference_spans_what_was_left_out() -> None:
    nn_s = np.array([0.8, 0.82, 1.4, 1.42])
    follows = np.array([False, True, False, True])

    assert rmssd_ms(nn_s, follows) == pytest.approx(20.0)
    assert sdsd_ms(nn_s, follows) == pytest.approx(0.0, abs=1e-9)
    assert pnn_percent(nn_s, 50, follows) == 0.0


def test_too_few_intervals_say_how_many_are_needed() -> None:
    with pytest.raises(TooFewIntervalsError, match="SDNN needs 2 intervals, 1 available"):
        sdnn_ms(np.array([0.8]))
    with pytest.raises(TooFewIntervalsError, match="RMSSD needs 1 intervals, 0 available"):
        rmssd_ms(np.array([0.8]))


# Windows of one and five minutes


def test_every_figure_is_that_of_the_nn_series_of_its_window() -> None:
    beats = to_beats(sinus_beats_s(900))
    derived = run(started(), beats, 0, 600)

    t_s, nn_s = ending_within(beats, 300, 600)
    spectrum = lomb_scargle(t_s, nn_s, 300.0)
    vlf, lf, hf = (spectrum.power_ms2(*band) for band in [(0.003, 0.04), (0.04, 0.15), (0.15, 0.4)])
    expected = {
        codes.MEAN_NN: 1e3 * nn_s.mean(),
        codes.SDNN: 1e3 * np.std(nn_s, ddof=1),
        codes.RMSSD: 1e3 * math.sqrt((np.diff(nn_s) ** 2).mean()),
        codes.SDSD: 1e3 * np.std(np.diff(nn_s), ddof=1),
        codes.PNN50: 100 * (np.abs(np.diff(nn_s)) > 0.05).mean(),
        codes.PNN20: 100 * (np.abs(np.diff(nn_s)) > 0.02).mean(),
        codes.SD1: poincare_ms(nn_s)[0],
        codes.SD2: poincare_ms(nn_s)[1],
        codes.SAMPLE_ENTROPY: sample_entropy(nn_s),
        codes.DFA_ALPHA1: dfa_exponent(nn_s, ALPHA1_BEATS),
        codes.VLF_POWER: vlf,
        codes.LF_POWER: lf,
        codes.HF_POWER: hf,
        codes.LF_HF_RATIO: lf / hf,
        codes.TOTAL_POWER: vlf + lf + hf,
        codes.NN_SHARE: 100.0,
    }
    assert values(of(derived, "hrv_300s", 600)) == pytest.approx(expected, rel=1e-9)

    _, nn_s = ending_within(beats, 420, 480)
    expected = {
        codes.MEAN_NN: 1e3 * nn_s.mean(),
        codes.SDNN: 1e3 * np.std(nn_s, ddof=1),
        codes.RMSSD: 1e3 * math.sqrt((np.diff(nn_s) ** 2).mean()),
        codes.PNN50: 100 * (np.abs(np.diff(nn_s)) > 0.05).mean(),
        codes.PNN20: 100 * (np.abs(np.diff(nn_s)) > 0.02).mean(),
        codes.NN_SHARE: 100.0,
    }
    assert values(of(derived, "hrv_60s", 480)) == pytest.approx(expected, rel=1e-9)


def test_values_come_on_whole_minutes_and_five_minutes() -> None:
    derived = run(started(), to_beats(sinus_beats_s(900)), 0, 660)

    by_minute = sorted({d.t_ns // 10**9 for d in derived if d.algorithm.name == "hrv_60s"})
    by_five = sorted({d.t_ns // 10**9 for d in derived if d.algorithm.name == "hrv_300s"})
    assert by_minute == list(range(60, 661, 60))
    assert by_five == [300, 600]


def test_the_windows_of_the_start_are_warming_up_until_they_are_covered() -> None:
    beats = [b for b in to_beats(sinus_beats_s(900)) if b.t_ns > 100e9]
    derived = run(started(100), beats, 100, 600)

    assert reasons(of(derived, "hrv_60s", 120)) == {NoValueReason.WARMING_UP}
    assert reasons(of(derived, "hrv_60s", 180)) == {None}
    assert reasons(of(derived, "hrv_300s", 300)) == {NoValueReason.WARMING_UP}
    assert reasons(of(derived, "hrv_300s", 600)) == {None}


def spoilt(classes: dict[int, BeatClass] | None = None, poor: Sequence[int] = ()) -> list[Beat]:
    beats_s = sinus_beats_s(400)
    kinds = [(classes or {}).get(i, BeatClass.NORMAL) for i in range(400)]
    beats = to_beats(beats_s, kinds)
    unsure = to_beats(beats_s, kinds, quality=0.2)
    return [unsure[i] if i in set(poor) else beat for i, beat in enumerate(beats)]


def test_ectopic_beats_beyond_a_tenth_withhold_the_figures() -> None:
    every_twelfth = dict.fromkeys(range(6, 400, 12), BeatClass.VENTRICULAR)
    derived = run(started(), spoilt(every_twelfth), 0, 300)

    assert reasons(of(derived, "hrv_300s")) == {NoValueReason.ECTOPY}
    share = of(derived, "hrv_300s")[codes.NN_SHARE]
    assert share.value == pytest.approx(100 * 10 / 12, abs=0.5)


def test_beats_that_are_not_sure_withhold_the_figures_as_poor_signal() -> None:
    derived = run(started(), spoilt(poor=range(6, 400, 12)), 0, 300)

    assert reasons(of(derived, "hrv_300s")) == {NoValueReason.POOR_SIGNAL}


def test_a_few_ectopic_beats_leave_the_figures_nearly_as_they_were() -> None:
    clean = values(of(run(started(), spoilt(), 0, 300), "hrv_300s"))
    some = spoilt(dict.fromkeys(range(30, 400, 50), BeatClass.VENTRICULAR))
    found = of(run(started(), some, 0, 300), "hrv_300s")

    for quantity, tolerance in [(codes.RMSSD, 0.03), (codes.SDNN, 0.03), (codes.HF_POWER, 0.1)]:
        assert found[quantity].value == pytest.approx(clean[quantity], rel=tolerance)
    assert found[codes.RMSSD].quality < 1.0


def test_a_rhythm_that_is_none_of_the_sinus_node_is_irregular() -> None:
    rng = np.random.default_rng(3)
    fibrillating = to_beats(np.cumsum(rng.uniform(0.45, 1.0, 420)), [BeatClass.UNKNOWN] * 420)

    found = of(run(started(), fibrillating, 0, 300), "hrv_300s", 300)

    assert reasons(found) == {NoValueReason.IRREGULAR}
    assert found[codes.NN_SHARE].value is not None


@pytest.mark.parametrize("coupling_s", [0.4, 0.45, 0.5, 0.55, 0.6])
def test_bigeminy_has_no_figures_even_where_only_its_timing_is_known(coupling_s: float) -> None:
    times_s = np.cumsum(np.tile([coupling_s, 1.6 - coupling_s], 200))
    derived = run(started(), to_beats(times_s, [BeatClass.UNKNOWN] * 400), 0, 300)

    assert None not in reasons(of(derived, "hrv_300s", 300))


def test_silence_without_a_gap_is_too_few_beats() -> None:
    beats = [b for b in to_beats(sinus_beats_s(900)) if not 320e9 < b.t_ns < 400e9]
    derived = run(started(), beats, 0, 600)

    assert reasons(of(derived, "hrv_300s", 600)) == {NoValueReason.TOO_FEW_BEATS}
    assert reasons(of(derived, "hrv_60s", 360)) == {NoValueReason.TOO_FEW_BEATS}
    assert reasons(of(derived, "hrv_60s", 480)) == {None}
    assert of(derived, "hrv_60s", 360)[codes.RMSSD].age_s == pytest.approx(40, abs=1.5)


def test_no_beat_at_all_is_answered_too() -> None:
    assert reasons(of(run(started(), [], 0, 300), "hrv_60s")) == {NoValueReason.TOO_FEW_BEATS}
    assert run(HeartRateVariability(), [], 0, 30) == []


def over_a_gap(gap_s: tuple[int, int], until_s: int) -> list[Derived]:
    """Beats before and behind a gap, in which nobody asks."""
    times_s = sinus_beats_s(1500)
    before, behind = times_s[times_s < gap_s[0]], times_s[times_s > gap_s[1]]
    step = started()
    derived = run(step, to_beats(before), 0, gap_s[0])
    step.reset(gap_s[1] * 10**9)
    return derived + run(step, to_beats(behind), gap_s[1], until_s)


def test_a_short_gap_leaves_the_five_minutes_and_no_difference_spans_it() -> None:
    derived = over_a_gap((410, 420), 600)

    times_s = sinus_beats_s(1500)
    stretches = [times_s[times_s < 410], times_s[(times_s > 420) & (times_s <= 600)]]
    nn_s = [np.diff(s)[s[1:] > 300] for s in stretches]
    steps_s = np.concatenate([np.diff(s) for s in nn_s])
    found = values(of(derived, "hrv_300s", 600))
    assert found[codes.RMSSD] == pytest.approx(1e3 * math.sqrt((steps_s**2).mean()), rel=1e-6)
    assert found[codes.SDNN] == pytest.approx(sdnn_ms(np.concatenate(nn_s)), rel=1e-6)


def test_a_long_gap_takes_its_windows_and_no_others() -> None:
    derived = over_a_gap((410, 700), 1200)

    assert reasons(of(derived, "hrv_60s", 420 - 60)) == {None}
    assert of(derived, "hrv_300s", 600) == {}
    assert reasons(of(derived, "hrv_300s", 900)) == {NoValueReason.WARMING_UP}
    assert reasons(of(derived, "hrv_300s", 1200)) == {None}


def test_a_rhythm_without_variability_has_figures_where_they_are_defined() -> None:
    derived = of(run(started(), to_beats(np.arange(301.0)), 0, 300), "hrv_300s")

    assert derived[codes.SDNN].value == 0.0
    assert derived[codes.HF_POWER].value == 0.0
    assert derived[codes.LF_HF_RATIO].reason is NoValueReason.OUT_OF_RANGE
    assert derived[codes.DFA_ALPHA1].reason is NoValueReason.OUT_OF_RANGE


def test_a_beat_on_the_boundary_belongs_to_the_window_that_it_ends() -> None:
    derived = run(started(), to_beats(np.arange(1.0, 400.0)), 0, 360)

    assert of(derived, "hrv_60s", 60)[codes.NN_SHARE].value == 100.0
    step = started()
    for beat in to_beats(np.arange(61.0)):
        step.add_beat(beat)
    assert step.at(60 * 10**9)[0].value == 1000.0


def test_a_flood_of_beats_is_bounded_and_gives_no_value() -> None:
    step = started()
    for beat in to_beats(0.01 * np.arange(1, 30_000, dtype=np.float64)):
        step.add_beat(beat)

    assert len(step.to_bytes()) < 200_000
    assert reasons(of(step.at(300 * 10**9), "hrv_300s")) <= {
        NoValueReason.POOR_SIGNAL,
        NoValueReason.TOO_FEW_BEATS,
    }


# Restart


def rows_to_beats(rows: list[tuple[int, float | None, BeatClass, float]]) -> list[Beat]:
    t_ns = np.cumsum([row[0] for row in rows]).tolist()
    return [
        Beat(t_ns=t, interval_s=x, beat_class=kind, quality=quality, height=0.0, level=0.0)
        for t, (_, x, kind, quality) in zip(t_ns, rows, strict=True)
    ]


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([800_000_000, 60_000_000_000, 300_000_000_000, 4_000_000_000_000]),
            st.none() | st.floats(0.7, 0.9) | st.floats(),
            st.sampled_from(BeatClass),
            st.floats(),
        ),
        max_size=30,
    )
)
@settings(deadline=None, max_examples=40)
def test_any_beats_are_answered(rows: list[tuple[int, float | None, BeatClass, float]]) -> None:
    step = started()
    t_ns = 0
    for beat in rows_to_beats(rows):
        step.add_beat(beat)
        t_ns = -(-beat.t_ns // (60 * 10**9)) * 60 * 10**9
        for derived in step.at(t_ns):
            assert 0.0 <= derived.quality <= 1.0
    assert HeartRateVariability.from_bytes(step.to_bytes()).to_bytes() == step.to_bytes()


@given(cuts=st.sets(st.integers(0, 899), min_size=1, max_size=4))
@settings(deadline=None, max_examples=10)
def test_a_restart_between_any_two_beats_changes_nothing(cuts: set[int]) -> None:
    classes = dict.fromkeys(range(30, 900, 47), BeatClass.VENTRICULAR)
    beats = to_beats(
        sinus_beats_s(900), [classes.get(i, BeatClass.NORMAL) for i in range(900)], 0.9
    )
    bounds = [0, *sorted(cuts), 900]
    step, derived, from_s = started(), [], 0
    for first, end in pairwise(bounds):
        until_s = beats[end].t_ns // 10**9 if end < 900 else 720
        derived += run(step, beats[first:end], from_s, until_s)
        step, from_s = HeartRateVariability.from_bytes(step.to_bytes()), until_s

    assert derived == run(started(), beats, 0, 720)


@given(st.binary(max_size=64))
def test_any_bytes_are_refused_with_a_state_error(junk: bytes) -> None:
    with pytest.raises(StateError):
        HeartRateVariability.from_bytes(junk)


# The day


def hours_of_beats(hours: float) -> Floats:
    n_beats = round(hours * HOUR_S / 0.85)
    t = np.arange(n_beats)
    rng = np.random.default_rng(9)
    slow = 0.06 * np.sin(2 * np.pi * t / 100_000) + 0.03 * np.sin(2 * np.pi * t / 900)
    nn_s = 0.85 + slow + 0.03 * np.sin(0.9 * t) + rng.uniform(-0.02, 0.02, n_beats)
    return 0.4 + np.cumsum(nn_s)


def ask_hourly(
    step: HeartRateVariability, beats: Sequence[Beat], until_s: int, from_s: int = 0
) -> list[Derived]:
    """Ask on whole five minutes only: all that the day needs."""
    derived: list[Derived] = []
    second = from_s + 300
    for beat in beats:
        while second <= until_s and second * 10**9 < beat.t_ns:
            derived += step.at(second * 10**9)
            second += 300
        step.add_beat(beat)
    return [d for d in derived if d.algorithm.name == "hrv_24h"]


def test_the_day_has_the_figures_of_its_whole_series() -> None:
    beats = to_beats(hours_of_beats(19.2))
    derived = of(ask_hourly(started(), beats, 19 * HOUR_S), "hrv_24h", 19 * HOUR_S)

    t_s, nn_s = ending_within(beats[1:], 0, 19 * HOUR_S)
    epoch = np.ceil(t_s / 300)
    epochs_s = [nn_s[epoch == i] for i in range(1, 19 * 12 + 1)]
    expected = {
        codes.MEAN_NN: mean_nn_ms(nn_s),
        codes.SDNN: sdnn_ms(nn_s),
        codes.RMSSD: rmssd_ms(nn_s),
        codes.PNN50: pnn_percent(nn_s, 50.0),
        codes.SDANN: 1e3 * np.std([x.mean() for x in epochs_s], ddof=1),
        codes.SDNN_INDEX: np.mean([sdnn_ms(x) for x in epochs_s]),
        codes.HRV_TRIANGULAR_INDEX: triangular_index(nn_s),
        codes.DFA_ALPHA2: dfa_exponent(nn_s, ALPHA2_BEATS),
        codes.NN_SHARE: 100.0,
    }
    found = values(derived)
    ulf_ms2 = found.pop(codes.ULF_POWER)
    assert found == pytest.approx(expected, rel=1e-9)
    half_minute = np.ceil(t_s / 30).astype(int)
    bins, place = np.unique(half_minute, return_inverse=True)
    means_ms = 1e3 * np.bincount(place, weights=nn_s) / np.bincount(place)
    angular = 2 * np.pi * np.arange(1, 260) / 86_400
    power = signal.lombscargle(30.0 * bins - 15.0, means_ms - means_ms.mean(), angular)
    assert ulf_ms2 == pytest.approx(2 * 30 * power.sum() / 86_400, rel=1e-9)
    # The intervals themselves are denser where the heart is fast: not the same, but near.
    direct = lomb_scargle(t_s, nn_s, 86_400.0, f_hz_max=0.003, trend=False)
    assert ulf_ms2 == pytest.approx(direct.power_ms2(0.0, 0.003), rel=0.06)


def test_the_day_waits_for_eighteen_hours() -> None:
    beats = to_beats(hours_of_beats(18.5))
    derived = ask_hourly(started(), beats, 18 * HOUR_S)

    assert reasons(of(derived, "hrv_24h", 17 * HOUR_S)) == {NoValueReason.WARMING_UP}
    assert reasons(of(derived, "hrv_24h", 18 * HOUR_S)) == {None}


def test_after_a_day_with_too_many_ectopic_beats_the_reason_says_so() -> None:
    times_s = hours_of_beats(19.5)
    classes = [
        BeatClass.VENTRICULAR if i % 8 == 0 else BeatClass.NORMAL for i in range(len(times_s))
    ]
    derived = ask_hourly(started(), to_beats(times_s, classes), 19 * HOUR_S)

    assert reasons(of(derived, "hrv_24h", 19 * HOUR_S)) == {NoValueReason.ECTOPY}


def test_what_is_older_than_a_day_is_forgotten_and_a_restart_changes_nothing() -> None:
    fast_s = np.arange(1, 3 * HOUR_S) * 0.5
    slow_s = hours_of_beats(25.5) + fast_s[-1]
    beats = to_beats(np.concatenate((fast_s, slow_s)))
    until_s = 26 * HOUR_S
    whole = ask_hourly(started(), beats, until_s)

    _, nn_s = ending_within(beats[1:], 2 * HOUR_S, until_s)
    found = values(of(whole, "hrv_24h", until_s))
    assert found[codes.SDNN] == pytest.approx(sdnn_ms(nn_s), rel=1e-9)
    assert found[codes.HRV_TRIANGULAR_INDEX] == pytest.approx(triangular_index(nn_s))

    step = started()
    half_s = 13 * HOUR_S + 300
    half = sum(beat.t_ns <= half_s * 10**9 for beat in beats)
    parts = ask_hourly(step, [*beats[:half], *beats[half : half + 1]], half_s)
    restored = HeartRateVariability.from_bytes(step.to_bytes())
    parts += ask_hourly(restored, beats[half + 1 :], until_s, half_s)
    assert parts == whole


def test_the_first_hour_of_a_day_is_few_bytes() -> None:
    step = started()
    ask_hourly(step, to_beats(hours_of_beats(1.0)), HOUR_S)

    assert len(step.to_bytes()) < 30_000


@pytest.mark.parametrize(
    ("damage", "message"),
    [("cut", "a record of"), ("longer", "a record of"), ("no zlib", "hrv_day: Error -3")],
)
def test_a_day_that_is_not_as_long_as_a_day_is_refused(damage: str, message: str) -> None:
    kept = State.from_bytes(DayOfIntervals().to_bytes(), kind="hrv_day", version=2)
    record = zlib.decompress(kept.child("record"))
    forged = {
        "cut": zlib.compress(record)[:-9],
        "longer": zlib.compress(record + bytes(10**6)),
        "no zlib": record,
    }
    state = State(kind="hrv_day", version=2, children={"record": forged[damage]})

    with pytest.raises(MalformedStateError, match=message):
        DayOfIntervals.from_bytes(state.to_bytes())


# Recordings


def annotated(record: Path) -> tuple[Floats, list[str], Floats]:
    """Beats, their symbols, and the P waves that were not conducted."""
    with quiet():
        import wfdb

        annotation = wfdb.rdann(str(record), "atr")
    symbols = np.array(annotation.symbol)
    t_s = np.asarray(annotation.sample, dtype=np.float64) / 360
    beats = np.isin(symbols, list(BEAT_SYMBOLS))
    return t_s[beats], symbols[beats].tolist(), t_s[symbols == "x"]


def reference_steps_s(record: Path) -> tuple[Floats, Floats]:
    """Ends and differences of intervals between normal beats, as the annotators see them."""
    times_s, symbols, blocked_s = annotated(record)
    normal = np.isin(symbols, list("NLRBe"))
    nn = normal[1:] & normal[:-1]
    nn[np.searchsorted(times_s, blocked_s[blocked_s < times_s[-1]]) - 1] = False
    return times_s[2:], np.where(nn[1:] & nn[:-1], np.diff(times_s, 2), math.nan)


def test_rmssd_of_recordings_is_that_of_the_annotated_normal_beats(chevet_data: Path) -> None:
    """Ventricular beats are known; of atrial and blocked ones only the timing tells."""
    errors, rows = [], []
    for path in sorted((chevet_data / "mitdb").glob("*.atr")):
        times_s, symbols, _ = annotated(path.with_suffix(""))
        ends_s, steps_s = reference_steps_s(path.with_suffix(""))
        classes = [BeatClass.VENTRICULAR if s in "VEFf/Q?!" else BeatClass.NORMAL for s in symbols]
        derived = run(started(), to_beats(times_s, classes), 0, 1800)
        row = []
        for t_s in range(300, 1801, 300):
            found = of(derived, "hrv_300s", t_s)[codes.RMSSD].value
            inside = (times_s[:-2] > t_s - 300) & (ends_s <= t_s)
            true_ms = 1e3 * math.sqrt(np.nanmean(np.append(steps_s[inside], 1e-9) ** 2))
            row.append(f"{'-' if found is None else round(found, 1)!s:>5} ({true_ms:5.1f})")
            if found is not None:
                errors.append(abs(found - true_ms) / true_ms)
        rows.append(f"{path.stem}  {'  '.join(row)}")
    print("\nRMSSD of five minutes, ms (of annotated normal beats)", *rows, sep="\n")
    print(f"{len(errors)} windows, median error {100 * np.median(errors):.2f} %")
    assert len(errors) >= 40
    assert np.median(errors) < 0.01
    assert np.quantile(errors, 0.8) < 0.1
