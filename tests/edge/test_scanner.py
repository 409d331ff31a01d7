"""One adapter's scanner, on an adapter that hangs."""

import asyncio

import pytest

from edge.links import scanner
from edge.links.radio import RadioAdapter
from edge.links.recovery import NoRecovery
from edge.links.scanner import AdapterScanner
from tests.waiting import until


class Hanging(NoRecovery):
    """A system that never answers."""

    def __init__(self, name: str, *, is_there: bool) -> None:
        super().__init__(name)
        self.is_there = is_there
        self.asked = asyncio.Event()

    async def locate(self) -> str | None:
        if not self.is_there:
            self.asked.set()
            await asyncio.Event().wait()
        return None

    async def power_cycle(self) -> bool:
        self.asked.set()
        await asyncio.Event().wait()
        return True


def unheeded(adapter: str, *, usable: bool) -> None:
    """Whether it scans matters to nobody here."""


@pytest.mark.parametrize("is_there", [False, True])
async def test_an_agent_that_stops_does_not_wait_for_an_adapter_that_hangs(
    monkeypatch: pytest.MonkeyPatch, *, is_there: bool
) -> None:
    monkeypatch.setattr(scanner, "STOP_S_MAX", 0.01)
    recovery, stop = Hanging("hci0", is_there=is_there), asyncio.Event()
    one = AdapterScanner(
        RadioAdapter(name="hci0", recovery=recovery, by_name=True),
        silence_s=0.01,
        on_advertisement=lambda *_: None,
        on_usable=unheeded,
        expected=lambda: True,
        n_links=lambda _: 0,
    )
    running = asyncio.create_task(one.run(stop))
    await until(recovery.asked.is_set)

    stop.set()

    async with asyncio.timeout(10):
        await running
