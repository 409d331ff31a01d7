"""The unmodified agent on the virtual radio, while clocks are set."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest

from edge.clocks.clocks import Stamp, boot_id, read_clocks
from edge.virtual.strap import Strap
from ingest.frame import NS_PER_S, DeviceEvent, DeviceEventKind, Frame
from ingest.settings import KafkaSettings
from tests.edge.test_agent import (
    Ward,
    assert_accounted_for,
    assert_times_rise,
    broker_of,
    kafka,
    ward,
)

__all__ = ["kafka", "ward"]

HOUR_NS = 3_600 * NS_PER_S


def events(frames: list[Frame], kind: DeviceEventKind) -> list[DeviceEvent]:
    return [event for frame in frames for event in frame.events if event.kind is kind]


def strap_of(ward: Ward) -> Strap:
    assert isinstance(ward.strap, Strap)
    return ward.strap


async def test_a_strap_whose_clock_falls_back_is_told_once_and_loses_no_sample(
    ward: Ward, kafka: KafkaSettings
) -> None:
    async with broker_of(kafka):
        async with ward.agent():
            await ward.until_produced(400)
            strap_of(ward).pmd.reset_clock()
            await ward.until_produced(400)
        frames = await ward.frames()

    stored: Counter[str] = Counter()
    for block in (block for frame in frames for block in frame.waveforms):
        stored[block.channel] += block.n_samples
    assert stored == ward.produced()
    # Our own clock says what is missing: nothing, or what a busy machine was late by.
    assert sum(gap.n_samples for frame in frames for gap in frame.gaps) < 0.5 * stored["ecg"]
    assert_times_rise(frames)
    [event] = events(frames, DeviceEventKind.CLOCK_JUMPED)
    assert float(event.detail.removesuffix(" s")) < -86_400


@pytest.fixture(params=[HOUR_NS, -HOUR_NS], ids=["forward", "back"])
def step_ns(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def walls(monkeypatch: pytest.MonkeyPatch, step_ns: int) -> Iterator[list[int]]:
    """Give what is added to the wall clock of the agent's process: 0, until somebody sets it."""
    added = [0]

    def read() -> Stamp:
        now = read_clocks()
        return Stamp(now.mono_ns, now.wall_ns + added[-1])

    for module in ("links.link", "inbox", "agent"):
        monkeypatch.setattr(f"edge.{module}.read_clocks", read)
    yield added
    assert added == [0, step_ns]


async def test_a_host_that_is_set_by_an_hour_is_told_and_loses_no_sample(
    ward: Ward, kafka: KafkaSettings, walls: list[int], step_ns: int
) -> None:
    async with broker_of(kafka):
        async with ward.agent():
            await ward.until_produced(400)
            walls.append(step_ns)
            await ward.until_produced(400)
        frames = await ward.frames()

    assert assert_accounted_for(ward, frames) == {}
    assert_times_rise(frames)
    stepped = events(frames, DeviceEventKind.HOST_CLOCK_STEPPED)
    assert {event.device_id for event in stepped} == {
        event.device_id for event in events(frames, DeviceEventKind.CONNECTED)
    }
    assert all(
        abs(float(event.detail.removesuffix(" s")) * NS_PER_S - step_ns) < NS_PER_S
        for event in stepped
    )
    assert events(frames, DeviceEventKind.CLOCK_JUMPED) == []


def test_the_hosts_clocks_are_read_together_and_in_order() -> None:
    stamps = [read_clocks() for _ in range(100)]

    assert all(a.mono_ns <= b.mono_ns for a, b in pairwise(stamps))
    assert boot_id() == boot_id()
