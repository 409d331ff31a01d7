"""Rows to the Frames, Observations, alarms and annotations that they were made of: pure."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np

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
from processors.sinks.archive.layout import FRAME_KINDS, Kind

Values = dict[str, Any]
FrameKey = tuple[int, int]
"""Commit, and number of the Frame in it."""

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

    Parameters
    ----------
    tables
        Arrow tables by kind, all of those in ``FRAME_KINDS`` that have rows.
    """
    items: dict[FrameKey, dict[str, list[tuple[int, Any]]]] = defaultdict(lambda: defaultdict(list))
    for kind in FRAME_KINDS:
        rows = tables.get(kind)
        if rows is None or kind is Kind.FRAMES or len(rows) == 0:
            continue
        made = (
            (("waveforms", row, block) for row, block in blocks_of(rows))
            if kind is Kind.WAVEFORMS
            else ((_ITEMS[kind][0], row, _ITEMS[kind][1](row)) for row in rows.to_pylist())
        )
        for name, row, item in made:
            items[row["commit"], row["i_frame"]][name].append((row["i_item"], item))
    frames = tables[Kind.FRAMES].to_pylist() if Kind.FRAMES in tables else []
    for row in sorted(frames, key=lambda one: (one["commit"], one["i_frame"])):
        fields = items.pop((row["commit"], row["i_frame"]), {})
        yield Frame(
            subject_id=row["subject_id"],
            agent_id=row["agent_id"],
            sequence=row["sequence"],
            **{name: _in_order(found) for name, found in fields.items()},
        )


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
