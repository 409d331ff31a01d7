"""The matrix of beat labels and what is read from it, on cases counted by hand and on real ones."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.wfdb_annotations import Annotation, decode_annotations
from processors.scoring.beats import (
    COLUMNS,
    CONDITIONS,
    ROWS,
    BeatScore,
    Condition,
    average,
    score_beats,
    total,
)
from processors.scoring.tracks import LABEL_OF, BeatTrack, beat_track

FS_HZ = 360.0
ALL, WITHOUT_VF, FROM_5_MIN, EC57 = CONDITIONS


def track(*beats: tuple[float, str]) -> BeatTrack:
    return beat_track(Annotation(sample=round(at * FS_HZ), symbol=symbol) for at, symbol in beats)


def cell(score: BeatScore, row: str, column: str) -> int:
    return int(score.matrix[ROWS.index(row), COLUMNS.index(column)])


def test_labels_are_counted_where_the_standard_counts_them() -> None:
    reference = track(
        (1, "N"), (2, "L"), (3, "V"), (4, "V"), (5, "A"), (6, "F"), (7, "/"), (8, "E")
    )
    test = track((1, "N"), (2, "V"), (3, "V"), (4, "N"), (5, "N"), (6, "V"), (7, "V"), (9, "V"))

    score = score_beats(reference, test, FS_HZ)

    assert {pair: cell(score, *pair) for pair in ("Nn", "Nv", "Vv", "Vn", "Sn", "Fv", "Qv")} == {
        "Nn": 1, "Nv": 1, "Vv": 1, "Vn": 1, "Sn": 1, "Fv": 1, "Qv": 1,
    }  # fmt: skip
    assert (cell(score, "V", "o"), cell(score, "O", "v")) == (1, 1)
    figures = score.percentages()
    assert figures["qrs_se_percent"] == pytest.approx(100 * 7 / 8)
    assert figures["qrs_ppv_percent"] == pytest.approx(100 * 7 / 8)
    assert figures["veb_se_percent"] == pytest.approx(100 / 3)
    # F and Q called V are not held against the test; N and what is no beat are.
    assert figures["veb_ppv_percent"] == pytest.approx(100 / 3)
    assert figures["veb_fpr_percent"] == pytest.approx(100 * 2 / 4)


def test_a_test_that_never_says_s_does_not_claim_to() -> None:
    reference = track((1, "N"), (2, "A"))

    silent = score_beats(reference, track((1, "N"), (2, "N")), FS_HZ).percentages()
    claiming = score_beats(reference, track((1, "S"), (2, "S")), FS_HZ).percentages()

    assert silent["sveb_se_percent"] is None
    assert claiming["sveb_se_percent"] == 100
    assert claiming["sveb_ppv_percent"] == 50


def test_the_first_five_minutes_do_not_count_and_a_pair_across_their_end_is_no_error() -> None:
    reference = track((10, "N"), (299.99, "N"), (400, "N"), (500, "N"))
    test = track((11, "N"), (300.05, "N"), (400, "N"), (450, "N"))

    score = score_beats(reference, test, FS_HZ, FROM_5_MIN)

    assert (score.n_reference, score.n_test, score.n_matched) == (2, 2, 1)


def test_what_is_detected_in_fibrillation_counts_only_where_nothing_is_left_out() -> None:
    reference = track((1, "N"), (2, "["), (2.5, "!"), (8, "]"), (9, "N"))
    test = track((1, "N"), (3, "N"), (4, "N"), (9, "N"))

    assert score_beats(reference, test, FS_HZ, ALL).n_test == 4
    assert score_beats(reference, test, FS_HZ, WITHOUT_VF).n_test == 2
    assert score_beats(reference, test, FS_HZ, WITHOUT_VF).percentages()["qrs_ppv_percent"] == 100


def test_a_shutdown_is_told_from_a_miss() -> None:
    noisy = beat_track(
        [
            Annotation(sample=360, symbol="N"),
            Annotation(sample=400, symbol="~", subtype=-1),
            Annotation(sample=1400, symbol="~", subtype=0),
        ]
    )
    reference = track((1, "N"), (2, "N"), (3, "V"), (5, "N"))

    score = score_beats(reference, noisy, FS_HZ)

    assert (cell(score, "N", "x"), cell(score, "V", "x"), cell(score, "N", "o")) == (1, 1, 1)
    assert score.percentages()["qrs_se_percent"] == 25


def test_jitter_is_that_of_the_pairs() -> None:
    reference = track((1, "N"), (2, "N"), (3, "N"), (4, "N"))
    test = track((1.01, "N"), (2.01, "N"), (3.07, "N"), (4.2, "N"))

    score = score_beats(reference, test, FS_HZ)
    jitter = score.jitter_ms()

    assert score.n_matched == 3
    assert score.n_matched_50_ms == 2
    assert jitter["offset_ms"] == pytest.approx(1e3 * 4 / 360)
    assert jitter["offset_mad_ms"] == pytest.approx(0)
    assert jitter["rr_rms_ms"] == pytest.approx(1e3 * 21 / 360 / 2**0.5)


def test_gross_sums_beats_and_average_takes_records_alike() -> None:
    long = score_beats(
        track(*((i, "N") for i in range(1, 99))), track(*((i, "N") for i in range(1, 99))), FS_HZ
    )
    short = score_beats(track((1, "V"), (2, "N")), track((1, "V")), FS_HZ)

    assert total([long, short]).percentages()["qrs_se_percent"] == pytest.approx(99.0)
    assert average([long, short])["qrs_se_percent"] == pytest.approx(75.0)
    # A record without ventricular beats has no say in their sensitivity.
    assert average([long, short])["veb_se_percent"] == pytest.approx(100.0)
    assert average([]) == {}


def test_nothing_against_nothing_has_no_percentages() -> None:
    score = score_beats(track(), track(), FS_HZ)

    assert set(score.percentages().values()) == {None}
    assert set(score.jitter_ms().values()) == {None}


beats = st.lists(
    st.tuples(st.floats(0, 900, width=16), st.sampled_from([*LABEL_OF, "[", "]", "~", "+"])),
    max_size=50,
)


@given(beats, beats, st.sampled_from(CONDITIONS), st.sampled_from(["maximal", "bxb"]))
def test_every_beat_is_in_the_matrix_once(
    reference: list[tuple[float, str]],
    test: list[tuple[float, str]],
    condition: Condition,
    rule: str,
) -> None:
    both = track(*reference), track(*test)
    assert rule in ("maximal", "bxb")
    score = score_beats(*both, FS_HZ, condition, rule="bxb" if rule == "bxb" else "maximal")

    assert score.matrix.min() >= 0
    assert score.matrix[ROWS.index("O") :, COLUMNS.index("o") :].sum() == 0
    assert score.offsets_ms.size == score.n_matched
    assert np.abs(score.offsets_ms).max(initial=0) <= 150
    for figure in score.percentages().values():
        assert figure is None or 0 <= figure <= 100
    if condition is ALL:
        assert (score.n_reference, score.n_test) == (both[0].samples.size, both[1].samples.size)


def test_another_sampling_rate_is_brought_to_the_grid_of_the_reference() -> None:
    at_250_hz = [Annotation(sample=250 * i, symbol="N") for i in range(1, 9)]

    score = score_beats(
        track(*((i, "N") for i in range(1, 9))), beat_track(at_250_hz, scale=360 / 250), FS_HZ
    )

    assert score.n_matched == 8
    assert score.jitter_ms()["offset_rms_ms"] == 0


def test_the_annotations_agree_with_themselves(chevet_data: Path) -> None:
    paths = sorted((chevet_data / "mitdb").glob("*.atr"))
    tracks = [beat_track(decode_annotations(path.read_bytes()).annotations) for path in paths]

    gross = total(score_beats(one, one, FS_HZ) for one in tracks)

    assert gross.n_reference == 37_372
    assert gross.matrix.sum() == np.trace(gross.matrix)
    assert gross.percentages()["qrs_f1_50_ms_percent"] == 100


def test_the_example_of_the_package_holds() -> None:
    import doctest

    import processors.scoring

    assert doctest.testmod(processors.scoring) == (0, 7)
