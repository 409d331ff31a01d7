"""A worker's answers over HTTP, on 127.0.0.1 unless told.

=========  ==============================================================
/live      200 while the event loop comes round; 503: only a restart helps
/ready     200 while its partitions are read; 503: starting, or none to read
/metrics   Prometheus
=========  ==============================================================

It runs in a thread of its own, so that it also answers when the loop hangs.
"""

import functools
import http.server
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from ingest.http_answers import Answer, handler_of, json_answer

LOCALHOST: Final = "127.0.0.1"


class HealthServer:
    """Serves until it is left.

    Parameters
    ----------
    is_live, is_ready
        Called in the server's threads.
    port
        0: a free one; None: nothing is served.
    host
        The address to listen on.

    Raises
    ------
    OSError
        The port cannot be had.
    """

    def __init__(
        self,
        is_live: Callable[[], bool],
        is_ready: Callable[[], bool],
        port: int | None,
        *,
        host: str = LOCALHOST,
    ) -> None:
        self._answers = {
            "/live": functools.partial(_tell, "live", is_live),
            "/ready": functools.partial(_tell, "ready", is_ready),
        }
        self._port = port
        self._host = host
        self._server: http.server.ThreadingHTTPServer | None = None

    @property
    def port(self) -> int | None:
        """The port in use."""
        return self._port

    def __enter__(self) -> Self:
        if self._port is not None:
            self._server = http.server.ThreadingHTTPServer(
                (self._host, self._port), handler_of(self._answers)
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


def _tell(what: str, is_so: Callable[[], bool]) -> Answer:
    good = is_so()
    return json_answer({what: good}, good=good)
