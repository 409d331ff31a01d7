"""From ECG samples to beats, signal quality and heart rate: the first honest chain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from processors.dsp.sample_clock import SampleClock
from processors.vitals.ecg_events import Beat, EcgEvent, HeartRate, SignalQuality

__all__ = ["Beat", "EcgChain", "EcgEvent", "HeartRate", "SignalQuality"]


class EcgChain:
    """One ECG channel of one subject: however the samples are cut, the same events.

    Parameters
    ----------
    fs_hz
        Nominal sampling rate, 100..2000.
    clock
        Time of sample ``i``, counted since the start of the stream.
    """

    def __init__(self, fs_hz: float, clock: SampleClock) -> None:
        self._fs_hz = fs_hz
        self._clock = clock

    @property
    def watermark_ns(self) -> int:
        """Event time up to which every event has been given."""
        raise NotImplementedError

    def process(self, chunk_uv: NDArray[np.float64], i_first: int) -> list[EcgEvent]:
        """Take ``chunk_uv``, shape (n_samples,), whose first sample has the index ``i_first``.

        An index beyond the expected one is a gap: the chain re-arms. Samples already seen are
        dropped. Events come in order of ``t_ns``; at one instant beat, quality, heart rate.
        """
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """Everything the chain remembers."""
        raise NotImplementedError

    @classmethod
    def from_bytes(cls, state: bytes) -> EcgChain:
        """Continue where ``to_bytes`` stood; another version raises StateVersionError."""
        raise NotImplementedError
