"""A minute of five people, each with something that the board *Bedside* has to get right."""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deploy.local.influx import InfluxServer
from deploy.readback import InfluxReader
from devices import codes
from ingest.frame import (
    NS_PER_S,
    DeviceEvent,
    DeviceEventKind,
    Frame,
    Gap,
    GapCause,
    SamplePeriod,
    WaveformBlock,
)
from ingest.observation import AlarmEvent, AlarmPriority, Observation
from processors.sinks.lines import LineEncoder
from processors.vitals.reasons import NoValueReason
from tests.grafana.stored import write

MINUTE_S: Final = 60
AHEAD_S: Final = 170
"""The minute ends so far ahead of now, so that a slow machine does not make its numerals old."""

ALGORITHMS: Final = {"heart_rate": "heart_rate_fusion", "respiratory_rate": "respiration_fusion"}


@dataclass(frozen=True, slots=True)
class Ecg:
    """An ECG as one device or one recording sends it."""

    device: str
    channel: str
    unit: str
    scale: float
    offset: float
    period: SamplePeriod
    mv_per_unit: float
    counts: NDArray[np.int32]

    def millivolts(self) -> NDArray[np.float64]:
        physical = self.counts.astype(np.float64) * self.scale + self.offset
        return physical * self.mv_per_unit


def _counts(n_samples: int, height: int) -> NDArray[np.int32]:
    t_s = np.arange(n_samples, dtype=np.float64) / n_samples * MINUTE_S
    beats: NDArray[np.float64] = np.sin(2 * np.pi * 1.2 * t_s) ** 15
    return np.rint(height * beats).astype(np.int32)


def _hz(numerator: int, denominator: int = 1) -> SamplePeriod:
    return SamplePeriod(ns_numerator=NS_PER_S * denominator // numerator, ns_denominator=1)


STRAP: Final = Ecg(
    "polar-h10-1a2b", "ecg", "mV", 1e-3, 0.0, _hz(125), 1.0, _counts(MINUTE_S * 125, 1100)
)
RECORDING: Final = Ecg(
    "recording-100",
    "ecg/MLII",
    "uV",
    5.0,
    -5120.0,
    SamplePeriod(ns_numerator=25_000_000, ns_denominator=9),
    1e-3,
    _counts(MINUTE_S * 360, 220) + 1024,
)
PLETH_COUNTS: Final = _counts(MINUTE_S * 125, 30_000)


@dataclass(frozen=True, slots=True)
class Ward:
    """The subjects of the test, and the end of their minute."""

    reader: InfluxReader
    end_ns: int
    whole: str
    """Everything that the board can show; its name has a dot."""
    recorded: str
    """A recording with two leads, in µV with an offset."""
    thermometer: str
    """No waveform at all."""
    silenced: str
    """A value, and then a reason; and old values."""
    scaleless: str
    """Samples whose scale is gone."""
    n_lines: int


def admit(influx_server: InfluxServer) -> Ward:
    """Write the minute of all of them."""
    run = secrets.token_hex(4)
    end_ns = (time.time_ns() // NS_PER_S + AHEAD_S) * NS_PER_S
    subjects = {name: f"t.{run}-{name}" for name in ("whole", "recorded", "thermometer")}
    subjects |= {name: f"t.{run}-{name}" for name in ("silenced", "scaleless")}
    encoder = LineEncoder()
    warm = value_of(subjects["thermometer"], "body_temperature", end_ns, 36.6)
    n_lines = write(
        influx_server,
        [
            *_whole_lines(encoder, subjects["whole"], end_ns),
            *_recorded_lines(encoder, subjects["recorded"], end_ns),
            *encoder.observation(warm),
            *_silenced_lines(encoder, subjects["silenced"]),
            *_scaleless_lines(encoder, subjects["scaleless"], end_ns),
        ],
    )
    reader = InfluxReader(influx_server.url, influx_server.database)
    return Ward(reader=reader, end_ns=end_ns, n_lines=n_lines, **subjects)


def _whole_lines(encoder: LineEncoder, subject: str, end_ns: int) -> Iterator[bytes]:
    start_ns = end_ns - MINUTE_S * NS_PER_S
    pleth = Ecg("oximeter-3c4d", "pleth", "1", 1.0, 0.0, _hz(125), 1.0, PLETH_COUNTS)
    gaps = (
        _gap("ecg", GapCause.RADIO_LOSS, start_ns, 73),
        _gap("ecg", GapCause.RADIO_LOSS, start_ns + NS_PER_S, 73),
        _gap("acc/x", GapCause.AGENT_DOWN, start_ns, 50),
    )
    events = (
        _event(DeviceEventKind.CONNECTED, start_ns, ""),
        _event(DeviceEventKind.STREAM_STARTED, start_ns + 1, "ECG 125 Hz"),
    )
    for frame in frames_of(subject, (STRAP, codes.ECG), (pleth, codes.PLETH), start_ns=start_ns):
        yield from encoder.frame(frame)
    yield from encoder.frame(
        Frame(subject_id=subject, agent_id="agent-1", sequence=999, gaps=gaps, events=events)
    )
    for second in range(MINUTE_S + 1):
        t_ns = start_ns + second * NS_PER_S
        # Ten seconds of movement.
        disturbed = 20 <= second < 30
        quality = 0.3 if disturbed else 0.97
        yield from encoder.observation(
            _reason(subject, "heart_rate", t_ns, NoValueReason.POOR_SIGNAL, quality)
            if disturbed
            else value_of(subject, "heart_rate", t_ns, 72.0, quality)
        )
        yield from encoder.observation(value_of(subject, "signal_quality", t_ns, quality, quality))
        yield from encoder.observation(value_of(subject, "spo2", t_ns, 97.0))
        yield from encoder.observation(value_of(subject, "pulse_rate", t_ns, 71.0))
    yield from encoder.observation(value_of(subject, "body_temperature", end_ns, 36.8))
    for second, active in ((30, True), (31, False)):
        t_ns = start_ns + second * NS_PER_S
        yield from encoder.alarm(
            AlarmEvent(
                subject_id=subject,
                t_ns=t_ns,
                name="no_heart_rate",
                priority=AlarmPriority.LOW,
                active=active,
                detail="no heart rate: poor_signal",
            )
        )


def _recorded_lines(encoder: LineEncoder, subject: str, end_ns: int) -> Iterator[bytes]:
    other_lead = Ecg(
        RECORDING.device,
        "ecg/V1",
        "uV",
        1.0,
        0.0,
        RECORDING.period,
        1e-3,
        _counts(MINUTE_S * 360, -700),
    )
    start_ns = end_ns - MINUTE_S * NS_PER_S
    for frame in frames_of(
        subject, (RECORDING, codes.ECG_II), (other_lead, codes.ECG_V1), start_ns=start_ns
    ):
        yield from encoder.frame(frame)
    yield from encoder.observation(value_of(subject, "heart_rate", end_ns, 75.0))


def _silenced_lines(encoder: LineEncoder, subject: str) -> Iterator[bytes]:
    now_ns = time.time_ns()
    yield from encoder.observation(value_of(subject, "heart_rate", now_ns, 72.0))
    yield from encoder.observation(
        _reason(subject, "heart_rate", now_ns + NS_PER_S, NoValueReason.LEAD_OFF, 0.0)
    )
    yield from encoder.observation(value_of(subject, "spo2", now_ns - 6 * NS_PER_S, 97.0))
    yield from encoder.observation(value_of(subject, "pulse_rate", now_ns + AHEAD_S, 80.0, 0.4))
    yield from encoder.observation(
        value_of(subject, "body_temperature", now_ns - 301 * NS_PER_S, 37)
    )
    stored = value_of(subject, "respiratory_rate", now_ns, 14.0)
    yield from encoder.observation(stored._replace(algorithm="device_record"))


def _scaleless_lines(encoder: LineEncoder, subject: str, end_ns: int) -> Iterator[bytes]:
    for frame in frames_of(subject, (STRAP, codes.ECG), start_ns=end_ns - MINUTE_S * NS_PER_S):
        yield from (piece for piece in encoder.frame(frame) if piece.startswith(b"waveform,"))
    yield from encoder.observation(value_of(subject, "heart_rate", end_ns, 72.0))


def frames_of(subject: str, *signals: tuple[Ecg, codes.Quantity], start_ns: int) -> Iterator[Frame]:
    """Cut the signals into Frames of a second."""
    for second in range(MINUTE_S):
        blocks = []
        for ecg, quantity in signals:
            n_samples = ecg.counts.size // MINUTE_S
            i_first = second * n_samples
            blocks.append(
                WaveformBlock(
                    device_id=ecg.device,
                    channel=ecg.channel,
                    mdc_code=quantity.mdc,
                    unit=ecg.unit,
                    scale=ecg.scale,
                    offset=ecg.offset,
                    i_first=i_first,
                    t0_ns=start_ns + ecg.period.offset_ns(i_first),
                    period=ecg.period,
                    counts=ecg.counts[i_first : i_first + n_samples],
                )
            )
        yield Frame(
            subject_id=subject, agent_id="agent-1", sequence=second, waveforms=tuple(blocks)
        )


def _gap(channel: str, cause: GapCause, t_ns: int, n_samples: int) -> Gap:
    return Gap(
        device_id=STRAP.device,
        channel=channel,
        cause=cause,
        i_first=1000,
        n_samples=n_samples,
        t0_ns=t_ns,
    )


def _event(kind: DeviceEventKind, t_ns: int, detail: str) -> DeviceEvent:
    return DeviceEvent(device_id=STRAP.device, kind=kind, t_ns=t_ns, detail=detail)


def value_of(subject: str, name: str, t_ns: int, value: float, quality: float = 1.0) -> Observation:
    return _observation(subject, name, t_ns, value=value, reason=None, quality=quality)


def _reason(subject: str, name: str, t_ns: int, reason: str, quality: float) -> Observation:
    return _observation(subject, name, t_ns, value=None, reason=reason, quality=quality)


def _observation(
    subject: str, name: str, t_ns: int, *, value: float | None, reason: str | None, quality: float
) -> Observation:
    quantity = codes.by_name(name)
    return Observation(
        subject_id=subject,
        t_ns=t_ns,
        name=name,
        mdc_code=quantity.mdc,
        unit=quantity.ucum,
        value=value,
        reason=reason,
        quality=quality,
        age_s=0.0,
        channels=(f"{STRAP.device}/ecg",),
        algorithm=ALGORITHMS.get(name, "device_reading"),
        algorithm_version=1,
    )
