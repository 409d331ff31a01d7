"""The topics: names, keys, partitions, retention. The one place that says so."""

from dataclasses import dataclass, field
from typing import Final

from ingest.codec import DEAD_LETTER_BYTES_MAX

DAY_MS: Final = 24 * 3600 * 1000

MESSAGE_BYTES_MAX: Final = DEAD_LETTER_BYTES_MAX + 10_000
"""What a topic takes: the longest record with its key and Kafka's own header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A topic as it is created."""

    name: str
    key: str
    """What the record key is, for the reader."""
    retention_ms: int
    compacted: bool = False
    settings: dict[str, str] = field(default_factory=dict)

    def config(self) -> dict[str, str]:
        """Give the broker's topic settings."""
        policy = "compact" if self.compacted else "delete"
        return {
            "cleanup.policy": policy,
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(MESSAGE_BYTES_MAX),
            **self.settings,
        }


FRAMES: Final = Topic(name="chevet.frames", key="subject_id", retention_ms=7 * DAY_MS)
OBSERVATIONS: Final = Topic(name="chevet.observations", key="subject_id", retention_ms=30 * DAY_MS)
ALARMS: Final = Topic(name="chevet.alarms", key="subject_id", retention_ms=90 * DAY_MS)
ANNOTATIONS: Final = Topic(name="chevet.annotations", key="subject_id", retention_ms=365 * DAY_MS)
CHECKPOINTS: Final = Topic(
    name="chevet.checkpoints",
    key="group/subject_id/writer, in the partition of the subject's Frames",
    retention_ms=-1,
    compacted=True,
    # Every subject's state comes anew each ten seconds or so, and a worker that takes a partition
    # over reads all that is left of it: segments are short, and are compacted when half is old.
    settings={
        "segment.bytes": str(64 * 1024 * 1024),
        "segment.ms": str(10 * 60 * 1000),
        "min.cleanable.dirty.ratio": "0.5",
        "max.compaction.lag.ms": str(30 * 60 * 1000),
        "delete.retention.ms": str(60 * 60 * 1000),
    },
)
DEAD_LETTERS: Final = Topic(
    name="chevet.dead-letters", key="the stage that refused", retention_ms=90 * DAY_MS
)
STATUS: Final = Topic(
    name="chevet.status",
    key="role/instance",
    retention_ms=DAY_MS,
    # Whoever shows them wants the newest only; a segment is the least that can be deleted.
    settings={"segment.bytes": str(16 * 1024 * 1024), "segment.ms": str(60 * 60 * 1000)},
)

TOPICS: Final = (FRAMES, OBSERVATIONS, ALARMS, ANNOTATIONS, CHECKPOINTS, DEAD_LETTERS, STATUS)

N_PARTITIONS: Final = 12
"""Partitions of every topic: the bound on workers side by side. It divides by 2, 3, 4 and 6."""
