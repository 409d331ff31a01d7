import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.sinks.files import LineFileStore, part_files, read_lines
from processors.sinks.store import StoreRefusedError, StoreUnavailableError


def names(folder: Path) -> list[str]:
    return [part.name for part in part_files(folder)]


async def test_a_line_that_a_crash_tore_is_cut_when_the_store_is_opened_again(
    tmp_path: Path,
) -> None:
    part = tmp_path / "part-000001.lp"
    part.write_bytes(b"m v=1i 1\nm v=2i 2\nm v=3")
    assert list(read_lines(tmp_path)) == [b"m v=1i 1", b"m v=2i 2"]

    store = LineFileStore(tmp_path)
    await store.write([b"m v=3i 3"])
    await store.close()

    assert part.read_bytes() == b"m v=1i 1\nm v=2i 2\nm v=3i 3\n"


@pytest.mark.parametrize("content", [b"", b"m v=1", b"m v=1i 1\n"])
async def test_a_store_opens_on_whatever_a_crash_left(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "part-000001.lp").write_bytes(content)

    store = LineFileStore(tmp_path)
    await store.write([b"m v=2i 2"])
    await store.close()

    assert list(read_lines(tmp_path))[-1] == b"m v=2i 2"


async def test_a_full_part_is_followed_by_another(tmp_path: Path) -> None:
    store = LineFileStore(tmp_path / "a" / "store", part_bytes_max=20)
    lines = [f"m v={i}i {i}".encode() for i in range(10)]

    for line in lines:
        await store.write([line])
    await store.close()

    folder = tmp_path / "a" / "store"
    assert names(folder) == [f"part-{n:06d}.lp" for n in range(1, 5)]
    assert list(read_lines(folder)) == lines


async def test_parts_that_were_taken_away_are_not_begun_again(tmp_path: Path) -> None:
    for n_part in (8, 9):
        (tmp_path / f"part-{n_part:06d}.lp").write_bytes(b"m v=1i 1\n" * 3)
    (tmp_path / "part-old.lp").write_bytes(b"of somebody else")

    store = LineFileStore(tmp_path, part_bytes_max=20)
    await store.write([b"m v=2i 2"])
    await store.close()

    assert names(tmp_path) == ["part-000008.lp", "part-000009.lp", "part-000010.lp"]
    assert (tmp_path / "part-000010.lp").read_bytes() == b"m v=2i 2\n"


def test_parts_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for n_part in (1_000_000, 999_999, 2):
        (tmp_path / f"part-{n_part:06d}.lp").write_bytes(b"m v=%di 1\n" % n_part)

    assert list(read_lines(tmp_path)) == [b"m v=2i 1", b"m v=999999i 1", b"m v=1000000i 1"]


async def test_a_part_that_cannot_be_opened_is_tried_again(tmp_path: Path) -> None:
    store = LineFileStore(tmp_path, part_bytes_max=5)
    await store.write([b"m v=1i 1"])
    in_the_way = tmp_path / "part-000002.lp"
    in_the_way.mkdir()

    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match=r"part-000002\.lp"):
            await store.write([b"m v=2i 2"])
    in_the_way.rmdir()
    await store.write([b"m v=2i 2"])
    await store.close()

    assert list(read_lines(tmp_path)) == [b"m v=1i 1", b"m v=2i 2"]


async def test_each_bucket_has_a_folder_of_its_own_and_what_is_kept_long_is_in_the_first(
    tmp_path: Path,
) -> None:
    long, wave = b"m v=1i 1", b"waveform,a=b v=1i 1\nwaveform,a=b v=1i 2"
    fine = b"envelope_25hz,a=b min=1i 1"
    store = LineFileStore(tmp_path, part_bytes_max=30)

    for _ in range(2):
        await store.write([wave, long, fine])
    await store.close()

    # A part goes on until it is full.
    assert (tmp_path / "part-000001.lp").read_bytes() == (long + b"\n") * 2
    assert names(tmp_path / "waveforms") == ["part-000001.lp", "part-000002.lp"]
    assert (tmp_path / "envelopes" / "part-000001.lp").read_bytes() == (fine + b"\n") * 2
    assert list(read_lines(tmp_path)) == [long] * 2 + wave.split(b"\n") * 2 + [fine] * 2


async def test_a_torn_line_of_any_bucket_is_cut(tmp_path: Path) -> None:
    part = tmp_path / "waveforms" / "part-000001.lp"
    part.parent.mkdir()
    part.write_bytes(b"waveform,a=b v=1i 1\nwaveform,a=b v=")

    store = LineFileStore(tmp_path)
    await store.write([b"waveform,a=b v=2i 2"])
    await store.close()

    assert part.read_bytes() == b"waveform,a=b v=1i 1\nwaveform,a=b v=2i 2\n"
    assert not (tmp_path / "envelopes").exists()


FULL_DISK = """
import asyncio, json, resource, signal, sys
from pathlib import Path
from processors.sinks.files import LineFileStore, read_lines
from processors.sinks.store import StoreUnavailableError

folder = Path(sys.argv[1])
lines = [b"m v=%di %d" % (i, i) for i in range(1_000)]

async def main():
    store = LineFileStore(folder)
    await store.write(lines[:100])
    n_whole = (folder / "part-000001.lp").stat().st_size
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_whole + 5, limits[1]))
    errors = []
    for n_end in (1_000, 130, 101, 1_000):  # more and less than a buffer would hold
        try:
            await store.write(lines[100:n_end])
        except StoreUnavailableError as error:
            errors.append(str(error))
    left = (folder / "part-000001.lp").read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    await store.write(lines[100:])
    await store.close()
    assert list(read_lines(folder)) == lines
    print(json.dumps({"errors": errors, "n_left": len(left), "n_whole": n_whole}))

asyncio.run(main())
"""


def test_a_full_disk_leaves_no_half_write_and_the_next_one_follows(tmp_path: Path) -> None:
    program = subprocess.run(
        [sys.executable, "-W", "error", "-c", FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert program.returncode == 0, program.stderr
    seen = json.loads(program.stdout)
    assert len(seen["errors"]) == 4
    assert all("File too large" in error for error in seen["errors"])
    assert seen["n_left"] == seen["n_whole"]


async def test_a_folder_has_one_store_at_a_time(tmp_path: Path) -> None:
    first = LineFileStore(tmp_path)
    with pytest.raises(StoreRefusedError, match="in use by another"):
        LineFileStore(tmp_path)
    await first.write([b"m v=1i 1"])
    await first.close()

    second = LineFileStore(tmp_path)
    await second.write([b"m v=2i 2"])
    await second.close()

    assert list(read_lines(tmp_path)) == [b"m v=1i 1", b"m v=2i 2"]


async def test_a_store_that_was_killed_holds_no_folder(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path;"
        "from processors.sinks.files import LineFileStore;"
        "LineFileStore(Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program, str(tmp_path)], check=False
    )

    store = LineFileStore(tmp_path)
    await store.close()

    assert names(tmp_path) == ["part-000001.lp"]


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()

    with pytest.raises(StoreRefusedError, match=str(in_the_way)):
        LineFileStore(in_the_way)
    with pytest.raises(StoreRefusedError):
        LineFileStore(in_the_way / "below")


async def test_a_closed_store_takes_nothing(tmp_path: Path) -> None:
    store = LineFileStore(tmp_path)
    await store.close()

    with pytest.raises(StoreUnavailableError, match="closed"):
        await store.write([b"m v=1i 1"])


async def test_a_write_that_is_cancelled_is_whole_or_not_there(tmp_path: Path) -> None:
    store = LineFileStore(tmp_path)
    cancelled = [b"m v=%di %d" % (i, i) for i in range(50_000)]
    writing = asyncio.create_task(store.write(cancelled))
    await asyncio.sleep(0)
    writing.cancel()

    await asyncio.wait([writing])
    await store.write([b"m v=1i 1"])
    await store.close()

    found = list(read_lines(tmp_path))
    assert found.count(b"m v=1i 1") in (1, 2)
    assert [line for line in found if line != b"m v=1i 1"] in (
        [],
        [line for line in cancelled if line != b"m v=1i 1"],
    )


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=12),
    part_bytes_max=st.integers(1, 200),
    reopen=st.sets(st.integers(0, 11)),
)
def test_every_line_is_stored_once_in_order_however_it_came(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    part_bytes_max: int,
    reopen: set[int],
) -> None:
    folder = tmp_path_factory.mktemp("store")
    lines = [[b"m,w=%d v=%di 1" % (w, i) for i in range(n)] for w, n in enumerate(sizes)]

    async def write() -> None:
        store = LineFileStore(folder, part_bytes_max=part_bytes_max)
        for i, each in enumerate(lines):
            await store.write(each)
            if i in reopen:
                await store.close()
                store = LineFileStore(folder, part_bytes_max=part_bytes_max)
        await store.close()

    asyncio.run(write())

    assert list(read_lines(folder)) == [line for each in lines for line in each]
