"""What Grafana's server makes of a push: line protocol to the messages that its browsers get.

An imitation, written from what the server's Go code does, for there is no Grafana here:

* ``/api/live/push``: one table per measurement and request, in the form ``labels_column`` (the
  default): the columns ``labels`` and ``time``, then the fields as they first appear, those of a
  line in the order of their names. Numbers are float64. A field that a line lacks is null there. A
  string ``NaN`` is a null of a column of numbers. A value of another type than its column is null.
* The managed stream: a message has the schema where it differs from the one before, and always the
  data. Times are milliseconds, rounded down, the rest beside them (``nanos``).

``golden.json`` beside this file is what Go made of ``golden.lines``: the parser and the writer of
JSON were the modules that the server is built with (github.com/influxdata/line-protocol,
github.com/grafana/grafana-plugin-sdk-go), and between them stood the functions of its converter. A
test holds the imitation against it. What a browser makes of the messages is Grafana's own code, see
frames.cjs.

Source: grafana/grafana, pkg/services/live (telemetry/telegraf/convert.go, managedstream/runner.go);
grafana-plugin-sdk-go, data/frame_json.go.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final

from tests.sinks.line_protocol import Field, Point, parse

Message = dict[str, Any]

_NS_PER_MS: Final = 1_000_000
_SAMPLE: Final = re.compile(
    rb"([A-Za-z0-9_-]+) v=(-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?) ([0-9]+)"
)
_NUMBER: Final = ("number", "float64")
_TYPES: Final = {bool: ("boolean", "bool"), str: ("string", "string")}


class PushRefusedError(Exception):
    """The server would answer 500: the whole request is lost."""


class _Table:
    """The rows of one measurement in one request."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._labels: list[str] = []
        self._times_ns: list[int] = []
        self._types: dict[str, tuple[str, str]] = {}
        self._columns: dict[str, list[Field | None]] = {}

    def append(self, point: Point) -> None:
        n_before = len(self._labels)
        self._labels.append(", ".join(f"{key}={point.tags[key]}" for key in sorted(point.tags)))
        self._times_ns.append(point.t_ns)
        for name in sorted(point.fields):
            kind, value = _typed(point.fields[name])
            column = self._columns.setdefault(name, [])
            column += [None] * (n_before - len(column))
            is_alike = self._types.setdefault(name, kind) == kind
            column.append(value if is_alike else None)

    def message_parts(self) -> tuple[Message, Message]:
        """Give schema and data."""
        n_rows = len(self._labels)
        columns = [column + [None] * (n_rows - len(column)) for column in self._columns.values()]
        schema = {
            "name": self.name,
            "fields": [
                {"name": "labels", "type": "string", "typeInfo": {"frame": "string"}},
                {"name": "time", "type": "time", "typeInfo": {"frame": "time.Time"}},
                *(
                    {"name": name, "type": kind, "typeInfo": {"frame": frame, "nullable": True}}
                    for name, (kind, frame) in self._types.items()
                ),
            ],
        }
        times_ms = [t_ns // _NS_PER_MS for t_ns in self._times_ns]
        data: Message = {"values": [self._labels, times_ms, *columns]}
        nanos = [t_ns % _NS_PER_MS for t_ns in self._times_ns]
        if any(nanos):
            data["nanos"] = [None, nanos, *(None for _ in columns)]
        return schema, data


class GrafanaServer:
    """Remembers the schema of each channel, as the managed stream does."""

    def __init__(self) -> None:
        self._schemas: dict[str, str] = {}

    def push(self, body: bytes) -> Iterator[tuple[str, Message]]:
        """Give the messages of a request, each with its channel's path.

        Raises
        ------
        PushRefusedError
        """
        tables: dict[str, _Table] = {}
        for line in body.splitlines():
            try:
                point = _parse(line)
            except (AssertionError, ValueError, IndexError) as error:
                raise PushRefusedError(f"{line[:200]!r}: {error}") from error
            numbers = (value for value in point.fields.values() if isinstance(value, float))
            if not point.fields or not all(map(math.isfinite, numbers)):
                raise PushRefusedError(f"{line[:200]!r}: no field, or no number")
            tables.setdefault(point.measurement, _Table(point.measurement)).append(point)
        for name, table in tables.items():
            schema, data = table.message_parts()
            text = json.dumps(schema)
            is_same = self._schemas.get(name) == text
            self._schemas[name] = text
            yield name, {"data": data} if is_same else {"schema": schema, "data": data}


def _parse(line: bytes) -> Point:
    """Read a line; most are of one number, and quickly read."""
    sample = _SAMPLE.fullmatch(line)
    if sample is None:
        return parse(line)
    name, value, t_ns = sample.groups()
    return Point(name.decode(), {}, {"v": float(value)}, int(t_ns))


def _typed(value: Field) -> tuple[tuple[str, str], Field | None]:
    if value == "NaN":
        return _NUMBER, None
    kind = _TYPES.get(type(value), _NUMBER)
    return kind, float(value) if kind == _NUMBER and not isinstance(value, str) else value
