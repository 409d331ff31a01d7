"""Readings that come after newer ones: said at their own time, and nothing else heeds them."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import codes
from ingest.frame import NS_PER_S, Frame, Reading
from ingest.observation import Observation
from processors.pipeline import SubjectPipeline
from processors.sources import SILENCE_NS
from processors.vitals.readings import DEVICE_READING, DEVICE_RECORD
from tests.pipeline import bedside

S = NS_PER_S
QUANTITIES = (codes.SPO2, codes.PULSE_RATE, codes.HEART_RATE, codes.BODY_TEMPERATURE)


def reading(
    t_ns: int,
    value: float | None = 97.0,
    quantity: codes.Quantity = codes.SPO2,
    device_id: str = "ox-1",
) -> Reading:
    return Reading(
        device_id=device_id,
        mdc_code=quantity.mdc,
        unit=quantity.ucum,
        value=value,
        reason=None if value is not None else "no_contact",
        t_ns=t_ns,
    )


def of(*readings: Reading, sequence: int) -> Frame:
    return Frame(subject_id="p-1", agent_id="a-1", sequence=sequence, readings=readings)


def processed(frames: list[Frame]) -> list[Observation]:
    pipeline = SubjectPipeline("p-1")
    found = [one for frame in frames for one in pipeline.process(frame)]
    return [one for one in found if isinstance(one, Observation)]


def said_by(found: list[Observation], algorithm: str) -> list[Observation]:
    return [one for one in found if one.algorithm == algorithm]


def test_older_ones_of_a_device_are_observations_at_their_own_time() -> None:
    now_ns = bedside.START_NS
    store = (reading(now_ns - 3600 * S, 91.0), reading(now_ns - 3590 * S, None))

    found = processed([of(reading(now_ns), sequence=0), of(*store, sequence=1)])

    assert [(one.t_ns, one.value, one.reason) for one in found] == [
        (now_ns, 97.0, None),
        (now_ns - 3600 * S, 91.0, None),
        (now_ns - 3590 * S, None, "no_contact"),
    ]
    assert {one.algorithm for one in found[1:]} == {DEVICE_RECORD.name}
    assert found[1].channels == ("ox-1/spo2",)


def test_those_of_another_device_do_not_take_the_word_from_the_one_that_speaks() -> None:
    now_ns = bedside.START_NS
    live = [of(reading(now_ns + n * S), sequence=n) for n in range(40)]
    store = [
        reading(now_ns + n * S - 8 * 3600 * S, 88.0, device_id="ring-1") for n in range(0, 400, 4)
    ]
    live[20] = replace(live[20], readings=(*live[20].readings, *store))

    found = processed(live)

    speaker = said_by(found, DEVICE_READING.name)
    assert {(one.value, one.channels) for one in speaker} == {(97.0, ("ox-1/spo2",))}
    assert len(speaker) == 40
    assert [one.t_ns for one in said_by(found, DEVICE_RECORD.name)] == [one.t_ns for one in store]


def test_a_spot_check_of_the_last_seconds_is_as_current_as_what_streams() -> None:
    frames = bedside.frames(Fraction(1), seconds=20.0)
    t_ns = bedside.START_NS + 15 * S
    spot = reading(t_ns - SILENCE_NS // 2, 36.6, codes.BODY_TEMPERATURE, "t-1")
    frames[15] = replace(frames[15], readings=(*frames[15].readings, spot))

    [found] = [one for one in processed(frames) if one.name == "body_temperature"]

    assert found.algorithm == DEVICE_READING.name


LIVE = [
    replace(frame, waveforms=frame.waveforms if n < 15 else ())
    for n, frame in enumerate(bedside.frames(Fraction(1), seconds=30.0))
]
"""Signals for fifteen seconds, and a device's own rate for thirty."""
EXPECTED = processed(LIVE)


@settings(max_examples=15, deadline=None)
@given(
    records=st.lists(
        st.tuples(
            st.integers(0, 29),
            st.integers(SILENCE_NS + 2 * S, 10**7 * S),
            st.sampled_from(QUANTITIES),
            st.sampled_from(["strap-1", "ring-1"]),
        ),
        max_size=30,
    )
)
def test_whatever_is_back_filled_the_live_values_are_the_same_to_the_bit(
    records: list[tuple[int, int, codes.Quantity, str]],
) -> None:
    filled = list(LIVE)
    for n, age_ns, quantity, device_id in records:
        if n:  # behind the first second there is something newer
            old = reading(bedside.START_NS + n * S - age_ns, 55.0, quantity, device_id)
            filled[n] = replace(filled[n], readings=(*filled[n].readings, old))

    found = processed(filled)

    assert [one for one in found if one.algorithm != DEVICE_RECORD.name] == EXPECTED
    assert len(said_by(found, DEVICE_RECORD.name)) == sum(1 for n, *_ in records if n)


@pytest.mark.parametrize(
    "quantity",
    [codes.GLUCOSE_CAPILLARY_PLASMA, codes.SYSTOLIC_PRESSURE, codes.BODY_TEMPERATURE],
)
def test_single_measurements_are_said_each_at_its_time_and_nothing_goes_by_it(
    quantity: codes.Quantity,
) -> None:
    """A meter's clock may be an hour ahead."""
    meter = [
        reading(LIVE[10].waveforms[0].t0_ns + age_s * S, 120.0, quantity, "meter-1")
        for age_s in (-86_400, -3600, 0, 3600)
    ]
    filled = [*LIVE[:10], replace(LIVE[10], readings=(*LIVE[10].readings, *meter)), *LIVE[11:]]

    found = processed(filled)

    said = [one for one in found if one.name == quantity.name]
    assert [(one.t_ns, one.algorithm) for one in said] == [
        (meter[0].t_ns, DEVICE_RECORD.name),
        (meter[1].t_ns, DEVICE_RECORD.name),
        (meter[2].t_ns, DEVICE_READING.name),
        (meter[3].t_ns, DEVICE_READING.name),
    ]
    assert [one for one in found if one.name != quantity.name] == EXPECTED


def test_what_is_no_observation_when_it_is_new_is_none_when_it_is_old() -> None:
    now_ns = bedside.START_NS
    frames = [
        of(reading(now_ns - n * 60 * S, 5.0, codes.BATTERY_LEVEL), sequence=n) for n in range(3)
    ]

    assert processed(frames) == []
