"""The live page's server: a hub behind HTTP and WebSocket.

It serves who can reach its port and has no accounts: on its own it listens on the loopback
interface only. Where others are to see it, a reverse proxy in front of it says who they are.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog
from aiohttp import WSCloseCode, web

from processors.sinks.live.hub import LiveHub, TooManyPagesError
from processors.sinks.live.protocol import (
    HEARTBEAT_S,
    Heartbeat,
    encode_text,
    ms_from_ns,
    stamp_sent,
)
from processors.sinks.live.subscription import Subscription
from processors.sinks.live.system_state import Condition, system_message

STATIC: Final = Path(__file__).parent / "static"
SUBJECT_CHARS_MAX: Final = 256
CLIENT_BYTES_MAX: Final = 1_024
"""A page has nothing to say; one message longer than this ends its connection."""
SEND_TIMEOUT_S: Final = 10.0
"""A page that takes nothing for so long is gone."""
SHUTDOWN_TIMEOUT_S: Final = 2.0
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What the handlers share."""

    hub: LiveHub
    clock_ns: Callable[[], int]
    sockets: set[web.WebSocketResponse]


_SHARED: Final = web.AppKey("shared", _Shared)


def build_app(
    hub: LiveHub,
    *,
    clock_ns: Callable[[], int] = time.time_ns,
    names: frozenset[str] = frozenset(),
) -> web.Application:
    """Build the application.

    Parameters
    ----------
    clock_ns
        UTC, nanoseconds since 1970.
    names
        Names by which it may be called, beside those of the loopback interface. This keeps other
        sites from reading it through a name that they point here (DNS rebinding).
    """
    known = _LOOPBACK_NAMES | names

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.url.host not in known:
            raise web.HTTPMisdirectedRequest(
                text="this server is not known by that name; see its setting `names`\n"
            )
        return await handler(request)

    app = web.Application(middlewares=[guard])
    app[_SHARED] = _Shared(hub=hub, clock_ns=clock_ns, sockets=set())
    app.on_response_prepare.append(_add_headers)
    app.on_shutdown.append(_close_sockets)
    app.router.add_get("/", _get_page)
    app.router.add_get("/ws", _get_socket)
    app.router.add_get("/healthz", _get_health)
    app.router.add_get("/api/subjects", _get_subjects)
    app.router.add_static("/static", STATIC)
    return app


async def serve(
    hub: LiveHub,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    names: frozenset[str] = frozenset(),
    stop: asyncio.Event,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the page until ``stop`` is set. ``on_ready`` gets its address; port 0 takes a free one.

    Called by another name than one of the loopback interface or of ``names``, it refuses.

    Raises
    ------
    OSError
        The address cannot be listened on.
    """
    runner = web.AppRunner(
        build_app(hub, names=names), access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        url = _address(host, runner)
        log.info("live_page_ready", url=url)
        if on_ready is not None:
            on_ready(url)
        await stop.wait()
    finally:
        await runner.cleanup()


def _address(host: str, runner: web.AppRunner) -> str:
    port = runner.addresses[0][1]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)
    # The files are small, and a page of another version would not understand the server.
    response.headers["Cache-Control"] = (
        "no-cache" if request.path.startswith("/static/") else "no-store"
    )


async def _close_sockets(app: web.Application) -> None:
    for socket in set(app[_SHARED].sockets):
        await socket.close(code=WSCloseCode.GOING_AWAY, message=b"server stops")


async def _get_page(_request: web.Request) -> web.FileResponse:
    return web.FileResponse(STATIC / "index.html")


async def _get_health(request: web.Request) -> web.Response:
    hub = request.app[_SHARED].hub
    return web.json_response({"status": "ok", "pages": hub.n_pages, "counts": asdict(hub.counts)})


async def _get_subjects(request: web.Request) -> web.Response:
    shared = request.app[_SHARED]
    subjects = shared.hub.subjects(shared.clock_ns())
    return web.json_response([asdict(subject) for subject in subjects])


async def _get_socket(request: web.Request) -> web.WebSocketResponse:
    subject_id = request.query.get("subject", "")
    if not 0 < len(subject_id) <= SUBJECT_CHARS_MAX:
        raise web.HTTPBadRequest(text="which subject? /ws?subject=ID\n")
    if not _is_same_origin(request):
        raise web.HTTPForbidden(text="a page of another origin may not listen\n")
    shared = request.app[_SHARED]
    ready = asyncio.Event()
    try:
        page = shared.hub.subscribe(subject_id, ready.set, shared.clock_ns())
    except TooManyPagesError as error:
        raise web.HTTPServiceUnavailable(text=f"{error}\n") from error
    socket = web.WebSocketResponse(max_msg_size=CLIENT_BYTES_MAX, compress=False, timeout=1.0)
    try:
        await socket.prepare(request)
        shared.sockets.add(socket)
        await _serve_page(_PageWriter(socket, page, ready, shared))
    finally:
        shared.sockets.discard(socket)
        shared.hub.unsubscribe(page)
    return socket


def _is_same_origin(request: web.Request) -> bool:
    """Browsers always say which page opens a WebSocket; who says nothing is no browser."""
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


class _PageWriter:
    """Sends to one page what its subscription holds, and a heartbeat every second."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        page: Subscription,
        ready: asyncio.Event,
        shared: _Shared,
    ) -> None:
        self.socket = socket
        self._page = page
        self._ready = ready
        self._shared = shared
        self._told: tuple[Condition, ...] = ()

    async def run(self) -> None:
        try:
            await self._write()
            await self.socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"too slow")
        except (ConnectionError, TimeoutError):
            await self.socket.close()  # ends the reader too

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        heartbeat_at = loop.time()
        while not self._page.overrun:
            self._ready.clear()
            await self._send_waiting()
            if loop.time() >= heartbeat_at:
                await self._send_heartbeat()
                heartbeat_at = loop.time() + HEARTBEAT_S
            # Only the waiting is cut short: a message is sent whole.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(heartbeat_at):
                    await self._ready.wait()

    async def _send_heartbeat(self) -> None:
        shared = self._shared
        heard_ms = shared.hub.heard_ms(self._page.subject_id)
        conditions = shared.hub.system.conditions(self._page.subject_id)
        if conditions != self._told:
            self._told = conditions
            await self._send(encode_text(system_message(conditions)))
        await self._send(
            encode_text(Heartbeat(server_ms=ms_from_ns(shared.clock_ns()), heard_ms=heard_ms))
        )

    async def _send_waiting(self) -> None:
        texts, samples = self._page.take()
        for text in texts:
            await self._send(text)
        for payload in samples:
            await self._send(stamp_sent(payload, self._shared.clock_ns()))

    async def _send(self, message: str | bytes) -> None:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            if isinstance(message, str):
                await self.socket.send_str(message)
            else:
                await self.socket.send_bytes(message)


async def _serve_page(writer: _PageWriter) -> None:
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(writer.run(), name="live-write")
        # Reading answers pings and sees the end; what a page says is not listened to.
        async for _ in writer.socket:
            pass
        writing.cancel()
