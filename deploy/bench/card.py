"""The scale card: what a number of subjects costs on this machine, and whether it keeps up."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from deploy.bench.extrapolation import SECONDS_PER_DAY
from deploy.bench.system import STAGES

LATENCY_S_MAX: Final = 2.0
"""Bound of the 99th percentile from a Frame made to its observations stored."""

LAG_GROWTH_S_MAX: Final = 0.5
"""The lag of the last third of a run may be so much longer than that of the middle third."""

LATE_MS_MAX: Final = 500.0
"""A generator whose Frames leave later (99th percentile) has not made the load that it should."""

OTHERS_CORES_MAX: Final = 0.2
"""Where strangers use more, a card says what they left over."""

BUSY_SHARE: Final = 0.9
"""A process that uses so much of a core, or a machine of all its cores, has no more to give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageUse:
    """What one stage used while it was measured."""

    cpu_s: float
    n_processes: int
    memory_start_mb: float
    memory_end_mb: float
    memory_slope_mb_per_min: float
    """Of a straight line through the second half of the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleCard:
    """One run."""

    machine: Mapping[str, Any]
    n_subjects: int
    n_workers: int
    raw_share: float
    """Of the subjects whose raw waveforms are to be stored."""
    raw_share_stored: float
    """As near as so many subjects come to it."""
    seconds: float
    """That were measured, after some that were not."""
    latency_ms: Mapping[str, float | None]
    latency_n: int
    latency_n_missing: int
    processing_ms: Mapping[str, float | None]
    """From a Frame made to its observations acknowledged by Kafka, of all Frames."""
    stages: Mapping[str, StageUse]
    observer_cpu_s: float
    """Of the measuring process itself."""
    machine_cores_used: float
    """Of all processes of the machine, strangers included."""
    n_made: int
    """Frames, and so seconds of a subject, that were made while it was measured."""
    n_processed: int
    """Likewise processed; fewer where the workers fell behind."""
    lag_s: Mapping[str, float]
    """Frames made and not processed, in seconds of all subjects: middle, end and largest."""
    frames: Mapping[str, int]
    """Made, processed, and seen by the sink; over the whole run."""
    observations: Mapping[str, int]
    """Made by the workers, and read back from InfluxDB; alarms included."""
    points_per_s: float
    generator_late_ms: Sequence[float]
    bytes_per_frame: float
    disk: Mapping[str, int] = field(default_factory=dict)
    """Bytes after the run: by topic, and ``influxdb``."""
    influxdb_compacted: bool = False
    archive_per_day: Mapping[str, int] = field(default_factory=dict)
    """Bytes that one subject takes in the archive in a day, by table; weighed apart from the run,
    in which nothing is recorded."""
    latency_s_max: float = LATENCY_S_MAX

    @property
    def failures(self) -> list[str]:
        """Say why it has not kept up; nothing where it has."""
        p99 = self.latency_ms["p99"]
        late_ms = self.generator_late_ms[1] if self.generator_late_ms else math.inf
        found = {
            f"the generator was late by {late_ms:.0f} ms (p99)": late_ms > LATE_MS_MAX,
            "no latency was measured": p99 is None,
            f"p99 latency is {p99} ms": p99 is not None and p99 > 1000 * self.latency_s_max,
            f"{self.latency_n_missing} probed Frames were never stored": self.latency_n_missing > 0,
            f"the lag grew to {self.lag_s['end']:.1f} s": (
                self.lag_s["end"] - self.lag_s["middle"] > LAG_GROWTH_S_MAX
            ),
            "Frames made and processed differ: {made}, {processed}".format(**self.frames): (
                self.frames["made"] != self.frames["processed"]
            ),
            "Frames made and seen by the sink differ: {made}, {sink}".format(**self.frames): (
                self.frames["made"] != self.frames["sink"]
            ),
            "observations made and stored differ: {made}, {stored}".format(**self.observations): (
                self.observations["made"] != self.observations["stored"]
            ),
        }
        return [text for text, is_so in found.items() if is_so]

    @property
    def kept_up(self) -> bool:
        """Whether nothing was lost, late or falling behind."""
        return not self.failures

    def cpu_ms(self, stage: str) -> float:
        """CPU of a stage for one second of one subject that it has dealt with."""
        n = self.n_made if stage == "generator" else self.n_processed
        return 1000 * self.stages[stage].cpu_s / max(1, n)

    def cores(self, stage: str) -> float:
        """Cores that a stage used."""
        return self.stages[stage].cpu_s / self.seconds

    @property
    def others_cores(self) -> float:
        """Cores that programs used which have nothing to do with the run."""
        ours_s = self.observer_cpu_s + sum(use.cpu_s for use in self.stages.values())
        return max(0.0, self.machine_cores_used - ours_s / self.seconds)

    @property
    def chevet_cpu_ms(self) -> float:
        """CPU per subject and second of all but the generator."""
        return sum(self.cpu_ms(stage) for stage in STAGES if stage != "generator")

    @property
    def subjects_per_core(self) -> float:
        """Subjects for whom one core does everything but the generator's work."""
        return 1000 / self.chevet_cpu_ms if self.chevet_cpu_ms else math.inf

    @property
    def bound_by(self) -> str:
        """Name what has, or would have, given way first."""
        n_cores = self.machine["cores"]
        by_process = {s: self.cores(s) / use.n_processes for s, use in self.stages.items()}
        fullest = max(by_process, key=by_process.__getitem__)
        if self.others_cores >= OTHERS_CORES_MAX:
            return f"other programs: they used {self.others_cores:.1f} of {n_cores} cores"
        if self.machine_cores_used >= BUSY_SHARE * n_cores:
            most = max(self.stages, key=self.cores)
            return f"all cores of this machine; most of it is the {most}"
        if by_process[fullest] >= BUSY_SHARE:
            return f"one core for each {fullest} process"
        return f"nothing yet; the fullest process is the {fullest}"

    def per_subject_day(self, n_bytes: float) -> float:
        """Turn bytes of the whole run into those of one subject and day."""
        return n_bytes / self.frames["made"] * SECONDS_PER_DAY if self.frames["made"] else 0.0

    @property
    def bytes_per_subject_day(self) -> dict[str, float]:
        """By what holds them; checkpoints do not grow with time: see ``checkpoint_bytes``."""
        named = {"chevet.frames": "kafka_frames", "chevet.observations": "kafka_observations"}
        named["influxdb"] = "influxdb"
        found: dict[str, float] = {
            name: round(self.per_subject_day(self.disk[key]))
            for key, name in named.items()
            if key in self.disk
        }
        if self.archive_per_day:
            found["archive"] = sum(self.archive_per_day.values())
        return found

    @property
    def checkpoint_bytes(self) -> float:
        """Of one subject on Kafka, older ones that are not yet compacted away included."""
        return self.disk.get("chevet.checkpoints", 0) / self.n_subjects

    def as_json(self) -> dict[str, Any]:
        """Give everything as one JSON object."""
        return {
            "subjects": self.n_subjects,
            "kept_up": self.kept_up,
            "failures": self.failures,
            "seconds": round(self.seconds, 1),
            "workers": self.n_workers,
            "raw_share": self.raw_share,
            "raw_share_stored": round(self.raw_share_stored, 4),
            "machine": dict(self.machine),
            "latency_ms": dict(self.latency_ms),
            "latency_probes": self.latency_n,
            "processing_ms": dict(self.processing_ms),
            "cpu_per_subject_second_ms": {
                **{stage: round(self.cpu_ms(stage), 3) for stage in self.stages},
                "all_but_generator": round(self.chevet_cpu_ms, 3),
            },
            "cores_used": {
                **{stage: round(self.cores(stage), 3) for stage in self.stages},
                "observer": round(self.observer_cpu_s / self.seconds, 3),
                "others": round(self.others_cores, 3),
                "machine": round(self.machine_cores_used, 3),
            },
            "subjects_per_core": round(self.subjects_per_core),
            "memory_mb": {
                stage: {
                    "start": round(use.memory_start_mb, 1),
                    "end": round(use.memory_end_mb, 1),
                    "slope_per_min": round(use.memory_slope_mb_per_min, 2),
                }
                for stage, use in self.stages.items()
            },
            "lag_s": {name: round(value, 2) for name, value in self.lag_s.items()},
            "lag_records": round(self.lag_s["end"] * self.n_subjects),
            "frames": dict(self.frames),
            "observations": dict(self.observations),
            "points_per_s": round(self.points_per_s),
            "generator_late_ms": list(self.generator_late_ms),
            "bytes_per_frame": round(self.bytes_per_frame),
            "bytes_per_subject_day": self.bytes_per_subject_day,
            "checkpoint_bytes_per_subject": round(self.checkpoint_bytes),
            "disk_bytes": dict(self.disk),
            "archive_bytes_per_subject_day": dict(self.archive_per_day),
            "influxdb_compacted": self.influxdb_compacted,
            "bound_by": self.bound_by,
        }
