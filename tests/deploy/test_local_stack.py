import json
import socket
from pathlib import Path

import pytest

from deploy.local import stack as stack_module
from deploy.local.folders import home_folder
from deploy.local.process import (
    LOCALHOST,
    ProcessIdentity,
    ServerError,
    ServerFailedError,
    free_ports,
    stop_process,
)
from deploy.local.stack import (
    STATE_FILE,
    LocalStack,
    services_status,
    start_services,
    stop_services,
)


@pytest.fixture(autouse=True)
def own_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the usual ports to whoever works on this machine."""
    kafka_port, influx_port = free_ports(2)
    monkeypatch.setattr(stack_module, "KAFKA_PORT", kafka_port)
    monkeypatch.setattr(stack_module, "INFLUX_PORT", influx_port)


def test_embedded_services_are_a_broker_alone() -> None:
    with LocalStack("embedded") as stack:
        host, _, port = stack.bootstrap_servers.partition(":")
        socket.create_connection((host, int(port))).close()
        assert stack.influx_url is None

    assert not stack.broker.is_running()
    assert not stack.broker.data_dir.exists()


@pytest.mark.kafka
@pytest.mark.influx
def test_real_services_are_kafka_and_influxdb(tmp_path: Path) -> None:
    with LocalStack("real", data_dir=tmp_path) as stack:
        assert all(server.is_running() for server in stack.servers)
        assert stack.influx_url is not None
        assert stack.influx_url.startswith(f"http://{LOCALHOST}:")
        assert stack.influx_database == "chevet"

    assert not any(server.is_running() for server in stack.servers)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["influxdb", "kafka"]


@pytest.mark.kafka
@pytest.mark.influx
def test_when_one_server_fails_the_others_are_stopped(tmp_path: Path) -> None:
    with socket.create_server((LOCALHOST, 0)) as taken:
        stack = LocalStack("real", data_dir=tmp_path, influx_port=taken.getsockname()[1])
        for start in (stack.start, stack.__enter__):
            with pytest.raises(ServerFailedError, match="in use"):
                start()

            assert not any(server.is_running() for server in stack.servers)


def test_services_in_the_background_are_found_again_and_stopped(tmp_path: Path) -> None:
    assert services_status(run_folder=tmp_path) is None

    started = start_services("embedded", run_folder=tmp_path)
    try:
        assert started.all_running
        assert services_status(run_folder=tmp_path) == started
        assert start_services("embedded", run_folder=tmp_path) == started
        with pytest.raises(ServerError, match="embedded services run: stop them first"):
            start_services("real", run_folder=tmp_path)
    finally:
        stopped = stop_services(run_folder=tmp_path)

    assert stopped == started
    assert not started.all_running
    assert services_status(run_folder=tmp_path) is None
    assert stop_services(run_folder=tmp_path) is None


@pytest.mark.kafka
@pytest.mark.influx
def test_real_services_run_in_the_background_too(tmp_path: Path) -> None:
    started = start_services("real", run_folder=tmp_path)
    try:
        assert [program.name for program in started.programs] == ["kafka", "influxd", "nginx"]
        assert started.all_running
    finally:
        stop_services(run_folder=tmp_path)

    assert not any(program.is_running for program in started.programs)


def test_a_process_that_is_not_ours_any_more_is_not_stopped(tmp_path: Path) -> None:
    start_services("embedded", run_folder=tmp_path)
    state_file = tmp_path / STATE_FILE
    truth = state_file.read_text(encoding="utf-8")
    state = json.loads(truth)
    state["programs"][0]["identity"]["start_ticks"] -= 1
    state_file.write_text(json.dumps(state), encoding="utf-8")
    ours = ProcessIdentity(**json.loads(truth)["programs"][0]["identity"])
    try:
        stopped = stop_services(run_folder=tmp_path)

        assert stopped is not None
        assert not stopped.all_running
        assert ours.is_running()
    finally:
        state_file.write_text(truth, encoding="utf-8")
        stop_services(run_folder=tmp_path)
    assert not ours.is_running()


def test_services_of_which_one_died_are_started_anew(tmp_path: Path) -> None:
    first = start_services("embedded", run_folder=tmp_path)
    try:
        stop_process(first.programs[0].identity)

        second = start_services("embedded", run_folder=tmp_path)

        assert second.all_running
        assert second.bootstrap_servers == first.bootstrap_servers
    finally:
        stop_services(run_folder=tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"programs": [{"identity": {}, "name": ""}]}'])
def test_a_state_file_that_is_not_ours_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / STATE_FILE).write_text(text, encoding="utf-8")

    with pytest.raises(ServerError, match=STATE_FILE):
        services_status(run_folder=tmp_path)


def test_the_home_folder_follows_the_environment() -> None:
    assert home_folder({"CHEVET_HOME": "/srv/chevet"}) == Path("/srv/chevet/var")
    assert home_folder({"XDG_CACHE_HOME": "/cache"}) == Path("/cache/chevet")
    assert home_folder({}) == Path.home() / ".cache" / "chevet"
