"""How a suspicion is said: yes or no with a confidence, or why it cannot be judged."""

from __future__ import annotations

from typing import Final, NamedTuple

from devices.codes import Quantity
from processors.vitals.derived import Algorithm, Derived
from processors.vitals.reasons import NoValueReason

DISCONNECTED: Final = frozenset(
    {NoValueReason.LEAD_OFF, NoValueReason.SATURATED, NoValueReason.NO_SAMPLES}
)


_REPEAT_NS: Final = 10_000_000_000
_REASONS: Final = frozenset(reason.value for reason in NoValueReason)


class Verdict(NamedTuple):
    """What a suspicion says: a value with a confidence, or a reason."""

    value: float | None
    reason: NoValueReason | None
    quality: float


def suspected(*, yes: bool, quality: float) -> Verdict:
    """Say yes or no with a confidence."""
    if not 0.0 <= quality <= 1.0:
        quality = min(max(quality, 0.0), 1.0)
    return Verdict(1.0 if yes else 0.0, None, quality)


def unjudged(reason: NoValueReason) -> Verdict:
    """Say why nothing is said."""
    return Verdict(None, reason, 0.0)


class Announcer:
    """Gives a verdict on every change of its value or reason, and on every whole ten seconds."""

    def __init__(self, quantity: Quantity, algorithm: Algorithm) -> None:
        self._quantity = quantity
        self._algorithm = algorithm
        self.said: tuple[float | None, NoValueReason | None] = (None, None)

    def say(
        self, t_ns: int, verdict: Verdict, age_s: float, *, again: bool = False
    ) -> list[Derived]:
        """Give what is to be given at ``t_ns``; ``again``: even if it was said already."""
        value, reason, quality = verdict
        if t_ns % _REPEAT_NS and (value, reason) == self.said and not again:
            return []
        self.said = (value, reason)
        return [
            Derived(
                quantity=self._quantity,
                algorithm=self._algorithm,
                t_ns=t_ns,
                value=value,
                reason=reason,
                quality=quality,
                age_s=age_s,
            )
        ]

    def to_text(self) -> str:
        """Write down what was said last."""
        value, reason = self.said
        return reason or ("" if value is None else repr(value))

    def take_text(self, text: str) -> None:
        """Continue after what ``to_text`` says; raises ValueError."""
        if not text:
            self.said = (None, None)
        elif text in _REASONS:
            self.said = (None, NoValueReason(text))
        else:
            self.said = (float(text), None)
