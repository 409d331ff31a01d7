"""A player without waiting: a clock that goes on when somebody waits, and Frames to play."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from ingest.frame import NS_PER_S, Frame, SamplePeriod
from ingest.player import Player
from ingest.restamp import Stamps
from tests.ingest import records
from tests.ingest.records import T0_NS

FRAME_NS = NS_PER_S // 4
HZ_100 = SamplePeriod(ns_numerator=10_000_000, ns_denominator=1)
UTC_NS = T0_NS + 10**16
"""What the time of day is when a test begins."""

Command = tuple[int, Callable[[Player], None]]
"""When it is given, by the clock, and what."""


class FakeClock:
    """Goes on to where somebody waits for, or to the next command."""

    def __init__(self, commands: Sequence[Command] = ()) -> None:
        self.ns = 0
        self.player: Player | None = None
        self._commands = sorted(commands, key=lambda one: one[0])

    def now_ns(self) -> int:
        return self.ns

    def utc_ns(self) -> int:
        return UTC_NS + self.ns

    async def wait(self, woken: asyncio.Event, ns: int | None) -> None:
        assert self.player is not None
        assert ns is None or ns > 0
        assert ns is not None or self._commands, "nobody will resume it"
        if self._commands and (ns is None or self._commands[0][0] <= self.ns + ns):
            at_ns, command = self._commands.pop(0)
            self.ns = max(self.ns, at_ns)
            command(self.player)
            assert woken.is_set()
        elif ns is not None:
            self.ns += ns


def frame(i: int, subject_id: str = "p-1", begin_ns: int | None = None) -> Frame:
    """The quarter of a second with number ``i``."""
    t0_ns = T0_NS + i * FRAME_NS if begin_ns is None else begin_ns
    block = records.block(
        np.arange(i * 25, (i + 1) * 25), channel="ecg", period=HZ_100, i_first=i * 25, t0_ns=t0_ns
    )
    return records.frame(block, subject_id=subject_id, sequence=i)


class Stage:
    """A player, what it has sent, and when."""

    def __init__(
        self,
        frames: Sequence[Frame],
        commands: Sequence[Command] = (),
        *,
        is_now: bool = False,
        names: Mapping[str, str] = MappingProxyType({}),
        **options: Any,  # noqa: ANN401  # of the Player
    ) -> None:
        self.sent: list[Frame] = []
        self.times_ns: list[int] = []
        self.batches: list[int] = []
        self.clock = FakeClock(commands)
        self.stamps = Stamps(is_now=is_now, run_ns=1, names=names)

        def opened(_begin_ns: int | None) -> Iterator[Frame]:
            return iter(frames)

        self.player = self.clock.player = Player(
            opened, self.send, self.stamps, clock=self.clock, **options
        )

    async def send(self, frames: Sequence[Frame]) -> None:
        self.batches.append(len(frames))
        self.sent += frames
        self.times_ns += [self.clock.ns] * len(frames)

    def play(self) -> "Stage":
        asyncio.run(self.player.run())
        return self
