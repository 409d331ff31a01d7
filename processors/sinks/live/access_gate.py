"""The gate in front of the live page: who asks, what they may see, and that it is written down.

Every route is closed to whoever has not signed in, but a few (``access_guard``). A handler that
shows something of a subject asks ``require`` (or ``allowed`` and ``Viewer.may_watch``); what goes
on for long is within ``watching``, and asks ``closing_of`` once a second whether it still may.
"""

import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from processors.metrics import LIVE_ACCESS
from processors.sinks.live.access import ANYBODY, NOBODY, Access, Identity, Viewer
from processors.sinks.live.access_clients import Clients
from processors.sinks.live.access_limits import FailedAttempts
from processors.sinks.live.access_log import AccessLog, AccessLogError, By, Field
from processors.sinks.live.sessions import Sessions

SIGNED_OUT: Final = 4401
"""Close code of a socket: the session has ended."""
NOT_ALLOWED: Final = 4403
"""Close code of a socket: the subject may not be watched any more."""
RULE_S: Final = 1.0
"""So often a ``Rule`` looks at what somebody may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """Why a socket ends, and with which code."""

    code: int
    reason: str


class Gate:
    """Knows the sessions, and lets through who may pass.

    Parameters
    ----------
    is_secure
        Browsers come through TLS: the cookie is for it alone.
    clock_s
        A clock that nobody sets, seconds.
    """

    def __init__(
        self,
        access: Access,
        sessions: Sessions,
        access_log: AccessLog,
        clients: Clients,
        *,
        is_secure: bool,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.log = access_log
        self.clients = clients
        self.failures = FailedAttempts()
        self.is_secure = is_secure
        self.clock_s = clock_s
        self._access = access
        self._sessions = sessions
        # No other site beneath the same domain can set a cookie with this prefix.
        self._cookie = "__Host-chevet" if is_secure else "chevet"

    def viewer(self, request: web.Request) -> Viewer | None:
        """Give who asks and what they may do now; None: nobody who has signed in."""
        secret = request.cookies.get(self._cookie, "")
        session = self._sessions.find(secret, self.clock_s()) if secret else None
        return None if session is None else self._access.viewer(session.identity, session.name)

    async def begin(
        self, request: web.Request, identity: Identity, location: str
    ) -> web.StreamResponse:
        """Sign in: begin a session, and send the browser on.

        Raises
        ------
        AccessLogError
            There is no session then.
        """
        self._sessions.end(request.cookies.get(self._cookie, ""))
        n_crowded_out = self._sessions.n_crowded_out
        secret = self._sessions.begin(identity, self.clock_s())
        LIVE_ACCESS.labels("session_crowded_out").inc(self._sessions.n_crowded_out - n_crowded_out)
        session = self._sessions.find(secret, self.clock_s())
        try:
            await self.log.write(
                "signed_in",
                user=identity.user,
                account=identity.account,
                session=session.name if session is not None else "",
                address=self.clients.address(request),
            )
        except AccessLogError:
            self._sessions.end(secret)
            raise
        answer = web.Response(status=303, headers={"Location": location})
        self.set_cookie(answer, self._cookie, secret)
        return answer

    async def end(self, request: web.Request) -> None:
        """Sign out. It is done even where it cannot be written down."""
        session = self._sessions.end(request.cookies.get(self._cookie, ""))
        if session is not None:
            with contextlib.suppress(AccessLogError):
                await self.log.write(
                    "signed_out",
                    user=session.identity.user,
                    session=session.name,
                    address=self.clients.address(request),
                )

    def set_cookie(
        self, answer: web.Response, name: str, value: str, max_age_s: int | None = None
    ) -> None:
        """Give the browser something to keep, which no script and no other site can read."""
        answer.set_cookie(
            name,
            value,
            max_age=max_age_s,
            path="/",
            secure=self.is_secure,
            httponly=True,
            samesite="Lax",
        )

    async def refused(
        self, request: web.Request, viewer: Viewer | None, by: By, subject_id: str
    ) -> None:
        """Write down that somebody asked for what they may not have."""
        await self.log.refuse(
            user=None if viewer is None else viewer.user,
            session=None if viewer is None else viewer.session,
            address=self.clients.address(request),
            subject=subject_id,
            by=by,
            path=request.path,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOf:
    """The gate of an application; None: nobody is asked who they are."""

    gate: Gate | None


GATE: Final = web.AppKey("gate", GateOf)


def is_same_origin(request: web.Request) -> bool:
    """Browsers always say which page sends a form or opens a socket; who does not is none."""
    origin = request.headers.get("Origin")
    try:
        return origin is None or urlsplit(origin).netloc == request.host
    except ValueError:
        return False


def gate_of(request: web.Request) -> Gate | None:
    """Give the gate that a request came through."""
    return request.app[GATE].gate


def allowed(request: web.Request) -> Viewer:
    """Give who asks and whom they may watch at this moment. May be asked again at any time.

    Raises
    ------
    aiohttp.web.HTTPUnauthorized
        They have not signed in, or their session or their rights have ended.
    """
    gate = gate_of(request)
    viewer = ANYBODY if gate is None else gate.viewer(request)
    if viewer is None:
        raise web.HTTPUnauthorized(text="sign in first\n")
    return viewer


async def require(request: web.Request, subject_id: str, by: By) -> Viewer:
    """Give who asks, if they may watch this subject; write it down if they may not.

    Raises
    ------
    aiohttp.web.HTTPUnauthorized, aiohttp.web.HTTPForbidden
        The answer is the same whether or not there is such a subject.
    """
    viewer = allowed(request)
    if not viewer.may_watch(subject_id):
        gate = gate_of(request)
        if gate is not None:
            await gate.refused(request, viewer, by, subject_id)
        raise web.HTTPForbidden(text="no subject of this name that you may watch\n")
    return viewer


class Rule:
    """Says of each subject whether who asks may watch it now; it looks anew once a second."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._viewer = allowed(request)
        self._gate = gate_of(request)
        self._looked_s = 0.0 if self._gate is None else self._gate.clock_s()

    def __call__(self, subject_id: str) -> bool:
        """Say whether a subject may be watched; none any more when the session has ended."""
        if self._gate is not None and self._gate.clock_s() - self._looked_s >= RULE_S:
            self._looked_s = self._gate.clock_s()
            self._viewer = self._gate.viewer(self._request) or NOBODY
        return self._viewer.may_watch(subject_id)


async def note_read(request: web.Request, viewer: Viewer, by: By, subject_id: str = "") -> None:
    """Write down that somebody is about to be shown something, once in five minutes.

    Raises
    ------
    AccessLogError
        Then it must not be shown.
    """
    gate = gate_of(request)
    if gate is not None:
        await gate.log.read(
            by,
            user=viewer.user,
            session=viewer.session,
            address=gate.clients.address(request),
            subject=subject_id,
            path=request.path,
        )


class Watch:
    """What is being watched, until it ends; why it ended is written beside it."""

    def __init__(self) -> None:
        self.reason = "page closed"


@contextlib.asynccontextmanager
async def watching(
    request: web.Request, viewer: Viewer, subject_id: str | None
) -> AsyncIterator[Watch]:
    """Write down that somebody begins to watch a subject, before they do, and when it ends.

    None as subject: all at once that they may watch, as on a ward; then their patterns are written.

    Raises
    ------
    AccessLogError
        Then nothing must be sent.
    """
    watch = Watch()
    gate = gate_of(request)
    if gate is None:
        yield watch
        return
    fields: dict[str, Field] = {
        "watch": secrets.token_hex(8),
        "user": viewer.user,
        "session": viewer.session,
        "address": gate.clients.address(request),
        "subject": subject_id,
        "patterns": viewer.patterns if subject_id is None else None,
        "by": "ward" if subject_id is None else "socket",
    }
    begun_s = gate.clock_s()
    await gate.log.write("watch_began", **fields)
    try:
        yield watch
    finally:
        seconds = round(gate.clock_s() - begun_s, 3)
        with contextlib.suppress(AccessLogError):
            await gate.log.write("watch_ended", **fields, seconds=seconds, reason=watch.reason)


def closing_of(request: web.Request, subject_id: str | None) -> Closing | None:
    """Tell why an open socket must end now; None: it may go on. None as subject: any."""
    try:
        viewer = allowed(request)
    except web.HTTPUnauthorized:
        return Closing(code=SIGNED_OUT, reason="signed out")
    if subject_id is not None and not viewer.may_watch(subject_id):
        return Closing(code=NOT_ALLOWED, reason="not allowed")
    return None
