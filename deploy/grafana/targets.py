"""What a panel asks, and whom: InfluxDB, Prometheus, or Grafana Live."""

from typing import Final

from deploy.grafana.model import JsonObject

INFLUX_UID: Final = "chevet-influxdb"
PROMETHEUS_UID: Final = "chevet-prometheus"
"""As the files in provisioning/datasources name them."""

INFLUX: Final[JsonObject] = {"type": "influxdb", "uid": INFLUX_UID}
PROMETHEUS: Final[JsonObject] = {"type": "prometheus", "uid": PROMETHEUS_UID}
LIVE: Final[JsonObject] = {"type": "grafana", "uid": "grafana"}
"""Grafana itself, which has it without being told."""

LIVE_STREAM: Final = "stream/chevet"
"""What ``chevet grafana-live`` pushes to: the stream's name is the last word."""

LIVE_POINTS_MAX: Final = 2_500
"""Points that a panel keeps of a channel: ten seconds at 250 Hz. Grafana's own choice is 500."""

LIVE_BUFFER_MS: Final = 10_000


def influx(query: str, *, ref: str = "A", table: bool = False, alias: str = "") -> JsonObject:
    """Write an InfluxQL query."""
    written: JsonObject = {
        "refId": ref,
        "datasource": INFLUX,
        "rawQuery": True,
        "query": query,
        "resultFormat": "table" if table else "time_series",
    }
    return written | {"alias": alias} if alias else written


def prometheus(expr: str, *, ref: str = "A", legend: str = "", now: bool = False) -> JsonObject:
    """Write a PromQL query over the range, or of this moment only."""
    return {
        "refId": ref,
        "datasource": PROMETHEUS,
        "editorMode": "code",
        "expr": expr,
        "legendFormat": legend or "__auto",
        "range": not now,
        "instant": now,
        "format": "time_series",
    }


def live(signal: str) -> JsonObject:
    """Listen to a signal of the subject: what is pushed, as it comes."""
    return {
        "refId": "A",
        "datasource": LIVE,
        "queryType": "measurements",
        "channel": f"{LIVE_STREAM}/${{subject}}_{signal}",
        "filter": {"fields": ["time", "v"]},
        "buffer": LIVE_BUFFER_MS,
    }


def variable(name: str, label: str, query: str, *, hidden: bool = False) -> JsonObject:
    """Write a choice that an InfluxQL query fills, anew at each refresh of the board."""
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": INFLUX,
        "query": query,
        "refresh": 2,
        "sort": 1,
        "hide": 2 if hidden else 0,
        "multi": False,
        "includeAll": False,
        "regex": "",
    }
