"""Blocks and Frames of a strap, put together as a test needs them."""

from typing import Any

import numpy as np

from devices import codes
from ingest.frame import NS_PER_S, Frame, SamplePeriod, WaveformBlock

T0_NS = 1_800_000_000 * NS_PER_S
PERIOD = SamplePeriod(ns_numerator=4_000_000, ns_denominator=1)


def block(i_first: int = 0, n: int = 50, **changes: Any) -> WaveformBlock:  # noqa: ANN401 - any field
    fields: dict[str, Any] = {
        "device_id": "strap",
        "channel": "ecg",
        "mdc_code": codes.ECG_II.mdc,
        "unit": "mV",
        "scale": 0.005,
        "offset": 0.0,
        "i_first": i_first,
        "t0_ns": T0_NS + PERIOD.offset_ns(i_first),
        "period": PERIOD,
        "counts": np.arange(i_first, i_first + n, dtype=np.int32),
    }
    return WaveformBlock(**(fields | changes))


def frame(sequence: int = 0, subject_id: str = "s1", **parts: Any) -> Frame:  # noqa: ANN401 - any part
    return Frame(subject_id=subject_id, agent_id="agent", sequence=sequence, **parts)
