"""The agent's answers over HTTP: on a Unix socket beside the spool, and on loopback if asked.

=========  ==============================================================
/healthz   200 while every loop comes round; 503: only a restart helps
/readyz    200 while a device is connected and the broker takes Frames
/status    JSON, for ``chevet edge status``
/metrics   Prometheus
=========  ==============================================================

It runs in a thread of its own, so that it also answers when the agent's loop hangs: that is when
somebody asks. The socket is readable by the agent's user only. A port or a socket that cannot be
had is an error in the log and a trouble in the status; the agent works all the same, for what it
measures matters more than who watches it.
"""

import http.server
import json
import os
import socket
import socketserver
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import structlog

from edge import metrics
from edge.status import AgentStatus, hanging, is_ready
from ingest.http_answers import REQUEST_S_MAX, Answer, handler_of, json_answer

log = structlog.get_logger()

PATH_BYTES_MAX: Final = 100
"""A Unix socket's path has 108 bytes on Linux; a longer one is reached through its folder."""

StatusNow = Callable[[], AgentStatus]


class HealthServer:
    """Serves an agent's status until it is left.

    Parameters
    ----------
    status
        Gives the status; called in the server's thread.
    socket_path
        Where the Unix socket is; one that a killed agent has left is replaced.
    port
        On 127.0.0.1 besides; None: on the socket only; 0: a free one.

    Attributes
    ----------
    unserved
        What could not be had, with the reason.
    """

    def __init__(self, status: StatusNow, socket_path: Path, port: int | None = None) -> None:
        self._status = status
        self._socket_path = socket_path
        self._port = port
        self.unserved: tuple[str, ...] = ()
        self._servers: list[socketserver.BaseServer] = []
        self._threads: list[threading.Thread] = []
        self._has_socket = False

    @property
    def port(self) -> int | None:
        """The port in use."""
        return self._port

    def __enter__(self) -> Self:
        handler = handler_of(
            {
                "/healthz": lambda: _short_answer(self._now, lambda now: not hanging(now)),
                "/readyz": lambda: _short_answer(self._now, is_ready),
                "/status": lambda: json_answer(self._now().as_json()),
            }
        )
        self._try("socket", lambda: _UnixServer(self._socket_path, handler))
        if (port := self._port) is not None:
            self._try(
                f"port {port}",
                lambda: http.server.ThreadingHTTPServer(("127.0.0.1", port), handler),
            )
        metrics.HEALTH_UNSERVED.set(len(self.unserved))
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()
        self._servers.clear()
        self._threads.clear()
        if self._has_socket:
            self._socket_path.unlink(missing_ok=True)

    def _now(self) -> AgentStatus:
        return replace(self._status(), unserved=self.unserved)

    def _try(self, what: str, open_server: Callable[[], socketserver.TCPServer]) -> None:
        try:
            server = open_server()
        except OSError as error:
            why = error.strerror or type(error).__name__
            log.error("health_unserved", where=what, error=why)
            self.unserved += (f"{what}: {why}",)
            return
        if isinstance(server, http.server.HTTPServer):
            self._port = server.server_port
        else:
            self._has_socket = True
        self._serve(server)

    def _serve(self, server: socketserver.BaseServer) -> None:
        thread = threading.Thread(
            target=server.serve_forever, args=(0.1,), name="health", daemon=True
        )
        self._servers.append(server)
        self._threads.append(thread)
        thread.start()


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """HTTP on a Unix socket."""

    daemon_threads = True

    def __init__(self, path: Path, handler: type[http.server.BaseHTTPRequestHandler]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.unlink(missing_ok=True)
        with _short(path) as short:
            super().__init__(short, handler)
        path.chmod(0o600)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Give the peer an address, as the handler of HTTP wants one."""
        request, _ = self.socket.accept()
        return request, ("local", 0)


class _short:  # noqa: N801  # used like a function
    """A path that is short enough for a Unix socket, for as long as the folder is held open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder: int | None = None

    def __enter__(self) -> str:
        if len(os.fsencode(self._path)) <= PATH_BYTES_MAX:
            return str(self._path)
        self._folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        return f"/proc/self/fd/{self._folder}/{self._path.name}"

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            os.close(self._folder)


def _short_answer(status: StatusNow, is_good: Callable[[AgentStatus], bool]) -> Answer:
    now = status()
    said = now.as_json()
    return json_answer(
        {name: said[name] for name in ("alive", "ready", "troubles")}, good=is_good(now)
    )


def ask(socket_path: Path, path: str = "/status") -> dict[str, Any]:
    """Ask a running agent over its socket.

    Raises
    ------
    OSError
        No agent answers there.
    ValueError
        What answers is no agent.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(REQUEST_S_MAX)
        with _short(socket_path) as short:
            connection.connect(short)
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/"):
        raise ValueError(f"what answers at {socket_path} is no agent")
    try:
        return dict(json.loads(body))
    except TypeError as error:
        raise ValueError(f"what answers at {socket_path} is no agent") from error
