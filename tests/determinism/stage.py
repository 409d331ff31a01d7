"""Real Kafka, the roles around it as processes, and all that the workers say."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Self

from aiokafka.admin import AIOKafkaAdminClient

from ingest.codec import decode_alarm, decode_observations, encode_frame
from ingest.frame import Frame
from ingest.kafka import create_topics, open_consumer, open_producer
from ingest.observation import Observation
from ingest.placed_consumer import Place, PlacedConsumer, open_placed_consumer
from ingest.settings import KafkaSettings
from ingest.topics import ALARMS, FRAMES, OBSERVATIONS
from processors.pipeline import Output
from tests.determinism.records import Digest, digest_of
from tests.waiting import WAIT_S, until

TOPICS = (FRAMES, OBSERVATIONS, ALARMS)
STOP_S = 60.0
LOOK_S = 0.1


class Process:
    """A role or a command of ``chevet``."""

    def __init__(self, log: Path, words: Sequence[str]) -> None:
        self._words = words
        self._log = log
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {n: v for n, v in os.environ.items() if not n.startswith("CHEVET_")}
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "deploy.cli", *self._words],
                stdout=log,
                stderr=log,
                env=environment,
            )

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(STOP_S)

    def kill_and_start(self) -> None:
        self.kill()
        self._process = self._start()

    async def stop(self) -> None:
        """Tell it to end, which it does in good order."""
        self._process.terminate()
        await self.ended()

    async def ended(self) -> None:
        """Wait for its end; any exit code but 0 is a failure."""
        code = await asyncio.to_thread(self._process.wait, STOP_S)
        said = self._log.read_text("utf-8", "replace")[-2_000:]
        assert code == 0, f"{self._words[0]} ended with {code}: {said}"


class Processes:
    """Starts processes; none of them outlives the block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[Process] = []

    def start(self, *words: str) -> Process:
        log = self._folder / f"{len(self._started):02d}-{words[0]}.log"
        self._started.append(Process(log, words))
        return self._started[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            process.kill()


class Heard:
    """What workers have said from some place on, by subject."""

    def __init__(self) -> None:
        self._outputs = defaultdict[str, list[Output]](list)
        self.reached: dict[Place, int] = {}

    async def listen(self, consumer: PlacedConsumer) -> None:
        while True:
            for record in await consumer.poll(timeout_s=0.5, n_records_max=2_000):
                outputs: Sequence[Output] = (
                    [decode_alarm(record.payload)]
                    if record.topic == ALARMS.name
                    else decode_observations(record.payload)
                )
                for one in outputs:
                    self._outputs[one.subject_id].append(one)
                self.reached[record.topic, record.partition] = record.offset + 1

    def digest(self, subject_id: str) -> Digest:
        return digest_of(self._outputs[subject_id])

    def n_outputs(self, subject_id: str) -> int:
        """How many came, repeats counted."""
        return len(self._outputs[subject_id])

    def n_rates(self, subject_id: str) -> int:
        """Heart rates that have a value."""
        return sum(
            isinstance(one, Observation) and one.name == "heart_rate" and one.value is not None
            for one in self._outputs[subject_id]
        )


class Stage:
    """The topics from now on, and one group of workers."""

    def __init__(self, settings: KafkaSettings, group: str, heard: Heard) -> None:
        self.settings = settings
        self.group = group
        self.heard = heard

    async def send(self, frames: Iterable[Frame]) -> None:
        records = [(frame.subject_id, encode_frame(frame)) for frame in frames]
        async with open_producer(self.settings) as producer:
            await producer.send(FRAMES, records)

    async def until_all_is_said(self) -> None:
        """Wait until the workers have done with every Frame, and all that they said is here."""
        frames, _ = await ends_of(self.settings)
        wanted = {partition: end for (_, partition), end in frames.items()}
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.bootstrap_servers)
        await admin.start()
        try:
            async with asyncio.timeout(WAIT_S):
                # A worker commits a Frame when what follows from it is stored.
                while await _committed(admin, self.group) != wanted:  # noqa: ASYNC110
                    await asyncio.sleep(LOOK_S)
        finally:
            await admin.close()
        _, said = await ends_of(self.settings)
        await until(lambda: said.items() <= self.heard.reached.items(), "all is heard")


async def _committed(admin: AIOKafkaAdminClient, group: str) -> dict[int, int]:
    offsets = await admin.list_consumer_group_offsets(group)
    return {place.partition: one.offset for place, one in offsets.items()}


async def ends_of(settings: KafkaSettings) -> tuple[dict[Place, int], dict[Place, int]]:
    """Tell where the partitions end now: those of the Frames, and those of what is said."""
    async with open_consumer(settings, TOPICS, group=None) as consumer:
        client = consumer._started
        found = await client.end_offsets(client.assignment())
    ends = {(place.topic, place.partition): end for place, end in found.items()}
    frames = {place: end for place, end in ends.items() if place[0] == FRAMES.name}
    return frames, {place: end for place, end in ends.items() if place not in frames}


@contextlib.asynccontextmanager
async def stage(settings: KafkaSettings, group: str) -> AsyncIterator[Stage]:
    """Begin with what comes next: others have used these topics, too."""
    await create_topics(settings)
    frames, said = await ends_of(settings)
    async with open_consumer(settings, (FRAMES,), group=group) as consumer:
        await consumer.commit(frames)
    heard = Heard()
    heard.reached |= said
    async with (
        open_placed_consumer(
            settings, (OBSERVATIONS, ALARMS), group=f"{group}-listener", offsets=said
        ) as consumer,
        asyncio.TaskGroup() as tasks,
    ):
        task = tasks.create_task(heard.listen(consumer), name="listen")
        yield Stage(settings, group, heard)
        task.cancel()
