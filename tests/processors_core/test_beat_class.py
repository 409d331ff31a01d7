"""Beat classes: what is known exactly of synthetic beats, and the annotations of real ones."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal

from processors.dsp.state import StateError
from processors.vitals import (
    beat_class_kernel,
    beat_class_rhythm_kernel,
    beat_class_shape_kernel,
    beat_class_templates_kernel,
)
from processors.vitals.beat_class import BeatClassifier
from processors.vitals.derived import BeatClass
from tests.processors_core.scoring import BEAT_SYMBOLS, quiet, read_ecg_uv
from tests.processors_core.synthetic_ecg import NORMAL, WIDE, Wave, ecg_uv

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]
Shape = tuple[Wave, ...]

FS_HZ = 250
N, V, PACED, UNKNOWN = (int(c) for c in BeatClass)
OTHER_WIDE: Shape = (Wave(0.0, 0.045, -900.0), Wave(0.25, 0.060, 500.0))
BUNDLE_BRANCH: Shape = (
    Wave(-0.16, 0.022, 110.0),
    Wave(0.0, 0.018, 700.0),
    Wave(0.06, 0.022, 600.0),
    Wave(0.28, 0.05, -250.0),
)
SPIKED: Shape = (
    Wave(-0.01, 0.0035, 900.0),
    Wave(0.05, 0.035, 500.0),
    Wave(0.30, 0.060, -400.0),
)


def rhythm(kinds: str, rr_s: float = 0.8) -> tuple[Floats, str]:
    """Times of beats: v comes early and is followed by a pause, a is early with a normal shape.

    W is wide and on time.
    """
    times_s, at_s = [], 1.0
    for kind, following in itertools.pairwise(kinds + "n"):
        times_s.append(at_s)
        at_s += rr_s * {"v": 0.62, "a": 0.7}.get(following, 1.0)
        at_s += rr_s * 0.36 * (kind == "v" and following == "n")
    return np.array(times_s), kinds


def draw(
    times_s: Floats,
    kinds: str,
    shapes: dict[str, Shape],
    fs_hz: float = FS_HZ,
    noise_uv: float = 15,
) -> Floats:
    duration_s = float(times_s[-1]) + 1.0
    total = np.random.default_rng(1).normal(size=round(duration_s * fs_hz)) * noise_uv
    for kind, shape in shapes.items():
        chosen = np.array([k == kind for k in kinds])
        total += ecg_uv(times_s[chosen], fs_hz, duration_s, (shape,))
    return total


SHAPES = {"n": NORMAL, "a": NORMAL, "v": WIDE, "w": WIDE}


def classes_of(kinds: str, shapes: dict[str, Shape] | None = None, fs_hz: float = FS_HZ) -> Classes:
    times_s, kinds = rhythm(kinds)
    ecg = draw(times_s, kinds, shapes or SHAPES, fs_hz)
    return BeatClassifier(fs_hz).process(ecg, times_s * fs_hz)


@pytest.mark.parametrize("fs_hz", [100, 125, 200, 250, 360, 500, 1000, 2000])
@pytest.mark.parametrize(
    "kinds",
    [
        "n" * 8 + "nnnnnvnnn" * 5,
        "n" * 8 + "nv" * 20,
        "n" * 8 + "nnv" * 15,
        "nv" * 30,
        "n" * 8 + "nvv" * 12,
    ],
    ids=["single", "bigeminy", "trigeminy", "bigeminy from the start", "couplets"],
)
def test_early_wide_beats_are_ventricular_at_every_rate(kinds: str, fs_hz: int) -> None:
    given_classes = classes_of(kinds, fs_hz=fs_hz)

    expected = np.array([V if kind == "v" else N for kind in kinds])
    assert (given_classes[8:] == expected[8:]).all()


def test_a_run_of_ventricular_beats_is_ventricular_throughout() -> None:
    kinds = "n" * 40 + "v" * 12 + "n" * 10

    assert classes_of(kinds)[8:].tolist() == [V if kind == "v" else N for kind in kinds[8:]]


def test_two_shapes_of_ventricular_beats_are_both_ventricular() -> None:
    kinds = "n" * 10 + "nnnnvnnnnu" * 6
    times_s, _ = rhythm(kinds.replace("u", "v"))
    ecg = draw(times_s, kinds, SHAPES | {"u": OTHER_WIDE})

    classes = BeatClassifier(FS_HZ).process(ecg, times_s * FS_HZ)

    assert (classes[10:] == V).tolist() == [kind in "vu" for kind in kinds[10:]]


def test_an_early_beat_of_the_normal_shape_is_normal() -> None:
    assert (classes_of("n" * 10 + "nnnan" * 10)[8:] == N).all()


def test_a_wide_escape_beat_on_time_is_ventricular() -> None:
    kinds = "n" * 30 + "nnnnnnwnnn" * 3

    assert (classes_of(kinds)[30:] == V).tolist() == [kind == "w" for kind in kinds[30:]]


def test_bundle_branch_block_is_normal_when_it_is_dominant_and_its_ectopy_is_not() -> None:
    kinds = "n" * 10 + "nnnnvnnn" * 6

    classes = classes_of(kinds, {"n": BUNDLE_BRANCH, "v": OTHER_WIDE})

    assert (classes[8:] == V).tolist() == [kind == "v" for kind in kinds[8:]]


LEFT_BLOCK: Shape = (
    Wave(-0.18, 0.022, 110.0),
    Wave(0.0, 0.03, 800.0),
    Wave(0.05, 0.03, 600.0),
    Wave(0.30, 0.06, -300.0),
)


@pytest.mark.parametrize("block", [BUNDLE_BRANCH, LEFT_BLOCK])
@pytest.mark.parametrize(
    "kinds",
    [
        "n" * 20 + ("b" * 20 + "n" * 20) * 4,
        ("n" * 9 + "b") * 15,
        "b" * 60 + ("n" * 10 + "b" * 10) * 3,
    ],
    ids=["comes and goes", "single", "gives way"],
)
def test_a_bundle_branch_block_that_comes_and_goes_is_normal(block: Shape, kinds: str) -> None:
    assert V not in classes_of(kinds, SHAPES | {"b": block})


def test_a_run_of_ventricular_beats_stays_ventricular_when_it_is_no_longer_early() -> None:
    times_s, kinds = rhythm("n" * 40 + "v" + "x" * 40 + "n" * 5)
    fast_s = np.array([0.0] + [0.74 if kind == "x" else 0.8 for kind in kinds[1:]])
    times_s = 1.0 + np.cumsum(fast_s)
    shapes = SHAPES | {"v": OTHER_WIDE, "x": OTHER_WIDE}

    classes = BeatClassifier(FS_HZ).process(draw(times_s, kinds, shapes), times_s * FS_HZ)

    assert (classes[42:80] == V).mean() >= 0.9


@pytest.mark.parametrize("fs_hz", [250, 360, 500, 1000])
def test_wide_beats_behind_a_spike_are_paced(fs_hz: int) -> None:
    classes = classes_of("n" * 40, {"n": SPIKED}, fs_hz)

    assert classes[:2].tolist() == [UNKNOWN, UNKNOWN]
    assert (classes[4:] == PACED).all()


def test_demand_pacing_is_told_from_the_beats_of_the_person() -> None:
    kinds = "n" * 20 + "wwwwwwnnnnnn" * 5

    classes = classes_of(kinds, {"n": NORMAL, "w": SPIKED})

    assert (classes[40:] == PACED).tolist() == [kind == "w" for kind in kinds[40:]]
    assert (classes[40:] != V).all()


def test_the_first_beats_are_unknown() -> None:
    assert classes_of("n" * 8).tolist() == [UNKNOWN] * 3 + [N] * 5


def test_an_inverted_lead_gives_the_same_classes() -> None:
    kinds = "n" * 8 + "nnnnnvnnn" * 5
    times_s, _ = rhythm(kinds)
    ecg = draw(times_s, kinds, SHAPES)

    upright = BeatClassifier(FS_HZ).process(ecg, times_s * FS_HZ)
    inverted = BeatClassifier(FS_HZ).process(-ecg, times_s * FS_HZ)

    assert (inverted == upright).all()


def test_the_class_does_not_hang_on_which_peak_of_a_wide_beat_is_taken_for_r() -> None:
    kinds = "n" * 10 + "nnnnvnnn" * 6
    times_s, _ = rhythm(kinds)
    ecg = draw(times_s, kinds, SHAPES)
    moved_s = np.where([kind == "v" for kind in kinds], 0.03, 0.0) * np.arange(len(kinds)) % 0.06

    classes = BeatClassifier(FS_HZ).process(ecg, (times_s + moved_s) * FS_HZ)

    assert (classes[8:] == V).tolist() == [kind == "v" for kind in kinds[8:]]


def test_behind_a_short_gap_the_shapes_are_still_known_and_behind_a_long_one_not() -> None:
    kinds = "n" * 20
    times_s, _ = rhythm(kinds)
    ecg = draw(times_s, kinds, SHAPES)

    def behind(gap_s: int) -> list[int]:
        classifier = BeatClassifier(FS_HZ)
        classifier.process(ecg, times_s * FS_HZ)
        classifier.skip(gap_s * FS_HZ)
        i_rs = times_s * FS_HZ + ecg.size + gap_s * FS_HZ
        return [int(beat_class) for beat_class in classifier.process(ecg, i_rs)]

    assert behind(30) == [N] * 20
    assert behind(90) == [UNKNOWN] * 3 + [N] * 17


def with_second_lead(first_noise_uv: float = 15.0, second: str = "nav") -> tuple[Floats, Floats]:
    """Both leads, and the places of `KINDS`; in the first one v hardly differs from n."""
    shapes: dict[str, Shape] = {"n": NORMAL, "a": NORMAL, "v": NORMAL}
    one = draw(TIMES_S, KINDS, shapes, noise_uv=first_noise_uv)
    two = draw(TIMES_S, KINDS, {kind: SHAPES[kind] for kind in second})
    return np.stack([one, two]), TIMES_S * FS_HZ


def test_two_leads_that_show_the_same_say_what_one_says() -> None:
    classifier = BeatClassifier(FS_HZ, 2)

    classes = classifier.process(np.stack([ECG, ECG]), TIMES_S * FS_HZ)

    assert classes.tolist() == BeatClassifier(FS_HZ).process(ECG, TIMES_S * FS_HZ).tolist()


def test_where_noise_hides_the_first_lead_the_second_one_tells_what_is_normal() -> None:
    leads, i_rs = with_second_lead(first_noise_uv=700.0)

    one = BeatClassifier(FS_HZ).process(leads[0], i_rs)
    both = BeatClassifier(FS_HZ, 2).process(leads, i_rs)

    assert (one == UNKNOWN).sum() > (both == UNKNOWN).sum()


def test_the_second_lead_never_overrules_a_first_one_that_is_plainly_normal() -> None:
    times_s, kinds = rhythm("n" * 10 + "nnnnnw" * 8)
    plain = draw(times_s, kinds, SHAPES | {"w": NORMAL})
    wide = draw(times_s, kinds, SHAPES)

    classes = BeatClassifier(FS_HZ, 2).process(np.stack([plain, wide]), times_s * FS_HZ)

    assert V not in classes


@pytest.mark.parametrize("n_leads", [0, 3])
def test_one_or_two_leads_are_taken(n_leads: int) -> None:
    with pytest.raises(ValueError, match="leads"):
        BeatClassifier(FS_HZ, n_leads)
    with pytest.raises(ValueError, match="1 leads were given, not 2"):
        BeatClassifier(FS_HZ, 2).process(ECG, np.zeros(0))


def test_a_beat_too_near_to_the_end_is_judged_by_what_is_there() -> None:
    times_s, kinds = rhythm("n" * 20)
    ecg = draw(times_s, kinds, SHAPES)[: round((times_s[-1] + 0.1) * FS_HZ)]
    classifier = BeatClassifier(FS_HZ)
    classifier.process(ecg, times_s[:-1] * FS_HZ)

    assert classifier.process(np.zeros(0), times_s[-1:] * FS_HZ).tolist() == [N]
    assert BeatClassifier(FS_HZ).process(np.zeros(0), np.array([3.0])).tolist() == [UNKNOWN]


KINDS = "n" * 6 + "nnvnavvnn" * 2
TIMES_S, _ = rhythm(KINDS)
ECG = draw(TIMES_S, KINDS, SHAPES)


def in_pieces(cuts: list[int], *, restart: bool, late_s: float) -> tuple[list[int], bytes]:
    """Hand each beat over with the chunk that holds the sample ``late_s`` behind it."""
    classifier = BeatClassifier(FS_HZ)
    classes: list[int] = []
    waiting = list(TIMES_S * FS_HZ)
    for first, end in itertools.pairwise([0, *sorted(cuts), ECG.size]):
        ready = [i_r for i_r in waiting if i_r + late_s * FS_HZ <= end]
        waiting = waiting[len(ready) :]
        classes += classifier.process(ECG[first:end], np.array(ready)).tolist()
        if restart:
            classifier = BeatClassifier.from_bytes(classifier.to_bytes())
    return classes, classifier.to_bytes()


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(0, ECG.size), max_size=10),
    restart=st.booleans(),
    late_s=st.sampled_from([0.25, 0.3, 0.5, 0.9]),
)
def test_chunking_lateness_and_restart_change_neither_classes_nor_state(
    *, cuts: list[int], restart: bool, late_s: float
) -> None:
    whole = in_pieces([], restart=False, late_s=0.25)

    assert in_pieces(cuts, restart=restart, late_s=late_s) == whole


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, ECG.size), max_size=6))
def test_two_leads_in_pieces_with_restarts_are_the_same(cuts: list[int]) -> None:
    leads, i_rs = with_second_lead()
    whole = BeatClassifier(FS_HZ, 2)
    expected = whole.process(leads, i_rs).tolist()
    classifier, found, waiting = BeatClassifier(FS_HZ, 2), [], list(i_rs)

    for first, end in itertools.pairwise([0, *sorted(cuts), ECG.size]):
        ready = [i_r for i_r in waiting if i_r + 0.3 * FS_HZ <= end]
        waiting = waiting[len(ready) :]
        found += classifier.process(leads[:, first:end], np.array(ready)).tolist()
        classifier = BeatClassifier.from_bytes(classifier.to_bytes())

    assert found == expected
    assert classifier.to_bytes() == whole.to_bytes()


def test_one_sample_at_a_time_is_the_same_too() -> None:
    assert in_pieces(list(range(ECG.size)), restart=False, late_s=0.4) == in_pieces(
        [], restart=False, late_s=0.25
    )


def test_the_kernel_is_its_plain_form_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    leads, i_rs = with_second_lead()
    compiled = BeatClassifier(FS_HZ, 2)
    expected = compiled.process(leads, i_rs)
    for module in (
        beat_class_kernel,
        beat_class_rhythm_kernel,
        beat_class_shape_kernel,
        beat_class_templates_kernel,
    ):
        for name, value in list(vars(module).items()):
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, name, value.py_func)
    monkeypatch.setattr(
        "processors.vitals.beat_class.classify_beats", beat_class_kernel.classify_beats
    )
    monkeypatch.setattr("processors.vitals.beat_class.merge_leads", beat_class_kernel.merge_leads)
    plain = BeatClassifier(FS_HZ, 2)

    assert plain.process(leads, i_rs).tolist() == expected.tolist()
    assert plain.to_bytes() == compiled.to_bytes()


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40),
    steps=st.lists(st.floats(0.0, 900.0), max_size=20),
)
def test_any_finite_samples_and_rising_beats_give_classes(
    values: list[float], steps: list[float]
) -> None:
    classifier = BeatClassifier(100.0)
    i_rs = np.cumsum(np.array(steps))

    classes = classifier.process(np.tile(np.array(values), 50), i_rs)

    assert set(classes.tolist()) <= {N, V, PACED, UNKNOWN}
    assert BeatClassifier.from_bytes(classifier.to_bytes()).to_bytes() == classifier.to_bytes()


@pytest.mark.parametrize("fs_hz", [0.0, 99.0, 2001.0, float("nan")])
def test_rates_outside_the_range_are_refused(fs_hz: float) -> None:
    with pytest.raises(ValueError, match="Hz is not within"):
        BeatClassifier(fs_hz)


def test_junk_is_no_state() -> None:
    with pytest.raises(StateError):
        BeatClassifier.from_bytes(b"junk")


def annotated(record: Path) -> tuple[Floats, NDArray[np.str_]]:
    with quiet():
        import wfdb

        annotation = wfdb.rdann(str(record), "atr")
    kept = [symbol in BEAT_SYMBOLS for symbol in annotation.symbol]
    return (
        np.asarray(annotation.sample, dtype=np.float64)[kept],
        np.asarray(annotation.symbol)[kept],
    )


def test_ventricular_beats_of_the_arrhythmia_database(chevet_data: Path) -> None:
    """AAMI classes at the annotated places; fusion and unclassifiable beats count for neither."""
    rows, total, n_paced = [], np.zeros(3, dtype=int), 0
    for header in sorted((chevet_data / "mitdb").glob("*.hea")):
        record = header.with_suffix("")
        i_rs, symbols = annotated(record)
        classes = BeatClassifier(360).process(read_ecg_uv(record), i_rs)
        is_v = np.isin(symbols, ["V", "E"])
        other = ~is_v & ~np.isin(symbols, ["F", "Q"])
        hit, false = int((is_v & (classes == V)).sum()), int((other & (classes == V)).sum())
        total += (hit, int(is_v.sum()), false)
        n_paced += int((classes == PACED).sum()) if record.name not in {"102", "107"} else 0
        rows.append(f"{record.name}  V {is_v.sum():4d}  found {hit:4d}  false {false:3d}")
        assert (classes == UNKNOWN).mean() < 0.02
    hit, n_v, false = (int(n) for n in total)
    print("\n" + "\n".join(rows))
    print(f"gross Se {100 * hit / n_v:.2f} %  PPV {100 * hit / (hit + false):.2f} %")

    assert hit / n_v >= 0.95
    assert hit / (hit + false) >= 0.975
    assert n_paced == 0


RIGHT_BLOCK: Shape = (Wave(0.055, 0.018, -450.0), Wave(0.25, 0.05, 100.0))
ADDED_LEFT_BLOCK: Shape = (Wave(0.035, 0.030, 600.0), Wave(0.28, 0.06, -300.0))
"""What a block adds to a beat of 1 mV that is conducted otherwise; its P wave stays."""


@pytest.mark.parametrize("block", [RIGHT_BLOCK, ADDED_LEFT_BLOCK])
def test_block_drawn_upon_the_beats_of_people_is_normal(chevet_data: Path, block: Shape) -> None:
    n_false = n_blocked = 0
    for name in ("101", "112", "205", "215"):
        record = chevet_data / "mitdb" / name
        i_rs, symbols = annotated(record)
        uv = read_ecg_uv(record)
        blocked = (symbols == "N") & (np.arange(i_rs.size) // 40 % 3 == 2)
        places = np.zeros(uv.size)
        places[i_rs[blocked].astype(int)] = 1.0
        added = signal.oaconvolve(places, ecg_uv(np.array([0.5]), 360, 1.0, (block,)), "same")

        classes = BeatClassifier(360).process(uv + added, i_rs)

        n_false += int((classes[blocked] == V).sum())
        n_blocked += int(blocked.sum())
    print(f"\n{n_false} of {n_blocked} blocked beats ventricular")
    assert n_false <= 0.05 * n_blocked


def test_a_second_lead_helps(chevet_data: Path) -> None:
    with quiet():
        import wfdb

        both_uv = wfdb.rdrecord(str(chevet_data / "mitdb" / "107")).p_signal.T * 1e3
    i_rs, symbols = annotated(chevet_data / "mitdb" / "107")

    one = BeatClassifier(360).process(np.ascontiguousarray(both_uv[0]), i_rs)
    both = BeatClassifier(360, 2).process(np.ascontiguousarray(both_uv), i_rs)

    is_v = symbols == "V"
    assert (both[is_v] == V).sum() > (one[is_v] == V).sum()
    assert (both[~is_v] == V).sum() == 0


def test_the_paced_record_with_visible_spikes_is_paced(chevet_data: Path) -> None:
    record = chevet_data / "mitdb" / "102"
    i_rs, symbols = annotated(record)

    classes = BeatClassifier(360).process(read_ecg_uv(record), i_rs)

    assert (classes[symbols == "/"] == PACED).mean() >= 0.95
    assert (classes[symbols == "V"] == V).all()
