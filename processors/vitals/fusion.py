"""One heart rate from several sources: ECG, pulse wave, and what the devices say themselves.

The rate of the ECG is that of the heart; a pulse rate is that of the beats that reach the vessel.
In atrial fibrillation and with early beats some do not: the pulse deficit. So an ECG of good
quality is right when the pulse is slower. A pulse faster than the ECG is another matter: behind
every pulse is a beat, so one of the two is wrong, and unless a third source speaks for one of
them, nobody knows which.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from devices import codes
from processors.dsp.state import Scalar, State, translated_errors
from processors.vitals.derived import Algorithm, Derived
from processors.vitals.reasons import NoValueReason

_KIND = "heart_rate_fusion"
_VERSION = 1


class RateKind(StrEnum):
    """What a source counts; the order is that of preference."""

    ECG = "ecg"
    """Our heart rate from R peaks."""
    PULSE = "pulse"
    """Our rate from pulse waves."""
    DEVICE_ECG = "device_ecg"
    """A device's own heart rate from an ECG (chest strap)."""
    DEVICE_PULSE = "device_pulse"
    """A device's own rate from a pulse wave (oximeter, watch)."""


TRUST: Final[Mapping[RateKind, float]] = MappingProxyType(
    {
        RateKind.ECG: 1.0,
        RateKind.PULSE: 0.9,
        RateKind.DEVICE_ECG: 0.45,
        RateKind.DEVICE_PULSE: 0.4,
    }
)
"""What the quality of each kind is multiplied by. Ours are calibrated; a device says neither how it
averages nor how sure it is, so that a good ECG or pulse wave of ours outweighs it twice over."""
AGE_S_MAX: Final[Mapping[RateKind, float]] = MappingProxyType(
    {
        RateKind.ECG: 3.0,
        RateKind.PULSE: 3.0,
        RateKind.DEVICE_ECG: 5.0,
        RateKind.DEVICE_PULSE: 5.0,
    }
)
"""Older than this a source does not count: ours come every second, a device's may miss some."""
AGREEMENT_BPM: Final = 5.0
AGREEMENT_SHARE: Final = 0.1
"""Two rates agree within 5/min or 10 %, whichever is more: what IEC 60601-2-27 allows a meter."""
PREFERENCE: Final = 2.0
"""One side is preferred when its weight is this many times that of the other."""
QUALITY_MIN: Final = 0.05
"""A source of less quality says nothing."""
GOOD: Final = 0.9
"""Of an ECG: its rate is right in 99 % and more."""
SOURCES_MAX: Final = 16
"""The source that has been silent longest gives way."""
KEPT_MAX: Final = 16
"""Values of one source: as much as sources may be late one against another."""

ALGORITHM: Final = Algorithm(
    name="heart_rate_fusion",
    version=1,
    method="Mean of the sources that agree with the best supported one (within 5/min or 10 %), "
    "weighted by quality; a device's own figure counts less than half. When the pulse is slower "
    "than an ECG of good quality the ECG is right (pulse deficit).",
    source="IEC 60601-2-27 (agreement)",
    delay_s=0.0,
    averaging="That of its sources; each second.",
    validity="sources_disagree when two sides differ and neither has twice the weight of the "
    "other; no_samples when no source is young enough; otherwise the reason of the best source.",
)


@dataclass(frozen=True, slots=True)
class _Rate:
    t_ns: int
    rate: float | None
    reason: NoValueReason | None
    quality: float
    age_s: float


@dataclass(frozen=True, slots=True)
class _Voice:
    """A source that has a value at the instant of fusion."""

    source: str
    kind: RateKind
    rate: float
    weight: float
    age_s: float

    def agrees(self, other: _Voice) -> bool:
        mean = (self.rate + other.rate) / 2
        return abs(self.rate - other.rate) <= max(AGREEMENT_BPM, AGREEMENT_SHARE * mean)


class HeartRateFusion:
    """The sources of one subject; ``add`` what they say, ask ``at`` whole seconds."""

    def __init__(self) -> None:
        self._kinds: dict[str, RateKind] = {}
        self._rates: dict[str, deque[_Rate]] = {}

    def add(self, source: str, kind: RateKind, derived: Derived) -> None:
        """Take what ``source`` says; what is not after its last word is passed over.

        A source that changes its kind starts anew.
        """
        none: deque[_Rate] = deque(maxlen=KEPT_MAX)
        kept = self._rates.pop(source, none)
        kept = kept if self._kinds.get(source) is kind else none
        self._kinds[source] = kind
        self._rates[source] = kept  # now the youngest key
        if not kept or derived.t_ns > kept[-1].t_ns:
            rate = _Rate(
                derived.t_ns, derived.value, derived.reason, derived.quality, derived.age_s
            )
            kept.append(rate)
        if len(self._rates) > SOURCES_MAX:
            silent = next(iter(self._rates))
            del self._rates[silent], self._kinds[silent]

    def at(self, t_ns: int) -> list[Derived]:
        """Give the heart rate at ``t_ns``, or why there is none; nothing while no source is known.

        ``t_ns`` is a whole second up to which the sources have spoken, ascending.
        """
        if not self._rates:
            return []
        current = self._current(t_ns)
        voices = [
            _Voice(
                source,
                self._kinds[source],
                said.rate,
                TRUST[self._kinds[source]] * said.quality,
                said.age_s + (t_ns - said.t_ns) / 1e9,
            )
            for source, said in current
            if said.rate is not None and said.quality >= QUALITY_MIN
        ]
        if not voices:
            return [_withheld(t_ns, _best_reason([said for _, said in current]))]
        return [_fused(t_ns, voices)]

    def _current(self, t_ns: int) -> list[tuple[str, _Rate]]:
        """Last word of each source at ``t_ns``, where it is young enough; the best kind first."""
        found: list[tuple[str, _Rate]] = []
        order = list(RateKind)
        for source in sorted(self._rates, key=lambda name: (order.index(self._kinds[name]), name)):
            past = [said for said in self._rates[source] if said.t_ns <= t_ns]
            if past and t_ns - past[-1].t_ns <= AGE_S_MAX[self._kinds[source]] * 1e9:
                found.append((source, past[-1]))
        return found

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        scalars: dict[str, Scalar] = {}
        for i, (source, kept) in enumerate(self._rates.items()):
            scalars[f"source_{i}"] = source
            scalars[f"kind_{i}"] = str(self._kinds[source])
            scalars[f"n_{i}"] = len(kept)
            for j, said in enumerate(kept):
                scalars[f"t_ns_{i}_{j}"] = said.t_ns
                scalars[f"rate_{i}_{j}"] = said.rate
                scalars[f"reason_{i}_{j}"] = None if said.reason is None else str(said.reason)
                scalars[f"quality_{i}_{j}"] = said.quality
                scalars[f"age_s_{i}_{j}"] = said.age_s
        scalars["n_sources"] = len(self._rates)
        return State(kind=_KIND, version=_VERSION, scalars=scalars).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> HeartRateFusion:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        restored = cls()
        with translated_errors(_KIND):
            for i in range(min(kept.integer("n_sources"), SOURCES_MAX)):
                source = str(kept.scalars[f"source_{i}"])
                restored._kinds[source] = RateKind(str(kept.scalars[f"kind_{i}"]))
                n_kept = min(kept.integer(f"n_{i}"), KEPT_MAX)
                said = (_restored_rate(kept, f"{i}_{j}") for j in range(n_kept))
                restored._rates[source] = deque(said, maxlen=KEPT_MAX)
        return restored


def _restored_rate(kept: State, which: str) -> _Rate:
    reason = kept.scalars[f"reason_{which}"]
    return _Rate(
        t_ns=kept.integer(f"t_ns_{which}"),
        rate=None if reason is not None else kept.number(f"rate_{which}"),
        reason=None if reason is None else NoValueReason(str(reason)),
        quality=kept.number(f"quality_{which}"),
        age_s=kept.number(f"age_s_{which}"),
    )


def _best_reason(current: Sequence[_Rate]) -> NoValueReason:
    """Why the best source has no value; NO_SAMPLES where there is none."""
    reasons = [said.reason for said in current if said.reason is not None]
    return reasons[0] if reasons else NoValueReason.NO_SAMPLES


def _withheld(t_ns: int, reason: NoValueReason) -> Derived:
    return Derived(
        quantity=codes.HEART_RATE,
        algorithm=ALGORITHM,
        t_ns=t_ns,
        value=None,
        reason=reason,
        quality=0.0,
    )


def _fused(t_ns: int, voices: Sequence[_Voice]) -> Derived:
    """Weigh ``voices``, the best kind first."""
    best = max(voices, key=lambda voice: _weight(_side(voice, voices)))
    side = _side(best, voices)
    others = [voice for voice in voices if voice not in side]
    if others and _weight(side) < PREFERENCE * _weight(others):
        ecg = _right_in_deficit(voices)
        if ecg is None:
            return _withheld(t_ns, NoValueReason.SOURCES_DISAGREE)
        side = _side(ecg, voices)
    doubt = 1.0
    for voice in side:
        doubt *= 1.0 - voice.weight
    return Derived(
        quantity=codes.HEART_RATE,
        algorithm=ALGORITHM,
        t_ns=t_ns,
        value=sum(voice.rate * voice.weight for voice in side) / _weight(side),
        quality=1.0 - doubt,
        age_s=min(voice.age_s for voice in side),
        sources=tuple(voice.source for voice in side),
    )


def _side(voice: _Voice, voices: Sequence[_Voice]) -> list[_Voice]:
    return [other for other in voices if voice.agrees(other)]


def _weight(side: Sequence[_Voice]) -> float:
    return sum(voice.weight for voice in side)


def _right_in_deficit(voices: Sequence[_Voice]) -> _Voice | None:
    """Find an ECG of good quality from which nothing differs but slower pulses."""
    for voice in voices:
        if voice.kind is not RateKind.ECG or voice.weight < GOOD * TRUST[RateKind.ECG]:
            continue
        others = [other for other in voices if not voice.agrees(other)]
        pulses = (RateKind.PULSE, RateKind.DEVICE_PULSE)
        if all(other.kind in pulses and other.rate < voice.rate for other in others):
            return voice
    return None
