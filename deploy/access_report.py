"""Who watched whom, read from the access log: pure."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any


@dataclass(slots=True, kw_only=True)
class Entry:
    """One thing that was done, from its beginning to its end where it has one."""

    event: str
    begun: str
    ended: str | None = None
    user: str = ""
    subject: str = ""
    address: str = ""
    by: str = ""
    reason: str = ""
    session: str = ""
    patterns: tuple[str, ...] = ()
    """Of a ward: whoever they fit was shown, if they were there."""
    left_out: int = 0
    """Refusals before this one that were too many to be written."""

    def as_json(self) -> dict[str, Any]:
        """Give what is known, for machines."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name))}


def read_entries(lines: Iterable[str]) -> Iterator[Entry]:
    """Put beginnings and ends of the access log together, in the order of their beginnings.

    What has no end of its own ended at the latest when the server began anew; what is going on has
    none. Lines that are none, as after a loss of power, are passed over.
    """
    going_on: dict[str, Entry] = {}
    entries: list[Entry] = []
    for line in lines:
        found = _parse(line)
        if found is None:
            continue
        event, time = str(found.get("event", "")), str(found.get("t", ""))
        watch = str(found.get("watch", ""))
        if event in {"started", "stopped"}:
            for entry in going_on.values():
                entry.ended, entry.reason = time, f"server {event}"
            going_on.clear()
        elif event == "watch_ended":
            if watch in going_on:
                entry = going_on.pop(watch)
                entry.ended, entry.reason = time, str(found.get("reason", ""))
            continue
        entry = _entry(event, time, found)
        entries.append(entry)
        if event == "watch_began":
            entry.event = "watched"
            going_on[watch] = entry
    yield from entries


def select(entries: Iterable[Entry], *, subject: str | None, user: str | None) -> Iterator[Entry]:
    """Give those of a subject, of a user, or of both; a ward is of all that its patterns fit."""
    for entry in entries:
        of_subject = subject in {None, entry.subject} or (
            subject is not None and any(fnmatchcase(subject, one) for one in entry.patterns)
        )
        if of_subject and user in {None, entry.user}:
            yield entry


def as_text(entries: Iterable[Entry]) -> str:
    """Write a table for people; what came from outside is shown without control characters."""
    rows = [("from", "to", "user", "what", "subject", "by", "address", "reason")]
    rows += [
        (
            entry.begun,
            entry.ended or ("still" if entry.event == "watched" else ""),
            entry.user,
            entry.event + (f" (+{entry.left_out} more)" if entry.left_out else ""),
            entry.subject or " ".join(entry.patterns),
            entry.by,
            entry.address,
            entry.reason,
        )
        for entry in entries
    ]
    cells = [[_visible(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(rows[0]))]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)
    return "\n".join(lines)


def _parse(line: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _entry(event: str, time: str, found: Mapping[str, Any]) -> Entry:
    names = ("user", "subject", "address", "by", "reason", "session")
    left_out, patterns = found.get("left_out"), found.get("patterns")
    return Entry(
        event=event,
        begun=time,
        left_out=left_out if isinstance(left_out, int) else 0,
        patterns=tuple(map(str, patterns)) if isinstance(patterns, list) else (),
        **{name: str(found.get(name, "")) for name in names},
    )


def _visible(text: str) -> str:
    return "".join(one if one.isprintable() else "�" for one in text)
