"""The rules, judged by Prometheus' own tool: each alert fires on what it is for, and not before."""

import importlib
import json
import pkgutil
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import prometheus_client
import pytest
import yaml

import edge
import processors
from deploy.bench.extrapolation import UTILISATION
from deploy.local.prometheus import SETTINGS_FOLDER, promtool

RULES: Final = SETTINGS_FOLDER / "rules/chevet.yml"
DOCS: Final = Path("docs")
PAGE: Final = DOCS / "operations.md"

OTHERS_METRICS: Final = {
    "up",
    "process_cpu_seconds_total",
    "node_filesystem_avail_bytes",
    "node_filesystem_size_bytes",
}
"""Of Prometheus itself, of its Python client, and of node_exporter."""

JOBS: Final = {"worker", "sink", "live", "agent", "grafana-live", "recorder", "node"}


def all_rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in all_rules() if "alert" in rule}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Series as promtool has them, and when the alert is and is not there."""

    series: dict[str, str]
    quiet_s: int
    fires_s: int
    step_s: int = 1


WORKER: Final = 'job="worker",instance="w:9100"'
SINK: Final = 'job="sink",instance="s:9100"'
AGENT: Final = 'job="agent",instance="bed-12:9468"'


def up(labels: str) -> str:
    return f"up{{{labels}}}"


def chevet(name: str, labels: str) -> str:
    return f"chevet_{name}{{{labels}}}"


BUCKETS: Final = "processors_radio_to_{}_seconds_bucket"


def slow_after(name: str, labels: str, bound_s: str, s: int) -> dict[str, str]:
    """Four a second: all below a bound at first, then none."""
    below, above = f'{labels},le="{bound_s}"', f'{labels},le="+Inf"'
    name = BUCKETS.format(name)
    return {
        chevet(name, below): f"0+4x{s} {4 * s}+0x600",
        chevet(name, f'{labels},le="60"'): f"0+4x{s + 600}",
        chevet(name, above): f"0+4x{s + 600}",
    }


def counted_at(name: str, labels: str, s: int) -> dict[str, str]:
    """A counter that is first seen when it has something to count."""
    return {chevet(name, labels): f"_x{s} 1+0x1500"}


NODE: Final = 'job="node",instance="db:9100",mountpoint="/var"'
DAY_S: Final = 86_400

CASES: Final[dict[str, list[Case]]] = {
    "ChevetNoWorker": [
        Case(series={up(WORKER): "1+0x30 0+0x30"}, quiet_s=30, fires_s=31),
        Case(series={up(WORKER): "1+0x30 _x400"}, quiet_s=30, fires_s=400),
    ],
    "ChevetNoSink": [Case(series={up(SINK): "1+0x30 0+0x30"}, quiet_s=40, fires_s=42)],
    "ChevetNoLivePage": [
        Case(series={up('job="live",instance="l:1"'): "1+0x30 0+0x30"}, quiet_s=35, fires_s=37)
    ],
    "ChevetProcessDown": [
        Case(
            series={up(WORKER): "1+0x90", up('job="worker",instance="w:9101"'): "1+0x30 0+0x60"},
            quiet_s=45,
            fires_s=47,
        )
    ],
    "ChevetAgentUnreachable": [Case(series={up(AGENT): "1+0x30 0+0x60"}, quiet_s=60, fires_s=62)],
    "ChevetRoleNotReady": [
        Case(
            series={
                chevet("processors_ready", f'{WORKER},role="worker"'): "1+0x30 0+0x60",
                chevet("processors_ready", f'{SINK},role="sink-influx"'): "1+0x90",
            },
            quiet_s=50,
            fires_s=52,
        )
    ],
    "ChevetFramesNotProcessed": [
        Case(
            series={
                chevet("processors_frames_total", f'{WORKER},role="worker"'): "0+4x30 120+0x90",
                chevet("processors_frames_total", f'{SINK},role="sink-influx"'): "0+4x120",
            },
            quiet_s=60,
            fires_s=90,
        )
    ],
    "ChevetWorkersBehind": [
        Case(
            series={chevet("processors_lag_seconds", f'{WORKER},partition="3"'): "1+0x30 6+0x60"},
            quiet_s=60,
            fires_s=62,
        )
    ],
    "ChevetLagGrows": [
        Case(
            series={chevet("processors_lag_records", f'{WORKER},partition="3"'): "0+10x400"},
            quiet_s=219,
            fires_s=222,
        )
    ],
    "ChevetSlow": [
        Case(series=slow_after("observation", WORKER, "1", 60), quiet_s=60, fires_s=130)
    ],
    "ChevetStoredLate": [Case(series=slow_after("stored", SINK, "4", 60), quiet_s=60, fires_s=200)],
    "ChevetStoreAway": [
        Case(
            series={
                chevet("processors_store_retries_total", f'{SINK},store="influx"'): "0+0x30 0+1x60"
            },
            quiet_s=50,
            fires_s=53,
        )
    ],
    "ChevetStoreSlow": [
        Case(
            series={
                chevet("processors_store_waits_total", f'{SINK},store="influx"'): "0+0x60 0+1x900"
            },
            quiet_s=300,
            fires_s=500,
        )
    ],
    "ChevetCheckpointsOld": [
        Case(
            series={chevet("processors_checkpoint_age_seconds", WORKER): "10+0x30 61+1x60"},
            quiet_s=60,
            fires_s=62,
        )
    ],
    "ChevetOutboxFull": [
        Case(
            series={chevet("processors_outbox_records", WORKER): "10+0x30 1600+0x60"},
            quiet_s=60,
            fires_s=62,
        )
    ],
    "ChevetDeadLetters": [
        # The first of all, one of many, and the first after a restart.
        Case(
            series=counted_at(
                "processors_records_dead_lettered_total", f'{WORKER},role="worker"', 30
            ),
            quiet_s=29,
            fires_s=31,
        ),
        Case(
            series={
                chevet(
                    "processors_records_dead_lettered_total", f'{WORKER},role="worker"'
                ): "7+0x800 8+0x100"
            },
            quiet_s=799,
            fires_s=805,
        ),
        Case(
            series={
                chevet(
                    "processors_records_dead_lettered_total", f'{WORKER},role="worker"'
                ): "7+0x800 _x20 1+0x100"
            },
            quiet_s=799,
            fires_s=830,
        ),
    ],
    "ChevetRecordsGone": [
        Case(
            series={chevet("processors_records_gone_total", WORKER): "0+0x30 5+0x30"},
            quiet_s=30,
            fires_s=32,
        )
    ],
    "ChevetFramesMissing": [
        Case(
            series=counted_at(
                "processors_out_of_order_total", f'{WORKER},what="frames_missing"', 30
            ),
            quiet_s=29,
            fires_s=31,
        )
    ],
    "ChevetSubjectsEvicted": [
        Case(
            series={chevet("processors_subjects_evicted_total", WORKER): "0+0x30 1+0x30"},
            quiet_s=30,
            fires_s=32,
        )
    ],
    "ChevetPipelineFailed": [
        Case(
            series=counted_at("processors_subjects_rearmed_total", f'{WORKER},cause="failure"', 30),
            quiet_s=29,
            fires_s=31,
        )
    ],
    "ChevetSpoolGrows": [
        Case(series={chevet("edge_spool_frames", AGENT): "0+4x200"}, quiet_s=40, fires_s=42)
    ],
    "ChevetSpoolFills": [
        Case(
            series={chevet("edge_spool_bytes", AGENT): "1e6+0x30 11e8+0x100"},
            quiet_s=90,
            fires_s=92,
        )
    ],
    "ChevetSpoolGaveWay": [
        Case(
            series={chevet("edge_spool_frames_dropped", AGENT): "9+0x30 10+0x30"},
            quiet_s=30,
            fires_s=32,
        )
    ],
    "ChevetSpoolNotWritten": [
        Case(
            series={chevet("edge_spool_failures_total", AGENT): "0+0x30 1+0x30"},
            quiet_s=30,
            fires_s=32,
        )
    ],
    "ChevetUnaccounted": [
        Case(
            series={
                chevet(
                    "edge_ledger_unaccounted_samples", f'{AGENT},device="h10-a",channel="ecg"'
                ): "0+0x30 -4+0x100"
            },
            quiet_s=90,
            fires_s=92,
        )
    ],
    "ChevetAgentFault": [
        Case(
            series=counted_at("edge_device_faults_total", f'{AGENT},device="h10-a"', 30),
            quiet_s=29,
            fires_s=31,
        )
    ],
    "ChevetHostClockStepped": [
        Case(
            series={chevet("edge_host_clock_steps_total", AGENT): "0+0x30 1+0x30"},
            quiet_s=30,
            fires_s=32,
        )
    ],
    "ChevetAdapterAway": [
        Case(
            series={chevet("edge_adapter_usable", f'{AGENT},adapter="hci0"'): "1+0x30 0+0x100"},
            quiet_s=90,
            fires_s=92,
        )
    ],
    "ChevetDevicesWait": [
        Case(
            series={chevet("edge_devices_waiting", AGENT): "0+0x30 1+0x700"},
            quiet_s=630,
            fires_s=632,
        )
    ],
    "ChevetProcessNearlyFull": [
        Case(
            series={f"process_cpu_seconds_total{{{WORKER}}}": "0+0.5x300 150+0.9x1500"},
            quiet_s=800,
            fires_s=1500,
        )
    ],
    "ChevetDiskFills": [
        Case(
            series={
                # A gigabyte an hour, of seventy that are left after six hours.
                f"node_filesystem_avail_bytes{{{NODE}}}": "76e9+0x60 76e9-16666666x800"
            },
            quiet_s=3600,
            fires_s=12 * 3600,
            step_s=60,
        )
    ],
    "ChevetDiskNearlyFull": [
        Case(
            series={
                f"node_filesystem_avail_bytes{{{NODE}}}": "20e9+0x30 9e9+0x100",
                f"node_filesystem_size_bytes{{{NODE}}}": "100e9+0x130",
            },
            quiet_s=90,
            fires_s=92,
        )
    ],
}


def promtool_test(name: str, case: Case) -> dict[str, Any]:
    """Write a case as promtool reads it: the series of firing alerts is looked for."""
    firing = f'count(ALERTS{{alertname="{name}",alertstate="firing"}})'
    there = [{"labels": "{}", "value": 1}]
    return {
        "interval": f"{case.step_s}s",
        "input_series": [{"series": one, "values": text} for one, text in case.series.items()],
        "promql_expr_test": [
            {"expr": firing, "eval_time": f"{case.quiet_s}s", "exp_samples": []},
            {"expr": firing, "eval_time": f"{case.fires_s}s", "exp_samples": there},
        ],
    }


def rules_of(name: str, rules: Path) -> dict[str, Any]:
    """The rule of one alert, and those that record what it looks at."""
    groups = yaml.safe_load(rules.read_text("utf-8"))["groups"]
    (alert,) = [rule for group in groups for rule in group["rules"] if rule.get("alert") == name]
    recorded = [
        rule
        for group in groups
        for rule in group["rules"]
        if "record" in rule and rule["record"] in alert["expr"]
    ]
    return {"groups": [{"name": name, "rules": [*recorded, alert]}]}


def judge(folder: Path, rules: Path, cases: dict[str, list[Case]]) -> tuple[bool, str]:
    """Let promtool test the cases, each alert by itself."""
    files = []
    for name, some in cases.items():
        rule_file = folder / f"{name}.json"
        rule_file.write_text(json.dumps(rules_of(name, rules)), "utf-8")
        (step_s,) = {case.step_s for case in some}
        file = folder / f"{name}.test.json"
        content = {
            "rule_files": [str(rule_file)],
            "evaluation_interval": f"{step_s}s",
            "tests": [promtool_test(name, case) for case in some],
        }
        file.write_text(json.dumps(content), "utf-8")
        files.append(file)
    return promtool(["test", "rules", *files], folder)


def test_every_alert_fires_on_what_it_is_for_and_not_before(tmp_path: Path) -> None:
    good, said = judge(tmp_path, RULES, CASES)

    assert good, said


def test_every_alert_has_a_case() -> None:
    assert set(CASES) == set(alerts())


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("or vector(0)) == 0", ") == 0", "ChevetNoWorker"),
        ("lag_seconds:max > 5", "lag_seconds:max > 50", "ChevetWorkersBehind"),
        ("max(chevet_processors_lag_seconds)", "min(chevet_processors_lag)", "ChevetWorkersBehind"),
        ("for: 10s", "for: 10m", "ChevetNoSink"),
        ('role=~"sink-.*"', 'role="sink"', "ChevetFramesNotProcessed"),
        ("unless chevet", "and chevet", "ChevetDeadLetters"),
    ],
)
def test_a_rule_that_is_wrong_is_caught(tmp_path: Path, old: str, new: str, name: str) -> None:
    text = RULES.read_text("utf-8")
    assert old in text
    broken = tmp_path / "broken.yml"
    broken.write_text(text.replace(old, new), "utf-8")

    good, said = judge(tmp_path, broken, {name: CASES[name]})

    assert not good
    assert "FAILED" in said


def test_prometheus_takes_settings_and_rules(tmp_path: Path) -> None:
    config, said = promtool(["check", "config", str(SETTINGS_FOLDER / "prometheus.yml")], tmp_path)
    rules, more = promtool(["check", "rules", str(RULES)], tmp_path)

    assert config, said
    assert rules, more


def metric_modules() -> list[ModuleType]:
    return [
        importlib.import_module(found.name)
        for package in (edge, processors)
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if found.name.rpartition(".")[2].endswith("metrics")
    ]


def known_metrics() -> set[str]:
    """The names under which what we declare is scraped."""
    assert metric_modules()
    names = set()
    for family in prometheus_client.REGISTRY.collect():
        names |= {
            f"{family.name}{suffix}"
            for suffix in {
                "counter": ("_total",),
                "histogram": ("_bucket", "_sum", "_count"),
            }.get(family.type, ("",))
        }
    return {name for name in names if name.startswith("chevet_")}


def metrics_in(expression: str) -> set[str]:
    """The names in PromQL that are metrics: what stands before { or [ or alone, no function."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\b(by|without)\s*\([^)]*\)|\[[^\]]*\]", " ", bare)
    words = re.findall(r"(?<![\w.:])([a-zA-Z_][\w:]*)(?!\s*\(|[\w:])", bare)
    return set(words) - {"or", "and", "unless", "by", "offset", "bool", "sum", "max", "m"}


def test_every_metric_in_the_rules_is_one_that_there_is() -> None:
    recorded = {rule["record"] for rule in all_rules() if "record" in rule}
    used = set[str]().union(*(metrics_in(rule["expr"]) for rule in all_rules()))

    assert used - recorded - OTHERS_METRICS <= known_metrics()
    assert len(used) > 25
    assert recorded & used


def test_every_metric_in_the_documents_is_one_that_there_is() -> None:
    named = {
        (page.name, name)
        for page in DOCS.glob("*.md")
        for name in re.findall(r"\bchevet_(?:edge|processors)_\w+", page.read_text("utf-8"))
    }
    known = known_metrics()
    histograms = {name.removesuffix("_bucket") for name in known if name.endswith("_bucket")}

    assert [one for one in sorted(named) if one[1] not in known | histograms] == []
    assert named


def test_every_alert_says_what_it_is_and_what_to_do() -> None:
    page = PAGE.read_text("utf-8")
    runbooks = re.findall(r"^#### (Chevet\w+)$", page, re.MULTILINE)

    for name, rule in alerts().items():
        notes = rule["annotations"]
        assert set(notes) == {"summary", "description", "runbook_url"}, name
        assert rule["labels"]["severity"] in {"critical", "warning"}, name
        assert notes["runbook_url"] == f"docs/operations.md#{name.lower()}"
    assert sorted(runbooks) == sorted(alerts())


def test_jobs_in_the_rules_are_those_that_are_scraped() -> None:
    text = RULES.read_text("utf-8")

    named = {job for jobs in re.findall(r'job=~?"([^"]+)"', text) for job in jobs.split("|") if job}

    assert named <= JOBS


def test_a_process_is_nearly_full_where_sizing_says_so() -> None:
    assert alerts()["ChevetProcessNearlyFull"]["expr"] == f"chevet:cpu:rate5m > {UTILISATION}"
