"""``chevet verify``: what it finds, and that it finds nothing where nothing is."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.observation_difference import first_difference
from deploy.observation_files import COLUMNS, ObservationFileError
from tests.deploy.analyzed import chevet, contents, flip_a_bit, write_ecg

MAPPING = """
[time]
rate_hz = 360
[[signal]]
column = "ecg"
kind = "ecg"
unit = "mV"
"""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Results of two records, as tables of text and beats."""
    records = [write_ecg(tmp_path / "records", name, 20 * i) for i, name in enumerate("ab")]
    folder = tmp_path / "out"
    said = chevet(
        "analyze", *records, "-j", "1", "--observations", folder, "--annotations", folder,
        "--format", "csv", "--leads", "II",
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    return folder


def verified(run: Path, *words: str | Path) -> tuple[int, dict[str, tuple[str, str]]]:
    """Verify; give the exit code, and outcome and findings by record."""
    said = chevet("verify", run, "-j", "1", "--json", *words)
    found = json.loads(said.stdout)
    return said.exit_code, {
        one["record"]: (one["outcome"], "; ".join(one["findings"])) for one in found
    }


def test_what_is_the_same_is_said_to_be(out: Path) -> None:
    before = contents(out)

    said = chevet("verify", out, "-j", "1")

    assert said.exit_code == 0
    assert [line.split() for line in said.stdout.splitlines()] == [
        ["a", "same"],
        ["b", "same"],
        ["2", "of", "2", "recordings", "give", "the", "same"],
    ]
    assert contents(out) == before
    assert verified(out / "a.run.json") == (0, {"a": ("same", "")})


def test_a_flipped_bit_of_an_input_is_found_and_named(out: Path) -> None:
    flip_a_bit(out.parent / "records" / "a.dat")

    assert verified(out) == (
        1,
        {"a": ("input changed", "input a.dat is another than it was"), "b": ("same", "")},
    )


def test_an_input_that_is_gone_is_looked_for_where_one_is_told(out: Path, tmp_path: Path) -> None:
    (tmp_path / "records").rename(tmp_path / "elsewhere")

    exit_code, found = verified(out)
    assert exit_code == 1
    assert found["a"] == ("missing", "input a.hea is not there; input a.dat is not there")
    assert verified(out, "--inputs", tmp_path, "--inputs", tmp_path / "elsewhere")[0] == 0
    assert "no recording a in" in verified(out, "--inputs", out)[1]["a"][1]


def change_a_value(folder: Path) -> None:
    table = folder / "a.csv"
    lines = table.read_text().splitlines()
    cells = lines[5].split(",")
    cells[COLUMNS.index("quality")] = "0.123"
    lines[5] = ",".join(cells)
    table.write_text("\n".join(lines) + "\n")


def drop_the_last_row(folder: Path) -> None:
    table = folder / "a.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")


def move_a_beat(folder: Path) -> None:
    flip_a_bit(folder / "a.qrs", 60)


def remove_the_beats(folder: Path) -> None:
    (folder / "a.qrs").unlink()


def write_no_table(folder: Path) -> None:
    (folder / "a.csv").write_bytes(b"\xff")


@pytest.mark.parametrize(
    ("harm", "outcome", "finding"),
    [
        (change_a_value, "output changed", "a.csv differs first in row 5: "),
        (change_a_value, "output changed", "quality '0.123' then, "),
        (drop_the_last_row, "output changed", ": only now: "),
        (move_a_beat, "output changed", "output a.qrs is another than it was"),
        (remove_the_beats, "missing", "output a.qrs is not there"),
        (write_no_table, "output changed", "a.csv cannot be read: "),
    ],
)
def test_a_result_that_was_changed_is_found_and_named(
    out: Path, harm: Callable[[Path], None], outcome: str, finding: str
) -> None:
    harm(out)

    exit_code, found = verified(out)

    assert exit_code == 1
    assert found["b"] == ("same", "")
    assert found["a"][0] == outcome
    assert finding in found["a"][1]


def changed(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))


def test_a_digest_that_was_changed_is_found(out: Path) -> None:
    changed(out / "a.run.json", lambda fields: fields["observations"].update(digest="0" * 64))

    exit_code, found = verified(out)

    assert exit_code == 1
    assert found["a"][0] == "different"
    assert found["a"][1].endswith(" with 000000000000")


def test_results_of_other_settings_differ_and_the_first_observation_is_shown(out: Path) -> None:
    whole = write_ecg(out.parent / "records", "a", 40)
    again = out.parent / "again"
    chevet("analyze", whole, "--observations", again, "--annotations", again, "--format", "csv")
    facts = json.loads((again / "a.run.json").read_text())["input"]
    changed(out / "a.run.json", lambda fields: fields.update(input=facts))

    exit_code, found = verified(out)

    outcome, finding = found["a"]
    assert (exit_code, outcome) == (1, "different")
    assert "observations with the digest" in finding
    assert "a.csv differs first in row " in finding
    assert "a.qrs becomes another" in finding


def test_other_software_is_said_and_no_fault(out: Path) -> None:
    def older(fields: dict[str, Any]) -> None:
        fields["software"]["packages"]["numpy"] = "1.26.0"

    changed(out / "a.run.json", older)

    said = chevet("verify", out, "-j", "1")

    assert said.exit_code == 0
    assert "other software: packages.numpy: 1.26.0 then, " in said.stdout


def test_what_is_no_manifest_is_said_and_the_others_are_verified(out: Path) -> None:
    (out / "c.run.json").write_text("{}")
    changed(out / "b.run.json", lambda fields: fields["settings"].pop("leads"))

    exit_code, found = verified(out)

    assert exit_code == 1
    assert {record: outcome for record, (outcome, _) in found.items()} == {
        "a": "same",
        "b": "unreadable",
        "c": "unreadable",
    }
    assert "c.run.json: it is no manifest of a run" in found["c"][1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda fields: fields["input"].update(spec="~nobody-here/x"), "leads nowhere here"),
        (lambda fields: fields["input"]["files"][0].update(path="~nobody-here/x"), "leads nowhere"),
        (lambda fields: fields["settings"].update(device_model=7), "no name of a model"),
        (lambda fields: fields["settings"].update(mapping="other.toml"), "its settings cannot"),
        (lambda fields: fields["input"].update(source={"kind": "archive"}), "no manifest of a run"),
        (
            lambda fields: fields["input"].update(
                source={"kind": "archive"}, frames_sha256="0", spec="../study"
            ),
            "its source cannot be used",
        ),
    ],
)
def test_a_manifest_that_nobody_could_have_written_is_unreadable(
    out: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    (out.parent / "study").mkdir()
    (out.parent / "study" / "_state.json").write_text("{}")
    changed(out / "a.run.json", change)

    exit_code, found = verified(out / "a.run.json")

    assert exit_code == 1
    assert found["a"][0] == "unreadable"
    assert message in found["a"][1]


def test_an_input_that_is_a_device_is_not_read(out: Path) -> None:
    def endless(fields: dict[str, Any]) -> None:
        fields["input"]["files"][0]["path"] = "/dev/zero"

    changed(out / "a.run.json", endless)

    assert verified(out / "a.run.json") == (1, {"a": ("missing", "input /dev/zero is not there")})


def test_a_folder_without_a_manifest_and_no_folder_are_usage(tmp_path: Path) -> None:
    said = chevet("verify", tmp_path)

    assert said.exit_code == 2
    assert "has no manifest of a run" in said.stderr
    assert chevet("verify", tmp_path / "nowhere").exit_code == 2


def test_a_table_is_verified_with_its_mapping_wherever_both_are_now(tmp_path: Path) -> None:
    values = "\n".join(str(i % 300) for i in range(3600))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").write_text(f"ecg\n{values}\n")
    (tmp_path / "study.toml").write_text(MAPPING)
    arguments = ("--mapping", tmp_path / "study.toml", "--observations", tmp_path / "out")
    said = chevet("analyze", tmp_path / "data" / "x.csv", *arguments)
    assert said.exit_code == 0, said.output

    assert verified(tmp_path / "out") == (0, {"x": ("same", "")})

    (tmp_path / "moved").mkdir()
    shutil.move(tmp_path / "data" / "x.csv", tmp_path / "moved")
    shutil.move(tmp_path / "study.toml", tmp_path / "moved")
    assert verified(tmp_path / "out", "--inputs", tmp_path / "moved") == (0, {"x": ("same", "")})


def test_what_fails_now_is_said_with_its_reason(out: Path) -> None:
    def other_lead(fields: dict[str, Any]) -> None:
        fields["settings"]["leads"] = ["V9"]

    changed(out / "a.run.json", other_lead)

    exit_code, found = verified(out)

    assert (exit_code, found["a"][0]) == (1, "failed")
    assert "no ECG lead called V9" in found["a"][1]


def test_tables_of_parquet_are_compared_by_rows_not_by_bytes(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    record = write_ecg(tmp_path, "a")
    chevet("analyze", record, "--observations", tmp_path)
    table = pq.read_table(tmp_path / "a.parquet")
    pq.write_table(table, tmp_path / "b.parquet", row_group_size=7, compression="zstd")
    pq.write_table(table.slice(0, 3), tmp_path / "c.parquet")

    assert first_difference(tmp_path / "a.parquet", tmp_path / "b.parquet") is None
    difference = first_difference(tmp_path / "a.parquet", tmp_path / "c.parquet")
    assert difference is not None
    assert (difference.i_row, difference.now) == (3, None)
    assert str(difference).startswith("row 4: only then: ")
    (tmp_path / "d.parquet").write_bytes(b"PAR1")
    with pytest.raises(ObservationFileError, match=r"d\.parquet cannot be read"):
        first_difference(tmp_path / "a.parquet", tmp_path / "d.parquet")
