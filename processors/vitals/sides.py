"""Which of several sources to believe: those that agree are a side, and the better side speaks.

Within a side the others vouch for the best source more than they change its value: a plain mean
would be worse than the best alone. A pulse comes later than its beat and averages other beats, and
what a device shows has been averaged for longer. So each counts by the odds that it is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from devices.codes import Quantity
from processors.vitals.derived import Algorithm, Derived
from processors.vitals.last_words import Kind, Said
from processors.vitals.reasons import NoValueReason

PREFERENCE: Final = 2.0
"""One side is preferred when its weight is this many times that of the other."""
QUALITY_MIN: Final = 0.05
"""A source of less quality says nothing."""
WEIGHT_MAX: Final = 0.99
"""No quality has been tested further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the quality of a kind of source is worth."""

    belief: float = 1.0
    """Times its quality: how surely it is right when nothing else is known."""
    trust: float = 1.0
    """Times its quality: what its word counts against that of others."""
    from_device: bool = False


class Voice(NamedTuple):
    """A source that has a value at the instant of fusion."""

    source: str
    kind: str
    rate: float
    """Per minute."""
    quality: float
    """0..1: how surely it is right when nothing else is known."""
    weight: float
    """0..1: what its word counts against that of others."""
    age_s: float
    from_device: bool
    """A device's own figure. However many a side has, they count as one: they rest on the same
    sensors, and are averaged for long in a way that nobody knows."""

    @property
    def odds(self) -> float:
        """Of being right, by its weight."""
        weight = min(self.weight, WEIGHT_MAX)
        return weight / (1.0 - weight)


def voices_of(
    current: Iterable[tuple[str, Kind, Said]], standings: Mapping[Kind, Standing], t_ns: int
) -> list[Voice]:
    """Hear those of the sources that have a value at ``t_ns``, in their order."""
    voices: list[Voice] = []
    for source, kind, (said_ns, rate, _, quality, age_s) in current:
        if rate is not None and quality >= QUALITY_MIN:
            standing = standings[kind]
            voices.append(
                Voice(
                    source=source,
                    kind=kind,
                    rate=rate,
                    quality=standing.belief * quality,
                    weight=standing.trust * quality,
                    age_s=age_s + (t_ns - said_ns) / 1e9,
                    from_device=standing.from_device,
                )
            )
    return voices


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """When two rates are the same: within ``rate`` per minute or ``share``, whichever is more."""

    rate: float
    share: float

    def __call__(self, one: Voice, other: Voice) -> bool:
        """Tell whether both say the same."""
        mean = (one.rate + other.rate) / 2
        return abs(one.rate - other.rate) <= max(self.rate, self.share * mean)


Agrees = Callable[[Voice, Voice], bool]


def side_of(voice: Voice, voices: Sequence[Voice], agrees: Agrees) -> list[Voice]:
    """Give ``voice`` and all that agree with it, in the order of ``voices``."""
    return [other for other in voices if agrees(voice, other)]


def weight_of(side: Sequence[Voice]) -> float:
    """Sum of the weights, those of devices only once."""
    ours = sum(voice.weight for voice in side if not voice.from_device)
    return ours + max((voice.weight for voice in side if voice.from_device), default=0.0)


def preferred_side(voices: list[Voice], agrees: Agrees) -> list[Voice] | None:
    """Give the best supported side; None where others weigh too much against it.

    Of two that are supported alike, that of the voice that comes first.
    """
    if len(voices) == 1:
        return voices
    first = side_of(voices[0], voices, agrees)
    if len(first) == len(voices):
        return first
    sides = [first, *(side_of(voice, voices, agrees) for voice in voices[1:])]
    best = max(sides, key=weight_of)
    others = [voice for voice in voices if voice not in best]
    return best if weight_of(best) >= PREFERENCE * weight_of(others) else None


def said_by(side: Sequence[Voice], quantity: Quantity, algorithm: Algorithm, t_ns: int) -> Derived:
    """Say what a side says; it is wrong when all its voices are."""
    source, _, rate, quality, _, age_s, _ = side[0]  # one alone keeps its value to the last bit
    doubt = 1.0 - quality
    sources: tuple[str, ...] = (source,)
    if len(side) > 1:
        others = side[1:]
        for voice in others:
            doubt *= 1.0 - voice.quality
        odds = sum(voice.odds for voice in side)
        rate += sum((voice.rate - side[0].rate) * voice.odds for voice in side) / odds
        age_s = min(age_s, *(voice.age_s for voice in others))
        sources = tuple(voice.source for voice in side)
    return Derived(
        quantity=quantity,
        algorithm=algorithm,
        t_ns=t_ns,
        value=rate,
        quality=1.0 - doubt,
        age_s=age_s,
        sources=sources,
    )


def withheld(reason: NoValueReason, quantity: Quantity, algorithm: Algorithm, t_ns: int) -> Derived:
    """Say that there is no value."""
    return Derived(
        quantity=quantity, algorithm=algorithm, t_ns=t_ns, value=None, reason=reason, quality=0.0
    )
