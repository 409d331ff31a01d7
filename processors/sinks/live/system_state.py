"""What of the system behind a page is dead, silent or behind: pure, bounded, on one clock.

Only silence tells that somebody is dead. It is measured on the page server's clock, between what
came and the moment at which the server last looked whether more had come: a server that was itself
held up has not heard the silence of others, and begins to count anew.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ingest.frame import NS_PER_S, DeviceEventKind, Frame
from ingest.observation import Observation
from ingest.role_status import AGENT, SINK, WORKER, RoleState, RoleStatus, agent_instance
from processors.sinks.live.protocol import System, Trouble, ms_from_ns

SILENT_NS: Final = 3 * NS_PER_S
"""Three statuses, or a dozen Frames: who is not heard for longer is silent."""

SELDOM_NS: Final = 15 * NS_PER_S
"""The same of an agent that says no statuses: it has Frames only when it has something to tell."""

STALL_NS: Final = 2 * NS_PER_S
"""A server that has not looked for so long was held up itself."""

BEHIND_S: Final = 5.0
"""So long may records wait for a worker."""

LATELY_NS: Final = 60 * NS_PER_S
"""A worker that died longer ago has given its subjects to others."""

MOVED_NS: Final = 600 * NS_PER_S
"""An agent that was silent for so long, while another of its subject speaks, is gone."""

SUBJECTS_MAX: Final = 1_024
INSTANCES_MAX: Final = 4_096
"""Subjects and processes remembered; beyond, the one that was silent longest is forgotten."""

AGENTS_MAX: Final = 16
DEVICES_MAX: Final = 32
"""Of one subject; what is beyond is not watched."""


class ConditionKind(StrEnum):
    """What is wrong, the worst first."""

    BROKER_AWAY = "broker_away"
    """Nothing comes from Kafka: of all else nothing is known."""
    NO_WORKER = "no_worker"
    """Nothing is computed of this subject."""
    AGENT_SILENT = "agent_silent"
    """Neither Frames nor a sign of life from an agent of this subject; ``detail`` names it."""
    SENSOR_LOST = "sensor_lost"
    """The link to a device that sent samples is down; ``detail`` names it."""
    SENSOR_SILENT = "sensor_silent"
    """The link stands and no samples come; ``detail`` names the device."""
    WORKER_BEHIND = "worker_behind"
    """What is computed is late; ``detail`` is by how many seconds."""
    DATABASE_AWAY = "database_away"
    """Nothing is stored; ``detail``: ``store`` it is away, ``sink`` who writes it is silent."""


_ORDER: Final = {kind: i for i, kind in enumerate(ConditionKind)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One thing that is wrong."""

    kind: ConditionKind
    since_ns: int
    """The page server's clock when it was last known to be well."""
    detail: str = ""


@dataclass(slots=True)
class _Process:
    status: RoleStatus
    heard_ns: int
    since_ns: int
    """Of the state."""


@dataclass(slots=True)
class _Device:
    agent_id: str
    streams: bool = False
    """It has sent samples. A device that only measures now and then ends its link after that."""
    lost_ns: int | None = None
    samples_ns: int | None = None

    def note_event(self, kind: DeviceEventKind, now_ns: int) -> None:
        if kind is DeviceEventKind.LINK_LOST:
            self.lost_ns, self.samples_ns = now_ns, None
        elif kind is DeviceEventKind.STREAM_STOPPED:
            self.samples_ns = None
        elif kind in {DeviceEventKind.CONNECTED, DeviceEventKind.STREAM_STARTED}:
            self.lost_ns = None

    def note_samples(self, now_ns: int) -> None:
        self.streams = True
        # What was collected before the link was lost comes with the news of it.
        if self.lost_ns != now_ns:
            self.lost_ns, self.samples_ns = None, now_ns


@dataclass(slots=True)
class _Subject:
    frames_ns: int = 0
    frames_until_ns: int = 0
    """Newest event time of the samples."""
    observed_ns: int = 0
    observed_until_ns: int = 0
    agents: dict[str, int] = field(default_factory=dict[str, int])
    devices: dict[str, _Device] = field(default_factory=dict[str, _Device])


class SystemState:
    """Takes what comes, and says what is wrong for the pages of a subject.

    Without a call of `looked` nothing is taken for silent: nobody knows whether more has come.
    """

    def __init__(self) -> None:
        self.echoes = True
        """Whether a status of our own comes back each second, as long as the broker is well."""
        self._looked_ns: int | None = None
        self._counts_from_ns = 0
        self._heard_ns = 0
        self._away_ns: int | None = None
        # Both in the order in which they were last heard of.
        self._processes: OrderedDict[tuple[str, str], _Process] = OrderedDict()
        self._subjects: OrderedDict[str, _Subject] = OrderedDict()

    # What comes

    def looked(self, now_ns: int, *, heard: bool) -> None:
        """Note that all that had come by now was taken; ``heard``: something had."""
        if self._looked_ns is None or now_ns - self._looked_ns > STALL_NS:
            self._counts_from_ns = now_ns
        self._looked_ns = now_ns
        if heard:
            if self._away_ns is not None:
                self._away_ns = None
                self._counts_from_ns = now_ns
            self._heard_ns = now_ns
        elif self._away_ns is None and self.echoes and self._is_silent(self._heard_ns):
            self._away_ns = self._known_ns(self._heard_ns)

    def broker_lost(self, now_ns: int) -> None:
        """Note that the broker does not answer; the next record that comes ends it."""
        if self._away_ns is None:
            self._away_ns = self._heard_ns or now_ns

    def add_status(self, status: RoleStatus, now_ns: int) -> None:
        """Take what a process said of itself."""
        key = (status.role, status.instance)
        before = self._processes.get(key)
        is_same = before is not None and before.status.state is status.state
        since_ns = before.since_ns if before is not None and is_same else now_ns
        self._processes[key] = _Process(status, now_ns, since_ns)
        self._processes.move_to_end(key)
        if len(self._processes) > INSTANCES_MAX:
            self._processes.popitem(last=False)

    def add_frame(self, frame: Frame, now_ns: int) -> None:
        """Take a Frame that came for the first time."""
        subject = self._subject(frame.subject_id)
        subject.frames_ns = now_ns
        if frame.agent_id in subject.agents or len(subject.agents) < AGENTS_MAX:
            subject.agents[frame.agent_id] = now_ns
        for event in frame.events:
            if device := _device(subject, event.device_id, frame.agent_id):
                device.note_event(event.kind, now_ns)
        for block in frame.waveforms:
            end_ns = block.time_ns(block.i_end - 1)
            subject.frames_until_ns = max(subject.frames_until_ns, end_ns)
            if device := _device(subject, block.device_id, frame.agent_id):
                device.note_samples(now_ns)

    def add_observation(self, observation: Observation, now_ns: int) -> None:
        """Take a derived value, or the reason why there is none."""
        subject = self._subject(observation.subject_id)
        subject.observed_ns = now_ns
        subject.observed_until_ns = max(subject.observed_until_ns, observation.t_ns)

    # What is wrong

    def conditions(self, subject_id: str) -> tuple[Condition, ...]:
        """Say what is wrong for those who look at a subject, the worst first."""
        if self._away_ns is not None:
            return (Condition(kind=ConditionKind.BROKER_AWAY, since_ns=self._away_ns),)
        subject = self._subjects.get(subject_id, _Subject())
        found = [
            *self._of_worker(subject),
            *self._of_agents(subject_id, subject),
            *self._of_devices(subject_id, subject),
            *self._of_store(),
        ]
        return tuple(sorted(found, key=lambda one: (_ORDER[one.kind], one.detail)))

    def _of_worker(self, subject: _Subject) -> Iterator[Condition]:
        workers = list(self._of_role(WORKER))
        ready = [
            one
            for one in workers
            if not self._is_silent(one.heard_ns) and one.status.state is RoleState.READY
        ]
        if not self._is_silent(subject.observed_ns):
            yield from self._if_behind(subject, ready)
            return
        has_input = not self._is_silent(subject.frames_ns)
        if ready and not (has_input and subject.observed_ns and self._lately_died(workers)):
            return
        if workers or has_input:
            # Of a worker that is silent, or lives and does nothing: since when.
            known = [one.heard_ns for one in workers if self._is_silent(one.heard_ns)] or [
                one.since_ns for one in workers
            ]
            waits = next((one for one in workers if not self._is_silent(one.heard_ns)), None)
            detail = "" if waits is None or ready else waits.status.state.value
            yield Condition(
                kind=ConditionKind.NO_WORKER,
                since_ns=max([*known, subject.observed_ns]) or self._counts_from_ns,
                detail=detail,
            )

    def _lately_died(self, workers: Iterable[_Process]) -> bool:
        return any(
            SILENT_NS < self._silent_ns(one.heard_ns) < LATELY_NS
            and one.status.state is not RoleState.STOPPING
            for one in workers
        )

    def _if_behind(self, subject: _Subject, ready: Iterable[_Process]) -> Iterator[Condition]:
        """Tell of a worker that says so and whose subject shows it."""
        lag_s = max((one.status.gauges.get("lag_s", 0.0) for one in ready), default=0.0)
        behind_s = (subject.frames_until_ns - subject.observed_until_ns) / NS_PER_S
        if subject.observed_ns and min(lag_s, behind_s) > BEHIND_S:
            yield Condition(
                kind=ConditionKind.WORKER_BEHIND,
                since_ns=subject.observed_ns - int(min(lag_s, behind_s) * NS_PER_S),
                detail=f"{min(lag_s, behind_s):.0f}",
            )

    def _of_agents(self, subject_id: str, subject: _Subject) -> Iterator[Condition]:
        heard = {agent_id: self._agent_heard(subject_id, agent_id) for agent_id in subject.agents}
        one_speaks = any(not is_silent for _, is_silent in heard.values())
        for agent_id, (heard_ns, is_silent) in heard.items():
            is_gone = one_speaks and self._silent_ns(heard_ns) > MOVED_NS
            if is_silent and not is_gone:
                yield Condition(
                    kind=ConditionKind.AGENT_SILENT,
                    since_ns=self._known_ns(heard_ns),
                    detail=agent_id,
                )

    def _agent_heard(self, subject_id: str, agent_id: str) -> tuple[int, bool]:
        """Tell when an agent was last heard, and whether that is too long ago."""
        heard_ns = self._subjects[subject_id].agents[agent_id]
        process = self._processes.get((AGENT, agent_instance(subject_id, agent_id)))
        if process is None:
            return heard_ns, self._silent_ns(heard_ns) > SELDOM_NS
        heard_ns = max(heard_ns, process.heard_ns)
        return heard_ns, self._is_silent(heard_ns)

    def _of_devices(self, subject_id: str, subject: _Subject) -> Iterator[Condition]:
        for device_id, device in subject.devices.items():
            agent_ns = self._agent_heard(subject_id, device.agent_id)[0]
            if not device.streams or self._is_silent(agent_ns):
                continue  # while the agent is silent nobody knows whether the device is
            if device.lost_ns is not None:
                kind, since_ns = ConditionKind.SENSOR_LOST, device.lost_ns
            elif device.samples_ns is not None and self._is_silent(device.samples_ns):
                kind, since_ns = ConditionKind.SENSOR_SILENT, device.samples_ns
            else:
                continue
            yield Condition(kind=kind, since_ns=since_ns, detail=device_id)

    def _of_store(self) -> Iterator[Condition]:
        sinks = list(self._of_role(SINK))
        alive = [one for one in sinks if not self._is_silent(one.heard_ns)]
        waiting = [one for one in alive if one.status.reason == "store"]
        if waiting:
            since_ns, detail = min(one.since_ns for one in waiting), "store"
        elif sinks and not alive:
            since_ns, detail = self._known_ns(max(one.heard_ns for one in sinks)), "sink"
        else:
            return
        yield Condition(kind=ConditionKind.DATABASE_AWAY, since_ns=since_ns, detail=detail)

    # How long nothing came

    def _is_silent(self, heard_ns: int) -> bool:
        return self._silent_ns(heard_ns) > SILENT_NS

    def _silent_ns(self, heard_ns: int) -> int:
        return 0 if self._looked_ns is None else self._looked_ns - self._known_ns(heard_ns)

    def _known_ns(self, heard_ns: int) -> int:
        return max(heard_ns, self._counts_from_ns)

    def _of_role(self, role: str) -> Iterator[_Process]:
        return (one for (name, _), one in self._processes.items() if name == role)

    def _subject(self, subject_id: str) -> _Subject:
        subject = self._subjects.setdefault(subject_id, _Subject())
        self._subjects.move_to_end(subject_id)
        if len(self._subjects) > SUBJECTS_MAX:
            self._subjects.popitem(last=False)
        return subject


def _device(subject: _Subject, device_id: str, agent_id: str) -> _Device | None:
    device = subject.devices.get(device_id)
    if device is None:
        if len(subject.devices) >= DEVICES_MAX:
            return None
        device = subject.devices[device_id] = _Device(agent_id)
    device.agent_id = agent_id
    return device


def system_message(conditions: Iterable[Condition]) -> System:
    """Put conditions into the words of the protocol."""
    return System(
        conditions=tuple(
            Trouble(kind=one.kind.value, since_ms=ms_from_ns(one.since_ns), detail=one.detail)
            for one in conditions
        )
    )
