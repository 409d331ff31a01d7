"""A table as a browser shows it: frames as Grafana's server makes them, and what becomes of them.

The frames are made here, after Grafana's InfluxDB data source (influxql/converter in pkg/tsdb).
What becomes of them is for the npm package @grafana/data, which the tests of pushed frames have.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from deploy.local.process import ServerMissingError
from tests.grafana.board_rules import Board
from tests.grafana.viewer import Viewer

SCRIPT: Final = Path(__file__).parent / "schema/transform.cjs"
PACKAGES: Final = Path(__file__).parent / "streaming/node_modules"
TRANSFORM_S_MAX: Final = 60

Rows = list[dict[str, Any]]


def rows(viewer: Viewer, title: str) -> Rows:
    """Give the rows of a table with the titles that people read.

    Raises
    ------
    ServerMissingError
        There is no Node, or the packages are not installed.
    """
    node = shutil.which("node")
    if node is None or not (PACKAGES / "@grafana/data").is_dir():
        raise ServerMissingError(
            f"Grafana's transformations (node, {PACKAGES})", "sh deploy/install_services.sh"
        )
    panel = viewer.panel(title)
    frames = [
        frame
        for target in panel["targets"]
        if (frame := _frame(viewer.ask(panel, target), target["refId"])) is not None
    ]
    done = subprocess.run(
        [node, str(SCRIPT)],
        input=json.dumps({"frames": frames, "transformations": panel["transformations"]}),
        capture_output=True,
        text=True,
        timeout=TRANSFORM_S_MAX,
        check=True,
        env=os.environ | {"NODE_PATH": str(PACKAGES)},
    )
    (fields,) = json.loads(done.stdout)
    columns = [field["values"] for field in fields]
    names = [field["name"] for field in fields]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _frame(series: list[Board], ref: str) -> Board | None:
    if not series:
        return None
    names = series[0]["columns"]
    values = [row for one in series for row in one["values"]]
    columns = list(zip(*values, strict=True))
    fields = [
        {"name": "Time", "type": "time", "values": [t_ns // 1_000_000 for t_ns in columns[0]]}
    ]
    for name, column in zip(names[1:], columns[1:], strict=True):
        kind = "string" if any(isinstance(one, str) for one in column) else "number"
        fields.append({"name": name, "type": kind, "values": list(column)})
    return {"refId": ref, "name": series[0]["name"], "fields": fields}
