"""What is swept: sixteen traces of 250 Hz made of formulas, or a recorded person with numbers."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from devices import codes
from ingest.frame import NS_PER_S, Frame, Gap, GapCause, SamplePeriod
from ingest.observation import AlarmEvent
from ingest.recording import open_recording
from ingest.replay import ReplayPlan, frames_of
from processors.pipeline import SubjectPipeline
from tests.live.conftest import (
    FLUSH_S,
    SIGNALS,
    Feed,
    Person,
    Signal,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from processors.sinks.live import LiveHub

RATE_HZ: Final = 250
N_TRACES: Final = 16
PERIOD: Final = SamplePeriod(ns_numerator=4_000_000, ns_denominator=1)
_LEADS: Final = (
    (codes.ECG_I, 0.6),
    (codes.ECG_II, 1.0),
    (codes.ECG_III, 0.45),
    (codes.ECG_AVR, -0.8),
    (codes.ECG_AVL, 0.2),
    (codes.ECG_AVF, 0.7),
    (codes.ECG_V1, -0.5),
    (codes.ECG_V2, -0.7),
    (codes.ECG_V3, 0.5),
    (codes.ECG_V4, 1.2),
    (codes.ECG_V5, 1.1),
    (codes.ECG_V6, 0.9),
)


def sixteen_signals() -> tuple[Signal, ...]:
    """Twelve leads, pleth, breathing and two axes, each of 250 Hz."""
    ecg, pleth, resp, *axes = SIGNALS

    def scaled(by: float) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
        return lambda t_s: by * ecg.counts(t_s)

    leads = tuple(
        replace(ecg, channel=f"ecg/{i:02d}", quantity=lead, period=PERIOD, counts=scaled(by))
        for i, (lead, by) in enumerate(_LEADS)
    )
    others = tuple(replace(one, period=PERIOD) for one in (pleth, resp, *axes[:2]))
    return leads + others


def sixteen_traces(hub: LiveHub, subject_id: str = "subject-7f3a") -> Feed:
    """Build a feed of a person with sixteen traces that begins now."""
    person = Person(
        subject_id=subject_id, signals=sixteen_signals(), t0_ns=time.time_ns() - NS_PER_S
    )
    return Feed(hub, person)


class RecordedFeed:
    """Plays a recording through the pipeline into a hub, as if it happened now.

    Parameters
    ----------
    begin_s
        Where in the recording the page opens.
    lost
        Stretches of the recording, from and to in seconds, in which the radio lost samples of the
        first channel.
    """

    def __init__(
        self,
        hub: LiveHub,
        record: str,
        *,
        begin_s: float,
        subject_id: str = "subject-7f3a",
        lost: tuple[tuple[float, float], ...] = (),
    ) -> None:
        self._hub = hub
        self._pipeline = SubjectPipeline(subject_id)
        self._start_ns = time.time_ns() - int(begin_s * 1e9)
        self._lost = lost
        plan = ReplayPlan(
            subject_id=subject_id,
            agent_id="agent-1",
            start_ns=self._start_ns,
            frame_s=Fraction(1, 4),
        )
        self._frames = frames_of(open_recording(record), plan)

    async def run(self) -> None:
        for n_frames, frame in enumerate(self._frames, start=1):
            due_ns = self._start_ns + math.ceil(n_frames * FLUSH_S * 1e9)
            if (wait_ns := due_ns - time.time_ns()) > 0:
                await asyncio.sleep(wait_ns / 1e9)
            elif n_frames % 40 == 0:
                await asyncio.sleep(0)
            self._add(self._spoilt(frame))

    def _add(self, frame: Frame) -> None:
        self._hub.add_frame(frame, time.time_ns())
        for output in self._pipeline.process(frame):
            if isinstance(output, AlarmEvent):
                self._hub.add_alarm(output)
            else:
                self._hub.add_observation(output)

    def _spoilt(self, frame: Frame) -> Frame:
        if not frame.waveforms:
            return frame
        first = frame.waveforms[0]
        at_s = (first.t0_ns - self._start_ns) / 1e9
        if not any(begin <= at_s < end for begin, end in self._lost):
            return frame
        gap = Gap(
            device_id=first.device_id,
            channel=first.channel,
            cause=GapCause.RADIO_LOSS,
            i_first=first.i_first,
            n_samples=first.n_samples,
            t0_ns=first.t0_ns,
        )
        return replace(frame, waveforms=frame.waveforms[1:], gaps=(*frame.gaps, gap))
