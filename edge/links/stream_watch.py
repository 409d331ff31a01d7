"""What to do about a stream that has fallen silent on a link that stands. Pure: no clock.

    silent ──► subscribe anew ──still──► restart the stream ──still──► reconnect

What counts is what the intake has framed: payloads that cannot be decoded do not keep a stream
alive.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum


class WatchStep(IntEnum):
    """The rungs of the ladder, from the mildest."""

    RESUBSCRIBE = 1
    RESTART = 2
    RECONNECT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a stream has come.

    Attributes
    ----------
    characteristic
        UUID of where its payloads come from.
    n_payloads
        Framed since the stream was begun; it never falls.
    period_s
        What the last of them covered, in seconds; None: there was none yet.
    """

    characteristic: str
    n_payloads: int
    period_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchLimits:
    """When a stream counts as silent.

    Attributes
    ----------
    n_periods
        Payloads that may be missing in a row, above 1.
    least_s
        A shorter silence is never taken for one: a link may be dark for a supervision timeout.
    longest_s
        A longer one always is; it also bounds the wait for the first payload.
    """

    n_periods: float
    least_s: float
    longest_s: float

    def __post_init__(self) -> None:
        if not (self.n_periods > 1 and 0 < self.least_s <= self.longest_s):
            raise ValueError(f"no such limits: {self}")

    def silence_s(self, period_s: float | None) -> float:
        """Tell after how long a stream of this period counts as silent."""
        if period_s is None:
            return self.longest_s
        return min(max(self.n_periods * period_s, self.least_s), self.longest_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """A stream that is silent, and what is due."""

    name: str
    characteristic: str
    step: WatchStep
    silent_s: float


@dataclass(slots=True)
class _Watched:
    n_payloads: int
    heard_s: float
    acted_s: float
    step: int = 0


class StreamWatch:
    """Watches the streams of one device for as long as one link lasts."""

    def __init__(self, limits: WatchLimits) -> None:
        self._limits = limits
        self._watched: dict[str, _Watched] = {}
        self._ignored: set[str] = set()

    def ignore(self, name: str) -> None:
        """Leave a stream alone: nobody has started it."""
        self._ignored.add(name)

    def look(self, streams: Mapping[str, Progress], now_s: float) -> list[Stall]:
        """Compare with the last look.

        Parameters
        ----------
        streams
            All that have been begun, by name; one that is gone is forgotten.
        now_s
            Of a clock that never goes back.

        Returns
        -------
        list
            The streams for which a step is due, each once: the next step is due when the stream
            has stayed silent for as long again. After `WatchStep.RECONNECT` that step repeats.
        """
        self._watched = {name: one for name, one in self._watched.items() if name in streams}
        return [
            stall
            for name, progress in streams.items()
            if name not in self._ignored and (stall := self._look_at(name, progress, now_s))
        ]

    def _look_at(self, name: str, progress: Progress, now_s: float) -> Stall | None:
        one = self._watched.get(name)
        if one is None or progress.n_payloads != one.n_payloads:
            self._watched[name] = _Watched(progress.n_payloads, now_s, now_s)
            return None
        if now_s - one.acted_s < self._limits.silence_s(progress.period_s):
            return None
        one.step = min(one.step + 1, WatchStep.RECONNECT)
        one.acted_s = now_s
        return Stall(
            name=name,
            characteristic=progress.characteristic,
            step=WatchStep(one.step),
            silent_s=now_s - one.heard_s,
        )
