"""What must hold for the files that Grafana is provisioned with; each rule names what breaks it.

Source: the types of Grafana's provisioning (pkg/services/provisioning), which has no schema.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.grafana.board_rules import SOURCES

Files = Mapping[str, Any]
"""Contents by ``KIND/NAME``, as in the folder."""

ENVIRONMENT: Final = frozenset(
    {"INFLUX_URL", "INFLUX_DATABASE", "INFLUX_TOKEN", "PROMETHEUS_URL", "ALERT_WEBHOOK_URL"}
)
"""What Grafana's container is told."""

INTERVAL_S_MIN: Final = 10
"""Grafana judges no rule more often."""

KEYS: Final = {
    "rule": {
        "uid",
        "title",
        "condition",
        "for",
        "noDataState",
        "execErrState",
        "isPaused",
        "labels",
        "annotations",
        "data",
    },
    "group": {"orgId", "name", "folder", "interval", "rules"},
    "step": {"refId", "datasourceUid", "relativeTimeRange", "model"},
    "policy": {
        "orgId",
        "receiver",
        "group_by",
        "group_wait",
        "group_interval",
        "repeat_interval",
        "routes",
        "object_matchers",
    },
}
STATES: Final = {"noDataState": {"OK", "NoData", "Alerting"}, "execErrState": {"Error", "Alerting"}}
REDUCERS: Final = {"last", "max", "min", "mean", "sum", "count"}
COMPARISONS: Final = {"gt", "lt"}

_DURATION: Final = re.compile(r"(\d+)([smh])")
_LABEL: Final = re.compile(r"\$labels\.(\w+)")


def findings(files: Files) -> list[str]:
    """Name everything that breaks a rule."""
    return [
        *(f"{name}: no apiVersion" for name, one in files.items() if one.get("apiVersion") != 1),
        *_wrong_environment(files),
        *_wrong_sources(files),
        *_wrong_groups(files),
        *_wrong_receivers(files),
    ]


def _wrong_environment(files: Files) -> Iterator[str]:
    for name, content in files.items():
        for path, text in _texts(content):
            # Annotations and queries are templates of Grafana's, and are not expanded.
            if "annotations" in path or "model" in path:
                continue
            for variable in re.findall(r"\$\{?(\w+)\}?", text):
                if variable not in ENVIRONMENT:
                    yield f"{name}: nobody sets {variable}"


def _texts(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:  # noqa: ANN401
    if isinstance(content, str):
        yield path, content
    elif isinstance(content, list):
        for one in content:
            yield from _texts(one, path)
    elif isinstance(content, dict):
        for key, one in content.items():
            yield from _texts(one, (*path, key))


def _wrong_sources(files: Files) -> Iterator[str]:
    sources = [one for content in files.values() for one in content.get("datasources", [])]
    for kind, uid in SOURCES.items():
        if kind != "grafana" and (kind, uid) not in {(s["type"], s["uid"]) for s in sources}:
            yield f"no data source {uid} of type {kind}"
    if [source.get("isDefault") for source in sources].count(True) != 1:
        yield "not one default data source"
    for source in sources:
        if source.get("editable") or source["access"] != "proxy":
            yield f"{source['uid']}: can be changed, or is asked by browsers"


def _wrong_groups(files: Files) -> Iterator[str]:
    groups = [one for content in files.values() for one in content.get("groups", [])]
    rules = [rule for group in groups for rule in group["rules"]]
    uids = [rule["uid"] for rule in rules]
    for group in groups:
        yield from _unknown_keys("group", group, group["name"])
        if _seconds(group["interval"]) < INTERVAL_S_MIN:
            yield f"{group['name']}: judged every {group['interval']}"
        if len({rule["title"] for rule in group["rules"]}) < len(group["rules"]):
            yield f"{group['name']}: title given twice"
    for uid in uids:
        if uids.count(uid) > 1 or not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", uid):
            yield f"{uid}: uid given twice, or none"
    for rule in rules:
        yield from _wrong_rule(rule)


def _wrong_rule(rule: Any) -> Iterator[str]:  # noqa: ANN401
    where = rule["uid"]
    yield from _unknown_keys("rule", rule, where)
    for name, allowed in STATES.items():
        if rule.get(name) not in allowed:
            yield f"{where}: {name} {rule.get(name)}"
    if _seconds(rule.get("for", "")) % INTERVAL_S_MIN:
        yield f"{where}: for {rule.get('for')}, which is no number of rounds"
    for name in ("summary", "description"):
        if not rule["annotations"].get(name):
            yield f"{where}: no {name}"
    if rule["labels"].get("kind") != "technical":
        yield f"{where}: not said to be technical"
    if "Not a patient's alarm" not in rule["annotations"].get("description", ""):
        yield f"{where}: may be taken for a patient's alarm"
    yield from _wrong_steps(where, rule)


def _wrong_steps(where: str, rule: Any) -> Iterator[str]:  # noqa: ANN401
    seen: dict[str, Any] = {}
    for step in rule["data"]:
        yield from _unknown_keys("step", step, where)
        model = step["model"]
        if model.get("refId") != step["refId"] or step["refId"] in seen:
            yield f"{where}: refId {step['refId']} of {model.get('refId')}"
        if step["datasourceUid"] == "__expr__":
            yield from _wrong_expression(where, model, seen)
        else:
            yield from _wrong_question(where, step)
        seen[step["refId"]] = model
    if seen.get(rule["condition"], {}).get("type") != "threshold":
        yield f"{where}: condition {rule['condition']} judges nothing"
    yield from _wrong_labels(where, rule)


def _wrong_question(where: str, step: Any) -> Iterator[str]:  # noqa: ANN401
    if step["datasourceUid"] not in SOURCES.values():
        yield f"{where}: data source {step['datasourceUid']}"
    if step["relativeTimeRange"]["from"] <= step["relativeTimeRange"]["to"]:
        yield f"{where}: looks at no time"


def _wrong_labels(where: str, rule: Any) -> Iterator[str]:  # noqa: ANN401
    asked = rule["data"][0]["model"]
    query = asked.get("expr") or asked.get("query") or ""
    for label in _LABEL.findall(rule["annotations"].get("summary", "")):
        if not _gives(query, label):
            yield f"{where}: no label {label} in what is asked"


def _gives(query: str, label: str) -> bool:
    """Say whether the series of a query have a label."""
    grouped = re.search(r'\bby \(([^)]*)\)|GROUP BY (("\w+"(, )?)+)$', query)
    if grouped is None:
        return True
    return label in (grouped[1] or grouped[2]).replace('"', "").split(", ")


def _wrong_expression(where: str, model: Any, seen: Mapping[str, Any]) -> Iterator[str]:  # noqa: ANN401
    if model.get("expression") not in seen:
        yield f"{where}: {model['refId']} works on {model.get('expression')}"
    if model["type"] == "reduce" and model["reducer"] not in REDUCERS:
        yield f"{where}: reducer {model['reducer']}"
    if model["type"] == "threshold":
        for condition in model["conditions"]:
            evaluator = condition["evaluator"]
            if evaluator["type"] not in COMPARISONS or len(evaluator["params"]) != 1:
                yield f"{where}: compares by {evaluator}"


def _wrong_receivers(files: Files) -> Iterator[str]:
    points = [one for content in files.values() for one in content.get("contactPoints", [])]
    policies = [one for content in files.values() for one in content.get("policies", [])]
    names = {point["name"] for point in points}
    for point in points:
        if not point["receivers"]:
            yield f"{point['name']}: tells nobody"
    if len(policies) != 1:
        yield f"{len(policies)} trees of policies for one organisation"
    for policy in policies:
        for one in (policy, *policy.get("routes", [])):
            yield from _wrong_policy(one, names)


def _wrong_policy(policy: Any, names: set[str]) -> Iterator[str]:  # noqa: ANN401
    yield from _unknown_keys("policy", policy, "policy")
    if policy["receiver"] not in names:
        yield f"nobody is called {policy['receiver']}"
    for name in ("group_wait", "group_interval", "repeat_interval"):
        if not _DURATION.fullmatch(policy.get(name, "1s")):
            yield f"policy: {name} {policy[name]}"


def _unknown_keys(kind: str, one: Mapping[str, Any], where: str) -> Iterator[str]:
    for key in sorted(one.keys() - KEYS[kind]):
        yield f"{where}: unknown key {key}"


def _seconds(duration: str) -> int:
    found = _DURATION.fullmatch(duration)
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]] if found else -1
