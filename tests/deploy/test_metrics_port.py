"""The port and the address of the metrics."""

import socket
import urllib.request

import pytest
import structlog

from deploy.local.process import free_ports
from deploy.process import serve_metrics
from processors.health import HealthServer

OTHER = "127.0.0.2"
"""Another address of this machine."""


def test_a_port_that_is_taken_is_an_error_in_the_log_and_no_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with structlog.testing.capture_logs() as log:
            serve_metrics(port)

    assert [(one["event"], one["port"]) for one in log] == [("metrics_unserved", port)]


def text_at(host: str, port: int) -> str:
    with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=30) as answer:
        return str(answer.read().decode())


def test_metrics_are_served_on_the_address_that_is_told_and_on_no_other() -> None:
    (port,) = free_ports(1)

    serve_metrics(port, OTHER)

    assert "process_open_fds" in text_at(OTHER, port)
    with pytest.raises(OSError, match="refused"):
        text_at("127.0.0.1", port)


def test_a_worker_answers_on_the_address_that_is_told_and_on_no_other() -> None:
    with HealthServer(lambda: True, lambda: True, 0, host=OTHER) as server:
        assert server.port is not None

        assert "process_open_fds" in text_at(OTHER, server.port)
        with pytest.raises(OSError, match="refused"):
            text_at("127.0.0.1", server.port)
