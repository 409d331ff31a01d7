"""Loops of the ECG quality: the shapes of beats, and what speaks against each.

Times are in samples since the start of the stretch; fine samples and blocks are those of
``ecg_blocks_kernel``.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel
from processors.vitals.ecg_blocks_kernel import BEAT_SQUARES, RAILED, SHAPE_SQUARES

N_SHAPE: Final = 25
"""Points of a beat's shape."""
SHAPE_STEP_S: Final = 0.01
N_KNOWN: Final = 40
"""Beats that are remembered: half a minute at rest, ten seconds at 240/min."""
N_RECENT: Final = 12
"""Of these, so many say how high and how far apart beats are at present."""
N_YOUNG: Final = 4
"""With fewer beats than this, one other that it is like speaks for a beat; later it takes two."""

AFTER_BEAT_S: Final = 0.16
BEFORE_BEAT_S: Final = 0.12
"""What lies further from the R peaks than this is no complex, however wide."""
AFTER_SHARE: Final = 0.4
BEFORE_SHARE: Final = 0.3
"""... and of a short interval no more than these shares belong to the complexes at its ends."""
BESIDE_BEAT_S: Final = 0.08
"""Within this of the R peak a beat's energy is looked for."""
N_ON_END: Final = 3
"""Blocks whose energy is summed: as wide as a complex."""
DISTANCE_MIN: Final = 1e-4
NOISE_MIN: Final = 1e-3
RATIO_MIN: Final = 1e-4
"""Smaller distances, noise and ratios count as these: below lies the resolution of converters."""
QUIET_RISE_PER_S: Final = 0.005
"""What was once the quiet of this lead is forgotten by half in some two minutes."""
QUIET_RISE_S_MAX: Final = 10.0

SMALL, EARLY, VERY_EARLY, DOUBT, UNLIKE, NOISE, EXCESS, GAP, OVERDUE, VERY_OVERDUE = range(10)
"""Columns of a beat: what speaks against it, and (the last three) against its interval.

SMALL: how much less energy than recent beats. EARLY, OVERDUE: how much shorter or longer the
interval is than their median; VERY_: than their lower and upper quartile. DOUBT: the detector's.
UNLIKE: distance from the second most similar beat. NOISE: between this beat and the one before,
against the height of beats; EXCESS: how much more of it, in the band of beats, than in the lead's
quiet moments. GAP: the highest energy between the two beats against that of beats; at a rail a
whole one may have been hidden. All but DOUBT are natural logarithms.
"""
N_FEATURES: Final = 10

MEMORY: Final = np.dtype(
    [
        ("i_start", "i8"),
        ("n_beats", "i8"),
        ("i_rs", "f8", (N_KNOWN,)),
        ("shapes", "f8", (N_KNOWN, N_SHAPE)),
        ("squares", "f8", (N_KNOWN,)),
        ("distances", "f8", (N_KNOWN, 2)),
        ("heights", "f8", (N_KNOWN,)),
        ("energies", "f8", (N_KNOWN,)),
        ("features", "f8", (N_KNOWN, N_FEATURES)),
        ("quiet", "f8"),
        ("is_off", "i8"),
        ("n_good", "i8"),
    ]
)
"""What is remembered; beat ``n`` of the stretch is kept in row ``n % N_KNOWN``."""

SETUP: Final = np.dtype(
    [
        ("fs_hz", "f8"),
        ("n_mean", "i8"),
        ("n_block", "i8"),
        ("shape_late", "f8"),
        ("beat_late", "f8"),
        ("beat_weights", "f8", (N_FEATURES + 1,)),
        ("gap_weights", "f8", (N_FEATURES + 1,)),
        ("jitter_weights", "f8", (N_FEATURES + 1,)),
        ("window", "f8"),
        ("warm_up", "f8"),
        ("n_flat", "i8"),
        ("clipped_max", "f8"),
        ("n_beats_min", "i8"),
        ("quality_min", "f8"),
        ("quality_quiet_min", "f8"),
        ("quiet_max", "f8"),
        ("n_good_min", "i8"),
    ]
)


@kernel
def sort(values: NDArray[np.float64], n: int) -> None:
    """Sort the first ``n`` in place."""
    for i in range(1, n):
        value = values[i]
        j = i - 1
        while j >= 0 and values[j] > value:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = value


@kernel
def usual(values: NDArray[np.float64], n_beats: int) -> float:
    """Median over the recent beats, the lower of two."""
    n = min(n_beats, N_RECENT)
    recent = np.empty(N_RECENT)
    for k in range(n):
        recent[k] = values[(n_beats - 1 - k) % N_KNOWN]
    sort(recent, n)
    return float(recent[(n - 1) // 2])


@kernel
def log_ratio(value: float, reference: float, least: float) -> float:
    """Logarithm of a ratio that is no less than ``least``; 0 where there is nothing to compare."""
    if reference <= 0.0:
        return 0.0
    return math.log(max(value / reference, least))


@kernel
def highest(blocks: NDArray[np.float64], first: int, last: int) -> float:
    """Most energy of beats in some blocks on end from ``first`` to ``last``, this exclusive."""
    most = 0.0
    energy = 0.0
    for k in range(first, last):
        energy = 0.0
        for j in range(k, min(k + N_ON_END, last)):
            energy += blocks[j, BEAT_SQUARES]
        most = max(most, energy)
    return most


@kernel
def cut_shape(
    own: Record, how: Record, fine: NDArray[np.float64], i_fine: int, row: int, i_r: float
) -> None:
    """Keep the complex around ``i_r``, its mean removed, and how high it is."""
    n_mean = how["n_mean"]
    shape = own["shapes"][row]
    middle = (i_r + how["shape_late"] - 0.5 * (n_mean - 1)) / n_mean
    step = SHAPE_STEP_S * how["fs_hz"] / n_mean
    i_last = i_fine + fine.size - 1
    mean = 0.0
    low = math.inf
    high = -math.inf
    for k in range(N_SHAPE):
        at = min(max(middle + (k - N_SHAPE // 2) * step, float(i_fine)), float(i_last))
        j = int(at)
        rest = at - j
        value = fine[j - i_fine] * (1.0 - rest) + fine[min(j + 1, i_last) - i_fine] * rest
        shape[k] = value
        mean += value
        low = min(low, value)
        high = max(high, value)
    mean /= N_SHAPE
    squares = 0.0
    for k in range(N_SHAPE):
        shape[k] -= mean
        squares += shape[k] * shape[k]
    own["squares"][row] = squares
    own["heights"][row] = high - low


@kernel
def compare_shapes(own: Record, n: int) -> None:
    """Keep the two smallest distances of each beat from others, beat ``n`` being new.

    The distance is the squared difference over the sum of the squares of both: 0 for the same
    complex at the same height, 1 for what has nothing in common.
    """
    row = n % N_KNOWN
    distances = own["distances"]
    distances[row, 0] = 1.0
    distances[row, 1] = 1.0
    for k in range(max(0, n - N_KNOWN + 1), n):
        other = k % N_KNOWN
        product = 0.0
        for j in range(N_SHAPE):
            product += own["shapes"][row, j] * own["shapes"][other, j]
        both = own["squares"][row] + own["squares"][other]
        distance = 1.0 - 2.0 * product / both if both > 0.0 else 1.0
        for which in (row, other):
            if distance < distances[which, 0]:
                distances[which, 1] = distances[which, 0]
                distances[which, 0] = distance
            elif distance < distances[which, 1]:
                distances[which, 1] = distance


@kernel
def describe_interval(
    own: Record,
    how: Record,
    blocks: NDArray[np.float64],
    i_blocks: int,
    n: int,
) -> None:
    """Fill what beat ``n`` and the one before say by their distance and what lies between."""
    features = own["features"][n % N_KNOWN]
    i_rs = own["i_rs"]
    since = float(i_rs[(n - 1) % N_KNOWN])
    rr = float(i_rs[n % N_KNOWN]) - since
    fs_hz = float(how["fs_hz"])
    late = float(how["beat_late"])
    after = min(AFTER_BEAT_S * fs_hz, AFTER_SHARE * rr) + late
    before = min(BEFORE_BEAT_S * fs_hz, BEFORE_SHARE * rr) - late
    n_block = int(how["n_mean"] * how["n_block"])
    first = max(0, math.ceil((since + after) / n_block) - i_blocks)
    last = math.floor((since + rr - before) / n_block) - i_blocks
    last = min(last, blocks.shape[0])
    in_band = 0.0
    if first < last:
        squares = 0.0
        squares_in_band = 0.0
        for k in range(first, last):
            squares += blocks[k, SHAPE_SQUARES]
            squares_in_band += blocks[k, BEAT_SQUARES]
        n_fine = (last - first) * how["n_block"]
        height = usual(own["heights"], n + 1)
        features[NOISE] = log_ratio(math.sqrt(squares / n_fine), height, NOISE_MIN)
        in_band = log_ratio(math.sqrt(squares_in_band / n_fine), height, NOISE_MIN)
        most = highest(blocks, first, last)
        features[GAP] = log_ratio(most, usual(own["energies"], n + 1), RATIO_MIN)
        for k in range(first, last):
            if blocks[k, RAILED] > 0.0:
                features[GAP] = max(0.0, float(features[GAP]))
    # Else nothing lies between them, and all stay 0: as though all of it were noise.
    rise = QUIET_RISE_PER_S * min(rr / fs_hz, QUIET_RISE_S_MAX)
    own["quiet"] = min(own["quiet"] + rise, in_band)
    features[EXCESS] = in_band - own["quiet"]
    n_recent = min(n - 1, N_RECENT)
    recent = np.empty(N_RECENT)
    for k in range(n_recent):
        recent[k] = i_rs[(n - 1 - k) % N_KNOWN] - i_rs[(n - 2 - k) % N_KNOWN]
    sort(recent, n_recent)
    if n_recent > 0:
        middle = recent[(n_recent - 1) // 2]
        features[EARLY] = max(0.0, math.log(middle / rr))
        features[OVERDUE] = max(0.0, math.log(rr / middle))
        lower = recent[(n_recent - 1) // 4]
        upper = recent[n_recent - 1 - (n_recent - 1) // 4]
        features[VERY_EARLY] = max(0.0, math.log(lower / rr))
        features[VERY_OVERDUE] = max(0.0, math.log(rr / upper))


@kernel
def add_beat(
    own: Record,
    how: Record,
    fine: NDArray[np.float64],
    i_fine: int,
    blocks: NDArray[np.float64],
    i_blocks: int,
    i_r: float,
    certainty: float,
) -> None:
    """Remember the beat at ``i_r``, with what speaks against it."""
    n = int(own["n_beats"])
    row = n % N_KNOWN
    own["i_rs"][row] = i_r
    cut_shape(own, how, fine, i_fine, row, i_r)
    compare_shapes(own, n)
    n_block = int(how["n_mean"] * how["n_block"])
    late = float(how["beat_late"])
    beside = BESIDE_BEAT_S * float(how["fs_hz"])
    first = math.floor((i_r + late - beside) / n_block) - i_blocks
    last = math.ceil((i_r + late + beside) / n_block) - i_blocks
    own["energies"][row] = highest(blocks, max(0, first), min(last, blocks.shape[0]))
    features = own["features"][row]
    features[:] = 0.0
    features[DOUBT] = 1.0 - certainty
    energy = float(own["energies"][row])
    features[SMALL] = max(0.0, -log_ratio(energy, usual(own["energies"], n + 1), RATIO_MIN))
    if n > 0:
        describe_interval(own, how, blocks, i_blocks, n)
    own["n_beats"] = n + 1


@kernel
def likened(own: Record, n: int) -> NDArray[np.float64]:
    """Features of beat ``n``, UNLIKE being as it stands with all beats known so far."""
    row = n % N_KNOWN
    distance = own["distances"][row, 0 if own["n_beats"] < N_YOUNG else 1]
    features: NDArray[np.float64] = own["features"][row]
    features[UNLIKE] = 0.5 * math.log(min(max(distance, DISTANCE_MIN), 1.0))
    return features
