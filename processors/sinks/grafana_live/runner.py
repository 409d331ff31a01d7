"""The Grafana Live sink: reads what comes next, and pushes ten times a second.

Reading and pushing do not wait for each other. While Grafana is away, or slow, what is not live any
more is dropped and counted; nothing of it is sent later.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from ingest.codec import decode_alarm, decode_frame, decode_observations
from ingest.errors import BrokerError, RecordError
from ingest.kafka import ConsumedRecord, Consumer, open_consumer
from ingest.role_status import GRAFANA_LIVE, RoleState
from ingest.settings import KafkaSettings
from ingest.status_reporter import Said
from ingest.topics import ALARMS, FRAMES, OBSERVATIONS
from processors import metrics
from processors.sinks.grafana_live.client import Outcome, TokenError
from processors.sinks.grafana_live.counts import PushCounts
from processors.sinks.grafana_live.pusher import Body, LivePusher
from processors.sinks.lanes import back_off_s, stopped_within

log = structlog.get_logger()

POLL_S: Final = 0.5
N_RECORDS_MAX: Final = 500
TURN_S: Final = 1.0
STALL_S: Final = 30.0
"""After so long without a turn of its loop the process is not live."""

_SAMPLES: Final = ("pushed", "late", "ahead", "thinned", "expired", "lost", "refused")
_LEFT_OUT: Final = ("numerals_lost", "events_lost", "events_dropped", "subjects_refused")


class Pushing(Protocol):
    """Sends bodies; `client.PushClient` is one."""

    async def push(self, payload: bytes) -> Outcome:
        """Send one body, once."""
        ...

    async def renew_token(self) -> bool:
        """Read the token again; tell whether it is another one. Raises TokenError."""
        ...


class GrafanaLive:
    """One pusher between a consumer and a Grafana.

    Parameters
    ----------
    clock_ns
        UTC, nanoseconds since 1970.
    """

    def __init__(
        self,
        pusher: LivePusher,
        client: Pushing,
        *,
        interval_s: float,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._pusher = pusher
        self._client = client
        self._interval_s = interval_s
        self._clock_ns = clock_ns
        self._n_failures = 0
        self._told = PushCounts()
        self._turned_s = time.monotonic()
        self.reads = False
        """Whether the topics are being read."""
        self.last = Outcome(answer="taken")
        """What Grafana said last."""

    @property
    def is_live(self) -> bool:
        """Whether the loop comes round."""
        return time.monotonic() - self._turned_s < STALL_S

    @property
    def waits_for(self) -> str:
        """What it waits for: ``broker``, ``grafana``, or nothing."""
        if not self.reads:
            return "broker"
        return "" if self.last.answer == "taken" else "grafana"

    @property
    def is_ready(self) -> bool:
        """Whether the topics are read and Grafana takes what it is sent."""
        return not self.waits_for

    def said(self) -> Said:
        """Say for `chevet.status` how it is."""
        counts = self._pusher.counts
        return Said(
            state=RoleState.WAITING if self.waits_for else RoleState.READY,
            reason=self.waits_for,
            gauges={
                "subjects": float(self._pusher.n_subjects),
                "samples_pushed": float(counts.samples_pushed),
                "samples_lost": float(counts.samples_lost + counts.samples_expired),
            },
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Push until ``stop`` is set, then take the numerals from the panels."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while not stop.is_set():
            pause_s = await self._push_all(self._pusher.take(self._clock_ns()))
            self._report()
            # What was missed while Grafana was slow is not made up for.
            due_s = max(due_s + self._interval_s, loop.time() + pause_s)
            await self._wait(due_s, stop)
        await self._push_all(self._pusher.farewell(self._clock_ns()))
        self._report()

    async def _wait(self, due_s: float, stop: asyncio.Event) -> None:
        """Wait until a time of the loop's; a long pause is no standstill."""
        loop = asyncio.get_running_loop()
        while not stop.is_set() and (left_s := due_s - loop.time()) > 0:
            await stopped_within(min(left_s, TURN_S), stop)
            self._turned_s = time.monotonic()

    def take(self, record: ConsumedRecord) -> None:
        """Give a record to the pusher; one that nobody can read is for others to put aside."""
        try:
            # The key is the subject: of those that nobody watches nothing is decoded.
            if record.key is not None and not self._pusher.is_watched(record.key.decode()):
                return
            now_ns = self._clock_ns()
            if record.topic == FRAMES.name:
                self._pusher.add_frame(decode_frame(record.payload), now_ns)
            elif record.topic == OBSERVATIONS.name:
                for observation in decode_observations(record.payload):
                    self._pusher.add_observation(observation, now_ns)
            else:
                self._pusher.add_alarm(decode_alarm(record.payload), now_ns)
        except (RecordError, UnicodeDecodeError) as error:
            log.warning("record_unreadable", error=str(error), topic=record.topic, at=record.offset)

    async def _push_all(self, bodies: list[Body]) -> float:
        """Push in order; give for how long to push nothing. Behind a failure all is lost."""
        pause_s = 0.0
        for body in bodies:
            arrived = pause_s == 0.0 and await self._push(body)
            self._pusher.settle(body, arrived=arrived)
            if not arrived and pause_s == 0.0:
                pause_s = await self._pause_s()
        return pause_s

    async def _push(self, body: Body) -> bool:
        begun_s = time.monotonic()
        outcome = await self._client.push(body.payload)
        metrics.LIVE_PUSH_SECONDS.observe(time.monotonic() - begun_s)
        metrics.LIVE_PUSHES.labels(outcome.answer).inc()
        before, self.last = self.last, outcome
        if outcome.answer == "taken":
            if before.answer != "taken":
                log.info("grafana_takes_again", after_failures=self._n_failures)
            self._n_failures = 0
            return True
        self._n_failures += 1
        if outcome.answer != before.answer:
            say = log.error if outcome.answer in {"refused", "token_refused"} else log.warning
            say("grafana_push_failed", answer=outcome.answer, text=outcome.text)
        return False

    async def _pause_s(self) -> float:
        """Say how long to wait after a failure."""
        if self.last.answer == "token_refused":
            try:
                if await self._client.renew_token():
                    log.info("grafana_token_renewed")
                    return self._interval_s
            except TokenError as error:
                log.error("grafana_token_unreadable", error=str(error))
        return self.last.retry_after_s or back_off_s(self._n_failures)

    def _report(self) -> None:
        self._turned_s = time.monotonic()
        now, told = self._pusher.counts.as_dict(), self._told.as_dict()
        grown = Counter({name: n - told[name] for name, n in now.items()})
        metrics.SAMPLES_IN.labels(GRAFANA_LIVE).inc(grown["samples_came"])
        for what in _SAMPLES:
            metrics.LIVE_SAMPLES.labels(what).inc(grown[f"samples_{what}"])
        for what in _LEFT_OUT:
            metrics.LIVE_LEFT_OUT.labels(what).inc(grown[what])
        metrics.SUBJECTS.labels(GRAFANA_LIVE).set(self._pusher.n_subjects)
        metrics.READY.labels(GRAFANA_LIVE).set(self.is_ready)
        self._told = PushCounts(**now)


async def run_grafana_live(kafka: KafkaSettings, live: GrafanaLive, stop: asyncio.Event) -> None:
    """Read the topics from their ends and push until ``stop`` is set, come what may.

    Raises
    ------
    BrokerRefusedError
    """
    pushing = asyncio.create_task(live.run(stop), name="push")
    reading = asyncio.create_task(_read(kafka, live), name="read")
    try:
        # A reader that ends has failed; a pusher that ends was told to.
        await asyncio.wait((pushing, reading), return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended = [task for task in (pushing, reading) if task.done()]
        pushing.cancel()
        reading.cancel()
        await asyncio.wait((pushing, reading))
    for task in ended:
        task.result()


async def _read(kafka: KafkaSettings, live: GrafanaLive) -> None:
    """Read without a group: every such process sees everything; it begins with what comes next."""
    topics = (FRAMES, OBSERVATIONS, ALARMS)
    while True:
        try:
            async with open_consumer(kafka, topics, group=None, from_latest=True) as consumer:
                live.reads = True
                await _pump(consumer, live)
        except BrokerError as error:
            log.warning("broker_unavailable", error=str(error))
            await asyncio.sleep(back_off_s(2))
        finally:
            live.reads = False


async def _pump(consumer: Consumer, live: GrafanaLive) -> None:
    while True:
        for record in await consumer.poll(timeout_s=POLL_S, n_records_max=N_RECORDS_MAX):
            live.take(record)
