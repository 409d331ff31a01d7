"""A Grafana that records what is pushed to it, and answers as it is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

TOKEN = "glsa_right"  # noqa: S105


@dataclass
class Endpoint:
    """Takes pushes with the right token; ``answers`` are given first, one each.

    An answer is a status, a pair of status and ``Retry-After``, or "drop": the request is taken
    and the connection closed before the answer.
    """

    url: str = ""
    token: str = TOKEN
    answers: list[int | tuple[int, str] | str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    """Of requests that were answered with 200, or were taken and not answered."""
    n_requests: int = 0
    away: bool = False
    """Every request is answered with 503."""

    async def handle(self, request: web.Request) -> web.Response:
        self.n_requests += 1
        body = await request.read()
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"message": "Invalid API key"}, status=401)
        if self.away:
            return web.Response(status=503)
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, tuple):
            return web.Response(status=answer[0], headers={"Retry-After": answer[1]})
        if isinstance(answer, int) and answer != 200:
            return web.Response(status=answer, text="no", headers={"Location": "/elsewhere"})
        self.bodies.append(body)
        if answer == "drop" and request.transport is not None:
            request.transport.close()
        return web.Response()


@asynccontextmanager
async def open_endpoint(path: str = "") -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    app = web.Application(client_max_size=64_000_000)
    app.router.add_post(f"{path}/api/live/push/chevet", endpoint.handle)
    async with TestServer(app, host="127.0.0.1") as server:
        endpoint.url = str(server.make_url(path or "/")).rstrip("/")
        yield endpoint
