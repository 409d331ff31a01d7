"""A ward of recorded people: their signals go through the real pipeline into a hub, in real time.

ECG, pulse wave and breathing are recordings (BIDMC); saturation, temperature, batteries and what
goes wrong are made up.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from devices import codes
from devices.codes import Quantity
from ingest.frame import DeviceEvent, DeviceEventKind, Frame, Reading, WaveformBlock
from ingest.observation import AlarmEvent
from ingest.recording import open_recording
from ingest.replay import ReplayPlan, frames_of
from processors.pipeline import SubjectPipeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from processors.sinks.live import LiveHub

FLUSH_S: Final = 0.5
FLUSH_NS: Final = int(FLUSH_S * 1e9)
MONITOR: Final = "monitor"
THERMOMETER: Final = "thermometer"
N_SLOW: Final = 8
"""Frames between two readings of a thermometer or a battery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """One bed; the fault begins when the recording has caught up with the present."""

    subject_id: str
    record: str
    spo2: float = 97.0
    temperature: float | None = None
    battery: float = 80.0
    fault: str = ""
    """``silent``, ``lead_off``, ``link_lost`` or empty."""
    before_s: float = 40.0
    """So much of the recording lies before the present."""
    away: tuple[float, float] = (0.0, 0.0)
    """From and until how many seconds after the beginning the sensors were off."""


class PatientFeed:
    """Feeds a hub with patients, first with what lies before the present."""

    def __init__(self, hub: LiveHub, patients: list[Patient]) -> None:
        now_ns = time.time_ns()
        self._beds = [
            _Bed(hub, patient, now_ns - int(patient.before_s * 1e9)) for patient in patients
        ]

    def catch_up(self) -> None:
        """Take what lies before now, as fast as can be."""
        for bed in self._beds:
            bed.until(time.time_ns())
            bed.is_live = True

    async def run(self) -> None:
        """Go on in real time."""
        while True:
            for bed in self._beds:
                bed.until(time.time_ns())
                await asyncio.sleep(0)
            await asyncio.sleep(FLUSH_S / 2)


class _Bed:
    def __init__(self, hub: LiveHub, patient: Patient, begin_ns: int) -> None:
        self._hub = hub
        self._patient = patient
        self._pipeline = SubjectPipeline(patient.subject_id)
        self._end_ns = begin_ns + FLUSH_NS
        self._n_frames = 0
        self._frames = self._play(begin_ns)
        self.is_live = False

    def until(self, now_ns: int) -> None:
        """Feed all Frames that end before ``now_ns``."""
        while self._end_ns <= now_ns:
            frame = self._worn(next(self._frames))
            self._n_frames += 1
            from_s, until_s = self._patient.away
            is_away = from_s <= self._n_frames * FLUSH_S < until_s
            if not is_away and not self._has_fault("silent"):
                self._feed(frame)
            self._end_ns += FLUSH_NS

    def _play(self, start_ns: int) -> Iterator[Frame]:
        """Give the recording's Frames without end, over and over."""
        record = Path(os.environ["CHEVET_DATA"]) / self._patient.record
        recording = open_recording(str(record), beats=False)
        sequence = count()
        while True:
            plan = ReplayPlan(
                subject_id=self._patient.subject_id,
                agent_id="agent",
                start_ns=start_ns,
                frame_s=Fraction(FLUSH_S),
            )
            for frame in frames_of(recording, plan):
                start_ns += FLUSH_NS
                yield replace(frame, sequence=next(sequence))

    def _feed(self, frame: Frame) -> None:
        self._hub.add_frame(frame, self._end_ns)
        for output in self._pipeline.process(frame):
            if isinstance(output, AlarmEvent):
                self._hub.add_alarm(output)
            else:
                self._hub.add_observation(output)

    def _has_fault(self, name: str) -> bool:
        return self.is_live and self._patient.fault == name

    def _worn(self, frame: Frame) -> Frame:
        return replace(
            frame,
            waveforms=tuple(self._sent(block) for block in frame.waveforms),
            readings=tuple(self._readings()),
            events=tuple(self._events()),
        )

    def _sent(self, block: WaveformBlock) -> WaveformBlock:
        is_off = self._has_fault("lead_off") and block.channel.startswith("ecg")
        return replace(
            block,
            device_id=MONITOR,
            received_ns=block.t0_ns + 40_000_000,
            counts=np.zeros_like(block.counts) if is_off else block.counts,
        )

    def _readings(self) -> Iterator[Reading]:
        patient = self._patient
        t_s = self._end_ns / 1e9
        wander = 0.6 * math.sin(t_s / 71) + 0.5 * math.sin(t_s / 233) + 0.2 * math.sin(t_s / 13)
        if self._n_frames % 2 == 0:
            yield self._reading(MONITOR, codes.SPO2, round(patient.spo2 + 0.7 * wander))
        if self._n_frames % N_SLOW:
            return
        yield self._reading(MONITOR, codes.BATTERY_LEVEL, patient.battery)
        if patient.temperature is not None and not self._has_fault("link_lost"):
            yield self._reading(THERMOMETER, codes.BATTERY_LEVEL, min(100, patient.battery + 11))
            warm = round(patient.temperature + 0.15 * math.sin(t_s / 900), 1)
            yield self._reading(THERMOMETER, codes.BODY_TEMPERATURE, warm)

    def _reading(self, device_id: str, quantity: Quantity, value: float) -> Reading:
        return Reading(
            device_id=device_id,
            mdc_code=quantity.mdc,
            unit=quantity.ucum,
            value=value,
            t_ns=self._end_ns,
        )

    def _events(self) -> Iterator[DeviceEvent]:
        if self._n_frames == 0:
            yield self._event(MONITOR, DeviceEventKind.CONNECTED)
            if self._patient.temperature is not None:
                yield self._event(THERMOMETER, DeviceEventKind.CONNECTED)
        elif self._has_fault("link_lost"):
            yield self._event(THERMOMETER, DeviceEventKind.LINK_LOST)

    def _event(self, device_id: str, kind: DeviceEventKind) -> DeviceEvent:
        return DeviceEvent(device_id=device_id, kind=kind, t_ns=self._end_ns)


def records(folder: str) -> list[str]:
    """Name the records in a folder of ``CHEVET_DATA``, sorted."""
    data = Path(os.environ["CHEVET_DATA"])
    return sorted(
        str(path.with_suffix("").relative_to(data)) for path in (data / folder).glob("*.hea")
    )
