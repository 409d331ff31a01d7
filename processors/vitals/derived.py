"""What every chain gives: one derived value at one instant of event time, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from devices.codes import Quantity
from processors.vitals.reasons import NoValueReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """How a value is derived: what goes with every observation, and into docs/signals.md."""

    name: str
    """In records: lower case, digits and underscores."""
    version: int
    """Goes up with every change that may change an output."""
    method: str
    """One or two sentences."""
    source: str
    """Papers or clauses that the method rests on."""
    delay_s: float
    """Event time from the last sample that a value needs to the value, at most."""
    averaging: str
    """Over what, and how often a value is given."""
    validity: str
    """When there is a value, and when a reason instead."""


class Derived(NamedTuple):
    """A value of a quantity, in the unit that its row in ``devices.codes`` states.

    A named tuple, as is `Beat`: there are ten each second of each subject. The Observation that
    becomes of it refuses what has neither a value nor a reason, or both.
    """

    quantity: Quantity
    algorithm: Algorithm
    t_ns: int
    value: float | None
    quality: float
    """0..1: how far the value can be believed; for a suspicion, its confidence."""
    reason: NoValueReason | None = None
    age_s: float = 0.0
    """Age of the newest input at ``t_ns``."""
    sources: tuple[str, ...] = ()
    """Which inputs it rests on, where a step chose among several; empty: all that it was given."""


def without_value(derived: Derived, reason: NoValueReason) -> Derived:
    """Say instead of a value why there is none."""
    return derived._replace(value=None, reason=reason, quality=0.0)


class BeatClass(IntEnum):
    """Where a beat began, as far as one knows. The numbers are the annotation codes of WFDB."""

    NORMAL = 1
    """Normal or supraventricular (AAMI classes N and S): conducted through the atrioventricular
    node, whatever the bundle branches do."""
    VENTRICULAR = 5
    """Premature ventricular contraction or ventricular escape (AAMI class V)."""
    PACED = 12
    UNKNOWN = 13


class Beat(NamedTuple):
    """One heart beat: an R peak of the ECG, or the onset of a pulse wave."""

    t_ns: int
    """Event time, finer than the sample grid where the method gives that."""
    interval_s: float | None
    """Since the beat before it (RR or pulse-to-pulse); None: the first since the start or a gap."""
    quality: float
    """0..1: how surely this is a beat at this time (fit for an interval)."""
    height: float
    """Deflection of the R wave, or amplitude of the pulse wave, in the signal's unit, signed."""
    level: float
    """Baseline under the beat, in the signal's unit."""
    beat_class: BeatClass = BeatClass.UNKNOWN
