"""The spool: Frames wait on disk until the broker has acknowledged them. A shell.

A Frame counts as stored, and is sent, when it is committed to disk; not before. To send it first
and store it only if no answer comes would spare an SD card most of its writes, but an agent that is
killed in between would begin again with the numbers of Frames that the broker has, and would name
samples as missing that were delivered. So a commit is made per flush interval, and that setting is
the one to raise where a card must last longer. How a commit is kept small: ``edge/spool/file.py``.

What is bounded, and what happens then:

- Bytes: the oldest Frames give way (``spool_full``).
- Age, counted in time that an agent has run since the Frame was stored (``spool_age``). The host's
  clock is not asked: one that leaps to 2038 must not delete a week of recordings, and while the
  agent was off nobody knows how long that was.
- The oldest few Frames, those that may be on their way to the broker, never give way: they could be
  stored there, and named as missing too.

Each sample that goes is named in a gap of the next Frame and in the ledger; readings and events
that go with it are counted.

Calls block for a disk, so the agent makes them from threads; a lock keeps them apart, and is not
held while a payload is decrypted or sent.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import structlog

from edge.frame_room import fewer_gaps, with_gaps
from edge.ledger import Channel, Stored, Taken
from edge.spool.books import Books, BooksError, SpoolSize
from edge.spool.file import Change, SpoolDamagedError, SpoolError
from edge.spool.on_the_way import OnTheWay
from edge.spool.open import OpenSpool, SpoolPlace
from edge.spool.rows import Row, RowDamagedError, row_of
from edge.spool.salvage import Known, Salvage
from ingest.codec import RECORD_BYTES_MAX, encode_frame
from ingest.frame import NS_PER_S, Frame, Gap, GapCause

__all__ = ["Spool", "SpoolDamagedError", "SpoolError", "SpoolSize", "SpooledFrame"]

log = structlog.get_logger()

FRAMES_GIVE_WAY_MAX: Final = 1_024
"""Frames that give way in one commit. A bound that was lowered is reached in several."""

AGE_EVERY_NS: Final = 60 * NS_PER_S
"""How often the oldest Frame is asked for its age."""

READ_BYTES: Final = 256_000
"""Read from disk in one go, about: the lock is held for so long."""

ROWS_READ_MAX: Final = 256

FORGET_BYTES: Final = 1_000_000
"""Acknowledged Frames are deleted in the commit that stores the next ones; if they are more than
this, at once."""

ON_THE_WAY_SHARE: Final = 4
"""At the start, up to a quarter of the spool …"""

ON_THE_WAY_BYTES_MAX: Final = 4_000_000
"""… and no more than this may have been on its way to the broker when the last agent ended."""


TELL_EVERY_NS: Final = 60 * NS_PER_S
"""While Frames give way, the gaps that they leave are told as often: told in every Frame they would
give way with it, again and again, and take the place of what is measured."""

GAPS_HELD_MAX: Final = 256
"""Gaps that wait to be told. More are joined whatever their cause; the ledger tells the causes
apart all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpooledFrame:
    """A Frame that waits."""

    sequence: int
    payload: bytes


class Spool:
    """Frames of one agent and subject, oldest first.

    Parameters
    ----------
    n_bytes_max
        Above this the oldest Frames give way.
    age_s_max
        So do Frames that an agent has kept for longer; None: none is too old.
    keys
        What Frames are encrypted with, see ``edge/spool/seal.py``, the newest first; none: they are
        not.
    owner
        Agent and subject. A spool of somebody else is refused. None: whoever's it is.
    monotonic_ns
        A clock that never leaps.

    Raises
    ------
    SpoolError
        It cannot be used; what waits in it is still there.
    """

    def __init__(
        self,
        path: Path,
        *,
        n_bytes_max: int,
        age_s_max: float | None = None,
        keys: Sequence[bytes] = (),
        owner: str | None = None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._n_bytes_max = n_bytes_max
        self._age_ns_max = None if age_s_max is None else int(age_s_max * NS_PER_S)
        self._monotonic_ns = monotonic_ns
        self._lock = threading.Lock()
        on_the_way_bytes = min(n_bytes_max // ON_THE_WAY_SHARE, ON_THE_WAY_BYTES_MAX)
        self._place = SpoolPlace(path, keys, owner, on_the_way_bytes=on_the_way_bytes)
        self._is_open = True
        self._begin(self._place.open())

    def _begin(self, opened: OpenSpool) -> None:
        self._file, self._books = opened.file, opened.books
        self._written, self._seals = opened.written, opened.seals
        self._opened_ns = self._monotonic_ns() - self._books.clock_ns
        self._age_asked_ns = -AGE_EVERY_NS
        self._told_ns = -TELL_EVERY_NS
        self._way = OnTheWay(from_before=opened.last_on_the_way)

    def _recover(self, error: Exception) -> SpoolDamagedError:
        """Go on with what can be read of a file that was found damaged in use."""
        self._file.close()
        self._is_open = False
        known = Known(books=self._books, was_delivered=self._way.was_delivered)
        self._begin(self._place.reopen(str(error), known))
        self._is_open = True
        return SpoolDamagedError(f"{error}; what could be read of it was saved")

    def _open_again(self) -> None:
        """Try once more where the file could not be opened again after it was found damaged."""
        if not self._is_open:
            self._begin(self._place.open())
            self._is_open = True

    def close(self) -> None:
        """Close the file; nothing is lost."""
        with self._lock:
            if not self._is_open:
                return
            if self._way.acknowledged:
                self._forget()
            if not self._books.size.n_frames:
                self._file.shrink()
            self._file.close()

    # What there is

    @property
    def next_sequence(self) -> int:
        """The sequence that the next Frame must carry."""
        return self._books.next_sequence

    def streams(self) -> dict[str, str]:
        """Give the state of every stream as of the last stored Frame, as it was stored."""
        return dict(self._books.streams)

    def taken(self) -> dict[Channel, Taken]:
        """Give the framer's side of the ledger as of the last stored Frame."""
        return {channel: one.copy() for channel, one in self._books.taken.items()}

    def stored(self) -> dict[Channel, Stored]:
        """Give the spool's side of the ledger; without the lock, for it must not wait for a disk.

        New channels come with new books, so what is read here only counts on.
        """
        return {channel: one.copy() for channel, one in self._books.stored.items()}

    def size(self) -> SpoolSize:
        """Count what waits; kept up to date, so it costs nothing."""
        return self._books.size

    @property
    def n_frames_dropped(self) -> int:
        """Frames that gave way, since the spool was made."""
        return self._books.n_frames_dropped

    @property
    def n_readings_dropped(self) -> int:
        """Readings and device events in those Frames."""
        return self._books.n_readings_dropped

    @property
    def salvaged(self) -> Salvage | None:
        """What became of a damaged file, the last time that there was one."""
        return self._place.salvaged

    @property
    def encrypted(self) -> bool:
        """True where new Frames are encrypted."""
        return bool(self._seals.newest)

    # In

    def append(
        self,
        frames: Sequence[Frame],
        streams: Mapping[str, str],
        taken: Mapping[Channel, Taken] | None = None,
    ) -> None:
        """Store one or several Frames with all that must go on from them, in one commit.

        Parameters
        ----------
        frames
            At least one, with ``next_sequence`` and what follows it as sequences.
        streams
            The state of all streams by stream key, with the Frames' samples. It replaces what
            was stored: a stream that is not named is forgotten.
        taken
            The framer's side of the ledger, as of these Frames.

        Raises
        ------
        SpoolError
            No Frame was stored. ``next_sequence`` is the same as before, unless the file was found
            damaged (SpoolDamagedError): then it is that of the new one.
        """
        with self._lock:
            self._open_again()
            try:
                self._append(frames, streams, taken or {})
            except (SpoolDamagedError, RowDamagedError) as error:
                raise self._recover(error) from error
            except BooksError as error:
                raise SpoolError(str(error)) from error

    def _append(
        self, frames: Sequence[Frame], streams: Mapping[str, str], taken: Mapping[Channel, Taken]
    ) -> None:
        books = self._books.copy()
        given_way = self._give_way(books)
        told: Sequence[Gap] = ()
        if not given_way or self._now_ns() - self._told_ns >= TELL_EVERY_NS:
            told, books.gaps = fewer_gaps(books.gaps), []
        stored = with_gaps(frames, told)
        books.begin(stored, streams, taken)
        rows = [self._row(frame, books) for frame in stored]
        books.next_sequence = stored[-1].sequence + 1
        self._commit(books, delete=given_way, insert=rows)
        if told:
            self._told_ns = self._now_ns()

    def _row(self, frame: Frame, books: Books) -> Row:
        row, spans = row_of(
            frame,
            spooled_ns=self._now_ns(),
            key_id=self._seals.newest,
            numbers=books.numbers,
            taken=books.taken,
        )
        row = replace(row, payload=self._seals.seal(encode_frame(frame), row.about()))
        books.enter(row, spans)
        return row

    def _commit(
        self, books: Books, *, delete: Sequence[int] = (), insert: Sequence[Row] = ()
    ) -> None:
        """Write a change and everything that was acknowledged; then the books are the new ones."""
        books.clock_ns = self._now_ns()
        state = books.to_state()
        changed: dict[str, str | None] = {
            name: text for name, text in state.items() if self._written.get(name) != text
        }
        changed |= dict.fromkeys(self._written.keys() - state.keys())
        self._file.commit(
            Change(delete=[*self._way.acknowledged, *delete], insert=insert, state=changed)
        )
        self._books, self._written = books, state
        self._way.acknowledged.clear()

    def _now_ns(self) -> int:
        return self._monotonic_ns() - self._opened_ns

    def _give_way(self, books: Books) -> list[int]:
        """Drop the oldest Frames that are too many or too old; give their sequences."""
        now_ns = self._now_ns()
        asks_age = self._age_ns_max is not None and now_ns - self._age_asked_ns >= AGE_EVERY_NS
        given_way: list[int] = []
        if not asks_age and books.size.n_bytes <= self._n_bytes_max:
            return given_way
        for row in self._rows_behind(self._way.last):
            cause = self._cause_to_drop(row, books, now_ns)
            if cause is None:
                self._age_asked_ns = now_ns
                break
            books.drop(row, row.checked_spans(), cause)
            given_way.append(row.sequence)
            if len(given_way) == FRAMES_GIVE_WAY_MAX:
                break
        else:
            self._age_asked_ns = now_ns
        books.join_gaps(GAPS_HELD_MAX)
        return given_way

    def _rows_behind(self, sequence: int) -> Iterator[Row]:
        while rows := self._file.rows(after=sequence, n_rows_max=16):
            yield from rows
            sequence = rows[-1].sequence

    def _cause_to_drop(self, row: Row, books: Books, now_ns: int) -> GapCause | None:
        if self._age_ns_max is not None and now_ns - row.spooled_ns > self._age_ns_max:
            return GapCause.SPOOL_AGE
        return GapCause.SPOOL_FULL if books.size.n_bytes > self._n_bytes_max else None

    # Out

    def oldest(
        self, n_frames_max: int, *, n_bytes_max: int | None = None, after: int = -1
    ) -> list[SpooledFrame]:
        """Give the oldest waiting Frames, oldest first; they stay in the spool.

        They are taken to be on their way to the broker: none of them gives way any more.

        Parameters
        ----------
        n_bytes_max
            Stop before the Frames are more than this; one is always given.
        after
            Begin behind this sequence.

        Raises
        ------
        SpoolError
        """
        found: list[SpooledFrame] = []
        n_bytes_left = RECORD_BYTES_MAX * n_frames_max if n_bytes_max is None else n_bytes_max
        while len(found) < n_frames_max:
            rows = self._give(after, min(n_frames_max - len(found), self._n_rows(READ_BYTES)))
            if not rows:
                break
            for row in rows:
                after = row.sequence
                n_bytes_left -= row.n_bytes
                if found and n_bytes_left < 0:
                    self._take_back(after)
                    return found
                found += self._opened(row)
        return found

    def _give(self, after: int, n_rows_max: int) -> list[Row]:
        with self._lock:
            self._open_again()
            try:
                after = max(after, self._way.last_acknowledged)
                rows = self._rows(after, n_rows_max)
                for row in rows:
                    self._way.give(row, row.checked_spans())
            except (SpoolDamagedError, RowDamagedError) as error:
                raise self._recover(error) from error
        return rows

    def _rows(self, after: int, n_rows_max: int) -> list[Row]:
        rows = self._file.rows(after=after, n_rows_max=n_rows_max)
        if not (rows or self._way.given) and (n_waiting := self.size().n_frames):
            raise SpoolDamagedError(f"{n_waiting} Frames are not where they were")
        return rows

    def _take_back(self, sequence: int) -> None:
        with self._lock:
            self._way.take_back(sequence)

    def _n_rows(self, n_bytes: int) -> int:
        """Estimate how many rows are so many bytes."""
        size = self._books.size
        n_bytes_each = size.n_bytes // max(1, size.n_frames) + 1
        return max(1, min(ROWS_READ_MAX, n_bytes // n_bytes_each))

    def _opened(self, row: Row) -> list[SpooledFrame]:
        """Open one payload; one that is damaged is dropped, and each of its samples named."""
        try:
            payload = self._seals.open(row.key_id, row.payload, row.about())
        except RowDamagedError as error:
            log.error("spooled_frame_damaged", sequence=row.sequence, error=str(error))
            self._drop(row.sequence)
            return []
        return [SpooledFrame(sequence=row.sequence, payload=payload)]

    def _drop(self, sequence: int) -> None:
        with self._lock:
            given = self._way.given.pop(sequence, None)
            if given is not None:
                books = self._books.copy()
                books.drop(given.row, given.spans, GapCause.SPOOL_DAMAGED)
                self._commit(books, delete=[sequence])

    def acknowledge_to(self, sequence: int) -> None:
        """Forget the Frames up to and with ``sequence`` that were given: the broker has them.

        They are deleted from disk with the next commit. An agent that is killed before sends them
        once more, which harms nobody.
        """
        with self._lock:
            for given in self._way.acknowledge(sequence):
                self._books.acknowledge(given.row, given.spans)
            if self._way.n_bytes_acknowledged > FORGET_BYTES:
                self._forget()

    def _forget(self) -> None:
        try:
            self._commit_or_recover()
        except SpoolError as error:
            # They stay acknowledged, and go with a later commit.
            log.warning("acknowledged_not_deleted", error=str(error))

    def _commit_or_recover(self) -> None:
        try:
            self._commit(self._books.copy())
        except SpoolDamagedError as error:
            self._recover(error)
