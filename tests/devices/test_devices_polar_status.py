"""Polar's rarer frames and commands: scales, status columns, SDK mode, slow readings."""

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from devices.codes import AMBIENT_PRESSURE, SKIN_TEMPERATURE
from devices.errors import (
    EncodeError,
    InvalidFieldError,
    TruncatedPayloadError,
    UnsupportedFrameError,
)
from devices.polar_frames import (
    PmdFrame,
    PulseInterval,
    decode_frame,
    encode_frame,
    pulse_interval_samples,
    pulse_intervals,
)
from devices.polar_layouts import LAYOUTS
from devices.polar_pmd import (
    GetSdkModeQuery,
    GetSdkSettingsRequest,
    GetStatusQuery,
    PmdMeasurement,
    PmdQuery,
    StartRequest,
    StopRequest,
    decode_request,
    encode_request,
)
from devices.polar_queries import (
    MeasurementStatus,
    decode_measurement_status,
    decode_sdk_mode,
    encode_measurement_status,
    encode_sdk_mode,
)
from devices.polar_readings import READABLE, pmd_readings
from devices.polar_status import (
    MagnetometerCalibration,
    PpgGains,
    magnetometer_calibrations,
    ppg_gain_samples,
    ppg_gains,
    ppg_operation_mode_samples,
    ppg_operation_modes,
    ppg_sport_samples,
    ppg_sports,
)
from devices.readings import NoValueReason

TYPE = PmdMeasurement
HEADER = bytes.fromhex("00 94 35 77 00 00 00 00")


def frame(measurement: PmdMeasurement, frame_type: int, content: str) -> PmdFrame:
    """Decode a frame; `frame_type` with the compression bit."""
    return decode_frame(
        bytes([measurement]) + HEADER + bytes([frame_type]) + bytes.fromhex(content)
    )


def resent(one: PmdFrame, samples: NDArray[np.int32]) -> PmdFrame:
    """Encode and decode samples in the layout of a frame."""
    return decode_frame(
        encode_frame(
            measurement=one.measurement,
            timestamp_ns=one.timestamp_ns,
            samples=samples,
            frame_type=one.frame_type,
            compressed=one.compressed,
        )
    )


def floats(measurement: PmdMeasurement, *numbers: float) -> PmdFrame:
    samples = np.array(numbers, dtype=np.float32).view(np.int32).reshape(-1, 1)
    return decode_frame(encode_frame(measurement=measurement, timestamp_ns=1, samples=samples))


# Scales


def test_every_raw_layout_takes_whole_bytes() -> None:
    for (_, _, compressed), layout in LAYOUTS.items():
        bits = sum(column.n_bits + column.pad_bits for column in layout.columns)
        assert bits % 8 == 0
        if compressed:
            assert {column.n_bits for column in layout.columns} == {layout.resolution_bits}
            assert {column.n_bytes for column in layout.columns} == {layout.resolution_bits // 8}


def test_a_status_is_never_scaled() -> None:
    compass = frame(TYPE.MAGNETOMETER, 0x81, "37 ff 51 fd 6c f6 00 00 03 01 f8 02")

    np.testing.assert_allclose(
        compass.scaled(1.1), [[-0.2211, -0.7557, -2.6972, 0], [-0.2211, -0.7568, -2.6939, 1]]
    )
    assert compass.layout.unit == "G"


def test_gauss_come_with_the_factor_of_the_stream() -> None:
    compass = frame(TYPE.MAGNETOMETER, 0x80, "e2 e6 fa 15 49 0a")

    np.testing.assert_allclose(compass.scaled(0.0015), [[-9.645, 8.439, 3.9495]])


def test_compressed_numbers_take_the_factor_and_raw_ones_do_not() -> None:
    compressed = frame(TYPE.PRESSURE, 0x80, "c2 87 80 44")
    raw = frame(TYPE.PRESSURE, 0x00, "c2 87 80 44")

    assert compressed.scaled(2.0)[0, 0] == 2 * raw.scaled(2.0)[0, 0]
    assert raw.scaled()[0, 0] == pytest.approx(1028.243, abs=0.001)
    with pytest.raises(UnsupportedFrameError):
        raw.scale_factor()


def test_gyroscope_numbers_take_the_factor() -> None:
    gyro = frame(TYPE.GYRO, 0x81, "00 00 80 3f 00 00 20 41 00 00 a0 41")

    assert gyro.scaled(0.5).tolist() == [[0.5, 5.0, 10.0]]


def test_a_column_is_found_by_its_name() -> None:
    ecg = frame(TYPE.ECG, 2, "80 80 fc ff ff 03")

    assert ecg.column("ecg").tolist() == [32896, 262143]
    assert ecg.column("pace_tag").tolist() == [7, 0]
    with pytest.raises(InvalidFieldError, match="status"):
        ecg.column("status")


def test_which_frames_are_no_waveform() -> None:
    others = {(key[0], key[1]) for key, layout in LAYOUTS.items() if not layout.waveform}

    assert others == {(TYPE.PPG, frame_type) for frame_type in (4, 5, 6, 9, 14)}


def test_a_status_of_24_bits_wraps_at_24_bits() -> None:
    first = frame(TYPE.PPG, 0x8D, "00 00 00 00 00 00 ff ff ff")
    samples = np.array([[0, 0, 0xFFFFFF], [0, 0, 0], [0, 0, 0x800000]], dtype=np.int32)

    assert first.column("status").tolist() == [0xFFFFFF]
    np.testing.assert_array_equal(resent(first, samples).samples, samples)


@pytest.mark.parametrize(
    ("measurement", "frame_type", "compressed", "row"),
    [
        (TYPE.ECG, 1, False, [16384, 0, 0, 0]),
        (TYPE.ECG, 1, False, [-1, 0, 0, 0]),
        (TYPE.ECG, 2, False, [0, 8, 0]),
        (TYPE.PPG, 13, True, [0, 0, 1 << 24]),
        (TYPE.PPG, 13, True, [1 << 23, 0, 0]),
        (TYPE.PPG, 14, False, [0, 8, 0]),
    ],
)
def test_counts_that_are_wider_than_their_column_are_refused(
    *, measurement: PmdMeasurement, frame_type: int, compressed: bool, row: list[int]
) -> None:
    with pytest.raises(EncodeError, match="does not fit"):
        encode_frame(
            measurement=measurement,
            timestamp_ns=0,
            samples=np.array([row], dtype=np.int32),
            frame_type=frame_type,
            compressed=compressed,
        )


@given(
    samples=arrays(np.int32, (100, 3), elements=st.integers(-2000, 2000)),
    n_bytes=st.integers(0, 228),
)
def test_a_frame_that_is_cut_gives_its_first_whole_blocks_or_an_error(
    samples: NDArray[np.int32], n_bytes: int
) -> None:
    payload = encode_frame(
        measurement=TYPE.ACC, timestamp_ns=5, samples=samples, frame_type=1, compressed=True
    )

    with contextlib.suppress(TruncatedPayloadError):
        cut = decode_frame(payload[:n_bytes])
        assert len(cut.samples) in {1, 33, 65, 97, 100}
        np.testing.assert_array_equal(cut.samples, samples[: len(cut.samples)])


@given(start=st.integers(-(2**31), 2**31 - 1), deltas=st.lists(st.integers(-(2**31), 2**31 - 1)))
def test_sums_wrap_at_32_bits(start: int, deltas: list[int]) -> None:
    content = struct.pack("<i", start)
    for delta in deltas[:80]:
        content += b"\x20\x01" + struct.pack("<i", delta)

    samples = frame(TYPE.TEMPERATURE, 0x80, content.hex()).samples[:, 0]

    sums = np.cumsum([start, *deltas[:80]], dtype=np.int64)
    np.testing.assert_array_equal(samples, sums.astype(np.int32))


# Gains, modes, sports, calibration


@given(
    frame_type=st.sampled_from([4, 9, 14]),
    data=st.data(),
)
def test_gains_come_back(frame_type: int, data: st.DataObject) -> None:
    n_slots = 1 if frame_type == 14 else 12
    gain = st.lists(st.integers(0, 7), min_size=n_slots, max_size=n_slots).map(tuple)
    integrations = st.lists(st.integers(0, 255), min_size=n_slots, max_size=n_slots).map(tuple)
    gains = PpgGains(
        n_integrations=data.draw(integrations),
        channel_1_gains=data.draw(gain),
        channel_2_gains=data.draw(gain),
    )

    samples = ppg_gain_samples(gains, frame_type=frame_type)
    payload = encode_frame(
        measurement=TYPE.PPG, timestamp_ns=7, samples=samples, frame_type=frame_type
    )

    assert len(payload) == 10 + 3 * n_slots
    assert ppg_gains(decode_frame(payload)) == (gains,)


def test_gains_alternate_between_the_channels() -> None:
    gains = ppg_gains(frame(TYPE.PPG, 14, "08 fb 0c 09 01 02"))

    assert gains == (
        PpgGains(n_integrations=(8,), channel_1_gains=(3,), channel_2_gains=(4,)),
        PpgGains(n_integrations=(9,), channel_1_gains=(1,), channel_2_gains=(2,)),
    )


@pytest.mark.parametrize(
    ("gains", "frame_type", "why"),
    [
        (((1,), (1,), (1,)), 5, "frame_type"),
        (((1,), (1,), (1,)), 4, "gains"),
        (((1, 2), (1,), (1,)), 14, "gains"),
        (((256,), (1,), (1,)), 14, "n_integrations"),
        (((1,), (8,), (1,)), 14, "gain"),
        (((1,), (1,), (-1,)), 14, "gain"),
    ],
)
def test_gains_that_do_not_fit_are_refused(
    gains: tuple[tuple[int, ...], ...], frame_type: int, why: str
) -> None:
    n_integrations, channel_1, channel_2 = gains
    with pytest.raises(EncodeError, match=why):
        ppg_gain_samples(
            PpgGains(
                n_integrations=n_integrations,
                channel_1_gains=channel_1,
                channel_2_gains=channel_2,
            ),
            frame_type=frame_type,
        )


@given(mode=st.integers(0, 2**32 - 1))
def test_an_operation_mode_has_32_bits(mode: int) -> None:
    one = frame(TYPE.PPG, 5, "00 00 00 00")

    assert ppg_operation_modes(resent(one, ppg_operation_mode_samples(mode))) == (mode,)


@given(sport=st.integers(0, 2**64 - 1))
def test_a_sport_has_64_bits(sport: int) -> None:
    one = frame(TYPE.PPG, 6, "00 00 00 00 00 00 00 00")

    assert ppg_sports(resent(one, ppg_sport_samples(sport))) == (sport,)


@pytest.mark.parametrize("number", [-1, 1 << 64])
def test_a_mode_or_a_sport_that_does_not_fit_is_refused(number: int) -> None:
    with pytest.raises(EncodeError, match="operation_mode"):
        ppg_operation_mode_samples(number)
    with pytest.raises(EncodeError, match="sport"):
        ppg_sport_samples(number)


def test_calibration_is_named_where_it_is_said() -> None:
    said = frame(
        TYPE.MAGNETOMETER,
        0x81,
        "00 00 00 00 00 00 00 00 10 02 00 00 00 00 00 00 03 00" + " 00" * 6 + " 06 00",
    )
    unsaid = frame(TYPE.MAGNETOMETER, 0x80, "00 00 00 00 00 00")

    assert magnetometer_calibrations(said) == (
        MagnetometerCalibration.UNKNOWN,
        MagnetometerCalibration.GOOD,
        9,
    )
    assert magnetometer_calibrations(unsaid) == (MagnetometerCalibration.NOT_AVAILABLE,)


def test_frames_of_another_kind_are_refused() -> None:
    ecg = frame(TYPE.ECG, 0, "00 00 00")
    light = frame(TYPE.PPG, 0, "00" * 12)

    for read in (ppg_gains, ppg_operation_modes, ppg_sports):
        with pytest.raises(InvalidFieldError, match="measurement"):
            read(ecg)
        with pytest.raises(InvalidFieldError, match="frame_type"):
            read(light)
    with pytest.raises(InvalidFieldError, match="measurement"):
        magnetometer_calibrations(ecg)


# Commands


@pytest.mark.parametrize(
    ("payload", "command"),
    [
        ("02 09", StartRequest(measurement=TYPE.SDK_MODE)),
        ("03 09", StopRequest(measurement=TYPE.SDK_MODE)),
        ("04 01", GetSdkSettingsRequest(measurement=TYPE.PPG)),
        ("05", GetStatusQuery()),
        ("06", GetSdkModeQuery()),
    ],
)
def test_commands_of_sdk_mode(payload: str, command: StartRequest | StopRequest | PmdQuery) -> None:
    assert encode_request(command) == bytes.fromhex(payload)
    assert decode_request(bytes.fromhex(payload)) == command


@given(
    rows=st.lists(
        st.builds(
            MeasurementStatus,
            measurement=st.integers(0, 63),
            online=st.booleans(),
            offline=st.booleans(),
        ),
        max_size=9,
    ).map(tuple)
)
def test_measurement_status_comes_back(rows: tuple[MeasurementStatus, ...]) -> None:
    assert decode_measurement_status(encode_measurement_status(rows)) == rows


def test_the_upper_bits_of_a_status_say_how_it_runs() -> None:
    online, offline, both, neither = decode_measurement_status(bytes.fromhex("40 bf c2 3f"))

    assert (online.measurement, online.online, online.offline) == (TYPE.ECG, True, False)
    assert (offline.measurement, offline.online, offline.offline) == (63, False, True)
    assert (both.measurement, both.online, both.offline) == (TYPE.ACC, True, True)
    assert (neither.online, neither.offline) == (False, False)
    assert online.measurement is TYPE.ECG


@pytest.mark.parametrize("measurement", [-1, 64])
def test_a_status_of_no_measurement_is_refused(measurement: int) -> None:
    with pytest.raises(EncodeError, match="measurement"):
        encode_measurement_status([MeasurementStatus(measurement=measurement)])


@pytest.mark.parametrize("enabled", [False, True])
def test_sdk_mode_comes_back(*, enabled: bool) -> None:
    assert decode_sdk_mode(encode_sdk_mode(enabled=enabled)) is enabled


# Readings


@given(
    intervals=st.lists(
        st.builds(
            PulseInterval,
            heart_rate_bpm=st.integers(0, 255),
            interval_ms=st.integers(0, 65535),
            error_ms=st.integers(0, 65535),
            blocked=st.booleans(),
            contact=st.sampled_from([None, False, True]),
        ),
        min_size=1,
        max_size=9,
    ).map(tuple)
)
def test_pulse_intervals_come_back(intervals: tuple[PulseInterval, ...]) -> None:
    samples = pulse_interval_samples(intervals)
    payload = encode_frame(measurement=TYPE.PPI, timestamp_ns=0, samples=samples)

    assert pulse_intervals(decode_frame(payload)) == intervals


def test_an_interval_that_its_flags_disown_is_withheld() -> None:
    content = "3c e8 03 0a 00 06 3c e8 03 0a 00 07 3c e8 03 0a 00 04 3c e8 03 0a 00 00"
    good, moved, off_skin, unknown = pmd_readings(frame(TYPE.PPI, 0, content))

    assert (good.value, moved.value, off_skin.value, unknown.value) == (1000.0, None, None, 1000.0)
    assert moved.reason is NoValueReason.INVALID
    assert off_skin.reason is NoValueReason.NO_CONTACT


def test_published_skin_temperature_becomes_a_reading() -> None:
    (reading,) = pmd_readings(frame(TYPE.SKIN_TEMPERATURE, 0, "00 60 ee 41"))

    assert reading.quantity is SKIN_TEMPERATURE
    assert reading.value == 29.796875
    assert reading.offset_ns == 0


def test_readings_of_one_frame_end_one_period_apart() -> None:
    readings = pmd_readings(
        frame(TYPE.SKIN_TEMPERATURE, 0x80, "ec 51 dc 41 03 02 00"), rate_hz=4.0, factor=1.0
    )

    assert [reading.offset_ns for reading in readings] == [-500_000_000, -250_000_000, 0]
    assert [reading.value for reading in readings] == [pytest.approx(27.54)] * 3


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (float("nan"), NoValueReason.NOT_A_NUMBER),
        (float("inf"), NoValueReason.OUT_OF_RANGE),
        (-float("inf"), NoValueReason.OUT_OF_RANGE),
        (3e38, NoValueReason.OUT_OF_RANGE),
        (-40.5, NoValueReason.OUT_OF_RANGE),
    ],
)
def test_a_number_that_no_sensor_can_give_is_no_value(number: float, reason: NoValueReason) -> None:
    for measurement in (TYPE.SKIN_TEMPERATURE, TYPE.TEMPERATURE):
        (reading,) = pmd_readings(floats(measurement, number))
        assert reading.value is None
        assert reading.reason is reason


def test_a_signalling_nan_is_no_value() -> None:
    (reading,) = pmd_readings(frame(TYPE.SKIN_TEMPERATURE, 0, "00 00 81 7f"))

    assert reading.reason is NoValueReason.NOT_A_NUMBER


def test_pressure_is_in_millibars() -> None:
    first, second = pmd_readings(floats(TYPE.PRESSURE, 1013.25, 1.013))

    assert (first.quantity, first.value) == (AMBIENT_PRESSURE, 1013.25)
    assert second.reason is NoValueReason.OUT_OF_RANGE


def test_a_waveform_has_no_readings() -> None:
    assert {int(measurement) for measurement in READABLE} == {3, 7, 11, 12}
    with pytest.raises(InvalidFieldError, match="has no readings"):
        pmd_readings(frame(TYPE.ECG, 0, "00 00 00"))


@given(pattern=st.binary(min_size=4, max_size=40))
def test_any_bits_give_readings_that_are_finite_or_have_a_reason(pattern: bytes) -> None:
    content = pattern[: len(pattern) // 4 * 4].hex()
    for measurement in READABLE - {TYPE.PPI}:
        for reading in pmd_readings(frame(measurement, 0, content)):
            assert (reading.value is None) == (reading.reason is not None)
