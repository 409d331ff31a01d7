"""One contract for every store: the real ones, and the one that the tests of the sink use."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.influx import InfluxServer
from deploy.readback import InfluxReader
from processors.sinks.files import LineFileStore, read_lines
from processors.sinks.influx import N_LINES_MAX, InfluxStore
from processors.sinks.store import LineStore
from tests.sinks.line_protocol import parse
from tests.sinks.memory_store import MemoryStore

pytestmark = pytest.mark.usefixtures("no_task_left_behind")

Points = dict[tuple[str, int], int]
"""The field ``v`` by the tag ``n`` and the time."""


@dataclass
class Case:
    store: LineStore
    measurement: str
    read: Callable[[], Awaitable[Points]]

    def lines(self, n_lines: int, *, value: int = 0, n_series: int = 5) -> list[bytes]:
        return [
            f"{self.measurement},n={i % n_series} v={i + value}i {1_000 + i}".encode()
            for i in range(n_lines)
        ]

    def points(self, n_lines: int, *, value: int = 0, n_series: int = 5) -> Points:
        return {(str(i % n_series), 1_000 + i): i + value for i in range(n_lines)}


def _memory_case(_request: pytest.FixtureRequest, name: str, _folder: Path) -> Case:
    store = MemoryStore()

    async def read() -> Points:
        return _by_identity(store.lines)

    return Case(store, name, read)


def _file_case(_request: pytest.FixtureRequest, name: str, folder: Path) -> Case:
    async def read() -> Points:
        return _by_identity(await asyncio.to_thread(lambda: list(read_lines(folder))))

    return Case(LineFileStore(folder, part_bytes_max=100_000), name, read)


def _gzip_case(request: pytest.FixtureRequest, name: str, folder: Path) -> Case:
    return _influx_case(request, name, folder, gzip_level=1)


def _influx_case(
    request: pytest.FixtureRequest, name: str, _folder: Path, *, gzip_level: int = 0
) -> Case:
    server: InfluxServer = request.getfixturevalue("influx_server")
    reader = InfluxReader(server.url, server.database)

    async def read() -> Points:
        rows = await asyncio.to_thread(reader.query, f'SELECT "v" FROM "{name}" GROUP BY "n"')  # noqa: S608
        return {(row["tags"]["n"], t_ns): value for row in rows for t_ns, value in row["values"]}

    store = InfluxStore(
        url=server.url, bucket=server.bucket, org="any", token=name, gzip_level=gzip_level
    )
    return Case(store, name, read)


def _by_identity(lines: list[bytes]) -> Points:
    # The later of two lines for one point holds.
    return {(point.tags["n"], point.t_ns): int(point.fields["v"]) for point in map(parse, lines)}


@pytest.fixture(
    params=[
        _memory_case,
        _file_case,
        pytest.param(_influx_case, marks=pytest.mark.influx),
        pytest.param(_gzip_case, marks=pytest.mark.influx),
    ],
    ids=["memory", "files", "influx", "influx-gzip"],
)
async def case(
    request: pytest.FixtureRequest, unique_name: str, tmp_path: Path
) -> AsyncIterator[Case]:
    made: Case = request.param(request, unique_name, tmp_path / "store")
    yield made
    await made.store.close()


async def test_what_was_written_is_there(case: Case) -> None:
    assert await case.store.write(case.lines(100)) == []

    assert await case.read() == case.points(100)


async def test_a_piece_may_hold_several_lines(case: Case) -> None:
    lines = case.lines(100)

    assert await case.store.write([lines[0], b"\n".join(lines[1:60]), *lines[60:]]) == []

    assert await case.read() == case.points(100)


async def test_nothing_is_written_where_there_is_nothing(case: Case) -> None:
    assert await case.store.write([]) == []

    assert await case.read() == {}


async def test_writing_twice_changes_nothing(case: Case) -> None:
    for _ in range(2):
        assert await case.store.write(case.lines(100)) == []

    assert await case.read() == case.points(100)


async def test_of_two_lines_for_one_point_the_later_holds(case: Case) -> None:
    # So far apart that they are in different requests.
    lines = [*case.lines(N_LINES_MAX, value=7), *case.lines(10)]

    assert await case.store.write(lines) == []

    assert await case.read() == case.points(N_LINES_MAX, value=7) | case.points(10)


async def test_more_lines_than_one_request_takes_are_all_there(case: Case) -> None:
    n_lines = 2 * N_LINES_MAX + 1

    assert await case.store.write(case.lines(n_lines)) == []

    assert await case.read() == case.points(n_lines)


async def test_two_writes_at_once_do_not_mix(case: Case) -> None:
    first, second = case.lines(3_000, value=1), case.lines(6_000)[3_000:]

    await asyncio.gather(case.store.write(first), case.store.write(second))

    assert await case.read() == case.points(6_000) | case.points(3_000, value=1)


async def test_a_store_may_be_closed_twice(case: Case) -> None:
    await case.store.write(case.lines(1))

    await case.store.close()
    await case.store.close()


def test_a_store_has_a_name(case: Case) -> None:
    assert case.store.name in {"memory", "files", "influx"}
