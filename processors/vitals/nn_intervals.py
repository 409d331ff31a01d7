"""NN intervals: which of the intervals between beats are those of the sinus node.

An interval is NN if both its beats are normal and sure, if it is of a length that a heart can
have, and if it fits its surroundings. Nothing is corrected and nothing interpolated: what is not
NN is left out, counted by its cause, and no difference of intervals spans it.

The surroundings are those of Lipponen and Tarvainen (J Med Eng Technol 43:173-181, 2019): the
limit follows the spread of the differences of the last 91 intervals, so that a person with much
respiratory arrhythmia keeps it and a premature atrial beat in a regular rhythm is found. Here the
spread is the median absolute difference, where theirs is a distance of quartiles: one premature
beat makes three large differences, and one in ten already moves the upper quartile. The limit is
compared with the distance from the median of eleven intervals, and an interval must stand out from
its neighbours on both sides too, or by twice as much: a vagal swell over some beats, or a change of
rate, is no artefact. Look-ahead is five intervals.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, new_record, restored_record
from processors.dsp.state import MalformedStateError, State, translated_errors
from processors.vitals import hrv_kernel
from processors.vitals.derived import Beat, BeatClass

_KIND = "nn_intervals"
_VERSION = 1

INTERVAL_S_MIN: Final = 0.25
INTERVAL_S_MAX: Final = 2.5
"""240 to 24 beats a minute: the sinus node of an infant, and of an athlete asleep."""
QUALITY_MIN: Final = 0.5
"""A beat that is less sure than not makes no NN interval."""
N_INTERVALS_AHEAD: Final = hrv_kernel.N_AHEAD
"""A verdict is given when so many intervals have followed."""


class IntervalKind(IntEnum):
    """NN, or the cause why not."""

    NN = hrv_kernel.NN
    ECTOPIC_BEAT = hrv_kernel.ECTOPIC_BEAT
    """One of its beats is ventricular or paced."""
    POOR_BEAT = hrv_kernel.POOR_BEAT
    """One of its beats is not sure."""
    OUT_OF_BOUNDS = hrv_kernel.OUT_OF_BOUNDS
    """No heart has it."""
    PREMATURE = hrv_kernel.PREMATURE
    """Before or behind a beat that came early: a supraventricular ectopic beat, mostly."""
    MISSED_BEAT = hrv_kernel.MISSED_BEAT
    """Two or three intervals in one."""
    EXTRA_BEAT = hrv_kernel.EXTRA_BEAT
    """Part of an interval that something split which is no beat."""
    LATE = hrv_kernel.LATE
    """Long, and not of missed beats: a pause, a block, an escape beat."""
    UNSETTLED = hrv_kernel.UNSETTLED
    """Too few normal intervals around it to tell."""


ECTOPIC_KINDS: Final = frozenset(
    {IntervalKind.ECTOPIC_BEAT, IntervalKind.PREMATURE, IntervalKind.LATE, IntervalKind.UNSETTLED}
)
"""Causes that lie in the heart; the others lie in the signal."""


class TooFewIntervalsError(ValueError):
    """A figure needs more NN intervals than there are."""

    def __init__(self, *, figure: str, needed: int, available: int) -> None:
        super().__init__(f"{figure} needs {needed} intervals, {available} available")
        self.figure = figure
        self.needed = needed
        self.available = available


class Interval(NamedTuple):
    """An interval and the verdict on it."""

    t_ns: int
    """Event time of the beat that ends it."""
    interval_s: float
    kind: IntervalKind
    quality: float
    """0..1: that of the less sure of its beats."""
    follows: bool
    """It begins where the interval given before it ended."""


class _Waiting(NamedTuple):
    t_ns: int
    interval_s: float
    quality: float
    follows: bool


class NnIntervals:
    """Beats in, judged intervals out, in order, each once.

    An interval is given when ``N_INTERVALS_AHEAD`` intervals have followed it, or when it is
    settled: at a gap, or because somebody cannot wait.
    """

    def __init__(self) -> None:
        self._record: Record = new_record(hrv_kernel.JUDGE)
        self._waiting: deque[_Waiting] = deque()
        self._last_ns: int | None = None
        self._last_fitness = IntervalKind.NN
        self._last_quality = 0.0
        self._follows = False

    @property
    def oldest_ns(self) -> int | None:
        """End of the oldest interval that is undecided."""
        return self._waiting[0].t_ns if self._waiting else None

    def reset(self) -> list[Interval]:
        """Begin anew, at the start or behind a gap; give what was still undecided before it."""
        settled = self.settle()
        self._record = new_record(hrv_kernel.JUDGE)
        self._last_ns = None
        self._follows = False
        return settled

    def add_beat(self, beat: Beat) -> list[Interval]:
        """Take the next beat; give the intervals that are now decided.

        The first beat of all, one behind ``reset`` and one without an interval begin a stretch:
        no interval ends at them. A beat no later than the one before it is a repeat, and dropped.
        """
        if self._last_ns is not None and beat.t_ns <= self._last_ns:
            return []
        decided: list[Interval] = []
        fitness, quality = _fitness(beat)
        interval_s = beat.interval_s
        if self._last_ns is not None:
            if interval_s is None:
                decided = self.reset()
            else:
                kind = self._last_fitness or fitness
                decided = self._add(beat.t_ns, interval_s, kind, min(quality, self._last_quality))
        self._last_ns, self._last_fitness, self._last_quality = beat.t_ns, fitness, quality
        return decided

    def _add(
        self, t_ns: int, interval_s: float, kind: IntervalKind, quality: float
    ) -> list[Interval]:
        known_s = interval_s if math.isfinite(interval_s) else 0.0
        if kind is _NN and not INTERVAL_S_MIN <= known_s <= INTERVAL_S_MAX:
            kind = IntervalKind.OUT_OF_BOUNDS
        self._waiting.append(_Waiting(t_ns, known_s, quality, self._follows))
        self._follows = True
        verdict = hrv_kernel.judge_interval(self._record, known_s, int(kind))
        return [] if verdict == hrv_kernel.UNDECIDED else [self._judged(verdict)]

    def _judged(self, verdict: int) -> Interval:
        t_ns, interval_s, quality, follows = self._waiting.popleft()
        return Interval(t_ns, interval_s, _KINDS[verdict], quality, follows)

    def settle(self, until_ns: int | None = None) -> list[Interval]:
        """Decide now on all that waits and ends by ``until_ns``, with what is known."""
        settled: list[Interval] = []
        while self._waiting and (until_ns is None or self._waiting[0].t_ns <= until_ns):
            settled.append(self._judged(hrv_kernel.decide_interval(self._record, 0)))
        return settled

    def preview(self, until_ns: int) -> list[Interval]:
        """Give what ``settle`` would, and leave it undecided."""
        record, waiting = self._record, self._waiting
        self._record, self._waiting = record.copy(), waiting.copy()
        previewed = self.settle(until_ns)
        self._record, self._waiting = record, waiting
        return previewed

    def to_bytes(self) -> bytes:
        """Everything the step remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "last_ns": self._last_ns,
                "last_fitness": int(self._last_fitness),
                "last_quality": self._last_quality,
            },
            arrays={
                "t_ns": np.array([w.t_ns for w in self._waiting], dtype=np.int64),
                "interval_s": np.array([w.interval_s for w in self._waiting], dtype=np.float64),
                "quality": np.array([w.quality for w in self._waiting], dtype=np.float64),
                "follows": np.array([w.follows for w in self._waiting], dtype=np.int64),
            },
            children={"record": self._record.tobytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> NnIntervals:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        restored = cls()
        with translated_errors(_KIND):
            restored._last_ns = kept.optional_integer("last_ns")
            restored._last_fitness = IntervalKind(kept.integer("last_fitness"))
            restored._last_quality = kept.number("last_quality")
            restored._record = restored_record(kept.child("record"), hrv_kernel.JUDGE)
            restored._waiting = deque(_waiting(kept))
        restored._follows = bool(restored._record["n_seen"][0])
        n_waiting = int(restored._record["n_seen"][0] - restored._record["n_decided"][0])
        if n_waiting != len(restored._waiting):
            raise MalformedStateError(
                f"{_KIND}: {n_waiting} undecided, {len(restored._waiting)} kept"
            )
        return restored


_KINDS: Final = tuple(IntervalKind)
"""By number: the kernel's verdicts count from 0."""
_NN: Final = IntervalKind.NN
_NOT_SINUS: Final = frozenset({BeatClass.VENTRICULAR, BeatClass.PACED})


def _waiting(kept: State) -> Iterator[_Waiting]:
    columns = zip(
        kept.int_array("t_ns").tolist(),
        kept.float_array("interval_s", (None,)).tolist(),
        kept.float_array("quality", (None,)).tolist(),
        kept.int_array("follows").tolist(),
        strict=True,
    )
    for t_ns, interval_s, quality, follows in columns:
        yield _Waiting(t_ns, interval_s, quality, bool(follows))


def _fitness(beat: Beat) -> tuple[IntervalKind, float]:
    """Tell what a beat alone says of the intervals on both sides of it."""
    quality = beat.quality
    if not 0.0 <= quality <= 1.0:
        quality = min(1.0, max(0.0, quality)) if math.isfinite(quality) else 0.0
    if beat.beat_class in _NOT_SINUS:
        return IntervalKind.ECTOPIC_BEAT, quality
    if quality < QUALITY_MIN:
        return IntervalKind.POOR_BEAT, quality
    return _NN, quality


def judge_intervals(
    interval_s: NDArray[np.float64], known: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Judge a whole series without gaps, as the streaming step does.

    Parameters
    ----------
    interval_s : shape (n_intervals,)
        Successive intervals between beats, finite, in seconds.
    known : shape (n_intervals,)
        ``IntervalKind`` that the beats themselves already give; without it, all NN.

    Returns
    -------
    shape (n_intervals,)
        ``IntervalKind`` of each.
    """
    record = new_record(hrv_kernel.JUDGE)
    verdicts: list[int] = []
    kinds = np.zeros(interval_s.size, np.int64) if known is None else known
    within = (interval_s >= INTERVAL_S_MIN) & (interval_s <= INTERVAL_S_MAX)
    kinds = np.where((kinds == IntervalKind.NN) & ~within, int(IntervalKind.OUT_OF_BOUNDS), kinds)
    for interval, kind in zip(interval_s.tolist(), kinds.tolist(), strict=True):
        verdicts.append(hrv_kernel.judge_interval(record, interval, kind))
    while len(verdicts) < interval_s.size + hrv_kernel.N_AHEAD:
        verdicts.append(hrv_kernel.decide_interval(record, 0))
    decided = [verdict for verdict in verdicts if verdict != hrv_kernel.UNDECIDED]
    return np.array(decided, dtype=np.int64)
