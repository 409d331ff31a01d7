"""docs/study.md: the notebook docs/study/study.py with what its cells have said.

``python -m tests.study`` runs it on all recordings, and writes the page and its pictures.
"""

import base64
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import jupytext
from nbclient import NotebookClient

ROOT: Final = Path(__file__).parents[2]
NOTEBOOK: Final = ROOT / "docs" / "study" / "study.py"
PAGE: Final = ROOT / "docs" / "study.md"
PICTURES: Final = ROOT / "docs" / "images"
CELL_S_MAX: Final = 1200


def read() -> Any:  # noqa: ANN401 - nbformat has no types
    """Give the notebook, not run."""
    return jupytext.read(NOTEBOOK)


def run(home: Path, environment: Mapping[str, str]) -> Any:  # noqa: ANN401
    """Run all cells; one that fails raises what nbclient raises, with its traceback.

    Parameters
    ----------
    home
        Where IPython may write.
    environment
        ``STUDY_RECORDS``, ``STUDY_SECONDS``.
    """
    notebook = read()
    client = NotebookClient(
        notebook,
        timeout=CELL_S_MAX,
        kernel_name="python3",
        resources={"metadata": {"path": str(ROOT)}},
    )
    own = {"IPYTHONDIR": str(home), "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    client.execute(env={**os.environ, **own, **environment})
    return notebook


def page(notebook: Any) -> str:  # noqa: ANN401
    """Write a notebook that was run as Markdown."""
    return "\n\n".join(part for cell in notebook.cells for part in _parts(cell)) + "\n"


def text(notebook: Any) -> list[str]:  # noqa: ANN401
    """Give what of the page needs no run, piece by piece."""
    return [part for cell in notebook.cells for part in _source(cell)]


def pictures(notebook: Any) -> dict[str, bytes]:  # noqa: ANN401
    """Give the pictures by the names of their files."""
    return {
        _name(output): base64.b64decode(output.data["image/png"])
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    }


def builtin_rows(notebook: Any) -> list[str]:  # noqa: ANN401
    """Give the rows of tables that rest on the built-in recordings alone, digests left out."""
    tables = [
        (cell, _said(output))
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "text/markdown" in output.get("data", {})
    ]
    return [
        line
        for cell, table in tables
        for line in table.splitlines()
        if "built-in" in cell.metadata.get("tags", ())
        or line.startswith(("| sleepecg,", "| heartpy,"))
    ]


def write(notebook: Any) -> None:  # noqa: ANN401
    """Write the page and its pictures."""
    for name, content in pictures(notebook).items():
        (PICTURES / name).write_bytes(content)
    PAGE.write_text(page(notebook), "utf-8")


def _parts(cell: Any) -> Iterator[str]:  # noqa: ANN401
    yield from _source(cell)
    if cell.cell_type == "code" and "remove-output" not in cell.metadata.get("tags", ()):
        yield from map(_said, cell.outputs)


def _source(cell: Any) -> Iterator[str]:  # noqa: ANN401
    if cell.cell_type == "markdown":
        yield cell.source
    elif "remove-input" not in cell.metadata.get("tags", ()):
        yield f"```python\n{cell.source}\n```"


def _said(output: Any) -> str:  # noqa: ANN401
    if output.output_type == "stream":
        return f"```\n{output.text.strip()}\n```"
    if "image/png" in output.data:
        says = output.metadata["image/png"]["says"]
        return f"![{says}](images/{_name(output)})"
    if "text/markdown" in output.data:
        return str(output.data["text/markdown"])
    return f"```\n{output.data['text/plain']}\n```"


def _name(output: Any) -> str:  # noqa: ANN401
    return f"study-{output.metadata['image/png']['name']}.png"
