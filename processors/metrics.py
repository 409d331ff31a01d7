"""Prometheus metrics of the processors, and what it means when they move."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_LATENCY_BUCKETS_S: Final = tuple(round(0.01 * 1.12**i, 5) for i in range(80))
"""12 % apart from 10 ms to 78 s: percentiles are read from them."""

FRAMES_IN: Final = Counter(
    "chevet_processors_frames_total",
    "Frames taken from the topic. Flat while agents send: the worker hangs.",
    ["role"],
)
SAMPLES_IN: Final = Counter(
    "chevet_processors_samples_total", "Waveform samples in those Frames.", ["role"]
)
OBSERVATIONS_OUT: Final = Counter(
    "chevet_processors_observations_total", "Observations and alarms sent.", ["role"]
)
DEAD_LETTERS: Final = Counter(
    "chevet_processors_records_dead_lettered_total",
    "Records or points that nobody could use. Read them on the dead-letter topic.",
    ["role"],
)
DUPLICATES: Final = Counter(
    "chevet_processors_duplicate_samples_total",
    "Samples delivered again and not processed twice. Rises after an outage.",
)
EVICTED: Final = Counter(
    "chevet_processors_subjects_evicted_total",
    "Subjects forgotten because a partition had too many. More partitions and workers are needed.",
)
LINES_OUT: Final = Counter(
    "chevet_processors_lines_stored_total", "Points that the store has accepted.", ["store"]
)
STORE_RETRIES: Final = Counter(
    "chevet_processors_store_retries_total",
    "Writes that the store was not well enough for. Steady growth: look at the database.",
    ["store"],
)
PROCESSING_SECONDS: Final = Histogram(
    "chevet_processors_frame_seconds", "CPU-bound time per Frame in the pipeline."
)
RADIO_TO_OBSERVATION: Final = Histogram(
    "chevet_processors_radio_to_observation_seconds",
    "From the arrival of a Frame's first payload at the agent to its observations sent.",
    buckets=_LATENCY_BUCKETS_S,
)
RADIO_TO_STORED: Final = Histogram(
    "chevet_processors_radio_to_stored_seconds",
    "From the arrival of a block's first payload at the agent to its samples stored.",
    buckets=_LATENCY_BUCKETS_S,
)
READY: Final = Gauge(
    "chevet_processors_ready",
    "1 while the role has its partitions and reads. 0 for long: broker away, or a rebalance hangs.",
    ["role"],
)
SUBJECTS: Final = Gauge("chevet_processors_subjects", "Subjects in memory.", ["role"])
