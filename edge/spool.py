"""The spool: Frames wait on disk until the broker has acknowledged them.

SQLite in WAL mode: a commit is atomic under SIGKILL and, with ``synchronous=FULL``, under loss of
power. The numbering of the streams is stored in the same transaction as the Frame that it belongs
to, so a restarted agent goes on exactly behind the last Frame that survived.

Calls block for a disk write, so the agent makes them from threads; a lock keeps them apart.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.clock_state import ClockStateError, grid_text_of_format_1
from edge.frame_room import fewer_gaps, gap_of, with_gaps
from ingest.codec import decode_frame, encode_frame
from ingest.frame import Frame, Gap, GapCause

FORMAT: Final = 2
"""Version of the file. One of version 1 is taken over, numberings in another text; any other is
refused, not guessed at."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS frames (
    sequence INTEGER PRIMARY KEY, n_samples INTEGER NOT NULL, payload BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS streams (key TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
"""


class SpoolError(Exception):
    """The spool cannot be used: full disk, broken file, another agent's lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpooledFrame:
    """A Frame that waits."""

    sequence: int
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolSize:
    """What waits in the spool."""

    n_frames: int
    n_samples: int
    n_bytes: int

    def __add__(self, other: "SpoolSize") -> "SpoolSize":
        return SpoolSize(
            n_frames=self.n_frames + other.n_frames,
            n_samples=self.n_samples + other.n_samples,
            n_bytes=self.n_bytes + other.n_bytes,
        )

    def __sub__(self, other: "SpoolSize") -> "SpoolSize":
        return SpoolSize(
            n_frames=self.n_frames - other.n_frames,
            n_samples=self.n_samples - other.n_samples,
            n_bytes=self.n_bytes - other.n_bytes,
        )


class Spool:
    """Frames of one agent and subject, oldest first.

    When ``n_bytes_max`` is reached the oldest Frames give way. Each sample that goes with them is
    named in a gap with cause ``spool_full`` in the next Frame.
    """

    def __init__(self, path: Path, *, n_bytes_max: int) -> None:
        self._n_bytes_max = n_bytes_max
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # isolation_level None: transactions are written where they are meant.
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            path.chmod(0o600)
            self._database.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.executescript(_TABLES)
            self._check_format(path)
            self._size = self._measure("SELECT {} FROM frames")
            self._next_sequence = self._fact("next_sequence")
        except (OSError, sqlite3.Error) as error:
            raise SpoolError(
                f"spool {path}: {error}; is another agent using it, or the disk full?"
            ) from error

    def close(self) -> None:
        """Close the file; nothing is lost."""
        self._database.close()

    @property
    def next_sequence(self) -> int:
        """The sequence that the next Frame must carry."""
        return self._next_sequence

    def append(self, frames: Sequence[Frame], streams: Mapping[str, str]) -> None:
        """Store one or several Frames with the numbering of their streams, in one commit.

        Parameters
        ----------
        frames
            At least one, with ``next_sequence`` and what follows it as sequences.
        streams
            What is known of clocks and streams, as text by key, with the Frames' samples. It
            replaces what was stored: what is not named is forgotten.

        Raises
        ------
        SpoolError
            No Frame was stored, and ``next_sequence`` is the same as before.
        """
        with self._lock:
            size_before = self._size
            try:
                self._database.execute("BEGIN IMMEDIATE")
                stored = with_gaps(frames, self._make_room())
                for frame in stored:
                    self._insert(frame)
                self._set_streams(streams)
                self._set_fact("next_sequence", stored[-1].sequence + 1)
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                self._size = size_before
                raise SpoolError(f"a frame was not stored: {error}") from error
            self._next_sequence = stored[-1].sequence + 1

    def _insert(self, frame: Frame) -> None:
        payload = encode_frame(frame)
        self._database.execute(
            "INSERT INTO frames VALUES (?, ?, ?)", (frame.sequence, frame.n_samples, payload)
        )
        self._size += SpoolSize(n_frames=1, n_samples=frame.n_samples, n_bytes=len(payload))

    def _set_streams(self, streams: Mapping[str, str]) -> None:
        self._database.execute("DELETE FROM streams")
        self._database.executemany(
            "INSERT OR REPLACE INTO streams VALUES (?, ?)",
            list(streams.items()),
        )

    def oldest(self, n_frames_max: int) -> list[SpooledFrame]:
        """Give the oldest waiting Frames, oldest first; they stay in the spool."""
        with self._lock:
            rows = self._database.execute(
                "SELECT sequence, payload FROM frames ORDER BY sequence LIMIT ?", (n_frames_max,)
            ).fetchall()
        return [SpooledFrame(sequence=sequence, payload=payload) for sequence, payload in rows]

    def remove_to(self, sequence: int) -> None:
        """Forget the Frames up to and with ``sequence``: the broker has them."""
        with self._lock:
            removed = self._measure("SELECT {} FROM frames WHERE sequence <= ?", sequence)
            self._database.execute("DELETE FROM frames WHERE sequence <= ?", (sequence,))
            self._size -= removed

    def streams(self) -> dict[str, str]:
        """Give what was known of clocks and streams as of the last stored Frame."""
        with self._lock:
            rows = self._database.execute("SELECT key, state FROM streams").fetchall()
        return {str(key): str(text) for key, text in rows}

    def size(self) -> SpoolSize:
        """Count what waits; kept up to date, so it costs nothing."""
        return self._size

    def _measure(self, query: str, *arguments: int) -> SpoolSize:
        columns = "count(*), coalesce(sum(n_samples), 0), coalesce(sum(length(payload)), 0)"
        n_frames, n_samples, n_bytes = self._database.execute(
            query.format(columns), arguments
        ).fetchone()
        return SpoolSize(n_frames=n_frames, n_samples=n_samples, n_bytes=n_bytes)

    def _make_room(self) -> list[Gap]:
        """Drop the oldest Frames while the spool is too large; name what went with them."""
        gaps: list[Gap] = []
        while self._size.n_bytes > self._n_bytes_max:
            sequence, n_samples, payload = self._database.execute(
                "SELECT sequence, n_samples, payload FROM frames ORDER BY sequence LIMIT 1"
            ).fetchone()
            self._database.execute("DELETE FROM frames WHERE sequence = ?", (sequence,))
            self._size -= SpoolSize(n_frames=1, n_samples=n_samples, n_bytes=len(payload))
            gaps += _gaps_of(decode_frame(payload))
        return fewer_gaps(gaps)

    def _check_format(self, path: Path) -> None:
        found = self._fact("format", default=FORMAT)
        if found not in {1, FORMAT}:
            raise SpoolError(
                f"spool {path} has format {found}, this program writes {FORMAT}: let the program "
                "that wrote it deliver what is in it, then remove the file"
            )
        self._database.execute("BEGIN IMMEDIATE")
        if found == 1:
            rows = self._database.execute("SELECT key, state FROM streams").fetchall()
            self._set_streams(dict(_of_format_1(rows)))
        self._set_fact("format", FORMAT)
        self._database.execute("COMMIT")

    def _fact(self, name: str, *, default: int = 0) -> int:
        row = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return default if row is None else int(row[0])

    def _set_fact(self, name: str, value: int) -> None:
        self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))


def _gaps_of(frame: Frame) -> list[Gap]:
    """Turn a dropped Frame's samples into gaps; the gaps that it carried itself live on."""
    dropped = [gap_of(block, GapCause.SPOOL_FULL) for block in frame.waveforms]
    return [*frame.gaps, *dropped]


def _of_format_1(rows: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for key, text in rows:
        with contextlib.suppress(ClockStateError):  # such a stream begins anew
            yield key, grid_text_of_format_1(text)
