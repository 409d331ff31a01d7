"""The table of the agent's settings in docs/edge.md, from the settings themselves.

``python -m deploy.edge_settings`` writes it; a test fails when it is old.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from edge.settings import EdgeSettings

PAGE: Final = Path("docs/edge.md")
BEGIN: Final = "<!-- settings: python -m deploy.edge_settings -->\n"
END: Final = "<!-- end -->"


def with_table(page: str) -> str:
    """Give the page with the table as it is now."""
    before, _, rest = page.partition(BEGIN)
    _, _, behind = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{behind}"


def table() -> str:
    """Give a row for each setting: its key, default, bounds and meaning."""
    rows = ["| key | unless told | from … to | what it is |", "|---|---|---|---|"]
    rows += [f"| {' | '.join(row)} |" for row in _rows(EdgeSettings, "")]
    return "\n".join(rows) + "\n"


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        inner = _model_of(field)
        if inner is not None:
            yield from _rows(inner, f"{prefix}{name}.")
        else:
            meaning = " ".join((field.description or "").replace("``", "`").split())
            yield f"`{prefix}{name}`", _default(field), _bounds(field), meaning


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    """Give the model of a table, or of a list of tables."""
    kinds = (field.annotation, *getattr(field.annotation, "__args__", ()))
    return next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**needed**"
    default: Any = field.get_default(call_default_factory=True)
    return "–" if default in {None, ""} else f"`{default}`"


def _bounds(field: FieldInfo) -> str:
    least = [one.ge for one in field.metadata if isinstance(one, annotated_types.Ge)]
    most = [one.le for one in field.metadata if isinstance(one, annotated_types.Le)]
    if not least and not most:
        return ""
    return f"{least[0] if least else ''} … {most[0] if most else ''}".strip()


def main() -> None:
    """Write the page."""
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
