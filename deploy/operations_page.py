"""What docs/operations.md has from the code: the topics, and who may do what with them.

``python -m deploy.operations_page`` writes it; a test fails when it is old.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from deploy import kafka_rights

PAGE: Final = Path("docs/operations.md")

BEGIN: Final = "<!-- {}: python -m deploy.operations_page -->\n"
END: Final = "<!-- end -->"


def topics() -> str:
    """Give the topics with how long each keeps its records."""
    from ingest.topics import DAY_MS, TOPICS

    rows = ["| topic | key | kept for |", "|---|---|---|"]
    for topic in TOPICS:
        days = topic.retention_ms // DAY_MS
        kept = f"{days} day{'s' if days > 1 else ''}"
        if topic.compacted:
            kept = "the newest of each key, for ever"
        rows.append(f"| `{topic.name}` | {topic.key} | {kept} |")
    return "\n".join(rows) + "\n"


PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "topics": topics,
    "rights": kafka_rights.table,
}


def with_parts(page: str) -> str:
    """Give the page with its parts as they are now.

    Raises
    ------
    ValueError
        The page has no place for a part.
    """
    for name, part in PARTS.items():
        begin = BEGIN.format(name)
        before, found, rest = page.partition(begin)
        if not found:
            raise ValueError(f"no place for {name} in {PAGE}: {begin.strip()}")
        _, _, behind = rest.partition(END)
        page = f"{before}{begin}{part()}{END}{behind}"
    return page


def main() -> None:
    """Write the page."""
    PAGE.write_text(with_parts(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
