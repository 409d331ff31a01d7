"""A spool of an earlier format is taken over: its Frames, its sequence, the states of its streams.

It had no ledger: that begins with the Frames that wait.
"""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from edge.clocks.clock_state import ClockStateError, grid_text_of_format_1
from edge.spool.books import Books, owner_of
from edge.spool.file import Change, SpoolError, SpoolFile, beside
from edge.spool.rows import Row
from edge.spool.salvage import NEW, enter_anew
from edge.spool.seal import Seals
from ingest.codec import decode_frame
from ingest.errors import RecordError

_ROWS_PER_COMMIT = 256


def take_over(path: Path, keys: Sequence[bytes], owner: str) -> None:
    """Replace a spool of format 1 or 2 by one of the present format.

    Parameters
    ----------
    owner
        Of an empty one; else the Frames that wait say whose they are.

    Raises
    ------
    SpoolError
        The new file could not be written; the old one is as it was.
    """
    new = beside(path, NEW)
    for end in ("", "-wal"):
        beside(new, end).unlink(missing_ok=True)
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as old:
            owner = _owner_of(old) or owner
            _copy(old, new, Seals(keys, owner=owner), owner)
    except sqlite3.Error as error:
        raise SpoolError(f"spool {path} of an earlier format cannot be read: {error}") from error
    for end in ("-wal", "-shm", ""):
        beside(path, end).unlink(missing_ok=True)
    new.rename(path)


def _copy(old: sqlite3.Connection, new: Path, seals: Seals, owner: str) -> None:
    facts = dict(old.execute("SELECT name, value FROM facts"))
    books = Books(owner=owner)
    file = SpoolFile(new)
    try:
        batch: list[Row] = []
        for payload in _payloads(old):
            with contextlib.suppress(RecordError):
                batch.append(enter_anew(decode_frame(payload), payload, books, seals))
            if len(batch) == _ROWS_PER_COMMIT:
                file.commit(Change(insert=batch))
                batch = []
        books.streams = dict(_states(old.execute("SELECT key, state FROM streams"), facts))
        books.next_sequence = max(facts.get("next_sequence", 0), books.next_sequence)
        file.commit(Change(insert=batch, state=dict(books.to_state())))
    finally:
        file.close()


def _owner_of(old: sqlite3.Connection) -> str | None:
    for payload in _payloads(old):
        with contextlib.suppress(RecordError):
            frame = decode_frame(payload)
            return owner_of(frame.agent_id, frame.subject_id)
    return None


def _payloads(old: sqlite3.Connection) -> Iterator[bytes]:
    for (payload,) in old.execute("SELECT payload FROM frames ORDER BY sequence"):
        yield payload


def _states(rows: Iterable[tuple[str, str]], facts: dict[str, int]) -> Iterator[tuple[str, str]]:
    for key, text in rows:
        if facts.get("format") != 1:
            yield key, text
            continue
        with contextlib.suppress(ClockStateError):  # such a stream begins anew
            yield key, grid_text_of_format_1(text)
