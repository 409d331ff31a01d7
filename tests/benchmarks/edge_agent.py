"""What an agent costs: CPU and memory with two, six and twenty streaming sensors, and nothing lost.

``python -m tests.benchmarks.edge_agent [--seconds 60]``: sensors in this process, the agent in one
of its own, Apache Kafka, everything at the speed of life.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from deploy.local.kafka import KafkaBroker
from ingest.kafka import create_topics
from ingest.settings import KafkaSettings
from tests.faults.ward import Ward, sums_of

SECONDS: Final = 60.0
SETTLE_S: Final = 10.0
LINKS_PER_ADAPTER: Final = 7
PERSONS: Final = (1, 3, 10)
"""Each wears a strap (ECG and acceleration) and an oximeter (light)."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One run."""

    n_sensors: int
    n_streams: int
    cpu_percent: float
    memory_mb: float
    n_samples: int
    n_lost: int

    def row(self) -> str:
        return (
            f"{self.n_sensors:>7}  {self.n_streams:>7}  {self.cpu_percent:>14.1f}  "
            f"{self.memory_mb:>9.0f}  {self.n_samples:>9}  {self.n_lost:>6}"
        )


async def measure(kafka: KafkaSettings, n_persons: int, seconds: float) -> Cost:
    """Run an agent on so many straps and oximeters."""
    folder = Path(tempfile.mkdtemp())
    n_adapters = -(-2 * n_persons // LINKS_PER_ADAPTER)
    ward = Ward(f"bench-{n_persons}-{time.time_ns()}", kafka, folder, number=n_persons)
    async with ward.open():
        ward.more_settings = {
            "radio_transport": ",".join([ward.radio.transport_spec] * n_adapters),
            "flush_interval_s": 0.25,
            "log_level": "warning",
        }
        await ward.start()
        await ward.until_begun()
        await asyncio.sleep(SETTLE_S)
        agent = psutil.Process(ward.pid)
        before, begun_s = agent.cpu_times(), time.monotonic()
        memory = []
        while time.monotonic() - begun_s < seconds:
            await asyncio.sleep(1.0)
            memory.append(agent.memory_info().rss / 1e6)
        after, passed_s = agent.cpu_times(), time.monotonic() - begun_s
        await ward.stop()
        sums = sums_of(await ward.frames())
    cpu_s = after.user + after.system - before.user - before.system
    produced = sum(sum(ward.produced(one).values()) for one in ward.sensors)
    stored = sum(one.stored for one in sums.values())
    return Cost(
        n_sensors=len(ward.sensors),
        n_streams=len({(device, channel.split("/")[0]) for device, channel in sums}),
        cpu_percent=100 * cpu_s / passed_s,
        memory_mb=statistics.median(memory),
        n_samples=produced,
        n_lost=produced - stored,
    )


def imports_mb(*modules: str) -> float:
    """Give the memory of a fresh process that has imported these."""
    code = f"import {', '.join(modules)}, psutil; print(psutil.Process().memory_info().rss / 1e6)"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(ran.stdout)


async def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=SECONDS)
    seconds = parser.parse_args().seconds
    print("sensors  streams  % of one core  memory MB    samples    lost")
    with KafkaBroker() as broker:
        kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
        await create_topics(kafka)
        for n_persons in PERSONS:
            print((await measure(kafka, n_persons, seconds)).row(), flush=True)
    installed = imports_mb("edge.agent")
    virtual = imports_mb("edge.agent", "edge.virtual.bleak_bumble")
    print(
        f"of the memory: {installed:.0f} MB to load the agent, "
        f"{virtual - installed:.0f} MB the virtual radio, which a real one has not"
    )


if __name__ == "__main__":
    asyncio.run(main())
