"""``chevet export``: what others read in the files is what was recorded, and not of whom."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas  # type: ignore[import-untyped]
import pyedflib
import pytest
import wfdb
from click.testing import CliRunner
from hl7apy.parser import parse_message
from numpy.typing import NDArray

from deploy.cli import main
from deploy.export_commands import FORMATS as OFFERED
from deploy.exporting import FORMATS
from ingest.frame import NS_PER_S
from ingest.recording import Recording, open_recording
from processors.exports.deidentify import NS_PER_DAY
from processors.sinks.archive import open_archive
from tests.exports_fhir import oru_checks, r4_checks

SECONDS = 60
HEART, LUNG = "icu-7/bed 2", "Müller"
START = "2026-11-22T08:00:00Z"
START_NS = 1_795_334_400 * NS_PER_S


def run(*words: str | Path, code: int = 0) -> str:
    done = CliRunner().invoke(main, list(map(str, words)))
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture(scope="module")
def records(chevet_data: Path) -> dict[str, Recording]:
    return {
        HEART: open_recording(str(chevet_data / "mitdb" / "101"), beats=False),
        LUNG: open_recording(str(chevet_data / "bidmc" / "bidmc01"), beats=False),
    }


@pytest.fixture(scope="module")
def archive(chevet_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "archive"
    for subject, name in ((HEART, "mitdb/101"), (LUNG, "bidmc/bidmc01")):
        words = ("--subject", subject, "--duration", str(SECONDS), "--start", START)
        run("record", chevet_data / name, "--archive", folder, *words)
    return folder


def export(archive: Path, form: str, out: Path, *words: str) -> dict[str, dict[str, Any]]:
    said = json.loads(run("export", archive, "--format", form, "--out", out, "--json", *words))
    found: dict[str, dict[str, Any]] = said["subjects"]
    for one in found.values():
        assert all((out / str(name)).is_file() for name in one["files"])
    return found


def counts(recording: Recording) -> list[NDArray[np.int32]]:
    return [one.counts[: int(SECONDS * one.sampling_rate)] for one in recording.signals]


def test_every_format_that_is_offered_can_be_written() -> None:
    assert tuple(FORMATS) == OFFERED


def test_wfdb_has_the_integers_and_the_beats(
    archive: Path, records: dict[str, Recording], tmp_path: Path
) -> None:
    said = export(archive, "wfdb", tmp_path)

    for subject, recording in records.items():
        stem = next(Path(str(n)).stem for n in said[subject]["files"] if str(n).endswith("hea"))
        read = wfdb.rdrecord(str(tmp_path / stem), physical=False)
        for column, expected in zip(read.d_signal.T, counts(recording), strict=True):
            assert np.array_equal(column, expected)
    marks = wfdb.rdann(str(tmp_path / str(said[HEART]["files"][0]).partition(".")[0]), "qrs")
    assert 60 <= sum(symbol in "NV" for symbol in marks.symbol) <= 75


@pytest.mark.parametrize("form", ["edf", "bdf"])
def test_edf_has_the_integers(
    archive: Path, records: dict[str, Recording], tmp_path: Path, form: str
) -> None:
    said = export(archive, form, tmp_path)

    for subject, recording in records.items():
        (name,) = said[subject]["files"]
        with pyedflib.EdfReader(str(tmp_path / str(name))) as read:
            for i, expected in enumerate(counts(recording)):
                assert np.array_equal(read.readSignal(i, digital=True), expected)


def test_parquet_is_an_archive_of_its_own(
    archive: Path, records: dict[str, Recording], tmp_path: Path
) -> None:
    said = export(archive, "parquet", tmp_path / "shared")

    found = open_archive(tmp_path / "shared")
    assert found.subjects() == sorted(str(one["name"]) for one in said.values())
    assert "all as written" in run("archive", "verify", tmp_path / "shared")
    one = found.subject(str(said[HEART]["name"]))
    assert np.array_equal(one.signal("ecg/MLII").counts, counts(records[HEART])[0])
    before = open_archive(archive).subject(HEART).observations("heart_rate")
    after = one.observations("heart_rate")
    assert len(before) > SECONDS
    assert [(a.t_ns, a.value, a.quality) for a in after] == [
        (b.t_ns, b.value, b.quality) for b in before
    ]
    assert "not empty" in run(
        "export", archive, "--format", "parquet", "--out", tmp_path / "shared", code=2
    )


def test_csv_has_the_integers_their_times_and_the_observations(
    archive: Path, records: dict[str, Recording], tmp_path: Path
) -> None:
    said = export(archive, "csv", tmp_path, "--subject", HEART)

    def table(end: str) -> list[dict[str, str]]:
        (name,) = (n for n in said[HEART]["files"] if str(n).endswith(end))
        with (tmp_path / str(name)).open(newline="") as file:
            return list(csv.DictReader(file))

    samples = table("ecg_MLII.csv")
    recording = records[HEART]
    assert [int(row["count"]) for row in samples] == counts(recording)[0].tolist()
    assert [int(row["t_ns"]) for row in samples[:2]] == [START_NS, START_NS + NS_PER_S // 360]
    scale, offset = recording.signals[0].scale, recording.signals[0].offset
    assert float(samples[0]["value"]) == int(samples[0]["count"]) * scale + offset
    assert len(table("observations.csv")) == said[HEART]["observations"]
    assert {row["unit"] for row in table("signals.csv")} == {"uV"}


def test_pandas_and_duckdb_read_what_was_exported(
    records: dict[str, Recording], everything: dict[str, Path]
) -> None:
    expected = counts(records[HEART])[0]
    (table,) = everything["csv"].glob("*_ecg_MLII.csv")
    files = everything["parquet"] / "waveforms" / "**" / "*.parquet"

    in_pandas = pandas.read_csv(table)
    relation = duckdb.sql(f"""
        SELECT unnest(counts) FROM (
            SELECT counts FROM read_parquet('{files}', hive_partitioning = false)
            WHERE channel = 'ecg/MLII' ORDER BY t0_ns
        )
    """)  # noqa: S608
    assert relation is not None
    in_duckdb = relation.fetchall()

    assert np.array_equal(in_pandas["count"], expected)
    assert np.all(np.diff(in_pandas["t_ns"]) > 0)
    assert [count for (count,) in in_duckdb] == expected.tolist()


def test_bundles_and_messages_are_as_their_receivers_want(archive: Path, tmp_path: Path) -> None:
    few = ("--start", "2026-11-22T08:00:50Z", "--end", "2026-11-22T08:00:55Z")
    for one in export(archive, "fhir", tmp_path, *few).values():
        (name,) = one["files"]
        bundle = json.loads((tmp_path / str(name)).read_text("utf-8"))
        assert r4_checks.problems(bundle) == []
        kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
        assert kinds.count("Observation") >= int(str(one["observations"]))
    for one in export(archive, "oru", tmp_path, *few).values():
        (name,) = one["files"]
        message = (tmp_path / str(name)).read_bytes()
        assert oru_checks.problems(message) == []
        assert parse_message(message.decode()).msh.msh_9.to_er7() == "ORU^R01^ORU_R01"


@pytest.fixture(scope="module")
def everything(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {form: tmp_path_factory.mktemp(form) / "out" for form in FORMATS}
    for form, folder in folders.items():
        export(archive, form, folder, "--shift-days", "365")
    return folders


def _all_bytes(folder: Path) -> Iterator[bytes]:
    for path in folder.rglob("*"):
        yield str(path.relative_to(folder)).encode()
        if path.is_file():
            yield path.read_bytes()


def test_nobody_is_named_anywhere(everything: dict[str, Path]) -> None:
    names = (HEART, LUNG, "icu-7", "ller", "recording-101", "bidmc01")
    for form, folder in everything.items():
        content = b"\n".join(_all_bytes(folder))
        assert len(content) > 10_000
        assert [(form, name) for name in names if name.encode() in content] == []
        assert b"2026-11-22" not in content


def test_the_days_move_and_nothing_else(archive: Path, everything: dict[str, Path]) -> None:
    shifts = set()
    found = open_archive(everything["parquet"])
    for name in found.subjects():
        (channel, *_) = found.subject(name).signals()
        first_ns = found.subject(name).signal(channel.channel).t_ns[0]
        days, rest = divmod(START_NS - int(first_ns), NS_PER_DAY)
        assert (1 <= days <= 365, rest) == (True, 0)
        shifts.add(days)
    assert len(shifts) == 2  # the chance that it is not is one in 365, once for each key


def test_a_key_of_ones_own_gives_the_same_names_again(archive: Path, tmp_path: Path) -> None:
    words = ("--study-key", str(tmp_path / "key"), "--subject", HEART)
    first = export(archive, "wfdb", tmp_path / "a", *words)[HEART]["name"]
    again = export(archive, "edf", tmp_path / "b", *words)[HEART]["name"]
    other = export(archive, "edf", tmp_path / "c", "--subject", HEART)[HEART]["name"]

    assert first == again != other


def test_names_may_stay_and_time_may_be_cut(archive: Path, tmp_path: Path) -> None:
    span = ("--start", "2026-11-22T08:00:10Z", "--end", "2026-11-22T08:00:12.5Z")
    said = export(archive, "csv", tmp_path, "--as-recorded", *span, "--subject", LUNG)[LUNG]

    assert said["name"] == LUNG
    assert said["samples"] == 3 * 313  # three channels from 10 s on and before 12.5 s, at 125 Hz
    texts = [(tmp_path / str(name)).read_text("utf-8") for name in said["files"]]
    assert any("recording-bidmc01" in text for text in texts)


def test_what_cannot_be_written_is_told_and_the_others_are(archive: Path, tmp_path: Path) -> None:
    words = ("--subject", "nobody", "--subject", LUNG)
    said = run("export", archive, "--format", "wfdb", "--out", tmp_path, *words, code=1)

    assert "nobody: not written" in said
    assert f"{LUNG} as s-" in said
    assert list(tmp_path.glob("*.hea"))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--as-recorded", "--shift-days", "3"), 2, "without a shift"),
        (("--start", "noon"), 1, "'noon' is no time"),
        (("--start", START, "--end", START), 1, "is not later than"),
    ],
)
def test_what_nobody_can_mean_is_refused(
    archive: Path, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    out = tmp_path / "out"

    assert said in run("export", archive, "--format", "csv", "--out", out, *words, code=code)
    assert not out.exists()


def test_no_archive_is_told(tmp_path: Path) -> None:
    said = run("export", tmp_path, "--format", "csv", "--out", tmp_path / "out", code=1)

    assert "no archive in" in said
