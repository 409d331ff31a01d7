"""What a monitor showed: in a record of its own, among the signals, or in a table."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices import codes
from ingest.errors import RecordingError
from ingest.recorded import Numeric, Signal
from ingest.recorded_numerics import numerics_of
from ingest.recording import open_recording
from ingest.replay import ReplayPlan, frames_of
from tests.ingest.wfdb_bytes import Stored, write

START_NS = 10**18
NONE = -(1 << 15)


def opened(path: str) -> Any:  # noqa: ANN401
    return open_recording(path, beats=False)


def write_waveform(folder: Path, name: str = "p1", began: str = "") -> str:
    """Write ten seconds of an ECG."""
    signal = Stored(samples=[5, 6] * 1250)
    return write(folder, [signal], name=name, record=f"{{name}} 1 250 2500 {began}")


def write_numerics(folder: Path, name: str = "p1n", began: str = "", rate: str = "1") -> str:
    signals = [
        Stored(samples=[940, 950, NONE, 0], name="HR,", gain="10/bpm"),
        Stored(samples=[930, 931, 932, 933], name="PULSE", gain="10/pm"),
        Stored(samples=[970, 0, 980, 990], name="SpO2", gain="10(0)/%"),
        Stored(samples=[15, 16, 17, 18], name="RESP", gain="1/bpm"),
        Stored(samples=[120, 121, 122, 123], name="ABP Sys", gain="1/mmHg"),
        Stored(samples=[80, 81, 82, 83], name="ABPDias", gain="1/mmHg"),
        Stored(samples=[7, 7, 7, 7], name="CO", gain="1/l/min"),
    ]
    return write(folder, signals, name=name, record=f"{{name}} {{n_sig}} {rate} 4 {began}")


def test_the_numerics_record_beside_a_record_is_what_the_monitor_showed(tmp_path: Path) -> None:
    path = write_waveform(tmp_path)
    write_numerics(tmp_path)

    recording = opened(path)

    assert [signal.name for signal in recording.signals] == ["II"]
    assert {name: one.unit for name, one in recording.numerics.items()} == {
        "heart_rate": "/min",
        "pulse_rate": "/min",
        "spo2": "%",
        "respiratory_rate": "/min",
        "abp_systolic": "mm[Hg]",
        "abp_diastolic": "mm[Hg]",
    }
    assert recording.numerics["pulse_rate"].times_s.tolist() == [0, 1, 2, 3]
    assert recording.numerics["pulse_rate"].values == pytest.approx([93.0, 93.1, 93.2, 93.3])
    assert recording.numerics["abp_systolic"].values.tolist() == [120, 121, 122, 123]


def test_what_a_monitor_did_not_show_has_no_value(tmp_path: Path) -> None:
    path = write_waveform(tmp_path)
    write_numerics(tmp_path)

    numerics = opened(path).numerics

    np.testing.assert_array_equal(numerics["heart_rate"].values, [94.0, 95.0, np.nan, np.nan])
    assert [numerics["spo2"].at(t) for t in (0.0, 1.5, 2.5)] == [97.0, None, 98.0]


def test_numerics_become_readings_beside_the_samples(tmp_path: Path) -> None:
    path = write_waveform(tmp_path)
    write_numerics(tmp_path)
    plan = ReplayPlan(
        subject_id="p", agent_id="a", start_ns=START_NS, frame_s=Fraction(1, 4), seconds_max=3.0
    )

    frames = list(frames_of(opened(path), plan))

    assert {len(frame.waveforms) for frame in frames} == {1}
    readings = [reading for frame in frames for reading in frame.readings]
    rates = [one for one in readings if one.mdc_code == codes.HEART_RATE.mdc]
    assert [(one.t_ns - START_NS, one.value, one.reason, one.unit) for one in rates] == [
        (0, 94.0, None, "/min"),
        (10**9, 95.0, None, "/min"),
        (2 * 10**9, None, "not_recorded", "/min"),
    ]
    assert {one.mdc_code for one in readings} == {
        quantity.mdc
        for quantity in (codes.HEART_RATE, codes.PULSE_RATE, codes.SPO2, codes.RESPIRATORY_RATE)
    }


def test_a_numerics_record_by_itself_is_readings_without_samples(tmp_path: Path) -> None:
    path = write_numerics(tmp_path)
    plan = ReplayPlan(subject_id="p", agent_id="a", start_ns=START_NS, frame_s=Fraction(2))

    recording = opened(path)
    frames = list(frames_of(recording, plan))

    assert {signal.kind for signal in recording.signals} == {"other"}
    assert [(len(frame.waveforms), len(frame.readings)) for frame in frames] == [(0, 8), (0, 8)]


@pytest.mark.parametrize(
    ("began", "numerics_began", "later_s"),
    [
        ("", "", 0.0),
        ("10:44:18.5", "", 0.0),
        ("10:44:18.5", "10:44:20", 1.5),
        ("10:44:18", "10:43:00", -78.0),
        ("23:59:59", "0:00:01", 2.0),
        ("23:59:59 31/12/1999", "0:00:01 01/01/2000", 2.0),
        ("10:00:00 01/01/2000", "10:00:00 03/01/2000", 172_800.0),
        ("10:00:00 01/01/2000", "10:00:05", 5.0),
    ],
)
def test_numerics_that_begin_at_another_time_are_moved_to_theirs(
    tmp_path: Path, began: str, numerics_began: str, later_s: float
) -> None:
    path = write_waveform(tmp_path, began=began)
    write_numerics(tmp_path, began=numerics_began)

    times_s = opened(path).numerics["heart_rate"].times_s

    assert times_s.tolist() == [later_s + i for i in range(4)]


def test_numerics_of_each_minute_are_a_minute_apart(tmp_path: Path) -> None:
    path = write_waveform(tmp_path)
    write_numerics(tmp_path, rate="0.0166666666667/125")

    times_s = opened(path).numerics["heart_rate"].times_s

    assert times_s == pytest.approx([0, 60, 120, 180])


def test_a_fast_record_whose_name_ends_in_n_is_another_record(tmp_path: Path) -> None:
    path = write_waveform(tmp_path)
    write(tmp_path, [Stored(samples=[900] * 9, name="HR", gain="10/bpm")], name="p1n")

    assert opened(path).numerics == {}


def test_a_damaged_numerics_record_is_named(tmp_path: Path) -> None:
    path = write_waveform(tmp_path)
    write_numerics(tmp_path)
    (tmp_path / "p1n.dat").write_bytes(b"x")

    with pytest.raises(RecordingError, match=r"p1n\.hea: the signal file .*p1n\.dat is cut off"):
        opened(path)


def test_a_header_of_numerics_without_their_samples_is_as_none(tmp_path: Path) -> None:
    path = write_waveform(tmp_path)
    write_numerics(tmp_path)
    (tmp_path / "p1n.dat").unlink()

    assert opened(path).numerics == {}


def test_slow_signals_of_the_record_itself_are_numerics_too(tmp_path: Path) -> None:
    signals = [
        Stored(samples=[5, 6] * 250, per_frame=250),
        Stored(samples=[61, 62], name="HR", gain="1/bpm"),
    ]
    path = write(tmp_path, signals, record="{name} 2 1 2")

    recording = opened(path)

    assert [signal.kind for signal in recording.signals] == ["ecg", "other"]
    assert recording.numerics["heart_rate"].values.tolist() == [61, 62]


def heart_rate(**changes: object) -> Signal:
    fields: dict[str, Any] = {
        "name": "HR",
        "kind": "other",
        "unit": "/min",
        "sampling_rate": Fraction(1),
        "counts": np.array([60], dtype=np.int32),
        "scale": 1.0,
        **changes,
    }
    return Signal(**fields)


@pytest.mark.parametrize("name", ["HR", "hr", "HR,"])
def test_a_numeric_is_known_by_the_letters_of_its_name(name: str) -> None:
    assert numerics_of([heart_rate(name=name)]).keys() == {"heart_rate"}


@pytest.mark.parametrize(
    "change", [{"name": "HR2"}, {"unit": "uV"}, {"sampling_rate": Fraction(125)}]
)
def test_what_has_another_name_unit_or_rate_is_no_numeric(change: dict[str, Any]) -> None:
    assert numerics_of([heart_rate(**change)]) == {}


def test_the_first_of_two_numerics_of_one_name_is_taken() -> None:
    second = heart_rate(counts=np.array([70], dtype=np.int32))

    assert numerics_of([heart_rate(), second])["heart_rate"].values.tolist() == [60]


def test_a_record_of_numerics_goes_before_the_table(tmp_path: Path) -> None:
    path = write_waveform(tmp_path, "bidmc01")
    write_numerics(tmp_path, "bidmc01n")
    (tmp_path / "bidmc_01_Numerics.csv").write_text("Time [s], HR, other\n0,70,1\n")

    assert opened(path).numerics["heart_rate"].values[0] == 94.0


def test_the_numerics_of_a_record_of_many_segments_are_found(chevet_data: Path) -> None:
    folder = chevet_data / "wfdb_samples" / "multi-segment" / "s25047"

    numerics = opened(str(folder / "s25047-2704-05-04-10-44")).numerics

    assert numerics.keys() == {
        "heart_rate",
        "pulse_rate",
        "respiratory_rate",
        "spo2",
        "nbp_systolic",
        "nbp_diastolic",
        "nbp_mean",
    }
    assert numerics["heart_rate"].times_s[:2] == pytest.approx([0, 60])
    assert numerics["heart_rate"].values[0] == pytest.approx(101.3)
    # The probe was not on the finger: the monitor stored 0.
    assert numerics["spo2"].at(0.0) is None


# Tables


@pytest.mark.parametrize("folder", ["csv", "bidmc_csv", "."])
def test_numerics_of_bidmc_are_found_beside_the_record(tmp_path: Path, folder: str) -> None:
    path = write_waveform(tmp_path, "bidmc01")
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / "bidmc_01_Numerics.csv").write_text(
        "Time [s], HR, PULSE, RESP, SpO2, other\n0,94,93,25,97,1\n1,95,NaN,24,,1\n"
    )

    numerics = open_recording(path).numerics

    assert set(numerics) == {"heart_rate", "pulse_rate", "respiratory_rate", "spo2"}
    assert [numerics["heart_rate"].at(t) for t in (-1.0, 0.0, 0.9, 1.0, 5.0)] == [
        None,
        94,
        94,
        95,
        95,
    ]
    assert numerics["pulse_rate"].at(1.0) is None
    assert numerics["spo2"].at(1.0) is None
    assert numerics["spo2"].unit == "%"


def test_numerics_that_are_no_table_are_an_error(tmp_path: Path) -> None:
    path = write_waveform(tmp_path, "bidmc01")
    (tmp_path / "bidmc_01_Numerics.csv").write_text("")

    with pytest.raises(RecordingError, match=r"bidmc_01_Numerics\.csv cannot be read"):
        open_recording(path)


def test_numeric_without_values_shows_nothing() -> None:
    empty = np.zeros(0)

    assert Numeric(unit="%", times_s=empty, values=empty).at(1.0) is None
