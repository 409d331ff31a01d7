"""Jobs for other processes: small, for whoever does them imports this module."""

import os
import signal
import threading
from pathlib import Path

from deploy.record_jobs import OnShare


def squared(number: int, on_share: OnShare) -> tuple[int, int]:
    for percent in range(0, 101, 10):
        on_share(percent / 100)
    return number * number, os.getpid()


def killed_at(number: int, at: int, on_share: OnShare) -> tuple[int, int]:
    if number == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return squared(number, on_share)


def raised(number: int, _: OnShare) -> int:
    raise ZeroDivisionError(number)


def half_written(path: Path, on_share: OnShare) -> None:
    path.write_text("half")
    try:
        on_share(0.5)
        threading.Event().wait()
    finally:
        path.unlink()
