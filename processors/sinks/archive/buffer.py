"""What was read from Kafka and is not in the archive yet, and the rows of it: pure.

Records wait as the bytes that they are, a quarter of what they take as objects; they are read when
they are written. A record that came again, byte for byte, waits and is written once.
"""

from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Final

from ingest.codec import decode_alarm, decode_annotation, decode_frame, decode_observations
from ingest.errors import RecordError
from ingest.kafka import ConsumedRecord
from ingest.topics import ALARMS, ANNOTATIONS, FRAMES, OBSERVATIONS
from processors.sinks.archive.rows import Part, Rows

SEEN_MAX: Final = 200_000
"""Records of which it is remembered that they were written; one that comes again after so many
others is written again, and who reads the archive gets it once."""

RECORD_BYTES: Final = 600
"""What a record takes beside its bytes."""

Place = tuple[str, int]
"""Topic and partition."""


class Buffer:
    """Collects records for the next commit."""

    def __init__(self, n_seen_max: int = SEEN_MAX) -> None:
        self._n_seen_max = n_seen_max
        self._seen: dict[bytes, None] = {}
        self._by_key: dict[bytes, list[ConsumedRecord]] = {}
        self.offsets: dict[Place, int] = {}
        """Of each partition that records came from, the one to go on with."""
        self.n_records = 0
        self.n_bytes = 0
        """About what they take in memory."""

    def add(self, record: ConsumedRecord) -> bool:
        """Take the next record of its partition; tell whether it is a new one."""
        self.offsets[record.topic, record.partition] = record.offset + 1
        digest = blake2b(record.payload, digest_size=16, person=_person(record.topic)).digest()
        if digest in self._seen:
            return False
        self._seen[digest] = None
        if len(self._seen) > self._n_seen_max:
            del self._seen[next(iter(self._seen))]
        self._by_key.setdefault(record.key or b"", []).append(record)
        self.n_records += 1
        self.n_bytes += len(record.payload) + RECORD_BYTES
        return True

    def clear(self) -> None:
        """Forget what is written now, but for that it was seen."""
        self._by_key.clear()
        self.offsets.clear()
        self.n_records = self.n_bytes = 0

    def parts(
        self, commit: int, refuse: Callable[[ConsumedRecord, RecordError], None]
    ) -> Iterator[Part]:
        """Give the rows of all records, key by key, without forgetting any.

        Parameters
        ----------
        refuse
            Told of each record that nobody can read.
        """
        rows = Rows(commit)
        for records in self._by_key.values():
            for record in records:
                try:
                    _add(rows, record)
                except RecordError as error:
                    refuse(record, error)
            yield from rows.parts()


def _person(topic: str) -> bytes:
    """Tell the topics apart."""
    return topic.removeprefix("chevet.").encode()[:16]


def _add(rows: Rows, record: ConsumedRecord) -> None:
    if record.topic == FRAMES.name:
        frame = decode_frame(record.payload)
        rows.add_frame(frame, partition=record.partition, offset=record.offset)
    elif record.topic == OBSERVATIONS.name:
        rows.add_observations(decode_observations(record.payload))
    elif record.topic == ALARMS.name:
        rows.add_alarm(decode_alarm(record.payload))
    elif record.topic == ANNOTATIONS.name:
        rows.add_annotation(decode_annotation(record.payload))
