"""Strips from the command line: the integers around what they were asked around."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deploy import export_strips
from deploy.cli import main
from deploy.export_commands import STRIPS
from deploy.export_strips import MOMENTS
from ingest.frame import NS_PER_S
from ingest.recording import open_recording
from processors.sinks.archive import annotate, new_annotation, open_archive
from processors.sinks.archive.reader import ns_of
from tests.exports_fhir import oru_checks, r4_checks

HZ = 360
SECONDS = 60
START = "2026-11-22T08:00:{}Z"
START_NS = 1_795_334_400 * NS_PER_S
SUBJECT = "icu-7"
FEW = ("--start", START.format("20"), "--end", START.format("40"))


def run(*words: str | Path, code: int = 0) -> str:
    done = CliRunner().invoke(main, list(map(str, words)))
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture(scope="module")
def archive(chevet_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "archive"
    words = ("--subject", SUBJECT, "--duration", str(SECONDS), "--start", START.format("00"))
    run("record", chevet_data / "mitdb" / "208", "--archive", folder, *words)
    return folder


def exported(archive: Path, form: str, out: Path, *words: str) -> tuple[dict[str, Any], bytes]:
    said = json.loads(
        run("export", archive, "--format", form, "--out", out, "--json", *FEW, *words)
    )
    one = said["subjects"][SUBJECT]
    (name,) = one["files"]
    return one, (out / name).read_bytes()


def strips_of(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    resources = (entry["resource"] for entry in bundle["entry"])
    return [one for one in resources if "valueSampledData" in one]


def test_a_bundle_has_the_integers_around_a_time(
    archive: Path, chevet_data: Path, tmp_path: Path
) -> None:
    words = ("--strip", START.format("30"), "--strip-seconds", "4", "--shift-days", "9")
    said, content = exported(archive, "fhir", tmp_path, *words)
    bundle = json.loads(content)

    strips = strips_of(bundle)
    assert r4_checks.problems(bundle) == []
    assert said["strips"] == len(strips) == 2
    recording = open_recording(str(chevet_data / "mitdb" / "208"), beats=False)
    expected = {tuple(signal.counts[28 * HZ : 32 * HZ].tolist()) for signal in recording.signals}
    told = (one["valueSampledData"]["data"].split() for one in strips)
    assert {tuple(map(int, words)) for words in told} == expected
    assert all("T08:00:28" in one["effectivePeriod"]["start"] for one in strips)
    assert b"2026-11-22" not in content


def test_a_message_has_them_too(archive: Path, tmp_path: Path) -> None:
    _, message = exported(archive, "oru", tmp_path, "--strip", START.format("39"))

    assert oru_checks.problems(message) == []
    rows = [row.split("|") for row in message.decode().split("\r") if row.startswith("OBX")]
    # Five seconds before it, one behind: the export ends then.
    assert [len(row[5].split("^")) for row in rows if row[2] == "NA"] == [6 * HZ, 6 * HZ]


def test_beats_that_are_not_normal_have_a_strip_each_or_are_in_one(
    archive: Path, tmp_path: Path
) -> None:
    classes = open_archive(archive).subject(SUBJECT).observations("beat_class")
    others = [
        one.t_ns
        for one in classes
        if one.value not in {None, 1.0, 13.0}
        and START_NS + 20 * NS_PER_S <= one.t_ns < START_NS + 40 * NS_PER_S
    ]
    assert len(others) > 3

    _, content = exported(
        archive, "fhir", tmp_path, "--strips", "beats", "--strip-seconds", "2", "--as-recorded"
    )

    spans = [
        tuple(ns_of(one["effectivePeriod"][key]) or 0 for key in ("start", "end"))
        for one in strips_of(json.loads(content))
    ]
    assert all(any(begin <= t_ns <= end for begin, end in spans) for t_ns in others)
    assert len(spans) <= 2 * len(others)


def test_annotations_have_strips(archive: Path, tmp_path: Path) -> None:
    here = new_annotation(SUBJECT, START_NS + 25 * NS_PER_S, author="a", text="look here")
    annotate(archive, here)

    words = ("--strips", "annotations", "--strips", "alarms", "--strips", "suspicions")
    said, content = exported(archive, "fhir", tmp_path, *words, "--as-recorded")

    assert said["strips"] == len(strips_of(json.loads(content))) >= 2


def test_every_choice_is_offered() -> None:
    assert tuple(MOMENTS) == STRIPS


def test_formats_with_all_samples_have_no_strips(archive: Path, tmp_path: Path) -> None:
    words = ("--format", "edf", "--out", tmp_path / "out", "--strips", "beats")

    assert "edf has all samples" in run("export", archive, *words, code=2)


def test_too_many_are_told(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_strips, "N_MOMENTS_MAX", 3)
    # One lies in the strip of the one before.
    times = [START.format(f"{s}") for s in (21, 25, 25.5, 30, 35)]
    words = [word for one in times[:4] for word in ("--strip", one)]
    given = ("export", archive, "--format", "fhir", "--out", tmp_path, "--strip-seconds", "2", *FEW)

    assert ", 6 strips in" in run(*given, *words)
    assert "more than 3 moments" in run(*given, *words, "--strip", times[4], code=1)
