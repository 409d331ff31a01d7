import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from deploy.grafana import __main__ as command
from deploy.grafana import files
from deploy.grafana.model import COLOURS, colours_by_ending
from tests.grafana.board_rules import Board, findings, targets

OKABE_ITO: Final = {"#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"}

BOARDS: Final[dict[str, Board]] = {
    board.uid: json.loads(json.dumps(board.build())) for board in files.boards()
}


def test_the_boards_are_those_that_were_asked_for() -> None:
    assert list(BOARDS) == ["bedside", "ward", "trends", "fleet", "pipeline"]
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS)
    clinical = [name for name, board in BOARDS.items() if "clinical" in board["tags"]]
    assert clinical == ["bedside", "ward", "trends"]


def test_the_committed_files_are_what_the_code_builds() -> None:
    old = files.named(files.outdated(files.rendered()))

    assert old == [], "run: python -m deploy.grafana"


def test_the_command_writes_what_is_old_and_takes_away_what_is_left_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    monkeypatch.setattr(files, "DASHBOARDS", tmp_path / "dashboards")
    monkeypatch.setattr(files, "PROVISIONING", tmp_path / "provisioning")

    assert command.main(["--check"]) == 1
    assert command.main([]) == 0
    (tmp_path / "dashboards/icu.json").write_text("{}")
    (tmp_path / "dashboards/ward.json").write_text("{}")
    capsys.readouterr()

    assert command.main(["--check"]) == 1
    assert capsys.readouterr().out == "old: dashboards/icu.json\nold: dashboards/ward.json\n"
    assert command.main([]) == 0
    assert not (tmp_path / "dashboards/icu.json").exists()
    assert command.main(["--check"]) == 0


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_keeps_every_rule(name: str) -> None:
    assert findings(BOARDS[name]) == []


@pytest.mark.parametrize("name", BOARDS)
def test_a_link_leads_to_a_board_that_is_there(name: str) -> None:
    text = json.dumps(BOARDS[name])

    for uid in {part.split("/")[0] for part in text.split('"/d/')[1:]}:
        assert uid in {board["uid"] for board in BOARDS.values()}


def test_the_ward_leads_to_the_bedside_of_the_row() -> None:
    (panel,) = [one for one in BOARDS["ward"]["panels"] if one["title"].startswith("Subjects")]

    links = [
        one["value"][0]["url"]
        for override in panel["fieldConfig"]["overrides"]
        for one in override["properties"]
        if one["id"] == "links"
    ]

    assert links == ["/d/chevet-bedside/bedside?var-subject=${__value.raw:percentencode}"]
    assert "subject" in {one["name"] for one in BOARDS["bedside"]["templating"]["list"]}


def test_the_endings_of_names_share_the_colours_out() -> None:
    rules = re.findall(r'"options": "(/[^"]+/i)"', json.dumps(colours_by_ending()))
    names = ["worker", "sink-influx", "0", "1", "2", "127.0.0.1:9100", "127.0.0.1:9101", "agent-A"]

    found = {
        name: [i for i, rule in enumerate(rules) if re.search(rule[1:-2], name, re.IGNORECASE)]
        for name in names
    }

    assert len(rules) == len(OKABE_ITO)
    assert {len(one) for one in found.values()} == {1}
    assert found["0"] != found["1"] != found["2"]


def test_the_palette_is_okabe_and_itos_and_a_grey() -> None:
    assert {"#999999", *OKABE_ITO} == COLOURS


# Mutants: of every board that has what they spoil.

Mutate = Callable[[Board], object]


def _first(board: Board, kind: str) -> Board:
    found: Board = next(one for one in board["panels"] if one["type"] == kind)
    return found


def _asking(board: Board, source: str) -> Board:
    panel, _ = targets(board, source)[0]
    return panel


def _replace(board: Board, old: str, new: str) -> None:
    """Replace a text in the first query that has it."""
    for _, target in targets(board, "influxdb"):
        if old in target["query"]:
            target["query"] = target["query"].replace(old, new)
            return
    raise AssertionError(f"no query has {old}")


def _steps_of(board: Board) -> list[Board]:
    panel = next(
        one
        for one in board["panels"]
        if one["type"] != "text" and "thresholds" in one["fieldConfig"]["defaults"]
    )
    steps: list[Board] = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    return steps


EVERY_BOARD: Final[dict[str, tuple[Mutate, str]]] = {
    "id twice": (lambda b: b["panels"][3].update(id=1), "panel id given twice"),
    "no id": (lambda b: b["panels"][3].pop("id"), "without an id"),
    "panel over another": (
        lambda b: b["panels"][2]["gridPos"].update(b["panels"][1]["gridPos"]),
        "lies over",
    ),
    "panel too wide": (lambda b: b["panels"][1]["gridPos"].update(w=30), "beyond the 24"),
    "panel too low": (lambda b: b["panels"][-1]["gridPos"].update(h=2), "a hole of"),
    "panel gone": (lambda b: b["panels"].pop(4), "a hole of"),
    "query twice": (
        lambda b: b["panels"][1]["targets"].append(b["panels"][1]["targets"][0]),
        "refId given twice",
    ),
    "no such panel": (lambda b: b["panels"][1].update(type="statt"), "no kind of panel"),
    "no such query": (
        lambda b: b["panels"][1]["targets"][0].update(queryType="measurement"),
        "no kind of query",
    ),
    "no query": (
        lambda b: b["panels"][1]["targets"][0].update(query="", expr=""),
        "asks nothing",
    ),
    "misspelt variable in a title": (
        lambda b: b["panels"][1].update(title="ECG $ecg_devise"),
        "unknown variable ecg_devise",
    ),
    "no description": (lambda b: b["panels"][4].pop("description"), "no description"),
    "no unit": (
        lambda b: b["panels"][4]["fieldConfig"]["defaults"].pop("unit"),
        "no unit",
    ),
    "nothing for no value": (
        lambda b: b["panels"][4]["fieldConfig"]["defaults"].pop("noValue"),
        "where there is no value",
    ),
    "data source of another name": (
        lambda b: b["panels"][4]["datasource"].update(uid="influx"),
        "data source",
    ),
    "target without a data source": (
        lambda b: b["panels"][4]["targets"][0].pop("datasource"),
        "data source None",
    ),
    "red and green": (lambda b: _steps_of(b)[0].update(color="red"), "colour red"),
    "colours of Grafana's": (
        lambda b: b["panels"][-1]["fieldConfig"]["defaults"].update(
            color={"mode": "palette-classic"}
        ),
        "colours of palette-classic",
    ),
    "a numeral of any age": (
        lambda b: _first(b, "stat")["targets"][0].update(
            query='SELECT last("value") FROM "observation"', instant=False
        ),
        "of any age",
    ),
    "too often": (lambda b: b.update(refresh="100ms"), "asks every"),
}


@pytest.mark.parametrize("mutant", EVERY_BOARD)
@pytest.mark.parametrize("name", BOARDS)
def test_a_broken_board_is_caught(name: str, mutant: str) -> None:
    _assert_caught(name, *EVERY_BOARD[mutant])


SOME_BOARDS: Final[dict[str, tuple[tuple[str, ...], Mutate, str]]] = {
    "misspelt variable": (
        ("bedside", "trends"),
        lambda b: _replace(b, "${subject:regex}", "${subjet:regex}"),
        "unknown variable subjet",
    ),
    "misspelt tag in an alias": (
        ("bedside", "ward", "fleet"),
        lambda b: _asking(b, "influxdb")["targets"][0].update(alias="$tag_nam"),
        "unknown variable tag_nam",
    ),
    "variable used before it is filled": (
        ("bedside", "trends"),
        lambda b: b["templating"]["list"].reverse(),
        "unknown variable subject",
    ),
    "variable that nobody uses": (
        ("bedside", "trends"),
        lambda b: b["templating"]["list"].append(
            b["templating"]["list"][0] | {"name": "ward", "query": "SHOW TAG VALUES"}
        ),
        "variable ward is not used",
    ),
    "variable with another data source": (
        ("bedside", "trends"),
        lambda b: b["templating"]["list"][0]["datasource"].update(uid="influx"),
        "variable subject: data source",
    ),
    "number escaped as a regular expression": (
        ("bedside", "trends"),
        lambda b: _replace(b, "${ecg_mv_per_count:raw}", "$ecg_mv_per_count"),
        "without :regex or :raw",
    ),
    "part of a subject": (
        ("bedside", "trends"),
        lambda b: _replace(b, "/^${subject:regex}$/", "/${subject:regex}/"),
        "does not stand alone",
    ),
    "no warning": (
        ("bedside", "ward", "trends"),
        lambda b: _first(b, "text")["options"].update(content="Bedside"),
        "Not a primary alarm",
    ),
    "colours as if they were limits": (
        ("bedside", "ward", "fleet", "pipeline"),
        lambda b: [one.update(description="A number.") for one in b["panels"]],
        "look like alarm limits",
    ),
    "all samples of a day": (
        ("bedside", "ward", "trends", "fleet"),
        lambda b: _asking(b, "influxdb")["targets"][0].update(query='SELECT "v" FROM "waveform"'),
        "without a limit",
    ),
    "channel that Live refuses": (
        ("bedside",),
        lambda b: _asking(b, "grafana")["targets"][0].update(channel="stream/chevet/a b"),
        "no channel of Grafana Live",
    ),
    "channel of a subject that nobody chose": (
        ("bedside",),
        lambda b: _asking(b, "grafana")["targets"][0].update(
            channel="stream/chevet/${patient}_ecg"
        ),
        "unknown variable patient",
    ),
    "two seconds of a live trace": (
        ("bedside",),
        lambda b: _asking(b, "grafana").pop("maxDataPoints"),
        "keeps None points",
    ),
    "live numeral that stays": (
        ("bedside",),
        lambda b: _asking(b, "grafana").update(type="stat"),
        "stays when the pushing ends",
    ),
}


@pytest.mark.parametrize(
    ("name", "mutant"),
    [(name, mutant) for mutant, (names, _, _) in SOME_BOARDS.items() for name in names],
)
def test_a_board_broken_in_what_only_some_have_is_caught(name: str, mutant: str) -> None:
    _, mutate, words = SOME_BOARDS[mutant]

    _assert_caught(name, mutate, words)


def _assert_caught(name: str, mutate: Mutate, words: str) -> None:
    broken = copy.deepcopy(BOARDS[name])

    mutate(broken)

    assert any(words in finding for finding in findings(broken)), findings(broken)
