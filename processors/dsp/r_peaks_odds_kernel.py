"""How likely a hump is a beat: by what it is, by its time, and by what goes before and after it."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from processors.dsp.kernel import Record, kernel
from processors.dsp.r_peaks_layout import N_AHEAD, N_BANDS, N_PATHS
from processors.dsp.r_peaks_levels_kernel import N_RR_MIN
from processors.dsp.r_peaks_shapes_kernel import NOT_COMPARED, compare_shape

PATH_MIN: Final = -30.0
"""Log odds against the likeliest last beat: what has less never comes back."""
REFRACTORY_S: Final = 0.2


@kernel
def weigh(design: Record, state: Record, hump: np.void) -> None:
    """Find the odds that a hump is a beat by what it is, its time left aside.

    What counts: its amplitude against recent beats, in all channels and in the lesser band (a beat
    is steep in both); how likely noise of that amplitude is (``depth``); its likeness to recent
    beats; the height of its R wave, which wide ectopic beats have and T and P waves have not.
    """
    d = design[0]
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
    depth = min(0.5 * math.log((beat_all + 1e-9) / (noise_all + 1e-9)), d["depth_max"])
    above = 0.5 * math.log((own_all + 1e-9) / (beat_all + 1e-9))
    above = min(max(above, d["above_min"]), d["above_max"])
    least = min(max(least, d["least_min"]), d["above_max"])
    apart = 0.0
    for lead in range(n_leads):
        own = 1e-9
        beat = 1e-9
        noise = 1e-9
        for band in range(N_BANDS):
            c = lead * N_BANDS + band
            own += s["weights"][c] * hump["energy"][c]
            beat += s["weights"][c] * s["beat"][c]
            noise += s["weights"][c] * s["noise"][c]
        missing = max(0.5 * math.log(own / beat) - above, -d["apart_max"])
        apart = min(apart, missing * min(0.5 * math.log(beat / noise), d["apart_depth"]))
    tall = math.log((hump["deflection"] + 1e-3) / (s["deflection"] + 1e-3))
    tall = min(max(tall, -2.0), 1.5)
    bottom = min(tall, 0.0) - d["wide"] - max(d["wide_depth"] - depth, 0.0)
    above = max(above, bottom)
    least = max(least, bottom)
    compare_shape(design, state, hump)
    like = d["like_unknown"]
    if hump["likeness"] > NOT_COMPARED:
        like = min(max(hump["likeness"], d["like_min"]), d["like_max"])
    hump["above"] = above
    hump["depth"] = depth
    hump["odds"] = (
        d["odds"]
        + d["odds_apart"] * apart
        + d["odds_depth"] * depth
        + d["odds_noisy"] * math.exp(-depth)
        + d["odds_deep"] * max(d["deep"] - depth, 0.0)
        + (d["odds_above"] + d["odds_above_depth"] * depth) * above
        + (d["odds_least"] + d["odds_least_depth"] * depth) * least
        + d["odds_too_high"] * max(above - d["too_high"], 0.0)
        + (d["odds_like"] + d["odds_like_depth"] * depth) * like
        + d["odds_unlike"] * min(like, d["like_knee"])
        + (d["odds_tall"] + d["odds_tall_depth"] * depth) * tall
    )


@kernel
def rhythm_odds(design: Record, state: Record, hump: np.void, since_s: float) -> float:
    """Find by how much the time since the last beat changes the odds of a beat.

    Too soon after a beat lie T waves; too early in the rhythm beats are rare; overdue they are
    likely; and at the very time at which a regular rhythm has its beat, the more likely the deeper
    in noise one looks for it.
    """
    if since_s < REFRACTORY_S:
        return -100.0
    d = design[0]
    s = state[0]
    depth = hump["depth"]
    x = min(since_s / s["rr_s"], 3.0)
    if s["n_rrs"] < N_RR_MIN:
        x = max(x, 1.0)  # early for what rhythm?
    spread = max(s["rr_spread"], d["spread_min"])
    z = (x - 1.0) / spread
    regular = math.log(0.5 + d["regular"] / spread * math.exp(-0.5 * z * z))
    soon = max(min(d["soon_s"], d["soon_rr"] * s["rr_s"]) - since_s, 0.0)
    # What is just like a beat is one, however soon it comes: no T wave is.
    soon *= min(max((d["alike_surely"] - hump["likeness"]) / d["alike_share"], 0.0), 1.0)
    odds: float = (
        max(d["early"] - x, 0.0) * (d["odds_early"] + d["odds_early_depth"] * depth)
        + min(max(x - d["overdue"], 0.0), d["overdue_max"])
        * (d["odds_overdue"] + d["odds_overdue_depth"] * depth)
        + soon * (d["odds_soon"] + d["odds_soon_depth"] * depth)
        + d["odds_rhythm"] * math.exp(-depth) * regular
    )
    return odds


@kernel
def choose(design: Record, state: Record) -> float:
    """Return by how much the best choice with the oldest hump as a beat beats the best without.

    Among all pending humps up to ``ahead_s`` later, by dynamic programming, and behind each of the
    last beats that there may have been: one that was false must not put the next ones out of step.
    """
    d = design[0]
    s = state[0]
    fs_hz = d["fs_hz"]
    pending = s["pending"]
    i_end = pending[0]["i_r"] + d["ahead_s"] * fs_hz
    n = 0
    while n < s["n_pending"] and n < N_AHEAD and pending[n]["i_r"] <= i_end:
        weigh(design, state, pending[n])
        n += 1
    # onward[i]: the most that beats after hump i add, if that is one.
    onward = np.zeros(N_AHEAD)
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, n):
            since_s = (pending[j]["i_r"] - pending[i]["i_r"]) / fs_hz
            odds = pending[j]["odds"] + rhythm_odds(design, state, pending[j], since_s)
            onward[i] = max(onward[i], odds + onward[j])
    chosen = -1e9
    left = -1e9
    for p in range(s["n_paths"]):
        path = s["paths_odds"][p]
        if path < PATH_MIN:
            continue
        i_before = s["paths_i_r"][p]
        left = max(left, path)
        for i in range(n):
            since_s = (pending[i]["i_r"] - i_before) / fs_hz
            odds = path + pending[i]["odds"]
            odds += rhythm_odds(design, state, pending[i], since_s)
            if i == 0:
                chosen = max(chosen, odds)
            else:
                left = max(left, odds + onward[i])
    if s["n_paths"] == 0:
        left = 0.0
        for i in range(n):
            odds = pending[i]["odds"] + rhythm_odds(design, state, pending[i], s["rr_s"])
            if i == 0:
                chosen = odds
            else:
                left = max(left, odds + onward[i])
    pending[0]["path"] = chosen
    margin: float = chosen + onward[0] - left
    return margin


@kernel
def keep_path(state: Record, i_r: float, odds: float) -> None:
    """Keep in mind that the last beat may have been this one; forget what is least likely."""
    s = state[0]
    at = s["n_paths"]
    if at < N_PATHS:
        s["n_paths"] += 1
    else:
        at = 0
        for p in range(N_PATHS):
            if s["paths_odds"][p] < s["paths_odds"][at]:
                at = p
        if s["paths_odds"][at] > odds:
            return
    s["paths_i_r"][at] = i_r
    s["paths_odds"][at] = odds
    most = -1e9
    for p in range(s["n_paths"]):
        most = max(most, s["paths_odds"][p])
    for p in range(s["n_paths"]):
        s["paths_odds"][p] = max(s["paths_odds"][p] - most, -1e6)
