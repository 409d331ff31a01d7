"""What light says of somebody who moves, where the same device feels the motion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from devices import codes
from ingest.frame import NS_PER_S
from processors.across import UNJUDGED
from processors.dsp.sample_clock import SampleClock
from processors.dsp.state import MalformedStateError, State, translated_errors
from processors.items import Item, item_of, row_of
from processors.vitals import ppg, spo2, wrist_rate
from processors.vitals.derived import Algorithm, Beat, Derived, without_value
from processors.vitals.reasons import NoValueReason
from processors.vitals.stillness import STILL
from processors.vitals.wrist_rate import EVERY_S, WristRate

_KIND = "light_in_motion"
_VERSION = 1

JUDGED: Final[Mapping[str, Algorithm]] = MappingProxyType(
    {one.name: one for one in (ppg.PULSE_RATE, ppg.PERFUSION, spo2.ALGORITHM)}
)
"""What is not said before the motion of its second is known."""

SETTLE_NS: Final = 7 * NS_PER_S
"""Stillness is said after three quiet seconds; ten seconds of pulses are then without motion."""

KNOWN_NS: Final = 12 * NS_PER_S
"""Stillness is said again every ten seconds: older, it is not known."""

AGREE_BPM: Final = 5.0


class LightInMotion:
    """Withholds what light says while its device moves, and says what motion leaves of it.

    An arm that swings moves blood: light alone shows a clean, wrong pulse at the rate of the steps.
    While the device moves, and until ten seconds of pulses are free of it, a pulse rate stands when
    the rate from light *and* acceleration agrees with it within 5/min; otherwise it is withheld,
    and the latter is given. Saturation and perfusion are withheld.
    """

    hears: ClassVar[frozenset[str]] = frozenset({UNJUDGED, codes.STILL.name})

    def __init__(self, wrist: WristRate | None = None) -> None:
        self._wrist = wrist or WristRate()
        self._pending: list[Derived] = []
        self._moved_ns: int | None = None  # the newest second of motion
        self._moving = False
        self._heard_ns = 0
        self._rate: Derived | None = None
        self._still_bpm: float | None = None  # the last pulse rate before the motion

    def hear(
        self, modality: str, clock: SampleClock, samples: NDArray[np.float64], i_first: int
    ) -> None:
        """Take samples of light or acceleration of the device that has both.

        Parameters
        ----------
        modality
            "ppg" or "motion".
        samples
            Shape ``(n_channels, n_samples)``, the first of them sample ``i_first``.
        """
        if modality == "motion":
            self._wrist.add_acc(clock, samples, i_first)
        else:
            self._wrist.add_ppg(clock, samples[:1], i_first)

    def add(self, modality: str, _source: str, item: Item) -> None:
        """Take stillness, and what is to be judged."""
        if isinstance(item, Beat):
            return
        if modality == UNJUDGED:
            self._pending.append(item)
        elif item.algorithm is STILL:
            self._moving = item.value == 0.0
            self._heard_ns = item.t_ns
            if self._moving:
                self._moved_ns = item.t_ns

    def at(self, t_ns: int) -> list[Derived]:
        """Say what was to be judged, as far as it stands on a whole second."""
        if not self._pending:
            return []
        if self._moving and t_ns - self._heard_ns <= KNOWN_NS:
            self._moved_ns = t_ns
        pending, self._pending = self._pending, []
        if self._moved_ns is None or t_ns - self._moved_ns > SETTLE_NS:
            rates = [one.value for one in pending if one.quantity is codes.PULSE_RATE]
            self._still_bpm = rates[-1] if rates else self._still_bpm
            return pending
        for rate in self._wrist.at(t_ns, self._still_bpm):
            self._rate = rate
        return [said for one in pending for said in self._judged(one)]

    def _judged(self, one: Derived) -> list[Derived]:
        without = without_value(one, NoValueReason.MOVING)
        rate = self._rate
        if one.quantity is not codes.PULSE_RATE or rate is None or rate.value is None:
            return [without]
        if not 0 <= one.t_ns - rate.t_ns < EVERY_S * NS_PER_S:
            return [without]
        if one.value is not None and abs(one.value - rate.value) <= AGREE_BPM:
            return [one]
        age_s = (one.t_ns - rate.t_ns) / NS_PER_S
        # First what has a value: a fusion takes one word of a source at a time.
        return [rate._replace(t_ns=one.t_ns, age_s=age_s, sources=one.sources), without]

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "pending": json.dumps([row_of(one) for one in self._pending]),
                "rate": json.dumps(None if self._rate is None else row_of(self._rate)),
                "moved_ns": self._moved_ns,
                "moving": self._moving,
                "heard_ns": self._heard_ns,
                "still_bpm": self._still_bpm,
            },
            children={"wrist": self._wrist.to_bytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> LightInMotion:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        restored = cls(WristRate.from_bytes(kept.child("wrist")))
        with translated_errors(_KIND):
            restored._pending = [_derived(row) for row in json.loads(kept.text("pending"))]
            row = json.loads(kept.text("rate"))
            restored._rate = None if row is None else _derived(row)
        restored._moved_ns = kept.optional_integer("moved_ns")
        restored._moving = kept.flag("moving")
        restored._heard_ns = kept.integer("heard_ns")
        if kept.scalars.get("still_bpm") is not None:
            restored._still_bpm = kept.number("still_bpm")
        return restored


def _derived(row: list[object]) -> Derived:
    item = item_of(row, {**JUDGED, wrist_rate.ALGORITHM.name: wrist_rate.ALGORITHM})
    if isinstance(item, Beat):
        raise MalformedStateError(f"{_KIND}: a beat waits to be judged")
    return item
