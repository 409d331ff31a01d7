"""``chevet record RECORD`` and ``chevet archive``."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.analyze import EPOCH_NS
from deploy.cli import main
from processors.sinks.archive import open_archive

RECORD = "heartpy"


def run(*words: str | Path, code: int = 0) -> str:
    done = CliRunner().invoke(main, list(map(str, words)))
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    said = json.loads(run("record", RECORD, "--archive", folder, "--json"))
    assert said["samples"] > 10_000
    assert (said["subject"], said["left_out"]) == (RECORD, [])
    return folder


def test_a_recording_is_in_the_archive(archive: Path) -> None:
    said = run("record", RECORD, "--archive", archive, "--subject", "p-2", "--duration", "5")
    assert re.match(r"585 samples and 0 annotations of p-2 in \d+ bytes in ", said)

    found = open_archive(archive)

    assert found.subjects() == [RECORD, "p-2"]
    (one,) = found.subject("p-2").signals()
    assert (one.n_samples, one.first_ns) == (585, EPOCH_NS)
    assert len(found.subject(RECORD).observations("pulse_rate")) > 60
    shown = json.loads(run("archive", "show", archive, "--json"))
    assert shown["p-2"][0]["samples"] == 585
    assert "585 samples in 1  2000-01-01T00:00:00Z" in run("archive", "show", archive)


def test_the_start_of_a_recording_may_be_said(tmp_path: Path) -> None:
    run("record", RECORD, "--archive", tmp_path, "--start", "2026-11-22T08:00:00Z")

    (one,) = open_archive(tmp_path).subject(RECORD).signals()

    assert one.first_ns == 1_795_334_400 * 10**9


def test_a_damaged_archive_is_told(archive: Path) -> None:
    assert "all as written" in run("archive", "verify", archive)
    one = next(archive.glob("waveforms/*/*/*.parquet"))
    content = bytearray(one.read_bytes())
    content[100] ^= 4
    one.write_bytes(content)

    assert f"damaged  {one.relative_to(archive)}" in run("archive", "verify", archive, code=1)
    said = json.loads(run("archive", "verify", archive, "--json", code=1))
    assert said["findings"] == [{"fault": "damaged", "path": str(one.relative_to(archive))}]


def test_an_archive_is_merged_and_a_subject_forgotten(archive: Path) -> None:
    run("record", RECORD, "--archive", archive, "--start", "2000-01-01T01:00:00")
    before = (
        open_archive(archive)
        .subject(RECORD)
        .signal(open_archive(archive).subject(RECORD).signals()[0].channel)
    )

    assert run("archive", "compact", archive) == "6 files merged\n"
    assert run("archive", "forget", archive, RECORD, "--yes") == f"3 files of {RECORD} deleted\n"

    assert before.n_samples > 0
    assert open_archive(archive).subjects() == []


def test_what_cannot_be_is_said_in_words(tmp_path: Path) -> None:
    assert "no archive in" in run("archive", "show", tmp_path, code=1)
    assert "no archive in" in run("archive", "verify", tmp_path, code=1)
    assert "no archive in" in run("archive", "compact", tmp_path, code=1)
    assert "--subject without a RECORD" in run("record", "--subject", "p", code=2)
    said = run("record", str(tmp_path / "none"), "--archive", tmp_path / "a", code=1)
    assert "chevet: " in said
    (tmp_path / "file").write_text("")
    assert "no archive, and not empty" in run("record", RECORD, "--archive", tmp_path, code=1)
