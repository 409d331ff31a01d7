"""Says once a second on ``chevet.status`` that this process lives, and how it is. A shell.

It has a connection of its own, and one status at most is on its way: while the broker is away what
would be said is dropped, for it would be old. It runs in the loop of what it speaks for, so that a
loop that hangs falls silent; and nothing that happens here may slow or end that.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog
from prometheus_client import Counter

from ingest.codec import encode_role_status
from ingest.errors import BrokerRefusedError, IngestError
from ingest.kafka import Producer, missing_topics
from ingest.role_status import RoleState, RoleStatus
from ingest.settings import KafkaSettings
from ingest.topics import STATUS, Topic

log = structlog.get_logger()

PERIOD_S: Final = 1.0
RETRY_S: Final = 1.0
REFUSED_RETRY_S: Final = 30.0
"""A broker that refuses does so until somebody grants the right to write."""

SEND_S_MAX: Final = 3.0
"""A status that the broker does not take within this is dropped, and a new connection made."""

LAST_S_MAX: Final = 1.0
"""For the last word of a process that ends."""

STATUS_DROPPED: Final = Counter(
    "chevet_ingest_status_dropped_total",
    "Statuses that were not said. Grows: the broker is away, or refuses chevet.status (cause "
    "refused: grant this user Write on the topic); the process works all the same.",
    ["cause"],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a process says of itself at this moment."""

    state: RoleState
    reason: str = ""
    gauges: Mapping[str, float] = field(default_factory=dict[str, float])


class StatusReporter:
    """Reports one process.

    Parameters
    ----------
    instance
        Which of the role's processes; empty: this computer's name.
    now
        Called once a second, in the event loop; costs little.

    Attributes
    ----------
    refused
        The broker lets nobody write there with these credentials.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        role: str,
        instance: str,
        now: Callable[[], Said],
        *,
        period_s: float = PERIOD_S,
    ) -> None:
        timeout_s = min(kafka.request_timeout_s, SEND_S_MAX)
        self._kafka = kafka.model_copy(update={"request_timeout_s": timeout_s})
        self._role = role
        self._instance = instance or socket.gethostname()
        self._now = now
        self._period_s = period_s
        self._producer: Producer | None = None
        self.refused = False

    async def run(self) -> None:
        """Report until cancelled; at the end say so, if the broker is there."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                began_s = loop.time()
                pause_s = await self._report()
                await asyncio.sleep(max(0.0, pause_s - (loop.time() - began_s)))
        finally:
            await self._end()

    async def _report(self) -> float:
        """Say once how it is; give the seconds until the next time."""
        try:
            # The client gives up by itself after as long; this is for one that does not.
            async with asyncio.timeout(3 * SEND_S_MAX):
                await self._say(self._now())
        except BrokerRefusedError as error:
            if not self.refused:
                log.warning("status_refused", topic=STATUS.name, error=str(error))
            self.refused = True
            await self._drop("refused")
            return REFUSED_RETRY_S
        except (IngestError, TimeoutError):
            await self._drop("broker_away")
            return RETRY_S
        except Exception:  # a bug here must not end what it speaks for
            log.exception("status_failed")
            await self._drop("failed")
            return REFUSED_RETRY_S
        self.refused = False
        return self._period_s

    async def _say(self, said: Said) -> None:
        status = RoleStatus(
            role=self._role,
            instance=self._instance,
            state=said.state,
            reason=said.reason,
            t_ns=time.time_ns(),
            gauges=said.gauges,
        )
        if self._producer is None:
            producer = Producer(self._kafka)
            await producer.start()
            self._producer = producer
        await self._producer.send(STATUS, [(status.key, encode_role_status(status))])

    async def _drop(self, cause: str) -> None:
        STATUS_DROPPED.labels(cause).inc()
        await self._close()

    async def _close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                await producer.stop()
            except Exception:  # as above
                log.exception("status_failed")

    async def _end(self) -> None:
        if self._producer is not None:
            try:
                async with asyncio.timeout(LAST_S_MAX):
                    await self._say(Said(state=RoleState.STOPPING))
            except (IngestError, TimeoutError):
                STATUS_DROPPED.labels("broker_away").inc()
        await self._close()


async def with_statuses(kafka: KafkaSettings, topics: Iterable[Topic]) -> tuple[Topic, ...]:
    """Add the topic of the statuses to those that a process reads, if it is there.

    A consumer of a topic that is not there would get nothing of the others either, and a system
    from before there were statuses must work on without.

    Raises
    ------
    BrokerError, BrokerRefusedError
    """
    if await missing_topics(kafka, (STATUS,)):
        remedy = "chevet topics creates it; then restart"
        log.warning("no_statuses", topic=STATUS.name, remedy=remedy)
        return tuple(topics)
    return (*topics, STATUS)


@contextlib.asynccontextmanager
async def reporting(reporter: StatusReporter) -> AsyncIterator[None]:
    """Report for as long as the block runs."""
    task = asyncio.create_task(reporter.run(), name="status")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
