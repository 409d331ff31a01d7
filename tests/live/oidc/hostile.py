"""An OpenID Connect provider over real HTTP that says whatever a test wants it to say."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, rsa

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENT_ID = "chevet"


def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def rsa_jwk(key: rsa.RSAPrivateKey, kid: str) -> dict[str, Any]:
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**jwk, "kid": kid, "use": "sig", "alg": "RS256"}


def ec_jwk(key: ec.EllipticCurvePrivateKey, kid: str) -> dict[str, Any]:
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**jwk, "kid": kid, "use": "sig"}


OWN_KEY = rsa_key()


@dataclass
class HostileProvider:
    """Answers every code with the ID token that ``forge`` makes of honest claims."""

    key: rsa.RSAPrivateKey = OWN_KEY
    kid: str = "k1"
    nonce: str = ""
    """What the last sign-in sent along; a test hands it over."""
    forge: Callable[[dict[str, Any]], str] | None = None
    configuration: dict[str, Any] = field(default_factory=dict)
    keys: list[dict[str, Any]] | None = None
    answer: Callable[[], web.Response] | None = None
    """Instead of a token."""
    forms: list[dict[str, str]] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    n_keys_asked: int = 0
    server: TestServer = field(init=False)

    def __post_init__(self) -> None:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._get_configuration)
        app.router.add_get("/keys", self._get_keys)
        app.router.add_post("/token", self._post_token)
        self.server = TestServer(app)

    @property
    def issuer(self) -> str:
        return str(self.server.make_url("")).rstrip("/")

    def claims(self) -> dict[str, Any]:
        now = int(time.time())
        return {
            "iss": self.issuer,
            "sub": "account-of-anna",
            "aud": CLIENT_ID,
            "exp": now + 300,
            "iat": now,
            "nonce": self.nonce,
            "preferred_username": "anna",
            "groups": ["icu-nurses"],
        }

    def sign(self, claims: dict[str, Any], **headers: str) -> str:
        return jwt.encode(claims, self.key, "RS256", headers={"kid": self.kid, **headers})

    async def _get_configuration(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
            }
            | self.configuration
        )

    async def _get_keys(self, _request: web.Request) -> web.Response:
        self.n_keys_asked += 1
        keys = [rsa_jwk(self.key, self.kid)] if self.keys is None else self.keys
        return web.json_response({"keys": keys})

    async def _post_token(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.forms.append({name: str(value) for name, value in form.items()})
        self.authorizations.append(request.headers.get("Authorization", ""))
        if self.answer is not None:
            return self.answer()
        forge = self.forge or self.sign
        return web.json_response({"id_token": forge(self.claims()), "token_type": "Bearer"})
