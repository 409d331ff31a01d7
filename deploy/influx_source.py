"""What the sink has stored in InfluxDB as a source: ``influx://HOST:PORT/DATABASE``.

Counts and times come back as they were; docs/replay.md says what does not. ``WINDOW_NS`` of one
subject are in memory at a time.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np

from deploy.influx_frames import Channel, FrameMaker, Meaning, Points
from deploy.influx_points import MEASUREMENTS, InfluxPoints, Row, rows_of
from deploy.sources import Source, SourceError, SourceKind, check_subjects
from devices import codes
from ingest.frame import (
    NS_PER_S,
    ClockRelation,
    DeviceEvent,
    DeviceEventKind,
    Frame,
    Gap,
    GapCause,
    Reading,
)
from ingest.frame_times import merged
from processors.settings import InfluxSettings

WINDOW_NS: Final = 30 * NS_PER_S

_UNSAID: Final = "what the store does not hold: agents and their ledgers, and when data arrived"


class InfluxSource(Source):
    """What one InfluxDB has."""

    kind = SourceKind.INFLUX

    def __init__(
        self,
        spec: str,
        settings: InfluxSettings,
        subjects: Sequence[str],
        start_ns: int | None,
        end_ns: int | None,
    ) -> None:
        super().__init__(spec)
        self._server = InfluxPoints(_addressed(spec, settings))
        self._start_ns, self._end_ns = start_ns, end_ns
        self._makers: dict[str, FrameMaker] = {}
        self._unknown: set[str] = set()
        known = self._server.subjects()
        check_subjects(spec, subjects, known)
        self._subjects = sorted(set(subjects)) or known

    def subjects(self) -> list[str]:
        """Give those that were asked for, or all."""
        return self._subjects

    def frames(
        self, subject_id: str | None = None, *, start_ns: int | None = None
    ) -> Iterator[Frame]:
        """Give the Frames, each of a second."""
        begins = [t_ns for t_ns in (start_ns, self._start_ns) if t_ns is not None]
        chosen = self._subjects if subject_id is None else [subject_id]
        return merged(self._of_subject(one, max(begins, default=0)) for one in chosen)

    def _of_subject(self, subject_id: str, start_ns: int) -> Iterator[Frame]:
        maker = self._makers[subject_id] = FrameMaker(subject_id)
        meanings: dict[Channel, list[Meaning]] = {}
        end_ns = self._server.end_ns(subject_id)
        if self._end_ns is not None:
            end_ns = min(end_ns, self._end_ns)
        at_ns = start_ns
        while (first_ns := self._server.next_ns(subject_id, at_ns, end_ns)) is not None:
            at_ns = max(at_ns, first_ns // NS_PER_S * NS_PER_S)
            while True:
                # A whole window from the begin on: many samples tell how they are numbered.
                behind_ns = min(at_ns // NS_PER_S * NS_PER_S + WINDOW_NS, end_ns)
                points = self._points(subject_id, at_ns, behind_ns, meanings)
                at_ns = behind_ns
                if points is None:
                    break
                yield from maker.frames(points)
                if at_ns >= end_ns:
                    return

    def _points(
        self,
        subject_id: str,
        begin_ns: int,
        end_ns: int,
        meanings: dict[Channel, list[Meaning]],
    ) -> Points | None:
        """Read a window; None: there is nothing."""
        found = self._server.window(subject_id, begin_ns, end_ns)
        if not any(found.values()):
            return None
        samples = {
            (one["tags"]["device"], one["tags"]["channel"]): (
                np.array([row[0] for row in one["values"]], dtype=np.int64),
                np.array([row[1] for row in one["values"]], dtype=np.int32),
            )
            for one in found["waveform"]
        }
        for channel in samples:
            said = meanings.get(channel, [])[-1:]
            before = said or self._server.meanings(subject_id, channel, None, begin_ns)
            meanings[channel] = [
                *before,
                *self._server.meanings(subject_id, channel, begin_ns, end_ns),
            ]
        return Points(
            samples=samples,
            meanings=meanings,
            readings=[one for one in map(self._reading, rows_of(found["reading"])) if one],
            gaps=[_gap(row) for row in rows_of(found["gap"])],
            events=[_event(row) for row in rows_of(found["device_event"])],
            clocks=[(row["time"], _clock(row)) for row in rows_of(found["device_clock"])],
        )

    def _reading(self, row: Row) -> Reading | None:
        name = row["name"]
        quantity = codes.QUANTITIES.get(name)
        if quantity is None:
            self._unknown.add(name)
            return None
        return Reading(
            device_id=row["device"],
            mdc_code=quantity.mdc,
            unit=quantity.ucum,
            value=row["value"],
            reason=row["reason"] if row["value"] is None else None,
            t_ns=row["time"],
            status_bits=row["status"],
        )

    def inputs(self) -> dict[str, Any]:
        """Name database, subjects and time; what a database holds has no checksum."""
        return {
            "kind": str(self.kind),
            "database": self._server.database,
            "measurements": ["waveform_meta", *MEASUREMENTS],
            "subjects": self._subjects,
            "start_ns": self._start_ns,
            "end_ns": self._end_ns,
        }

    @property
    def notes(self) -> list[str]:
        """Say what could not be given."""
        n_meaningless = sum(maker.n_meaningless for maker in self._makers.values())
        return [
            _UNSAID,
            *([f"{n_meaningless} samples without waveform_meta"] if n_meaningless else []),
            *(f"readings of {name}, whose unit is not stored" for name in sorted(self._unknown)),
        ]


def _gap(row: Row) -> Gap:
    return Gap(
        device_id=row["device"],
        channel=row["channel"],
        cause=GapCause(row["cause"]),
        i_first=row["i_first"],
        n_samples=row["n_samples"],
        t0_ns=row["time"],
    )


def _event(row: Row) -> DeviceEvent:
    return DeviceEvent(
        device_id=row["device"],
        kind=DeviceEventKind(row["kind"]),
        t_ns=row["time"],
        detail=row["detail"],
    )


def _clock(row: Row) -> ClockRelation:
    return ClockRelation(
        device_id=row["device"],
        device_ns=row["device_ns"],
        offset_ns=row["offset_ns"],
        drift_ppm=row["drift_ppm"],
        uncertainty_ns=row["uncertainty_ns"],
    )


def _addressed(spec: str, settings: InfluxSettings) -> InfluxSettings:
    """Put what the spec says into the settings."""
    parts = urlsplit(spec)
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise SourceError(
            f"{spec}: write influx://HOST:PORT/DATABASE; the token comes from the settings "
            "(CHEVET_INFLUX__TOKEN), the time from --start and --end"
        )
    changes: dict[str, str] = {}
    if parts.netloc:
        scheme = parts.scheme.partition("+")[2] or "http"
        changes["url"] = f"{scheme}://{parts.netloc}"
    if parts.path.strip("/"):
        changes["bucket"] = parts.path.strip("/")
    return settings.model_copy(update=changes)
