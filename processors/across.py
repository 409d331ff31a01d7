"""What needs several streams of a subject at once, second by second of event time.

Streams come at different delays. A second is judged when every stream that is alive has passed it,
so what is said does not depend on which stream came first.
"""

from __future__ import annotations

import json
from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar, Final, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ingest.frame import NS_PER_S
from processors.dsp.sample_clock import SampleClock
from processors.dsp.state import State, translated_errors
from processors.items import Item, item_of, row_of
from processors.vitals.derived import Algorithm, Beat, Derived

_KIND = "across"
_VERSION = 1

IDLE_NS: Final = 10 * NS_PER_S
"""After so long without any input there is nothing more to say: the values are stale already."""

N_PENDING_MAX: Final = 10_000
"""Items that wait for the slowest stream, some seconds of all; the oldest are dropped when there
are more: all of them go into each state."""

_FEW: Final = 16
"""Fewer than one in so many are put into their places one by one."""

BEATS: Final = "beats"
"""What a step hears who wants beats."""
UNJUDGED: Final = "unjudged"
"""Instead of a modality: the value is said only when a step has judged it. What that step hears."""


class _Said(NamedTuple):
    modality: str
    source: str
    item: Item


class CrossStep(Protocol):
    """One derived value from several streams."""

    hears: ClassVar[frozenset[str]]
    """What it wants to be told: names of quantities, `BEATS`, `UNJUDGED`. Telling those who do not
    costs a call each."""

    def add(self, modality: str, source: str, item: Item, /) -> None:
        """Take what a stream, or a step before this one, said; in order of time."""
        ...

    def at(self, t_ns: int) -> Sequence[Derived]:
        """Say what follows on a whole second; everything up to it is known."""
        ...

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        ...


@runtime_checkable
class SampleStep(Protocol):
    """A step that takes the samples of two streams, too."""

    def hear(
        self, modality: str, clock: SampleClock, samples: NDArray[np.float64], i_first: int
    ) -> None:
        """Take samples, ``(n_channels, n_samples)``; those before a second come before its `at`."""
        ...


class AcrossSources:
    """Holds what the streams said until all have passed a second, then asks the steps.

    What a step says the steps after it hear too: of no modality, from its algorithm.
    """

    def __init__(self, steps: Sequence[CrossStep]) -> None:
        self._steps = steps
        self._hear = _by_what_they_hear(steps)
        self._steps_and_later = [
            (step, _by_what_they_hear(steps[n:])) for n, step in enumerate(steps, 1)
        ]
        self._sample_steps = [step for step in steps if isinstance(step, SampleStep)]
        self._pending: list[_Said] = []  # in order
        self._added: list[_Said] = []  # since then
        self._next_ns: int | None = None
        self._floor_ns = 0  # seconds before it have been judged
        self._heard_ns = 0

    def add(self, modality: str, source: str, items: Iterable[Item]) -> None:
        """Take what a stream said, in order of time; what a step hears is kept."""
        hear, is_unjudged = self._hear, modality == UNJUDGED
        self._added += [
            _Said(modality, source, item)
            for item in items
            if is_unjudged or (BEATS if isinstance(item, Beat) else item.quantity.name) in hear
        ]

    def hear(
        self, modality: str, clock: SampleClock, samples: NDArray[np.float64], i_first: int
    ) -> None:
        """Hand samples to the steps that need them."""
        for step in self._sample_steps:
            step.hear(modality, clock, samples, i_first)

    def advance(self, end_ns: int) -> list[Derived]:
        """Judge all whole seconds before ``end_ns``."""
        pending = self._pending
        self._put_in_order()
        n_pending = len(pending)
        said: list[Derived] = []
        n_fed = self._feed_late()
        while (t_ns := self._second(n_fed, end_ns)) is not None:
            while n_fed < n_pending and pending[n_fed].item.t_ns <= t_ns:
                self._feed(pending[n_fed])
                self._heard_ns = t_ns
                n_fed += 1
            said += self._judge(t_ns)
            self._floor_ns = t_ns + NS_PER_S
            self._next_ns = self._floor_ns if t_ns - self._heard_ns < IDLE_NS else None
        del pending[: max(n_fed, n_pending - N_PENDING_MAX)]
        return said

    def _put_in_order(self) -> None:
        if len(self._added) * _FEW < len(self._pending):
            # A hostile Frame can leave thousands waiting, and add one to them thousands of times.
            for said in self._added:
                insort(self._pending, said, key=_order)
        elif self._added:
            self._pending += self._added
            self._pending.sort(key=_order)
        self._added.clear()

    def _feed_late(self) -> int:
        """Feed what belongs to seconds that have been judged; that begins no new ones."""
        n_late = 0
        for said in self._pending:
            if said.item.t_ns > self._floor_ns - NS_PER_S:
                break
            self._feed(said)
            n_late += 1
        return n_late

    def _second(self, n_fed: int, end_ns: int) -> int | None:
        """Give the next second to be judged; None: not yet."""
        if self._next_ns is None and n_fed < len(self._pending):
            t_ns = self._pending[n_fed].item.t_ns
            if t_ns >= end_ns:  # something earlier may still come
                return None
            self._next_ns = max(self._floor_ns, -(-t_ns // NS_PER_S) * NS_PER_S)
        return self._next_ns if self._next_ns is not None and self._next_ns < end_ns else None

    def _feed(self, said: _Said) -> None:
        modality, source, item = said
        for step in self._hear.get(_heard_as(modality, item), ()):
            step.add(modality, source, item)

    def _judge(self, t_ns: int) -> list[Derived]:
        said: list[Derived] = []
        for step, hear_later in self._steps_and_later:
            found = step.at(t_ns)
            for one in found:
                for later in hear_later.get(one.quantity.name, ()):
                    later.add("", one.algorithm.name, one)
            said += found
        return said

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "next_ns": self._next_ns,
                "floor_ns": self._floor_ns,
                "heard_ns": self._heard_ns,
                "pending": json.dumps(
                    [
                        [s.modality, s.source, *row_of(s.item)]
                        for s in (*self._pending, *self._added)
                    ]
                ),
            },
            children={str(n): step.to_bytes() for n, step in enumerate(self._steps)},
        ).to_bytes()

    @classmethod
    def from_bytes(
        cls,
        state: bytes,
        restore: Sequence[Callable[[bytes], CrossStep]],
        algorithms: Mapping[str, Algorithm],
    ) -> AcrossSources:
        """Continue where ``to_bytes`` stood, each step restored by its own; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        restored = cls([step(kept.child(str(n))) for n, step in enumerate(restore)])
        restored._next_ns = kept.optional_integer("next_ns")
        restored._floor_ns = kept.integer("floor_ns")
        restored._heard_ns = kept.integer("heard_ns")
        with translated_errors(_KIND):
            rows = json.loads(kept.text("pending"))
            restored._added = [
                _Said(str(modality), str(source), item_of(row, algorithms))
                for modality, source, *row in rows
            ]
        return restored


def _by_what_they_hear(steps: Sequence[CrossStep]) -> dict[str, list[CrossStep]]:
    what = frozenset[str]().union(*(step.hears for step in steps))
    return {name: [step for step in steps if name in step.hears] for name in what}


def _heard_as(modality: str, item: Item) -> str:
    if isinstance(item, Beat):
        return BEATS
    return UNJUDGED if modality == UNJUDGED else item.quantity.name


def _order(said: _Said) -> tuple[int, str, str, int]:
    return said.item.t_ns, said.modality, said.source, isinstance(said.item, Derived)
