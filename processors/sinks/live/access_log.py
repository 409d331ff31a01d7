"""Who watched whom: a file of JSON lines that is only ever added to.

Each line has ``t`` (UTC), ``event``, and what is known of ``user``, ``session``, ``address``,
``subject``, ``by`` (page, socket, ward or api) and ``reason``; of a ward ``patterns`` instead of a
subject:

    started, stopped        of the server: what has no end ended at the latest then
    signed_in, sign_in_failed, signed_out       ``account``: of a sign-in service
    watch_began, watch_ended    with the same ``watch``; the end has ``seconds`` too
    annotated, annotation_not_kept      something was marked; the broker did not take it
    read                    one look by page or API; repeats within five minutes are one
    refused                 what was asked for and not given

A line is on the disk before the data that it speaks of are sent. Where it cannot be written nothing
is shown. Whoever moves the file away (logrotate) finds a new one in its place.
"""

import asyncio
import contextlib
import json
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import structlog

from processors.metrics import LIVE_ACCESS
from processors.sinks.live.access_limits import Budget

By = Literal["page", "socket", "ward", "api"]
Field = str | float | int | tuple[str, ...] | None

TEXT_CHARS_MAX: Final = 256
"""Characters of any text from outside. The rest is cut."""
WRITE_S_MAX: Final = 5.0
"""A disk that takes longer is one that cannot be written."""
READ_AGAIN_S: Final = 300.0
READS_MAX: Final = 4_096
"""Looks remembered. Beyond, the oldest is forgotten and may be written once more."""
REFUSALS_PER_MINUTE: Final = 60
"""Of strangers, and as many of users. Beyond, they are counted: ``left_out`` of the next line."""

log = structlog.get_logger()


class AccessLogError(Exception):
    """The access log cannot be written; nothing may be shown."""


class AccessLog:
    """Adds lines to a file, each on the disk before ``write`` returns.

    Raises
    ------
    AccessLogError
        The file cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._path = path
        self._clock_s = clock_s
        self._clock_ns = clock_ns
        self._turn = asyncio.Lock()
        self._is_closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="access-log")
        self._reads: OrderedDict[tuple[Field, ...], float] = OrderedDict()
        self._strangers = Budget(n_max=REFUSALS_PER_MINUTE, window_s=60.0)
        self._users = Budget(n_max=REFUSALS_PER_MINUTE, window_s=60.0)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = _open(path)
        except OSError as error:
            raise AccessLogError(f"access log {path}: {error}") from error

    async def write(self, event: str, **fields: Field) -> None:
        """Write a line; fields that are None or empty are left out.

        Raises
        ------
        AccessLogError
        """
        line = {"t": _utc(self._clock_ns()), "event": event}
        known = {name: _cut(value) for name, value in fields.items() if value not in {None, ""}}
        text = json.dumps(line | known, ensure_ascii=True) + "\n"
        try:
            async with asyncio.timeout(WRITE_S_MAX):
                await self._in_turn(text.encode())
        except (OSError, TimeoutError) as error:
            reason = str(error) or f"took longer than {WRITE_S_MAX:.0f} s"
            LIVE_ACCESS.labels("log_unwritable").inc()
            log.error("access_log_unwritable", file=str(self._path), error=reason)
            raise AccessLogError(f"access log {self._path}: {reason}") from error
        LIVE_ACCESS.labels(event).inc()
        log.info("access", access=event, **known)

    async def _in_turn(self, line: bytes) -> None:
        # A disk that hangs holds one thread, and whoever comes meanwhile waits here in vain.
        await self._turn.acquire()
        if self._is_closed:
            self._turn.release()
            raise OSError("closed")
        writing = asyncio.get_running_loop().run_in_executor(self._thread, self._append, line)
        writing.add_done_callback(self._end_turn)
        await asyncio.shield(writing)

    def _end_turn(self, writing: asyncio.Future[None]) -> None:
        self._turn.release()
        if not writing.cancelled():
            writing.exception()  # whoever waited may be gone

    async def read(self, by: By, **fields: Field) -> None:
        """Write that somebody looked, unless the same is written already.

        Raises
        ------
        AccessLogError
        """
        key = (by, *fields.values())
        now_s = self._clock_s()
        told_s = self._reads.get(key)
        if told_s is not None and now_s - told_s < READ_AGAIN_S:
            return
        await self.write("read", by=by, **fields)
        self._reads[key] = now_s
        self._reads.move_to_end(key)
        while len(self._reads) > READS_MAX:
            self._reads.popitem(last=False)

    async def refuse(self, event: str = "refused", **fields: Field) -> None:
        """Write that something was refused, or count it where it happens all the time.

        It is refused even where that cannot be written.
        """
        budget = self._users if fields.get("user") else self._strangers
        n_left_out = budget.take(self._clock_s())
        if n_left_out is None:
            LIVE_ACCESS.labels("refused_unwritten").inc()
            return
        with contextlib.suppress(AccessLogError):
            await self.write(event, **fields, left_out=n_left_out or None)

    def close(self) -> None:
        """Close the file; what is being written is written, and nothing after it."""
        self._is_closed = True
        self._thread.shutdown()
        os.close(self._handle)

    def _append(self, line: bytes) -> None:
        self._follow()
        size = os.fstat(self._handle).st_size
        try:
            _write_whole(self._handle, line)
        except OSError:
            # Half a line would spoil the next one too.
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, size)
            raise

    def _follow(self) -> None:
        """Open the file anew if another one, or none, is where it was."""
        ours = os.fstat(self._handle)
        try:
            found = self._path.stat()
        except FileNotFoundError:
            found = None
        if found is None or (found.st_ino, found.st_dev) != (ours.st_ino, ours.st_dev):
            handle = _open(self._path)
            os.close(self._handle)
            self._handle = handle


def _open(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    size = os.fstat(handle).st_size
    if size and os.pread(handle, 1, size - 1) != b"\n":
        os.write(handle, b"\n")  # half a line of a process that was killed stays alone
    return handle


def _write_whole(handle: int, line: bytes) -> None:
    n_written = os.write(handle, line)
    if n_written != len(line):
        raise OSError(f"{n_written} of {len(line)} bytes written: is the disk full?")
    os.fsync(handle)


def _utc(t_ns: int) -> str:
    found = datetime.fromtimestamp(t_ns / 1e9, UTC)
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cut(value: Field) -> Field:
    return value[:TEXT_CHARS_MAX] if isinstance(value, str) else value
