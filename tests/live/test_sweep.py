"""The sweep in a real browser: millimetres, freezing, marks on the trace, and what sixteen cost."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from devices import codes
from ingest.frame import NS_PER_S
from processors.sinks.live import LiveHub
from tests.live.browsing import OpenPage, open_page, served
from tests.live.conftest import RR_S, Feed, Person, observation
from tests.live.sweep_feed import N_TRACES, RATE_HZ, sixteen_traces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

ECG, PLETH = "chest-strap/ecg", "oximeter/pleth"
MODULE = "(name) => import(new URL(`static/${name}.js`, document.baseURI))"
"""A module of the page, as the page itself loads it."""
CHECKS = Path(__file__).with_name("sweep_checks.js").read_text()


@dataclass
class Bedside:
    """A fed page."""

    browser: Browser
    url: str
    feed: Feed
    view: OpenPage


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bedside(browser: Browser) -> AsyncIterator[Bedside]:
    hub = LiveHub()
    feed = Feed(hub, Person(t0_ns=time.time_ns() - 1_000_000_000))
    async with served(hub, feed) as url:
        view = await open_page(browser, url)
        await view.until(f"(window.chevet.samplesDrawn['{ECG}'] ?? 0) > 1000")
        yield Bedside(browser, url, feed, view)
        # Chromium has an opinion of what a test reads from a canvas.
        assert [text for text in view.complaints if "readback" not in text] == []


async def _check(view: OpenPage, name: str) -> Any:  # noqa: ANN401 - what it found
    return await view.page.evaluate(f"({CHECKS})['{name}']({MODULE})")


async def test_samples_are_kept_the_same_however_they_were_cut(bedside: Bedside) -> None:
    differences = await _check(bedside.view, "cutDifferently")

    assert differences == []


async def test_what_is_told_again_takes_the_place_of_what_was_there(bedside: Bedside) -> None:
    kept = await _check(bedside.view, "toldAgain")

    assert kept == {"gap": [1e12 + 400, 1e12 + 600], "runs": 1, "end": 200, "seen": [1, 1, 3, 3]}


async def test_an_instant_stands_at_one_place_of_each_turn(bedside: Bedside) -> None:
    wrong = await _check(bedside.view, "placesOfInstants")

    assert wrong == []


async def test_ten_minutes_are_kept_and_no_more_and_a_freeze_ends_with_them(
    bedside: Bedside,
) -> None:
    kept = await _check(bedside.view, "tenMinutes")

    assert kept["keptS"] == pytest.approx(600, abs=2)
    frozen = [is_frozen for is_frozen, _ in kept["told"]]
    # What stands on the screen is forgotten after ten minutes less the width of the picture.
    assert frozen == [True] * 9 + [False] * 2
    assert [is_ending for _, is_ending in kept["told"][:9]] == [False] * 8 + [True]


async def test_a_millimetre_is_what_the_ruler_says_and_stays_so(bedside: Bedside) -> None:
    page = await open_page(bedside.browser, bedside.url)
    await page.until(f"(window.chevet.samplesDrawn['{ECG}'] ?? 0) > 500")

    await page.page.get_by_text("Screen size").click()
    await page.page.locator(".ruler input").fill("5")
    await page.page.get_by_text("Keep").click()
    await page.page.get_by_label("Speed, mm/s").select_option("50")
    await page.page.get_by_label("ECG, mm/mV").select_option("20")

    sizes = """() => {
      const trace = document.querySelector('.trace');
      const box = trace.querySelector('.trace-pulse path').getBBox();
      return {width: trace.querySelector('canvas').clientWidth, high: box.height, wide: box.width,
        said: trace.querySelector('.trace-paper').textContent};
    }"""
    for _ in range(2):
        await page.until(f"(window.chevet.samplesDrawn['{ECG}'] ?? 0) > 500")
        measured, sweep = await page.page.evaluate(sizes), await page.read("sweep")
        assert sweep["spanMs"] == pytest.approx(1000 * measured["width"] / (5 * 50), rel=0.01)
        # 1 mV at 20 mm/mV; 200 ms at 50 mm/s and a millimetre of line on each side.
        assert measured["high"] == pytest.approx(5 * 20, abs=1)
        assert measured["wide"] == pytest.approx(5 * (0.2 * 50 + 2), abs=1)
        assert measured["said"].startswith("20 mm/mV")
        await page.page.reload()
    assert page.complaints == []
    await page.page.evaluate("localStorage.clear()")
    await page.page.close()


async def test_a_gain_that_leaves_no_room_says_that_it_cuts(bedside: Bedside) -> None:
    said = bedside.view.page.locator(".trace-paper").first
    await bedside.view.page.set_viewport_size({"width": 1440, "height": 620})

    await bedside.view.page.get_by_label("ECG, mm/mV").select_option("20")
    cut = await said.text_content()
    await bedside.view.page.get_by_label("ECG, mm/mV").select_option("5")

    assert (cut, await said.text_content()) == ("20 mm/mV · cut off", "5 mm/mV")
    await bedside.view.page.get_by_label("ECG, mm/mV").select_option("auto")
    await bedside.view.page.set_viewport_size({"width": 1440, "height": 900})


async def test_a_frozen_picture_stands_and_says_so_while_the_numbers_go_on(
    bedside: Bedside,
) -> None:
    view, picture = bedside.view, "document.querySelector('.trace canvas').toDataURL()"
    span_s = (await view.read("sweep"))["spanMs"] / 1000
    # So much that there is something to go back to.
    await view.until(f"window.chevet.samplesReceived['{ECG}'] > {360 * (span_s + 2)}")
    await view.page.keyboard.press("f")
    await view.until("window.chevet.sweep.frozen !== null")
    received = (await view.read("samplesReceived"))[ECG]
    await asyncio.sleep(0.6)
    stands = await view.page.evaluate(picture)

    bedside.feed.person.temperature = 39.14
    await view.until("window.chevet.numerals.body_temperature.value === '39.1'")

    await view.until(f"window.chevet.samplesReceived['{ECG}'] > {received} + 500")
    assert await view.page.evaluate(picture) == stands
    assert await view.page.locator(".frozen-word").is_visible()
    assert "numbers are live" in (await view.page.locator(".frozen-note").text_content() or "")

    frozen = (await view.read("sweep"))["frozen"]
    await view.page.keyboard.press("ArrowLeft")
    back = (await view.read("sweep"))["frozen"]
    assert back["rightMs"] == pytest.approx(frozen["rightMs"] - 1000)
    await view.until(f"{picture} !== '{stands}'")
    await view.page.keyboard.press("ArrowRight")
    await view.page.keyboard.press("ArrowRight")
    assert (await view.read("sweep"))["frozen"]["rightMs"] == frozen["frozenMs"]

    await view.page.keyboard.press("Escape")
    await view.until("window.chevet.sweep.frozen === null")
    assert not await view.page.locator(".frozen-word").is_visible()
    drawn = (await view.read("samplesDrawn"))[ECG]
    await view.until(f"window.chevet.samplesDrawn['{ECG}'] > {drawn} + 200")


async def test_the_calipers_measure_what_lies_between_them(bedside: Bedside) -> None:
    view = bedside.view
    canvas = view.page.locator(".trace canvas").first
    await view.page.locator(".sweep-freeze").click()
    await view.page.get_by_role("button", name="Caliper").click()
    box = await canvas.bounding_box()
    sweep = await view.read("sweep")
    assert box is not None
    ms_per_px = sweep["spanMs"] / box["width"]
    right_ms = sweep["frozen"]["rightMs"]

    # The R waves of the formula: the last two that are well on the picture.
    t0_ms = bedside.feed.person.t0_ns / 1e6 + 280
    n_last = int((right_ms - 500 - t0_ms) / (1000 * RR_S))
    for t_ms in (t0_ms + 1000 * RR_S * n for n in (n_last, n_last - 2)):
        x = box["x"] + box["width"] - (right_ms - t_ms) / ms_per_px
        await view.page.mouse.click(x, box["y"] + 0.6 * box["height"])

    marks = (await view.read("sweep"))["frozen"]["marks"]
    measured = await view.page.locator(".sweep-measured").text_content() or ""
    apart_ms = abs(marks[1] - marks[0])
    assert apart_ms == pytest.approx(2000 * RR_S, abs=2.1 * ms_per_px)
    assert measured == f"{round(apart_ms)}\u00a0ms · {round(60_000 / apart_ms)}/min"

    await view.page.locator(".sweep-mark").first.focus()
    await view.page.keyboard.press("Shift+ArrowLeft")
    moved = (await view.read("sweep"))["frozen"]["marks"]
    assert moved[0] == pytest.approx(marks[0] - 40)
    await view.page.keyboard.press("Escape")
    await view.until("window.chevet.sweep.frozen === null")


async def test_a_signal_that_is_not_believed_is_marked_and_beats_have_shapes(
    bedside: Bedside,
) -> None:
    view, hub = bedside.view, bedside.feed.hub
    # Amber: below a trace the broken line, above it the marks.
    amber = """([trace, row]) => {
      const canvas = document.querySelectorAll('.trace canvas')[trace];
      const y = row < 0 ? canvas.height + row : row;
      const {data} = canvas.getContext('2d').getImageData(0, y, canvas.width, 1);
      let n = 0;
      for (let x = 0; x < canvas.width; x += 1)
        if (data[4 * x] > 200 && data[4 * x + 1] > 150 && data[4 * x + 2] < 120) n += 1;
      return n;
    }"""
    below, above = [1, -2], [0, 3]
    assert [await view.page.evaluate(amber, row) for row in (below, above)] == [0, 0]

    # Not where the sweep wraps: there a mark is cut in two.
    span_ms = await view.page.evaluate("window.chevet.sweep.spanMs")
    while not 0.2 < time.time() * 1000 % span_ms / span_ms < 0.6:  # noqa: ASYNC110 - a clock
        await asyncio.sleep(0.05)
    now_ns = time.time_ns()
    second_ns = now_ns // NS_PER_S * NS_PER_S
    for quantity, value, t_ns, channel in (
        (codes.PULSE_QUALITY, 0.2, second_ns, PLETH),
        (codes.RR_INTERVAL, 833.0, now_ns, ECG),
        (codes.BEAT_CLASS, 5.0, now_ns, ECG),
    ):
        hub.add_observation(observation(quantity, value, t_ns, channels=(channel,)))

    await view.until(f"window.chevet.beatsMarked['{ECG}']?.ventricular === 1")
    await view.until(f"({amber})([0, 3]) >= 4")
    await view.until(f"({amber})([1, -2]) >= 40")
    second_px = 1000 * await view.page.evaluate(
        "document.querySelector('.trace canvas').width / window.chevet.sweep.spanMs"
    )
    await view.until(f"({amber})([1, -2]) > {0.5 * second_px}")
    assert await view.page.evaluate(amber, below) < 0.8 * second_px
    assert await view.page.evaluate(amber, above) <= 16


async def test_sixteen_traces_cost_only_what_is_new(browser: Browser) -> None:
    hub = LiveHub()
    async with served(hub, sixteen_traces(hub)) as url:
        view = await open_page(browser, url)
        await view.until(f"Object.keys(window.chevet.samplesDrawn).length === {N_TRACES}")
        await view.until("Math.min(...Object.values(window.chevet.samplesDrawn)) > 1000")
        now = """({s: performance.now() / 1000, frames: window.chevet.framesDrawn,
                   drawn: {...window.chevet.samplesDrawn}, strokes: {...window.chevet.strokes}})"""
        before = await view.page.evaluate(now)
        await view.until(f"performance.now() / 1000 > {before['s']} + 5")
        after = await view.page.evaluate(now)
        span_s = (await view.read("sweep"))["spanMs"] / 1000
        elapsed_s = after["s"] - before["s"]
        frames_per_s = (after["frames"] - before["frames"]) / elapsed_s
        work = await view.read("frameWorkMs")
        print(
            f"\n{N_TRACES} traces of {RATE_HZ} Hz: {frames_per_s:.1f} frames/s, "
            f"{work['p50']:.1f} ms of work a frame (95 %: {work['p95']:.1f} ms), "
            f"drawn {await view.read('playDelayMs'):.0f} ms behind; load {os.getloadavg()[0]:.1f}"
        )

        for key, strokes in after["strokes"].items():
            n_new = after["drawn"][key] - before["drawn"][key]
            n_points = strokes["points"] - before["strokes"][key]["points"]
            n_redraws = strokes["redraws"] - before["strokes"][key]["redraws"]
            wide = 2.1 if key.endswith("resp") else 1.05
            assert n_new > 0.5 * RATE_HZ * elapsed_s
            assert n_new <= n_points <= n_new + n_redraws * wide * span_s * RATE_HZ
        assert await view.read("messagesDropped") == 0
        # Many more on any machine that does nothing else.
        assert frames_per_s > 2
        assert view.complaints == []
