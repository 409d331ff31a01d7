"""Still or moving: for the person, and for everything that motion spoils."""

from __future__ import annotations

import math
from typing import Final

from devices import codes
from processors.dsp.state import State, translated_errors
from processors.vitals.derived import Algorithm, Derived
from processors.vitals.gravity import MovedSecond
from processors.vitals.reasons import NoValueReason

_KIND = "stillness"
_VERSION = 1

STILL_G_MAX: Final = 0.025
"""A breathing chest with a beating heart stays under this; a hand that types does not."""
MOVING_G_MIN: Final = 0.05
_N_STILL_MIN: Final = 3
"""Quiet seconds before it is called still; moving is said at once."""
_N_UNKNOWN_MAX: Final = 3
_GRAVITY_G_MIN: Final = 0.5
"""Nothing at rest on earth shows less."""

STILL: Final = Algorithm(
    name="stillness",
    version=1,
    method=(
        "Motion intensity under 0.025 g for three seconds is still (1), over 0.05 g in one second"
        " moving (0)."
    ),
    source="Van Hees et al., PLoS One 8:e61691 (2013); thresholds own",
    delay_s=0.0,
    averaging="On each change and every ten seconds.",
    validity="From the third second on; an accelerometer that shows gravity.",
)


class Stillness:
    """Still or moving, with hysteresis, second by second."""

    def __init__(self) -> None:
        self.still: bool | None = None
        self._reason = NoValueReason.WARMING_UP
        self._n_quiet = 0
        self._n_seen = 0

    def judge(self, moved: MovedSecond, *, railed: bool) -> bool:
        """Take what a whole second brought; tell whether the answer changed."""
        was = self.still
        self._n_seen += 1
        self._n_quiet = self._n_quiet + 1 if moved.rms_g < STILL_G_MAX else 0
        if railed or (self._n_quiet and math.hypot(*moved.gravity_g) < _GRAVITY_G_MIN):
            self.still = None
            self._reason = NoValueReason.SATURATED if railed else NoValueReason.POOR_SIGNAL
        elif moved.rms_g > MOVING_G_MIN:
            self.still = False
        elif self._n_quiet >= _N_STILL_MIN:
            self.still = True
        elif self.still is None and self._n_seen > _N_UNKNOWN_MAX:
            self.still = False
        return was is not self.still

    def value(self, t_ns: int) -> Derived:
        """Say it."""
        known = self.still is not None
        return Derived(
            quantity=codes.STILL,
            algorithm=STILL,
            t_ns=t_ns,
            value=float(self.still) if self.still is not None else None,
            reason=None if known else self._reason,
            quality=float(known),
        )

    def reset(self) -> None:
        """Forget the signal so far."""
        self.still = None
        self._reason = NoValueReason.WARMING_UP
        self._n_quiet = 0
        self._n_seen = 0

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "still": self.still,
                "reason": self._reason.value,
                "n_quiet": self._n_quiet,
                "n_seen": self._n_seen,
            },
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> Stillness:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        restored = cls()
        restored.still = None if kept.scalars.get("still") is None else kept.flag("still")
        restored._n_quiet = kept.integer("n_quiet")
        restored._n_seen = kept.integer("n_seen")
        with translated_errors(_KIND):
            restored._reason = NoValueReason(str(kept.scalars["reason"]))
        return restored
