"""``chevet analyze`` of an archive: as of the recordings in it, and verified from it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.local.kafka import KafkaBroker
from deploy.run_manifest import read_manifest
from processors.sinks.archive.compaction import compact
from processors.sinks.archive.writer import ArchiveWriter
from tests.deploy.analyzed import chevet, contents, write_ecg


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Two subjects, on a date of their own."""
    folder = tmp_path / "study"
    for i, name in enumerate("ab"):
        record = write_ecg(tmp_path / "records", name, 20 * i)
        said = chevet("record", record, "--archive", folder, "--subject", f"icu/{name}")
        assert said.exit_code == 0, said.output
    return folder


def analyzed(archive: Path, out: Path, *words: str) -> None:
    said = chevet(
        "analyze", archive, "-j", "1", "--observations", out, "--annotations", out, *words
    )
    assert said.exit_code == 0, said.output


def test_an_archive_gives_what_its_recordings_give(archive: Path, tmp_path: Path) -> None:
    of_archive, of_records = tmp_path / "of archive", tmp_path / "of records"

    analyzed(archive, of_archive)
    analyzed(tmp_path / "records", of_records)

    there, here = contents(of_records), contents(of_archive)
    assert set(here) == {f"icu%2F{n}{s}" for n in "ab" for s in (".parquet", ".qrs", ".run.json")}
    for name in "ab":
        assert here[f"icu%2F{name}.qrs"] == there[f"{name}.qrs"]
        assert here[f"icu%2F{name}.parquet"] == there[f"{name}.parquet"]
        manifest = read_manifest(of_archive / f"icu%2F{name}.run.json")
        assert manifest.digest == read_manifest(of_records / f"{name}.run.json").digest
        assert manifest.input.spec == "../study"
        assert manifest.input.source is not None
        assert manifest.input.source["subject"] == f"icu/{name}"


def test_subject_and_time_are_chosen_and_the_manifest_says_how(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    analyzed(archive, out, "--subject", "icu/b", "--end", "2000-01-01T00:00:15Z", "--format", "csv")
    before = contents(out)
    command = read_manifest(out / "icu%2Fb.run.json").command
    monkeypatch.chdir(out)

    said = chevet(*command[1:], "--json")

    assert said.exit_code == 0, said.output
    (summary,) = json.loads(said.stdout)
    assert summary["duration_s"] == 10  # A recording's Frames have ten seconds, and are whole.
    assert summary["start"] == "2000-01-01T00:00:00Z"
    assert contents(out) == before
    assert set(before) == {f"icu%2Fb{suffix}" for suffix in (".csv", ".qrs", ".run.json")}


def test_the_frames_of_an_archive_are_what_is_verified_not_its_files(
    archive: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    analyzed(archive, out)
    with ArchiveWriter(archive) as writer:
        compact(writer, everything=True)

    assert chevet("verify", out, "-j", "1").exit_code == 0

    archive.rename(tmp_path / "moved")
    said = chevet("verify", out, "-j", "1")
    assert (said.exit_code, said.stdout.count("missing")) == (1, 2)
    assert chevet("verify", out, "-j", "1", "--inputs", tmp_path / "moved").exit_code == 0


def test_frames_that_came_later_are_another_input(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    analyzed(archive, out)
    other = write_ecg(tmp_path / "others", "c", 60)
    later = ("--subject", "icu/a", "--start", "2000-01-01T00:10:00Z")
    assert chevet("record", other, "--archive", archive, *later).exit_code == 0

    said = chevet("verify", out, "-j", "1", "--json")

    assert said.exit_code == 1
    assert {one["record"]: one["outcome"] for one in json.loads(said.stdout)} == {
        "icu%2Fa": "input changed",
        "icu%2Fb": "same",
    }


def test_what_a_server_had_is_not_read_again(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    analyzed(archive, out, "--subject", "icu/a")
    manifest = out / "icu%2Fa.run.json"
    manifest.write_text(manifest.read_text().replace('"kind": "archive"', '"kind": "kafka"'))

    said = chevet("verify", manifest)

    assert said.exit_code == 1
    assert "Frames of kafka are not read again" in said.stdout


@pytest.mark.parametrize(
    ("words", "exit_code", "message"),
    [
        (("--subject", "nobody"), 1, "has no subject 'nobody'; it has 'icu/a', 'icu/b'"),
        (("--start", "yesterday"), 1, "'yesterday' is no time"),
        (("--start", "2001-01-01", "--end", "2000-01-01"), 1, "the end is not later"),
        (("--leads", "II"), 1, "channels, leads and models are chosen of recordings"),
        (("--start", "2001-01-01", "--subject", "icu/a"), 1, "has no waveform in its first Frames"),
    ],
)
def test_what_an_archive_has_not_is_refused_with_a_reason(
    archive: Path, words: tuple[str, ...], exit_code: int, message: str
) -> None:
    said = chevet("analyze", archive, "-j", "1", *words)

    assert said.exit_code == exit_code
    assert message in said.stderr


def test_a_recording_has_no_subjects_to_choose(tmp_path: Path) -> None:
    said = chevet("analyze", write_ecg(tmp_path, "a"), "--subject", "a")

    assert said.exit_code == 2
    assert "--subject, --start and --end are for archives and servers" in said.stderr


def test_a_server_that_does_not_answer_is_named() -> None:
    said = chevet("analyze", "influx://127.0.0.1:1/x")

    assert said.exit_code == 1
    assert "127.0.0.1:1" in said.stderr


def test_what_was_replayed_into_kafka_gives_what_the_recording_gives(
    kafka_broker: KafkaBroker, tmp_path: Path, unique_name: str
) -> None:
    record = write_ecg(tmp_path, "a")
    servers = kafka_broker.bootstrap_servers
    since = datetime.now(UTC) - timedelta(minutes=1)
    said = chevet(
        "replay", record, "--kafka", servers, "--speed", "max", "--subject", unique_name,
        "--start", "2000-01-01T00:00:00",
    )  # fmt: skip
    assert said.exit_code == 0, said.output

    topic = f"kafka://{servers}?from={since:%Y-%m-%dT%H:%M:%SZ}"
    summaries = [
        json.loads(chevet("analyze", *words, "--observations", tmp_path / "out", "--json").stdout)
        for words in ((topic, "--subject", unique_name), (record,))
    ]

    assert summaries[0][0]["observations_digest"] == summaries[1][0]["observations_digest"]
    manifest = (tmp_path / "out" / f"{unique_name}.run.json").read_text()
    assert read_manifest(tmp_path / "out" / f"{unique_name}.run.json").input.spec == "kafka:"
    assert servers not in manifest
