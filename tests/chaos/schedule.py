"""What goes wrong and when: drawn from a seed, so that a run can be had again."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a run is, and how much goes wrong.

    Attributes
    ----------
    n_subjects, seconds
        Who is measured, and for how long by the sensors' time.
    feed_s
        How long it takes to send that.
    n_kills, n_sink_kills
        Workers and sinks that get SIGKILL.
    n_rebalances
        Times that the third worker comes, or is told to go.
    broker_away_s, influx_away_s
        Once each.
    repeated
        Share of the Frames that are sent again, some of them much later.
    """

    n_subjects: int
    seconds: int
    feed_s: float
    n_kills: int
    n_sink_kills: int
    n_rebalances: int
    broker_away_s: float
    influx_away_s: float
    repeated: float = 0.1


SHORT = Plan(20, 75, 30.0, 3, 1, 2, 1.0, 4.0)
LONG = Plan(20, 240, 90.0, 8, 3, 6, 5.0, 60.0)


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """One thing that goes wrong."""

    at_s: float
    what: str
    which: int = 0


def events_of(plan: Plan, seed: int) -> list[Event]:
    """Draw the events, in order of time."""
    rng = Random(seed)

    def at() -> float:
        return rng.uniform(0.1, 0.95) * plan.feed_s

    found = [Event(at(), "kill worker", rng.randrange(2)) for _ in range(plan.n_kills)]
    found += [Event(at(), "kill sink") for _ in range(plan.n_sink_kills)]
    found += [Event(at(), "third worker") for _ in range(plan.n_rebalances)]
    found += [Event(at(), "broker away"), Event(rng.uniform(0.1, 0.3) * plan.feed_s, "influx away")]
    return sorted(found)
