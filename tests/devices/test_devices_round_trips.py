"""What is encoded decodes to the same: decode(encode(x)) == x, for every encoder."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from devices.battery import decode_battery_level, encode_battery_level
from devices.date_time import DeviceDateTime
from devices.device_information import (
    PnpId,
    SystemId,
    VendorIdSource,
    decode_pnp_id,
    decode_string,
    decode_system_id,
    encode_pnp_id,
    encode_string,
    encode_system_id,
)
from devices.errors import EncodeError
from devices.heart_rate import (
    BodySensorLocation,
    HeartRateMeasurement,
    decode_body_sensor_location,
    decode_heart_rate,
    encode_body_sensor_location,
    encode_heart_rate,
)
from devices.medfloat import MedFloat, Special
from devices.polar_delta import compress, decompress
from devices.polar_frames import LAYOUTS, FrameLayout, decode_frame, encode_frame
from devices.polar_pmd import (
    GetSettingsRequest,
    PmdFeatures,
    PmdIndication,
    PmdMeasurement,
    PmdOpCode,
    PmdRequest,
    PmdResponse,
    PmdSettings,
    PmdStatus,
    PmdStopped,
    StartRequest,
    StopRequest,
    decode_indication,
    decode_request,
    decode_settings,
    encode_indication,
    encode_request,
    encode_settings,
)
from devices.pulse_oximeter import (
    MeasurementStatus,
    PlxContinuous,
    PlxFeature,
    PlxFeatures,
    PlxSpotCheck,
    SensorStatus,
    SpO2PulseRate,
    decode_plx_continuous,
    decode_plx_features,
    decode_plx_spot_check,
    encode_plx_continuous,
    encode_plx_features,
    encode_plx_spot_check,
)
from devices.thermometer import (
    TemperatureMeasurement,
    TemperatureSite,
    TemperatureUnit,
    decode_temperature,
    encode_temperature,
)

u8 = st.integers(0, 2**8 - 1)
u16 = st.integers(0, 2**16 - 1)


def decimals(
    mantissa_max: int, exponent_min: int, exponent_max: int
) -> st.SearchStrategy[MedFloat]:
    numbers = st.builds(
        lambda mantissa, exponent: float(f"{mantissa}e{exponent}"),
        st.integers(-mantissa_max, mantissa_max),
        st.integers(exponent_min, exponent_max),
    )
    return numbers | st.sampled_from(Special)


sfloats = decimals(2045, -8, 7)
dates = st.builds(
    DeviceDateTime,
    year=st.none() | st.integers(1582, 9999),
    month=st.none() | st.integers(1, 12),
    day=st.none() | st.integers(1, 28),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    second=st.integers(0, 59),
)
heart_rates = st.builds(
    HeartRateMeasurement,
    heart_rate_bpm=u16,
    contact=st.sampled_from([None, False, True]),
    energy_expended_kj=st.none() | u16,
    rr_intervals_s=st.lists(u16.map(lambda ticks: ticks / 1024), max_size=9).map(tuple),
)
pairs = st.builds(SpO2PulseRate, spo2_percent=sfloats, pulse_rate_bpm=sfloats)
measurement_statuses = st.none() | st.integers(0, 0x7FF).map(lambda x: MeasurementStatus(x << 5))
sensor_statuses = st.none() | u16.map(SensorStatus)
continuous = st.builds(
    PlxContinuous,
    normal=pairs,
    fast=st.none() | pairs,
    slow=st.none() | pairs,
    measurement_status=measurement_statuses,
    sensor_status=sensor_statuses,
    pulse_amplitude_index_percent=st.none() | sfloats,
)
spot_checks = st.builds(
    PlxSpotCheck,
    normal=pairs,
    measured_at=st.none() | dates,
    clock_set=st.booleans(),
    measurement_status=measurement_statuses,
    sensor_status=sensor_statuses,
    pulse_amplitude_index_percent=st.none() | sfloats,
)
plx_features = st.builds(
    PlxFeatures,
    features=st.integers(0, 63).map(lambda x: PlxFeature(x << 2)),
    measurement_status=measurement_statuses,
    sensor_status=sensor_statuses,
)
temperatures = st.builds(
    TemperatureMeasurement,
    temperature=decimals((1 << 23) - 3, -128, 127),
    unit=st.sampled_from(TemperatureUnit),
    measured_at=st.none() | dates,
    site=st.none() | st.sampled_from(TemperatureSite) | st.integers(10, 255),
)
measurements = st.sampled_from(PmdMeasurement) | st.integers(0, 63)
some_u16 = st.lists(u16, max_size=4).map(tuple)
pmd_settings = st.builds(
    PmdSettings,
    sample_rates_hz=some_u16,
    resolutions_bits=some_u16,
    ranges=some_u16,
    ranges_milliunit=st.lists(st.integers(0, 2**32 - 1), max_size=4).map(tuple),
    n_channels=st.lists(u8, max_size=4).map(tuple),
    factors=st.lists(st.floats(width=32, min_value=2.0**-100, max_value=2.0**100), max_size=2).map(
        tuple
    ),
)
requests = (
    st.builds(GetSettingsRequest, measurement=measurements)
    | st.builds(StartRequest, measurement=measurements, settings=pmd_settings)
    | st.builds(StopRequest, measurement=measurements)
)
indications = (
    st.builds(PmdFeatures, measurements=st.frozensets(st.sampled_from(PmdMeasurement)))
    | st.builds(
        PmdResponse,
        op_code=st.sampled_from(PmdOpCode) | u8,
        measurement=measurements,
        status=st.sampled_from(PmdStatus) | u8,
        more=st.booleans(),
        parameters=st.binary(max_size=40),
    )
    | st.builds(PmdStopped, measurements=st.lists(measurements, max_size=5).map(tuple))
)


@given(measurement=heart_rates)
def test_heart_rate(measurement: HeartRateMeasurement) -> None:
    assert decode_heart_rate(encode_heart_rate(measurement)) == measurement


@given(location=st.sampled_from(BodySensorLocation) | u8)
def test_body_sensor_location(location: int) -> None:
    assert decode_body_sensor_location(encode_body_sensor_location(location)) == location


@given(measurement=continuous)
def test_plx_continuous(measurement: PlxContinuous) -> None:
    assert decode_plx_continuous(encode_plx_continuous(measurement)) == measurement


@given(measurement=spot_checks)
def test_plx_spot_check(measurement: PlxSpotCheck) -> None:
    assert decode_plx_spot_check(encode_plx_spot_check(measurement)) == measurement


@given(features=plx_features)
def test_plx_features(features: PlxFeatures) -> None:
    assert decode_plx_features(encode_plx_features(features)) == features


@given(measurement=temperatures)
def test_temperature(measurement: TemperatureMeasurement) -> None:
    assert decode_temperature(encode_temperature(measurement)) == measurement


@given(percent=st.integers(0, 100))
def test_battery_level(percent: int) -> None:
    assert decode_battery_level(encode_battery_level(percent)) == percent


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=100))
def test_string(text: str) -> None:
    assert decode_string(encode_string(text)) == text


@given(
    pnp_id=st.builds(
        PnpId,
        vendor_id_source=st.sampled_from(VendorIdSource) | u8,
        vendor_id=u16,
        product_id=u16,
        product_version=u16,
    )
)
def test_pnp_id(pnp_id: PnpId) -> None:
    assert decode_pnp_id(encode_pnp_id(pnp_id)) == pnp_id


@given(
    system_id=st.builds(
        SystemId,
        manufacturer_identifier=st.integers(0, 2**40 - 1),
        organizationally_unique_identifier=st.integers(0, 2**24 - 1),
    )
)
def test_system_id(system_id: SystemId) -> None:
    assert decode_system_id(encode_system_id(system_id)) == system_id


@given(chosen=pmd_settings)
def test_pmd_settings(chosen: PmdSettings) -> None:
    assert decode_settings(encode_settings(chosen)) == chosen


@given(request=requests)
def test_pmd_request(request: PmdRequest) -> None:
    assert decode_request(encode_request(request)) == request


@given(indication=indications)
def test_pmd_indication(indication: PmdIndication) -> None:
    assert decode_indication(encode_indication(indication)) == indication


@given(
    samples=arrays(
        np.int32,
        st.tuples(st.integers(1, 25), st.integers(1, 4)),
        elements=st.integers(-(2**31), 2**31 - 1) | st.integers(-9, 9),
    ),
    block_samples=st.integers(1, 255),
)
def test_compressed_samples(samples: NDArray[np.int32], block_samples: int) -> None:
    content = compress(samples, resolution_bits=32, block_samples=block_samples)

    decoded = decompress(content, n_channels=samples.shape[1], resolution_bits=32)

    np.testing.assert_array_equal(decoded, samples)


@pytest.mark.parametrize("width_bits", range(1, 33))
def test_deltas_of_every_width(width_bits: int) -> None:
    half = 1 << width_bits - 1
    deltas = [0, -half, half - 1, -half, half - 1, -1, 0]
    wrapped = np.cumsum(np.array(deltas, dtype=np.int64)).astype(np.int32)

    content = compress(wrapped.reshape(-1, 1), resolution_bits=32)

    assert content[4] == width_bits
    np.testing.assert_array_equal(
        decompress(content, n_channels=1, resolution_bits=32)[:, 0], wrapped
    )


@pytest.mark.parametrize(
    ("key", "layout"), LAYOUTS.items(), ids=lambda part: str(part) if type(part) is tuple else ""
)
@settings(max_examples=25)
@given(data=st.data())
def test_frames_of_every_layout(
    key: tuple[int, int, bool], layout: FrameLayout, data: st.DataObject
) -> None:
    measurement, frame_type, compressed = key
    n_samples = data.draw(st.integers(1, 5))
    columns = [
        data.draw(
            arrays(
                np.int32,
                n_samples,
                elements=st.integers(column.count_min, column.count_max),
            )
        )
        for column in layout.columns
    ]
    samples = np.column_stack(columns)
    timestamp_ns = data.draw(st.integers(0, 2**64 - 1))

    frame = decode_frame(
        encode_frame(
            measurement=PmdMeasurement(measurement),
            timestamp_ns=timestamp_ns,
            samples=samples,
            frame_type=frame_type,
            compressed=compressed,
        )
    )

    np.testing.assert_array_equal(frame.samples, samples)
    assert (frame.measurement, frame.frame_type, frame.compressed) == key
    assert frame.timestamp_ns == timestamp_ns
    assert frame.layout is layout


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * 513])
def test_a_string_that_cannot_be_sent_is_refused(text: str) -> None:
    with pytest.raises(EncodeError):
        encode_string(text)


@pytest.mark.parametrize("percent", [-1, 101])
def test_a_battery_level_that_cannot_be_sent_is_refused(percent: int) -> None:
    with pytest.raises(EncodeError):
        encode_battery_level(percent)


@pytest.mark.parametrize("interval_s", [float("nan"), float("inf"), -0.1, 64.0])
def test_an_rr_interval_that_cannot_be_sent_is_refused(interval_s: float) -> None:
    with pytest.raises(EncodeError, match="rr_interval"):
        encode_heart_rate(HeartRateMeasurement(heart_rate_bpm=60, rr_intervals_s=(interval_s,)))
