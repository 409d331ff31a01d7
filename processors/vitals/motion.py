"""From an accelerometer to what a person does: motion, stillness, posture, steps, counts, falls."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import codes
from devices.codes import Quantity
from processors.dsp.sample_clock import SampleClock
from processors.dsp.state import State, translated_errors
from processors.vitals.activity_minutes import ActivityMinutes
from processors.vitals.derived import Algorithm, Derived
from processors.vitals.fall import FALL, FallWatch
from processors.vitals.gravity import GravityTracker, MovedSecond, Site, site_named
from processors.vitals.posture import (
    POSTURE,
    Mount,
    Posture,
    PostureJudge,
)
from processors.vitals.reasons import NoValueReason
from processors.vitals.steps import STEPS, StepCounter
from processors.vitals.stillness import STILL, Stillness

_KIND = "motion_chain"
_VERSION = 2

GRID_NS: Final = 1_000_000_000
_EACH_NS: Final = 10 * GRID_NS
_WARM_UP_S: Final = 3
_RAILED_SHARE_MAX: Final = 0.05
"""A blow rails for a moment; more of a second than this, and its intensity is not the truth."""

INTENSITY: Final = Algorithm(
    name="motion_intensity",
    version=1,
    method=(
        "Root mean square of the acceleration beside gravity (a low-pass of 0.3 Hz), three axes"
        " together."
    ),
    source="Van Hees et al., PLoS One 8:e61691 (2013): the high-pass filtered Euclidean norm",
    delay_s=0.0,
    averaging="The second that ends; each second.",
    validity="At most 5 % of the second at the end of the device's range.",
)


class MotionChain:
    """One accelerometer of one person: however its samples are cut, the same values.

    Values come in the order of time, those of a whole second as soon as a sample behind it is
    there. Motion intensity is given each second; stillness, posture and fall suspicion on each
    change and every ten seconds; steps and their rate every ten seconds; activity counts every
    minute. A gap in the sample index starts the chain anew but for the steps counted and a fall
    suspected: the first whole second within it says NO_SAMPLES.

    Parameters
    ----------
    fs_hz
        Nominal sampling rate, 10..400.
    clock
        Time of sample ``i``, counted since the start of the stream.
    site
        Where it is worn; not knowing it asks more of a fall, and of the first steps of a walk.
    mount
        How it sits on the chest (``posture.MOUNTS``, by device model); None: there is no posture.
    """

    def __init__(
        self,
        fs_hz: float,
        clock: SampleClock,
        site: Site = "unknown",
        mount: Mount | None = None,
    ) -> None:
        self._fs_hz = float(fs_hz)
        self._clock = clock
        self._site: Site = site
        self._gravity = GravityTracker(fs_hz)
        self._stillness = Stillness()
        self._steps = StepCounter(fs_hz, site)
        self._minutes = ActivityMinutes(fs_hz)
        self._posture = PostureJudge(mount) if mount is not None and site == "chest" else None
        self._fall = FallWatch(site)
        self._i_next: int | None = None
        self._grid_ns = 0
        self._n_seconds = 0
        self._last_g: float | None = None

    @property
    def still(self) -> bool | None:
        """Still (True) or moving at the last whole second; None when it is not known."""
        return self._stillness.still

    @property
    def intensity_g(self) -> float | None:
        """Motion intensity of the last whole second; None when it is not known."""
        return self._last_g

    @property
    def watermark_ns(self) -> int:
        """Every value before this time has been given."""
        return self._grid_ns

    def go_on(self, clock: SampleClock) -> None:
        """Take the next samples by a clock that has bent with the first of them."""
        self._clock = clock

    def process(self, chunk_g: NDArray[np.float64], i_first: int) -> list[Derived]:
        """Take ``(3, n_samples)`` in g, the first of them being sample ``i_first``.

        Samples that were there before are dropped; an index further on than expected is a gap.

        Raises
        ------
        ValueError
            Not three axes, or a sample is not a finite number.
        """
        chunk = np.ascontiguousarray(chunk_g, dtype=np.float64)
        if chunk.ndim != 2 or chunk.shape[0] != 3:  # noqa: PLR2004
            raise ValueError(f"three axes by samples are needed, not {chunk_g.shape}")
        if not np.isfinite(chunk).all():
            raise ValueError("a sample is not a finite number; leave out what was not measured")
        i_next = i_first if self._i_next is None else self._i_next
        begin = max(0, i_next - i_first)
        if begin >= chunk.shape[1]:
            return []
        values = self._pass_gap(i_first + begin)
        while begin < chunk.shape[1]:
            # A second ends with the sample on it.
            i_grid = self._clock.index_at_or_after(self._grid_ns + 1)
            end = min(chunk.shape[1], i_grid - i_first)
            self._gravity.process(chunk, begin, end)
            self._steps.process(chunk, begin, end)
            self._minutes.process(chunk, begin, end)
            begin = end
            self._i_next = i_first + end
            if self._i_next == i_grid:
                values += self._second()
        return values

    def _pass_gap(self, i_first: int) -> list[Derived]:
        if i_first == self._i_next:
            return []
        start_ns = self._clock.time_ns(i_first)
        values: list[Derived] = []
        if self._i_next is None:
            self._minutes.start(start_ns)
        else:
            values = self._gap_values(start_ns)
            self._last_g = None
            self._gravity.reset()
            self._steps.reset()
            self._stillness.reset()
            self._fall.reset()
            if self._posture is not None:
                self._posture.reset()
        self._n_seconds = 0
        self._grid_ns = -(-start_ns // GRID_NS) * GRID_NS
        return values

    def _gap_values(self, start_ns: int) -> list[Derived]:
        values: list[Derived] = []
        missing = NoValueReason.NO_SAMPLES
        if self._grid_ns < start_ns:
            values = [
                _none(codes.MOTION_INTENSITY, INTENSITY, self._grid_ns, missing),
                _none(codes.STILL, STILL, self._grid_ns, missing),
                _none(codes.POSTURE, POSTURE, self._grid_ns, missing),
                _none(codes.STEP_RATE, STEPS, self._grid_ns, missing),
                _none(codes.FALL, FALL, self._grid_ns, missing),
            ]
        return values + self._minutes.pass_gap(start_ns)

    def _second(self) -> list[Derived]:
        """Give everything of the whole second that is complete."""
        t_ns = self._grid_ns
        self._grid_ns += GRID_NS
        self._n_seconds += 1
        moved = self._gravity.take_second()
        self._steps.judge()
        railed = moved.railed_share > _RAILED_SHARE_MAX
        due = t_ns % _EACH_NS == 0
        values = [self._intensity(t_ns, moved, railed=railed)]
        self._last_g = values[0].value
        if self._stillness.judge(moved, railed=railed) or due:
            values.append(self._stillness.value(t_ns))
        values += self._posture_values(t_ns, moved, due=due, railed=railed)
        if self._fall.judge(moved, self._gravity.impact) or due:
            values.append(self._fall_value(t_ns, railed=railed))
        if due:
            values += self._step_values(t_ns, railed=railed)
        return values + self._minutes.at(t_ns, moved)

    @property
    def _warm(self) -> bool:
        return self._n_seconds > _WARM_UP_S

    def _intensity(self, t_ns: int, moved: MovedSecond, *, railed: bool) -> Derived:
        if railed:
            return _none(codes.MOTION_INTENSITY, INTENSITY, t_ns, NoValueReason.SATURATED)
        if 2 * moved.n_samples < self._fs_hz:
            return _none(codes.MOTION_INTENSITY, INTENSITY, t_ns, NoValueReason.WARMING_UP)
        return _value(codes.MOTION_INTENSITY, INTENSITY, t_ns, moved.rms_g)

    def _posture_values(
        self, t_ns: int, moved: MovedSecond, *, due: bool, railed: bool
    ) -> list[Derived]:
        if self._posture is None:
            reason = NoValueReason.NOT_CALIBRATED
            return [_none(codes.POSTURE, POSTURE, t_ns, reason)] if due else []
        was = self._posture.posture
        posture = self._posture.judge(moved.gravity_g)
        if posture is not Posture.UNKNOWN:
            known = _value(codes.POSTURE, POSTURE, t_ns, float(posture))
            return [known] if due or posture is not was else []
        if not due and posture is was:
            return []
        reason = NoValueReason.POOR_SIGNAL if self._warm else NoValueReason.WARMING_UP
        reason = NoValueReason.SATURATED if railed else reason
        return [_none(codes.POSTURE, POSTURE, t_ns, reason)]

    def _fall_value(self, t_ns: int, *, railed: bool) -> Derived:
        if railed and not self._fall.suspected:
            return _none(codes.FALL, FALL, t_ns, NoValueReason.SATURATED)
        if not self._warm and not self._fall.suspected:
            return _none(codes.FALL, FALL, t_ns, NoValueReason.WARMING_UP)
        suspected = float(self._fall.suspected)
        return _value(codes.FALL, FALL, t_ns, suspected, self._fall.confidence)

    def _step_values(self, t_ns: int, *, railed: bool) -> list[Derived]:
        count = _value(codes.STEP_COUNT, STEPS, t_ns, float(self._steps.n_steps))
        rate = self._steps.rate_per_min
        if rate is None or railed:
            reason = NoValueReason.SATURATED if railed else NoValueReason.WARMING_UP
            return [count, _none(codes.STEP_RATE, STEPS, t_ns, reason)]
        quality = self._steps.regularity if rate > 0 else 1.0
        return [count, _value(codes.STEP_RATE, STEPS, t_ns, rate, quality)]

    def to_bytes(self) -> bytes:
        """Everything the chain remembers."""
        children = {
            "gravity": self._gravity.to_bytes(),
            "stillness": self._stillness.to_bytes(),
            "steps": self._steps.to_bytes(),
            "minutes": self._minutes.to_bytes(),
            "fall": self._fall.to_bytes(),
        }
        if self._posture is not None:
            children["posture"] = self._posture.to_bytes()
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "fs_hz": self._fs_hz,
                **self._clock.scalars(),
                "site": self._site,
                "i_next": self._i_next,
                "grid_ns": self._grid_ns,
                "n_seconds": self._n_seconds,
                "last_g": self._last_g,
            },
            children=children,
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> MotionChain:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            clock = SampleClock.of_state(kept)
            restored = cls(kept.number("fs_hz"), clock, site_named(kept.scalars["site"]))
        restored._gravity = GravityTracker.from_bytes(kept.child("gravity"))
        restored._stillness = Stillness.from_bytes(kept.child("stillness"))
        restored._steps = StepCounter.from_bytes(kept.child("steps"))
        restored._minutes = ActivityMinutes.from_bytes(kept.child("minutes"))
        restored._fall = FallWatch.from_bytes(kept.child("fall"))
        if "posture" in kept.children:
            restored._posture = PostureJudge.from_bytes(kept.child("posture"))
        restored._i_next = kept.optional_integer("i_next")
        restored._grid_ns = kept.integer("grid_ns")
        restored._n_seconds = kept.integer("n_seconds")
        if kept.scalars.get("last_g") is not None:
            restored._last_g = kept.number("last_g")
        return restored


def _value(
    quantity: Quantity, algorithm: Algorithm, t_ns: int, value: float, quality: float = 1.0
) -> Derived:
    return Derived(quantity=quantity, algorithm=algorithm, t_ns=t_ns, value=value, quality=quality)


def _none(quantity: Quantity, algorithm: Algorithm, t_ns: int, reason: NoValueReason) -> Derived:
    return Derived(
        quantity=quantity, algorithm=algorithm, t_ns=t_ns, value=None, reason=reason, quality=0.0
    )
