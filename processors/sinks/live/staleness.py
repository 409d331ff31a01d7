"""How old a value may be and still be shown as current: read from where the page has it."""

import json
import re
from importlib import resources
from typing import Final


def _rules() -> dict[str, int]:
    script = resources.files("processors.sinks.live").joinpath("static", "staleness.js")
    (table,) = re.findall(r"STALE_S = (\{.*?\});", script.read_text("utf-8"), re.DOTALL)
    rules: dict[str, int] = json.loads(table)
    return rules


STALE_S: Final = _rules()
"""Seconds, by the quantity's name."""
