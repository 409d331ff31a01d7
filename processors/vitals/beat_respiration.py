"""Respiratory rate from heart beats: what breathing does to R waves and pulse waves."""

from __future__ import annotations

from typing import Final

import numpy as np

from devices import codes
from processors.dsp.kernel import new_record, restored_record
from processors.dsp.state import MalformedStateError, State, translated_errors
from processors.vitals.beat_respiration_kernel import (
    GRID_S,
    N_GRID,
    N_MODULATIONS,
    N_RATES,
    RATE_MIN,
    RATE_STEP,
    STATE_DTYPE,
    keep_beat,
    update_rate,
)
from processors.vitals.derived import Algorithm, Beat, BeatClass, Derived
from processors.vitals.reasons import NoValueReason

_KIND = "beat_respiration"
_VERSION = 1

UPDATE_NS: Final = 2_000_000_000
"""Between two of them a window of 32 s hardly changes."""
WARM_UP_NS: Final = 28_000_000_000
"""The window of 32 s may lack 4 s."""
QUALITY_MIN: Final = 0.3
"""With less, every second rate is wrong."""
BEAT_QUALITY_MIN: Final = 0.3
"""A beat of less may be none, or somewhere else."""
MODULATIONS: Final = (
    "ecg_interval",
    "ecg_height",
    "ecg_level",
    "pulse_interval",
    "pulse_height",
    "pulse_level",
)

ALGORITHM: Final = Algorithm(
    name="beat_respiration",
    version=2,
    method="Spectra of what breathing modulates - interval, height and baseline of R waves and of "
    "pulse waves - on an even 4 Hz grid, whitened, weighed by how clear they are, and followed in "
    "time by a Bayesian filter over rates of 6 to 40 per minute; ventricular beats and the one "
    "after each are left out. In pulse waves alone a rate is helped by its overtone.",
    source="Charlton et al., Physiol Meas 37:610-626 (2016); Karlen et al., IEEE Trans Biomed Eng "
    "60:1946-1953 (2013); combination and tracking own",
    delay_s=0.0,
    averaging="The last 32 s of beats, every 2 s, repeated on the second between; changes are "
    "followed over half a minute.",
    validity="28 s after the start or a gap (warming_up); beats throughout the window "
    "(too_few_beats); quality at least 0.3 (poor_signal). The quality is the probability that the "
    "rate is within 2 per minute, by the posterior of a rate near it, with the odds of an error "
    "taken twice as high as those found. Rates above half the heart rate cannot be seen in beats: "
    "they look like the heart rate less them. In apnoea the last rate stands for half a minute. "
    "Who walks may have a rate in their beats that is the steps' and not the breaths': where an "
    "accelerometer counts steps there is none (moving).",
)


class BeatRespiration:
    """Respiratory rate from the beats of an ECG, of a pulse wave, or of both.

    ``at`` is called on whole seconds, ascending, when all beats up to them were added.
    """

    def __init__(self) -> None:
        self._state = new_record(STATE_DTYPE)
        self._said = np.zeros(2 + N_MODULATIONS)
        self._sources: tuple[str, ...] = ()
        self._n_modulations = 0
        self._judged_ns: int | None = None
        self._start_ns: int | None = None

    def reset(self, start_ns: int) -> None:
        """Forget everything: a new stretch begins at ``start_ns``."""
        self._state = new_record(STATE_DTYPE)
        self._said[:] = 0.0
        self._sources = ()
        self._n_modulations = 0
        self._judged_ns = None
        self._start_ns = start_ns

    def reset_ecg(self) -> None:
        """Forget the beats of the ECG: there is a gap behind them."""
        self._forget(0)

    def reset_pulse(self) -> None:
        """Forget the pulse waves: there is a gap behind them."""
        self._forget(1)

    def add_ecg_beat(self, beat: Beat) -> None:
        """Take an R peak; in order of time."""
        self._add(0, beat)

    def add_pulse(self, beat: Beat) -> None:
        """Take a pulse wave; in order of time."""
        self._add(1, beat)

    def at(self, t_ns: int) -> list[Derived]:
        """Give the respiratory rate at ``t_ns``, or why there is none."""
        if self._start_ns is None:
            return []
        if self._judged_ns is None or t_ns % UPDATE_NS == 0 or t_ns - self._judged_ns >= UPDATE_NS:
            self._n_modulations = int(update_rate(self._state, t_ns, _COSINES, _SINES, self._said))
            self._judged_ns = t_ns
            self._sources = self._agreeing()
        return [self._derived(t_ns, self._judged_ns, self._start_ns)]

    def _derived(self, t_ns: int, judged_ns: int, start_ns: int) -> Derived:
        rate, quality = self._said[:2].tolist()
        reason = None
        if t_ns - start_ns < WARM_UP_NS:
            reason = NoValueReason.WARMING_UP
        elif self._n_modulations == 0:
            reason = NoValueReason.TOO_FEW_BEATS
        elif quality < QUALITY_MIN:
            reason = NoValueReason.POOR_SIGNAL
        return Derived(
            quantity=codes.RESPIRATORY_RATE,
            algorithm=ALGORITHM,
            t_ns=t_ns,
            value=rate if reason is None else None,
            reason=reason,
            quality=quality if reason in (None, NoValueReason.POOR_SIGNAL) else 0.0,
            age_s=(t_ns - judged_ns) / 1e9,
            sources=self._sources if reason is None else (),
        )

    def _agreeing(self) -> tuple[str, ...]:
        """Which modulations have their own peak near the rate."""
        agree = self._said[2:].tolist()
        return tuple(name for name, yes in zip(MODULATIONS, agree, strict=True) if yes)

    def _add(self, source: int, beat: Beat) -> None:
        if self._start_ns is None:
            self._start_ns = beat.t_ns
        bad = beat.beat_class is BeatClass.VENTRICULAR or beat.quality < BEAT_QUALITY_MIN
        interval_s = beat.interval_s or 0.0
        keep_beat(
            self._state, source, beat.t_ns, interval_s, beat.height, beat.level, 1 if bad else 0
        )

    def _forget(self, source: int) -> None:
        self._state["beats"]["n_beats"][0, source] = 0
        self._state["beats"]["after_ectopic"][0, source] = 0

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "start_ns": self._start_ns,
                "judged_ns": self._judged_ns,
                "n_modulations": self._n_modulations,
            },
            arrays={"said": self._said},
            children={"kernel": self._state.tobytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> BeatRespiration:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        restored = cls()
        restored._start_ns = kept.optional_integer("start_ns")
        restored._judged_ns = kept.optional_integer("judged_ns")
        restored._n_modulations = kept.integer("n_modulations")
        restored._said = kept.float_array("said", (2 + N_MODULATIONS,)).copy()
        restored._sources = restored._agreeing()
        with translated_errors(_KIND):
            restored._state = restored_record(kept.child("kernel"), STATE_DTYPE)
        if (restored._state["beats"]["n_beats"] < 0).any():
            raise MalformedStateError(f"{_KIND}: a number of beats that cannot be")
        return restored


_PHASES: Final = (
    2
    * np.pi
    * np.outer(RATE_MIN + RATE_STEP * np.arange(N_RATES), GRID_S * np.arange(N_GRID))
    / 60.0
)
_TAPER: Final = np.hanning(N_GRID + 2)[1:-1]
_COSINES: Final = np.ascontiguousarray((np.cos(_PHASES) * _TAPER).T)
_SINES: Final = np.ascontiguousarray((np.sin(_PHASES) * _TAPER).T)
"""Shape ``(N_GRID, N_RATES)``: the kernel takes all rates of one point at once."""
