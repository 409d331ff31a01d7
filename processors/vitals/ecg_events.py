"""What the ECG chain says: beats, signal quality and heart rate, in event-time order."""

from __future__ import annotations

from dataclasses import dataclass

from processors.vitals.reasons import NoValueReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """One R peak."""

    t_ns: int
    i_sample: int
    rr_interval_s: float | None  # None: no beat before it since the start or the gap
    quality: float  # 0..1


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalQuality:
    """How far the last seconds can be believed, on whole seconds of event time."""

    t_ns: int
    quality: float  # 0..1
    reason: NoValueReason | None = None  # None: good enough for a value


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartRate:
    """Heart rate on whole seconds of event time, or why there is none."""

    t_ns: int
    heart_rate_bpm: float | None
    reason: NoValueReason | None
    quality: float  # 0..1
    n_beats: int  # RR intervals that the value rests on
    age_s: float | None  # since the newest of these beats; None: no beat

    def __post_init__(self) -> None:
        if (self.heart_rate_bpm is None) == (self.reason is None):
            raise ValueError("a heart rate has a value or a reason, never both or neither")


EcgEvent = Beat | SignalQuality | HeartRate
