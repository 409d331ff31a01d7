"""SIGKILL, power cuts, damage, full disks: nothing is lost that nobody hears of."""

import dataclasses
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edge.ledger import totals_of
from edge.spool.file import beside
from edge.spool.spool import Spool, SpoolDamagedError, SpoolError
from ingest.codec import decode_frame
from tests.edge.spool_ward import Ward, gaps_of, samples_of

ROOT = Path(__file__).parents[2]
KEYS = [(), (b"k" * 32,)]


def run_for(
    ward: Ward, n_flushes: int, rng: random.Random, *, deliver: bool = True, share_lost: float = 0.2
) -> None:
    for _ in range(n_flushes):
        ward.send("a", rng.randint(1, 60))
        ward.send("b", rng.randint(1, 20))
        if rng.random() < 0.1:
            ward.lose(rng.choice("ab"), rng.randint(1, 30))
        ward.flush()
        if deliver and rng.random() < 0.3:
            ward.deliver(rng.randint(1, 8), acknowledged=rng.random() >= share_lost)


# SIGKILL

CHILD = """
import random, signal, sys
from pathlib import Path
from tests.edge.spool_ward import Ward

class Told(Ward):
    '''Writes down what it takes before the agent hears of it, and what the broker gets.'''

    def say(self, text):
        log.write(text + chr(10))
        log.flush()

    def deliver(self, n_frames, *, acknowledged=True):
        frames = self.spool.oldest(n_frames)
        for one in frames:
            self.say(f"sent {one.sequence} {one.payload.hex()}")
        if frames and acknowledged:
            self.spool.acknowledge_to(frames[-1].sequence)

log = open(sys.argv[2], "a")
rng = random.Random(int(sys.argv[3]))
n_taken = dict(zip("ab", map(int, sys.argv[4].split(","))))
stands_still = sys.argv[5] == "stands still"
ward = Told(Path(sys.argv[1]), n_taken=n_taken, n_bytes_max=60_000, keys=(b"k" * 32,))
ward.say("started")
while True:
    for name, most in (("a", 60), ("b", 20)):
        n = rng.randint(1, most)
        if rng.random() < 0.1 and not stands_still:
            ward.lose(name, n)
        else:
            ward.send(name, n)
        ward.say(f"taken {name} {ward.sensors[name].n_taken} {ward.sensors[name].n_unknown}")
    if stands_still:
        signal.pause()
    ward.flush()
    if rng.random() < 0.3:
        ward.deliver(rng.randint(1, 8), acknowledged=rng.random() < 0.8)
"""


def log_of(path: Path) -> tuple[dict[str, int], dict[int, bytes]]:
    """Read how many samples the sensors have taken, and what has been sent."""
    n_taken, sent = {"a": 0, "b": 0}, dict[int, bytes]()
    for line in path.read_text().splitlines():
        match line.split():
            case ["taken", name, number, *_]:
                n_taken[name] = int(number)
            case ["sent", sequence, payload]:
                # What comes twice is the same.
                same = bytes.fromhex(payload)
                assert sent.setdefault(int(sequence), same) == same
    return n_taken, sent


def run_and_kill(path: Path, log_path: Path, seed: int, n_lines: int, how: str = "runs") -> None:
    """Run an agent until it has written so many lines, and no further."""
    n_taken, _ = log_of(log_path)
    numbers = f"{n_taken['a']},{n_taken['b']}"
    arguments = [sys.executable, "-c", CHILD, str(path), str(log_path), str(seed), numbers, how]
    n_before = log_path.read_text().count("\n")
    with subprocess.Popen(arguments, cwd=ROOT) as child:
        while log_path.read_text().count("\n") < n_before + n_lines:
            assert child.poll() is None
            time.sleep(0.001)
        os.kill(child.pid, signal.SIGKILL)


def test_killed_again_and_again_every_sample_is_accounted_for(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    path, log_path = tmp_path / "spool.sqlite", tmp_path / "log"
    log_path.touch()
    for n in range(12):
        run_and_kill(path, log_path, seed + n, rng.randint(20, 120))
    # And once when there is certainly something that was taken and is not on disk yet.
    run_and_kill(path, log_path, seed, len(["started", "taken a", "taken b"]), "stands still")

    n_taken, sent = log_of(log_path)
    ward = Ward(path, n_taken=n_taken, n_bytes_max=60_000, keys=(b"k" * 32,))
    ward.broker |= sent
    for name in "ab":
        ward.send(name, 1)
    ward.check()
    ward.drain()
    totals = ward.check_all_arrived()

    for one in totals.values():
        print(one)
        assert one.in_gaps["agent_down"] > 0
    ward.spool.close()


# Power


@pytest.mark.parametrize("keys", KEYS)
def test_a_log_cut_anywhere_is_a_spool_of_a_moment_before(
    tmp_path: Path, keys: tuple[bytes, ...]
) -> None:
    rng = random.Random(5)
    ward = Ward(tmp_path / "spool.sqlite", keys=keys)
    run_for(ward, 30, rng)
    run_for(ward, 30, rng, deliver=False)
    log = beside(ward.path, "-wal").read_bytes()
    main = ward.path.read_bytes()
    n_before = 0
    for n_bytes in sorted(rng.randrange(len(log)) for _ in range(40)):
        copy = tmp_path / "cut" / "spool.sqlite"
        shutil.rmtree(copy.parent, ignore_errors=True)
        copy.parent.mkdir()
        copy.write_bytes(main)
        # Behind the cut the card may hold anything.
        torn = log[:n_bytes] + rng.randbytes(rng.choice((0, 5_000)))
        beside(copy, "-wal").write_bytes(torn)

        spool = Spool(copy, n_bytes_max=1 << 40, keys=keys, owner="a-1/p-1")

        assert spool.salvaged is None
        assert spool.next_sequence >= n_before
        n_before = spool.next_sequence
        waiting = [decode_frame(one.payload) for one in spool.oldest(10**6)]
        sequences = [frame.sequence for frame in waiting]
        assert sequences == list(range(spool.next_sequence))[-len(sequences) or n_before :]
        for totals in ledger_of(spool):
            assert totals["unaccounted"] == 0
            assert totals["held"] == 0
            assert totals["waiting"] == samples_of(waiting)[totals["channel"]]
        spool.close()
    assert n_before > 20
    ward.spool.close()


def ledger_of(spool: Spool) -> list[dict[str, Any]]:
    found = totals_of(spool.taken(), spool.stored())
    return [dataclasses.asdict(one) for one in found]


# Damage


def harm(path: Path, rng: random.Random) -> str:
    """Do to a file what a bad card does."""
    content = bytearray(path.read_bytes())
    kind = rng.choice(("bytes", "page", "sector of zeros", "truncated"))
    at = rng.randrange(100, len(content))
    match kind:
        case "bytes":
            for _ in range(rng.randint(1, 40)):
                content[rng.randrange(100, len(content))] = rng.randrange(256)
        case "page":
            at -= at % 4096
            content[max(at, 100) : at + 4096] = rng.randbytes(4096 - max(0, 100 - at))
        case "sector of zeros":
            at -= at % 512
            content[max(at, 100) : at + 512] = bytes(512 - max(0, 100 - at))
        case _:
            del content[max(at, 4096) :]
    path.write_bytes(content)
    return kind


@pytest.mark.parametrize("seed", range(30))
def test_a_damaged_spool_gives_what_is_whole_and_names_the_rest(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    ward = Ward(tmp_path / "spool.sqlite", keys=KEYS[seed // 2 % 2])
    # A Frame whose arrival nobody heard of, and then lost here, is in a gap and there.
    run_for(ward, 40, rng, share_lost=0)
    run_for(ward, 60, rng, deliver=False)
    written = ward.waiting()
    ward.spool.close()
    kind = harm(ward.path, rng)
    print(f"seed {seed}: {kind}")
    on_air = {name: sensor.on_air for name, sensor in ward.sensors.items()}

    ward.start()
    for name in "ab":
        ward.send(name, 5)
    while ward.flush() is not None:
        pass
    drain_harmed(ward)

    arrived = {n: decode_frame(one) for n, one in ward.broker.items()}
    assert all(arrived[n] == frame for n, frame in written.items() if n in arrived)
    salvaged = ward.spool.salvaged
    if salvaged is not None:
        assert salvaged.aside.exists()
        if not salvaged.has_books:
            return
    n_lost_here = 0 if salvaged is None else salvaged.n_samples_lost
    n_arrived, n_in_gaps = samples_of(arrived.values()), gaps_of(arrived.values())
    for name, one in ward.totals().items():
        assert one.unaccounted == 0
        assert one.on_air == on_air[name] + 5
        n_lost = sum(one.dropped.values()) + sum(one.in_gaps.values())
        assert n_arrived[name] + n_lost == one.on_air
        # A gap names each, unless a page hid Frames until later ones had been delivered.
        assert n_lost - n_lost_here <= n_in_gaps[name] <= n_lost
    ward.spool.close()


def drain_harmed(ward: Ward) -> None:
    """Deliver everything from a spool that may find its damage only now."""
    for _ in range(200):
        try:
            ward.deliver(7)
        except SpoolDamagedError:
            continue
        if ward.spool._books.gaps or not ward.framer.empty:
            ward.stop_stream("nobody")
            ward.flush()
        elif not ward.spool.size().n_frames:
            return
    raise AssertionError("never drained")


def test_a_frame_that_was_changed_is_dropped_alone_and_named(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "spool.sqlite")
    run_for(ward, 10, random.Random(1), deliver=False)
    ward.spool.close()
    with sqlite3.connect(ward.path) as database:
        database.execute("UPDATE frames SET payload = zeroblob(length(payload)) WHERE sequence = 4")
    database.close()

    ward.start()
    ward.drain()

    totals = ward.check_all_arrived()
    assert 4 not in ward.broker
    assert totals["a"].dropped["spool_damaged"] > 0
    assert ward.spool.salvaged is None
    ward.spool.close()


def test_a_spool_found_damaged_in_use_goes_on(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "spool.sqlite")
    run_for(ward, 400, random.Random(2), deliver=False)
    ward.spool._file._pragma("wal_checkpoint(TRUNCATE)")
    ward.spool._file._pragma("cache_size=0")
    ward.spool._file._pragma("shrink_memory")
    n_pages = ward.path.stat().st_size // 4096
    with ward.path.open("r+b") as file:
        for page in range(4, n_pages, 9):
            file.seek(page * 4096)
            file.write(random.Random(page).randbytes(4096))

    drain_harmed(ward)

    totals = ward.totals()
    arrived = [decode_frame(one) for one in ward.broker.values()]
    assert ward.spool.salvaged is not None
    assert ward.spool.salvaged.n_frames > 200
    assert ward.spool.salvaged.n_frames_lost > 10
    for name, one in totals.items():
        assert one.unaccounted == 0
        assert one.dropped["spool_damaged"] > 0
        assert samples_of(arrived)[name] + gaps_of(arrived)[name] == one.on_air
    ward.spool.close()


def test_somebody_elses_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE notes (text)")
    database.close()
    content = path.read_bytes()

    with pytest.raises(SpoolError, match="format 0"):
        Spool(path, n_bytes_max=1 << 40)

    assert path.read_bytes() == content


# A full disk


class FailingDatabase:
    """A connection whose n-th statement fails as on a full disk."""

    def __init__(self, database: sqlite3.Connection, n_good: int) -> None:
        self._database = database
        self._n_good = n_good
        self.has_failed = False

    def _next(self) -> None:
        if self._n_good == 0:
            self.has_failed = True
            # As a short write shows at this place.
            raise sqlite3.OperationalError("disk I/O error")
        self._n_good -= 1

    def execute(self, text: str, *arguments: Any) -> Any:  # noqa: ANN401
        if text != "ROLLBACK":
            self._next()
        return self._database.execute(text, *arguments)

    def executemany(self, text: str, rows: Any) -> Any:  # noqa: ANN401
        self._next()
        return self._database.executemany(text, rows)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._database, name)


def test_a_disk_that_fails_at_any_statement_costs_nothing(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "spool.sqlite", n_bytes_max=4_000)
    rng = random.Random(3)
    run_for(ward, 40, rng)
    file = ward.spool._file
    n_good = 0
    while True:
        whole, file._database = file._database, FailingDatabase(file._database, n_good)  # type: ignore[assignment]
        failing = file._database
        ward.send("a", rng.randint(1, 60))
        error = ward.flush()
        file._database = whole
        ward.check()
        if not failing.has_failed:  # type: ignore[attr-defined]
            break
        assert error is not None
        assert ward.flush() is None
        n_good += 1

    assert n_good > 5
    ward.drain()
    ward.check_all_arrived()
    ward.spool.close()


FULL = """
import random, resource, signal, sys
from pathlib import Path
from tests.edge.spool_ward import Ward
from tests.edge.test_spool_faults import run_for
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ward = Ward(Path(sys.argv[1]))
rng = random.Random(4)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
n_failures = 0
for n_bytes_max in (150_000, 300_000, 700_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes_max, hard))
    for _ in range(600):
        ward.send("a", rng.randint(1, 60))
        n_failures += ward.flush() is not None
        ward.give_up(2_000)
        if rng.random() < 0.2:
            ward.deliver(2)
    ward.check()
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
ward.drain()
print(n_failures, ward.check_all_arrived()["a"])
assert n_failures > 100
"""


def test_files_that_may_not_grow_cost_no_sample_unaccounted(tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "spool.sqlite")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    print(child.stdout)
    assert child.returncode == 0, child.stderr


def test_a_word_of_arrival_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "spool.sqlite")
    while ward.spool.size().n_bytes < 3_000_000:
        ward.send("a", 100_000)
        ward.flush()
    execute = ward.spool._file._database.execute
    execute("PRAGMA query_only = ON")

    ward.deliver(99)

    execute("PRAGMA query_only = OFF")
    assert ward.spool.size().n_frames == 0
    ward.check()
    ward.kill()
    assert ward.spool.size().n_frames > 0
    ward.drain()
    ward.check_all_arrived()
    ward.spool.close()
