"""Grafana's dashboard model: one small function for each kind of thing on a board.

Source: ``Dashboard`` and the panels' options in the npm package @grafana/schema 13.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
JsonObject: TypeAlias = dict[str, Json]

DATASOURCE_UID: Final = "chevet-influxdb"
"""As provisioning/datasources/influxdb.yaml names it."""

DATASOURCE: Final[JsonObject] = {"type": "influxdb", "uid": DATASOURCE_UID}

NO_VALUE: Final = "---"

# Okabe and Ito's palette: to be told apart with every kind of colour vision.
SKY: Final = "#56B4E9"
ORANGE: Final = "#E69F00"
VERMILLION: Final = "#D55E00"
GREEN: Final = "#009E73"
YELLOW: Final = "#F0E442"
PURPLE: Final = "#CC79A7"
BLUE: Final = "#0072B2"
GREY: Final = "#999999"

COLOURS: Final = frozenset({SKY, ORANGE, VERMILLION, GREEN, YELLOW, PURPLE, BLUE, GREY})

Step = tuple[float | None, str]
"""From this value on, this colour; None: from minus infinity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a panel is on the grid of 24 columns; rows of 30 pixels."""

    x: int
    y: int
    w: int
    h: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What every panel has.

    Attributes
    ----------
    unit
        Grafana's identifier of the unit; ``string`` for words.
    window
        Relative range of its own in place of the board's; an absolute range counts for all.
    interval
        Shortest ``$__interval``.
    """

    title: str
    description: str
    place: Place
    unit: str
    window: str | None = None
    interval: str | None = None


def target(query: str, *, table: bool = False, alias: str = "") -> JsonObject:
    """Write an InfluxQL query."""
    written: JsonObject = {
        "refId": "A",
        "datasource": DATASOURCE,
        "rawQuery": True,
        "query": query,
        "resultFormat": "table" if table else "time_series",
    }
    return written | {"alias": alias} if alias else written


def thresholds(steps: Sequence[Step]) -> JsonObject:
    """Write colours by value, from the lowest on."""
    return {
        "mode": "absolute",
        "steps": [{"value": value, "color": colour} for value, colour in steps],
    }


def value_mapping(words: Mapping[str, tuple[str, str]]) -> JsonObject:
    """Write a text and a colour in the place of certain values."""
    return {
        "type": "value",
        "options": {
            value: {"index": index, "text": text, "color": colour}
            for index, (value, (text, colour)) in enumerate(words.items())
        },
    }


def no_value_mapping() -> JsonObject:
    """Write dashes in grey where there is no value: by default it has the lowest step's colour."""
    return {
        "type": "special",
        "options": {
            "match": "null+nan",
            "result": {"index": 0, "text": NO_VALUE, "color": GREY},
        },
    }


def trace(head: Head, query: JsonObject, *, colour: str, custom: JsonObject) -> JsonObject:
    """Build a panel with one line over time; where there is no sample there is no line."""
    line: JsonObject = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 0,
        "showPoints": "never",
        "spanNulls": False,
    }
    defaults: JsonObject = {
        "color": {"mode": "fixed", "fixedColor": colour},
        "noValue": NO_VALUE,
        "custom": line | custom,
    }
    options: JsonObject = {
        "legend": {
            "showLegend": False,
            "displayMode": "hidden",
            "placement": "bottom",
            "calcs": [],
        },
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return _panel("timeseries", head, query, defaults=defaults, options=options)


def stat(head: Head, query: JsonObject, *, decimals: int, steps: Sequence[Step]) -> JsonObject:
    """Build a numeral."""
    defaults: JsonObject = {
        "decimals": decimals,
        "noValue": NO_VALUE,
        "color": {"mode": "thresholds"},
        "thresholds": thresholds(steps),
        "mappings": [no_value_mapping()],
    }
    options: JsonObject = {
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "center",
        "textMode": "value",
        "wideLayout": False,
        "orientation": "auto",
        "percentChangeColorMode": "standard",
        "showPercentChange": False,
        "reduceOptions": {"calcs": ["last"], "fields": "", "values": False},
    }
    return _panel("stat", head, query, defaults=defaults, options=options)


def timeline(
    head: Head,
    query: JsonObject,
    *,
    mappings: Sequence[JsonObject] = (),
    steps: Sequence[Step] = ((None, GREY),),
) -> JsonObject:
    """Build bars of states over time, by value or by word."""
    defaults: JsonObject = {
        "noValue": NO_VALUE,
        "color": {"mode": "thresholds"},
        "thresholds": thresholds(steps),
        "mappings": mappings,
        "custom": {"fillOpacity": 80, "lineWidth": 0},
    }
    options: JsonObject = {
        "mergeValues": True,
        "showValue": "auto",
        "alignValue": "left",
        "rowHeight": 0.8,
        "legend": {
            "showLegend": False,
            "displayMode": "hidden",
            "placement": "bottom",
            "calcs": [],
        },
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return _panel("state-timeline", head, query, defaults=defaults, options=options)


def table(
    head: Head,
    query: JsonObject,
    *,
    hidden: Sequence[str] = (),
    coloured: Mapping[str, JsonObject] | None = None,
) -> JsonObject:
    """Build a table: its columns are the query's.

    Parameters
    ----------
    hidden
        Columns that are left out.
    coloured
        Mapping of the values of columns that are shown on a colour.
    """
    defaults: JsonObject = {
        "noValue": NO_VALUE,
        "color": {"mode": "thresholds"},
        "thresholds": thresholds(((None, GREY),)),
        "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False},
    }
    overrides: list[Json] = [
        {
            "matcher": {"id": "byName", "options": column},
            "properties": [
                {"id": "mappings", "value": [mapping]},
                {"id": "custom.cellOptions", "value": {"type": "color-text"}},
            ],
        }
        for column, mapping in (coloured or {}).items()
    ]
    options: JsonObject = {"showHeader": True, "cellHeight": "sm", "frameIndex": 0}
    panel = _panel("table", head, query, defaults=defaults, options=options, overrides=overrides)
    if hidden:
        panel["transformations"] = [
            {"id": "organize", "options": {"excludeByName": dict.fromkeys(hidden, True)}}
        ]
    return panel


def text(title: str, description: str, place: Place, markdown: str) -> JsonObject:
    """Build a panel of words."""
    return {
        "type": "text",
        "title": title,
        "description": description,
        "gridPos": _grid(place),
        "transparent": True,
        "options": {"mode": "markdown", "content": markdown},
    }


def variable(name: str, label: str, query: str, *, hidden: bool = False) -> JsonObject:
    """Write a choice that a query fills, anew at each refresh of the board."""
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": DATASOURCE,
        "query": query,
        "refresh": 2,
        "sort": 1,
        "hide": 2 if hidden else 0,
        "multi": False,
        "includeAll": False,
        "regex": "",
    }


def _panel(
    kind: str,
    head: Head,
    query: JsonObject,
    *,
    defaults: JsonObject,
    options: JsonObject,
    overrides: Sequence[Json] = (),
) -> JsonObject:
    panel: JsonObject = {
        "type": kind,
        "title": head.title,
        "description": head.description,
        "gridPos": _grid(head.place),
        "datasource": DATASOURCE,
        "targets": [query],
        "fieldConfig": {"defaults": {"unit": head.unit} | defaults, "overrides": overrides},
        "options": options,
    }
    if head.window is not None:
        panel["timeFrom"] = head.window
    if head.interval is not None:
        panel["interval"] = head.interval
    return panel


def _grid(place: Place) -> JsonObject:
    return {"x": place.x, "y": place.y, "w": place.w, "h": place.h}
