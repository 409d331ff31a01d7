import http.server
import json
import re
import shutil
import socketserver
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from dbus_fast.aio import MessageBus

from deploy.doctor import (
    PACKAGE_GROUPS,
    check_bluetooth,
    check_broker,
    check_influx,
    check_live_page,
    check_packages,
    check_program,
    check_python,
    check_recordings,
    run_checks,
)
from deploy.findings import Finding, as_records, render
from deploy.local.embedded_broker import EmbeddedBroker
from deploy.local.influx import InfluxServer
from deploy.local.process import (
    LOCALHOST,
    ServerFailedError,
    ServerMissingError,
    ServerProcess,
    free_ports,
)

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_every_check_has_a_name_of_its_own_and_a_remedy_where_it_is_not_ok() -> None:
    dead = f"{LOCALHOST}:{free_ports(1)[0]}"

    findings = run_checks(
        bootstrap_servers=dead, influx_url=f"http://{dead}", live_url=f"http://{dead}"
    )

    names = [finding.name for finding in findings]
    assert len(set(names)) == len(names)
    assert {"Python", "Java", "Kafka", "Bluetooth", "CHEVET_DATA", "broker"} <= set(names)
    assert all(finding.remedy for finding in findings if not finding.ok)
    assert [finding.ok for finding in findings[-3:]] == [False, False, False]
    assert json.loads(json.dumps(as_records(findings)))[0]["name"] == "Python"


def test_addresses_are_checked_only_when_given() -> None:
    names = {finding.name for finding in run_checks()}

    assert not names & {"broker", "InfluxDB", "live page"}


def test_an_old_python_fails() -> None:
    assert check_python((3, 11)).ok
    assert check_python((3, 10)).ok is False


def test_the_groups_of_packages_are_those_of_the_project() -> None:
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    groups = {"base": project["dependencies"], **project["optional-dependencies"]}
    del groups["dev"]

    ours = {
        group: sorted(names)
        for group, requirements in groups.items()
        if (names := [re.split(r"[<>=\[]", each)[0] for each in requirements])
    }

    listed = {group: sorted(names) for group, names in PACKAGE_GROUPS.items()}
    assert {g: [n for n in names if n != "chevet"] for g, names in ours.items()} == listed


def test_a_missing_package_is_named_and_only_the_base_is_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = {"base": ("numpy", "absent-one"), "edge": ("absent-two",)}
    monkeypatch.setattr("deploy.doctor.PACKAGE_GROUPS", table)

    base, edge = check_packages("base"), check_packages("edge")

    assert (base.ok, base.detail) == (False, "without absent-one")
    assert (edge.ok, edge.detail) == (None, "without absent-two")
    assert "'.[edge]'" in edge.remedy


def test_a_missing_program_is_no_failure_but_a_broken_one_is() -> None:
    def missing() -> str:
        raise ServerMissingError("java", "install it")

    def broken() -> str:
        raise ServerFailedError("java", "ended with exit code 1")

    absent = check_program("Java", missing)

    assert (absent.ok, absent.detail, absent.remedy) == (None, "no java", "install it")
    assert check_program("Java", broken).ok is False


def test_a_broker_is_recognised_by_its_protocol(embedded_broker: EmbeddedBroker) -> None:
    address = embedded_broker.bootstrap_servers

    assert check_broker(address).ok
    assert check_broker(f"{LOCALHOST}:{free_ports(1)[0]}, {address}").ok  # one is enough


@pytest.mark.parametrize("address", ["", "host:port", ":9092"])
def test_an_address_that_is_none_is_a_failure(address: str) -> None:
    assert check_broker(address).ok is False


class _Impostor(socketserver.BaseRequestHandler):
    answer: bytes

    def handle(self) -> None:
        self.request.recv(4096)
        self.request.sendall(self.answer)


@pytest.fixture(
    params=[b"", b"\0\0", b"HTTP/1.1 400 No\r\n\r\n", b"\0\0\0\x08notours!", b"\0\0\0\x06chvt\0\0"]
)
def impostor(request: pytest.FixtureRequest) -> Iterator[str]:
    handler = type("Handler", (_Impostor,), {"answer": request.param})
    with socketserver.TCPServer((LOCALHOST, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"{LOCALHOST}:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_what_answers_but_is_not_kafka_is_a_failure(impostor: str) -> None:
    finding = check_broker(impostor)

    assert finding.ok is False
    assert "TLS" in finding.remedy


def test_what_answers_but_not_in_http_is_a_failure(impostor: str) -> None:
    assert check_live_page(f"http://{impostor}").ok is False


def test_influxdb_is_recognised_and_named_with_its_version(influx_server: InfluxServer) -> None:
    finding = check_influx(influx_server.url)

    assert finding.ok
    assert "version 1." in finding.detail
    assert check_live_page(influx_server.url).ok is False  # it answers, but has no page


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/ward/healthz" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_live_page_is_recognised_also_under_a_path() -> None:
    with http.server.HTTPServer((LOCALHOST, 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://{LOCALHOST}:{server.server_address[1]}"
        at_path, at_root = check_live_page(f"{url}/ward"), check_live_page(url)
        server.shutdown()
        thread.join()

    assert at_path.ok
    assert (at_root.ok, at_root.detail) == (False, f"{url} answers 404 where 200 was due")


@pytest.mark.parametrize("url", ["ftp://host/", "host:80", "http://", "http://host:no/"])
def test_a_url_that_is_none_is_a_failure(url: str) -> None:
    assert check_influx(url).ok is False


def test_recordings_are_looked_for_where_chevet_data_says(tmp_path: Path) -> None:
    assert check_recordings({}).ok is None
    assert check_recordings({"CHEVET_DATA": str(tmp_path / "absent")}).ok is False
    assert check_recordings({"CHEVET_DATA": str(tmp_path)}).ok is False
    (tmp_path / "record").touch()
    assert check_recordings({"CHEVET_DATA": str(tmp_path)}).ok


@pytest.fixture
def adapters(tmp_path: Path) -> Path:
    (tmp_path / "adapters" / "hci0").mkdir(parents=True)
    return tmp_path / "adapters"


def test_without_an_adapter_bluetooth_is_absent(tmp_path: Path) -> None:
    finding = check_bluetooth(adapters_folder=tmp_path)

    assert (finding.ok, finding.detail) == (None, "no adapter")


def test_an_adapter_without_a_system_bus_is_a_failure(adapters: Path, tmp_path: Path) -> None:
    environ = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/no-socket"}

    finding = check_bluetooth(adapters_folder=adapters, environ=environ)

    assert finding.ok is False
    assert "hci0, but no system D-Bus" in finding.detail


@pytest.fixture
def bus_address(tmp_path: Path) -> Iterator[str]:
    daemon = shutil.which("dbus-daemon")
    if daemon is None:
        pytest.skip("dbus-daemon is not on this machine")
    address = f"unix:path={tmp_path}/bus"
    bus = ServerProcess(
        name="dbus",
        command=[daemon, "--session", "--nofork", "--nopidfile", f"--address={address}"],
        folder=tmp_path,
        ready=(tmp_path / "bus").exists,
    )
    bus.start()
    yield address
    bus.stop()


def test_bluez_is_looked_for_on_the_bus(adapters: Path, bus_address: str) -> None:
    environ = {"DBUS_SYSTEM_BUS_ADDRESS": bus_address}

    finding = check_bluetooth(adapters_folder=adapters, environ=environ)

    assert (finding.ok, finding.detail) == (False, "hci0, but BlueZ does not run")


async def test_bluez_is_found_on_the_bus(adapters: Path, bus_address: str) -> None:
    import asyncio

    bluez = await MessageBus(bus_address=bus_address).connect()
    await bluez.request_name("org.bluez")
    environ = {"DBUS_SYSTEM_BUS_ADDRESS": bus_address}

    finding = await asyncio.to_thread(check_bluetooth, adapters_folder=adapters, environ=environ)
    bluez.disconnect()

    assert (finding.ok, finding.detail) == (True, "hci0, BlueZ runs")


def test_the_report_shows_a_remedy_only_where_it_helps() -> None:
    findings = [
        Finding(name="a", ok=True, detail="fine", remedy="none needed"),
        Finding(name="long name", ok=None, detail="absent", remedy="install it"),
        Finding(name="c", ok=False, detail="broken", remedy="mend it"),
    ]

    assert render(findings) == "\n".join(
        [
            "    ok  a          fine",
            "     -  long name  absent",
            "                   -> install it",
            "FAILED  c          broken",
            "                   -> mend it",
            "1 ok, 1 not here, 1 failed",
        ]
    )
    assert render([]) == "0 ok, 0 not here, 0 failed"
