"""Saturation and lead-off: what an amplifier gives when it sees no body, sample by sample."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp import rails_kernel
from processors.dsp.kernel import Record, new_record, restored_record
from processors.dsp.rails_kernel import LEAD, LEAD_DESIGN, watch_lead
from processors.dsp.state import State, translated_errors

_KIND = "lead_watch"
_VERSION = 2

FLAT_S: Final = 2.0
"""Longer than the pause between two beats at 40 per minute stays flat."""
_REST_S: Final = 0.03
_N_EQUAL_MIN: Final = 3
"""A wave's top may give two equal samples, a slow converter's three; not for 30 ms as well."""
_MEAN_S: Final = 10.0


class Lead(IntEnum):
    """What a sample is."""

    GOOD = rails_kernel.GOOD
    RAILED = rails_kernel.RAILED
    """At the end of the converter's or the amplifier's range."""
    FLAT = rails_kernel.FLAT
    """Nothing but what the converter itself makes, for ``FLAT_S`` up to this sample."""


class LeadWatch:
    """Tells signal from rails and flat lines; the level of the rails need not be known.

    Give it the mains-free signal beside the raw one, and a lead that hangs in the air and gathers
    mains only is flat as well.

    Parameters
    ----------
    fs_hz
        Sampling rate.
    rail_min
        A rail is at least this far from the mean, in the signal's unit: what rests closer to it is
        an isoelectric line.
    flat_max
        Most that a flat line moves, in the signal's unit.
    """

    def __init__(self, fs_hz: float, rail_min: float, flat_max: float) -> None:
        if not (fs_hz > 0 and rail_min >= 0 and flat_max >= 0):
            raise ValueError(f"{fs_hz} Hz, {rail_min} and {flat_max} say nothing of a lead")
        self._fs_hz = float(fs_hz)
        self._rail_min = float(rail_min)
        self._flat_max = float(flat_max)
        self._design = _design(self._fs_hz, self._rail_min, self._flat_max)
        self._record = new_record(LEAD)

    def process(
        self, chunk: NDArray[np.float64], mains_free: NDArray[np.float64] | None = None
    ) -> NDArray[np.int64]:
        """Tell of each of the next ``(n_samples,)`` what it is, as numbers of ``Lead``.

        A rail is told from the first 30 ms on it on, and a rail that was met before at once.
        """
        samples = np.ascontiguousarray(chunk, dtype=np.float64)
        leads = np.empty(samples.size, dtype=np.int64)
        flattest = samples if mains_free is None else mains_free
        watch_lead(self._record, self._design, samples, flattest, leads)
        return leads

    def reset(self) -> None:
        """Begin anew behind a gap; rails are known still."""
        self._record["n_equal"] = 0
        self._record["n_flat"] = 0

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "fs_hz": self._fs_hz,
                "rail_min": self._rail_min,
                "flat_max": self._flat_max,
            },
            children={"kernel": self._record.tobytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> LeadWatch:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            restored = cls(kept.number("fs_hz"), kept.number("rail_min"), kept.number("flat_max"))
            restored._record = restored_record(kept.child("kernel"), LEAD)
        return restored


def _design(fs_hz: float, rail_min: float, flat_max: float) -> Record:
    design = new_record(LEAD_DESIGN)
    design["n_equal_min"] = max(_N_EQUAL_MIN, round(_REST_S * fs_hz))
    design["rail_min"] = rail_min
    design["forget"] = 1 / (_MEAN_S * fs_hz)
    design["n_flat_min"] = max(2, round(FLAT_S * fs_hz))
    design["flat_max"] = flat_max
    return design
