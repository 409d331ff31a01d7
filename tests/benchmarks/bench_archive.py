"""Bytes per sample, values per second in and out, and the first second of a day, of the archive.

The recordings are those of mitdb (``CHEVET_DATA``). Beside it, in the same run and on the same
samples: Parquet as anybody writes it, one row per sample, with its time and without; WFDB with FLAC
(format 516), the densest form of that library; and AtriumDB, where ``CHEVET_ATRIUMDB`` names a
folder that it was installed into (``pip install --target DIR atriumdb``). Values per second are
those of a core: of CPU time, all threads together, and pyarrow is told to use one. At the end the
table goes into docs/archive.md.
"""

import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

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
from tests.benchmarks import archive_peers, results, write_archive

N_RECORDS: Final = 12
DAY_S: Final = 86_400
HZ: Final = archive_peers.HZ
CHANNEL: Final = "ecg/MLII"


with_atriumdb = pytest.mark.skipif(
    archive_peers.ATRIUMDB is None, reason="CHEVET_ATRIUMDB names no folder with AtriumDB"
)

OURS: Final = "Chevet, Frames of {} s"
WITH_TIMES: Final = "plain Parquet, a row per sample: time and count"
COUNTS_ONLY: Final = "plain Parquet, a row per sample: count"
FLAC: Final = "WFDB with FLAC"


@pytest.fixture(scope="module", autouse=True)
def one_core() -> Iterator[None]:
    before = pa.cpu_count(), pa.io_thread_count()
    pa.set_cpu_count(1)
    yield
    pa.set_cpu_count(before[0])


@pytest.fixture(scope="module")
def table(recordings: list[Recording]) -> Iterator[write_archive.Figures]:
    """What was measured; at the end it is printed and goes into the page."""
    figures = write_archive.Figures(n_samples=n_samples(recordings))
    yield figures
    if figures.rows:
        figures.show()
        results.save("archive", figures.as_json())
        write_archive.write()


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


def rate_of(benchmark: BenchmarkFixture, n: int) -> float | None:
    """Values per second of CPU; None under --benchmark-disable."""
    if benchmark.stats is None:
        return None
    rate = n / benchmark.stats.stats.median
    benchmark.extra_info["values_per_s"] = round(rate)
    return float(rate)


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
    benchmark: BenchmarkFixture,
    recordings: list[Recording],
    tmp_path: Path,
    frame_s: str,
    table: write_archive.Figures,
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
    n_bytes = size_of(made[-1], "waveforms/**/*.parquet")
    table.wrote(OURS.format(frame_s), rate_of(benchmark, n_samples(recordings)), n_bytes)


@pytest.mark.benchmark(group="archive: write", timer=time.process_time)
@pytest.mark.parametrize("times", [True, False], ids=["times", "counts"])
def test_write_plain_parquet(
    benchmark: BenchmarkFixture,
    recordings: list[Recording],
    tmp_path: Path,
    times: bool,  # noqa: FBT001
    table: write_archive.Figures,
) -> None:
    def write() -> None:
        archive_peers.write_plain(recordings, tmp_path, times=times)

    benchmark.pedantic(write, rounds=3, warmup_rounds=1)  # type: ignore[no-untyped-call]
    name = WITH_TIMES if times else COUNTS_ONLY
    rate = rate_of(benchmark, n_samples(recordings))
    table.wrote(name, rate, size_of(tmp_path, "*.parquet"))


@pytest.mark.benchmark(group="archive: write", timer=time.process_time)
def test_write_wfdb_flac(
    benchmark: BenchmarkFixture,
    recordings: list[Recording],
    tmp_path: Path,
    table: write_archive.Figures,
) -> None:
    def write() -> None:
        for one in recordings:
            archive_peers.write_flac(one, tmp_path)

    benchmark.pedantic(write, rounds=2, warmup_rounds=0)  # type: ignore[no-untyped-call]
    rate = rate_of(benchmark, n_samples(recordings))
    table.wrote(FLAC, rate, size_of(tmp_path, "*.dat"))


@pytest.mark.skipif(
    archive_peers.ATRIUMDB is None, reason="CHEVET_ATRIUMDB names no folder with AtriumDB"
)
@pytest.mark.benchmark(group="archive: write", timer=time.process_time)
def test_write_atriumdb(
    benchmark: BenchmarkFixture,
    recordings: list[Recording],
    tmp_path: Path,
    table: write_archive.Figures,
) -> None:
    made: list[Path] = []

    def fresh_one() -> tuple[tuple[archive_peers.Atrium], dict[str, object]]:
        made.append(tmp_path / str(len(made)))
        return (archive_peers.Atrium(made[-1]),), {}

    def write(into: archive_peers.Atrium) -> None:
        into.write(recordings)

    benchmark.pedantic(write, setup=fresh_one, rounds=1)  # type: ignore[no-untyped-call]
    rate = rate_of(benchmark, n_samples(recordings))
    table.wrote(archive_peers.atriumdb_name(), rate, size_of(made[-1], "tsc/**/*.tsc"))


@pytest.mark.skipif(
    archive_peers.ATRIUMDB is None, reason="CHEVET_ATRIUMDB names no folder with AtriumDB"
)
@pytest.mark.benchmark(group="archive: read", timer=time.process_time)
def test_read_atriumdb(
    benchmark: BenchmarkFixture,
    recordings: list[Recording],
    tmp_path: Path,
    table: write_archive.Figures,
) -> None:
    atrium = archive_peers.Atrium(tmp_path / "a")
    few = recordings[:3]  # it takes seconds to write one
    atrium.write(few)
    read: Any = benchmark.pedantic(  # type: ignore[no-untyped-call]
        atrium.read, args=(few,), rounds=3, warmup_rounds=1
    )
    assert read == n_samples(few)
    table.read(archive_peers.atriumdb_name(), rate_of(benchmark, n_samples(few)))


@pytest.mark.benchmark(group="archive: read", timer=time.process_time)
def test_read(
    benchmark: BenchmarkFixture,
    recordings: list[Recording],
    tmp_path: Path,
    table: write_archive.Figures,
) -> None:
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
    table.read(OURS.format("1"), rate_of(benchmark, n_samples(recordings)))


@pytest.mark.benchmark(group="archive: read", timer=time.process_time)
@pytest.mark.parametrize("times", [True, False], ids=["times", "counts"])
def test_read_plain_parquet(
    benchmark: BenchmarkFixture,
    recordings: list[Recording],
    tmp_path: Path,
    times: bool,  # noqa: FBT001
    table: write_archive.Figures,
) -> None:
    archive_peers.write_plain(recordings, tmp_path, times=times)

    def read() -> int:
        n = 0
        for path in tmp_path.glob("*.parquet"):
            rows = parquet.read_table(path, use_threads=False)
            n += min(len(rows[name].to_numpy()) for name in rows.column_names)
        return n

    assert benchmark(read) == n_samples(recordings)
    name = WITH_TIMES if times else COUNTS_ONLY
    table.read(name, rate_of(benchmark, n_samples(recordings)))


@pytest.mark.benchmark(group="archive: read", timer=time.process_time)
def test_read_wfdb_flac(
    benchmark: BenchmarkFixture,
    recordings: list[Recording],
    tmp_path: Path,
    table: write_archive.Figures,
) -> None:
    for one in recordings:
        archive_peers.write_flac(one, tmp_path)

    def read() -> int:
        found = [
            wfdb.rdrecord(str(tmp_path / f"r{one.name}"), physical=False) for one in recordings
        ]
        return sum(int(one.d_signal.size) for one in found)

    found: Any = benchmark.pedantic(read, rounds=2)  # type: ignore[no-untyped-call]
    assert found == n_samples(recordings)
    table.read(FLAC, rate_of(benchmark, n_samples(recordings)))


@pytest.mark.benchmark(group="archive: first second of a day")
@pytest.mark.parametrize("merged", [True, False], ids=["merged", "as-recorded"])
def test_first_second_of_a_day(
    benchmark: BenchmarkFixture,
    recordings: list[Recording],
    tmp_path: Path,
    merged: bool,  # noqa: FBT001
    table: write_archive.Figures,
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
        table.first_second(
            "merged" if merged else "as recorded", benchmark.stats.stats.median, n_files
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
