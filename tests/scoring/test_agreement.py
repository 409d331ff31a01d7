"""Agreement of two ways of measuring, with several pairs of each person."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.scoring.agreement import agreement


def test_variances_within_and_between_are_those_of_the_analysis_of_variance() -> None:
    # By hand: means 1 and 4, all of them 2.5; 2 within each person, 18/1 between the two of two.
    found = agreement([np.array([0.0, 2.0]), np.array([3.0, 5.0])])

    assert found is not None
    assert (found.n_persons, found.n_pairs, found.bias) == (2, 4, 2.5)
    assert found.sd_within == pytest.approx(math.sqrt(2.0))
    assert found.sd_between == pytest.approx(math.sqrt((9.0 - 2.0) / 2.0))
    assert found.limits == pytest.approx((2.5 - 1.96 * math.sqrt(5.5), 2.5 + 1.96 * math.sqrt(5.5)))


def test_many_persons_give_back_what_they_were_drawn_from() -> None:
    rng = np.random.default_rng(1)
    persons = [
        rng.normal(1.0 + rng.normal(0.0, 2.0), 0.5, size=int(rng.integers(2, 30)))
        for _ in range(3000)
    ]

    found = agreement(persons)

    assert found is not None
    assert found.sd_within == pytest.approx(0.5, rel=0.02)
    assert found.sd_between == pytest.approx(2.0, rel=0.05)


def test_one_person_has_no_variance_between() -> None:
    found = agreement([np.array([1.0, 2.0, 3.0])])

    assert found is not None
    assert (found.sd_within, found.sd_between) == (1.0, 0.0)


@pytest.mark.parametrize("pairs", [[], [[]], [[1.0]], [[1.0], [2.0], []]])
def test_without_two_pairs_of_anybody_nothing_is_said(pairs: list[list[float]]) -> None:
    assert agreement([np.array(one, dtype=np.float64) for one in pairs]) is None


@given(
    persons=st.lists(st.lists(st.integers(-50, 50), max_size=8), min_size=1, max_size=6),
    offset=st.integers(-20, 20),
)
def test_a_constant_moves_the_bias_and_nothing_else(persons: list[list[int]], offset: int) -> None:
    plain, moved = (
        agreement([np.array(one, dtype=np.float64) + by for one in persons]) for by in (0, offset)
    )

    assert (plain is None) == (moved is None)
    if plain is not None and moved is not None:
        assert moved.bias == pytest.approx(plain.bias + offset)
        assert moved.sd_within == pytest.approx(plain.sd_within, abs=1e-6)
        assert moved.sd_between == pytest.approx(plain.sd_between, abs=1e-5)
