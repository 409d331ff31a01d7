"""From a card to a ward, a hospital and a country: arithmetic over measured figures.

Nothing here is measured. It says what the card's figures mean if each stage goes on costing what it
costs per subject, which holds where work is divided by subject: agents, partitions, workers, sinks.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ingest.topics import DAY_MS, FRAMES, N_PARTITIONS, OBSERVATIONS

SECONDS_PER_DAY: Final = 86_400

UTILISATION: Final = 0.6
"""Share of a core that is planned for: the rest is for peaks, and to catch up after an outage."""

COPIES: Final = 3
"""Of each record on Kafka, outside of one machine."""

STORE_DAYS: Final = 30
"""For which InfluxDB keeps what the card's sink wrote."""

DAYS_PER_YEAR: Final = 365

SERVED_BY: Final = ("kafka", "worker", "sink", "influxdb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """So many subjects at once."""

    name: str
    n_subjects: int


PLACES: Final = (
    Place(name="ward", n_subjects=30),
    Place(name="hospital", n_subjects=1_000),
    Place(name="country", n_subjects=100_000),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a place takes."""

    place: Place
    partitions: int
    """One worker process reads one partition at least: no fewer than worker processes."""
    cores: Mapping[str, float]
    """By stage."""
    kafka_gb: float
    """Frames and observations for as long as they are kept, all copies, and checkpoints."""
    influxdb_gb: float
    network_mbit_s: float
    """Into Kafka, from the agents and the workers, as compressed."""
    archive_gb_per_year: float | None
    """None where the card says nothing of it."""


def needs_of(card: Mapping[str, Any], place: Place) -> Needs:
    """Work out what a place takes, from a card as JSON."""
    cpu_ms, per_day = card["cpu_per_subject_second_ms"], card["bytes_per_subject_day"]
    n = place.n_subjects
    cores = {stage: n * cpu_ms[stage] / 1000 / UTILISATION for stage in SERVED_BY}
    frames, observations = per_day["kafka_frames"], per_day["kafka_observations"]
    kept = frames * FRAMES.retention_ms / DAY_MS + observations * OBSERVATIONS.retention_ms / DAY_MS
    kafka_bytes = COPIES * n * (kept + card["checkpoint_bytes_per_subject"])
    return Needs(
        place=place,
        partitions=max(N_PARTITIONS, math.ceil(cores["worker"])),
        cores=cores,
        kafka_gb=kafka_bytes / 1e9,
        influxdb_gb=n * per_day["influxdb"] * STORE_DAYS / 1e9,
        network_mbit_s=n * (frames + observations) * 8 / SECONDS_PER_DAY / 1e6,
        archive_gb_per_year=(
            n * per_day["archive"] * DAYS_PER_YEAR / 1e9 if "archive" in per_day else None
        ),
    )


def table(card: Mapping[str, Any]) -> Iterator[str]:
    """Write the needs of every place as a table in Markdown, line by line."""
    yield "| | " + " | ".join(f"{one.name}, {one.n_subjects:,} subjects" for one in PLACES) + " |"
    yield "| --- |" + " ---: |" * len(PLACES)
    all_needs = [needs_of(card, place) for place in PLACES]
    rows = {
        "partitions of each topic": [f"{one.partitions:,}" for one in all_needs],
        **{
            f"cores: {stage}": [_number(one.cores[stage]) for one in all_needs]
            for stage in SERVED_BY
        },
        "cores: all": [_number(sum(one.cores.values())) for one in all_needs],
        "Kafka, GB": [_number(one.kafka_gb) for one in all_needs],
        "InfluxDB, GB": [_number(one.influxdb_gb) for one in all_needs],
        "into Kafka, Mbit/s": [_number(one.network_mbit_s) for one in all_needs],
    }
    if all(one.archive_gb_per_year is not None for one in all_needs):
        rows["archive, GB a year"] = [_number(one.archive_gb_per_year or 0) for one in all_needs]
    for name, cells in rows.items():
        yield f"| {name} | " + " | ".join(cells) + " |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"  # noqa: PLR2004  # two digits then
