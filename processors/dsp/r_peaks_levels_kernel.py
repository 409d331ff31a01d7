"""What the R-peak detector has learned of beats, of the noise between them, and of the rhythm."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel
from processors.dsp.r_peaks_layout import N_BANDS, N_LEVELS, N_SHAPES
from processors.dsp.r_peaks_shapes_kernel import own_energy

Floats = NDArray[np.float64]
NOISE_FLOOR_UV2: Final = 1e-6
RR_S_UNKNOWN: Final = 1.0
N_RR_MIN: Final = 3


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
    d = design[0]
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
            beat = ranked(s["beats"][c], n_beats, d["beat_rank"])
            beat = max(beat, d["beat_floor"] * ranked(s["beats"][c], n_beats, 0.5))
            noise = ranked(s["noises"][c], n_noises, d["noise_rank"])
            noise = min(max(noise, d["noise_min"] * beat), d["noise_max"] * beat)
            s["beat"][c] = beat
            s["noise"][c] = noise
            level = noise + d["even_share"] * beat + NOISE_FLOOR_UV2
            weight = math.pow(beat / level, d["contrast_power"]) / level
            s["weights"][c] = weight
            weighted += weight * beat
            plain += beat
            clear += 0.5 * math.log((beat + NOISE_FLOOR_UV2) / (noise + NOISE_FLOOR_UV2)) / N_BANDS
        if lead == 0:
            first = clear
        else:
            second = clear
    if n_leads > 1:
        if s["lead"] == 0 and first < d["lead_unclear"] and second > first + d["lead_advantage"]:
            s["lead"] = 1
        elif s["lead"] == 1 and (first > second or first > d["lead_unclear"] + d["lead_advantage"]):
            s["lead"] = 0
    beat_all = 0.0
    noise_all = 0.0
    for c in range(n_leads * N_BANDS):
        s["weights"][c] *= plain / (weighted + 1e-12) / n_leads
        beat_all += s["weights"][c] * s["beat"][c]
        noise_all += s["weights"][c] * s["noise"][c]
    s["beat_all"] = beat_all
    s["n_learned"] += 1
    s["depth"] = min(0.5 * math.log((beat_all + 1e-9) / (noise_all + 1e-9)), d["depth_max"])
    for t in range(N_SHAPES):
        s["shape_own"][t] = own_energy(design, state, t)
    s["deflection"] = ranked(
        s["deflections"], min(s["n_deflections"], N_LEVELS), d["deflection_rank"]
    )
    n_rrs = min(s["n_rrs"], N_LEVELS)
    s["rr_s"] = RR_S_UNKNOWN
    s["rr_spread"] = 1.0
    if n_rrs >= N_RR_MIN:
        rr_s = ranked(s["rrs_s"], n_rrs, 0.5)
        away = np.zeros(N_LEVELS)
        for i in range(n_rrs):
            away[i] = abs(s["rrs_s"][i] / rr_s - 1.0)
        s["rr_s"] = rr_s
        s["rr_spread"] = ranked(away, n_rrs, d["spread_rank"])


@kernel
def learn_first(design: Record, state: Record) -> None:
    """Guess the levels from the highest of the humps in hand."""
    d = design[0]
    s = state[0]
    highest = 0
    for i in range(s["n_pending"]):
        if s["pending"][i]["envelope"] > s["pending"][highest]["envelope"]:
            highest = i
    hump = s["pending"][highest]
    for c in range(design[0]["n_leads"] * N_BANDS):
        remember(s["beats"][c], s["n_beats"], d["first_share"] * hump["energy"][c])
        remember(
            s["noises"][c],
            s["n_noises"],
            d["first_noise_share"] * d["first_share"] * hump["energy"][c],
        )
    s["n_beats"] += 1
    s["n_noises"] += 1
    s["n_deflections"] = remember(
        s["deflections"], s["n_deflections"], math.sqrt(d["first_share"]) * hump["deflection"]
    )
    s["learned"] = 1
    update_levels(design, state)


@kernel
def learn_noise(design: Record, state: Record, hump: np.void) -> None:
    """Learn what lay between the last beat and this one: the highest hump that was passed over."""
    d = design[0]
    s = state[0]
    n_room = d["room_for_a_beat_s"] * design[0]["fs_hz"]
    worst = -1
    for i in range(min(s["n_passed"], N_LEVELS)):
        passed = s["passed"][i]
        if passed["likeness"] > d["alike"]:
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
        noise = d["quiet_share"] * s["noise"][c]
        if worst >= 0:
            noise = s["passed"][worst]["energy"][c]
        remember(s["noises"][c], s["n_noises"], noise)
    s["n_noises"] += 1
