"""Ectopy burden: the share of ventricular beats among those whose class is known."""

from __future__ import annotations

from typing import Final

import numpy as np

from devices import codes
from processors.dsp.state import MalformedStateError, State
from processors.vitals.derived import Algorithm, Beat, BeatClass, Derived
from processors.vitals.reasons import NoValueReason

_KIND = "ectopy"
_VERSION = 1


def _algorithm(window_s: int, span: str, n_min: int) -> Algorithm:
    return Algorithm(
        name=f"ectopy_{window_s}s",
        version=1,
        method=f"Ventricular beats of the last {span}, in percent of its beats of known class.",
        source="ANSI/AAMI EC57 classes; Lown and Wolf, Circulation 44:130-142 (1971), by share",
        delay_s=0.5,
        averaging=f"Over the last {span}, given on every whole minute.",
        validity=(
            f"None with fewer than {n_min} beats of known class and a quality of 0.3 or more. "
            "Beats before a gap within the window count. The quality is the share of the "
            "window's beats whose class is known, times the mean quality of the beats."
        ),
    )


MINUTE_ALGORITHM: Final = _algorithm(60, "minute", 20)
HOUR_ALGORITHM: Final = _algorithm(3600, "hour", 1000)

_MINUTE_NS: Final = 60_000_000_000
_N_MINUTES: Final = 60
_N_COLUMNS: Final = 4
_N_MIN_MINUTE: Final = 20
_N_MIN_HOUR: Final = 1000
"""Below these, one beat more or less is a matter of percents."""
_BEAT_QUALITY_MIN: Final = 0.3
"""Less sure beats count as unknown: artefacts look ventricular."""


class Ectopy:
    """Counts by whole minutes of event time; the hour is the sum of its sixty minutes."""

    def __init__(self) -> None:
        self._minute = 0
        self._counts = [[0.0] * _N_COLUMNS for _ in range(_N_MINUTES)]
        self._last_ns: int | None = None

    def reset(self, start_ns: int) -> None:
        """Begin at ``start_ns``, or anew behind a gap: what was counted stays counted."""
        self._turn_to(start_ns // _MINUTE_NS)

    def add_beat(self, beat: Beat) -> None:
        """Take the next beat."""
        # A beat on the whole minute belongs to the minute that ends with it, as in `at`.
        minute = (beat.t_ns - 1) // _MINUTE_NS
        if minute > self._minute:
            self._turn_to(minute)
        row = self._counts[self._minute % _N_MINUTES]
        row[0] += 1.0
        if beat.quality >= _BEAT_QUALITY_MIN:
            row[1] += beat.beat_class is not BeatClass.UNKNOWN
            row[2] += beat.beat_class is BeatClass.VENTRICULAR
        row[3] += beat.quality
        self._last_ns = beat.t_ns

    def at(self, t_ns: int, _signal: NoValueReason | None = None) -> list[Derived]:
        """Give the burdens if ``t_ns`` is a whole minute, all beats up to it being known."""
        if t_ns % _MINUTE_NS:
            return []
        minute = t_ns // _MINUTE_NS - 1
        self._turn_to(minute)
        return [
            self._burden(t_ns, MINUTE_ALGORITHM, self._counts[minute % _N_MINUTES], _N_MIN_MINUTE),
            self._burden(t_ns, HOUR_ALGORITHM, self._of_hour(), _N_MIN_HOUR),
        ]

    def _burden(
        self,
        t_ns: int,
        algorithm: Algorithm,
        counts: list[float],
        n_min: int,
    ) -> Derived:
        n_beats, n_known, n_ventricular, quality = counts
        enough = n_known >= n_min
        return Derived(
            quantity=codes.ECTOPIC_BURDEN,
            algorithm=algorithm,
            t_ns=t_ns,
            value=100.0 * n_ventricular / n_known if enough else None,
            reason=None if enough else NoValueReason.TOO_FEW_BEATS,
            quality=min(1.0, n_known / n_beats * quality / n_beats) if enough else 0.0,
            age_s=0.0 if self._last_ns is None else (t_ns - self._last_ns) / 1e9,
        )

    def _of_hour(self) -> list[float]:
        of_hour: list[float] = np.array(self._counts).sum(axis=0).tolist()
        return of_hour

    def _turn_to(self, minute: int) -> None:
        """Empty the rows of the minutes between the last one and ``minute``."""
        n_new = minute - self._minute
        if n_new <= 0:
            return
        for step in range(1, min(n_new, _N_MINUTES) + 1):
            self._counts[(self._minute + step) % _N_MINUTES] = [0.0] * _N_COLUMNS
        self._minute = minute

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={"minute": self._minute, "last_ns": self._last_ns},
            arrays={"counts": np.array(self._counts)},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> Ectopy:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        restored = cls()
        restored._minute = kept.integer("minute")
        restored._last_ns = kept.optional_integer("last_ns")
        counts = kept.float_array("counts", (_N_MINUTES, _N_COLUMNS))
        if (counts < 0.0).any():
            raise MalformedStateError(f"{_KIND}: a count is negative")
        restored._counts = counts.tolist()
        return restored
