"""Pulse rate from the wrist of somebody who moves: the light, with the accelerometer beside it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import codes
from processors.dsp.sample_clock import SampleClock
from processors.dsp.state import Array, State, translated_errors
from processors.vitals.derived import Algorithm, Derived
from processors.vitals.reasons import NoValueReason
from processors.vitals.wrist_rate_kernel import N_PER_S, believe, clean, resample

_KIND = "wrist_rate"
_STREAM_KIND = "wrist_stream"
_VERSION = 4

Floats = NDArray[np.float64]

GRID_NS: Final = 1_000_000_000
WINDOW_S: Final = 8
EVERY_S: Final = 2
KEPT_S: Final = 14
"""Samples are kept so long: a window, and some seconds by which one sensor is behind the other."""
QUALITY_MIN: Final = 0.6
RATE_BPM_MIN: Final = 36.0
RATE_BPM_MAX: Final = 216.0

_LATE_NS: Final = 100_000_000
"""The window ends so long before the second, so that the last point has neighbours."""
_STEP_NS: Final = GRID_NS // N_PER_S
_N_WINDOW: Final = WINDOW_S * N_PER_S
_N_FFT: Final = 2048
_BIN_BPM: Final = 60.0 * N_PER_S / _N_FFT
_K_LOW: Final = round(RATE_BPM_MIN / _BIN_BPM)
_K_HIGH: Final = round(RATE_BPM_MAX / _BIN_BPM)
_N_STATES: Final = _K_HIGH - _K_LOW + 1
_K_BAND: Final = 2 * _K_HIGH + 1
_EXPECTED_SD_BPM: Final = 5.0
"""A rate over ten seconds of pulses, when somebody begins to move."""
_MOTION_G: Final = 0.02
"""RMS beside gravity at which motion takes half of its full share."""
_NEAR_BINS: Final = 5
_N_ACC: Final = 3
_UNKNOWN_MOTION: Final = np.full((_N_ACC, N_PER_S), np.nan)

ALGORITHM: Final = Algorithm(
    name="wrist_pulse_rate",
    version=2,
    method="Spectrum of 8 s of light, from which the spectrum of acceleration is taken by a Wiener "
    "filter as far as there is motion; a belief in each rate from 36 to 216 /min, moved on as a "
    "heart rate may and weighed by that spectrum (a hidden Markov chain, run forwards only).",
    source="Temko, IEEE Trans Biomed Eng 64:2016-2024 (2017); Zhang, Pi and Liu, IEEE Trans Biomed "
    "Eng 62:522-531 (2015)",
    delay_s=0.0,
    averaging="8 s, every 2 s, repeated on the second between.",
    validity="While the device moves and until ten seconds of pulses are free of motion, where the "
    "rate from light alone differs from it by more than 5/min and is withheld (moving). Light "
    "without a gap in the last 8 s that varies; most of the belief within 5 /min of one rate.",
)


class _Stream:
    """Samples of one sensor, brought to a common grid of event time second by second."""

    def __init__(self, n_channels: int, clock: SampleClock) -> None:
        self._n_channels = n_channels
        self.go_on(clock)
        self._samples = np.zeros((n_channels, 0))
        self._i_first = 0
        self._fresh: list[Floats] = []  # what follows: joined when somebody asks, or it is as much
        self._n_fresh = 0

    def go_on(self, clock: SampleClock) -> None:
        self.clock = clock
        self._n_kept = round(KEPT_S * clock.fs_hz)

    def add(self, chunk: Floats, i_first: int) -> None:
        samples = np.array(chunk, dtype=np.float64, ndmin=2)
        if samples.shape[0] != self._n_channels:
            raise ValueError(f"{samples.shape[0]} channels were given, not {self._n_channels}")
        if not np.isfinite(samples).all():
            raise ValueError("a sample is not a finite number; leave out what was not measured")
        n_known = self._samples.shape[1] + self._n_fresh
        i_next = self._i_first + n_known
        if not n_known or i_first - i_next > self._n_kept:
            self._samples, self._i_first = samples, i_first
            self._fresh, self._n_fresh = [], 0
            return
        if i_first > i_next:
            self._put(np.full((self._n_channels, i_first - i_next), np.nan))
        self._put(samples[:, max(0, i_next - i_first) :])
        if self._n_fresh > self._n_kept:
            self._join()

    def _put(self, samples: Floats) -> None:
        self._fresh.append(samples)
        self._n_fresh += samples.shape[1]

    def _join(self) -> None:
        """Make one piece of what came, without what is too old."""
        if self._fresh:
            self._samples = np.concatenate([self._samples, *self._fresh], axis=1)
            self._fresh, self._n_fresh = [], 0
        self._drop(max(0, self._samples.shape[1] - self._n_kept))

    def second(self, t_ns: int) -> Floats:
        """Resample the second that ends before ``t_ns``; NaN where nothing was measured."""
        self._join()
        begin_ns = t_ns - GRID_NS - _LATE_NS
        pieces: list[Floats] = []
        j_end, i_end = N_PER_S, np.inf
        for clock in self.clock.lines():
            j_begin = _n_steps_before(clock, begin_ns)
            if j_begin < j_end:
                line_ns = begin_ns + j_begin * _STEP_NS
                pieces.insert(0, self._resampled(clock.line, line_ns, j_end - j_begin, i_end))
                j_end = j_begin
            i_end = clock.i_from
        i_begin = self.clock.index_at_or_after(begin_ns)
        self._drop(min(self._samples.shape[1], max(0, i_begin - self._i_first - 2)))
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)

    def _resampled(self, line: SampleClock, begin_ns: int, n_points: int, i_end: float) -> Floats:
        """Resample along one line of the clock, which ends before sample ``i_end``."""
        i_begin = line.index_at_or_after(begin_ns)
        # Whole samples in integers, the rest of one as a float: no drift, whatever the epoch.
        ahead_ns = (line.epoch_ns - begin_ns) * line.period_den
        rest = (ahead_ns + i_begin * line.period_num_ns) / line.period_num_ns
        out = np.empty((self._n_channels, n_points))
        step = line.fs_hz / N_PER_S
        first = i_begin - self._i_first - rest
        resample(np.ascontiguousarray(self._samples), first, step, max(1.0, step), out)
        if self._i_first + first + (n_points - 1) * step > i_end:  # what is there is of later
            out[:, self._i_first + first + step * np.arange(n_points) > i_end] = np.nan
        return out

    def _drop(self, n_samples: int) -> None:
        self._samples = self._samples[:, n_samples:]
        self._i_first += n_samples

    def to_bytes(self) -> bytes:
        self._join()
        return State(
            kind=_STREAM_KIND,
            version=_VERSION,
            scalars={
                **self.clock.scalars(),
                "i_first": self._i_first,
                "n_channels": self._n_channels,
            },
            arrays=_written(self._samples),
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> _Stream:
        kept = State.from_bytes(state, kind=_STREAM_KIND, version=_VERSION)
        with translated_errors(_STREAM_KIND):
            clock = SampleClock.of_state(kept)
            restored = cls(kept.integer("n_channels"), clock)
            restored._samples = _read(kept, (restored._n_channels, None))
        restored._i_first = kept.integer("i_first")
        return restored


def _written(values: Floats) -> dict[str, Array]:
    """Write down values of which some are unknown: which ones, in the order of the rows."""
    unknown = np.flatnonzero(np.isnan(values))
    known = values.copy()
    known.flat[unknown] = 0.0
    return {"values": known, "unknown": unknown}


def _read(kept: State, shape: tuple[int, int | None]) -> Floats:
    """Read back what `_written` wrote; IndexError where these are no values."""
    values = kept.float_array("values", shape)
    values.flat[kept.int_array("unknown")] = np.nan
    return values


def _n_steps_before(clock: SampleClock, begin_ns: int) -> int:
    """Count the points of the second from ``begin_ns`` on that are before the newest line."""
    if clock.before is None:
        return 0
    return min(N_PER_S, max(0, -(-(clock.time_ns(clock.i_from) - begin_ns) // _STEP_NS)))


class WristRate:
    """Pulse rate every two seconds from light and acceleration, each on its own time grid.

    The caller adds the samples of both as they come and asks at whole seconds, ascending, when both
    are known up to it; without acceleration the light is believed as it is. Seconds that follow one
    another are one track; behind any other it begins anew, with the window that is there. Another
    time grid of a sensor is a new stream of it, unless it goes on where the one before ends:
    nothing of that is carried over.

    Parameters
    ----------
    n_channels
        Of light, in any unit, any way up.
    """

    def __init__(self, n_channels: int = 1) -> None:
        self._n_channels = n_channels
        self._ppg: _Stream | None = None
        self._acc: _Stream | None = None
        self._t_ns: int | None = None
        self._begin()

    def _begin(self, rate_bpm: float | None = None) -> None:
        self._window = np.full((self._n_channels + _N_ACC, _N_WINDOW), np.nan)
        self._belief = np.full(_N_STATES, 1.0 / _N_STATES)
        if rate_bpm is not None:
            away = (_BIN_BPM * np.arange(_K_LOW, _K_HIGH + 1) - rate_bpm) / _EXPECTED_SD_BPM
            self._belief += np.exp(-0.5 * away * away)
            self._belief /= self._belief.sum()

    def add_ppg(self, clock: SampleClock, chunk: Floats, i_first: int) -> None:
        """Take ``(n_channels, n_samples)`` of light, the first being sample ``i_first``.

        Raises
        ------
        ValueError
            A sample is not a finite number, or the number of channels is another one.
        """
        self._ppg = _on(clock, self._ppg, self._n_channels)
        self._ppg.add(chunk, i_first)

    def add_acc(self, clock: SampleClock, chunk: Floats, i_first: int) -> None:
        """Take ``(3, n_samples)`` of acceleration in g, as `add_ppg` does."""
        self._acc = _on(clock, self._acc, _N_ACC)
        self._acc.add(chunk, i_first)

    def at(self, t_ns: int, expected_bpm: float | None = None) -> list[Derived]:
        """Say the rate at a whole second, in every other one; all samples before it are known.

        Nothing while there has been no light at all.

        Parameters
        ----------
        expected_bpm
            A rate known from elsewhere, believed in where a track begins.
        """
        if self._ppg is None:
            return []
        if self._t_ns is None or t_ns != self._t_ns + GRID_NS:
            self._begin(expected_bpm)
            for before_ns in range(t_ns - (WINDOW_S - 1) * GRID_NS, t_ns, GRID_NS):
                self._take_second(self._ppg, before_ns)
        self._take_second(self._ppg, t_ns)
        self._t_ns = t_ns
        if t_ns // GRID_NS % EVERY_S:
            return []
        return [self._judge(t_ns)]

    def _take_second(self, ppg: _Stream, t_ns: int) -> None:
        motion = _UNKNOWN_MOTION if self._acc is None else self._acc.second(t_ns)
        fresh = np.concatenate((ppg.second(t_ns), motion))
        self._window = np.concatenate((self._window[:, N_PER_S:], fresh), axis=1)

    def _judge(self, t_ns: int) -> Derived:
        light, motion = self._window[: self._n_channels], self._window[self._n_channels :]
        newest = light[0, -N_PER_S:]
        if not np.isfinite(newest).all():
            self._belief[:] = 1.0 / _N_STATES
            return _derived(t_ns, None, NoValueReason.NO_SAMPLES, 0.0)
        if not np.isfinite(light).all():
            return _derived(t_ns, None, NoValueReason.WARMING_UP, 0.0)
        if not np.ptp(light, axis=1).any():
            self._belief[:] = 1.0 / _N_STATES
            return _derived(t_ns, None, NoValueReason.LEAD_OFF, 0.0)
        has_motion = bool(np.isfinite(motion).all())
        share = _motion_share(motion) if has_motion else 0.0
        power = _spectrum(light, each=True)
        shaken = _spectrum(motion, each=False) if has_motion else np.zeros(_K_BAND)
        cleaned = np.empty(_K_BAND)
        clean(power, shaken, share, cleaned)
        believe(self._belief, cleaned, _K_LOW, _BIN_BPM, float(EVERY_S))
        rate_bpm, quality = _best(self._belief)
        sources = ("ppg", "acc") if has_motion else ("ppg",)
        if quality < QUALITY_MIN:
            is_moving = share > 0.5  # noqa: PLR2004
            reason = NoValueReason.MOVING if is_moving else NoValueReason.POOR_SIGNAL
            return _derived(t_ns, None, reason, quality, sources)
        return _derived(t_ns, rate_bpm, None, quality, sources)

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        streams = {"ppg": self._ppg, "acc": self._acc}
        is_begun = self._t_ns is not None  # else there is nothing in the window, and no belief
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={"n_channels": self._n_channels, "t_ns": self._t_ns},
            arrays={"belief": self._belief, **_written(self._window)} if is_begun else {},
            children={name: one.to_bytes() for name, one in streams.items() if one is not None},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> WristRate:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            restored = cls(kept.integer("n_channels"))
            if "ppg" in kept.children:
                restored._ppg = _Stream.from_bytes(kept.child("ppg"))
            if "acc" in kept.children:
                restored._acc = _Stream.from_bytes(kept.child("acc"))
            restored._t_ns = kept.optional_integer("t_ns")
            if restored._t_ns is not None:
                restored._window = _read(kept, restored._window.shape)
                restored._belief = kept.float_array("belief", (_N_STATES,))
        return restored


def _on(clock: SampleClock, stream: _Stream | None, n_channels: int) -> _Stream:
    """Give the stream for samples by a clock: another one, unless the clock has only bent."""
    if stream is None:
        return _Stream(n_channels, clock)
    if clock is not stream.clock:  # it is the same one for hours
        if not clock.has_gone_on_from(stream.clock):
            return _Stream(n_channels, clock)
        stream.go_on(clock)
    return stream


def _derived(
    t_ns: int,
    value: float | None,
    reason: NoValueReason | None,
    quality: float,
    sources: tuple[str, ...] = ("ppg",),
) -> Derived:
    return Derived(
        quantity=codes.PULSE_RATE,
        algorithm=ALGORITHM,
        t_ns=t_ns,
        value=value,
        reason=reason,
        quality=quality,
        sources=sources,
    )


_TAPER: Final = np.hanning(_N_WINDOW)
_LINE: Final = np.linspace(-1.0, 1.0, _N_WINDOW)
_LINE_SQUARE: Final = float((_LINE * _LINE).sum())


def _spectrum(window: Floats, *, each: bool) -> Floats:
    """Power up to twice the highest rate; ``each`` channel as strong as the others."""
    level = window - window.mean(axis=1, keepdims=True)
    level -= ((level * _LINE).sum(axis=1) / _LINE_SQUARE)[:, np.newaxis] * _LINE
    parts = np.fft.rfft(level * _TAPER, _N_FFT, axis=1)[:, :_K_BAND]
    power: Floats = parts.real**2 + parts.imag**2
    power[:, : _K_LOW // 2] = 0.0
    if each:
        tops = power.max(axis=1, keepdims=True)
        power /= np.where(tops > 0, tops, 1.0)
    return np.ascontiguousarray(power.sum(axis=0))


def _motion_share(motion: Floats) -> float:
    """From 0, still, to 1, moving strongly."""
    square = float(motion.var(axis=1).sum())
    return square / (square + _MOTION_G**2)


def _best(belief: Floats) -> tuple[float, float]:
    """Give the rate most believed in, and how much belief is within 5 bpm of it."""
    j = int(np.argmax(belief))
    near = slice(max(0, j - _NEAR_BINS), j + _NEAR_BINS + 1)
    weights = belief[near]
    k = _K_LOW + np.arange(_N_STATES)[near]
    total = float(weights.sum())
    return _BIN_BPM * float((weights * k).sum()) / total, min(1.0, total)
