"""``chevet score``: which files are compared, what is said of them, and what if one is missing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from deploy.cli import main
from deploy.observation_files import COLUMNS
from ingest.wfdb_annotations import Annotation, encode_annotations

FS_HZ = 360


def chevet(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], prog_name="chevet")


def write(path: Path, *beats: tuple[float, str], fs_hz: float | None = None) -> None:
    path.parent.mkdir(exist_ok=True)
    marks = [Annotation(sample=round(at * (fs_hz or FS_HZ)), symbol=text) for at, text in beats]
    path.write_bytes(encode_annotations(marks, fs_hz))


def every_second(n: int, symbol: str = "N") -> list[tuple[float, str]]:
    return [(float(i), symbol) for i in range(1, n + 1)]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two records of 400 s; of the first a beat is missed, of the second one is called V."""
    reference, test = tmp_path / "reference", tmp_path / "test"
    for name in ("a", "b"):
        write(reference / f"{name}.atr", *every_second(399))
        (reference / f"{name}.hea").write_text(f"{name} 1 360 {400 * FS_HZ}\n")
    write(test / "a.qrs", *every_second(399)[:-1])
    write(test / "b.qrs", *every_second(398), (399.02, "V"))
    return tmp_path


def scores(folders: Path, *words: object) -> dict[str, Any]:
    said = chevet(
        "score", "--reference", folders / "reference", "--test", folders / "test", "--json", *words
    )
    assert said.exit_code == 0, said.output
    loaded = json.loads(said.stdout)
    assert isinstance(loaded, dict)
    return loaded


def test_without_records_all_of_the_reference_are_compared(folders: Path) -> None:
    found = scores(folders)

    assert found["schema"] == "chevet-score/1"
    assert [one["record"] for one in found["records"]] == ["a", "b"]
    gross = found["gross"]["all"]
    assert (gross["n_reference"], gross["n_test"], gross["n_matched"]) == (798, 797, 797)
    assert gross["matrix"]["N"] == {"n": 796, "s": 0, "v": 1, "f": 0, "q": 0, "o": 1, "x": 0}
    assert found["gross"]["ec57"]["n_reference"] == 200
    assert found["average"]["all"]["qrs_se_percent"] == pytest.approx(100 * (398 / 399 + 1) / 2)
    assert found["records"][1]["conditions"]["all"]["offset_rms_ms"] > 0


def test_annotators_stand_for_files_beside_the_record(folders: Path) -> None:
    write(folders / "reference" / "a.mine", *every_second(399))

    said = chevet(
        "score", "--reference", "atr", "--test", "mine", folders / "reference" / "a.hea", "--json"
    )

    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout)["gross"]["all"]["qrs_f1_percent"] == 100


def test_every_missing_file_is_named(folders: Path) -> None:
    (folders / "test" / "a.qrs").unlink()
    (folders / "test" / "b.qrs").unlink()

    said = chevet("score", "--reference", folders / "reference", "--test", folders / "test")

    assert said.exit_code == 1
    assert "a.qrs" in said.stderr
    assert "b.qrs" in said.stderr
    assert "chevet analyze" in said.stderr


@pytest.mark.parametrize("reference", ["nowhere", "."])
def test_a_reference_without_records_is_refused(reference: str, tmp_path: Path) -> None:
    said = chevet("score", "--reference", tmp_path / reference, "--test", tmp_path)

    assert said.exit_code == 1
    assert "--reference" in said.stderr


def test_a_file_that_is_no_annotation_file_is_named(folders: Path) -> None:
    (folders / "test" / "a.qrs").write_bytes(b"\x01\x04\xff")

    said = chevet("score", "--reference", folders / "reference", "--test", folders / "test")

    assert said.exit_code == 1
    assert "a.qrs" in said.stderr
    assert "cut off" in said.stderr


def test_files_that_count_differently_are_compared_in_time(folders: Path) -> None:
    write(folders / "test" / "a.qrs", *every_second(399), fs_hz=1000.0)

    found = scores(folders, "a")

    assert found["gross"]["all"]["qrs_f1_50_ms_percent"] == 100


def test_without_a_sampling_rate_the_user_is_asked_for_it(folders: Path) -> None:
    (folders / "reference" / "a.hea").unlink()

    said = chevet("score", "--reference", folders / "reference", "--test", folders / "test", "a")

    assert said.exit_code == 1
    assert "--fs" in said.stderr
    assert scores(folders, "a", "--fs", 360)["records"][0]["fs_hz"] == 360


def test_a_narrow_window_finds_fewer_pairs(folders: Path) -> None:
    assert scores(folders, "b", "--window-ms", 10)["gross"]["all"]["n_matched"] == 398
    assert scores(folders, "b", "--pairing", "bxb")["pairing"] == "bxb"


def test_heart_rates_are_compared_where_there_is_a_table(folders: Path) -> None:
    rows = [[t, 0, "heart_rate", 0, "/min", 61.0, "", 0.9, 0, "", "x", 1] for t in range(20, 380)]
    lines = [",".join(COLUMNS), *(",".join(str(cell) for cell in row) for row in rows)]
    (folders / "a.csv").write_text("\n".join(lines) + "\n")

    found = scores(folders, "--observations", folders)

    assert found["records"][1]["heart_rate"] is None
    assert found["heart_rate"]["n_shown"] == 360
    assert found["heart_rate"]["mae_bpm"] == pytest.approx(1.0)


def test_the_table_for_people_has_every_record_and_the_sums(folders: Path) -> None:
    said = chevet(
        "score", "--reference", folders / "reference", "--test", folders / "test",
        "--condition", "ec57",
    )  # fmt: skip

    assert said.exit_code == 0
    lines = said.stdout.splitlines()
    starts = [line.split("  ")[0] for line in lines]
    assert {"a", "b", "gross all", "gross ec57", "average ec57"} <= set(starts)
    assert max(map(len, lines)) <= 120
    row = next(line for line in lines if line.startswith("a "))
    assert row.split()[1:4] == ["100", "1", "0"]


def test_a_rhythm_is_compared_by_its_duration(folders: Path) -> None:
    fibrillation = [
        Annotation(sample=100 * FS_HZ, symbol="+", aux="(AFIB"),
        Annotation(sample=200 * FS_HZ, symbol="+", aux="(N"),
    ]
    late = [Annotation(sample=one.sample + 30 * FS_HZ, symbol="+", aux=one.aux) for one in fibrillation]  # fmt: skip  # noqa: E501
    (folders / "reference" / "a.atr").write_bytes(encode_annotations(fibrillation))
    (folders / "test" / "a.qrs").write_bytes(encode_annotations(late))

    found = scores(folders, "a")["episodes"]["all"]["atrial_fibrillation"]

    assert (found["n_reference"], found["n_found"]) == (1, 1)
    assert found["duration_se_percent"] == pytest.approx(70)
    assert found["duration_sp_percent"] == pytest.approx(100 * 270 / 300)
    assert np.isclose(found["judged_s"], 400)
