"""In front of every handler: nobody passes who has not signed in, but to what is public."""

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from yarl import URL

from processors.sinks.live.access_gate import Gate, gate_of, is_same_origin
from processors.sinks.live.access_log import AccessLogError, By

PUBLIC: Final = frozenset(
    {"/healthz", "/static", "/sign-in", "/sign-in-start", "/sign-in-callback"}
)
"""Routes that show nothing of a subject, and that one needs to sign in."""
PAGES: Final = frozenset({"/", "/sign-out"})
"""Routes that a person opens: whoever has not signed in is sent to do so."""
READING: Final = frozenset({"GET", "HEAD"})
"""Methods that change nothing: whatever else another site sends is refused."""
QUERY_CHARS_MAX: Final = 512
"""Of what a stranger wanted: so much is remembered over the sign-in."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let nobody further who has not signed in, and show nothing that cannot be written down."""
    if request.method not in READING and not is_same_origin(request):
        raise web.HTTPForbidden(text="a form of another origin is not taken\n")
    gate = gate_of(request)
    if gate is None:
        return await handler(request)
    path = _route(request)
    if path != "/healthz" and not gate.clients.came_by_proxy(request):
        raise web.HTTPForbidden(text="only the proxy in tls.trusted_proxies may ask\n")
    try:
        if path not in PUBLIC and gate.viewer(request) is None:
            return await _turn_away(gate, request, path)
        return await handler(request)
    except AccessLogError as error:
        raise web.HTTPServiceUnavailable(
            text="the access log cannot be written: nothing is shown\n"
        ) from error


async def _turn_away(gate: Gate, request: web.Request, path: str) -> web.Response:
    if path in PAGES:
        wanted = request.query_string[:QUERY_CHARS_MAX] if request.method == "GET" else ""
        location = URL("sign-in") if not wanted else URL("sign-in").with_query(to=wanted)
        return web.Response(status=303, headers={"Location": str(location)})
    by: By = "socket" if path.startswith("/ws") else "api"
    await gate.refused(request, None, by, request.query.get("subject", ""))
    return web.Response(status=401, text="sign in first\n")


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical
