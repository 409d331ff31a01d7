"""A worker's answers over HTTP, on 127.0.0.1.

=========  ==============================================================
/live      200 while the event loop comes round; 503: only a restart helps
/ready     200 while its partitions are read; 503: starting, or none to read
/metrics   Prometheus
=========  ==============================================================

It runs in a thread of its own, so that it also answers when the loop hangs.
"""

import http.server
import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

REQUEST_S_MAX: Final = 5.0
LOCALHOST: Final = "127.0.0.1"


class HealthServer:
    """Serves until it is left.

    Parameters
    ----------
    is_live, is_ready
        Called in the server's threads.
    port
        0: a free one; None: nothing is served.

    Raises
    ------
    OSError
        The port cannot be had.
    """

    def __init__(
        self, is_live: Callable[[], bool], is_ready: Callable[[], bool], port: int | None
    ) -> None:
        self._answers = {"/live": is_live, "/ready": is_ready}
        self._port = port
        self._server: http.server.ThreadingHTTPServer | None = None

    @property
    def port(self) -> int | None:
        """The port in use."""
        return self._port

    def __enter__(self) -> Self:
        if self._port is not None:
            self._server = http.server.ThreadingHTTPServer(
                (LOCALHOST, self._port), _handler(self._answers)
            )
            self._port = self._server.server_port
            threading.Thread(
                target=self._server.serve_forever, args=(0.1,), name="health", daemon=True
            ).start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


def _handler(
    answers: dict[str, Callable[[], bool]],
) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = REQUEST_S_MAX

        def do_GET(self) -> None:
            """Answer one of the three paths."""
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(HTTPStatus.OK, generate_latest(), CONTENT_TYPE_LATEST)
            elif path in answers:
                good = answers[path]()
                code = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
                body = json.dumps({path.strip("/"): good}).encode()
                self._answer(code, body, "application/json")
            else:
                self.send_error(HTTPStatus.NOT_FOUND)

        def _answer(self, code: HTTPStatus, body: bytes, kind: str) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401
            """Log nothing: a supervisor asks every few seconds."""

    return Handler
