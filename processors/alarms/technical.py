"""Technical alarms: the system cannot see what it should. Never a primary alarm."""

from collections.abc import Iterator
from typing import Final, Self

from ingest.frame import NS_PER_S
from ingest.observation import AlarmEvent, AlarmPriority, Observation
from processors.dsp.state import State

_KIND = "no_heart_rate_alarm"
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
