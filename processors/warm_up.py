"""Compile every kernel before the first record comes: ``python -m processors.warm_up``.

The machine code is kept, so this costs something once per installation only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import codes
from ingest.frame import NS_PER_S, Frame, SamplePeriod, WaveformBlock
from processors.dsp.kernel import forget_old_kernels
from processors.pipeline import SubjectPipeline

_SECONDS: Final = 310
"""Past the first five minutes, whose figures have kernels of their own."""
_START_NS: Final = 1_800_000_000 * NS_PER_S
_FS_HZ: Final = 250
_CHANNELS: Final = (
    ("ecg/1", codes.ECG_II, "uV"),
    ("ecg/2", codes.ECG_V1, "uV"),
    ("pleth", codes.PLETH, "1"),
    ("resp", codes.RESPIRATION_IMPEDANCE, "Ohm"),
    ("acc/x", codes.ACC_X, "[g]"),
    ("acc/y", codes.ACC_Y, "[g]"),
    ("acc/z", codes.ACC_Z, "[g]"),
)


def warm_up() -> None:
    """Send some minutes of a made-up subject through a pipeline, and restore it once."""
    forget_old_kernels()
    pipeline = SubjectPipeline("warm-up")
    for n, frame in enumerate(_frames()):
        if n == 1:
            pipeline = SubjectPipeline.from_bytes(pipeline.to_bytes())
        pipeline.process(frame)


def _frames() -> Iterator[Frame]:
    t_s = np.arange(_FS_HZ) / _FS_HZ
    signals = {
        "ecg": 1000.0 * np.exp(-np.square((t_s - 0.5) / 0.02)),
        "pleth": 1000.0 * np.square(np.sin(np.pi * t_s)),
        "resp": 1000.0 * np.sin(2 * np.pi * t_s),
        "acc": 100.0 * np.sin(4 * np.pi * t_s),
    }
    for second in range(_SECONDS):
        blocks = (
            _block(second, channel, quantity, unit, signals[channel.split("/")[0]])
            for channel, quantity, unit in _CHANNELS
        )
        yield Frame(
            subject_id="warm-up", agent_id="warm-up", sequence=second, waveforms=tuple(blocks)
        )


def _block(
    second: int,
    channel: str,
    quantity: codes.Quantity,
    unit: str,
    signal: NDArray[np.float64],
) -> WaveformBlock:
    return WaveformBlock(
        device_id="warm-up",
        channel=channel,
        mdc_code=quantity.mdc,
        unit=unit,
        scale=0.001 if unit == "[g]" else 1.0,
        offset=0.0,
        i_first=second * _FS_HZ,
        t0_ns=_START_NS + second * NS_PER_S,
        period=SamplePeriod(ns_numerator=NS_PER_S // _FS_HZ, ns_denominator=1),
        counts=signal.astype(np.int32),
    )


if __name__ == "__main__":
    warm_up()
