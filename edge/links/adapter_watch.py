"""Adapters that come while the agent runs, and those that were away for a moment. A shell.

Nobody tells an agent that its adapter was pulled out and put back, if no link stood on it: the
scan goes on and hears nothing. A look at what is there costs nothing and is taken every second.
"""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Final

import structlog

from edge.errors import RadioUnavailableError
from edge.links import link_metrics
from edge.links.back_off import BackOff
from edge.links.radio import Radio, RadioAdapter
from edge.waiting import unless, wait_any

log = structlog.get_logger()

LOOK_S: Final = 1.0
RETRY: Final = BackOff(first_s=1.0, max_s=10.0)
"""A newcomer that cannot be used yet is tried again: BlueZ needs a moment, and may not run."""


class AdapterWatch:
    """Compares what is there with what was.

    Parameters
    ----------
    radio
        Of the agent.
    on_new
        Takes an adapter into use.
    on_away
        Is told of one that was, or is, away.
    """

    def __init__(
        self,
        radio: Radio,
        on_new: Callable[[RadioAdapter], None],
        on_away: Callable[[str], None],
    ) -> None:
        self._radio = radio
        self._on_new = on_new
        self._on_away = on_away
        self._marks: dict[RadioAdapter, int] = {}
        self._known_elsewhere: set[str] = set()
        self._n_failures: dict[str, int] = {}
        self._try_at_s: dict[str, float] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Take what was there at the start, then look until ``stop`` is set."""
        for adapter in self._radio.adapters:
            self._take(adapter)
        for text in self._radio.missing:
            log.error("adapter_missing", error=text)
        if not self._radio.adapters:
            log.error("no_adapter")
        while not stop.is_set():
            self._compare()
            for name in self._due():
                await unless(stop, self._try(name))
            await wait_any(LOOK_S, stop)

    def _compare(self) -> None:
        for adapter, before in self._marks.items():
            mark = adapter.recovery.mark()
            if mark != before:
                self._marks[adapter] = mark
                log.warning("adapter_was_away", adapter=adapter.name)
                self._on_away(adapter.name)

    def _due(self) -> list[str]:
        newcomers = self._radio.newcomers()
        for gone in self._try_at_s.keys() - set(newcomers):
            del self._try_at_s[gone], self._n_failures[gone]
        self._known_elsewhere &= set(newcomers)
        now_s = time.monotonic()
        return [
            name
            for name in newcomers
            if name not in self._known_elsewhere and now_s >= self._try_at_s.get(name, now_s)
        ]

    async def _try(self, name: str) -> None:
        try:
            adapter = await self._radio.open(name)
        except RadioUnavailableError as error:
            n_failures = self._n_failures.get(name, 0)
            if n_failures == 0:
                log.warning("adapter_not_taken", adapter=name, error=str(error))
            self._n_failures[name] = n_failures + 1
            pause_s = RETRY.pause_s(n_failures, random.random())  # noqa: S311
            self._try_at_s[name] = time.monotonic() + pause_s
            return
        if adapter is None:
            self._known_elsewhere.add(name)
        else:
            self._take(adapter)

    def _take(self, adapter: RadioAdapter) -> None:
        self._marks[adapter] = adapter.recovery.mark()
        link_metrics.ADAPTERS.set(len(self._marks))
        log.info("adapter_taken", adapter=adapter.name)
        self._on_new(adapter)
