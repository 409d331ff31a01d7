"""A page without a browser: opens the live page's socket and measures how old samples are."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final, Self

import aiohttp
import numpy as np

from processors.sinks.live.protocol import ProtocolError, decode_samples

N_LATENCIES_MAX: Final = 1_000_000
RETRY_S: Final = 0.5


class PageProbe:
    """Listens to some subjects in a thread of its own, as their pages would."""

    def __init__(self, page: str, subjects: Sequence[str]) -> None:
        self._page = page.rstrip("/")
        self._subjects = subjects
        self._latencies_ms: deque[float] = deque(maxlen=N_LATENCIES_MAX)
        self._stop = threading.Event()
        self._error: ProtocolError | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._listen()), name="probe")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        """Raise what has gone wrong in the thread.

        Raises
        ------
        ProtocolError
        """
        if self._error is not None:
            raise self._error

    def latency_ms(self, percents: Sequence[int]) -> dict[str, float | None]:
        """Give percentiles of the time from a block's first payload at the agent to here."""
        latencies = list(self._latencies_ms)
        return {
            f"p{percent}": round(float(np.percentile(latencies, percent)), 1) if latencies else None
            for percent in percents
        }

    async def _listen(self) -> None:
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
            for subject in self._subjects:
                tasks.create_task(self._follow(session, subject), name=subject)

    async def _follow(self, session: aiohttp.ClientSession, subject: str) -> None:
        while not self._stop.is_set():
            try:
                async with session.ws_connect(
                    f"{self._page}/ws", params={"subject": subject}
                ) as socket:
                    await self._take(socket)
            except aiohttp.ClientError:
                await asyncio.sleep(RETRY_S)

    async def _take(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if self._stop.is_set():
                return
            if message.type is not aiohttp.WSMsgType.BINARY:
                continue
            try:
                samples = decode_samples(message.data)
            except ProtocolError as error:
                self._error = error
                return
            if samples.received_ns is not None and not samples.history:
                self._latencies_ms.append((time.time_ns() - samples.received_ns) / 1e6)
