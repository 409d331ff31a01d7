"""A damaged spool: set aside, and a new one made of what can still be read.

What cannot be read is accounted for: the ledger says how many samples waited, and the numbering of
the streams says which of them are in no Frame that was found. They get into gaps ``spool_damaged``.
Where the books themselves are gone, the Frames that are found make new ones; what was in the others
is then known to nobody, and the streams begin anew.
"""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

from edge.ledger import Channel, Stored, Taken
from edge.spool.books import Books, BooksError, books_of, owner_of
from edge.spool.file import Change, SpoolError, SpoolFile, beside, set_aside
from edge.spool.rows import Row, RowDamagedError, Span, row_of
from edge.spool.seal import Seals
from ingest.codec import decode_frame
from ingest.errors import RecordError
from ingest.frame import Frame, Gap, GapCause

NEW: Final = ".salvaged"
"""Ends the name of a new spool that is not whole yet."""

_ROWS_PER_COMMIT: Final = 256
_ROWS_ASKED_MAX: Final = 64
"""Frames that are asked whose they are; the first that can be read tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvage:
    """What became of a damaged spool."""

    aside: Path
    """Where the damaged file is now."""
    n_frames: int
    """Frames that were saved."""
    n_frames_lost: int
    n_samples_lost: int
    has_books: bool
    """False where the numbering of the streams begins anew, and nobody knows what else was lost."""


def finish_salvage(path: Path) -> None:
    """Put the new spool in its place, where a salvage ended before it could."""
    if not path.exists() and beside(path, NEW).exists():
        beside(path, NEW).rename(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What an agent that finds the damage in use still knows of its spool."""

    books: Books
    was_delivered: Callable[[int], bool] = lambda _: False
    """Tells by their sequence which Frames need not be saved."""


def owner_in(path: Path, keys: Sequence[bytes], guess: str) -> str | None:
    """Tell whose a damaged spool is, by a Frame that can be read; None: nobody knows.

    Parameters
    ----------
    guess
        Whose it should be. A sealed Frame can only be read by who knows whose it is: what the books
        say is tried, too.
    """
    with contextlib.suppress(SpoolError):
        file = SpoolFile(path)
        try:
            rows = list(islice(file.readable_rows(_SEQUENCES_MAX), _ROWS_ASKED_MAX))
            for owner in (guess, _stated_owner(file)):
                seals = Seals(keys, owner=owner)
                for row in rows:
                    with contextlib.suppress(RowDamagedError, RecordError):
                        frame = decode_frame(seals.open(row.key_id, row.payload, row.about()))
                        return owner_of(frame.agent_id, frame.subject_id)
        finally:
            file.close()
    return None


def _stated_owner(file: SpoolFile) -> str:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(file.readable_state()["facts"])["owner"])
    return ""


def salvage(
    path: Path, seals: Seals, owner: str, *, new_sequence: int, known: Known | None = None
) -> Salvage:
    """Set a damaged spool aside and make a new one of what is found in it.

    Until the new one is whole the old one keeps its name: this can be interrupted at any time.

    Parameters
    ----------
    new_sequence
        What the next Frame carries where the books are gone: a number that none can have had.
    known
        None: the books are looked for in the file.

    Raises
    ------
    SpoolError
        The new file could not be written.
    """
    new = beside(path, NEW)
    for end in ("", "-wal", "-journal"):
        beside(new, end).unlink(missing_ok=True)
    old: SpoolFile | None = None
    with contextlib.suppress(SpoolError):
        old = SpoolFile(path)
    try:
        has_books = True
        if known is None:
            books, has_books = _readable_books(old, owner, new_sequence)
            known = Known(books=books)
        try:
            done = _rebuild(old, new, seals, known, has_books=has_books)
        except SpoolError:
            # No room for two: what waited stays in the file that is set aside.
            new.unlink(missing_ok=True)
            done = _rebuild(None, new, seals, known, has_books=has_books)
    finally:
        if old is not None:
            old.close()
    aside = set_aside(path)
    new.rename(path)
    return replace(done, aside=aside)


def _rebuild(
    old: SpoolFile | None, new: Path, seals: Seals, known: Known, *, has_books: bool
) -> Salvage:
    books = known.books.copy()
    n_waiting = books.size.n_frames
    books.sizes = {}
    n_sequences = books.next_sequence if has_books else _SEQUENCES_MAX
    rows = old.readable_rows(n_sequences) if old is not None else iter(())
    found = _Found()
    file = SpoolFile(new)
    try:
        batch: list[Row] = []
        wanted = (row for row in rows if not known.was_delivered(row.sequence))
        for row in _whole_rows(wanted, books, seals, has_books=has_books):
            batch.append(row)
            found.add(row)
            if len(batch) == _ROWS_PER_COMMIT:
                file.commit(Change(insert=batch))
                batch = []
        n_lost = account_for_loss(books, found) if has_books else 0
        file.commit(Change(insert=batch, state=dict(books.to_state())))
    finally:
        file.close()
    return Salvage(
        aside=new,
        n_frames=found.n_frames,
        n_frames_lost=max(0, n_waiting - found.n_frames),
        n_samples_lost=n_lost,
        has_books=has_books,
    )


_SEQUENCES_MAX: Final = 100_000
"""How far behind an unreadable page Frames are looked for, where the books do not say."""


def _readable_books(old: SpoolFile | None, owner: str, new_sequence: int) -> tuple[Books, bool]:
    if old is not None:
        with contextlib.suppress(BooksError):
            return books_of(old.readable_state()), True
    return Books(owner=owner, next_sequence=new_sequence), False


def _whole_rows(
    rows: Iterable[Row], books: Books, seals: Seals, *, has_books: bool
) -> Iterator[Row]:
    """Give the rows that are what was written, and count them."""
    for row in rows:
        try:
            spans = row.checked_spans()
            payload = seals.open(row.key_id, row.payload, row.about())
        except RowDamagedError:
            continue
        if has_books:
            books.find(row, spans)
            yield row
            continue
        with contextlib.suppress(RecordError):
            yield enter_anew(decode_frame(payload), payload, books, seals)


def enter_anew(frame: Frame, payload: bytes, books: Books, seals: Seals) -> Row:
    """Enter a Frame into new books, which name its channels and begin its ledger."""
    taken = dict(books.taken)
    for block in frame.waveforms:
        one = taken[block.device_id, block.channel] = taken.get(
            (block.device_id, block.channel), Taken()
        ).copy()
        one.on_air += block.n_samples
        one.decoded += block.n_samples
        one.framed += block.n_samples
        one.i_end = block.i_end
    books.begin([frame], {}, taken)
    new, spans = row_of(
        frame,
        spooled_ns=0,
        key_id=seals.newest,
        numbers=books.numbers,
        taken=books.taken,
    )
    new = replace(new, payload=seals.seal(payload, new.about()))
    books.enter(new, spans)
    books.next_sequence = max(books.next_sequence, frame.sequence + 1)
    return new


# What is in no Frame that was found


class _Found:
    """The samples of the Frames that were found, by channel."""

    def __init__(self) -> None:
        self.n_frames = 0
        self.n_samples: dict[int, int] = {}
        self.spans: dict[int, list[Span]] = {}

    def add(self, row: Row) -> None:
        self.n_frames += 1
        for span in row.checked_spans():
            if span.cause is None:
                self.n_samples[span.channel] = self.n_samples.get(span.channel, 0) + span.n_samples
            spans = self.spans.setdefault(span.channel, [])
            last = spans[-1] if spans else None
            # Frames follow on one another: a week of them is one span.
            if last is not None and (last.run, _behind(last)) == (span.run, span.i_first):
                spans[-1] = last._replace(n_samples=last.n_samples + span.n_samples)
            else:
                spans.append(span)


def account_for_loss(books: Books, found: "_Found") -> int:
    """Enter what waited and was not found as dropped, and name it in gaps; give how much it is."""
    n_lost_in_all = 0
    for channel, number in books.numbers.items():
        stored = books.stored[channel]
        n_lost = stored.waiting - found.n_samples.get(number, 0)
        if n_lost > 0:
            stored.dropped[GapCause.SPOOL_DAMAGED] += n_lost
            n_lost_in_all += n_lost
        told = [gap for gap in books.gaps if (gap.device_id, gap.channel) == channel]
        taken = books.taken.get(channel, Taken())
        books.gaps += _missing(channel, taken, stored, found.spans.get(number, []), told)
    return n_lost_in_all


def _missing(
    channel: Channel, taken: Taken, stored: Stored, spans: Iterable[Span], told: Iterable[Gap]
) -> list[Gap]:
    """Name the samples between what the broker has and what is due next that nobody has.

    Of the newest numbering only: of an earlier one, the ledger knows how many there were.
    """
    if taken.period is None:
        return []
    i_next = stored.i_out if stored.run_out == taken.run else 0
    known = [(span.i_first, _behind(span)) for span in spans if span.run == taken.run]
    known += [(gap.i_first, gap.i_first + gap.n_samples) for gap in told]
    gaps: list[Gap] = []
    for i_first, i_behind in (*sorted(known), (taken.i_end, taken.i_end)):
        if i_first > i_next:
            gaps.append(
                Gap(
                    device_id=channel[0],
                    channel=channel[1],
                    cause=GapCause.SPOOL_DAMAGED,
                    i_first=i_next,
                    n_samples=i_first - i_next,
                    t0_ns=taken.epoch_ns + taken.period.offset_ns(i_next),
                )
            )
        i_next = max(i_next, i_behind)
    return gaps


def _behind(span: Span) -> int:
    return span.i_first + span.n_samples
