"""Sizes and memory of the beat classifier."""

from __future__ import annotations

from typing import Final

import numpy as np

GRID_S: Final = 0.008
"""Finer than the 40 Hz that hold the shape of a QRS complex need; coarse enough to average out
most of the mains hum within one step."""
N_BEAT: Final = 70
K_R: Final = 40
"""The R peak stands at this point of a beat: it reaches from -0.32 to +0.232 s."""
N_BEFORE: Final = 10
"""The first points serve the likeness of P waves alone."""
N_SHAPE: Final = 60
N_SHIFT: Final = 5
"""A template is -0.28 to +0.192 s around the R peak, and may be moved by 40 ms: in a wide beat any
of its peaks may be taken for R."""
N_SHIFTS: Final = 2 * N_SHIFT + 1
QRS_FIRST: Final = 23
QRS_END: Final = 56
"""The points of a template that compare shapes: -0.096 to +0.16 s, any QRS complex."""
P_END: Final = 27
"""Before this point, 0.064 s before R, stands the P wave."""
T_FIRST: Final = 45
"""From here on, 0.08 s after R, a template shows the ST segment and the T wave."""
N_TEMPLATES: Final = 10
N_RR: Final = 12
N_STRANGE: Final = 8
N_PARTS: Final = 2
N_FEATURES: Final = 8

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
        ("cycle", "f8"),
        ("n_cycles", "i8"),
        ("spread", "f8"),
        ("usual", "f8", (N_PARTS,)),
        ("usual_p", "f8"),
        ("was_normal", "i8", (2,)),
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
