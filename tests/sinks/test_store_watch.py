"""Whether a store takes what it is given, as the sink says it."""

import asyncio

import pytest

from ingest.role_status import RoleState
from ingest.status_reporter import Said
from processors.sinks.store import StoreRefusedError, StoreUnavailableError
from processors.sinks.store_watch import WatchedStore
from tests.sinks.memory_store import MemoryStore


class Bench:
    def __init__(self) -> None:
        self.now_s = 100.0
        self.inner = MemoryStore()
        self.store = WatchedStore(self.inner, lambda: self.now_s)

    def said(self) -> tuple[RoleState, str]:
        said: Said = self.store.said()
        return said.state, said.reason


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_it_starts_and_is_ready_when_something_is_stored(bench: Bench) -> None:
    assert bench.said() == (RoleState.STARTING, "")

    assert await bench.store.write([b"a v=1 5"]) == []

    assert bench.said() == (RoleState.READY, "")
    bench.now_s += 2
    assert bench.store.said().gauges == {"writes_under_way": 0.0, "stored_age_s": 2.0}


async def test_a_store_that_is_away_is_waited_for_until_it_takes_something(bench: Bench) -> None:
    await bench.store.write([b"a v=1 5"])
    bench.inner.failures.append(StoreUnavailableError("refused"))
    with pytest.raises(StoreUnavailableError):
        await bench.store.write([b"a v=1 6"])
    assert bench.said() == (RoleState.WAITING, "store")

    await bench.store.write([b"a v=1 6"])

    assert bench.said() == (RoleState.READY, "")
    assert bench.inner.lines == [b"a v=1 5", b"a v=1 6"]


async def test_a_write_that_does_not_end_is_a_store_that_is_away(bench: Bench) -> None:
    bench.inner.answers.clear()
    writing = asyncio.create_task(bench.store.write([b"a v=1 5"]))
    await bench.inner.until(lambda: bench.inner.n_tries == 1)
    bench.now_s += 2
    assert bench.said() == (RoleState.STARTING, "")
    bench.now_s += 2
    assert bench.said() == (RoleState.WAITING, "store")

    bench.inner.answers.set()
    await writing

    assert bench.said() == (RoleState.READY, "")


async def test_a_refusal_is_passed_on(bench: Bench) -> None:
    bench.inner.failures.append(StoreRefusedError("no such bucket"))

    with pytest.raises(StoreRefusedError, match="no such bucket"):
        await bench.store.write([b"a v=1 5"])

    assert bench.store.said().gauges["writes_under_way"] == 0.0
