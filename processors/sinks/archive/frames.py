"""Rows to the Frames, Observations, alarms and annotations that they were made of: pure."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa

from ingest.annotation import SubjectAnnotation
from ingest.frame import (
    ChannelLedger,
    ChannelLoss,
    ClockRelation,
    DeviceEvent,
    DeviceEventKind,
    Frame,
    Gap,
    GapCause,
    Reading,
    SamplePeriod,
    WaveformBlock,
)
from ingest.observation import AlarmEvent, AlarmPriority, Observation
from processors.sinks.archive.layout import Kind

Values = dict[str, Any]
FrameKey = tuple[int, int]
"""Commit, and number of the Frame in it."""

FRAMES_AT_ONCE: Final = 1_024
"""So many are made at a time, whatever a day has."""

_NOT_ITS_OWN: Final = ("subject_id", "commit", "i_frame", "i_item")


def blocks_of(rows: Any) -> Iterator[tuple[Values, WaveformBlock]]:  # noqa: ANN401
    """Make the blocks of rows of waveforms again, each with what else its row says."""
    column = rows["counts"].combine_chunks()
    offsets = column.offsets.to_numpy()
    joined = column.values.to_numpy()
    for i, row in enumerate(rows.drop_columns(["counts"]).to_pylist()):
        yield (
            row,
            WaveformBlock(
                device_id=row["device_id"],
                channel=row["channel"],
                mdc_code=row["mdc_code"],
                unit=row["unit"],
                scale=row["scale"],
                offset=row["offset"],
                i_first=row["i_first"],
                t0_ns=row["t0_ns"],
                period=SamplePeriod(
                    ns_numerator=row["period_ns_numerator"],
                    ns_denominator=row["period_ns_denominator"],
                ),
                counts=joined[offsets[i] : offsets[i + 1]].astype(np.int32),
                received_ns=row["received_ns"],
            ),
        )


def _own(row: Values, *others: str) -> Values:
    left_out = {*_NOT_ITS_OWN, *others}
    return {name: value for name, value in row.items() if name not in left_out}


def reading_of(row: Values) -> Reading:
    """Make a reading of its row."""
    return Reading(**_own(row, "name"))


def gap_of(row: Values) -> Gap:
    """Make a gap of its row."""
    return Gap(**{**_own(row), "cause": GapCause(row["cause"])})


def _event(row: Values) -> DeviceEvent:
    return DeviceEvent(**{**_own(row), "kind": DeviceEventKind(row["kind"])})


def _clock(row: Values) -> ClockRelation:
    return ClockRelation(**_own(row, "t_ns"))


def _totals(row: Values) -> ChannelLedger:
    return ChannelLedger(**_own(row, "t_ns"))


def _loss(row: Values) -> ChannelLoss:
    return ChannelLoss(**{**_own(row, "t_ns"), "cause": GapCause(row["cause"])})


_ITEMS: Final[Mapping[Kind, tuple[str, Callable[[Values], Any]]]] = {
    Kind.READINGS: ("readings", reading_of),
    Kind.GAPS: ("gaps", gap_of),
    Kind.EVENTS: ("events", _event),
    Kind.CLOCKS: ("clocks", _clock),
    Kind.LEDGER: ("ledger", _totals),
    Kind.LOSSES: ("losses", _loss),
}
"""The field of a Frame that a table's rows are, and how one is made again."""


def frames_of_rows(tables: Mapping[Kind, Any]) -> Iterator[Frame]:
    """Make the Frames of one subject and day again, in the order in which they came.

    No more than ``FRAMES_AT_ONCE`` of them are objects at a time.

    Parameters
    ----------
    tables
        Arrow tables by kind, all of those in ``FRAME_KINDS`` that have rows.
    """
    ranked = {kind: _Ranked(rows) for kind, rows in tables.items() if len(rows)}
    frames = ranked.pop(Kind.FRAMES, None)
    if frames is None:
        return
    for begin in range(0, len(frames.keys), FRAMES_AT_ONCE):
        keys = frames.keys[begin : begin + FRAMES_AT_ONCE]
        between = int(keys[0]), int(keys[-1])
        items: dict[FrameKey, dict[str, list[tuple[int, Any]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for kind, rows in ranked.items():
            for name, row, item in _items_of(kind, rows.between(*between)):
                items[row["commit"], row["i_frame"]][name].append((row["i_item"], item))
        for row in frames.between(*between).to_pylist():
            fields = items.pop((row["commit"], row["i_frame"]), {})
            yield Frame(
                subject_id=row["subject_id"],
                agent_id=row["agent_id"],
                sequence=row["sequence"],
                **{name: _in_order(found) for name, found in fields.items()},
            )


class _Ranked:
    """Rows of a table in the order of the Frames that they are of."""

    def __init__(self, rows: Any) -> None:  # noqa: ANN401
        # Taken out of many pieces, some rows cost as much as all.
        self._rows = rows.combine_chunks()
        keys = (rows["commit"].to_numpy() << 32) + rows["i_frame"].to_numpy()
        self._order = np.argsort(keys, kind="stable")
        self.keys = keys[self._order]

    def between(self, first: int, last: int) -> Any:  # noqa: ANN401
        """Give the rows whose keys are from the one to the other, both included."""
        begin, end = np.searchsorted(self.keys, [first, last + 1]).tolist()
        return self._rows.take(pa.array(self._order[begin:end]))


def _items_of(kind: Kind, rows: Any) -> Iterator[tuple[str, Values, Any]]:  # noqa: ANN401
    if len(rows) == 0:
        return
    if kind is Kind.WAVEFORMS:
        yield from (("waveforms", row, block) for row, block in blocks_of(rows))
    else:
        name, make = _ITEMS[kind]
        yield from ((name, row, make(row)) for row in rows.to_pylist())


def _in_order(found: list[tuple[int, Any]]) -> tuple[Any, ...]:
    return tuple(item for _, item in sorted(found, key=lambda one: one[0]))


def observation_of(row: Values) -> Observation:
    """Make an Observation of its row."""
    fields = {name: value for name, value in row.items() if name != "commit"}
    return Observation(**{**fields, "channels": tuple(row["channels"])})


def alarm_of(row: Values) -> AlarmEvent:
    """Make an alarm of its row."""
    fields = {name: value for name, value in row.items() if name != "commit"}
    return AlarmEvent(**{**fields, "priority": AlarmPriority(row["priority"])})


def annotation_of(row: Values) -> SubjectAnnotation:
    """Make a version of an annotation of its row."""
    return SubjectAnnotation(**{name: value for name, value in row.items() if name != "commit"})
