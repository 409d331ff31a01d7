"""The tables of docs/archive.md, from the code that writes the archive.

``python -m deploy.archive_page`` writes them; a test fails when they are old.
"""

from pathlib import Path
from typing import Final

from processors.sinks.archive.tables import TABLES, Column, Table

PAGE: Final = Path("docs/archive.md")
BEGIN: Final = "<!-- tables: python -m deploy.archive_page -->\n"
END: Final = "<!-- tables: end -->"


def with_tables(page: str) -> str:
    """Give the page with the tables as they are now."""
    before, _, rest = page.partition(BEGIN)
    _, _, behind = rest.partition(END)
    return f"{before}{BEGIN}{tables()}{END}{behind}"


def tables() -> str:
    """Give each table with its columns."""
    return "\n\n".join(_table(table) for table in TABLES.values()) + "\n"


def _table(table: Table) -> str:
    order = ", ".join(f"`{name}`" for name in table.order)
    head = [
        f"### `{table.kind}`",
        f"A row is {table.holds}. Its time is `{table.time}`; within a file sorted by {order}.",
        "",
        "| column | type | what |",
        "|---|---|---|",
    ]
    return "\n".join([*head, *map(_row, table.columns)])


def _row(column: Column) -> str:
    text = str(column.type).replace("element: ", "").replace(" not null", "")
    text += ", may be null" if column.nullable else ""
    return f"| `{column.name}` | {text} | {column.meaning} |"


def main() -> None:
    """Write the page."""
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
