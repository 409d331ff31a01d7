"""The lines of the events' channel: pure.

Alarm conditions, what happened to devices, and whose samples a trace shows from now on.

========= ======= ===================================================================
field     type    what
========= ======= ===================================================================
active    boolean whether a condition began; else always true
at_ms     float   event time, milliseconds since 1970
detail    string  in words; empty where nothing is said
kind      string  ``alarm``, ``device`` or ``source``
name      string  of the condition, what happened, or the trace's signal
priority  string  of the condition; else empty
========= ======= ===================================================================

Every line has every field. Rows are in the order in which they came, at least a millisecond
apart: an event that comes after a newer one is not left out, but its row is later than it is.
"""

from collections import deque
from typing import Final

from ingest.frame import DeviceEvent
from ingest.observation import AlarmEvent
from processors.sinks.grafana_live.counts import PushCounts
from processors.sinks.grafana_live.trace import NS_PER_MS
from processors.sinks.lines import string

EVENTS_MAX: Final = 64
"""Events of a subject that wait; beyond, the oldest give way."""

DETAIL_CHARS_MAX: Final = 200
KNOWN_MAX: Final = 256
"""Events remembered, so that one that comes again is not shown again."""


class EventLog:
    """What happened to one subject and its devices, and is not pushed yet."""

    def __init__(self, measurement: str, counts: PushCounts) -> None:
        self._name = measurement
        self._counts = counts
        self._waiting: deque[tuple[int, str]] = deque()
        self._known: dict[tuple[object, ...], None] = {}
        self._written_ms = -1

    def add_alarm(self, alarm: AlarmEvent) -> None:
        """Take the beginning or the end of a condition."""
        self._add(
            alarm.identity,
            alarm.t_ns,
            f"active={str(alarm.active).lower()},at_ms={alarm.t_ns // NS_PER_MS},"
            f'detail={_text(alarm.detail)},kind="alarm",name={_text(alarm.name)},'
            f"priority={_text(alarm.priority)}",
        )

    def add_event(self, event: DeviceEvent) -> None:
        """Take what happened to a device."""
        self._add(
            (event.device_id, event.kind, event.t_ns),
            event.t_ns,
            f"active=true,at_ms={event.t_ns // NS_PER_MS},"
            f"detail={_text(f'{event.device_id} {event.detail}'.strip())},"
            f'kind="device",name={_text(event.kind)},priority=""',
        )

    def add_source(self, signal: str, device_id: str, channel: str, t_ns: int) -> None:
        """Take note whose samples a trace shows from now on."""
        self._add(
            (signal, device_id, channel, t_ns),
            t_ns,
            f"active=true,at_ms={t_ns // NS_PER_MS},detail={_text(f'{device_id} {channel}')},"
            f'kind="source",name={_text(signal)},priority=""',
        )

    def take(self) -> list[str]:
        """Give the lines of all that waits."""
        lines: list[str] = []
        while self._waiting:
            t_ns, fields = self._waiting.popleft()
            self._written_ms = max(self._written_ms + 1, t_ns // NS_PER_MS)
            lines.append(f"{self._name} {fields} {self._written_ms * NS_PER_MS}")
        return lines

    def _add(self, identity: tuple[object, ...], t_ns: int, fields: str) -> None:
        if identity in self._known:
            return
        self._known[identity] = None
        if len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]
        if len(self._waiting) >= EVENTS_MAX:
            self._waiting.popleft()
            self._counts.events_dropped += 1
        self._waiting.append((t_ns, fields))


def _text(value: str) -> str:
    # A string that is NaN would make the column one of numbers.
    return string("nan" if value == "NaN" else value[:DETAIL_CHARS_MAX])
