"""The host's clocks, read. A shell."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MONOTONIC: Final[int] = getattr(time, "CLOCK_MONOTONIC_RAW", time.CLOCK_MONOTONIC)
"""Nobody slews the raw one; where there is none, the other has to do."""

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Stamp:
    """Both clocks at one moment."""

    mono_ns: int
    """Since an unknown moment; never set."""
    wall_ns: int
    """UTC since 1970, as the host believes."""


def read_clocks() -> Stamp:
    """Read both clocks, one right behind the other."""
    return Stamp(time.clock_gettime_ns(_MONOTONIC), time.time_ns())


def boot_id() -> str:
    """Name this run of the monotonic clock; empty where the system does not say."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
