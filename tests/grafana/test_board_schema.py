import copy
import json
from collections.abc import Callable
from typing import Final

import pytest

from deploy.grafana import files
from tests.grafana import grafana_schema
from tests.grafana.board_rules import KINDS, Board
from tests.grafana.grafana_schema import FOLDER, Schemas, findings

BOARDS: Final[dict[str, Board]] = {
    board.uid: json.loads(json.dumps(board.build())) for board in files.boards()
}


@pytest.fixture(scope="module")
def schemas(pytestconfig: pytest.Config) -> Schemas:
    assert pytestconfig.cache is not None
    return grafana_schema.load(pytestconfig.cache.mkdir("chevet"))


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_is_what_grafanas_types_say(name: str, schemas: Schemas) -> None:
    assert findings(BOARDS[name], schemas) == []


def test_every_kind_of_panel_has_a_schema() -> None:
    assert grafana_schema.OPTIONS.keys() == KINDS


def test_the_schema_is_of_the_grafana_that_is_run() -> None:
    compose = (files.FOLDER.parent / "compose.yaml").read_text(encoding="utf-8")
    versions = json.loads((FOLDER / "package.json").read_text())["dependencies"]

    assert f"image: grafana/grafana:{versions['@grafana/schema']}" in compose


def test_the_lock_file_names_no_registry_and_exact_versions() -> None:
    lock = (FOLDER / "package-lock.json").read_text(encoding="utf-8")
    versions = json.loads((FOLDER / "package.json").read_text())["dependencies"]

    assert "resolved" not in lock
    assert json.loads(lock)["packages"][""]["dependencies"] == versions
    assert not [version for version in versions.values() if not version[0].isdigit()]


Mutate = Callable[[Board], object]


def _first(board: Board, kind: str) -> Board:
    found: Board = next(one for one in board["panels"] if one["type"] == kind)
    return found


def _custom(board: Board, kind: str) -> Board:
    found: Board = _first(board, kind)["fieldConfig"]["defaults"]["custom"]
    return found


def _rename(one: Board, old: str, new: str) -> None:
    one[new] = one.pop(old)


MUTANTS: Final[dict[str, tuple[str, Mutate, str]]] = {
    "unknown key of a board": ("ward", lambda b: b.update(refreshh="1s"), "refreshh"),
    "word for a number": ("ward", lambda b: b.update(graphTooltip="yes"), "graphTooltip"),
    "misspelt targets": (
        "ward",
        lambda b: _rename(b["panels"][1], "targets", "targtes"),
        "targtes",
    ),
    "misspelt unit": (
        "ward",
        lambda b: b["panels"][1]["fieldConfig"]["defaults"].update(unitt="s"),
        "unitt",
    ),
    "thresholds without a list": (
        "ward",
        lambda b: b["panels"][1]["fieldConfig"]["defaults"]["thresholds"].update(steps={}),
        "steps",
    ),
    "place without a width": (
        "fleet",
        lambda b: b["panels"][1]["gridPos"].pop("w"),
        "'w' is a required property",
    ),
    "kind of a mapping": (
        "bedside",
        lambda b: _first(b, "stat")["fieldConfig"]["defaults"]["mappings"][0].update(type="word"),
        "mappings",
    ),
    "mode of a colour": (
        "bedside",
        lambda b: _first(b, "stat")["fieldConfig"]["defaults"]["color"].update(mode="rainbow"),
        "rainbow",
    ),
    "misspelt address": ("fleet", lambda b: _rename(b["links"][0], "url", "uri"), "uri"),
    "kind of a link": ("fleet", lambda b: b["links"][0].update(type="board"), "type"),
    "transformation without options": (
        "ward",
        lambda b: next(p for p in b["panels"] if "transformations" in p)["transformations"][0].pop(
            "options"
        ),
        "'options' is a required property",
    ),
    "override without a matcher": (
        "trends",
        lambda b: next(p for p in b["panels"] if p.get("fieldConfig", {}).get("overrides"))[
            "fieldConfig"
        ]["overrides"][0].pop("matcher"),
        "matcher",
    ),
    "colour mode of a stat": (
        "bedside",
        lambda b: _first(b, "stat")["options"].update(colorMode="bg"),
        "colorMode",
    ),
    "stat that reduces nothing": (
        "pipeline",
        lambda b: _first(b, "stat")["options"].pop("reduceOptions"),
        "reduceOptions",
    ),
    "misspelt interpolation": (
        "trends",
        lambda b: _rename(_custom(b, "timeseries"), "lineInterpolation", "lineInterpolaton"),
        "lineInterpolaton",
    ),
    "wavy line": (
        "trends",
        lambda b: _custom(b, "timeseries").update(lineInterpolation="wavy"),
        "lineInterpolation",
    ),
    "override that a line does not have": (
        "trends",
        lambda b: _first(b, "timeseries")["fieldConfig"]["overrides"][0]["properties"].append(
            {"id": "custom.fillBelow", "value": "least"}
        ),
        "fillBelow",
    ),
    "cell of a table": (
        "fleet",
        lambda b: _custom(b, "table")["cellOptions"].update(type="colour"),
        "cellOptions",
    ),
    "height of a table's cell": (
        "fleet",
        lambda b: _first(b, "table")["options"].update(cellHeight="small"),
        "cellHeight",
    ),
    "value of a timeline": (
        "pipeline",
        lambda b: _first(b, "state-timeline")["options"].update(showValue="sometimes"),
        "showValue",
    ),
    "mode of a text": (
        "ward",
        lambda b: _first(b, "text")["options"].update(mode="md"),
        "mode",
    ),
    "kind of a variable": (
        "trends",
        lambda b: b["templating"]["list"][0].update(type="querry"),
        "querry",
    ),
    "refresh of a variable": (
        "trends",
        lambda b: b["templating"]["list"][0].update(refresh=7),
        "refresh",
    ),
    "no such panel": (
        "fleet",
        lambda b: b["panels"][1].update(type="statt"),
        "no schema for a panel",
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_what_grafanas_types_do_not_have_is_caught(mutant: str, schemas: Schemas) -> None:
    name, mutate, words = MUTANTS[mutant]
    broken = copy.deepcopy(BOARDS[name])

    mutate(broken)

    assert any(words in finding for finding in findings(broken, schemas)), findings(broken, schemas)
