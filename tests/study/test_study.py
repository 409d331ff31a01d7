"""The worked study: its notebook runs, and docs/study.md is what it has said."""

import re
from pathlib import Path

import pytest

from tests.study.page import PAGE, PICTURES, builtin_rows, page, pictures, read, run, text

SHORT = {"STUDY_RECORDS": "2", "STUDY_SECONDS": "330"}
"""Two records of each set, and of each of these a first five minutes with its variability."""


@pytest.fixture(scope="module")
def written() -> str:
    return PAGE.read_text("utf-8")


def test_the_page_has_the_text_and_the_code_of_the_notebook(written: str) -> None:
    for part in text(read()):
        assert part in written, "run: make study"


@pytest.mark.slow
def test_the_notebook_runs_and_says_of_the_built_in_recordings_what_the_page_says(
    chevet_data: Path, tmp_path: Path, written: str
) -> None:
    done = run(tmp_path, {**SHORT, "CHEVET_DATA": str(chevet_data)})

    rows = builtin_rows(done)
    assert len(rows) > 10
    for row in rows:
        assert row in written.splitlines(), "run: make study"
    shown = {f"images/{name}" for name in pictures(done)}
    assert shown == set(re.findall(r"\]\((images/[^)]+)\)", written))
    assert shown == set(re.findall(r"\]\((images/[^)]+)\)", page(done)))


def test_the_pictures_of_the_page_are_there(written: str) -> None:
    for name in re.findall(r"\]\(images/([^)]+)\)", written):
        assert (PICTURES / name).read_bytes().startswith(b"\x89PNG"), name


def test_an_error_in_a_cell_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "bad.py"
    source.write_text("# %%\n1 / 0\n")
    monkeypatch.setattr("tests.study.page.NOTEBOOK", source)

    with pytest.raises(Exception, match="ZeroDivisionError"):
        run(tmp_path, {})
