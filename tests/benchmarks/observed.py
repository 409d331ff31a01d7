"""What the pipeline says of a recording, sorted for comparison with a reference."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deploy.analyze import EPOCH_NS, observations_of
from deploy.annotation_marks import Marks
from deploy.observation_files import preferred
from ingest.recording import Recording
from ingest.wfdb_annotations import Annotation
from processors.scoring.rates import RateScore, reference_rates_bpm, score_rates

Floats = NDArray[np.float64]

_EMPTY: Final = np.zeros((0, 3))


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """Every observation of one run, by quantity and algorithm."""

    rows: dict[str, dict[str, Floats]]
    """Shape ``(n, 3)``: seconds since the start, value or NaN, quality."""
    annotations: tuple[Annotation, ...]
    """The annotation file of the heart beats."""

    def values(self, name: str) -> tuple[Floats, Floats, Floats]:
        """Give times, values and qualities of a quantity, by the preferred algorithm."""
        found = self.rows.get(name, {})
        rows = found[preferred(found)] if found else _EMPTY
        return rows[:, 0], rows[:, 1], rows[:, 2]

    def event_times_s(self, name: str) -> Floats:
        """Give the times of a quantity that comes once per event, ascending."""
        return np.unique(self.values(name)[0])

    def rate_score(self, name: str, beats_s: Floats, keep: Floats | None = None) -> RateScore:
        """Compare a rate, second by second, with that of reference beats by the same rule.

        Parameters
        ----------
        keep : shape (n_seconds,)
            Seconds to compare; all unless told.
        """
        times_s, rates_bpm, quality = self.values(name)
        reference = reference_rates_bpm(beats_s, times_s)
        if keep is not None:
            reference = np.where(np.isin(times_s, keep), reference, np.nan)
        return score_rates(rates_bpm, quality, reference)


def observe(recording: Recording) -> Observed:
    """Run a recording through the pipeline."""
    rate_hz = float(recording.signals[0].sampling_rate)
    marks = Marks(start_ns=EPOCH_NS, fs_hz=rate_hz, n_samples=round(recording.duration_s * rate_hz))
    collected: dict[str, dict[str, list[tuple[float, float, float]]]] = {}
    for one in observations_of(recording):
        time_s = (one.t_ns - EPOCH_NS) / 1e9
        if time_s > recording.duration_s:
            continue
        marks.add(one)
        value = np.nan if one.value is None else one.value
        collected.setdefault(one.name, {}).setdefault(one.algorithm, []).append(
            (time_s, value, one.quality)
        )
    return Observed(
        rows={
            name: {algorithm: np.array(rows) for algorithm, rows in found.items()}
            for name, found in collected.items()
        },
        annotations=tuple(marks.annotations("qrs")),
    )
