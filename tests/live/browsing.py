"""A hub behind a server, and Chromium in front of it: for tests and for the long measurements."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from playwright.async_api import async_playwright

from deploy.local.process import ServerMissingError
from processors.sinks.live import LiveHub, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, ConsoleMessage, Page

CHROMIUM_ARGS: Final = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT_S: Final = 60


class LivingFeed(Protocol):
    """What feeds a hub until it is cancelled."""

    async def run(self) -> None: ...


@dataclass(slots=True)
class OpenPage:
    """An open page, and all that it complained of."""

    page: Page
    complaints: list[str]

    async def read(self, name: str) -> Any:  # noqa: ANN401 - what the page says, as JSON
        return await self.page.evaluate(f"window.chevet.{name}")

    async def until(self, condition: str) -> None:
        # Not wait_for_function: it needs eval within the page, which the page's policy forbids.
        try:
            async with asyncio.timeout(WAIT_S):
                while not await self.page.evaluate(condition):  # noqa: ASYNC110 - the page's
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"not within {WAIT_S} s: {condition}") from None


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run a browser without a window."""
    program = shutil.which("chromium")
    if program is None:
        raise ServerMissingError("Chromium", "apt install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGS)
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def served(hub: LiveHub, *feeds: LivingFeed) -> AsyncIterator[str]:
    """Serve a hub that is fed; give the page's address."""
    stop, ready = asyncio.Event(), asyncio.Event()
    urls: list[str] = []

    def on_ready(url: str) -> None:
        urls.append(url)
        ready.set()

    tasks = [asyncio.create_task(serve(hub, host="127.0.0.1", stop=stop, on_ready=on_ready))]
    try:
        await asyncio.wait_for(ready.wait(), timeout=30)
        tasks += [asyncio.create_task(feed.run()) for feed in feeds]
        yield urls[0]
    finally:
        stop.set()
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def open_page(browser: Browser, url: str, width: int = 1440, height: int = 900) -> OpenPage:
    """Open a page and listen to its complaints."""
    page = await browser.new_page(viewport={"width": width, "height": height})
    complaints: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    page.on("console", on_console)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.add_init_script(
        "document.addEventListener('securitypolicyviolation',"
        " (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`))"
    )
    await page.goto(url)
    return OpenPage(page, complaints)
