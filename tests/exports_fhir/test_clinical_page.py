"""docs/exports-clinical.md says what the code says."""

from pathlib import Path

from deploy.clinical_page import PAGE, tables, with_tables
from devices import codes
from processors.exports.no_value import REASONS

ROOT = Path(__file__).parents[2]


def test_the_tables_in_the_documentation_are_those_of_the_code() -> None:
    page = (ROOT / PAGE).read_text("utf-8")

    assert page == with_tables(page), "run: python -m deploy.clinical_page"


def test_every_quantity_and_every_reason_is_in_the_tables() -> None:
    found = tables()

    for row in codes.QUANTITIES.values():
        assert f"| `{row.name}` |" in found
    for reason in REASONS:
        assert f"| `{reason}` |" in found
