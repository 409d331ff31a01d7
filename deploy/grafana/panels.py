"""One small function for each kind of panel on our boards.

Source: the panels' options and field settings in the npm package @grafana/schema 13.
"""

from collections.abc import Sequence
from typing import Final

from deploy.grafana.model import (
    GREY,
    NO_VALUE,
    PLAIN,
    Column,
    Head,
    JsonObject,
    Place,
    Step,
    colours_by_ending,
    no_value_mapping,
    thresholds,
)
from deploy.grafana.targets import LIVE_POINTS_MAX

_LINE: Final[JsonObject] = {
    "drawStyle": "line",
    "lineInterpolation": "linear",
    "lineWidth": 1,
    "fillOpacity": 0,
    "showPoints": "never",
    "spanNulls": False,
}

_NO_LEGEND: Final[JsonObject] = {
    "showLegend": False,
    "displayMode": "hidden",
    "placement": "bottom",
    "calcs": [],
}
_LEGEND: Final[JsonObject] = {
    "showLegend": True,
    "displayMode": "list",
    "placement": "bottom",
    "calcs": [],
}


def lines(
    head: Head,
    *targets: JsonObject,
    colour: str | None = None,
    columns: Sequence[Column] = (),
    custom: JsonObject | None = None,
    legend: bool = False,
) -> JsonObject:
    """Build a panel of lines over time; where there is no sample there is no line.

    Parameters
    ----------
    colour
        Of all lines; None: each has one of its own, by `columns` or by its name.
    """
    defaults: JsonObject = {
        "color": {"mode": "fixed", "fixedColor": colour or GREY},
        "noValue": NO_VALUE,
        "custom": _LINE | (custom or {}),
    }
    options: JsonObject = {
        "legend": _LEGEND if legend else _NO_LEGEND,
        "tooltip": {"mode": "multi" if legend else "single", "sort": "none"},
    }
    overrides = [column.override for column in columns]
    if colour is None and not any(column.colour for column in columns):
        overrides = colours_by_ending()
    return _panel("timeseries", head, targets, defaults, options, overrides)


def live_trace(head: Head, target: JsonObject, *, colour: str, custom: JsonObject) -> JsonObject:
    """Build a panel of one line that grows as samples are pushed to Grafana."""
    panel = lines(head, target, colour=colour, custom=custom)
    return panel | {"maxDataPoints": LIVE_POINTS_MAX}


def stat(
    head: Head,
    target: JsonObject,
    *,
    decimals: int,
    steps: Sequence[Step],
    absent: tuple[str, str] = (NO_VALUE, GREY),
) -> JsonObject:
    """Build a numeral.

    Parameters
    ----------
    absent
        Text and colour where there is no value.
    """
    defaults: JsonObject = {
        "decimals": decimals,
        "noValue": absent[0],
        "color": {"mode": "thresholds"},
        "thresholds": thresholds(steps),
        "mappings": [no_value_mapping(*absent)],
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
    return _panel("stat", head, (target,), defaults, options)


def timeline(
    head: Head,
    *targets: JsonObject,
    mappings: Sequence[JsonObject] = (),
    steps: Sequence[Step] = PLAIN,
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
        "legend": _NO_LEGEND,
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return _panel("state-timeline", head, targets, defaults, options)


def table(
    head: Head,
    *targets: JsonObject,
    columns: Sequence[Column] = (),
    hidden: Sequence[str] = (),
    sorted_by: tuple[str, bool] | None = None,
) -> JsonObject:
    """Build a table: its columns are the query's.

    Parameters
    ----------
    hidden
        Columns that are left out.
    sorted_by
        A column's title, and whether the greatest comes first.
    """
    defaults: JsonObject = {
        "noValue": NO_VALUE,
        "color": {"mode": "thresholds"},
        "thresholds": thresholds(PLAIN),
        "mappings": [no_value_mapping()],
        "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False},
    }
    options: JsonObject = {"showHeader": True, "cellHeight": "sm", "frameIndex": 0}
    if sorted_by is not None:
        title, descending = sorted_by
        options["sortBy"] = [{"displayName": title, "desc": descending}]
    overrides = [column.override for column in columns]
    panel = _panel("table", head, targets, defaults, options, overrides)
    if not hidden:
        return panel
    excluded: JsonObject = dict.fromkeys(hidden, True)
    return panel | {"transformations": [{"id": "organize", "options": {"excludeByName": excluded}}]}


def text(description: str, place: Place, markdown: str) -> JsonObject:
    """Build a panel of words."""
    return {
        "type": "text",
        "title": "",
        "description": description,
        "gridPos": place.grid,
        "transparent": True,
        "options": {"mode": "markdown", "content": markdown},
    }


def _panel(
    kind: str,
    head: Head,
    targets: Sequence[JsonObject],
    defaults: JsonObject,
    options: JsonObject,
    overrides: Sequence[JsonObject] = (),
) -> JsonObject:
    panel: JsonObject = {
        "type": kind,
        "title": head.title,
        "description": head.description,
        "gridPos": head.place.grid,
        "datasource": targets[0]["datasource"],
        "targets": targets,
        "fieldConfig": {
            "defaults": {"unit": head.unit} | defaults,
            "overrides": overrides,
        },
        "options": options,
    }
    if head.window is not None:
        panel["timeFrom"] = head.window
    if head.interval is not None:
        panel["interval"] = head.interval
    return panel
