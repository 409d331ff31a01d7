"""One run: so many subjects for so many seconds, and everything that is measured of it."""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.bench.archive_bytes import archive_bytes_per_day
from deploy.bench.card import LATENCY_S_MAX, ScaleCard
from deploy.bench.disk import influx_bytes, kafka_bytes, wait_until_compacted
from deploy.bench.generator import LoadStatistics
from deploy.bench.load_plan import LoadPlan
from deploy.bench.probes import StoredProbe
from deploy.bench.processes import machine_busy_s, usage_of
from deploy.bench.sink_choice import sink_settings, stored_share
from deploy.bench.span import Sample, Span, machine
from deploy.bench.system import DATABASE, ScaleSystem
from deploy.scrape import Metrics, added
from ingest.frame import NS_PER_S

SETTLE_SHARE: Final = 0.1
SETTLE_S_MIN: Final = 4.0
SETTLE_S_MAX: Final = 30.0
"""Before it measures: streams begin, and Java and numba compile what is used often."""

SAMPLES: Final = 60
"""Looks at counters and memory over a run, but not more than one a second."""

DRAIN_S_MAX: Final = 60.0
"""What is not stored so long after the last Frame is called lost."""

COMPACTED_FROM_S: Final = 60.0
"""Shorter runs do not wait until InfluxDB has compacted what it has, and weigh no archive."""

_FRAMES: Final = "chevet_processors_frames_total"
_OBSERVATIONS: Final = "chevet_processors_observations_total"
_LINES: Final = "chevet_processors_lines_stored_total"
_PROCESSING: Final = "chevet_processors_radio_to_observation_seconds"


class RunFailedError(Exception):
    """A run came to no result; the message says what ended or is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What every run of a search has in common."""

    records: tuple[str, ...]
    n_workers: int
    raw_share: float
    latency_s_max: float = LATENCY_S_MAX


def run_scale(
    options: RunOptions,
    n_subjects: int,
    duration_s: int,
    say: Callable[[str], None],
    settle_s: int | None = None,
) -> ScaleCard:
    """Start everything, measure for ``duration_s``, and stop everything.

    Parameters
    ----------
    settle_s
        Seconds of load before; a tenth of the duration, within bounds, unless told.

    Raises
    ------
    RunFailedError
        A process ended in the middle, or does not answer.
    ServerError, IngestError
        Something cannot be started.
    """
    if settle_s is None:
        settle_s = int(min(SETTLE_S_MAX, max(SETTLE_S_MIN, SETTLE_SHARE * duration_s)))
    with tempfile.TemporaryDirectory(prefix="chevet-scale-") as name:
        folder = Path(name)
        system = ScaleSystem(
            folder,
            n_workers=options.n_workers,
            sink_settings=sink_settings(options.raw_share),
        )
        with system:
            run = _Run(options, system, say)
            return run.measure(n_subjects, settle_s, duration_s)


class _Run:
    def __init__(
        self, options: RunOptions, system: ScaleSystem, say: Callable[[str], None]
    ) -> None:
        self._options = options
        self._system = system
        self._say = say

    def measure(self, n_subjects: int, settle_s: int, duration_s: int) -> ScaleCard:
        seconds = settle_s + duration_s + 1
        plan = self._system.start_load(self._options.records, n_subjects, seconds)
        from_ns = plan.start_ns + settle_s * NS_PER_S
        until_ns = from_ns + duration_s * NS_PER_S
        n_processes = {stage: len(pids) for stage, pids in self._system.pids().items()}
        with StoredProbe(
            plan,
            port=self._system.influx.port,
            database=DATABASE,
            from_ns=from_ns,
            until_ns=until_ns,
        ) as probe:
            samples = self._sample(plan, from_ns, until_ns)
            load = self._generator_ended(plan)
            self._drain(load.n_frames)
            self._wait_for_answers(probe)
        counts = self._counts(load.n_frames)
        self._system.stop_roles()
        compacted = duration_s >= COMPACTED_FROM_S and wait_until_compacted(
            self._system.influx.data_dir, self._say
        )
        disk = kafka_bytes(self._system.broker.data_dir / "log")
        disk["influxdb"] = influx_bytes(self._system.influx.data_dir)
        span = Span(samples, n_subjects)
        return ScaleCard(
            machine=machine(),
            n_subjects=n_subjects,
            n_workers=self._options.n_workers,
            raw_share=self._options.raw_share,
            raw_share_stored=stored_share(self._options.raw_share, n_subjects),
            seconds=span.seconds,
            latency_ms=probe.latencies.percentiles_ms(),
            latency_n=len(probe.latencies.seconds),
            latency_n_missing=probe.latencies.n_missing,
            processing_ms=span.processing_ms(),
            stages=span.stages(n_processes),
            observer_cpu_s=span.observer_cpu_s,
            machine_cores_used=span.machine_cores_used,
            n_made=span.n_made,
            n_processed=span.n_processed,
            lag_s=span.lag_s(),
            frames=counts["frames"],
            observations=counts["observations"],
            points_per_s=span.points_per_s,
            generator_late_ms=load.late_ms,
            bytes_per_frame=load.n_bytes / max(1, load.n_frames),
            disk=disk,
            influxdb_compacted=compacted,
            archive_per_day=(
                archive_bytes_per_day(self._options.records)
                if duration_s >= COMPACTED_FROM_S
                else {}
            ),
            latency_s_max=self._options.latency_s_max,
        )

    def _sample(self, plan: LoadPlan, from_ns: int, until_ns: int) -> list[Sample]:
        """Look at everything at the beginning, now and then, and at the end."""
        every_ns = max(NS_PER_S, (until_ns - from_ns) // SAMPLES)
        samples: list[Sample] = []
        for t_ns in [*range(from_ns, until_ns - every_ns // 2, every_ns), until_ns]:
            while (wait_s := (t_ns - time.time_ns()) / NS_PER_S) > 0:
                time.sleep(min(wait_s, 1.0))
            self._check_roles()
            samples.append(self._look(plan))
        return samples

    def _look(self, plan: LoadPlan) -> Sample:
        workers = self._metrics("worker")
        t_ns = time.time_ns()
        processed = [one.total(_FRAMES) or 0 for one in workers]
        points = [one.total(_LINES) or 0 for one in self._metrics("sink")]
        observer = os.times()
        return Sample(
            t_ns=t_ns,
            usage={stage: usage_of(pids) for stage, pids in self._system.pids().items()},
            observer_s=observer.user + observer.system,
            busy_s=machine_busy_s(),
            n_made=plan.n_made(t_ns),
            n_processed=int(sum(processed)),
            n_points=sum(points),
            processing=added(one.buckets(_PROCESSING) for one in workers),
        )

    def _metrics(self, stage: str) -> list[Metrics]:
        try:
            return self._system.metrics(stage)
        except OSError as error:
            raise RunFailedError(f"the {stage} does not say its metrics: {error}") from error

    def _check_roles(self) -> None:
        if ended := self._system.ended():
            raise RunFailedError(f"{', '.join(ended)} ended in the middle of the run")

    def _generator_ended(self, plan: LoadPlan) -> LoadStatistics:
        last_ns = plan.made_ns(plan.n_frames - 1)
        while (load := self._system.forget_generator()) is None:
            if time.time_ns() > last_ns + DRAIN_S_MAX * NS_PER_S:
                raise RunFailedError(f"the generator is late by more than {DRAIN_S_MAX:g} s")
            time.sleep(0.1)
        return load

    def _drain(self, n_frames: int) -> None:
        """Wait until every Frame has gone all the way, or for so long as it may take."""
        deadline_s = time.monotonic() + DRAIN_S_MAX
        while time.monotonic() < deadline_s:
            self._check_roles()
            counts = self._role_counts()
            if counts["processed"] == counts["sink"] == n_frames and counts["made"] == counts["on"]:
                return
            time.sleep(0.5)

    def _wait_for_answers(self, probe: StoredProbe) -> None:
        deadline_s = time.monotonic() + DRAIN_S_MAX
        while not probe.is_done and time.monotonic() < deadline_s:
            time.sleep(0.1)
        if probe.error is not None:
            raise RunFailedError(probe.error)

    def _role_counts(self) -> dict[str, int]:
        workers, sinks = self._metrics("worker"), self._metrics("sink")
        return {
            "processed": int(sum(one.total(_FRAMES) or 0 for one in workers)),
            "sink": int(sum(one.total(_FRAMES) or 0 for one in sinks)),
            "made": int(sum(one.total(_OBSERVATIONS) or 0 for one in workers)),
            "on": int(sum(one.total(_OBSERVATIONS) or 0 for one in sinks)),
        }

    def _counts(self, n_frames: int) -> dict[str, dict[str, int]]:
        """Count on both ends, when what the sink has seen is stored or time is up."""
        counts = self._role_counts()
        deadline_s = time.monotonic() + DRAIN_S_MAX
        while (stored := self._n_stored()) < counts["made"] and time.monotonic() < deadline_s:
            time.sleep(1.0)
        return {
            "frames": {
                "made": n_frames,
                "processed": counts["processed"],
                "sink": counts["sink"],
            },
            "observations": {"made": counts["made"], "stored": stored},
        }

    def _n_stored(self) -> int:
        reader = self._system.reader()
        queries = (
            'SELECT count("quality") FROM "observation"',
            'SELECT count("active") FROM "alarm"',
        )
        rows = (row for query in queries for row in reader.query(query))
        return sum(int(row["values"][0][1]) for row in rows)
