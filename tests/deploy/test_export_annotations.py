"""What people have said of a recording comes out of the archive as it was said, and not by whom."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import wfdb
from click.testing import CliRunner

from deploy.cli import main
from deploy.exporting import FORMATS
from ingest.annotation import SubjectAnnotation
from ingest.frame import NS_PER_S
from ingest.recording import open_recording
from processors.sinks.archive import annotate, new_annotation, open_archive

FIELDS = ("sample", "symbol", "subtype", "chan", "num", "aux_note")
START = "2000-01-01T00:00:0{}Z"
AUTHOR = "Ada Lovelace"
SECONDS = 300


def run(*words: str | Path) -> str:
    done = CliRunner().invoke(main, list(map(str, words)))
    assert done.exit_code == 0, done.output
    return done.output


def export(archive: Path, form: str, out: Path, *words: str) -> dict[str, Any]:
    said = json.loads(run("export", archive, "--format", form, "--out", out, "--json", *words))
    (one,) = said["subjects"].values()
    found: dict[str, Any] = one
    return found


@pytest.mark.parametrize(("name", "n_beats"), [("107", 300), ("203", 400)])
def test_the_reference_of_a_record_is_identical(
    chevet_data: Path, tmp_path: Path, name: str, n_beats: int
) -> None:
    record = chevet_data / "mitdb" / name
    run("record", record, "--archive", tmp_path / "a", "--duration", str(SECONDS))
    export(tmp_path / "a", "wfdb", tmp_path / "out", "--as-recorded")
    before = wfdb.rdann(str(record), "atr", sampto=SECONDS * 360 - 1)
    after = wfdb.rdann(str(tmp_path / "out" / name), "atr")

    for field in FIELDS:
        # No arrays: numpy leaves a NUL at the end of a text away.
        assert list(getattr(before, field)) == list(getattr(after, field)), field
    assert len(before.sample) > n_beats
    assert len(wfdb.rdann(str(tmp_path / "out" / name), "qrs").sample) > n_beats


def texts(annotation: SubjectAnnotation) -> tuple[object, ...]:
    fields = (annotation.t_ns, annotation.duration_ns, annotation.symbol, annotation.subtype)
    return (*fields, annotation.chan, annotation.num, annotation.text.rstrip("\0"))


@pytest.fixture(scope="module")
def archive(chevet_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "archive"
    run("record", chevet_data / "mitdb" / "101", "--archive", folder, "--duration", "20")
    said: list[dict[str, Any]] = [
        {"at": START.format(1), "until": START.format(3), "text": "Mrs. Byron moved"},
        {"at": START.format(4), "symbol": "V", "text": "as Byron says", "annotator": "second"},
        {"at": START.format(5), "until": START.format(6), "symbol": "+", "text": "(AFIB"},
        {"at": START.format(7), "text": "TS", "device_id": "recording-101", "channel": "ecg/MLII"},
    ]
    annotate(folder, *(new_annotation("101", author=AUTHOR, **one) for one in said))
    return folder


def test_through_edf_nothing_is_lost_but_a_nul(archive: Path, tmp_path: Path) -> None:
    (name,) = export(archive, "edf", tmp_path, "--as-recorded")["files"]
    run("record", tmp_path / name, "--archive", tmp_path / "again", "--annotator", "atr",
        "--annotator", "second")  # fmt: skip
    before = open_archive(archive).subject("101").annotations()
    after = open_archive(tmp_path / "again").subject("101").annotations()

    assert [texts(one) for one in after] == [texts(one) for one in before]
    assert [one.annotator for one in after] == [one.annotator for one in before]
    beats = open_recording(str(tmp_path / name)).beats_s
    assert beats is not None
    marked = [one for one in before if one.annotator == "atr" and one.symbol in {"N", "V"}]
    assert beats.size == len(marked)


def test_each_set_has_a_file_of_its_own_and_intervals_have_two_notes(
    archive: Path, tmp_path: Path
) -> None:
    said = export(archive, "wfdb", tmp_path, "--as-recorded")

    assert sorted(said["files"]) == [f"101.{end}" for end in ("atr", "dat", "hea", "qrs", "second")]
    read = wfdb.rdann(str(tmp_path / "101"), "atr")
    notes = dict(zip(read.aux_note, (read.sample / 360).tolist(), strict=True))
    assert (notes["Mrs. Byron moved begins"], notes["Mrs. Byron moved ends"]) == (1.0, 3.0)
    assert (notes["+ (AFIB begins"], notes["+ (AFIB ends"]) == (5.0, 6.0)


def test_codes_stay_and_texts_and_names_do_not(archive: Path, tmp_path: Path) -> None:
    for form in FORMATS:
        said = export(archive, form, tmp_path / form, "--shift-days", "30")
        words = " ".join(said["lost"])
        assert "1 annotations that are free texts" in words
        assert "the free texts of 1 annotations" in words
        assert (f"{said['annotations']} annotations" in words) == (form in {"fhir", "oru"})
        content = b"".join(p.read_bytes() for p in (tmp_path / form).rglob("*") if p.is_file())
        assert b"Byron" not in content
        assert AUTHOR.encode() not in content
    (table,) = (tmp_path / "csv").glob("*_annotations.csv")
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["symbol"] for row in rows if row["annotator"] == "second"] == ["V"]
    assert {row["text"].rstrip("\0") for row in rows} == {"", "(N", "(AFIB", "TS"}
    assert len({row["author"] for row in rows}) == 2
    assert {row["created_ns"] for row in rows} == {""}

    found = open_archive(tmp_path / "parquet")
    (subject,) = found.subjects()
    assert len(found.subject(subject).annotations()) == len(rows)
    (of_signal,) = (one for one in found.subject(subject).annotations() if one.device_id)
    assert of_signal.device_id in {one.device_id for one in found.subject(subject).signals()}


def test_a_time_is_cut_out_with_what_has_a_part_of_it(archive: Path, tmp_path: Path) -> None:
    words = ("--start", START.format(2), "--end", START.format(4))
    said = export(archive, "parquet", tmp_path / "out", "--as-recorded", *words)

    found = open_archive(tmp_path / "out").subject("101").annotations()
    assert said["annotations"] == len(found)
    assert [one.text for one in found if one.symbol == '"'] == ["Mrs. Byron moved"]
    assert all(one.end_ns >= found[0].t_ns + NS_PER_S for one in found)
