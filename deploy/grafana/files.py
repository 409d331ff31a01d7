"""The files that Grafana reads: what they are to hold, and which of them are old."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from deploy.grafana import bedside, fleet, pipeline, trends, ward
from deploy.grafana.alerting import alerting_files
from deploy.grafana.dashboard import Board
from deploy.grafana.model import JsonObject
from deploy.grafana.provisioning import dashboard_files, source_files

FOLDER: Final = Path(__file__).parent
DASHBOARDS: Final = FOLDER / "dashboards"
PROVISIONING: Final = FOLDER / "provisioning"

_HOW: Final = "python -m deploy.grafana"


def boards() -> list[Board]:
    """Give all dashboards."""
    return [module.board() for module in (bedside, ward, trends, fleet, pipeline)]


def rendered() -> dict[Path, str]:
    """Give the text of every file."""
    files = {DASHBOARDS / f"{board.uid}.json": _json(board.build()) for board in boards()}
    for kind, contents in (
        ("datasources", source_files()),
        ("dashboards", dashboard_files()),
        ("alerting", alerting_files()),
    ):
        for name, content in contents.items():
            files[PROVISIONING / kind / f"{name}.yaml"] = _yaml(content)
    return files


def outdated(files: Mapping[Path, str]) -> list[Path]:
    """Name the files that hold something else, and those that should not be there."""
    folders = {path.parent for path in files}
    there = {path for folder in folders if folder.is_dir() for path in folder.iterdir()}
    different = {path for path in files if path not in there or _text(path) != files[path]}
    return sorted(different | (there - set(files)))


def write(files: Mapping[Path, str]) -> list[Path]:
    """Write what is old, take away what should not be there; give both."""
    changed = outdated(files)
    for path in changed:
        if path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], encoding="utf-8")
        else:
            path.unlink()
    return changed


def named(paths: Iterable[Path]) -> list[str]:
    """Name files as seen from this folder."""
    return [str(path.relative_to(FOLDER)) for path in paths]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _json(content: JsonObject) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _yaml(content: JsonObject) -> str:
    import yaml  # of the development tools: who runs Grafana has the files

    plain = json.loads(json.dumps(content))  # neither tuples nor shared parts
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)
    return f"# Written by {_HOW}: not to be edited here.\n{text}"
