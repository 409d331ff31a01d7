"""Small files become larger ones, and nothing else changes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.frame import NS_PER_S
from processors.sinks.archive import open_archive
from processors.sinks.archive.compaction import (
    MERGE_FILES,
    MERGED_BYTES_MAX,
    FileSize,
    compact,
    forget_subject,
    plan_merges,
)
from processors.sinks.archive.errors import ArchiveRefusedError
from processors.sinks.archive.verify import Fault, verify
from processors.sinks.archive.writer import ArchiveWriter
from tests.archive.frames import N, frames, rows_of, stored

sizes = st.lists(st.integers(1, 2 * MERGED_BYTES_MAX), max_size=40)


def files_of(n_bytes: list[int]) -> list[FileSize]:
    return [FileSize(f"0-0-{n}-0.parquet", size) for n, size in enumerate(n_bytes)]


@given(sizes, st.booleans())
def test_a_plan_merges_each_file_once_at_most_and_within_bounds(
    n_bytes: list[int],
    everything: bool,  # noqa: FBT001
) -> None:
    files = files_of(n_bytes)
    size_of = {file.name: file.n_bytes for file in files}

    groups = list(plan_merges(files, everything=everything))

    merged = [name for group in groups for name in group]
    assert len(merged) == len(set(merged))
    assert set(merged) <= set(size_of)
    for group in groups:
        assert len(group) >= (2 if everything else MERGE_FILES)
        assert sum(size_of[name] for name in group) <= MERGED_BYTES_MAX


def test_files_are_merged_when_enough_of_one_size_are_there() -> None:
    small, large = [1_000] * (MERGE_FILES - 1), [300_000] * 3

    assert list(plan_merges(files_of([*small, *large]))) == []
    (group,) = plan_merges(files_of([*small, *large, 1_000]))
    assert len(group) == MERGE_FILES


def archive_of(folder: Path, n_commits: int) -> ArchiveWriter:
    writer = ArchiveWriter(folder)
    for n in range(n_commits):
        given = [*frames(2 * n, 2 * n + 2), *frames(2 * n, 2 * n + 2, "p-2")]
        writer.commit(rows_of(writer.number, *given).parts())
    return writer


def test_a_merge_leaves_rows_frames_and_manifest_right(tmp_path: Path) -> None:
    with archive_of(tmp_path, 5) as writer:
        before = list(open_archive(tmp_path).subject("p-1").frames())
        n_before = verify(tmp_path).n_files

        n_merged = compact(writer, everything=True)

        assert n_merged == n_before
        assert compact(writer, everything=True) == 0
    subject = open_archive(tmp_path).subject("p-1")
    assert list(subject.frames()) == before
    assert stored(subject) == list(range(10 * N))
    verdict = verify(tmp_path)
    assert (verdict.findings, verdict.n_files) == ((), 4)
    assert verdict.n_samples == 20 * N


def test_a_recorders_many_small_files_stay_few(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path) as writer:
        most = 0
        for n in range(70):
            made = writer.commit(rows_of(writer.number, *frames(n, n + 1)).parts())
            compact(writer, {Path(entry.path).parent for entry in made.added})
            most = max(most, len(list(tmp_path.glob("waveforms/*/*/*.parquet"))))

    assert most <= 2 * MERGE_FILES
    assert stored(open_archive(tmp_path).subject("p-1")) == list(range(70 * N))


def test_a_flipped_bit_a_missing_and_an_unknown_file_are_found(tmp_path: Path) -> None:
    archive_of(tmp_path, 2).close()
    flipped, gone, *_ = sorted(tmp_path.glob("waveforms/*/*/*.parquet"))
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 1
    flipped.write_bytes(content)
    gone.rename(gone.with_name("0-0-99-0.parquet"))

    found = {(one.fault, one.path) for one in verify(tmp_path).findings}

    assert found == {
        (Fault.DAMAGED, str(flipped.relative_to(tmp_path))),
        (Fault.MISSING, str(gone.relative_to(tmp_path))),
        (Fault.UNKNOWN, str(gone.with_name("0-0-99-0.parquet").relative_to(tmp_path))),
    }


def test_a_damaged_file_is_not_merged_away(tmp_path: Path) -> None:
    with archive_of(tmp_path, 2) as writer:
        one = sorted(tmp_path.glob("waveforms/*/*/*.parquet"))[0]
        one.write_bytes(one.read_bytes()[:-9])

        with pytest.raises(ArchiveRefusedError, match="cannot be read"):
            compact(writer, everything=True)

        assert one.exists()


def test_a_subject_is_forgotten_wholly_and_the_others_stay(tmp_path: Path) -> None:
    with archive_of(tmp_path, 2) as writer:
        assert forget_subject(writer, "p-1") == 4
        assert forget_subject(writer, "p-1") == 0

    assert open_archive(tmp_path).subjects() == ["p-2"]
    assert verify(tmp_path).findings == ()
    assert open_archive(tmp_path).subject("p-2").signal("ecg").t_ns[0] % NS_PER_S == 0
