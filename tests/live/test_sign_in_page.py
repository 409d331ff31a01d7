"""Signing in, in a real browser: by a token, and through a real OpenID Connect provider in Node."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from deploy.local.process import LOCALHOST, ServerMissingError, free_ports
from processors.access_settings import AccessSettings, OidcSettings, TlsSettings
from processors.sinks.live import LiveHub, serve
from processors.sinks.live.access_setup import build_entrance
from tests.live.browsing import chromium
from tests.live.entrance import House

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from playwright.async_api import Page

    from processors.sinks.live.access_setup import Entrance
    from processors.sinks.live.annotating import AnnotationDesk
    from tests.live.conftest import Feed

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WAIT_MS = 60_000
PROVIDER = Path(__file__).parent / "oidc" / "provider.mjs"
CLIENT_SECRET = "of the tests only"  # noqa: S105
SHOTS = os.environ.get("CHEVET_LIVE_SHOTS")
"""A folder for pictures; none are taken where it is not named."""
OWN, OTHERS = "icu-7", "ward-3"


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with chromium() as browser:
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(WAIT_MS)
        yield page


@pytest.fixture
async def feeds(hub: LiveHub, make_feed: Callable[..., Feed]) -> AsyncIterator[None]:
    """Two people who send all the time."""
    running = [
        asyncio.create_task(make_feed(hub, subject_id=subject).run()) for subject in (OWN, OTHERS)
    ]
    yield
    for task in running:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@contextlib.asynccontextmanager
async def serving(
    hub: LiveHub, port: int, entrance: Entrance, desk: AnnotationDesk | None = None
) -> AsyncIterator[str]:
    stop, ready = asyncio.Event(), asyncio.Event()
    urls: list[str] = []

    def on_ready(url: str) -> None:
        urls.append(url)
        ready.set()

    task = asyncio.create_task(
        serve(hub, port=port, entrance=entrance, desk=desk, stop=stop, on_ready=on_ready)
    )
    await asyncio.wait_for(ready.wait(), timeout=30)
    yield urls[0]
    stop.set()
    await asyncio.wait_for(task, timeout=30)


@contextlib.asynccontextmanager
async def provider(redirect_uri: str) -> AsyncIterator[str]:
    """Start the provider; give its issuer."""
    node = shutil.which("node")
    if node is None or not (PROVIDER.parent / "node_modules").is_dir():
        raise ServerMissingError("Node with oidc-provider", "make services")
    process = await asyncio.create_subprocess_exec(
        node,
        str(PROVIDER),
        "chevet",
        CLIENT_SECRET,
        redirect_uri,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        if process.stdout is None or process.stdin is None:
            raise TypeError
        line = await asyncio.wait_for(process.stdout.readline(), timeout=60)
        yield line.decode().strip()
        process.stdin.close()
        await asyncio.wait_for(process.wait(), timeout=30)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until(page: Page, condition: str) -> None:
    async with asyncio.timeout(WAIT_MS / 1_000):
        while not await page.evaluate(condition):  # noqa: ASYNC110 - the page's
            await asyncio.sleep(0.05)


async def shoot(page: Page, name: str) -> None:
    if SHOTS is not None:
        await page.screenshot(path=Path(SHOTS) / f"{name}.png")


async def expect_traces(page: Page, subject: str) -> None:
    await expect(page).to_have_title(f"{subject} – Chevet", timeout=WAIT_MS)
    await until(page, f"window.chevet?.subject === '{subject}'")
    await until(page, "window.chevet.banner.state === 'live'")
    await until(page, "(window.chevet.samplesDrawn['chest-strap/ecg'] ?? 0) > 100")


async def expect_refusal(page: Page, url: str) -> None:
    """Ask page, socket and API for a subject without rights."""
    answer = await page.goto(f"{url}?subject={OTHERS}")
    assert answer is not None
    assert answer.status == 403
    await expect(page.get_by_text("There is no subject of this name")).to_be_visible()
    assert await page.locator("canvas").count() == 0
    assert OTHERS not in await page.content()
    await shoot(page, "refused")
    asked = await page.evaluate(
        """async (subject) => {
          const socket = new WebSocket(`ws://${location.host}/ws?subject=${subject}`);
          const messages = [];
          socket.onmessage = ({ data }) => messages.push(data);
          await new Promise((resolve) => { socket.onclose = resolve; });
          const me = await fetch(`api/me?subject=${subject}`);
          const rows = await (await fetch("api/subjects")).json();
          return { messages, me: me.status, subjects: rows.map((row) => row.subject) };
        }""",
        OTHERS,
    )
    assert asked == {"messages": [], "me": 403, "subjects": [OWN]}


@pytest.mark.usefixtures("feeds")
async def test_by_a_token_one_sees_whom_one_may_and_nobody_else(
    page: Page, hub: LiveHub, port: int, tmp_path: Path
) -> None:
    house = House(tmp_path)
    house.add("anna", "icu-*")
    async with serving(hub, port, house.entrance()) as url:
        await page.goto(f"{url}?subject={OWN}")
        await expect(page).to_have_url(f"{url}sign-in?to=subject%3D{OWN}")
        await shoot(page, "sign-in")
        await page.get_by_label("Access token").fill("a wrong one")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("not valid")

        await page.get_by_label("Access token").fill(house.tokens["anna"])
        await page.keyboard.press("Enter")

        await expect_traces(page, OWN)
        await expect(page.locator(".account")).to_contain_text("anna")
        await shoot(page, "signed-in")
        assert await page.evaluate("document.cookie") == ""
        await expect_refusal(page, url)

        await page.get_by_text("Whom I may watch").click()
        await expect_traces(page, OWN)
        house.revoke("anna")
        house.now_s += 1
        # By itself, and with what was shown.
        await expect(page).to_have_url(re.compile(r"/sign-in\?to="))

    lines = house.logged()
    assert {line.get("subject") for line in lines if line["event"].startswith("watch")} == {OWN}
    assert {(line["by"], line["subject"]) for line in lines if line["event"] == "refused"} >= {
        ("page", OTHERS),
        ("socket", OTHERS),
        ("api", OTHERS),
    }


@pytest.mark.usefixtures("feeds")
async def test_through_a_provider_one_sees_whom_ones_groups_may(
    page: Page, hub: LiveHub, port: int, tmp_path: Path
) -> None:
    url = f"http://{LOCALHOST}:{port}/"
    async with provider(f"{url}sign-in-callback") as issuer:
        settings = AccessSettings(
            mode="oidc",
            log_file=tmp_path / "access.jsonl",
            oidc=OidcSettings.model_validate(
                {"issuer": issuer, "client_id": "chevet", "client_secret": CLIENT_SECRET}
            ),
            rights={"icu-nurses": ("icu-*",)},
        )
        async with serving(hub, port, build_entrance(settings, TlsSettings(), url=url)):
            await page.goto(f"{url}?subject={OWN}")
            await shoot(page, "sign-in-oidc")
            await page.get_by_role("link", name=re.compile("Sign in")).click()
            await _pass_provider(page, issuer, "anna+icu-nurses")
            await expect_traces(page, OWN)
            await expect(page.locator(".account")).to_contain_text("anna")
            await expect_refusal(page, url)

            await page.get_by_role("button", name="Sign out").click()
            await expect(page).to_have_url(f"{url}sign-in?left=1")
            # Whoever comes next is asked, although the provider still knows the first one.
            await page.get_by_role("link", name=re.compile("Sign in")).click()
            await _pass_provider(page, issuer, "bert+kitchen")
            await expect(page.get_by_role("alert")).to_contain_text("You are bert")
            assert (await page.request.get(f"{url}api/me")).status == 401

    text = (tmp_path / "access.jsonl").read_text()
    assert '"account": "anna+icu-nurses"' in text
    assert '"reason": "no group with rights"' in text


async def _pass_provider(page: Page, issuer: str, login: str) -> None:
    await expect(page).to_have_url(re.compile(re.escape(issuer)))
    await page.locator("input[name=login]").fill(login)
    await page.locator("input[name=password]").fill("whatever")
    await page.locator("button[type=submit]").click()
    await page.get_by_role("button", name="Continue").click()
