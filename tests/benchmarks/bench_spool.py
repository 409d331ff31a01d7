"""What the spool stores and gives back, beside peers that do the same job on the same disk.

Each round makes the same bytes durable: 100 Frames of a second of twenty straps, in one commit
where the candidate can. ``extra_info`` in the JSON has megabytes per second of this process's own
time, too: what else the machine does, and the disk's waiting, are not in it.
"""

import os
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from edge.spool.spool import Spool
from ingest.codec import encode_frame
from ingest.frame import Frame, SamplePeriod, WaveformBlock

N_FRAMES = 100
N_ROUNDS = 10
RNG = np.random.default_rng(1)
KEYS = {"plain": (), "encrypted": (b"k" * 32,)}


def block(device: int, channel: str, rate_hz: int) -> WaveformBlock:
    return WaveformBlock(
        device_id=f"virtual-strap-{device:06x}",
        channel=channel,
        mdc_code=131_328,
        unit="mV",
        scale=1e-3,
        offset=0.0,
        i_first=0,
        t0_ns=1_790_000_000 * 10**9,
        period=SamplePeriod(ns_numerator=10**9, ns_denominator=rate_hz),
        counts=RNG.integers(-2_000, 2_000, rate_hz).astype(np.int32),
    )


FRAME = Frame(
    subject_id="p-1",
    agent_id="a-1",
    sequence=0,
    waveforms=tuple(
        block(device, channel, rate_hz)
        for device in range(20)
        for channel, rate_hz in (("ecg", 360), ("acc/x", 50), ("acc/y", 50), ("acc/z", 50))
    ),
)
N_BYTES = N_FRAMES * len(encode_frame(FRAME))


def frames(spool: Spool) -> list[Frame]:
    first = spool.next_sequence
    return [replace(FRAME, sequence=first + n) for n in range(N_FRAMES)]


def measure(benchmark: BenchmarkFixture, run: Callable[[], object]) -> None:
    own_s: list[float] = []

    def timed() -> None:
        begun_s = time.process_time()
        run()
        own_s.append(time.process_time() - begun_s)

    benchmark.pedantic(  # type: ignore[no-untyped-call]
        timed, rounds=N_ROUNDS, warmup_rounds=1
    )
    megabytes_per_cpu_s = N_BYTES / 1e6 / statistics.median(own_s)
    benchmark.extra_info["megabytes_per_cpu_s"] = megabytes_per_cpu_s
    print(f" {megabytes_per_cpu_s:.0f} MB per second of CPU time")


@pytest.fixture(params=list(KEYS))
def spool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Spool]:
    keys = KEYS[request.param]
    spool = Spool(tmp_path / "spool.sqlite", n_bytes_max=1 << 40, keys=keys)
    yield spool
    spool.close()


@pytest.mark.benchmark(group="store 100 large frames")
def test_spool_append(benchmark: BenchmarkFixture, spool: Spool) -> None:
    measure(benchmark, lambda: spool.append(frames(spool), {}))


@pytest.mark.benchmark(group="store 100 large frames")
def test_plain_file_peer(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """No index, no order of removal, no recovery: what the disk can do."""
    with (tmp_path / "plain").open("ab") as file:

        def run() -> None:
            for _ in range(N_FRAMES):
                file.write(encode_frame(FRAME))
            file.flush()
            os.fsync(file.fileno())

        measure(benchmark, run)


@pytest.mark.benchmark(group="store 100 large frames")
def test_sqlite_row_by_row_peer(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """A queue as it is usually built: a commit for each record, a rollback journal."""
    database = sqlite3.connect(tmp_path / "naive.sqlite", isolation_level=None)
    database.execute("CREATE TABLE queue (id INTEGER PRIMARY KEY, payload BLOB)")

    def run() -> None:
        for _ in range(N_FRAMES):
            database.execute("INSERT INTO queue (payload) VALUES (?)", (encode_frame(FRAME),))

    measure(benchmark, run)
    database.close()


@pytest.mark.benchmark(group="drain 100 large frames")
def test_spool_drain(benchmark: BenchmarkFixture, spool: Spool) -> None:
    for _ in range(N_ROUNDS + 1):
        spool.append(frames(spool), {})

    def run() -> None:
        given = spool.oldest(N_FRAMES)
        spool.acknowledge_to(given[-1].sequence)

    measure(benchmark, run)


@pytest.mark.benchmark(group="drain 100 large frames")
def test_sqlite_row_by_row_drain_peer(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "naive.sqlite", isolation_level=None)
    database.execute("CREATE TABLE queue (id INTEGER PRIMARY KEY, payload BLOB)")
    payload = encode_frame(FRAME)
    database.execute("BEGIN")
    rows = [(payload,) for _ in range(N_FRAMES * (N_ROUNDS + 1))]
    database.executemany("INSERT INTO queue (payload) VALUES (?)", rows)
    database.execute("COMMIT")
    identities = count(1)

    def run() -> None:
        for _ in range(N_FRAMES):
            identity = next(identities)
            database.execute("SELECT payload FROM queue WHERE id = ?", (identity,)).fetchone()
            database.execute("DELETE FROM queue WHERE id = ?", (identity,))

    measure(benchmark, run)
    database.close()
