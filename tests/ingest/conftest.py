"""What the tests of Kafka's clients share."""

import asyncio
from collections.abc import AsyncIterator

import pytest


@pytest.fixture
async def no_task_left_behind() -> AsyncIterator[None]:
    """Fail a test that leaves a task of its own behind."""
    before = asyncio.all_tasks()
    yield
    for _ in range(10):
        # A task that was cancelled, or whose connection was closed, ends in a few turns.
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, f"left behind: {sorted(str(task.get_coro()) for task in left)}"
