"""Whether a file has changed since it was read."""

from pathlib import Path

Mark = tuple[int, int, int]
"""Inode, time of the last change in nanoseconds, and length in bytes."""


def mark_of(path: Path) -> Mark | None:
    """Give what changes when a file does; None where there is none to be asked."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
