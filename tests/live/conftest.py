"""A person made of formulas, whose signals a test can stop, cut and spoil."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray
from playwright.async_api import Browser

from devices import codes
from devices.codes import Quantity
from ingest.frame import (
    DeviceEvent,
    DeviceEventKind,
    Frame,
    Gap,
    GapCause,
    Reading,
    SamplePeriod,
    WaveformBlock,
)
from ingest.observation import Observation
from processors.sinks.live import LiveHub
from tests.live.browsing import chromium

T0_NS: Final = 1_800_000_000_000_000_000
RR_S: Final = 60 / 72
FLUSH_S: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One channel and the formula of its counts; ``t_s`` since the start."""

    device: str
    channel: str
    quantity: Quantity
    unit: str
    scale: float
    period: SamplePeriod
    counts: Callable[[NDArray[np.float64]], NDArray[np.float64]]


def _bump(phase_s: NDArray[np.float64], at_s: float, width_s: float) -> NDArray[np.float64]:
    return np.asarray(np.exp(-0.5 * ((phase_s - at_s) / width_s) ** 2), dtype=np.float64)


def _ecg_counts(t_s: NDArray[np.float64]) -> NDArray[np.float64]:
    phase = np.mod(t_s, RR_S)
    mv = (
        0.12 * _bump(phase, 0.12, 0.022)
        - 0.12 * _bump(phase, 0.255, 0.008)
        + 1.15 * _bump(phase, 0.28, 0.010)
        - 0.25 * _bump(phase, 0.305, 0.010)
        + 0.28 * _bump(phase, 0.52, 0.040)
        + 0.03 * np.sin(2 * math.pi * 0.25 * t_s)
        + 0.008 * np.sin(2 * math.pi * 47.0 * t_s)
    )
    return mv * 200


def _pleth_counts(t_s: NDArray[np.float64]) -> NDArray[np.float64]:
    phase = np.mod(t_s - 0.22, RR_S)
    return 30_000 + 9_000 * (_bump(phase, 0.32, 0.09) + 0.35 * _bump(phase, 0.58, 0.10))


def _resp_counts(t_s: NDArray[np.float64]) -> NDArray[np.float64]:
    breath: NDArray[np.float64] = np.sin(2 * math.pi * 0.25 * t_s)
    return 400 * breath


def _acc_counts(axis: int) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    def counts(t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        breath: NDArray[np.float64] = np.sin(2 * math.pi * 0.25 * t_s + axis)
        tremor: NDArray[np.float64] = np.sin(19 * t_s * (axis + 1))
        return (40.0, -80.0, 985.0)[axis] + 12 * breath + 4 * tremor

    return counts


SIGNALS: Final = (
    Signal(
        device="chest-strap",
        channel="ecg",
        quantity=codes.ECG_II,
        unit="mV",
        scale=0.005,
        period=SamplePeriod(ns_numerator=25_000_000, ns_denominator=9),
        counts=_ecg_counts,
    ),
    Signal(
        device="oximeter",
        channel="pleth",
        quantity=codes.PLETH,
        unit="1",
        scale=1e-5,
        period=SamplePeriod(ns_numerator=40_000_000, ns_denominator=3),
        counts=_pleth_counts,
    ),
    Signal(
        device="chest-strap",
        channel="resp",
        quantity=codes.RESPIRATION_IMPEDANCE,
        unit="Ohm",
        scale=0.002,
        period=SamplePeriod(ns_numerator=40_000_000, ns_denominator=1),
        counts=_resp_counts,
    ),
    *(
        Signal(
            device="chest-strap",
            channel=f"acc/{axis}",
            quantity=quantity,
            unit="[g]",
            scale=0.001,
            period=SamplePeriod(ns_numerator=20_000_000, ns_denominator=1),
            counts=_acc_counts(i),
        )
        for i, (axis, quantity) in enumerate(
            (("x", codes.ACC_X), ("y", codes.ACC_Y), ("z", codes.ACC_Z))
        )
    ),
)


@dataclass(slots=True)
class Person:
    """Makes frames and observations as time passes; ``lost`` channels lose their samples."""

    subject_id: str = "subject-7f3a"
    signals: tuple[Signal, ...] = SIGNALS
    t0_ns: int = T0_NS
    lost: set[str] = field(default_factory=set)
    by_radio: bool = True
    temperature: float = 36.8
    n_frames: int = 0
    _next: dict[str, int] = field(default_factory=dict)
    _lost_from: dict[str, int] = field(default_factory=dict)
    _n_beats: int = 0

    def frame(self, until_ns: int) -> Frame:
        """All samples up to ``until_ns`` that no frame carried yet."""
        blocks: list[WaveformBlock] = []
        gaps: list[Gap] = []
        for signal in self.signals:
            block, gap = self._cut(signal, until_ns)
            blocks += [block] if block is not None else []
            gaps += [gap] if gap is not None else []
        frame = Frame(
            subject_id=self.subject_id,
            agent_id="agent-1",
            sequence=self.n_frames,
            waveforms=tuple(blocks),
            gaps=tuple(gaps),
            readings=self._batteries(until_ns) if self.n_frames % 40 == 0 else (),
            events=self._connected(until_ns) if self.n_frames == 0 else (),
        )
        self.n_frames += 1
        return frame

    def observations(self, now_ns: int) -> list[Observation]:
        """The numerals of this moment, and the beats since the last call."""
        wander = math.sin(self.n_frames / 9)
        found = [
            observation(codes.HEART_RATE, 72 + 3 * wander, now_ns, subject_id=self.subject_id),
            observation(codes.SPO2, 97.4 + wander, now_ns, subject_id=self.subject_id),
            observation(codes.PULSE_RATE, 72 + 3 * wander, now_ns, subject_id=self.subject_id),
            observation(codes.RESPIRATORY_RATE, 15.0, now_ns, subject_id=self.subject_id),
            observation(
                codes.BODY_TEMPERATURE, self.temperature, now_ns, subject_id=self.subject_id
            ),
            observation(
                codes.PERFUSION_INDEX, 4.2, now_ns, quality=0.6, subject_id=self.subject_id
            ),
            observation(
                codes.SIGNAL_QUALITY,
                0.93,
                now_ns,
                subject_id=self.subject_id,
                channels=("chest-strap/ecg",),
            ),
        ]
        n_beats = int(((now_ns - self.t0_ns) / 1e9 - 0.28) / RR_S) + 1
        for i in range(self._n_beats, n_beats):
            t_ns = self.t0_ns + int((0.28 + i * RR_S) * 1e9)
            found.append(
                observation(codes.RR_INTERVAL, RR_S * 1000, t_ns, subject_id=self.subject_id)
            )
        self._n_beats = max(self._n_beats, n_beats)
        return found

    def _cut(self, signal: Signal, until_ns: int) -> tuple[WaveformBlock | None, Gap | None]:
        first = self._next.get(signal.channel, 0)
        period = signal.period
        end = (until_ns - self.t0_ns) * period.ns_denominator // period.ns_numerator
        if end <= first:
            return None, None
        self._next[signal.channel] = end
        if signal.channel in self.lost:
            self._lost_from.setdefault(signal.channel, first)
            return None, None
        gap = None
        lost_from = self._lost_from.pop(signal.channel, None)
        if lost_from is not None:
            gap = Gap(
                device_id=signal.device,
                channel=signal.channel,
                cause=GapCause.RADIO_LOSS,
                i_first=lost_from,
                n_samples=first - lost_from,
                t0_ns=self.t0_ns + period.offset_ns(lost_from),
            )
        t0_ns = self.t0_ns + period.offset_ns(first)
        t_s = np.arange(first, end, dtype=np.float64) * (
            period.ns_numerator / period.ns_denominator / 1e9
        )
        block = WaveformBlock(
            device_id=signal.device,
            channel=signal.channel,
            mdc_code=signal.quantity.mdc,
            unit=signal.unit,
            scale=signal.scale,
            offset=0.0,
            i_first=first,
            t0_ns=t0_ns,
            period=period,
            counts=np.rint(signal.counts(t_s)).astype(np.int32),
            received_ns=t0_ns + 20_000_000 if self.by_radio else None,
        )
        return block, gap

    def _batteries(self, t_ns: int) -> tuple[Reading, ...]:
        return tuple(
            Reading(
                device_id=device,
                mdc_code=codes.BATTERY_LEVEL.mdc,
                unit="%",
                value=value,
                t_ns=t_ns,
            )
            for device, value in (("chest-strap", 81.0), ("oximeter", 64.0))
        )

    def _connected(self, t_ns: int) -> tuple[DeviceEvent, ...]:
        return tuple(
            DeviceEvent(device_id=device, kind=DeviceEventKind.CONNECTED, t_ns=t_ns)
            for device in ("chest-strap", "oximeter")
        )


def observation(
    quantity: Quantity,
    value: float | None,
    t_ns: int,
    *,
    quality: float = 0.95,
    reason: str | None = None,
    subject_id: str = "subject-7f3a",
    channels: tuple[str, ...] = (),
) -> Observation:
    return Observation(
        subject_id=subject_id,
        t_ns=t_ns,
        name=quantity.name,
        mdc_code=quantity.mdc,
        unit=quantity.ucum,
        value=value,
        reason=reason,
        quality=quality,
        age_s=0.1,
        channels=channels,
        algorithm=f"test_{quantity.name}",
        algorithm_version=1,
    )


class Feed:
    """Feeds a hub with a person in real time until it is paused; ``ago_ns``: of another time."""

    def __init__(self, hub: LiveHub, person: Person, ago_ns: int = 0) -> None:
        self.hub = hub
        self.person = person
        self.ago_ns = ago_ns
        self.paused = False

    async def run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            if not self.paused:
                self.step(time.time_ns())

    def step(self, now_ns: int) -> None:
        event_ns = now_ns - self.ago_ns
        self.hub.add_frame(self.person.frame(event_ns), now_ns)
        for found in self.person.observations(event_ns):
            self.hub.add_observation(found)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One browser for a module: starting one takes seconds."""
    async with chromium() as browser:
        yield browser


@pytest.fixture
def person() -> Person:
    """A person whose first sample is at a fixed time."""
    return Person()


@pytest.fixture
def hub() -> LiveHub:
    return LiveHub()


@pytest.fixture
def frames(person: Person) -> Iterator[Frame]:
    """Frames of a quarter of a second, without end."""

    def make() -> Iterator[Frame]:
        t_ns = person.t0_ns
        while True:
            t_ns += int(FLUSH_S * 1e9)
            yield person.frame(t_ns)

    return make()


@pytest.fixture
def make_observation() -> Callable[..., Observation]:
    return observation


@pytest.fixture
def make_feed() -> Callable[..., Feed]:
    """Build a feed whose person begins now."""

    def make(hub: LiveHub, subject_id: str = "subject-7f3a", ago_ns: int = 0) -> Feed:
        t0_ns = time.time_ns() - ago_ns - 1_000_000_000
        person = Person(subject_id=subject_id, t0_ns=t0_ns, by_radio=ago_ns == 0)
        return Feed(hub, person, ago_ns)

    return make
