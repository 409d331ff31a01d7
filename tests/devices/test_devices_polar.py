"""Polar's streams: scales, settings, and what is refused."""

import numpy as np
import pytest

from devices.errors import EncodeError, UnsupportedFrameError
from devices.polar_delta import compress
from devices.polar_frames import (
    PMD_EPOCH_UNIX_NS,
    decode_frame,
    encode_frame,
    pulse_intervals,
)
from devices.polar_pmd import (
    GetSettingsRequest,
    PmdFeatures,
    PmdMeasurement,
    PmdOpCode,
    PmdResponse,
    PmdSettings,
    PmdStatus,
    PmdStopped,
    StartRequest,
    decode_indication,
    decode_settings,
    decode_start_factor,
    encode_indication,
    encode_request,
    encode_settings,
    join_parameters,
)

HEADER = bytes(8)


def test_an_h10_is_started_with_the_bytes_of_its_specification() -> None:
    request = StartRequest(
        measurement=PmdMeasurement.ECG,
        settings=PmdSettings(sample_rates_hz=(130,), resolutions_bits=(14,)),
    )

    assert encode_request(request).hex(" ") == "02 00 00 01 82 00 01 01 0e 00"


def test_a_request_without_settings_is_two_bytes() -> None:
    assert encode_request(GetSettingsRequest(measurement=PmdMeasurement.ACC)) == b"\x01\x02"


def test_features_are_a_bitmap_of_sixteen_bytes() -> None:
    features = PmdFeatures(measurements=frozenset({PmdMeasurement.ECG, PmdMeasurement.ACC}))

    assert encode_indication(features) == b"\x0f\x05" + bytes(15)


@pytest.mark.parametrize(
    "indication", [PmdStopped(measurements=(64,)), PmdStopped(measurements=(-1,))]
)
def test_a_measurement_type_has_six_bits(indication: PmdStopped) -> None:
    with pytest.raises(EncodeError, match="measurement"):
        encode_indication(indication)


def test_an_answer_in_two_parts_is_read_as_one() -> None:
    first = decode_indication(bytes.fromhex("f0 01 02 00 01 00 02 19 00"))
    second = decode_indication(bytes.fromhex("f0 01 02 00 00 32 00"))
    assert isinstance(first, PmdResponse)
    assert isinstance(second, PmdResponse)
    assert (first.more, second.more) == (True, False)

    settings = decode_settings(join_parameters(first, second))

    assert settings.sample_rates_hz == (25, 50)


def test_codes_that_have_a_name_carry_it() -> None:
    response = decode_indication(bytes.fromhex("f0 02 01 06 00"))

    assert isinstance(response, PmdResponse)
    assert response.op_code is PmdOpCode.START
    assert response.measurement is PmdMeasurement.PPG
    assert response.status is PmdStatus.ALREADY_IN_STATE


def test_a_choice_is_offered_if_each_of_its_values_is() -> None:
    offer = PmdSettings(sample_rates_hz=(25, 50, 100), resolutions_bits=(16,), ranges=(2, 4, 8))

    assert PmdSettings(sample_rates_hz=(50,), ranges=(4,)).are_offered_by(offer)
    assert not PmdSettings(sample_rates_hz=(52,)).are_offered_by(offer)
    assert not PmdSettings(n_channels=(3,)).are_offered_by(offer)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf"), 1e39])
def test_a_factor_that_is_not_a_positive_number_is_refused(factor: float) -> None:
    with pytest.raises(EncodeError, match="factor"):
        encode_settings(PmdSettings(factors=(factor,)))


@pytest.mark.parametrize(
    ("parameters", "factor"),
    [("", 1.0), ("00", 1.0), ("00 01 34 00", 1.0), ("05 01 00 00 00 3f", 0.5)],
)
def test_the_factor_of_a_stream_is_one_unless_it_is_stated(parameters: str, factor: float) -> None:
    assert decode_start_factor(bytes.fromhex(parameters)) == factor


def test_device_time_zero_is_the_start_of_2000() -> None:
    assert np.datetime64(PMD_EPOCH_UNIX_NS, "ns") == np.datetime64("2000-01-01")


def test_raw_counts_are_in_the_unit_of_the_layout() -> None:
    frame = decode_frame(b"\x00" + HEADER + b"\x00" + b"\x02\x80\xff")

    assert frame.layout.unit == "uV"
    assert frame.scale_factor() == 1.0
    assert frame.scale_factor(0.5) == 1.0, "raw frames have no factor"
    assert frame.scaled().tolist() == [[-32766.0]]


@pytest.mark.parametrize(
    ("measurement", "frame_type", "factor", "expected"),
    [
        (PmdMeasurement.ACC, 0, 2.44e-4, 0.244),
        (PmdMeasurement.ACC, 1, 1.0, 1.0),
        (PmdMeasurement.GYRO, 0, 0.07, 0.07),
    ],
)
def test_compressed_counts_take_the_factor_of_the_stream(
    measurement: PmdMeasurement, frame_type: int, factor: float, expected: float
) -> None:
    samples = np.array([[100, -100, 0]], dtype=np.int32)
    frame = decode_frame(
        encode_frame(
            measurement=measurement,
            timestamp_ns=0,
            samples=samples,
            frame_type=frame_type,
            compressed=True,
        )
    )

    assert frame.scale_factor(factor) == pytest.approx(expected)
    np.testing.assert_allclose(frame.scaled(factor), samples * expected)


def test_published_acceleration_in_g_comes_out_in_thousandths() -> None:
    content = bytes.fromhex("71 07 f0 6a 9e 8d")
    frame = decode_frame(b"\x02" + HEADER + b"\x80" + content)

    np.testing.assert_allclose(frame.scaled(2.44e-4), [[464.8, 6679.7, -7144.8]], atol=0.05)


def test_float_samples_are_bit_patterns() -> None:
    content = bytes.fromhex("00 00 80 3f 00 00 20 41 00 00 a0 41")
    frame = decode_frame(b"\x05" + HEADER + b"\x81" + content)

    assert frame.scaled().tolist() == [[1.0, 10.0, 20.0]]
    with pytest.raises(UnsupportedFrameError):
        frame.scale_factor()


def test_ppi_flags_are_named() -> None:
    frame = decode_frame(
        b"\x03" + HEADER + b"\x00" + bytes.fromhex("80 80 80 80 80 ff 00 01 00 01 00 02")
    )

    first, second = pulse_intervals(frame)

    assert (first.heart_rate_bpm, first.interval_ms, first.error_ms) == (128, 32896, 32896)
    assert (first.blocked, first.contact) == (True, True)
    assert (second.blocked, second.contact) == (False, None)


def test_an_unknown_frame_type_is_named() -> None:
    with pytest.raises(UnsupportedFrameError, match="compressed frame type 3") as caught:
        decode_frame(b"\x02" + HEADER + b"\x83" + bytes(6))

    assert (caught.value.measurement, caught.value.frame_type) == (2, 3)
    assert caught.value.compressed


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        (np.zeros(3, dtype=np.int32), "samples"),
        (np.zeros((2, 3), dtype=np.int32), "samples"),
        (np.zeros((0, 1), dtype=np.int32), "samples"),
        (np.zeros((200, 1), dtype=np.int32), "samples"),
        (np.array([[1 << 23]], dtype=np.int32), "ecg"),
        (np.array([[-(1 << 23) - 1]], dtype=np.int32), "ecg"),
    ],
)
def test_samples_that_do_not_fit_a_frame_are_refused(
    samples: np.ndarray[tuple[int, ...], np.dtype[np.int32]], why: str
) -> None:
    with pytest.raises(EncodeError, match=why):
        encode_frame(measurement=PmdMeasurement.ECG, timestamp_ns=0, samples=samples)


def test_a_time_that_does_not_fit_is_refused() -> None:
    with pytest.raises(EncodeError, match="timestamp"):
        encode_frame(
            measurement=PmdMeasurement.ECG,
            timestamp_ns=-1,
            samples=np.zeros((1, 1), dtype=np.int32),
        )


@pytest.mark.parametrize("block_samples", [0, 256])
def test_a_block_has_1_to_255_samples(block_samples: int) -> None:
    with pytest.raises(EncodeError, match="block_samples"):
        compress(np.zeros((2, 1), dtype=np.int32), resolution_bits=8, block_samples=block_samples)


def test_a_first_sample_that_is_wider_than_the_resolution_is_refused() -> None:
    with pytest.raises(EncodeError, match="reference_sample"):
        compress(np.array([[128]], dtype=np.int32), resolution_bits=8)


def test_no_samples_cannot_be_compressed() -> None:
    with pytest.raises(EncodeError, match="samples"):
        compress(np.zeros((0, 3), dtype=np.int32), resolution_bits=16)


def test_an_h10_frame_of_73_samples_is_229_bytes() -> None:
    payload = encode_frame(
        measurement=PmdMeasurement.ECG,
        timestamp_ns=1,
        samples=np.zeros((73, 1), dtype=np.int32),
    )

    assert len(payload) == 229
