"""One measured figure beside those of others: what every accuracy benchmark gives a list of."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.benchmarks.results import cell, show


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What was measured of a quantity on a set of recordings."""

    section: str
    """Which recordings, and what was compared."""
    quantities: tuple[str, ...]
    """Names of the derived values that it is about."""
    name: str
    unit: str
    ours: float | None
    peers: dict[str, float | None] = field(default_factory=dict)
    """By name and version of the other package."""
    n_digits: int = 2

    def as_json(self) -> dict[str, Any]:
        """Everything."""
        return asdict(self)


def print_sections(figures: Iterable[Figure]) -> None:
    """Print a table per section: a row per figure, a column per package."""
    listed = list(figures)
    for section in dict.fromkeys(figure.section for figure in listed):
        rows = [figure for figure in listed if figure.section == section]
        peers = list(dict.fromkeys(peer for row in rows for peer in row.peers))
        show(
            section,
            ("", "unit", "chevet", *peers),
            [
                (
                    row.name,
                    row.unit,
                    cell(row.ours, row.n_digits),
                    *(cell(row.peers.get(peer), row.n_digits) for peer in peers),
                )
                for row in rows
            ],
        )
