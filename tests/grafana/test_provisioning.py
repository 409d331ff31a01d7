import copy
import functools
from collections.abc import Callable
from typing import Any, Final

import pytest
import yaml

from deploy.grafana import alerting, files, provisioning
from tests.grafana.provisioning_rules import ENVIRONMENT, Files, findings


@functools.cache
def load() -> dict[str, Any]:
    """Read the committed files as Grafana does."""
    return {
        f"{path.parent.name}/{path.stem}": yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in sorted(files.PROVISIONING.rglob("*.yaml"))
    }


def test_the_files_keep_every_rule() -> None:
    assert findings(load()) == []


def test_there_is_a_file_for_everything() -> None:
    assert list(load()) == [
        "alerting/contact_points",
        "alerting/policies",
        "alerting/rules",
        "dashboards/chevet",
        "datasources/influxdb",
        "datasources/prometheus",
    ]


def test_influxdb_is_read_with_influxql_and_a_token() -> None:
    (source,) = load()["datasources/influxdb"]["datasources"]

    assert source["jsonData"]["version"] == "InfluxQL"
    assert source["jsonData"]["httpHeaderName1"] == "Authorization"
    assert source["secureJsonData"] == {"httpHeaderValue1": "Token ${INFLUX_TOKEN}"}


def test_the_boards_cannot_be_changed_by_hand() -> None:
    (provider,) = load()["dashboards/chevet"]["providers"]

    assert not provider["allowUiUpdates"]
    assert provider["disableDeletion"]
    assert provider["folder"] == "Chevet"
    assert provider["options"]["path"] == provisioning.BOARDS_PATH
    assert not any(board.build()["editable"] for board in files.boards())


def test_there_is_a_rule_for_everything_that_was_asked_for() -> None:
    uids = {rule.uid for rule in alerting.RULES}

    assert {
        "chevet-agent-silent",
        "chevet-worker-down",
        "chevet-lag",
        "chevet-store-waits",
        "chevet-dead-letters",
        "chevet-spool-grows",
        "chevet-disk",
    } <= uids


def test_who_cannot_be_asked_raises_an_alert() -> None:
    rules = load()["alerting/rules"]["groups"][0]["rules"]

    assert {rule["execErrState"] for rule in rules} == {"Alerting"}
    silent = {rule["uid"] for rule in rules if rule["noDataState"] == "Alerting"}
    assert silent == {"chevet-worker-down"}  # none at all: nothing is computed


def test_the_page_names_every_board_rule_and_variable() -> None:
    page = (files.FOLDER.parent.parent / "docs/grafana.md").read_text(encoding="utf-8")

    assert [one.title for one in files.boards() if f"| {one.title} |" not in page] == []
    assert [rule.uid for rule in alerting.RULES if f"| `{rule.uid}` |" not in page] == []
    assert [name for name in ENVIRONMENT if f"`{name}`" not in page] == []


Mutate = Callable[[Any], object]


def _rule(content: Files, uid: str = "chevet-lag") -> Any:  # noqa: ANN401
    (group,) = content["alerting/rules"]["groups"]
    return next(rule for rule in group["rules"] if rule["uid"] == uid)


MUTANTS: Final[dict[str, tuple[Mutate, str]]] = {
    "no version": (lambda f: f["alerting/rules"].pop("apiVersion"), "no apiVersion"),
    "variable that nobody sets": (
        lambda f: f["datasources/influxdb"]["datasources"][0].update(url="${INFLUXDB_URL}"),
        "nobody sets INFLUXDB_URL",
    ),
    "data source gone": (
        lambda f: f["datasources/prometheus"].update(datasources=[]),
        "no data source chevet-prometheus",
    ),
    "data source of another name": (
        lambda f: f["datasources/influxdb"]["datasources"][0].update(uid="influx"),
        "no data source chevet-influxdb",
    ),
    "two defaults": (
        lambda f: f["datasources/prometheus"]["datasources"][0].update(isDefault=True),
        "not one default",
    ),
    "asked by browsers": (
        lambda f: f["datasources/prometheus"]["datasources"][0].update(access="direct"),
        "asked by browsers",
    ),
    "judged each second": (
        lambda f: f["alerting/rules"]["groups"][0].update(interval="1s"),
        "judged every 1s",
    ),
    "uid twice": (lambda f: _rule(f).update(uid="chevet-disk"), "uid given twice"),
    "uid too long": (lambda f: _rule(f).update(uid="c" * 41), "uid given twice, or none"),
    "title twice": (lambda f: _rule(f).update(title="A worker is down"), "title given twice"),
    "misspelt key": (lambda f: _rule(f).update(annotation={}), "unknown key annotation"),
    "state that is none": (lambda f: _rule(f).update(noDataState="Ok"), "noDataState Ok"),
    "half a round": (lambda f: _rule(f).update({"for": "15s"}), "no number of rounds"),
    "no unit": (lambda f: _rule(f).update({"for": "30"}), "no number of rounds"),
    "no description": (lambda f: _rule(f)["annotations"].pop("description"), "no description"),
    "patient's alarm": (
        lambda f: _rule(f)["annotations"].update(description="Heart rate too high."),
        "taken for a patient's alarm",
    ),
    "clinical": (lambda f: _rule(f)["labels"].update(kind="clinical"), "technical"),
    "condition that is none": (lambda f: _rule(f).update(condition="D"), "judges nothing"),
    "works on nothing": (
        lambda f: _rule(f)["data"][1]["model"].update(expression="B"),
        "C works on B",
    ),
    "other refId": (lambda f: _rule(f)["data"][0].update(refId="B"), "refId B of A"),
    "other data source": (
        lambda f: _rule(f)["data"][0].update(datasourceUid="prometheus"),
        "data source prometheus",
    ),
    "no time": (
        lambda f: _rule(f)["data"][0]["relativeTimeRange"].update({"from": 0}),
        "looks at no time",
    ),
    "no such reducer": (
        lambda f: _rule(f, "chevet-agent-silent")["data"][1]["model"].update(reducer="newest"),
        "reducer newest",
    ),
    "no such comparison": (
        lambda f: _rule(f)["data"][1]["model"]["conditions"][0]["evaluator"].update(type="above"),
        "compares by",
    ),
    "label that no series has": (
        lambda f: _rule(f)["annotations"].update(summary="{{ $labels.worker }} is late."),
        "no label worker",
    ),
    "nobody to tell": (
        lambda f: f["alerting/policies"]["policies"][0].update(receiver="ops"),
        "nobody is called ops",
    ),
    "route to nobody": (
        lambda f: f["alerting/policies"]["policies"][0]["routes"][0].update(receiver="ops"),
        "nobody is called ops",
    ),
    "empty contact point": (
        lambda f: f["alerting/contact_points"]["contactPoints"][0].update(receivers=[]),
        "tells nobody",
    ),
    "duration that is none": (
        lambda f: f["alerting/policies"]["policies"][0].update(group_wait="10"),
        "group_wait 10",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_file_is_caught(name: str) -> None:
    mutate, words = MUTANTS[name]
    broken = copy.deepcopy(load())

    mutate(broken)

    assert any(words in finding for finding in findings(broken)), findings(broken)
