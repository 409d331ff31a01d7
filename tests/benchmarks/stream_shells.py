"""What Faust costs: one job in three shells on real Kafka, CPU per message, in the same run.

``python -m tests.benchmarks.stream_shells [--seconds 250]``. The job of a worker, to the record: a
Frame from the topic, decoded, through its subject's pipeline, the observations encoded and sent,
the input committed when they are acknowledged. And once with no job but to send as many bytes,
which leaves the shell alone. Each shell has a process of its own and reads the same Frames from the
beginning; counted is the CPU of all its threads from the tenth part of the messages to the end.
A backlog is the easiest input: live Frames come in smaller batches and cost more in every shell.

Quix Streams is no dependency: where it is not installed its row is left out, and says so.
"""

import argparse
import asyncio
import importlib.util
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from deploy.bench.frame_templates import PersonTemplates
from deploy.bench.generator import FrameMaker
from deploy.bench.load_plan import LoadPlan
from deploy.bench.waveforms import channels_of, find_recordings
from deploy.local.kafka import KafkaBroker
from ingest.codec import decode_frame, encode_observations
from ingest.frame import NS_PER_S
from ingest.kafka import create_topics, open_producer
from ingest.observation import Observation
from ingest.settings import KafkaSettings
from ingest.topics import DAY_MS, Topic
from processors.pipeline import SubjectPipeline
from processors.warm_up import warm_up
from tests.benchmarks.results import show

N_SUBJECTS: Final = 40
SECONDS: Final = 250
START_NS: Final = 1_790_000_000 * NS_PER_S
RUN_S_MAX: Final = 600
FRAMES_IN: Final = Topic(name="shells.frames", key="subject_id", retention_ms=-1)
"""Records of any time are kept: their times are those of the benchmark."""
OUT: Final = Topic(name="shells.observations", key="subject_id", retention_ms=DAY_MS)

SHELLS: Final = ("aiokafka", "faust", "quix")
JOBS: Final = ("send", "pipeline")
FETCH_BYTES: Final = 64 * 1024
"""Of one partition at once, in every shell: else all would have been fetched before the counting
begins."""

UNACKNOWLEDGED_MAX: Final = 200
"""Messages whose outputs are on their way; then they are waited for and the input is committed."""


class Job:
    """What is done with a message; counts the messages and their CPU."""

    def __init__(self, name: str, n_messages: int) -> None:
        self._work = {"send": self._send, "pipeline": self._pipeline}[name]
        self._pipelines: dict[str, SubjectPipeline] = {}
        self._n_warm = n_messages // 10
        self._n_messages = n_messages
        self._begun_s = 0.0
        self._n = 0
        self.cpu_us: float | None = None
        """CPU per message, once all have come."""

    def __call__(self, payload: bytes) -> tuple[bytes, bytes] | None:
        """Give key and payload of the output, None where nothing follows."""
        self._n += 1
        if self._n == self._n_warm:
            self._begun_s = time.process_time()
        return self._work(payload)

    @property
    def is_done(self) -> bool:
        """Whether all messages have come."""
        return self._n >= self._n_messages

    def finish(self) -> None:
        """Take the time: outputs are sent and the input is committed."""
        used_s = time.process_time() - self._begun_s
        self.cpu_us = 1e6 * used_s / (self._n - self._n_warm)

    def _send(self, payload: bytes) -> tuple[bytes, bytes]:
        return b"subject", payload

    def _pipeline(self, payload: bytes) -> tuple[bytes, bytes] | None:
        frame = decode_frame(payload)
        pipeline = self._pipelines.get(frame.subject_id)
        if pipeline is None:
            pipeline = self._pipelines[frame.subject_id] = SubjectPipeline(frame.subject_id)
        outputs = pipeline.process(frame)
        observations = [output for output in outputs if isinstance(output, Observation)]
        if not observations:
            return None
        return frame.subject_id.encode(), encode_observations(observations)


def run_aiokafka(servers: str, job: Job) -> None:
    """Consume, work, send, wait for the acknowledgements, commit: a loop."""
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

    async def run() -> None:
        consumer = AIOKafkaConsumer(
            FRAMES_IN.name,
            bootstrap_servers=servers,
            group_id=f"aiokafka-{time.time_ns()}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=FETCH_BYTES,
        )
        producer = AIOKafkaProducer(
            bootstrap_servers=servers, acks="all", compression_type="lz4", linger_ms=0
        )
        async with producer, consumer:
            while not job.is_done:
                batches = await consumer.getmany(timeout_ms=500, max_records=UNACKNOWLEDGED_MAX)
                outs = [job(record.value) for batch in batches.values() for record in batch]
                pending = [
                    await producer.send(OUT.name, key=out[0], value=out[1])
                    for out in outs
                    if out is not None
                ]
                await asyncio.gather(*pending)
                await consumer.commit()
            job.finish()

    asyncio.run(run())


def run_faust(servers: str, job: Job) -> None:  # noqa: C901  # an agent is a loop
    """The same in an agent of Faust, set up as the worker's, with a producer of its own."""
    import faust
    from aiokafka import AIOKafkaProducer

    app = faust.App(
        f"faust-{time.time_ns()}",
        broker=[f"kafka://{servers}"],
        store="memory://",
        autodiscover=False,
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=FETCH_BYTES,
        broker_commit_interval=1.0,
        stream_wait_empty=False,
        processing_guarantee="at_least_once",
    )
    topic = app.topic(FRAMES_IN.name, key_type=bytes, value_type=bytes, value_serializer="raw")

    @app.agent(topic)
    async def work(stream: Any) -> None:  # noqa: ANN401
        producer = AIOKafkaProducer(
            bootstrap_servers=servers, acks="all", compression_type="lz4", linger_ms=0
        )
        await producer.start()
        pending: list[Any] = []
        events: list[Any] = []
        async for event in stream.noack().events():
            out = job(event.message.value)
            if out is not None:
                pending.append(await producer.send(OUT.name, key=out[0], value=out[1]))
            events.append(event)
            if len(events) >= UNACKNOWLEDGED_MAX or job.is_done:
                await asyncio.gather(*pending)
                for done in events:
                    done.ack()
                pending.clear()
                events.clear()
            if job.is_done:
                await app.consumer.commit()
                job.finish()
                await producer.stop()
                # Its own stop, called from within, would wait for this agent.
                asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)
                return

    worker = faust.Worker(app, loglevel="ERROR", logging_config=None)
    try:
        worker.execute_from_commandline()
    except SystemExit as error:
        if job.cpu_us is None:
            raise RuntimeError("Faust ended before its messages did") from error


def run_quix(servers: str, job: Job) -> None:
    """The same as a pipeline of Quix Streams, on librdkafka."""
    from quixstreams import Application

    app = Application(
        broker_address=servers,
        consumer_group=f"quix-{time.time_ns()}",
        auto_offset_reset="earliest",
        auto_create_topics=False,
        use_changelog_topics=False,
        commit_interval=1.0,
        consumer_extra_config={
            "max.partition.fetch.bytes": FETCH_BYTES,
            "queued.max.messages.kbytes": FETCH_BYTES // 1024,
        },
        producer_extra_config={"compression.type": "lz4", "acks": "all", "linger.ms": 0},
        loglevel="ERROR",
    )
    frames = app.topic(FRAMES_IN.name, key_deserializer="bytes", value_deserializer="bytes")
    out = app.topic(OUT.name, key_serializer="bytes", value_serializer="bytes")
    stream = app.dataframe(frames).apply(job).filter(lambda made: made is not None)
    stream.apply(lambda made: made[1]).to_topic(out)
    app.run(count=job._n_messages)
    job.finish()


RUNNERS: Final[dict[str, Callable[[str, Job], None]]] = {
    "aiokafka": run_aiokafka,
    "faust": run_faust,
    "quix": run_quix,
}


async def fill(servers: str, seconds: int) -> int:
    """Put the Frames of all subjects on the topic; give how many."""
    kafka = KafkaSettings(bootstrap_servers=servers)
    await create_topics(kafka, (FRAMES_IN, OUT))
    plan = LoadPlan(n_subjects=N_SUBJECTS, seconds=seconds, start_ns=START_NS)
    people = [PersonTemplates(channels_of(record)) for record in find_recordings()]
    maker = FrameMaker(plan, people)
    async with open_producer(kafka) as producer:
        for k in range(0, plan.n_frames, 200):
            batch = [maker.frame(each) for each in range(k, min(k + 200, plan.n_frames))]
            await producer.send(FRAMES_IN, batch)
    return plan.n_frames


def measured(shell: str, job: str, servers: str, n_messages: int) -> float:
    """Run a shell in a process of its own; give its microseconds of CPU per message."""
    print(f"{shell}: {job} …", file=sys.stderr)
    words = ["--shell", shell, "--job", job, "--kafka", servers, "--messages", str(n_messages)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.stream_shells", *words],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=RUN_S_MAX,
    )
    [said] = [line for line in done.stdout.splitlines() if '"cpu_us"' in line]
    return float(json.loads(said[said.index("{") :])["cpu_us"])


def compare(seconds: int) -> None:
    """Print the table."""
    there = [one for one in SHELLS if one != "quix" or importlib.util.find_spec("quixstreams")]
    with KafkaBroker(java_options=()) as broker:
        n_messages = asyncio.run(fill(broker.bootstrap_servers, seconds))
        # In turns, so that what else the machine does falls on all of them.
        cpu_us = {
            (shell, job): measured(shell, job, broker.bootstrap_servers, n_messages)
            for job in JOBS
            for shell in there
        }
    rows = [
        (
            shell,
            *(f"{cpu_us[shell, job]:.0f}" for job in JOBS),
            f"{cpu_us[shell, 'send'] - cpu_us['aiokafka', 'send']:+.0f}",
        )
        for shell in there
    ]
    show(
        f"microseconds of CPU per message, {n_messages} messages",
        ("shell", "sends only", "decode, pipeline, encode, send", "beside aiokafka"),
        rows,
    )
    if "quix" not in there:
        print("Quix Streams is not installed (pip install quixstreams): its row is missing")


def main() -> None:
    """Compare; or, for the processes of its own, run one shell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--shell", choices=SHELLS)
    parser.add_argument("--job", choices=JOBS)
    parser.add_argument("--kafka")
    parser.add_argument("--messages", type=int)
    given = parser.parse_args()
    if given.shell is None:
        compare(given.seconds)
        return
    if given.job == "pipeline":
        warm_up()
    job = Job(given.job, given.messages)
    RUNNERS[given.shell](given.kafka, job)
    print(json.dumps({"cpu_us": job.cpu_us}))


if __name__ == "__main__":
    main()
