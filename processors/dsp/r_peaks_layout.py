"""What the R-peak detector remembers, and what it derives from the sampling rate: records."""

from __future__ import annotations

from typing import Final

import numpy as np

from processors.dsp.r_peaks_weights import WEIGHTS

N_LEADS_MAX: Final = 2
N_BANDS: Final = 2
N_CHANNELS_MAX: Final = N_LEADS_MAX * N_BANDS
"""A channel is one band of one lead; channel ``lead * N_BANDS + band``."""
N_SECTIONS: Final = 2
"""Second-order sections of each band's filter."""
N_LOW: Final = 256
"""Low-rate samples that are kept: 0.75 s at the least."""
N_WINDOW_MAX: Final = 64
N_PENDING: Final = 32
N_AHEAD: Final = 8
"""Humps among which one decision looks for the best choice."""
N_LEVELS: Final = 8
"""Recent beats, and recent humps between beats, that the levels rest on."""
N_SHAPES: Final = 2
N_PATHS: Final = 6
"""Humps that may have been the last beat, taken or not."""
N_SHAPE_MAX: Final = 72

BEAT_DTYPE: Final = np.dtype(
    [("i_r", "f8"), ("height_uv", "f8"), ("level_uv", "f8"), ("certainty", "f8")]
)
"""A beat: its R peak in samples since the start of the stream, the signed deflection of the R wave
from the baseline before it, that baseline, and 0..1: how sure the decision was."""

HUMP_DTYPE: Final = np.dtype(
    [
        ("k", "i8"),  # low-rate sample at which its energy is highest
        ("i_r", "f8"),
        ("height_uv", "f8"),
        ("level_uv", "f8"),
        ("deflection", "f8"),  # of the R peak from the mean around it, in microvolt
        ("envelope", "f8"),
        ("energy", "f8", (N_CHANNELS_MAX,)),
        ("above", "f8"),  # ln of its amplitude over that of recent beats
        ("depth", "f8"),  # ln of the amplitude of recent beats over that of noise
        ("odds", "f8"),  # ln of the odds that it is a beat, the rhythm left aside
        ("margin", "f8"),  # by how much the best choice with it beats the best without it
        ("likeness", "f8"),
        ("shape", "i8"),  # which of the known shapes it is most like
        ("k_shape", "i8"),  # and where that shape lies
        ("n_compared", "i8"),  # what had been learned when it was compared
        ("traced", "i8"),  # whether it was found, or its R peak placed, by likeness
        ("path", "f8"),  # odds of the best choice of beats that ends with it
    ]
)

DESIGN_DTYPE: Final = np.dtype(
    [
        ("fs_hz", "f8"),
        ("n_leads", "i8"),
        ("n_block", "i8"),  # samples in one low-rate sample
        ("bands", "f8", (N_BANDS, N_SECTIONS, 5)),
        ("n_shift", "i8"),  # low-rate samples by which the high band waits for the low one
        ("n_window", "i8"),
        ("n_reach", "i8"),
        ("n_late", "i8"),  # samples from the middle of a complex to the top of its energy
        ("n_search", "i8"),
        ("n_decide", "i8"),
        ("n_learn", "i8"),
        ("n_smooth", "i8"),
        ("n_baseline", "i8"),
        ("n_level_from", "i8"),
        ("n_level_to", "i8"),
        ("n_shape", "i8"),
        ("n_trace_reach", "i8"),  # even
        ("n_slide", "i8"),
        ("k_shape_late", "i8"),
        *((name, "f8") for name in WEIGHTS),  # so that a fit can try others
    ]
)

_LEARNED: Final = [
    ("learned", "i8"),
    ("lead", "i8"),
    ("weights", "f8", (N_CHANNELS_MAX,)),
    ("beats", "f8", (N_CHANNELS_MAX, N_LEVELS)),
    ("n_beats", "i8"),
    ("noises", "f8", (N_CHANNELS_MAX, N_LEVELS)),
    ("n_noises", "i8"),
    ("deflections", "f8", (N_LEVELS,)),
    ("n_deflections", "i8"),
    ("rrs_s", "f8", (N_LEVELS,)),
    ("n_rrs", "i8"),
    ("beat", "f8", (N_CHANNELS_MAX,)),
    ("noise", "f8", (N_CHANNELS_MAX,)),
    ("deflection", "f8"),
    ("rr_s", "f8"),
    ("rr_spread", "f8"),
    ("n_learned", "i8"),
    ("depth", "f8"),
    ("beat_all", "f8"),
    ("shape_own", "f8", (N_SHAPES,)),
    ("shape_r", "f8", (N_SHAPES,)),
    ("shapes", "f8", (N_SHAPES, N_CHANNELS_MAX, N_SHAPE_MAX)),
    ("shape_use", "f8", (N_SHAPES,)),
    ("n_shape_beats", "i8", (N_SHAPES,)),
]
LEARNED_FIELDS: Final = tuple(str(name) for name, *_ in _LEARNED)
"""What stays when a short gap starts the detector anew."""

STATE_DTYPE: Final = np.dtype(
    [
        ("started", "i8"),
        ("i_start", "i8"),
        ("i_next", "i8"),
        ("k_next", "i8"),
        ("n_in_block", "i8"),
        ("origin", "f8", (N_LEADS_MAX,)),
        ("block", "f8", (N_LEADS_MAX,)),
        ("filters", "f8", (N_CHANNELS_MAX, N_SECTIONS, 2)),
        ("signals", "f8", (N_CHANNELS_MAX, 2 * N_LOW)),  # twice: every stretch in one piece
        ("squares", "f8", (N_CHANNELS_MAX, N_WINDOW_MAX)),
        ("running", "f8", (N_CHANNELS_MAX,)),
        ("energies", "f8", (N_CHANNELS_MAX, N_LOW)),
        ("envelope", "f8", (N_LOW,)),
        ("traced", "f8", (N_LOW,)),  # likeness in noise
        ("pending", HUMP_DTYPE, (N_PENDING + 1,)),
        ("n_pending", "i8"),
        ("passed", HUMP_DTYPE, (N_LEVELS,)),
        ("n_passed", "i8"),
        ("paths_i_r", "f8", (N_PATHS,)),
        ("paths_odds", "f8", (N_PATHS,)),
        ("n_paths", "i8"),
        ("has_last", "i8"),
        ("i_last_r", "f8"),
        ("was_sure", "i8"),
        ("is_silent", "i8"),
        ("i_silent", "f8"),
        ("i_forgotten", "f8"),
        *_LEARNED,
    ]
)
