import asyncio
import zlib
from collections.abc import Awaitable, Callable, Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from ingest.kafka import ConsumedRecord
from processors.sinks import lanes as lanes_module
from processors.sinks.lanes import Batch, Lanes
from processors.sinks.store import (
    RejectedLines,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
)

pytestmark = pytest.mark.usefixtures("no_task_left_behind")

RECORD = ConsumedRecord(topic="t", partition=0, offset=7, payload=b"")
N_LANES = 3


def subject_of_lane(i_lane: int) -> str:
    names = (f"p-{i}" for i in range(1_000))
    return next(name for name in names if zlib.crc32(name.encode()) % N_LANES == i_lane)


SLOW, QUICK = subject_of_lane(0), subject_of_lane(1)


def waits() -> float:
    name = "chevet_processors_store_waits_total"
    return REGISTRY.get_sample_value(name, {"store": "gated"}) or 0.0


class GatedStore:
    """Keeps lines in the order in which their writes end; before each, a test may wait or fail."""

    name = "gated"
    n_parallel = N_LANES

    def __init__(self, before: Callable[[Sequence[bytes]], Awaitable[None]]) -> None:
        self.lines: list[bytes] = []
        self.n_tries = 0
        self._before = before

    async def write(self, lines: Sequence[bytes]) -> list[RejectedLines]:
        """Store the lines when it is their time."""
        self.n_tries += 1
        await self._before(lines)
        self.lines += [line for piece in lines for line in piece.split(b"\n")]
        return []

    async def close(self) -> None:
        """There is nothing to let go of."""


def of(subject: str, lines: Sequence[bytes]) -> list[bytes]:
    return [line for line in lines if line.startswith(f"{subject} ".encode())]


async def test_a_lane_that_hangs_holds_up_no_other_and_loses_nothing() -> None:
    goes_on = asyncio.Event()

    async def before(lines: Sequence[bytes]) -> None:
        if of(SLOW, lines):
            await goes_on.wait()

    store = GatedStore(before)
    lanes = Lanes(store, asyncio.Event())
    stuck, free = Batch("sink"), Batch("sink")
    async with asyncio.timeout(20), lanes.opened():
        await lanes.add(SLOW, f"{SLOW} 0".encode(), RECORD, stuck)
        stuck.finish()
        lanes.wake()
        for i in range(5):
            await lanes.add(QUICK, f"{QUICK} {i}".encode(), RECORD, free)
        free.finish()
        await lanes.until_done(free)
        assert not stuck.done.is_set()
        goes_on.set()
        await lanes.until_done(stuck)

    assert of(QUICK, store.lines) == [f"{QUICK} {i}".encode() for i in range(5)]
    assert of(SLOW, store.lines) == [f"{SLOW} 0".encode()]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32).map(Random))
def test_whatever_fails_each_subjects_lines_are_stored_in_order(rng: Random) -> None:
    async def before(_lines: Sequence[bytes]) -> None:
        for _ in range(rng.randrange(4)):
            await asyncio.sleep(0)
        if rng.random() < 0.3:
            raise StoreUnavailableError("away", retry_after_s=1e-6)

    async def run() -> dict[str, list[bytes]]:
        store, sent = GatedStore(before), {f"p-{i}": list[bytes]() for i in range(7)}
        lanes = Lanes(store, asyncio.Event())
        async with asyncio.timeout(60), lanes.opened():
            for _ in range(3):
                batch = Batch("sink")
                for i in range(30):
                    subject = rng.choice(list(sent))
                    sent[subject].append(f"{subject} {i}".encode())
                    await lanes.add(subject, sent[subject][-1], RECORD, batch)
                    if rng.random() < 0.2:
                        lanes.wake()
                        await asyncio.sleep(0)
                batch.finish()
                await lanes.until_done(batch)
        assert {subject: of(subject, store.lines) for subject in sent} == sent
        return sent

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lanes_module, "N_LINES_MAX", rng.randint(1, 9))
        patch.setattr(lanes_module, "WAITING_BYTES_MAX", rng.randint(1, 200))
        asyncio.run(run())


async def test_a_store_that_wants_a_pause_gets_it_from_every_lane() -> None:
    """What one lane was told holds for all: the limit is the client's."""
    told, loop = asyncio.Event(), asyncio.get_running_loop()
    told_at_s, later_s = 0.0, list[float]()

    async def before(_lines: Sequence[bytes]) -> None:
        nonlocal told_at_s
        if not told.is_set():
            told.set()
            told_at_s = loop.time()
            raise StoreUnavailableError("429", retry_after_s=0.2)
        later_s.append(loop.time())

    lanes = Lanes(GatedStore(before), asyncio.Event())
    first, second = Batch("sink"), Batch("sink")
    async with asyncio.timeout(20), lanes.opened():
        await lanes.add(SLOW, b"s 0", RECORD, first)
        first.finish()
        lanes.wake()
        await told.wait()
        await lanes.add(QUICK, b"q 0", RECORD, second)
        second.finish()
        await lanes.until_done(second)
        await lanes.until_done(first)

    assert len(later_s) == 2
    assert min(later_s) >= told_at_s + 0.2


async def test_there_is_room_for_so_many_bytes_and_who_adds_more_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes_module, "WAITING_BYTES_MAX", 1_000)
    goes_on, all_writing = asyncio.Event(), asyncio.Event()

    async def before(_lines: Sequence[bytes]) -> None:
        if store.n_tries == N_LANES:
            all_writing.set()
        await goes_on.wait()

    store = GatedStore(before)
    lanes = Lanes(store, asyncio.Event())
    batch, n_added, waits_before = Batch("sink"), 0, waits()

    async def add() -> None:
        nonlocal n_added
        for i in range(30):
            await lanes.add(f"p-{i}", bytes(99) + b"x", RECORD, batch)
            n_added += 1
        batch.finish()

    async with asyncio.timeout(20), lanes.opened():
        adding = asyncio.create_task(add())
        await all_writing.wait()
        assert n_added == 9
        assert waits() == waits_before + 1
        goes_on.set()
        await adding
        await lanes.until_done(batch)

    assert len(store.lines) == 30


@pytest.mark.parametrize("error", [StoreRefusedError("no"), StoreUnavailableError("away")])
async def test_what_ends_a_lane_is_told_to_who_waits(error: StoreError) -> None:
    stop = asyncio.Event()
    stop.set()

    async def before(_lines: Sequence[bytes]) -> None:
        raise error

    lanes = Lanes(GatedStore(before), stop)
    batch = Batch("sink")
    async with asyncio.timeout(20), lanes.opened():
        await lanes.add(SLOW, b"s 0", RECORD, batch)
        batch.finish()
        with pytest.raises(type(error)):
            await lanes.until_done(batch)
        with pytest.raises(type(error)):
            lanes.check()

    assert not batch.done.is_set()
