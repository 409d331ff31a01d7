"""What the spool knows beside the Frames themselves: pure, and written with them.

The books are plain text by name, ``to_state``, so that one page of the file takes nearly all of
them. They hold names, numbers and times only; that is why they are not encrypted.
"""

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edge.frame_room import joined_gaps, joined_over_causes
from edge.ledger import Channel, Stored, Taken, account_of, account_text
from edge.spool.rows import N_CHANNELS_MAX, Row, Span
from ingest.frame import Frame, Gap, GapCause

_STREAM = "stream/"
_ACCOUNT = "account/"
_CHECK = "check"


def owner_of(agent_id: str, subject_id: str) -> str:
    """Say whose spool it is."""
    return f"{agent_id}/{subject_id}"


class BooksError(ValueError):
    """What the books say makes no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolSize:
    """What waits in the spool."""

    n_frames: int = 0
    n_samples: int = 0
    n_bytes: int = 0

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


@dataclass(slots=True)
class Books:
    """Sequence, sizes, numbering of the streams, and the ledger."""

    owner: str
    """Agent and subject whose Frames these are."""
    next_sequence: int = 0
    clock_ns: int = 0
    """How long an agent has run on this spool. The host's clock may leap; this one cannot."""
    sizes: dict[str, SpoolSize] = field(default_factory=dict)
    """What waits, by the name of the key that it is sealed with. Replaced, never changed: other
    threads read it at any time."""
    streams: dict[str, str] = field(default_factory=dict)
    taken: dict[Channel, Taken] = field(default_factory=dict)
    stored: dict[Channel, Stored] = field(default_factory=dict)
    numbers: dict[Channel, int] = field(default_factory=dict)
    """How rows name the channels."""
    names: list[Channel] = field(default_factory=list)
    """The channels by number."""
    gaps: list[Gap] = field(default_factory=list)
    """What has given way and no Frame has told yet."""
    n_frames_dropped: int = 0
    n_readings_dropped: int = 0

    def copy(self) -> "Books":
        """Give books that can be changed, and dropped where that could not be written."""
        return Books(
            owner=self.owner,
            next_sequence=self.next_sequence,
            clock_ns=self.clock_ns,
            sizes=dict(self.sizes),
            streams=dict(self.streams),
            taken=dict(self.taken),
            stored={channel: one.copy() for channel, one in self.stored.items()},
            numbers=dict(self.numbers),
            names=list(self.names),
            gaps=list(self.gaps),
            n_frames_dropped=self.n_frames_dropped,
            n_readings_dropped=self.n_readings_dropped,
        )

    @property
    def size(self) -> SpoolSize:
        """All that waits."""
        return sum(self.sizes.values(), SpoolSize())

    def begin(
        self, frames: Sequence[Frame], streams: Mapping[str, str], taken: Mapping[Channel, Taken]
    ) -> None:
        """Note what is about to be stored with these Frames, and number their channels."""
        self.streams = dict(streams)
        self.taken |= taken
        for frame in frames:
            for block in frame.waveforms:
                self._number((block.device_id, block.channel))
            for gap in frame.gaps:
                self._number((gap.device_id, gap.channel))

    def _number(self, channel: Channel) -> None:
        if channel in self.numbers:
            return
        if len(self.numbers) == N_CHANNELS_MAX:
            raise BooksError(f"more than {N_CHANNELS_MAX} channels in one spool")
        self.numbers[channel] = len(self.names)
        self.names.append(channel)
        self.stored.setdefault(channel, Stored())

    def enter(self, row: Row, spans: Iterable[Span]) -> None:
        """Count a Frame that is being stored."""
        self._resize(row, spans, 1)
        for channel, n_samples in self._samples(spans):
            self.stored[channel].spooled += n_samples

    def find(self, row: Row, spans: Iterable[Span]) -> None:
        """Count a Frame of a damaged spool that was stored long ago and is still there."""
        self._resize(row, spans, 1)

    def acknowledge(self, row: Row, spans: Sequence[Span]) -> None:
        """Count a Frame that the broker has."""
        self._resize(row, spans, -1)
        for channel, n_samples in self._samples(spans):
            self.stored[channel].acknowledged += n_samples
        for channel, span in self._named(spans):
            stored = self.stored[channel]
            i_behind = span.i_first + span.n_samples
            known = stored.i_out if span.run == stored.run_out else 0
            stored.run_out, stored.i_out = span.run, max(known, i_behind)

    def drop(self, row: Row, spans: Sequence[Span], cause: GapCause) -> None:
        """Count a Frame that is given up; each of its samples gets into a gap."""
        self._resize(row, spans, -1)
        for channel, n_samples in self._samples(spans):
            self.stored[channel].dropped[cause] += n_samples
        self.gaps += [span.gap(channel, cause) for channel, span in self._named(spans)]
        self.n_frames_dropped += 1
        self.n_readings_dropped += row.n_readings

    def join_gaps(self, n_max: int) -> None:
        """Keep the gaps that wait to be told few."""
        self.gaps = joined_gaps(self.gaps)
        if len(self.gaps) > n_max:
            self.gaps = joined_over_causes(self.gaps)

    def _resize(self, row: Row, spans: Iterable[Span], sign: int) -> None:
        n_samples = sum(span.n_samples for span in spans if span.cause is None)
        one = SpoolSize(n_frames=sign, n_samples=sign * n_samples, n_bytes=sign * row.n_bytes)
        sizes = self.sizes | {row.key_id: self.sizes.get(row.key_id, SpoolSize()) + one}
        self.sizes = {key: size for key, size in sizes.items() if size.n_frames > 0}

    def _samples(self, spans: Iterable[Span]) -> Iterable[tuple[Channel, int]]:
        blocks = [span for span in spans if span.cause is None]
        return [(channel, span.n_samples) for channel, span in self._named(blocks)]

    def _named(self, spans: Iterable[Span]) -> list[tuple[Channel, Span]]:
        return [(self.names[span.channel], span) for span in spans]

    def to_state(self) -> dict[str, str]:
        """Write everything as text, by name."""
        facts = {
            "owner": self.owner,
            "next_sequence": self.next_sequence,
            "clock_ns": self.clock_ns,
            "sizes": {
                key: [one.n_frames, one.n_samples, one.n_bytes] for key, one in self.sizes.items()
            },
            "dropped": [self.n_frames_dropped, self.n_readings_dropped],
        }
        gaps = [
            [gap.device_id, gap.channel, str(gap.cause), gap.i_first, gap.n_samples, gap.t0_ns]
            for gap in self.gaps
        ]
        state = {"gaps": json.dumps(gaps, separators=(",", ":"))}
        state |= {_STREAM + key: text for key, text in self.streams.items()}
        for channel, number in self.numbers.items():
            taken = self.taken.get(channel, Taken())
            state[f"{_ACCOUNT}{number}"] = account_text(channel, taken, self.stored[channel])
        state["facts"] = json.dumps(facts, separators=(",", ":"))
        return {**state, _CHECK: _check_of(state)}


def books_of(state: Mapping[str, str]) -> Books:
    """Read what ``Books.to_state`` has written.

    Raises
    ------
    BooksError
    """
    try:
        if _check_of(state) != state[_CHECK]:
            raise BooksError("the spool's books are not what was written")
        return _books_of(state)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise BooksError(f"the spool's books cannot be read: {error!r}") from error


def _check_of(state: Mapping[str, str]) -> str:
    """Give a checksum of all texts, whatever their order."""
    texts = sorted(f"{name}\0{text}\0" for name, text in state.items() if name != _CHECK)
    return f"{zlib.crc32(''.join(texts).encode(errors='replace')):08x}"


def _books_of(state: Mapping[str, str]) -> Books:
    facts = json.loads(state["facts"])
    books = Books(
        owner=facts["owner"],
        next_sequence=facts["next_sequence"],
        clock_ns=facts["clock_ns"],
        sizes={key: _size(*numbers) for key, numbers in facts["sizes"].items()},
        gaps=[_gap(*fields) for fields in json.loads(state["gaps"])],
        n_frames_dropped=facts["dropped"][0],
        n_readings_dropped=facts["dropped"][1],
    )
    for name, text in state.items():
        if name.startswith(_STREAM):
            books.streams[name.removeprefix(_STREAM)] = text
    n_channels = sum(name.startswith(_ACCOUNT) for name in state)
    for number in range(n_channels):
        channel, taken, stored = account_of(state[f"{_ACCOUNT}{number}"])
        books.numbers[channel] = number
        books.names.append(channel)
        books.taken[channel], books.stored[channel] = taken, stored
    return books


def _size(n_frames: int, n_samples: int, n_bytes: int) -> SpoolSize:
    return SpoolSize(n_frames=n_frames, n_samples=n_samples, n_bytes=n_bytes)


def _gap(device_id: str, channel: str, cause: str, i_first: int, n_samples: int, t0_ns: int) -> Gap:
    return Gap(
        device_id=device_id,
        channel=channel,
        cause=GapCause(cause),
        i_first=i_first,
        n_samples=n_samples,
        t0_ns=t0_ns,
    )
