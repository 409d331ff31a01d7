"""The recorder on a real broker: every sample once in the archive, whatever happens to it."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.local.kafka import KafkaBroker
from ingest.codec import (
    decode_dead_letter,
    decode_role_status,
    encode_alarm,
    encode_annotation,
    encode_frame,
    encode_observations,
)
from ingest.dead_letter import DeadLetter
from ingest.kafka import create_topics, open_consumer, open_producer
from ingest.role_status import RECORDER, RoleState
from ingest.settings import KafkaSettings
from ingest.topics import ALARMS, ANNOTATIONS, DEAD_LETTERS, FRAMES, OBSERVATIONS, STATUS, Topic
from processors.sinks.archive import open_archive
from processors.sinks.archive.errors import ArchiveRefusedError
from processors.sinks.archive.recorder import TOPICS, Recorder
from processors.sinks.archive.verify import verify
from processors.sinks.archive.writer import ArchiveWriter, read_state
from tests.archive.frames import N, frame, frames, stored
from tests.ingest import records
from tests.stored import stored_records
from tests.waiting import WAIT_S, until

pytestmark = pytest.mark.usefixtures("no_task_left_behind")

N_SUBJECTS = 12
N_KILLS = 3


@pytest.fixture
async def kafka(kafka_broker: KafkaBroker) -> KafkaSettings:
    settings = KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers)
    await create_topics(settings)
    return settings


async def ends_of(kafka: KafkaSettings) -> dict[tuple[str, int], int]:
    """Where each partition ends now."""
    async with open_consumer(kafka, TOPICS, group=None) as consumer:
        client = consumer._started
        ends = await client.end_offsets(client.assignment())
    return {(place.topic, place.partition): end for place, end in ends.items()}


async def begin(kafka: KafkaSettings, *folders: Path) -> None:
    """Make archives that begin with what comes next: others have used these topics, too."""
    ends = await ends_of(kafka)
    for folder in folders:
        with ArchiveWriter(folder) as writer:
            writer.commit((), ends)


async def send(kafka: KafkaSettings, topic: Topic, *payloads: bytes, key: str) -> None:
    async with open_producer(kafka) as producer:
        await producer.send(topic, [(key, payload) for payload in payloads])


@asynccontextmanager
async def recording(
    kafka: KafkaSettings, folder: Path, group: str, *, commit_s: float = 0.1
) -> AsyncIterator[Recorder]:
    """Record for a while; what was read by the end is written."""
    stop = asyncio.Event()
    with ArchiveWriter(folder) as writer:
        recorder = Recorder(writer, commit_s=commit_s, buffer_mb=8)
        running = asyncio.create_task(recorder.run(kafka, group, stop))
        try:
            yield recorder
            stop.set()
            async with asyncio.timeout(WAIT_S):
                await running
        finally:
            running.cancel()
            await asyncio.wait([running])


def n_stored(folder: Path, subject_id: str) -> int:
    archive = open_archive(folder)
    return len(stored(archive.subject(subject_id))) if subject_id in archive.subjects() else 0


async def committed(kafka: KafkaSettings, group: str) -> dict[tuple[str, int], int]:
    """How far the group is, as it was told."""
    async with open_consumer(kafka, (FRAMES,), group=group) as consumer:
        client = consumer._started
        return {
            (place.topic, place.partition): await client.committed(place)
            for place in client.assignment()
        }


async def test_what_comes_is_recorded_and_the_group_is_told(
    kafka: KafkaSettings, tmp_path: Path, unique_name: str
) -> None:
    await begin(kafka, tmp_path)
    async with recording(kafka, tmp_path, unique_name) as recorder:
        await send(kafka, FRAMES, *map(encode_frame, frames(0, 3, unique_name)), key=unique_name)
        one = records.observation(subject_id=unique_name)
        await send(kafka, OBSERVATIONS, encode_observations([one]), key=unique_name)
        alarm = records.alarm(subject_id=unique_name)
        await send(kafka, ALARMS, encode_alarm(alarm), key=unique_name)
        said = records.annotation(subject_id=unique_name)
        await send(kafka, ANNOTATIONS, encode_annotation(said), key=unique_name)
        await until(lambda: n_stored(tmp_path, unique_name) == 3 * N)
        await until(lambda: recorder.said().state is RoleState.READY)
        await until(lambda: open_archive(tmp_path).subject(unique_name).alarms() == [alarm])
        await until(lambda: open_archive(tmp_path).subject(unique_name).annotations() == [said])
    subject = open_archive(tmp_path).subject(unique_name)

    assert list(subject.frames()) == list(frames(0, 3, unique_name))
    assert subject.observations() == [one]
    assert subject.alarms() == [alarm]
    with ArchiveWriter(tmp_path) as writer:
        expected = {place: end for place, end in writer.offsets.items() if place[0] == FRAMES.name}
    assert await committed(kafka, unique_name) == expected


async def test_the_archive_says_where_to_go_on_whatever_the_group_says(
    kafka: KafkaSettings, tmp_path: Path, unique_name: str
) -> None:
    await begin(kafka, tmp_path / "one", tmp_path / "two")
    await send(kafka, FRAMES, *map(encode_frame, frames(0, 4, unique_name)), key=unique_name)
    async with recording(kafka, tmp_path / "one", unique_name):
        await until(lambda: n_stored(tmp_path / "one", unique_name) == 4 * N)
    # The group has read everything; another archive has nothing of it.
    async with recording(kafka, tmp_path / "two", unique_name):
        await until(lambda: n_stored(tmp_path / "two", unique_name) == 4 * N)
    # The group of this archive knows of nothing; the archive has everything.
    await send(kafka, FRAMES, encode_frame(frame(4, unique_name)), key=unique_name)
    async with recording(kafka, tmp_path / "one", f"{unique_name}-other"):
        await until(lambda: n_stored(tmp_path / "one", unique_name) >= 5 * N)

    assert stored(open_archive(tmp_path / "one").subject(unique_name)) == list(range(5 * N))


async def test_a_frame_that_came_twice_is_recorded_once(
    kafka: KafkaSettings, tmp_path: Path, unique_name: str
) -> None:
    await begin(kafka, tmp_path)
    payloads = [*map(encode_frame, frames(0, 3, unique_name))]
    await send(kafka, FRAMES, *payloads, *payloads[1:], key=unique_name)
    async with recording(kafka, tmp_path, unique_name):
        await until(lambda: n_stored(tmp_path, unique_name) >= 3 * N)
        await send(kafka, FRAMES, *payloads, encode_frame(frame(3, unique_name)), key=unique_name)
        await until(lambda: n_stored(tmp_path, unique_name) >= 4 * N)

    assert stored(open_archive(tmp_path).subject(unique_name)) == list(range(4 * N))


async def test_what_nobody_can_read_goes_to_the_dead_letters(
    kafka: KafkaSettings, tmp_path: Path, unique_name: str
) -> None:
    await begin(kafka, tmp_path)
    bad = f"no record: {unique_name}".encode()
    await send(kafka, FRAMES, bad, encode_frame(frame(0, unique_name)), key=unique_name)
    async with recording(kafka, tmp_path, unique_name):
        await until(lambda: n_stored(tmp_path, unique_name) == N)
    found: list[DeadLetter] = []
    async with (
        asyncio.timeout(WAIT_S),
        open_consumer(kafka, [DEAD_LETTERS], group=None) as consumer,
    ):
        while not found:
            polled = await consumer.poll(timeout_s=0.5, n_records_max=100)
            letters = [decode_dead_letter(record.payload) for record in polled]
            found = [letter for letter in letters if letter.payload == bad]

    assert found[0].source == "recorder"
    assert "no Avro single-object header" in found[0].reason


async def test_while_the_disk_is_full_nothing_is_read_and_nothing_is_lost(
    kafka: KafkaSettings, tmp_path: Path, unique_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(kafka, tmp_path)
    is_full = True

    def full(_descriptor: int) -> None:
        if is_full:
            raise OSError(28, "No space left on device")

    async with recording(kafka, tmp_path, unique_name) as recorder:
        monkeypatch.setattr("processors.sinks.archive.disk.os.fsync", full)
        await send(kafka, FRAMES, encode_frame(frame(0, unique_name)), key=unique_name)
        await until(lambda: recorder.said().reason == "store")
        waiting = recorder.said().gauges["buffered_records"]
        await send(kafka, FRAMES, encode_frame(frame(1, unique_name)), key=unique_name)
        assert recorder.said().gauges["buffered_records"] == waiting
        is_full = False
        await until(lambda: n_stored(tmp_path, unique_name) == 2 * N)

    assert stored(open_archive(tmp_path).subject(unique_name)) == list(range(2 * N))


def recorded(folder: Path) -> dict[tuple[str, int], int]:
    """How far Kafka is in an archive that another process writes."""
    offsets = read_state(folder)["offsets"]
    return {(topic, int(p)): end for topic, ends in offsets.items() for p, end in ends.items()}


def start(kafka: KafkaSettings, folder: Path, group: str) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "CHEVET_COMMIT_S": "0.1",
        "CHEVET_GROUP": group,
        "CHEVET_INSTANCE": group,
        "CHEVET_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
    }
    command = [sys.executable, "-m", "deploy.cli", "record", "--archive", str(folder)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


@pytest.mark.slow
async def test_killed_at_any_moment_every_sample_is_in_the_archive_once(
    kafka: KafkaSettings, tmp_path: Path, unique_name: str
) -> None:
    """Counted on both ends, with many subjects so that most of the time it is writing."""
    folder = tmp_path / "archive"
    names = [f"{unique_name}-{n}" for n in range(N_SUBJECTS)]
    rng = random.Random(unique_name)
    await begin(kafka, folder)

    is_enough = asyncio.Event()
    n_frames = 0

    async def produce() -> None:
        nonlocal n_frames
        async with open_producer(kafka) as producer:
            while not is_enough.is_set():
                given = [(name, encode_frame(frame(n_frames, name))) for name in names]
                await producer.send(FRAMES, given)
                n_frames += 1
                await asyncio.sleep(0.02)

    def number() -> int:
        try:
            return int(read_state(folder)["number"])
        except ArchiveRefusedError:
            return 0

    producing = asyncio.create_task(produce())
    n_commits = []
    process = start(kafka, folder, unique_name)
    try:
        for _ in range(N_KILLS):
            before = number()
            await until(lambda before=before: number() > before + 1)  # type: ignore[misc]
            await asyncio.sleep(rng.uniform(0.0, 0.15))
            process.kill()
            process.wait()
            n_commits.append(number() - before)
            process = start(kafka, folder, unique_name)
        is_enough.set()
        await producing
        ends = await ends_of(kafka)
        await until(lambda: recorded(folder) == ends, "everything is recorded")
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
    finally:
        process.kill()
        process.wait()
        producing.cancel()
        await asyncio.wait([producing])

    archive = open_archive(folder)
    for name in names:
        assert sorted(stored(archive.subject(name))) == list(range(n_frames * N))
        assert archive.subject(name).signal("ecg").counts.tolist() == list(range(n_frames * N))
    assert verify(folder).findings == ()
    statuses = [
        decode_role_status(record.payload)
        for record in await stored_records(kafka, STATUS)
        if record.key == f"{RECORDER}/{unique_name}".encode()
    ]
    assert statuses[-1].state is RoleState.STOPPING
    assert RoleState.READY in {one.state for one in statuses}
    n_samples = N_SUBJECTS * n_frames * N
    print(f"{N_KILLS} kills after {n_commits} commits: {n_samples} samples, each once")
