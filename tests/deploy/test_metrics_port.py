"""The port of the metrics, when another program has it."""

import socket

import structlog

from deploy.process import serve_metrics


def test_a_port_that_is_taken_is_an_error_in_the_log_and_no_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with structlog.testing.capture_logs() as log:
            serve_metrics(port)

    assert [(one["event"], one["port"]) for one in log] == [("metrics_unserved", port)]
