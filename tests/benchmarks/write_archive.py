"""The measured part of docs/archive.md, from the results of bench_archive.py."""

from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import Any, Final

from tests.benchmarks import results

PAGE: Final = Path(__file__).parents[2] / "docs" / "archive.md"
BEGIN: Final = "<!-- measured: make bench -->\n"
END: Final = "<!-- measured: end -->"

_WIDTH: Final = 118

_HEAD: Final = ("", "bytes per sample", "written, million/s", "read, million/s")


class Figures:
    """What was measured of the archive and of others, by the name of the form."""

    def __init__(self, n_samples: int) -> None:
        self._n_samples = n_samples
        self.rows: dict[str, dict[str, float]] = {}
        self._first: dict[str, dict[str, float]] = {}

    def wrote(self, name: str, per_s: float | None, n_bytes: int) -> None:
        """Note values written per second of CPU, and the bytes of all."""
        if per_s is not None:
            row = self.rows.setdefault(name, {})
            row |= {"written_per_s": per_s, "bytes_per_sample": n_bytes / self._n_samples}

    def read(self, name: str, per_s: float | None) -> None:
        """Note values read per second of CPU."""
        if per_s is not None:
            self.rows.setdefault(name, {})["read_per_s"] = per_s

    def first_second(self, name: str, seconds: float, n_files: int) -> None:
        """Note how long the first second of a day took, of so many files."""
        self._first[name] = {"ms": 1e3 * seconds, "n_files": n_files}

    def as_json(self) -> dict[str, Any]:
        """Give all of it."""
        return {"n_samples": self._n_samples, "forms": self.rows, "first_second": self._first}

    def show(self) -> None:
        """Print the table."""
        results.show("archive", _HEAD, list(_cells(self.rows)))


def _cells(rows: dict[str, dict[str, float]]) -> Iterator[tuple[str, ...]]:
    for name, row in sorted(rows.items()):
        rates = (row.get("written_per_s"), row.get("read_per_s"))
        yield (
            name,
            results.cell(row.get("bytes_per_sample"), 3),
            *(results.cell(None if rate is None else rate / 1e6, 1) for rate in rates),
        )


def measured_part(found: dict[str, Any]) -> str:
    """Write the table, and how soon the first second of a day is there."""
    rows = [_HEAD, ("---", *["---:"] * 3), *_cells(found["forms"])]
    first = "; ".join(
        f"{name}, {one['n_files']} files: {one['ms']:.1f} ms"
        for name, one in found["first_second"].items()
    )
    versions = found["versions"]
    text = (
        f"{found['n_samples']:,} samples of ECG of the MIT-BIH database, values per second of CPU "
        "time on one core, medians. The machine is whatever it was: compare within the table. "
        f"Measured on {found['date']} with Python {found['python']}, numpy {versions['numpy']}, "
        f"wfdb {versions['wfdb']}."
    )
    return "\n".join(
        [
            *wrap(text, _WIDTH),
            "",
            *(f"| {' | '.join(row)} |" for row in rows),
            "",
            *wrap(f"The first second of a day of a channel: {first}.", _WIDTH),
            "",
        ]
    )


def write() -> None:
    """Put what is there into the page."""
    found = results.load("archive")
    if found is None:
        return
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, behind = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}{measured_part(found)}{END}{behind}", "utf-8")
