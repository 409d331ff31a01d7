"""Runs of ventricular beats, counted by hand."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.wfdb_annotations import Annotation
from processors.scoring.runs import NO_RUNS, score_runs
from processors.scoring.tracks import BeatTrack, beat_track

WINDOW = 54


def track(symbols: str) -> BeatTrack:
    """A beat, or a mark, every 300 samples; a blank is nothing."""
    return beat_track(
        Annotation(sample=300 * i, symbol=symbol)
        for i, symbol in enumerate(symbols, start=1)
        if symbol != " "
    )


def test_runs_are_found_by_their_longest_piece() -> None:
    score = score_runs(track("NVVNNVVVNNVVVVVVVVNNVVN"), track("NVVNNVVNNNVVVVVVVVNNVNN"), WINDOW)

    assert score.percentages() == {
        "couplet_se_percent": 50.0,
        "couplet_ppv_percent": 100.0,
        "short_run_se_percent": 0.0,
        "short_run_ppv_percent": None,
        "long_run_se_percent": 100.0,
        "long_run_ppv_percent": 100.0,
    }


def test_a_fusion_beat_belongs_to_a_run_and_other_beats_end_it() -> None:
    score = score_runs(track("NVFVNVANVV/"), track("NVVVNNNNVVN"), WINDOW)

    assert score.percentages()["short_run_se_percent"] == 100
    assert score.by_reference[1, 0] == 1
    assert score.by_reference[2, 2] == 1


def test_fibrillation_is_a_run_of_the_greatest_length() -> None:
    score = score_runs(track("NN[    ]NN"), track("NNVVVVVVNN"), WINDOW)

    assert score.percentages()["long_run_se_percent"] == 100
    assert score.percentages()["long_run_ppv_percent"] == 100


def test_runs_that_begin_before_the_start_do_not_count() -> None:
    both = track("NVVNNVVN")

    assert score_runs(both, both, WINDOW, from_sample=1500).by_reference.sum() == 1


beats = st.text(alphabet="NVVVFA/Q[] ", max_size=40)


@given(beats, beats)
def test_no_figure_leaves_its_range_and_what_agrees_with_itself_is_whole(
    reference: str, test: str
) -> None:
    score = score_runs(track(reference), track(test), WINDOW)
    same = score_runs(track(reference), track(reference), WINDOW)

    for figure in (score + NO_RUNS).percentages().values():
        assert figure is None or 0 <= figure <= 100
    assert set(same.percentages().values()) <= {None, 100.0}
