"""The ward, the trends and the large screen in a real browser."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, Self

import pytest
import pytest_asyncio

from devices import codes
from ingest.observation import AlarmEvent, AlarmPriority
from processors.sinks.live import LiveHub
from tests.live.conftest import SIGNALS, Person
from tests.live.test_live_page import Server, Visit, open_visit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from playwright.async_api import Browser

    from ingest.observation import Observation

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

N_SUBJECTS = 50
NAMES = [f"bed-{number}" for number in range(1, N_SUBJECTS + 1)]
WALL = {"width": 1920, "height": 1080}

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
SMALL = """() => [...document.querySelectorAll('button, select, a.button, input')]
  .filter((node) => node.checkVisibility())
  .map((node) => [node.id || node.textContent, node.getBoundingClientRect().height])
  .filter(([, height]) => height < 44)"""
SPILLED = """() => [...document.querySelectorAll('.tile-value')].filter((value) => {
  const inner = value.getBoundingClientRect();
  const outer = value.parentElement.getBoundingClientRect();
  return inner.left < outer.left - 1 || inner.right > outer.right + 1;
}).length"""
TOP = "(node) => node.getBoundingClientRect().top"
FOCUS = "(document.activeElement.dataset.subject ?? document.activeElement.id)"


class WardFeed:
    """Fifty subjects with an ECG each, once a second, but for those who are silent."""

    def __init__(self, hub: LiveHub, names: list[str]) -> None:
        self.hub = hub
        self.silent: set[str] = set()
        t0_ns = time.time_ns() - 2_000_000_000
        self._people = [Person(subject_id=name, signals=SIGNALS[:1], t0_ns=t0_ns) for name in names]

    def step(self) -> None:
        now_ns = time.time_ns()
        for person in self._people:
            if person.subject_id in self.silent:
                continue
            self.hub.add_frame(person.frame(now_ns), now_ns)
            for found in person.observations(now_ns):
                self.hub.add_observation(found)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        self.step()
        task = asyncio.create_task(self._run())
        yield self
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.step()


@pytest_asyncio.fixture(loop_scope="module")
async def page_server(hub: LiveHub) -> AsyncIterator[Server]:
    server = Server(hub)
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def ward_feed(hub: LiveHub) -> AsyncIterator[WardFeed]:
    async with WardFeed(hub, NAMES).running() as feed:
        yield feed


@pytest_asyncio.fixture(loop_scope="module")
async def visit_page(browser: Browser, page_server: Server) -> AsyncIterator[Any]:
    """Open an address of the page; all that it complained of fails the test."""
    visits: list[Visit] = []

    async def visit(address: str = "", width: int = 1440, height: int = 900) -> Visit:
        visits.append(await open_visit(browser, page_server.url + address, width, height))
        return visits[-1]

    yield visit
    for one in visits:
        await one.page.close()
        # While nobody listens the browser itself says that it was refused; the page says nothing.
        assert [text for text in one.complaints if "ERR_CONNECTION_REFUSED" not in text] == []


async def until_ward(visit: Visit, n_subjects: int = N_SUBJECTS) -> None:
    await visit.until(
        f"window.chevet.view === 'ward' && window.chevet.ward.order.length === {n_subjects}"
    )
    await visit.until("window.chevet.banner.state === 'live'")


async def test_fifty_subjects_are_in_sight_the_worst_first(
    visit_page: Any,  # noqa: ANN401 - see the fixture
    ward_feed: WardFeed,
) -> None:
    visit = await visit_page(**WALL)
    await until_ward(visit)
    await visit.until("Object.values(window.chevet.ward.tiles).every((tile) => tile.drawn > 100)")
    assert (await visit.read("ward"))["order"] == NAMES
    hidden = "(ward) => ward.scrollHeight - ward.clientHeight"
    assert await visit.page.eval_on_selector("#ward-view", hidden) <= 0
    tile = (await visit.read("ward"))["tiles"]["bed-7"]
    assert tile["words"] == "2 connected · ECG II"
    assert tile["values"]["body_temperature"] == {"value": "36.8", "state": "ok"}
    assert tile["values"]["heart_rate"]["value"].startswith("7")

    ward_feed.silent.add("bed-30")

    await visit.until("window.chevet.ward.order[0] === 'bed-30'")
    await visit.until("window.chevet.ward.tiles['bed-30'].values.heart_rate.value === '---'")
    tiles = (await visit.read("ward"))["tiles"]
    assert tiles["bed-30"]["words"].startswith("○ No data for")
    assert tiles["bed-29"]["values"]["heart_rate"]["state"] == "ok"

    ward_feed.hub.add_alarm(
        AlarmEvent(
            subject_id="bed-41",
            t_ns=time.time_ns(),
            name="no_heart_rate",
            priority=AlarmPriority.LOW,
            active=True,
            detail="no heart rate: lead_off",
        )
    )

    await visit.until("window.chevet.ward.order[0] === 'bed-41'")
    tiles = (await visit.read("ward"))["tiles"]
    assert tiles["bed-41"]["words"] == "! No heart rate: lead off"
    assert (await visit.read("ward"))["order"][1] == "bed-30"
    assert (await visit.page.locator("#ward-count").text_content()) == "50 subjects · 2 to look at"

    await visit.page.keyboard.press("o")
    await visit.until(f"window.chevet.ward.order[0] === '{NAMES[0]}'")
    assert (await visit.read("ward"))["order"] == NAMES
    latency = (await visit.read("ward"))["latencyMs"]
    print(f"\nradio to ward p50 {latency['p50']:.0f} ms, p95 {latency['p95']:.0f} ms")


async def test_keys_and_clicks_lead_to_a_subject_and_back(
    visit_page: Any,  # noqa: ANN401 - see the fixture
    ward_feed: WardFeed,
) -> None:
    visit = await visit_page("?subject=bed-1")
    page = visit.page
    await visit.until("window.chevet.numerals.heart_rate.state === 'ok'")
    await page.keyboard.press("Escape")
    await until_ward(visit)
    ward_feed.silent.update(NAMES[9:])  # who is not looked at here costs nothing
    await page.keyboard.press("o")
    await visit.until(f"{FOCUS} === 'bed-1'")

    await page.keyboard.press("ArrowRight")
    assert await page.evaluate(FOCUS) == "bed-2"
    await page.keyboard.press("ArrowDown")
    below = await page.evaluate(FOCUS)
    assert below not in {"bed-1", "bed-2", "bed-3"}
    await page.keyboard.press("ArrowUp")
    assert await page.evaluate(FOCUS) == "bed-2"
    await page.keyboard.press("Enter")

    await visit.until("window.chevet.view === 'bedside' && window.chevet.subject === 'bed-2'")
    await visit.until("window.chevet.numerals.heart_rate.value !== '---'")
    assert "subject=bed-2" in page.url
    await page.keyboard.press("n")
    await visit.until("window.chevet.subject === 'bed-20'")  # sorted as the server sorts
    await page.keyboard.press("p")
    await visit.until("window.chevet.subject === 'bed-2'")

    await page.keyboard.press("Escape")
    await visit.until(f"window.chevet.view === 'ward' && {FOCUS} === 'bed-2'")
    assert page.url.endswith("#ward")
    await page.go_forward()
    await visit.until("window.chevet.view === 'bedside' && window.chevet.subject === 'bed-2'")
    await page.go_back()
    await visit.until("window.chevet.view === 'ward'")

    await page.keyboard.press("/")
    await page.keyboard.type("d-4")
    await visit.until("window.chevet.ward.order.length === 11")
    assert (await page.locator("#ward-count").text_content() or "").startswith("11 of 50 subjects")
    await page.keyboard.press("Escape")
    await visit.until("window.chevet.ward.order.length === 50")
    await page.keyboard.press("?")
    assert await page.locator("#keys").is_visible()
    assert "full screen" in (await page.locator("#keys").text_content() or "")
    await page.keyboard.press("Escape")
    assert not await page.locator("#keys").is_visible()

    await page.locator("a[data-subject='bed-5']").click()
    await visit.until("window.chevet.subject === 'bed-5'")


async def test_a_ward_whose_server_goes_says_so_and_finds_it_again(
    visit_page: Any,  # noqa: ANN401 - see the fixture
    page_server: Server,
    ward_feed: WardFeed,
) -> None:
    visit = await visit_page("#ward")
    await until_ward(visit)

    await page_server.stop()

    await visit.until("window.chevet.banner.state === 'lost'")
    # The server's last words grow old on the page by themselves.
    await visit.until("window.chevet.ward.tiles['bed-1'].values.heart_rate.value === '---'")
    await visit.until("window.chevet.ward.tiles['bed-1'].words.startsWith('○ No data')")

    await page_server.start()

    await until_ward(visit)
    await visit.until("window.chevet.ward.tiles['bed-1'].values.heart_rate.state === 'ok'")
    assert await visit.read("connections") == 2
    assert len((await visit.read("ward"))["tiles"]) == len(ward_feed.hub.subjects(0))


async def test_on_a_phone_nothing_is_cut_off(
    visit_page: Any,  # noqa: ANN401 - see the fixture
    hub: LiveHub,
) -> None:
    async with WardFeed(hub, NAMES[:6]).running():
        for width, height in ((390, 844), (844, 390), (320, 568)):
            visit = await visit_page("#ward", width=width, height=height)
            await visit.until("window.chevet.ward.order.length === 6")
            assert await visit.page.evaluate(OVERFLOW) <= 0
            assert await visit.page.get_by_text("Not a medical device").is_visible()

            await visit.page.locator("a[data-subject='bed-3']").click()
            await visit.until("window.chevet.numerals.heart_rate.state === 'ok'")
            await visit.until("document.querySelectorAll('.trace').length === 1")

            assert await visit.page.evaluate(OVERFLOW) <= 0
            assert await visit.page.evaluate(SPILLED) == 0
            if height > width:
                assert await visit.page.evaluate(SMALL) == []
                tops = [
                    await visit.page.eval_on_selector(part, TOP)
                    for part in ("#numerals", "#traces")
                ]
                assert tops == sorted(tops), "numbers first"


async def test_a_finger_turns_to_the_next_subject(browser: Browser, page_server: Server) -> None:
    WardFeed(page_server.hub, ["bed-1", "bed-2", "bed-3"]).step()
    context = await browser.new_context(has_touch=True, viewport={"width": 390, "height": 844})
    page = await context.new_page()
    visit = Visit(page, [])
    await page.goto(f"{page_server.url}?subject=bed-2")
    await visit.until("document.getElementById('subject').options.length === 3")
    session = await context.new_cdp_session(page)

    async def swipe(from_x: int, to_x: int) -> None:
        for kind, points in (
            ("touchStart", [{"x": from_x, "y": 250}]),
            ("touchMove", [{"x": to_x, "y": 255}]),
            ("touchEnd", []),
        ):
            await session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    await swipe(320, 60)
    await visit.until("window.chevet.subject === 'bed-3'")
    await swipe(60, 320)
    await visit.until("window.chevet.subject === 'bed-2'")
    await context.close()


async def test_trends_are_drawn_with_their_gaps(
    visit_page: Any,  # noqa: ANN401 - see the fixture
    hub: LiveHub,
    make_observation: Callable[..., Observation],
) -> None:
    now_s = int(time.time()) // 10 * 10
    for t_s in range(now_s - 3000, now_s, 5):
        if not now_s - 2000 <= t_s < now_s - 1400:
            hub.add_observation(
                make_observation(codes.HEART_RATE, 70.0 + (t_s % 40) / 4, t_s * 10**9)
            )
        hub.add_observation(make_observation(codes.SPO2, 97.0, t_s * 10**9))

    visit = await visit_page("?subject=subject-7f3a")

    await visit.until("(window.chevet.trends.heart_rate?.n ?? 0) > 0")
    trends = await visit.read("trends")
    assert set(trends) == {"heart_rate", "spo2"}
    assert trends["heart_rate"] == {"n": 240, "gaps": 1, "low": 70, "high": 78.75}
    assert trends["spo2"] == {"n": 300, "gaps": 0, "low": 97, "high": 97}
    label = await visit.page.locator(".trend canvas").first.get_attribute("aria-label")
    assert label == "Heart rate, last hour: 70 – 79 bpm, 1 gaps"
    columns = """() => {
      const canvas = document.querySelector('.trend canvas');
      const {width, height} = canvas;
      const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data;
      const drawn = [];
      for (let x = 40; x < width - 10; x += 1) {
        let isDrawn = false;
        for (let y = 0; y < height; y += 1) {
          const i = 4 * (y * width + x);
          if (pixels[i + 3] > 200 && pixels[i] < 80 && pixels[i + 1] > 200) isDrawn = true;
        }
        drawn.push(isDrawn);
      }
      return drawn;
    }"""
    drawn = await visit.page.evaluate(columns)
    # 50 of 60 minutes, of which 10 are missing.
    assert sum(drawn) / len(drawn) == pytest.approx(40 / 60, abs=0.06)

    await visit.page.get_by_role("button", name="15 min").click()
    await visit.until("window.chevet.trends.heart_rate.n < 100")
    await visit.page.keyboard.press("t")
    assert await visit.page.evaluate("document.body.dataset.trends") == "large"
    assert not await visit.page.locator("#traces").is_visible()


async def test_the_large_screen_is_read_from_three_metres(
    visit_page: Any,  # noqa: ANN401 - see the fixture
    hub: LiveHub,
) -> None:
    # Who is alone is shown without being asked for.
    WardFeed(hub, ["bed-1"]).step()
    visit = await visit_page(**WALL)
    await visit.until("window.chevet.view === 'bedside' && window.chevet.subject === 'bed-1'")
    await visit.page.goto(f"{visit.page.url}#full")
    await visit.page.reload()
    await visit.until("window.chevet.numerals.heart_rate.value !== '---'")
    assert await visit.page.evaluate("document.body.dataset.stage") == "on"

    # 20 minutes of arc at 3 m are 17.5 mm: 63 pixels of a 24-inch screen of 1080 lines.
    heights = await visit.page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll('.tile')].map((tile) => {
          const value = tile.querySelector('.tile-value');
          const style = getComputedStyle(value);
          const pen = document.createElement('canvas').getContext('2d');
          pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
          return [tile.dataset.quantity, pen.measureText('0').actualBoundingBoxAscent];
        }))"""
    )
    print(f"\nheight of the digits in pixels: { {k: round(v) for k, v in heights.items()} }")
    for name in ("heart_rate", "spo2", "pulse_rate", "respiratory_rate", "body_temperature"):
        assert heights[name] >= 63, name

    await visit.page.keyboard.press("b")
    await visit.until("document.body.dataset.stage === 'off'")
    assert "#full" not in visit.page.url
    await visit.page.keyboard.press("b")
    await visit.until("document.body.dataset.stage === 'on' && document.fullscreenElement !== null")
    assert visit.page.url.endswith("?subject=bed-1#full")
