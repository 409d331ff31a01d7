"""Which beat of a test annotation is which beat of the reference.

Both rules pair one to one, in order of time, and never beats that are further apart than the match
window. They count the same wherever beats are further apart than two windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_FAR: Final = 2**62
"""A time that no annotation reaches."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairing:
    """Pairs in order of time; who is not in it has no partner."""

    i_reference: Ints
    """Shape ``(n_pairs,)``, ascending."""
    i_test: Ints
    """Shape ``(n_pairs,)``, ascending."""

    @property
    def n_pairs(self) -> int:
        """Beats that have a partner."""
        return int(self.i_reference.size)


def pair_beats(reference: Sequence[int] | Ints, test: Sequence[int] | Ints, n_max: int) -> Pairing:
    """Pair as many beats as can be, and of all such ways the one with the least sum of distances.

    No other way to pair one to one finds more pairs, so that no detector is punished for how the
    comparator walks through its beats; and where two test beats lie near one reference beat it is
    the nearer one that is believed, so that labels and offsets are those of the same beat.

    Parameters
    ----------
    reference, test
        Sample numbers, ascending.
    n_max
        The match window: largest distance of a pair, in samples.
    """
    pairs: list[tuple[int, int]] = []
    for first, stop in _clusters(reference, test, n_max):
        if stop[0] - first[0] == 1 == stop[1] - first[1]:
            if abs(int(reference[first[0]]) - int(test[first[1]])) <= n_max:
                pairs.append(first)
        elif stop[0] > first[0] and stop[1] > first[1]:
            pairs += _pair_cluster(
                [int(at) for at in reference[first[0] : stop[0]]],
                [int(at) for at in test[first[1] : stop[1]]],
                n_max,
                first,
            )
    return _pairing(pairs)


def _clusters(
    reference: Sequence[int] | Ints, test: Sequence[int] | Ints, n_max: int
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Cut where nothing happens for longer than the window: no pair spans such a silence."""
    times = np.concatenate([np.asarray(reference, np.int64), np.asarray(test, np.int64)])
    order = np.argsort(times, kind="stable")
    is_test = order >= len(reference)
    cuts = np.flatnonzero(np.diff(times[order]) > n_max) + 1
    n_test = np.concatenate([[0], np.cumsum(is_test)])
    at = np.concatenate([[0], cuts, [times.size]]).tolist()
    corners = [(i - int(n_test[i]), int(n_test[i])) for i in at]
    return list(pairwise(corners))


def _pair_cluster(
    reference: list[int], test: list[int], n_max: int, first: tuple[int, int]
) -> list[tuple[int, int]]:
    """Align by dynamic programming: row by row of the reference, within the window only.

    A cell is (pairs, -sum of distances) of the best alignment of the first reference beats with
    the first test beats; tuples compare as the rule does.
    """
    rows: list[tuple[int, list[tuple[int, int]]]] = [(0, [(0, 0)])]
    j_first = 0
    for at in reference:
        while j_first < len(test) and test[j_first] < at - n_max:
            j_first += 1
        j_stop = j_first
        cells = [_cell(rows[-1], j_first)]
        while j_stop < len(test) and test[j_stop] <= at + n_max:
            pairs, minus_distance = _cell(rows[-1], j_stop)
            paired = (pairs + 1, minus_distance - abs(test[j_stop] - at))
            j_stop += 1
            cells.append(max(_cell(rows[-1], j_stop), cells[-1], paired))
        rows.append((j_first, cells))
    return _walk_back(rows, len(test), first)


def _cell(row: tuple[int, list[tuple[int, int]]], j: int) -> tuple[int, int]:
    """Read a row at ``j`` test beats; right of what it holds nothing more can be paired."""
    j_first, cells = row
    return cells[min(j - j_first, len(cells) - 1)]


def _walk_back(
    rows: list[tuple[int, list[tuple[int, int]]]], n_test: int, first: tuple[int, int]
) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    i, j = len(rows) - 1, n_test
    while i > 0:
        j_first, cells = rows[i]
        j = min(j, j_first + len(cells) - 1)
        if j <= j_first or _cell(rows[i], j) == _cell(rows[i - 1], j):
            i -= 1
        elif _cell(rows[i], j) == _cell(rows[i], j - 1):
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((first[0] + i, first[1] + j))
    return pairs[::-1]


def pair_beats_as_bxb(
    reference: Sequence[int] | Ints, test: Sequence[int] | Ints, n_max: int
) -> Pairing:
    """Pair as the reference implementation of the standard does, by looking one beat ahead.

    The earlier of the next two beats is taken to the other one if that is within the window, and
    if the beat that follows on its own side is not at least as near to it; else it has no
    partner. May find fewer pairs than `pair_beats` where beats are as close as the window is wide.

    Parameters
    ----------
    reference, test
        Sample numbers, ascending.
    n_max
        The match window: largest distance of a pair, in samples.

    Source: ANSI/AAMI EC57:2012, beat-by-beat comparison, as ``bxb`` of the WFDB software resolves
    it.
    """
    references = [*(int(at) for at in reference), _FAR, _FAR]
    tests = [*(int(at) for at in test), _FAR, _FAR]
    i = j = 0
    pairs: list[tuple[int, int]] = []
    while references[i] < _FAR and tests[j] < _FAR:
        distance = abs(references[i] - tests[j])
        if tests[j] < references[i]:
            rival = abs(references[i] - tests[j + 1])
        else:
            rival = abs(tests[j] - references[i + 1])
        if distance <= n_max and distance < rival:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif tests[j] < references[i]:
            j += 1
        else:
            i += 1
    return _pairing(pairs)


def _pairing(pairs: list[tuple[int, int]]) -> Pairing:
    columns = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Pairing(columns[:, 0].copy(), columns[:, 1].copy())
