"""The agent's answers over HTTP, on the socket and on loopback, also while its loop hangs."""

import http.client
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from edge.health import HealthServer, ask
from edge.status import AgentStatus, BrokerStatus, DeviceStatus, SpoolStatus, status_of_json

READY = AgentStatus(
    version="1",
    agent_id="a-1",
    subject_id="p-1",
    now_ns=2,
    started_ns=1,
    devices=(DeviceStatus(label="device-1", connected=True),),
    spool=SpoolStatus(n_frames=0, n_samples=0, n_bytes=0, n_bytes_max=1),
    broker=BrokerStatus(connected=True),
    loops={"flush": 0.0},
)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.status = READY
        self.server = HealthServer(lambda: self.status, folder / "agent.sock", port=0)

    def get(self, path: str) -> tuple[int, bytes]:
        assert self.server.port
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    with bench.server:
        yield bench


def test_an_agent_that_works_is_alive_and_ready(bench: Bench) -> None:
    assert bench.get("/healthz")[0] == 200
    code, body = bench.get("/readyz")

    assert code == 200
    assert json.loads(body) == {"alive": True, "ready": True, "troubles": []}


def test_an_agent_without_a_broker_is_alive_and_not_ready(bench: Bench) -> None:
    bench.status = replace(READY, broker=BrokerStatus())

    assert bench.get("/healthz")[0] == 200
    assert bench.get("/readyz")[0] == 503


def test_an_agent_whose_loop_hangs_is_not_alive(bench: Bench) -> None:
    bench.status = replace(READY, loops={"flush": 99.0})

    code, body = bench.get("/healthz")

    assert code == 503
    assert "loop flush" in json.loads(body)["troubles"][0]


def test_metrics_are_those_of_prometheus(bench: Bench) -> None:
    code, body = bench.get("/metrics")

    assert code == 200
    assert b"# TYPE" in body


def test_other_paths_are_not_there(bench: Bench) -> None:
    assert bench.get("/")[0] == 404
    assert bench.get("/status/../../etc/passwd")[0] == 404


def test_the_socket_says_the_same_and_only_to_the_owner(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"

    assert ask(path) == json.loads(bench.get("/status")[1])
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_socket_that_a_killed_agent_left_is_replaced_and_then_removed(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with pytest.raises(OSError, match="refused"):
        ask(path)

    with HealthServer(lambda: READY, path) as server:
        assert server.port is None
        assert ask(path)["agent_id"] == "a-1"

    assert not path.exists()


def test_a_path_too_long_for_a_socket_works_too(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()

    with HealthServer(lambda: READY, folder / "agent.sock"):
        assert ask(folder / "agent.sock")["agent_id"] == "a-1"


def test_a_port_that_is_taken_is_a_trouble_and_keeps_nobody_from_starting(
    bench: Bench, tmp_path: Path
) -> None:
    path = tmp_path / "other.sock"

    with (
        structlog.testing.capture_logs() as log,
        HealthServer(lambda: READY, path, port=bench.server.port),
    ):
        said = ask(path)
        assert b"chevet_edge_health_unserved 1.0" in bench.get("/metrics")[1]

    assert (said["alive"], said["ready"]) == (True, True)
    assert [one["event"] for one in log if one["log_level"] == "error"] == ["health_unserved"]
    [trouble] = said["troubles"]
    assert f"port {bench.server.port}: Address already in use" in trouble
    assert status_of_json(said).unserved
    assert not path.exists()


def test_a_socket_that_cannot_be_had_leaves_what_is_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    path.mkdir()

    with HealthServer(lambda: READY, path, port=0) as server:
        assert server.unserved
        assert server.port

    assert path.is_dir()


def test_bytes_that_are_no_request_harm_nothing(bench: Bench) -> None:
    assert bench.server.port
    with socket.create_connection(("127.0.0.1", bench.server.port), timeout=30) as rude:
        rude.sendall(b"\x00\xff\r\n\r\n")
        rude.recv(1000)

    assert bench.get("/healthz")[0] == 200
