"""A recording as Frames.

They are those that an agent would have made of the same signals: whole counts, exact times.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from devices import codes
from ingest.frame import (
    NS_PER_S,
    DeviceEvent,
    DeviceEventKind,
    Frame,
    Reading,
    SamplePeriod,
    WaveformBlock,
)
from ingest.recording import Numeric, Recording, Signal
from ingest.signal_kinds import ACCELERATIONS, axis_of, is_raw_light, light_of

_LEADS: Final = MappingProxyType(
    {
        "I": codes.ECG_I,
        "II": codes.ECG_II,
        "MLII": codes.ECG_II,
        "III": codes.ECG_III,
        "AVR": codes.ECG_AVR,
        "AVL": codes.ECG_AVL,
        "AVF": codes.ECG_AVF,
        "V1": codes.ECG_V1,
        "V2": codes.ECG_V2,
        "V3": codes.ECG_V3,
        "V4": codes.ECG_V4,
        "V5": codes.ECG_V5,
        "V6": codes.ECG_V6,
    }
)
_LIGHTS: Final = MappingProxyType(
    {"red": codes.PPG_RED, "infrared": codes.PPG_INFRARED, "ambient": codes.PPG_AMBIENT}
)
_AXES: Final = MappingProxyType({"x": codes.ACC_X, "y": codes.ACC_Y, "z": codes.ACC_Z})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPlan:
    """Who and when a recording becomes."""

    subject_id: str
    agent_id: str
    start_ns: int
    """UTC of the recording's first sample."""
    frame_s: Fraction = Fraction(1, 4)
    """Length of a Frame."""
    seconds_max: float | None = None
    """Stop here; None: play all."""
    device_model: str | None = None
    """What recorded it; said when it connects, in the first Frame."""


def quantity_of(signal: Signal) -> codes.Quantity | None:
    """Name what a recorded signal is; None where the table of codes does not know it."""
    match signal.kind:
        case "ecg":
            return _LEADS.get(signal.name.upper(), codes.ECG)
        case "pleth":
            raw = codes.PPG if is_raw_light(signal.name) else codes.PLETH
            return _LIGHTS.get(light_of(signal.name) or "", raw)
        case "resp":
            return codes.RESPIRATION_IMPEDANCE
        case "acc" if signal.unit in ACCELERATIONS:
            return _AXES.get(axis_of(signal.name) or "")
        case _:
            return None


def frames_of(recording: Recording, plan: ReplayPlan, *, i_first: int = 0) -> Iterator[Frame]:
    """Cut a recording into Frames, in order of time, from the one with number ``i_first`` on.

    Where a signal has no value there is no sample: a block ends before, another begins behind.
    Signals whose kind has no code are left out: name them with ``unknown_signals``. Numerics that
    are later than the last sample are left out too.
    """
    device_id = f"recording-{recording.name}"
    limit_s = max(signal.duration for signal in recording.signals)
    if plan.seconds_max is not None:
        limit_s = min(limit_s, Fraction(plan.seconds_max))
    channels = list(_known_channels(recording))
    for sequence in range(i_first, -(-limit_s // plan.frame_s)):
        begin_s = sequence * plan.frame_s
        end_s = min(begin_s + plan.frame_s, limit_s)
        yield Frame(
            subject_id=plan.subject_id,
            agent_id=plan.agent_id,
            sequence=sequence,
            waveforms=tuple(
                block
                for channel in channels
                for block in _blocks(device_id, channel, plan.start_ns, begin_s, end_s)
            ),
            readings=tuple(_readings(device_id, recording, plan, begin_s, end_s)),
            events=_events(device_id, plan) if sequence == 0 else (),
        )


def _events(device_id: str, plan: ReplayPlan) -> tuple[DeviceEvent, ...]:
    if plan.device_model is None:
        return ()
    connected = DeviceEvent(
        device_id=device_id,
        kind=DeviceEventKind.CONNECTED,
        t_ns=plan.start_ns,
        detail=plan.device_model,
    )
    return (connected,)


@dataclass(frozen=True, slots=True)
class _Channel:
    name: str
    signal: Signal
    quantity: codes.Quantity


def _known_channels(recording: Recording) -> Iterator[_Channel]:
    """Name each channel once: in some recordings both leads are called ``ECG``."""
    n_of_name: Counter[str] = Counter()
    for signal in recording.signals:
        quantity = quantity_of(signal)
        if quantity is None:
            continue
        name = _channel_name(signal)
        n_of_name[name] += 1
        if n_of_name[name] > 1:
            name = f"{name}#{n_of_name[name]}"
        yield _Channel(name, signal, quantity)


def _channel_name(signal: Signal) -> str:
    """Name a channel as those of sensors are named."""
    if signal.kind == "ecg":
        return f"ecg/{signal.name}"
    if signal.kind == "acc":
        return f"acc/{axis_of(signal.name)}"
    lowered = signal.name.lower()
    is_named = signal.kind != "pleth" or "ppg" in lowered or "pleth" in lowered
    return signal.name if is_named else f"ppg/{signal.name}"


def unknown_signals(recording: Recording) -> list[str]:
    """Name the signals that ``frames_of`` leaves out."""
    return [signal.name for signal in recording.signals if quantity_of(signal) is None]


def _blocks(
    device_id: str, channel: _Channel, start_ns: int, begin_s: Fraction, end_s: Fraction
) -> Iterator[WaveformBlock]:
    # Sample i belongs to the Frame in whose half-open interval its time lies.
    signal = channel.signal
    i_begin = int(-(-begin_s * signal.sampling_rate // 1))
    i_end = min(int(-(-end_s * signal.sampling_rate // 1)), signal.n_samples)
    period = Fraction(NS_PER_S) / signal.sampling_rate
    exact = SamplePeriod(ns_numerator=period.numerator, ns_denominator=period.denominator)
    for i_first, i_behind in signal.present(i_begin, i_end):
        yield WaveformBlock(
            device_id=device_id,
            channel=channel.name,
            mdc_code=channel.quantity.mdc,
            unit=signal.unit,
            scale=signal.scale,
            offset=signal.offset,
            i_first=i_first,
            t0_ns=start_ns + exact.offset_ns(i_first),
            period=exact,
            counts=signal.counts[i_first:i_behind],
        )


def _readings(
    device_id: str, recording: Recording, plan: ReplayPlan, begin_s: Fraction, end_s: Fraction
) -> Iterator[Reading]:
    for name, numeric in recording.numerics.items():
        quantity = codes.QUANTITIES.get(name)
        if quantity is None:
            continue
        for t_s, value in _between(numeric, float(begin_s), float(end_s)):
            missing = not math.isfinite(value)
            yield Reading(
                device_id=device_id,
                mdc_code=quantity.mdc,
                unit=quantity.ucum,
                value=None if missing else value,
                reason="not_recorded" if missing else None,
                t_ns=plan.start_ns + round(t_s * NS_PER_S),
            )


def _between(numeric: Numeric, begin_s: float, end_s: float) -> Iterator[tuple[float, float]]:
    inside = (numeric.times_s >= begin_s) & (numeric.times_s < end_s)
    yield from zip(numeric.times_s[inside].tolist(), numeric.values[inside].tolist(), strict=True)
