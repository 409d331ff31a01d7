"""What the sink stores in the real InfluxDB each second, and the client's CPU time per point.

Everything goes the sink's whole way but Kafka: records are decoded, lines and envelopes made of
them, written and answered. The peers send the same points as ``influxdb-client`` makes them of its
``Point`` objects, to the same server in the same run.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import psutil
import pytest
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write.point import Point
from influxdb_client.client.write_api import SYNCHRONOUS
from pytest_benchmark.fixture import BenchmarkFixture

from deploy.local.influx import InfluxServer
from devices import codes
from ingest.codec import encode_frame, encode_observations
from ingest.frame import NS_PER_S, Frame, SamplePeriod, WaveformBlock
from ingest.kafka import ConsumedRecord
from ingest.observation import Observation
from ingest.topics import FRAMES, OBSERVATIONS, Topic
from processors.sinks.influx import InfluxStore
from processors.sinks.runner import Sink

RNG = np.random.default_rng(1)
START_NS = (time.time_ns() // NS_PER_S - 3_600) * NS_PER_S
"""An hour ago: InfluxDB drops waveforms of last week."""
N_SUBJECTS = 500
N_ROUNDS = 5
CHANNELS = (
    ("ecg", codes.ECG, 250), ("pleth", codes.PLETH, 125),
    ("acc/x", codes.ACC_X, 50), ("acc/y", codes.ACC_Y, 50), ("acc/z", codes.ACC_Z, 50),
)  # fmt: skip
N_SAMPLES = sum(rate_hz for _, _, rate_hz in CHANNELS)
NAMES = ("heart_rate", "rr_interval", "spo2", "pulse_rate", "respiration_rate", "signal_quality")
N_OBSERVATIONS = 20
N_TEN_FIELD_POINTS = 40_000
N_PEER_SUBJECTS = 20
"""The peer takes so much longer that fewer are enough."""

Write = Callable[[int], None]


def frame(subject: int, second: int) -> Frame:
    """One second of one subject."""
    t0_ns = START_NS + second * NS_PER_S
    blocks = tuple(
        WaveformBlock(
            device_id="virtual-strap-a1b2c3",
            channel=channel,
            mdc_code=quantity.mdc,
            unit=quantity.ucum,
            scale=1e-3,
            offset=0.0,
            i_first=second * rate_hz,
            t0_ns=t0_ns,
            period=SamplePeriod(ns_numerator=NS_PER_S, ns_denominator=rate_hz),
            counts=RNG.integers(-2000, 2000, rate_hz).astype(np.int32),
            received_ns=t0_ns,
        )
        for channel, quantity, rate_hz in CHANNELS
    )
    return Frame(subject_id=f"p-{subject}", agent_id="a-1", sequence=second, waveforms=blocks)


def observations(subject: int, second: int) -> list[Observation]:
    """What is derived of a subject in a second, generously."""
    return [
        Observation(
            subject_id=f"p-{subject}",
            t_ns=START_NS + second * NS_PER_S + i // len(NAMES),
            name=NAMES[i % len(NAMES)],
            mdc_code=147842,
            unit="/min",
            value=float(RNG.normal(70, 10)),
            reason=None,
            quality=float(RNG.random()),
            age_s=0.25,
            channels=("virtual-strap-a1b2c3/ecg",),
            algorithm="rr_median",
            algorithm_version=3,
        )
        for i in range(N_OBSERVATIONS)
    ]


def ten_fields(i_point: int, second: int) -> bytes:
    """Write one point of ten numbers with a template."""
    return TEN_FIELDS % (i_point % N_SUBJECTS, *ten_values(i_point), ten_time_ns(i_point, second))


TEN_FIELDS = b"ten,subject=p-%d " + b",".join(b"f%d=%%r" % i for i in range(10)) + b" %d"


def ten_time_ns(i_point: int, second: int) -> int:
    """Several points of a subject in each second."""
    return START_NS + second * NS_PER_S + i_point // N_SUBJECTS


def ten_values(i_point: int) -> list[float]:
    """Make ten numbers of six digits, which differ from point to point."""
    return [(i_point % 9973 + i) * 1.00125 for i in range(10)]


@pytest.fixture
def server() -> Iterator[InfluxServer]:
    """An InfluxDB of the benchmark's own, empty at the start."""
    with InfluxServer() as server:
        yield server


@pytest.fixture(params=[0, 1], ids=["plain", "gzip-1"])
def store(server: InfluxServer, request: pytest.FixtureRequest) -> InfluxStore:
    return InfluxStore(
        url=server.url, bucket=server.bucket, org="o", token="", n_parallel=4, timeout_s=60,
        gzip_level=request.param,
    )  # fmt: skip


def through_the_sink(
    store: InfluxStore, topic: Topic, payloads: Callable[[int], list[bytes]]
) -> tuple[Callable[[int], Any], Write]:
    """Give what makes a second's records beforehand, and what stores them."""

    def write(second: int) -> None:
        records = [
            ConsumedRecord(topic=topic.name, partition=0, offset=i, payload=payload)
            for i, payload in enumerate(made[second])
        ]

        async def run() -> None:
            sink = Sink(store, asyncio.Event())
            async with sink.opened():
                await sink.take(records)
                settled, _ = await sink.settle(everything=True)
            assert not settled[0].letters

        asyncio.run(run())

    made: dict[int, list[bytes]] = {}
    return lambda second: made.update({second: payloads(second)}), write


def server_cpu_s(server: InfluxServer) -> float:
    """CPU time that InfluxDB and what stands in front of it have used."""
    pids = [process.identity.pid for process in server.processes if process.identity]
    used = [psutil.Process(pid).cpu_times() for pid in pids]
    return float(sum(one.user + one.system for one in used))


def measure(
    benchmark: BenchmarkFixture,
    server: InfluxServer,
    write: Write,
    n_points: int,
    prepare: Callable[[int], Any],
) -> None:
    """Time several seconds and print points per second and CPU time per point."""
    used_us: list[tuple[float, float]] = []
    second = 0

    def setup() -> tuple[tuple[int], dict[str, object]]:
        nonlocal second
        second += 1
        prepare(second)
        return (second,), {}

    def timed(second: int) -> None:
        before_s = time.process_time(), server_cpu_s(server)
        write(second)
        client_s, server_s = time.process_time() - before_s[0], server_cpu_s(server) - before_s[1]
        used_us.append((client_s / n_points * 1e6, server_s / n_points * 1e6))

    benchmark.pedantic(timed, setup=setup, rounds=N_ROUNDS, warmup_rounds=1)  # type: ignore[no-untyped-call]
    if benchmark.stats is not None:  # None under --benchmark-disable
        rate = n_points / benchmark.stats.stats.median
        client_us, server_us = np.median(used_us, axis=0).round(2).tolist()
        benchmark.extra_info |= {
            "points_per_s": round(rate),
            "client_cpu_us_per_point": client_us,
            "server_cpu_us_per_point": server_us,
        }
        print(
            f"\n{benchmark.name}: {rate:,.0f} points/s; us of CPU per point: "
            f"client {client_us:.2f}, server {server_us:.2f}"
        )


@pytest.mark.benchmark(group="waveform points into InfluxDB")
def test_waveforms(benchmark: BenchmarkFixture, server: InfluxServer, store: InfluxStore) -> None:
    def payloads(second: int) -> list[bytes]:
        return [encode_frame(frame(subject, second)) for subject in range(N_SUBJECTS)]

    prepare, write = through_the_sink(store, FRAMES, payloads)
    measure(benchmark, server, write, N_SUBJECTS * N_SAMPLES, prepare)


@pytest.mark.benchmark(group="observation points into InfluxDB")
def test_observations(
    benchmark: BenchmarkFixture, server: InfluxServer, store: InfluxStore
) -> None:
    def payloads(second: int) -> list[bytes]:
        return [encode_observations(observations(one, second)) for one in range(N_SUBJECTS)]

    prepare, write = through_the_sink(store, OBSERVATIONS, payloads)
    measure(benchmark, server, write, N_SUBJECTS * N_OBSERVATIONS, prepare)


@pytest.mark.benchmark(group="ten-field points into InfluxDB")
def test_ten_fields(benchmark: BenchmarkFixture, server: InfluxServer, store: InfluxStore) -> None:
    async def run(second: int) -> None:
        n_lane = N_TEN_FIELD_POINTS // store.n_parallel

        async def lane(i_first: int) -> None:
            for begin in range(i_first, i_first + n_lane, 5_000):
                lines = [ten_fields(i, second) for i in range(begin, begin + 5_000)]
                assert not await store.write(lines)

        await asyncio.gather(*(lane(i * n_lane) for i in range(store.n_parallel)))

    measure(
        benchmark, server, lambda s: asyncio.run(run(s)), N_TEN_FIELD_POINTS, lambda _second: None
    )


def peer(server: InfluxServer, points: Callable[[int], Sequence[Point]]) -> Write:
    """Write what the official client makes of its points."""

    def write(second: int) -> None:
        with (
            InfluxDBClient(url=server.url, token="", org="o", timeout=60_000) as client,
            client.write_api(write_options=SYNCHRONOUS) as api,
        ):
            found = points(second)
            for begin in range(0, len(found), 5_000):
                api.write(bucket=server.bucket, record=found[begin : begin + 5_000])

    return write


@pytest.mark.benchmark(group="waveform points into InfluxDB")
def test_waveforms_as_points_peer(benchmark: BenchmarkFixture, server: InfluxServer) -> None:
    def points(second: int) -> list[Point]:
        return [
            Point("waveform")  # type: ignore[no-untyped-call]
            .tag("subject", one.subject_id)
            .tag("device", block.device_id)
            .tag("channel", block.channel)
            .field("v", count)
            .time(t_ns)
            for one in (frame(subject, second) for subject in range(N_PEER_SUBJECTS))
            for block in one.waveforms
            for count, t_ns in zip(block.counts.tolist(), block.times_ns().tolist(), strict=True)
        ]

    measure(
        benchmark, server, peer(server, points), N_PEER_SUBJECTS * N_SAMPLES, lambda _second: None
    )


@pytest.mark.benchmark(group="ten-field points into InfluxDB")
def test_ten_fields_as_points_peer(benchmark: BenchmarkFixture, server: InfluxServer) -> None:
    n_points = N_TEN_FIELD_POINTS // 4

    def points(second: int) -> list[Point]:
        found = []
        for i_point in range(n_points):
            name = f"p-{i_point % N_SUBJECTS}"
            point = Point("ten").tag("subject", name)  # type: ignore[no-untyped-call]
            for i, value in enumerate(ten_values(i_point)):
                point.field(f"f{i}", value)
            found.append(point.time(ten_time_ns(i_point, second)))
        return found

    measure(benchmark, server, peer(server, points), n_points, lambda _second: None)
