"""A panel's table of every channel, by Grafana's own StreamingDataFrame in Node."""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from tests.conftest import miss
from tests.grafana.streaming.grafana_server import GrafanaServer, Message

FOLDER: Final = Path(__file__).parent
TIMEOUT_S: Final = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What a panel has of one channel."""

    error: str | None
    n_messages: int
    n_schemas: int
    """Messages after which the panel begins anew; the first is one."""
    columns: dict[str, list[Any]]
    types: dict[str, str]
    labels: dict[str, dict[str, str]]

    def faults(self, period_ms: float | None = None) -> list[str]:
        """Say what a clinician would see of it that is not in the data.

        Parameters
        ----------
        period_ms
            Of a waveform: two values that are further apart than 1.5 of these are a hole that is
            drawn over.
        """
        found = [] if self.error is None else [f"mismatch: {self.error}"]
        if self.n_schemas != 1:
            found.append(f"begun anew {self.n_schemas - 1} times")
        if any(self.labels.values()):
            found.append(f"labels: {self.labels}")
        times = self.columns.get("time", [])
        if any(one >= other for one, other in pairwise(times)):
            found.append("disorder")
        if period_ms is not None:
            rows = list(zip(times, self.columns.get("v", []), strict=True))
            if any(
                None not in {one[1], other[1]} and other[0] - one[0] > 1.5 * period_ms + 1
                for one, other in pairwise(rows)
            ):
                found.append("hole")
        return found


def show(bodies: Iterable[bytes]) -> dict[str, Table]:
    """Push bodies to the imitated server, and its messages to Grafana's own panel code."""
    server = GrafanaServer()
    return show_messages(message for body in bodies for message in server.push(body))


def show_messages(messages: Iterable[tuple[str, Message]], *limits: int) -> dict[str, Table]:
    """Give each channel's table after all messages.

    Parameters
    ----------
    limits
        Rows and milliseconds that a panel keeps; unless told, all.
    """
    if not (FOLDER / "node_modules" / "@grafana" / "data").is_dir():
        miss("@grafana/data is not installed: make services, or npm ci in tests/grafana/streaming")
    lines = "".join(
        json.dumps({"channel": channel, "message": message}) + "\n" for channel, message in messages
    )
    done = subprocess.run(
        ["node", "frames.cjs", *map(str, limits)],
        cwd=FOLDER,
        input=lines,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    package = json.loads((FOLDER / "package.json").read_text("utf-8"))
    assert found["version"] == package["dependencies"]["@grafana/data"]
    return {name: _table(one) for name, one in found["channels"].items()}


def _table(found: dict[str, Any]) -> Table:
    return Table(
        error=found["error"],
        n_messages=found["n_messages"],
        n_schemas=found["n_schemas"],
        columns={field["name"]: field["values"] for field in found["fields"]},
        types={field["name"]: field["type"] for field in found["fields"]},
        labels={field["name"]: field["labels"] for field in found["fields"]},
    )
