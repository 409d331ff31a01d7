"""Reading the dead letters: which match, the newest of them, and how many there are of each kind.

The topic may hold anything, and any number of it: what is kept is bounded, whatever is read.
"""

import heapq
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from deploy.record_bytes import printable
from ingest.codec import REASON_CHARS_MAX, decode_dead_letter
from ingest.dead_letter import DeadLetter
from ingest.errors import RecordError
from ingest.history import TopicHistory
from ingest.kafka import ConsumedRecord

N_KINDS_MAX: Final = 1_000
"""Kinds told apart in a summary; the letters of any further kind are counted together."""

UNREADABLE: Final = "unreadable"
"""The source of a record on the topic that is no dead letter itself."""

_PLACE: Final = re.compile(r"([0-9]{1,9}):([0-9]{1,18})")
_NUMBER: Final = re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]+\b")


class Place(NamedTuple):
    """Where a dead letter itself stands on its topic: what it is called by."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Read ``partition:offset``.

        Raises
        ------
        ValueError
        """
        found = _PLACE.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no partition:offset, such as 3:17, as `list` shows it")
        return cls(int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class Stored:
    """A dead letter as it stands on the topic."""

    place: Place
    t_ms: int
    letter: DeadLetter


def stored(record: ConsumedRecord) -> Stored:
    """Read a record of the topic; what is no dead letter becomes one that says so."""
    try:
        letter = decode_dead_letter(record.payload)
    except RecordError as error:
        letter = DeadLetter(
            reason=f"on the dead-letter topic, and no dead letter: {error}",
            source=UNREADABLE,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            timestamp_ms=record.timestamp_ms,
            payload=record.payload,
        )
    return Stored(Place(record.partition, record.offset), record.timestamp_ms or 0, letter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which letters are meant. What is None or empty leaves nothing out."""

    source: str | None = None
    topic: str | None = None
    reason: str = ""
    """Part of the reason, in any case."""
    since_ms: int | None = None

    def __contains__(self, one: Stored) -> bool:
        return (
            self.source in (None, one.letter.source)
            and self.topic in (None, one.letter.topic)
            and (self.since_ms is None or one.t_ms >= self.since_ms)
            and self.reason.casefold() in one.letter.reason.casefold()
        )


async def read_letters(history: TopicHistory) -> AsyncGenerator[Stored, None]:
    """Give every letter that the topic holds, by partition and offset.

    Raises
    ------
    BrokerError, BrokerRefusedError
    """
    async with aclosing(history.records()) as records:
        async for record in records:
            yield stored(record)


class Row(NamedTuple):
    """A letter without its bytes, ordered by time."""

    t_ms: int
    place: Place
    source: str
    topic: str
    partition: int
    offset: int
    n_bytes: int
    n_bytes_cut: int
    content: str
    reason: str

    @classmethod
    def of(cls, one: Stored) -> "Row":
        """Leave the bytes out."""
        letter = one.letter
        return cls(
            t_ms=one.t_ms,
            place=one.place,
            source=printable(letter.source),
            topic=printable(letter.topic),
            partition=letter.partition,
            offset=letter.offset,
            n_bytes=len(letter.payload),
            n_bytes_cut=letter.n_bytes_cut,
            content=str(letter.content),
            reason=letter.reason[:REASON_CHARS_MAX],
        )

    def as_json(self) -> dict[str, Any]:
        """Give plain values."""
        fields = self._asdict()
        del fields["t_ms"], fields["place"]
        return {"id": str(self.place), "time": utc(self.t_ms), **fields}


class Newest:
    """The newest rows of any number."""

    def __init__(self, n_max: int) -> None:
        self._n_max = n_max
        self._rows: list[Row] = []
        self.n_added = 0

    def add(self, one: Stored) -> None:
        """Take a letter; the oldest gives way."""
        self.n_added += 1
        if len(self._rows) < self._n_max:
            heapq.heappush(self._rows, Row.of(one))
        elif (one.t_ms, one.place) > self._rows[0][:2]:
            heapq.heapreplace(self._rows, Row.of(one))

    def rows(self) -> list[Row]:
        """Give them, the newest first."""
        return sorted(self._rows, reverse=True)


class Kind(NamedTuple):
    """What letters have in common: their reason but for the numbers in it."""

    source: str
    topic: str
    reason: str

    @classmethod
    def of(cls, letter: DeadLetter) -> "Kind":
        """Leave the numbers out: no two records have the same ones."""
        reason = _NUMBER.sub("#", printable(letter.reason))
        return cls(printable(letter.source), printable(letter.topic), reason)


OTHER: Final = Kind("", "", f"kinds beyond the first {N_KINDS_MAX}")


@dataclass(slots=True)
class KindCount:
    """How many letters there are of a kind, since when, and the newest as an example."""

    n: int
    first_ms: int
    last_ms: int
    newest: Place

    def add(self, one: Stored) -> None:
        """Count one more."""
        self.n += 1
        self.first_ms = min(self.first_ms, one.t_ms)
        self.last_ms, self.newest = max((self.last_ms, self.newest), (one.t_ms, one.place))


class Summary:
    """How many letters there are of each kind."""

    def __init__(self) -> None:
        self._counts: dict[Kind, KindCount] = {}
        self.n_added = 0

    def add(self, one: Stored) -> None:
        """Count a letter."""
        self.n_added += 1
        kind = Kind.of(one.letter)
        if kind not in self._counts and len(self._counts) >= N_KINDS_MAX:
            kind = OTHER
        found = self._counts.setdefault(kind, KindCount(0, one.t_ms, one.t_ms, one.place))
        found.add(one)

    def kinds(self) -> list[tuple[Kind, KindCount]]:
        """Give them, the most frequent first."""
        return sorted(self._counts.items(), key=lambda item: (-item[1].n, item[0]))

    def as_json(self) -> list[dict[str, Any]]:
        """Give plain values."""
        return [
            {
                "n": count.n,
                **kind._asdict(),
                "first": utc(count.first_ms),
                "last": utc(count.last_ms),
                "newest_id": str(count.newest),
            }
            for kind, count in self.kinds()
        ]


def utc(t_ms: int) -> str:
    """Write a time to the second; one that no calendar has as the number it is."""
    try:
        return datetime.fromtimestamp(t_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return f"{t_ms} ms"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Lay rows out in columns; the last one is as wide as it is."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell if i == len(row) - 1 else f"{cell:<{width}}"
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (head, *rows)
    )
