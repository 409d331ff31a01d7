"""The loop of the beat classifier: cut out a beat, compare it with the shapes before it, judge.

A beat is cut out on a grid of 8 ms around its R peak, whatever the sampling rate. The shapes seen
so far are kept as a few templates; the one that is frequent, comes on time and is narrow among the
others is the dominant one, and the beats of it are normal for this person in this lead.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel
from processors.vitals.beat_class_layout import GRID_S, N_FEATURES, N_PARTS, N_STRANGE
from processors.vitals.beat_class_rhythm_kernel import (
    follow_cycle,
    surprise_by_cycle,
    surprise_of,
    take_interval,
)
from processors.vitals.beat_class_shape_kernel import (
    begins_with_spike,
    best_shift,
    cut_out,
    fill_differences,
    p_wave_likeness,
    width_of,
)
from processors.vitals.beat_class_templates_kernel import (
    SHAPES_ALIKE,
    disorder,
    find_dominant,
    join_template,
    update_template,
)

Floats = NDArray[np.float64]

READY_S: Final = 0.25
"""Samples behind the R peak that a beat needs."""

_NORMAL: Final = 1
_VENTRICULAR: Final = 5
_PACED: Final = 12
_UNKNOWN: Final = 13

_DISORDER_MAX: Final = 0.12
"""A correlation of 0.94 at the same amplitude: less than that with any shape known, in half of the
last eight beats, is noise."""
_FAMILIAR_MAX: Final = 0.08
"""A beat that is nearer than this to a shape may be ventricular even in noise."""
_N_USUAL: Final = 32.0
"""Beats of the dominant shape over which its usual differences are averaged."""
_WIDER_MAX: Final = 0.7
"""Logarithm of a ratio of widths: beyond it, more says no more."""
_PLAINLY_NORMAL: Final = -4.0
"""Logit below which the rhythm is learned from a beat: a chance of one in fifty."""
_SURELY_VENTRICULAR: Final = 2.0
_HARDLY_VENTRICULAR: Final = 1.0
"""Logits: where the first lead is in doubt a second one that is sure decides. Between the plain and
the sure ones the first lead stands: the second is mostly the one with more noise."""
_N_SPIKES_MIN: Final = 3
_SPIKES_PACED: Final = 0.5
"""A shape is a paced one when, of at least three beats, half begin with a spike."""


@kernel
def _against_usual(usual: Floats, features: Floats, dominant: bool) -> None:  # noqa: FBT001
    """Measure the differences by those that beats of the dominant shape have in this signal.

    The same difference is much in a clean signal and nothing in a noisy one.
    """
    for part in range(N_PARTS):
        difference = features[4 + part]
        features[4 + part] = difference / (difference + 2.0 * usual[part])
        if dominant:
            usual[part] += (difference - usual[part]) / _N_USUAL


@kernel
def _measure(
    state: Record, beat: Floats, scratch: Floats, c: int, width: float, surprise: float
) -> None:
    """Fill the features of a beat of template ``c`` against the dominant one."""
    s = state[0]
    d = s["dominant"]
    features = s["features"]
    usual = s["width"][d]
    features[0] = max(surprise, s["surprise"][c], 0.0)
    features[1] = max(s["early"][c], 0.0)
    features[2] = min(max(math.log(width / usual), 0.0), _WIDER_MAX)
    features[3] = min(max(math.log(s["width"][c] / usual), 0.0), _WIDER_MAX)
    _distance, shift = best_shift(beat, s["templates"][d], scratch)
    fill_differences(beat, s["templates"][d], shift, features)
    _against_usual(s["usual"], features, c == d)
    alike = p_wave_likeness(beat, s["templates"][d])
    features[6] = max(s["usual_p"] - alike, 0.0)
    features[7] = 1.0 - alike * (1.0 - features[0])
    if c == d:
        s["usual_p"] += (alike - s["usual_p"]) / _N_USUAL


@kernel
def _verdict(state: Record, c: int, spike: float) -> int:
    """Name the class of a beat of template ``c`` from its spike, its logit and the noise."""
    s = state[0]
    normal = s["logit"] <= 0.0
    if spike > 0.0 and s["n_seen"][c] >= _N_SPIKES_MIN and s["spikes"][c] >= _SPIKES_PACED:
        return _PACED
    # In noise every artefact is a shape of its own.
    restless = disorder(s["strange"], s["n_strange"]) > _DISORDER_MAX
    strange = s["strange"][(s["n_strange"] - 1) % N_STRANGE]
    if restless and strange > (SHAPES_ALIKE if normal else _FAMILIAR_MAX):
        return _UNKNOWN
    return _NORMAL if normal else _VENTRICULAR


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
    early = take_interval(state, i_r, fs_hz)
    timed = early < 1.0
    surprise = surprise_of(early, s["spread"]) if timed else 0.0
    c = join_template(state, beat, scratch)
    width = width_of(beat)
    update_template(state, c, width, spike, early, surprise)
    s["dominant"] = find_dominant(s["weight"], s["early"], s["width"])
    s["logit"] = 0.0
    if s["dominant"] < 0:
        return _UNKNOWN
    if timed:
        surprise = surprise_by_cycle(state, surprise)
    _measure(state, beat, scratch, c, width, surprise)
    logit = weights[0]
    for k in range(N_FEATURES):
        logit += weights[k + 1] * s["features"][k]
    s["logit"] = logit
    plain = logit < _PLAINLY_NORMAL
    if plain and timed:
        follow_cycle(state, early)
    s["was_normal"][1] = s["was_normal"][0]
    s["was_normal"][0] = 1 if plain else 0
    return _verdict(state, c, spike)


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
    logits: Floats,
) -> None:
    """Go through the samples; judge each beat when the quarter of a second behind it is there.

    ``ring`` keeps means of ``n_per_block`` samples; ``beat`` and ``scratch`` are room for
    ``N_BEAT`` and ``(2, N_SHIFTS)``; ``classes`` and ``logits`` are filled, one for each of
    ``i_rs``. Beats for which samples are still missing at the end of the chunk are judged by what
    is there.
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
        logits[b] = 0.0
        if s["n_blocks"] > 0:
            position = (i_rs[b] - s["i_start"] - 0.5 * (n_per_block - 1)) / n_per_block
            cut_out(ring, s["n_blocks"], position, GRID_S * fs_ring_hz, beat)
            spike = 1.0 if begins_with_spike(ring, s["n_blocks"], position, fs_ring_hz) else 0.0
            classes[b] = _classify(state, beat, scratch, i_rs[b], fs_hz, spike, weights)
            logits[b] = s["logit"]
    _push(state, ring, chunk, n, chunk.size, n_per_block)


@kernel
def merge_leads(classes: NDArray[np.int64], logits: Floats) -> None:
    """Let the second lead decide where the first is in doubt; both ``(2, n_beats)``.

    The first row of ``classes`` becomes that of both.
    """
    for b in range(classes.shape[1]):
        first = classes[0, b]
        second = classes[1, b]
        if first == _UNKNOWN and second == _NORMAL:
            classes[0, b] = _NORMAL
        hardly = first == _VENTRICULAR and logits[0, b] < _HARDLY_VENTRICULAR
        if hardly and second == _NORMAL and logits[1, b] < _PLAINLY_NORMAL:
            classes[0, b] = _NORMAL
        maybe = first == _NORMAL and logits[0, b] > _PLAINLY_NORMAL
        if maybe and second == _VENTRICULAR and logits[1, b] > _SURELY_VENTRICULAR:
            classes[0, b] = _VENTRICULAR
