"""The model behind the ECG quality, as something that can be fitted.

A second is right when none of its beats is false and none was missed between them. The probability
of that is taken as a product: of one logistic function of its features for each beat, and one for
each interval. Weights that speak for quality where they should speak against it are not allowed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from processors.vitals.ecg_beats_kernel import N_FEATURES

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

N_FOLDS = 8
N_STEPS_MAX = 100
WEIGHT_MAX = 12.0
OFFSET_MAX = 20.0
PENALTY = 1e-4
"""On the squares of the weights: of two columns that say the same, both get a share."""


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """What is to be right or wrong: stretches of beats that follow each other."""

    features: Floats
    """Shape ``(n_beats, N_FEATURES)``; of all recordings, one behind the other."""
    first: Ints
    """Shape ``(n_cases,)``: the beat that begins the first interval."""
    stop: Ints
    """Shape ``(n_cases,)``: behind the beat that ends the last one."""
    right: Bools
    weight: Floats
    group: NDArray[np.str_]
    """What is left out together."""

    def subset(self, chosen: Bools) -> "Cases":
        """Keep some of the cases."""
        return Cases(
            self.features,
            self.first[chosen],
            self.stop[chosen],
            self.right[chosen],
            self.weight[chosen],
            self.group[chosen],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """Which features count for a beat and for an interval, and how much; last the constants."""

    of_beat: tuple[int, ...]
    of_interval: tuple[int, ...]
    weights: Floats

    @property
    def _n_beat(self) -> int:
        return len(self.of_beat) + 1

    def columns(self) -> tuple[Floats, Floats]:
        """Both sets of weights as the kernel takes them, shape ``(N_FEATURES + 1,)``."""
        beat, interval = np.zeros(N_FEATURES + 1), np.zeros(N_FEATURES + 1)
        beat[[*self.of_beat, N_FEATURES]] = self.weights[: self._n_beat]
        interval[[*self.of_interval, N_FEATURES]] = self.weights[self._n_beat :]
        return beat, interval

    def probabilities(self, cases: Cases) -> Floats:
        """Probability of each case to be right."""
        beat, interval = self._matrices(cases.features)
        scores = (beat @ self.weights[: self._n_beat], interval @ self.weights[self._n_beat :])
        return np.exp(-_costs(*scores, cases))

    def fitted(self, cases: Cases) -> "Model":
        """Give the model of the highest likelihood, from this one on."""
        beat, interval = self._matrices(cases.features)
        low = np.zeros(self.weights.size)
        high = np.full(self.weights.size, WEIGHT_MAX)
        constants = [self._n_beat - 1, self.weights.size - 1]
        low[constants], high[constants] = -OFFSET_MAX, OFFSET_MAX
        found = minimize(
            _loss,
            np.clip(self.weights, low, high),
            args=(beat, interval, cases, constants),
            jac=True,
            bounds=list(zip(low.tolist(), high.tolist(), strict=True)),
            method="L-BFGS-B",
            options={"maxiter": N_STEPS_MAX},
        )
        return Model(self.of_beat, self.of_interval, np.asarray(found.x))

    def left_out(self, cases: Cases) -> Floats:
        """Probability of each case by the model that was fitted without its group, from this on."""
        probabilities = np.zeros(cases.right.size)
        names = sorted(set(cases.group.tolist()))
        for fold in range(N_FOLDS):
            own = np.isin(cases.group, names[fold::N_FOLDS])
            model = self.fitted(cases.subset(~own))
            probabilities[own] = model.probabilities(cases.subset(own))
        return probabilities

    def _matrices(self, features: Floats) -> tuple[Floats, Floats]:
        return _with_constant(features, self.of_beat), _with_constant(features, self.of_interval)


def _with_constant(features: Floats, columns: Sequence[int]) -> Floats:
    return np.hstack((features[:, list(columns)], np.ones((features.shape[0], 1))))


def _costs(beat_scores: Floats, interval_scores: Floats, cases: Cases) -> Floats:
    """Minus the logarithm of each case's probability; a case has one interval less than beats."""
    of_beats = np.concatenate(([0.0], np.cumsum(np.logaddexp(0, beat_scores))))
    of_intervals = np.concatenate(([0.0], np.cumsum(np.logaddexp(0, interval_scores))))
    second = np.minimum(cases.first + 1, cases.stop)
    costs = of_beats[cases.stop] - of_beats[cases.first]
    return np.asarray(costs + of_intervals[cases.stop] - of_intervals[second])


def _loss(
    weights: Floats, beat: Floats, interval: Floats, cases: Cases, constants: list[int]
) -> tuple[float, Floats]:
    """Mean minus log-likelihood of the cases and its gradient."""
    n_beat = beat.shape[1]
    scores = beat @ weights[:n_beat], interval @ weights[n_beat:]
    costs = np.maximum(_costs(*scores, cases), 1e-9)
    wrong = np.maximum(-np.expm1(-costs), 1e-12)
    share = cases.weight / cases.weight.sum()
    loss = float((share * np.where(cases.right, costs, -np.log(wrong))).sum())
    slope = share * np.where(cases.right, 1.0, -np.exp(-costs) / wrong)
    second = np.minimum(cases.first + 1, cases.stop)
    gradient = np.concatenate(
        (
            beat.T
            @ (_spread(slope, cases.first, cases.stop, beat.shape[0]) * _logistic(scores[0])),
            interval.T @ (_spread(slope, second, cases.stop, beat.shape[0]) * _logistic(scores[1])),
        )
    )
    penalised = weights.copy()
    penalised[constants] = 0.0
    return loss + PENALTY * float((penalised**2).sum()), gradient + 2 * PENALTY * penalised


def _spread(slope: Floats, first: Ints, stop: Ints, n_beats: int) -> Floats:
    """Sum over the cases that a beat belongs to."""
    steps = np.bincount(first, slope, n_beats + 1) - np.bincount(stop, slope, n_beats + 1)
    return np.asarray(np.cumsum(steps)[:-1], dtype=np.float64)


def _logistic(scores: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(scores, -40, 40))))
