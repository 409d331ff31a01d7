"""What the samples of a run say, from its first to its last: differences, slopes and lags."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from deploy.bench.card import StageUse
from deploy.bench.processes import Usage, processor_name
from deploy.scrape import Buckets, added, histogram_percentile_ms
from ingest.frame import NS_PER_S

_MB: Final = 1e6
_S_PER_MIN: Final = 60.0
_PERCENTILES: Final = (50, 95, 99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Counters at one moment of a run."""

    t_ns: int
    usage: Mapping[str, Usage]
    """By stage."""
    observer_s: float
    """CPU of who measures."""
    busy_s: float
    """CPU of the whole machine."""
    n_made: int
    """Frames that were due by then."""
    n_processed: int
    """Frames of which the workers have sent what follows."""
    n_points: float
    """That the store has accepted."""
    processing: Buckets


class Span:
    """From the first sample to the last, two at least."""

    def __init__(self, samples: Sequence[Sample], n_subjects: int) -> None:
        self._samples = samples
        self._n_subjects = n_subjects
        self._first, self._last = samples[0], samples[-1]
        self.seconds: Final = (self._last.t_ns - self._first.t_ns) / NS_PER_S

    @property
    def observer_cpu_s(self) -> float:
        """CPU of who measured."""
        return self._last.observer_s - self._first.observer_s

    @property
    def machine_cores_used(self) -> float:
        """Cores that were busy, whoever used them."""
        return (self._last.busy_s - self._first.busy_s) / self.seconds

    @property
    def n_made(self) -> int:
        """Frames that were made."""
        return self._last.n_made - self._first.n_made

    @property
    def n_processed(self) -> int:
        """Frames that were processed."""
        return self._last.n_processed - self._first.n_processed

    @property
    def points_per_s(self) -> float:
        """Points that the store has accepted."""
        return (self._last.n_points - self._first.n_points) / self.seconds

    def processing_ms(self) -> dict[str, float | None]:
        """From a Frame made to its observations sent: percentiles of the Frames of this span."""
        buckets = added((self._last.processing, self._first.processing), sign=-1)
        return {f"p{p}": histogram_percentile_ms(buckets, p) for p in _PERCENTILES}

    def lag_s(self) -> dict[str, float]:
        """Frames made and not processed, in seconds: of the second and last third, and the most."""
        lags = [(one.n_made - one.n_processed) / self._n_subjects for one in self._samples]
        third = max(1, len(lags) // 3)
        return {
            "middle": float(np.mean(lags[-2 * third : -third] or lags)),
            "end": float(np.mean(lags[-third:])),
            "max": max(lags),
        }

    def stages(self, n_processes: Mapping[str, int]) -> dict[str, StageUse]:
        """Give what each stage used that ran from the first to the last sample."""
        return {stage: self._stage(stage, n) for stage, n in n_processes.items()}

    def _stage(self, stage: str, n_processes: int) -> StageUse:
        first, last = self._first.usage[stage], self._last.usage[stage]
        half = self._samples[len(self._samples) // 2 :]
        minutes = [one.t_ns / NS_PER_S / _S_PER_MIN for one in half]
        memory_mb = [one.usage[stage].memory_bytes / _MB for one in half]
        return StageUse(
            cpu_s=last.cpu_s - first.cpu_s,
            n_processes=n_processes,
            memory_start_mb=first.memory_bytes / _MB,
            memory_end_mb=last.memory_bytes / _MB,
            memory_slope_mb_per_min=_slope(minutes, memory_mb),
        )


def _slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Give the slope of the straight line nearest to the points, 0 for a single one."""
    from_mean = np.array(x) - np.mean(x)
    spread = float(np.sum(from_mean**2))
    return float(np.sum(from_mean * np.array(y)) / spread) if spread else 0.0


def machine() -> dict[str, Any]:
    """Say on what was measured."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": processor_name(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory_bytes / 1e9, 1),
        "python": platform.python_version(),
    }
