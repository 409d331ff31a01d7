"""A subject with everything on, as Frames: what the speed is measured with.

The ECG is a real one with ectopic beats; pulse wave, breathing and movement are made to go with a
person who sits, walks and sits again. The same numbers every time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import codes
from ingest.frame import NS_PER_S, Frame, Reading, SamplePeriod, WaveformBlock
from tests.processors_core.scoring import wheel_ecg_uv

Floats = NDArray[np.float64]

START_NS: Final = 1_790_121_000 * NS_PER_S
"""23:50 UTC: ten minutes later a whole minute, five minutes, hour and day have ended."""

ECG_HZ, PPG_HZ, RESP_HZ, ACC_HZ = 250, 125, 25, 50
_WHEEL_HZ: Final = 360
_PULSE_HZ: Final = 1.2
_BREATH_HZ: Final = 0.25
_WALK_S: Final = (120.0, 180.0)
_STEP_HZ: Final = 1.8


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of the subject, all of it."""

    name: str
    quantity: codes.Quantity
    rate_hz: int
    values: Floats
    unit: str
    scale: float

    def block(self, begin_s: int, end_s: int) -> WaveformBlock:
        """Cut whole seconds out of it."""
        i_first, i_end = begin_s * self.rate_hz, end_s * self.rate_hz
        return WaveformBlock(
            device_id="benchmark",
            channel=self.name,
            mdc_code=self.quantity.mdc,
            unit=self.unit,
            scale=self.scale,
            offset=0.0,
            i_first=i_first,
            t0_ns=START_NS + begin_s * NS_PER_S,
            period=SamplePeriod(ns_numerator=NS_PER_S, ns_denominator=self.rate_hz),
            counts=np.rint(self.values[i_first:i_end] / self.scale).astype(np.int32),
        )


def _times_s(rate_hz: int, seconds: int) -> Floats:
    return np.arange(seconds * rate_hz) / rate_hz


def ecg_uv(seconds: int, rate_hz: int = ECG_HZ) -> Floats:
    """Repeat the real five minutes, at another sampling rate."""
    wheel = wheel_ecg_uv()
    at = _times_s(rate_hz, seconds) * _WHEEL_HZ % wheel.size
    return np.interp(at, np.arange(wheel.size), wheel)


def _pulse_wave(seconds: int, rng: np.random.Generator) -> Floats:
    times_s = _times_s(PPG_HZ, seconds)
    breath = np.sin(2 * np.pi * _BREATH_HZ * times_s)
    phase = (_PULSE_HZ * times_s + 0.02 * breath) % 1.0
    wave = np.exp(-(((phase - 0.25) / 0.1) ** 2)) + 0.35 * np.exp(-(((phase - 0.55) / 0.12) ** 2))
    return (1 + 0.1 * breath) * wave + 0.3 * breath + rng.normal(0, 0.01, wave.size)


def _acceleration(seconds: int, rng: np.random.Generator) -> Floats:
    times_s = _times_s(ACC_HZ, seconds)
    walks = (times_s >= _WALK_S[0]) & (times_s < _WALK_S[1])
    step = 0.3 * walks * np.sin(2 * np.pi * _STEP_HZ * times_s)
    axes = np.stack([0.1 * step, 0.4 * step, 1.0 + step])
    return axes + rng.normal(0, 0.005, axes.shape)


def channels(seconds: int) -> Iterator[Channel]:
    """Make every channel."""
    rng = np.random.default_rng(1)
    yield Channel("ecg", codes.ECG, ECG_HZ, ecg_uv(seconds), "uV", 1.0)
    yield Channel("pleth", codes.PLETH, PPG_HZ, _pulse_wave(seconds, rng), "1", 1e-3)
    breath = np.sin(2 * np.pi * _BREATH_HZ * _times_s(RESP_HZ, seconds))
    breath += rng.normal(0, 0.02, breath.size)
    yield Channel("resp", codes.RESPIRATION_IMPEDANCE, RESP_HZ, breath, "Ohm", 1e-3)
    for axis, quantity, values in zip(
        "xyz",
        (codes.ACC_X, codes.ACC_Y, codes.ACC_Z),
        _acceleration(seconds, rng),
        strict=True,
    ):
        yield Channel(f"acc/{axis}", quantity, ACC_HZ, values, "[g]", 1e-3)


def _readings(at_s: int) -> Iterator[Reading]:
    """Give what an oximeter and a thermometer say once a second."""
    for quantity, value in (
        (codes.SPO2, 97.0),
        (codes.PULSE_RATE, 60 * _PULSE_HZ),
        (codes.BODY_TEMPERATURE, 36.8),
    ):
        yield Reading(
            device_id="benchmark-readings",
            mdc_code=quantity.mdc,
            unit=quantity.ucum,
            value=value,
            t_ns=START_NS + at_s * NS_PER_S,
        )


def frames(seconds: int, *, frame_s: int = 1, only: tuple[str, ...] = ()) -> list[Frame]:
    """Make the subject's Frames.

    Parameters
    ----------
    frame_s
        Length of a Frame.
    only
        Channels to keep; all, and readings, unless told.
    """
    kept = [channel for channel in channels(seconds) if not only or channel.name in only]
    return [
        Frame(
            subject_id="benchmark",
            agent_id="benchmark",
            sequence=i,
            waveforms=tuple(
                channel.block(i * frame_s, min((i + 1) * frame_s, seconds)) for channel in kept
            ),
            readings=() if only else tuple(_readings(i * frame_s)),
        )
        for i in range(-(-seconds // frame_s))
    ]
