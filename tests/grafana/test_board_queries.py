"""Every query of every board that asks InfluxDB, on a real one, with its variables filled in."""

import copy
import json
from pathlib import Path
from typing import Final

import pytest

from deploy.grafana import alerting, files
from deploy.grafana.ward import ATTENTION
from deploy.local.influx import InfluxServer
from ingest.frame import NS_PER_S
from tests.grafana import demo_run, transformed
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
    rows = _n_rows(view(run, name))

    print(f"\n{run.n_lines} points written; rows of each query: {json.dumps(rows, indent=1)}")
    assert {what for what, n_rows in rows.items() if not n_rows} == set(), rows


def _n_rows(viewer: Viewer) -> dict[str, int]:
    """Count the rows with anything in them that each query and variable gets."""
    rows = {
        f"{panel['title']} {target['refId']}": sum(
            any(value is not None for value in row[1:])
            for one in viewer.ask(panel, target)
            for row in one["values"]
        )
        for panel, target in targets(viewer.board, "influxdb")
    }
    return rows | {f"variable {one}": len(options) for one, options in viewer.options.items()}


MUTANTS: Final = {
    "measurement": ("bedside", '"waveforms"."waveform"', '"waveforms"."waveforms"'),
    "retention policy": ("trends", '"envelopes"."envelope_25hz"', '"envelope"."envelope_25hz"'),
    "field": ("trends", 'mean("mean")', 'mean("average")'),
    "tag": ("ward", "\"name\" = 'battery_level'", "\"quantity\" = 'battery_level'"),
    "value of a tag": ("fleet", "\"role\" = 'agent'", "\"role\" = 'edge'"),
    "word": ("fleet", "SELECT", "SELEC"),
}


@pytest.mark.parametrize("what", MUTANTS)
def test_a_misspelt_query_is_caught(what: str, run: Run) -> None:
    name, right, wrong = MUTANTS[what]
    broken = copy.deepcopy(BOARDS[name])
    for _, target in targets(broken, "influxdb"):
        target["query"] = target["query"].replace(right, wrong)
    assert broken != BOARDS[name]

    try:
        rows = _n_rows(Viewer(broken, run.reader, run.end_ns, run.subject))
    except OSError:
        return
    assert not all(rows.values())


@pytest.mark.parametrize("name", ASKING)
def test_a_table_has_one_frame_without_tags(name: str, run: Run) -> None:
    viewer = view(run, name)

    for panel, target in targets(BOARDS[name], "influxdb"):
        if panel["type"] == "table":
            series = viewer.ask(panel, target)
            assert len({tuple(one["columns"]) for one in series}) <= 1, panel["title"]
            assert not any("tags" in one for one in series), panel["title"]


def test_the_ward_has_a_row_for_each_subject_and_attention_for_the_worst(run: Run) -> None:
    rows = {
        row["Subject"]: row
        for row in transformed.rows(view(run, "ward"), "Subjects")
        if row["Subject"].startswith(run.subject)
    }

    well, ill, silent = rows[run.subject], rows[run.ill], rows[run.silent]
    assert (well["SpO₂"], well["Battery"], well["Suspected"]) == (97.0, 83.0, None)
    assert (well["Conditions"], well["Devices away"]) == (1, 1)
    assert (ill["HR"], ill["SpO₂"], ill["Suspected"]) == (88.0, 82.0, 1)
    heard_ns = run.end_ns - demo_run.SILENT_S * NS_PER_S
    assert (silent["HR"], silent["Newest"]) == (None, heard_ns // 1_000_000)
    assert {name: row["Attention"] for name, row in rows.items()} == {
        run.ill: ATTENTION["suspected"] + ATTENTION["red"],
        run.silent: ATTENTION["silent"],
        run.subject: ATTENTION["conditions"] + ATTENTION["away"],
    }


@pytest.mark.parametrize(("name", "title"), [("ward", "Subjects"), ("fleet", "Agents: links")])
def test_the_columns_that_are_told_apart_are_there(name: str, title: str, run: Run) -> None:
    viewer = view(run, name)

    shown = transformed.rows(viewer, title)[0].keys()

    fields = viewer.panel(title)["fieldConfig"]["overrides"]
    assert {one["matcher"]["options"] for one in fields} <= shown
    assert not shown & {"Time", "time"}


def test_a_process_that_is_silent_is_not_counted(run: Run) -> None:
    viewer = view(run, "fleet")

    there = [row for row in viewer.dicts("Processes") if row["instance"].startswith(run.subject)]
    now = [row for row in viewer.dicts("Agents: links") if row["instance"].startswith(run.subject)]

    assert sorted(row["state"] for row in there) == ["ready", "ready", "stopping"], there
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
    # It warms up in the first minute, of which there may be a second only.
    assert shares[0] < 1.0
    assert 0.9 < sum(shares[1:]) / len(shares[1:]) < 1.0


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
