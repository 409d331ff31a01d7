"""Read a store back: what a demo or a test holds against what the sensors sent."""

import json
import urllib.parse
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from processors.sinks.files import read_lines

TIMEOUT_S: Final = 60.0

WAVEFORMS: Final = '"waveforms"."waveform"'
"""The samples in InfluxQL: they are in a bucket, or retention policy, of their own."""


@dataclass(slots=True)
class Stored:
    """Everything of a store that the ledger is made of; each point once."""

    samples: dict[tuple[str, str, str], "Series"] = field(default_factory=dict)
    """Waveforms by subject, device and channel."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Samples in gaps, by cause."""
    observations: dict[tuple[str, str, str], "Series"] = field(default_factory=dict)
    """Values by subject, quantity and algorithm; NaN where there was none."""
    readings: dict[tuple[str, str], "Series"] = field(default_factory=dict)
    """The devices' own values by subject and quantity; NaN where there was none."""

    @property
    def n_samples(self) -> int:
        """Waveform samples in the store."""
        return sum(series.t_ns.size for series in self.samples.values())

    @property
    def n_observations(self) -> int:
        """Observations in the store."""
        return sum(series.t_ns.size for series in self.observations.values())


@dataclass(frozen=True, slots=True)
class Series:
    """Points in order of time, each time once; both of shape ``(n_points,)``."""

    t_ns: NDArray[np.int64]
    values: NDArray[np.float64]


_Points = dict[int, float]


def read_files(folder: Path) -> Stored:
    """Read a store of line-protocol files; a line that was written twice counts once."""
    points: dict[tuple[str, ...], _Points] = defaultdict(dict)
    gaps: dict[str, tuple[str, int]] = {}
    for line in read_lines(folder):
        series, fields, time = line.decode().rsplit(" ", 2)
        measurement, *tags = series.split(",")
        tag = dict(part.split("=", 1) for part in tags)
        if measurement == "waveform":
            key = ("waveform", tag["subject"], tag["device"], tag["channel"])
            points[key][int(time)] = int(fields[2:-1])
        elif measurement == "gap":
            gaps[f"{series} {time}"] = (tag["cause"], int(fields.split("i,")[0][10:]))
        elif measurement == "observation":
            key = (measurement, tag["subject"], tag["name"], tag["algorithm"])
            points[key][int(time)] = _value(fields)
        elif measurement == "reading":
            points[measurement, tag["subject"], tag["name"]][int(time)] = _value(fields)
    return _stored(points, gaps.values())


def _value(fields: str) -> float:
    return float(fields[6:].split(",", 1)[0]) if fields.startswith("value=") else float("nan")


def _stored(points: dict[tuple[str, ...], _Points], gaps: Iterable[tuple[str, int]]) -> Stored:
    stored = Stored()
    for (measurement, *key), series in points.items():
        if measurement == "waveform":
            subject, device, channel = key
            stored.samples[subject, device, channel] = _series(series)
        elif measurement == "observation":
            subject, name, algorithm = key
            stored.observations[subject, name, algorithm] = _series(series)
        else:
            subject, name = key
            stored.readings[subject, name] = _series(series)
    for cause, n_samples in gaps:
        stored.dropped[cause] += n_samples
    return stored


def _series(points: _Points) -> Series:
    times = sorted(points)
    return Series(
        np.array(times, dtype=np.int64), np.array([points[t] for t in times], dtype=np.float64)
    )


class InfluxReader:
    """InfluxQL over HTTP: the query language that 1.x, 2.x and 3.x all answer."""

    def __init__(self, url: str, database: str) -> None:
        self._url = url
        self._database = database

    def query(self, query: str) -> list[dict[str, Any]]:
        """Run a query; give its series as the server lists them.

        Raises
        ------
        OSError
            The server does not answer, or refuses the query: its words are in the message.
        """
        parameters = urllib.parse.urlencode({"db": self._database, "q": query, "epoch": "ns"})
        with urllib.request.urlopen(  # noqa: S310  # the URL is our own server's
            f"{self._url}/query?{parameters}", timeout=TIMEOUT_S
        ) as answer:
            result = json.load(answer)["results"][0]
        if "error" in result:
            raise OSError(f"{query}: {result['error']}")
        return list(result.get("series", []))

    def read(self) -> Stored:
        """Read everything."""
        points: dict[tuple[str, ...], _Points] = {}
        for row in self.query(
            f'SELECT "v" FROM {WAVEFORMS} GROUP BY "subject", "device", "channel"'
        ):
            tags = row["tags"]
            key = ("waveform", tags["subject"], tags["device"], tags["channel"])
            points[key] = dict(row["values"])
        for measurement, always, tags in (
            ("observation", "quality", ("subject", "name", "algorithm")),
            ("reading", "status", ("subject", "name")),
        ):
            groups = ", ".join(f'"{tag}"' for tag in tags)
            query = f'SELECT "value", "{always}" FROM "{measurement}" GROUP BY {groups}'
            for row in self.query(query):
                points[measurement, *(row["tags"][tag] for tag in tags)] = {
                    t: float("nan") if value is None else value for t, value, _ in row["values"]
                }
        gaps = [
            (row["tags"]["cause"], n_samples)
            for row in self.query(
                'SELECT "n_samples" FROM "gap" GROUP BY "cause", "device", "channel"'
            )
            for _, n_samples in row["values"]
        ]
        return _stored(points, gaps)
