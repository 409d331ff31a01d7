"""The last hours of one subject's numerals, as means of ten seconds and of a minute. Pure.

By event time only, so that a replay has its trends too. What is not believed on the page is in no
mean; a step without a believed value is a gap.
"""

from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from devices import codes
from ingest.frame import NS_PER_S
from ingest.observation import Observation
from processors.sinks.live.protocol import Trend, ms_from_ns
from processors.sinks.live.voices import FUSIONS, source_of
from processors.vitals.readings import DEVICE_RECORD

BELIEVED_MIN: Final = 0.5
"""Quality from which on the page shows a value as one."""
TRENDED: Final = frozenset(
    quantity.name
    for quantity in (
        codes.HEART_RATE,
        codes.PULSE_RATE,
        codes.SPO2,
        codes.RESPIRATORY_RATE,
        codes.BODY_TEMPERATURE,
    )
)
STEPS: Final = ((10, 360), (60, 480))
"""Seconds of a step, and how many are kept: an hour finely and eight hours coarsely, 180 kB of a
subject with all quantities. Beyond, the newest takes the place of the oldest."""
CLOCK_SET_BACK_S: Final = 86_400
"""A value that is so far behind is by a clock that was set back; what is less far is late."""


class TrendRing:
    """Means of one quantity over the last ``n_steps`` steps of event time.

    One source is averaged in each step: the first that is believed there, unless what is fused from
    all sources comes. Values that come twice count once.
    """

    def __init__(self, name: str, unit: str, step_s: int, n_steps: int) -> None:
        self._name = name
        self._unit = unit
        self._step_s = step_s
        self._n_steps = n_steps
        self._step = np.full(n_steps, -1, dtype=np.int64)
        self._n = np.zeros(n_steps, dtype=np.int32)
        self._sum = np.zeros(n_steps)
        self._low = np.zeros(n_steps, dtype=np.float32)
        self._high = np.zeros(n_steps, dtype=np.float32)
        # Who is averaged there, as a check sum, and his newest value.
        self._source = np.zeros(n_steps, dtype=np.uint32)
        self._is_fused = np.zeros(n_steps, dtype=np.bool_)
        self._t_ns = np.zeros(n_steps, dtype=np.int64)
        self._newest: int | None = None
        self._open: int | None = None

    def process(self, observation: Observation) -> Trend | None:
        """Take the next observation; give the step that it shows to be over."""
        step = observation.t_ns // (self._step_s * NS_PER_S)
        over = self._open if self._open is not None and step != self._open else None
        if over is not None:
            self._open = None
        if _is_believed(observation) and self._add(step, observation):
            self._open = step
        return None if over is None else self._read(over, over)

    def snapshot(self) -> Trend | None:
        """Give all that is kept, also of the step that is not over; None: nothing."""
        if self._newest is None:
            return None
        kept = self._step[(self._step > self._newest - self._n_steps) & (self._n > 0)]
        kept = kept[kept <= self._newest]
        return self._read(int(kept.min()), self._newest)

    def _add(self, step: int, observation: Observation) -> bool:
        value = observation.value
        if value is None or not self._has_place(step):
            return False
        i = step % self._n_steps
        is_fused = observation.algorithm in FUSIONS
        source = crc32(source_of(observation).encode())
        if self._step[i] != step or (is_fused and not self._is_fused[i]):
            self._step[i] = step
            self._n[i] = 0
            self._sum[i] = 0.0
            self._low[i] = self._high[i] = value
            self._source[i] = source
            self._is_fused[i] = is_fused
            self._t_ns[i] = -1
        if self._source[i] != source or observation.t_ns <= self._t_ns[i]:
            return False
        self._t_ns[i] = observation.t_ns
        self._n[i] += 1
        self._sum[i] += value
        self._low[i] = min(self._low[i], value)
        self._high[i] = max(self._high[i], value)
        return True

    def _has_place(self, step: int) -> bool:
        newest = self._newest
        behind_s = 0 if newest is None else (newest - step) * self._step_s
        if newest is None or behind_s <= 0 or behind_s > CLOCK_SET_BACK_S:
            self._newest = step
            return True
        return newest - step < self._n_steps

    def _read(self, first: int, last: int) -> Trend:
        steps = np.arange(first, last + 1)
        i = steps % self._n_steps
        kept = (self._step[i] == steps) & (self._n[i] > 0)
        mean = self._sum[i] / np.maximum(self._n[i], 1)
        return Trend(
            name=self._name,
            unit=self._unit,
            step_s=self._step_s,
            t0_ms=ms_from_ns(first * self._step_s * NS_PER_S),
            mean=_numbers(mean, kept),
            low=_numbers(self._low[i], kept),
            high=_numbers(self._high[i], kept),
        )


class TrendBook:
    """The trends of one subject."""

    def __init__(self) -> None:
        self._rings: dict[str, tuple[TrendRing, ...]] = {}

    def process(self, observation: Observation) -> list[Trend]:
        """Take the next observation of any kind; give the steps that are over."""
        if observation.name not in TRENDED or observation.algorithm == DEVICE_RECORD.name:
            return []
        rings = self._rings.get(observation.name)
        if rings is None:
            rings = self._rings[observation.name] = tuple(
                TrendRing(observation.name, observation.unit, step_s, n_steps)
                for step_s, n_steps in STEPS
            )
        over = (ring.process(observation) for ring in rings)
        return [trend for trend in over if trend is not None]

    def snapshot(self) -> list[Trend]:
        """Give all that is kept."""
        kept = (ring.snapshot() for rings in self._rings.values() for ring in rings)
        return [trend for trend in kept if trend is not None]


def _is_believed(observation: Observation) -> bool:
    return observation.value is not None and observation.quality >= BELIEVED_MIN


def _numbers(values: NDArray[np.floating], kept: NDArray[np.bool_]) -> tuple[float | None, ...]:
    return tuple(
        round(float(value), 2) if is_kept else None
        for value, is_kept in zip(values, kept, strict=True)
    )
