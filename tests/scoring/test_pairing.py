"""Pairing of beats: as many as can be, the nearest of all such ways, and as bxb does it."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from processors.scoring.pairing import Pairing, pair_beats, pair_beats_as_bxb

few_times = st.lists(st.integers(0, 40), max_size=6, unique=True).map(sorted)
many_times = st.lists(st.integers(0, 3000), max_size=60, unique=True).map(sorted)
windows = st.integers(0, 12)


def best_by_trying_all(reference: list[int], test: list[int], n_max: int) -> tuple[int, int]:
    """Number of pairs, and minus the sum of distances, of the best of all matchings."""
    best = (0, 0)
    for n_pairs in range(1, min(len(reference), len(test)) + 1):
        for some in combinations(reference, n_pairs):
            # Between two chosen sets the crossing-free assignment is never the worse one.
            for others in combinations(test, n_pairs):
                distances = [abs(a - b) for a, b in zip(some, others, strict=True)]
                if max(distances) <= n_max:
                    best = max(best, (n_pairs, -sum(distances)))
    return best


def bipartite_maximum(reference: list[int], test: list[int], n_max: int) -> int:
    """Size of a maximum matching by augmenting paths, in any order of time."""
    partner: dict[int, int] = {}

    def augment(i: int, seen: set[int]) -> bool:
        for j, at in enumerate(test):
            if abs(at - reference[i]) <= n_max and j not in seen:
                seen.add(j)
                if j not in partner or augment(partner[j], seen):
                    partner[j] = i
                    return True
        return False

    return sum(augment(i, set()) for i in range(len(reference)))


def greedy_in_order(reference: list[int], test: list[int], n_max: int) -> int:
    """The count of a scorer that takes whatever comes first within the window."""
    i = j = n_pairs = 0
    while i < len(reference) and j < len(test):
        late = test[j] - reference[i]
        n_pairs += abs(late) <= n_max
        i += late >= -n_max
        j += late <= n_max
    return n_pairs


def distance(pairing: Pairing, reference: list[int], test: list[int]) -> int:
    return sum(
        abs(reference[i] - test[j])
        for i, j in zip(pairing.i_reference, pairing.i_test, strict=True)
    )


def assert_one_to_one(pairing: Pairing, reference: list[int], test: list[int], n_max: int) -> None:
    assert (np.diff(pairing.i_reference) > 0).all()
    assert (np.diff(pairing.i_test) > 0).all()
    for i, j in zip(pairing.i_reference, pairing.i_test, strict=True):
        assert abs(reference[i] - test[j]) <= n_max


@given(few_times, few_times, windows)
@example([0, 10], [9, 11], 10)
def test_no_matching_has_more_pairs_or_as_many_and_nearer_ones(
    reference: list[int], test: list[int], n_max: int
) -> None:
    pairing = pair_beats(reference, test, n_max)

    assert_one_to_one(pairing, reference, test, n_max)
    found = (pairing.n_pairs, -distance(pairing, reference, test))
    assert found == best_by_trying_all(reference, test, n_max)


@given(many_times, many_times, st.integers(0, 200))
def test_the_number_of_pairs_is_that_of_a_maximum_bipartite_matching(
    reference: list[int], test: list[int], n_max: int
) -> None:
    pairing = pair_beats(reference, test, n_max)

    assert_one_to_one(pairing, reference, test, n_max)
    assert pairing.n_pairs == bipartite_maximum(reference, test, n_max)
    assert pairing.n_pairs == greedy_in_order(reference, test, n_max)


@given(many_times, many_times, st.integers(0, 200))
def test_bxb_pairs_one_to_one_and_never_more_than_can_be(
    reference: list[int], test: list[int], n_max: int
) -> None:
    pairing = pair_beats_as_bxb(reference, test, n_max)

    assert_one_to_one(pairing, reference, test, n_max)
    assert pairing.n_pairs <= pair_beats(reference, test, n_max).n_pairs


@given(st.lists(st.integers(22, 400), max_size=40), st.lists(st.integers(-10, 10), min_size=40))
def test_where_beats_are_far_apart_both_rules_say_the_same(
    intervals: list[int], offsets: list[int]
) -> None:
    reference = np.cumsum(intervals).tolist()
    test = [at + off for at, off in zip(reference, offsets, strict=False)]
    reference, test = reference[::1], sorted(test)

    ours, theirs = pair_beats(reference, test, 10), pair_beats_as_bxb(reference, test, 10)

    assert ours.i_reference.tolist() == theirs.i_reference.tolist()
    assert ours.i_test.tolist() == theirs.i_test.tolist()


@pytest.mark.parametrize("pair", [pair_beats, pair_beats_as_bxb])
def test_of_two_test_beats_near_one_of_the_reference_the_nearer_has_it(pair: object) -> None:
    assert callable(pair)
    pairing = pair([1000], [960, 1002], 54)

    assert (pairing.i_reference.tolist(), pairing.i_test.tolist()) == ([0], [1])


@pytest.mark.parametrize("pair", [pair_beats, pair_beats_as_bxb])
def test_the_window_includes_its_edge(pair: object) -> None:
    assert callable(pair)
    assert pair([100, 500], [154, 555], 54).i_reference.tolist() == [0]
    assert pair([], [1], 54).n_pairs == pair([1], [], 54).n_pairs == 0


def test_bxb_gives_a_beat_up_for_the_one_that_follows_and_we_do_not() -> None:
    reference, test = [0, 100], [60, 140]

    assert pair_beats_as_bxb(reference, test, 60).i_reference.tolist() == [1]
    assert pair_beats(reference, test, 60).i_test.tolist() == [0, 1]


def test_annotations_at_every_sample_are_paired_in_time_that_grows_with_their_number() -> None:
    every = list(range(4000))

    assert pair_beats(every, every, 20).i_test.tolist() == every
