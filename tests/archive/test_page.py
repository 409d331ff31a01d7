"""docs/archive.md: its tables are the code's."""

from pathlib import Path

from deploy.archive_page import PAGE, tables, with_tables
from processors.sinks.archive.layout import Kind
from processors.sinks.archive.tables import TABLES

ROOT = Path(__file__).parents[2]


def test_the_tables_of_the_page_are_those_of_the_code() -> None:
    page = (ROOT / PAGE).read_text("utf-8")

    assert page == with_tables(page), "run: python -m deploy.archive_page"


def test_every_table_and_column_is_on_the_page() -> None:
    found = tables()

    for kind in Kind:
        assert f"### `{kind}`" in found
        for column in TABLES[kind].columns:
            assert f"| `{column.name}` |" in found
