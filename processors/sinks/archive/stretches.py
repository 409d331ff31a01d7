"""A subject's blocks and observations one after the other, a stretch of time in memory at a time.

The time is the rows' own: what came days late stands where it was taken.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.frame import NS_PER_S, WaveformBlock
from ingest.observation import Observation
from processors.sinks.archive import files
from processors.sinks.archive.frames import blocks_of, observation_of
from processors.sinks.archive.layout import Kind
from processors.sinks.archive.reader import SubjectArchive
from processors.sinks.archive.tables import TABLES

BLOCKS_NS: Final = 6 * 3_600 * NS_PER_S
"""Of waveforms; a group of rows in a file of 250 Hz has an hour."""
OBSERVATIONS_NS: Final = 24 * 3_600 * NS_PER_S
"""Of observations; a group of rows in a file is of one name, and may have a whole day."""
ROWS_AT_ONCE: Final = 4_096
"""So many are objects at a time; the others of a stretch are columns."""

_BLOCK: Final = ("device_id", "channel", "t0_ns", "i_first")
_IN_FRAME: Final = ("t0_ns", "i_item")
_OBSERVATION: Final = ("t_ns", "name", "algorithm")


def each_block(
    subject: SubjectArchive, start_ns: int | None = None, end_ns: int | None = None
) -> Iterator[WaveformBlock]:
    """Give the blocks that have a sample of this time, whole, each once.

    In order of time; those that begin at the same moment as their Frame had them.
    """
    for rows in _stretches(subject, Kind.WAVEFORMS, BLOCKS_NS, (start_ns, end_ns)):
        once = files.each_once(rows, _BLOCK, _BLOCK)
        compute: Any = pc
        order = compute.sort_indices(
            once.select(_IN_FRAME), sort_keys=[(name, "ascending") for name in _IN_FRAME]
        )
        once = once.combine_chunks()
        for begin in range(0, len(once), ROWS_AT_ONCE):
            some = once.take(order.slice(begin, ROWS_AT_ONCE))
            yield from (block for _, block in blocks_of(some))


def each_observation(
    subject: SubjectArchive, start_ns: int | None = None, end_ns: int | None = None
) -> Iterator[Observation]:
    """Give the observations of this time in order of time, each once."""
    for rows in _stretches(subject, Kind.OBSERVATIONS, OBSERVATIONS_NS, (start_ns, end_ns)):
        once = files.each_once(rows, (*_OBSERVATION, "commit"), _OBSERVATION)
        for begin in range(0, len(once), ROWS_AT_ONCE):
            yield from map(observation_of, once.slice(begin, ROWS_AT_ONCE).to_pylist())


def _stretches(
    subject: SubjectArchive, kind: Kind, length_ns: int, between: files.Between
) -> Iterator[Any]:
    """Give the rows by when they begin; those that began before the start are of the first."""
    time = TABLES[kind].time
    start_ns, end_ns = between
    least_ns = 0 if start_ns is None else start_ns
    begins = subject.rows(kind, start_ns, end_ns, columns=(time,))[time].to_numpy()
    for number in np.unique(np.maximum(begins, least_ns) // length_ns).tolist():
        first_ns = max(number * length_ns, least_ns)
        last_ns = (number + 1) * length_ns
        rows = subject.rows(kind, first_ns, last_ns if end_ns is None else min(last_ns, end_ns))
        if first_ns != start_ns:
            rows = rows.filter(pa.array(rows[time].to_numpy() >= first_ns))
        yield rows
