"""Blood pressure, weight, body composition and running: decode(encode(x)) == x."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.blood_pressure import (
    BloodPressureMeasurement,
    IntermediateCuffPressure,
    PressureFeature,
    PressureStatus,
    PressureUnit,
    decode_blood_pressure,
    decode_blood_pressure_feature,
    decode_cuff_pressure,
    encode_blood_pressure,
    encode_blood_pressure_feature,
    encode_cuff_pressure,
)
from devices.body_composition import (
    BodyCompositionFeature,
    BodyCompositionFeatures,
    BodyCompositionMeasurement,
    decode_body_composition,
    decode_body_composition_feature,
    encode_body_composition,
    encode_body_composition_feature,
)
from devices.body_measures import (
    HeightResolution,
    MassResolution,
    MeasurementUnits,
    Resolutions,
    UserId,
)
from devices.date_time import DeviceDateTime
from devices.errors import EncodeError
from devices.medfloat import MedFloat, Special
from devices.running_speed_cadence import (
    RscFeature,
    RscMeasurement,
    decode_rsc_feature,
    decode_rsc_measurement,
    encode_rsc_feature,
    encode_rsc_measurement,
)
from devices.sc_control_point import (
    RequestSupportedLocations,
    ScOpCode,
    ScRequest,
    ScResponse,
    ScResponseValue,
    SensorLocation,
    SetCumulativeValue,
    StartSensorCalibration,
    UpdateSensorLocation,
    decode_sc_request,
    decode_sc_response,
    decode_sensor_location,
    encode_sc_request,
    encode_sc_response,
    encode_sensor_location,
)
from devices.weight_scale import (
    BmiAndHeight,
    WeightMeasurement,
    WeightScaleFeature,
    WeightScaleFeatures,
    decode_weight,
    decode_weight_scale_feature,
    encode_weight,
    encode_weight_scale_feature,
)

u8 = st.integers(0, 2**8 - 1)
u16 = st.integers(0, 2**16 - 1)
u32 = st.integers(0, 2**32 - 1)
sfloats: st.SearchStrategy[MedFloat] = st.builds(
    lambda mantissa, exponent: float(f"{mantissa}e{exponent}"),
    st.integers(-2045, 2045),
    st.integers(-8, 7),
) | st.sampled_from(Special)
dates = st.builds(
    DeviceDateTime,
    year=st.none() | st.integers(1582, 9999),
    month=st.none() | st.integers(1, 12),
    day=st.none() | st.integers(1, 28),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    second=st.integers(0, 59),
)
users = st.none() | u8
units = st.sampled_from(MeasurementUnits)
locations = st.sampled_from(SensorLocation) | u8


def steps(n_per_unit: int) -> st.SearchStrategy[MedFloat]:
    """Numbers that a field of 16 bits can hold, and that there is none."""
    numbers = st.integers(0, 0xFFFE).map(lambda raw: raw / n_per_unit)
    return numbers | st.just(Special.NAN)


pressure_tails: dict[str, st.SearchStrategy[object]] = {
    "unit": st.sampled_from(PressureUnit),
    "measured_at": st.none() | dates,
    "pulse_rate_bpm": st.none() | sfloats,
    "user_id": users,
    "status": st.none() | st.integers(0, 0x3F).map(PressureStatus),
}
blood_pressures = st.builds(
    BloodPressureMeasurement,
    systolic=sfloats,
    diastolic=sfloats,
    mean_arterial=sfloats,
    **pressure_tails,
)
cuff_pressures = st.builds(IntermediateCuffPressure, cuff_pressure=sfloats, **pressure_tails)
weights = units.flatmap(
    lambda chosen: st.builds(
        WeightMeasurement,
        weight=steps(chosen.masses_per_unit),
        units=st.just(chosen),
        measured_at=st.none() | dates,
        user_id=users,
        bmi_and_height=st.none()
        | st.builds(BmiAndHeight, bmi_kg_per_m2=steps(10), height=steps(chosen.heights_per_unit)),
    )
)
compositions = units.flatmap(
    lambda chosen: st.builds(
        BodyCompositionMeasurement,
        body_fat_percent=steps(10),
        units=st.just(chosen),
        measured_at=st.none() | dates,
        user_id=users,
        basal_metabolism_kj=st.none() | steps(1),
        muscle_percent=st.none() | steps(10),
        muscle_mass=st.none() | steps(chosen.masses_per_unit),
        fat_free_mass=st.none() | steps(chosen.masses_per_unit),
        soft_lean_mass=st.none() | steps(chosen.masses_per_unit),
        body_water_mass=st.none() | steps(chosen.masses_per_unit),
        impedance_ohm=st.none() | steps(10),
        weight=st.none() | steps(chosen.masses_per_unit),
        height=st.none() | steps(chosen.heights_per_unit),
        multiple_packets=st.booleans(),
    )
)
resolutions = st.builds(
    Resolutions,
    mass=st.sampled_from(MassResolution) | st.integers(0, 15),
    height=st.sampled_from(HeightResolution) | st.integers(0, 7),
)
runs = st.builds(
    RscMeasurement,
    speed_m_per_s=u16.map(lambda raw: raw / 256),
    cadence_per_min=u8,
    stride_length_m=st.none() | u16.map(lambda raw: raw / 100),
    total_distance_m=st.none() | u32.map(lambda raw: raw / 10),
    running=st.booleans(),
)
requests = (
    st.builds(SetCumulativeValue, total_distance_m=u32.map(lambda raw: raw / 10))
    | st.just(StartSensorCalibration())
    | st.builds(UpdateSensorLocation, location=locations)
    | st.just(RequestSupportedLocations())
)
responses = st.builds(
    ScResponse,
    request_op_code=st.sampled_from(ScOpCode) | u8,
    value=st.sampled_from(ScResponseValue) | u8,
) | st.builds(
    ScResponse,
    request_op_code=st.just(ScOpCode.REQUEST_SUPPORTED_SENSOR_LOCATIONS),
    value=st.just(ScResponseValue.SUCCESS),
    locations=st.lists(locations, max_size=16).map(tuple),
)


@given(measurement=blood_pressures)
def test_blood_pressure(measurement: BloodPressureMeasurement) -> None:
    assert decode_blood_pressure(encode_blood_pressure(measurement)) == measurement


@given(measurement=cuff_pressures)
def test_cuff_pressure(measurement: IntermediateCuffPressure) -> None:
    assert decode_cuff_pressure(encode_cuff_pressure(measurement)) == measurement


@given(features=st.integers(0, 0x1FF).map(PressureFeature))
def test_blood_pressure_feature(features: PressureFeature) -> None:
    assert decode_blood_pressure_feature(encode_blood_pressure_feature(features)) == features


@given(measurement=weights)
def test_weight(measurement: WeightMeasurement) -> None:
    assert decode_weight(encode_weight(measurement)) == measurement


@given(
    features=st.builds(
        WeightScaleFeatures,
        features=st.integers(0, 7).map(WeightScaleFeature),
        resolutions=resolutions,
    )
)
def test_weight_scale_feature(features: WeightScaleFeatures) -> None:
    assert decode_weight_scale_feature(encode_weight_scale_feature(features)) == features


@given(measurement=compositions)
def test_body_composition(measurement: BodyCompositionMeasurement) -> None:
    assert decode_body_composition(encode_body_composition(measurement)) == measurement


@given(
    features=st.builds(
        BodyCompositionFeatures,
        features=st.integers(0, 0x7FF).map(BodyCompositionFeature),
        resolutions=resolutions,
    )
)
def test_body_composition_feature(features: BodyCompositionFeatures) -> None:
    assert decode_body_composition_feature(encode_body_composition_feature(features)) == features


@given(measurement=runs)
def test_rsc_measurement(measurement: RscMeasurement) -> None:
    assert decode_rsc_measurement(encode_rsc_measurement(measurement)) == measurement


@given(features=st.integers(0, 31).map(RscFeature))
def test_rsc_feature(features: RscFeature) -> None:
    assert decode_rsc_feature(encode_rsc_feature(features)) == features


@given(location=locations)
def test_sensor_location(location: int) -> None:
    assert decode_sensor_location(encode_sensor_location(location)) == location


@given(request=requests)
def test_sc_request(request: ScRequest) -> None:
    assert decode_sc_request(encode_sc_request(request)) == request


@given(response=responses)
def test_sc_response(response: ScResponse) -> None:
    assert decode_sc_response(encode_sc_response(response)) == response


def test_a_user_that_is_not_known_is_not_a_number() -> None:
    assert decode_weight(bytes.fromhex("04 b0 36 ff")).user_id is UserId.UNKNOWN
    assert decode_weight(bytes.fromhex("04 b0 36 fe")).user_id == 254


@pytest.mark.parametrize(
    "weight", [-0.1, 327.675, 327.68, float("nan"), float("inf"), Special.POSITIVE_INFINITY]
)
def test_a_weight_that_cannot_be_sent_is_refused(weight: MedFloat) -> None:
    with pytest.raises(EncodeError, match="weight"):
        encode_weight(WeightMeasurement(weight=weight))


@pytest.mark.parametrize("speed_m_per_s", [-0.1, 256.0, float("nan"), float("inf")])
def test_a_speed_that_cannot_be_sent_is_refused(speed_m_per_s: float) -> None:
    with pytest.raises(EncodeError, match="speed"):
        encode_rsc_measurement(RscMeasurement(speed_m_per_s=speed_m_per_s, cadence_per_min=0))


def test_numbers_are_rounded_to_the_steps_of_their_fields() -> None:
    measurement = decode_weight(encode_weight(WeightMeasurement(weight=70.0024)))

    assert measurement.weight == 70.0


def test_a_pressure_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(EncodeError, match="cuff_pressure"):
        encode_cuff_pressure(IntermediateCuffPressure(cuff_pressure=1e11))


@pytest.mark.parametrize("user_id", [-1, 256])
def test_a_user_that_cannot_be_sent_is_refused(user_id: int) -> None:
    with pytest.raises(EncodeError, match="user_id"):
        encode_body_composition(BodyCompositionMeasurement(body_fat_percent=20, user_id=user_id))


@pytest.mark.parametrize("unfit", [Resolutions(mass=16), Resolutions(mass=-1)])
def test_a_resolution_of_masses_that_cannot_be_sent_is_refused(unfit: Resolutions) -> None:
    features = WeightScaleFeatures(features=WeightScaleFeature.BMI, resolutions=unfit)

    with pytest.raises(EncodeError, match="mass_resolution"):
        encode_weight_scale_feature(features)


@pytest.mark.parametrize("unfit", [Resolutions(height=8), Resolutions(height=-1)])
def test_a_resolution_of_heights_that_cannot_be_sent_is_refused(unfit: Resolutions) -> None:
    features = BodyCompositionFeatures(features=BodyCompositionFeature.HEIGHT, resolutions=unfit)

    with pytest.raises(EncodeError, match="height_resolution"):
        encode_body_composition_feature(features)


def test_locations_are_sent_to_who_asked_for_them_only() -> None:
    response = ScResponse(
        request_op_code=ScOpCode.START_SENSOR_CALIBRATION,
        value=ScResponseValue.SUCCESS,
        locations=(SensorLocation.HIP,),
    )

    with pytest.raises(EncodeError, match="locations"):
        encode_sc_response(response)
