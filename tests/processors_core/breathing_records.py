"""Recordings with breaths marked by two annotators, and how a rate is scored against them."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from processors.dsp.sample_clock import SampleClock
from tests.processors_core.scoring import quiet

Floats = NDArray[np.float64]
FS_HZ = 125
WINDOW_S, HOP_S = 32, 8
AGREEMENT = 2.0
CLOCK = SampleClock(epoch_ns=0, period_num_ns=8_000_000)


@dataclass(frozen=True, slots=True, eq=False)
class BreathingRecord:
    """ECG in millivolt, pulse wave and impedance in what the monitor made of them."""

    name: str
    ecg: Floats
    pulse: Floats
    impedance: Floats
    breaths_s: tuple[Floats, Floats]

    def reference(self) -> dict[int, float]:
        """Rate of each window at whose breaths the annotators agree, by its last second."""
        found = {}
        for start_s in range(0, self.impedance.size // FS_HZ - WINDOW_S + 1, HOP_S):
            one, other = (_rate(times, start_s) for times in self.breaths_s)
            if abs(one - other) <= AGREEMENT:
                found[start_s + WINDOW_S] = (one + other) / 2
        return found


def _rate(times_s: Floats, start_s: int) -> float:
    inside = times_s[(times_s >= start_s) & (times_s < start_s + WINDOW_S)]
    return 60 * (inside.size - 1) / float(inside[-1] - inside[0]) if inside.size > 1 else np.nan


def breathing_records(folder: Path) -> Iterator[BreathingRecord]:
    """Read all that are there."""
    for header in sorted((folder / "bidmc").glob("bidmc*.hea")):
        with quiet():
            import wfdb

            signals = wfdb.rdrecord(str(header.with_suffix(""))).p_signal.astype(np.float64)
        name = header.stem.removeprefix("bidmc")
        with (folder / "bidmc" / "csv" / f"bidmc_{name}_Breaths.csv").open(newline="") as opened:
            rows = list(csv.reader(opened))[1:]
        one, other = (
            np.array([float(row[k]) for row in rows if row[k].strip()]) / FS_HZ for k in (0, 1)
        )
        ecg, pulse, impedance = np.ascontiguousarray(signals.T)
        yield BreathingRecord(name, ecg, pulse, impedance, (one, other))


def errors(record: BreathingRecord, rates: Mapping[int, float | None]) -> list[float]:
    """Absolute error of each window, NaN where no rate was given."""
    found = []
    for t_s, reference in record.reference().items():
        rate = rates.get(t_s)
        found.append(np.nan if rate is None else abs(rate - reference))
    return found
