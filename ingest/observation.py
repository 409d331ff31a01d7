"""The Observation: one derived value, or the reason why there is none."""

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

from ingest.errors import MalformedRecordError
from ingest.frame import (
    NAME_CHARS_MAX,
    TEXT_CHARS_MAX,
    TIME_NS_MAX,
    check_names,
    check_texts,
    check_time,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A derived value at one instant of event time.

    Two observations with the same ``identity`` are the same one, delivered twice.
    """

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

    def __post_init__(self) -> None:
        value, reason = self.value, self.reason
        if reason is None:
            is_sound = value is not None and isfinite(value)
        else:
            is_sound = value is None and len(reason) <= TEXT_CHARS_MAX
        # One look at what is nearly always right: a subject makes ten of these each second.
        if not (
            is_sound
            and 0 <= self.t_ns <= TIME_NS_MAX
            and 0.0 <= self.quality <= 1.0
            and isfinite(self.age_s)
            and len(self.subject_id) + len(self.name) + len(self.unit) + len(self.algorithm)
            <= NAME_CHARS_MAX
        ):
            self._refuse()

    def _refuse(self) -> None:
        """Say what is wrong, if anything is."""
        check_names(
            subject_id=self.subject_id, name=self.name, unit=self.unit, algorithm=self.algorithm
        )
        check_texts(reason=self.reason or "")
        check_time("t_ns", self.t_ns)
        if (self.value is None) == (self.reason is None):
            raise MalformedRecordError(
                f"{self.name}: exactly one of value and reason, "
                f"not {self.value!r} and {self.reason!r}"
            )
        if self.value is not None and not isfinite(self.value):
            raise MalformedRecordError(f"{self.name}: {self.value} is not finite")
        if not 0.0 <= self.quality <= 1.0:
            raise MalformedRecordError(f"{self.name}: quality {self.quality} is not within 0 to 1")
        if not isfinite(self.age_s):
            raise MalformedRecordError(f"{self.name}: age {self.age_s} s is not finite")

    @property
    def identity(self) -> tuple[str, str, str, int]:
        """Subject, quantity, algorithm and event time."""
        return (self.subject_id, self.name, self.algorithm, self.t_ns)


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
