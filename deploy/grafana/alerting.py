"""Grafana's alert rules: technical ones, for who keeps the system. Never a patient's alarm.

Grafana judges every ten seconds at best and says so later: what concerns a person's life must not
hang on it. The rules ask Prometheus how the processes are, and InfluxDB whether the agents, which
may be on machines that Prometheus does not reach, still say that they live.

Source: Grafana's documentation, *Use configuration files to provision alerting resources*.
"""

from dataclasses import dataclass
from typing import Final, Literal

from deploy.grafana.model import Json, JsonObject
from deploy.grafana.provisioning import BOARDS_FOLDER, ORG_ID
from deploy.grafana.targets import INFLUX_UID, PROMETHEUS_UID, influx, prometheus

INTERVAL_S: Final = 10
"""How often the rules are judged: Grafana's least."""

RECEIVER: Final = "chevet-technical"

SILENT_S: Final = 15
KNOWN_S: Final = 86_400
"""An agent that was silent for longer was taken away, and is not missed any more."""

_EXPRESSIONS: Final[JsonObject] = {"type": "__expr__", "uid": "__expr__"}

NoData = Literal["OK", "Alerting", "NoData"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition of the system that somebody has to look at.

    Attributes
    ----------
    uid
        At most 40 characters of ``[a-zA-Z0-9_-]``.
    query
        PromQL of this moment, or InfluxQL with one series for each thing that is judged.
    is_bad
        Comparison of each series with a limit: ``gt`` or ``lt``.
    for_s
        So long it has to hold.
    no_data
        What it means that there is no series at all.
    severity
        ``critical``: numbers do not come, or data are lost. ``warning``: they will be.
    """

    uid: str
    title: str
    summary: str
    to_do: str
    query: str
    is_bad: tuple[Literal["gt", "lt"], float]
    for_s: int
    board: str
    severity: Literal["critical", "warning"]
    no_data: NoData = "OK"
    asks_influxdb: bool = False


def _agents_within(age_s: int, sign: str) -> str:
    return (
        f'(SELECT count("state"){sign} AS "one" FROM (SELECT last("state") AS "state" FROM '
        f'"role_status" WHERE "role" = \'agent\' AND time > now() - {age_s}s '
        'GROUP BY "instance") WHERE "state" != \'stopping\' GROUP BY "instance")'
    )


SILENT_AGENTS: Final = (
    f'SELECT sum("one") AS "silent" FROM {_agents_within(KNOWN_S, "")}, '
    f'{_agents_within(SILENT_S, " * -1")} GROUP BY "instance"'
)
"""1 for each agent that was heard within a day and not of late, 0 for each of the others; none for
those that said that they were stopping."""

RULES: Final = (
    Rule(
        uid="chevet-agent-silent",
        title="An agent is silent",
        summary=f"Agent {{{{ $labels.instance }}}} has said nothing for {SILENT_S} s.",
        to_do="Is its host up, and does it reach the broker? `chevet edge status` on the host.",
        query=SILENT_AGENTS,
        is_bad=("gt", 0),
        for_s=0,
        board="fleet",
        severity="critical",
        asks_influxdb=True,
    ),
    Rule(
        uid="chevet-worker-down",
        title="A worker is down",
        summary="Worker {{ $labels.instance }} does not answer.",
        to_do="Its supervisor starts it again; if it does not stay, read its log.",
        query='up{job="worker"}',
        is_bad=("lt", 1),
        for_s=0,
        board="pipeline",
        severity="critical",
        no_data="Alerting",
    ),
    Rule(
        uid="chevet-process-down",
        title="A process is down",
        summary="{{ $labels.job }} {{ $labels.instance }} does not answer.",
        to_do="Its supervisor starts it again; if it does not stay, read its log.",
        query='up{job!~"worker|prometheus"}',
        is_bad=("lt", 1),
        for_s=INTERVAL_S,
        board="pipeline",
        severity="critical",
    ),
    Rule(
        uid="chevet-role-not-ready",
        title="A role is not ready",
        summary="{{ $labels.role }} {{ $labels.instance }} runs and does not work.",
        to_do="Is the broker there? A rebalance that hangs ends when the process is restarted.",
        query="chevet_processors_ready",
        is_bad=("lt", 1),
        for_s=60,
        board="pipeline",
        severity="warning",
    ),
    Rule(
        uid="chevet-lag",
        title="Numbers come late",
        summary="Partition {{ $labels.partition }} is {{ $values.A.Value }} s behind.",
        to_do="More workers, or a faster machine; after an outage it falls by itself.",
        query="max by (partition) (chevet_processors_lag_seconds)",
        is_bad=("gt", 10),
        for_s=30,
        board="pipeline",
        severity="warning",
    ),
    Rule(
        uid="chevet-store-waits",
        title="The sink waits for the store",
        summary="{{ $labels.store }} takes less than there is; records wait in Kafka.",
        to_do="Is InfluxDB up, and its disk fast and not full? Kafka keeps it for days.",
        query=(
            "sum by (store) (increase(chevet_processors_store_waits_total[1m])) + "
            "sum by (store) (increase(chevet_processors_store_retries_total[1m]))"
        ),
        is_bad=("gt", 0),
        for_s=30,
        board="pipeline",
        severity="warning",
    ),
    Rule(
        uid="chevet-dead-letters",
        title="Dead letters grow",
        summary="{{ $labels.role }} refused {{ $values.A.Value }} records within five minutes.",
        to_do="`chevet dead-letters list --summary` says what and why.",
        query="sum by (role) (increase(chevet_processors_records_dead_lettered_total[5m]))",
        is_bad=("gt", 0),
        for_s=0,
        board="pipeline",
        severity="warning",
    ),
    Rule(
        uid="chevet-spool-grows",
        title="An agent's spool grows",
        summary="{{ $labels.instance }}: {{ $values.A.Value }} Frames wait for the broker, more by "
        "the minute.",
        to_do="Is the broker there, and does the agent reach it? Spooled Frames are not lost until "
        "the spool is full or too old.",
        query="chevet_edge_spool_frames > 40 and deriv(chevet_edge_spool_frames[2m]) > 0",
        is_bad=("gt", 0),
        for_s=60,
        board="fleet",
        severity="warning",
    ),
    Rule(
        uid="chevet-spool-fails",
        title="An agent's disk refuses Frames",
        summary="{{ $labels.instance }} could not store {{ $values.A.Value }} Frames at once.",
        to_do="Is the disk full, or worn out? Half a million samples stay in memory meanwhile.",
        query="increase(chevet_edge_spool_failures_total[5m])",
        is_bad=("gt", 0),
        for_s=0,
        board="fleet",
        severity="critical",
    ),
    Rule(
        uid="chevet-disk",
        title="A disk is nearly full",
        summary="{{ $labels.instance }} {{ $labels.mountpoint }}: less than a tenth is free.",
        to_do="Shorten a retention, or add space. Needs Prometheus' node exporter on each host.",
        query=(
            'node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs|overlay|squashfs"} / '
            'node_filesystem_size_bytes{fstype!~"tmpfs|ramfs|overlay|squashfs"}'
        ),
        is_bad=("lt", 0.1),
        for_s=60,
        board="fleet",
        severity="warning",
    ),
)


def alerting_files() -> dict[str, JsonObject]:
    """Give the files of the rules, of who is told, and of when, by name."""
    return {"rules": _rules(), "contact_points": _contact_points(), "policies": _policies()}


def _rules() -> JsonObject:
    group: JsonObject = {
        "orgId": ORG_ID,
        "name": "chevet-technical",
        "folder": BOARDS_FOLDER,
        "interval": f"{INTERVAL_S}s",
        "rules": [_rule(rule) for rule in RULES],
    }
    return {"apiVersion": 1, "groups": [group]}


def _rule(rule: Rule) -> JsonObject:
    return {
        "uid": rule.uid,
        "title": rule.title,
        "condition": "C",
        "for": f"{rule.for_s}s",
        "noDataState": rule.no_data,
        # Who cannot be asked may be dead: that is for somebody to look at, too.
        "execErrState": "Alerting",
        "isPaused": False,
        "labels": {"severity": rule.severity, "kind": "technical"},
        "annotations": {
            "summary": rule.summary,
            "description": f"{rule.to_do} Not a patient's alarm.",
            "board": f"/d/chevet-{rule.board}",
        },
        "data": _steps(rule),
    }


def _steps(rule: Rule) -> list[JsonObject]:
    if rule.asks_influxdb:
        asked = _step("A", INFLUX_UID, influx(rule.query, alias="$tag_instance"), KNOWN_S)
        one: JsonObject = {"type": "reduce", "expression": "A", "reducer": "last"}
        return [asked, _expression("B", one), _judged("B", rule)]
    asked = _step("A", PROMETHEUS_UID, prometheus(rule.query, now=True), 600)
    return [asked, _judged("A", rule)]


def _judged(of: str, rule: Rule) -> JsonObject:
    kind, limit = rule.is_bad
    conditions: list[Json] = [{"evaluator": {"type": kind, "params": [limit]}}]
    return _expression("C", {"type": "threshold", "expression": of, "conditions": conditions})


def _expression(ref: str, model: JsonObject) -> JsonObject:
    of_all: JsonObject = {"refId": ref, "datasource": _EXPRESSIONS}
    return _step(ref, "__expr__", of_all | model, 0)


def _step(ref: str, source_uid: str, model: JsonObject, from_s: int) -> JsonObject:
    return {
        "refId": ref,
        "datasourceUid": source_uid,
        "relativeTimeRange": {"from": from_s, "to": 0},
        "model": model,
    }


def _contact_points() -> JsonObject:
    receiver: JsonObject = {
        "uid": "chevet-webhook",
        "type": "webhook",
        "settings": {"url": "${ALERT_WEBHOOK_URL}", "httpMethod": "POST"},
        "disableResolveMessage": False,
    }
    point: JsonObject = {"orgId": ORG_ID, "name": RECEIVER, "receivers": [receiver]}
    return {"apiVersion": 1, "contactPoints": [point]}


def _policies() -> JsonObject:
    """All to one receiver; what is critical sooner, and more often again."""
    policy: JsonObject = {
        "orgId": ORG_ID,
        "receiver": RECEIVER,
        "group_by": ["alertname"],
        "group_wait": "10s",
        "group_interval": "1m",
        "repeat_interval": "4h",
        "routes": [
            {
                "receiver": RECEIVER,
                "object_matchers": [["severity", "=", "critical"]],
                "group_wait": "1s",
                "repeat_interval": "30m",
            }
        ],
    }
    return {"apiVersion": 1, "policies": [policy]}
