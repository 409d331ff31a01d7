"""``chevet edge check``: whether an agent can do its work here, before it is left alone."""

import asyncio
import ctypes
import os
import socket
import stat
import tempfile
from dataclasses import dataclass, field
from typing import Final

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakError,
)

from deploy.findings import Finding
from edge.errors import RadioUnavailableError
from edge.health import ask
from edge.identity import load_key
from edge.links.radio import listening
from edge.settings import EdgeSettings
from edge.spool.settings import key_warnings
from edge.status import size_text
from ingest.errors import BrokerError, BrokerRefusedError
from ingest.kafka import missing_topics
from ingest.topics import FRAMES, STATUS

LOOK_S: Final = 0.5
"""Enough to see whether the adapter scans at all."""

_REASONS: Final = {
    BleakBluetoothNotAvailableReason.NO_BLUETOOTH: "plug in or enable a Bluetooth 4.0 adapter, "
    "and start BlueZ: systemctl enable --now bluetooth",
    BleakBluetoothNotAvailableReason.POWERED_OFF: "power it on: bluetoothctl power on; "
    "rfkill unblock bluetooth",
    BleakBluetoothNotAvailableReason.DENIED_BY_USER: "let the agent's user use it: "
    "usermod -aG bluetooth USER",
    BleakBluetoothNotAvailableReason.DENIED_BY_SYSTEM: "let the agent's user use it: "
    "usermod -aG bluetooth USER",
}
_UNSYNCHRONISED: Final = 0x0040
"""STA_UNSYNC of adjtimex(2)."""


def run_edge_checks(settings: EdgeSettings, *, listen_s: float | None) -> list[Finding]:
    """Look at everything that the agent of these settings needs; change nothing.

    Parameters
    ----------
    settings
        The agent's.
    listen_s
        How long to listen for the devices of the settings; None: do not.
    """
    running = _running(settings)
    return [
        check_agent(running),
        *(check_port(settings) if running is None else ()),
        *asyncio.run(_check_radio(settings, listen_s=listen_s)),
        asyncio.run(check_broker(settings)),
        check_clock(),
        check_disk(settings),
        check_key(settings),
        *check_spool_key(settings),
    ]


def _running(settings: EdgeSettings) -> int | None:
    """Give the number of Frames that wait with the running agent; None: none runs."""
    try:
        return int(ask(settings.socket_path)["spool"]["n_frames"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_agent(n_frames: int | None) -> Finding:
    """Say whether an agent of these settings runs already."""
    if n_frames is None:
        return Finding(name="agent", ok=None, detail="none of these settings runs now")
    return Finding(
        name="agent", ok=True, detail=f"runs, {n_frames} Frames wait (chevet edge status)"
    )


def check_port(settings: EdgeSettings) -> list[Finding]:
    """Check that the port of the agent's status can be had; nothing where there is none."""
    if not settings.health_port:
        return []
    name, where = "health port", f"127.0.0.1:{settings.health_port}"
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", settings.health_port))
        except OSError as error:
            remedy = (
                "name another health_port: the agent would start, and nobody could ask it there"
            )
            return [
                Finding(name=name, ok=False, detail=f"{where}: {error.strerror}", remedy=remedy)
            ]
    return [Finding(name=name, ok=True, detail=f"{where} is free")]


# Radio


@dataclass(slots=True)
class _Heard:
    """What a scan has heard."""

    wanted: frozenset[str]
    rssi_dbm: dict[str, int] = field(default_factory=dict[str, int])
    addresses: set[str] = field(default_factory=set[str])

    def take(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        self.addresses.add(device.address)
        name = advertisement.local_name or device.name
        if name in self.wanted:
            self.rssi_dbm[name] = max(advertisement.rssi, self.rssi_dbm.get(name, -999))


async def _check_radio(settings: EdgeSettings, *, listen_s: float | None) -> list[Finding]:
    heard = _Heard(frozenset(one.name for one in settings.devices))
    try:
        async with listening(settings, heard.take) as adapters:
            await asyncio.sleep(listen_s or LOOK_S)
    except RadioUnavailableError as error:
        return [
            Finding(name="Bluetooth", ok=False, detail=str(error), remedy="mend radio_transport")
        ]
    except BleakBluetoothNotAvailableError as error:
        remedy = _REASONS.get(error.reason, "see bluetoothctl show")
        return [Finding(name="Bluetooth", ok=False, detail=str(error), remedy=remedy)]
    except (BleakError, OSError, EOFError) as error:
        remedy = "is BlueZ running, and may this user talk to it? systemctl status bluetooth"
        return [Finding(name="Bluetooth", ok=False, detail=repr(error), remedy=remedy)]
    detail = (
        f"{', '.join(adapters)} scans; {len(heard.addresses)} devices heard in "
        f"{listen_s or LOOK_S:g} s"
    )
    found = [Finding(name="Bluetooth", ok=True, detail=detail)]
    return [*found, *_devices(settings, heard)] if listen_s else found


def _devices(settings: EdgeSettings, heard: _Heard) -> list[Finding]:
    """Say of each device of the settings whether it was heard. Its name is its owner's own."""
    found = []
    for one in settings.devices:
        rssi_dbm = heard.rssi_dbm.get(one.name)
        found.append(
            Finding(
                name=f"device {one.name or one.serial}",
                ok=None if rssi_dbm is None else True,
                detail="not heard" if rssi_dbm is None else f"heard at {rssi_dbm} dBm",
                remedy="worn, charged, within reach? A device that is connected does not advertise",
            )
        )
    return found


# The way out


async def check_broker(settings: EdgeSettings) -> Finding:
    """Ask the broker for its topics, with the agent's own credentials."""
    kafka = settings.kafka
    where = f"{kafka.bootstrap_servers}, {kafka.security_protocol}"
    try:
        missing = await missing_topics(kafka, (FRAMES, STATUS))
    except BrokerRefusedError as error:
        remedy = "mend user, password or certificates under [kafka]"
        return Finding(name="broker", ok=False, detail=str(error), remedy=remedy)
    except BrokerError as error:
        remedy = "is it started, and the address right? Until then Frames wait in the spool"
        return Finding(name="broker", ok=False, detail=str(error), remedy=remedy)
    remedy = "chevet topics creates it; or grant this user Describe and Write"
    if FRAMES.name in missing:
        detail = f"{where}: no topic {FRAMES.name}, or no right to see it"
        return Finding(name="broker", ok=False, detail=detail, remedy=remedy)
    detail = f"{where}: {FRAMES.name} is there"
    if missing:
        # Frames are sent all the same.
        detail += f"; {STATUS.name} is not, so nobody sees how this agent is: {remedy}"
    return Finding(name="broker", ok=True, detail=detail)


# The machine


class _Timex(ctypes.Structure):
    """The beginning of ``struct timex``; adjtimex(2)."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def check_clock() -> Finding:
    """Ask the kernel whether its clock is kept right, and within which error."""
    name = "clock"
    try:
        timex = _Timex()
        asked = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return Finding(name=name, ok=None, detail="this system does not say whether it is right")
    if asked < 0:
        return Finding(name=name, ok=None, detail=os.strerror(ctypes.get_errno()))
    if int(timex.status) & _UNSYNCHRONISED:
        return Finding(
            name=name,
            ok=None,
            detail="not kept right by anybody: times are as wrong as this clock",
            remedy="timedatectl set-ntp true, or install chrony",
        )
    return Finding(name=name, ok=True, detail=f"right within {int(timex.maxerror) / 1e3:.0f} ms")


def check_disk(settings: EdgeSettings) -> Finding:
    """Check that the spool can be written, and that it may grow to its bound."""
    folder = settings.spool_path.parent
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        remedy = "give the agent's user the folder of spool_path"
        return Finding(name="disk", ok=False, detail=f"{there}: {error}", remedy=remedy)
    free = os.statvfs(there)
    n_free = free.f_bavail * free.f_frsize
    n_spooled = sum(path.stat().st_size for path in folder.glob(f"{settings.spool_path.name}*"))
    n_needed = max(0, settings.spool_bytes_max - n_spooled)
    detail = (
        f"{size_text(n_free)} free in {there}; the spool holds {size_text(n_spooled)} and may "
        f"grow to {size_text(settings.spool_bytes_max)}"
    )
    return Finding(
        name="disk",
        ok=n_free > n_needed,
        detail=detail,
        remedy="make room, or lower spool_bytes_max: a full disk drops the oldest Frames sooner",
    )


def check_spool_key(settings: EdgeSettings) -> list[Finding]:
    """Say what is weak about how waiting Frames are kept."""
    return [
        Finding(name="spool key", ok=None, detail=warning, remedy="see docs/edge.md")
        for warning in key_warnings(settings)
    ] or [Finding(name="spool key", ok=True, detail="waiting Frames are encrypted")]


def check_key(settings: EdgeSettings) -> Finding:
    """Check that the agent's key can be used, and that nobody else can read it."""
    name, path = "key", settings.key_path
    if not path.exists():
        return Finding(name=name, ok=None, detail=f"{path} will be made at the first start")
    try:
        load_key(path)
    except (OSError, ValueError) as error:
        return Finding(name=name, ok=False, detail=str(error), remedy="restore it")
    mode = stat.S_IMODE(path.stat().st_mode)
    return Finding(
        name=name,
        ok=mode & 0o077 == 0,
        detail=f"{path} has the rights {mode:o}",
        remedy=f"chmod 600 {path}",
    )
