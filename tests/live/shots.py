"""Pictures of the sweep for the documents: ``python -m tests.live.shots FOLDER``.

Recorded people (``CHEVET_DATA``), through the pipeline, as if it happened now.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from processors.sinks.live import LiveHub
from tests.live.browsing import OpenPage, chromium, open_page, served
from tests.live.sweep_feed import RecordedFeed, sixteen_traces

if TYPE_CHECKING:
    from playwright.async_api import Browser

SWEEP_S = 11
"""From the opening of a page until its sweep has gone round."""


MARKS = """() => {
  const canvas = document.querySelector('.trace canvas');
  const {data} = canvas.getContext('2d').getImageData(0, 4, canvas.width, 1);
  const at = [];
  for (let x = 1, from = 0; x < canvas.width; x += 1) {
    const isMark = data[4 * x] > 120;
    if (isMark && data[4 * x - 4] <= 120) from = x;
    if (!isMark && data[4 * x - 4] > 120) at.push((from + x) / 2);
  }
  const box = canvas.getBoundingClientRect();
  const px = (x) => box.left + x * box.width / canvas.width;
  return {x: at.map(px), y: box.top + box.height / 2};
}"""
"""Where the beats are marked, in pixels of the page."""


async def _measure_a_beat(view: OpenPage) -> None:
    """Put the calipers on two beats that follow each other."""
    marks = await view.page.evaluate(MARKS)
    await view.page.keyboard.press("c")
    for x in marks["x"][3:5]:
        await view.page.mouse.click(x, marks["y"])


async def live_and_frozen(browser: Browser, data: Path, folder: Path) -> None:
    """Ventricular beats at 25 mm/s; then frozen, scrolled back and measured."""
    hub = LiveHub()
    feed = RecordedFeed(hub, str(data / "mitdb" / "119"), begin_s=178)
    async with served(hub, feed) as url:
        view = await open_page(browser, url)
        await view.until("window.chevet.banner.state !== 'connecting'")
        await asyncio.sleep(SWEEP_S + 6)
        await view.page.keyboard.press("f")
        await view.page.keyboard.press("ArrowLeft")
        await asyncio.sleep(3)
        await _measure_a_beat(view)
        await view.page.screenshot(path=folder / "frozen.png")
        await view.page.close()
        phone = await open_page(browser, url, width=390, height=844)
        await asyncio.sleep(8)
        await phone.page.screenshot(path=folder / "sweep-phone.png")
        await phone.page.keyboard.press("f")
        await asyncio.sleep(1)
        await phone.page.screenshot(path=folder / "frozen-phone.png")
        await phone.page.get_by_text("Back to live").click()
        await phone.page.get_by_text("Screen size").click()
        await asyncio.sleep(0.5)
        await phone.page.screenshot(path=folder / "ruler-phone.png")
        await phone.page.close()


async def gap_and_noise(browser: Browser, data: Path, folder: Path) -> None:
    """A stretch that the quality index does not trust, and two that the radio lost."""
    hub = LiveHub()
    feed = RecordedFeed(
        hub, str(data / "mitdb" / "106"), begin_s=80, lost=((87.0, 88.5), (90.5, 90.75))
    )
    async with served(hub, feed) as url:
        view = await open_page(browser, url)
        await asyncio.sleep(SWEEP_S + 3)
        await view.page.screenshot(path=folder / "gap-and-noise.png")
        await view.page.close()


async def monitor(browser: Browser, data: Path, folder: Path) -> None:
    """What a monitor recorded: ECG, pleth and breathing."""
    hub = LiveHub()
    feed = RecordedFeed(hub, str(data / "bidmc" / "bidmc01"), begin_s=60)
    async with served(hub, feed) as url:
        view = await open_page(browser, url)
        await asyncio.sleep(SWEEP_S + 9)
        await view.page.screenshot(path=folder / "sweep.png")
        await view.page.close()


async def sixteen(browser: Browser, folder: Path) -> None:
    """All that a page is made for."""
    hub = LiveHub()
    async with served(hub, sixteen_traces(hub)) as url:
        view = await open_page(browser, url)
        await asyncio.sleep(SWEEP_S)
        await view.page.screenshot(path=folder / "sixteen-traces.png")
        await view.page.close()


async def shoot(data: Path, folder: Path) -> None:
    async with chromium() as browser:
        await live_and_frozen(browser, data, folder)
        await gap_and_noise(browser, data, folder)
        await monitor(browser, data, folder)
        await sixteen(browser, folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(shoot(Path(os.environ["CHEVET_DATA"]), given.folder))
