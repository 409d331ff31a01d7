"""How far an ECG can be believed: flat, clipped, or buried in noise, over the last ten seconds.

Four things tell beats from artefacts, and each is 1 or small in a clean record whatever its
amplitude: how alike the complexes are (Orphanidou et al., IEEE J Biomed Health Inform 19:832-838,
2015), how quiet it is between them, in the whole band and in the band where beats are looked for,
against their height (the idea of the noise stress test: Moody, Muldrow and Mark, Comput Cardiol
11:381-384, 1984), and how regular they come. One logistic function makes them one number: about
the probability that the heart rate over these seconds is right within 5 bpm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.envelope import sliding_sum
from processors.dsp.filters import SosFilter, bandpass
from processors.dsp.state import State, translated_errors
from processors.vitals.reasons import NoValueReason

_KIND = "ecg_quality"
_VERSION = 1

QUALITY_MIN: Final = 0.8
"""Below this a value is not shown."""
N_GOOD_MIN: Final = 3
"""After a poor second, so many good ones before a value is shown: in noise, one comes by chance."""
WINDOW_S: Final = 10.0
WARM_UP_S: Final = 3.0

_BLOCK_S: Final = 0.04
_SHAPE_BAND_HZ: Final = (2.0, 30.0)
_BEAT_BAND_HZ: Final = (8.0, 20.0)
_SHAPE_HALF_S: Final = 0.12
_SHAPE_FS_HZ: Final = 125.0
_FLAT_S: Final = 2.0
_FLAT_UV_MAX: Final = 5.0
_CLIPPED_SHARE_MAX: Final = 0.2
_RAIL_UV_MIN: Final = 500.0
"""A rail is at least this far from the mean; a drawn-out isoelectric line is not."""
_N_BEATS_MIN: Final = 3
_N_BEATS_MAX: Final = 60

_UNLIKENESS_MAX: Final = 0.5
_WEIGHT_UNLIKENESS: Final = 2.7
_WEIGHT_BETWEEN: Final = 1.3
_WEIGHT_BETWEEN_IN_BAND: Final = 2.3
_WEIGHT_IRREGULARITY: Final = 3.7
_OFFSET: Final = 4.75
"""Weights: logistic regression over clean, noise-stressed and arrhythmic recordings, rounded."""

_X_MIN, _X_MAX, _SHAPE_SQUARES, _BEAT_SQUARES = range(4)


@dataclass(frozen=True, slots=True)
class Assessment:
    """Quality 0..1, and why it is too low for a value."""

    quality: float
    reason: NoValueReason | None


class EcgQuality:
    """Quality of the seconds before a sample, from the samples and the beats found in them.

    The signal is kept as sums over blocks of 40 ms and the beats as short shapes, so that the
    memory does not grow with the sampling rate.
    """

    def __init__(self, fs_hz: float) -> None:
        self._fs_hz = float(fs_hz)
        self._n_block = max(1, round(_BLOCK_S * fs_hz))
        self._n_half = round(_SHAPE_HALF_S * fs_hz)
        self._step = max(1, round(fs_hz / _SHAPE_FS_HZ))
        self._n_shape = len(range(0, 2 * self._n_half + 1, self._step))
        self._shape_band = bandpass(*_SHAPE_BAND_HZ, fs_hz, order=1)
        self._beat_band = bandpass(*_BEAT_BAND_HZ, fs_hz, order=2)
        middle_hz = (_SHAPE_BAND_HZ[0] * _SHAPE_BAND_HZ[1]) ** 0.5
        self._i_beats: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._shapes: NDArray[np.float64] = np.zeros((0, self._n_shape))
        self._heights: NDArray[np.float64] = np.zeros(0)
        self._n_late = round(self._shape_band.group_delay_s(middle_hz) * fs_hz)
        self.reset(0)

    def reset(self, i_start: int) -> None:
        """Start anew, at sample ``i_start``."""
        self._shape_band.reset()
        self._beat_band.reset()
        self._i_start = i_start
        self._i_next = i_start
        self._rest = np.zeros((3, 0))  # signal, shape band, beat band: the unfinished block
        self._shape_signal = np.zeros(0)
        self._blocks = np.zeros((4, 0))
        self._i_blocks = i_start
        self._forget_beats()
        self._flat_at_rail = False
        self._n_good = N_GOOD_MIN

    def process(self, chunk_uv: NDArray[np.float64]) -> None:
        """Take the next ``(n_samples,)`` in microvolt."""
        shape = self._shape_band.process(chunk_uv)
        fresh = np.stack((chunk_uv, shape, self._beat_band.process(chunk_uv)))
        self._shape_signal = np.concatenate((self._shape_signal, shape))
        self._i_next += chunk_uv.size
        samples = np.concatenate((self._rest, fresh), axis=1)
        n_whole = samples.shape[1] // self._n_block * self._n_block
        self._rest = samples[:, n_whole:]
        if n_whole:
            self._blocks = np.concatenate(
                (self._blocks, self._summed(samples[:, :n_whole])), axis=1
            )

    def _summed(self, samples: NDArray[np.float64]) -> NDArray[np.float64]:
        signal_uv = samples[0].reshape(-1, self._n_block)
        squares = [sliding_sum(np.square(x), self._n_block)[:: self._n_block] for x in samples[1:]]
        return np.stack((signal_uv.min(axis=1), signal_uv.max(axis=1), *squares))

    def add_beat(self, i_sample: int) -> float:
        """Take a beat at ``i_sample``, its complex being processed; tell how like another it is.

        0..1: the best correlation with the complexes of the last ten seconds; 0 for the first.
        """
        shape, height = self._cut(i_sample)
        known = self._i_beats > i_sample - WINDOW_S * self._fs_hz
        known[: max(0, known.size - _N_BEATS_MAX + 1)] = False
        others = self._shapes[known]
        likeness = max(0.0, float((others * shape).sum(axis=1).max())) if len(others) else 0.0
        self._i_beats = np.append(self._i_beats[known], i_sample)
        self._shapes = np.concatenate((others, shape[np.newaxis]))
        self._heights = np.append(self._heights[known], height)
        return min(1.0, likeness)

    def _cut(self, i_sample: int) -> tuple[NDArray[np.float64], float]:
        """Shape (mean 0, norm 1) and height of the complex at ``i_sample``."""
        first = i_sample + self._n_late - self._n_half - (self._i_next - self._shape_signal.size)
        i = np.arange(first, first + 2 * self._n_half + 1, self._step)
        cut = self._shape_signal[np.clip(i, 0, self._shape_signal.size - 1)]
        shape = cut - cut.mean()
        norm = math.sqrt(float(np.square(shape).sum()))
        return (shape / norm if norm > 0 else shape), float(cut.max() - cut.min())

    def forget_before(self, i_sample: int) -> None:
        """Drop what no beat and no assessment from ``i_sample`` on can need."""
        i_shape = self._i_next - self._shape_signal.size
        n_old = max(0, i_sample - self._n_half - i_shape)
        self._shape_signal = self._shape_signal[n_old:]
        i_window = i_sample - math.ceil(WINDOW_S * self._fs_hz)
        n_old = max(0, (i_window - self._i_blocks) // self._n_block)
        self._blocks = self._blocks[:, n_old:]
        self._i_blocks += n_old * self._n_block

    def assess(self, i_end: int) -> Assessment:
        """Judge the ten seconds before sample ``i_end``, once a second, all beats being known."""
        blocks, i_blocks = self._window(i_end)
        flat = self._flat(blocks)
        if flat is not None:
            self._forget_beats()
            return Assessment(0.0, flat)
        if i_end - self._i_start < WARM_UP_S * self._fs_hz:
            return Assessment(0.0, NoValueReason.WARMING_UP)
        if self._clipped(blocks):
            return Assessment(0.0, NoValueReason.SATURATED)
        seen = (self._i_beats < i_end) & (self._i_beats >= i_end - WINDOW_S * self._fs_hz)
        if int(seen.sum()) < _N_BEATS_MIN:
            return Assessment(0.0, NoValueReason.TOO_FEW_BEATS)
        quality = self._likelihood(blocks, i_blocks, seen)
        self._n_good = self._n_good + 1 if quality >= QUALITY_MIN else 0
        return Assessment(
            quality, None if self._n_good >= N_GOOD_MIN else NoValueReason.POOR_SIGNAL
        )

    def _forget_beats(self) -> None:
        self._i_beats = np.zeros(0, dtype=np.int64)
        self._shapes = np.zeros((0, self._n_shape))
        self._heights = np.zeros(0)

    def _window(self, i_end: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Whole blocks of the window, shape (4, n_blocks), and the middle sample of each."""
        last = (i_end - self._i_blocks) // self._n_block
        first = max(0, last - round(WINDOW_S * self._fs_hz) // self._n_block)
        middles = self._i_blocks + np.arange(first, last) * self._n_block + self._n_block // 2
        return self._blocks[:, first:last], middles

    def _flat(self, blocks: NDArray[np.float64]) -> NoValueReason | None:
        n_recent = round(_FLAT_S * self._fs_hz) // self._n_block
        recent = blocks[:, -n_recent:]
        if recent.shape[1] < n_recent or _range_uv(recent) > _FLAT_UV_MAX:
            self._flat_at_rail = False
            return None
        # Once the window holds nothing but the flat line, its level has nothing to differ from.
        self._flat_at_rail = self._flat_at_rail or _is_rail(blocks, float(recent[_X_MAX, -1]))
        return NoValueReason.SATURATED if self._flat_at_rail else NoValueReason.LEAD_OFF

    def _clipped(self, blocks: NDArray[np.float64]) -> bool:
        still = blocks[_X_MIN] == blocks[_X_MAX]
        for level in (float(blocks[_X_MIN].min()), float(blocks[_X_MAX].max())):
            share = float((still & (blocks[_X_MIN] == level)).mean())
            if share > _CLIPPED_SHARE_MAX and _is_rail(blocks, level):
                return True
        return False

    def _likelihood(
        self, blocks: NDArray[np.float64], i_blocks: NDArray[np.int64], seen: NDArray[np.bool_]
    ) -> float:
        i_beats = self._i_beats[seen]
        height = float(np.median(self._heights[seen]))
        far = np.abs(i_blocks[:, np.newaxis] - i_beats).min(axis=1) > self._n_half
        if height <= 0 or not far.any():
            return 0.0
        n_samples = int(far.sum()) * self._n_block
        between = math.sqrt(float(blocks[_SHAPE_SQUARES][far].sum()) / n_samples) / height
        in_band = math.sqrt(float(blocks[_BEAT_SQUARES][far].sum()) / n_samples) / height
        rrs = np.diff(i_beats)
        score = (
            _WEIGHT_UNLIKENESS * _unlikeness(self._shapes[seen])
            + _WEIGHT_BETWEEN * math.log(max(between, 1e-3))
            + _WEIGHT_BETWEEN_IN_BAND * math.log(max(in_band, 1e-3))
            + _WEIGHT_IRREGULARITY * math.log(float(rrs.max()) / float(rrs.min()))
            + _OFFSET
        )
        return 1.0 / (1.0 + math.exp(score))

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "fs_hz": self._fs_hz,
                "i_start": self._i_start,
                "i_next": self._i_next,
                "i_blocks": self._i_blocks,
                "flat_at_rail": self._flat_at_rail,
                "n_good": self._n_good,
            },
            arrays={
                "rest": self._rest,
                "shape_signal": self._shape_signal,
                "blocks": self._blocks,
                "i_beats": self._i_beats,
                "shapes": self._shapes,
                "heights": self._heights,
            },
            children={
                "shape_band": self._shape_band.to_bytes(),
                "beat_band": self._beat_band.to_bytes(),
            },
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> EcgQuality:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            restored = cls(kept.number("fs_hz"))
        restored._i_start = kept.integer("i_start")
        restored._i_next = kept.integer("i_next")
        restored._i_blocks = kept.integer("i_blocks")
        restored._flat_at_rail = kept.flag("flat_at_rail")
        restored._n_good = kept.integer("n_good")
        restored._rest = kept.float_array("rest", (3, None))
        restored._shape_signal = kept.float_array("shape_signal", (None,))
        restored._blocks = kept.float_array("blocks", (4, None))
        restored._i_beats = kept.int_array("i_beats")
        n_beats = restored._i_beats.size
        restored._shapes = kept.float_array("shapes", (n_beats, restored._n_shape))
        restored._heights = kept.float_array("heights", (n_beats,))
        restored._shape_band = SosFilter.from_bytes(kept.child("shape_band"))
        restored._beat_band = SosFilter.from_bytes(kept.child("beat_band"))
        return restored


def _range_uv(blocks: NDArray[np.float64]) -> float:
    return float(blocks[_X_MAX].max() - blocks[_X_MIN].min())


def _is_rail(blocks: NDArray[np.float64], level: float) -> bool:
    mean = float((blocks[_X_MIN] + blocks[_X_MAX]).mean()) / 2
    at_an_end = level in (float(blocks[_X_MIN].min()), float(blocks[_X_MAX].max()))
    return at_an_end and abs(level - mean) > _RAIL_UV_MIN


def _unlikeness(shapes: NDArray[np.float64]) -> float:
    """Of ``(n_beats, n_shape)``: how far even the second-best likeness of each beat is from 1.

    The second best, not the mean: two kinds of beats are each like their own kind.
    """
    likeness = (shapes[:, np.newaxis] * shapes[np.newaxis]).sum(axis=2)
    np.fill_diagonal(likeness, -1.0)
    second = np.partition(likeness, -2, axis=1)[:, -2]
    return float(np.clip(1.0 - second.mean(), 0.0, _UNLIKENESS_MAX))
