"""Results of benchmarks: JSON under .benchmarks/, tables on the terminal. No machine is named."""

import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(".benchmarks")
_PACKAGES: Final = (
    "chevet", "numpy", "scipy", "numba", "sleepecg", "neurokit2", "wfdb", "heartpy",
)  # fmt: skip


def save(name: str, results: dict[str, Any]) -> Path:
    """Write what was measured, with the day and the versions."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in _PACKAGES},
    }
    aside = path.with_suffix(".aside")
    aside.write_text(json.dumps(about | results, indent=1, sort_keys=True) + "\n")
    aside.replace(path)
    return path


def load(name: str) -> dict[str, Any] | None:
    """Read what was measured; None if it was not."""
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        return None
    loaded = json.loads(path.read_text())
    return loaded if isinstance(loaded, dict) else None


def cell(value: object, n_digits: int = 2) -> str:
    """Write a number for people; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:,.{n_digits}f}" if isinstance(value, float) else str(value)


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    print(f"\n{title}")
    for row in (head, *rows):
        cells = [text.rjust(width) for text, width in zip(row, widths, strict=True)]
        print("  ".join([row[0].ljust(widths[0]), *cells[1:]]))
