"""Workers that are killed, joined, left and cut off: what comes out is what would have come out."""

import asyncio
import os
import random
import signal
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local.embedded_broker import EmbeddedBroker
from deploy.local.kafka import KafkaBroker
from ingest.checkpoint import Checkpoint
from ingest.checkpoint_topic import CheckpointTopic
from ingest.codec import decode_checkpoint, encode_checkpoint
from ingest.kafka import create_topics
from ingest.settings import KafkaSettings
from processors.watchdog import EXIT_LOOP_STUCK, EXIT_STALLED
from tests.worker.running import (
    HANG_VARIABLE,
    RunningWorker,
    frames_of,
    in_process,
    outputs_of,
    send,
    until,
)

SECONDS = 60
N_KILLS = 3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(params=["kafka_broker", "embedded_broker"])
def settings(request: pytest.FixtureRequest) -> KafkaSettings:
    broker: KafkaBroker | EmbeddedBroker = request.getfixturevalue(request.param)
    return KafkaSettings(bootstrap_servers=broker.bootstrap_servers)


async def test_a_worker_killed_at_random_gives_what_an_undisturbed_one_gives(
    settings: KafkaSettings, tmp_path: Path, unique_name: str
) -> None:
    await create_topics(settings)
    names = [f"{unique_name}-{n}" for n in range(3)]
    frames = frames_of(names, SECONDS)
    expected = in_process(frames)
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    kills = sorted(rng.uniform(0.05, 0.9) for _ in range(N_KILLS))

    async with outputs_of(settings, names) as outputs:
        n_sent = 0
        with RunningWorker(settings, tmp_path, unique_name) as worker:
            for part in kills:
                n_frames = int(len(frames) * part)
                await send(settings, frames[n_sent:n_frames])
                n_sent = n_frames
                # Somewhere in what was sent, and with some states stored but not all.
                await outputs.at_least(int(len(expected) * part * rng.uniform(0.5, 0.9)))
                await asyncio.sleep(rng.uniform(0.0, 1.0))
                worker.kill_and_start()
            await send(settings, frames[n_sent:])
            await outputs.at_least(len(expected))
            assert worker.stop() == 0

    assert outputs.found == expected


async def test_a_worker_that_hangs_ends_by_itself_and_the_next_one_goes_on(
    kafka_broker: KafkaBroker, tmp_path: Path, unique_name: str
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers)
    await create_topics(settings)
    names = [f"{unique_name}-{n}" for n in range(3)]
    frames = frames_of(names, SECONDS)
    expected = in_process(frames)

    async with outputs_of(settings, names) as outputs:
        with RunningWorker(
            settings,
            tmp_path,
            unique_name,
            program="tests.worker.hanging",
            environment={HANG_VARIABLE: str(tmp_path)},
        ) as worker:
            await send(settings, frames)
            assert await worker.ended_by_itself() == EXIT_LOOP_STUCK
            worker.start_again()
            assert await worker.ended_by_itself() == EXIT_STALLED
            worker.start_again()
            await outputs.at_least(len(expected))
            assert worker.stop() == 0

    assert outputs.found == expected


async def test_states_of_another_version_and_junk_are_told_and_stop_nobody(
    kafka_broker: KafkaBroker, tmp_path: Path, unique_name: str
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers)
    await create_topics(settings)
    names = [f"{unique_name}-{n}" for n in range(3)]
    frames = frames_of(names, 20)
    expected = in_process(frames)
    # Of the second subject a state that is of no version known, of the third what is no record.
    fields = {"next_offset": 0, "record_ms": -1, "newest_ns": 0, "program": "0.0.0"}
    old = Checkpoint.of(b"CVS0 of old", subject_id=names[1], **fields)
    topic = CheckpointTopic(settings, unique_name)
    await topic.start()
    for number in range(settings.n_partitions):  # none knows its partition without Kafka's help
        kept = {f"{names[1]}/w0": encode_checkpoint(old), f"{names[2]}/w0": b"junk"}
        await topic.write(number, kept)
    await topic.stop()

    async with outputs_of(settings, names) as outputs:
        with RunningWorker(settings, tmp_path, unique_name) as worker:
            await send(settings, frames)
            await outputs.at_least(len(expected))
            rearmed = 'chevet_processors_subjects_rearmed_total{cause="state"}'
            await until(lambda: worker.metrics()[rearmed] == 1 + settings.n_partitions)
            assert worker.stop() == 0

    assert outputs.found == expected
    assert "subjects_rearmed" in worker.log()
    await topic.start()
    kept_now = await topic.read(range(settings.n_partitions))
    await topic.stop()
    # The group is new and has taken what other tests have sent, too: theirs are not looked at.
    mine = {key for kept in kept_now.values() for key in kept if key.startswith(unique_name)}
    anew = {key for key in mine if not key.endswith("/w0")}
    assert {key.rpartition("/")[0] for key in anew} == set(names)


async def test_a_broker_that_goes_and_comes_back_leaves_nothing_out(
    tmp_path: Path, unique_name: str
) -> None:
    names = [f"{unique_name}-{n}" for n in range(2)]
    frames = frames_of(names, 40)
    expected = in_process(frames)
    with KafkaBroker(data_dir=tmp_path / "kafka") as broker:
        settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
        await create_topics(settings)
        with RunningWorker(settings, tmp_path, unique_name) as worker:
            async with outputs_of(settings, names) as before:
                await send(settings, frames[: len(frames) // 2])
                await before.at_least(len(expected) // 4)
            broker.stop()
            broker.start()
            await send(settings, frames[len(frames) // 2 : -10])
            async with outputs_of(settings, names) as outputs:
                await outputs.at_least(len(expected) * 2 // 3)
            assert worker.process.poll() is None

            broker.stop()
            worker.kill_and_start()
            await until(lambda: "waiting_for_the_broker" in worker.log())
            broker.start()
            await send(settings, frames[-10:])
            async with outputs_of(settings, names) as outputs:
                await outputs.at_least(len(expected))

            broker.stop()
            assert worker.stop() == 0

    assert outputs.found == expected


async def test_workers_that_come_and_go_leave_nothing_out_and_change_nothing(
    kafka_broker: KafkaBroker, tmp_path: Path, unique_name: str
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers)
    await create_topics(settings)
    names = [f"{unique_name}-{n}" for n in range(4)]
    frames = frames_of(names, SECONDS)
    expected = in_process(frames)
    quarter = len(frames) // 4

    async with outputs_of(settings, names) as outputs:
        with RunningWorker(settings, tmp_path, unique_name) as first:
            await send(settings, frames[:quarter])
            await outputs.at_least(len(expected) // 8)
            with RunningWorker(settings, tmp_path, unique_name) as second:
                await second.until_ready()
                await send(settings, frames[quarter : 2 * quarter])
                await outputs.at_least(len(expected) // 3)
                assert second.stop() == 0
            with RunningWorker(settings, tmp_path, unique_name) as third:
                await third.until_ready()
                await send(settings, frames[2 * quarter : 3 * quarter])
                first.kill()  # its partitions go to the third when its session has ended
                await send(settings, frames[3 * quarter :])
                await outputs.at_least(len(expected))
                assert third.stop() == 0

    assert outputs.found == expected


async def kept_of(settings: KafkaSettings, group: str, subject: str) -> tuple[int, int]:
    """The partition of a subject, and the offset behind which its stored state stands."""
    topic = CheckpointTopic(settings, group)
    await topic.start()
    kept = await topic.read(range(settings.n_partitions))
    await topic.stop()
    for number, records in kept.items():
        for checkpoint in map(decode_checkpoint, records.values()):
            if checkpoint.subject_id == subject:
                return number, checkpoint.next_offset
    raise AssertionError(f"nothing is kept of {subject}")


async def committed_of(settings: KafkaSettings, group: str) -> dict[int, int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    return {place.partition: one.offset for place, one in offsets.items()}


async def test_a_worker_that_is_stopped_has_stored_and_committed_all(
    kafka_broker: KafkaBroker, tmp_path: Path, unique_name: str
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers)
    await create_topics(settings)
    frames = frames_of([unique_name], 30)
    expected = in_process(frames)

    async with outputs_of(settings, [unique_name]) as outputs:
        with RunningWorker(settings, tmp_path, unique_name, interval_s=3_600) as first:
            await send(settings, frames[:20])
            await outputs.at_least(len(in_process(frames[:20])))
            assert first.stop() == 0
        place, next_offset = await kept_of(settings, unique_name, subject=unique_name)
        assert (await committed_of(settings, unique_name))[place] >= next_offset
        with RunningWorker(settings, tmp_path, unique_name, interval_s=3_600) as second:
            await send(settings, frames[20:])
            await outputs.at_least(len(expected))
            assert second.stop() == 0

    assert outputs.found == expected
    assert outputs.n_repeats == 0


async def test_a_worker_that_was_thought_dead_and_wakes_changes_nothing(
    kafka_broker: KafkaBroker, tmp_path: Path, unique_name: str
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers)
    await create_topics(settings)
    names = [f"{unique_name}-{n}" for n in range(3)]
    frames = frames_of(names, 60)
    quarter = len(frames) // 4
    n_expected = [len(in_process(frames[: n * quarter])) for n in range(1, 5)]

    async with outputs_of(settings, names) as outputs:
        with RunningWorker(settings, tmp_path, unique_name) as sleeper:
            await send(settings, frames[:quarter])
            await outputs.at_least(n_expected[0] // 2)
            sleeper.process.send_signal(signal.SIGSTOP)
            with RunningWorker(settings, tmp_path, unique_name) as other:
                await other.until_ready()  # all is the other's when the session has ended
                await send(settings, frames[quarter : 2 * quarter])
                await outputs.at_least(n_expected[1])
                sleeper.process.send_signal(signal.SIGCONT)
                await sleeper.until_ready()
                await send(settings, frames[2 * quarter : 3 * quarter])
                await outputs.at_least(n_expected[2])
                other.kill()
            await send(settings, frames[3 * quarter :])
            await outputs.at_least(n_expected[3])
            assert sleeper.stop() == 0

    assert outputs.found == in_process(frames)


async def test_several_workers_of_one_command_share_the_work_and_are_started_again(
    kafka_broker: KafkaBroker, tmp_path: Path, unique_name: str
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers)
    await create_topics(settings)
    names = [f"{unique_name}-{n}" for n in range(4)]
    frames = frames_of(names, 30)
    expected = in_process(frames)

    async with outputs_of(settings, names) as outputs:
        with RunningWorker(settings, tmp_path, unique_name, n_workers=2) as both:
            await both.until_ready()
            await both.until_ready(number=1)
            await send(settings, frames[:40])
            await outputs.at_least(1)
            os.kill(both.pids()[0], signal.SIGKILL)
            await send(settings, frames[40:])
            await outputs.at_least(len(expected))
            await both.until_ready()
            assert len(both.pids()) == 3
            assert both.stop() == 0

    assert outputs.found == expected
