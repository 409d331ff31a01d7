"""A subject's blocks and observations one after the other, a day (UTC) in memory at a time.

The time is the rows' own: what came days late stands where it was taken.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa

from ingest.frame import NS_PER_S, WaveformBlock
from ingest.observation import Observation
from processors.sinks.archive import files
from processors.sinks.archive.frames import blocks_of, observation_of
from processors.sinks.archive.layout import Kind
from processors.sinks.archive.reader import SubjectArchive
from processors.sinks.archive.tables import TABLES

DAY_NS: Final = 86_400 * NS_PER_S
ROWS_AT_ONCE: Final = 4_096
"""So many are objects at a time; the others of a day are columns."""

_BLOCK: Final = ("device_id", "channel", "t0_ns", "i_first")
_OBSERVATION: Final = ("t_ns", "name", "algorithm")


def each_block(
    subject: SubjectArchive, start_ns: int | None = None, end_ns: int | None = None
) -> Iterator[WaveformBlock]:
    """Give the blocks that have a sample of this time, whole, each once.

    Day by day; within a day by device, channel and time.
    """
    for rows in _days(subject, Kind.WAVEFORMS, start_ns, end_ns):
        for some in _pieces(files.each_once(rows, _BLOCK, _BLOCK)):
            yield from (block for _, block in blocks_of(some))


def each_observation(
    subject: SubjectArchive, start_ns: int | None = None, end_ns: int | None = None
) -> Iterator[Observation]:
    """Give the observations of this time in order of time, each once."""
    for rows in _days(subject, Kind.OBSERVATIONS, start_ns, end_ns):
        for some in _pieces(files.each_once(rows, (*_OBSERVATION, "commit"), _OBSERVATION)):
            yield from map(observation_of, some.to_pylist())


def _pieces(rows: Any) -> Iterator[Any]:  # noqa: ANN401
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        yield rows.slice(begin, ROWS_AT_ONCE)


def _days(
    subject: SubjectArchive, kind: Kind, start_ns: int | None, end_ns: int | None
) -> Iterator[Any]:
    """Give the rows that begin on each day; those that began before the start are of the first."""
    time = TABLES[kind].time
    least_ns = 0 if start_ns is None else start_ns
    begins = subject.rows(kind, start_ns, end_ns, columns=(time,))[time].to_numpy()
    for day in np.unique(np.maximum(begins, least_ns) // DAY_NS).tolist():
        first_ns = max(day * DAY_NS, least_ns)
        last_ns = (day + 1) * DAY_NS
        rows = subject.rows(kind, first_ns, last_ns if end_ns is None else min(last_ns, end_ns))
        if first_ns != start_ns:
            rows = rows.filter(pa.array(rows[time].to_numpy() >= first_ns))
        yield rows
