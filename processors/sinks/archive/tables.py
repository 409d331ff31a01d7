"""The tables of the archive: their columns, and what each says. Pure.

A row is an item of a Frame, or an Observation, an alarm or an annotation; ``commit``, ``i_frame``
and ``i_item`` say which. So a table reads as it is, and Frames can be made again as they came.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from processors.sinks.archive.layout import Kind


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    name: str
    type: Any
    """Of Arrow."""
    meaning: str
    nullable: bool = False

    @property
    def is_text(self) -> bool:
        """Whether few values stand in many rows: they are written once, and then their numbers."""
        return bool(pa.types.is_string(self.type))

    @property
    def is_integer(self) -> bool:
        """Whether it is written as differences from row to row."""
        return bool(pa.types.is_integer(self.type))


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table."""

    kind: Kind
    holds: str
    """What a row is."""
    time: str
    """The column that says when."""
    order: tuple[str, ...]
    """By which the rows of a file are sorted."""
    columns: tuple[Column, ...]

    @property
    def schema(self) -> Any:  # noqa: ANN401  # pyarrow has no types
        """The Arrow schema."""
        return pa.schema([pa.field(one.name, one.type, one.nullable) for one in self.columns])

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(one.name for one in self.columns)


_INT64: Final = pa.int64()
_INT32: Final = pa.int32()
_DOUBLE: Final = pa.float64()
_TEXT: Final = pa.string()

_SUBJECT: Final = Column("subject_id", _TEXT, "pseudonym")
_COMMIT: Final = Column("commit", _INT64, "number of the commit that wrote the row first")
_OF_FRAME: Final = (
    _SUBJECT,
    _COMMIT,
    Column("i_frame", _INT32, "number of the Frame among those of the subject in that commit"),
)
_ITEM: Final = (*_OF_FRAME, Column("i_item", _INT32, "place among its like in the Frame"))
_DEVICE: Final = Column("device_id", _TEXT, "device, as its agent calls it")
_CHANNEL: Final = Column("channel", _TEXT, "channel within the device: ecg/II, acc/x")
_MDC: Final = Column("mdc_code", _INT64, "IEEE 11073-10101 code of the quantity")
_CAUSE: Final = Column("cause", _TEXT, "why samples are missing")
_FRAME_TIME: Final = Column(
    "t_ns", _INT64, "UTC of the newest that the Frame holds, ns since 1970; it has no time itself"
)
_RECEIVED: Final = Column(
    "received_ns", _INT64, "UTC of arrival at the agent, ns since 1970", nullable=True
)


def _total(name: str, meaning: str) -> Column:
    return Column(name, _INT64, f"samples {meaning}")


_TABLES: Final = (
    Table(
        kind=Kind.WAVEFORMS,
        holds="consecutive samples of a channel, as one Frame had them",
        time="t0_ns",
        order=("device_id", "channel", "t0_ns", "i_first"),
        columns=(
            *_ITEM,
            _DEVICE,
            _CHANNEL,
            _MDC,
            Column("unit", _TEXT, "UCUM unit of count × scale + offset"),
            Column("scale", _DOUBLE, "what one count is worth"),
            Column("offset", _DOUBLE, "what a count of 0 is"),
            Column(
                "i_first", _INT64, "number of the first sample in its stream, lost ones counted"
            ),
            Column("t0_ns", _INT64, "UTC of the first sample, ns since 1970"),
            Column("t_last_ns", _INT64, "UTC of the last sample, ns since 1970"),
            Column("period_ns_numerator", _INT64, "exact time between two samples: this …"),
            Column("period_ns_denominator", _INT64, "… divided by this, in ns"),
            _RECEIVED,
            Column("n_samples", _INT32, "samples in the row"),
            Column("counts", pa.list_(pa.field("element", _INT32, nullable=False)), "the integers"),
        ),
    ),
    Table(
        kind=Kind.READINGS,
        holds="a value that a device stated",
        time="t_ns",
        order=("device_id", "mdc_code", "t_ns"),
        columns=(
            *_ITEM,
            _DEVICE,
            Column("name", _TEXT, "our name of the quantity, where it has one", nullable=True),
            _MDC,
            Column("unit", _TEXT, "UCUM"),
            Column("value", _DOUBLE, "null where there is none", nullable=True),
            Column("t_ns", _INT64, "UTC, ns since 1970"),
            Column("reason", _TEXT, "why there is no value", nullable=True),
            Column("status_bits", _INT64, "the device's own status"),
            _RECEIVED,
        ),
    ),
    Table(
        kind=Kind.GAPS,
        holds="samples that will never come",
        time="t0_ns",
        order=("device_id", "channel", "t0_ns"),
        columns=(
            *_ITEM,
            _DEVICE,
            _CHANNEL,
            _CAUSE,
            Column("i_first", _INT64, "number of the first missing sample in its stream"),
            _total("n_samples", "that are missing"),
            Column("t0_ns", _INT64, "UTC of the first missing sample, ns since 1970"),
        ),
    ),
    Table(
        kind=Kind.EVENTS,
        holds="something that happened to a device",
        time="t_ns",
        order=("t_ns",),
        columns=(
            *_ITEM,
            _DEVICE,
            Column("kind", _TEXT, "what: connected, link_lost, battery_low …"),
            Column("t_ns", _INT64, "UTC, ns since 1970"),
            Column("detail", _TEXT, "more of it"),
        ),
    ),
    Table(
        kind=Kind.CLOCKS,
        holds="how a device's clock related to UTC",
        time="t_ns",
        order=("device_id", "t_ns"),
        columns=(
            *_ITEM,
            _FRAME_TIME,
            _DEVICE,
            Column("offset_ns", _INT64, "UTC minus device time"),
            Column("drift_ppm", _DOUBLE, "UTC gained per device time"),
            Column("uncertainty_ns", _INT64, "of the offset"),
            Column("device_ns", _INT64, "device time when the offset was so", nullable=True),
        ),
    ),
    Table(
        kind=Kind.LEDGER,
        holds="an agent's totals of a channel, as of a Frame",
        time="t_ns",
        order=("device_id", "channel", "t_ns"),
        columns=(
            *_ITEM,
            _FRAME_TIME,
            _DEVICE,
            _CHANNEL,
            _total("on_air", "that the device took, lost ones included"),
            _total("decoded", "that were decoded"),
            _total("framed", "in Frames"),
            _total("spooled", "written to the agent's disk"),
            _total("acknowledged", "stored by the broker"),
        ),
    ),
    Table(
        kind=Kind.LOSSES,
        holds="an agent's lost samples of a channel by cause, as of a Frame",
        time="t_ns",
        order=("device_id", "channel", "t_ns"),
        columns=(
            *_ITEM,
            _FRAME_TIME,
            _DEVICE,
            _CHANNEL,
            _CAUSE,
            _total("n_dropped", "decoded and given up"),
            _total("n_in_gaps", "never decoded"),
        ),
    ),
    Table(
        kind=Kind.FRAMES,
        holds="a Frame: who sent it, and where it stood in Kafka",
        time="t_ns",
        order=("commit", "i_frame"),
        columns=(
            *_OF_FRAME,
            _FRAME_TIME,
            Column("agent_id", _TEXT, "agent"),
            Column("sequence", _INT64, "the agent's number of the Frame, without holes"),
            Column("n_samples", _INT64, "samples in its blocks"),
            Column("partition", _INT32, "of the topic of the Frames", nullable=True),
            Column("kafka_offset", _INT64, "in it", nullable=True),
        ),
    ),
    Table(
        kind=Kind.OBSERVATIONS,
        holds="a derived value, or why there is none",
        time="t_ns",
        order=("name", "algorithm", "t_ns"),
        columns=(
            _SUBJECT,
            _COMMIT,
            Column("t_ns", _INT64, "event time, UTC, ns since 1970"),
            Column("name", _TEXT, "the quantity"),
            _MDC,
            Column("unit", _TEXT, "UCUM"),
            Column("value", _DOUBLE, "null where there is none", nullable=True),
            Column("reason", _TEXT, "why there is no value", nullable=True),
            Column("quality", _DOUBLE, "0 to 1: how far the value can be believed"),
            Column("age_s", _DOUBLE, "of the newest input at that time"),
            Column(
                "channels",
                pa.list_(pa.field("element", _TEXT, nullable=False)),
                "the inputs, as device_id/channel",
            ),
            Column("algorithm", _TEXT, "what derived it"),
            Column("algorithm_version", _INT32, "in which version"),
        ),
    ),
    Table(
        kind=Kind.ALARMS,
        holds="a technical alarm condition that began or ended",
        time="t_ns",
        order=("t_ns",),
        columns=(
            _SUBJECT,
            _COMMIT,
            Column("t_ns", _INT64, "UTC, ns since 1970"),
            Column("name", _TEXT, "the condition"),
            Column("priority", _TEXT, "low, medium or high"),
            Column("active", pa.bool_(), "true where it began"),
            Column("detail", _TEXT, "more of it"),
        ),
    ),
    Table(
        kind=Kind.ANNOTATIONS,
        holds="somebody's label of a moment or an interval, in one of its versions",
        time="t_ns",
        order=("t_ns", "annotator", "annotation_id", "version"),
        columns=(
            _SUBJECT,
            _COMMIT,
            Column("annotation_id", _TEXT, "the same in all versions"),
            Column("version", _INT32, "from 1; a later one replaces the earlier ones"),
            Column("retracted", pa.bool_(), "true where it does not hold any more"),
            Column("annotator", _TEXT, "the set it belongs to: atr, or what it was named"),
            Column("t_ns", _INT64, "UTC, ns since 1970"),
            Column("duration_ns", _INT64, "0: a moment"),
            Column("symbol", _TEXT, 'as in WFDB annotations: N a normal beat, " a text'),
            Column("subtype", _INT32, "of WFDB"),
            Column("chan", _INT32, "of WFDB: a signal of its record"),
            Column("num", _INT32, "of WFDB"),
            Column("text", _TEXT, "what it says"),
            Column("device_id", _TEXT, "the device that it is about", nullable=True),
            Column("channel", _TEXT, "and its channel", nullable=True),
            Column("author", _TEXT, "whoever says so"),
            Column("created_ns", _INT64, "UTC when this version was made", nullable=True),
        ),
    ),
)

TABLES: Final[Mapping[Kind, Table]] = MappingProxyType({one.kind: one for one in _TABLES})
"""By kind."""


def named(rows: Sequence[Sequence[object]], names: Sequence[str]) -> list[dict[str, object]]:
    """Put the names of columns to the values of rows."""
    return [dict(zip(names, row, strict=True)) for row in rows]
