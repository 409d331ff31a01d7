"""How far an ECG can be believed, for a rate and for intervals: each beat and each second.

A rate over ten seconds is right when none of its beats is false and none is missing between them.
So its quality is a product: of a logistic function of what speaks against each beat, and of one of
what speaks against each interval. Against a beat speak little energy, an early time, the
detector's doubt, a shape unlike those of other beats (Orphanidou et al., IEEE J Biomed Health
Inform 19:832-838, 2015), and noise before it against the height of beats (the idea of the noise
stress test: Moody, Muldrow and Mark, Comput Cardiol 11:381-384, 1984). Against an interval speak
energy like that of a beat within it, and a late end. The quality for intervals is such a product
too, with what blurs the time of an R peak in the place of what makes a beat a false one.

Which quality suffices to show a rate depends on what an error would be. Between quiet baselines it
is mostly one beat, which changes the rate by 6 per minute: from 60 per minute on that is within
what monitors are allowed (IEC 60601-2-27: 10 % or 5 per minute, whichever is greater). In noise it
may be any number of beats, and the quality has to be high. Either way it goes with the rate.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from processors.dsp.filters import group_delay_s
from processors.dsp.kernel import Record, new_record, restored_record
from processors.dsp.rails import FLAT_S, LeadWatch
from processors.dsp.state import State, translated_errors
from processors.vitals.ecg_beats_kernel import MEMORY, SETUP
from processors.vitals.ecg_blocks_kernel import (
    BLOCKS_MEMORY,
    BLOCKS_SETUP,
    N_COLUMNS,
    take_samples,
)
from processors.vitals.ecg_quality_kernel import (
    BACK,
    CLIPPED,
    GOOD,
    INTERVAL,
    LEAD_OFF,
    N_OF_BEAT,
    N_OF_SECOND,
    POOR,
    RAIL,
    RATE,
    TOO_FEW,
    VERDICT,
    WARMING_UP,
    judge,
)
from processors.vitals.reasons import NoValueReason

_KIND = "ecg_quality"
_VERSION = 3

WINDOW_S: Final = 10.0
WARM_UP_S: Final = 3.0
QUALITY_MIN: Final = 0.85
"""Below this a rate is not shown in noise: its errors are large and come in many."""
QUALITY_QUIET_MIN: Final = 0.4
"""The same between quiet baselines: there the doubt is mostly about one beat of ten seconds, and
where the rhythm is irregular or beats are ectopic there nearly always is one."""
QUIET_SHARE: Final = 0.09
"""Quiet is noise of no more than this share of the height of beats: of the median interval, and of
the last three on average, since noise begins at once."""
N_GOOD_MIN: Final = 4
"""After a poor second, so many good ones before a rate is shown: in noise, some come by chance."""

_FINE_HZ_MIN: Final = 100.0
_BLOCK_S: Final = 0.04
_SHAPE_BAND_HZ: Final = (2.0, 30.0)
_BEAT_BAND_HZ: Final = (8.0, 20.0)
_SHAPE_HALF_S: Final = 0.12
_FLAT_UV_MAX: Final = 5.0
_CLIPPED_SHARE_MAX: Final = 0.2
_RAIL_UV_MIN: Final = 500.0
"""A rail is at least this far from the mean; a drawn-out isoelectric line is not."""
_N_BEATS_MIN: Final = 3

#               small early very doubt unlike noise excess gap overdue very, and the constant
_BEAT_WEIGHTS = (0.9, 4.7, 1.55, 2.55, 0.65, 0.7, 0.65, 0.0, 0.0, 0.0, -5.0)
_GAP_WEIGHTS = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 5.0, 3.9, -4.55)
_JITTER_WEIGHTS = (0.5, 0.0, 0.0, 0.0, 1.45, 0.8, 0.2, 0.0, 0.0, 0.0, 1.6)
"""Fitted by tests/benchmarks/calibrate_quality.py with none below zero, and rounded; but the odds
of an error in a rate are taken twice as high as fitted (0.7 more in the first two constants),
because the people to come are not those of the recordings."""

REASONS: Final = {
    GOOD: None,
    LEAD_OFF: NoValueReason.LEAD_OFF,
    RAIL: NoValueReason.SATURATED,
    BACK: NoValueReason.WARMING_UP,
    CLIPPED: NoValueReason.SATURATED,
    WARMING_UP: NoValueReason.WARMING_UP,
    TOO_FEW: NoValueReason.TOO_FEW_BEATS,
    POOR: NoValueReason.POOR_SIGNAL,
}
_DISCONNECTED: Final = (LEAD_OFF, RAIL, BACK)


class Assessment(NamedTuple):
    """What is said of the seconds before an instant."""

    rate_quality: float
    """About the probability that the rate of the window is right within 5 bpm."""
    interval_quality: float
    """About the share of its intervals that are right within 20 ms."""
    reason: NoValueReason | None
    """Why no rate may be shown."""
    connected: bool
    """False: no interval may span this second."""


class EcgQuality:
    """Quality of each beat, and of the ten seconds before each of the instants that are asked.

    The signal is kept as sums over blocks of 40 ms and the beats as short shapes, so that the
    memory does not grow with the sampling rate.
    """

    def __init__(self, fs_hz: float) -> None:
        self._fs_hz = float(fs_hz)
        blocks_setup, setup = _setups(self._fs_hz)
        self._blocks_setup, self._setup = blocks_setup.copy(), setup.copy()
        self._n_mean = int(self._blocks_setup["n_mean"][0])
        self._n_block = int(self._blocks_setup["n_block"][0])
        self._watch = LeadWatch(self._fs_hz, _RAIL_UV_MIN, _FLAT_UV_MAX)
        self.reset(0)

    def reset(self, i_start: int) -> None:
        """Start anew, at sample ``i_start``."""
        self._blocks_memory = new_record(BLOCKS_MEMORY)
        self._blocks_memory["i_start"] = self._blocks_memory["i_next"] = i_start
        self._memory = new_record(MEMORY)
        self._memory["i_start"] = i_start
        self._memory["n_good"] = N_GOOD_MIN
        self._watch.reset()
        self._fine, self._n_fine, self._i_fine = np.empty(0), 0, 0
        self._blocks, self._n_blocks, self._i_blocks = np.empty((0, N_COLUMNS)), 0, 0
        self._i_kept = i_start

    def process(
        self, chunk_uv: NDArray[np.float64], raw_uv: NDArray[np.float64] | None = None
    ) -> None:
        """Take the next ``(n_samples,)`` in microvolt.

        Parameters
        ----------
        chunk_uv
            Free of mains.
        raw_uv
            What the amplifier gave, in which its rails are seen; ``chunk_uv``, unless told.
        """
        n_more = chunk_uv.size // self._n_mean + 1
        if self._n_fine + n_more > self._fine.size:
            self._make_room(n_more)
        leads = self._watch.process(chunk_uv if raw_uv is None else raw_uv, chunk_uv)
        self._n_fine, self._n_blocks = take_samples(
            self._blocks_memory,
            self._blocks_setup,
            chunk_uv,
            leads,
            self._fine,
            self._n_fine,
            self._blocks,
            self._n_blocks,
        )

    def _make_room(self, n_more: int) -> None:
        """Drop what is not needed any more; have room for twice what there is then."""
        n_fine, n_blocks = self._n_old()
        kept, kept_blocks = self._fine[n_fine : self._n_fine], self._blocks[n_blocks:]
        self._i_fine += n_fine
        self._n_fine -= n_fine
        self._i_blocks += n_blocks
        self._n_blocks -= n_blocks
        n_room = 2 * max(self._n_fine + n_more, round(WINDOW_S * self._fs_hz / self._n_mean))
        self._fine = np.empty(n_room)
        self._fine[: self._n_fine] = kept
        # No more blocks can come than the fine samples that there is room for make.
        self._blocks = np.empty((self._n_blocks + n_room // self._n_block + 1, N_COLUMNS))
        self._blocks[: self._n_blocks] = kept_blocks[: self._n_blocks]

    def _n_old(self) -> tuple[int, int]:
        """How many fine samples and blocks nobody needs any more."""
        since = self._i_kept - int(self._memory["i_start"][0])
        n_fine = int((since - _SHAPE_HALF_S * self._fs_hz) / self._n_mean) - 1 - self._i_fine
        n_samples = self._n_mean * self._n_block
        n_blocks = int((since - WINDOW_S * self._fs_hz) / n_samples) - 1 - self._i_blocks
        return min(max(0, n_fine), self._n_fine), min(max(0, n_blocks), self._n_blocks)

    def judge(
        self, beats: NDArray[np.float64], ends: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Take the next beats and judge the seconds that end here and there.

        Parameters
        ----------
        beats : shape (n_beats, 2)
            Index of the R peak, a fraction of a sample allowed, and the detector's certainty.
        ends : shape (n_ends, 2)
            Sample index before which a second ends, and how many of ``beats`` are before it.

        Returns
        -------
        shapes (n_beats, N_OF_BEAT) and (n_ends, N_OF_SECOND)
            The columns are those of the kernel.
        """
        of_beats = np.empty((beats.shape[0], N_OF_BEAT))
        of_seconds = np.empty((ends.shape[0], N_OF_SECOND))
        judge(
            self._memory,
            self._setup,
            self._fine[: self._n_fine],
            self._i_fine,
            self._blocks[: self._n_blocks],
            self._i_blocks,
            beats,
            ends,
            of_beats,
            of_seconds,
        )
        return of_beats, of_seconds

    def forget_before(self, i_sample: int) -> None:
        """Allow to drop what no beat and no second after sample ``i_sample`` can need."""
        self._i_kept = i_sample

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        n_fine, n_blocks = self._n_old()
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "fs_hz": self._fs_hz,
                "i_fine": self._i_fine + n_fine,
                "i_blocks": self._i_blocks + n_blocks,
                "i_kept": self._i_kept,
            },
            arrays={
                "fine": self._fine[n_fine : self._n_fine],
                "blocks": self._blocks[n_blocks : self._n_blocks],
            },
            children={
                "kernel": self._memory.tobytes(),
                "blocks": self._blocks_memory.tobytes(),
                "watch": self._watch.to_bytes(),
            },
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> EcgQuality:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            restored = cls(kept.number("fs_hz"))
        restored._i_fine = kept.integer("i_fine")
        restored._i_blocks = kept.integer("i_blocks")
        restored._i_kept = kept.integer("i_kept")
        restored._fine = kept.float_array("fine", (None,))
        restored._blocks = kept.float_array("blocks", (None, N_COLUMNS))
        restored._n_fine, restored._n_blocks = restored._fine.size, restored._blocks.shape[0]
        restored._memory = restored_record(kept.child("kernel"), MEMORY)
        restored._blocks_memory = restored_record(kept.child("blocks"), BLOCKS_MEMORY)
        restored._watch = LeadWatch.from_bytes(kept.child("watch"))
        return restored


def best_assessments(leads: Sequence[NDArray[np.float64]]) -> list[Assessment]:
    """Read what :meth:`EcgQuality.judge` says of the same seconds of some leads.

    A lead of which a rate may be shown goes before one of which none may; then the better one.
    """
    readings = [[_assessment(row) for row in said.tolist()] for said in leads]
    if len(readings) == 1:
        return readings[0]
    return [max(second, key=_rank) for second in zip(*readings, strict=True)]


def _assessment(row: Sequence[float]) -> Assessment:
    verdict = int(row[VERDICT])
    connected = verdict not in _DISCONNECTED
    return Assessment(row[RATE], row[INTERVAL], REASONS[verdict], connected=connected)


def _rank(judged: Assessment) -> tuple[bool, bool, float]:
    return judged.reason is None, judged.connected, judged.rate_quality


@functools.lru_cache(maxsize=16)
def _setups(fs_hz: float) -> tuple[Record, Record]:
    """Everything that follows from the sampling rate: for the blocks, and for the judgement."""
    blocks_setup = _blocks_setup(fs_hz)
    return blocks_setup, _setup(fs_hz, blocks_setup)


def _blocks_setup(fs_hz: float) -> Record:
    n_mean = max(1, int(fs_hz / _FINE_HZ_MIN))
    fine_hz = fs_hz / n_mean
    setup = new_record(BLOCKS_SETUP)
    setup["n_mean"] = n_mean
    setup["n_block"] = max(1, round(_BLOCK_S * fine_hz))
    setup["sos"][0, :1] = signal.butter(1, _SHAPE_BAND_HZ, "bandpass", fs=fine_hz, output="sos")
    setup["sos"][0, 1:] = signal.butter(2, _BEAT_BAND_HZ, "bandpass", fs=fine_hz, output="sos")
    return setup


def _setup(fs_hz: float, blocks_setup: Record) -> Record:
    n_mean, n_block = int(blocks_setup["n_mean"][0]), int(blocks_setup["n_block"][0])
    sos = blocks_setup["sos"][0]
    shape_late_s = group_delay_s(sos[:1], fs_hz / n_mean, _middle_hz(_SHAPE_BAND_HZ))
    beat_late_s = group_delay_s(sos[1:], fs_hz / n_mean, _middle_hz(_BEAT_BAND_HZ))
    setup = new_record(SETUP)
    setup["fs_hz"] = fs_hz
    setup["n_mean"] = n_mean
    setup["n_block"] = n_block
    setup["shape_late"] = shape_late_s * fs_hz
    setup["beat_late"] = (shape_late_s + beat_late_s) * fs_hz
    setup["beat_weights"] = _BEAT_WEIGHTS
    setup["gap_weights"] = _GAP_WEIGHTS
    setup["jitter_weights"] = _JITTER_WEIGHTS
    setup["window"] = WINDOW_S * fs_hz
    setup["warm_up"] = WARM_UP_S * fs_hz
    setup["n_flat"] = round(FLAT_S * fs_hz) // (n_mean * n_block)
    setup["clipped_max"] = _CLIPPED_SHARE_MAX
    setup["n_beats_min"] = _N_BEATS_MIN
    setup["quality_min"] = QUALITY_MIN
    setup["quality_quiet_min"] = QUALITY_QUIET_MIN
    setup["quiet_max"] = math.log(QUIET_SHARE)
    setup["n_good_min"] = N_GOOD_MIN
    return setup


def _middle_hz(band_hz: tuple[float, float]) -> float:
    return float((band_hz[0] * band_hz[1]) ** 0.5)
