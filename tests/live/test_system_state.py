"""Who is dead: from what comes, and above all from what does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from devices import codes
from ingest.frame import (
    NS_PER_S,
    DeviceEvent,
    DeviceEventKind,
    Frame,
    SamplePeriod,
    WaveformBlock,
)
from ingest.role_status import AGENT, SINK, WORKER, RoleState, RoleStatus
from processors.sinks.live import system_state
from processors.sinks.live.system_state import SystemState
from tests.live.conftest import observation

T0_NS = 1_800_000_000 * NS_PER_S
STEP_NS = NS_PER_S // 4
PERIOD = SamplePeriod(ns_numerator=4_000_000, ns_denominator=1)


@dataclass
class Ward:
    """One subject and its system, each part of which can be stopped; time passes in `run`."""

    system: SystemState = field(default_factory=SystemState)
    now_ns: int = T0_NS
    dead: set[str] = field(default_factory=set)
    """Of: agent, worker, sink, broker, strap, echo, agent statuses."""
    states: dict[str, tuple[RoleState, str]] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)
    subject_id: str = "s1"
    observed_behind_ns: int = 0
    n_frames: int = 0

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 4)):
            self.now_ns += STEP_NS
            heard = "broker" not in self.dead and self._hear()
            self.system.looked(self.now_ns, heard=heard)

    def _hear(self) -> bool:
        heard = False
        if "agent" not in self.dead:
            self.frame(() if "strap" in self.dead else (self.block(),))
            heard = True
            if "worker" not in self.dead:
                t_ns = self.now_ns - self.observed_behind_ns
                self.system.add_observation(
                    observation(codes.HEART_RATE, 72.0, t_ns, subject_id=self.subject_id),
                    self.now_ns,
                )
        if self.now_ns % NS_PER_S == 0:
            for role, instance in ((AGENT, "s1/agent-1"), (WORKER, "w"), (SINK, "s")):
                if role not in self.dead and f"{role} statuses" not in self.dead:
                    self.status(role, instance)
                    heard = True
            heard |= "echo" not in self.dead
        return heard

    def status(self, role: str, instance: str) -> None:
        state, reason = self.states.get(role, (RoleState.READY, ""))
        self.system.add_status(
            RoleStatus(
                role=role,
                instance=instance,
                state=state,
                reason=reason,
                t_ns=5,  # whatever that process's clock shows
                gauges=self.gauges,
            ),
            self.now_ns,
        )

    def frame(self, waveforms: tuple[WaveformBlock, ...] = (), **parts: Any) -> None:  # noqa: ANN401
        self.n_frames += 1
        self.system.add_frame(
            Frame(
                subject_id=self.subject_id,
                agent_id="agent-1",
                sequence=self.n_frames,
                waveforms=waveforms,
                **parts,
            ),
            self.now_ns,
        )

    def event(self, kind: DeviceEventKind, device_id: str = "strap") -> None:
        event = DeviceEvent(device_id=device_id, kind=kind, t_ns=self.now_ns)
        self.frame(events=(event,))

    def block(self, device_id: str = "strap") -> WaveformBlock:
        return WaveformBlock(
            device_id=device_id,
            channel="ecg",
            mdc_code=codes.ECG_II.mdc,
            unit="mV",
            scale=0.005,
            offset=0.0,
            i_first=60 * self.n_frames,
            t0_ns=self.now_ns - 60 * 4_000_000,
            period=PERIOD,
            counts=np.zeros(60, dtype=np.int32),
        )

    @property
    def kinds(self) -> list[str]:
        return [one.kind.value for one in self.system.conditions(self.subject_id)]

    def said(self) -> list[tuple[str, str, float]]:
        """Kind, detail, and for how many seconds."""
        return [
            (one.kind.value, one.detail, (self.now_ns - one.since_ns) / NS_PER_S)
            for one in self.system.conditions(self.subject_id)
        ]


@pytest.fixture
def ward() -> Ward:
    ward = Ward()
    ward.run(10)
    return ward


def test_nothing_is_wrong_where_all_live(ward: Ward) -> None:
    for _ in range(60):
        ward.run(1)
        assert ward.kinds == []


@pytest.mark.parametrize(
    ("dead", "kind", "detail"),
    [
        ("worker", "no_worker", ""),
        ("agent", "agent_silent", "agent-1"),
        ("sink", "database_away", "sink"),
        ("broker", "broker_away", ""),
        ("strap", "sensor_silent", "strap"),
    ],
)
def test_who_dies_is_named_within_four_seconds_and_not_before_two(
    ward: Ward, dead: str, kind: str, detail: str
) -> None:
    ward.dead.add(dead)
    ward.run(2)
    assert ward.kinds == []

    ward.run(2)

    assert [one[:2] for one in ward.said()] == [(kind, detail)]
    assert 3 < ward.said()[0][2] <= 5
    ward.run(56)
    assert [one[:2] for one in ward.said()] == [(kind, detail)]
    assert 59 <= ward.said()[0][2] <= 61

    ward.dead.clear()
    ward.run(2)
    assert ward.kinds == []


def test_while_the_broker_is_away_nothing_else_is_known(ward: Ward) -> None:
    ward.dead |= {"worker", "sink"}
    ward.run(5)
    assert ward.kinds == ["no_worker", "database_away"]

    ward.dead.add("broker")
    ward.run(5)

    assert ward.kinds == ["broker_away"]


def test_a_broker_that_comes_back_gives_the_others_their_time(ward: Ward) -> None:
    ward.dead.add("broker")
    ward.run(60)
    ward.dead = {"worker", "agent", "sink"}
    ward.run(1)  # our own status comes first

    ward.run(2)
    assert ward.kinds == []
    ward.run(2)
    assert ward.kinds == ["no_worker", "agent_silent", "database_away"]


def test_a_broker_that_refuses_is_away_until_something_comes() -> None:
    ward = Ward()
    ward.system.broker_lost(T0_NS)

    assert ward.kinds == ["broker_away"]
    ward.run(0.25)
    assert ward.kinds == []


def test_without_an_echo_silence_says_nothing_of_the_broker(ward: Ward) -> None:
    ward.system.echoes = False
    ward.dead.add("broker")

    ward.run(10)

    assert "broker_away" not in ward.kinds


def test_a_server_that_was_held_up_does_not_take_others_for_dead(ward: Ward) -> None:
    ward.now_ns += 30 * NS_PER_S

    ward.system.looked(ward.now_ns, heard=False)

    assert ward.kinds == []
    ward.run(60)
    assert ward.kinds == []


def test_a_server_that_starts_waits_before_it_judges() -> None:
    ward = Ward(dead={"worker", "sink"})
    ward.run(2)
    assert ward.kinds == []

    ward.run(2)

    # Whether there is to be a sink at all, nobody has said.
    assert ward.kinds == ["no_worker"]


def test_a_worker_that_says_nothing_but_works_is_no_dead_one() -> None:
    ward = Ward()
    ward.system.add_status = lambda *_: None  # type: ignore[method-assign]

    ward.run(20)

    assert ward.kinds == []


@pytest.mark.parametrize(
    ("state", "reason"),
    [(RoleState.STARTING, ""), (RoleState.WAITING, "assignment"), (RoleState.STOPPING, "")],
)
def test_a_worker_that_lives_and_does_nothing_is_told_with_its_state(
    ward: Ward, state: RoleState, reason: str
) -> None:
    ward.system.add_observation = lambda *_: None  # type: ignore[method-assign]
    ward.states[WORKER] = (state, reason)

    ward.run(5)

    assert [one[:2] for one in ward.said()] == [("no_worker", state.value)]


def test_a_dead_worker_among_others_is_told_to_those_it_worked_for(ward: Ward) -> None:
    ward.dead.add("worker")
    for _ in range(20):
        ward.run(0.5)
        ward.status(WORKER, "another")

    assert ward.kinds == ["no_worker"]
    assert ward.system.conditions("a subject of the other worker") == ()


def test_a_subject_of_which_nothing_is_derived_has_a_worker_all_the_same(ward: Ward) -> None:
    other = Ward(system=ward.system, now_ns=ward.now_ns, subject_id="thermometer-only")

    for _ in range(20):
        ward.run(0.5)
        other.now_ns = ward.now_ns
        other.frame()

    assert other.kinds == []


def test_a_worker_that_lags_is_told_where_it_shows(ward: Ward) -> None:
    ward.gauges = {"lag_s": 12.3}
    ward.run(5)
    assert ward.kinds == []

    ward.observed_behind_ns = 60 * NS_PER_S
    ward.system._subjects["s1"].observed_until_ns -= 12 * NS_PER_S
    ward.run(0.25)
    ward.observed_behind_ns = 0

    assert [one[:2] for one in ward.said()] == [("worker_behind", "12")]
    ward.run(1)
    assert ward.kinds == []


def test_a_sink_whose_store_is_away_says_so_itself(ward: Ward) -> None:
    ward.states[SINK] = (RoleState.WAITING, "store")

    ward.run(1)
    assert [one[:2] for one in ward.said()] == [("database_away", "store")]
    ward.run(20)
    assert 20 <= ward.said()[0][2] <= 21

    ward.states.clear()
    ward.run(1)
    assert ward.kinds == []


def test_a_lost_sensor_is_lost_until_it_is_back(ward: Ward) -> None:
    ward.dead.add("strap")
    ward.event(DeviceEventKind.LINK_LOST)
    ward.run(60)
    assert ward.said() == [("sensor_lost", "strap", 60.0)]

    ward.event(DeviceEventKind.CONNECTED)
    ward.run(1)
    assert ward.kinds == []
    ward.dead.clear()
    ward.run(10)
    assert ward.kinds == []


def test_samples_that_come_with_the_news_of_the_loss_do_not_undo_it(ward: Ward) -> None:
    lost = DeviceEvent(device_id="strap", kind=DeviceEventKind.LINK_LOST, t_ns=ward.now_ns)
    ward.frame((ward.block(),), events=(lost,))

    assert ward.kinds == ["sensor_lost"]


def test_a_device_that_measures_now_and_then_is_not_lost_between(ward: Ward) -> None:
    ward.event(DeviceEventKind.CONNECTED, "thermometer")
    ward.event(DeviceEventKind.LINK_LOST, "thermometer")

    assert ward.kinds == []


def test_a_stream_that_was_stopped_on_purpose_is_not_silent(ward: Ward) -> None:
    ward.dead.add("strap")
    ward.event(DeviceEventKind.STREAM_STOPPED)

    ward.run(60)

    assert ward.kinds == []


def test_of_a_silent_agent_nobody_knows_its_sensors(ward: Ward) -> None:
    ward.dead |= {"strap", "agent"}

    ward.run(20)

    assert ward.kinds == ["agent_silent"]


def test_an_agent_without_statuses_may_be_silent_for_longer() -> None:
    ward = Ward(dead={"agent statuses"})
    ward.run(10)
    ward.dead.add("agent")

    ward.run(14)
    assert ward.kinds == []
    ward.run(2)
    assert [one[:2] for one in ward.said()] == [("agent_silent", "agent-1")]


def test_an_agent_whose_place_another_has_taken_is_forgotten_after_a_while(ward: Ward) -> None:
    frame = Frame(subject_id="s1", agent_id="before", sequence=0, waveforms=())
    ward.system.add_frame(frame, ward.now_ns)
    ward.run(20)
    assert [one[:2] for one in ward.said()] == [("agent_silent", "before")]

    ward.run(600)

    assert ward.kinds == []


def test_nobody_can_make_it_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_state, "SUBJECTS_MAX", 5)
    monkeypatch.setattr(system_state, "INSTANCES_MAX", 5)
    system = SystemState()
    for number in range(100):
        ward = Ward(system=system, subject_id=f"s{number}")
        for device in range(50):
            ward.frame((ward.block(f"strap-{device}"),))
            ward.status(WORKER, f"w{number}-{device}")
            frame = Frame(subject_id="s99", agent_id=f"a{device}", sequence=device)
            system.add_frame(frame, T0_NS)

    assert len(system._subjects) == len(system._processes) == 5
    assert len(system._subjects["s99"].agents) <= system_state.AGENTS_MAX
    assert len(system._subjects["s99"].devices) == system_state.DEVICES_MAX
