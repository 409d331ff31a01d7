"""The access log: each line on the disk before anything is shown, and read back for people."""

# ruff: noqa: ASYNC240 - files of the test, a few lines each

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from deploy.access_report import as_text, read_entries, select
from processors.sinks.live import access_log
from processors.sinks.live.access_log import REFUSALS_PER_MINUTE, AccessLog, AccessLogError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "access.jsonl"


@pytest.fixture
def kept(file: Path) -> Iterator[AccessLog]:
    log = AccessLog(file, clock_s=lambda: 0.0, clock_ns=lambda: 1_800_000_000_123_456_789)
    yield log
    log.close()


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


async def test_a_line_says_when_and_what(kept: AccessLog, file: Path) -> None:
    await kept.write("watch_began", user="anna", subject="icu-7", by="socket", reason=None)

    assert lines_of(file) == [
        {
            "t": "2027-01-15T08:00:00.123Z",
            "event": "watch_began",
            "user": "anna",
            "subject": "icu-7",
            "by": "socket",
        }
    ]


async def test_a_line_is_on_the_disk_before_anything_is_shown(
    kept: AccessLog, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: sizes.append(os.fstat(handle).st_size))

    await kept.write("watch_began", user="anna")

    assert sizes == [file.stat().st_size]


async def test_the_file_is_not_for_everybody(kept: AccessLog, file: Path) -> None:
    await kept.write("started")

    assert file.stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("text", ["a\nb", '"}\n{"event": "signed_in"}', "\x1b[2J", "\ud800", "é☃"])
async def test_a_line_stays_one_line_whatever_is_in_it(
    kept: AccessLog, file: Path, text: str
) -> None:
    await kept.write("refused", subject=text)

    raw = file.read_bytes()
    assert raw.count(b"\n") == 1
    assert all(byte == 10 or 32 <= byte < 127 for byte in raw)
    assert lines_of(file)[0]["subject"] == text


async def test_long_text_is_cut(kept: AccessLog, file: Path) -> None:
    await kept.write("refused", subject="x" * 100_000)

    assert len(file.read_text()) < 500


async def test_whoever_moves_the_file_away_finds_a_new_one(
    kept: AccessLog, file: Path, tmp_path: Path
) -> None:
    await kept.write("started")
    file.rename(tmp_path / "old")
    await kept.write("stopped")

    assert [line["event"] for line in lines_of(tmp_path / "old")] == ["started"]
    assert [line["event"] for line in lines_of(file)] == ["stopped"]


async def test_lines_that_come_together_stay_apart(kept: AccessLog, file: Path) -> None:
    await asyncio.gather(*(kept.write("read", user=f"user-{i}" * 20) for i in range(50)))

    assert {line["user"][:7].rstrip("u") for line in lines_of(file)} >= {"user-1", "user-4"}
    assert len(lines_of(file)) == 50


async def test_two_writers_of_one_file_keep_all_their_lines(file: Path) -> None:
    logs = {name: AccessLog(file) for name in "ab"}

    await asyncio.gather(
        *(log.write("read", user=name * 200) for name, log in logs.items() for _ in range(50))
    )
    for log in logs.values():
        log.close()

    assert sorted(line["user"][0] for line in lines_of(file)) == ["a"] * 50 + ["b"] * 50


async def test_half_a_line_of_before_spoils_no_other(file: Path) -> None:
    file.parent.mkdir()
    file.write_text('{"event": "star')
    log = AccessLog(file)

    await log.write("started")
    log.close()

    [entry] = read_entries(file.read_text().splitlines())
    assert entry.event == "started"


async def test_a_disk_that_is_full_is_told_and_leaves_no_half_line(
    kept: AccessLog, file: Path
) -> None:
    await kept.write("started")
    size = file.stat().st_size
    # The most that this process may write into a file: half of the next line.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30, before[1]))
    try:
        with capture_logs(), pytest.raises(AccessLogError, match=r"access\.jsonl"):
            await kept.write("watch_began", user="anna", subject="icu-7")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)

    assert file.stat().st_size == size
    await kept.write("stopped")
    assert [line["event"] for line in lines_of(file)] == ["started", "stopped"]


async def test_a_device_without_room_is_told(tmp_path: Path) -> None:
    (tmp_path / "access.jsonl").symlink_to("/dev/full")
    log = AccessLog(tmp_path / "access.jsonl")

    with pytest.raises(AccessLogError, match="No space left"):
        await log.write("watch_began", user="anna", subject="icu-7")
    log.close()


async def test_a_disk_that_hangs_is_one_that_cannot_be_written(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves = threading.Event()
    write_whole = access_log._write_whole

    def write_late(handle: int, line: bytes) -> None:
        moves.wait(60)
        write_whole(handle, line)

    monkeypatch.setattr(access_log, "_write_whole", write_late)
    monkeypatch.setattr(access_log, "WRITE_S_MAX", 0.1)
    log = AccessLog(file)
    for _ in range(3):
        with pytest.raises(AccessLogError, match="longer than"):
            await log.write("watch_began", user="anna")

    moves.set()
    monkeypatch.setattr(access_log, "WRITE_S_MAX", 30)
    await log.write("stopped")
    log.close()
    # What had been handed to the disk is written late; who waited behind it never got that far.
    assert [line["event"] for line in lines_of(file)] == ["watch_began", "stopped"]


async def test_after_the_end_nothing_is_written(file: Path) -> None:
    log = AccessLog(file)
    log.close()

    with pytest.raises(AccessLogError, match="closed"):
        await log.write("read")


def test_a_folder_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(AccessLogError, match="file"):
        AccessLog(tmp_path / "file" / "access.jsonl")


async def test_the_same_look_is_written_once_in_five_minutes(file: Path) -> None:
    times = [0.0]
    log = AccessLog(file, clock_s=lambda: times[-1])
    for now_s in (0.0, 299.0, 300.0):
        times.append(now_s)
        await log.read("api", user="anna", subject="a")
        await log.read("api", user="anna", subject="b")
        await log.read("page", user="anna", subject="a")
    log.close()

    assert len(lines_of(file)) == 6


async def test_strangers_cannot_fill_the_disk(file: Path) -> None:
    now_s = 0.0
    log = AccessLog(file, clock_s=lambda: now_s)
    for _ in range(500):
        await log.refuse(address="192.0.2.1")
    await log.refuse(address="192.0.2.2", user="anna")
    now_s = 60.0
    await log.refuse(address="192.0.2.1")
    log.close()

    found = lines_of(file)
    assert len(found) == REFUSALS_PER_MINUTE + 2
    assert found[-2]["user"] == "anna", "what users are refused is not crowded out by it"
    assert found[-1]["left_out"] == 500 - REFUSALS_PER_MINUTE


# Read back


def line(t: int, event: str, **fields: object) -> str:
    return json.dumps({"t": f"2027-01-01T00:00:{t:02}.000Z", "event": event, **fields})


WATCH = {"watch": "w1", "user": "anna", "subject": "icu-7", "by": "socket", "address": "192.0.2.1"}


def test_a_watch_is_told_from_when_to_when() -> None:
    text = [line(1, "watch_began", **WATCH), line(9, "watch_ended", **WATCH, reason="page closed")]

    [entry] = read_entries(text)

    assert (entry.event, entry.user, entry.subject) == ("watched", "anna", "icu-7")
    assert (entry.begun[17:19], entry.ended and entry.ended[17:19]) == ("01", "09")
    assert entry.reason == "page closed"


def test_a_watch_without_an_end_goes_on_or_ended_with_the_server() -> None:
    began = line(1, "watch_began", **WATCH)

    [going_on] = read_entries([began])
    ended, _started = read_entries([began, line(5, "started")])

    assert going_on.ended is None
    assert "still" in as_text([going_on])
    assert ended.ended is not None
    assert ended.reason == "server started"


def test_entries_are_chosen_by_subject_and_by_user() -> None:
    entries = list(
        read_entries(
            [
                line(1, "watch_began", **WATCH),
                line(2, "refused", user="bert", subject="icu-7"),
                line(3, "refused", user="anna", subject="ward-3"),
                line(4, "signed_in", user="anna"),
            ]
        )
    )

    assert len(list(select(entries, subject="icu-7", user=None))) == 2
    assert len(list(select(entries, subject=None, user="anna"))) == 3
    assert len(list(select(entries, subject="icu-7", user="anna"))) == 1


def test_a_ward_is_of_every_subject_that_its_patterns_fit() -> None:
    ward = {"watch": "w", "user": "anna", "by": "ward", "patterns": ["icu-*", "ward-3"]}
    [entry] = entries = list(read_entries([line(1, "watch_began", **ward)]))

    assert list(select(entries, subject="icu-7", user=None)) == [entry]
    assert list(select(entries, subject="ward-31", user=None)) == []
    assert "icu-* ward-3" in as_text(entries)


@given(st.lists(st.text() | st.builds(line, st.integers(0, 59), st.text(), watch=st.text())))
def test_any_lines_can_be_read(lines: list[str]) -> None:
    text = as_text(read_entries(lines))

    assert "\x1b" not in text
    assert text.startswith("from")
