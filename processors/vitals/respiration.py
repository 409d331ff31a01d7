"""From impedance or belt samples to respiratory rate, signal quality and apnoea suspicion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import codes
from devices.codes import Quantity
from processors.dsp.breaths import LEARNING_S, BreathDetector, BreathWindow
from processors.dsp.sample_clock import SampleClock
from processors.dsp.state import State, translated_errors
from processors.vitals.derived import Algorithm, Derived
from processors.vitals.reasons import NoValueReason
from processors.vitals.suspicion import DISCONNECTED, Announcer, Verdict, suspected, unjudged

_KIND = "respiration_chain"
_VERSION = 2

GRID_NS: Final = 1_000_000_000
DELAY_NS: Final = 2_000_000_000
"""A breath is decided when the signal has gone back a quarter from its peak, usually within 1 s."""
WINDOW_NS: Final = 32_000_000_000
WARM_UP_S: Final = 16.0
"""The first seconds teach the height of a breath; then there must be time for two."""
APNOEA_S: Final = 20.0
"""Without a breath: the usual limit for adults of an apnoea that matters."""
FLAT_S: Final = 12.0
"""A clipped signal rests at its rail for some seconds of every breath, an electrode in the air for
good."""
RAIL_BREATHS: Final = 1.5
"""A clipped breath rests at its rail for less than a breath; what rests longer hides another."""
QUALITY_MIN: Final = 0.3
_N_BREATHS_MIN: Final = 2
_N_BREATHS_SURE: Final = 4
_QUALITY_CONSTANT: Final = 4.9
_INTERVAL_WEIGHT: Final = 17.0
_HEIGHT_WEIGHT: Final = 7.4
"""Of the relative spreads, in the log odds that the rate is within 2 per minute of what two
annotators counted: bidmc, as it is and with two kinds of movement added, of half the strength of
breathing, the same and twice."""

RATE: Final = Algorithm(
    name="respiration_rate",
    version=3,
    method="Breaths are peaks of the smoothed signal (end of inspiration) from which it goes back "
    "by a quarter of the usual height of a breath; what the heart moves is less. The rate is 60 "
    "times the number of intervals over the time from the first to the last peak of the window.",
    source="After Schäfer and Kratky, Ann Biomed Eng 36:476-485 (2008); adaptive hysteresis own",
    delay_s=DELAY_NS / 1e9,
    averaging="Mean of the breath intervals of the last 32 s, each second.",
    validity="16 s after the start or a gap (warming_up); two breaths; quality at least 0.3 "
    "(poor_signal); a breath within the last 20 s (apnoea_suspected); not flat for 12 s "
    "(lead_off); not at its highest or lowest value for 12 s, or for one and a half breaths "
    "(saturated).",
)
QUALITY: Final = Algorithm(
    name="respiration_quality",
    version=3,
    method="Probability that the rate is within 2 per minute: a logistic function of how unlike "
    "the breaths of the window are in interval and height (median distance from the median, "
    "relative to it), less for fewer than four breaths. A movement twice as strong as breathing, "
    "and as regular, deceives it.",
    source="Own; fitted to bidmc with and without movement added",
    delay_s=DELAY_NS / 1e9,
    averaging="The last 32 s, each second.",
    validity="Always a value; 0 where there is no signal or no breath.",
)
APNOEA: Final = Algorithm(
    name="apnoea",
    version=3,
    method="No breath for 20 s while the electrodes are on. Its confidence is the quality that the "
    "signal had while there were breaths.",
    source="Definition of central apnoea for monitors, 20 s; detection own",
    delay_s=DELAY_NS / 1e9,
    averaging="None: on each change and on every whole ten seconds.",
    validity="From 16 s after the start or a gap (warming_up); not with a flat line (lead_off, "
    "saturated), nor in a gap (no_samples). An obstructed airway moves the chest: not seen. A "
    "heart that moves the chest by more than a quarter of a breath, and every movement of the "
    "body, can hide it; breaths that become several times shallower at once look like it for some "
    "seconds.",
)


@dataclass(frozen=True, slots=True)
class _Second:
    """What one whole second shows."""

    rate: float | None
    reason: NoValueReason | None
    quality: float
    age_s: float
    since_breath_s: float


class RespirationChain:
    """One respiration channel of one subject: however the samples are cut, the same outputs.

    On each whole second, 2 s after it: quality, rate, and the suspicion of apnoea where it is due.
    A gap in the sample index starts the chain anew; the first whole second within it says
    NO_SAMPLES.

    Parameters
    ----------
    fs_hz
        Nominal sampling rate, 4..500.
    clock
        Time of sample ``i``, counted since the start of the stream.
    """

    def __init__(self, fs_hz: float, clock: SampleClock) -> None:
        self._fs_hz = float(fs_hz)
        self._clock = clock
        self._detector = BreathDetector(fs_hz)
        self._apnoea = Announcer(codes.APNOEA, APNOEA)
        self._i_start: int | None = None
        self._grid_ns = 0
        self._i_due = 0
        self._quality_before = 0.0

    @property
    def watermark_ns(self) -> int:
        """Every output before this time has been given."""
        return self._grid_ns

    def go_on(self, clock: SampleClock) -> None:
        """Take the next samples by a clock that has bent with the first of them."""
        self._clock = clock
        if self._i_start is not None:
            self._go_to(self._grid_ns)

    def heart_rate_hint(self, rate_bpm: float | None) -> None:
        """Tell the heart rate, where it is known: counts from the next sample on.

        Small swings that come in its rhythm are then not taken for breaths.
        """
        self._detector.heart_rate_hint(rate_bpm)

    def process(self, chunk: NDArray[np.float64], i_first: int) -> list[Derived]:
        """Take ``(n_samples,)`` in any unit, the first of them being sample ``i_first``.

        Samples that were there before are dropped; an index further on than expected is a gap.

        Raises
        ------
        ValueError
            A sample is not a finite number.
        """
        if not np.isfinite(chunk).all():
            raise ValueError("a sample is not a finite number; leave out what was not measured")
        i_next = i_first if self._i_start is None else self._detector.i_next
        fresh = chunk[max(0, i_next - i_first) :]
        if fresh.size == 0:
            return []
        said = self._pass_gap(max(i_first, i_next))
        at = 0
        i_end = self._detector.i_next + fresh.size
        while self._i_due <= i_end:
            n = max(at, fresh.size - (i_end - self._i_due))
            self._detector.process(fresh[at:n])
            at = n
            said += self._say(self._judge())
        self._detector.process(fresh[at:])
        return said

    def _pass_gap(self, i_first: int) -> list[Derived]:
        """End the stretch of samples before a gap and begin one at ``i_first``, if there is one."""
        i_end = self._detector.i_next
        if self._i_start is not None and i_first == i_end:
            return []
        said: list[Derived] = []
        start_ns = self._clock.time_ns(i_first)
        if self._i_start is not None:
            last_ns = self._clock.time_ns(i_end - 1)
            while self._grid_ns <= last_ns:
                said += self._say(self._judge())
            if self._grid_ns < start_ns:
                said += self._say(_Second(None, NoValueReason.NO_SAMPLES, 0.0, 0.0, math.inf))
        self._detector.reset(i_first)
        self._i_start = i_first
        self._quality_before = 0.0
        self._go_to(-(-start_ns // GRID_NS) * GRID_NS)
        return said

    def _go_to(self, grid_ns: int) -> None:
        self._grid_ns = grid_ns
        self._i_due = self._clock.index_at_or_after(grid_ns + DELAY_NS)

    def _judge(self) -> _Second:
        """Judge the second that is due, by all samples so far."""
        i_to = self._clock.index_at_or_after(self._grid_ns)
        i_start = self._i_start or 0
        i_from = max(i_start, self._clock.index_at_or_after(self._grid_ns - WINDOW_NS))
        window = self._detector.window(float(i_from), float(i_to))
        i_last = window.i_newest
        known_since = i_start + LEARNING_S * self._fs_hz
        if i_last is not None and i_last >= i_start:
            known_since = i_last
        age_s = max(0.0, (i_to - known_since) / self._fs_hz)
        quality = _quality(window)
        reason = self._reason(window, (i_to - i_start) / self._fs_hz, age_s, quality)
        rate = None
        if reason in DISCONNECTED:
            # What is flat so long was no breathing: begin anew where it ends.
            self._i_start = self._detector.i_next
        if reason is None:
            per_sample = (window.n_breaths - 1) / (window.i_last - window.i_first)
            rate = 60.0 * self._clock.rate_hz(window.i_first, window.i_last) * per_sample
            self._quality_before = quality
        return _Second(rate, reason, quality, age_s, age_s)

    def _reason(
        self, window: BreathWindow, seen_s: float, age_s: float, quality: float
    ) -> NoValueReason | None:
        detector = self._detector
        n_flat = detector.i_next - detector.i_flat
        if n_flat / self._fs_hz >= FLAT_S:
            return NoValueReason.SATURATED if detector.at_extreme else NoValueReason.LEAD_OFF
        hides_a_breath = 0 < RAIL_BREATHS * window.interval <= n_flat
        if detector.at_extreme and (hides_a_breath or detector.i_flat < (self._i_start or 0)):
            return NoValueReason.SATURATED
        if seen_s < WARM_UP_S:
            return NoValueReason.WARMING_UP
        if age_s >= APNOEA_S:
            return NoValueReason.APNOEA_SUSPECTED
        if window.n_breaths < _N_BREATHS_MIN or quality < QUALITY_MIN:
            return NoValueReason.POOR_SIGNAL
        return None

    def _say(self, second: _Second) -> list[Derived]:
        t_ns = self._grid_ns
        self._go_to(t_ns + GRID_NS)
        has_signal = second.reason not in DISCONNECTED
        quality = second.quality if has_signal else 0.0
        given = _given(codes.RESPIRATION_QUALITY, QUALITY, t_ns, second, (quality, None), quality)
        rate = _given(
            codes.RESPIRATORY_RATE, RATE, t_ns, second, (second.rate, second.reason), quality
        )
        return [given, rate, *self._apnoea.say(t_ns, self._verdict(second), second.age_s)]

    def _verdict(self, second: _Second) -> Verdict:
        reason = second.reason
        if reason in DISCONNECTED or reason is NoValueReason.WARMING_UP:
            return unjudged(reason or NoValueReason.WARMING_UP)
        if second.since_breath_s >= APNOEA_S:
            return suspected(yes=True, quality=self._quality_before)
        return suspected(yes=False, quality=second.quality)

    def to_bytes(self) -> bytes:
        """Everything the chain remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "fs_hz": self._fs_hz,
                **self._clock.scalars(),
                "i_start": self._i_start,
                "grid_ns": self._grid_ns,
                "quality_before": self._quality_before,
                "apnoea": self._apnoea.to_text(),
            },
            children={"detector": self._detector.to_bytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> RespirationChain:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            restored = cls(kept.number("fs_hz"), SampleClock.of_state(kept))
            restored._apnoea.take_text(str(kept.scalars["apnoea"]))
            restored._go_to(kept.integer("grid_ns"))
        restored._i_start = kept.optional_integer("i_start")
        restored._quality_before = kept.number("quality_before")
        restored._detector = BreathDetector.from_bytes(kept.child("detector"))
        return restored


_EXPONENT_MAX: Final = 700.0


def _quality(window: BreathWindow) -> float:
    if window.n_breaths < _N_BREATHS_MIN:
        return 0.0
    interval = window.interval_spread / window.interval
    height = window.height_spread / max(window.height, 1e-300)
    few = min(1.0, window.n_breaths / _N_BREATHS_SURE)
    against = _INTERVAL_WEIGHT * interval + _HEIGHT_WEIGHT * height - _QUALITY_CONSTANT
    return few / (1.0 + math.exp(min(against, _EXPONENT_MAX)))


def _given(
    quantity: Quantity,
    algorithm: Algorithm,
    t_ns: int,
    second: _Second,
    said: tuple[float | None, NoValueReason | None],
    quality: float,
) -> Derived:
    value, reason = said
    return Derived(
        quantity=quantity,
        algorithm=algorithm,
        t_ns=t_ns,
        value=value,
        reason=reason,
        quality=quality,
        age_s=second.age_s,
    )
