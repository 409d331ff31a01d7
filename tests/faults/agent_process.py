"""The agent as a process that a test starts, stops and kills, on a clock that may run faster."""

import asyncio
import os
import signal
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import edge.clocks.clocks
import edge.virtual.bleak_bumble  # imported once, before the fork
from deploy.process import set_up_logs
from edge.agent import run_agent
from edge.settings import EdgeSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOrder:
    """What an agent is started with."""

    settings: dict[str, Any]
    log: str
    epoch_ns: int
    monotonic_ns: int
    speed: float


def agent_main(order: AgentOrder) -> None:
    """Run an agent until SIGTERM."""
    log = os.open(order.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(log, 2)
    set_up_logs("info")
    _set_clock(order)
    asyncio.run(_run(EdgeSettings.model_validate(order.settings)))


def _set_clock(order: AgentOrder) -> None:
    """Give the agent the sensors' time: both its clocks, as fast."""

    def now_ns() -> int:
        elapsed_ns = time.monotonic_ns() - order.monotonic_ns
        return order.epoch_ns + int(elapsed_ns * order.speed)

    faster: Any = SimpleNamespace(
        **{name: getattr(time, name) for name in dir(time) if not name.startswith("_")}
    )
    faster.clock_gettime_ns = lambda _clock: now_ns()
    faster.time_ns = now_ns
    vars(edge.clocks.clocks)["time"] = faster


async def _run(settings: EdgeSettings) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await run_agent(settings, stop)
