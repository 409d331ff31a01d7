"""A subject at the bedside, through the real pipeline, and what else an export may hold."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from devices import codes
from ingest.frame import (
    NS_PER_S,
    ClockRelation,
    DeviceEvent,
    DeviceEventKind,
    Frame,
    Reading,
    SamplePeriod,
    WaveformBlock,
)
from ingest.observation import AlarmEvent, AlarmPriority, Observation
from processors.exports.clinical import ClinicalRecord
from processors.exports.device_book import DeviceBook
from processors.exports.strips import strips_of
from processors.pipeline import SubjectPipeline
from tests.pipeline.bedside import START_NS, frames

SECONDS = 24.0
SUBJECT = "p-1"
LEAP_NS = 86_400 * NS_PER_S


@cache
def bedside_frames() -> tuple[Frame, ...]:
    """What the sensors sent, a cuff that measured twice, and the clock of a strap."""
    played = frames(seconds=SECONDS)
    played[2] = replace(
        played[2],
        readings=(*played[2].readings, *cuff_readings()),
        events=(
            DeviceEvent(
                device_id="cuff-1",
                kind=DeviceEventKind.CONNECTED,
                t_ns=START_NS,
                detail="Chevet Virtual Cuff",
            ),
        ),
        clocks=(clock(START_NS + NS_PER_S),),
    )
    return tuple(played)


def clock(utc_ns: int, *, offset_ns: int = 1_500_000_000) -> ClockRelation:
    """What a strap's clock showed at a time."""
    return ClockRelation(
        device_id="strap-1",
        offset_ns=offset_ns,
        drift_ppm=12.0,
        uncertainty_ns=5_000_000,
        device_ns=utc_ns - offset_ns,
    )


def cuff_readings() -> list[Reading]:
    """One whole inflation, and one that gave no mean and no diastolic pressure."""
    first, second = START_NS + NS_PER_S // 2, START_NS + 3 * NS_PER_S
    values = [
        (codes.SYSTOLIC_PRESSURE, 121.0, first),
        (codes.DIASTOLIC_PRESSURE, 79.0, first),
        (codes.MEAN_ARTERIAL_PRESSURE, 93.0, first),
        (codes.CUFF_PULSE_RATE, 64.0, first),
        (codes.SYSTOLIC_PRESSURE, 130.0, second),
    ]
    return [
        Reading(device_id="cuff-1", mdc_code=row.mdc, unit=row.ucum, value=value, t_ns=t_ns)
        for row, value, t_ns in values
    ]


@cache
def outputs() -> tuple[tuple[Observation, ...], tuple[AlarmEvent, ...]]:
    """What the pipeline makes of all that."""
    pipeline = SubjectPipeline(SUBJECT)
    found = [one for frame in bedside_frames() for one in pipeline.process(frame)]
    observations = tuple(one for one in found if isinstance(one, Observation))
    return observations, tuple(one for one in found if isinstance(one, AlarmEvent))


def observation(
    row: codes.Quantity,
    value: float | None,
    **others: Any,  # noqa: ANN401 - any fields
) -> Observation:
    """One observation of a device, at the start."""
    made = Observation(
        SUBJECT,
        START_NS,
        row.name,
        row.mdc,
        row.ucum,
        value,
        None if value is not None else "no_contact",
        1.0 if value is not None else 0.0,
        0.0,
        (f"strap-1/{row.name}",),
        "device_reading",
        1,
    )
    return made._replace(**others)


def alarm(t_s: float, *, active: bool, name: str = "no_heart_rate") -> AlarmEvent:
    """The begin or end of a condition."""
    return AlarmEvent(
        subject_id=SUBJECT,
        t_ns=START_NS + round(t_s * NS_PER_S),
        name=name,
        priority=AlarmPriority.LOW,
        active=active,
        detail="no heart rate: lead_off",
    )


def block(i_first: int, counts: list[int], **others: object) -> WaveformBlock:
    """Samples of a lead at 360 Hz, whose period no decimal can say."""
    period = SamplePeriod(ns_numerator=25_000_000, ns_denominator=9)
    made = WaveformBlock(
        device_id="strap-1",
        channel="ecg/II",
        mdc_code=codes.ECG_II.mdc,
        unit="uV",
        scale=5.0,
        offset=0.0,
        i_first=i_first,
        t0_ns=START_NS + period.offset_ns(i_first),
        period=period,
        counts=np.array(counts, dtype=np.int32),
    )
    return replace(made, **others)  # type: ignore[arg-type]


def frame_of(*blocks: WaveformBlock, sequence: int = 0) -> Frame:
    """A Frame of blocks only."""
    return Frame(subject_id=SUBJECT, agent_id="a-1", sequence=sequence, waveforms=blocks)


@cache
def record() -> ClinicalRecord:
    """All of it."""
    observations, alarms = outputs()
    strips = [
        strip
        for device_id, channel in (("strap-1", "ecg/II"), ("clip-1", "pleth"))
        for strip in strips_of(
            bedside_frames(),
            device_id=device_id,
            channel=channel,
            begin_ns=START_NS + 10 * NS_PER_S,
            end_ns=START_NS + 20 * NS_PER_S,
        )
    ]
    return ClinicalRecord(
        subject_id=SUBJECT,
        observations=observations,
        alarms=(*alarms, alarm(5, active=True), alarm(9, active=False), alarm(20, active=True)),
        devices=DeviceBook.of(bedside_frames()),
        strips=strips,
    )
