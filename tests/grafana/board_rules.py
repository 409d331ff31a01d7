"""What must hold for every dashboard of ours; each rule names what breaks it."""

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from deploy.grafana.dashboard import CLINICAL
from deploy.grafana.model import COLOURS
from deploy.grafana.targets import INFLUX_UID, LIVE_POINTS_MAX, PROMETHEUS_UID

Board = dict[str, Any]

N_COLUMNS: Final = 24

BUILT_IN: Final = frozenset({"timeFilter", "__interval", "tag_name", "__value"}) | {
    f"tag_{tag}" for tag in ("subject", "device", "instance", "algorithm")
}
"""What Grafana itself fills in."""

VARIABLE: Final = re.compile(r"\$(?:\{(\w+)(?:\.\w+)?(?::(\w+))?\}|(\w+))")

CHANNEL: Final = re.compile(r"stream/[A-Za-z0-9_-]+/[A-Za-z0-9_-]+")
"""Of Grafana Live, as the sink writes it."""

KINDS: Final = frozenset({"stat", "state-timeline", "table", "text", "timeseries"})
QUERY_TYPES: Final[Mapping[str, frozenset[str | None]]] = {
    "influxdb": frozenset({None}),
    "prometheus": frozenset({None}),
    "grafana": frozenset({"measurements"}),
}
"""By data source; ``measurements`` is Grafana's word for a channel of Live."""

COLOUR_MODES: Final = frozenset({"fixed", "thresholds"})

SOURCES: Final = {
    "influxdb": INFLUX_UID,
    "prometheus": PROMETHEUS_UID,
    "grafana": "grafana",
}

N_STEPS_JUDGING: Final = 3
"""A panel with so many steps of colour is read as if it judged."""


def findings(board: Board) -> list[str]:
    """Name everything that breaks a rule."""
    return [
        *_wrong_ids(board),
        *_wrong_kinds(board),
        *_wrong_places(board),
        *_wrong_variables(board),
        *_missing_words(board),
        *_wrong_datasources(board),
        *_wrong_channels(board),
        *_wrong_colours(board),
        *_unbounded_queries(board),
        *_timeless_numerals(board),
        *_wrong_refresh(board),
    ]


def targets(board: Board, source: str) -> list[tuple[Board, Board]]:
    """Give each panel with each of its targets that ask this kind of data source."""
    return [
        (panel, target)
        for panel in board["panels"]
        for target in panel.get("targets", [])
        if target.get("datasource", {}).get("type") == source
    ]


def _asked(target: Board) -> str:
    """Give what a target asks, in whatever language."""
    return str(target.get("query") or target.get("expr") or target.get("channel") or "")


def _wrong_ids(board: Board) -> Iterator[str]:
    ids = [panel.get("id") for panel in board["panels"]]
    if not all(isinstance(one, int) and one > 0 for one in ids):
        yield f"panel without an id: {ids}"
    if len(set(ids)) < len(ids):
        yield f"panel id given twice: {ids}"
    for panel in board["panels"]:
        names = [target["refId"] for target in panel.get("targets", [])]
        if len(set(names)) < len(names):
            yield f"{panel['title']}: refId given twice"


def _wrong_kinds(board: Board) -> Iterator[str]:
    for panel in board["panels"]:
        if panel["type"] not in KINDS:
            yield f"{panel['title']}: no kind of panel: {panel['type']}"
        for target in panel.get("targets", []):
            source = target.get("datasource", {}).get("type")
            if target.get("queryType") not in QUERY_TYPES.get(source, {None}):
                yield f"{panel['title']}: no kind of query: {target.get('queryType')}"
            if not _asked(target):
                yield f"{panel['title']}: asks nothing"


def _wrong_places(board: Board) -> Iterator[str]:
    taken: dict[tuple[int, int], str] = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        if place["x"] < 0 or place["x"] + place["w"] > N_COLUMNS:
            yield f"{panel['title']}: beyond the {N_COLUMNS} columns"
        cells = itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        )
        others = {taken.setdefault(cell, panel["title"]) for cell in cells} - {panel["title"]}
        for other in sorted(others):
            yield f"{panel['title']} lies over {other}"
    bottom = max(place["y"] + place["h"] for place in (p["gridPos"] for p in board["panels"]))
    holes = set(itertools.product(range(N_COLUMNS), range(bottom))) - set(taken)
    if holes:
        yield f"a hole of {len(holes)} cells, at {min(holes)}"


def _wrong_variables(board: Board) -> Iterator[str]:
    known = set(BUILT_IN)
    for variable in board["templating"]["list"]:
        yield from _wrong_uses(f"variable {variable['name']}", variable["query"], known)
        known.add(variable["name"])
    for panel in board["panels"]:
        yield from _unknown_names(panel["title"], panel["title"], known)
        for target in panel.get("targets", []):
            if "query" in target:
                yield from _wrong_uses(panel["title"], target["query"], known)
            yield from _unknown_names(panel["title"], target.get("channel", ""), known)
            yield from _unknown_names(panel["title"], target.get("alias", ""), known)
    used = VARIABLE.findall(json.dumps(board))
    for unused in sorted(known - BUILT_IN - {name or short for name, _, short in used}):
        yield f"variable {unused} is not used"


def _unknown_names(where: str, text: str, known: set[str]) -> Iterator[str]:
    for name, _, short in VARIABLE.findall(text):
        if (name or short) not in known:
            yield f"{where}: unknown variable {name or short}"


def _wrong_uses(where: str, query: str, known: set[str]) -> Iterator[str]:
    yield from _unknown_names(where, query, known)
    for use in VARIABLE.finditer(query):
        name, how, short = use.groups()
        if (name or short) in BUILT_IN:
            continue
        before, after = query[: use.start()], query[use.end() :]
        if how not in {"regex", "raw"}:
            yield f"{where}: {name or short} without :regex or :raw"
        elif how == "regex" and not (
            before.endswith("/^") and after.startswith(("$/", r"\/"))  # the whole, or up to a slash
        ):
            yield f"{where}: {name}:regex does not stand alone in /^…$/"


def _missing_words(board: Board) -> Iterator[str]:
    for panel in board["panels"]:
        if not panel.get("description"):
            yield f"{panel['title']}: no description"
        if panel["type"] == "text":
            continue
        defaults = panel["fieldConfig"]["defaults"]
        if not defaults.get("unit"):
            yield f"{panel['title']}: no unit"
        if not defaults.get("noValue"):
            yield f"{panel['title']}: says nothing where there is no value"
        if _judges(panel) and "no alarm limits" not in panel.get("description", ""):
            yield f"{panel['title']}: colours that look like alarm limits"
    texts = " ".join(p["options"]["content"] for p in board["panels"] if p["type"] == "text")
    if CLINICAL in board["tags"] and "Not a primary alarm" not in texts:
        yield "nothing says 'Not a primary alarm'"


def _judges(panel: Board) -> bool:
    """Say whether a panel has more colours than one by the height of a value."""
    fields = panel["fieldConfig"]
    found = [fields["defaults"].get("thresholds", {"steps": []})]
    found += [
        one["value"]
        for override in fields["overrides"]
        for one in override["properties"]
        if one["id"] == "thresholds"
    ]
    return any(len(one["steps"]) >= N_STEPS_JUDGING for one in found)


def _wrong_datasources(board: Board) -> Iterator[str]:
    for variable in board["templating"]["list"]:
        yield from _wrong_datasource(f"variable {variable['name']}", variable)
    for panel in board["panels"]:
        if panel["type"] == "text":
            continue
        for one in (panel, *panel["targets"]):
            yield from _wrong_datasource(panel["title"], one)


def _wrong_datasource(where: str, one: Board) -> Iterator[str]:
    source = one.get("datasource") or {}
    if SOURCES.get(source.get("type", "")) != source.get("uid", ""):
        yield f"{where}: data source {one.get('datasource')}"


def _wrong_channels(board: Board) -> Iterator[str]:
    for panel, target in targets(board, "grafana"):
        channel = VARIABLE.sub("subject-1", target["channel"])
        if not CHANNEL.fullmatch(channel):
            yield f"{panel['title']}: no channel of Grafana Live: {channel}"
        if panel.get("maxDataPoints") != LIVE_POINTS_MAX:
            yield f"{panel['title']}: keeps {panel.get('maxDataPoints')} points of a channel"
        if "time" not in target.get("filter", {}).get("fields", []):
            yield f"{panel['title']}: takes no time from the channel"


def _wrong_colours(board: Board) -> Iterator[str]:
    for mode in sorted(set(re.findall(r'olor": \{"mode": "([^"]+)"', json.dumps(board)))):
        if mode not in COLOUR_MODES:
            yield f"colours of {mode}: Grafana's own, not to be told apart by everybody"
    for colour in sorted(set(re.findall(r'olor": "([^"]+)"', json.dumps(board)))):
        if colour not in COLOURS:
            yield f"colour {colour} is not of the palette"


def _unbounded_queries(board: Board) -> Iterator[str]:
    for _, target in targets(board, "influxdb"):
        query = target["query"]
        if "GROUP BY" not in query and "LIMIT" not in query and "last(" not in query:
            yield f"without a limit: {query}"


def _timeless_numerals(board: Board) -> Iterator[str]:
    """A numeral must not outlive its value, whatever the range of the board."""
    for panel, target in targets(board, "influxdb"):
        if panel["type"] == "stat" and not re.search(r"time > now\(\) - \d+s", target["query"]):
            yield f"{panel['title']}: shows a value of any age"
    for panel, target in targets(board, "prometheus"):
        if panel["type"] == "stat" and not target["instant"]:
            yield f"{panel['title']}: shows a value of any age"
    for panel, _ in targets(board, "grafana"):
        if panel["type"] != "timeseries":
            yield f"{panel['title']}: what is pushed stays when the pushing ends"


def _wrong_refresh(board: Board) -> Iterator[str]:
    allowed = board["timepicker"]["refresh_intervals"]
    if board["refresh"] not in allowed or any(one.endswith("ms") for one in allowed):
        yield f"asks every {board['refresh']}, and may every {allowed}"
