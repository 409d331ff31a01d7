"""From a Frame's blocks to the chains: which channels are processed together, and in which unit.

One stream of each modality per subject at a time: two electrocardiograms of one person would give
two beats for each beat. Another device takes over when the present one has been silent.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.frame import NS_PER_S, TIME_NS_MAX, WaveformBlock
from processors.channel_group import ChannelGroup, Chunk
from processors.dsp.sample_clock import ROUNDING_NS, SampleClock
from processors.dsp.state import State, translated_errors
from processors.items import Item

_KIND = "stream"
_VERSION = 3

SILENCE_NS: Final = 10 * NS_PER_S
"""Another device takes over when the present one has been silent for this long."""

RATE_SHARE_MAX: Final = 0.02
"""A measured rate that differs by more from the one that a chain was made for needs another."""

STEP_NS_MAX: Final = NS_PER_S
"""Behind a gap a grid may be set right by so much; what is further off is another clock's."""

STEP_MIN: Final = 1e-30
"""Less between two counts is no signal in any unit, and its squares might be zero."""


class Chain(Protocol):
    """From the samples of one stream to what follows from them, in order of time."""

    @property
    def watermark_ns(self) -> int:
        """Everything before this time has been given."""
        ...

    def go_on(self, clock: SampleClock) -> None:
        """Take the next samples by a clock that has bent with the first of them.

        What follows from the samples before must have been said by the clock as it was.
        """
        ...

    def process(self, chunk: NDArray[np.float64], i_first: int, /) -> Sequence[Item]:
        """Take the next samples, ``(n_samples,)`` or ``(n_channels, n_samples)``."""
        ...

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Modality:
    """A kind of signal that is processed."""

    name: str
    ranks: Mapping[int, int]
    """The quantities by MDC code; lower ranks are chosen first, and handed over first."""
    build: Callable[[float, SampleClock, tuple[int, ...], str | None], Chain]
    """Make the chain for a rate, a time grid, the channels' MDC codes, and the device's model."""
    restore: Callable[[bytes], Chain]
    by_model: bool = False
    """The chain depends on the model of the device: it begins anew when that is learnt."""
    units: Mapping[str, float] | None = None
    """Factor to the chain's unit by UCUM unit; None: any unit as it is."""
    n_channels_min: int = 1
    """More than one: those of the lowest ranks are needed, each once."""
    n_channels_max: int = 1
    rate_hz_min: float = 20.0
    rate_hz_max: float = 2000.0
    value_max: float = 1e9
    """Full scale in the chain's unit: more is no signal, and its sums might overflow."""

    def accepts(self, block: WaveformBlock) -> bool:
        """Tell whether the chain can take such a block."""
        # What follows from a later one would be at a time that no Observation can have.
        return block.time_ns(block.i_end) <= TIME_NS_MAX and self.accepts_kind(
            block.mdc_code, block.unit, block.period.rate_hz, block.scale, block.offset
        )

    def accepts_kind(
        self, mdc_code: int, unit: str, rate_hz: float, scale: float, offset: float
    ) -> bool:
        """Tell whether the chain can take blocks of this kind, whenever they are."""
        return (
            mdc_code in self.ranks
            and (self.units is None or unit in self.units)
            and self._is_of_rate(rate_hz)
            and self._is_of_size(scale, offset, self.factor(unit))
        )

    def _is_of_rate(self, rate_hz: float) -> bool:
        least_hz = self.rate_hz_min * (1.0 - RATE_SHARE_MAX)
        return least_hz <= rate_hz <= self.rate_hz_max * (1.0 + RATE_SHARE_MAX)

    def design_hz(self, clock: SampleClock) -> float:
        """Give the rate that a chain is made for.

        A device that is said to give 100 samples a second gives 99.99: what was measured is
        accepted a little beyond the limits, and the filters are those of the limit.
        """
        return min(max(clock.fs_hz, self.rate_hz_min), self.rate_hz_max)

    def _is_of_size(self, scale: float, offset: float, factor: float) -> bool:
        full_scale = (abs(scale) * 2**31 + abs(offset)) * factor
        return full_scale <= self.value_max * 2**31 and abs(scale) * factor >= STEP_MIN

    def factor(self, unit: str) -> float:
        """From a block's unit to the chain's."""
        return 1.0 if self.units is None else self.units[unit]

    def samples(self, block: WaveformBlock) -> NDArray[np.float64]:
        """Convert to the chain's unit.

        Scale and factor first, rounded to what a gain can mean: counts that a strap sends in µV
        and the same counts of a file in steps of 5 µV must give the same numbers to the last bit.
        """
        scale, offset = _rounded_terms(block.scale, block.offset, self.factor(block.unit))
        samples = block.counts.astype(np.float64) * scale
        if offset:
            samples += offset
        return samples

    def _place(self, block: WaveformBlock) -> str | int:
        """Tell what may be there once only: an axis of several, or else a channel."""
        return block.mdc_code if self.n_channels_min > 1 else block.channel

    def choose(self, blocks: Sequence[WaveformBlock]) -> list[WaveformBlock]:
        """Choose the channels to process, one block of each; empty: there are none.

        They are of one device and on one time grid, in the order of rank, then of the Frame.
        """
        usable = sorted(
            (block for block in blocks if self.accepts(block)),
            key=lambda block: self.ranks[block.mdc_code],
        )
        for first in usable:
            together: dict[str | int, WaveformBlock] = {}
            for block in usable:
                if _grid(block) == _grid(first):
                    together.setdefault(self._place(block), block)
            if self._suffices([block.mdc_code for block in together.values()]):
                return list(together.values())[: self.n_channels_max]
        return []

    def _suffices(self, mdc_codes: Sequence[int]) -> bool:
        if self.n_channels_min == 1:
            return bool(mdc_codes)
        needed = sorted(self.ranks, key=lambda code: self.ranks[code])[: self.n_channels_min]
        return set(needed) <= set(mdc_codes)


Hearer = Callable[[SampleClock, NDArray[np.float64], int], None]
"""Takes samples, ``(n_channels, n_samples)`` in the chain's unit, and the index of the first."""


def unheard(_clock: SampleClock, _samples: NDArray[np.float64], _i_first: int) -> None:
    """Take samples for nobody."""


class Stream:
    """One device's channels of one modality, each sample once, and their chain."""

    def __init__(
        self,
        modality: Modality,
        device_id: str,
        channels: tuple[tuple[str, int], ...],
        clock: SampleClock,
        i_first: int,
        model: str | None = None,
    ) -> None:
        self.modality = modality
        self.device_id = device_id
        self.channels = tuple(name for name, _ in channels)
        self.mdc_codes = tuple(mdc_code for _, mdc_code in channels)
        self.sources = tuple(f"{device_id}/{name}" for name in self.channels)
        """The channels, as an Observation names them."""
        self._n_repeated = 0
        self._model = model
        self._begin(clock, i_first)

    @classmethod
    def of_blocks(
        cls, modality: Modality, blocks: Sequence[WaveformBlock], model: str | None = None
    ) -> Stream:
        """Begin with the first blocks of the chosen channels, of a device of this model."""
        channels = tuple((block.channel, block.mdc_code) for block in blocks)
        i_first = min(block.i_first for block in blocks)
        return cls(modality, blocks[0].device_id, channels, _clock(blocks[0]), i_first, model)

    def _begin(self, clock: SampleClock, i_first: int) -> None:
        """Begin on a time grid; nothing of an earlier one is carried over."""
        self._told: SampleClock | None = clock
        self._clock = clock  # of all that has come; the chain's has not bent before its samples do
        fs_hz = self.modality.design_hz(clock)
        self._group = ChannelGroup(len(self.channels), fs_hz, i_first)
        self._chain = self.modality.build(fs_hz, clock, self.mdc_codes, self._model)

    @property
    def watermark_ns(self) -> int:
        """Everything before this time has been given."""
        # A chain that has had no samples yet says 0.
        return self._chain.watermark_ns or self._clock.time_ns(self._group.i_next)

    @property
    def newest_ns(self) -> int:
        """One period after the newest sample."""
        return self._clock.time_ns(self._group.i_newest)

    @property
    def n_samples_repeated(self) -> int:
        """Samples that came again and were not processed a second time."""
        return self._n_repeated + self._group.n_samples_repeated

    def owns(self, block: WaveformBlock) -> bool:
        """Tell whether the block belongs to one of these channels."""
        return block.device_id == self.device_id and block.channel in self.channels

    def process(self, blocks: Sequence[WaveformBlock], hear: Hearer = unheard) -> list[Item]:
        """Process the blocks of a Frame that it owns, in order of time.

        ``hear`` is told the samples as the chain gets them.
        """
        if self._are_next(blocks):  # nearly always
            channels = [self.modality.samples(block) for block in blocks]
            return self._run([self._group.pass_on(blocks[0].i_first, channels)], hear)
        items: list[Item] = []
        for block in blocks:
            if not self._goes_on_with(block):
                clock = _clock(block)
                i_fresh = clock.index_at_or_after(self.newest_ns)
                if block.i_end <= i_fresh:
                    self._n_repeated += block.n_samples  # a grid that lies in the past
                    continue
                items += self._end(hear)
                # A clock set back a little costs what it was set back by, not the whole block.
                self._begin(clock, max(block.i_first, i_fresh))
            n_channel = self.channels.index(block.channel)
            self._group.add(n_channel, block.i_first, self.modality.samples(block))
        return items + self._run(self._group.take(), hear)

    def _are_next(self, blocks: Sequence[WaveformBlock]) -> bool:
        """Tell whether these are the next samples of each channel, a block of each in its order."""
        if len(blocks) != len(self.channels) or not self._group.is_level_at(blocks[0].i_first):
            return False
        i_first, n_samples, clock = blocks[0].i_first, blocks[0].counts.size, self._clock
        for name, block in zip(self.channels, blocks, strict=True):
            if (
                block.channel != name
                or block.i_first != i_first
                or block.counts.size != n_samples
                or not _is_on(block, clock)
            ):
                return False
        return i_first >= clock.i_from

    def _goes_on_with(self, block: WaveformBlock) -> bool:
        """Take the time grid of a block, if it is the present one or goes on where that ends.

        Its samples are then what they would have been; only their times were measured anew. A
        chain keeps its filters, which are for the rate that it began with: within 2 % of it, no
        corner of theirs is off by more than that. Behind a gap the grid may begin where it is
        right: to a chain that is a gap as any other.
        """
        if _is_on(block, self._clock.at(block.i_first)):
            return block.i_first >= self._clock.i_from or _is_on(
                block, self._clock.at(block.i_end - 1)
            )
        i_newest = self._group.i_newest
        within_ns = STEP_NS_MAX if block.i_first > i_newest else ROUNDING_NS
        clock = self._clock.bent(_clock(block), block.i_first, within_ns)
        if (
            clock is None
            or block.i_first < i_newest
            or block.t0_ns < self.newest_ns - ROUNDING_NS
            or abs(clock.fs_hz - self._group.fs_hz) > RATE_SHARE_MAX * self._group.fs_hz
        ):
            return False
        self._clock = clock
        return True

    def learn_model(self, model: str, hear: Hearer = unheard) -> list[Item]:
        """Learn what the device is; a chain that depends on it begins anew, if it is news."""
        if not self.modality.by_model or model == self._model:
            return []
        i_next = self._group.i_newest
        items = self._end(hear)
        self._model = model
        self._begin(self._clock.line, i_next)
        return items

    def _end(self, hear: Hearer) -> list[Item]:
        """Process what still waits: something else begins behind it."""
        items = self._run(self._group.take_all(), hear)
        self._n_repeated += self._group.n_samples_repeated
        return items

    def _run(self, chunks: Iterable[Chunk], hear: Hearer) -> list[Item]:
        items: list[Item] = []
        for chunk in chunks:
            for clock, piece in _pieces(self._clock, chunk):
                if clock is not self._told:
                    self._chain.go_on(clock)
                    self._told = clock
                hear(clock, piece.samples, piece.i_first)
                samples = piece.samples if len(self.channels) > 1 else piece.samples[0]
                items += self._chain.process(samples, piece.i_first)
        return items

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "modality": self.modality.name,
                "device_id": self.device_id,
                "channels": json.dumps(list(zip(self.channels, self.mdc_codes, strict=True))),
                **self._clock.scalars(),
                "n_repeated": self._n_repeated,
                "model": self._model,
            },
            children={"group": self._group.to_bytes(), "chain": self._chain.to_bytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes, modality: Modality) -> Stream:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            clock = SampleClock.of_state(kept)
            channels = tuple(
                (str(name), int(code)) for name, code in json.loads(kept.text("channels"))
            )
            restored = cls(modality, kept.text("device_id"), channels, clock, 0)
        restored._n_repeated = kept.integer("n_repeated")
        restored._model = kept.optional_text("model")
        restored._told = None
        restored._group = ChannelGroup.from_bytes(kept.child("group"))
        restored._chain = modality.restore(kept.child("chain"))
        return restored


@functools.lru_cache(maxsize=1024)
def _rounded_terms(scale: float, offset: float, factor: float) -> tuple[float, float]:
    return float(f"{scale * factor:.12g}"), float(f"{offset * factor:.12g}")


def _clock(block: WaveformBlock) -> SampleClock:
    return SampleClock(
        epoch_ns=block.epoch_ns,
        period_num_ns=block.period.ns_numerator,
        period_den=block.period.ns_denominator,
    )


def _pieces(clock: SampleClock, chunk: Chunk) -> list[tuple[SampleClock, Chunk]]:
    """Cut a chunk where the clock bends; each piece with the clock as it was by then."""
    if clock.before is None or chunk.i_first >= clock.i_from:
        return [(clock, chunk)]
    n_before = clock.i_from - chunk.i_first
    if chunk.i_end <= clock.i_from:
        return _pieces(clock.before, chunk)
    before = _pieces(clock.before, Chunk(chunk.i_first, chunk.samples[:, :n_before]))
    return [*before, (clock, Chunk(clock.i_from, chunk.samples[:, n_before:]))]


def _is_on(block: WaveformBlock, clock: SampleClock) -> bool:
    """Tell whether the block is on this time grid."""
    return (
        block.period.ns_numerator == clock.period_num_ns
        and block.period.ns_denominator == clock.period_den
        and block.epoch_ns == clock.epoch_ns
    )


def _grid(block: WaveformBlock) -> tuple[str, SampleClock]:
    return block.device_id, _clock(block)
