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
CHECKPOINTS: Final = Topic(
    name="chevet.checkpoints", key="partition", retention_ms=-1, compacted=True
)
DEAD_LETTERS: Final = Topic(
    name="chevet.dead-letters", key="the stage that refused", retention_ms=90 * DAY_MS
)

TOPICS: Final = (FRAMES, OBSERVATIONS, ALARMS, CHECKPOINTS, DEAD_LETTERS)

N_PARTITIONS: Final = 12
"""Partitions of every topic: the bound on workers side by side. It divides by 2, 3, 4 and 6."""
