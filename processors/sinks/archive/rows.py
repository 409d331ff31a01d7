"""Frames, Observations, alarms and annotations to rows of the tables: pure."""

from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from devices import codes
from ingest.annotation import SubjectAnnotation
from ingest.frame import NS_PER_S, Frame
from ingest.observation import AlarmEvent, Observation
from processors.frame_times import newest_ns_of
from processors.sinks.archive.layout import Kind, day_of
from processors.sinks.archive.tables import TABLES, Table

Row = tuple[Any, ...]

_N_BEFORE: Final = 2
"""Columns in front of an annotation's own: subject and commit."""

_NAMES: Final = {one.mdc: name for name, one in codes.QUANTITIES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Rows of one table, day and subject, sorted as the table's files are."""

    kind: Kind
    day: str
    subject_id: str
    rows: Any
    """An Arrow table."""
    first_s: int
    """The second of the earliest row."""
    last_s: int
    """The second in which the latest one is, or ends."""
    n_samples: int


class Rows:
    """Collects what one commit writes.

    Rows of a Frame stand under the day of its newest samples, whatever their own times, so that
    it can be made again from one day; all others stand under their own.
    """

    def __init__(self, commit: int) -> None:
        self._commit = commit
        self._rows: dict[tuple[str, str, Kind], list[Row]] = {}
        self._n_frames: dict[str, int] = {}
        self._newest_ns: dict[str, int] = {}
        self.n_samples = 0

    def add_frame(
        self, frame: Frame, *, partition: int | None = None, offset: int | None = None
    ) -> None:
        """Add the rows of the next Frame.

        Parameters
        ----------
        partition, offset
            Where it stood in Kafka; None: it did not.
        """
        subject_id = frame.subject_id
        i_frame = self._n_frames.get(subject_id, 0)
        self._n_frames[subject_id] = i_frame + 1
        t_ns = self._time_of(frame)
        key = (subject_id, self._commit, i_frame)
        n_samples = frame.n_samples
        day = day_of(t_ns)
        tables: tuple[tuple[Kind, Sized, Iterator[Row]], ...] = (
            (Kind.WAVEFORMS, frame.waveforms, _waveforms(frame)),
            (Kind.READINGS, frame.readings, _readings(frame)),
            (Kind.GAPS, frame.gaps, _gaps(frame)),
            (Kind.EVENTS, frame.events, _events(frame)),
            (Kind.CLOCKS, frame.clocks, _clocks(frame, t_ns)),
            (Kind.LEDGER, frame.ledger, _ledger(frame, t_ns)),
            (Kind.LOSSES, frame.losses, _losses(frame, t_ns)),
        )
        for kind, items, made in tables:
            # Most Frames have waveforms only.
            if items:
                rows = self._rows_of(subject_id, day, kind)
                rows += [(*key, i_item, *item) for i_item, item in enumerate(made)]
        of_frame = (t_ns, frame.agent_id, frame.sequence, n_samples, partition, offset)
        self._rows_of(subject_id, day, Kind.FRAMES).append((*key, *of_frame))
        self.n_samples += n_samples

    def add_observations(self, observations: Sequence[Observation]) -> None:
        """Add Observations."""
        for one in observations:
            row = (one.subject_id, self._commit, *one[1:9], list(one.channels), *one[10:])
            self._rows_of(one.subject_id, day_of(one.t_ns), Kind.OBSERVATIONS).append(row)

    def add_alarm(self, alarm: AlarmEvent) -> None:
        """Add an alarm."""
        self._rows_of(alarm.subject_id, day_of(alarm.t_ns), Kind.ALARMS).append(
            (
                alarm.subject_id,
                self._commit,
                alarm.t_ns,
                alarm.name,
                str(alarm.priority),
                alarm.active,
                alarm.detail,
            )
        )

    def add_annotation(self, annotation: SubjectAnnotation) -> None:
        """Add a version of an annotation."""
        names = TABLES[Kind.ANNOTATIONS].names[_N_BEFORE:]
        own = (getattr(annotation, name) for name in names)
        row = (annotation.subject_id, self._commit, *own)
        day = day_of(annotation.t_ns)
        self._rows_of(annotation.subject_id, day, Kind.ANNOTATIONS).append(row)

    def parts(self) -> Iterator[Part]:
        """Give what was added since the last call; Frames are counted on."""
        for subject_id, day, kind in sorted(self._rows):
            rows = self._rows.pop((subject_id, day, kind))
            table = TABLES[kind]
            # Sorted here, a block's samples need not be copied once more.
            rows.sort(key=itemgetter(*map(table.names.index, table.order)))
            yield _part(kind, day, subject_id, _arrow(table, rows))

    def _rows_of(self, subject_id: str, day: str, kind: Kind) -> list[Row]:
        return self._rows.setdefault((subject_id, day, kind), [])

    def _time_of(self, frame: Frame) -> int:
        """Give the newest time of a Frame; of one without any, that of the subject's last."""
        newest_ns = newest_ns_of(frame)
        if newest_ns is None:
            newest_ns = max((gap.t0_ns for gap in frame.gaps), default=None)
        if newest_ns is None:
            return self._newest_ns.get(frame.subject_id, 0)
        self._newest_ns[frame.subject_id] = newest_ns
        return newest_ns


def part_of(kind: Kind, day: str, subject_id: str, rows: Any) -> Part:  # noqa: ANN401
    """Sort an Arrow table of one table, day and subject, and say what it spans."""
    table = TABLES[kind]
    order = [(name, "ascending") for name in table.order]
    return _part(kind, day, subject_id, rows.sort_by(order) if len(rows) > 1 else rows)


def _part(kind: Kind, day: str, subject_id: str, ordered: Any) -> Part:  # noqa: ANN401
    table = TABLES[kind]
    times = ordered[table.time].to_numpy()
    ends = ordered["t_last_ns"].to_numpy() if kind is Kind.WAVEFORMS else times
    n_samples = 0
    if kind is Kind.WAVEFORMS:
        n_samples = int(ordered["n_samples"].to_numpy().sum(dtype=np.int64))
    return Part(
        kind=kind,
        day=day,
        subject_id=subject_id,
        rows=ordered,
        first_s=max(0, int(times.min()) // NS_PER_S),
        last_s=max(0, int(ends.max()) // NS_PER_S),
        n_samples=n_samples,
    )


def _waveforms(frame: Frame) -> Iterator[Row]:
    for block in frame.waveforms:
        period = block.period
        yield (
            block.device_id,
            block.channel,
            block.mdc_code,
            block.unit,
            block.scale,
            block.offset,
            block.i_first,
            block.t0_ns,
            block.time_ns(block.i_end - 1),
            period.ns_numerator,
            period.ns_denominator,
            block.received_ns,
            block.n_samples,
            block.counts,
        )


def _readings(frame: Frame) -> Iterator[Row]:
    for one in frame.readings:
        yield (
            one.device_id,
            _NAMES.get(one.mdc_code),
            one.mdc_code,
            one.unit,
            one.value,
            one.t_ns,
            one.reason,
            one.status_bits,
            one.received_ns,
        )


def _gaps(frame: Frame) -> Iterator[Row]:
    for one in frame.gaps:
        yield one.device_id, one.channel, str(one.cause), one.i_first, one.n_samples, one.t0_ns


def _events(frame: Frame) -> Iterator[Row]:
    for one in frame.events:
        yield one.device_id, str(one.kind), one.t_ns, one.detail


def _clocks(frame: Frame, t_ns: int) -> Iterator[Row]:
    for one in frame.clocks:
        yield (
            t_ns,
            one.device_id,
            one.offset_ns,
            one.drift_ppm,
            one.uncertainty_ns,
            one.device_ns,
        )


def _ledger(frame: Frame, t_ns: int) -> Iterator[Row]:
    for one in frame.ledger:
        yield (
            t_ns,
            one.device_id,
            one.channel,
            one.on_air,
            one.decoded,
            one.framed,
            one.spooled,
            one.acknowledged,
        )


def _losses(frame: Frame, t_ns: int) -> Iterator[Row]:
    for one in frame.losses:
        yield t_ns, one.device_id, one.channel, str(one.cause), one.n_dropped, one.n_in_gaps


def _arrow(table: Table, rows: Sequence[Row]) -> Any:  # noqa: ANN401
    """Make an Arrow table of rows."""
    columns = list(zip(*rows, strict=True))
    schema = table.schema
    arrays = [
        lists_of(values) if table.kind is Kind.WAVEFORMS and name == "counts" else
        pa.array(values, type=schema.field(name).type)
        for name, values in zip(table.names, columns, strict=True)
    ]  # fmt: skip
    return pa.Table.from_arrays(arrays, schema=schema)


def lists_of(counts: Sequence[NDArray[np.int32]]) -> Any:  # noqa: ANN401
    """Make an Arrow column of lists, without a Python object for each integer."""
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum([one.size for one in counts], out=offsets[1:])
    joined = np.concatenate(counts)
    return pa.ListArray.from_arrays(
        pa.array(offsets.astype(np.int32)),
        pa.array(joined),
        type=pa.list_(pa.field("element", pa.int32(), nullable=False)),
    )
