"""Ten minutes of a recorded patient through the real pipeline and the real encoder, up to now.

What is not in the recordings is said by the agent's Frames: motion, readings, events, clocks, gaps.
"""

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np

from deploy.local.influx import InfluxServer
from deploy.readback import InfluxReader
from devices import codes
from devices.codes import Quantity
from ingest.codec import encode_alarm, encode_frame, encode_observations
from ingest.frame import (
    NS_PER_S,
    ChannelLedger,
    ClockRelation,
    DeviceEvent,
    DeviceEventKind,
    Frame,
    Gap,
    GapCause,
    Reading,
    SamplePeriod,
    WaveformBlock,
)
from ingest.kafka import ConsumedRecord
from ingest.observation import AlarmEvent, AlarmPriority, Observation
from ingest.recording import Recording, open_recording
from ingest.replay import ReplayPlan, frames_of
from ingest.topics import ALARMS, FRAMES, OBSERVATIONS
from processors.pipeline import SubjectPipeline
from processors.sinks.lines import LineEncoder
from processors.sinks.records import RecordEncoder
from processors.vitals.hrv_day import HRV_DAY
from tests.grafana.people import value_of
from tests.grafana.sink_lines import envelopes_25hz, ledger_lines, role_status_lines, trends
from tests.grafana.stored import write

RUN_S: Final = 600
FRAME_S: Final = 5
AHEAD_S: Final = 300
"""The run ends so far ahead of now, so that a slow machine does not make its numerals old."""

RECORDING: Final = "bidmc/bidmc01"
STRAP: Final = "recording-bidmc01"
AGENT: Final = "agent-1"
SILENT_S: Final = AHEAD_S + 300
"""So long before the end the silent one was heard for the last time."""

MODEL: Final = "Polar H10"
"""Whose place on the chest is known: so it has a posture."""

I_LOST: Final = RUN_S // FRAME_S - 9
"""The Frame whose samples were lost: afterwards there is no value for some seconds."""

ACC_HZ: Final = 25
WALKING_S: Final = 120
"""At the beginning; who sits still afterwards has a respiratory rate."""
UPRIGHT_MG: Final = (-1000, 0, 0)

ROLES: Final = ("agent", "worker", "sink", "live", "recorder", "grafana-live")


@dataclass(frozen=True, slots=True)
class Run:
    """What was stored, and where."""

    reader: InfluxReader
    end_ns: int
    subject: str
    n_lines: int

    @property
    def ill(self) -> str:
        """A subject with a number in red and a suspicion."""
        return f"{self.subject}-ill"

    @property
    def silent(self) -> str:
        """A subject of whom the last thing came minutes ago, as from the agent."""
        return f"{self.subject}-silent"


def run(server: InfluxServer, folder: Path) -> Run:
    """Play a recording of the folder, process, encode and store."""
    end_ns = (time.time_ns() // NS_PER_S + AHEAD_S) * NS_PER_S
    subject = f"demo-{secrets.token_hex(4)}"
    recording = open_recording(str(folder / RECORDING), beats=False)
    frames = list(_frames(subject, recording, end_ns - RUN_S * NS_PER_S))
    pipeline = SubjectPipeline(subject)
    outputs = [pipeline.process(frame) for frame in frames]
    said = [[one for one in those if isinstance(one, Observation)] for those in outputs]
    said.insert(0, [_day(subject, end_ns)])
    alarms = [one for those in outputs for one in those if isinstance(one, AlarmEvent)]
    alarms.append(_condition(subject, end_ns))
    lines = [
        *_encoded(frames, said, alarms),
        *trends(one for those in said for one in those),
        *envelopes_25hz(frames),
        *(line for frame in frames for line in ledger_lines(frame)),
        *_neighbours(subject, end_ns),
        *role_status_lines(subject, AGENT, ROLES, end_ns),
    ]
    reader = InfluxReader(server.url, server.database)
    return Run(reader, end_ns, subject, write(server, lines))


def _encoded(
    frames: list[Frame], said: list[list[Observation]], alarms: list[AlarmEvent]
) -> Iterator[bytes]:
    """Write lines as the sink does, of the records as they come from Kafka."""
    encoder = RecordEncoder()
    for topic, payloads in (
        (FRAMES.name, [encode_frame(frame) for frame in frames]),
        (OBSERVATIONS.name, [encode_observations(those) for those in said if those]),
        (ALARMS.name, [encode_alarm(alarm) for alarm in alarms]),
    ):
        for offset, payload in enumerate(payloads):
            record = ConsumedRecord(topic=topic, partition=0, offset=offset, payload=payload)
            yield from encoder.encode(record).pieces


def _frames(subject: str, recording: Recording, start_ns: int) -> Iterator[Frame]:
    """Play the recording over and over, with what else an agent says."""
    plan = ReplayPlan(
        subject_id=subject,
        agent_id=AGENT,
        start_ns=start_ns,
        frame_s=Fraction(FRAME_S),
        seconds_max=RUN_S,
        device_model=MODEL,
    )
    for frame in frames_of(_repeated(recording), plan):
        yield _with_the_rest(frame, start_ns + frame.sequence * FRAME_S * NS_PER_S)


def _repeated(recording: Recording) -> Recording:
    n_times = -(-RUN_S // int(recording.duration_s))
    signals = [replace(one, counts=np.tile(one.counts, n_times)) for one in recording.signals]
    return replace(recording, signals=tuple(signals))


def _with_the_rest(frame: Frame, t_ns: int) -> Frame:
    newest_ns = t_ns + FRAME_S * NS_PER_S - 1
    blocks = (*frame.waveforms, *_motion(frame.sequence, t_ns))
    is_lost = frame.sequence == I_LOST
    counts = {"decoded": 1000, "framed": 1000, "spooled": 1000, "acknowledged": 990}
    return replace(
        frame,
        waveforms=() if is_lost else blocks,
        readings=(
            _reading(codes.BATTERY_LEVEL, 83.0, newest_ns),
            _reading(codes.BODY_TEMPERATURE, 36.9, newest_ns),
            *_saturation(t_ns),
        ),
        events=(*frame.events, *_events(frame.sequence, t_ns)),
        clocks=(
            ClockRelation(
                device_id=STRAP,
                offset_ns=1_500_000,
                drift_ppm=-12.5,
                uncertainty_ns=4_000_000,
                device_ns=t_ns,
            ),
        ),
        gaps=_gaps(blocks) if is_lost else (),
        ledger=(ChannelLedger(device_id=STRAP, channel="ecg", on_air=1010, **counts),),
    )


def _motion(sequence: int, t_ns: int) -> Iterator[WaveformBlock]:
    n_samples = FRAME_S * ACC_HZ
    t_s = np.arange(n_samples) / ACC_HZ
    step_mg = 250 if sequence < WALKING_S // FRAME_S else 0
    walking = np.rint(step_mg * np.sin(2 * np.pi * 1.8 * t_s))
    axes = (codes.ACC_X, codes.ACC_Y, codes.ACC_Z)
    for quantity, name, gravity in zip(axes, "xyz", UPRIGHT_MG, strict=True):
        yield WaveformBlock(
            device_id=STRAP,
            channel=f"acc/{name}",
            mdc_code=quantity.mdc,
            unit=quantity.ucum,
            scale=1e-3,
            offset=0.0,
            i_first=sequence * n_samples,
            t0_ns=t_ns,
            period=SamplePeriod(ns_numerator=NS_PER_S // ACC_HZ, ns_denominator=1),
            counts=(gravity + walking * (name == "x")).astype(np.int32),
        )


def _saturation(t_ns: int) -> Iterator[Reading]:
    for second in range(1, FRAME_S + 1):
        yield _reading(codes.SPO2, 97.0, t_ns + second * NS_PER_S - 1, "oximeter")


def _reading(quantity: Quantity, value: float, t_ns: int, device_id: str = STRAP) -> Reading:
    return Reading(
        device_id=device_id, mdc_code=quantity.mdc, unit=quantity.ucum, value=value, t_ns=t_ns
    )


def _events(sequence: int, t_ns: int) -> Iterator[DeviceEvent]:
    if sequence == RUN_S // FRAME_S - 3:
        kind = DeviceEventKind.LINK_LOST
        yield DeviceEvent(device_id="oximeter", kind=kind, t_ns=t_ns, detail="out of reach")


def _gaps(blocks: Sequence[WaveformBlock]) -> tuple[Gap, ...]:
    """Say of samples that they were lost by radio."""
    return tuple(
        Gap(
            device_id=one.device_id,
            channel=one.channel,
            cause=GapCause.RADIO_LOSS,
            i_first=one.i_first,
            n_samples=one.n_samples,
            t0_ns=one.t0_ns,
        )
        for one in blocks
    )


def _neighbours(subject: str, end_ns: int) -> Iterator[bytes]:
    """Let there be others on the ward, of whom less is known."""
    encoder = LineEncoder()
    ill, silent = f"{subject}-ill", f"{subject}-silent"
    earlier_ns = end_ns - SILENT_S * NS_PER_S
    for one in (
        value_of(ill, "heart_rate", end_ns, 88.0),
        value_of(ill, "spo2", end_ns, 82.0),
        value_of(ill, "apnoea_suspected", end_ns, 1.0),
        value_of(silent, "heart_rate", earlier_ns, 71.0),
    ):
        yield from encoder.observation(one)
    yield from role_status_lines(silent, AGENT, ("agent",), earlier_ns)
    yield from role_status_lines(silent, "stopped", ("agent",), earlier_ns, last="stopping")


def _day(subject: str, end_ns: int) -> Observation:
    """Give a figure of a day that was long before the run."""
    return Observation(
        subject_id=subject,
        t_ns=end_ns - 6 * 3600 * NS_PER_S,
        name=codes.SDNN.name,
        mdc_code=codes.SDNN.mdc,
        unit=codes.SDNN.ucum,
        value=141.0,
        reason=None,
        quality=0.95,
        age_s=0.0,
        channels=(f"{STRAP}/ecg",),
        algorithm=HRV_DAY.name,
        algorithm_version=HRV_DAY.version,
    )


def _condition(subject: str, end_ns: int) -> AlarmEvent:
    return AlarmEvent(
        subject_id=subject,
        t_ns=end_ns - 20 * NS_PER_S,
        name="frames_missing",
        priority=AlarmPriority.LOW,
        active=True,
        detail=f"3 Frames of {AGENT}",
    )
