"""The spool's bounds, its keys, and what may give way."""

import contextlib
import random
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.settings import EdgeSettings
from edge.spool.cipher import key_id
from edge.spool.rows import RowDamagedError
from edge.spool.seal import Seals, SpoolKeyError, parse_keys
from edge.spool.settings import key_warnings, load_keys, open_spool
from edge.spool.spool import AGE_EVERY_NS, FORGET_BYTES, Spool, SpoolError
from ingest.codec import decode_frame
from ingest.frame import NS_PER_S
from ingest.settings import KafkaSettings
from tests.edge.spool_ward import Ward

KEY, OLD_KEY = b"k" * 32, b"o" * 32
DAY_NS = 86_400 * NS_PER_S


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now_ns = 10**15

    def __call__(self) -> int:
        return self.now_ns


# Age


def test_what_an_agent_has_kept_for_too_long_gives_way(tmp_path: Path) -> None:
    clock = Clock()
    ward = Ward(tmp_path / "spool.sqlite", age_s_max=7 * 86_400.0, monotonic_ns=clock)
    for _ in range(10):
        ward.send("a", 30)
        ward.flush()
        clock.now_ns += DAY_NS
    ward.send("a", 30)
    ward.flush()

    waiting = [decode_frame(one.payload) for one in ward.spool.oldest(99)]
    ward.drain()

    assert [frame.sequence for frame in waiting] == [3, 4, 5, 6, 7, 8, 9, 10]
    totals = ward.check_all_arrived()
    assert totals["a"].dropped == {"spool_age": 90}
    assert ward.spool.n_frames_dropped == 3
    ward.spool.close()


def test_time_without_an_agent_and_a_clock_that_leaps_make_nothing_old(tmp_path: Path) -> None:
    clock = Clock()
    ward = Ward(tmp_path / "spool.sqlite", age_s_max=7 * 86_400.0, monotonic_ns=clock)
    ward.send("a", 30)
    ward.flush()
    for now_ns in (5, 10**18, 3, 2**62):
        ward.spool.close()
        # Each agent's monotonic clock begins somewhere else.
        clock.now_ns = now_ns
        ward.start()
        ward.send("a", 30)
        ward.flush()
        clock.now_ns += AGE_EVERY_NS + 1
        ward.send("a", 30)
        ward.flush()

    assert ward.spool.n_frames_dropped == 0
    ward.drain()
    ward.check_all_arrived()
    ward.spool.close()


# What must not give way


def test_a_frame_on_its_way_to_the_broker_does_not_give_way(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "spool.sqlite", n_bytes_max=6_000)
    for _ in range(5):
        ward.send("a", 30)
        ward.flush()
    on_the_way = ward.spool.oldest(3)
    for _ in range(60):
        ward.send("a", 30)
        ward.flush()

    for one in on_the_way:
        ward.broker[one.sequence] = one.payload
    ward.spool.acknowledge_to(on_the_way[-1].sequence)

    assert ward.spool.n_frames_dropped > 30
    ward.check()
    ward.drain()
    ward.check_all_arrived()
    ward.spool.close()


def test_what_the_agent_before_may_have_sent_does_not_give_way(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "spool.sqlite", n_bytes_max=12_000)
    for _ in range(30):
        ward.send("a", 30)
        ward.flush()
    ward.deliver(3, acknowledged=False)
    ward.kill()
    for _ in range(60):
        ward.send("a", 30)
        ward.flush()

    # Were one of them dropped, it would be there and in a gap.
    ward.drain()
    ward.check_all_arrived()
    ward.spool.close()


def test_readings_that_go_with_a_frame_are_counted(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "spool.sqlite", n_bytes_max=1_500)
    for _ in range(20):
        ward.stop_stream("a")
        ward.send("a", 30)
        ward.flush()

    assert ward.spool.n_readings_dropped == ward.spool.n_frames_dropped > 5
    ward.spool.close()


def test_what_was_acknowledged_is_deleted_though_nothing_comes(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "spool.sqlite")
    n_bytes = 0
    while n_bytes < 2 * FORGET_BYTES:
        ward.sensors["a"].send(ward.framer, 40_000)
        ward.flush()
        n_bytes = ward.spool.size().n_bytes
    ward.drain()

    rows = ward.spool._file.rows(after=-1, n_rows_max=999)

    assert sum(row.n_bytes for row in rows) <= FORGET_BYTES
    ward.check()
    ward.spool.close()


def test_an_empty_spool_is_small_again(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "spool.sqlite")
    while ward.spool.size().n_bytes < 20_000_000:
        ward.sensors["a"].send(ward.framer, 500_000)
        ward.flush()
    ward.spool._file._pragma("wal_checkpoint(TRUNCATE)")
    assert ward.path.stat().st_size > 20_000_000
    ward.drain()

    ward.spool.close()

    assert ward.path.stat().st_size < 100_000


# Whose it is


def test_frames_of_another_subject_are_not_sent_as_this_ones(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "spool.sqlite")
    ward.send("a", 30)
    ward.flush()
    ward.spool.close()

    with pytest.raises(SpoolError, match="1 Frames of a-1/p-1 wait"):
        Spool(ward.path, n_bytes_max=1 << 40, owner="a-1/p-2")

    ward.start()
    ward.drain()
    ward.spool.close()
    spool = Spool(ward.path, n_bytes_max=1 << 40, owner="a-1/p-2")
    assert (spool.next_sequence, spool.streams(), spool.stored()) == (0, {}, {})
    spool.close()


@pytest.mark.parametrize(
    ("keys", "damage"),
    [
        ((), "DELETE FROM state WHERE name = 'facts'"),
        ((), "UPDATE state SET text = '?' WHERE name = 'gaps'"),
        ((KEY,), "UPDATE state SET text = '?' WHERE name = 'gaps'"),
    ],
)
def test_frames_of_another_subject_are_not_sent_as_this_ones_though_the_books_are_gone(
    tmp_path: Path, keys: tuple[bytes, ...], damage: str
) -> None:
    ward = Ward(tmp_path / "spool.sqlite", keys=keys)
    ward.send("a", 30)
    ward.flush()
    ward.spool.close()
    with contextlib.closing(sqlite3.connect(ward.path)) as database, database:
        database.execute(damage)

    with pytest.raises(SpoolError, match="a-1/p-1"):
        Spool(ward.path, n_bytes_max=1 << 40, owner="a-1/p-2", keys=keys)

    spool = Spool(ward.path, n_bytes_max=1 << 40, owner="a-1/p-1", keys=keys)
    assert len(spool.oldest(10)) == 1
    spool.close()


# Keys


def test_on_disk_is_nothing_of_what_was_measured(tmp_path: Path) -> None:
    plain = Ward(tmp_path / "plain" / "spool.sqlite")
    sealed = Ward(tmp_path / "sealed" / "spool.sqlite", keys=(KEY,))
    for ward in (plain, sealed):
        for _ in range(50):
            ward.send("a", 60)
            ward.flush()
    found = decode_frame(plain.spool.oldest(1)[0].payload).waveforms[0].counts.astype("<i2")

    def on_disk(ward: Ward) -> bytes:
        return b"".join(path.read_bytes() for path in ward.path.parent.iterdir())

    assert found.tobytes() in on_disk(plain)
    assert found.tobytes() not in on_disk(sealed)
    assert sealed.spool.encrypted
    assert not plain.spool.encrypted
    for ward in (plain, sealed):
        ward.drain()
        ward.check_all_arrived()
        ward.spool.close()


def test_a_new_key_seals_what_comes_and_the_old_one_opens_what_waits(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "spool.sqlite")
    for keys in ((), (OLD_KEY,), (KEY, OLD_KEY)):
        ward.spool.close()
        ward.settings["keys"] = keys
        ward.start()
        ward.send("a", 30)
        ward.flush()
    key_ids = [row.key_id for row in ward.spool._file.rows(after=-1, n_rows_max=9)]
    ward.drain()
    ward.check_all_arrived()
    ward.spool.close()

    assert key_ids == ["", key_id(OLD_KEY), key_id(KEY)]
    # Once what was sealed with it is delivered, the old key may go.
    ward.settings["keys"] = (KEY,)
    ward.start()
    ward.spool.close()


@pytest.mark.parametrize("keys", [(), (OLD_KEY,)])
def test_without_the_right_key_a_spool_is_refused_and_left_as_it_is(
    tmp_path: Path, keys: tuple[bytes, ...]
) -> None:
    ward = Ward(tmp_path / "spool.sqlite", keys=(KEY,))
    ward.send("a", 30)
    ward.flush()
    ward.spool.close()

    with pytest.raises(SpoolError, match=f"1 Frames are sealed with the key {key_id(KEY)}"):
        Spool(ward.path, n_bytes_max=1 << 40, keys=keys, owner="a-1/p-1")

    ward.start()
    ward.drain()
    ward.check_all_arrived()
    ward.spool.close()


def test_rows_that_are_swapped_are_found(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "spool.sqlite", keys=(KEY,))
    for _ in range(2):
        ward.send("a", 30)
        ward.flush()
    first, second = ward.spool._file.rows(after=-1, n_rows_max=2)
    seals = ward.spool._seals

    assert seals.open(first.key_id, first.payload, first.about())
    for row in (
        replace(first, payload=second.payload),
        replace(first, sequence=second.sequence),
        replace(first, spooled_ns=0),
        replace(first, spans=second.spans),
        replace(first, payload=first.payload[:-1]),
        replace(first, payload=b""),
    ):
        with pytest.raises(RowDamagedError):
            seals.open(row.key_id, row.payload, row.about())
    with pytest.raises(RowDamagedError):
        Seals((KEY,), owner="a-1/p-2").open(first.key_id, first.payload, first.about())
    ward.spool.close()


@given(payload=st.binary(max_size=300), about=st.binary(max_size=60), flip=st.integers(0))
def test_one_bit_that_differs_breaks_a_seal(payload: bytes, about: bytes, flip: int) -> None:
    for keys in ((), (KEY,)):
        seals = Seals(keys, owner="o")
        sealed = seals.seal(payload, about)
        assert seals.open(seals.newest, sealed, about) == payload
        hurt = bytearray(sealed)
        hurt[flip // 8 % len(hurt)] ^= 1 << flip % 8

        with pytest.raises(RowDamagedError):
            seals.open(seals.newest, bytes(hurt), about)


def test_the_same_frame_is_never_sealed_the_same_way() -> None:
    seals = Seals((KEY,), owner="o")

    assert len({seals.seal(b"same", b"place") for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize("text", ["", "zz" * 32, "ab" * 31, "ab" * 32 + "\n" + "ab"])
def test_a_text_that_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(SpoolKeyError) as caught:
        parse_keys(text)

    assert not text or text[:4] not in str(caught.value)


def settings(tmp_path: Path, **more: object) -> EdgeSettings:
    fields = {
        "subject_id": "p-1",
        "devices": ({"name": "strap"},),
        "kafka": KafkaSettings(),
        "spool_path": tmp_path / "spool.sqlite",
        **more,
    }
    return EdgeSettings.model_validate(fields)


def test_keys_come_from_a_file_or_a_secret_and_weak_places_are_named(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{KEY.hex()}\n{OLD_KEY.hex()}\n")
    file.chmod(0o644)

    from_file = settings(tmp_path, spool_key_file=file)
    secret = settings(tmp_path, spool_key=KEY.hex())

    assert load_keys(from_file) == (KEY, OLD_KEY)
    assert load_keys(secret) == (KEY,)
    assert KEY.hex() not in repr(secret)
    assert load_keys(settings(tmp_path)) == ()
    assert [text.partition(":")[0] for text in key_warnings(settings(tmp_path))] == [
        "the spool is not encrypted"
    ]
    readable, beside = key_warnings(from_file)
    assert "chmod 600" in readable
    assert "lies beside the spool" in beside
    assert key_warnings(secret) == []


def test_a_key_that_should_be_there_and_is_not_stops_the_agent(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="spool_key_file"):
        open_spool(settings(tmp_path, spool_key_file=tmp_path / "nowhere"))

    assert not (tmp_path / "spool.sqlite").exists()


# Reading does not hold up storing


def test_frames_are_stored_while_others_are_decrypted(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "spool.sqlite")
    for _ in range(20):
        ward.send("a", 30)
        ward.flush()
    reading, go_on = threading.Event(), threading.Event()
    is_open = ward.spool._seals.open

    class Slow(Seals):
        def open(self, key: str, sealed: bytes, about: bytes) -> bytes:
            reading.set()
            assert go_on.wait(30)
            return is_open(key, sealed, about)

    ward.spool._seals = Slow((), owner="a-1/p-1")
    found: list[int] = []
    reader = threading.Thread(
        target=lambda: found.extend(one.sequence for one in ward.spool.oldest(10))
    )
    reader.start()
    assert reading.wait(30)

    n_before = ward.spool.next_sequence
    for _ in range(20):
        ward.send("a", 30)
        assert ward.flush() is None
    n_stored = ward.spool.next_sequence - n_before
    go_on.set()
    reader.join(30)

    assert n_stored == 20
    assert found == list(range(10))
    ward.drain()
    ward.check_all_arrived()
    ward.spool.close()


def test_what_waits_is_counted_while_frames_are_acknowledged(tmp_path: Path) -> None:
    """Another thread may be in the middle of counting: it must neither fail nor miss a Frame."""
    ward = Ward(tmp_path / "spool.sqlite")
    for _ in range(2):
        ward.send("a", 30)
        ward.flush()
    [first, _] = ward.spool.oldest(2)
    sizes = ward.spool._books.sizes
    counting = iter(sizes.items())
    begun = [next(counting)]

    ward.spool.acknowledge_to(first.sequence)

    assert [*begun, *counting] == list(sizes.items())
    assert (begun[0][1].n_frames, ward.spool.size().n_frames) == (2, 1)


def test_the_ledger_is_read_while_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "spool.sqlite")
    ward.send("a", 30)
    ward.flush()
    found: list[int] = []

    def read() -> None:
        found.extend(one.spooled for one in ward.spool.stored().values())

    with ward.spool._lock:  # as a commit holds it
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        reader.join(10)
        found_meanwhile = list(found)

    assert found_meanwhile == [30]


def test_a_batch_is_cut_by_bytes_and_the_next_goes_on_behind_it(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "spool.sqlite")
    for _ in range(40):
        ward.send("a", 30)
        ward.flush()
    n_bytes_each = ward.spool.size().n_bytes // 40

    first = ward.spool.oldest(99, n_bytes_max=10 * n_bytes_each + 50)
    second = ward.spool.oldest(99, n_bytes_max=1, after=first[-1].sequence)
    rest = ward.spool.oldest(99, after=second[-1].sequence)

    found = [one.sequence for one in (*first, *second, *rest)]
    assert found == list(range(40))
    assert 8 <= len(first) <= 11
    assert len(second) == 1
    ward.spool.close()


# Writing little


def bytes_written() -> int:
    for line in Path("/proc/self/io").read_text().splitlines():
        if line.startswith("wchar:"):
            return int(line.split()[1])
    raise AssertionError("no count of bytes")


def test_a_commit_writes_two_pages_where_the_broker_answers(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "spool.sqlite", keys=(KEY,))
    rng = random.Random(6)
    for _ in range(50):
        ward.send("a", rng.randint(20, 40))
        ward.flush()
        ward.deliver(9)
    before = bytes_written()
    n_commits = 1_500  # the log is written back on the way
    for _ in range(n_commits):
        ward.send("a", rng.randint(20, 40))
        ward.flush()
        ward.deliver(9)

    n_pages = (bytes_written() - before) / n_commits / 4096

    print(f"{n_pages:.2f} pages a commit")
    assert n_pages < 2.5
    log = ward.path.with_name(ward.path.name + "-wal")
    assert log.stat().st_size < 5_000_000
    assert ward.path.stat().st_size < 200_000
    ward.spool.close()
