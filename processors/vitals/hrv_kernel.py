"""Kernels of the heart rate variability: verdict on an interval, spectrum, entropy, scaling."""

import math

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

N_AHEAD = 5
"""Intervals on each side that make the local level: with the one judged, eleven, two to three
breaths; and what a verdict waits for."""
N_SPREAD = 91
"""Intervals whose differences make the limit (Lipponen and Tarvainen)."""
N_RING = 128
"""A power of two above N_SPREAD + N_AHEAD."""

SPREAD_FACTOR = 4.0
"""Times the median absolute difference: 2.7 standard deviations of normally distributed ones."""
N_SPREAD_MIN = 20
"""Fewer differences have no spread worth the name."""
SHARE_UNKNOWN = 0.2
"""Threshold, as a share of the local level, until the differences are known (Malik)."""
SHARE_MIN = 0.1
"""What an R peak off by some samples and the sinus node's own jitter make is no artefact."""
SHARE_MAX = 0.5
"""However irregular the rhythm: a missed beat adds a whole interval to one."""
SHARE_WHOLE = 0.25
"""How near to one (two, three) whole intervals a split (a missed beat) must come."""
N_LEVEL_MIN = 3
"""Intervals that make a local level, at least."""

NN = 0
ECTOPIC_BEAT = 1
POOR_BEAT = 2
OUT_OF_BOUNDS = 3
PREMATURE = 4
MISSED_BEAT = 5
EXTRA_BEAT = 6
LATE = 7
UNSETTLED = 8
UNDECIDED = -1

JUDGE = np.dtype(
    [
        ("n_seen", "i8"),
        ("n_decided", "i8"),
        ("interval_s", "f8", (N_RING,)),
        ("kind", "i8", (N_RING,)),
        ("step_s", "f8", (N_RING,)),
        ("has_step", "i8", (N_RING,)),
    ]
)
"""``step_s``: absolute difference to the candidate before, where there was one near."""


@kernel
def push_interval(state: Record, interval_s: float, kind: int) -> None:
    """Take the next interval of a stretch; ``kind`` is what its two beats already say of it."""
    s = state[0]
    i = s["n_seen"]
    at = i % N_RING
    s["interval_s"][at] = interval_s
    s["kind"][at] = kind
    s["has_step"][at] = 0
    s["step_s"][at] = 0.0
    if kind == NN:
        for back in range(1, min(i, N_AHEAD) + 1):
            before = (i - back) % N_RING
            if s["kind"][before] == NN:
                s["step_s"][at] = abs(interval_s - s["interval_s"][before])
                s["has_step"][at] = 1
                break
    s["n_seen"] = i + 1


@kernel
def decide_interval(state: Record, n_ahead: int) -> int:
    """Give the verdict on the oldest undecided interval, or UNDECIDED.

    It waits until ``n_ahead`` intervals have followed; 0 decides with what there is.
    """
    s = state[0]
    i = s["n_decided"]
    n = s["n_seen"]
    if i + n_ahead >= n:
        return UNDECIDED
    s["n_decided"] = i + 1
    at = i % N_RING
    if s["kind"][at] != NN:
        return int(s["kind"][at])
    x_s = s["interval_s"][at]

    near = np.empty(2 * N_AHEAD + 1)
    n_near = 0
    for j in range(max(0, i - N_AHEAD), min(n, i + N_AHEAD + 1)):
        if s["kind"][j % N_RING] == NN:
            near[n_near] = s["interval_s"][j % N_RING]
            n_near += 1
    if n_near < N_LEVEL_MIN:
        return UNSETTLED
    near[:n_near].sort()
    level_s = 0.5 * (near[(n_near - 1) // 2] + near[n_near // 2])

    # Within the smallest limit that there can be: the same verdict, without the spread.
    plain = abs(x_s - level_s) <= SHARE_MIN * level_s
    if plain and i + 1 < n:
        plain = s["interval_s"][(i + 1) % N_RING] >= (1.0 - SHARE_MIN) * level_s
    if plain and i > 0:
        plain = s["kind"][(i - 1) % N_RING] != OUT_OF_BOUNDS
    if plain:
        return NN

    steps = np.empty(N_SPREAD)
    n_steps = 0
    for j in range(max(0, n - N_SPREAD), n):
        if s["has_step"][j % N_RING] == 1:
            steps[n_steps] = s["step_s"][j % N_RING]
            n_steps += 1
    limit_s = SHARE_UNKNOWN * level_s
    if n_steps >= N_SPREAD_MIN:
        steps[:n_steps].sort()
        limit_s = SPREAD_FACTOR * steps[(n_steps - 1) // 2]
        limit_s = min(max(limit_s, SHARE_MIN * level_s), SHARE_MAX * level_s)

    tight_s = min(limit_s, SHARE_WHOLE * level_s)

    # Out of a pair that makes one normal interval, a beat between the two is no beat.
    if i + 1 < n:
        after_s = s["interval_s"][(i + 1) % N_RING]
        if abs(x_s + after_s - level_s) < tight_s and min(x_s, after_s) < level_s - limit_s:
            if s["kind"][(i + 1) % N_RING] == NN:
                s["kind"][(i + 1) % N_RING] = EXTRA_BEAT
            s["kind"][at] = EXTRA_BEAT
            return EXTRA_BEAT
    if i > 0:
        before_s = s["interval_s"][(i - 1) % N_RING]
        if s["kind"][(i - 1) % N_RING] == OUT_OF_BOUNDS and abs(x_s + before_s - level_s) < tight_s:
            s["kind"][at] = EXTRA_BEAT
            return EXTRA_BEAT

    off_s = x_s - level_s
    if abs(off_s) <= limit_s:
        return NN
    side = 1.0 if off_s > 0.0 else -1.0
    apart_s = 2.0 * limit_s  # a stretch that begins or ends with it: only its own size counts
    alone = False
    for step in (-1, 1):
        j = i + step
        alone = True
        while max(0, i - N_AHEAD) <= j < min(n, i + N_AHEAD + 1):
            if s["kind"][j % N_RING] == NN:
                apart_s = min(apart_s, side * (x_s - s["interval_s"][j % N_RING]))
                alone = False
                break
            j += step
        if alone:
            break
    stands_out = not alone and apart_s > limit_s
    if abs(off_s) <= 2.0 * limit_s and not stands_out:
        return NN
    if off_s < 0.0:
        s["kind"][at] = PREMATURE
        # The interval behind a premature beat starts at it: a pause, or a sinus node reset.
        if i + 1 < n and s["kind"][(i + 1) % N_RING] == NN:
            s["kind"][(i + 1) % N_RING] = PREMATURE
        return PREMATURE
    s["kind"][at] = LATE
    for n_whole in range(2, 4):
        if abs(x_s - n_whole * level_s) < SHARE_WHOLE * level_s:
            s["kind"][at] = MISSED_BEAT
    return int(s["kind"][at])


@kernel
def judge_interval(state: Record, interval_s: float, kind: int) -> int:
    """Take the next interval, and give the verdict on the one ``N_AHEAD`` before it."""
    push_interval(state, interval_s, kind)
    return decide_interval(state, N_AHEAD)


@kernel
def lomb_scargle(t_s: Floats, x: Floats, step_hz: float, n_steps: int) -> Floats:
    """Give Lomb's periodogram at ``step_hz``, 2 ``step_hz``, ..., ``n_steps`` ``step_hz``.

    It is half of what the best fit of a sine and a cosine takes away from the sum of squares: the
    value that Lomb's time shift gives, got from the normal equations. The angle goes from one
    frequency to the next by a rotation.
    """
    sums = np.zeros((5, n_steps))
    for i in range(t_s.size):
        angle = 2.0 * math.pi * step_hz * t_s[i]
        turn_c = math.cos(angle)
        turn_s = math.sin(angle)
        c = 1.0
        s = 0.0
        for k in range(n_steps):
            c, s = c * turn_c - s * turn_s, s * turn_c + c * turn_s
            sums[0, k] += c * c
            sums[1, k] += s * s
            sums[2, k] += c * s
            sums[3, k] += x[i] * c
            sums[4, k] += x[i] * s
    power = np.zeros(n_steps)
    for k in range(n_steps):
        cc, ss, cs, xc, xs = sums[0, k], sums[1, k], sums[2, k], sums[3, k], sums[4, k]
        scale = cc * ss - cs * cs
        if scale > 1e-9 * t_s.size * t_s.size:
            power[k] = 0.5 * (xc * xc * ss + xs * xs * cc - 2.0 * xc * xs * cs) / scale
        else:  # at half of an even sampling rate sine and cosine are one function
            power[k] = 0.5 * (xc * xc + xs * xs) / (cc + ss)
    return power


@kernel
def count_matches(x: Floats, follows: Ints, m: int, r: float) -> tuple[int, int]:
    """Count the pairs of templates of ``m`` values no further apart than ``r``, and of ``m + 1``.

    A template of ``m + 1`` values, each following the one before it, stands for both counts.
    """
    n = x.size - m
    whole = np.zeros(max(0, n), np.int64)
    for i in range(n):
        whole[i] = 1
        for j in range(1, m + 1):
            if follows[i + j] == 0:
                whole[i] = 0
    n_short = 0
    n_long = 0
    for i in range(n):
        if whole[i] == 0:
            continue
        for j in range(i + 1, n):
            if whole[j] == 0:
                continue
            near = True
            for k in range(m):
                if abs(x[i + k] - x[j + k]) > r:
                    near = False
                    break
            if near:
                n_short += 1
                if abs(x[i + m] - x[j + m]) <= r:
                    n_long += 1
    return n_short, n_long


BOX_FIELDS = 6
"""Of one scale: values in the box, level, profile, and sums of profile, of place times profile, and
of profile squared."""


@kernel
def fill_boxes(
    x: Floats, follows: Ints, n_min: int, boxes: Floats, residual: Floats, n_boxes: Ints
) -> None:
    """Take the next values into the boxes of detrended fluctuation analysis.

    Scale ``k`` has boxes of ``n_min + k`` values, end to end; a value that does not follow the one
    before it begins new ones. A full box adds its squared distance from its own straight line to
    ``residual`` and is counted in ``n_boxes``. What a constant added to all values makes of the
    profile is a straight line in each box: so the level may be any, and boxes need no common mean.
    """
    for i in range(x.size):
        for k in range(boxes.shape[0]):
            box = boxes[k]
            n = n_min + k
            if follows[i] == 0 or box[0] == n:
                box[0] = 0.0
            if box[0] == 0.0:
                box[1] = x[i]
                for field in range(2, BOX_FIELDS):
                    box[field] = 0.0
            place = box[0] - 0.5 * (n - 1)
            box[0] += 1.0
            box[2] += x[i] - box[1]
            box[3] += box[2]
            box[4] += place * box[2]
            box[5] += box[2] * box[2]
            if box[0] == n:
                spread = n * (n * n - 1.0) / 12.0
                left = box[5] - box[3] * box[3] / n - box[4] * box[4] / spread
                residual[k] += max(0.0, left)
                n_boxes[k] += 1
