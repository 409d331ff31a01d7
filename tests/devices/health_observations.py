"""Observations of all kinds, for the tests of the Generic Health Sensor."""

import numpy as np
from hypothesis import strategies as st

from devices.current_time import TimeSource
from devices.elapsed_time import ElapsedTime, TimeKind, TimeResolution
from devices.ghs_header import ObservationHeader, ObservationStatus
from devices.ghs_observation import (
    HealthObservation,
    Observation,
    ObservationBundle,
    UnknownValue,
)
from devices.ghs_samples import SampleArrayValue
from devices.ghs_tlv import Tlv, TlvFormat, TlvValue
from devices.ghs_values import (
    Component,
    CompoundValue,
    DiscreteEventsValue,
    DiscreteValue,
    NumericValue,
    StateEventsValue,
    StringValue,
)
from devices.medfloat import MedFloat, Special

u8 = st.integers(0, 2**8 - 1)
u16 = st.integers(0, 2**16 - 1)
u32 = st.integers(0, 2**32 - 1)
floats: st.SearchStrategy[MedFloat] = st.builds(
    lambda mantissa, exponent: float(f"{mantissa}e{exponent}"),
    st.integers(-(2**23) + 3, 2**23 - 3),
    st.integers(-8, 8),
) | st.sampled_from(Special)
codes = st.lists(u32, max_size=4).map(tuple)
times = st.builds(
    ElapsedTime,
    count=st.integers(0, 2**48 - 1),
    resolution=st.sampled_from(TimeResolution),
    kind=st.sampled_from([TimeKind.UTC, TimeKind.LOCAL]),
    source=st.sampled_from(TimeSource),
    offset_quarters=st.none() | st.integers(-48, 64),
    on_current_timeline=st.booleans(),
)
statuses = st.lists(st.sampled_from(ObservationStatus), max_size=3).map(
    lambda flags: ObservationStatus(int(np.bitwise_or.reduce(flags or [0])))
)
tlvs = st.builds(
    Tlv,
    attribute_type=u32,
    format=st.sampled_from(TlvFormat) | st.just(0x1B),
    value=st.binary(max_size=9),
)
numerics = st.builds(NumericValue, unit=u16, value=floats)


@st.composite
def sample_arrays(draw: st.DrawFn) -> SampleArrayValue:
    n_per_period, sample_bytes = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    n_bytes = draw(st.integers(0, 5)) * n_per_period * sample_bytes
    return SampleArrayValue(
        unit=draw(u16),
        scale=draw(floats),
        offset=draw(floats),
        period_s=draw(floats),
        n_per_period=n_per_period,
        sample_bytes=sample_bytes,
        samples=draw(st.binary(min_size=n_bytes, max_size=n_bytes)),
    )


@st.composite
def state_events(draw: st.DrawFn) -> StateEventsValue:
    n_bytes = draw(st.integers(1, 4))
    bits = st.integers(0, (1 << 8 * n_bytes) - 1)
    return StateEventsValue(
        n_bytes=n_bytes, supported=draw(bits), states=draw(bits), bits=draw(bits)
    )


component_values = (
    numerics
    | st.builds(DiscreteValue, code=u32)
    | st.builds(StringValue, text=st.text(st.characters(codec="utf-8"), max_size=9))
    | sample_arrays()
    | st.builds(DiscreteEventsValue, codes=codes)
    | state_events()
)
values = (
    component_values
    | st.builds(
        CompoundValue,
        components=st.lists(
            st.builds(Component, observation_type=u32, value=component_values), max_size=3
        ).map(tuple),
    )
    | st.builds(TlvValue, tlvs=st.lists(tlvs, max_size=3).map(tuple))
    | st.builds(UnknownValue, observation_class=st.integers(9, 254), content=st.binary(max_size=9))
)


def headers(
    observation_types: st.SearchStrategy[int | None],
) -> st.SearchStrategy[ObservationHeader]:
    return st.builds(
        ObservationHeader,
        observation_type=observation_types,
        time=st.none() | times,
        duration_s=st.none() | floats,
        status=st.none() | statuses,
        observation_id=st.none() | u32,
        patient=st.none() | u8,
        supplemental=codes,
        derived_from=codes,
        is_member_of=codes,
        tlvs=st.lists(tlvs, max_size=2).map(tuple),
    )


singles = st.builds(HealthObservation, header=headers(u32), value=values)


@st.composite
def bundles(draw: st.DrawFn) -> ObservationBundle:
    header = draw(headers(st.none() | u32))
    types = u32 if header.observation_type is None else st.none() | u32
    inside = st.builds(HealthObservation, header=headers(types), value=values)
    return ObservationBundle(header=header, observations=tuple(draw(st.lists(inside, max_size=3))))


observations: st.SearchStrategy[Observation] = singles | bundles()


def numeric(
    observation_type: int | None,
    value: MedFloat,
    unit: int,
    **header: object,
) -> HealthObservation:
    """Make an observation of a number."""
    return HealthObservation(
        header=ObservationHeader(observation_type=observation_type, **header),  # type: ignore[arg-type]
        value=NumericValue(unit=unit, value=value),
    )
