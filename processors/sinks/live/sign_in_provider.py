"""What is asked of the OpenID Connect provider: its configuration, its keys, an ID token.

Nothing is asked before somebody wants to sign in, so the live page starts while it is away. Every
question has a timeout, every answer a limit, and no redirect is followed.
"""

import json
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp

from processors.access_settings import OidcSettings, secure_url
from processors.sinks.live.access import Identity
from processors.sinks.live.sign_in_id_token import (
    IdTokenError,
    UnknownKeyError,
    identity_of,
    verify_id_token,
)
from processors.sinks.live.sign_in_pending import Pending

ANSWER_BYTES_MAX: Final = 1 << 20
TIMEOUT_S: Final = 10.0
CONFIGURATION_S: Final = 3_600.0
"""So long the configuration and the keys are believed."""
KEYS_AGAIN_S: Final = 30.0
"""A token by a key that is not known: the keys are asked for again, but no more often."""
KEYS_MAX: Final = 64


class ProviderError(Exception):
    """The provider does not answer, or not as it should."""


class Provider:
    """One OpenID Connect provider."""

    def __init__(
        self,
        settings: OidcSettings,
        redirect_uri: str,
        *,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._redirect_uri = redirect_uri
        self._clock_s = clock_s
        self._http: aiohttp.ClientSession | None = None
        self._configuration: Mapping[str, Any] = {}
        self._configuration_s = float("-inf")
        self._keys: Sequence[Mapping[str, Any]] = ()
        self._keys_s = float("-inf")

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()

    async def begin(self, pending: Pending, *, again: bool) -> str:
        """Give the address at the provider where a sign-in begins.

        Parameters
        ----------
        again
            The provider shall ask who it is, even where it knows.

        Raises
        ------
        ProviderError
        """
        endpoint = await self._endpoint("authorization_endpoint")
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": " ".join(self._settings.scopes),
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": pending.challenge,
            "code_challenge_method": "S256",
            **({"prompt": "login"} if again else {}),
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    async def finish(self, pending: Pending, code: str, issuer: str | None) -> Identity:
        """Give who signed in, from the code with which the browser came back.

        Parameters
        ----------
        issuer
            Who sent the browser back, if it was said (RFC 9207).

        Raises
        ------
        ProviderError
            It does not answer.
        IdTokenError
            What it says is not believed.
        """
        configuration = await self._configured()
        must_say = bool(configuration.get("authorization_response_iss_parameter_supported"))
        if issuer != self._settings.issuer and (must_say or issuer is not None):
            raise IdTokenError(f"another provider sent the browser back: {issuer!r}")
        token = await self._exchange(code, pending.verifier)
        try:
            claims = await self._verify(token, pending.nonce)
        except UnknownKeyError:
            if self._clock_s() - self._keys_s < KEYS_AGAIN_S:
                raise
            self._keys_s = float("-inf")
            claims = await self._verify(token, pending.nonce)
        return identity_of(
            claims,
            user_claim=self._settings.user_claim,
            groups_claim=self._settings.groups_claim,
        )

    async def _verify(self, token: str, nonce: str) -> Mapping[str, Any]:
        return verify_id_token(
            token,
            await self._current_keys(),
            issuer=self._settings.issuer,
            client_id=self._settings.client_id,
            nonce=nonce,
        )

    async def _exchange(self, code: str, verifier: str) -> str:
        endpoint = await self._endpoint("token_endpoint")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        headers = {}
        client_id, secret = self._settings.client_id, self._settings.client_secret
        methods = self._configuration.get("token_endpoint_auth_methods_supported")
        if secret is None:
            form["client_id"] = client_id
        elif isinstance(methods, list) and "client_secret_basic" not in methods:
            form |= {"client_id": client_id, "client_secret": secret.get_secret_value()}
        else:
            # RFC 6749, section 2.3.1: each is form-encoded first.
            login = quote(client_id, safe=""), quote(secret.get_secret_value(), safe="")
            headers["Authorization"] = f"Basic {b64encode(':'.join(login).encode()).decode()}"
        answer = await self._ask("POST", endpoint, data=form, headers=headers)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise ProviderError(f"no ID token: {str(answer.get('error', 'nothing said'))[:100]}")
        return token

    async def _current_keys(self) -> Sequence[Mapping[str, Any]]:
        now_s = self._clock_s()
        if now_s - self._keys_s >= CONFIGURATION_S:
            answer = await self._ask("GET", await self._endpoint("jwks_uri"))
            keys = answer.get("keys")
            if not isinstance(keys, list) or len(keys) > KEYS_MAX:
                raise ProviderError(f"its keys are no list of at most {KEYS_MAX}")
            self._keys = [key for key in keys if isinstance(key, dict)]
            self._keys_s = now_s
        return self._keys

    async def _endpoint(self, name: str) -> str:
        found = (await self._configured()).get(name)
        try:
            return secure_url(found if isinstance(found, str) else "")
        except ValueError as error:
            raise ProviderError(f"its {name}: {error}") from error

    async def _configured(self) -> Mapping[str, Any]:
        now_s = self._clock_s()
        if now_s - self._configuration_s >= CONFIGURATION_S:
            issuer = self._settings.issuer
            found = await self._ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != issuer:
                raise ProviderError(f"it calls itself {found.get('issuer')!r}, not {issuer!r}")
            self._configuration, self._configuration_s = found, now_s
        return self._configuration

    async def _ask(
        self,
        method: str,
        url: str,
        *,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Mapping[str, Any]:
        if self._http is None:
            self._http = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), trust_env=True
            )
        try:
            async with self._http.request(
                method, url, data=data, headers=headers, allow_redirects=False
            ) as answer:
                content = await answer.content.read(ANSWER_BYTES_MAX + 1)
                while not answer.content.at_eof() and len(content) <= ANSWER_BYTES_MAX:
                    content += await answer.content.read(ANSWER_BYTES_MAX + 1 - len(content))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProviderError(f"{url}: {error or type(error).__name__}") from error
        return _parse(url, answer.status, content)


def _parse(url: str, status: int, content: bytes) -> Mapping[str, Any]:
    if len(content) > ANSWER_BYTES_MAX:
        raise ProviderError(f"{url}: more than {ANSWER_BYTES_MAX} bytes")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ProviderError(f"{url}: status {status}, not JSON") from error
    if not isinstance(found, dict):
        raise ProviderError(f"{url}: status {status}, not a JSON object")
    return found
