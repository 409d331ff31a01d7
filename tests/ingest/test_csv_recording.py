"""CSV files with a mapping: exact numbers in, and errors that name the line."""

import contextlib
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.csv_mapping import parse_mapping
from ingest.errors import RecordingError
from ingest.recording import Recording, Signal, open_recording

ECG = """
[time]
rate_hz = 360
[[signal]]
column = "ecg"
name = "MLII"
unit = "mV"
scale = 0.005
offset = -5.12
"""


def write(folder: Path, table: str, mapping: str | None = ECG) -> str:
    (folder / "x.csv").write_text(table)
    if mapping is not None:
        (folder / "x.toml").write_text(mapping)
    return str(folder / "x.csv")


def opened(path: str) -> Recording:
    return open_recording(path, beats=False)


def of_column(folder: Path, texts: str, more: str = "", time: str = "rate_hz = 1") -> Signal:
    rows = "\n".join(texts.split())
    mapping = f"header_lines = 0\n[time]\n{time}\n[[signal]]\ncolumn = 0\nkind = 'ecg'\n{more}"
    return opened(write(folder, rows, mapping)).signals[0]


def at_times(folder: Path, times: str, more: str = "") -> Signal:
    rows = "".join(f"{at},7\n" for at in times.split())
    mapping = f"header_lines = 0\n[time]\ncolumn = 0\n{more}\n[[signal]]\ncolumn = 1\n"
    return opened(write(folder, rows, mapping)).signals[0]


def test_integers_are_those_of_the_file_and_mean_what_the_mapping_says(tmp_path: Path) -> None:
    recording = opened(write(tmp_path, "i,ecg\n0,1024\n1,-5\n2,\n3,NaN\n4,7\n"))

    (signal,) = recording.signals
    assert recording.name == "x"
    assert (signal.name, signal.kind, signal.unit) == ("MLII", "ecg", "uV")
    assert signal.counts[[0, 1, 4]].tolist() == [1024, -5, 7]
    assert signal.missing == ((2, 4),)
    # As of the same record in WFDB, with a gain of 200 and a baseline of 1024.
    assert (signal.scale, signal.offset, signal.sampling_rate) == (5.0, -5120.0, Fraction(360))


def test_decimals_are_whole_numbers_of_their_last_digit(tmp_path: Path) -> None:
    signal = of_column(tmp_path, "-9.345 1e1 .5 7 -0.070", "unit = 'mV'")

    assert signal.counts.tolist() == [-9345, 10_000, 500, 7000, -70]
    assert signal.scale == 1.0


def test_a_mapping_may_say_how_many_digits_count(tmp_path: Path) -> None:
    signal = of_column(tmp_path, "0.30000000000000004 12 -0.26", "decimals = 1")

    assert signal.counts.tolist() == [3, 120, -3]
    assert signal.scale == 0.1


@given(
    numbers=st.lists(st.decimals(-20, 20, places=4), min_size=1, max_size=20),
)
@settings(max_examples=40)
def test_any_decimals_are_exact(numbers: list[object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        signal = of_column(Path(folder), " ".join(map(str, numbers)))

    step = Fraction(repr(signal.scale))
    assert [int(one) * step for one in signal.counts] == [Fraction(str(one)) for one in numbers]


def test_rows_that_are_left_out_are_missing(tmp_path: Path) -> None:
    table = "t,ecg\n10,1\n14,2\n26,3\n30,4\n"
    mapping = ECG.replace("rate_hz = 360", "column = 't'\nunit = 'ms'")

    (signal,) = opened(write(tmp_path, table, mapping)).signals

    assert signal.sampling_rate == 250
    assert signal.missing == ((2, 4),)
    assert signal.counts[[0, 1, 4, 5]].tolist() == [1, 2, 3, 4]


def test_times_that_are_rounded_find_their_sample_at_the_rate_that_is_stated(
    tmp_path: Path,
) -> None:
    times = [round(i / 360, 3) for i in range(100) if i != 50]
    table = "t,ecg\n" + "".join(f"{at},{i}\n" for i, at in enumerate(times))
    mapping = ECG.replace("[time]", "[time]\ncolumn = 't'")

    (signal,) = opened(write(tmp_path, table, mapping)).signals

    assert signal.missing == ((50, 51),)
    assert signal.n_samples == 100


def test_times_may_be_dates(tmp_path: Path) -> None:
    table = "t;ecg\n2026-01-01T00:00:00.0Z;1\n2026-01-01T00:00:00.5Z;2\n"
    mapping = "delimiter = ';'\n" + ECG.replace("rate_hz = 360", "column='t'\nunit='iso8601'")

    (signal,) = opened(write(tmp_path, table, mapping)).signals

    assert signal.sampling_rate == 2


def test_titles_may_stand_behind_other_lines_and_a_byte_order_mark(tmp_path: Path) -> None:
    table = '\N{ZERO WIDTH NO-BREAK SPACE}made by,a device\n"ecg",b\n1,2\n'

    (signal,) = opened(write(tmp_path, table, "header_lines = 2\n" + ECG)).signals
    assert signal.counts.tolist() == [1]
    table = "\N{ZERO WIDTH NO-BREAK SPACE}ecg\n1\n"
    assert opened(write(tmp_path, table)).signals[0].counts.tolist() == [1]


def test_a_mapping_may_lie_elsewhere(tmp_path: Path) -> None:
    path = write(tmp_path, "ecg\n1\n2\n", None)
    elsewhere = tmp_path / "study.toml"
    elsewhere.write_text(ECG)

    recording = open_recording(path, beats=False, mapping=elsewhere)

    assert recording.signals[0].counts.tolist() == [1, 2]
    with pytest.raises(RecordingError, match=r"no mapping .*x\.toml: .*--mapping"):
        opened(path)


def test_the_table_of_a_monitor_is_read(chevet_data: Path, tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text("[time]\nrate_hz = 360\n[[signal]]\ncolumn = 0\nname='MLII'\nunit='mV'\n")
    mapping.write_text("header_lines = 0\n" + mapping.read_text())
    path = chevet_data / "misc" / "5_noisy_ECG" / "118e00.csv"

    (signal,) = open_recording(str(path), beats=False, mapping=mapping).signals

    assert (signal.kind, signal.unit, signal.scale) == ("ecg", "uV", 1.0)
    np.testing.assert_allclose(signal.physical(), 1e3 * np.loadtxt(path), rtol=1e-12)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "0 columns are called 'ecg'"),
        ("ecg\n", "holds no row"),
        ("ecg,ecg\n1,2\n", "2 columns are called 'ecg'"),
        ("i,ecg\n1,2\n1\n", "line 3 has 1 columns"),
        ("ecg\n1\nlead off\n", r"line 3: 'lead off' in MLII is no number.*missing"),
        ("ecg\n1\n3000000000\n", r"line 3: 3000000000 in MLII: .*beyond 32 bits.*decimals"),
        ("ecg\n2000000000\n0.5\n", r"line 3: 0.5 in MLII: with 1 digits .*beyond 32 bits"),
        ("ecg\n1e99999\n", "line 2: '1e99999' in MLII is no number"),
        ("ecg\n" + "1" * 5000, "line 2: 1111"),
        ("ecg\n" + "x" * (1 << 20) + "yy", r"line 2 is (longer than|no row)"),
    ],
)
def test_damage_is_named_with_its_line(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(RecordingError, match=rf"x\.csv: .*{message}"):
        opened(write(tmp_path, table))


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ("0 1 1", "row 2 of the values"),
        ("0 2 1", "row 2 of the values"),
        ("0 1e20", "more than 9223372"),
        ("0 200000", "none above"),
        ("0 noon", "line 2: the time 'noon' is no number"),
    ],
)
def test_times_that_do_not_rise_are_refused(tmp_path: Path, times: str, message: str) -> None:
    with pytest.raises(RecordingError, match=message):
        at_times(tmp_path, times, "rate_hz = 1000")


def test_a_rate_that_cannot_be_read_off_is_asked_for(tmp_path: Path) -> None:
    for times in ("0 3 7", "1", "2 1"):
        with pytest.raises(RecordingError, match=r"state it \(time\.rate_hz\)"):
            at_times(tmp_path, times)


def test_too_many_values_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.csv_recording.N_VALUES_MAX", 2)

    with pytest.raises(RecordingError, match="more than 2 values"):
        of_column(tmp_path, "1 2 3")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ("x = ", "Invalid value"),
        ("[time]\nrate_hz = 1", "names no signal"),
        ("[[signal]]\ncolumn = 0", "says nothing of time"),
        ("[time]\nrate_hz = 0\n[[signal]]\ncolumn = 0", "must be positive"),
        ("[time]\nrate_hz = 'x'\n[[signal]]\ncolumn = 0", "must be a number"),
        ("[time]\nrate_hz = 1e400\n[[signal]]\ncolumn = 0", "must be a number"),
        ("[time]\nrate_hz = true\n[[signal]]\ncolumn = 0", "must be a number"),
        ("[time]\nrate_hz = '1/0'\n[[signal]]\ncolumn = 0", "must be a number"),
        ("[time]\nrate_hz = nan\n[[signal]]\ncolumn = 0", "must be a number"),
        ("[time]\nrate_hz = 1\nunit = 'h'\n[[signal]]\ncolumn = 0", "may be s, ms, us, ns"),
        ("[time]\nrate = 1\nrate_hz = 1\n[[signal]]\ncolumn = 0", "time.nobody knows rate"),
        ("[time]\nrate_hz = 1\n[[signal]]\nname = 'x'", "signal 0: it has no column"),
        ("[time]\nrate_hz = 1\n[[signal]]\ncolumn = -1", "must be a title or a number"),
        ("[time]\nrate_hz = 1\n[[signal]]\ncolumn = 0\nkind = 'eeg'", "it may be ecg, pleth"),
        ("[time]\nrate_hz = 1\n[[signal]]\ncolumn = 0\nscale = 0", "must not be 0"),
        ("[time]\nrate_hz = 1\n[[signal]]\ncolumn = 0\ndecimals = 99", "whole number of 0 to 9"),
        ("[time]\nrate_hz = 1\n[[signal]]\ncolumn = 0\ngain = 2", "nobody knows gain"),
        ("delimiter = ''\n[time]\nrate_hz = 1\n[[signal]]\ncolumn = 0", "one character"),
        ("missing = 1\n[time]\nrate_hz = 1\n[[signal]]\ncolumn = 0", "a list of texts"),
        ("time = 1\n[[signal]]\ncolumn = 0", "must be a table"),
    ],
)
def test_a_mapping_that_says_nothing_usable_is_refused(
    tmp_path: Path, mapping: str, message: str
) -> None:
    with pytest.raises(RecordingError, match=rf"x\.toml: .*{message}"):
        opened(write(tmp_path, "1\n", mapping))


def test_a_rate_may_be_a_ratio() -> None:
    assert parse_mapping(ECG.replace("360", "'1000/3'")).rate == Fraction(1000, 3)


@given(
    table=st.text("0123456789.,eE+-\n\"' NaN\0ecg", max_size=80) | st.binary(max_size=80),
    mapping=st.sampled_from([ECG, ECG.replace("rate_hz = 360", "column = 'ecg'")])
    | st.text("[]time\nratehz=0123.'\"signalcoum", max_size=60),
)
@settings(max_examples=100)
def test_any_table_gives_a_recording_or_an_error(table: str | bytes, mapping: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.csv"
        path.with_suffix(".toml").write_text(mapping)
        path.write_bytes(table if isinstance(table, bytes) else b"ecg\n" + table.encode())
        with contextlib.suppress(RecordingError):
            opened(str(path))


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"absent\.csv cannot be read: No such file"):
        opened(str(tmp_path / "absent.csv"))
    with pytest.raises(RecordingError, match="no recording"):
        opened("a\0b.csv")
    path = write(tmp_path, "ecg\n1\n", None)
    with pytest.raises(RecordingError, match=r"the mapping .* cannot be read: Is a directory"):
        open_recording(path, beats=False, mapping=tmp_path)
    long = tmp_path / "long.toml"
    long.write_text("#" * (1 << 20) + "\n")
    with pytest.raises(RecordingError, match="longer than 1048576 bytes"):
        open_recording(path, beats=False, mapping=long)


def test_a_row_that_no_csv_has_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"line 3 is no row: field larger"):
        opened(write(tmp_path, "ecg\n1\n" + "x" * 200_000))


def test_times_far_apart_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecordingError, match=r"line 2: the time '1e9' is 1e\+09 s behind"):
        at_times(tmp_path, "0 1e9", "rate_hz = 1")
    monkeypatch.setattr("ingest.recorded.N_SAMPLES_MAX", 10)
    rows = "header_lines = 0\n[time]\nrate_hz = 1\ncolumn = 0\n" + 2 * "[[signal]]\ncolumn = 1\n"
    with pytest.raises(RecordingError, match="there would be 9 samples of each signal"):
        opened(write(tmp_path, "0,1\n8,2\n", rows))
