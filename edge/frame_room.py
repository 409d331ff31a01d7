"""What fits into one Frame, and how more is cut, or becomes less: pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import TypeAlias, TypeVar

import numpy as np

from ingest.frame import ChannelLedger, ChannelLoss, Frame, Gap, GapCause, WaveformBlock
from ingest.frame_limits import (
    N_BLOCKS_MAX,
    N_GAPS_MAX,
    N_LEDGER_MAX,
    N_LOSSES_MAX,
    N_SAMPLES_MAX,
)

_Item = TypeVar("_Item")
_GapKey: TypeAlias = tuple[str, str, GapCause | None]


def gap_of(block: WaveformBlock, cause: GapCause) -> Gap:
    """Give the gap that is left when a block is dropped."""
    return Gap(
        device_id=block.device_id,
        channel=block.channel,
        cause=cause,
        i_first=block.i_first,
        n_samples=block.n_samples,
        t0_ns=block.t0_ns,
    )


def split_block(block: WaveformBlock, n_samples: int) -> tuple[WaveformBlock, WaveformBlock]:
    """Cut a block behind its first ``n_samples``, which are fewer than it has."""
    i_behind = block.i_first + n_samples
    rest = replace(
        block, i_first=i_behind, t0_ns=block.time_ns(i_behind), counts=block.counts[n_samples:]
    )
    return replace(block, counts=block.counts[:n_samples]), rest


# Cutting


def batches(items: Sequence[_Item], n_max: int) -> Iterator[tuple[_Item, ...]]:
    """Cut a list into pieces of at most ``n_max``, in order."""
    for i in range(0, len(items), n_max):
        yield tuple(items[i : i + n_max])


def batches_of_blocks(blocks: Iterable[WaveformBlock]) -> Iterator[tuple[WaveformBlock, ...]]:
    """Cut a list of blocks into what Frames may hold: so many blocks, and so many samples."""
    batch: list[WaveformBlock] = []
    n_samples = 0
    for block in blocks:
        n_samples += block.n_samples
        if batch and (len(batch) == N_BLOCKS_MAX or n_samples > N_SAMPLES_MAX):
            yield tuple(batch)
            batch, n_samples = [], block.n_samples
        batch.append(block)
    if batch:
        yield tuple(batch)


def with_gaps(frames: Sequence[Frame], gaps: Sequence[Gap]) -> list[Frame]:
    """Add gaps to the last of some Frames; what does not fit becomes Frames behind it."""
    *before, last = frames
    parts = list(batches((*last.gaps, *gaps), N_GAPS_MAX)) or [()]
    behind = [
        Frame(
            subject_id=last.subject_id,
            agent_id=last.agent_id,
            sequence=last.sequence + i,
            gaps=part,
        )
        for i, part in enumerate(parts[1:], start=1)
    ]
    return [*before, replace(last, gaps=parts[0]), *behind]


def with_ledger(
    frames: Sequence[Frame], ledger: Sequence[ChannelLedger], losses: Sequence[ChannelLoss]
) -> list[Frame]:
    """Add the ledger to the last of some Frames; what does not fit becomes Frames behind it."""
    *before, last = frames
    parts = zip_longest(batches(ledger, N_LEDGER_MAX), batches(losses, N_LOSSES_MAX), fillvalue=())
    (first, *rest) = list(parts) or [((), ())]
    behind = [
        Frame(
            subject_id=last.subject_id,
            agent_id=last.agent_id,
            sequence=last.sequence + i,
            ledger=totals,
            losses=causes,
        )
        for i, (totals, causes) in enumerate(rest, start=1)
    ]
    return [*before, replace(last, ledger=first[0], losses=first[1]), *behind]


# Joining


def joined_blocks(blocks: Iterable[WaveformBlock]) -> list[WaveformBlock]:
    """Join the blocks that go on where an earlier one ends, on the same grid and scale.

    Parameters
    ----------
    blocks
        Those of a channel in order of time.
    """
    runs: list[list[WaveformBlock]] = []
    run_that_ends: dict[tuple[object, ...], list[WaveformBlock]] = {}
    for block in blocks:
        stream = (
            block.device_id,
            block.channel,
            block.mdc_code,
            block.unit,
            block.scale,
            block.offset,
            block.period,
            block.epoch_ns,
        )
        run = run_that_ends.pop((*stream, block.i_first), None)
        if run is None or block.i_end - run[0].i_first > N_SAMPLES_MAX:
            run = []
            runs.append(run)
        run.append(block)
        run_that_ends[(*stream, block.i_end)] = run
    return [replace(run[0], counts=np.concatenate([block.counts for block in run])) for run in runs]


def fewer_gaps(gaps: Iterable[Gap]) -> list[Gap]:
    """Join gaps: those of one cause, and where that leaves too many for a Frame, those of any.

    No sample that they name is forgotten; the cause is that of the longest of those joined.
    """
    joined = joined_gaps(gaps)
    return joined if len(joined) <= N_GAPS_MAX else joined_over_causes(joined)


def joined_gaps(gaps: Iterable[Gap]) -> list[Gap]:
    """Join the gaps of one channel and cause that follow one another."""
    return _joined(gaps, lambda gap: (gap.device_id, gap.channel, gap.cause))


def joined_over_causes(gaps: Iterable[Gap]) -> list[Gap]:
    """Join the gaps of one channel that follow one another, under the cause of the longest."""
    return _joined(gaps, lambda gap: (gap.device_id, gap.channel, None))


def _joined(gaps: Iterable[Gap], key_of: Callable[[Gap], _GapKey]) -> list[Gap]:
    joined: dict[tuple[_GapKey, int], Gap] = {}
    longest: dict[tuple[_GapKey, int], Gap] = {}
    for gap in sorted(gaps, key=lambda gap: gap.t0_ns):
        key = key_of(gap)
        before = joined.pop((key, gap.i_first), gap)
        most = max(longest.pop((key, gap.i_first), gap), gap, key=lambda one: one.n_samples)
        n_samples = gap.i_first + gap.n_samples - before.i_first
        joined[key, before.i_first + n_samples] = replace(
            before, cause=most.cause, n_samples=n_samples
        )
        longest[key, before.i_first + n_samples] = most
    return list(joined.values())
