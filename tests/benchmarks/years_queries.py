"""The queries of the board Trends as Grafana asks them, and how long each takes."""

import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deploy.readback import InfluxReader

BOARD: Final = Path("deploy/grafana/dashboards/trends.json")

POINTS_MAX: Final = 1_000
"""As wide as a panel is, in pixels: Grafana asks for no more intervals."""

N_TIMES: Final = 3
_UNITS_S: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_NICE_S: Final = (0.04, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 1_800, 3_600, 7_200, 21_600)


@dataclass(frozen=True, slots=True)
class Asked:
    """One query, and its answer's time."""

    panel: str
    n_points: int
    seconds: float
    """The median of some."""
    of_board: bool = True
    """False: one of our own, to compare with."""


@dataclass(frozen=True, slots=True)
class Span:
    """What is looked at."""

    subject: str
    device: str
    channel: str
    start_ns: int
    end_ns: int


def ask_all(reader: InfluxReader, span: Span, board_file: Path) -> list[Asked]:
    """Ask everything that the board asks when it is opened on a span; and the list of subjects."""
    found = []
    for name, query, of_board in _queries(span, board_file):
        times = []
        for _ in range(N_TIMES):
            began_s = time.perf_counter()
            series = reader.query(query)
            times.append(time.perf_counter() - began_s)
        n_points = sum(len(one.get("values", [])) for one in series)
        found.append(Asked(name, n_points, statistics.median(times), of_board))
    return found


def _queries(span: Span, board_file: Path) -> list[tuple[str, str, bool]]:
    hourly = f"WHERE \"subject\" = '{span.subject}' AND {_between(span, None)} "
    own = [
        (
            "all quantities of one subject, by hours",
            'SELECT mean("mean"), min("min"), max("max"), sum("n_values"), sum("n_missing") '  # noqa: S608
            f'FROM "trend" {hourly}GROUP BY time(1h), "name", "algorithm" fill(none)',
            False,
        ),
        (
            "the newest minute of all subjects",
            'SELECT last("mean") FROM "trend" WHERE "name" = \'heart_rate\' GROUP BY "subject"',
            False,
        ),
    ]
    if not board_file.exists():
        return own
    board = json.loads(board_file.read_text("utf-8"))
    asked = [
        (f"choice: {one['label']}", _filled(one["query"], span, {}), True)
        for one in board["templating"]["list"]
        if one["type"] == "query"
    ]
    asked += [
        (panel["title"], _filled(target["query"], span, panel), True)
        for panel in board["panels"]
        for target in panel.get("targets", [])
        if target.get("query")
    ]
    return own + asked


def _filled(query: str, span: Span, panel: dict[str, Any]) -> str:
    window = panel.get("timeFrom")
    length_s = _seconds(window) if window else (span.end_ns - span.start_ns) / 1e9
    least_s = _seconds(panel["interval"]) if panel.get("interval") else 0.0
    step_s = max(least_s, next((n for n in _NICE_S if n >= length_s / POINTS_MAX), 86_400))
    values = {
        "${subject:regex}": span.subject,
        "${ecg_device:regex}": span.device,
        "${ecg_channel:regex}": span.channel,
        "${ecg_mv_per_count:raw}": ".001",
        "${ecg_mv_at_zero:raw}": ".5",
        "$ecg_channel": span.channel,
        "$__interval": f"{round(step_s * 1_000)}ms",
        "$timeFilter": _between(span, length_s if window else None),
    }
    for name, value in values.items():
        query = query.replace(name, value)
    return query


def _between(span: Span, length_s: float | None) -> str:
    start_ns = span.start_ns if length_s is None else span.end_ns - round(length_s * 1e9)
    return f"time >= {start_ns // 10**6}ms and time <= {span.end_ns // 10**6}ms"


def _seconds(text: str) -> float:
    unit = text.lstrip("0123456789")
    return float(text.removesuffix(unit)) * _UNITS_S[unit]
