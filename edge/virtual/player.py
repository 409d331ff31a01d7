"""Playing a recording in time: sample ``i`` is taken at ``start + i / rate``, whatever happens.

Grids, beats and sources are plain values and arithmetic; only ``StreamPlayer`` and ``ticks`` wait,
and they wait for a clock that is given.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.errors import RecordingError
from ingest.recording import Recording, SignalKind

NS_PER_S: Final = 1_000_000_000
RR_TICKS_PER_S: Final = 1024
"""The Heart Rate service states RR intervals in 1/1024 s."""
_RR_TICKS_MAX: Final = 0xFFFF
_SLEEP_S_MAX: Final = 3600.0
_PLAYED: Final[tuple[SignalKind, ...]] = ("ecg", "pleth")
"""Of each kind sensors play the first signal."""


class Clock(Protocol):
    """The time that sensors live in."""

    def now_ns(self) -> int:
        """Return UTC, nanoseconds since 1970; never falls."""
        ...

    async def sleep_until(self, t_ns: int) -> None:
        """Return at ``t_ns`` or as soon after as possible; at once if it is past."""
        ...


class SteadyClock:
    """UTC as it was at the start, and from then on the monotonic clock.

    Parameters
    ----------
    speed
        Seconds of this clock per real second; 1.0 is real time.
    """

    def __init__(self, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError(f"speed {speed} is not positive")
        self._speed = speed
        self._epoch_ns = time.time_ns()
        self._monotonic_ns = time.monotonic_ns()

    def now_ns(self) -> int:
        """Return UTC, nanoseconds since 1970; never falls."""
        elapsed_ns = time.monotonic_ns() - self._monotonic_ns
        return self._epoch_ns + (elapsed_ns if self._speed == 1 else int(elapsed_ns * self._speed))

    async def sleep_until(self, t_ns: int) -> None:
        """Return at ``t_ns`` or as soon after as possible; at once if it is past."""
        # A loop's timer can fire a little early.
        while (wait_ns := t_ns - self.now_ns()) > 0:  # noqa: ASYNC110 - time passes by itself
            await asyncio.sleep(min(wait_ns / NS_PER_S / self._speed, _SLEEP_S_MAX))


async def ticks(clock: Clock, start_ns: int, period_s: float) -> AsyncGenerator[int, None]:
    """Give the times ``start + k * period`` that are still to come, each when it has come.

    A late loop gets the missed ones at once, so that what depends on them is the same.
    """
    period_ns = round(period_s * NS_PER_S)
    t_ns = start_ns + max(0, -((start_ns - clock.now_ns()) // period_ns)) * period_ns
    while True:
        await clock.sleep_until(t_ns)
        yield t_ns
        t_ns += period_ns


@dataclass(frozen=True, slots=True)
class SampleGrid:
    """When the samples of a stream are taken."""

    start_ns: int
    """Time of sample 0, UTC, nanoseconds since 1970."""
    rate: Fraction
    """Samples per second."""

    def time_ns(self, i_sample: int) -> int:
        """Return when a sample is taken, rounded to the nanosecond."""
        return self.start_ns + round(i_sample * NS_PER_S / self.rate)

    def i_from(self, t_ns: int) -> int:
        """Return the first sample that is taken at ``t_ns`` or later."""
        elapsed = Fraction(t_ns - self.start_ns, NS_PER_S) * self.rate
        i_sample = max(0, int(elapsed) - 1)
        while self.time_ns(i_sample) < t_ns:
            i_sample += 1
        return i_sample

    def n_taken(self, now_ns: int) -> int:
        """Return how many samples have been taken until now, this instant's included."""
        return self.i_from(now_ns + 1)


class SampleTable:
    """Samples from a table, shape ``(n_samples, n_channels)``, over and over or once."""

    def __init__(self, table: NDArray[np.int32], *, loops: bool = True) -> None:
        self._table = table
        self.n_samples = None if loops else len(table)
        """Samples to give; None where there is no end."""

    def take(self, i_first: int, i_end: int) -> NDArray[np.int32]:
        """Return samples ``i_first`` to ``i_end``, counted from the start of the recording."""
        return self._table[np.arange(i_first, i_end) % len(self._table)]


class StreamPlayer:
    """Takes samples on a grid and gives them out in frames.

    Parameters
    ----------
    clock
        Decides when a frame is full.
    grid, table
        When samples are taken, and which.
    n_per_frame
        Samples of a full frame.
    send
        Takes a frame: index of its first sample, and its samples.
    """

    def __init__(
        self,
        clock: Clock,
        grid: SampleGrid,
        table: SampleTable,
        n_per_frame: int,
        send: Callable[[int, NDArray[np.int32]], Awaitable[None]],
    ) -> None:
        self.grid = grid
        self.i_first = grid.i_from(clock.now_ns())
        """The first sample of the stream, counted from the start of the recording."""
        self._clock = clock
        self._table = table
        self._n_per_frame = n_per_frame
        self._send = send
        self._i_next = self.i_first
        self._stopping = False
        self._sleep: asyncio.Future[None] | None = None
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Play until the recording ends or ``stop`` is called."""
        try:
            while not self._stopping and not self._is_at_end():
                i_end = self._limit(self._i_next + self._n_per_frame)
                await self._sleep_until(self.grid.time_ns(i_end - 1))
                if not self._stopping:
                    await self._give(i_end)
            await self._flush()
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """Send what has been taken until now, if only part of a frame, and end."""
        self._stopping = True
        if self._sleep is not None:
            self._sleep.cancel()
        await self._ended.wait()

    def _is_at_end(self) -> bool:
        return self._limit(self._i_next + 1) == self._i_next

    def _limit(self, i_sample: int) -> int:
        n_samples = self._table.n_samples
        return i_sample if n_samples is None else min(i_sample, max(n_samples, self._i_next))

    async def _sleep_until(self, t_ns: int) -> None:
        self._sleep = asyncio.ensure_future(self._clock.sleep_until(t_ns))
        try:
            await asyncio.wait({self._sleep})
        finally:
            self._sleep.cancel()

    async def _flush(self) -> None:
        i_end = self._limit(self.grid.n_taken(self._clock.now_ns()))
        while self._i_next < i_end:
            await self._give(min(i_end, self._i_next + self._n_per_frame))

    async def _give(self, i_end: int) -> None:
        i_first, self._i_next = self._i_next, i_end
        await self._send(i_first, self._table.take(i_first, i_end))


class BeatTrain:
    """The beats of a recording, played once or over and over.

    Parameters
    ----------
    beats_s : shape (n_beats,)
        Seconds from the start, rising.
    duration_s
        After this the first beat follows the last again; None: the recording ends.
    """

    def __init__(self, beats_s: NDArray[np.float64], duration_s: Fraction | None) -> None:
        self._beats_s = beats_s
        self._duration_s = duration_s

    def rr_intervals_s(self, after_s: float, until_s: float) -> tuple[float, ...]:
        """List the intervals between beats whose second beat is in ``(after, until]``.

        They are whole 1/1024 s, and the rounding of one is made up for by the next. One of 64 s
        or more cannot be stated and is left out.
        """
        first, end = self._n_until(after_s), self._n_until(until_s)
        rr_ticks = (self._ticks(i) - self._ticks(i - 1) for i in range(max(first, 1), end))
        return tuple(rr / RR_TICKS_PER_S for rr in rr_ticks if 0 < rr <= _RR_TICKS_MAX)

    def rate_bpm(self, until_s: float, window_s: float = 10.0) -> float | None:
        """Return the rate of the last ten seconds' mean interval, None where there is none."""
        recent_s = self.rr_intervals_s(until_s - window_s, until_s)
        return 60 * len(recent_s) / sum(recent_s) if recent_s else None

    def _n_until(self, t_s: float) -> int:
        if not self._beats_s.size:
            return 0
        n_loops = 0
        if self._duration_s is not None:
            n_loops = int(Fraction(t_s) // self._duration_s)
            t_s = float(Fraction(t_s) - n_loops * self._duration_s)
        within = int(np.searchsorted(self._beats_s, t_s, side="right"))
        return max(0, n_loops * self._beats_s.size + within)

    def _ticks(self, i_beat: int) -> int:
        n_loops, i_within = divmod(i_beat, self._beats_s.size)
        start_s = Fraction(0) if self._duration_s is None else n_loops * self._duration_s
        return round((start_s + Fraction(float(self._beats_s[i_within]))) * RR_TICKS_PER_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The person whom sensors are worn by: one recording, begun at one instant.

    Sensors of one body share the instant, so that what was recorded together is played together.

    Raises
    ------
    RecordingError
        A value is missing in a signal that sensors play: a sensor always measures something.
    """

    recording: Recording
    start_ns: int
    """When the recording begins, UTC, nanoseconds since 1970."""
    loops: bool = True
    """Whether it begins again at its end."""

    def __post_init__(self) -> None:
        for signal in map(self.recording.first, _PLAYED):
            if signal is None or not signal.missing:
                continue
            begin, end = signal.missing[0]
            raise RecordingError(
                f"recording {self.recording.name}: signal {signal.name} has {signal.n_missing} of "
                f"{signal.n_samples} samples without a value, the first from "
                f"{float(begin / signal.sampling_rate):.3f} s to "
                f"{float(end / signal.sampling_rate):.3f} s; a sensor cannot play it: choose "
                "another record, cut one out of it, or run chevet analyze or replay on it"
            )

    def elapsed_s(self, t_ns: int) -> float:
        """Return the time since the recording began, loops included."""
        return (t_ns - self.start_ns) / NS_PER_S

    def recording_s(self, t_ns: int) -> float:
        """Return the place in the recording."""
        elapsed_s = self.elapsed_s(t_ns)
        return elapsed_s % self.recording.duration_s if self.loops else elapsed_s

    def numeric(self, quantity: str, t_ns: int) -> float | None:
        """Return what the monitor showed, None where it showed nothing or was not recorded."""
        numeric = self.recording.numerics.get(quantity)
        return None if numeric is None else numeric.at(self.recording_s(t_ns))

    def beats(self) -> BeatTrain | None:
        """Return the beats that are known of this recording."""
        if self.recording.beats_s is None:
            return None
        duration = max(signal.duration for signal in self.recording.signals)
        return BeatTrain(self.recording.beats_s, duration if self.loops else None)
