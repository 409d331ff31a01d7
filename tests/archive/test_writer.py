"""A commit is made wholly or not at all, wherever it is cut off."""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.frame import Frame
from processors.sinks.archive import ArchiveError, open_archive
from processors.sinks.archive.compaction import compact
from processors.sinks.archive.errors import ArchiveRefusedError, ArchiveUnavailableError
from processors.sinks.archive.rows import Part
from processors.sinks.archive.verify import verify
from processors.sinks.archive.writer import COMMIT, STAGING, STATE, ArchiveWriter
from tests.archive.frames import N, frame, frames, rows_of, stored

PLACE = ("chevet.frames", 0)


class Killed(BaseException):
    """The power fails."""


class Disk:
    """Counts how often the disk is waited for, and fails there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.n_calls = 0
        self.fails_at: dict[int, BaseException] = {}
        monkeypatch.setattr("processors.sinks.archive.disk.os.fsync", self)

    def __call__(self, _descriptor: int) -> None:
        self.n_calls += 1
        if error := self.fails_at.get(self.n_calls):
            raise error

    def fail(self, at: int, error: BaseException) -> None:
        self.n_calls, self.fails_at = 0, {at: error}


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def parts(number: int, *given: Frame) -> Iterator[Part]:
    return rows_of(number, *given).parts()


def add(writer: ArchiveWriter, first: int, end: int) -> None:
    writer.commit(parts(writer.number, *frames(first, end)), {PLACE: end})


def counts(folder: Path) -> list[int]:
    return sorted(stored(open_archive(folder).subject("p-1")))


def test_what_is_committed_is_there_with_how_far_kafka_is(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path) as writer:
        add(writer, 0, 3)
        add(writer, 3, 4)

    assert counts(tmp_path) == list(range(4 * N))
    with ArchiveWriter(tmp_path) as again:
        assert again.offsets == {PLACE: 4}
        assert again.number == 3
    assert verify(tmp_path).findings == ()
    assert verify(tmp_path).n_samples == 4 * N
    assert not (tmp_path / COMMIT).exists()
    assert list((tmp_path / STAGING).iterdir()) == []


def test_a_commit_is_whole_or_not_there_wherever_the_power_fails(
    tmp_path: Path, disk: Disk
) -> None:
    n_made = n_lost = 0
    for at in range(1, 200):
        folder = tmp_path / str(at)
        with ArchiveWriter(folder) as writer:
            add(writer, 0, 2)
        writer = ArchiveWriter(folder)
        disk.fail(at, Killed())
        try:
            add(writer, 2, 4)
        except Killed:
            is_cut = True
        else:
            is_cut = False
        disk.fail(0, Killed())
        writer.close()

        with ArchiveWriter(folder) as again:
            reached = again.offsets[PLACE]
        assert counts(folder) == list(range(reached * N))
        assert verify(folder).findings == ()
        n_made += reached == 4
        n_lost += reached == 2
        if not is_cut:
            break
    else:
        pytest.fail("it never came to its end")
    print(f"{at - 1} places to be cut off: {n_lost} before the commit, {n_made - 1} behind it")
    assert n_lost > 3
    assert n_made > 5


def test_a_merge_is_whole_or_not_there_wherever_the_power_fails(tmp_path: Path, disk: Disk) -> None:
    for at in range(1, 200):
        folder = tmp_path / str(at)
        with ArchiveWriter(folder) as writer:
            for i in range(3):
                add(writer, i, i + 1)
        writer = ArchiveWriter(folder)
        disk.fail(at, Killed())
        try:
            compact(writer, everything=True)
        except Killed:
            is_cut = True
        else:
            is_cut = False
        disk.fail(0, Killed())
        writer.close()

        ArchiveWriter(folder).close()
        assert counts(folder) == list(range(3 * N)), at
        assert verify(folder).findings == ()
        if not is_cut:
            break
    assert at > 10


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_leaves_the_archive_as_it_was_and_the_next_try_succeeds(
    tmp_path: Path, disk: Disk, number: int
) -> None:
    n_refused = 0
    with ArchiveWriter(tmp_path) as writer:
        add(writer, 0, 1)
        for at in range(1, 25):
            disk.fail(at, OSError(number, os.strerror(number)))
            end = writer.offsets[PLACE]
            try:
                add(writer, end, end + 1)
            except ArchiveUnavailableError:
                n_refused += 1
                assert writer.offsets == {PLACE: end}
                assert list((tmp_path / STAGING).iterdir()) == []
            disk.fail(0, Killed())
            end = writer.offsets[PLACE]
            add(writer, end, end + 1)
            assert counts(tmp_path) == list(range((end + 1) * N))
    assert n_refused > 3
    assert verify(tmp_path).findings == ()


def test_an_error_of_who_gives_the_rows_leaves_the_archive_as_it_was(tmp_path: Path) -> None:
    def broken() -> Iterator[Part]:
        yield from parts(2, frame(1))
        raise RuntimeError("no more")

    with ArchiveWriter(tmp_path) as writer:
        add(writer, 0, 1)
        with pytest.raises(RuntimeError, match="no more"):
            writer.commit(broken(), {PLACE: 2})
        assert writer.offsets == {PLACE: 1}
        add(writer, 1, 2)

    assert counts(tmp_path) == list(range(2 * N))


def test_one_process_writes_at_a_time(tmp_path: Path) -> None:
    with (
        ArchiveWriter(tmp_path),
        pytest.raises(ArchiveRefusedError, match="another process writes it"),
    ):
        ArchiveWriter(tmp_path)
    ArchiveWriter(tmp_path).close()


def test_a_folder_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()

    with pytest.raises(ArchiveRefusedError, match=r"no archive, and not empty \(letters"):
        ArchiveWriter(tmp_path)
    with pytest.raises(ArchiveRefusedError, match="no archive in"):
        open_archive(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "damaged"), ("[]", "damaged"), (json.dumps({"format": 99}), "has format 99")],
)
def test_a_state_that_is_not_ours_is_refused(tmp_path: Path, content: str, said: str) -> None:
    ArchiveWriter(tmp_path).close()
    (tmp_path / STATE).write_text(content)

    with pytest.raises(ArchiveError, match=said):
        open_archive(tmp_path)
    with pytest.raises(ArchiveError, match=said):
        ArchiveWriter(tmp_path)


def test_a_file_that_nobody_can_make_is_said(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("")

    with pytest.raises(ArchiveUnavailableError, match="file"):
        ArchiveWriter(place)
