"""What Grafana is told at its start besides the alert rules: where data are, and where boards are.

The addresses and the token come from Grafana's environment.

Source: Grafana's documentation, *Provision Grafana*.
"""

from typing import Final

from deploy.grafana.model import JsonObject
from deploy.grafana.targets import INFLUX_UID, PROMETHEUS_UID

BOARDS_FOLDER: Final = "Chevet"
BOARDS_PATH: Final = "/etc/grafana/dashboards"
"""Where Grafana finds the folder ``dashboards`` of this one."""

ORG_ID: Final = 1


def source_files() -> dict[str, JsonObject]:
    """Give the files of the data sources by name."""
    return {"influxdb": _sources(_influxdb()), "prometheus": _sources(_prometheus())}


def _sources(source: JsonObject) -> JsonObject:
    return {"apiVersion": 1, "prune": True, "datasources": [source]}


def _influxdb() -> JsonObject:
    """Read with InfluxQL at /query: 2.x through the buckets' DBRP mappings, and 1.8 as it is."""
    return {
        "name": "Chevet InfluxDB",
        "uid": INFLUX_UID,
        "type": "influxdb",
        "access": "proxy",
        "url": "${INFLUX_URL}",
        "isDefault": True,
        "editable": False,
        "jsonData": {
            "version": "InfluxQL",
            "dbName": "${INFLUX_DATABASE}",
            "httpMode": "POST",
            # The finest that any panel asks for; each says its own beside it.
            "timeInterval": "1s",
            "httpHeaderName1": "Authorization",
        },
        "secureJsonData": {"httpHeaderValue1": "Token ${INFLUX_TOKEN}"},
    }


def _prometheus() -> JsonObject:
    return {
        "name": "Chevet Prometheus",
        "uid": PROMETHEUS_UID,
        "type": "prometheus",
        "access": "proxy",
        "url": "${PROMETHEUS_URL}",
        "isDefault": False,
        "editable": False,
        "jsonData": {"httpMethod": "POST", "timeInterval": "1s"},
    }


def dashboard_files() -> dict[str, JsonObject]:
    """Give the file that says where the boards are, by name."""
    provider: JsonObject = {
        "name": "chevet",
        "orgId": ORG_ID,
        "folder": BOARDS_FOLDER,
        "folderUid": "chevet",
        "type": "file",
        "disableDeletion": True,
        "allowUiUpdates": False,
        "updateIntervalSeconds": 30,
        "options": {"path": BOARDS_PATH, "foldersFromFilesStructure": False},
    }
    return {"chevet": {"apiVersion": 1, "providers": [provider]}}
