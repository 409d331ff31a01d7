"""Plays Frames by their own time: at a speed, with pause, seek and loop.

A Frame is due when its newest sample was taken (``ingest.frame_times.timed``). The player knows no
clock and no broker: both are given to it, so that tests need not wait.
"""

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from typing import Final, Protocol

from ingest.frame import NS_PER_S, Frame
from ingest.frame_times import TimedFrame, begun_ns, timed
from ingest.pace import Pace
from ingest.restamp import Stamps

BATCH_FRAMES: Final = 100
"""Frames that are sent at once, and that are read ahead."""

OpenFrames = Callable[[int | None], Iterator[Frame]]
"""Opens what is played from its begin; Frames before the time that it is given may be left out."""

Send = Callable[[Sequence[Frame]], Awaitable[None]]
"""Sends Frames, and returns when they are stored."""


class Clock(Protocol):
    """What time it is, and a wait."""

    def now_ns(self) -> int:
        """Give the time of a clock that only goes on."""
        ...

    def utc_ns(self) -> int:
        """Give the time of day."""
        ...

    async def wait(self, woken: asyncio.Event, ns: int | None) -> None:
        """Wait for so long, or until it is woken; None: until it is woken."""
        ...


class SystemClock:
    """The machine's."""

    def now_ns(self) -> int:
        """Give the monotonic time."""
        return time.monotonic_ns()

    def utc_ns(self) -> int:
        """Give the time of day."""
        return time.time_ns()

    async def wait(self, woken: asyncio.Event, ns: int | None) -> None:
        """Wait."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if ns is None else ns / NS_PER_S):
                await woken.wait()


@dataclass(slots=True)
class Played:
    """What was sent so far."""

    n_frames: int = 0
    n_samples: int = 0
    n_rounds: int = 0
    """Times that the end was reached."""
    frames_of: Counter[str] = field(default_factory=Counter[str])
    """By the subject's name as sent."""


class Player:
    """Plays what ``open_frames`` opens. Its methods are called from the loop that it runs in.

    Parameters
    ----------
    speed
        1 is real time; None as fast as ``send`` takes them.
    duration_s
        Play so much of event time from the begin; None: all.
    skip_gaps_s
        Do not wait for a time without Frames that is longer; None: wait for each.
    is_seekable
        Opening at a time costs less than reading up to it.
    """

    def __init__(  # noqa: PLR0913  # what is played, where to, and how
        self,
        open_frames: OpenFrames,
        send: Send,
        stamps: Stamps,
        *,
        clock: Clock,
        speed: float | None = 1.0,
        loop: bool = False,
        duration_s: float | None = None,
        skip_gaps_s: float | None = None,
        is_seekable: bool = True,
    ) -> None:
        self._open_frames, self._send, self._stamps = open_frames, send, stamps
        self._clock = clock
        self._is_loop, self._is_seekable = loop, is_seekable
        self._duration_ns = _ns(duration_s)
        self._skip_ns = _ns(skip_gaps_s)
        self._pace = Pace(_fraction(speed), 0, 0)
        self._woken = asyncio.Event()
        self._frames: Iterator[TimedFrame] = iter(())
        self._ahead: deque[TimedFrame] = deque()
        self._begin_ns: int | None = None
        """Event time at which it begins; None: nothing that has a time was read yet."""
        self._reached_ns = 0
        """When the last Frame that was sent was due, or where it went."""
        self._is_anchored = False
        self._paused_ns: int | None = None
        self._seek_ns: int | None = None
        self._early_ns = 0
        self._drop_ns = 0
        self._is_over = False
        self._n_frames_before = 0
        """Sent before this round; -1 where it was not played from its begin."""
        self.played = Played()

    # Commands

    @property
    def is_paused(self) -> bool:
        """Whether it waits to be resumed."""
        return self._paused_ns is not None

    @property
    def speed(self) -> float | None:
        """Seconds of event time per second; None: as fast as can be."""
        return None if self._pace.speed is None else float(self._pace.speed)

    @property
    def begin_ns(self) -> int | None:
        """The event time at which it begins; None: not known yet."""
        return self._begin_ns

    @property
    def until_ns(self) -> int | None:
        """The event time up to which it plays; None: to the end, or not known yet."""
        if self._duration_ns is None or self._begin_ns is None:
            return None
        return self._begin_ns + self._duration_ns

    @property
    def position_ns(self) -> int:
        """The event time that is played; 0: it has not begun."""
        if self._seek_ns is not None:
            return self._seek_ns
        if not self._is_anchored or self._pace.speed is None:
            return self._reached_ns
        at_ns = self._clock.now_ns() if self._paused_ns is None else self._paused_ns
        return self._pace.position_ns(at_ns)

    def pause(self) -> None:
        """Send nothing until it is resumed."""
        if self._paused_ns is None:
            self._paused_ns = self._clock.now_ns()
            self._woken.set()

    def resume(self) -> None:
        """Go on where it was paused."""
        if self._paused_ns is not None:
            self._pace.clock_ns += self._clock.now_ns() - self._paused_ns
            self._paused_ns = None
            self._woken.set()

    def toggle(self) -> None:
        """Pause or resume."""
        if self.is_paused:
            self.resume()
        else:
            self.pause()

    def set_speed(self, speed: float | None) -> None:
        """Go on at another speed."""
        at_ns = self._clock.now_ns() if self._paused_ns is None else self._paused_ns
        self._pace.set_speed(_fraction(speed), event_ns=self.position_ns, clock_ns=at_ns)
        self._woken.set()

    def seek(self, event_ns: int) -> None:
        """Go on with the first Frame that was due then or later."""
        self._seek_ns = event_ns
        self._woken.set()

    def seek_by(self, seconds: float) -> None:
        """Go forward, or back; what is asked for before it has begun counts from the begin."""
        by_ns = round(seconds * NS_PER_S)
        if self._begin_ns is None:
            self._early_ns += by_ns
        else:
            self.seek(self.position_ns + by_ns)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or was told to."""
        return self._is_over

    def quit(self) -> None:
        """End when what is being sent is stored."""
        self._is_over = True
        self._woken.set()

    # Playing

    async def run(self) -> Played:
        """Play until the end, or until told to quit.

        Raises
        ------
        MalformedRecordError
            A Frame cannot be moved to where it should be.
        Whatever ``open_frames``, what it opens, and ``send`` raise.
        """
        self._reopen(None)
        try:
            while not self._is_over:
                await self._step()
        finally:
            self._close()
        return self.played

    async def _step(self) -> None:
        self._woken.clear()
        if self._begin_ns is None:
            await self._read_ahead()
            return
        if self._seek_ns is not None:
            self._go_to(max(self._seek_ns, self._begin_ns))
        if self.is_paused:
            await self._clock.wait(self._woken, None)
            return
        if not self._ahead:
            await self._read_ahead()
            return
        due_ns, frame = self._ahead[0]
        self._anchor(due_ns, frame)
        wait_ns = self._wait_ns(due_ns)
        if wait_ns > 0:
            await self._clock.wait(self._woken, wait_ns)
            return
        await self._send_due()

    async def _read_ahead(self) -> None:
        # In a thread, for an archive gives a day at a time, and a broker when it likes.
        frames = self._frames
        read = await asyncio.to_thread(lambda: list(islice(frames, BATCH_FRAMES)))
        if self._begin_ns is None:
            begins = (begun_ns(one) for _, one in read)
            # Without any time everything is sent at once.
            self._begin_ns = next((t_ns for t_ns in begins if t_ns is not None), 0)
            if self._early_ns:
                self.seek(self._begin_ns + self._early_ns)
        kept = [one for one in read if one[0] >= self._drop_ns and not self._is_behind(one[0])]
        self._ahead.extend(kept)
        if not read or self._is_behind(read[-1][0]):
            self._frames = iter(())
            if not kept:
                self._end_round()

    def _is_behind(self, due_ns: int) -> bool:
        until_ns = self.until_ns
        return until_ns is not None and due_ns >= until_ns

    def _end_round(self) -> None:
        self.played.n_rounds += 1
        is_empty = self.played.n_frames == self._n_frames_before
        if not self._is_loop or is_empty:
            self._is_over = True
            return
        self._reopen(None)
        self._n_frames_before = self.played.n_frames

    def _anchor(self, due_ns: int, frame: Frame) -> None:
        """Set the event time beside the clock where a stretch begins."""
        if self._is_anchored or due_ns == 0:
            return
        self._is_anchored = True
        begin_ns = begun_ns(frame)
        event_ns = max(self._drop_ns, due_ns if begin_ns is None else min(due_ns, begin_ns))
        self._reached_ns = event_ns
        self._pace.move(event_ns=event_ns, clock_ns=self._clock.now_ns())
        self._stamps.begin(event_ns, self._clock.utc_ns(), is_round=self.played.n_rounds > 0)

    def _wait_ns(self, due_ns: int) -> int:
        if not self._is_anchored or self._pace.speed is None:
            return 0
        if self._skip_ns is not None and due_ns - self._reached_ns > self._skip_ns:
            self._stamps.begin(due_ns, self._clock.utc_ns())
            self._reached_ns = due_ns
            self._pace.move(event_ns=due_ns, clock_ns=self._clock.now_ns())
        return self._pace.due_ns(due_ns) - self._clock.now_ns()

    async def _send_due(self) -> None:
        batch: list[Frame] = []
        while self._ahead and len(batch) < BATCH_FRAMES:
            due_ns, frame = self._ahead[0]
            if batch and self._wait_ns(due_ns) > 0:
                break
            self._ahead.popleft()
            self._reached_ns = due_ns
            batch.append(self._stamps.frame(frame))
        await self._send(batch)
        self.played.n_frames += len(batch)
        for frame in batch:
            self.played.n_samples += frame.n_samples
            self.played.frames_of[frame.subject_id] += 1

    def _go_to(self, event_ns: int) -> None:
        self._seek_ns = None
        self._n_frames_before = -1
        if event_ns < self._reached_ns or self._is_seekable:
            self._reopen(event_ns)
        self._ahead = deque(one for one in self._ahead if one[0] >= event_ns)
        self._drop_ns = self._reached_ns = event_ns
        self._stamps.begin(event_ns, self._clock.utc_ns())
        self._is_anchored = True
        at_ns = self._clock.now_ns() if self._paused_ns is None else self._paused_ns
        self._pace.move(event_ns=event_ns, clock_ns=at_ns)

    def _reopen(self, event_ns: int | None) -> None:
        self._close()
        self._frames = timed(self._open_frames(event_ns))
        self._ahead.clear()
        self._drop_ns = self._reached_ns = 0
        self._is_anchored = False

    def _close(self) -> None:
        close = getattr(self._frames, "close", None)
        self._frames = iter(())
        if close is not None:
            # Of one that is being read in its thread just now, the thread lets go.
            with contextlib.suppress(ValueError):
                close()


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * NS_PER_S)


def _fraction(speed: float | None) -> Fraction | None:
    return None if speed is None else Fraction(speed)
