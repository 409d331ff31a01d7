import json
import math
import re
from collections.abc import Iterator
from typing import Final

import pytest
from prometheus_client import REGISTRY
from prometheus_client.registry import Collector

import edge.links.link_metrics
import edge.metrics
import processors.metrics
from deploy.grafana import alerting, pipeline
from tests.grafana.board_rules import Board, targets
from tests.grafana.prometheus import QuickPrometheus, scraping

BOARD: Final[Board] = json.loads(json.dumps(pipeline.board().build()))
ASKED: Final = {
    f"{panel['title']} {target['refId']}": target for panel, target in targets(BOARD, "prometheus")
}
RULES: Final = {rule.uid: rule for rule in alerting.RULES if not rule.asks_influxdb}

OURS: Final = (processors.metrics, edge.metrics, edge.links.link_metrics)
FOREIGN: Final = frozenset(
    {
        "up",
        "process_resident_memory_bytes",
        "node_filesystem_avail_bytes",
        "node_filesystem_size_bytes",
    }
)
"""Metrics of Prometheus itself, of its client library and of its node exporter."""

QUIET: Final = frozenset({"chevet-disk"})
"""Rules without a series here: there is no node exporter."""

WINDOW_S: Final = 30


@pytest.fixture(scope="module")
def prometheus() -> Iterator[QuickPrometheus]:
    with scraping() as one:
        yield one


def test_every_panel_asks_prometheus() -> None:
    assert all("expr" in target for panel in BOARD["panels"] for target in panel["targets"])


@pytest.mark.parametrize("what", ASKED)
def test_every_metric_is_one_of_ours_with_its_labels(what: str) -> None:
    assert _unknown(ASKED[what]["expr"], ASKED[what]["legendFormat"]) == []


@pytest.mark.parametrize("uid", RULES)
def test_every_metric_of_a_rule_is_one_of_ours(uid: str) -> None:
    rule = RULES[uid]

    assert _unknown(rule.query, "") == []


@pytest.mark.parametrize(
    ("expr", "legend"),
    [
        ("sum(chevet_processors_frame_total)", ""),
        ("sum by (roles) (rate(chevet_processors_frames_total[1m]))", "{{role}}"),
        ("sum by (role) (rate(chevet_processors_frames_total[1m]))", "{{rolle}}"),
    ],
)
def test_a_misspelt_metric_or_label_is_caught(expr: str, legend: str) -> None:
    assert _unknown(expr, legend) != []


def _unknown(expr: str, legend: str) -> list[str]:
    """Name the metrics of an expression that nobody has, and the labels that these have not."""
    metrics = {
        sample: set(one._labelnames)
        for module in OURS
        for one in vars(module).values()
        if hasattr(one, "_labelnames")
        for sample in (*_samples(one), one._name)
    }
    bare = re.sub(r'\{[^}]*\}|"[^"]*"|\[\w+\]', "", expr)
    names = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", bare)) - {"histogram_quantile"}
    used = {name for name in names if name.startswith(("chevet_", "process_", "node_"))}
    unknown = sorted(used - set(metrics) - FOREIGN)
    labels = {"job", "instance", "le"}.union(*(metrics.get(name, set()) for name in used))
    asked = re.findall(r"\bby \(([^)]*)\)", expr)
    asked_labels = {part.strip() for group in asked for part in group.split(",")}
    asked_labels |= set(re.findall(r"\{\{(\w+)\}\}", legend))
    return unknown + sorted(asked_labels - labels)


def _samples(metric: Collector) -> list[str]:
    return [
        name
        for name in REGISTRY._get_names(metric)  # type: ignore[no-untyped-call]
        if not name.endswith("_created")
    ]


@pytest.mark.parametrize("what", ASKED)
def test_every_query_of_the_board_returns_numbers(what: str, prometheus: QuickPrometheus) -> None:
    target = ASKED[what]

    series = (
        prometheus.query(target["expr"])
        if target["instant"]
        else prometheus.query_range(target["expr"], WINDOW_S, 1.0)
    )

    values = [
        float(value)
        for one in series
        for _, value in one.get("values", [one.get("value")])
        if not math.isnan(float(value))
    ]
    assert values, series


@pytest.mark.parametrize("uid", RULES)
def test_every_rule_is_understood_and_judges_something(
    uid: str, prometheus: QuickPrometheus
) -> None:
    series = prometheus.query(RULES[uid].query)

    assert bool(series) != (uid in QUIET), series


def test_a_process_that_is_dead_is_seen(prometheus: QuickPrometheus) -> None:
    rule = RULES["chevet-process-down"]
    kind, limit = rule.is_bad

    bad = {
        one["metric"]["job"]
        for one in prometheus.query(rule.query)
        if kind == "lt" and float(one["value"][1]) < limit
    }
    (now,) = prometheus.query(ASKED["Processes that do not answer A"]["expr"])

    assert bad == {"sink"}
    assert float(now["value"][1]) == 1.0


def test_the_latency_is_what_was_observed(prometheus: QuickPrometheus) -> None:
    (p50, p99) = (
        float(prometheus.query(ASKED[f"Radio to store {ref}"]["expr"])[0]["value"][1])
        for ref in "AC"
    )

    assert p50 == pytest.approx(0.2, rel=0.12)
    assert p99 == pytest.approx(0.4, rel=0.12)
