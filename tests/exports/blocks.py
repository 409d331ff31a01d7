"""Blocks of channels, with gaps, for the tests of what is exported."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from ingest.frame import NS_PER_S, SamplePeriod, WaveformBlock
from ingest.recorded import Recording
from ingest.recording import open_recording
from ingest.replay import ReplayPlan, frames_of
from ingest.wfdb_annotations import decode_annotations
from processors.exports.marks import Mark, marks_of
from processors.exports.tracks import Track, tracks_of

T0_NS = 1_767_225_600 * NS_PER_S + 123_456_789
"""2026-01-01T00:00:00.123456789Z."""


def blocks_of(recording: Recording, t0_ns: int = T0_NS) -> Iterator[WaveformBlock]:
    """Cut a recording as it is replayed."""
    plan = ReplayPlan(subject_id="p-1", agent_id="replay-1", start_ns=t0_ns, frame_s=Fraction(10))
    for frame in frames_of(replace(recording, numerics={}), plan):
        yield from frame.waveforms


def of_record(path: Path, t0_ns: int = T0_NS) -> tuple[Recording, list[Track], list[Mark]]:
    """Read a record with its annotations, and make tracks and marks of them."""
    recording = open_recording(str(path), beats=False)
    beside = path.with_suffix(".atr")
    rate = recording.signals[0].sampling_rate
    known = decode_annotations(beside.read_bytes()).annotations if beside.is_file() else ()
    marks = list(marks_of(known, t0_ns, rate))
    return recording, tracks_of(blocks_of(recording, t0_ns)), marks


def block(
    i_first: int, counts: Iterable[int], *, rate: Fraction | int = 250, **changes: object
) -> WaveformBlock:
    """Make a block of a channel that began at ``T0_NS``."""
    period = NS_PER_S / Fraction(rate)
    exact = SamplePeriod(ns_numerator=period.numerator, ns_denominator=period.denominator)
    fields: dict[str, object] = {
        "device_id": "strap-1",
        "channel": "ecg",
        "mdc_code": 131_328,
        "unit": "uV",
        "scale": 5.0,
        "offset": 0.0,
        "i_first": i_first,
        "t0_ns": T0_NS + exact.offset_ns(i_first),
        "period": exact,
        "counts": np.array(list(counts), dtype=np.int32),
        **changes,
    }
    return WaveformBlock(**fields)  # type: ignore[arg-type]


@st.composite
def channels(draw: st.DrawFn, largest: int = 2**31 - 1) -> list[list[WaveformBlock]]:
    """One to three channels with gaps of their own, at rates that have a measure or have none."""
    made: list[list[WaveformBlock]] = []
    for n in range(draw(st.integers(1, 3))):
        rate = draw(
            st.sampled_from([Fraction(250), Fraction(125), Fraction(50), Fraction(1000, 7)])
        )
        i_first = draw(st.integers(0, 20))
        of_channel: list[WaveformBlock] = []
        for _ in range(draw(st.integers(1, 4))):
            counts = draw(st.lists(st.integers(-largest, largest), min_size=1, max_size=12))
            of_channel.append(block(i_first, counts, channel=f"ecg/V{n + 1}", rate=rate))
            i_first += len(counts) + draw(st.sampled_from([0, 0, 1, 5, 130]))
        made.append(of_channel)
    return made
