"""What a filter remembers of a constant signal, by arithmetic alone.

SciPy's ``lfilter_zi`` and ``sosfilt_zi`` solve systems of equations, and the last bits of what a
library of linear algebra finds depend on the processor that it runs on.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def taps_at_rest(b: NDArray[np.float64], a: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the memory of a filter to which a signal of 1 has come for ever.

    Parameters
    ----------
    b, a : shape (n_taps,)
        Numerator and denominator, ``a[0]`` being 1; the transposed direct form II is meant.

    Returns
    -------
    shape (n_taps - 1,)
    """
    gain = math.fsum(b) / math.fsum(a)
    memory = np.empty(b.size - 1)
    total = 0.0
    for k in range(b.size - 1, 0, -1):
        total += float(b[k]) - float(a[k]) * gain
        memory[k - 1] = total
    return memory


def sections_at_rest(sos: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the memory of a cascade to which a signal of 1 has come for ever.

    Parameters
    ----------
    sos : shape (n_sections, 6)

    Returns
    -------
    shape (n_sections, 2)
    """
    memory = np.empty((sos.shape[0], 2))
    level = 1.0
    for n, section in enumerate(sos):
        b, a = section[:3], section[3:]
        memory[n] = level * taps_at_rest(b, a)
        level *= math.fsum(b) / math.fsum(a)
    return memory
