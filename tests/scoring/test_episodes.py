"""Episodes of a rhythm, counted by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.wfdb_annotations import Annotation
from processors.scoring.episodes import EPISODE_KINDS, EpisodeScore, score_episodes

FS_HZ = 100.0
END = 100_000


def rhythm(*changes: tuple[float, str]) -> list[Annotation]:
    return [Annotation(sample=round(at * FS_HZ), symbol="+", aux=aux) for at, aux in changes]


def test_durations_and_episodes_of_atrial_fibrillation() -> None:
    reference = rhythm((0, "(N"), (100, "(AFIB"), (200, "(N"), (500, "(AFIB"), (600, "(N"))
    test = rhythm((150, "(AFIB"), (250, "(N"), (700, "(AFIB"), (800, "(N"))

    score = score_episodes("atrial_fibrillation", reference, test, FS_HZ, end_sample=END)

    assert score.percentages() == pytest.approx(
        {
            "episode_se_percent": 50.0,
            "episode_ppv_percent": 50.0,
            "duration_se_percent": 25.0,
            "duration_ppv_percent": 25.0,
            "duration_sp_percent": 100 * 650 / 800,
        }
    )


def test_fibrillation_that_is_called_during_flutter_is_no_fault() -> None:
    reference = rhythm((0, "(N"), (100, "(AFL"), (200, "(N"))
    test = rhythm((110, "(AFIB"), (190, "(N"))

    score = score_episodes("atrial_fibrillation", reference, test, FS_HZ, end_sample=END)

    assert (score.n_test, score.test_s) == (0, 0.0)
    assert score.percentages()["duration_sp_percent"] == 100


def test_an_episode_that_nothing_ends_lasts_to_the_end_and_one_before_the_start_is_cut() -> None:
    reference = [Annotation(sample=0, symbol="["), Annotation(sample=40_000, symbol="]")]
    test = [Annotation(sample=35_000, symbol="[")]

    score = score_episodes(
        "ventricular_fibrillation", reference, test, FS_HZ, end_sample=END, from_s=300
    )

    assert score.reference_s == 100
    assert score.test_s == 650
    assert score.both_s == 50


def test_a_finer_test_grid_is_brought_to_that_of_the_reference() -> None:
    reference = rhythm((100, "(VT"), (200, "(N"))
    test = [Annotation(sample=one.sample * 10, symbol="+", aux=one.aux) for one in reference]

    score = score_episodes(
        "ventricular_tachycardia", reference, test, FS_HZ, end_sample=END, scale=0.1
    )

    assert score.percentages()["duration_se_percent"] == 100
    assert score.percentages()["duration_ppv_percent"] == 100


marks = st.lists(
    st.tuples(st.integers(0, 2000), st.sampled_from(["(AFIB", "(AFL", "(N", "(VT"])), max_size=12
).map(sorted)


@given(marks, marks, st.sampled_from(sorted(EPISODE_KINDS)))
def test_no_figure_leaves_its_range_and_sums_are_sums(
    reference: list[tuple[int, str]], test: list[tuple[int, str]], kind: str
) -> None:
    score = score_episodes(
        kind, rhythm(*reference), rhythm(*test), FS_HZ, end_sample=150_000, from_s=300
    )

    for figure in (score + EpisodeScore()).percentages().values():
        assert figure is None or 0 <= figure <= 100
    assert (score + score).both_s == 2 * score.both_s
