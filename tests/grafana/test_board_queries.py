"""Every query of every board that asks InfluxDB, on a real one, with its variables filled in."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.grafana import alerting, files
from deploy.grafana.ward import ATTENTION
from deploy.local.influx import InfluxServer
from ingest.frame import NS_PER_S
from tests.grafana import demo_run
from tests.grafana.board_rules import Board, targets
from tests.grafana.demo_run import Run
from tests.grafana.viewer import Viewer

BOARDS: Final[dict[str, Board]] = {
    board.uid: json.loads(json.dumps(board.build())) for board in files.boards()
}
ASKING: Final = [name for name, board in BOARDS.items() if targets(board, "influxdb")]


@pytest.fixture(scope="module")
def run(influx_server: InfluxServer, chevet_data: Path) -> Run:
    return demo_run.run(influx_server, chevet_data)


def view(run: Run, name: str) -> Viewer:
    return Viewer(BOARDS[name], run.reader, run.end_ns, run.subject)


def test_the_boards_that_ask_influxdb_are_these() -> None:
    assert ASKING == ["bedside", "ward", "trends", "fleet"]


@pytest.mark.parametrize("name", ASKING)
def test_every_query_of_a_board_returns_rows(name: str, run: Run) -> None:
    viewer = view(run, name)

    rows: dict[str, int] = {}
    for panel, target in targets(BOARDS[name], "influxdb"):
        series = viewer.ask(panel, target)
        what = f"{panel['title']} {target['refId']}"
        rows[what] = sum(
            any(value is not None for value in row[1:]) for one in series for row in one["values"]
        )
    rows |= {f"variable {one}": len(options) for one, options in viewer.options.items()}

    print(f"\n{run.n_lines} points written; rows of each query: {json.dumps(rows, indent=1)}")
    empty = {what for what, n_rows in rows.items() if not n_rows}
    assert empty == set(), rows


@pytest.mark.parametrize("name", ASKING)
def test_a_table_has_one_frame_without_tags(name: str, run: Run) -> None:
    viewer = view(run, name)

    for panel, target in targets(BOARDS[name], "influxdb"):
        if panel["type"] == "table":
            series = viewer.ask(panel, target)
            assert len({tuple(one["columns"]) for one in series}) <= 1, panel["title"]
            assert not any("tags" in one for one in series), panel["title"]


def test_the_ward_has_a_row_for_each_subject_and_the_worst_is_first(run: Run) -> None:
    rows = _ward_rows(run)

    well, ill, silent = rows[run.subject], rows[run.ill], rows[run.silent]
    assert well["battery"] == 83.0
    assert well["spo2"] == 97.0
    assert (well["conditions"], well["away"]) == (1, 1)
    assert (ill["suspected"], ill["spo2"], ill["heart_rate"]) == (1, 82.0, 88.0)
    assert "heart_rate" not in silent
    assert {name: _attention(row) for name, row in rows.items()} == {
        run.ill: ATTENTION["suspected"] + ATTENTION["red"],
        run.silent: ATTENTION["silent"],
        run.subject: ATTENTION["conditions"] + ATTENTION["away"],
    }


def _ward_rows(run: Run) -> dict[str, dict[str, Any]]:
    """Do what the table's transformations do: one row for each subject, of all queries."""
    viewer = view(run, "ward")
    panel = viewer.panel("Subjects")
    rows: dict[str, dict[str, Any]] = {}
    for i_target in range(len(panel["targets"])):
        for one in viewer.dicts("Subjects", i_target=i_target):
            if one["subject"].startswith(run.subject):
                said = {name: value for name, value in one.items() if value is not None}
                rows.setdefault(one["subject"], {}).update(said)
    return rows


def _attention(row: dict[str, Any]) -> float:
    panel = next(one for one in BOARDS["ward"]["panels"] if one["title"].startswith("Subjects"))
    (added,) = [
        one["options"]["reduce"]["include"]
        for one in panel["transformations"]
        if one["id"] == "calculateField"
    ]
    return sum(float(row.get(name.removesuffix(" (lastNotNull)"), 0.0)) for name in added)


def test_a_process_that_is_silent_is_not_counted(run: Run) -> None:
    viewer = view(run, "fleet")

    there = [row for row in viewer.dicts("Processes") if row["instance"].startswith(run.subject)]
    now = [row for row in viewer.dicts("Agents: links") if row["instance"].startswith(run.subject)]

    assert [row["state"] for row in there] == ["ready", "ready"], there
    assert [row["instance"] for row in now] == [f"{run.subject}/{demo_run.AGENT}"]
    assert (now[0]["links_up"], now[0]["links_wanted"]) == (1.0, 2.0)


def test_a_silent_agent_raises_an_alert_and_the_others_do_not(run: Run) -> None:
    series = run.reader.query(alerting.SILENT_AGENTS)

    silent = {
        one["tags"]["instance"]: one["values"][-1][1]
        for one in series
        if one["tags"]["instance"].startswith(run.subject)
    }
    assert silent == {f"{run.subject}/{demo_run.AGENT}": 0, f"{run.silent}/{demo_run.AGENT}": 1}


def test_the_mean_of_the_trend_is_the_mean_of_the_minutes(run: Run) -> None:
    viewer = view(run, "trends")

    mean, least, greatest = (
        {t_ns: value for t_ns, value in viewer.rows("Heart rate", i_target=i) if value is not None}
        for i in range(3)
    )

    assert len(mean) >= demo_run.RUN_S // 60
    assert all(least[t_ns] <= mean[t_ns] <= greatest[t_ns] for t_ns in mean)
    assert all(60 < value < 130 for value in mean.values())
    shares = [row[1] for row in viewer.rows("Share of heart") if row[1] is not None]
    assert 0.9 < sum(shares) / len(shares) < 1.0


def test_the_envelope_in_millivolt_encloses_the_ecg(run: Run) -> None:
    bedside, trends = view(run, "bedside"), view(run, "trends")

    samples = [row[1] for row in bedside.rows("ECG, stored")]
    since_ns = run.end_ns - 10 * NS_PER_S
    for title in ("ECG envelope by 40 ms", "ECG envelope by seconds"):
        low, high = (
            [row[1] for row in trends.rows(title, i_target=i) if row[0] >= since_ns and row[1]]
            for i in range(2)
        )
        assert min(low) == pytest.approx(min(samples), abs=1e-9), title
        assert max(high) == pytest.approx(max(samples), abs=1e-9), title
