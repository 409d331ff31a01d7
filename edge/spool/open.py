"""Opening a spool: whose it is, whether its keys are there, what if it is damaged. A shell."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from edge.spool.books import Books, BooksError, books_of
from edge.spool.file import (
    OldSpoolError,
    SpoolDamagedError,
    SpoolError,
    SpoolFile,
    is_spool,
)
from edge.spool.old import take_over
from edge.spool.salvage import Known, Salvage, finish_salvage, owner_in, salvage
from edge.spool.seal import Seals

log = structlog.get_logger()


@dataclass(slots=True)
class OpenSpool:
    """A spool's file, with its books as they are written there."""

    file: SpoolFile
    books: Books
    written: dict[str, str]
    """The books' text as the file has it."""
    seals: Seals
    last_on_the_way: int
    """Up to this sequence, the agent before may have sent Frames without hearing of it."""


class SpoolPlace:
    """Where a spool is, and what it takes to open it.

    Parameters
    ----------
    owner
        None: whoever's it is.
    on_the_way_bytes
        How much may have been on its way to the broker when the last agent ended.
    """

    def __init__(
        self, path: Path, keys: Sequence[bytes], owner: str | None, *, on_the_way_bytes: int
    ) -> None:
        self._on_the_way_bytes = on_the_way_bytes
        self._path = path
        self._keys = tuple(keys)
        self._owner = owner
        self.salvaged: Salvage | None = None
        """What became of a damaged file, the last time that there was one."""

    def open(self) -> OpenSpool:
        """Open it, and make it if it is not there.

        Raises
        ------
        SpoolError
            It cannot be used; what waits in it is still there.
        """
        finish_salvage(self._path)
        try:
            return self._open()
        except OldSpoolError:
            take_over(self._path, self._keys, self._owner or "")
            return self._open()
        except (SpoolDamagedError, BooksError) as error:
            if not is_spool(self._path):
                raise SpoolError(f"{self._path} is no spool, and is left as it is") from error
            return self.reopen(str(error))

    def reopen(self, why: str, known: Known | None = None) -> OpenSpool:
        """Set a damaged file aside, and open a new one with what could be read of it.

        Parameters
        ----------
        known
            What need not be read from it.

        Raises
        ------
        SpoolError
        """
        log.error("spool_damaged", error=why)
        owner = known.books.owner if known is not None else self._owner_found()
        seals = Seals(self._keys, owner=owner)
        # Milliseconds since 1970: no agent makes so many Frames.
        new_sequence = time.time_ns() // 1_000_000
        self.salvaged = done = salvage(
            self._path, seals, owner, new_sequence=new_sequence, known=known
        )
        log.error(
            "spool_salvaged",
            n_frames=done.n_frames,
            n_frames_lost=done.n_frames_lost,
            n_samples_lost=done.n_samples_lost,
            has_books=done.has_books,
        )
        return self._open()

    def _owner_found(self) -> str:
        """Tell whose the Frames of a damaged spool are: not ours because we have found them."""
        ours = self._owner or ""
        return owner_in(self._path, self._keys, ours) or ours

    def _open(self) -> OpenSpool:
        file = SpoolFile(self._path)
        try:
            state = file.state()
            books = books_of(state) if state else Books(owner=self._owner or "")
            books = self._checked(books)
            seals = Seals(self._keys, owner=books.owner)
            self._check_keys(books, seals)
            if not books.size.n_frames:
                file.shrink()
            last = _last_within(file, self._on_the_way_bytes)
        except (SpoolError, BooksError):
            file.close()
            raise
        return OpenSpool(file=file, books=books, written=state, seals=seals, last_on_the_way=last)

    def _checked(self, books: Books) -> Books:
        """Give books that are ours: a spool of somebody else in which nothing waits begins anew."""
        if self._owner in (None, books.owner):
            return books
        if books.size.n_frames or books.gaps:
            raise SpoolError(
                f"{books.size.n_frames} Frames of {books.owner} wait in the spool {self._path}; "
                f"let them be delivered, or give {self._owner} another spool_path"
            )
        return Books(owner=self._owner or "")

    def _check_keys(self, books: Books, seals: Seals) -> None:
        for key in seals.without_key(books.sizes):
            raise SpoolError(
                f"spool {self._path}: {books.sizes[key].n_frames} Frames are sealed with the key "
                f"{key}, which is not there; name it behind the newest until they are delivered"
            )


def _last_within(file: SpoolFile, n_bytes: int) -> int:
    """Give the sequence of the last of the oldest Frames that are together so many bytes."""
    last = -1
    while rows := file.rows(after=last, n_rows_max=64):
        for row in rows:
            n_bytes -= row.n_bytes
            if n_bytes < 0:
                return last
            last = row.sequence
    return last
