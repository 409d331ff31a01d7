"""Fall suspicion: a free fall, a blow within a second, then another posture, or nothing moves.

The sequence and its thresholds are those of Kangas et al. (Gait Posture 28:285-291, 2008) and
Bourke, O'Brien and Lyons (Gait Posture 26:194-199, 2007). A hint, never an alarm: a fall that ends
on a chair, or slowly along a wall, has no such blow.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from processors.dsp.state import State, translated_errors
from processors.vitals.derived import Algorithm
from processors.vitals.gravity import (
    Impact,
    MovedSecond,
    Site,
    Vector,
    angle_deg,
    site_named,
)

_KIND = "fall_watch"
_VERSION = 1

JUDGED_AFTER_S: Final = {"chest": 5, "wrist": 12, "unknown": 12}
"""Seconds of lying after the blow. A trunk that lies otherwise than before says enough in a few;
an arm does not, and must be still for longer."""

_BEFORE_S: Final = 3
"""The posture before is that of so many seconds before the blow: it took one to fall."""
_TURNED_DEG_MIN: Final = 50.0
_RESTLESS_G: Final = {"chest": 0.25, "wrist": 0.06, "unknown": 0.06}
"""More than this, on average over the seconds after the blow, is somebody who goes on."""
_STILL_G: Final = 0.06
_DEEP_G: Final = 0.4
_HARD_G: Final = 3.0
_BACK_DEG_MAX: Final = 35.0
_N_BACK_MIN: Final = 5
"""Seconds in the posture from before the fall that end the suspicion."""
_N_HELD_MAX: Final = 300
"""Seconds after which a suspicion ends by itself; by then it has been seen or not."""
_N_HISTORY: Final = 16
_CONFIDENCE: Final = {"chest": 0.5, "wrist": 0.3, "unknown": 0.4}
_NONE_CONFIDENCE: Final = {"chest": 0.9, "wrist": 0.7, "unknown": 0.7}
"""Chosen from the share of falls such sequences find and of daily life they spare: not
calibrated."""

FALL: Final = Algorithm(
    name="fall",
    version=1,
    method=(
        "Free fall under 0.6 g, within a second a blow of 2 g or more; on the chest the trunk then"
        " lies at least 50 degrees otherwise than three seconds before, on the wrist nothing moves"
        " for ten seconds, where the site is unknown both. 1 suspected, 0 not."
    ),
    source=(
        "Kangas et al., Gait Posture 28:285-291 (2008); Bourke, O'Brien and Lyons, Gait Posture"
        " 26:194-199 (2007)"
    ),
    delay_s=12.0,
    averaging=(
        "Judged 5 s (chest) or 12 s (elsewhere) after the blow; on each change and every ten"
        " seconds; ends when the earlier posture is back for 5 s, or after 5 minutes."
    ),
    validity=(
        "From 3 s after the start. Quality is the confidence: higher for a hard blow, a deep free"
        " fall and stillness; not calibrated."
    ),
)


class FallWatch:
    """Judges each blow some seconds after it.

    Parameters
    ----------
    site
        Where the accelerometer is worn.
    """

    def __init__(self, site: Site) -> None:
        self._site: Site = site
        self._history: list[tuple[float, float, float, float]] = []
        self._n_judged = 0
        self._i_blow = -1
        self._before: Vector = (0.0, 0.0, 0.0)
        self._since = 0
        self._n_back = 0
        self._suspected = 0.0

    @property
    def suspected(self) -> bool:
        """A fall is suspected now."""
        return self._suspected > 0

    @property
    def confidence(self) -> float:
        """0..1, in what ``suspected`` says."""
        return self._suspected or _NONE_CONFIDENCE[self._site]

    def judge(self, moved: MovedSecond, impact: Impact | None) -> bool:
        """Take what a whole second brought; tell whether the suspicion changed."""
        was = self.suspected
        self._remember(moved)
        if self.suspected:
            self._look_for_recovery(moved)
        if impact is not None and impact.n_before > self._n_judged:
            self._n_judged = impact.n_before
            self._begin()
        if self._i_blow >= 0:
            self._i_blow += 1
            if self._i_blow >= JUDGED_AFTER_S[self._site] and impact is not None:
                self._decide(impact)
        return was != self.suspected

    def _remember(self, moved: MovedSecond) -> None:
        self._history.append((*moved.gravity_g, moved.rms_g))
        del self._history[:-_N_HISTORY]

    def _begin(self) -> None:
        """Note the posture before a blow; a second blow soon after belongs to the first.

        So does one while a fall is suspected: who falls back when trying to get up was lying just
        before, and lying must not become the posture that ends the suspicion.
        """
        if self._i_blow < 0 and not self.suspected:
            if len(self._history) <= _BEFORE_S:
                return
            self._before = self._history[-1 - _BEFORE_S][:3]
        self._i_blow = 0

    def _decide(self, impact: Impact) -> None:
        n_after = JUDGED_AFTER_S[self._site] - 2
        self._i_blow = -1
        after = self._history[-n_after:]
        restless = math.fsum(second[3] for second in after) / n_after
        turned = angle_deg(self._before, after[-1][:3]) >= _TURNED_DEG_MIN
        if restless > _RESTLESS_G[self._site] or (self._site != "wrist" and not turned):
            return
        self._suspected = round(
            _CONFIDENCE[self._site]
            + 0.15 * (restless <= _STILL_G)
            + 0.15 * (impact.height_g >= _HARD_G)
            + 0.1 * (impact.low_g <= _DEEP_G)
            + 0.05 * turned,
            2,
        )
        self._since = 0
        self._n_back = 0

    def _look_for_recovery(self, moved: MovedSecond) -> None:
        self._since += 1
        back = angle_deg(self._before, moved.gravity_g) <= _BACK_DEG_MAX
        if self._site == "wrist":
            back = moved.rms_g > _RESTLESS_G["wrist"]
        self._n_back = self._n_back + 1 if back else 0
        if self._n_back >= _N_BACK_MIN or self._since >= _N_HELD_MAX:
            self._suspected = 0.0

    def reset(self) -> None:
        """Begin behind a gap: a suspicion stays, what was about to be judged does not."""
        self._history = []
        self._n_judged = 0
        self._i_blow = -1

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "site": self._site,
                "n_judged": self._n_judged,
                "i_blow": self._i_blow,
                "since": self._since,
                "n_back": self._n_back,
                "suspected": self._suspected,
            },
            arrays={
                "history": np.array(self._history, dtype=np.float64).reshape(-1, 4),
                "before": np.array(self._before, dtype=np.float64),
            },
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> FallWatch:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            restored = cls(site_named(kept.scalars["site"]))
        restored._history = [
            (x, y, z, rms) for x, y, z, rms in kept.float_array("history", (None, 4)).tolist()
        ]
        x, y, z = kept.float_array("before", (3,)).tolist()
        restored._before = (x, y, z)
        restored._n_judged = kept.integer("n_judged")
        restored._i_blow = kept.integer("i_blow")
        restored._since = kept.integer("since")
        restored._n_back = kept.integer("n_back")
        restored._suspected = kept.number("suspected")
        return restored
