"""Reads an archive: ``open_archive(folder).subject("icu-7").signal("ecg/II", start, end)``.

It may be read while it is written: what is committed is there, each row once.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ingest.annotation import SubjectAnnotation, in_order, newest
from ingest.frame import NS_PER_S, DeviceEvent, DeviceEventKind, Frame, Gap, Reading
from ingest.frame_times import FRAME_NS_MAX, within
from ingest.observation import AlarmEvent, Observation
from processors.sinks.archive import files
from processors.sinks.archive.errors import ArchiveRefusedError
from processors.sinks.archive.frames import (
    alarm_of,
    annotation_of,
    frames_of_rows,
    gap_of,
    observation_of,
    reading_of,
)
from processors.sinks.archive.layout import FRAME_KINDS, Kind, day_of
from processors.sinks.archive.signal import SignalValues, signal_of
from processors.sinks.archive.tables import TABLES
from processors.sinks.archive.windows import Label, Window, windows_of
from processors.sinks.archive.writer import read_state

Time = int | datetime | str
"""Nanoseconds UTC since 1970, a datetime, or ``2026-11-22T08:00:00Z``; without a zone it is UTC."""

REPEATS_MAX: Final = 1_024
"""A Frame that came again within so many others of its day is given once."""

GAP_NS_MAX: Final = 86_400 * NS_PER_S
"""A gap that began longer before a time that is asked for is not looked for."""

_N_BEFORE: Final = 2
"""Columns in front of an annotation's own: subject and commit."""

_BLOCK: Final = ("device_id", "channel", "t0_ns", "i_first")
_SAMPLES: Final = (
    *_BLOCK, "mdc_code", "unit", "scale", "offset", "period_ns_numerator", "period_ns_denominator",
    "n_samples", "counts",
)  # fmt: skip
_GAP: Final = ("device_id", "channel", "cause", "i_first", "n_samples", "t0_ns")
_EVENT: Final = ("device_id", "kind", "t_ns", "detail")
_READING: Final = tuple(name for name in TABLES[Kind.READINGS].names[4:] if name != "name")


def ns_of(time: Time | None) -> int | None:
    """Give a time as nanoseconds.

    Raises
    ------
    ArchiveRefusedError
        It is none.
    """
    if time is None or isinstance(time, int):
        return time
    try:
        moment = datetime.fromisoformat(time) if isinstance(time, str) else time
    except ValueError as error:
        raise ArchiveRefusedError(f"{time!r} is no time: write 2026-11-22T08:00:00Z") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalName:
    """A signal that a subject has."""

    device_id: str
    channel: str
    unit: str
    n_samples: int
    first_ns: int
    last_ns: int

    def __str__(self) -> str:
        return f"{self.device_id}/{self.channel}"


class Archive:
    """An archive that is there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def subjects(self) -> list[str]:
        """Give the pseudonyms of which there is something, sorted."""
        return files.subjects_of(self._folder)

    def subject(self, subject_id: str) -> "SubjectArchive":
        """Give what there is of one subject.

        Raises
        ------
        ArchiveRefusedError
            There is nothing.
        """
        if not files.days_of(self._folder, Kind, subject_id):
            raise ArchiveRefusedError(f"{self._folder} has nothing of subject {subject_id!r}")
        return SubjectArchive(self._folder, subject_id)


def open_archive(folder: Path | str) -> Archive:
    """Open an archive to read it.

    Raises
    ------
    ArchiveRefusedError
        There is none, or of another format.
    """
    root = Path(folder)
    read_state(root)
    return Archive(root)


class SubjectArchive:
    """What an archive has of one subject. ``end`` is the first moment that is left out."""

    def __init__(self, folder: Path, subject_id: str) -> None:
        self._folder = folder
        self.subject_id = subject_id

    def days(self) -> list[str]:
        """Give the days under which something stands, oldest first."""
        return files.days_of(self._folder, Kind, self.subject_id)

    def signals(self, start: Time | None = None, end: Time | None = None) -> list[SignalName]:
        """Name the signals that have rows of this time; samples and times are those of the rows."""
        names = (*_BLOCK, "t_last_ns", "unit", "n_samples")
        rows = files.each_once(self._rows(Kind.WAVEFORMS, names, start, end), _BLOCK, _BLOCK)
        grouped = rows.group_by(["device_id", "channel"], use_threads=False).aggregate(
            [("unit", "max"), ("n_samples", "sum"), ("t0_ns", "min"), ("t_last_ns", "max")]
        )
        return sorted(
            (
                SignalName(
                    device_id=row["device_id"],
                    channel=row["channel"],
                    unit=row["unit_max"],
                    n_samples=row["n_samples_sum"],
                    first_ns=row["t0_ns_min"],
                    last_ns=row["t_last_ns_max"],
                )
                for row in grouped.to_pylist()
            ),
            key=str,
        )

    def signal(
        self,
        channel: str,
        start: Time | None = None,
        end: Time | None = None,
        *,
        device_id: str | None = None,
    ) -> SignalValues:
        """Give the samples of one signal, with their times and what is missing.

        Parameters
        ----------
        channel
            As ``signals`` names it: ``ecg/II``.
        device_id
            Needed where several devices have such a channel.

        Raises
        ------
        ArchiveRefusedError
            No device has it, or several have; or its unit changes.
        """
        where = {"channel": channel}
        if device_id is not None:
            where["device_id"] = device_id
        rows = self._rows(Kind.WAVEFORMS, _SAMPLES, start, end, where)
        start_ns = ns_of(start)
        before_ns = None if start_ns is None else start_ns - GAP_NS_MAX
        gaps = self._gaps(before_ns, end, where)
        devices = set(rows["device_id"].unique().to_pylist())
        devices = devices or {one.device_id for one in gaps}
        if len(devices) > 1:
            raise ArchiveRefusedError(
                f"{channel} of {self.subject_id!r} is of several devices: name one of "
                f"{', '.join(sorted(devices))} as device_id"
            )
        if not devices:
            self._refuse_unknown(channel, device_id)
        return signal_of(
            files.each_once(rows, _BLOCK[2:], _BLOCK[2:]),
            tuple(one for one in gaps if one.device_id in devices),
            device_id=next(iter(devices), device_id or ""),
            channel=channel,
            between=(start_ns, ns_of(end)),
        )

    def windows(
        self,
        channels: Sequence[str],
        *,
        seconds: float,
        step: float | None = None,
        labels: Sequence[Label] = (),
        start: Time | None = None,
        end: Time | None = None,
    ) -> Iterator[Window]:
        """Give windows of several signals in which no sample is missing, in order of time.

        All samples of this time are read into memory.

        Parameters
        ----------
        channels
            As for ``signal``.
        seconds, step
            Length of a window, and from one begin to the next; unless told they do not overlap.
        labels
            Of which each window gets those that have a part of it.

        Raises
        ------
        ArchiveRefusedError
        """
        signals = [self.signal(channel, start, end) for channel in channels]
        return windows_of(
            signals, seconds=seconds, step=seconds if step is None else step, labels=labels
        )

    def gaps(self, start: Time | None = None, end: Time | None = None) -> tuple[Gap, ...]:
        """Give the gaps that begin in this time, by device, channel and time."""
        return self._gaps(start, end, files.NOTHING)

    def readings(
        self, name: str | None = None, start: Time | None = None, end: Time | None = None
    ) -> list[Reading]:
        """Give what devices stated, in order of time; of one quantity, or of all."""
        where = {} if name is None else {"name": name}
        rows = self._rows(Kind.READINGS, _READING, start, end, where)
        same = ("t_ns", "device_id", "mdc_code", "unit", "value", "reason", "status_bits")
        once = files.each_once(rows, (*same, "received_ns"), same)
        return [reading_of(row) for row in once.to_pylist()]

    def events(self, start: Time | None = None, end: Time | None = None) -> list[DeviceEvent]:
        """Give what happened to the devices, in order of time."""
        rows = self._rows(Kind.EVENTS, _EVENT, start, end)
        same = ("t_ns", "device_id", "kind", "detail")
        return [
            DeviceEvent(**{**row, "kind": DeviceEventKind(row["kind"])})
            for row in files.each_once(rows, same, same).to_pylist()
        ]

    def observations(
        self, name: str | None = None, start: Time | None = None, end: Time | None = None
    ) -> list[Observation]:
        """Give derived values, in order of time; of one quantity, or of all."""
        where = {} if name is None else {"name": name}
        rows = self._rows(Kind.OBSERVATIONS, TABLES[Kind.OBSERVATIONS].names, start, end, where)
        same = ("t_ns", "name", "algorithm")
        once = files.each_once(rows, (*same, "commit"), same)
        return [observation_of(row) for row in once.to_pylist()]

    def alarms(self, start: Time | None = None, end: Time | None = None) -> list[AlarmEvent]:
        """Give where technical alarm conditions began and ended, in order of time."""
        rows = self._rows(Kind.ALARMS, TABLES[Kind.ALARMS].names, start, end)
        same = ("t_ns", "name", "active")
        once = files.each_once(rows, (*same, "commit"), same)
        return [alarm_of(row) for row in once.to_pylist()]

    def annotations(
        self,
        annotator: str | None = None,
        start: Time | None = None,
        end: Time | None = None,
        *,
        every_version: bool = False,
    ) -> list[SubjectAnnotation]:
        """Give the annotations that have a part of this time, in order of time.

        All of the subject's are read: a later version may have moved an annotation to another day.

        Parameters
        ----------
        annotator
            Of one set; None: of all.
        every_version
            All that were ever made, retractions too. Otherwise of each annotation its last version,
            unless that takes it back. Two people may have made the same version: then the one of
            the later commit holds, and of one commit the one that was created later.
        """
        rows = self._rows(Kind.ANNOTATIONS, TABLES[Kind.ANNOTATIONS].names, None, None)
        same = TABLES[Kind.ANNOTATIONS].names[_N_BEFORE:]
        once = files.each_once(rows, (*same, "commit"), same)
        told = sorted(once.to_pylist(), key=lambda row: (row["commit"], row["created_ns"] or 0))
        made = [annotation_of(row) for row in told]
        between = (ns_of(start), ns_of(end))
        return [
            one
            for one in (in_order(made) if every_version else newest(made))
            if annotator in {None, one.annotator} and one.meets(*between)
        ]

    def labels(
        self, annotator: str | None = None, start: Time | None = None, end: Time | None = None
    ) -> list[Label]:
        """Give annotations as the labels that ``windows`` takes: their texts, or their symbols."""
        return [
            Label(one.words, one.t_ns, one.end_ns)
            for one in self.annotations(annotator, start, end)
        ]

    def rows(
        self,
        table: str,
        start: Time | None = None,
        end: Time | None = None,
        *,
        columns: tuple[str, ...] | None = None,
    ) -> Any:  # noqa: ANN401
        """Give the rows of a table as an Arrow table, as they stand in the files.

        What came again is there again; all others here leave it out.

        Parameters
        ----------
        columns
            Which; None: all.

        Raises
        ------
        ArchiveRefusedError
            There is no such table.
        """
        if table not in set(Kind):
            raise ArchiveRefusedError(f"no table {table!r}; there are {', '.join(Kind)}")
        return self._rows(Kind(table), columns or TABLES[Kind(table)].names, start, end)

    def frames(self, start: Time | None = None, end: Time | None = None) -> Iterator[Frame]:
        """Give Frames as they came, day by day, in the order in which they came.

        One that came again is given once, if no more than ``REPEATS_MAX`` are between. Of a time
        are those that were complete in it (``ingest.frame_times.taken_ns``), each whole; other days
        are not read.
        """
        start_ns, end_ns = ns_of(start), ns_of(end)
        for day in files.days_of(self._folder, (Kind.FRAMES,), self.subject_id):
            # A Frame stands under the day in which its newest block begins.
            if start_ns is not None and day < day_of(max(0, start_ns - FRAME_NS_MAX)):
                continue
            if end_ns is not None and day > day_of(end_ns):
                continue
            yield from within(self._frames_of_day(day), start_ns, end_ns)

    def frames_about(self, start: Time | None = None, end: Time | None = None) -> Iterator[Frame]:
        """Give the Frames of the days under which something of this time stands, each whole.

        Among them are all that have a sample, reading, gap or event of it, however late they came.
        """
        between = (ns_of(start), ns_of(end))
        days = {
            path.parents[1].name.removeprefix("date=")
            for kind in FRAME_KINDS
            for path in files.files_of(self._folder, kind, self.subject_id, between=between)
        }
        for day in sorted(days):
            yield from self._frames_of_day(day)

    def _frames_of_day(self, day: str) -> Iterator[Frame]:
        recent: deque[Frame] = deque(maxlen=REPEATS_MAX)
        known: dict[tuple[str, int], list[Frame]] = {}
        for frame in frames_of_rows(self._of_day(day)):
            key = (frame.agent_id, frame.sequence)
            if frame in known.get(key, ()):
                continue
            if len(recent) == REPEATS_MAX:
                oldest = recent[0]
                known[oldest.agent_id, oldest.sequence].remove(oldest)
            recent.append(frame)
            known.setdefault(key, []).append(frame)
            yield frame

    def _of_day(self, day: str) -> dict[Kind, Any]:
        return {
            kind: files.read(self._folder, kind, self.subject_id, day=day) for kind in FRAME_KINDS
        }

    def _rows(
        self,
        kind: Kind,
        columns: tuple[str, ...],
        start: Time | None,
        end: Time | None,
        where: Mapping[str, str] = files.NOTHING,
    ) -> Any:  # noqa: ANN401
        return files.read(
            self._folder,
            kind,
            self.subject_id,
            columns=columns,
            where=where,
            between=(ns_of(start), ns_of(end)),
        )

    def _gaps(
        self, start: Time | None, end: Time | None, where: Mapping[str, str]
    ) -> tuple[Gap, ...]:
        rows = files.each_once(self._rows(Kind.GAPS, _GAP, start, end, where), _GAP, _GAP)
        return tuple(gap_of(row) for row in rows.to_pylist())

    def _refuse_unknown(self, channel: str, device_id: str | None) -> None:
        known = self.signals()
        fits = (one for one in known if one.channel == channel)
        if not any(device_id in {None, one.device_id} for one in fits):
            names = ", ".join(str(one) for one in known) or "none"
            raise ArchiveRefusedError(
                f"{self.subject_id!r} has no signal {channel!r}"
                f"{'' if device_id is None else f' of {device_id}'}; it has {names}"
            )
