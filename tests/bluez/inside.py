"""What runs in the virtual machine: every scenario in turn, one JSON line of counts for each."""

import asyncio
import contextlib
import json
import sys
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from bleak import BleakScanner
from bleak.exc import BleakError
from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

from deploy.edge_enrol import EnrolError
from deploy.edge_pair import pair_devices
from edge.errors import EdgeError
from edge.links import link_metrics
from edge.links.link import Link, connect
from edge.links.pairing_agent import PairingAgent, pairing_agent
from edge.links.radio import DEFAULT_ADAPTER, RadioAdapter
from edge.links.recovery import NoRecovery
from edge.virtual.peripheral import Identity
from tests.bluez.bonding import LOCKED, BondingPeripheral, Display
from tests.bluez.ward import PATIENCE_S, Ward, came, until

REPORT = Path("/dev/ttyS1")
LATE_S = 45.0
"""A sensor that is switched on is heard within that, though the scan has ended with the adapter."""

N_SAMPLES = 260
"""Of each stream in each phase: two seconds of ECG."""

Counts = dict[str, Any]


async def scan(ward: Ward) -> Counts:
    """The stock scanner hears every sensor with its name and its services."""
    heard: dict[str, list[str]] = {}
    wanted = {one.identity.name for one in ward.sensors}
    async with BleakScanner() as scanner, asyncio.timeout(PATIENCE_S):
        async for device, advertisement in scanner.advertisement_data():
            name = advertisement.local_name or device.name
            if name in wanted and advertisement.service_uuids:
                heard[name] = advertisement.service_uuids
            if heard.keys() == wanted:
                break
    return {"wanted": sorted(wanted), "heard": heard}


async def agent(ward: Ward) -> Counts:
    """Connect, stream, lose all links at once, lose the adapter, stop; count on both ends."""
    seconds: dict[str, float] = {}
    begun_s = time.monotonic()

    def note(phase: str) -> None:
        nonlocal begun_s
        seconds[phase] = round(time.monotonic() - begun_s, 2)
        begun_s = time.monotonic()
        print(f"inside: {phase} after {seconds[phase]} s", flush=True)

    async with ward.agent():
        await ward.until_connected(1)
        note("connect")
        await ward.until_sent(N_SAMPLES)
        note("stream")

        for sensor in ward.sensors:
            ward.ether.silence(sensor.identity.address)
        await ward.until_disconnected()
        for sensor in ward.sensors:
            ward.ether.restore(sensor.identity.address)
        await ward.until_connected(2)
        await ward.until_sent(N_SAMPLES)
        note("links_lost_and_back")

        await ward.radio.__aexit__(None, None, None)
        await ward.until_disconnected()
        await until_adapter(present=False)
        note("adapter_removed")
        await ward.radio.__aenter__()
        await until_adapter(present=True)
        await ward.until_connected(3)
        await ward.until_sent(N_SAMPLES)
        note("adapter_back")
        async with ward.latecomer.running():
            late = await came(lambda: ward.latecomer.n_connections > 0, LATE_S)
        note("latecomer")
    note("stop")
    frames = await ward.frames()
    note("read")
    return {
        "seconds": seconds,
        "latecomer_connected": late,
        "sequences": [frame.sequence for frame in frames] == list(range(len(frames))),
        "n_frames": len(frames),
        "balances": [asdict(one) | {"even": one.even} for one in ward.balances(frames)],
        "n_connections": {one.identity.name: one.n_connections for one in ward.sensors},
        "connected": {one.identity.name: one.connected for one in ward.sensors},
        "events": ward.events(frames),
        "n_streams_running": {
            **{one.identity.name: len(one.pmd.running) for one in ward.straps},
            ward.oximeter.identity.name: len(ward.oximeter.pmd.running),
        },
        "n_temperatures": sum(r.unit == "Cel" for f in frames for r in f.readings),
        "n_temperatures_sent": ward.thermometer.readings["temperature"].sent,
        "n_temperatures_unconfirmed": ward.thermometer.readings["temperature"].unconfirmed,
    }


async def plugging(ward: Ward) -> Counts:
    """The agent starts without an adapter; it is plugged in, and put back at once without links."""
    for sensor in ward.sensors:
        ward.ether.silence(sensor.identity.address)
    await ward.radio.__aexit__(None, None, None)
    await until_adapter(present=False)
    scans = link_metrics.ADAPTER_USABLE.labels("hci0")
    scans.set(0)
    n_before = [one.n_connections for one in ward.sensors]
    async with ward.agent(scan_silence_s=3600):
        await ward.radio.__aenter__()
        await until(lambda: scans._value.get() == 1, lambda: "it does not scan")
        await ward.radio.__aexit__(None, None, None)
        await ward.radio.__aenter__()
        for sensor in ward.sensors:
            ward.ether.restore(sensor.identity.address)
        await ward.until_connected(1)
    return {"n_connections": [one.n_connections for one in ward.sensors], "n_before": n_before}


async def pairing(ward: Ward) -> Counts:
    """Read what is for encrypted links only: after pairing, and on a new link with the bond."""
    return {
        "legacy": await _pair(ward, 91, secure_connections=False),
        "secure_connections": await _pair(ward, 92, secure_connections=True),
    }


async def _pair(ward: Ward, number: int, *, secure_connections: bool) -> Counts:
    who = Identity(model="Bonding", serial=f"{number:04d}", address=f"C4:E7:7F:00:00:{number:02X}")
    peripheral = BondingPeripheral(
        ward.ether, who, ward.clock, secure_connections=secure_connections
    )
    found: Counts = {}
    async with peripheral.running():
        async with pairing_agent(None) as agent, _linked(peripheral, agent) as link:
            await link.pair()
            found["after_pairing"] = await _read(link)
            # The peripheral has the last keys a moment after BlueZ is done.
            await came(lambda: peripheral.n_pairings > 0, PATIENCE_S)
            found["n_pairings"] = peripheral.n_pairings
        if secure_connections:
            # With a legacy bond bumble gives another key than the one that it gave when pairing.
            async with _linked(peripheral) as link:
                found["with_the_bond"] = await _read(link)
            found["n_pairings_with_the_bond"] = peripheral.n_pairings
        found["n_encrypted_links"] = peripheral.n_encrypted_links
    return found


@contextlib.asynccontextmanager
async def _linked(
    peripheral: BondingPeripheral, agent: PairingAgent | None = None
) -> AsyncIterator[Link]:
    """Give a link through the agent's own connector, and end it at both ends."""
    name = peripheral.identity.name
    device = await BleakScanner.find_device_by_name(name, PATIENCE_S)
    if device is None:
        raise TimeoutError(f"{name} was not heard")
    if agent is not None:
        agent.expect(device.details["path"])
    adapter = RadioAdapter(name=DEFAULT_ADAPTER, recovery=NoRecovery(DEFAULT_ADAPTER))
    link = await connect(lambda: device, name, adapter, timeout_s=PATIENCE_S)
    try:
        yield link
    finally:
        await link.disconnect()
        await until(lambda: not peripheral.connected, lambda: f"{name} is still connected")


async def passkey(ward: Ward) -> Counts:
    """Enrol what shows a passkey: typed wrongly, then rightly; then read with the key."""
    display = Display()
    who = Identity(model="Display", serial="0093", address="C4:E7:7F:00:00:93")
    peripheral = BondingPeripheral(
        ward.ether, who, ward.clock, secure_connections=True, display=display
    )
    settings, names, found = ward.settings(), [who.name], {}

    async def ask(question: str) -> str:
        found["question"] = question
        shown = await display.shown
        return f"{shown if 'refused' in found else (shown + 1) % 1_000_000:06}"

    async with peripheral.running():
        try:
            await pair_devices(settings, names, PATIENCE_S, ask)
        except EnrolError as error:
            found["refused"] = str(error)
        display.shown = asyncio.get_running_loop().create_future()
        await until(lambda: not peripheral.connected, lambda: "still connected")
        await pair_devices(settings, names, PATIENCE_S, ask)
        await until(lambda: not peripheral.connected, lambda: "still connected")
        async with _linked(peripheral) as link:
            found["with_the_bond"] = await _read(link)
        return found | {"n_pairings": peripheral.n_pairings}


async def _read(link: Link) -> str:
    try:
        return (await link.read(LOCKED)).hex()
    except EdgeError as error:
        return f"{type(error).__name__}: {error}"


async def until_adapter(*, present: bool) -> None:
    """Wait until BlueZ has an adapter that is powered, or none."""
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    try:
        async with asyncio.timeout(PATIENCE_S):
            while await _powered(bus) is not (True if present else None):  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # BlueZ itself may have yet to come
    finally:
        bus.disconnect()


async def _powered(bus: MessageBus) -> bool | None:
    """Whether the first adapter is powered; None where there is none, or no BlueZ yet."""
    reply = await bus.call(
        Message(
            destination="org.bluez",
            path="/",
            interface="org.freedesktop.DBus.ObjectManager",
            member="GetManagedObjects",
        )
    )
    if reply is None or reply.message_type is MessageType.ERROR:
        return None
    for interfaces in reply.body[0].values():
        if "org.bluez.Adapter1" in interfaces:
            return bool(interfaces["org.bluez.Adapter1"]["Powered"].value)
    return None


SCENARIOS: tuple[Callable[[Ward], Awaitable[Counts]], ...] = (
    scan,
    agent,
    pairing,
    passkey,
    plugging,
)


async def main(folder: Path, report: TextIO) -> None:
    """Run every scenario; one that fails does not keep the next from running."""
    ward = Ward(Path("/run/chevet"), folder / "ecg.npz", folder / "pleth.npz")

    def tell(**fields: object) -> None:
        report.write(json.dumps(fields) + "\n")

    async with ward.open(), ward.radio:
        await until_adapter(present=True)
        tell(scenario="ready", uptime_s=_uptime_s())
        for scenario in SCENARIOS:
            begun_s = time.monotonic()
            try:
                counts = await scenario(ward)
            except (BleakError, EdgeError, EnrolError, OSError, BaseExceptionGroup):
                counts = {"error": traceback.format_exc()}
            took_s = round(time.monotonic() - begun_s, 2)
            tell(scenario=scenario.__name__, took_s=took_s, **counts)
    tell(scenario="done", uptime_s=_uptime_s(), cpu_s=round(time.process_time(), 1))


def _uptime_s() -> float:
    return float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])


if __name__ == "__main__":
    with REPORT.open("w", encoding="utf-8", buffering=1) as line:
        asyncio.run(main(Path(sys.argv[1]), line))
