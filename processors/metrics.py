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
BYTES_IN: Final = Counter(
    "chevet_processors_bytes_total", "Bytes of the records taken from the topic.", ["role"]
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
OUT_OF_ORDER: Final = Counter(
    "chevet_processors_out_of_order_total",
    "Frames and samples that did not come in their agent's order, by what became of them. "
    "frames_missing: they never came to the worker; look at the agent's spool and at the topic.",
    ["what"],
)
EVICTED: Final = Counter(
    "chevet_processors_subjects_evicted_total",
    "Subjects forgotten because a partition had too many. More partitions and workers are needed.",
)
SKIPPED: Final = Counter(
    "chevet_processors_records_passed_over_total",
    "Records that came again and that the state had already. Rises after a restart or rebalance.",
)
REARMED: Final = Counter(
    "chevet_processors_subjects_rearmed_total",
    "Subjects that began anew, warming up, because their state could not be used (state: another "
    "version wrote it, or it is damaged) or the pipeline failed (failure: a bug, see the log).",
    ["cause"],
)
LIVE_ACCESS: Final = Counter(
    "chevet_live_access_total",
    "What happened at the live page's door, as in the access log. sign_in_failed: somebody "
    "guesses, or a token has expired. log_unwritable: nothing is shown any more; look at the disk. "
    "session_crowded_out, sign_in_crowded_out: too many at once. refused_unwritten: more refusals "
    "than are written.",
    ["event"],
)
RESTARTED: Final = Counter(
    "chevet_processors_input_restarted_total",
    "Records whose offsets were used before: the topic of the Frames was made anew.",
)
JUMPED: Final = Counter(
    "chevet_processors_records_gone_total",
    "Records that the broker no longer had when they were due. The worker was away for too long.",
)
PASSED_OVER: Final = Counter(
    "chevet_processors_passed_over_total",
    "Times that the client went on behind records that it was to read, and was sent back to them.",
)
CHECKPOINTS: Final = Counter(
    "chevet_processors_checkpoints_total", "States of subjects that Kafka has stored."
)
CHECKPOINT_BYTES: Final = Histogram(
    "chevet_processors_checkpoint_bytes",
    "Length of a subject's state as it is stored.",
    buckets=tuple(1_000 * 2**i for i in range(14)),
)
CHECKPOINT_AGE: Final = Gauge(
    "chevet_processors_checkpoint_age_seconds",
    "How long the oldest record waits for its subject's state to be stored. More than twice the "
    "interval: the broker is unwell, or the worker does not keep up.",
)
LOADING_SECONDS: Final = Histogram(
    "chevet_processors_loading_seconds",
    "From the assignment of partitions to their states read.",
    buckets=(0.1, 0.3, 1, 3, 10, 30, 100, 300),
)
LAG_RECORDS: Final = Gauge(
    "chevet_processors_lag_records",
    "Records behind the last one processed. Grows: more workers are needed.",
    ["partition"],
)
LAG_SECONDS: Final = Gauge(
    "chevet_processors_lag_seconds",
    "While records wait: from the newest event time processed to now. Old data have a great lag.",
    ["partition"],
)
OUTBOX: Final = Gauge(
    "chevet_processors_outbox_records", "Records said and not stored yet. High: look at the broker."
)
LINES_OUT: Final = Counter(
    "chevet_processors_lines_stored_total", "Points that the store has accepted.", ["store"]
)
LINES_TOO_OLD: Final = Counter(
    "chevet_processors_lines_too_old_total",
    "Points that InfluxDB has accepted and dropped at once: older than the bucket keeps them. "
    "Rises while an agent sends what has waited for days.",
    ["bucket"],
)
STORE_RETRIES: Final = Counter(
    "chevet_processors_store_retries_total",
    "Writes that the store was not well enough for. Steady growth: look at the database.",
    ["store"],
)
STORE_WAITS: Final = Counter(
    "chevet_processors_store_waits_total",
    "Times that nothing was read because too much waited for the store. Steady growth: it is slow.",
    ["store"],
)
ARCHIVE_BYTES: Final = Counter(
    "chevet_processors_archive_bytes_total",
    "Bytes of the files that the recorder has written. Flat while Frames come, for longer than "
    "commit_s: look at its log and its disk.",
)
ARCHIVE_REPEATS: Final = Counter(
    "chevet_processors_archive_repeats_total",
    "Records that came again, byte for byte, and are in the archive once. Rises after an outage.",
)
ARCHIVE_MERGED: Final = Counter(
    "chevet_processors_archive_merged_files_total",
    "Small files of the archive that larger ones have replaced.",
)
WITHOUT_ENVELOPE: Final = Counter(
    "chevet_processors_without_envelope_total",
    "What is in no stored envelope or trend: samples and observations that came late (those that "
    "come again after a worker's restart among them), what is beyond a bound, and series that were "
    "forgotten with their present second because a partition had too many.",
    ["what"],
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
LIVE_SAMPLES: Final = Counter(
    "chevet_processors_grafana_live_samples_total",
    "Samples for Grafana Live by what became of them. lost: in a push that failed, look at "
    "Grafana. expired: waited too long for it. late: came after newer ones, or from a spool.",
    ["what"],
)
LIVE_PUSHES: Final = Counter(
    "chevet_processors_grafana_live_pushes_total",
    "Requests to Grafana by its answer. token_refused: renew the token in token_file. refused: "
    "look at url and stream. unwell, unreachable: Grafana is away; live data are dropped.",
    ["answer"],
)
LIVE_LEFT_OUT: Final = Counter(
    "chevet_processors_grafana_live_left_out_total",
    "What else was not pushed: numerals and events in pushes that failed, events that were too old "
    "or too many, and records of subjects beyond n_subjects_max.",
    ["what"],
)
LIVE_PUSH_SECONDS: Final = Histogram(
    "chevet_processors_grafana_live_push_seconds",
    "How long Grafana took for a push. Above the interval: pushes come in greater pieces.",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
