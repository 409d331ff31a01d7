"""What of an agent's status everybody may know, as figures: pure.

No device is named, not even by its pseudonym: the Frames do that.
"""

from edge.status import AgentStatus, DeviceStatus, hanging
from ingest.frame import NS_PER_S
from ingest.role_status import RoleState
from ingest.status_reporter import Said

_NS_PER_MS = 1_000_000


def said_of(status: AgentStatus) -> Said:
    """Say how an agent stands.

    It waits for a ``loop`` that hangs, for the ``broker`` while Frames wait that it does not take,
    or for the first ``sensor``.
    """
    return Said(
        state=RoleState.WAITING if (reason := _reason(status)) else RoleState.READY,
        reason=reason,
        gauges={**_gauges(status), **_clock_gauges(status.devices)},
    )


def _reason(status: AgentStatus) -> str:
    if hanging(status):
        return "loop"
    if status.spool.n_frames and not status.broker.connected:
        return "broker"
    return "" if any(one.connected for one in status.devices) else "sensor"


def _gauges(status: AgentStatus) -> dict[str, float]:
    spool = status.spool
    acknowledged_ns = status.broker.acknowledged_ns or status.started_ns
    batteries = [one.battery_percent for one in status.devices if one.battery_percent is not None]
    return {
        "up_s": (status.now_ns - status.started_ns) / NS_PER_S,
        "links_wanted": float(len(status.devices)),
        "links_up": float(sum(one.connected for one in status.devices)),
        "spool_frames": float(spool.n_frames),
        "spool_samples": float(spool.n_samples),
        "spool_bytes": float(spool.n_bytes),
        "spool_bytes_max": float(spool.n_bytes_max),
        # While Frames wait: how long ago one was taken.
        "undelivered_s": (status.now_ns - acknowledged_ns) / NS_PER_S if spool.n_frames else 0.0,
        "broker_failures": float(status.broker.n_failures),
        **({"battery_percent_min": min(batteries)} if batteries else {}),
    }


def _clock_gauges(devices: tuple[DeviceStatus, ...]) -> dict[str, float]:
    """Give the worst of the devices' clocks; nothing before one is known."""
    clocks = [one.clock for one in devices if one.clock is not None]
    if not clocks:
        return {}
    return {
        "clock_uncertainty_ms_max": max(one.uncertainty_ns for one in clocks) / _NS_PER_MS,
        "clock_drift_ppm_max": max(abs(one.drift_ppm) for one in clocks),
    }
