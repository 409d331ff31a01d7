"""docs/signals.md: every derived value, from the code; and how right it is, from the benchmarks.

The text comes from the table of algorithms and the table of codes, and from running a subject with
everything on: what an algorithm is heard to give is what it is said to give. The measured part
stands between two markers and comes from ``.benchmarks/``; where a result is not there the part
that the page has is kept.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from devices import codes
from ingest.observation import Observation
from processors.catalogue import ALGORITHMS
from processors.pipeline import SubjectPipeline
from processors.vitals import reasons
from processors.vitals.derived import Algorithm
from tests.benchmarks import results, subject

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "signals.md"
BEGIN: Final = "<!-- measured: begin -->"
END: Final = "<!-- measured: end -->"

SUBJECT_S: Final = 11 * 60
"""The subject's tenth minute ends a minute, five minutes, an hour and a day."""

_INTRODUCTION: Final = """# Derived values

Every value that Chevet derives: what it is, how it comes about, when it is there, and when a reason
stands in its place. Each observation carries the name and the version of its algorithm, a quality
from 0 to 1, the age of its newest input, and its inputs. A suspicion is 1 (suspected) or 0; its
quality is how sure that is. It is a hint for people, never an alarm.

*Latency* is event time from the last sample that a value needs to the value; what the radio, the
broker and the screen add comes on top. Codes are those of ISO/IEEE 11073-10101; a *private* one is
from the range that the standard leaves to manufacturers. Units are UCUM.

This page is written by `make bench`: the text from the code, the measured part at the end from the
benchmarks. A change of an algorithm's description goes into its `Algorithm` constant.
"""


def page(measured: str | None = None) -> str:
    """Compose the page.

    Parameters
    ----------
    measured
        The measured part; none: a word that there is none yet.
    """
    heard = given_quantities()
    lines = [_INTRODUCTION]
    for name, algorithm in ALGORITHMS.items():
        lines += _algorithm(algorithm, heard.get(name, []))
    lines += ["## Why there is no value", "", "| reason | meaning |", "| --- | --- |"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in _reasons()]
    lines += ["", "## Measured", "", BEGIN, measured or "Nothing has been measured yet.", END, ""]
    return "\n".join(lines)


def given_quantities() -> dict[str, list[codes.Quantity]]:
    """Run the subject with everything on; give by algorithm what it was heard to give."""
    pipeline = SubjectPipeline("benchmark")
    heard: dict[str, dict[str, codes.Quantity]] = {}
    for frame in subject.frames(SUBJECT_S, frame_s=10):
        for output in pipeline.process(frame):
            if isinstance(output, Observation):
                heard.setdefault(output.algorithm, {})[output.name] = codes.by_name(output.name)
    order = {name: i for i, name in enumerate(codes.QUANTITIES)}
    return {
        name: sorted(found.values(), key=lambda quantity: order[quantity.name])
        for name, found in heard.items()
    }


def _algorithm(algorithm: Algorithm, quantities: list[codes.Quantity]) -> Iterator[str]:
    yield f"## `{algorithm.name}`, version {algorithm.version}"
    yield ""
    yield algorithm.method
    yield ""
    yield "| value | name in records | unit | code | LOINC |"
    yield "| --- | --- | --- | --- | --- |"
    for quantity in quantities:
        private = ", private" if quantity.private else ""
        loinc = quantity.loinc or "–"
        yield (
            f"| {quantity.label} | `{quantity.name}` | {quantity.ucum} | "
            f"{quantity.mdc} {quantity.mdc_reference_id}{private} | {loinc} |"
        )
    yield ""
    yield f"- **Source**: {algorithm.source}"
    yield f"- **Latency**: at most {algorithm.delay_s:g} s"
    yield f"- **Averaging**: {algorithm.averaging}"
    yield f"- **Valid**: {algorithm.validity}"
    yield ""


def _reasons() -> Iterator[tuple[str, str]]:
    """Read what stands under each reason in the source."""
    source = Path(reasons.__file__).read_text(encoding="utf-8")
    tree = ast.parse(source)
    body = next(one for one in tree.body if isinstance(one, ast.ClassDef)).body
    for one, text in pairwise(body):
        if isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant):
            said = text.value if isinstance(text, ast.Expr) else None
            meaning = str(said.value) if isinstance(said, ast.Constant) else ""
            yield str(one.value.value), " ".join(meaning.split())


# The measured part


def measured_part() -> str | None:
    """Write what the benchmarks have left; None if nothing."""
    accuracy, speed = results.load("accuracy"), results.load("speed")
    parts = [
        *(_accuracy(accuracy) if accuracy else ()),
        *(_curves(accuracy) if accuracy else ()),
        *(_speed(speed) if speed else ()),
    ]
    return "\n".join(parts) or None


def _about(result: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return f"Measured on {result['date']} with Python {result['python']}, {versions}."


def _accuracy(result: Mapping[str, Any]) -> Iterator[str]:
    yield _about(result)
    yield ""
    figures = result["figures"]
    for section in dict.fromkeys(figure["section"] for figure in figures):
        rows = [figure for figure in figures if figure["section"] == section]
        others = list(dict.fromkeys(peer for row in rows for peer in row["peers"]))
        names = dict.fromkeys(name for row in rows for name in row["quantities"])
        yield f"### {section}"
        yield ""
        yield "Of " + ", ".join(f"`{name}`" for name in names) + "."
        yield ""
        yield _row("", "unit", "Chevet", *others)
        yield _row("---", "---", *["---:"] * (1 + len(others)))
        for row in rows:
            cells = [row["ours"], *(row["peers"].get(peer) for peer in others)]
            yield _row(
                row["name"], row["unit"], *(results.cell(one, row["n_digits"]) for one in cells)
            )
        yield ""


def _curves(result: Mapping[str, Any]) -> Iterator[str]:
    yield "### What the quality of a heart rate is worth"
    yield ""
    yield "Seconds of each set whose heart rate has at least some quality. Shown: of all seconds."
    yield ""
    yield _row("set", "quality from", "shown, %", "of these within 5/min, %", "mean error, /min")
    yield _row("---", *["---:"] * 4)
    keys = ("quality_min", "coverage_percent", "within_5_percent", "mae_bpm")
    for name, points in result["curves"].items():
        for point in points:
            yield _row(name, *(results.cell(point[key]) for key in keys))
    yield ""


def _speed(result: Mapping[str, Any]) -> Iterator[str]:
    yield "### Speed"
    yield ""
    yield (
        "One core, CPU time, medians. The machine is whatever it was: compare within a table. "
        + _about(result)
    )
    yield ""
    for group in dict.fromkeys(row["group"] for row in result["rows"]):
        yield _row(group, "ms per s of signal", "times real time", f"/ {result['yardstick']}")
        yield _row("---", "---:", "---:", "---:")
        for row in result["rows"]:
            if row["group"] == group:
                yield _row(
                    row["name"],
                    results.cell(row["ms_per_s"], 4),
                    results.cell(row["times_real_time"], 0),
                    results.cell(row["ratio"]),
                )
        yield ""


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def text_part(content: str) -> str:
    """Take the measured part out of a page."""
    return re.sub(f"{BEGIN}.*{END}", f"{BEGIN}{END}", content, flags=re.DOTALL)


def _kept() -> str | None:
    if not PAGE.is_file():
        return None
    found = re.search(f"{BEGIN}\n(.*)\n{END}", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return None if found is None else found.group(1)


def write() -> Path:
    """Write the page; give its path from here."""
    PAGE.write_text(page(measured_part() or _kept()), encoding="utf-8")
    return PAGE.relative_to(ROOT)
