"""Suspicions from beats: when they begin, when they end, and when nothing can be said."""

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.dsp.sample_clock import SampleClock
from processors.dsp.state import StateError
from processors.vitals.arrhythmia import ArrhythmiaSuspicion, FibrillationSuspicion
from processors.vitals.beat_class import BeatClassifier
from processors.vitals.derived import Beat, BeatClass, Derived
from processors.vitals.ecg import EcgChain
from processors.vitals.reasons import NoValueReason
from tests.processors_core.scoring import BEAT_SYMBOLS, quiet, read_ecg_uv
from tests.processors_core.simulated_rhythms import ventricular_fibrillation_uv
from tests.processors_core.synthetic_ecg import NORMAL, WIDE, Wave, ecg_uv, regular_s

NS = 1_000_000_000
N, V, UNKNOWN = BeatClass.NORMAL, BeatClass.VENTRICULAR, BeatClass.UNKNOWN
ASYSTOLE = "asystole_suspected"
BRADYCARDIA = "bradycardia_suspected"
TACHYCARDIA = "tachycardia_suspected"
VT = "ventricular_tachycardia_suspected"
FS_HZ = 250


def beat(t_s: float, beat_class: BeatClass = N, quality: float = 0.9) -> Beat:
    return Beat(
        t_ns=round(t_s * NS),
        interval_s=None,
        beat_class=beat_class,
        quality=quality,
        height=1000.0,
        level=0.0,
    )


def every(
    rr_s: float, until_s: float, beat_class: BeatClass = N, first_s: float = 0.3
) -> list[Beat]:
    return [beat(t_s, beat_class) for t_s in np.arange(first_s, until_s, rr_s)]


def judged(
    beats: Iterable[Beat],
    until_s: int,
    step: ArrhythmiaSuspicion | None = None,
    signal: NoValueReason | None = None,
    from_s: int = 0,
) -> list[Derived]:
    """All that is given up to ``until_s``."""
    step = step or ArrhythmiaSuspicion()
    waiting = list(beats)
    given_out: list[Derived] = []
    for t_s in range(from_s + 1, until_s + 1):
        while waiting and waiting[0].t_ns <= t_s * NS:
            step.add_beat(waiting.pop(0))
        given_out += step.at(t_s * NS, signal)
    return given_out


def told(given_out: list[Derived], name: str) -> list[tuple[int, float | str | None]]:
    """Changes of what is said: second, and value or reason."""
    said = [
        (d.t_ns // NS, d.value if d.reason is None else d.reason)
        for d in given_out
        if d.quantity.name == name
    ]
    return [one for before, one in itertools.pairwise([(0, None), *said]) if before[1] != one[1]]


def test_a_quiet_rhythm_warms_up_and_is_then_not_suspected_of_anything() -> None:
    out = judged(every(0.8, 60), 60)

    assert told(out, ASYSTOLE) == [(1, 0.0)]
    assert told(out, BRADYCARDIA) == [(1, "warming_up"), (4, 0.0)]
    assert told(out, TACHYCARDIA) == [(1, "warming_up"), (7, 0.0)]
    assert told(out, VT) == [(1, "warming_up"), (4, 0.0)]


def test_what_does_not_change_is_repeated_every_whole_ten_seconds() -> None:
    out = judged(every(0.8, 60), 60)

    seconds = [d.t_ns // NS for d in out if d.quantity.name == ASYSTOLE]
    assert seconds == [1, 10, 20, 30, 40, 50, 60]


def test_asystole_is_four_seconds_without_a_beat_and_ends_with_the_next() -> None:
    out = judged([*every(0.8, 10.5), *every(0.8, 30, first_s=18.2)], 30)

    last_s = every(0.8, 10.5)[-1].t_ns / NS
    assert told(out, ASYSTOLE) == [(1, 0.0), (int(last_s + 4) + 1, 1.0), (19, 0.0)]


def test_the_longer_the_silence_the_surer_it_is() -> None:
    step = ArrhythmiaSuspicion()
    step.add_beat(beat(0.5))

    (first,) = [d for d in step.at(5 * NS) if d.quantity.name == ASYSTOLE]
    (later,) = [d for d in step.at(20 * NS) if d.quantity.name == ASYSTOLE]

    assert 0.5 < first.quality < later.quality < 1.0
    assert later.age_s == 19.5


def test_a_start_without_any_beat_is_asystole_after_four_seconds() -> None:
    assert told(judged([], 10), ASYSTOLE) == [(1, "warming_up"), (4, 1.0)]


def test_asystole_in_a_poor_signal_is_half_as_sure_and_rates_are_not_judged() -> None:
    good = judged([], 10)
    poor = judged([], 10, signal=NoValueReason.POOR_SIGNAL)

    assert told(poor, ASYSTOLE) == told(good, ASYSTOLE)
    assert poor[-4].quality == good[-4].quality / 2
    assert told(poor, BRADYCARDIA) == [(1, "poor_signal")]
    assert told(poor, VT) == [(1, "poor_signal")]


@pytest.mark.parametrize("reason", ["lead_off", "saturated", "no_samples"])
def test_a_lead_that_is_not_connected_is_not_asystole(reason: str) -> None:
    step = ArrhythmiaSuspicion()
    judged(every(0.8, 10), 10, step)

    off = judged([], 30, step, NoValueReason(reason), from_s=10)
    back = judged([], 33, step, from_s=30)

    for name in (ASYSTOLE, BRADYCARDIA, TACHYCARDIA, VT):
        assert told(off, name) == [(11, reason)]
        assert told(back, name) == [(31, "warming_up")]


def test_extreme_bradycardia_is_four_intervals_below_35_per_minute() -> None:
    out = judged([*every(0.8, 20), *every(60 / 33, 60, first_s=21.0)], 60)

    (warming, no, yes) = told(out, BRADYCARDIA)
    assert (no[1], yes[1]) == (0.0, 1.0)
    assert 26 <= yes[0] <= 30
    assert warming[1] == "warming_up"


def test_37_per_minute_is_not_extreme_and_160_is() -> None:
    assert told(judged(every(60 / 37, 60), 60), BRADYCARDIA)[-1][1] == 0.0
    assert told(judged(every(60 / 148, 60), 60), TACHYCARDIA)[-1][1] == 0.0
    assert told(judged(every(60 / 160, 60), 60), TACHYCARDIA)[-1][1] == 1.0


def test_one_dropped_beat_is_no_bradycardia() -> None:
    beats = every(0.9, 60)
    del beats[30]

    assert told(judged(beats, 60), BRADYCARDIA)[-1][1] == 0.0


def test_a_short_salvo_of_fast_beats_is_no_tachycardia() -> None:
    beats = [*every(0.8, 20), *every(0.3, 21.5, first_s=20.1), *every(0.8, 40, first_s=22.3)]

    assert told(judged(beats, 40), TACHYCARDIA)[-1][1] == 0.0


def test_tachycardia_ends_with_the_beats() -> None:
    out = judged(every(0.35, 30), 40)

    assert [value for _, value in told(out, TACHYCARDIA)] == ["warming_up", 1.0, 0.0]
    assert told(out, ASYSTOLE)[-1] == (34, 1.0)


def run_of(n_beats: int, rr_s: float, middle: BeatClass = V) -> list[Beat]:
    """Sinus rhythm, then ``n_beats`` ventricular ones, then sinus rhythm."""
    run = [beat(20.0 + k * rr_s, middle if k == 3 else V) for k in range(n_beats)]
    return [*every(0.8, 19.6), *run, *every(0.8, 40, first_s=20.0 + n_beats * rr_s + 0.3)]


@pytest.mark.parametrize(
    ("n_beats", "rr_s", "yes"),
    [(2, 0.4, False), (3, 0.4, True), (12, 0.4, True), (12, 0.62, False), (3, 0.58, True)],
)
def test_ventricular_tachycardia_is_three_beats_above_100_per_minute(
    n_beats: int, rr_s: float, *, yes: bool
) -> None:
    values = [value for _, value in told(judged(run_of(n_beats, rr_s), 40), VT)]

    assert values == ["warming_up", 0.0, *([1.0, 0.0] if yes else [])]


def test_an_unknown_beat_neither_counts_nor_ends_a_run_and_a_normal_one_does() -> None:
    def values(middle: BeatClass) -> list[float | str | None]:
        run = [beat(20.0, V), beat(20.3, middle), beat(20.6, V), beat(20.9, V)]
        beats = [*every(0.8, 19.6), *run, *every(0.8, 40, first_s=21.7)]
        return [value for _, value in told(judged(beats, 40), VT)]

    assert 1.0 in values(UNKNOWN)
    assert 1.0 not in values(N)


def test_a_run_that_becomes_long_is_said_again_and_surer() -> None:
    def confidences(n_beats: int) -> list[float]:
        out = judged(run_of(n_beats, 0.4), 29)
        return [round(d.quality, 2) for d in out if d.quantity.name == VT and d.value == 1.0]

    assert confidences(3) == [0.63]
    assert confidences(20) == [0.63, 0.9]


@pytest.mark.parametrize(
    ("before", "quality", "said"),
    [(0.9, 0.6, 1.0), (0.9, 0.3, "poor_signal"), (0.5, 0.9, "poor_signal")],
    ids=["fair among good ones", "poor ones", "nothing good before"],
)
def test_in_a_poor_signal_only_a_run_that_begins_among_good_beats_is_suspected(
    before: float, quality: float, said: float | str
) -> None:
    sinus = [beat(t_s, N, before) for t_s in np.arange(0.3, 19.6, 0.8)]
    run = [beat(20.0 + k * 0.4, V, quality) for k in range(8)]

    poor = judged([*sinus, *run], 22, signal=NoValueReason.POOR_SIGNAL)

    assert told(poor, VT)[-1][1] == said
    assert all(d.quality <= 0.5 for d in poor if d.quantity.name == VT)


def test_a_run_that_ends_between_two_whole_seconds_is_said_on_one_of_them() -> None:
    for begin_s in np.arange(20.0, 21.0, 0.1):
        run = [beat(begin_s + k * 0.3, V) for k in range(3)]
        beats = [*every(0.8, 19.6), *run, *every(0.8, 40, first_s=begin_s + 1.5)]
        assert 1.0 in [value for _, value in told(judged(beats, 40), VT)]


def classified(
    kinds: str, rrs_s: dict[str, float], shapes: dict[str, tuple[Wave, ...]]
) -> tuple[list[Beat], int]:
    """Draw beats of these kinds and intervals, and let the classifier name them."""
    times_s = 1.0 + np.cumsum([rrs_s[kind] for kind in kinds])
    duration_s = float(times_s[-1]) + 1.0
    ecg = np.random.default_rng(1).normal(size=round(duration_s * FS_HZ)) * 15
    for kind, shape in shapes.items():
        chosen = times_s[[k == kind for k in kinds]]
        ecg += ecg_uv(chosen, FS_HZ, duration_s, (shape,))
    classes = BeatClassifier(FS_HZ).process(ecg, times_s * FS_HZ)
    found = [beat(t, BeatClass(c)) for t, c in zip(times_s.tolist(), classes.tolist(), strict=True)]
    return found, int(duration_s)


SINUS_S = {"n": 0.8, "f": 0.66}
SHAPES = {"n": NORMAL, "f": (*NORMAL[:-1], Wave(0.02, 0.035, 500.0), Wave(0.28, 0.06, -250.0))}


@pytest.mark.parametrize("rr_s", [0.32, 0.4, 0.5])
@pytest.mark.parametrize("begin", ["", "f", "ff"], ids=["at once", "one fusion beat", "two"])
def test_monomorphic_tachycardia_is_suspected_within_four_beats(begin: str, rr_s: float) -> None:
    beats, until_s = classified(
        "n" * 30 + begin + "v" * 30 + "n" * 10, SINUS_S | {"v": rr_s}, SHAPES | {"v": WIDE}
    )
    begin_s = beats[30 + len(begin)].t_ns / NS

    changes = told(judged(beats, until_s), VT)

    assert [value for _, value in changes] == ["warming_up", 0.0, 1.0, 0.0]
    assert changes[2][0] <= begin_s + 4 * rr_s + 1.0


def test_polymorphic_tachycardia_is_suspected() -> None:
    rng = np.random.default_rng(3)
    shapes = {
        kind: (
            Wave(0.0, rng.uniform(0.03, 0.05), height),
            Wave(0.2, 0.05, -0.4 * height),
        )
        for kind, height in zip("abcd", (1200.0, -1000.0, 700.0, -1400.0), strict=True)
    }
    beats, until_s = classified(
        "n" * 30 + "abcd" * 8 + "n" * 10,
        SINUS_S | dict.fromkeys("abcd", 0.36),
        SHAPES | shapes,
    )

    assert [value for _, value in told(judged(beats, until_s), VT)][2:] == [1.0, 0.0]


def test_a_slow_ventricular_rhythm_is_no_tachycardia() -> None:
    beats, until_s = classified(
        "n" * 30 + "v" * 20 + "n" * 10, SINUS_S | {"v": 0.72}, SHAPES | {"v": WIDE}
    )

    assert 1.0 not in [value for _, value in told(judged(beats, until_s), VT)]


def test_fast_conduction_with_bundle_branch_block_that_was_there_before_is_none() -> None:
    shape = (Wave(-0.16, 0.022, 110.0), Wave(0.0, 0.018, 700.0), Wave(0.06, 0.022, 600.0))
    beats, until_s = classified(
        "n" * 30 + "v" * 40, {"n": 0.8, "v": 0.45}, dict.fromkeys("nv", shape)
    )

    assert 1.0 not in [value for _, value in told(judged(beats, until_s), VT)]


def test_ventricular_tachycardia_of_recorded_people(chevet_data: Path) -> None:
    """Long runs are found, and what is said elsewhere lies within three seconds of a run."""
    n_long = n_found = n_said = n_false = 0
    for name in ("101", "119", "205", "223"):
        reference = annotated_runs_s(chevet_data / "mitdb" / f"{name}.atr")
        said_s = np.array(suspected_seconds(read_ecg_uv(chevet_data / "mitdb" / name)))
        for begin_s, end_s, n_beats in reference:
            is_long = n_beats >= 5 and (n_beats - 1) / (end_s - begin_s) > 100 / 60
            n_long += is_long
            n_found += is_long and bool(((said_s >= begin_s) & (said_s <= end_s + 1)).any())
        near = [any(b <= t <= e + 3 for b, e, _ in reference) for t in said_s]
        n_said, n_false = n_said + len(near), n_false + near.count(False)
    print(f"\n{n_found} of {n_long} long runs found; {n_false} of {n_said} seconds elsewhere")

    assert n_found == n_long > 3
    assert n_false == 0


def annotated_runs_s(path: Path) -> list[tuple[float, float, int]]:
    """First and last beat of every run of two or more ventricular beats, and their number."""
    with quiet():
        import wfdb

        notes = wfdb.rdann(str(path.with_suffix("")), "atr")
    kinds = [
        (i / 360, s) for i, s in zip(notes.sample, notes.symbol, strict=True) if s in BEAT_SYMBOLS
    ]
    runs = []
    for is_v, group in itertools.groupby(kinds, key=lambda one: one[1] in "VF"):
        times_s = [t_s for t_s, _ in group]
        if is_v and len(times_s) > 1:
            runs.append((times_s[0], times_s[-1], len(times_s)))
    return runs


def suspected_seconds(uv: NDArray[np.float64]) -> list[int]:
    """Whole seconds on which ventricular tachycardia is suspected, by the chain of one lead."""
    clock = SampleClock(epoch_ns=0, period_num_ns=NS, period_den=360)
    chain, step, seconds = EcgChain(360, clock), ArrhythmiaSuspicion(), []
    holds = False
    for first in range(0, uv.size, 3600):
        for one in chain.process(uv[first : first + 3600], first):
            if isinstance(one, Beat):
                step.add_beat(one)
            elif one.quantity.name == "heart_rate":
                for said in step.at(one.t_ns, one.reason):
                    holds = bool(said.value) if said.quantity.name == VT else holds
                if holds:
                    seconds.append(one.t_ns // NS)
    return seconds


def test_without_classes_ventricular_tachycardia_is_not_judged() -> None:
    out = judged(every(0.4, 30, UNKNOWN), 30)

    assert told(out, VT) == [(1, "warming_up"), (10, "too_few_beats")]


def test_limits_are_settings() -> None:
    child = ArrhythmiaSuspicion(tachycardia_bpm=200.0, bradycardia_bpm=60.0, asystole_s=3.0)

    out = judged(every(60 / 55, 30), 36, child)

    assert told(out, BRADYCARDIA)[-1][1] == 1.0
    assert told(out, ASYSTOLE)[-1][0] in {32, 33}


RUN = run_of(9, 0.4)


@given(cut_s=st.integers(1, 45))
def test_a_restart_changes_nothing(cut_s: int) -> None:
    whole = judged(RUN, 46)
    step = ArrhythmiaSuspicion()

    first = judged([b for b in RUN if b.t_ns <= cut_s * NS], cut_s, step)
    step = ArrhythmiaSuspicion.from_bytes(step.to_bytes())
    second = judged([b for b in RUN if b.t_ns > cut_s * NS], 46, step, from_s=cut_s)

    assert first + second == whole


@given(
    steps=st.lists(st.floats(0.0, 8.0), max_size=40),
    classes=st.lists(st.sampled_from(list(BeatClass)), min_size=40, max_size=40),
    qualities=st.lists(st.floats(0.0, 1.0), min_size=40, max_size=40),
)
def test_any_beats_give_values_or_reasons(
    steps: list[float], classes: list[BeatClass], qualities: list[float]
) -> None:
    beats = [
        beat(t_s, c, q) for t_s, c, q in zip(np.cumsum(steps), classes, qualities, strict=False)
    ]

    out = judged(beats, 60)

    assert all(0.0 <= d.quality <= 1.0 and d.value in {None, 0.0, 1.0} for d in out)


def test_junk_is_no_state() -> None:
    with pytest.raises(StateError):
        ArrhythmiaSuspicion.from_bytes(b"junk")
    with pytest.raises(StateError):
        FibrillationSuspicion.from_bytes(b"junk")


BEATS_THEN_FIBRILLATION = np.concatenate(
    [
        ecg_uv(regular_s(0.8, 20), FS_HZ, 20),
        ventricular_fibrillation_uv(np.random.default_rng(4), FS_HZ, 20),
    ]
)


def fibrillation(step: FibrillationSuspicion, seconds: range) -> list[Derived]:
    out: list[Derived] = []
    for t_s in seconds:
        step.process(BEATS_THEN_FIBRILLATION[(t_s - 1) * FS_HZ : t_s * FS_HZ])
        out += step.at(t_s * NS, t_s * FS_HZ)
    return out


def test_ventricular_fibrillation_is_said_on_change_and_every_ten_seconds() -> None:
    out = fibrillation(FibrillationSuspicion(FS_HZ), range(1, 41))

    assert {d.quantity.name for d in out} == {"ventricular_fibrillation_suspected"}
    changes = told(out, "ventricular_fibrillation_suspected")
    assert [value for _, value in changes] == ["warming_up", 0.0, 1.0]
    assert 22 <= changes[-1][0] <= 28
    assert [d.t_ns // NS for d in out][-2:] == [30, 40]


def test_fibrillation_is_not_judged_on_a_lead_that_is_off() -> None:
    step = FibrillationSuspicion(FS_HZ)
    fibrillation(step, range(1, 31))

    (said,) = step.at(31 * NS, 30 * FS_HZ, NoValueReason.LEAD_OFF)

    assert (said.value, said.reason) == (None, NoValueReason.LEAD_OFF)
    step.skip(10 * FS_HZ)
    (said,) = step.at(41 * NS, 40 * FS_HZ)
    assert said.reason is NoValueReason.WARMING_UP


def test_the_fibrillation_step_restarts_where_it_stood() -> None:
    whole = fibrillation(FibrillationSuspicion(FS_HZ), range(1, 41))
    step = FibrillationSuspicion(FS_HZ)

    out = fibrillation(step, range(1, 24))
    out += fibrillation(FibrillationSuspicion.from_bytes(step.to_bytes()), range(24, 41))

    assert out == whole
