"""A worker that hangs at its fiftieth Frame: ``python -m tests.worker.hanging worker ...``.

The first one blocks its event loop, the second one waits for what never comes while the loop turns,
the third one is well: each leaves a file in the folder that ``CHEVET_TEST_HANG`` names.
"""

import asyncio
import os
import time
from pathlib import Path
from typing import Final

from processors.worker import Message, Worker
from tests.worker.running import HANG_VARIABLE

AT_FRAME: Final = 50
STALL_S: Final = 5.0
"""How soon the watchdog ends it: its setting has 40 s at least, which the start may need."""

_process = Worker.process
# Settings that nobody knows are refused.
_folder = Path(os.environ.pop(HANG_VARIABLE))
_n_frames = 0


async def _process_or_hang(self: Worker, message: Message) -> None:
    global _n_frames  # noqa: PLW0603  # one worker in one process
    _n_frames += 1
    if _n_frames == AT_FRAME:
        how = _how()
        self._watchdog._stall_s = STALL_S
        if how == "loop":
            _block()
        if how == "stall":
            await asyncio.Event().wait()
    await _process(self, message)


def _how() -> str | None:
    for how in ("loop", "stall"):
        marker = _folder / how
        if not marker.exists():
            marker.touch()
            return how
    return None


def _block() -> None:
    time.sleep(3600)


Worker.process = _process_or_hang  # type: ignore[method-assign]

if __name__ == "__main__":
    from deploy.cli import main

    main()
