"""What somebody marks on the page: written down, sent to the topic, and told to the open pages.

``POST /api/annotations`` takes a JSON object: ``subject``, ``t_ms`` and perhaps ``until_ms``
(milliseconds since 1970, UTC), ``text``, ``device`` and ``channel``. The author is whoever has
signed in; where nobody signs in nothing is taken.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from fractions import Fraction
from typing import Any, Final

import structlog
from aiohttp import web

from ingest.annotation import SubjectAnnotation
from ingest.errors import BrokerError, BrokerRefusedError, MalformedRecordError
from processors.sinks.live.access import Viewer
from processors.sinks.live.access_gate import Gate, gate_of, require
from processors.sinks.live.access_limits import Budget
from processors.sinks.live.socket_writer import SHARED

PER_MINUTE: Final = 120
"""Annotations of all users together. Beyond, they are refused until the minute is over."""
SEND_S_MAX: Final = 10.0
"""A broker that takes longer is one that is away."""
TEXT_CHARS_MAX: Final = 500

_NS_PER_MS: Final = 1_000_000
_MS_MAX: Final = 1e15
"""Of what is beyond no number says when it is."""
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "subject": (str,),
    "t_ms": (int, float),
    "until_ms": (int, float, type(None)),
    "text": (str,),
    "device": (str, type(None)),
    "channel": (str, type(None)),
}
_NEEDED: Final = frozenset({"subject", "t_ms", "text"})

Send = Callable[[SubjectAnnotation], Awaitable[None]]
"""Brings an annotation onto the topic; raises BrokerError or BrokerRefusedError."""

log = structlog.get_logger()


class AnnotationDesk:
    """Takes what people mark on the pages of a server.

    Parameters
    ----------
    clock_s
        A clock that nobody sets, seconds.
    """

    def __init__(
        self,
        send: Send,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._send = send
        self._clock_s = clock_s
        self._clock_ns = clock_ns
        self._budget = Budget(n_max=PER_MINUTE, window_s=60.0)

    def add_route(self, app: web.Application) -> None:
        """Add ``POST /api/annotations``."""
        app.router.add_post("/api/annotations", self._post)

    async def _post(self, request: web.Request) -> web.Response:
        gate = gate_of(request)
        if gate is None:
            raise web.HTTPForbidden(text="nobody signs in here: who says so is not known\n")
        said = await _said_in(request)
        viewer = await require(request, said["subject"], "api")
        if not viewer.may_annotate:
            await gate.refused(request, viewer, "api", said["subject"])
            raise web.HTTPForbidden(text="you may look, and not annotate\n")
        if self._budget.take(self._clock_s()) is None:
            raise web.HTTPTooManyRequests(text="too many at once; try again in a minute\n")
        made = _made_of(said, viewer, self._clock_ns())
        await self._keep(request, gate, viewer, made)
        shared = request.app[SHARED]
        shared.hub.add_annotation(made)
        return web.json_response({"id": made.annotation_id}, status=201)

    async def _keep(
        self, request: web.Request, gate: Gate, viewer: Viewer, made: SubjectAnnotation
    ) -> None:
        fields = {
            "user": viewer.user,
            "session": viewer.session,
            "address": gate.clients.address(request),
            "subject": made.subject_id,
            "annotation": made.annotation_id,
        }
        await gate.log.write("annotated", **fields)
        try:
            async with asyncio.timeout(SEND_S_MAX):
                await self._send(made)
        except (BrokerError, BrokerRefusedError, TimeoutError) as error:
            log.warning("annotation_not_sent", error=str(error))
            await gate.log.write("annotation_not_kept", **fields)
            raise web.HTTPServiceUnavailable(
                text="not kept: the broker does not take it; try again\n"
            ) from error


async def _said_in(request: web.Request) -> dict[str, Any]:
    """Read what a page has sent.

    Raises
    ------
    aiohttp.web.HTTPUnsupportedMediaType, aiohttp.web.HTTPBadRequest
    """
    if request.content_type != "application/json":
        # A form of another site can be of no such type.
        raise web.HTTPUnsupportedMediaType(text="send application/json\n")
    try:
        said = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise web.HTTPBadRequest(text="that is no JSON\n") from error
    if not isinstance(said, dict) or not _NEEDED <= said.keys() <= _TYPES.keys():
        raise web.HTTPBadRequest(
            text=f"an object with {', '.join(sorted(_NEEDED))}, and of others only "
            f"{', '.join(sorted(_TYPES.keys() - _NEEDED))}\n"
        )
    for name, value in said.items():
        is_number = isinstance(value, int | float)
        is_sound = isinstance(value, _TYPES[name]) and not isinstance(value, bool)
        if not is_sound or (is_number and not abs(value) < _MS_MAX):
            raise web.HTTPBadRequest(text=f"{name} is of the wrong kind\n")
    found: dict[str, Any] = said
    return found


def _made_of(said: dict[str, Any], viewer: Viewer, now_ns: int) -> SubjectAnnotation:
    """Make the annotation.

    Raises
    ------
    aiohttp.web.HTTPBadRequest
    """
    text = said["text"].strip()
    if not 0 < len(text) <= TEXT_CHARS_MAX or not text.isprintable():
        raise web.HTTPBadRequest(
            text=f"say something, in one line of at most {TEXT_CHARS_MAX} characters\n"
        )
    until_ms = said.get("until_ms")
    try:
        t_ns = _ns_of(said["t_ms"])
        until_ns = t_ns if until_ms is None else _ns_of(until_ms)
        return SubjectAnnotation(
            subject_id=said["subject"],
            annotation_id=secrets.token_hex(16),
            t_ns=t_ns,
            duration_ns=until_ns - t_ns,
            text=text,
            device_id=said.get("device"),
            channel=said.get("channel"),
            author=viewer.user,
            created_ns=now_ns,
        )
    except MalformedRecordError as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from error


def _ns_of(ms: float) -> int:
    return round(Fraction(ms) * _NS_PER_MS)
