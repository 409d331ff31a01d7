"""The last seconds of one waveform, without what came twice."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from ingest.frame import NS_PER_S, WaveformBlock

TRAIL_S: Final = 15
"""Seconds kept: more than a sweep of the screen."""
SAMPLES_MAX: Final = 1 << 16
"""Samples kept, whatever the rate: 4 kHz for the whole trail."""
BLOCKS_MAX: Final = 4_096
CLOCK_JUMP_S: Final = 60
"""A block this far behind is no repetition: the device's clock was set back."""
LATE_SHARE_MAX: Final = 0.01
"""Of the time that a late block is behind: so far do its number and its time say the same."""
STEP_NS_MAX: Final = 10_000_000
"""Correction of a device's clock that may be hidden within joined blocks; 10 ms is not seen."""


class WaveformTrail:
    """Takes blocks in any order and keeps those that go on, newest last."""

    def __init__(self) -> None:
        self._blocks: deque[WaveformBlock] = deque()
        self._n_samples = 0

    def process(self, block: WaveformBlock) -> WaveformBlock | None:
        """Keep what is new of a block, and return it; None where nothing is."""
        fresh = self._fresh_part(block)
        if fresh is None:
            return None
        self._blocks.append(fresh)
        self._n_samples += fresh.n_samples
        self._trim()
        return fresh

    def pieces(self, period_ns: tuple[int, int]) -> Iterator[WaveformBlock]:
        """Give what is kept, consecutive blocks as one.

        Who draws them with this period, as a ratio, draws each within ``STEP_NS_MAX`` of its time.
        """
        together: list[WaveformBlock] = []
        for block in self._blocks:
            if together and not _continues(together, block, period_ns):
                yield _join(together)
                together = []
            together.append(block)
        if together:
            yield _join(together)

    @property
    def n_samples(self) -> int:
        """Samples kept."""
        return self._n_samples

    @property
    def blocks(self) -> tuple[WaveformBlock, ...]:
        """What is kept, as it came."""
        return tuple(self._blocks)

    @property
    def newest(self) -> WaveformBlock | None:
        """The last block."""
        return self._blocks[-1] if self._blocks else None

    def _fresh_part(self, block: WaveformBlock) -> WaveformBlock | None:
        block = _last_samples(block)
        last = self.newest
        if last is None:
            return block
        behind_ns = last.time_ns(last.i_end - 1) - block.t0_ns
        if behind_ns < 0:
            return block
        if _is_earlier(block, last):
            return None
        if behind_ns > (CLOCK_JUMP_S + TRAIL_S) * NS_PER_S:
            self._clear()
            return block
        n_known = last.i_end - block.i_first
        if n_known <= 0:
            return block
        return _without_first(block, n_known)

    def _trim(self) -> None:
        end_ns = self._blocks[-1].time_ns(self._blocks[-1].i_end)
        while len(self._blocks) > 1 and (
            self._n_samples > SAMPLES_MAX
            or len(self._blocks) > BLOCKS_MAX
            or end_ns - self._blocks[0].t0_ns > TRAIL_S * NS_PER_S
        ):
            self._n_samples -= self._blocks.popleft().n_samples

    def _clear(self) -> None:
        self._blocks.clear()
        self._n_samples = 0


def _is_earlier(block: WaveformBlock, last: WaveformBlock) -> bool:
    """Tell whether a block is behind by number as it is by time: it is late, no clock was set."""
    by_number_ns = last.period.offset_ns(last.i_first - block.i_first)
    off_ns = abs(last.t0_ns - block.t0_ns - by_number_ns)
    return block.i_end <= last.i_first and off_ns <= LATE_SHARE_MAX * by_number_ns


def _last_samples(block: WaveformBlock) -> WaveformBlock:
    trail_ns = TRAIL_S * NS_PER_S
    n_trail = trail_ns * block.period.ns_denominator // block.period.ns_numerator
    n_kept = min(SAMPLES_MAX, max(1, n_trail))
    return block if block.n_samples <= n_kept else _cut(block, block.n_samples - n_kept)


def _without_first(block: WaveformBlock, n_first: int) -> WaveformBlock | None:
    return None if n_first >= block.n_samples else _cut(block, n_first)


def _cut(block: WaveformBlock, n_first: int) -> WaveformBlock:
    i_first = block.i_first + n_first
    return replace(
        block, i_first=i_first, t0_ns=block.time_ns(i_first), counts=block.counts[n_first:].copy()
    )


def _continues(
    blocks: list[WaveformBlock], block: WaveformBlock, period_ns: tuple[int, int]
) -> bool:
    if block.i_first != blocks[-1].i_end:
        return False
    numerator, denominator = period_ns
    expected_ns = blocks[0].t0_ns + (block.i_first - blocks[0].i_first) * numerator // denominator
    return abs(block.t0_ns - expected_ns) < STEP_NS_MAX


def _join(blocks: list[WaveformBlock]) -> WaveformBlock:
    return replace(blocks[0], counts=np.concatenate([block.counts for block in blocks]))
