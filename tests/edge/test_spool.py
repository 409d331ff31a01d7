"""The spool: nothing that it has taken is lost, whatever happens to the process."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.clocks.clock_state import grid_state
from edge.clocks.sample_grid import MappedStamp, SampleGrid
from edge.framer import ChannelFormat, Framer
from edge.ledger import totals_of
from edge.spool.spool import Spool, SpoolError
from ingest.codec import decode_frame, encode_frame
from ingest.frame import Frame, Gap, GapCause, Reading, SamplePeriod

PERIOD = SamplePeriod(ns_numerator=1_000_000_000, ns_denominator=130)
CHANNEL = ChannelFormat(
    device_id="strap-1",
    channel="ecg",
    mdc_code=131328,
    unit="mV",
    scale=1e-3,
    offset=0.0,
    period=PERIOD,
)
LARGE = 1 << 40


def frame(sequence: int, n_samples: int = 32) -> Frame:
    framer = Framer("p-1", "a-1")
    i_first = sequence * n_samples
    framer.add_samples(
        CHANNEL,
        np.arange(i_first, i_first + n_samples, dtype=np.int32),
        i_first=i_first,
        t0_ns=10**18 + PERIOD.offset_ns(i_first),
        received_ns=10**18,
    )
    return framer.cut(sequence)[0]


def state(i_next: int) -> dict[str, str]:
    return {"strap-1/ecg": f"at {i_next}", "host_clock": "{}"}


def test_frames_come_back_in_order_and_go_when_acknowledged(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite", n_bytes_max=LARGE)
    for n in range(5):
        spool.append([frame(spool.next_sequence)], state((n + 1) * 32))

    assert [one.sequence for one in spool.oldest(3)] == [0, 1, 2]
    spool.acknowledge_to(2)

    assert [one.sequence for one in spool.oldest(10)] == [3, 4]
    assert spool.size().n_samples == 64
    assert decode_frame(spool.oldest(1)[0].payload).sequence == 3


def test_a_new_process_goes_on_where_the_old_one_stood(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite", n_bytes_max=LARGE)
    spool.append([frame(0)], state(32))
    spool.append([frame(1)], state(64))
    spool.oldest(1)
    spool.acknowledge_to(0)
    size = spool.size()
    spool.close()

    spool = Spool(tmp_path / "spool.sqlite", n_bytes_max=LARGE)

    assert spool.next_sequence == 2
    assert spool.size() == size
    assert spool.streams() == state(64)


KILLED = """
import os, sys
sys.path.insert(0, {here!r})
from test_spool import LARGE, Spool, frame, state
from pathlib import Path
spool = Spool(Path({path!r}), n_bytes_max=LARGE)
for n in range(1_000_000):
    spool.append([frame(n)], state((n + 1) * 32))
    print(n, flush=True)
"""


def test_sigkill_in_the_middle_of_writing_loses_no_stored_frame(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    script = KILLED.format(here=str(Path(__file__).parent), path=str(path))
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(50)]
        os.kill(writer.pid, signal.SIGKILL)
        told += [int(line) for line in writer.stdout if line.endswith("\n")]

    spool = Spool(path, n_bytes_max=LARGE)

    stored = [one.sequence for one in spool.oldest(1_000_000)]
    assert stored == list(range(len(stored)))
    assert len(stored) >= len(told)
    assert spool.next_sequence == len(stored)
    # The numbering is that of the last stored Frame, neither older nor newer.
    assert spool.streams() == state(len(stored) * 32)


def test_a_second_agent_on_the_same_spool_is_refused(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite", n_bytes_max=LARGE)
    spool.append([frame(0)], {})

    with pytest.raises(SpoolError, match="another agent"):
        Spool(tmp_path / "spool.sqlite", n_bytes_max=LARGE)


OLD_TABLES = """
CREATE TABLE frames (
    sequence INTEGER PRIMARY KEY, n_samples INTEGER NOT NULL, payload BLOB NOT NULL) STRICT;
CREATE TABLE streams (key TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
"""


def of_format(path: Path, number: int) -> None:
    """Make a spool as the earlier formats had it, with a Frame that waits."""
    states = {"strap-1/ecg": STATE_OF_FORMAT_1, "strap-1/acc": "not a state"}
    facts = {"format": number, "next_sequence": 7}
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.executescript(OLD_TABLES)
        database.execute("INSERT INTO frames VALUES (6, 32, ?)", (encode_frame(frame(6)),))
        database.executemany("INSERT INTO streams VALUES (?, ?)", states.items())
        database.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())


STATE_OF_FORMAT_1 = (
    '{"epoch_ns": 1000000000000000000, "i_next": 32, "period": [1000000000, 130],'
    ' "device_last_ns": 238461538, "received_last_ns": 1000000000238461538}'
)


def test_a_spool_of_the_first_format_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    of_format(path, 1)

    spool = Spool(path, n_bytes_max=LARGE)

    [waiting] = spool.oldest(9)
    assert decode_frame(waiting.payload) == frame(6)
    assert spool.next_sequence == 7
    [totals] = totals_of(spool.taken(), spool.stored())
    assert (totals.on_air, totals.waiting, totals.unaccounted) == (32, 32, 0)
    assert list(spool.streams()) == ["strap-1/ecg"]
    grid = SampleGrid(PERIOD, grid_state(spool.streams()["strap-1/ecg"]))
    # Ten seconds later by the host's clock; what the device's shows is not believed.
    t_ns = 10**18 + PERIOD.offset_ns(31) + 10 * 10**9
    stamp = MappedStamp(device_ns=5, steady_ns=t_ns, t_ns=t_ns, drift_ppt=0, segment=0)
    placement = grid.place(stamp, 32)
    assert (placement.i_first, placement.n_missing) == (32 + 1300 - 32, 1300 - 32)
    assert placement.gap_t0_ns == 10**18 + PERIOD.offset_ns(32)


def test_a_spool_of_the_second_format_keeps_its_states_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    of_format(path, 2)

    for _ in range(2):
        with contextlib.closing(Spool(path, n_bytes_max=LARGE)) as spool:
            assert [one.sequence for one in spool.oldest(9)] == [6]
            assert spool.streams()["strap-1/acc"] == "not a state"


def test_a_spool_of_a_later_format_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    of_format(path, 99)

    with pytest.raises(SpoolError, match=r"format 99.*deliver what is in it"):
        Spool(path, n_bytes_max=LARGE)


def test_a_file_that_is_no_spool_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    path.write_bytes(b"something else entirely" * 100)

    with pytest.raises(SpoolError, match=str(path)):
        Spool(path, n_bytes_max=LARGE)

    assert path.read_bytes() == b"something else entirely" * 100


def test_a_full_spool_drops_the_oldest_and_names_every_sample_of_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite", n_bytes_max=2_000)
    carried = Gap(
        device_id="strap-1",
        channel="ecg",
        cause=GapCause.LINK_LOST,
        i_first=0,
        n_samples=7,
        t0_ns=1,
    )
    first = frame(0)
    spool.append([replace(first, gaps=(carried,))], {})
    for n in range(1, 40):
        spool.append([frame(n)], state((n + 1) * 32))

    size = spool.size()
    kept = [decode_frame(one.payload) for one in spool.oldest(100)]
    spool.acknowledge_to(39)
    # When there is room again, the Frame that comes next tells what gave way last.
    spool.append([replace(frame(40), waveforms=())], {})
    kept += [decode_frame(one.payload) for one in spool.oldest(1)]
    gaps = [gap for one in kept for gap in one.gaps]
    dropped = sum(gap.n_samples for gap in gaps if gap.cause is GapCause.SPOOL_FULL)

    assert size.n_bytes <= 2_000 + 400
    # Gaps of dropped frames are themselves carried on by later frames, joined where they meet.
    assert dropped + sum(one.n_samples for one in kept) == 40 * 32
    assert sum(gap.n_samples for gap in gaps if gap.cause is GapCause.LINK_LOST) == 7


def test_a_frame_that_could_not_be_stored_is_not_counted_as_stored(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite", n_bytes_max=LARGE)
    spool.append([frame(0)], {})
    size = spool.size()
    # max_page_count is SQLite's own way of saying that the disk is full.
    spool._file._database.execute("PRAGMA max_page_count = 1")

    with pytest.raises(SpoolError, match="full"):
        spool.append([frame(1, n_samples=100_000)], {})

    assert spool.size() == size
    assert spool.next_sequence == 1
    spool._file._database.execute("PRAGMA max_page_count = 1000000")
    spool.append([frame(1)], {})
    assert [one.sequence for one in spool.oldest(5)] == [0, 1]


def test_the_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "sub" / "spool.sqlite", n_bytes_max=LARGE)

    assert (tmp_path / "sub" / "spool.sqlite").stat().st_mode & 0o077 == 0
    assert (tmp_path / "sub").stat().st_mode & 0o077 == 0
    spool.close()


def test_the_framer_takes_a_frame_back_and_gives_it_again() -> None:
    framer = Framer("p-1", "a-1")
    framer.add_reading(
        Reading(device_id="d", mdc_code=1, unit="%", value=1.0, t_ns=1, received_ns=1)
    )
    framer.add_samples(
        CHANNEL, np.arange(4, dtype=np.int32), i_first=0, t0_ns=10**18, received_ns=1
    )
    cut = framer.cut(0)
    framer.add_samples(
        CHANNEL,
        np.arange(4, 8, dtype=np.int32),
        i_first=4,
        t0_ns=10**18 + PERIOD.offset_ns(4),
        received_ns=2,
    )

    framer.restore(cut)
    [again] = framer.cut(0)

    counts = np.concatenate([block.counts for block in again.waveforms])
    assert counts.tolist() == list(range(8))
    assert again.readings == cut[0].readings
    assert framer.empty


def test_what_does_not_fit_into_memory_becomes_a_gap() -> None:
    framer = Framer("p-1", "a-1")
    for n in range(4):
        framer.restore([frame(3 - n)])

    framer.give_up(64, GapCause.SPOOL_FULL)
    [cut] = framer.cut(0)

    assert sum(block.n_samples for block in cut.waveforms) == 64
    assert sum(gap.n_samples for gap in cut.gaps) == 64
