"""The loop of the beat classifier: cut out a beat, compare it with the shapes before it, judge.

A beat is cut out on a grid of 8 ms around its R peak, whatever the sampling rate. The shapes seen
so far are kept as a few templates; the one that is frequent, comes on time and is narrow among the
others is the dominant one, and the beats of it are normal for this person in this lead.

All of it stands in one file because the cache of compiled kernels looks at no other file than that
of the kernel that is called.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel

Floats = NDArray[np.float64]

GRID_S: Final = 0.008
"""Finer than the 40 Hz that hold the shape of a QRS complex need; coarse enough to average out
most of the mains hum within one step."""
N_BEAT: Final = 60
K_R: Final = 30
"""The R peak stands at this point of a beat: it reaches from -0.24 to +0.232 s."""
N_SHAPE: Final = 50
N_SHIFT: Final = 5
"""A template is -0.2 to +0.192 s around the R peak, and may be moved by 40 ms: in a wide beat any
of its peaks may be taken for R."""
N_SHIFTS: Final = 2 * N_SHIFT + 1
QRS_FIRST: Final = 13
QRS_END: Final = 46
"""The points of a template that compare shapes: -0.096 to +0.16 s, any QRS complex."""
T_FIRST: Final = 35
"""From here on, 0.08 s after R, a template shows the ST segment and the T wave."""
N_TEMPLATES: Final = 8
N_RR: Final = 12
N_STRANGE: Final = 8
N_PARTS: Final = 3
N_FEATURES: Final = 9

BEAT_CLASS_DTYPE: Final = np.dtype(
    [
        ("i_next", "i8"),
        ("i_start", "i8"),
        ("n_block", "i8"),
        ("sum_block", "f8"),
        ("n_blocks", "i8"),
        ("i_r_last", "f8"),
        ("rr", "f8", (N_RR,)),
        ("n_rr", "i8"),
        ("spread", "f8"),
        ("usual", "f8", (N_PARTS,)),
        ("normal_before", "i8"),
        ("dominant", "i8"),
        ("templates", "f8", (N_TEMPLATES, N_SHAPE)),
        ("n_seen", "i8", (N_TEMPLATES,)),
        ("weight", "f8", (N_TEMPLATES,)),
        ("early", "f8", (N_TEMPLATES,)),
        ("surprise", "f8", (N_TEMPLATES,)),
        ("width", "f8", (N_TEMPLATES,)),
        ("spikes", "f8", (N_TEMPLATES,)),
        ("strange", "f8", (N_STRANGE,)),
        ("n_strange", "i8"),
        ("features", "f8", (N_FEATURES,)),
        ("logit", "f8"),
    ]
)
"""What ``classify_beats`` remembers. ``features`` and ``logit`` are those of the last beat."""

READY_S: Final = 0.25
"""Samples behind the R peak that a beat needs."""

_NORMAL: Final = 1
_VENTRICULAR: Final = 5
_PACED: Final = 12
_UNKNOWN: Final = 13

_SHAPES_ALIKE: Final = 0.3
"""Largest distance (`_best_shift`) of a beat from the template that it joins: a correlation of 0.85
at the same amplitude."""
_DISTANCE_MAX: Final = 2.0
_DISORDER_MAX: Final = 0.12
"""A correlation of 0.94 at the same amplitude: less than that with any shape known, in half of the
last eight beats, is noise."""
_FAMILIAR_MAX: Final = 0.08
"""A beat that is nearer than this to a shape may be ventricular even in noise."""
_MEMORY: Final = 1.0 - 1.0 / 256.0
"""Of a template's weight, per beat: some minutes."""
_N_MEAN: Final = 16
"""A template is the mean of so many beats, the older ones counting less."""
_N_USUAL: Final = 32.0
"""Beats of the dominant shape over which its usual differences are averaged."""
_WEIGHT_KNOWN: Final = 3.0
"""Beats until a shape can be the dominant one: until then nothing is known."""
_EARLY_MAX: Final = 0.7
_LATE_MAX: Final = 0.5
_WIDER_MAX: Final = 0.7
_SPREAD_MIN: Final = 0.02
"""Shares of the reference interval, and the logarithm of a ratio of widths: beyond these, more
says no more."""
_N_SPIKES_MIN: Final = 3
_SPIKES_PACED: Final = 0.5
"""A shape is a paced one when, of at least three beats, half begin with a spike."""
_SPIKE_REACH_S: Final = 0.012
_SPIKE_WIDTH_S: Final = 0.014
"""At half its height. A pacing pulse lasts 2 ms at most, and the 40 Hz low-pass of a monitor
stretches it to 12 ms; no R wave is that thin."""
_SPIKE_SHARP: Final = 0.6
"""The part of its height by which a spike stands above the line between its two sides."""
_SPIKE_BEHIND: Final = 0.25
"""Of its height: the mean deflection in the tenth of a second behind it. A spike is followed by a
wide complex; a thin R wave by little."""
_SPIKE_UV_MIN: Final = 100.0


@kernel
def _at(ring: Floats, i: int, lap: int) -> float:
    """Value ``i`` of those that the ring still holds; ``lap`` is the one at its first place."""
    k = i - lap
    value: float = ring[k if k >= 0 else k + ring.size]
    return value


@kernel
def _cut_out(ring: Floats, n_blocks: int, position: float, step: float, beat: Floats) -> None:
    """Fill the 8 ms grid of a beat without its level and slope; in samples of the ring."""
    lap = n_blocks - n_blocks % ring.size
    first = float(max(0, n_blocks - ring.size))
    for k in range(N_BEAT):
        total = 0.0
        for part in range(-1, 2):
            at = min(max(position + (k - K_R + part / 3.0) * step, first), n_blocks - 1.0)
            i = int(at)
            left = _at(ring, i, lap)
            right = _at(ring, min(i + 1, n_blocks - 1), lap)
            total += left + (at - i) * (right - left)
        beat[k] = total / 3.0
    mean = 0.0
    slope = 0.0
    spread = 0.0
    for k in range(N_BEAT):
        off = k - 0.5 * (N_BEAT - 1)
        mean += beat[k]
        slope += off * beat[k]
        spread += off * off
    mean /= N_BEAT
    slope /= spread
    for k in range(N_BEAT):
        beat[k] -= mean + slope * (k - 0.5 * (N_BEAT - 1))


@kernel
def _width(beat: Floats) -> float:
    """Area of the complex over its height, in steps of the grid."""
    level = (beat[K_R - 17] + beat[K_R - 16] + beat[K_R - 15] + beat[K_R - 14]) / 4.0
    top = 1e-9
    area = 1e-9
    for k in range(K_R - 12, K_R + 15):
        height = abs(beat[k] - level)
        area += height
        top = max(top, height)
    return area / top


@kernel
def _begins_with_spike(ring: Floats, n_blocks: int, position: float, fs_ring_hz: float) -> bool:
    """Find one thin deflection, far sharper than all else, with a wide complex behind it."""
    lap = n_blocks - n_blocks % ring.size
    n_reach = max(1, round(_SPIKE_REACH_S * fs_ring_hz))
    i_r = round(position)
    i_first = i_r - int(0.2 * fs_ring_hz)
    i_end = i_r + int(0.2 * fs_ring_hz)
    if i_first - n_reach < max(0, n_blocks - ring.size) or i_end + n_reach >= n_blocks:
        return False
    best = 0.0
    i_best = 0
    for i in range(i_r - int(0.12 * fs_ring_hz), i_r + int(0.05 * fs_ring_hz)):
        bend = _at(ring, i, lap) - 0.5 * (_at(ring, i - n_reach, lap) + _at(ring, i + n_reach, lap))
        if abs(bend) > abs(best):
            best = bend
            i_best = i
    if abs(best) < _SPIKE_UV_MIN:
        return False
    away = 2 * n_reach + 1
    for i in range(i_first, i_end):
        if abs(i - i_best) > away:
            bend = _at(ring, i, lap) - 0.5 * (
                _at(ring, i - n_reach, lap) + _at(ring, i + n_reach, lap)
            )
            if abs(bend) > abs(best) / 3.0:
                return False
    n_level = int(0.06 * fs_ring_hz)
    level = 0.0
    for i in range(i_best - away - n_level, i_best - away):
        level += _at(ring, max(i, i_first - n_reach), lap)
    level /= n_level
    height = _at(ring, i_best, lap) - level
    if height * best <= 0.0 or abs(best) < _SPIKE_SHARP * abs(height) or abs(best) > abs(height):
        return False
    n_thick = 0
    for i in range(i_best - away, i_best + away + 1):
        if 2.0 * (_at(ring, i, lap) - level) / height > 1.0:
            n_thick += 1
    if n_thick > _SPIKE_WIDTH_S * fs_ring_hz:
        return False
    behind = 0.0
    n_behind = int(0.1 * fs_ring_hz)
    for i in range(i_best + away, i_best + away + n_behind):
        behind += abs(_at(ring, min(i, n_blocks - 1), lap) - level)
    return behind > _SPIKE_BEHIND * n_behind * abs(best)


@kernel
def _powers(beat: Floats, scratch: Floats) -> None:
    """Fill ``scratch[0]``: the power of the complex about its mean, at each shift."""
    n = QRS_END - QRS_FIRST
    for shift in range(N_SHIFTS):
        total = 0.0
        power = 1e-9
        for k in range(QRS_FIRST, QRS_END):
            height = beat[shift + k]
            total += height
            power += height * height
        scratch[0, shift] = power - total * total / n


@kernel
def _best_shift(beat: Floats, template: Floats, scratch: Floats) -> tuple[float, int]:
    """Return the smallest distance of the beat from the template over the shifts, and the shift.

    The distance is ``a + 1/a - 2 r`` of the ratio of their amplitudes a and their correlation r: 0
    is the same. ``scratch[0]`` is as `_powers` fills it; the products of all shifts grow together,
    which is several times faster than one after the other.
    """
    mean = 0.0
    for k in range(QRS_FIRST, QRS_END):
        mean += template[k]
    mean /= QRS_END - QRS_FIRST
    for shift in range(N_SHIFTS):
        scratch[1, shift] = 0.0
    power = 1e-9
    for k in range(QRS_FIRST, QRS_END):
        height = template[k] - mean
        power += height * height
        for shift in range(N_SHIFTS):
            scratch[1, shift] += height * beat[shift + k]
    best = 1e30
    best_shift = 0
    for shift in range(N_SHIFTS):
        of_beat = max(scratch[0, shift], 1e-9)
        distance = (of_beat + power - 2.0 * scratch[1, shift]) / math.sqrt(of_beat * power)
        if distance < best:
            best = distance
            best_shift = shift - N_SHIFT
    return best, best_shift


@kernel
def _differences(beat: Floats, template: Floats, shift: int, features: Floats) -> None:
    """Fill features 6..8: the difference behind the complex, before it and in it.

    Each is a root of energies, that of the difference over itself and the whole template: 0..1.
    """
    mean_b = 0.0
    mean_t = 0.0
    for k in range(N_SHAPE):
        mean_b += beat[N_SHIFT + shift + k]
        mean_t += template[k]
    mean_b /= N_SHAPE
    mean_t /= N_SHAPE
    whole = 1e-9
    before = 0.0
    within = 0.0
    behind = 0.0
    for k in range(N_SHAPE):
        t = template[k] - mean_t
        difference = beat[N_SHIFT + shift + k] - mean_b - t
        whole += t * t
        if k < QRS_FIRST:
            before += difference * difference
        elif k < T_FIRST:
            within += difference * difference
        else:
            behind += difference * difference
    features[6] = math.sqrt(behind / (whole + behind))
    features[7] = math.sqrt(before / (whole + before))
    features[8] = math.sqrt(within / (whole + within))


@kernel
def _against_usual(usual: Floats, features: Floats, dominant: bool) -> None:  # noqa: FBT001
    """Measure the differences by those that beats of the dominant shape have in this signal.

    The same difference is much in a clean signal and nothing in a noisy one.
    """
    for part in range(N_PARTS):
        difference = features[6 + part]
        features[6 + part] = difference / (difference + 2.0 * usual[part])
        if dominant:
            usual[part] += (difference - usual[part]) / _N_USUAL


@kernel
def _reference_rr(rr: Floats, n_rr: int) -> float:
    """Mean of the last intervals, pauses cut at one and a half of their plain mean; 0: none yet."""
    n = min(n_rr, N_RR)
    total = 0.0
    for k in range(n):
        total += rr[k]
    longest = 1.5 * total / max(1, n)
    total = 0.0
    for k in range(n):
        total += min(rr[k], longest)
    return total / max(1, n)


@kernel
def _dominant(weight: Floats, early: Floats, width: Floats) -> int:
    """Return the frequent shape that comes on time and is narrow; -1: none is known well."""
    total = 0.0
    narrowest = 1e9
    for c in range(N_TEMPLATES):
        total += weight[c]
    least = max(_WEIGHT_KNOWN, 0.1 * total)
    for c in range(N_TEMPLATES):
        if weight[c] >= least:
            narrowest = min(narrowest, width[c])
    best = -1
    best_score = 0.0
    for c in range(N_TEMPLATES):
        if weight[c] >= least:
            thin = narrowest / width[c]
            score = weight[c] * math.exp(-6.0 * early[c]) * thin * thin
            if score > best_score:
                best_score = score
                best = c
    return best


@kernel
def _join(state: Record, beat: Floats, scratch: Floats) -> int:
    """Find the template that the beat belongs to, or begin one in the place of the rarest."""
    s = state[0]
    templates = s["templates"]
    weight = s["weight"]
    n_seen = s["n_seen"]
    _powers(beat, scratch)
    nearest = -1
    nearest_distance = _DISTANCE_MAX
    shift = 0
    for c in range(N_TEMPLATES):
        weight[c] *= _MEMORY
        if n_seen[c] > 0:
            distance, moved = _best_shift(beat, templates[c], scratch)
            if distance <= nearest_distance:
                nearest_distance = distance
                nearest = c
                shift = moved
    s["strange"][s["n_strange"] % N_STRANGE] = nearest_distance
    s["n_strange"] += 1
    if nearest_distance > _SHAPES_ALIKE:
        shift = 0
        nearest = 0
        for c in range(1, N_TEMPLATES):
            if weight[c] < weight[nearest]:
                nearest = c
        weight[nearest] = 0.0
        n_seen[nearest] = 0
        s["early"][nearest] = 0.0
        s["surprise"][nearest] = 0.0
    weight[nearest] += 1.0
    n_seen[nearest] += 1
    rate = 1.0 / min(n_seen[nearest], _N_MEAN)
    for k in range(N_SHAPE):
        templates[nearest, k] += rate * (beat[N_SHIFT + shift + k] - templates[nearest, k])
    return nearest


@kernel
def _disorder(strange: Floats, n_strange: int) -> float:
    """Distance that half of the last beats had from the nearest shape; in noise it is large."""
    n = min(n_strange, N_STRANGE)
    best = _DISTANCE_MAX
    for i in range(n):
        n_below = 0
        for j in range(n):
            if strange[j] <= strange[i]:
                n_below += 1
        if 2 * n_below >= n:
            best = min(best, strange[i])
    return best


@kernel
def _take_interval(state: Record, i_r: float, fs_hz: float) -> float:
    """Return how early the beat is, as a share of the reference interval; 2: not known yet."""
    s = state[0]
    rr = s["rr"]
    early = 2.0
    if s["i_r_last"] >= 0.0:
        interval = (i_r - s["i_r_last"]) / fs_hz
        reference = _reference_rr(rr, s["n_rr"])
        if reference > 0.0:
            early = min(max(1.0 - interval / reference, -_LATE_MAX), _EARLY_MAX)
        for k in range(N_RR - 1, 0, -1):
            rr[k] = rr[k - 1]
        rr[0] = interval
        s["n_rr"] += 1
    s["i_r_last"] = i_r
    return early


@kernel
def _classify(
    state: Record,
    beat: Floats,
    scratch: Floats,
    i_r: float,
    fs_hz: float,
    spike: float,
    weights: Floats,
) -> int:
    """Put the beat among the shapes, and judge it."""
    s = state[0]
    early = _take_interval(state, i_r, fs_hz)
    timed = early < 1.0
    if not timed:
        early = 0.0
    surprise = early / math.sqrt(early * early + 4.0 * s["spread"] * s["spread"])
    c = _join(state, beat, scratch)
    rate = 1.0 / min(s["n_seen"][c], _N_MEAN)
    width = _width(beat)
    if s["n_seen"][c] == 1:
        s["width"][c] = width
        s["spikes"][c] = spike
    s["width"][c] += rate * (width - s["width"][c])
    s["spikes"][c] += rate * (spike - s["spikes"][c])
    if timed:
        s["early"][c] += rate * (early - s["early"][c])
        s["surprise"][c] += rate * (surprise - s["surprise"][c])

    d = _dominant(s["weight"], s["early"], s["width"])
    s["dominant"] = d
    if d < 0:
        return _UNKNOWN
    features = s["features"]
    usual = s["width"][d]
    features[0] = surprise
    features[1] = s["surprise"][c]
    features[2] = s["early"][c]
    features[3] = -math.log(min(1.0, s["weight"][c] / s["weight"][d]))
    features[4] = min(max(math.log(width / usual), 0.0), _WIDER_MAX)
    features[5] = min(max(math.log(s["width"][c] / usual), 0.0), _WIDER_MAX)
    _distance, shift = _best_shift(beat, s["templates"][d], scratch)
    _differences(beat, s["templates"][d], shift, features)
    _against_usual(s["usual"], features, c == d)
    logit = weights[0]
    for k in range(N_FEATURES):
        logit += weights[k + 1] * features[k]
    s["logit"] = logit

    restless = _disorder(s["strange"], s["n_strange"]) > _DISORDER_MAX
    strange = s["strange"][(s["n_strange"] - 1) % N_STRANGE]
    if spike > 0.0 and s["n_seen"][c] >= _N_SPIKES_MIN and s["spikes"][c] >= _SPIKES_PACED:
        beat_class = _PACED
    elif logit > 0.0:
        # In noise every artefact is a shape of its own.
        beat_class = _UNKNOWN if restless and strange > _FAMILIAR_MAX else _VENTRICULAR
    else:
        beat_class = _UNKNOWN if restless and strange > _SHAPES_ALIKE else _NORMAL
    normal = logit <= 0.0
    if normal and s["normal_before"] == 1 and timed:
        s["spread"] += (max(_SPREAD_MIN, abs(early)) - s["spread"]) / 16.0
    s["normal_before"] = 1 if normal else 0
    return beat_class


@kernel
def _push(
    state: Record, ring: Floats, chunk: Floats, first: int, end: int, n_per_block: int
) -> None:
    """Put the means of blocks of samples into the ring."""
    s = state[0]
    s["i_next"] += end - first
    if n_per_block == 1:
        n_old = max(0, end - first - ring.size)
        at = (s["n_blocks"] + n_old) % ring.size
        for n in range(first + n_old, end):
            ring[at] = chunk[n]
            at = at + 1 if at + 1 < ring.size else 0
        s["n_blocks"] += end - first
        return
    total = s["sum_block"]
    n_block = s["n_block"]
    n_blocks = s["n_blocks"]
    at = n_blocks % ring.size
    for n in range(first, end):
        total += chunk[n]
        n_block += 1
        if n_block == n_per_block:
            ring[at] = total / n_per_block
            total = 0.0
            n_block = 0
            n_blocks += 1
            at = at + 1 if at + 1 < ring.size else 0
    s["sum_block"] = total
    s["n_block"] = n_block
    s["n_blocks"] = n_blocks


@kernel
def classify_beats(
    state: Record,
    ring: Floats,
    beat: Floats,
    scratch: Floats,
    chunk: Floats,
    i_rs: Floats,
    fs_hz: float,
    n_per_block: int,
    weights: Floats,
    classes: NDArray[np.int64],
) -> None:
    """Go through the samples; judge each beat when the quarter of a second behind it is there.

    ``ring`` keeps means of ``n_per_block`` samples; ``beat`` and ``scratch`` are room for
    ``N_BEAT`` and ``(2, N_SHIFTS)``; ``classes`` is filled, one for each of ``i_rs``. Beats for
    which samples are still missing at the end of the chunk are judged by what is there.
    """
    s = state[0]
    fs_ring_hz = fs_hz / n_per_block
    n_ready = READY_S * fs_hz
    n = 0
    for b in range(i_rs.size):
        missing = math.ceil(i_rs[b] + n_ready) - s["i_next"]
        end = int(min(max(n + missing, n), chunk.size))
        _push(state, ring, chunk, n, end, n_per_block)
        n = end
        classes[b] = _UNKNOWN
        if s["n_blocks"] > 0:
            position = (i_rs[b] - s["i_start"] - 0.5 * (n_per_block - 1)) / n_per_block
            _cut_out(ring, s["n_blocks"], position, GRID_S * fs_ring_hz, beat)
            spike = 1.0 if _begins_with_spike(ring, s["n_blocks"], position, fs_ring_hz) else 0.0
            classes[b] = _classify(state, beat, scratch, i_rs[b], fs_hz, spike, weights)
    _push(state, ring, chunk, n, chunk.size, n_per_block)
