"""No old number is shown as current: with a clock that is fed, and when clocks or networks stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from ingest.frame import NS_PER_S
from ingest.role_status import WORKER, RoleState, RoleStatus
from processors.sinks.live import LiveHub, serve
from processors.sinks.live.staleness import STALE_S
from tests.live.black_hole import BlackHole
from tests.live.browsing import WAIT_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from playwright.async_api import Browser, Page

    from tests.live.conftest import Feed

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

SECONDS = ("heart_rate", "spo2", "pulse_rate", "perfusion_index")
"""Quantities that are old after five seconds."""

WALL_CLOCK = """
const dateNow = Date.now;
window.aheadMs = 0;
Date.now = () => dateNow() + window.aheadMs;
"""
"""The clock of the computer, which a test can set, or let run while everything else sleeps."""

NO_TIMERS = """
const setTimer = window.setInterval;
const onFrame = window.requestAnimationFrame;
window.held = window.dead = false;
window.setInterval = (run, ms) => setTimer(() => { if (!window.held) run(); }, ms);
window.requestAnimationFrame = (run) => onFrame((at) => { if (!window.dead) run(at); });
"""
"""Timers that a browser may hold up, as it does behind another tab; and frames, where all ends."""


@pytest_asyncio.fixture(loop_scope="module")
async def url(hub: LiveHub) -> AsyncIterator[str]:
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(hub, stop=stop, on_ready=ready.set_result))
    yield await asyncio.wait_for(ready, WAIT_S)
    stop.set()
    await asyncio.wait_for(serving, WAIT_S)


@pytest_asyncio.fixture(loop_scope="module")
async def feed(make_feed: Callable[..., Feed], hub: LiveHub) -> AsyncIterator[Feed]:
    feed = make_feed(hub)
    running = asyncio.create_task(feed.run())
    yield feed
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def until(page: Page, condition: str) -> None:
    try:
        async with asyncio.timeout(WAIT_S):
            while not await page.evaluate(condition):  # noqa: ASYNC110 - the page's
                await asyncio.sleep(0.05)
    except TimeoutError:
        said = await page.evaluate("({...window.chevet.banner, ...window.chevet.numerals})")
        pytest.fail(f"not within {WAIT_S} s: {condition}; the page says {json.dumps(said)}")


async def until_live(page: Page) -> None:
    await until(page, "window.chevet.banner.state === 'live'")
    await until(page, "window.chevet.numerals.heart_rate.state === 'ok'")


async def states(page: Page) -> dict[str, str]:
    numerals = await page.evaluate("window.chevet.numerals")
    return {name: numerals[name]["state"] for name in numerals}


async def shown_as_current(page: Page) -> dict[str, Any]:
    numerals = await page.evaluate("window.chevet.numerals")
    return {name: one["value"] for name, one in numerals.items() if one["value"] != "---"}


async def two_frames(page: Page) -> None:
    await page.evaluate(
        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    page = await browser.new_page(viewport={"width": 1440, "height": 900})
    yield page
    await page.close()


FED_CLOCK = """async (rules) => {
  const { NumeralBoard } = await import("/static/numerals.js");
  const T0 = 1_800_000_000_000;
  const turned = {};
  for (const [name, staleS] of Object.entries(rules)) {
    for (const [clock, skewMs] of [["event", 0], ["arrival", -7_200_000]]) {
      const board = new NumeralBoard(document.createElement("section"));
      const numeral = { name, source: "s", value: 50, reason: null, quality: 1, channels: [] };
      // By its event time; or, of a device whose clock is two hours ahead, by when it came.
      board.add({ ...numeral, t_ms: T0 - skewMs }, T0);
      const seen = [];
      for (const ageS of [0, staleS / 2, staleS - 0.25, staleS, staleS + 0.25, staleS + 2, 1e6]) {
        board.judge(T0 + 1000 * ageS, T0 + 1000 * ageS);
        const { state, value } = board.texts[name];
        seen.push([ageS, state, value]);
      }
      turned[`${name} by ${clock}`] = seen;
    }
  }
  return turned;
}"""


async def test_each_value_is_stale_within_two_seconds_of_becoming_so(page: Page, url: str) -> None:
    await page.goto(url)

    turned = await page.evaluate(FED_CLOCK, STALE_S)

    assert {name.split()[0] for name in turned} == set(STALE_S)
    for name, seen in turned.items():
        stale_s = STALE_S[name.split()[0]]
        for age_s, state, value in seen:
            if age_s <= stale_s:
                assert state == "ok", (name, age_s)
            if age_s > stale_s:
                assert (state, value) == ("stale", "---"), (name, age_s)


async def test_a_page_that_is_cut_off_ages_its_numbers_by_itself(
    page: Page, url: str, feed: Feed
) -> None:
    async with BlackHole(url) as net:
        await page.goto(net.url)
        await until_live(page)

        net.swallows = True
        await until(page, "window.chevet.banner.state === 'silent'")
        await until(page, "window.chevet.numerals.heart_rate.state === 'stale'")

        found = await states(page)
        assert {name: found[name] for name in SECONDS} == dict.fromkeys(SECONDS, "stale")
        assert found["body_temperature"] == "ok"


async def test_after_the_computer_slept_no_number_from_before_is_painted(
    page: Page, url: str, feed: Feed
) -> None:
    await page.add_init_script(WALL_CLOCK)
    async with BlackHole(url) as net:
        await page.goto(net.url)
        await until_live(page)
        net.swallows = True
        assert "heart_rate" in await shown_as_current(page)

        # What sleeps has clocks that sleep, but for that on the wall.
        await page.evaluate("window.aheadMs = 600_000")
        await two_frames(page)

        assert set(await shown_as_current(page)) == {"battery_level"}
        assert (await page.evaluate("window.chevet.banner"))["state"] != "live"
        net.swallows = False
        await until_live(page)


async def test_a_computer_whose_clock_is_set_shows_what_is_true(
    page: Page, url: str, feed: Feed
) -> None:
    await page.add_init_script(WALL_CLOCK)
    await page.goto(url)
    await until_live(page)

    for ahead_ms in (7_200_000, -7_200_000):
        await page.evaluate(f"window.aheadMs = {ahead_ms}")
        await two_frames(page)
        await until_live(page)
    feed.paused = True

    await until(page, "window.chevet.numerals.heart_rate.state === 'stale'")


async def test_behind_another_tab_nothing_old_waits_to_be_seen(
    page: Page, url: str, feed: Feed
) -> None:
    await page.add_init_script(NO_TIMERS)
    await page.clock.install()
    async with BlackHole(url) as net:
        await page.goto(net.url)
        await until_live(page)
        net.swallows = True

        await page.evaluate("window.held = true")
        # As when the lid was closed: what is due is done once, and no timer of ours.
        await page.clock.fast_forward(60_000)
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

        assert not {*SECONDS, "respiratory_rate"} & set(await shown_as_current(page))
        net.swallows = False


async def test_a_frame_is_not_painted_before_the_numbers_are_judged(
    page: Page, url: str, feed: Feed
) -> None:
    await page.add_init_script(NO_TIMERS)
    async with BlackHole(url) as net:
        await page.goto(net.url)
        await until_live(page)

        await page.evaluate("window.held = true")
        net.swallows = True

        await until(page, "window.chevet.numerals.heart_rate.state === 'stale'")


COVER = "Number(getComputedStyle(document.getElementById('stopped')).opacity)"


async def test_a_page_whose_scripts_have_died_or_never_came_covers_itself(
    page: Page, browser: Browser, url: str, feed: Feed
) -> None:
    await page.add_init_script(NO_TIMERS)
    await page.goto(url)
    await until_live(page)
    assert await page.evaluate(COVER) == 0
    bare = await browser.new_page()
    await bare.route("**/static/main.js", lambda route: route.abort())

    await bare.goto(url)
    await page.evaluate("window.held = window.dead = true")

    await until(page, f"{COVER} === 1")
    async with asyncio.timeout(WAIT_S):
        while await bare.evaluate(COVER) != 1:  # noqa: ASYNC110 - the page's
            await asyncio.sleep(0.05)
    await bare.close()


async def test_what_the_server_kept_is_as_old_for_a_page_that_opens_later(
    page: Page, url: str, hub: LiveHub, make_feed: Callable[..., Feed]
) -> None:
    # Of an agent whose clock is two hours ahead; and all that came, came a minute ago.
    feed, came_ns = make_feed(hub), time.time_ns() - 60 * NS_PER_S
    feed.person.t0_ns += 7_200 * NS_PER_S
    until_ns = feed.person.t0_ns + NS_PER_S
    hub.add_frame(feed.person.frame(until_ns), came_ns)
    for one in feed.person.observations(until_ns):
        hub.add_observation(one, came_ns)

    await page.goto(url)
    await until(page, "window.chevet.numerals.heart_rate.state !== 'absent'")

    found = await states(page)
    assert {name: found[name] for name in SECONDS} == dict.fromkeys(SECONDS, "stale")


async def test_the_page_says_who_is_dead_and_that_waveforms_live(
    page: Page, url: str, feed: Feed, hub: LiveHub
) -> None:
    await page.goto(url)
    await until_live(page)
    now_ns = feed.person.t0_ns
    system = hub.system
    system.looked(now_ns, heard=True)
    system.add_status(
        RoleStatus(role=WORKER, instance="w", state=RoleState.READY, t_ns=now_ns), now_ns
    )
    for second in range(1, 6):
        system.looked(now_ns + second * NS_PER_S, heard=True)

    await until(page, "window.chevet.banner.state === 'no-worker'")

    banner = await page.evaluate("window.chevet.banner")
    assert banner["level"] == "bad"
    assert "numbers are not being computed. Waveforms are live." in banner["text"]
    system.broker_lost(now_ns)
    await until(page, "window.chevet.banner.state === 'broker-away'")
