"""What must hold for every dashboard of ours; each rule names what breaks it."""

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from deploy.grafana.panels import COLOURS, DATASOURCE_UID

Board = dict[str, Any]

N_COLUMNS: Final = 24

BUILT_IN: Final = frozenset({"timeFilter", "__interval", "tag_name"})
"""What Grafana itself fills in."""

VARIABLE: Final = re.compile(r"\$(?:\{(\w+)(?::(\w+))?\}|(\w+))")


def findings(board: Board) -> list[str]:
    """Name everything that breaks a rule."""
    return [
        *_wrong_ids(board),
        *_wrong_places(board),
        *_wrong_variables(board),
        *_missing_words(board),
        *_wrong_datasources(board),
        *_wrong_colours(board),
        *_unbounded_queries(board),
    ]


def queries(board: Board) -> list[str]:
    """Give the texts of all queries of the panels."""
    return [target["query"] for panel in board["panels"] for target in panel.get("targets", [])]


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


def _wrong_variables(board: Board) -> Iterator[str]:
    known = set(BUILT_IN)
    for variable in board["templating"]["list"]:
        yield from _wrong_uses(f"variable {variable['name']}", variable["query"], known)
        known.add(variable["name"])
    for panel in board["panels"]:
        yield from _unknown_names(panel["title"], panel["title"], known)
        for target in panel.get("targets", []):
            yield from _wrong_uses(panel["title"], target["query"], known)
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
        elif how == "regex" and not (before.endswith("/^") and after.startswith("$/")):
            yield f"{where}: {name}:regex does not stand alone in /^…$/"


def _missing_words(board: Board) -> Iterator[str]:
    for panel in board["panels"]:
        if not panel.get("description"):
            yield f"{panel['title']}: no description"
        if panel["type"] != "text" and not panel["fieldConfig"]["defaults"].get("unit"):
            yield f"{panel['title']}: no unit"
    texts = " ".join(p["options"]["content"] for p in board["panels"] if p["type"] == "text")
    if "Not a primary alarm" not in texts:
        yield "nothing says 'Not a primary alarm'"


def _wrong_datasources(board: Board) -> Iterator[str]:
    for variable in board["templating"]["list"]:
        yield from _wrong_datasource(f"variable {variable['name']}", variable)
    for panel in board["panels"]:
        if panel["type"] == "text":
            continue
        for one in (panel, *panel["targets"]):
            yield from _wrong_datasource(panel["title"], one)


def _wrong_datasource(where: str, one: Board) -> Iterator[str]:
    if one.get("datasource") != {"type": "influxdb", "uid": DATASOURCE_UID}:
        yield f"{where}: data source {one.get('datasource')}"


def _wrong_colours(board: Board) -> Iterator[str]:
    for colour in sorted(set(re.findall(r'olor": "([^"]+)"', json.dumps(board)))):
        if colour not in COLOURS:
            yield f"colour {colour} is not of the palette"


def _unbounded_queries(board: Board) -> Iterator[str]:
    for query in queries(board):
        if "GROUP BY" not in query and "LIMIT" not in query and "last(" not in query:
            yield f"without a limit: {query}"
