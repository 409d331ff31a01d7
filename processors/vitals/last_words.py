"""What each of several sources said last: the memory of a fusion."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final, Generic, NamedTuple, TypeVar

import numpy as np

from processors.dsp.state import State, translated_errors
from processors.vitals.derived import Derived
from processors.vitals.reasons import NoValueReason

_VERSION = 2

KEPT_MAX: Final = 16
"""Values of one source: as much as sources may be late one against another."""

Kind = TypeVar("Kind", bound=StrEnum)


class Said(NamedTuple):
    """A value of a source, or why it had none."""

    t_ns: int
    rate: float | None
    reason: NoValueReason | None
    quality: float
    age_s: float


class LastWords(Generic[Kind]):
    """The last values of some sources, each of a kind.

    Parameters
    ----------
    name
        Of the fusion, in its state.
    age_s_max
        By kind, in the order of preference: older than this a source does not count.
    sources_max
        When there are more, the source that has been silent longest gives way.
    """

    def __init__(self, name: str, age_s_max: Mapping[Kind, float], sources_max: int) -> None:
        self._name = name
        self._age_s_max = age_s_max
        self._sources_max = sources_max
        self._kinds: dict[str, Kind] = {}
        self._said: dict[str, deque[Said]] = {}
        self._kinds_in_order: dict[str, Kind] = {}
        self._sources_in_order: list[tuple[int, str, Kind]] = []

    def __bool__(self) -> bool:
        return bool(self._said)

    def add(self, source: str, kind: Kind, derived: Derived) -> None:
        """Take what ``source`` says; what is not after its last word is passed over.

        A source that changes its kind starts anew.
        """
        kept = self._said.pop(source, None)
        if kept is None or self._kinds.get(source) is not kind:
            kept = deque[Said](maxlen=KEPT_MAX)
            self._kinds[source] = kind
        self._said[source] = kept  # now the youngest key
        _, _, t_ns, value, quality, reason, age_s, _ = derived
        if not kept or t_ns > kept[-1].t_ns:
            kept.append(Said(t_ns, value, reason, quality, age_s))
        if len(self._said) > self._sources_max:
            silent = next(iter(self._said))
            del self._said[silent], self._kinds[silent]

    def current(self, t_ns: int) -> list[tuple[str, Kind, Said]]:
        """Last word of each source at ``t_ns``, where it is young enough; the best kind first."""
        found: list[tuple[str, Kind, Said]] = []
        for _, source, kind in self._in_order():
            for said in reversed(self._said[source]):
                if said.t_ns <= t_ns:
                    if t_ns - said.t_ns <= self._age_s_max[kind] * 1e9:
                        found.append((source, kind, said))
                    break
        return found

    def _in_order(self) -> list[tuple[int, str, Kind]]:
        """Rank, name and kind of each source, the best kind first; kept while they are the same."""
        if self._kinds != self._kinds_in_order:
            order = list(self._age_s_max)
            self._sources_in_order = sorted(
                (order.index(kind), source, kind) for source, kind in self._kinds.items()
            )
            self._kinds_in_order = dict(self._kinds)
        return self._sources_in_order

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        words = [said for kept in self._said.values() for said in kept]
        sources = [[one, self._kinds[one], len(kept)] for one, kept in self._said.items()]
        return State(
            kind=self._name,
            version=_VERSION,
            scalars={
                "sources": json.dumps(sources),
                "reasons": json.dumps([said.reason for said in words]),
            },
            arrays={
                "t_ns": np.array([said.t_ns for said in words], dtype=np.int64),
                "rates": np.array([said.rate or 0.0 for said in words], dtype=np.float64),
                "qualities": np.array([said.quality for said in words], dtype=np.float64),
                "ages_s": np.array([said.age_s for said in words], dtype=np.float64),
            },
        ).to_bytes()

    def restore(self, state: bytes) -> None:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=self._name, version=_VERSION)
        kinds = {str(kind): kind for kind in self._age_s_max}
        words = _words(kept)
        with translated_errors(self._name):
            for source, kind, n_kept in json.loads(kept.text("sources"))[: self._sources_max]:
                self._kinds[str(source)] = kinds[kind]
                self._said[str(source)] = deque(itertools.islice(words, n_kept), maxlen=KEPT_MAX)


def best_reason(current: Sequence[Said]) -> NoValueReason:
    """Why the best source has no value; NO_SAMPLES where there is none."""
    reasons = [said.reason for said in current if said.reason is not None]
    return reasons[0] if reasons else NoValueReason.NO_SAMPLES


def _words(kept: State) -> Iterator[Said]:
    columns = zip(
        kept.int_array("t_ns").tolist(),
        kept.float_array("rates", (None,)).tolist(),
        json.loads(kept.text("reasons")),
        kept.float_array("qualities", (None,)).tolist(),
        kept.float_array("ages_s", (None,)).tolist(),
        strict=True,
    )
    for t_ns, rate, reason, quality, age_s in columns:
        known = None if reason is None else NoValueReason(reason)
        yield Said(t_ns, rate if known is None else None, known, quality, age_s)
