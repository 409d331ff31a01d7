"""Signing in by a token, and out: the handlers."""

from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web
from yarl import URL

from processors.sinks.live.access import Identity
from processors.sinks.live.access_gate import Gate
from processors.sinks.live.access_guard import QUERY_CHARS_MAX
from processors.sinks.live.access_users import TOKEN_CHARS_MAX
from processors.sinks.live.sign_in_pages import token_page

FORM_BYTES_MAX: Final = 8_192
"""A longer form is not read."""
FIELDS_MAX: Final = 16

FindUser = Callable[[str], Identity | None]


class TokenSignIn:
    """Asks for a token, and begins a session for whose it is."""

    def __init__(self, gate: Gate, find: FindUser) -> None:
        self._gate = gate
        self._find = find

    def add_routes(self, app: web.Application) -> None:
        """Add what signing in needs."""
        app.router.add_get("/sign-in", self._get)
        app.router.add_post("/sign-in", self._post)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        wanted = wanted_of(request.query.get("to", ""))
        if self._gate.viewer(request) is not None:
            return see_other(back_to(wanted))
        return page(token_page(wanted=wanted))

    async def _post(self, request: web.Request) -> web.StreamResponse:
        gate = self._gate
        address, now_s = gate.clients.address(request), gate.clock_s()
        wait_s = gate.failures.wait_s(address, now_s)
        if wait_s > 0:
            return too_many(wait_s)
        form = dict(pairs_of((await request.read()).decode("utf-8", "replace")))
        token, wanted = form.get("token", "").strip(), wanted_of(form.get("to", ""))
        identity = self._find(token) if 0 < len(token) <= TOKEN_CHARS_MAX else None
        if identity is None:
            gate.failures.add(address, now_s)
            await gate.log.refuse("sign_in_failed", address=address, reason="no valid token")
            fault = "This token is not valid, or not any more."
            return page(token_page(wanted=wanted, fault=fault), status=403)
        return await gate.begin(request, identity, back_to(wanted))


def add_sign_out(app: web.Application, gate: Gate) -> None:
    """Add the way out."""

    async def post(request: web.Request) -> web.StreamResponse:
        await gate.end(request)
        return see_other("sign-in?left=1")

    app.router.add_post("/sign-out", post)


def page(text: str, status: int = 200) -> web.Response:
    """Answer with a page."""
    return web.Response(text=text, content_type="text/html", status=status)


def see_other(location: str) -> web.Response:
    """Send the browser on, by GET."""
    return web.Response(status=303, headers={"Location": location})


def too_many(wait_s: float) -> web.Response:
    """Say that too many sign-ins failed."""
    return web.Response(
        status=429,
        headers={"Retry-After": str(int(wait_s) + 1)},
        text=f"too many sign-ins failed; come back in {int(wait_s) + 1} s\n",
    )


def pairs_of(text: str) -> list[tuple[str, str]]:
    """Read a form or a query; one with too many fields has none."""
    try:
        return parse_qsl(text, max_num_fields=FIELDS_MAX)
    except ValueError:
        return []


def wanted_of(text: str) -> str:
    """Read which query of the page was wanted; too much of it is none."""
    return text if len(text) <= QUERY_CHARS_MAX else ""


def back_to(wanted: str) -> str:
    """Give where to go on: the page itself, with the query that was wanted, and nowhere else."""
    pairs = pairs_of(wanted)
    return str(URL("./").with_query(pairs)) if pairs else "./"
