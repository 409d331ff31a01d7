"""How far two ways of measuring agree, where each person was measured many times.

Source: Bland and Altman, J Biopharm Stat 17:571-582 (2007), section 3, the true value varies within
a person: the variance of the differences is that within persons and that between them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_NORMAL_95: Final = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Bias, and the limits between which 95 of 100 differences are expected; in the unit given."""

    n_persons: int
    n_pairs: int
    bias: float
    """Mean of all differences."""
    sd_within: float
    """Standard deviation of the differences of one person."""
    sd_between: float
    """Standard deviation of the persons' own biases."""

    @property
    def sd(self) -> float:
        """Standard deviation of one difference of one person, of whom nothing is known."""
        return math.hypot(self.sd_within, self.sd_between)

    @property
    def limits(self) -> tuple[float, float]:
        """Lower and upper limit of agreement."""
        return self.bias - _NORMAL_95 * self.sd, self.bias + _NORMAL_95 * self.sd


def agreement(differences: Sequence[Floats]) -> Agreement | None:
    """Analyse the variance of differences by person.

    Parameters
    ----------
    differences : each of shape (n_pairs,)
        Test minus reference, one array for each person; persons without a pair are left out.

    Returns
    -------
    None where nobody has two pairs. Of one person nothing is known of the variance between: it is
    0, and the limits are theirs alone.
    """
    persons = [one for one in differences if one.size]
    n_of = np.array([one.size for one in persons], dtype=np.float64)
    n_persons, n_pairs = len(persons), int(n_of.sum())
    if n_pairs <= n_persons:
        return None
    bias = float(np.concatenate(persons).mean())
    means = np.array([one.mean() for one in persons])
    spread = sum(
        float(np.square(one - mean).sum()) for one, mean in zip(persons, means, strict=True)
    )
    within = spread / (n_pairs - n_persons)
    between = 0.0
    if n_persons > 1:
        among = float((n_of * np.square(means - bias)).sum()) / (n_persons - 1)
        # So many pairs has a person, where all have as many.
        share = (n_pairs**2 - float(np.square(n_of).sum())) / ((n_persons - 1) * n_pairs)
        between = max(0.0, (among - within) / share)
    return Agreement(
        n_persons=n_persons,
        n_pairs=n_pairs,
        bias=bias,
        sd_within=math.sqrt(within),
        sd_between=math.sqrt(between),
    )
