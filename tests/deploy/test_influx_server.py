import http.client
import json
import socket
import time
import urllib.parse
from collections.abc import Iterator
from http import HTTPStatus

import pytest
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from deploy.local import process as process_module
from deploy.local.influx import InfluxServer
from deploy.local.process import LOCALHOST, ServerMissingError

Row = list[object]
ANY = "any"  # token and organisation are not looked at


def write(server: InfluxServer, lines: bytes, *, bucket: str = "", precision: str = "ns") -> None:
    with InfluxDBClient(server.url, token=ANY, org=ANY) as client:
        client.write_api(write_options=SYNCHRONOUS).write(
            bucket or server.bucket, record=lines, write_precision=precision
        )


def request(
    server: InfluxServer, path: str, method: str = "GET", body: bytes = b""
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(LOCALHOST, server.port, timeout=20.0)
    try:
        connection.request(method, path, body, {"Authorization": f"Token {ANY}"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def stored(server: InfluxServer, measurement: str) -> list[Row]:
    """The measurement's times in nanoseconds and values of v, read back by InfluxQL."""
    statement = f'SELECT v FROM "{measurement}"'  # noqa: S608 - the name is ours
    arguments = {"db": server.database, "epoch": "ns", "q": statement}
    _, answer = request(server, f"/query?{urllib.parse.urlencode(arguments)}")
    (result,) = json.loads(answer)["results"]
    return [row for series in result.get("series", []) for row in series["values"]]


def test_ready_lines_go_in_by_version_2_and_come_out_by_influxql(
    influx_server: InfluxServer, unique_name: str
) -> None:
    lines = b"\n".join(b"%s,s=a v=%di %d" % (unique_name.encode(), i, i) for i in range(1, 101))

    write(influx_server, lines)

    assert stored(influx_server, unique_name) == [[i, i] for i in range(1, 101)]


def test_a_write_is_answered_with_204(influx_server: InfluxServer, unique_name: str) -> None:
    path = "/api/v2/write?org=any&bucket=chevet%2Fautogen&precision=ns"
    line = f"{unique_name} v=1i 1".encode()

    assert request(influx_server, path, "POST", line) == (HTTPStatus.NO_CONTENT, b"")


@pytest.mark.parametrize(
    ("precision", "ns_per_unit"), [("ns", 1), ("us", 10**3), ("ms", 10**6), ("s", 10**9)]
)
@pytest.mark.parametrize("bucket", ["chevet", "chevet/autogen"])
def test_each_precision_and_form_of_bucket_means_the_same_as_in_version_2(
    influx_server: InfluxServer, unique_name: str, bucket: str, precision: str, ns_per_unit: int
) -> None:
    write(influx_server, f"{unique_name} v=1i 7".encode(), bucket=bucket, precision=precision)

    assert stored(influx_server, unique_name) == [[7 * ns_per_unit, 1]]


def test_a_precision_that_version_2_does_not_know_is_refused(influx_server: InfluxServer) -> None:
    with pytest.raises(ApiException) as caught:
        write(influx_server, b"m v=1i 1", precision="h")

    assert caught.value.status == HTTPStatus.BAD_REQUEST


def test_a_partial_write_is_a_400_and_the_good_points_are_stored(
    influx_server: InfluxServer, unique_name: str
) -> None:
    write(influx_server, f"{unique_name} v=1i 1".encode())
    lines = f'{unique_name} v="text" 2\n{unique_name} v=3i 3'.encode()

    with pytest.raises(ApiException, match=r"partial write.*dropped=1") as caught:
        write(influx_server, lines)

    assert caught.value.status == HTTPStatus.BAD_REQUEST
    assert stored(influx_server, unique_name) == [[1, 1], [3, 3]]


def test_an_unknown_bucket_is_a_404(influx_server: InfluxServer) -> None:
    with pytest.raises(ApiException) as caught:
        write(influx_server, b"m v=1i 1", bucket="nobody/autogen")

    assert caught.value.status == HTTPStatus.NOT_FOUND


@pytest.fixture
def own_server() -> Iterator[InfluxServer]:
    with InfluxServer(database="own_data") as server:
        yield server


@pytest.mark.influx
def test_points_outlive_a_kill_and_a_stop(own_server: InfluxServer) -> None:
    write(own_server, b"m v=1i 1")

    own_server.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOCALHOST, own_server.port))
    own_server.restart()
    write(own_server, b"m v=2i 2")
    own_server.restart()

    assert stored(own_server, "m") == [[1, 1], [2, 2]]


def test_two_run_side_by_side_and_stopping_one_leaves_no_process_and_frees_its_ports(
    influx_server: InfluxServer,
) -> None:
    with InfluxServer() as other:
        identities = [process.identity for process in other.processes]
        assert not set(other.ports) & set(influx_server.ports)

    assert len(identities) == 2
    assert not any(identity and identity.is_running() for identity in identities)
    assert influx_server.is_running()
    for port in other.ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((LOCALHOST, port))


@pytest.mark.influx
def test_health_is_that_of_influxdb_and_not_of_nginx(own_server: InfluxServer) -> None:
    status, health = request(own_server, "/health")
    assert (status, json.loads(health)["status"]) == (HTTPStatus.OK, "pass")
    influxd, _ = own_server.processes

    influxd.kill()

    assert not own_server.is_running()
    status, health = request(own_server, "/health")
    assert (status, json.loads(health)["status"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "fail")


def test_a_name_that_would_break_the_settings_is_refused() -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        InfluxServer(database='chevet"; DROP')


def test_without_the_programs_the_script_that_installs_them_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(process_module, "ADMIN_FOLDERS", ())

    with pytest.raises(ServerMissingError, match=r"nginx .*install_services\.sh"):
        InfluxServer().start()


@pytest.mark.influx
def test_samples_of_long_ago_are_kept_where_everything_is() -> None:
    with InfluxServer(keeps_all=True) as server:
        write(server, b"m v=1i 1", bucket="chevet/waveforms")
        server.restart()
        statement = 'SELECT v FROM "waveforms"."m"'
        arguments = urllib.parse.urlencode({"db": "chevet", "epoch": "ns", "q": statement})
        _, answer = request(server, f"/query?{arguments}")

    (series,) = json.loads(answer)["results"][0]["series"]
    assert series["values"] == [[1, 1]]


def test_each_bucket_takes_what_is_young_enough(
    influx_server: InfluxServer, unique_name: str
) -> None:
    now_ns = time.time_ns()
    for bucket in ("chevet/waveforms", "chevet/envelopes", "chevet"):
        write(influx_server, f"{unique_name} v=1i {now_ns}".encode(), bucket=bucket)
    with pytest.raises(ApiException, match=r"beyond retention policy dropped=1"):
        write(influx_server, f"{unique_name} v=1i 1".encode(), bucket="chevet/waveforms")
