"""Humps to beats: each is decided once, when its time has come, and learned from."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel
from processors.dsp.r_peaks_layout import N_BANDS, N_CHANNELS_MAX, N_LEVELS, N_PENDING
from processors.dsp.r_peaks_levels_kernel import learn_first, learn_noise, remember, update_levels
from processors.dsp.r_peaks_odds_kernel import REFRACTORY_S, choose, keep_path
from processors.dsp.r_peaks_shapes_kernel import learn_shape


@kernel
def accept(design: Record, state: Record, hump: np.void, since_s: float) -> None:
    """Take a hump for a beat and learn from it."""
    d = design[0]
    s = state[0]
    learn_noise(design, state, hump)
    sure = hump["margin"] >= d["sure"] * max(0.0, d["sure_depth"] - hump["depth"])
    for c in range(design[0]["n_leads"] * N_BANDS):
        remember(s["beats"][c], s["n_beats"], min(hump["energy"][c], d["cap"] * s["beat"][c]))
    s["n_beats"] += 1
    s["n_deflections"] = remember(
        s["deflections"],
        s["n_deflections"],
        min(hump["deflection"], math.sqrt(d["cap"]) * s["deflection"]),
    )
    if s["has_last"] == 1 and since_s < d["silence_s"] and sure and s["was_sure"] == 1:
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
    d = design[0]
    s = state[0]
    fs_hz = design[0]["fs_hz"]
    s["passed"][s["n_passed"] % N_LEVELS] = hump
    s["n_passed"] += 1
    if s["is_silent"] == 0:
        s["is_silent"] = 1
        s["i_silent"] = hump["i_r"]
    first = s["i_silent"] + d["silence_s"] * fs_hz
    last = first + d["forgetting_s"] * fs_hz
    n_forget = min(hump["i_r"], last) - max(s["i_forgotten"], first)
    if n_forget <= 0:
        return
    s["i_forgotten"] = hump["i_r"]
    share = math.pow(d["keep_per_s"], n_forget / fs_hz)
    for i in range(N_LEVELS):
        s["deflections"][i] *= math.sqrt(share)
        for c in range(N_CHANNELS_MAX):
            s["beats"][c, i] *= share
            s["noises"][c, i] *= share
    update_levels(design, state)


@kernel
def decide(design: Record, state: Record, beats: NDArray[np.void], n_beats: int) -> int:
    """Say whether the oldest pending hump is a beat; append it to ``beats`` if so."""
    d = design[0]
    s = state[0]
    hump = s["pending"][0]
    since_s = s["rr_s"]
    if s["has_last"] == 1:
        since_s = (hump["i_r"] - s["i_last_r"]) / design[0]["fs_hz"]
    hump["margin"] = choose(design, state)
    taken = hump["margin"] > 0 and since_s >= REFRACTORY_S
    # In a clear signal what was decided is certain; in noise it is one way among several.
    sure = d["commit"] * hump["depth"]
    keep_path(state, hump["i_r"], hump["path"] + (sure if taken else -sure))
    if since_s < REFRACTORY_S:
        return n_beats
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
