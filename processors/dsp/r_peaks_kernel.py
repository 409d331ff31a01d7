"""The loops of the R-peak detector: samples to humps of QRS energy, humps to beats.

Humps are few (some per second), so what is done for each of them costs little; what is done for
each sample is kept to sums, and for each low-rate sample to two small filters per lead.

All kernels of the detector stand in this one file on purpose: the compiled form is cached per file,
and a kernel changed in another file would go on being used as it was.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel
from processors.dsp.r_peaks_layout import (
    N_AHEAD,
    N_BANDS,
    N_CHANNELS_MAX,
    N_LEVELS,
    N_LOW,
    N_PENDING,
    N_SHAPES,
)

Floats = NDArray[np.float64]

SAMPLE_UV_MAX: Final = 1e9
"""Beyond this (a kilovolt) a sample is cut off, so that no square overflows."""
ENVELOPE_UV_MIN: Final = 4.0
"""A seventh of what a 0.15 mV complex of 100 ms gives, which IEC 60601-2-27 forbids to count."""
NOISE_FLOOR_UV2: Final = 1e-6

REFRACTORY_S: Final = 0.2
AHEAD_S: Final = 0.36
"""So far ahead another hump competes with the one to be decided: T waves come no later."""
ROOM_FOR_A_BEAT_S: Final = 0.35
"""A hump this far from both beats around it may be a beat that was missed: no proof of noise.

Without this, small ectopic beats that were missed raise the level and go on being missed."""
ALIKE: Final = 1.5
"""So like a beat that it may be one: no proof of noise either."""
SILENCE_S: Final = 3.0
FORGETTING_S: Final = 4.5
KEEP_PER_S: Final = 0.36
"""In silence the energies sink, after 3 s of it, for 4.5 s, to a hundredth: lower lies noise."""
RR_S_UNKNOWN: Final = 1.0
N_RR_MIN: Final = 3

FIRST_SHARE: Final = 0.49
"""Of the energy of the highest hump while learning: the first guess of a beat's."""
FIRST_NOISE_SHARE: Final = 0.04
BEAT_RANK: Final = 0.184
NOISE_RANK: Final = 0.47
"""Low ranks of the recent energies: small ectopic beats count, and must not raise the level."""
BEAT_FLOOR: Final = 0.16
"""Of the median, for else two false beats among the recent ones would let in more of their kind."""
DEFLECTION_RANK: Final = 0.4
SPREAD_RANK: Final = 0.6
NOISE_MIN: Final = 0.0009
NOISE_MAX: Final = 0.64
"""Least and most of a beat's energy that its noise is taken for."""
CAP: Final = 4.0
"""An artefact counts as no more than four times the energy of a beat."""
QUIET_SHARE: Final = 0.7
"""As long as noise is half guessed, an interval without a hump lowers it; later that were wrong,
for in deep noise humps are taken for beats, and nothing is left to be passed over."""
EVEN_SHARE: Final = 0.01
CONTRAST_POWER: Final = 0.351
"""Channels weigh as the inverse of their noise, and the more the further beats stand above it."""
LEAD_UNCLEAR: Final = 0.5
LEAD_ADVANTAGE: Final = 0.7
"""R peaks are looked for in the second lead once beats in the first hardly stand above noise, and
in the second stand twice as high; and in the first again when it is the clearer one."""

DEAD_SHARE: Final = 0.01
"""Before anything is learned, a lead with less of the other's energy than this is taken as off."""

SHAPE_LOOSE: Final = 0.134
"""Share of a shape's own energy by which any two complexes may differ: breathing, noise."""
SHAPE_NEW: Final = 0.294
"""Less like all known shapes than this is another shape."""
SHAPE_BLEND: Final = 0.0319
SHAPE_BLEND_OTHER: Final = 0.3
SHAPE_BLEND_MIN: Final = 0.0391
SHAPE_DEPTHS: Final = (0.403, 1.11)
"""Between these depths shapes are learned the slower, the noisier: what noise taught would make
more noise pass."""
SHAPE_STALE: Final = 0.1
SHAPE_USE_SHARE: Final = 0.03
"""A shape that few of the last thirty beats had makes room for another."""

DEPTH_MAX: Final = 3.5
ABOVE_MIN: Final = -2.5
ABOVE_MAX: Final = 2.0
LEAST_MIN: Final = -3.0
TALL_RANGE: Final = (-2.0, 1.5)
LIKE_MIN: Final = -0.3
"""A shape never seen before says little: ectopic beats have many."""
LIKE_MAX: Final = 3.0
NOT_COMPARED: Final = -9.0
LIKE_UNKNOWN: Final = 0.6
LIKE_KNEE: Final = 0.5
TOO_HIGH: Final = 0.4

WIDE: Final = 0.65
WIDE_DEPTH: Final = 2.5
"""A complex as high as the others can be so wide that its bands hold little; in a clear signal it
counts as at least this much less than its height says."""

ODDS: Final = -0.45
ODDS_ABOVE: Final = 2.42
ODDS_DEPTH: Final = 1.8
ODDS_ABOVE_DEPTH: Final = -1.41
ODDS_LEAST: Final = 0.431
ODDS_LEAST_DEPTH: Final = 1.05
ODDS_LIKE: Final = 1.86
ODDS_LIKE_DEPTH: Final = -0.0575
ODDS_UNLIKE: Final = 0.27
ODDS_TOO_HIGH: Final = -2.26
ODDS_NOISY: Final = -0.481
DEEP: Final = 0.518
ODDS_DEEP: Final = 3.0
ODDS_TALL: Final = -1.08
ODDS_TALL_DEPTH: Final = 0.809
"""Weights of a logistic regression on the humps of recordings, clean and with noise added, then
adjusted by the beats that came out of it: see ``weigh`` for what each stands by."""

EARLY: Final = 0.85
OVERDUE: Final = 1.1
OVERDUE_MAX: Final = 1.5
SOON_S: Final = 0.4
SOON_RR: Final = 0.9
"""In a very fast rhythm the next beat comes as soon as a T wave."""
SPREAD_MIN: Final = 0.0529
REGULAR: Final = 0.07
ODDS_EARLY: Final = -1.7
ODDS_EARLY_DEPTH: Final = -0.5
ODDS_OVERDUE: Final = 0.976
ODDS_OVERDUE_DEPTH: Final = 0.326
ODDS_SOON: Final = -4.58
ODDS_SOON_DEPTH: Final = -8.0
ODDS_RHYTHM: Final = 2.43
"""Weights of the same regression: see ``rhythm_odds``."""

SURE: Final = 1.89
SURE_DEPTH: Final = 0.57
"""Below this depth levels and rhythm are learned from beats alone whose margin is as wide as this
times the depth that is missing."""


@kernel
def ranked(values: Floats, n: int, rank: float) -> float:
    """Return the value at ``rank`` (0..1) among the first ``n``, one to ``N_LEVELS``; 0 of none."""
    ordered = np.zeros(N_LEVELS)
    for i in range(n):
        value = values[i]
        j = i
        while j > 0 and ordered[j - 1] > value:
            ordered[j] = ordered[j - 1]
            j -= 1
        ordered[j] = value
    found: float = ordered[max(min(int(n * rank), n - 1), 0)]
    return found


@kernel
def remember(values: Floats, n: int, value: float) -> int:
    """Put ``value`` in place of the oldest of ``N_LEVELS``; ``n`` were put before."""
    values[n % N_LEVELS] = value
    return n + 1


@kernel
def update_levels(design: Record, state: Record) -> None:
    """Rank the recent energies of each channel; weigh the channels; rank the recent intervals."""
    s = state[0]
    n_leads = design[0]["n_leads"]
    n_beats = min(s["n_beats"], N_LEVELS)
    n_noises = min(s["n_noises"], N_LEVELS)
    weighted = 0.0
    plain = 0.0
    first = 0.0
    second = 0.0
    for lead in range(n_leads):
        clear = 0.0
        for band in range(N_BANDS):
            c = lead * N_BANDS + band
            beat = ranked(s["beats"][c], n_beats, BEAT_RANK)
            beat = max(beat, BEAT_FLOOR * ranked(s["beats"][c], n_beats, 0.5))
            noise = ranked(s["noises"][c], n_noises, NOISE_RANK)
            noise = min(max(noise, NOISE_MIN * beat), NOISE_MAX * beat)
            s["beat"][c] = beat
            s["noise"][c] = noise
            level = noise + EVEN_SHARE * beat + NOISE_FLOOR_UV2
            weight = math.pow(beat / level, CONTRAST_POWER) / level
            s["weights"][c] = weight
            weighted += weight * beat
            plain += beat
            clear += 0.5 * math.log((beat + NOISE_FLOOR_UV2) / (noise + NOISE_FLOOR_UV2)) / N_BANDS
        if lead == 0:
            first = clear
        else:
            second = clear
    if n_leads > 1:
        if s["lead"] == 0 and first < LEAD_UNCLEAR and second > first + LEAD_ADVANTAGE:
            s["lead"] = 1
        elif s["lead"] == 1 and (first > second or first > LEAD_UNCLEAR + LEAD_ADVANTAGE):
            s["lead"] = 0
    for c in range(n_leads * N_BANDS):
        s["weights"][c] *= plain / (weighted + 1e-12) / n_leads
    s["deflection"] = ranked(s["deflections"], min(s["n_deflections"], N_LEVELS), DEFLECTION_RANK)
    n_rrs = min(s["n_rrs"], N_LEVELS)
    s["rr_s"] = RR_S_UNKNOWN
    s["rr_spread"] = 1.0
    if n_rrs >= N_RR_MIN:
        rr_s = ranked(s["rrs_s"], n_rrs, 0.5)
        away = np.zeros(N_LEVELS)
        for i in range(n_rrs):
            away[i] = abs(s["rrs_s"][i] / rr_s - 1.0)
        s["rr_s"] = rr_s
        s["rr_spread"] = ranked(away, n_rrs, SPREAD_RANK)


@kernel
def is_kept(design: Record, state: Record, hump: np.void) -> bool:
    """Say whether the signal around a hump is still there: while learning, a hump may be older."""
    d = design[0]
    first = hump["k"] - d["k_shape_late"] - d["n_shape"] - d["n_slide"]
    kept: bool = first + N_LOW > state[0]["k_next"] + d["n_shift"]
    return kept


@kernel
def compare_shape(design: Record, state: Record, hump: np.void) -> None:
    """Slide the known shapes over a hump: how like it is, and where.

    The likeness is ln of the energy of the signal over that of its difference from the shape:
    amplitude counts as well as form. Bands and leads weigh as in the envelope.
    """
    d = design[0]
    s = state[0]
    n = d["n_shape"]
    slide = d["n_slide"]
    middle = hump["k"] - d["k_shape_late"]
    hump["likeness"] = NOT_COMPARED
    hump["shape"] = 0
    hump["k_shape"] = middle
    n_channels = d["n_leads"] * N_BANDS
    if not is_kept(design, state, hump):
        return
    for t in range(N_SHAPES):
        if s["n_shape_beats"][t] == 0:
            continue
        own = 0.0
        for c in range(n_channels):
            w = s["weights"][c]
            for i in range(2 * n + 1):
                v = s["shapes"][t, c, i]
                own += w * v * v
        loose = SHAPE_LOOSE * own + 1e-9
        for k in range(middle - slide, middle + slide + 1):
            there = 0.0
            both = 0.0
            for c in range(n_channels):
                w = s["weights"][c]
                for i in range(2 * n + 1):
                    v = s["signals"][c, (k + i - n) & (N_LOW - 1)]
                    there += w * v * v
                    both += w * v * s["shapes"][t, c, i]
            like = math.log((loose + there) / max(loose + there - 2 * both + own, loose))
            if like > hump["likeness"]:
                hump["likeness"] = like
                hump["shape"] = t
                hump["k_shape"] = k


@kernel
def learn_shape(design: Record, state: Record, hump: np.void) -> None:
    """Blend a beat into the shape that it is like, or begin another shape."""
    d = design[0]
    s = state[0]
    use = s["shape_use"]
    if not is_kept(design, state, hump):
        return
    n = d["n_shape"]
    t = hump["shape"]
    k = hump["k_shape"]
    clear = (hump["depth"] - SHAPE_DEPTHS[0]) / (SHAPE_DEPTHS[1] - SHAPE_DEPTHS[0])
    clear = min(max(clear, 0.0), 1.0)
    first = s["n_shape_beats"][0] == 0
    if not first and hump["likeness"] >= SHAPE_NEW:
        share = max(SHAPE_BLEND * max(clear, SHAPE_BLEND_MIN), clear / (s["n_shape_beats"][t] + 1))
    else:
        t = 0 if use[0] <= use[1] else 1
        k = hump["k"] - d["k_shape_late"]
        if clear < 1.0 and not first:
            share = SHAPE_BLEND_OTHER * clear
            if use[t] == 0 or share == 0:
                return
        elif use[t] < SHAPE_STALE:
            share = 1.0
            s["n_shape_beats"][t] = 0
        else:
            share = SHAPE_BLEND_OTHER
    for other in range(N_SHAPES):
        use[other] *= 1.0 - SHAPE_USE_SHARE * clear
    use[t] += SHAPE_USE_SHARE * clear
    for c in range(d["n_leads"] * N_BANDS):
        for i in range(2 * n + 1):
            v = s["signals"][c, (k + i - n) & (N_LOW - 1)]
            s["shapes"][t, c, i] += share * (v - s["shapes"][t, c, i])
    s["n_shape_beats"][t] += 1


@kernel
def weigh(design: Record, state: Record, hump: np.void) -> None:
    """Find the odds that a hump is a beat by what it is, its time left aside.

    What counts: its amplitude against recent beats, in all channels and in the lesser band (a beat
    is steep in both); how likely noise of that amplitude is (``depth``); its likeness to recent
    beats; the height of its R wave, which wide ectopic beats have and T and P waves have not.
    """
    s = state[0]
    n_leads = design[0]["n_leads"]
    own_all = 0.0
    beat_all = 0.0
    noise_all = 0.0
    least = 9.0
    for band in range(N_BANDS):
        own = 0.0
        beat = 0.0
        for lead in range(n_leads):
            c = lead * N_BANDS + band
            own += s["weights"][c] * hump["energy"][c]
            beat += s["weights"][c] * s["beat"][c]
            noise_all += s["weights"][c] * s["noise"][c]
        own_all += own
        beat_all += beat
        least = min(least, 0.5 * math.log((own + 1e-9) / (beat + 1e-9)))
    depth = min(0.5 * math.log((beat_all + 1e-9) / (noise_all + 1e-9)), DEPTH_MAX)
    above = 0.5 * math.log((own_all + 1e-9) / (beat_all + 1e-9))
    above = min(max(above, ABOVE_MIN), ABOVE_MAX)
    least = min(max(least, LEAST_MIN), ABOVE_MAX)
    tall = math.log((hump["deflection"] + 1e-3) / (s["deflection"] + 1e-3))
    tall = min(max(tall, TALL_RANGE[0]), TALL_RANGE[1])
    bottom = min(tall, 0.0) - WIDE - max(WIDE_DEPTH - depth, 0.0)
    above = max(above, bottom)
    least = max(least, bottom)
    compare_shape(design, state, hump)
    like = LIKE_UNKNOWN
    if hump["likeness"] > NOT_COMPARED:
        like = min(max(hump["likeness"], LIKE_MIN), LIKE_MAX)
    hump["above"] = above
    hump["depth"] = depth
    hump["odds"] = (
        ODDS
        + ODDS_DEPTH * depth
        + ODDS_NOISY * math.exp(-depth)
        + ODDS_DEEP * max(DEEP - depth, 0.0)
        + (ODDS_ABOVE + ODDS_ABOVE_DEPTH * depth) * above
        + (ODDS_LEAST + ODDS_LEAST_DEPTH * depth) * least
        + ODDS_TOO_HIGH * max(above - TOO_HIGH, 0.0)
        + (ODDS_LIKE + ODDS_LIKE_DEPTH * depth) * like
        + ODDS_UNLIKE * min(like, LIKE_KNEE)
        + (ODDS_TALL + ODDS_TALL_DEPTH * depth) * tall
    )


@kernel
def rhythm_odds(state: Record, since_s: float, depth: float) -> float:
    """Find by how much the time since the last beat changes the odds of a beat.

    Too soon after a beat lie T waves; too early in the rhythm beats are rare; overdue they are
    likely; and at the very time at which a regular rhythm has its beat, the more likely the deeper
    in noise one looks for it.
    """
    if since_s < REFRACTORY_S:
        return -100.0
    s = state[0]
    x = min(since_s / s["rr_s"], 3.0)
    if s["n_rrs"] < N_RR_MIN:
        x = max(x, 1.0)  # early for what rhythm?
    spread = max(s["rr_spread"], SPREAD_MIN)
    z = (x - 1.0) / spread
    regular = math.log(0.5 + REGULAR / spread * math.exp(-0.5 * z * z))
    odds: float = (
        max(EARLY - x, 0.0) * (ODDS_EARLY + ODDS_EARLY_DEPTH * depth)
        + min(max(x - OVERDUE, 0.0), OVERDUE_MAX) * (ODDS_OVERDUE + ODDS_OVERDUE_DEPTH * depth)
        + max(min(SOON_S, SOON_RR * s["rr_s"]) - since_s, 0.0)
        * (ODDS_SOON + ODDS_SOON_DEPTH * depth)
        + ODDS_RHYTHM * math.exp(-depth) * regular
    )
    return odds


@kernel
def choose(design: Record, state: Record) -> float:
    """Return by how much the best choice of beats with the oldest hump beats the best without it.

    Among all pending humps up to ``AHEAD_S`` later; dynamic programming over the last beat chosen.
    """
    s = state[0]
    fs_hz = design[0]["fs_hz"]
    pending = s["pending"]
    i_end = pending[0]["i_r"] + AHEAD_S * fs_hz
    n = 0
    while n < s["n_pending"] and n < N_AHEAD and pending[n]["i_r"] <= i_end:
        weigh(design, state, pending[n])
        n += 1
    # best[p]: of the humps from i on, if the last beat was hump p - 1 (0: the last one decided).
    best = np.zeros(N_AHEAD + 1)
    margin = 0.0
    for i in range(n - 1, -1, -1):
        for p in range(i + 1):
            since_s = s["rr_s"]
            if p > 0:
                since_s = (pending[i]["i_r"] - pending[p - 1]["i_r"]) / fs_hz
            elif s["has_last"] == 1:
                since_s = (pending[i]["i_r"] - s["i_last_r"]) / fs_hz
            odds = pending[i]["odds"] + rhythm_odds(state, since_s, pending[i]["depth"])
            margin = odds + best[i + 1] - best[p]
            best[p] = max(best[p], odds + best[i + 1])
    return margin


@kernel
def learn_first(design: Record, state: Record) -> None:
    """Guess the levels from the highest of the humps in hand."""
    s = state[0]
    highest = 0
    for i in range(s["n_pending"]):
        if s["pending"][i]["envelope"] > s["pending"][highest]["envelope"]:
            highest = i
    hump = s["pending"][highest]
    for c in range(design[0]["n_leads"] * N_BANDS):
        remember(s["beats"][c], s["n_beats"], FIRST_SHARE * hump["energy"][c])
        remember(s["noises"][c], s["n_noises"], FIRST_NOISE_SHARE * FIRST_SHARE * hump["energy"][c])
    s["n_beats"] += 1
    s["n_noises"] += 1
    s["n_deflections"] = remember(
        s["deflections"], s["n_deflections"], math.sqrt(FIRST_SHARE) * hump["deflection"]
    )
    s["learned"] = 1
    update_levels(design, state)


@kernel
def learn_noise(design: Record, state: Record, hump: np.void) -> None:
    """Learn what lay between the last beat and this one: the highest hump that was passed over."""
    s = state[0]
    n_room = ROOM_FOR_A_BEAT_S * design[0]["fs_hz"]
    worst = -1
    for i in range(min(s["n_passed"], N_LEVELS)):
        passed = s["passed"][i]
        if passed["likeness"] > ALIKE:
            continue
        room_before = s["has_last"] == 0 or passed["i_r"] - s["i_last_r"] >= n_room
        if room_before and hump["i_r"] - passed["i_r"] >= n_room:
            continue
        if worst < 0 or passed["above"] > s["passed"][worst]["above"]:
            worst = i
    guessed = s["n_noises"] < N_LEVELS
    if worst < 0 and not guessed:
        return
    for c in range(design[0]["n_leads"] * N_BANDS):
        noise = QUIET_SHARE * s["noise"][c]
        if worst >= 0:
            noise = s["passed"][worst]["energy"][c]
        remember(s["noises"][c], s["n_noises"], noise)
    s["n_noises"] += 1


@kernel
def accept(design: Record, state: Record, hump: np.void, since_s: float) -> None:
    """Take a hump for a beat and learn from it."""
    s = state[0]
    learn_noise(design, state, hump)
    sure = hump["margin"] >= SURE * max(0.0, SURE_DEPTH - hump["depth"])
    for c in range(design[0]["n_leads"] * N_BANDS):
        remember(s["beats"][c], s["n_beats"], min(hump["energy"][c], CAP * s["beat"][c]))
    s["n_beats"] += 1
    s["n_deflections"] = remember(
        s["deflections"],
        s["n_deflections"],
        min(hump["deflection"], math.sqrt(CAP) * s["deflection"]),
    )
    if s["has_last"] == 1 and since_s < SILENCE_S and sure and s["was_sure"] == 1:
        s["n_rrs"] = remember(s["rrs_s"], s["n_rrs"], since_s)
    s["was_sure"] = 1 if sure else 0
    learn_shape(design, state, hump)
    s["n_passed"] = 0
    s["i_last_r"] = hump["i_r"]
    s["has_last"] = 1
    s["i_silent"] = hump["i_r"]
    s["is_silent"] = 1
    update_levels(design, state)


@kernel
def pass_over(design: Record, state: Record, hump: np.void) -> None:
    """Take a hump for no beat; in a long silence let the levels sink."""
    s = state[0]
    fs_hz = design[0]["fs_hz"]
    s["passed"][s["n_passed"] % N_LEVELS] = hump
    s["n_passed"] += 1
    if s["is_silent"] == 0:
        s["is_silent"] = 1
        s["i_silent"] = hump["i_r"]
    first = s["i_silent"] + SILENCE_S * fs_hz
    last = first + FORGETTING_S * fs_hz
    n_forget = min(hump["i_r"], last) - max(s["i_forgotten"], first)
    if n_forget <= 0:
        return
    s["i_forgotten"] = hump["i_r"]
    share = math.pow(KEEP_PER_S, n_forget / fs_hz)
    for i in range(N_LEVELS):
        s["deflections"][i] *= math.sqrt(share)
        for c in range(N_CHANNELS_MAX):
            s["beats"][c, i] *= share
            s["noises"][c, i] *= share
    update_levels(design, state)


@kernel
def decide(design: Record, state: Record, beats: NDArray[np.void], n_beats: int) -> int:
    """Say whether the oldest pending hump is a beat; append it to ``beats`` if so."""
    s = state[0]
    hump = s["pending"][0]
    since_s = s["rr_s"]
    if s["has_last"] == 1:
        since_s = (hump["i_r"] - s["i_last_r"]) / design[0]["fs_hz"]
    if since_s < REFRACTORY_S:
        return n_beats
    hump["margin"] = choose(design, state)
    if hump["margin"] <= 0:
        pass_over(design, state, hump)
        return n_beats
    accept(design, state, hump, since_s)
    beats[n_beats]["i_r"] = hump["i_r"]
    beats[n_beats]["height_uv"] = hump["height_uv"]
    beats[n_beats]["level_uv"] = hump["level_uv"]
    beats[n_beats]["certainty"] = math.tanh(0.5 * hump["margin"])
    return n_beats + 1


@kernel
def decide_due(
    design: Record, state: Record, i_due: int, beats: NDArray[np.void], n_beats: int
) -> int:
    """Decide on the humps whose R peak is no later than ``i_due``, oldest first."""
    s = state[0]
    if s["n_pending"] == 0:
        return n_beats
    if s["learned"] == 0:
        i_learned = s["pending"][0]["i_r"] + design[0]["n_learn"]
        if i_due < i_learned and s["n_pending"] < N_PENDING:
            return n_beats
        learn_first(design, state)
    while s["n_pending"] > 0 and s["pending"][0]["i_r"] <= i_due:
        n_beats = decide(design, state, beats, n_beats)
        for i in range(s["n_pending"] - 1):
            s["pending"][i] = s["pending"][i + 1]
        s["n_pending"] -= 1
    return n_beats


@kernel
def deflection(
    samples: Floats, i: int, i_low: int, i_high: int, n_smooth: int, n_baseline: int
) -> float:
    """Short minus long mean around sample ``i``; beyond what is known its ends are repeated."""
    near = 0.0
    wide = 0.0
    mask = samples.size - 1
    origin = samples[min(max(i, i_low), i_high) & mask]
    for j in range(i - n_baseline, i + n_baseline + 1):
        value = samples[min(max(j, i_low), i_high) & mask] - origin
        wide += value
        if i - n_smooth <= j <= i + n_smooth:
            near += value
    return near / (2 * n_smooth + 1) - wide / (2 * n_baseline + 1)


@kernel
def locate(samples: Floats, design: Record, state: Record, hump: np.void) -> None:
    """Find the R peak of a hump: the largest deflection near its middle, to a part of a sample."""
    d = design[0]
    s = state[0]
    mask = samples.size - 1
    n_smooth = d["n_smooth"]
    n_baseline = d["n_baseline"]
    i_high = s["i_next"] - 1
    i_low = max(s["i_start"], i_high - mask)
    middle = s["i_start"] + hump["k"] * d["n_block"] - d["n_late"]
    first = max(middle - d["n_search"], i_low)
    last = max(min(middle + d["n_search"], i_high), first)
    origin = samples[first & mask]
    wide = 0.0
    near = 0.0
    for j in range(first - n_baseline, first + n_baseline + 1):
        wide += samples[min(max(j, i_low), i_high) & mask] - origin
    for j in range(first - n_smooth, first + n_smooth + 1):
        near += samples[min(max(j, i_low), i_high) & mask] - origin
    i_r = first
    largest = -1.0
    sign = 1.0
    for i in range(first, last + 1):
        value = near / (2 * n_smooth + 1) - wide / (2 * n_baseline + 1)
        if abs(value) > largest:
            largest = abs(value)
            sign = 1.0 if value >= 0 else -1.0
            i_r = i
        wide += samples[min(max(i + n_baseline + 1, i_low), i_high) & mask]
        wide -= samples[min(max(i - n_baseline, i_low), i_high) & mask]
        near += samples[min(max(i + n_smooth + 1, i_low), i_high) & mask]
        near -= samples[min(max(i - n_smooth, i_low), i_high) & mask]
    before = sign * deflection(samples, i_r - 1, i_low, i_high, n_smooth, n_baseline)
    at = sign * deflection(samples, i_r, i_low, i_high, n_smooth, n_baseline)
    after = sign * deflection(samples, i_r + 1, i_low, i_high, n_smooth, n_baseline)
    bend = before - 2 * at + after
    shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    hump["i_r"] = i_r + min(max(shift, -0.5), 0.5)
    hump["deflection"] = largest
    total = 0.0
    for j in range(i_r - d["n_level_from"], i_r - d["n_level_to"] + 1):
        total += samples[min(max(j, i_low), i_high) & mask]
    hump["level_uv"] = total / (d["n_level_from"] - d["n_level_to"] + 1)
    peak = samples[i_r & mask]
    for j in range(max(i_r - 1, i_low), min(i_r + 1, i_high) + 1):
        if sign * samples[j & mask] > sign * peak:
            peak = samples[j & mask]
    hump["height_uv"] = peak - hump["level_uv"]


@kernel
def find_hump(design: Record, state: Record, ring: Floats, k: int) -> None:
    """Append the hump at low-rate sample ``k`` to the pending ones, if it is highest all around."""
    s = state[0]
    envelope = s["envelope"]
    height = envelope[k & (N_LOW - 1)]
    for j in range(1, design[0]["n_reach"] + 1):
        if envelope[(k - j) & (N_LOW - 1)] >= height or envelope[(k + j) & (N_LOW - 1)] > height:
            return
    n = s["n_pending"]
    if n == N_PENDING:
        return
    hump = s["pending"][n]
    hump["k"] = k
    hump["envelope"] = height
    for c in range(N_CHANNELS_MAX):
        hump["energy"][c] = s["energies"][c, k & (N_LOW - 1)]
    lead = s["lead"]
    if s["learned"] == 0 and design[0]["n_leads"] > 1:
        first = hump["energy"][0] + hump["energy"][1]
        second = hump["energy"][N_BANDS] + hump["energy"][N_BANDS + 1]
        lead = 1 if first < DEAD_SHARE * second else 0
    locate(ring[lead], design, state, hump)
    if n > 0 and hump["i_r"] <= s["pending"][n - 1]["i_r"] + 1:
        # Two humps of one complex: the higher stands for both.
        if height > s["pending"][n - 1]["envelope"]:
            s["pending"][n - 1] = hump
        return
    s["n_pending"] = n + 1


@kernel
def start(samples: Floats, design: Record, state: Record) -> None:
    """Begin as though the first sample had always been there: no transient."""
    s = state[0]
    n_leads = design[0]["n_leads"]
    s["started"] = 1
    for lead in range(n_leads):
        s["origin"][lead] = min(max(samples[lead, 0], -SAMPLE_UV_MAX), SAMPLE_UV_MAX)
    if s["learned"] == 0:
        for c in range(n_leads * N_BANDS):
            s["weights"][c] = 1.0 / n_leads


@kernel
def detect(
    samples: Floats, design: Record, state: Record, ring: Floats, beats: NDArray[np.void]
) -> int:
    """Take ``samples`` of shape (n_leads, n_samples); return how many ``beats`` were written."""
    d = design[0]
    s = state[0]
    n_leads = d["n_leads"]
    n_block = d["n_block"]
    n_window = d["n_window"]
    n_reach = d["n_reach"]
    n_decide = d["n_decide"]
    n_shift = d["n_shift"]
    bands = d["bands"]
    filters = s["filters"]
    envelope = s["envelope"]
    signals = s["signals"]
    energies = s["energies"]
    squares = s["squares"]
    running = s["running"]
    weights = s["weights"]
    block = s["block"]
    origin = s["origin"]
    low_mask = N_LOW - 1
    ring_mask = ring.shape[1] - 1
    low_min = ENVELOPE_UV_MIN * ENVELOPE_UV_MIN
    n_beats = 0
    i_next = s["i_next"]
    n_in_block = s["n_in_block"]
    k = s["k_next"]
    if s["started"] == 0 and samples.shape[1] > 0:
        start(samples, design, state)
    for j in range(samples.shape[1]):
        for lead in range(n_leads):
            x = min(max(samples[lead, j], -SAMPLE_UV_MAX), SAMPLE_UV_MAX)
            ring[lead, i_next & ring_mask] = x
            block[lead] += x - origin[lead]
        i_next += 1
        n_in_block += 1
        if n_in_block < n_block:
            continue
        n_in_block = 0
        at = k % n_window
        oldest = (k + 1) % n_window
        height = 0.0
        for lead in range(n_leads):
            mean = block[lead] / n_block
            block[lead] = 0.0
            for band in range(N_BANDS):
                c = lead * N_BANDS + band
                x = mean
                for section in range(2):
                    y = bands[band, section, 0] * x + filters[c, section, 0]
                    filters[c, section, 0] = (
                        bands[band, section, 1] * x
                        - bands[band, section, 3] * y
                        + filters[c, section, 1]
                    )
                    filters[c, section, 1] = (
                        bands[band, section, 2] * x - bands[band, section, 4] * y
                    )
                    x = y
                # The high band comes sooner through its filter: it waits for the low one.
                signals[c, (k + n_shift * band) & low_mask] = x
                x = signals[c, k & low_mask]
                squares[c, at] = x * x
                if at == 0:
                    # Summed afresh once per window, so that rounding errors do not pile up.
                    total = 0.0
                    for i in range(n_window):
                        total += squares[c, i]
                    running[c] = total
                else:
                    running[c] += x * x
                energy = max(running[c], 0.0) / n_window
                running[c] -= squares[c, oldest]
                energies[c, k & low_mask] = energy
                height += weights[c] * energy
        envelope[k & low_mask] = height
        middle = k - n_reach
        value = envelope[middle & low_mask]
        if (
            value > low_min
            and value > envelope[(middle - 1) & low_mask]
            and value >= envelope[(middle + 1) & low_mask]
        ):
            s["i_next"] = i_next
            find_hump(design, state, ring, middle)
        if s["n_pending"] > 0 and s["pending"][0]["i_r"] <= i_next - n_decide:
            s["k_next"] = k
            n_beats = decide_due(design, state, i_next - n_decide, beats, n_beats)
        k += 1
    s["i_next"] = i_next
    s["n_in_block"] = n_in_block
    s["k_next"] = k
    return n_beats
