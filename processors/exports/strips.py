"""Strips: a stretch of one channel, put together from the Frames that brought it. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from ingest.frame import Frame, SamplePeriod, WaveformBlock
from ingest.recorded import stretches

N_SAMPLES_MAX: Final = 200_000
"""Of one strip: ten minutes at 333 Hz. A strip is to be looked at; what is longer is a recording,
for which there are better formats."""

_Grid: TypeAlias = tuple[int, SamplePeriod, float, float, str, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strip:
    """Samples of one channel on one grid of time.

    Attributes
    ----------
    block
        All of it; where a sample is missing its count means nothing.
    missing
        First index within the block and the one behind the last, of each stretch that never came.
    limits
        Least and greatest count that the sensor can give, where that is known.
    """

    block: WaveformBlock
    missing: tuple[tuple[int, int], ...] = ()
    limits: tuple[int, int] | None = None

    @property
    def end_ns(self) -> int:
        """UTC of the last sample."""
        return self.block.time_ns(self.block.i_end - 1)

    def present(self) -> Iterator[WaveformBlock]:
        """Give the stretches that came, in order of time."""
        at = 0
        for begin, end in (*self.missing, (self.block.n_samples, self.block.n_samples)):
            if begin > at:
                i_first = self.block.i_first + at
                yield replace(
                    self.block,
                    i_first=i_first,
                    t0_ns=self.block.time_ns(i_first),
                    counts=self.block.counts[at:begin],
                )
            at = end


def strips_of(
    frames: Iterable[Frame], *, device_id: str, channel: str, begin_ns: int, end_ns: int
) -> list[Strip]:
    """Cut a stretch of a channel out of Frames.

    Parameters
    ----------
    frames
        Of one subject, in any order; a Frame may come twice.
    begin_ns, end_ns
        From this time on, up to before that one.

    Returns
    -------
    In order of time. More than one where the agent began another grid, or the scale changed.

    Raises
    ------
    ValueError
        There are more samples than a strip may have.
    """
    found: dict[_Grid, list[WaveformBlock]] = {}
    for frame in frames:
        for block in frame.waveforms:
            if (block.device_id, block.channel) == (device_id, channel):
                cut = cut_block(block, begin_ns, end_ns)
                if cut is not None:
                    found.setdefault(_grid(cut), []).append(cut)
    strips = [_joined(blocks) for blocks in found.values()]
    return sorted(strips, key=lambda strip: strip.block.t0_ns)


def cut_block(block: WaveformBlock, begin_ns: int, end_ns: int) -> WaveformBlock | None:
    """Give what a block has from a time on and before another, ns UTC; None: nothing."""
    first, end = np.searchsorted(block.times_ns(), [begin_ns, end_ns]).tolist()
    if first >= end:
        return None
    i_first = block.i_first + first
    return replace(
        block, i_first=i_first, t0_ns=block.time_ns(i_first), counts=block.counts[first:end]
    )


def _grid(block: WaveformBlock) -> _Grid:
    return (
        block.epoch_ns,
        block.period,
        block.scale,
        block.offset,
        block.unit,
        block.mdc_code,
    )


def _joined(blocks: list[WaveformBlock]) -> Strip:
    first = min(blocks, key=lambda block: block.i_first)
    n_samples = max(block.i_end for block in blocks) - first.i_first
    if n_samples > N_SAMPLES_MAX:
        raise ValueError(
            f"a strip of {n_samples} samples of {first.device_id}/{first.channel}; at most "
            f"{N_SAMPLES_MAX} are allowed: ask for less time"
        )
    counts = np.zeros(n_samples, dtype=np.int32)
    came = np.zeros(n_samples, dtype=np.bool_)
    for block in blocks:
        where = slice(block.i_first - first.i_first, block.i_end - first.i_first)
        counts[where] = block.counts
        came[where] = True
    joined = replace(first, counts=counts, received_ns=None)
    return Strip(block=joined, missing=stretches(~came))
