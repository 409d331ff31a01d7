"""Points of InfluxDB as the sink has written them, read with InfluxQL over HTTP.

It is the query language that 1.x, 2.x and 3.x all answer.
"""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from deploy.influx_frames import Channel, Meaning, period_of
from deploy.sources import SourceError
from processors.settings import InfluxSettings
from processors.sinks.measurements import Bucket

MEASUREMENTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "waveform": ("v",),
        "reading": ("status", "value", "reason"),
        "gap": ("n_samples", "i_first"),
        "device_event": ("detail",),
        "device_clock": ("device_ns", "offset_ns", "drift_ppm", "uncertainty_ns"),
    }
)
"""What Frames are made of, beside ``waveform_meta``: the fields, first one that every point has."""

_MEANING: Final = ("scale", "offset", "unit", "rate_hz", "mdc")
_WORDS_MAX: Final = 1_000
"""Of what a server says of an error."""

Row = dict[str, Any]
"""Tags, fields and ``time`` of one point."""

Series = dict[str, Any]
"""As the server gives them: ``tags``, ``columns`` and ``values``."""


class InfluxPoints:
    """The database of the settings.

    Raises
    ------
    SourceError
        From every method, too: the server does not answer, or refuses; its words are in it.
    """

    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings
        self.database, _, self._policy = settings.bucket.partition("/")
        try:
            self._token = settings.read_token()
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError(f"InfluxDB's token_file {settings.token_file}: {error}") from error

    def subjects(self) -> list[str]:
        """Give those of whom there is something that Frames are made of."""
        names = ", ".join(f'"{name}"' for name in ("waveform_meta", *MEASUREMENTS))
        (series,) = self._ask(f'SHOW TAG VALUES FROM {names} WITH KEY = "subject"')
        return sorted({value for one in series for _, value in one["values"]})

    def next_ns(self, subject_id: str, start_ns: int, end_ns: int) -> int | None:
        """Give the time of the first point from ``start_ns`` on; None: there is none."""
        where = f"{_between(subject_id, start_ns, end_ns)} ORDER BY time ASC LIMIT 1"
        return min(self._one_of_each(where), default=None)

    def end_ns(self, subject_id: str) -> int:
        """Give the time behind the last point; 0: there is none."""
        where = f"WHERE {_is('subject', subject_id)} ORDER BY time DESC LIMIT 1"
        return max(self._one_of_each(where), default=-1) + 1

    def window(self, subject_id: str, begin_ns: int, end_ns: int) -> dict[str, list[Series]]:
        """Give all points of a stretch of time, by measurement."""
        where = f"{_between(subject_id, begin_ns, end_ns)} GROUP BY *"
        answers = self._ask(
            *(_select(name, fields, where) for name, fields in MEASUREMENTS.items())
        )
        return dict(zip(MEASUREMENTS, answers, strict=True))

    def meanings(
        self, subject_id: str, channel: Channel, begin_ns: int | None, end_ns: int
    ) -> list[Meaning]:
        """Give what was said of a channel in a stretch; without a begin, the last before the end.

        Raises
        ------
        MalformedRecordError
            It is of no channel.
        """
        where = _between(subject_id, begin_ns or 0, end_ns)
        where += f" AND {_is('device', channel[0])} AND {_is('channel', channel[1])}"
        if begin_ns is None:
            where += " ORDER BY time DESC LIMIT 1"
        (series,) = self._ask(_select("waveform_meta", _MEANING, where))
        return [
            Meaning(
                t_ns=row["time"],
                scale=row["scale"],
                offset=row["offset"],
                unit=row["unit"],
                period=period_of(row["rate_hz"]),
                mdc_code=row["mdc"],
            )
            for row in rows_of(series)
        ]

    def _one_of_each(self, where: str) -> list[int]:
        """Give the times of one point of each measurement that has one."""
        answers = self._ask(
            *(_select(name, fields[:1], where) for name, fields in MEASUREMENTS.items())
        )
        return [series[0]["values"][0][0] for series in answers if series]

    def _ask(self, *statements: str) -> list[list[Series]]:
        fields = {"db": self.database, "q": ";".join(statements), "epoch": "ns"}
        fields |= {"rp": self._policy} if self._policy else {}
        request = urllib.request.Request(  # noqa: S310  # http or https, by the settings
            f"{self._settings.url.rstrip('/')}/query?{urllib.parse.urlencode(fields)}",
            headers={"Authorization": f"Token {self._token}"} if self._token else {},
        )
        where = f"InfluxDB at {self._settings.url}, database {self.database}"
        try:
            with urllib.request.urlopen(  # noqa: S310
                request, timeout=self._settings.timeout_s
            ) as answer:
                results: list[dict[str, Any]] = json.load(answer)["results"]
        except urllib.error.HTTPError as error:
            said = error.read(_WORDS_MAX).decode(errors="replace").strip()
            raise SourceError(
                f"{where}: {error.code} {said}; check url, bucket and token"
            ) from error
        except (OSError, KeyError, ValueError) as error:
            raise SourceError(f"{where}: {error}") from error
        return [_series_of(result, where) for result in results]


def _series_of(result: dict[str, Any], where: str) -> list[Series]:
    series: list[Series] = result.get("series", [])
    if "error" in result:
        raise SourceError(f"{where}: {result['error']}")
    if result.get("partial") or any(one.get("partial") for one in series):
        # A server may be set to give so many rows and no more.
        raise SourceError(f"{where}: the answer was cut short; see its max-row-limit")
    return series


def rows_of(series: Sequence[Series]) -> list[Row]:
    """Give the points of several series in one order of time."""
    rows = [
        {**one.get("tags", {}), **dict(zip(one["columns"], values, strict=True))}
        for one in series
        for values in one["values"]
    ]
    return sorted(rows, key=lambda row: row["time"])


def _select(name: str, fields: Sequence[str], where: str) -> str:
    policy = f'"{Bucket.WAVEFORMS}".' if name == "waveform" else ""
    listed = ", ".join(f'"{field}"' for field in fields)
    return f'SELECT {listed} FROM {policy}"{name}" {where}'


def _between(subject_id: str, begin_ns: int, end_ns: int) -> str:
    return f"WHERE {_is('subject', subject_id)} AND time >= {begin_ns} AND time < {end_ns}"


def _is(tag: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"\"{tag}\" = '{escaped}'"
