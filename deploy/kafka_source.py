"""The topic of the Frames as a source: a range of offsets or times, as it is when it is opened.

Each partition is read in order of offset; those of all partitions are merged as their Frames were
complete. At most ``N_RECORDS`` records of each partition are unpacked at a time, and what the
client has fetched (one answer of the broker per partition) waits beside them.
"""

import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from pydantic import ValidationError

from deploy.loop_thread import LoopThread
from deploy.sources import Source, SourceError, SourceKind, check_subjects
from ingest.codec import decode_frame
from ingest.errors import RecordError
from ingest.frame import Frame
from ingest.frame_times import merged, within
from ingest.history import open_history
from ingest.kafka import ConsumedRecord
from ingest.settings import KafkaSettings
from ingest.topics import FRAMES, Topic
from processors.sinks.archive.reader import ns_of

N_RECORDS: Final = 32

Extents = Mapping[int, tuple[int, int]]
"""Of each partition the first offset and the one behind the last."""

_OPTIONS: Final = frozenset({"from", "to", "topic"})
_NS_PER_MS: Final = 1_000_000


class KafkaSource(Source):
    """A range of the topic of the Frames.

    Parameters
    ----------
    spec
        ``kafka://HOST:PORT[,HOST:PORT]?from=…&to=…&topic=…``, or ``kafka:`` for the servers of the
        settings. From and to are offsets of every partition, or times at which the broker dates
        records; the latter is left out. Unless told it is all that is there on opening.
    """

    kind = SourceKind.KAFKA
    is_seekable = False

    def __init__(
        self,
        spec: str,
        settings: KafkaSettings,
        subjects: Sequence[str],
        start_ns: int | None,
        end_ns: int | None,
    ) -> None:
        super().__init__(spec)
        self._settings, self._topic, begin, end = _parsed(spec, settings)
        self._start_ns, self._end_ns = start_ns, end_ns
        with LoopThread() as loop:
            self._extents: Extents = loop.call(self._range(begin, end))
        self._asked = sorted(set(subjects))
        self._places: dict[str, set[int]] | None = None
        self._unreadable: dict[tuple[int, int], str] = {}

    async def _range(self, begin: str, end: str) -> Extents:
        async with open_history(self._settings, self._topic) as history:
            extents = await history.extents()
            bounds: list[dict[int, int]] = []
            for place, said in enumerate((begin, end)):
                whole = {partition: extent[place] for partition, extent in extents.items()}
                if not said:
                    bounds.append(whole)
                elif said.isascii() and said.isdigit():
                    bounds.append(dict.fromkeys(extents, int(said)))
                else:
                    found = await history.offsets_at(-(-_time_ns(said) // _NS_PER_MS))
                    # Without a record so late, nothing is from then on, and all is before.
                    bounds.append({one: found.get(one, extents[one][1]) for one in extents})
        clipped = {
            one: (max(first, bounds[0][one]), min(behind, bounds[1][one]))
            for one, (first, behind) in extents.items()
        }
        return {one: extent for one, extent in clipped.items() if extent[0] < extent[1]}

    def subjects(self) -> list[str]:
        """Give whom the Frames of the range are of: it is read once for that."""
        if self._places is None:
            places: dict[str, set[int]] = {}
            for partition in self._extents:
                with contextlib.closing(self._partition(partition)) as frames:
                    for frame in within(frames, self._start_ns, self._end_ns):
                        places.setdefault(frame.subject_id, set()).add(partition)
            self._places = places
        check_subjects(self.spec, self._asked, sorted(self._places))
        return self._asked or sorted(self._places)

    def frames(
        self, subject_id: str | None = None, *, start_ns: int | None = None
    ) -> Iterator[Frame]:
        """Give the Frames; those before ``start_ns`` are given too, for offsets do not tell.

        Of a subject only its partitions are read, once `subjects` has found them.
        """
        del start_ns
        wanted = {subject_id} if subject_id is not None else set(self._asked)
        known = self._places
        places = [
            one
            for one in sorted(self._extents)
            if not wanted or known is None or any(one in known.get(each, ()) for each in wanted)
        ]
        streams = [self._partition(partition) for partition in places]
        try:
            for frame in within(merged(streams), self._start_ns, self._end_ns):
                if not wanted or frame.subject_id in wanted:
                    yield frame
        finally:
            for stream in streams:
                stream.close()

    def _partition(self, partition: int) -> Generator[Frame, None, None]:
        """Give the Frames of one partition; what is none is counted."""
        begin, end = self._extents[partition]
        with LoopThread() as loop:
            reader = _read(self._settings, self._topic, partition, begin, end)
            try:
                while batch := loop.call(anext(reader, [])):
                    for record in batch:
                        try:
                            frame = decode_frame(record.payload)
                        except RecordError as error:
                            self._unreadable[record.partition, record.offset] = str(error)
                        else:
                            yield frame
            finally:
                loop.call(reader.aclose())

    def inputs(self) -> dict[str, Any]:
        """Name topic and offsets; the broker is not named, for another one may hold the same."""
        return {
            "kind": str(self.kind),
            "topic": self._topic.name,
            "offsets": {str(one): list(extent) for one, extent in sorted(self._extents.items())},
            "subjects": self._asked,
            "start_ns": self._start_ns,
            "end_ns": self._end_ns,
        }

    @property
    def notes(self) -> list[str]:
        """Say how many records were no Frames, and why."""
        why = Counter(self._unreadable.values())
        return [f"{n} records left out: {reason}" for reason, n in why.most_common(5)]


async def _read(
    settings: KafkaSettings, topic: Topic, partition: int, begin: int, end: int
) -> AsyncGenerator[list[ConsumedRecord], None]:
    """Give the records of a partition, up to ``N_RECORDS`` at a time."""
    async with open_history(settings, topic) as history:
        batch: list[ConsumedRecord] = []
        async with contextlib.aclosing(history.between(partition, begin, end)) as records:
            async for record in records:
                batch.append(record)
                if len(batch) == N_RECORDS:
                    yield batch
                    batch = []
        if batch:
            yield batch


def _parsed(spec: str, settings: KafkaSettings) -> tuple[KafkaSettings, Topic, str, str]:
    parts = urlsplit(spec)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(options) - _OPTIONS)
    if unknown or parts.path or parts.fragment or "@" in parts.netloc:
        raise SourceError(
            f"{spec}: write kafka://HOST:PORT?from=TIME_OR_OFFSET&to=TIME_OR_OFFSET&topic=NAME; "
            "users and passwords are settings"
        )
    if parts.netloc:
        try:
            fields = {**dict(settings), "bootstrap_servers": parts.netloc}
            settings = KafkaSettings.model_validate(fields)
        except ValidationError as error:
            raise SourceError(f"{spec}: {error.errors()[0]['msg']}") from error
    topic = replace(FRAMES, name=options.get("topic") or FRAMES.name)
    return settings, topic, options.get("from", ""), options.get("to", "")


def _time_ns(said: str) -> int:
    from processors.sinks.archive.errors import ArchiveRefusedError

    try:
        t_ns = ns_of(said)
    except ArchiveRefusedError as error:
        raise SourceError(f"{error}; or an offset") from error
    return t_ns or 0
