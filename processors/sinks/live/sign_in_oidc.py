"""Signing in through an OpenID Connect provider, by authorization code and PKCE: the handlers."""

import secrets
from typing import Final

import structlog
from aiohttp import web

from processors.metrics import LIVE_ACCESS
from processors.sinks.live.access import Access, Identity
from processors.sinks.live.access_gate import Gate
from processors.sinks.live.access_limits import FailedAttempts
from processors.sinks.live.sign_in import back_to, page, see_other, too_many, wanted_of
from processors.sinks.live.sign_in_id_token import IdTokenError
from processors.sinks.live.sign_in_pages import failed_page, provider_page
from processors.sinks.live.sign_in_pending import PENDING_S, PendingSignIns
from processors.sinks.live.sign_in_provider import Provider, ProviderError

STARTS_MAX: Final = 60
"""Sign-ins that one address may begin within five minutes."""
CODE_CHARS_MAX: Final = 4_096

log = structlog.get_logger()


class OidcSignIn:
    """Sends a browser to the provider, and begins a session for who comes back."""

    def __init__(self, gate: Gate, access: Access, provider: Provider) -> None:
        self._gate = gate
        self._access = access
        self._provider = provider
        self._pending = PendingSignIns()
        self._starts = FailedAttempts(n_max=STARTS_MAX)
        self._cookie = "__Host-chevet-sign-in" if gate.is_secure else "chevet-sign-in"

    def add_routes(self, app: web.Application) -> None:
        """Add what signing in needs."""
        app.router.add_get("/sign-in", self._get)
        app.router.add_get("/sign-in-start", self._start)
        app.router.add_get("/sign-in-callback", self._callback)
        app.on_cleanup.append(self._close)

    async def _close(self, _app: web.Application) -> None:
        await self._provider.close()

    async def _get(self, request: web.Request) -> web.StreamResponse:
        wanted = wanted_of(request.query.get("to", ""))
        if self._gate.viewer(request) is not None:
            return see_other(back_to(wanted))
        return page(provider_page(wanted=wanted, again="left" in request.query))

    async def _start(self, request: web.Request) -> web.StreamResponse:
        gate = self._gate
        address, now_s = gate.clients.address(request), gate.clock_s()
        wait_s = max(limit.wait_s(address, now_s) for limit in (self._starts, gate.failures))
        if wait_s > 0:
            return too_many(wait_s)
        self._starts.add(address, now_s)
        browser = request.cookies.get(self._cookie) or secrets.token_urlsafe(32)
        wanted = wanted_of(request.query.get("to", ""))
        n_crowded_out = self._pending.n_crowded_out
        pending = self._pending.begin(browser=browser, wanted=wanted, now_s=now_s)
        LIVE_ACCESS.labels("sign_in_crowded_out").inc(self._pending.n_crowded_out - n_crowded_out)
        try:
            location = await self._provider.begin(pending, again="again" in request.query)
        except ProviderError as error:
            return self._away(error)
        answer = see_other(location)
        gate.set_cookie(answer, self._cookie, browser, int(PENDING_S))
        return answer

    async def _callback(self, request: web.Request) -> web.StreamResponse:
        gate, query = self._gate, request.query
        address = gate.clients.address(request)
        wait_s = gate.failures.wait_s(address, gate.clock_s())
        if wait_s > 0:
            return too_many(wait_s)
        pending = self._pending.take(
            state=query.get("state", ""),
            browser=request.cookies.get(self._cookie, ""),
            now_s=gate.clock_s(),
        )
        if pending is None:
            text = "This sign-in was begun elsewhere, long ago, or has been used already."
            return await self._failed(request, "no such sign-in is under way", text)
        code = query.get("code", "")
        if not 0 < len(code) <= CODE_CHARS_MAX:
            reason = f"the provider says: {query.get('error', 'nothing')[:100]}"
            return await self._failed(request, reason, "The sign-in service did not let you in.")
        try:
            identity = await self._provider.finish(pending, code, query.get("iss"))
        except ProviderError as error:
            return self._away(error)
        except IdTokenError as error:
            text = "What the sign-in service said is not believed."
            return await self._failed(request, str(error), text)
        return await self._admit(request, identity, pending.wanted)

    async def _admit(
        self, request: web.Request, identity: Identity, wanted: str
    ) -> web.StreamResponse:
        if self._access.viewer(identity) is None:
            await self._gate.log.refuse(
                "sign_in_failed",
                user=identity.user,
                account=identity.account,
                address=self._gate.clients.address(request),
                reason="no group with rights",
            )
            text = f"You are {identity.user}, and none of your groups may watch anybody here."
            return page(failed_page(title="No rights", text=text), status=403)
        return await self._gate.begin(request, identity, back_to(wanted))

    async def _failed(self, request: web.Request, reason: str, text: str) -> web.Response:
        gate = self._gate
        address = gate.clients.address(request)
        gate.failures.add(address, gate.clock_s())
        await gate.log.refuse("sign_in_failed", address=address, reason=reason)
        return page(failed_page(title="Not signed in", text=text), status=403)

    def _away(self, error: ProviderError) -> web.Response:
        log.warning("sign_in_service_unwell", error=str(error))
        text = "The sign-in service does not answer as it should. Try again in a minute."
        return page(failed_page(title="Not signed in", text=text), status=502)
