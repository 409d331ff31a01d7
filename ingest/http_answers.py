"""What a process answers over HTTP to those who watch it: a path, and what it gives. A shell."""

import http.server
import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

REQUEST_S_MAX: Final = 5.0


class Answer(NamedTuple):
    """Status, body and its type."""

    code: HTTPStatus
    body: bytes
    kind: str


def json_answer(said: Mapping[str, Any], *, good: bool = True) -> Answer:
    """Answer in JSON; 503 where what is asked for is not well."""
    code = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return Answer(code, json.dumps(said).encode(), "application/json")


def metrics_answer() -> Answer:
    """Answer with all metrics of the process, as Prometheus reads them."""
    return Answer(HTTPStatus.OK, generate_latest(), CONTENT_TYPE_LATEST)


def handler_of(
    answers: Mapping[str, Callable[[], Answer]],
) -> type[http.server.BaseHTTPRequestHandler]:
    """Build what answers the given paths, called in the server's threads, and /metrics."""
    known = {"/metrics": metrics_answer, **answers}

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = REQUEST_S_MAX

        def do_GET(self) -> None:
            """Answer one of the paths."""
            answer = known.get(self.path.partition("?")[0])
            if answer is None:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            code, body, kind = answer()
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401
            """Log nothing: a supervisor asks every few seconds."""

    return Handler
