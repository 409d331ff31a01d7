"""The live page's server: a hub behind HTTP and WebSocket.

Who may see what is settled at the gate (``access_gate``, ``access_guard``). Without one it serves
whoever reaches its port, and listens on the loopback interface only.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from processors.access_settings import listening_fault
from processors.sinks.live.access_gate import (
    GATE,
    GateOf,
    allowed,
    gate_of,
    note_read,
    require,
)
from processors.sinks.live.access_guard import Handler, guard
from processors.sinks.live.access_log import AccessLogError
from processors.sinks.live.access_setup import OPEN_DOOR, Entrance
from processors.sinks.live.annotating import AnnotationDesk
from processors.sinks.live.hub import LiveHub
from processors.sinks.live.page_socket import SUBJECT_CHARS_MAX, get_socket
from processors.sinks.live.sign_in import FORM_BYTES_MAX, add_sign_out, page
from processors.sinks.live.sign_in_pages import refused_page
from processors.sinks.live.socket_writer import SHARED, Shared, close_sockets
from processors.sinks.live.ward_routes import add_ward_route

STATIC: Final = Path(__file__).parent / "static"
SHUTDOWN_TIMEOUT_S: Final = 2.0
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # To ourselves only: without it a browser says "null" as the origin of our own forms.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
STRICT_TRANSPORT: Final = {"Strict-Transport-Security": "max-age=31536000"}

DESK: Final = web.AppKey("desk", AnnotationDesk)

_LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})

log = structlog.get_logger()


def build_app(
    hub: LiveHub,
    *,
    clock_ns: Callable[[], int] = time.time_ns,
    names: frozenset[str] = frozenset(),
    entrance: Entrance = OPEN_DOOR,
    desk: AnnotationDesk | None = None,
) -> web.Application:
    """Build the application.

    Parameters
    ----------
    clock_ns
        UTC, nanoseconds since 1970.
    names
        Names by which it may be called, beside those of the loopback interface. This keeps other
        sites from reading it through a name that they point here (DNS rebinding).
    entrance
        Who signs in how; unless told nobody is asked.
    desk
        Takes what people mark; None: nothing is taken.
    """
    app = web.Application(
        middlewares=[_known_as(_LOOPBACK_NAMES | names), guard], client_max_size=FORM_BYTES_MAX
    )
    app[SHARED] = Shared(hub=hub, clock_ns=clock_ns)
    app[GATE] = GateOf(gate=entrance.gate)
    headers = SECURITY_HEADERS | (STRICT_TRANSPORT if entrance.is_secure else {})

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(headers)
        # The files are small, and a page of another version would not understand the server.
        response.headers["Cache-Control"] = (
            "no-cache" if request.path.startswith("/static/") else "no-store"
        )

    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(close_sockets)
    app.router.add_get("/", _get_page)
    app.router.add_get("/ws", get_socket)
    add_ward_route(app)
    app.router.add_get("/healthz", _get_health)
    app.router.add_get("/api/me", _get_me)
    app.router.add_get("/api/subjects", _get_subjects)
    app.router.add_static("/static", STATIC)
    if desk is not None:
        desk.add_route(app)
        app[DESK] = desk
    if entrance.gate is not None:
        add_sign_out(app, entrance.gate)
    if entrance.sign_in is not None:
        entrance.sign_in.add_routes(app)
    return app


async def serve(  # noqa: PLR0913
    hub: LiveHub,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    names: frozenset[str] = frozenset(),
    entrance: Entrance = OPEN_DOOR,
    desk: AnnotationDesk | None = None,
    stop: asyncio.Event,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the page until ``stop`` is set. ``on_ready`` gets its address; port 0 takes a free one.

    Called by another name than one of the loopback interface or of ``names``, it refuses.

    Raises
    ------
    ValueError
        The host is not one at which this entrance may be.
    AccessLogError
        The access log cannot be written.
    OSError
        The address cannot be listened on.
    """
    mode = "open" if entrance.gate is None else "guarded"
    if fault := listening_fault(host, mode, is_secure=entrance.is_secure):
        raise ValueError(fault)
    app = build_app(hub, names=names, entrance=entrance, desk=desk)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
    certificate = entrance.certificate
    async with _log_of(entrance, host), _following(entrance):
        await runner.setup()
        try:
            context = None if certificate is None else certificate.context
            await web.TCPSite(runner, host, port, ssl_context=context).start()
            url = _address(host, runner, "http" if certificate is None else "https")
            log.info("live_page_ready", url=url, access=mode)
            if on_ready is not None:
                on_ready(url)
            await stop.wait()
        finally:
            await runner.cleanup()


@contextlib.asynccontextmanager
async def _log_of(entrance: Entrance, host: str) -> AsyncIterator[None]:
    """Write into the access log when the server begins and ends."""
    if entrance.gate is None:
        yield
        return
    access_log = entrance.gate.log
    try:
        await access_log.write("started", host=host)
        yield
        with contextlib.suppress(AccessLogError):
            await access_log.write("stopped")
    finally:
        access_log.close()


@contextlib.asynccontextmanager
async def _following(entrance: Entrance) -> AsyncIterator[None]:
    """Follow the certificate while the server serves."""
    if entrance.certificate is None:
        yield
        return
    following = asyncio.create_task(entrance.certificate.follow(), name="live-certificate")
    try:
        yield
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


def _address(host: str, runner: web.AppRunner, scheme: str) -> str:
    port = runner.addresses[0][1]
    return f"{scheme}://[{host}]:{port}/" if ":" in host else f"{scheme}://{host}:{port}/"


def _known_as(names: frozenset[str]) -> Middleware:
    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.url.host not in names:
            raise web.HTTPMisdirectedRequest(
                text="this server is not known by that name; see its setting `names`\n"
            )
        return await handler(request)

    return check


async def _get_page(request: web.Request) -> web.StreamResponse:
    subject_id = request.query.get("subject", "")[:SUBJECT_CHARS_MAX]
    if subject_id:
        try:
            viewer = await require(request, subject_id, "page")
        except web.HTTPForbidden:
            user = allowed(request).user
            return page(refused_page(user=user), status=403)
        await note_read(request, viewer, "page", subject_id)
    return web.FileResponse(STATIC / "index.html")


async def _get_health(request: web.Request) -> web.Response:
    """Say that the server lives, and to those who may look also what it counted."""
    hub = request.app[SHARED].hub
    gate = gate_of(request)
    if gate is not None and gate.viewer(request) is None:
        return web.json_response({"status": "ok"})
    return web.json_response({"status": "ok", "pages": hub.n_pages, "counts": asdict(hub.counts)})


async def _get_me(request: web.Request) -> web.Response:
    """Say who is signed in, and whether they may watch the subject they ask for."""
    viewer = allowed(request)
    subject_id = request.query.get("subject", "")
    if subject_id:
        await require(request, subject_id, "api")
    said: dict[str, object] = {"user": None if gate_of(request) is None else viewer.user}
    if viewer.may_annotate and DESK in request.app:
        said["annotates"] = True
    return web.json_response(said)


async def _get_subjects(request: web.Request) -> web.Response:
    """List the subjects that may be watched."""
    viewer = allowed(request)
    shared = request.app[SHARED]
    rows = shared.hub.subjects(shared.clock_ns())
    await note_read(request, viewer, "api")
    return web.json_response([asdict(row) for row in rows if viewer.may_watch(row.subject)])
