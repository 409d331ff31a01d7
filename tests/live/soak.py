"""Sixteen traces of 250 Hz for long: ``python -m tests.live.soak [--minutes 10]``.

Once a minute: frames a second, the work of a frame, how far behind the sweep is drawn, and what the
page holds after its garbage was collected. It fails where memory or delay grow, where samples are
dropped or not drawn, or where there are fewer frames than wanted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psutil

from processors.sinks.live import LiveHub
from tests.live.browsing import OpenPage, chromium, open_page, served
from tests.live.sweep_feed import N_TRACES, RATE_HZ, sixteen_traces

if TYPE_CHECKING:
    from playwright.async_api import CDPSession

FRAMES_PER_S_MIN: Final = 50.0
HEAP_GROWTH_MB_MAX: Final = 2.0
"""Beyond what the page held after a minute; its samples are in arrays of a fixed size beside it."""
DELAY_GROWTH_MS_MAX: Final = 250.0
DRAWN_SHARE_MIN: Final = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """What was read at the end of one minute."""

    frames: int
    elapsed_s: float
    work_p95_ms: float
    delay_ms: float
    heap_mb: float
    array_mb: float
    renderer_mb: float
    n_drawn: int
    n_dropped: int
    n_nodes: int

    def line(self, before: Minute) -> str:
        """Say it in one line."""
        return (
            f"{self.elapsed_s / 60:5.1f} min  {self.frames_per_s(before):5.1f} frames/s  "
            f"work 95 % {self.work_p95_ms:4.1f} ms  behind {self.delay_ms:4.0f} ms  "
            f"heap {self.heap_mb:5.2f} MB  arrays {self.array_mb:5.1f} MB  "
            f"renderer {self.renderer_mb:4.0f} MB  nodes {self.n_nodes}  "
            f"dropped {self.n_dropped}  load {os.getloadavg()[0]:4.1f}"
        )

    def frames_per_s(self, before: Minute) -> float:
        """Frames a second since another minute."""
        return (self.frames - before.frames) / (self.elapsed_s - before.elapsed_s)


async def _read(view: OpenPage, tools: CDPSession) -> Minute:
    await tools.send("HeapProfiler.collectGarbage")
    usage = await tools.send("Runtime.getHeapUsage")
    metrics = {
        row["name"]: row["value"] for row in (await tools.send("Performance.getMetrics"))["metrics"]
    }
    return Minute(
        frames=await view.read("framesDrawn"),
        elapsed_s=await view.page.evaluate("performance.now() / 1000"),
        work_p95_ms=(await view.read("frameWorkMs"))["p95"],
        delay_ms=await view.read("playDelayMs"),
        heap_mb=usage["usedSize"] / 1e6,
        array_mb=usage.get("backingStorageSize", 0) / 1e6,
        renderer_mb=_renderer_bytes() / 1e6,
        n_drawn=min((await view.read("samplesDrawn")).values()),
        n_dropped=await view.read("messagesDropped"),
        n_nodes=int(metrics["Nodes"]),
    )


def _renderer_bytes() -> int:
    """Memory of the largest of our renderers: the page's."""
    found = [0]
    for process in psutil.Process().children(recursive=True):
        try:
            if "--type=renderer" in process.cmdline():
                found.append(process.memory_info().rss)
        except psutil.Error:
            continue  # it has ended
    return max(found)


async def soak(n_minutes: int, minute_s: float = 60.0) -> tuple[list[Minute], list[str]]:
    """Run it; give the readings, the first at the beginning, and what the page complained of."""
    hub = LiveHub()
    async with chromium() as browser, served(hub, sixteen_traces(hub)) as url:
        view = await open_page(browser, url)
        await view.until(f"Object.keys(window.chevet.samplesDrawn).length === {N_TRACES}")
        await view.until("Math.min(...Object.values(window.chevet.samplesDrawn)) > 1000")
        tools = await view.page.context.new_cdp_session(view.page)
        await tools.send("Performance.enable")
        readings = [await _read(view, tools)]
        for _ in range(n_minutes):
            await asyncio.sleep(minute_s)
            readings.append(await _read(view, tools))
            print(readings[-1].line(readings[-2]), flush=True)
        return readings, view.complaints


def judge(readings: list[Minute], frames_per_s_min: float) -> list[str]:
    """Say what went wrong; growth is counted from the second reading on."""
    start, first, last = readings[0], readings[1], readings[-1]
    drawn_hz = (last.n_drawn - start.n_drawn) / (last.elapsed_s - start.elapsed_s)
    facts = {
        f"{last.frames_per_s(start):.1f} frames/s": last.frames_per_s(start) < frames_per_s_min,
        f"the heap grew by {last.heap_mb - first.heap_mb:.2f} MB": last.heap_mb
        > first.heap_mb + HEAP_GROWTH_MB_MAX,
        f"the delay grew by {last.delay_ms - first.delay_ms:.0f} ms": last.delay_ms
        > first.delay_ms + DELAY_GROWTH_MS_MAX,
        f"{last.n_dropped} messages dropped": last.n_dropped > 0,
        f"{drawn_hz:.1f} samples/s drawn": drawn_hz < DRAWN_SHARE_MIN * RATE_HZ,
    }
    return [fact for fact, is_wrong in facts.items() if is_wrong]


def main() -> None:
    """Soak, print, and exit with 1 where something is wrong."""
    parser = argparse.ArgumentParser(description="Sixteen traces for long.")
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--frames-min", type=float, default=FRAMES_PER_S_MIN)
    given = parser.parse_args()
    readings, complaints = asyncio.run(soak(given.minutes))
    wrong = [*judge(readings, given.frames_min), *complaints]
    if wrong:
        sys.exit("; ".join(wrong))
    print(f"{readings[-1].frames_per_s(readings[0]):.1f} frames/s, nothing grew")


if __name__ == "__main__":
    main()
