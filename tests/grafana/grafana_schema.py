"""JSON Schemas of Grafana's own types, made of the npm package @grafana/schema when asked for.

They are kept in a folder by what they are made of: the lock file and the two files that make them.
"""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft7Validator

from deploy.local.process import ServerMissingError
from tests.grafana.board_rules import Board

FOLDER: Final = Path(__file__).parent / "schema"
MADE_OF: Final = ("package-lock.json", "boards.ts", "generate.cjs", "tsconfig.json")
GENERATE_S_MAX: Final = 120

Schemas = Mapping[str, dict[str, Any]]

OPTIONS: Final = {
    "stat": "StatOptions",
    "state-timeline": "StateTimelineOptions",
    "table": "TableOptions",
    "text": "TextOptions",
    "timeseries": "TimeSeriesOptions",
}
"""By kind of panel; so, too, the settings of its fields."""
CUSTOM: Final = {
    "state-timeline": "StateTimelineCustom",
    "table": "TableCustom",
    "timeseries": "TimeSeriesCustom",
}


def load(cache: Path) -> Schemas:
    """Give the schemas by name; made anew where what they are made of has changed.

    Raises
    ------
    ServerMissingError
        There is no Node, or the packages are not installed.
    """
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules/.package-lock.json").is_file():
        raise ServerMissingError(
            "Grafana's schemas (node, tests/grafana/schema/node_modules)",
            "sh deploy/install_services.sh",
        )
    digest = hashlib.sha256(b"".join((FOLDER / name).read_bytes() for name in MADE_OF))
    file = cache / f"grafana-schema-{digest.hexdigest()[:16]}.json"
    if not file.is_file():
        new = file.with_suffix(".new")
        subprocess.run(
            [node, str(FOLDER / "generate.cjs"), str(new)], check=True, timeout=GENERATE_S_MAX
        )
        new.rename(file)
    loaded: Schemas = json.loads(file.read_text(encoding="utf-8"))
    return loaded


def findings(board: Board, schemas: Schemas) -> list[str]:
    """Name everything in a board that Grafana's types do not have."""
    return [
        *_errors(schemas["Board"], board, "board"),
        *(
            found
            for panel in board["panels"]
            for found in _panel_findings(panel, schemas, f"panel {panel.get('title')}")
        ),
        *(
            found
            for one in board.get("templating", {}).get("list", [])
            for found in _errors(schemas["BoardVariable"], one, f"variable {one.get('name')}")
        ),
    ]


def _panel_findings(panel: Board, schemas: Schemas, where: str) -> Iterator[str]:
    # As a member of the board a panel might be a row as well, and the message would say neither.
    yield from _errors(schemas["BoardPanel"], panel, where)
    kind = panel.get("type", "")
    if kind not in OPTIONS:
        yield f"{where}: no schema for a panel of kind {kind}"
        return
    yield from _errors(schemas[OPTIONS[kind]], panel.get("options", {}), f"{where} options")
    if kind in CUSTOM:
        fields = panel.get("fieldConfig", {})
        custom = dict(fields.get("defaults", {}).get("custom", {}))
        yield from _errors(schemas[CUSTOM[kind]], custom, f"{where} custom")
        for override in fields.get("overrides", []):
            said = {
                one["id"].removeprefix("custom."): one["value"]
                for one in override.get("properties", [])
                if one["id"].startswith("custom.")
            }
            yield from _errors(schemas[CUSTOM[kind]], custom | said, f"{where} override")


def _errors(schema: dict[str, Any], value: object, where: str) -> Iterator[str]:
    for error in Draft7Validator(schema).iter_errors(value):
        place = "/".join(map(str, error.absolute_path))
        yield f"{where} {place}: {error.message[:300]}"
