from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.cli import main
from edge.identity import load_key, subject_pseudonym

PATIENT = "Patient-4711"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    load_key(tmp_path / "subject.key")
    return tmp_path / "subject.key"


def run(key_file: Path, typed: str) -> tuple[int, str, str]:
    words = ["edge", "pseudonym", "--subject-key", str(key_file)]
    done = CliRunner().invoke(main, words, input=f"{typed}\n")
    # What is typed is hidden; the runner ends its line on standard output.
    return done.exit_code, done.stdout.strip(), done.stderr


def test_the_pseudonym_is_the_one_that_the_agent_uses(key_file: Path) -> None:
    code, out, err = run(key_file, f" {PATIENT.upper()} ")

    assert (code, out) == (0, subject_pseudonym(PATIENT, load_key(key_file)))
    assert PATIENT.upper() not in err


def test_without_a_key_none_is_made(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path / "absent.key", PATIENT)

    assert (code, out) == (2, "")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "subject.key").write_text("not a key")

    code, out, err = run(tmp_path / "subject.key", PATIENT)

    assert (code, out) == (1, "")
    assert "key" in err
