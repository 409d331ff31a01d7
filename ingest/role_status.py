"""The RoleStatus: a process of the system says that it lives, and how it is. Pure.

Each process says so once a second on ``chevet.status``. Who says nothing for some seconds is dead,
or cut off: only its silence tells, so nothing here needs a process to see its own end coming.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ingest.errors import MalformedRecordError
from ingest.frame import check_names, check_texts, check_time

AGENT: Final = "agent"
WORKER: Final = "worker"
SINK: Final = "sink"
LIVE: Final = "live"
GRAFANA_LIVE: Final = "grafana-live"
RECORDER: Final = "recorder"
"""The roles. Another name is no error: a reader may be older than who writes."""

N_GAUGES_MAX: Final = 64
STATUS_BYTES_MAX: Final = 16_000
"""Longest status; none of ours has a thousand bytes."""

_ROLE: Final = re.compile(r"[a-z][a-z0-9-]{0,63}")
_GAUGE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_OTHER_FIELDS: Final = frozenset({"state", "reason"})
"""What stands beside the gauges in a store."""


class RoleState(StrEnum):
    """How a process is."""

    STARTING = "starting"
    """It has not done anything yet."""
    READY = "ready"
    """It does what it is for."""
    WAITING = "waiting"
    """It would, but for what the reason names: ``broker``, ``store``, ``assignment`` …"""
    STOPPING = "stopping"
    """It was told to end: the last that is heard of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleStatus:
    """One process at one moment.

    Raises
    ------
    MalformedRecordError
        A name that is none, a gauge that is not finite, or too many of them.
    """

    role: str
    instance: str
    """Tells the processes of a role apart, the same one after a restart."""
    state: RoleState
    reason: str = ""
    t_ns: int
    """UTC of the process's own clock."""
    gauges: Mapping[str, float] = field(default_factory=dict[str, float])
    """Figures by name, units in the names; finite."""

    def __post_init__(self) -> None:
        if not _ROLE.fullmatch(self.role):
            raise MalformedRecordError(f"role {self.role[:80]!r}: lower case letters, digits and -")
        if not self.instance:
            raise MalformedRecordError(f"a {self.role} without a name: instance is empty")
        check_names(role=self.role, instance=self.instance)
        check_texts(reason=self.reason)
        check_time("t_ns", self.t_ns)
        if len(self.gauges) > N_GAUGES_MAX:
            raise MalformedRecordError(
                f"{len(self.gauges)} gauges of a {self.role}; at most {N_GAUGES_MAX} are allowed"
            )
        for name, value in self.gauges.items():
            if not _GAUGE.fullmatch(name) or name in _OTHER_FIELDS:
                raise MalformedRecordError(f"gauge {name[:80]!r} of a {self.role} is no name")
            if not math.isfinite(value):
                raise MalformedRecordError(f"gauge {name} of a {self.role}: {value} is not finite")

    @property
    def key(self) -> str:
        """The record's key: role and instance."""
        return f"{self.role}/{self.instance}"


def agent_instance(subject_id: str, agent_id: str) -> str:
    """Name an agent among all: its own name is unique among those of its subject only."""
    return f"{subject_id}/{agent_id}"
