"""Loops of the ECG quality: how good each beat, each interval and each second is.

Times are in samples since the start of the stretch; fine samples and blocks are those of
``ecg_blocks_kernel``.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel
from processors.vitals.ecg_beats_kernel import (
    N_FEATURES,
    N_KNOWN,
    NOISE,
    add_beat,
    likened,
    sort,
)
from processors.vitals.ecg_blocks_kernel import FLAT, RAILED

OF_BEAT, OF_INTERVAL, N_OF_BEAT = N_FEATURES, N_FEATURES + 1, N_FEATURES + 2
"""Behind them: quality of the beat, and of the interval that it ends."""
SCORE_MAX: Final = 30.0
"""From here on the logarithm is the score itself, to the last bit."""
RATE, INTERVAL, VERDICT, N_OF_SECOND = range(4)
"""Columns of a second."""
GOOD, LEAD_OFF, RAIL, BACK, WARMING_UP, CLIPPED, TOO_FEW, POOR = range(8)
"""Verdicts on a second."""
N_LAST: Final = 3
"""Beats before which the present noise is looked for."""


@kernel
def cost(features: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Minus the logarithm of the probability that a logistic function gives."""
    score = float(weights[N_FEATURES])
    for k in range(N_FEATURES):
        score += float(weights[k] * features[k])
    if score > SCORE_MAX:
        return score
    return math.log(1.0 + math.exp(score))


@kernel
def noise_level(noises: NDArray[np.float64], n: int) -> float:
    """Give the noise of the window or of its last beats, whichever is higher; newest first."""
    n_last = min(n, N_LAST)
    last = 0.0
    for k in range(n_last):
        last += noises[k] / n_last
    sort(noises, n)
    return max(last, float(noises[n // 2]))


@kernel
def connection(how: Record, blocks: NDArray[np.float64], first: int, last: int) -> int:
    """Tell whether the lead is off, at the rail, was there too often, or is none of these."""
    if last > first and blocks[last - 1, FLAT] == 1.0:
        return LEAD_OFF
    railed = 0.0
    n_on_end = 0
    for k in range(first, last):
        railed += blocks[k, RAILED]
        n_on_end = n_on_end + 1 if blocks[k, RAILED] == 1.0 else 0
    if n_on_end >= how["n_flat"]:
        return RAIL
    return CLIPPED if railed > how["clipped_max"] * (last - first) else GOOD


@kernel
def judge_second(
    own: Record,
    how: Record,
    blocks: NDArray[np.float64],
    i_blocks: int,
    end: float,
    said: NDArray[np.float64],
) -> None:
    """Say how good the window before ``end`` is for a rate and for intervals."""
    n_block = int(how["n_mean"] * how["n_block"])
    last = min(int(end) // n_block - i_blocks, blocks.shape[0])
    first = max(0, math.floor((end - float(how["window"])) / n_block) - i_blocks)
    verdict = connection(how, blocks, first, last)
    said[RATE] = 0.0
    said[INTERVAL] = 0.0
    if verdict != GOOD:
        own["n_good"] = 0
    if own["is_off"] == 1 and verdict in (GOOD, CLIPPED):
        verdict = BACK  # the step at its return looks like a beat
    said[VERDICT] = verdict
    own["is_off"] = verdict in (LEAD_OFF, RAIL)
    if verdict in (LEAD_OFF, RAIL, BACK):
        own["n_beats"] = 0
        return
    if end < how["warm_up"]:
        said[VERDICT] = WARMING_UP
        return
    if verdict == CLIPPED:
        return
    n_beats = int(own["n_beats"])
    n_seen = 0
    against_rate = 0.0
    interval_quality = 0.0
    against_interval = 0.0
    noises = np.empty(N_KNOWN)
    n_noises = 0
    for n in range(n_beats - 1, max(-1, n_beats - N_KNOWN - 1), -1):
        features = likened(own, n)
        noises[n_noises] = features[NOISE]
        n_noises += 1
        against_rate += cost(features, how["beat_weights"])
        against_beat = cost(features, how["jitter_weights"])
        if n_seen > 0:
            interval_quality += math.exp(-against_interval - against_beat)
        if own["i_rs"][n % N_KNOWN] < end - how["window"]:
            break  # begins the first interval of the window, and ends none of its own
        against_gap = cost(features, how["gap_weights"]) if n > 0 else 0.0
        against_rate += against_gap
        against_interval = against_beat + against_gap
        n_seen += 1
    if n_seen < how["n_beats_min"]:
        said[VERDICT] = TOO_FEW
        return
    said[RATE] = math.exp(-against_rate)
    said[INTERVAL] = interval_quality / n_seen
    quiet = noise_level(noises, n_noises) <= how["quiet_max"]
    quality_min = how["quality_quiet_min"] if quiet else how["quality_min"]
    own["n_good"] = own["n_good"] + 1 if said[RATE] >= quality_min else 0
    if own["n_good"] < how["n_good_min"]:
        said[VERDICT] = POOR


@kernel
def judge(
    memory: Record,
    setup: Record,
    fine: NDArray[np.float64],
    i_fine: int,
    blocks: NDArray[np.float64],
    i_blocks: int,
    beats: NDArray[np.float64],
    ends: NDArray[np.int64],
    of_beats: NDArray[np.float64],
    of_seconds: NDArray[np.float64],
) -> None:
    """Take ``beats`` (rows of index and certainty) and judge each of them and each of ``ends``.

    ``ends`` are rows of a sample index and the number of beats before it. ``fine`` begins with
    number ``i_fine`` of the stretch, ``blocks`` with ``i_blocks``.
    """
    own = memory[0]
    how = setup[0]
    i_start = own["i_start"]
    n = 0
    for m in range(ends.shape[0] + 1):
        n_before = ends[m, 1] if m < ends.shape[0] else beats.shape[0]
        while n < n_before:
            i_r = beats[n, 0] - i_start
            add_beat(own, how, fine, i_fine, blocks, i_blocks, i_r, beats[n, 1])
            n_beats = int(own["n_beats"])
            features = likened(own, n_beats - 1)
            of_beats[n, :N_FEATURES] = features
            against = cost(features, how["jitter_weights"])
            of_beats[n, OF_BEAT] = math.exp(-against)
            if n_beats > 1:
                against += cost(features, how["gap_weights"])
                against += cost(own["features"][(n_beats - 2) % N_KNOWN], how["jitter_weights"])
            of_beats[n, OF_INTERVAL] = math.exp(-against) if n_beats > 1 else 0.0
            n += 1
        if m < ends.shape[0]:
            end = float(ends[m, 0] - i_start)
            judge_second(own, how, blocks, i_blocks, end, of_seconds[m])
