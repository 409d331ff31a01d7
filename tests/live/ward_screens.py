"""Pictures of every view of the live page: ``python -m tests.live.ward_screens FOLDER``.

Needs ``CHEVET_DATA`` (the public recordings) and Chromium.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from playwright.async_api import async_playwright

from processors.sinks.live import LiveHub, serve
from tests.live.ward_patients import Patient, PatientFeed, records

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

FAULTS: Final = {2: "link_lost", 7: "lead_off", 11: "silent"}
SPO2: Final = (97, 98, 96, 95, 99, 97, 90, 98, 96, 97, 94, 98, 97, 99, 96, 97, 98, 95, 97, 96)
ARGS: Final = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run")


def patients() -> list[Patient]:
    """Twenty beds, each with a person of its own."""
    return [
        Patient(
            subject_id=f"bed-{number + 1:02d}",
            record=record,
            spo2=SPO2[number % len(SPO2)],
            temperature=None if number % 5 == 3 else 36.4 + (number * 7 % 12) / 10,
            battery=(86, 64, 43, 91, 77, 14, 58)[number % 7],
            fault=FAULTS.get(number, ""),
            before_s=660 if number == 0 else 24,
            away=(260, 330) if number == 0 else (0, 0),
        )
        for number, record in enumerate(records("bidmc"))
    ]


async def _page(
    browser: Browser, url: str, width: int, height: int, *, phone: bool = False
) -> Page:
    page = await browser.new_page(
        viewport={"width": width, "height": height},
        device_scale_factor=2 if phone else 1,
        has_touch=phone,
        is_mobile=phone,
    )
    await page.goto(url)
    return page


async def _shoot(page: Page, folder: Path, name: str, after_s: float = 9.0) -> None:
    await asyncio.sleep(after_s)
    await page.screenshot(path=folder / f"{name}.png")
    print(folder / f"{name}.png")
    await page.close()


async def _pictures(url: str, folder: Path) -> None:
    chromium = shutil.which("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=[*ARGS])
        page = await _page(browser, url, 1440, 900)
        await _shoot(page, folder, "ward", 22)
        page = await _page(browser, f"{url}?subject=bed-01", 1440, 900)
        await _shoot(page, folder, "bedside")
        page = await _page(browser, f"{url}?subject=bed-01#full", 1920, 1080)
        await _shoot(page, folder, "bedside-full")
        page = await _page(browser, f"{url}?subject=bed-01", 1440, 900)
        await page.get_by_role("button", name="15 min").click()
        await page.keyboard.press("t")
        await _shoot(page, folder, "trends")
        page = await _page(browser, f"{url}#ward", 390, 844, phone=True)
        await _shoot(page, folder, "phone-ward", 20)
        page = await _page(browser, f"{url}?subject=bed-01", 390, 844, phone=True)
        await _shoot(page, folder, "phone")
        page = await _page(browser, f"{url}?subject=bed-01", 844, 390, phone=True)
        await _shoot(page, folder, "phone-landscape")
        await browser.close()


async def _main(folder: Path) -> None:
    hub, stop, ready = LiveHub(), asyncio.Event(), asyncio.Event()
    urls: list[str] = []

    def on_ready(url: str) -> None:
        urls.append(url)
        ready.set()

    feed = PatientFeed(hub, patients())
    feed.catch_up()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(hub, stop=stop, on_ready=on_ready))
        feeding = tasks.create_task(feed.run())
        await ready.wait()
        await _pictures(urls[0], folder)
        feeding.cancel()
        stop.set()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    words = parser.parse_args()
    words.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(_main(words.folder))
