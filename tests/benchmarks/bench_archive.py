"""Bytes per sample, values per second in and out, and the first second of a day, of the archive.

The recordings are those of mitdb (``CHEVET_DATA``). Beside it, in the same run and on the same
samples: Parquet as anybody writes it, one row per sample with its time; and WFDB with FLAC (format
516), the densest form of that library. Values per second are those of a core: of CPU time, all
threads together, and pyarrow is told to use one.
"""

import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pytest
import wfdb
from pyarrow import parquet
from pytest_benchmark.fixture import BenchmarkFixture

from deploy.analyze import EPOCH_NS
from ingest.frame import NS_PER_S, Frame
from ingest.recording import Recording, open_recording
from ingest.replay import ReplayPlan, frames_of
from processors.sinks.archive import open_archive
from processors.sinks.archive.compaction import compact
from processors.sinks.archive.importing import import_items
from processors.sinks.archive.writer import ArchiveWriter

N_RECORDS: Final = 12
DAY_S: Final = 86_400
HZ: Final = 360
CHANNEL: Final = "ecg/MLII"


@pytest.fixture(scope="module", autouse=True)
def one_core() -> Iterator[None]:
    before = pa.cpu_count(), pa.io_thread_count()
    pa.set_cpu_count(1)
    yield
    pa.set_cpu_count(before[0])


@pytest.fixture(scope="module")
def recordings(chevet_data: Path) -> list[Recording]:
    headers = sorted((chevet_data / "mitdb").glob("*.hea"))[:N_RECORDS]
    return [open_recording(str(one.with_suffix("")), beats=False) for one in headers]


def n_samples(recordings: list[Recording]) -> int:
    return sum(signal.n_samples for one in recordings for signal in one.signals)


def frames(recording: Recording, frame_s: Fraction, subject_id: str | None = None) -> list[Frame]:
    plan = ReplayPlan(
        subject_id=subject_id or recording.name,
        agent_id="bench",
        start_ns=EPOCH_NS,
        frame_s=frame_s,
    )
    return list(frames_of(recording, plan))


def report(benchmark: BenchmarkFixture, n: int, n_bytes: int | None = None) -> None:
    """Print values per second, and bytes per sample."""
    said = "" if n_bytes is None else f", {n_bytes / n:.3f} bytes per sample"
    if benchmark.stats is not None:  # None under --benchmark-disable
        rate = n / benchmark.stats.stats.median
        benchmark.extra_info["values_per_s"] = round(rate)
        said = f"{rate / 1e6:.1f} million values per second of CPU{said}"
    if n_bytes is not None:
        benchmark.extra_info["bytes_per_sample"] = round(n_bytes / n, 4)
    print(f"\n{benchmark.name}: {said}")


def size_of(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(pattern))


def fresh(tmp_path: Path) -> Callable[[], Path]:
    numbers = iter(range(10_000))

    def make() -> Path:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return folder

    return make


@pytest.mark.benchmark(group="archive: write", timer=time.process_time)
@pytest.mark.parametrize("frame_s", ["1/4", "1", "10"])
def test_write(
    benchmark: BenchmarkFixture, recordings: list[Recording], tmp_path: Path, frame_s: str
) -> None:
    """Frames of such a length; a bedside agent makes a quarter of a second, an import ten."""
    given = [frame for one in recordings for frame in frames(one, Fraction(frame_s))]
    make = fresh(tmp_path)
    made: list[Path] = []

    def write() -> None:
        made.append(make())
        with ArchiveWriter(made[-1]) as writer:
            import_items(writer, given)

    benchmark.pedantic(write, rounds=3, warmup_rounds=1)  # type: ignore[no-untyped-call]
    report(benchmark, n_samples(recordings), size_of(made[-1], "waveforms/**/*.parquet"))


@pytest.mark.benchmark(group="archive: write", timer=time.process_time)
def test_write_plain_parquet(
    benchmark: BenchmarkFixture, recordings: list[Recording], tmp_path: Path
) -> None:
    def write() -> None:
        for one in recordings:
            for i, signal in enumerate(one.signals):
                times = EPOCH_NS + np.arange(signal.n_samples) * NS_PER_S // HZ
                table = pa.table({"t_ns": times, "count": signal.counts})
                parquet.write_table(table, tmp_path / f"{one.name}-{i}.parquet")

    benchmark.pedantic(write, rounds=3, warmup_rounds=1)  # type: ignore[no-untyped-call]
    report(benchmark, n_samples(recordings), size_of(tmp_path, "*.parquet"))


def write_flac(one: Recording, folder: Path) -> None:
    """Write a recording as WFDB with FLAC."""
    counts = np.stack([signal.counts for signal in one.signals], axis=1).astype(np.int64)
    wfdb.wrsamp(
        f"r{one.name}",
        fs=HZ,
        units=["mV"] * len(one.signals),
        sig_name=[f"s{i}" for i in range(len(one.signals))],
        d_signal=counts,
        fmt=["516"] * len(one.signals),
        adc_gain=[200.0] * len(one.signals),
        baseline=[0] * len(one.signals),
        write_dir=str(folder),
    )


@pytest.mark.benchmark(group="archive: write", timer=time.process_time)
def test_write_wfdb_flac(
    benchmark: BenchmarkFixture, recordings: list[Recording], tmp_path: Path
) -> None:
    def write() -> None:
        for one in recordings:
            write_flac(one, tmp_path)

    benchmark.pedantic(write, rounds=2, warmup_rounds=0)  # type: ignore[no-untyped-call]
    report(benchmark, n_samples(recordings), size_of(tmp_path, "*.dat"))


@pytest.mark.benchmark(group="archive: read", timer=time.process_time)
def test_read(benchmark: BenchmarkFixture, recordings: list[Recording], tmp_path: Path) -> None:
    """Counts and the time of each sample."""
    with ArchiveWriter(tmp_path) as writer:
        for one in recordings:
            import_items(writer, frames(one, Fraction(1)))
    archive = open_archive(tmp_path)
    names = [
        (one.name, str(each.channel))
        for one in recordings
        for each in archive.subject(one.name).signals()
    ]

    def read() -> int:
        return sum(archive.subject(name).signal(channel).n_samples for name, channel in names)

    assert benchmark(read) == n_samples(recordings)
    report(benchmark, n_samples(recordings))


@pytest.mark.benchmark(group="archive: read", timer=time.process_time)
def test_read_plain_parquet(
    benchmark: BenchmarkFixture, recordings: list[Recording], tmp_path: Path
) -> None:
    for one in recordings:
        for i, signal in enumerate(one.signals):
            times = EPOCH_NS + np.arange(signal.n_samples) * NS_PER_S // HZ
            table = pa.table({"t_ns": times, "count": signal.counts})
            parquet.write_table(table, tmp_path / f"{one.name}-{i}.parquet")

    def read() -> int:
        n = 0
        for path in tmp_path.glob("*.parquet"):
            table = parquet.read_table(path, use_threads=False)
            n += min(len(table["t_ns"].to_numpy()), len(table["count"].to_numpy()))
        return n

    assert benchmark(read) == n_samples(recordings)
    report(benchmark, n_samples(recordings))


@pytest.mark.benchmark(group="archive: read", timer=time.process_time)
def test_read_wfdb_flac(
    benchmark: BenchmarkFixture, recordings: list[Recording], tmp_path: Path
) -> None:
    for one in recordings:
        write_flac(one, tmp_path)

    def read() -> int:
        found = [
            wfdb.rdrecord(str(tmp_path / f"r{one.name}"), physical=False) for one in recordings
        ]
        return sum(int(one.d_signal.size) for one in found)

    found: Any = benchmark.pedantic(read, rounds=2)  # type: ignore[no-untyped-call]
    assert found == n_samples(recordings)
    report(benchmark, n_samples(recordings))


@pytest.mark.benchmark(group="archive: first second of a day")
@pytest.mark.parametrize("merged", [True, False], ids=["merged", "as-recorded"])
def test_first_second_of_a_day(
    benchmark: BenchmarkFixture,
    recordings: list[Recording],
    tmp_path: Path,
    merged: bool,  # noqa: FBT001
) -> None:
    """A day of one recording over and over, in Frames of a second and commits of five minutes."""
    hour = [one for one in frames(recordings[0], Fraction(1)) if one.sequence < 1_800]
    with ArchiveWriter(tmp_path) as writer:
        for n in range(DAY_S // 300):
            given = [later(hour[(n * 300 + k) % len(hour)], n * 300 + k) for k in range(300)]
            import_items(writer, given)
        if merged:
            compact(writer, everything=True)
    n_files = len(list(tmp_path.glob("waveforms/**/*.parquet")))

    def first() -> int:
        subject = open_archive(tmp_path).subject(recordings[0].name)
        return subject.signal(CHANNEL, EPOCH_NS, EPOCH_NS + NS_PER_S).n_samples

    assert benchmark(first) == HZ
    if benchmark.stats is not None:
        median_ms = 1000 * benchmark.stats.stats.median
        n_bytes = size_of(tmp_path, "waveforms/**/*.parquet")
        print(
            f"\n{benchmark.name}: {median_ms:.1f} ms in {n_files} files of {n_bytes / 1e6:.1f} MB"
        )


def later(frame: Frame, second: int) -> Frame:
    """Move a Frame of a second to another one."""
    from dataclasses import replace

    blocks = tuple(
        replace(
            block,
            i_first=second * HZ,
            t0_ns=EPOCH_NS + block.period.offset_ns(second * HZ),
        )
        for block in frame.waveforms
    )
    return replace(frame, sequence=second, waveforms=blocks)
