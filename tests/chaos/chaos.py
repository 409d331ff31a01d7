"""One chaos run: everything goes wrong, and at the end nothing is missing, extra or different."""

import asyncio
import contextlib
import http.client
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from deploy.readback import InfluxReader
from ingest.codec import decode_alarm, decode_observations, encode_frame
from ingest.errors import BrokerError
from ingest.frame import Frame
from ingest.kafka import create_topics, open_consumer, open_producer
from ingest.settings import KafkaSettings
from ingest.topics import ALARMS, FRAMES, OBSERVATIONS
from processors.pipeline import Output
from tests.chaos.people import (
    Identity,
    Truth,
    by_identity,
    differences,
    people,
    stored_differences,
    truth_of,
)
from tests.chaos.schedule import Event, Plan, events_of
from tests.chaos.town import Role, Town

CATCH_UP_S = 150.0
"""From the last thing that goes wrong until all must have come."""
SUPERVISE_S = 1.0
EXTRA_S = 3.0
"""So long something extra is waited for when all has come."""


@dataclass
class Report:
    """What a run was, in figures."""

    seed: int
    n_frames: int = 0
    n_repeated: int = 0
    n_outputs: int = 0
    n_again: int = 0
    n_points: int = 0
    happened: Counter[str] = field(default_factory=Counter[str])
    seconds: float = 0.0

    def line(self) -> str:
        events = ", ".join(f"{n} x {what}" for what, n in sorted(self.happened.items()))
        return (
            f"seed {self.seed}: {self.n_frames} frames, {self.n_repeated} of them again; {events}; "
            f"{self.n_outputs} observations and alarms identical, {self.n_again} delivered again; "
            f"{self.n_points} points in InfluxDB identical; {self.seconds:.0f} s"
        )


class ChaosRun:
    """Feeds a town while things go wrong in it.

    Parameters
    ----------
    folder
        For logs and settings.
    """

    def __init__(self, plan: Plan, seed: int, folder: Path) -> None:
        self._plan = plan
        self._rng = Random(seed + 1)
        self._events = events_of(plan, seed)
        self._town = Town(folder)
        self._folder = folder
        self._settings = KafkaSettings(
            bootstrap_servers=self._town.kafka.bootstrap_servers, n_partitions=4
        )
        self.report = Report(seed)

    async def run(self) -> Report:
        """Run it.

        Raises
        ------
        AssertionError
            Something is missing, extra or different.
        """
        begun_s = time.monotonic()
        everybody = people(self._plan.n_subjects, self._plan.seconds)
        truth_folder = self._folder / "truth"
        truth_folder.mkdir()
        truth = truth_of(everybody, truth_folder)
        with self._town.running():
            await create_topics(self._settings)
            for role in (*self._town.workers[:2], self._town.sink):
                role.start()
            for worker in self._town.workers[:2]:
                await asyncio.to_thread(worker.until_ready)
            supervising = asyncio.create_task(self._supervise(), name="supervise")
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._feed(everybody))
                    tasks.create_task(self._disturb())
                await self._hold(truth)
            except AssertionError as error:
                raise AssertionError(
                    f"seed {self.report.seed}: {error}\n{self._town.said()}"
                ) from None
            finally:
                supervising.cancel()
        self.report.seconds = time.monotonic() - begun_s
        return self.report

    # What goes in

    async def _feed(self, everybody: dict[str, list[Frame]]) -> None:
        begun_s = time.monotonic()
        for n in range(self._plan.seconds):
            due_s = begun_s + n * self._plan.feed_s / self._plan.seconds
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            records = [(name, frames[n]) for name, frames in everybody.items()]
            self._rng.shuffle(records)
            again = [
                (name, everybody[name][self._rng.randint(0, n)])
                for name in everybody
                if self._rng.random() < self._plan.repeated
            ]
            await self._send([*records, *again])
            self.report.n_frames += len(records)
            self.report.n_repeated += len(again)

    async def _send(self, records: list[tuple[str, Frame]]) -> None:
        payloads = [(name, encode_frame(frame)) for name, frame in records]
        while True:
            try:
                async with open_producer(self._settings) as producer:
                    await producer.send(FRAMES, payloads)
            except BrokerError:
                # Some may be there already: then they come twice, as an agent's would.
                await asyncio.sleep(0.2)
            else:
                return

    # What goes wrong

    async def _disturb(self) -> None:
        begun_s = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for event in self._events:
                await asyncio.sleep(max(0.0, begun_s + event.at_s - time.monotonic()))
                tasks.create_task(self._happen(event))

    async def _happen(self, event: Event) -> None:
        town = self._town
        self.report.happened[event.what] += 1
        if event.what == "kill worker":
            await self._kill(town.workers[event.which])
        elif event.what == "kill sink":
            await self._kill(town.sink)
        elif event.what == "third worker":
            third = town.workers[2]
            await asyncio.to_thread(third.stop if third.is_running else third.start)
        elif event.what == "broker away":
            await asyncio.to_thread(town.kafka.kill)
            await asyncio.sleep(self._plan.broker_away_s)
            await asyncio.to_thread(town.kafka.start)
        else:
            await asyncio.to_thread(town.influx.stop)
            await asyncio.sleep(self._plan.influx_away_s)
            await asyncio.to_thread(town.influx.start)

    async def _supervise(self) -> None:
        """Start again who has ended by itself, as a supervisor does; it is told in the report."""
        while True:
            for role in (*self._town.workers, self._town.sink):
                if (code := role.ended_with) is not None:
                    self.report.happened[f"{role.name} ended with {code}"] += 1
                    role.start()
            await asyncio.sleep(SUPERVISE_S)

    async def _kill(self, role: Role) -> None:
        await asyncio.to_thread(role.kill)
        await asyncio.sleep(self._rng.uniform(0.0, 2.0))
        role.start()

    # What comes out

    async def _hold(self, truth: Truth) -> None:
        """Wait until all has come; fail where anything is missing, extra or different."""
        outputs = await self._outputs(truth)
        if found := differences(outputs, truth.outputs):
            raise AssertionError(f"observations: {found}")
        self.report.n_outputs = len(outputs)
        reader = InfluxReader(self._town.influx.url, self._town.influx.database)
        until_s = time.monotonic() + CATCH_UP_S
        while True:
            try:
                stored = await asyncio.to_thread(reader.read)
                found = stored_differences(stored, truth.stored)
            except (OSError, http.client.HTTPException) as error:
                found = f"no answer: {error!r}"  # it has much to write, and answers later
            if not found:
                break
            if time.monotonic() > until_s:
                raise AssertionError(f"InfluxDB: {found}")
            await asyncio.sleep(1.0)
        self.report.n_points = stored.n_samples + stored.n_observations

    async def _outputs(self, truth: Truth) -> dict[Identity, Output]:
        """Read what the workers have sent, until all has come and nothing more comes."""
        outputs: list[Output] = []
        missing = set(truth.outputs)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP_S):
                async for batch in self._records():
                    outputs += batch
                    missing -= by_identity(batch).keys()
                    if not missing and not batch:
                        break
        found = by_identity(outputs)
        self.report.n_again = len(outputs) - len(found)
        return found

    async def _records(self) -> AsyncIterator[list[Output]]:
        topics = (OBSERVATIONS, ALARMS)
        async with open_consumer(self._settings, topics, group=None) as consumer:
            while True:
                batch: list[Output] = []
                for record in await consumer.poll(timeout_s=EXTRA_S, n_records_max=2_000):
                    if record.topic == OBSERVATIONS.name:
                        batch += decode_observations(record.payload)
                    else:
                        batch.append(decode_alarm(record.payload))
                yield batch
