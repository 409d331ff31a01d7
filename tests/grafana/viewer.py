"""Fills in a board's variables and asks, as Grafana does."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from deploy.readback import InfluxReader
from tests.grafana.board_rules import VARIABLE, Board

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds(window: str) -> int:
    return int(window[:-1]) * SECONDS[window[-1]]


class Viewer:
    """Looks at a board at one moment, at a subject where it has a choice of them.

    Source: Grafana's InfluxDB data source (public/app/plugins/datasource/influxdb, and
    pkg/tsdb/influxdb/models/query.go for the time filter), and ``escapeRegex`` of its variables.
    """

    def __init__(self, board: Board, reader: InfluxReader, end_ns: int, subject: str) -> None:
        self.board = board
        self._reader = reader
        self._end_ns = end_ns
        self.values = {"subject": subject}
        self.options: dict[str, list[str]] = {}
        for variable in board["templating"]["list"]:
            options = self._options_of(variable)
            self.options[variable["name"]] = options
            self.values.setdefault(variable["name"], options[0] if options else "")

    def panel(self, title: str) -> Board:
        """Find the panel whose title begins so."""
        found: Board = next(one for one in self.board["panels"] if one["title"].startswith(title))
        return found

    def ask(self, panel: Board, target: Board, interval: str | None = None) -> list[Board]:
        """Ask what a panel asks; its own least interval, or 1 s, is Grafana's unless told."""
        window_s = seconds(panel.get("timeFrom", self._span))
        return self._ask(target["query"], window_s, interval or panel.get("interval", "1s"))

    def rows(self, title: str, interval: str | None = None, *, i_target: int = 0) -> list[Any]:
        """Give the rows that a panel gets."""
        panel = self.panel(title)
        series = self.ask(panel, panel["targets"][i_target], interval)
        return [row for one in series for row in one["values"]]

    def dicts(self, title: str, *, i_target: int = 0) -> list[dict[str, Any]]:
        """Give the rows that a panel gets, with the columns' names."""
        panel = self.panel(title)
        return [
            dict(zip(one["columns"], row, strict=True)) | one.get("tags", {})
            for one in self.ask(panel, panel["targets"][i_target])
            for row in one["values"]
        ]

    @property
    def _span(self) -> str:
        return str(self.board["time"]["from"]).removeprefix("now-")

    def _options_of(self, variable: Board) -> list[str]:
        series = self._ask(variable["query"], seconds(self._span), "1s")
        rows = series[0]["values"] if series else []
        return sorted({_written(row[1]) for row in rows if row[1] is not None})

    def _ask(self, query: str, window_s: int, interval: str) -> list[Board]:
        end_ms = self._end_ns // 1_000_000
        built_in = {
            "timeFilter": f"time >= {end_ms - window_s * 1000}ms and time <= {end_ms}ms",
            "__interval": interval,
        }
        return self._reader.query(filled(query, self.values, built_in))


def filled(text: str, values: Mapping[str, str], built_in: Mapping[str, str]) -> str:
    """Put values in the place of variables."""

    def fill(use: re.Match[str]) -> str:
        name, how, short = use.groups()
        if short:
            return built_in[short]
        value = values[name]
        return re.sub(r"[\\^$*+?.()|\[\]{}/]", r"\\\g<0>", value) if how == "regex" else value

    return VARIABLE.sub(fill, text)


def _written(value: object) -> str:
    """Write a value as JavaScript does."""
    return np.format_float_positional(value, trim="-") if isinstance(value, float) else str(value)
