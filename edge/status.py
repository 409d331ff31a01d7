"""What an agent says of itself, and what of it is wrong: pure.

The same facts are told three ways: to people (``chevet edge status``), to machines (JSON) and to
supervisors (``/healthz``, ``/readyz``). No name, address or serial number is among them.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Final

from ingest.frame import NS_PER_S

SPOOL_SHARE_MAX: Final = 0.8
"""Fuller than this is worth a word: above 1 the oldest Frames give way."""

ABSENT_S_MAX: Final = 120.0
"""A device away for longer is worth a word."""

BROKER_S_MAX: Final = 60.0
"""So is a broker that has acknowledged nothing for longer while Frames wait."""

LOOP_S_MAX: Final = 30.0
"""A loop that has not come round for longer hangs: the slowest waits for seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockStatus:
    """How a device's clock stands to UTC."""

    offset_ns: int
    drift_ppm: float
    uncertainty_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatus:
    """One device of the settings.

    Attributes
    ----------
    label
        A keyed hash of how the settings name it.
    device_id
        Its pseudonym; None until it was connected for the first time.
    since_ns
        UTC of when it was connected, or lost; None: not seen since the agent started.
    last_payload_ns
        UTC of the last thing that it said.
    """

    label: str
    device_id: str | None = None
    model: str | None = None
    connected: bool = False
    since_ns: int | None = None
    last_payload_ns: int | None = None
    n_payloads: int = 0
    n_links: int = 0
    streams: tuple[str, ...] = ()
    battery_percent: float | None = None
    clock: ClockStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolStatus:
    """What waits on disk."""

    n_frames: int
    n_samples: int
    n_bytes: int
    n_bytes_max: int
    encrypted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerStatus:
    """How delivery goes."""

    connected: bool = False
    acknowledged_ns: int | None = None
    """UTC of the last acknowledgement."""
    n_failures: int = 0
    """Deliveries in a row that failed."""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStatus:
    """One agent at one moment.

    Attributes
    ----------
    channels
        The ledger: a row of counts for each device and channel.
    loops
        Seconds since each of the agent's loops came round.
    unserved
        Where this cannot be asked for, though the settings say so, and why.
    """

    version: str
    agent_id: str
    subject_id: str
    now_ns: int
    started_ns: int
    devices: tuple[DeviceStatus, ...]
    spool: SpoolStatus
    broker: BrokerStatus
    channels: tuple[dict[str, Any], ...] = ()
    loops: dict[str, float] = field(default_factory=dict[str, float])
    unserved: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Give it as plain values, with what is wrong."""
        return {
            **dataclasses.asdict(self),
            "alive": not hanging(self),
            "ready": is_ready(self),
            "troubles": troubles(self),
        }


def status_of_json(said: dict[str, Any]) -> AgentStatus:
    """Read what `AgentStatus.as_json` gave.

    Raises
    ------
    KeyError, TypeError
        It is not the status of an agent of this version.
    """
    devices = tuple(
        DeviceStatus(
            **{
                **one,
                "streams": tuple(one["streams"]),
                "clock": None if one["clock"] is None else ClockStatus(**one["clock"]),
            }
        )
        for one in said["devices"]
    )
    names = {one.name for one in dataclasses.fields(AgentStatus)}
    return AgentStatus(
        **{
            **{name: value for name, value in said.items() if name in names},
            "devices": devices,
            "spool": SpoolStatus(**said["spool"]),
            "broker": BrokerStatus(**said["broker"]),
            "channels": tuple(said["channels"]),
            "unserved": tuple(said["unserved"]),
        }
    )


def hanging(status: AgentStatus) -> list[str]:
    """Name the loops that have not come round in time: only a restart helps."""
    return [name for name, age_s in status.loops.items() if age_s > LOOP_S_MAX]


def is_ready(status: AgentStatus) -> bool:
    """Tell whether the agent does what it is for: a device connected, and Frames delivered."""
    delivered = status.broker.connected and status.broker.n_failures == 0
    return not hanging(status) and delivered and any(one.connected for one in status.devices)


def troubles(status: AgentStatus) -> list[str]:
    """Name what somebody should look at, with what to do; empty: all is well."""
    return [
        *(
            f"loop {name} has not come round for {status.loops[name]:.0f} s: restart the agent"
            for name in hanging(status)
        ),
        *(text for one in status.devices if (text := _device_trouble(one, status))),
        *_spool_troubles(status),
        *_broker_troubles(status),
        *(f"status is not served: {where}: free it, and restart" for where in status.unserved),
    ]


def _device_trouble(device: DeviceStatus, status: AgentStatus) -> str:
    if device.connected:
        return ""
    since_ns = status.started_ns if device.since_ns is None else device.since_ns
    away_s = (status.now_ns - since_ns) / NS_PER_S
    if away_s <= ABSENT_S_MAX:
        return ""
    name = device.device_id or device.label
    seen = "not seen" if device.since_ns is None else "away"
    return f"{name}: {seen} for {age_text(away_s)}: worn, charged, within reach?"


def _spool_troubles(status: AgentStatus) -> list[str]:
    share = status.spool.n_bytes / status.spool.n_bytes_max
    if share <= SPOOL_SHARE_MAX:
        return []
    return [f"spool is {share:.0%} full: at 100 % the oldest Frames are dropped and accounted for"]


def _broker_troubles(status: AgentStatus) -> list[str]:
    broker = status.broker
    if status.spool.n_frames == 0:
        return []
    since_ns = status.started_ns if broker.acknowledged_ns is None else broker.acknowledged_ns
    silent_s = (status.now_ns - since_ns) / NS_PER_S
    if silent_s <= BROKER_S_MAX:
        return []
    why = f" ({broker.error})" if broker.error else ""
    return [f"broker has acknowledged nothing for {age_text(silent_s)}{why}; Frames wait on disk"]


# For people


def age_text(seconds: float) -> str:
    """Write a duration with its two greatest units: ``42 s``, ``3 min 5 s``, ``2 h 10 min``."""
    whole = max(0, int(seconds))
    parts = [
        (whole // 86400, "d"),
        (whole // 3600 % 24, "h"),
        (whole // 60 % 60, "min"),
        (whole % 60, "s"),
    ]
    first = next((i for i, (n, _) in enumerate(parts) if n), len(parts) - 1)
    return " ".join(f"{n} {unit}" for n, unit in parts[first : first + 2] if n or unit == "s")


def size_text(n_bytes: int) -> str:
    """Write a size with a decimal prefix: ``512 B``, ``1.5 MB``."""
    size, unit = float(n_bytes), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":  # noqa: PLR2004
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def as_text(status: AgentStatus) -> str:
    """Lay a status out for a terminal."""
    up_s = (status.now_ns - status.started_ns) / NS_PER_S
    found = troubles(status)
    lines = [
        f"{status.agent_id} for {status.subject_id}, up for {age_text(up_s)}, "
        f"Chevet {status.version}",
        "",
        *_table(_device_rows(status)),
        "",
        f"spool   {status.spool.n_frames} Frames, {size_text(status.spool.n_bytes)} of "
        f"{size_text(status.spool.n_bytes_max)}"
        f"{', encrypted' if status.spool.encrypted else ''}",
        f"broker  {_broker_text(status)}",
    ]
    if status.channels:
        lines += ["", *_table(_ledger_rows(status))]
    lines += ["", *([f"! {text}" for text in found] or ["all is well"])]
    return "\n".join(lines)


def _device_rows(status: AgentStatus) -> list[list[str]]:
    rows = [["device", "model", "link", "heard", "battery", "clock", "streams"]]
    for one in status.devices:
        link = "-" if one.since_ns is None else _ago(status, one.since_ns)
        rows.append(
            [
                one.device_id or one.label,
                one.model or "-",
                f"up {link}" if one.connected else f"away {link}",
                "-" if one.last_payload_ns is None else f"{_ago(status, one.last_payload_ns)} ago",
                "-" if one.battery_percent is None else f"{one.battery_percent:.0f} %",
                _clock_text(one.clock),
                " ".join(one.streams) or "-",
            ]
        )
    return rows


def _clock_text(clock: ClockStatus | None) -> str:
    if clock is None:
        return "-"
    return f"{clock.drift_ppm:+.1f} ppm ±{clock.uncertainty_ns / 1e6:.1f} ms"


def _broker_text(status: AgentStatus) -> str:
    broker = status.broker
    words = "connected" if broker.connected else "away"
    if broker.acknowledged_ns is not None:
        words += f", last acknowledged {_ago(status, broker.acknowledged_ns)} ago"
    if broker.n_failures:
        words += f", {broker.n_failures} failures in a row: {broker.error}"
    return words


def _ledger_rows(status: AgentStatus) -> list[list[str]]:
    """Give a row for each channel: a count by cause is written as ``cause n``."""
    names = list(status.channels[0])
    rows = [[name.replace("_", " ") for name in names]]
    rows += [[_count_text(channel.get(name)) for name in names] for channel in status.channels]
    return rows


def _count_text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{cause} {n}" for cause, n in value.items() if n) or "0"
    return str(value)


def _ago(status: AgentStatus, t_ns: int) -> str:
    return age_text((status.now_ns - t_ns) / NS_PER_S)


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
