"""From the broker into the real InfluxDB: what was sent is there, once, whatever happens."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from deploy.local.embedded_broker import EmbeddedBroker
from deploy.local.influx import InfluxServer
from deploy.readback import InfluxReader
from ingest.codec import encode_frame, encode_observations
from ingest.frame import NS_PER_S, Frame, SamplePeriod
from ingest.kafka import JOIN_S_MAX, create_topics, open_producer
from ingest.observation import Observation
from ingest.settings import KafkaSettings
from ingest.topics import FRAMES, OBSERVATIONS
from processors.sinks.envelope import PartitionEnvelopes
from processors.sinks.influx import InfluxStore
from processors.sinks.lines import LineEncoder
from processors.sinks.measurements import MEASUREMENTS, Bucket
from processors.sinks.runner import run_sink
from processors.sinks.store import RejectedLines
from tests.ingest import records
from tests.ingest.records import T0_NS
from tests.sinks.line_protocol import Field, points
from tests.sinks.test_runner import GROUP, KilledError, settings_of

pytestmark = pytest.mark.usefixtures("no_task_left_behind")

STORED_S = 1.5 * JOIN_S_MAX
"""A sink that the embedded broker lets wait for its partitions gives up and tries again."""

HZ_50 = SamplePeriod(ns_numerator=20_000_000, ns_denominator=1)
N_FRAMES = 24
Stored = dict[tuple[str, str, int], dict[str, Field]]
"""Fields by measurement, subject and time."""


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


def frames_of(subject: str, seed: int) -> list[Frame]:
    """Some seconds in Frames of 300 ms, which end in the middle of a second."""
    counts = np.random.default_rng(seed).integers(-2000, 2000, (N_FRAMES, 15))
    return [
        records.frame(
            records.block(
                counts[i],
                channel="ecg",
                period=HZ_50,
                i_first=15 * i,
                t0_ns=T0_NS + HZ_50.offset_ns(15 * i),
            ),
            subject_id=subject,
            sequence=i,
        )
        for i in range(N_FRAMES)
    ]


def observations_of(subject: str) -> list[Observation]:
    return [
        records.observation(subject_id=subject, t_ns=T0_NS + i * NS_PER_S, value=60.0 + i)
        for i in range(N_FRAMES)
    ]


async def send(kafka: KafkaSettings, subjects: Sequence[str]) -> Stored:
    """Send everything; give what a store must hold of it."""
    encoder = LineEncoder()
    expected: Stored = {}
    async with open_producer(kafka) as producer:
        for seed, subject in enumerate(subjects):
            frames, derived = frames_of(subject, seed), observations_of(subject)
            await producer.send(FRAMES, [(subject, encode_frame(one)) for one in frames])
            await producer.send(
                OBSERVATIONS, [(subject, encode_observations([one])) for one in derived]
            )
            partition = PartitionEnvelopes(Counter())
            envelopes = [one for i, frame in enumerate(frames) for one in partition.frame(frame, i)]
            assert len(envelopes) == N_FRAMES * 300 // 1000
            pieces = [
                *(piece for frame in frames for piece in encoder.frame(frame)),
                *encoder.envelopes(envelopes),
                *encoder.observations(derived),
            ]
            for point in points(line for piece in pieces for line in piece.split(b"\n")):
                if point.measurement != "waveform_meta":
                    key = (point.measurement, subject, point.t_ns)
                    expected[key] = point.fields
    return expected


def read(reader: InfluxReader, prefix: str) -> Stored:
    found: Stored = {}
    for measurement in MEASUREMENTS:
        if measurement.name == "waveform_meta":
            continue
        policy = f'"{measurement.bucket}".' if measurement.bucket is not Bucket.LONG else ""
        rows = reader.query(
            f'SELECT * FROM {policy}"{measurement.name}" '  # noqa: S608
            f'WHERE "subject" =~ /^{prefix}/ GROUP BY "subject"'
        )
        for row in rows:
            for values in row["values"]:
                fields = dict(zip(row["columns"], values, strict=True))
                t_ns = fields.pop("time")
                kept = {
                    k: v for k, v in fields.items() if v is not None and k not in measurement.tags
                }
                found[measurement.name, row["tags"]["subject"], t_ns] = kept
    return found


class KilledStore(InfluxStore):
    """Raises behind the nth write: what was stored is not committed."""

    n_left = 0

    async def write(self, lines: Sequence[bytes]) -> list[RejectedLines]:
        rejected = await super().write(lines)
        self.n_left -= 1
        if self.n_left == 0:
            raise KilledError
        return rejected


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kills", [(), (1, 2, 1, 2)], ids=["undisturbed", "killed"])
async def test_what_was_sent_is_in_the_database_once(
    broker: EmbeddedBroker, influx_server: InfluxServer, unique_name: str, kills: tuple[int, ...]
) -> None:
    kafka = settings_of(broker)
    await create_topics(kafka)
    expected = await send(kafka, [f"{unique_name}-{i}" for i in range(4)])
    reader = InfluxReader(influx_server.url, influx_server.database)
    store = KilledStore(
        url=influx_server.url, bucket=influx_server.bucket, org="o", token=unique_name, n_parallel=3
    )

    for n_writes in kills:
        store.n_left = n_writes
        with pytest.raises(KilledError):
            async with asyncio.timeout(STORED_S):
                await run_sink(kafka, store, group=GROUP, n_records_max=17, stop=asyncio.Event())
    stop = asyncio.Event()
    sink = asyncio.create_task(run_sink(kafka, store, group=GROUP, n_records_max=17, stop=stop))
    async with asyncio.timeout(STORED_S):
        while len(stored := await asyncio.to_thread(read, reader, unique_name)) < len(expected):  # noqa: ASYNC110  # a database tells nobody
            await asyncio.sleep(0.1)
    stop.set()
    await sink
    await store.close()

    assert stored == expected
