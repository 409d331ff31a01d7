"""Records of the topics to line protocol: pure.

What is remembered of a partition begins anew where its records do not follow one another: the
partition was somebody else's meanwhile, or is read again.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from ingest.codec import (
    decode_alarm,
    decode_frame,
    decode_observations,
    decode_role_status,
    encode_frame,
)
from ingest.frame import NS_PER_S, Frame, SamplePeriod, WaveformBlock
from ingest.kafka import ConsumedRecord
from ingest.topics import ALARMS, FRAMES, OBSERVATIONS, STATUS
from processors.sinks.envelope import PartitionEnvelopes
from processors.sinks.lines import LineEncoder
from processors.sinks.trend import PartitionTrends

FORGET_EVERY_RECORDS: Final = 10_000

_N_LOADING: Final = 2
"""Frames of a second: its envelope is put together, and written."""

Place = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True, slots=True)
class RecordLines:
    """The lines of a record, and what is counted of it."""

    subject_id: str
    pieces: Iterator[bytes]
    """To be taken before the next record is encoded."""
    n_samples: int = 0
    n_derived: int = 0
    """Observations and alarms."""
    received_ns: tuple[int, ...] = ()
    """When the first payload of each block reached the agent."""


class _Partition:
    """How far a partition has been read."""

    def __init__(self, counts: Counter[str], has_waveforms: Callable[[str], bool] | None) -> None:
        self.end_offset = -1
        self.envelopes = PartitionEnvelopes(counts, has_waveforms)
        self.trends = PartitionTrends(counts)

    @property
    def is_to_forget(self) -> bool:
        """Whether it is time to look for what has been silent for long."""
        return self.end_offset % FORGET_EVERY_RECORDS == 0

    def first_needed(self) -> int:
        """Give the offset from which on it must be read after a restart."""
        envelopes = self.envelopes.first_needed(self.end_offset)
        return min(envelopes, self.trends.first_needed(self.end_offset))


def load_kernels() -> None:
    """Compile what has to be, or load it: some seconds, for which no record should have to wait."""
    encoder = RecordEncoder()
    for i in range(_N_LOADING):
        block = WaveformBlock(
            device_id="",
            channel="",
            mdc_code=0,
            unit="",
            scale=1.0,
            offset=0.0,
            i_first=i,
            t0_ns=i * NS_PER_S // _N_LOADING,
            period=SamplePeriod(ns_numerator=NS_PER_S // _N_LOADING, ns_denominator=1),
            counts=np.zeros(1, dtype=np.int32),
        )
        payload = encode_frame(Frame(subject_id="-", agent_id="-", sequence=i, waveforms=(block,)))
        record = ConsumedRecord(topic=FRAMES.name, partition=0, offset=i, payload=payload)
        for _ in encoder.encode(record).pieces:
            pass


class RecordEncoder:
    """Turns consumed records into lines.

    Parameters
    ----------
    has_waveforms
        Tells of a subject whether its samples, and their envelopes of 40 ms, are written; None:
        those of all.
    """

    def __init__(self, has_waveforms: Callable[[str], bool] | None = None) -> None:
        self.counts: Counter[str] = Counter()
        """What is in no envelope and no trend, as these count it."""
        self._has_waveforms = has_waveforms
        self._lines = LineEncoder(has_waveforms)
        self._partitions: dict[Place, _Partition] = {}
        self._encoders: Mapping[str, Callable[[ConsumedRecord, _Partition], RecordLines]] = {
            FRAMES.name: self._frame,
            OBSERVATIONS.name: self._observations,
            ALARMS.name: self._alarm,
            STATUS.name: self._status,
        }

    def encode(self, record: ConsumedRecord) -> RecordLines:
        """Decode the next record of its partition and write its lines.

        Raises
        ------
        RecordError
            Nobody can use it; the next may be encoded.
        """
        place = (record.topic, record.partition)
        partition = self._partitions.get(place)
        if partition is None or partition.end_offset != record.offset:
            partition = self._partitions[place] = _Partition(self.counts, self._has_waveforms)
        partition.end_offset = record.offset + 1
        return self._encoders[record.topic](record, partition)

    def first_needed(self) -> dict[Place, int]:
        """Give, of each partition, the offset from which on it must be read after a restart."""
        return {place: partition.first_needed() for place, partition in self._partitions.items()}

    def _frame(self, record: ConsumedRecord, partition: _Partition) -> RecordLines:
        frame = decode_frame(record.payload)
        if partition.is_to_forget:
            partition.envelopes.forget_silent(partition.end_offset)

        def pieces() -> Iterator[bytes]:
            yield from self._lines.frame(frame)
            yield from self._lines.envelopes(partition.envelopes.frame(frame, record.offset))

        return RecordLines(
            frame.subject_id,
            pieces(),
            n_samples=frame.n_samples,
            received_ns=tuple(
                block.received_ns for block in frame.waveforms if block.received_ns is not None
            ),
        )

    def _observations(self, record: ConsumedRecord, partition: _Partition) -> RecordLines:
        observations = decode_observations(record.payload)

        def pieces() -> Iterator[bytes]:
            yield from self._lines.observations(observations)
            yield from self._lines.trends(partition.trends.record(observations, record.offset))
            if partition.is_to_forget:
                # Of other subjects: these points will not change again, so any lane will do.
                silent = partition.trends.forget_silent(partition.end_offset)
                yield from self._lines.trends(silent)

        subject_id = observations[0].subject_id if observations else ""
        return RecordLines(subject_id, pieces(), n_derived=len(observations))

    def _alarm(self, record: ConsumedRecord, _partition: _Partition) -> RecordLines:
        alarm = decode_alarm(record.payload)
        return RecordLines(alarm.subject_id, iter(self._lines.alarm(alarm)), n_derived=1)

    def _status(self, record: ConsumedRecord, _partition: _Partition) -> RecordLines:
        status = decode_role_status(record.payload)
        return RecordLines(status.key, iter(self._lines.role_status(status)))
