"""What became of a record that was analyzed: counts, and how often there was a heart rate."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from deploy.observation_files import preferred
from devices import codes
from ingest.frame import NS_PER_S
from ingest.observation import Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What became of one record."""

    record: str
    start_ns: int
    """UTC of the first sample."""
    duration_s: float
    channels: tuple[str, ...]
    left_out: tuple[str, ...]
    """Signals that the pipeline has no use for."""
    missing_s: dict[str, float]
    """Seconds without a value, by signal; only of those that miss some."""
    n_events: dict[str, int]
    """By annotator."""
    n_observations: dict[str, int]
    """By name of the quantity, those without a value included."""
    digest: str
    """Of the observations: equal where every one is, to the bit."""
    n_different: int
    """Observations of which none equals another."""
    heart_rate_coverage: float | None
    """Share of the heart rate observations that have a value."""
    heart_rate_median_bpm: float | None
    files: tuple[str, ...]
    cpu_s: float
    frames_sha256: str | None = None
    """Of what came as Frames."""
    manifests: tuple[str, ...] = ()
    """Beside the files, what each folder's are made of."""

    def as_json(self) -> dict[str, Any]:
        """Everything, for ``--json``."""
        return {
            "record": self.record,
            "duration_s": self.duration_s,
            "start": f"{datetime.fromtimestamp(self.start_ns // NS_PER_S, UTC):%Y-%m-%dT%H:%M:%SZ}",
            "channels": list(self.channels),
            "left_out": list(self.left_out),
            "missing_s": {name: _rounded(one) for name, one in self.missing_s.items()},
            "events": self.n_events,
            "observations": self.n_observations,
            "heart_rate_coverage": _rounded(self.heart_rate_coverage),
            "heart_rate_median_bpm": _rounded(self.heart_rate_median_bpm),
            "observations_digest": self.digest,
            "files": list(self.files),
            "manifests": list(self.manifests),
            "cpu_s": round(self.cpu_s, 3),
            "times_real_time": round(self.duration_s / max(self.cpu_s, 1e-3)),
        }

    @property
    def remarks(self) -> str:
        """What was missing and what was not used, for people; empty where nothing was."""
        left_out = f"; not used: {', '.join(self.left_out)}" if self.left_out else ""
        missing = ", ".join(f"{name} {one:.1f} s" for name, one in self.missing_s.items())
        no_value = f"; without a value: {missing}" if missing else ""
        return f"{no_value}{left_out}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


@dataclass(slots=True)
class Tally:
    """Counts of one record while it runs."""

    n_observations: Counter[str] = field(default_factory=Counter)
    heart_rates_bpm: dict[str, list[float | None]] = field(default_factory=dict)
    """By algorithm."""

    def add(self, observation: Observation) -> None:
        """Count the next observation."""
        self.n_observations[observation.name] += 1
        if observation.name == codes.HEART_RATE.name:
            self.heart_rates_bpm.setdefault(observation.algorithm, []).append(observation.value)

    def _rates_bpm(self) -> list[float | None]:
        return self.heart_rates_bpm[preferred(self.heart_rates_bpm)] if self.heart_rates_bpm else []

    @property
    def coverage(self) -> float | None:
        """Share of the heart rates that have a value."""
        rates = self._rates_bpm()
        return (len(rates) - rates.count(None)) / len(rates) if rates else None

    @property
    def median_bpm(self) -> float | None:
        """Median of the heart rates that have a value."""
        known = [rate for rate in self._rates_bpm() if rate is not None]
        return float(np.median(known)) if known else None
