"""The spool's file: SQLite, and nothing that knows what a sample is. A shell.

Why SQLite: a commit is atomic under SIGKILL, and under loss of power with ``synchronous=FULL``; its
recovery is older and better tested than any of ours would be; a page that was damaged costs the
Frames on it and no others; and the numbering of the streams is in the same commit as the Frames.
Why a write-ahead log: a commit appends to one file and is one ``fsync``, where a rollback journal
writes every page twice and is three.

How much is written: a commit appends each page that it has changed, whole. So what a page holds is
chosen to change as few as can be: all books share one leaf, and what was acknowledged is deleted in
the commit that stores the next Frames. The log is written back every ``WAL_PAGES_MAX`` pages, and
Frames that have come and gone between never reach the main file. Pages that get free are used
again; the file is made small again when it is opened or closed and no Frame waits in it.
"""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from edge.spool.rows import Row

FORMAT: Final = 3
"""Version of the file. Those of versions 1 and 2 are taken over; any other is refused, not guessed
at."""

_OLD_FORMATS: Final = (1, 2)

APPLICATION_ID: Final = 0x43_48_56_53
"""``CHVS``, in the file's header: tells a damaged spool from somebody else's file."""

WAL_PAGES_MAX: Final = 1_000
"""Pages of 4 KiB in the write-ahead log, after which it is written back: it stays at about 4 MB.
Longer would spare the card a little, and cost the start after a crash more."""

BUSY_S_MAX: Final = 1.0
"""How long another agent may take to let go of the file."""

_WAL_BYTES_MAX: Final = 8_000_000
"""A log that one large commit has made longer is cut to this when it is written back."""

FAILURES_MAX: Final = 20_000
"""Sequences that are asked for in a row behind an unreadable page, before the rest is given up."""

_FREE_BYTES_MAX: Final = 16_000_000
"""An empty spool with more free pages than this is made small again."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS frames (
    sequence INTEGER PRIMARY KEY, spooled_ns INTEGER NOT NULL, n_readings INTEGER NOT NULL,
    spans BLOB NOT NULL, key_id TEXT NOT NULL, checked INTEGER NOT NULL, payload BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""
_COLUMNS: Final = "sequence, spooled_ns, n_readings, spans, key_id, checked, payload"
_DAMAGED: Final = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    # The statements are right: it is the tables that are not what they were.
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_MISMATCH,
)
_PRIMARY_CODE: Final = 0xFF
"""SQLite's extended error codes have the kind of the error in the lowest byte."""

_Result = TypeVar("_Result")


class SpoolError(Exception):
    """The spool cannot be used: full disk, another agent's lock, another subject's Frames."""


class SpoolDamagedError(SpoolError):
    """The file is not what was written."""


class OldSpoolError(SpoolError):
    """The file is a spool of an earlier format that can be taken over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one commit changes."""

    delete: Iterable[int] = ()
    """Sequences."""
    insert: Iterable[Row] = ()
    state: Mapping[str, str | None] = field(default_factory=dict)
    """Texts by name; None: forget it."""


class SpoolFile:
    """Rows and books of a spool. One process at a time has it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _errors(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # isolation_level None: transactions are written where they are meant.
            self._database = sqlite3.connect(
                path, timeout=BUSY_S_MAX, isolation_level=None, check_same_thread=False
            )
        # A damaged text is found by its checksum, not by its letters.
        self._database.text_factory = lambda text: text.decode(errors="replace")
        try:
            with _errors(path):
                path.chmod(0o600)
                self._open()
        except SpoolError:
            self._database.close()
            raise

    def _open(self) -> None:
        pragma = self._pragma
        pragma("locking_mode=EXCLUSIVE")
        is_new = pragma("schema_version") == 0
        if not is_new:
            self._check_format()
        pragma("journal_mode=WAL")
        pragma("synchronous=FULL")
        pragma(f"wal_autocheckpoint={WAL_PAGES_MAX}")
        pragma(f"journal_size_limit={_WAL_BYTES_MAX}")
        # What is to be safe from who finds the card is encrypted: zeros would only wear it out.
        pragma("secure_delete=OFF")
        if is_new:
            pragma(f"application_id={APPLICATION_ID}")
            pragma(f"user_version={FORMAT}")
            self._database.executescript(_TABLES)
        # The lock is taken with the first write transaction.
        self._database.execute("BEGIN IMMEDIATE")
        self._database.execute("COMMIT")

    def _check_format(self) -> None:
        found = self._pragma("user_version")
        if self._pragma("application_id") != APPLICATION_ID:
            query = "SELECT value FROM facts WHERE name = 'format'"
            with contextlib.suppress(sqlite3.OperationalError):
                (found,) = self._database.execute(query).fetchone() or (found,)
        if found in _OLD_FORMATS:
            raise OldSpoolError(f"spool {self._path} has format {found}")
        if found != FORMAT:
            raise SpoolError(
                f"spool {self._path} has format {found}, this program writes {FORMAT}: let the "
                "program that wrote it deliver what is in it, then remove the file"
            )

    def _pragma(self, text: str) -> int | str | None:
        row = self._database.execute(f"PRAGMA {text}").fetchone()
        value: int | str | None = None if row is None else row[0]
        return value

    def close(self) -> None:
        """Close the file; nothing is lost."""
        self._database.close()

    def shrink(self) -> None:
        """Give free pages back to the disk, where there are many; for when no Frame waits.

        Where the disk has no room for that the file stays as large as it is.
        """
        with _errors(self._path), contextlib.suppress(sqlite3.OperationalError):
            n_free, n_page_bytes = self._pragma("freelist_count"), self._pragma("page_size")
            if int(n_free or 0) * int(n_page_bytes or 0) > _FREE_BYTES_MAX:
                self._database.execute("VACUUM")

    def state(self) -> dict[str, str]:
        """Read the books."""
        with _errors(self._path):
            return dict(self._database.execute("SELECT name, text FROM state"))

    def rows(self, *, after: int, n_rows_max: int) -> list[Row]:
        """Read the oldest rows behind a sequence, in order."""
        with _errors(self._path):
            found = self._database.execute(
                f"SELECT {_COLUMNS} FROM frames WHERE sequence > ? ORDER BY sequence LIMIT ?",  # noqa: S608
                (after, n_rows_max),
            ).fetchall()
        return [_row(fields) for fields in found]

    def commit(self, change: Change) -> None:
        """Make a change durable, all of it or nothing.

        Raises
        ------
        SpoolError
            Nothing was changed.
        """
        try:
            self._commit(change)
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_FULL:
                raise _translated(self._path, error) from error
            # What is in the log may go where it belongs, and the log begin anew.
            with _errors(self._path):
                self._pragma("wal_checkpoint(RESTART)")
                self._commit(change)
        except sqlite3.Error as error:
            raise _translated(self._path, error) from error

    def _commit(self, change: Change) -> None:
        execute, executemany = self._database.execute, self._database.executemany
        execute("BEGIN IMMEDIATE")
        try:
            executemany("DELETE FROM frames WHERE sequence = ?", [(one,) for one in change.delete])
            executemany(
                "INSERT INTO frames VALUES (?, ?, ?, ?, ?, ?, ?)",
                [_fields(row) for row in change.insert],
            )
            for name, text in change.state.items():
                if text is None:
                    execute("DELETE FROM state WHERE name = ?", (name,))
                else:
                    execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, text))
            execute("COMMIT")
        except sqlite3.Error:
            if self._database.in_transaction:
                execute("ROLLBACK")
            raise

    # For a file that is damaged

    def readable_state(self) -> dict[str, str]:
        """Read what can be read of the books, from both ends."""
        found: dict[str, str] = {}
        for order in ("ASC", "DESC"):
            with contextlib.suppress(sqlite3.Error):
                query = f"SELECT name, text FROM state ORDER BY name {order}"  # noqa: S608
                for name, text in self._database.execute(query):
                    found |= {name: text}
        return found

    def readable_rows(self, n_sequences: int) -> Iterator[Row]:
        """Read the rows that can be read, in order, around those that cannot.

        Parameters
        ----------
        n_sequences
            Where to stop looking; behind an unreadable page every sequence is asked for.
        """
        sequence = -1
        n_failures = 0
        while sequence < n_sequences and n_failures < FAILURES_MAX:
            rows: list[Row] = []
            is_at_end = False
            with contextlib.suppress(SpoolDamagedError):
                # A batch may have failed on its last row: ask for one at a time, then.
                rows = self.rows(after=sequence, n_rows_max=1 if n_failures else 64)
                is_at_end = not rows
            if is_at_end:
                return
            # In a damaged tree the next row may be one before.
            rows = [row for row in rows if row.sequence > sequence]
            yield from rows
            sequence = max([sequence + (n_failures > 0), *(row.sequence for row in rows)])
            n_failures = 0 if rows else n_failures + 1


def is_spool(path: Path) -> bool:
    """Tell a spool, whatever has become of it, from a file that never was one."""
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError:
        return False
    is_ours = header[68:72] == APPLICATION_ID.to_bytes(4, "big")
    return is_ours or beside(path, "-wal").is_file()


def set_aside(path: Path) -> Path:
    """Give the file another name, its log with it; what was there under that name is deleted."""
    aside = beside(path, ".damaged")
    # The log first: it must never be taken for that of the next file.
    for end in ("-wal", ""):
        beside(aside, end).unlink(missing_ok=True)
        if beside(path, end).exists():
            beside(path, end).rename(beside(aside, end))
    return aside


def beside(path: Path, end: str) -> Path:
    """Name a file that lies beside the spool."""
    return path.with_name(path.name + end)


def _row(fields: tuple[int, int, int, bytes, str, int, bytes]) -> Row:
    sequence, spooled_ns, n_readings, spans, key_id, check, payload = fields
    # Damage may have made something else of a column; the checksum is wrong then, too.
    return Row(
        sequence=sequence,
        spooled_ns=spooled_ns,
        n_readings=n_readings,
        spans=spans if isinstance(spans, bytes) else b"",
        key_id=key_id if isinstance(key_id, str) else "",
        check=check,
        payload=payload if isinstance(payload, bytes) else b"",
    )


def _fields(row: Row) -> tuple[int, int, int, bytes, str, int, bytes]:
    return (
        row.sequence,
        row.spooled_ns,
        row.n_readings,
        row.spans,
        row.key_id,
        row.check,
        row.payload,
    )


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE


def _translated(path: Path, error: sqlite3.Error) -> SpoolError:
    if _code(error) in _DAMAGED:
        return SpoolDamagedError(f"spool {path} is damaged: {error}")
    return SpoolError(f"spool {path}: {error}; is another agent using it, or the disk full?")


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(path, error) from error
    except OSError as error:
        raise SpoolError(f"spool {path}: {error}") from error
