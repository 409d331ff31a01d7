"""What the servers have written: the files themselves, by topic and by kind."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ingest.topics import TOPICS

COMPACTION_S_MAX: Final = 120.0
STILL_S: Final = 10.0
"""Files that have not changed for so long are in their final form."""

_LOOK_S: Final = 0.5
_BLOCK_BYTES: Final = 512


def kafka_bytes(log_folder: Path) -> dict[str, int]:
    """Give by topic what all its partitions hold: records in their segments, without indices."""
    return {topic.name: _size(log_folder, f"{topic.name}-[0-9]*/*.log") for topic in TOPICS}


def influx_bytes(data_folder: Path) -> int:
    """Give what InfluxDB has on disk: shards and index, and what still waits in its log."""
    return _size(data_folder / "data", "**/*") + _size(data_folder / "wal", "**/*")


def wait_until_compacted(data_folder: Path, say: Callable[[str], None]) -> bool:
    """Wait until InfluxDB has brought everything into its final form; False where it takes long.

    Its files stand still then, and its write-ahead log is empty.
    """
    say("waiting until InfluxDB has compacted its files")
    deadline_s = time.monotonic() + COMPACTION_S_MAX
    seen, since_s = -1, time.monotonic()
    while time.monotonic() < deadline_s:
        now = influx_bytes(data_folder)
        if now != seen or _size(data_folder / "wal", "**/*.wal") > 0:
            seen, since_s = now, time.monotonic()
        elif time.monotonic() - since_s >= STILL_S:
            return True
        time.sleep(_LOOK_S)
    return False


def _size(folder: Path, pattern: str) -> int:
    total = 0
    for path in folder.glob(pattern):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # compacted away in this moment
        if not path.is_dir():
            # InfluxDB reserves series files of megabytes that hold next to nothing.
            total += min(status.st_size, status.st_blocks * _BLOCK_BYTES)
    return total
