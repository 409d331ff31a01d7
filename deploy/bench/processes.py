"""What processes use, from proc(5): nothing but the kernel's own counters."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What some processes have used since they began, and hold now."""

    cpu_s: float
    """User and system time, in steps of 10 ms."""
    memory_bytes: int
    """Resident."""


def usage_of(pids: Iterable[int]) -> Usage:
    """Add up what these processes use.

    Raises
    ------
    ProcessLookupError
        One of them has ended.
    """
    cpu_s, memory_bytes = 0.0, 0
    for pid in pids:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            statm = Path(f"/proc/{pid}/statm").read_text(encoding="ascii")
        except OSError as error:
            raise ProcessLookupError(f"process {pid} has ended") from error
        # Behind the name, which may hold spaces: fields 14 and 15 of proc_pid_stat(5).
        fields = stat.rpartition(")")[2].split()
        cpu_s += (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
        memory_bytes += int(statm.split()[1]) * _PAGE_BYTES
    return Usage(cpu_s=cpu_s, memory_bytes=memory_bytes)


def machine_busy_s() -> float:
    """Seconds that all processors together have worked since the machine began, for anybody."""
    first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()
    user, nice, system, _idle, _wait, interrupt, soft, *_ = map(int, first[1:])
    return (user + nice + system + interrupt + soft) / _TICKS_PER_S


def processor_name() -> str:
    """Name the processor as the kernel does."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"
