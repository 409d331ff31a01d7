"""Frames for the tests of the archive: a stream of one channel, a Frame after the other."""

from collections.abc import Iterator

import numpy as np

from ingest.frame import Frame, SamplePeriod
from processors.sinks.archive.reader import SubjectArchive
from processors.sinks.archive.rows import Rows
from tests.ingest import records

PERIOD = SamplePeriod(ns_numerator=4_000_000, ns_denominator=1)
"""250 Hz."""
N = 50
"""Samples of a Frame."""


def frame(i: int, subject_id: str = "p-1") -> Frame:
    """The Frame of samples ``i × N`` up to the next one's: each count is its sample's number."""
    block = records.block(
        np.arange(i * N, (i + 1) * N),
        channel="ecg",
        period=PERIOD,
        i_first=i * N,
        t0_ns=records.T0_NS + PERIOD.offset_ns(i * N),
    )
    return records.frame(block, subject_id=subject_id, sequence=i)


def frames(first: int, end: int, subject_id: str = "p-1") -> Iterator[Frame]:
    return (frame(i, subject_id) for i in range(first, end))


def rows_of(commit: int, *given: Frame) -> Rows:
    rows = Rows(commit)
    for one in given:
        rows.add_frame(one)
    return rows


def stored(subject: SubjectArchive) -> list[int]:
    """The counts that are in the archive, every row as often as it is there."""
    rows = subject.rows("waveforms")
    return [count for counts in rows["counts"].to_pylist() for count in counts]
