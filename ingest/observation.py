"""The Observation: one derived value, or the reason why there is none."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any, Final, NamedTuple, Self

from ingest.errors import MalformedRecordError
from ingest.frame import (
    NAME_CHARS_MAX,
    TEXT_CHARS_MAX,
    TIME_NS_MAX,
    check_names,
    check_texts,
    check_time,
)

N_OBSERVATIONS_MAX: Final = 16_384
"""Observations in one record; what follows from a Frame of many minutes goes into several."""


class _Fields(NamedTuple):
    subject_id: str
    t_ns: int
    """Event time, UTC, nanoseconds since 1970."""
    name: str
    """The quantity's name in ``devices.codes``: ``heart_rate``, ``rr_interval``, ``spo2`` …"""
    mdc_code: int
    unit: str
    """UCUM."""
    value: float | None
    reason: str | None
    """Why there is no value; None where there is one."""
    quality: float
    """0 to 1: how far the value can be believed."""
    age_s: float
    """Age of the newest input at ``t_ns``."""
    channels: tuple[str, ...]
    """The inputs, as ``device_id/channel``."""
    algorithm: str
    algorithm_version: int


class Observation(_Fields):
    """A derived value at one instant of event time.

    Two observations with the same ``identity`` are the same one, delivered twice. A named tuple: a
    subject makes ten of these each second, and a frozen dataclass takes longer to make.
    """

    __slots__ = ()

    def __new__(  # noqa: PLR0913, PLR0917  # as many as an observation has fields
        cls,
        subject_id: str,
        t_ns: int,
        name: str,
        mdc_code: int,
        unit: str,
        value: float | None,
        reason: str | None,
        quality: float,
        age_s: float,
        channels: tuple[str, ...],
        algorithm: str,
        algorithm_version: int,
    ) -> Self:
        """Refuse what is no observation; raises MalformedRecordError."""
        made = tuple.__new__(
            cls,
            (
                subject_id,
                t_ns,
                name,
                mdc_code,
                unit,
                value,
                reason,
                quality,
                age_s,
                channels,
                algorithm,
                algorithm_version,
            ),
        )
        if reason is None:
            is_sound = value is not None and isfinite(value)
        else:
            is_sound = value is None and len(reason) <= TEXT_CHARS_MAX
        # One look at what is nearly always right.
        if not (
            is_sound
            and 0 <= t_ns <= TIME_NS_MAX
            and 0.0 <= quality <= 1.0
            and isfinite(age_s)
            and len(subject_id) + len(name) + len(unit) + len(algorithm) <= NAME_CHARS_MAX
        ):
            _refuse(made)
        return made

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        # What is made by replacing a field is looked at, too.
        return cls(*iterable)

    @property
    def identity(self) -> tuple[str, str, str, int]:
        """Subject, quantity, algorithm and event time."""
        return (self.subject_id, self.name, self.algorithm, self.t_ns)


def _refuse(made: Observation) -> None:
    """Say what is wrong, if anything is."""
    check_names(
        subject_id=made.subject_id, name=made.name, unit=made.unit, algorithm=made.algorithm
    )
    check_texts(reason=made.reason or "")
    check_time("t_ns", made.t_ns)
    if (made.value is None) == (made.reason is None):
        raise MalformedRecordError(
            f"{made.name}: exactly one of value and reason, not {made.value!r} and {made.reason!r}"
        )
    if made.value is not None and not isfinite(made.value):
        raise MalformedRecordError(f"{made.name}: {made.value} is not finite")
    if not 0.0 <= made.quality <= 1.0:
        raise MalformedRecordError(f"{made.name}: quality {made.quality} is not within 0 to 1")
    if not isfinite(made.age_s):
        raise MalformedRecordError(f"{made.name}: age {made.age_s} s is not finite")


class AlarmPriority(StrEnum):
    """Priorities of IEC 60601-1-8; Chevet raises technical alarms only so far."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmEvent:
    """An alarm condition began or ended. Never a primary alarm."""

    subject_id: str
    t_ns: int
    name: str
    priority: AlarmPriority
    active: bool
    """True where the condition began, False where it ended."""
    detail: str

    def __post_init__(self) -> None:
        check_names(subject_id=self.subject_id, name=self.name)
        check_texts(detail=self.detail)
        check_time("t_ns", self.t_ns)

    @property
    def identity(self) -> tuple[str, str, bool, int]:
        """Subject, condition, edge and event time."""
        return (self.subject_id, self.name, self.active, self.t_ns)
