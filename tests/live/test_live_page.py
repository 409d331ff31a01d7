"""The page in a real browser, fed by a person made of formulas, in real time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil
import pytest
import pytest_asyncio

from devices import codes
from ingest.frame import DeviceEvent, DeviceEventKind, Frame
from ingest.observation import AlarmEvent, AlarmPriority
from processors.sinks.live import LiveHub, serve
from tests.live.browsing import OpenPage, open_page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from playwright.async_api import Browser

    from ingest.observation import Observation
    from tests.live.conftest import Feed

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

ECG = "chest-strap/ecg"
SHOTS = os.environ.get("CHEVET_LIVE_SHOTS")
"""A folder for pictures of the page; none are taken where it is not named."""


@dataclass(slots=True)
class Server:
    """The page's server, which a test can stop and start again at the same port."""

    hub: LiveHub
    url: str = ""
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        ready = asyncio.Event()
        self._stop = asyncio.Event()

        def on_ready(url: str) -> None:
            self.url = url
            ready.set()

        self._task = asyncio.create_task(
            serve(
                self.hub,
                host="127.0.0.1",
                port=urlsplit(self.url).port or 0,
                stop=self._stop,
                on_ready=on_ready,
            )
        )
        await asyncio.wait_for(ready.wait(), timeout=30)

    async def stop(self) -> None:
        self._stop.set()
        if self._task is not None:
            await asyncio.wait_for(self._task, timeout=30)


class Visit(OpenPage):
    """The open page of a person who is fed."""

    async def until_live(self) -> None:
        await self.until("window.chevet.banner.state === 'live'")
        await self.until(f"(window.chevet.samplesDrawn['{ECG}'] ?? 0) > 1000")
        await self.until("window.chevet.numerals.heart_rate.state === 'ok'")

    async def shoot(self, name: str, *, after_s: float = 0.0) -> None:
        """Take a picture, if anybody wants one."""
        if SHOTS is not None:
            await asyncio.sleep(after_s)
            await self.page.screenshot(path=Path(SHOTS) / f"{name}.png")


@pytest_asyncio.fixture(loop_scope="module")
async def server(hub: LiveHub) -> AsyncIterator[Server]:
    server = Server(hub)
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def feed(make_feed: Callable[..., Feed], hub: LiveHub) -> AsyncIterator[Feed]:
    feed = make_feed(hub)
    running = asyncio.create_task(feed.run())
    yield feed
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def open_visit(browser: Browser, url: str, width: int = 1440, height: int = 900) -> Visit:
    opened = await open_page(browser, url, width, height)
    return Visit(opened.page, opened.complaints)


@pytest_asyncio.fixture(loop_scope="module")
async def visit(browser: Browser, server: Server, feed: Feed) -> AsyncIterator[Visit]:
    visit = await open_visit(browser, server.url)
    await visit.until_live()
    yield visit
    await visit.page.close()


def _cpu_s(process: psutil.Process) -> float:
    return sum(sum(part.cpu_times()[:2]) for part in (process, *process.children(recursive=True)))


async def test_the_traces_move_at_the_speed_of_time(visit: Visit) -> None:
    picture = "document.querySelector('.trace canvas').toDataURL()"
    pixels = await visit.page.evaluate(picture)
    now = "({t: performance.now() / 1000, n: {...window.chevet.samplesDrawn}})"
    before, frames_before = await visit.page.evaluate(now), await visit.read("framesDrawn")
    begun_cpu_s = _cpu_s(psutil.Process())

    for channel, rate_hz in ((ECG, 360), ("oximeter/pleth", 75), ("chest-strap/resp", 25)):
        elapsed = f"(performance.now() / 1000 - {before['t']})"
        drawn = f"(window.chevet.samplesDrawn['{channel}'] - {before['n'][channel]})"
        # A machine that stands still for a second delays a second's samples, once.
        await visit.until(f"{elapsed} > 4 && Math.abs({drawn} / {elapsed} / {rate_hz} - 1) < 0.2")

    elapsed_s = await visit.page.evaluate("performance.now() / 1000") - before["t"]
    cpu_s = _cpu_s(psutil.Process()) - begun_cpu_s
    frames_per_s = (await visit.read("framesDrawn") - frames_before) / elapsed_s
    latency = await visit.read("latencyMs")
    print(
        f"\n{frames_per_s:.1f} frames/s, browser, server and feed {100 * cpu_s / elapsed_s:.0f} % "
        f"of a core; radio to page p50 {latency['p50']:.0f} ms, p95 {latency['p95']:.0f} ms; "
        f"drawn {await visit.read('playDelayMs'):.0f} ms behind"
    )
    assert await visit.page.evaluate(picture) != pixels
    # Many more on any machine that does nothing else.
    assert frames_per_s > 2
    assert 100 < latency["p50"] < 10_000
    assert visit.complaints == []


async def test_waveforms_stand_in_the_clinical_order(visit: Visit) -> None:
    labels = await visit.page.locator(".trace-label").all_text_contents()

    assert labels == ["ECG II", "Pleth", "Resp", "ACC x", "ACC y", "ACC z"]
    assert await visit.page.locator(".trace-mark").first.text_content() == "1 mV"


async def test_the_calibration_mark_is_a_millivolt_high(visit: Visit) -> None:
    # The R wave of the formula rises 1.15 mV above the base line, which is near 0.
    heights = await visit.page.evaluate(
        """() => {
          const canvas = document.querySelector('.trace canvas');
          const {width, height} = canvas;
          const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data;
          let top = height, bottom = 0;
          for (let y = 0; y < height; y += 1) for (let x = 0; x < width; x += 1)
            if (pixels[4 * (y * width + x) + 1] > 200) { top = Math.min(top, y); bottom = y; }
          const bar = document.querySelector('.trace-pulse path').getBBox().height;
          return {trace: bottom - top, bar};
        }"""
    )

    assert heights["trace"] / heights["bar"] == pytest.approx(1.15 + 0.25, rel=0.15)


async def test_numerals_change_with_what_is_measured(visit: Visit, feed: Feed) -> None:
    assert (await visit.read("numerals"))["body_temperature"]["value"] == "36.8"
    assert (await visit.read("numerals"))["battery_level"] == {
        "value": "64",
        "reason": "oximeter",
        "state": "ok",
    }

    feed.person.temperature = 38.42

    await visit.until("window.chevet.numerals.body_temperature.value === '38.4'")
    await visit.until("document.querySelector('.heart.beats') !== null")
    await visit.shoot("desktop")


async def test_no_value_is_said_in_words(
    visit: Visit, feed: Feed, make_observation: Callable[..., Observation]
) -> None:
    feed.paused = True
    now_ns = time.time_ns() + 1_000_000_000

    feed.hub.add_observation(
        make_observation(codes.HEART_RATE, None, now_ns, quality=0.0, reason="lead_off")
    )
    feed.hub.add_observation(make_observation(codes.SPO2, 88.0, now_ns, quality=0.2))

    await visit.until("window.chevet.numerals.heart_rate.value === '---'")
    await visit.until("window.chevet.numerals.spo2.value === '---'")
    numerals = await visit.read("numerals")
    assert numerals["heart_rate"]["reason"] == "sensor or electrode off"
    assert numerals["spo2"] == {"value": "---", "reason": "signal quality poor", "state": "poor"}


async def test_a_page_that_is_told_nothing_more_says_so_by_itself(visit: Visit, feed: Feed) -> None:
    feed.paused = True

    await visit.until("window.chevet.banner.state === 'no-data'")
    await visit.until("window.chevet.numerals.heart_rate.state === 'stale'")

    numerals = await visit.read("numerals")
    assert numerals["spo2"]["value"] == numerals["pulse_rate"]["value"] == "---"
    assert "no update for" in numerals["heart_rate"]["reason"]
    assert numerals["body_temperature"]["state"] == "ok"
    assert "No data from the sensor for" in (await visit.read("banner"))["text"]
    assert "no data for" in (await visit.page.locator(".trace-note").first.text_content() or "")
    await visit.shoot("stale", after_s=4)
    feed.paused = False
    await visit.until("window.chevet.banner.state === 'live'")
    await visit.until("window.chevet.numerals.heart_rate.state === 'ok'")
    assert visit.complaints == []


async def test_missing_samples_are_marked_with_their_cause(visit: Visit, feed: Feed) -> None:
    feed.person.lost.add("ecg")
    await asyncio.sleep(1.5)
    feed.person.lost.clear()

    await visit.until(f"window.chevet.gapsSeen['{ECG}'] === 1")

    hatched = """() => {
      const canvas = document.querySelector('.trace canvas');
      const {width, height} = canvas;
      const {data} = canvas.getContext('2d').getImageData(0, height >> 1, width, 1);
      let n = 0;
      for (let x = 0; x < width; x += 1) if (data[4 * x] > 50 && data[4 * x] < 90) n += 1;
      return n > 5;
    }"""
    await visit.until(hatched)
    assert (await visit.read("gapsSeen"))["oximeter/pleth"] == 0
    await visit.shoot("gap", after_s=1)
    assert visit.complaints == []


async def test_a_server_that_comes_back_is_found_again(visit: Visit, server: Server) -> None:
    await server.stop()
    await visit.until("window.chevet.connection === 'lost'")
    await visit.until("window.chevet.banner.state === 'lost'")
    assert "Connection to the server lost" in (await visit.read("banner"))["text"]
    await visit.shoot("lost")
    n_before = (await visit.read("samplesDrawn"))[ECG]

    await server.start()

    await visit.until("window.chevet.banner.state === 'live'")
    await visit.until(f"window.chevet.samplesDrawn['{ECG}'] > {n_before}")
    assert await visit.read("connections") == 2
    assert await visit.page.locator(".trace").count() == 6
    # While nobody listens the browser itself says that it was refused; the page says nothing.
    assert [text for text in visit.complaints if "ERR_CONNECTION_REFUSED" not in text] == []


async def test_a_page_that_opens_late_has_its_traces_at_once(
    visit: Visit, browser: Browser, server: Server
) -> None:
    late = await open_visit(browser, server.url)

    await late.until("window.chevet.banner.state === 'live'")

    # A second more than there has been since it opened.
    drawn = f"window.chevet.samplesDrawn['{ECG}']"
    await late.until(f"{drawn} > 360 * (1 + performance.now() / 1000)")
    assert late.complaints == []


async def test_a_replay_says_what_it_is(
    browser: Browser, server: Server, make_feed: Callable[..., Feed]
) -> None:
    replay = make_feed(server.hub, subject_id="recording", ago_ns=400 * 86_400 * 10**9)
    running = asyncio.create_task(replay.run())
    visit = await open_visit(browser, f"{server.url}?subject=recording")

    await visit.until("window.chevet.banner.state === 'replay'")
    await visit.until("window.chevet.numerals.heart_rate.state === 'ok'")
    await visit.until(f"(window.chevet.samplesDrawn['{ECG}'] ?? 0) > 1000")

    assert "Replay of" in (await visit.read("banner"))["text"]
    replay.paused = True
    await visit.until("window.chevet.numerals.heart_rate.state === 'stale'")
    assert visit.complaints == []
    running.cancel()


async def test_a_stalled_stream_is_drawn_when_it_comes(visit: Visit, feed: Feed) -> None:
    n_before = (await visit.read("samplesDrawn"))[ECG]
    begun = time.monotonic()
    for _ in range(3):
        feed.paused = True
        await asyncio.sleep(1.2)
        feed.paused = False
        await asyncio.sleep(0.8)

    await visit.until("window.chevet.banner.state === 'live'")
    n_due = 360 * (time.monotonic() - begun)
    await visit.until(f"window.chevet.samplesDrawn['{ECG}'] - {n_before} > {0.9 * n_due}")

    assert (await visit.read("gapsSeen"))[ECG] == 0
    assert visit.complaints == []


async def test_devices_and_alarms_are_shown(visit: Visit, feed: Feed) -> None:
    now_ns = time.time_ns()
    lost = DeviceEvent(device_id="thermometer", kind=DeviceEventKind.LINK_LOST, t_ns=now_ns)
    feed.hub.add_frame(
        Frame(subject_id="subject-7f3a", agent_id="agent-2", sequence=0, events=(lost,)), now_ns
    )
    feed.hub.add_alarm(
        AlarmEvent(
            subject_id="subject-7f3a",
            t_ns=now_ns,
            name="no_heart_rate",
            priority=AlarmPriority.LOW,
            active=True,
            detail="<b>lead off</b>",
        )
    )

    await visit.until("document.querySelectorAll('.alarm').length === 1")

    await visit.until("document.querySelectorAll('.device').length === 3")
    words = [text.strip() for text in await visit.page.locator(".device").all_text_contents()]
    assert words == ["chest-strapconnected81 %", "oximeterconnected64 %", "thermometerlink lost"]
    assert "<b>lead off</b>" in (await visit.page.locator(".alarm").text_content() or "")


async def test_another_subject_can_be_chosen(
    visit: Visit, feed: Feed, make_feed: Callable[..., Feed]
) -> None:
    other = make_feed(feed.hub, subject_id="subject-2b9c")
    other.step(time.time_ns())
    await visit.page.wait_for_selector("option[value='subject-2b9c']", state="attached")

    await visit.page.select_option("#subject", "subject-2b9c")

    await visit.until("window.chevet.subject === 'subject-2b9c'")
    await visit.until(f"(window.chevet.samplesReceived['{ECG}'] ?? 0) > 0")
    assert "subject=subject-2b9c" in visit.page.url
    assert visit.complaints == []


async def test_the_warning_is_on_the_page_and_on_a_phone_too(
    visit: Visit, browser: Browser, server: Server
) -> None:
    warning = "Not a medical device. Not a primary alarm."
    phone = await open_visit(browser, server.url, width=390, height=844)
    await phone.until_live()

    for view in (visit, phone):
        assert await view.page.get_by_text(warning).is_visible()
    wide = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert await phone.page.evaluate(wide), "nothing to scroll sideways"
    spilled = """() => [...document.querySelectorAll('.tile-value')].filter((value) => {
      const inner = value.getBoundingClientRect();
      const outer = value.parentElement.getBoundingClientRect();
      return inner.left < outer.left || inner.right > outer.right;
    }).length"""
    assert await phone.page.evaluate(spilled) == 0
    await phone.shoot("phone", after_s=4)


async def test_the_stats_cannot_be_changed(visit: Visit) -> None:
    await visit.page.evaluate("try { window.chevet = 1; window.chevet.banner = 1 } catch {}")

    assert (await visit.read("banner"))["state"] == "live"
