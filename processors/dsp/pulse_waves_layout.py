"""What the pulse-wave detector remembers, and what it derives from the sampling rate: records."""

from __future__ import annotations

from typing import Final

import numpy as np

N_LOW: Final = 1024
"""Low-rate samples that are kept: more than 5 s."""
N_SHORT: Final = 32
N_PENDING: Final = 48
"""Rises that wait for what comes after them: at most one per 50 ms, in at most 0.6 s."""
N_LEVELS: Final = 8
"""Recent beats, and recent rises between beats, that the levels rest on."""
N_LEFT_OUT: Final = 2
"""Rises between beats that may be left out for the sake of the rhythm, in ``N_LEVELS`` beats."""
N_STEEPEST: Final = 16
"""Recent seconds whose steepest rise and fall tell which way is up."""
N_SHAPE: Final = 16
N_BEATS: Final = 64
"""Recent beats that a judgement may look at: ten seconds of the fastest heart."""
N_PLATEAUS: Final = 32

BEAT_DTYPE: Final = np.dtype(
    [
        ("i_upslope", "f8"),  # steepest point of the systolic upslope, in samples of the stream
        ("height", "f8"),  # from the foot to the systolic peak; positive
        ("level", "f8"),  # the signal at the foot
        ("certainty", "f8"),  # 0..1
        ("likeness", "f8"),  # to the recent pulse waves, 0..1
        ("timing", "f8"),  # 0..1, less where a pulse seems to be missing before this one
    ]
)

RISE_DTYPE: Final = np.dtype([("k", "i8"), ("k_top", "f8"), ("height", "f8"), ("fall", "f8")])
"""A local maximum of the slope: low-rate sample, the same with its fraction, height, and how steep
the fall before it was."""

PLATEAU_DTYPE: Final = np.dtype([("i_first", "i8"), ("i_end", "i8"), ("value", "f8")])

DESIGN_DTYPE: Final = np.dtype(
    [
        ("fs_hz", "f8"),
        ("fs_low_hz", "f8"),
        ("n_block", "i8"),
        ("n_smooth", "i8"),
        ("n_lag", "i8"),
        ("n_reach", "i8"),
        ("n_before", "i8"),
        ("n_ahead", "i8"),
        ("n_topped", "i8"),
        ("n_learn", "i8"),
        ("n_second", "i8"),
        ("n_walk", "i8"),
        ("n_plateau", "i8"),
        ("polarity", "i8"),  # 1 upright, -1 inverted, 0 to be found out
    ]
)

STATE_DTYPE: Final = np.dtype(
    [
        ("started", "i8"),
        ("i_start", "i8"),
        ("i_next", "i8"),
        ("origin", "f8"),
        ("newest", "f8"),
        ("i_run", "i8"),
        ("plateaus", PLATEAU_DTYPE, (N_PLATEAUS,)),
        ("n_plateaus", "i8"),
        ("n_in_block", "i8"),
        ("block", "f8"),
        ("k_next", "i8"),
        ("means", "f8", (N_SHORT,)),
        ("once", "f8", (N_SHORT,)),
        ("smooth", "f8", (N_LOW,)),
        ("polarity", "i8"),
        ("learned", "i8"),
        ("top", "f8"),
        ("bottom", "f8"),
        ("tops", "f8", (N_STEEPEST,)),  # of the last seconds: steepest rise and fall
        ("bottoms", "f8", (N_STEEPEST,)),
        ("n_seconds", "i8"),
        ("i_turned", "i8"),  # since when this way is up
        ("k_rise", "i8"),
        ("pending", RISE_DTYPE, (N_PENDING,)),
        ("n_pending", "i8"),
        ("has_last", "i8"),
        ("last", "f8"),
        ("last_height", "f8"),
        ("silent_from", "f8"),
        ("faded_to", "f8"),
        ("passed_early", "f8"),
        ("passed_late", "f8"),
        ("heights", "f8", (N_LEVELS,)),
        ("n_heights", "i8"),
        ("early", "f8", (N_LEVELS,)),
        ("late", "f8", (N_LEVELS,)),
        ("n_between", "i8"),
        ("intervals", "f8", (N_LEVELS,)),
        ("n_intervals", "i8"),
        ("left_out", "i8", (N_LEFT_OUT,)),  # the beat with which that is forgotten
        ("template", "f8", (N_SHAPE,)),
        ("shape", "f8", (N_SHAPE,)),
        ("n_shapes", "i8"),
        ("beats", BEAT_DTYPE, (N_BEATS,)),
        ("n_beats", "i8"),
        ("doubts", "f8", (N_BEATS,)),
        ("spread", "f8"),
    ]
)
