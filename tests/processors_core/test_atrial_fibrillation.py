"""Atrial fibrillation against simulated rhythms and annotated ones; ``-s`` prints the tables."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.dsp.state import StateError
from processors.vitals import atrial_fibrillation_kernel
from processors.vitals.atrial_fibrillation import AtrialFibrillation
from processors.vitals.atrial_fibrillation_kernel import N_FIGURES, measure_rhythm
from processors.vitals.beat_class import BeatClassifier
from processors.vitals.derived import Beat, BeatClass, Derived
from processors.vitals.reasons import NoValueReason
from tests.processors_core.scoring import BEAT_SYMBOLS, quiet, read_ecg_uv
from tests.processors_core.simulated_rhythms import (
    FIBRILLATION,
    NOT_FIBRILLATION,
    atrial_fibrillation,
    flutter,
    sinus,
)

Floats = NDArray[np.float64]
Said = float | str | None

NS = 1_000_000_000
N, V, UNKNOWN = BeatClass.NORMAL, BeatClass.VENTRICULAR, BeatClass.UNKNOWN


def beats_of(
    rrs_s: Floats,
    classes: list[BeatClass] | None = None,
    quality: float = 1.0,
    start_s: float = 0.0,
) -> list[Beat]:
    ends_ns = [round((start_s + end_s) * NS) for end_s in np.cumsum(rrs_s)]
    kinds = classes or [N] * len(ends_ns)
    return [
        Beat(
            t_ns=t_ns,
            interval_s=None if k == 0 else (t_ns - ends_ns[k - 1]) / NS,
            beat_class=kinds[k],
            quality=quality,
            height=1.0,
            level=0.0,
        )
        for k, t_ns in enumerate(ends_ns)
    ]


def told(
    beats: list[Beat],
    seconds: range,
    step: AtrialFibrillation | None = None,
    signal: NoValueReason | None = None,
) -> tuple[list[Said], list[Derived]]:
    """What holds on each second, and all that was given."""
    step = step or AtrialFibrillation()
    waiting = list(reversed(beats))
    holds: list[Said] = []
    given_out: list[Derived] = []
    for t_s in seconds:
        while waiting and waiting[-1].t_ns <= t_s * NS:
            step.add_beat(waiting.pop())
        given_out += step.at(t_s * NS, signal)
        if given_out:
            last = given_out[-1]
            holds.append(last.value if last.reason is None else str(last.reason))
    return holds, given_out


def share_suspected(rrs_s: Floats, seconds: int = 120) -> float:
    holds, _ = told(beats_of(rrs_s), range(1, seconds + 1))
    judged = [said for said in holds[60:] if isinstance(said, float)]
    return float(np.mean(judged))


def drawn_seconds(rng: np.random.Generator, kind: str) -> Floats:
    source = FIBRILLATION | NOT_FIBRILLATION
    rrs_s = source[kind](rng, 420)
    return np.asarray(np.round(rrs_s * 250) / 250)


def test_simulated_rhythms_are_told_apart() -> None:
    rng = np.random.default_rng(11)
    shares = {
        kind: float(np.mean([share_suspected(drawn_seconds(rng, kind)) for _ in range(25)]))
        for kind in [*FIBRILLATION, *NOT_FIBRILLATION]
    }
    print("\n" + "\n".join(f"{kind:20s} suspected {share:7.2%}" for kind, share in shares.items()))

    assert min(shares[kind] for kind in FIBRILLATION) >= 0.97
    assert max(shares[kind] for kind in NOT_FIBRILLATION) <= 0.03
    assert np.mean([shares[kind] for kind in NOT_FIBRILLATION]) <= 0.005


def test_flutter_with_fixed_conduction_is_not_suspected() -> None:
    assert share_suspected(flutter(np.random.default_rng(1), 420, (4,))) == 0.0


def annotated(record: Path) -> tuple[Floats, NDArray[np.str_]]:
    """Return the places of the beats, and the rhythm on each second."""
    with quiet():
        import wfdb

        notes = wfdb.rdann(str(record), "atr")
    i_rs = [
        i for i, symbol in zip(notes.sample, notes.symbol, strict=True) if symbol in BEAT_SYMBOLS
    ]
    rhythm = np.full(1805, "(N", dtype="<U6")
    for i, note in zip(notes.sample, notes.aux_note, strict=True):
        if note.startswith("("):
            rhythm[int(i / 360) :] = note.rstrip("\0")
    return np.array(i_rs, dtype=np.float64), rhythm


def test_rhythms_of_the_arrhythmia_database(chevet_data: Path) -> None:
    """By seconds; flutter counts for neither, and the runs of record 203 stand in fibrillation."""
    rows, totals = [], np.zeros(4, dtype=int)
    for header in sorted((chevet_data / "mitdb").glob("*.hea")):
        record = header.with_suffix("")
        i_rs, rhythm = annotated(record)
        classes = BeatClassifier(360).process(read_ecg_uv(record), i_rs)
        rrs_s = np.diff(i_rs / 360, prepend=0.0)
        holds, _ = told(beats_of(rrs_s, [BeatClass(c) for c in classes]), range(1, 1806))
        if record.name == "203":
            rhythm[(rhythm == "(VT") | (rhythm == "(T")] = "(AFIB"
        is_af, is_flutter = rhythm == "(AFIB", rhythm == "(AFL"
        yes = np.array([said == 1.0 for said in holds])
        no = np.array([said == 0.0 for said in holds])
        counts = [
            int((yes & is_af).sum()),
            int((no & is_af).sum()),
            int((yes & ~is_af & ~is_flutter).sum()),
            int((no & ~is_af & ~is_flutter).sum()),
        ]
        totals += counts
        flutter_s = int((yes & is_flutter).sum())
        rows.append(
            f"{record.name}  AF found {counts[0]:4d} missed {counts[1]:3d}  false {counts[2]:3d}"
            f"  none {int((~yes & ~no).sum()):4d}  flutter suspected {flutter_s}"
        )
    found, missed, false, right = (int(n) for n in totals)
    print("\n" + "\n".join(rows))
    print(
        f"Se {100 * found / (found + missed):.2f} %  Sp {100 * right / (right + false):.2f} %  "
        f"PPV {100 * found / (found + false):.2f} %"
    )

    assert found / (found + missed) >= 0.98
    assert right / (right + false) >= 0.995
    assert found / (found + false) >= 0.94


def fibrillation_beats(n: int = 200) -> list[Beat]:
    return beats_of(atrial_fibrillation(np.random.default_rng(2), n, (80, 90), (0.2, 0.2)))


def test_it_warms_up_until_there_are_twenty_pairs_and_is_repeated_every_ten_seconds() -> None:
    holds, out = told(fibrillation_beats(), range(1, 61))

    assert holds[:10] == ["warming_up"] * 10
    assert holds[30:] == [1.0] * 30
    assert [d.t_ns // NS for d in out if d.t_ns // NS > 30] == [40, 50, 60]
    assert out[-1].quality >= 0.9
    assert out[-1].age_s < 1.5


def test_an_episode_is_found_and_its_end_too() -> None:
    rng = np.random.default_rng(3)
    sinus_s, episode_s = (
        sinus(rng, 100, (70, 71)),
        atrial_fibrillation(rng, 150, (90, 91), (0.2, 0.2)),
    )
    rrs_s = np.concatenate([sinus_s, episode_s, sinus(rng, 150, (70, 71))])
    begin_s, end_s = float(sinus_s.sum()), float(sinus_s.sum() + episode_s.sum())

    holds, _ = told(beats_of(rrs_s), range(1, int(rrs_s.sum())))

    changes = [
        (t_s, now)
        for t_s, (before, now) in enumerate(itertools.pairwise(holds), 2)
        if before != now
    ]
    assert [said for _, said in changes] == [0.0, 1.0, 0.0]
    assert begin_s < changes[1][0] < begin_s + 60
    assert end_s < changes[2][0] < end_s + 65


def bigeminy(rng: np.random.Generator, basic_s: Floats) -> tuple[Floats, list[BeatClass]]:
    """Every second beat ventricular, the pause compensatory."""
    early = rng.uniform(0.5, 0.7)
    rrs_s = np.repeat(basic_s, 2) * np.tile([early, 2 - early], basic_s.size)
    return rrs_s, [V, N] * basic_s.size


def test_ventricular_bigeminy_on_a_regular_rhythm_is_no_fibrillation() -> None:
    rng = np.random.default_rng(9)

    holds, _ = told(beats_of(*bigeminy(rng, sinus(rng, 90, (70, 71)))), range(1, 121))

    assert set(holds[60:]) == {0.0}


def test_ventricular_bigeminy_on_an_irregular_rhythm_is_not_judged() -> None:
    rng = np.random.default_rng(9)
    basic_s = atrial_fibrillation(rng, 90, (70, 71), (0.2, 0.2))

    holds, _ = told(beats_of(*bigeminy(rng, basic_s)), range(1, 121))

    assert set(holds[60:]) == {"ectopy"}


def test_the_pauses_of_ventricular_beats_do_not_make_fibrillation() -> None:
    rng = np.random.default_rng(5)
    rrs_s, classes = list(sinus(rng, 300, (70, 71))), [N] * 300
    for k in range(5, 298, 6):
        early = rng.uniform(0.45, 0.8)
        rrs_s[k], rrs_s[k + 1], classes[k] = 0.86 * early, 0.86 * (2 - early), V

    holds, _ = told(beats_of(np.array(rrs_s), classes), range(1, 181))

    assert set(holds[60:]) == {0.0}


def test_fibrillation_with_ventricular_beats_is_found() -> None:
    rng = np.random.default_rng(6)
    beats = atrial_fibrillation(rng, 300, (90, 91), (0.2, 0.2))
    classes = [V if rng.random() < 0.12 else N for _ in range(300)]

    holds, _ = told(beats_of(beats, classes), range(1, 151))

    assert set(holds[60:]) == {1.0}


def test_unsure_beats_are_not_counted() -> None:
    rrs_s = atrial_fibrillation(np.random.default_rng(7), 200)

    holds, _ = told(beats_of(rrs_s, quality=0.2), range(1, 81))

    assert holds[-1] == "too_few_beats"


@pytest.mark.parametrize(("quality", "at_the_end"), [(0.6, "poor_signal"), (0.8, 1.0)])
def test_in_poor_seconds_only_sure_beats_count(quality: float, at_the_end: Said) -> None:
    step, beats = AtrialFibrillation(), fibrillation_beats()
    told([b for b in beats if b.t_ns <= 60 * NS], range(1, 61), step)
    rest = [b._replace(quality=quality) for b in beats if b.t_ns > 60 * NS]

    poor, _ = told(rest, range(61, 121), step, NoValueReason.POOR_SIGNAL)

    assert poor[0] == 1.0
    assert poor[20] == 1.0
    assert poor[-1] == at_the_end


def test_an_unsure_beat_of_a_poor_second_spoils_the_intervals_on_both_its_sides() -> None:
    """Every third beat is false and unsure: without it nothing is even, with it nothing counts."""
    step = AtrialFibrillation()
    rrs_s = np.tile([0.8, 0.3, 0.5], 60)
    beats = [b._replace(quality=0.2 if k % 3 == 1 else 0.95) for k, b in enumerate(beats_of(rrs_s))]

    holds, _ = told(beats, range(1, 91), step, NoValueReason.POOR_SIGNAL)

    assert 1.0 not in holds


def test_a_lead_that_is_off_is_not_judged() -> None:
    step = AtrialFibrillation()
    told(fibrillation_beats(), range(1, 61), step)

    off, _ = told([], range(61, 63), step, NoValueReason.LEAD_OFF)

    assert off == ["lead_off", "lead_off"]


def test_many_unknown_beats_are_a_poor_signal() -> None:
    rng = np.random.default_rng(10)
    classes = [UNKNOWN if rng.random() < 0.3 else N for _ in range(200)]

    holds, _ = told(beats_of(sinus(rng, 200, (80, 81)), classes), range(1, 91))

    assert holds[-1] == "poor_signal"


def test_no_interval_spans_a_gap() -> None:
    step = AtrialFibrillation()
    even = beats_of(np.full(30, 0.8))
    told(even, range(1, 30), step)

    step.reset(100 * NS)
    later = beats_of(np.full(60, 0.8), start_s=100.0)
    holds, _ = told(later, range(100, 148), step)

    assert 1.0 not in holds
    assert holds[-1] == 0.0


@settings(max_examples=20, deadline=None)
@given(cut_s=st.integers(1, 119))
def test_a_restart_changes_nothing(cut_s: int) -> None:
    beats = fibrillation_beats()
    _, whole = told(beats, range(1, 120))
    step = AtrialFibrillation()

    _, first = told([b for b in beats if b.t_ns <= cut_s * NS], range(1, cut_s + 1), step)
    step = AtrialFibrillation.from_bytes(step.to_bytes())
    rest = [b for b in beats if b.t_ns > cut_s * NS]
    second = told(rest, range(cut_s + 1, 120), step)[1] if cut_s < 119 else []

    assert first + second == whole


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.floats(0.0, 5.0), max_size=60),
    classes=st.lists(st.sampled_from(list(BeatClass)), min_size=60, max_size=60),
)
def test_any_beats_give_values_or_reasons(steps: list[float], classes: list[BeatClass]) -> None:
    _, out = told(beats_of(np.array(steps), classes[: len(steps)]), range(1, 80))

    assert all(0.0 <= d.quality <= 1.0 and d.value in {None, 0.0, 1.0} for d in out)


def test_the_kernel_is_its_plain_form_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    rrs_s = atrial_fibrillation(rng, 60)
    valid = (rng.random(60) < 0.9).astype(np.float64)
    compiled, plain = np.zeros(N_FIGURES), np.zeros(N_FIGURES)
    n_compiled = measure_rhythm(rrs_s, valid, np.empty(60), np.empty(60), compiled)
    for name, value in list(vars(atrial_fibrillation_kernel).items()):
        if hasattr(value, "py_func"):
            monkeypatch.setattr(atrial_fibrillation_kernel, name, value.py_func)

    n_plain = atrial_fibrillation_kernel.measure_rhythm(
        rrs_s, valid, np.empty(60), np.empty(60), plain
    )

    assert (n_plain, plain.tobytes()) == (n_compiled, compiled.tobytes())


def test_junk_is_no_state() -> None:
    with pytest.raises(StateError):
        AtrialFibrillation.from_bytes(b"junk")
