"""Technical alarms: the system cannot see what it should. Never a primary alarm."""

from collections.abc import Iterator
from typing import Final, Self

from ingest.frame import NS_PER_S
from ingest.observation import AlarmEvent, AlarmPriority, Observation
from processors.dsp.state import State

_KIND = "no_heart_rate_alarm"
_FRAMES_KIND = "frames_missing_alarm"
_VERSION = 1

DELAY_NS: Final = 10 * NS_PER_S
"""A rate may be missing this long, as after a movement, before anybody is called."""

_EXPECTED: Final = frozenset({"warming_up"})
"""Reasons that need nobody."""


class NoHeartRateAlarm:
    """Begins when an ECG is there and has given no heart rate for ten seconds of event time.

    Source: IEC 60601-1-8, technical alarm condition; the delay is ours.
    """

    name: Final = "no_heart_rate"

    def __init__(self, subject_id: str) -> None:
        self._subject_id = subject_id
        self._since_ns: int | None = None
        self._active = False

    def process(self, observation: Observation) -> Iterator[AlarmEvent]:
        """Take the next observation in order of event time; give the edges of the condition."""
        if observation.name != "heart_rate":
            return
        if observation.value is not None or observation.reason in _EXPECTED:
            self._since_ns = None
            if self._active:
                self._active = False
                yield self._event(observation, "heart rate is back")
            return
        if self._since_ns is None:
            self._since_ns = observation.t_ns
        if not self._active and observation.t_ns - self._since_ns >= DELAY_NS:
            self._active = True
            yield self._event(observation, f"no heart rate: {observation.reason}")

    def _event(self, observation: Observation, detail: str) -> AlarmEvent:
        return AlarmEvent(
            subject_id=self._subject_id,
            t_ns=observation.t_ns,
            name=self.name,
            priority=AlarmPriority.LOW,
            active=self._active,
            detail=detail,
        )

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "subject_id": self._subject_id,
                "since_ns": self._since_ns,
                "active": self._active,
            },
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> Self:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        restored = cls(kept.text("subject_id"))
        restored._since_ns = kept.optional_integer("since_ns")
        restored._active = kept.flag("active")
        return restored


QUIET_NS: Final = 60 * NS_PER_S
"""Frames have come without a hole for so long when the condition ends: time enough to be read."""


class FramesMissingAlarm:
    """Begins when Frames of an agent did not come; ends a minute of event time after the last hole.

    Source: IEC 60601-1-8, technical alarm condition; the delay is ours.
    """

    name: Final = "frames_missing"

    def __init__(self, subject_id: str) -> None:
        self._subject_id = subject_id
        self._hole_ns: int | None = None

    @property
    def active(self) -> bool:
        """Whether the condition lasts."""
        return self._hole_ns is not None

    def missing(self, t_ns: int, agent_id: str, first: int, end: int) -> AlarmEvent:
        """Say that the Frames ``first`` to before ``end`` of an agent were given up at ``t_ns``."""
        self._hole_ns = t_ns
        which = f"{first}" if end == first + 1 else f"{first} to {end - 1}"
        return self._event(t_ns, f"{end - first} missing of agent {agent_id}: sequence {which}")

    def at(self, t_ns: int) -> Iterator[AlarmEvent]:
        """Take the event time of a Frame; give the end of the condition."""
        if self._hole_ns is not None and t_ns - self._hole_ns >= QUIET_NS:
            self._hole_ns = None
            yield self._event(t_ns, "Frames come without a hole again")

    def _event(self, t_ns: int, detail: str) -> AlarmEvent:
        return AlarmEvent(
            subject_id=self._subject_id,
            t_ns=t_ns,
            name=self.name,
            priority=AlarmPriority.LOW,
            active=self.active,
            detail=detail,
        )

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_FRAMES_KIND,
            version=_VERSION,
            scalars={"subject_id": self._subject_id, "hole_ns": self._hole_ns},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> Self:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_FRAMES_KIND, version=_VERSION)
        restored = cls(kept.text("subject_id"))
        restored._hole_ns = kept.optional_integer("hole_ns")
        return restored
