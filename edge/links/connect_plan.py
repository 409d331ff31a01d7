"""Which device is connected next, on which adapter, and which one gives way. Pure: no clock.

- An adapter makes one connection at a time, and holds as many links as it has slots. How many it
  has is told by the settings or learnt from its errors; what was learnt is doubted after a while.
- Of the devices that wait and are on the air, one that has just measured comes first, because it
  advertises for seconds only; then the more important one; then the one that has waited longer.
- A device goes to the adapter that hears it best. Adapters within a few decibels hear it equally
  well: then the one with more free slots takes it.
- Where no slot is free, a link gives way to a more important device. Links of waveforms never do.
  Devices that give readings or results take turns. Who finds no place waits, and is counted.
"""

from dataclasses import dataclass, field
from typing import Final

from edge.links.importance import Importance

SIGHTING_S: Final = 10.0
"""A device that was not heard for so long may be gone: it is not connected to."""
QUIET_S: Final = 60.0
"""A device that gives results and advertises after so long a silence has just measured."""
FRESH_S: Final = 30.0
"""For so long after that it comes first."""
TURN_S: Final = 60.0
"""How long a link that is no waveform's stands before one of the same importance may replace it."""
HOLD_S: Final = 20.0
"""The same for a more important one: a transfer of results is not cut at its beginning. A waveform
does not wait for it."""
EQUAL_DB: Final = 6
"""Differences in signal strength that mean nothing: fading within a room does as much."""
RELEARN_S: Final = 600.0
"""After so long a learnt number of slots is doubted, and one more is tried."""
RELEARN_EMPTY_S: Final = 30.0
"""The same where none of the slots is ours: another program holds them all."""


@dataclass(frozen=True, slots=True)
class Connect:
    """A connection that is to be made now."""

    device: str
    adapter: str


@dataclass(slots=True)
class _Link:
    importance: Importance
    since_s: float
    leaving: bool = False


@dataclass(slots=True)
class _Adapter:
    n_slots_max: int | None
    usable: bool = True
    connecting: str | None = None
    links: dict[str, _Link] = field(default_factory=dict[str, _Link])
    n_slots_learnt: int | None = None
    doubt_at_s: float = 0.0

    def n_free(self, now_s: float) -> float:
        """Count the slots that may be used; infinite where nothing is known."""
        if self.n_slots_learnt is not None and now_s >= self.doubt_at_s:
            # One more than we hold may work by now; the next error teaches it again.
            self.n_slots_learnt = None
        known = [n for n in (self.n_slots_max, self.n_slots_learnt) if n is not None]
        n_used = len(self.links) + (self.connecting is not None)
        return min(known) - n_used if known else float("inf")


@dataclass(slots=True)
class _Heard:
    rssi_dbm: int
    at_s: float


@dataclass(slots=True)
class _Waiting:
    importance: Importance
    since_s: float


class ConnectPlan:
    """What waits, what is connected, and who hears whom.

    Devices and adapters are known by names of the caller's choosing. Times are seconds of a clock
    that never goes back.
    """

    def __init__(self) -> None:
        self._adapters: dict[str, _Adapter] = {}
        self._heard: dict[str, dict[str, _Heard]] = {}
        self._last_heard_s: dict[str, float] = {}
        self._fresh_until_s: dict[str, float] = {}
        self._waiting: dict[str, _Waiting] = {}

    # Facts

    def add_adapter(self, name: str, n_slots_max: int | None = None) -> None:
        """Take an adapter into use; None: nobody has said how many slots it has."""
        self._adapters[name] = _Adapter(n_slots_max)

    def set_usable(self, adapter: str, *, usable: bool) -> None:
        """Note that an adapter has gone or is back; what it heard is forgotten when it goes."""
        self._adapters[adapter].usable = usable
        if not usable:
            for heard in self._heard.values():
                heard.pop(adapter, None)

    def heard(self, device: str, adapter: str, rssi_dbm: int, now_s: float) -> None:
        """Note an advertisement."""
        last_s = self._last_heard_s.get(device)
        if last_s is None or now_s - last_s >= QUIET_S:
            self._fresh_until_s[device] = now_s + FRESH_S
        self._last_heard_s[device] = now_s
        self._heard.setdefault(device, {})[adapter] = _Heard(rssi_dbm, now_s)

    def wait(self, device: str, importance: Importance, now_s: float) -> None:
        """Let a device wait for its turn."""
        self._waiting[device] = _Waiting(importance, now_s)

    def leave(self, device: str) -> None:
        """Let a device wait no longer."""
        self._waiting.pop(device, None)

    def failed(self, connect: Connect, now_s: float, *, out_of_slots: bool = False) -> None:
        """Note that a connection did not come about."""
        adapter = self._adapters[connect.adapter]
        adapter.connecting = None
        # It has to be heard again: it may have gone.
        self._heard.pop(connect.device, None)
        if out_of_slots:
            n_links = len(adapter.links)
            adapter.n_slots_learnt = n_links
            adapter.doubt_at_s = now_s + (RELEARN_S if n_links else RELEARN_EMPTY_S)

    def rank(self, connect: Connect, importance: Importance) -> None:
        """Note how important a device is: its model is known now."""
        self._adapters[connect.adapter].links[connect.device].importance = importance

    def connected(self, connect: Connect, importance: Importance, now_s: float) -> None:
        """Note that a connection was made."""
        adapter = self._adapters[connect.adapter]
        adapter.connecting = None
        adapter.links[connect.device] = _Link(importance, now_s)

    def ended(self, connect: Connect, now_s: float) -> None:
        """Note that a link is over; what was heard before it does not count any more."""
        self._adapters[connect.adapter].links.pop(connect.device, None)
        self._heard.pop(connect.device, None)
        # What it advertises from now on is no new result.
        self._last_heard_s[connect.device] = now_s
        self._fresh_until_s.pop(connect.device, None)

    # Answers

    @property
    def waiting(self) -> list[str]:
        """The devices that wait, on the air or not."""
        return list(self._waiting)

    def n_on_air(self, now_s: float) -> int:
        """Count the devices that wait and were heard lately."""
        return len(self._queue(now_s))

    def n_links(self, adapter: str) -> int:
        """Count the links of an adapter, one that is being made included."""
        one = self._adapters[adapter]
        return len(one.links) + (one.connecting is not None)

    def slots(self, adapter: str, now_s: float) -> float:
        """Count the slots that an adapter is believed to have; infinite: nothing is known."""
        return self._adapters[adapter].n_free(now_s) + self.n_links(adapter)

    def next_connect(self, now_s: float) -> Connect | None:
        """Choose the next connection, and note that it is being made; None: nothing can be done."""
        for device in self._queue(now_s):
            adapter = self._best_adapter(device, now_s)
            if adapter is not None:
                self._waiting.pop(device)
                self._adapters[adapter].connecting = device
                return Connect(device, adapter)
        return None

    def give_way(self, now_s: float) -> str | None:
        """Choose a link that is to end for a device that waits, and note that it is ending.

        One link at a time gives way on each adapter.
        """
        for device in self._queue(now_s):
            adapters = self._hearers(device, now_s)
            if any(self._adapters[name].n_free(now_s) > 0 for name in adapters):
                continue
            links = [
                (link, name, adapter)
                for adapter in adapters
                for name, link in self._adapters[adapter].links.items()
            ]
            if any(link.leaving for link, _, _ in links):
                continue
            victims = [
                (link.importance, link.since_s, name, adapter)
                for link, name, adapter in links
                if self._gives_way(link, device, now_s)
            ]
            if victims:
                _, _, name, adapter = min(victims)
                self._adapters[adapter].links[name].leaving = True
                return name
        return None

    # Rules

    def _queue(self, now_s: float) -> list[str]:
        """List the devices that wait and are on the air, the first one first."""
        return sorted(
            (device for device in self._waiting if self._hearers(device, now_s)),
            key=lambda device: (
                not self._has_just_measured(device, now_s),
                -self._waiting[device].importance,
                self._waiting[device].since_s,
                device,
            ),
        )

    def _has_just_measured(self, device: str, now_s: float) -> bool:
        return self._waiting[
            device
        ].importance is Importance.RESULTS and now_s < self._fresh_until_s.get(device, now_s)

    def _hearers(self, device: str, now_s: float) -> list[str]:
        return [
            name
            for name, heard in self._heard.get(device, {}).items()
            if now_s - heard.at_s <= SIGHTING_S and self._adapters[name].usable
        ]

    def _best_adapter(self, device: str, now_s: float) -> str | None:
        heard = self._heard[device]
        with_room = [
            name for name in self._hearers(device, now_s) if self._adapters[name].n_free(now_s) > 0
        ]
        if not with_room:
            return None
        least_dbm = max(heard[name].rssi_dbm for name in with_room) - EQUAL_DB
        if self._has_just_measured(device, now_s):
            # It is gone before a busy adapter is ready.
            least_dbm = min(heard[name].rssi_dbm for name in with_room)
        good = [
            name
            for name in with_room
            if self._adapters[name].connecting is None and heard[name].rssi_dbm >= least_dbm
        ]
        return max(
            good,
            key=lambda name: (
                self._adapters[name].n_free(now_s),
                -len(self._adapters[name].links),
                heard[name].rssi_dbm,
                name,
            ),
            default=None,
        )

    def _gives_way(self, link: _Link, device: str, now_s: float) -> bool:
        if link.importance is Importance.STREAM:
            return False
        importance = self._waiting[device].importance
        if importance > link.importance:
            return importance is Importance.STREAM or now_s - link.since_s >= HOLD_S
        took_its_turn = now_s - link.since_s >= TURN_S
        return took_its_turn and (
            importance == link.importance or self._has_just_measured(device, now_s)
        )
