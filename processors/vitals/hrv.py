"""Heart rate variability: the step from beats to all its figures.

Windows lie end to end on whole minutes, five minutes and hours of event time (UTC); an interval
belongs to the window in which the beat that ends it falls, the window's end included. So a figure
can be computed again by anybody who has the beats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np

from devices import codes
from devices.codes import Quantity
from processors.dsp.state import State, translated_errors
from processors.vitals.derived import Algorithm, Beat, Derived
from processors.vitals.hrv_day import EPOCH_NS, HOUR_NS, DayOfIntervals
from processors.vitals.hrv_nonlinear import ALPHA1_BEATS, dfa_exponent, poincare_ms, sample_entropy
from processors.vitals.hrv_spectrum import (
    HF_HZ_MAX,
    LF_HZ_MAX,
    ULF_HZ_MAX,
    VLF_HZ_MAX,
    lomb_scargle,
)
from processors.vitals.hrv_time import mean_nn_ms, pnn_percent, rmssd_ms, sdnn_ms, sdsd_ms
from processors.vitals.hrv_window import Window, figure_or_reason, window_of
from processors.vitals.nn_intervals import Interval, IntervalKind, NnIntervals
from processors.vitals.reasons import NoValueReason

_KIND = "heart_rate_variability"
_VERSION = 1

MINUTE_NS: Final = 60_000_000_000
N_INTERVALS_MAX: Final = 2048
"""Kept of five minutes: more than twice what NN intervals can be. What comes beyond is not kept,
and there is no value, for most of it was no NN interval."""

_TIME_VALIDITY = (
    "At least 90 % of the window covered by intervals, and at least 90 % of these NN; else "
    "warming_up (the start or a gap lies in it), too_few_beats, or ectopy or poor_signal, "
    "whichever took more intervals away; irregular where the median absolute difference is above "
    "15 % of the mean interval, which is no sinus rhythm."
)
HRV_MINUTE: Final = Algorithm(
    name="hrv_60s",
    version=1,
    method="Time domain of the NN intervals that end in the minute; nothing is interpolated, "
    "intervals that are not NN are left out, and no difference spans them.",
    source="Task Force of the ESC and NASPE, Circulation 93:1043-1065 (1996); artefacts after "
    "Lipponen and Tarvainen, J Med Eng Technol 43:173-181 (2019). Only figures that agree with "
    "those of five minutes: Munoz et al., PLoS ONE 10:e0138921 (2015).",
    delay_s=0.0,
    averaging="One minute, given on whole minutes of UTC.",
    validity=_TIME_VALIDITY,
)
HRV_EPOCH: Final = Algorithm(
    name="hrv_300s",
    version=1,
    method="Time domain, frequency domain and non-linear figures of the NN intervals that end in "
    "five minutes. Spectrum: Lomb's periodogram of the NN intervals themselves, line taken away, "
    "density times 1/300 Hz summed over VLF 0.003-0.04, LF 0.04-0.15, HF 0.15-0.4 Hz (or half of "
    "the mean heart rate, if lower). Sample entropy: m = 2, r = 0.2 SDNN. DFA alpha 1: boxes of 4 "
    "to 16 beats. Poincaré: standard deviations across and along the line of identity.",
    source="Task Force of the ESC and NASPE, Circulation 93:1043-1065 (1996); Lomb, Astrophys "
    "Space Sci 39:447-462 (1976); Richman and Moorman, Am J Physiol 278:H2039-H2049 (2000); Peng "
    "et al., Chaos 5:82-87 (1995); Brennan et al., IEEE Trans Biomed Eng 48:1342-1347 (2001).",
    delay_s=0.0,
    averaging="Five minutes, given on whole five minutes of UTC.",
    validity=_TIME_VALIDITY
    + " out_of_range where a figure is not defined (no variability, no power "
    "in HF).",
)

Figure = Callable[[Window], float]

_MINUTE_FIGURES: Final[tuple[tuple[Quantity, Figure], ...]] = (
    (codes.MEAN_NN, lambda w: mean_nn_ms(w.nn_s)),
    (codes.SDNN, lambda w: sdnn_ms(w.nn_s)),
    (codes.RMSSD, lambda w: rmssd_ms(w.nn_s, w.follows)),
    (codes.PNN50, lambda w: pnn_percent(w.nn_s, 50.0, w.follows)),
    (codes.PNN20, lambda w: pnn_percent(w.nn_s, 20.0, w.follows)),
)
_EPOCH_FIGURES: Final[tuple[tuple[Quantity, Figure], ...]] = (
    *_MINUTE_FIGURES,
    (codes.SDSD, lambda w: sdsd_ms(w.nn_s, w.follows)),
    (codes.SD1, lambda w: poincare_ms(w.nn_s, w.follows)[0]),
    (codes.SD2, lambda w: poincare_ms(w.nn_s, w.follows)[1]),
    (codes.SAMPLE_ENTROPY, lambda w: sample_entropy(w.nn_s, w.follows)),
    (codes.DFA_ALPHA1, lambda w: dfa_exponent(w.nn_s, ALPHA1_BEATS, w.follows)),
)
_SPECTRAL: Final = (
    codes.VLF_POWER,
    codes.LF_POWER,
    codes.HF_POWER,
    codes.LF_HF_RATIO,
    codes.TOTAL_POWER,
)
_PERCENT = 100.0


class HeartRateVariability:
    """Figures of each minute, of each five minutes, and each hour of the last 24 hours.

    ``reset`` at the start and behind a gap, ``add_beat`` in order of time, ``at`` on whole seconds.
    """

    def __init__(self) -> None:
        self._nn = NnIntervals()
        self._intervals: list[Interval] = []
        self._day = DayOfIntervals()
        self._first_ns: int | None = None
        self._fresh_ns = 0
        self._last_ns: int | None = None

    def reset(self, start_ns: int) -> None:
        """Begin at ``start_ns``, at the start or behind a gap: no interval spans it."""
        self._keep(self._nn.reset())
        self._fresh_ns = start_ns
        self._first_ns = start_ns if self._first_ns is None else self._first_ns

    def add_beat(self, beat: Beat) -> None:
        """Take the next beat, in order of time."""
        self._keep(self._nn.add_beat(beat))
        self._last_ns = beat.t_ns

    def _keep(self, intervals: Sequence[Interval]) -> None:
        if intervals:
            self._intervals += intervals[: max(0, N_INTERVALS_MAX - len(self._intervals))]

    def at(self, t_ns: int, _signal: NoValueReason | None = None) -> list[Derived]:
        """Give what is due at ``t_ns``, all beats up to it being known; ``t_ns`` ascends.

        Windows whose end was passed without a call are not given any more; the day has them.
        """
        if t_ns % MINUTE_NS:
            return []
        while (oldest_ns := self._oldest_ns()) is not None and (
            end_ns := _end_ns(oldest_ns)
        ) < t_ns:
            self._close_epoch(end_ns)
        derived = self._minute(t_ns)
        if t_ns % EPOCH_NS == 0:
            derived += self._epoch(t_ns)
        if t_ns % HOUR_NS == 0:
            derived += self._day.at(t_ns, self._first_ns, self._age_s(t_ns))
        return derived

    def _oldest_ns(self) -> int | None:
        return self._intervals[0].t_ns if self._intervals else self._nn.oldest_ns

    def _age_s(self, t_ns: int) -> float:
        newest_ns = self._fresh_ns if self._last_ns is None else self._last_ns
        return max(0, t_ns - newest_ns) / 1e9

    def _minute(self, t_ns: int) -> list[Derived]:
        known = [*self._intervals, *self._nn.preview(t_ns)]
        window = window_of(known, t_ns - MINUTE_NS, t_ns)
        given = _Figures(HRV_MINUTE, window, self._fresh_ns, self._age_s(t_ns))
        return [*(given.of(*figure) for figure in _MINUTE_FIGURES), given.nn_share()]

    def _epoch(self, t_ns: int) -> list[Derived]:
        window = self._close_epoch(t_ns)
        given = _Figures(HRV_EPOCH, window, self._fresh_ns, self._age_s(t_ns))
        figures = [given.of(*figure) for figure in _EPOCH_FIGURES]
        return [*figures, *given.spectrum(), given.nn_share()]

    def _close_epoch(self, end_ns: int) -> Window:
        """Decide on all intervals of the five minutes, once and for all, and hand them over."""
        self._keep(self._nn.settle(end_ns))
        window = window_of(self._intervals, end_ns - EPOCH_NS, end_ns)
        self._intervals = [interval for interval in self._intervals if interval.t_ns > end_ns]
        self._day.add(window, window.reason(self._fresh_ns))
        return window

    def to_bytes(self) -> bytes:
        """Everything the step remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "first_ns": self._first_ns,
                "fresh_ns": self._fresh_ns,
                "last_ns": self._last_ns,
            },
            arrays={
                "t_ns": np.array([i.t_ns for i in self._intervals], dtype=np.int64),
                "interval_s": np.array([i.interval_s for i in self._intervals], dtype=np.float64),
                "kind": np.array([i.kind for i in self._intervals], dtype=np.int64),
                "quality": np.array([i.quality for i in self._intervals], dtype=np.float64),
                "follows": np.array([i.follows for i in self._intervals], dtype=np.int64),
            },
            children={"nn": self._nn.to_bytes(), "day": self._day.to_bytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> HeartRateVariability:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        restored = cls()
        with translated_errors(_KIND):
            restored._first_ns = kept.optional_integer("first_ns")
            restored._fresh_ns = kept.integer("fresh_ns")
            restored._last_ns = kept.optional_integer("last_ns")
            restored._intervals = list(_intervals(kept))
        restored._nn = NnIntervals.from_bytes(kept.child("nn"))
        restored._day = DayOfIntervals.from_bytes(kept.child("day"))
        return restored


class _Figures:
    """The figures of one window, or why there are none."""

    def __init__(self, algorithm: Algorithm, window: Window, fresh_ns: int, age_s: float) -> None:
        self._algorithm = algorithm
        self._window = window
        self._reason = window.reason(fresh_ns)
        self._coverage_reason = window.coverage_reason(fresh_ns)
        self._age_s = age_s

    def of(self, quantity: Quantity, figure: Figure) -> Derived:
        window = self._window
        value = figure_or_reason(lambda: figure(window)) if self._reason is None else self._reason
        return self._derived(quantity, value, window.quality)

    def spectrum(self) -> list[Derived]:
        if self._reason is not None:
            return [self._derived(quantity, self._reason, 0.0) for quantity in _SPECTRAL]
        window = self._window
        spectrum = lomb_scargle(window.t_s, window.nn_s, window.window_s)
        vlf_ms2 = spectrum.power_ms2(ULF_HZ_MAX, VLF_HZ_MAX)
        lf_ms2 = spectrum.power_ms2(VLF_HZ_MAX, LF_HZ_MAX)
        hf_ms2 = spectrum.power_ms2(LF_HZ_MAX, HF_HZ_MAX)
        values = (
            vlf_ms2,
            lf_ms2,
            hf_ms2,
            lf_ms2 / hf_ms2 if hf_ms2 > 0.0 else NoValueReason.OUT_OF_RANGE,
            vlf_ms2 + lf_ms2 + hf_ms2,
        )
        return [
            self._derived(quantity, value, window.quality)
            for quantity, value in zip(_SPECTRAL, values, strict=True)
        ]

    def nn_share(self) -> Derived:
        window, reason = self._window, self._coverage_reason
        value = _PERCENT * window.nn_share if reason is None else reason
        return self._derived(codes.NN_SHARE, value, 1.0)

    def _derived(self, quantity: Quantity, value: float | NoValueReason, quality: float) -> Derived:
        reason = value if isinstance(value, NoValueReason) else None
        return Derived(
            quantity=quantity,
            algorithm=self._algorithm,
            t_ns=self._window.end_ns,
            value=None if isinstance(value, NoValueReason) else value,
            reason=reason,
            quality=0.0 if reason is not None else quality,
            age_s=self._age_s,
        )


def _end_ns(t_ns: int) -> int:
    """End of the five minutes in which a beat falls."""
    return -(-t_ns // EPOCH_NS) * EPOCH_NS


_KINDS: Final = {int(kind): kind for kind in IntervalKind}


def _intervals(kept: State) -> Iterator[Interval]:
    columns = zip(
        kept.int_array("t_ns").tolist(),
        kept.float_array("interval_s", (None,)).tolist(),
        kept.int_array("kind").tolist(),
        kept.float_array("quality", (None,)).tolist(),
        kept.int_array("follows").tolist(),
        strict=True,
    )
    for t_ns, interval_s, kind, quality, follows in columns:
        yield Interval(t_ns, interval_s, _KINDS[kind], quality, bool(follows))
