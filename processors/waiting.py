"""Blocks that belong to no stream yet: they wait until the channels beside them have come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ingest.codec import decode_frame, encode_frame
from ingest.errors import RecordError
from ingest.frame import NS_PER_S, Frame, WaveformBlock
from processors.dsp.state import MalformedStateError, State

_KIND = "waiting_blocks"
_VERSION = 1

WAIT_NS: Final = 2 * NS_PER_S
"""The channels of a device come in notifications of their own, a second apart at most."""

N_BLOCKS_MAX: Final = 1000
"""Of one modality: so many have no sensible cause."""


class WaitingBlocks:
    """What came of each modality, oldest first."""

    def __init__(self) -> None:
        self._blocks: dict[str, list[WaveformBlock]] = {}

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def add(self, name: str, blocks: Iterable[WaveformBlock]) -> None:
        """Keep blocks of a modality."""
        kept = [*self._blocks.get(name, ()), *blocks]
        if kept:
            self._blocks[name] = kept[-N_BLOCKS_MAX:]

    def due(self, name: str, now_ns: int) -> list[WaveformBlock]:
        """Give the blocks of a modality if the first has waited long enough by ``now_ns``.

        They go on waiting; those that have waited twice as long do not: what they need never came.
        """
        blocks = self._blocks.get(name, [])
        if not blocks or now_ns - min(block.t0_ns for block in blocks) < WAIT_NS:
            return []
        kept = [one for one in blocks if now_ns - one.t0_ns < 2 * WAIT_NS]
        self.forget(name)
        self.add(name, kept)
        return blocks

    def begins_ns(self, now_ns: int) -> list[int]:
        """Give the time of the first block of each modality that still has time to be complete."""
        begins = (min(one.t0_ns for one in blocks) for blocks in self._blocks.values())
        return [t0_ns for t0_ns in begins if now_ns - t0_ns < WAIT_NS]

    def forget(self, name: str) -> None:
        """Let the blocks of a modality go."""
        self._blocks.pop(name, None)

    def to_bytes(self) -> bytes:
        """Everything that waits."""
        children: dict[str, bytes] = {}
        for name, blocks in sorted(self._blocks.items()):
            # One by one: together they may be more than a Frame can hold.
            for n, block in enumerate(blocks):
                frame = Frame(subject_id="-", agent_id="-", sequence=n, waveforms=(block,))
                children[f"{name}/{n}"] = encode_frame(frame)
        return State(kind=_KIND, version=_VERSION, children=children).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> WaitingBlocks:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        restored = cls()
        for key in kept.children:
            try:
                blocks = decode_frame(kept.child(key)).waveforms
            except RecordError as error:
                raise MalformedStateError(f"{_KIND}: {error}") from error
            restored.add(key.partition("/")[0], blocks)
        return restored
