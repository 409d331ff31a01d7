"""``python -m tests.grafana.metrics_process PORT``: serve our metrics, all of them moving.

They are the metrics of the processors and of the agent themselves; only what moves them is made up.
"""

import sys
import time
from typing import Final

from deploy.process import serve_metrics
from edge import metrics as edge
from processors import metrics as processors

STEP_S: Final = 0.05
ROLES: Final = ("worker", "sink-influx")


def move() -> None:
    """Let everything go on a little."""
    for role in ROLES:
        processors.FRAMES_IN.labels(role).inc(4)
        processors.SAMPLES_IN.labels(role).inc(500)
        processors.READY.labels(role).set(1)
        processors.SUBJECTS.labels(role).set(3)
        processors.DEAD_LETTERS.labels(role).inc()
        processors.OBSERVATIONS_OUT.labels(role).inc(6)
    for partition in ("0", "1"):
        processors.LAG_RECORDS.labels(partition).set(2)
        processors.LAG_SECONDS.labels(partition).set(0.4)
    processors.LINES_OUT.labels("influx").inc(500)
    processors.STORE_WAITS.labels("influx").inc()
    processors.STORE_RETRIES.labels("influx").inc()
    processors.OUT_OF_ORDER.labels("frames_missing").inc()
    processors.CHECKPOINTS.inc()
    processors.CHECKPOINT_AGE.set(1.5)
    processors.OUTBOX.set(7)
    for seconds in (0.08, 0.2, 0.4):
        processors.RADIO_TO_OBSERVATION.observe(seconds)
        processors.RADIO_TO_STORED.observe(seconds)
    edge.SPOOL_FRAMES.inc(2)
    edge.SPOOL_FAILURES.inc()
    edge.SAMPLES_MISSING.labels("strap", "ecg", "radio_loss").inc(3)


def main(port: int) -> None:
    """Serve until killed."""
    serve_metrics(port)
    while True:
        move()
        time.sleep(STEP_S)


if __name__ == "__main__":
    main(int(sys.argv[1]))
