"""Signing in through a provider: what is believed, and what is not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from yarl import URL

from processors.access_settings import AccessSettings, OidcSettings, TlsSettings
from processors.sinks.live import build_app
from processors.sinks.live.access_limits import FAILURES_MAX
from processors.sinks.live.access_setup import build_entrance
from processors.sinks.live.sign_in_oidc import STARTS_MAX
from tests.live.oidc.hostile import CLIENT_ID, HostileProvider, ec_jwk, rsa_jwk, rsa_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path
    from typing import TypeAlias

    from aiohttp import ClientResponse
    from aiohttp.web import Application, Request

    from processors.sinks.live import LiveHub

    Client: TypeAlias = TestClient[Request, Application]

PAGE = "http://127.0.0.1:9/"
SECRET = "a secret & more: of the client"  # noqa: S105


OTHER_KEY = rsa_key()


@pytest.fixture
async def provider() -> AsyncIterator[HostileProvider]:
    provider = HostileProvider()
    await provider.server.start_server()
    yield provider
    await provider.server.close()


def access_settings(issuer: str, folder: Path, **oidc: str) -> AccessSettings:
    return AccessSettings(
        mode="oidc",
        log_file=folder / "access.jsonl",
        oidc=OidcSettings.model_validate({"issuer": issuer, "client_id": CLIENT_ID, **oidc}),
        rights={"icu-nurses": ("icu-*",), "ward-3": ("ward-3-*",)},
    )


@pytest.fixture
async def client(provider: HostileProvider, hub: LiveHub, tmp_path: Path) -> AsyncIterator[Client]:
    settings = access_settings(provider.issuer, tmp_path, client_secret=SECRET)
    app = build_app(hub, entrance=build_entrance(settings, TlsSettings(), url=PAGE))
    async with TestClient(TestServer(app)) as client:
        yield client


def logged(folder: Path, event: str) -> list[dict[str, Any]]:
    lines = (folder / "access.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line["event"] == event]


async def begin(client: Client, path: str = "/sign-in-start") -> URL:
    """Begin a sign-in; give where the browser is sent."""
    answer = await client.get(path, allow_redirects=False)
    assert answer.status == 303
    return URL(answer.headers["Location"])


async def come_back(client: Client, state: str, code: str = "a-code") -> ClientResponse:
    query = {"state": state, "code": code}
    return await client.get("/sign-in-callback", params=query, allow_redirects=False)


async def sign_in(client: Client, provider: HostileProvider) -> ClientResponse:
    sent = await begin(client)
    provider.nonce = sent.query["nonce"]
    return await come_back(client, sent.query["state"])


async def is_signed_in(client: Client) -> bool:
    return (await client.get("/api/me")).status == 200


async def test_the_provider_is_asked_with_pkce_a_state_and_a_nonce(
    client: Client, provider: HostileProvider, tmp_path: Path
) -> None:
    sent = await begin(client, "/sign-in-start?to=subject%3Dicu-7")

    assert str(sent.origin()) == provider.issuer
    assert sent.query["response_type"] == "code"
    assert sent.query["client_id"] == CLIENT_ID
    assert sent.query["redirect_uri"] == f"{PAGE}sign-in-callback"
    assert sent.query["code_challenge_method"] == "S256"
    assert "openid" in sent.query["scope"].split()
    assert "prompt" not in sent.query

    provider.nonce = sent.query["nonce"]
    answer = await come_back(client, sent.query["state"])

    assert (answer.status, answer.headers["Location"]) == (303, "./?subject=icu-7")
    assert await (await client.get("/api/me")).json() == {"user": "anna"}
    [form] = provider.forms
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == sent.query["code_challenge"]
    assert form["code"] == "a-code"
    assert form["redirect_uri"] == sent.query["redirect_uri"]
    # RFC 6749, section 2.3.1: form-encoded within Basic.
    login = base64.b64decode(provider.authorizations[0].removeprefix("Basic ")).decode()
    assert login == "chevet:a%20secret%20%26%20more%3A%20of%20the%20client"
    [line] = logged(tmp_path, "signed_in")
    assert (line["user"], line["account"]) == ("anna", "account-of-anna")


async def test_after_a_sign_out_the_provider_shall_ask_again(client: Client) -> None:
    page = await (await client.get("/sign-in?left=1")).text()
    assert 'href="sign-in-start?again=1"' in page

    assert (await begin(client, "/sign-in-start?again=1")).query["prompt"] == "login"


async def test_groups_say_who_may_be_watched(client: Client, provider: HostileProvider) -> None:
    await sign_in(client, provider)

    statuses = {
        subject: (await client.get(f"/api/me?subject={subject}")).status
        for subject in ("icu-7", "ward-3-1", "nobody")
    }

    assert statuses == {"icu-7": 200, "ward-3-1": 403, "nobody": 403}


@pytest.mark.parametrize(
    "groups", [[], ["kitchen"], None, 7, {"icu-nurses": True}, [["icu-nurses"]]]
)
async def test_who_has_no_group_with_rights_does_not_come_in(
    client: Client, provider: HostileProvider, tmp_path: Path, groups: object
) -> None:
    provider.forge = lambda claims: provider.sign(claims | {"groups": groups})

    answer = await sign_in(client, provider)

    assert answer.status == 403
    assert "You are anna" in await answer.text()
    assert not await is_signed_in(client)
    [line] = logged(tmp_path, "sign_in_failed")
    assert (line["user"], line["reason"]) == ("anna", "no group with rights")


def _unsigned(_provider: HostileProvider, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, "", "none", headers={"kid": "k1"})


def _by_shared_secret(provider: HostileProvider, claims: dict[str, Any]) -> str:
    """Sign with the public key as if it were a secret (CVE-2015-9235)."""
    public = provider.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT", "kid": "k1"}, claims)
    )
    digest = hmac.new(public, head + b"." + body, hashlib.sha256).digest()
    signature = base64.urlsafe_b64encode(digest).rstrip(b"=")
    return b".".join((head, body, signature)).decode()


def _by_client_secret(_provider: HostileProvider, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, SECRET.ljust(32), "HS256", headers={"kid": "k1"})


def _by_its_own_key(_provider: HostileProvider, claims: dict[str, Any]) -> str:
    """Bring the key along in the header."""
    headers = {"kid": "k1", "jwk": rsa_jwk(OTHER_KEY, "k1")}
    return jwt.encode(claims, OTHER_KEY, "RS256", headers=headers)


def _changed(provider: HostileProvider, claims: dict[str, Any]) -> str:
    head, _, signature = provider.sign(claims).split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims | {"groups": ["ward-3"]}).encode())
    return f"{head}.{body.rstrip(b'=').decode()}.{signature}"


def _with(**change: object) -> Callable[[HostileProvider, dict[str, Any]], str]:
    return lambda provider, claims: provider.sign(
        {k: v for k, v in (claims | change).items() if v is not None}
    )


FORGERIES: dict[str, Callable[[HostileProvider, dict[str, Any]], str]] = {
    "alg none": _unsigned,
    "alg none, in other letters": lambda provider, claims: _unsigned(provider, claims).replace(
        base64.urlsafe_b64encode(b'{"alg":"none"').decode()[:16],
        base64.urlsafe_b64encode(b'{"alg":"NoNe"').decode()[:16],
    ),
    "HMAC with the public key": _by_shared_secret,
    "HMAC with the client's secret": _by_client_secret,
    "another key": lambda _provider, claims: jwt.encode(
        claims, OTHER_KEY, "RS256", headers={"kid": "k1"}
    ),
    "another key that it brings along": _by_its_own_key,
    "claims changed after signing": _changed,
    "a key that is not published": lambda provider, claims: provider.sign(claims, kid="k2"),
    "another audience": _with(aud="another-client"),
    "no audience": _with(aud=None),
    "several audiences, not made for us": _with(aud=[CLIENT_ID, "other"]),
    "several audiences, made for another": _with(aud=[CLIENT_ID, "other"], azp="other"),
    "made for another": _with(azp="other"),
    "another issuer": _with(iss="https://elsewhere.example"),
    "no issuer": _with(iss=None),
    "expired": _with(exp=int(time.time()) - 120, iat=int(time.time()) - 420),
    "without an end": _with(exp=None),
    "not valid yet": _with(nbf=int(time.time()) + 3_600),
    "made in the future": _with(iat=int(time.time()) + 3_600),
    "another nonce": _with(nonce="of another sign-in"),
    "no nonce": _with(nonce=None),
    "names nobody": _with(sub=None),
    "names a number": _with(sub=7),
    "names nobody with an empty text": _with(sub=""),
    "no token": lambda _provider, _claims: "nonsense",
    "an empty token": lambda _provider, _claims: "",
    "not ASCII": lambda _provider, _claims: "é.é.é",
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_forged_token_opens_nothing(
    client: Client, provider: HostileProvider, tmp_path: Path, name: str
) -> None:
    provider.forge = lambda claims: FORGERIES[name](provider, claims)

    answer = await sign_in(client, provider)

    assert answer.status == 403
    assert "not believed" in await answer.text()
    assert "Set-Cookie" not in answer.headers
    assert not await is_signed_in(client)
    assert logged(tmp_path, "sign_in_failed")[0]["reason"]
    assert logged(tmp_path, "signed_in") == []

    provider.forge = None
    await sign_in(client, provider)
    assert await is_signed_in(client), "an honest one is believed afterwards"


async def test_signatures_with_elliptic_curves_are_believed(
    client: Client, provider: HostileProvider
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    provider.keys = [ec_jwk(key, "e1")]
    provider.forge = lambda claims: jwt.encode(claims, key, "ES256", headers={"kid": "e1"})

    await sign_in(client, provider)

    assert await is_signed_in(client)


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "RSA", "kid": "k1"},
        {"kty": "RSA", "kid": "k1", "n": "!!", "e": "AQAB"},
        {"kty": 7, "kid": "k1"},
        {"kid": "k1"},
        {"kty": "oct", "kid": "k1", "k": "AAAA"},
        ec_jwk(ec.generate_private_key(ec.SECP256R1()), "k1"),
        rsa_jwk(OTHER_KEY, "k1") | {"use": "enc"},
    ],
)
async def test_a_key_that_is_none_of_that_kind_proves_nothing(
    client: Client, provider: HostileProvider, key: dict[str, Any]
) -> None:
    provider.keys = [key, "nonsense"]  # type: ignore[list-item]

    assert (await sign_in(client, provider)).status == 403


async def test_new_keys_are_asked_for_but_not_again_and_again(
    client: Client, provider: HostileProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sign_in(client, provider)
    provider.key, provider.kid = OTHER_KEY, "k2"

    for _ in range(3):
        await sign_in(client, provider)
    assert provider.n_keys_asked == 1

    monkeypatch.setattr("processors.sinks.live.sign_in_provider.KEYS_AGAIN_S", 0.0)
    client.session.cookie_jar.clear()
    await sign_in(client, provider)
    assert await is_signed_in(client)
    assert provider.n_keys_asked == 2


# The way back


async def test_a_sign_in_counts_once(client: Client, provider: HostileProvider) -> None:
    sent = await begin(client)
    provider.nonce = sent.query["nonce"]
    assert (await come_back(client, sent.query["state"])).status == 303

    again = await come_back(client, sent.query["state"])

    assert again.status == 403
    assert "used already" in await again.text()
    assert len(provider.forms) == 1, "its code is not even tried"


async def test_a_sign_in_of_another_browser_is_not_taken(
    client: Client, provider: HostileProvider
) -> None:
    sent = await begin(client)
    provider.nonce = sent.query["nonce"]
    client.session.cookie_jar.clear()

    answer = await come_back(client, sent.query["state"])

    assert answer.status == 403
    assert provider.forms == []


@pytest.mark.parametrize("query", ["", "?code=x", "?state=made-up&code=x", "?state=&code="])
async def test_who_never_left_does_not_come_back(
    client: Client, provider: HostileProvider, query: str
) -> None:
    answer = await client.get(f"/sign-in-callback{query}")

    assert answer.status == 403
    assert provider.forms == []


async def test_a_provider_that_lets_nobody_in_is_understood(client: Client, tmp_path: Path) -> None:
    sent = await begin(client)
    query = {"state": sent.query["state"], "error": "access_denied"}

    answer = await client.get("/sign-in-callback", params=query)

    assert answer.status == 403
    assert "did not let you in" in await answer.text()
    assert "access_denied" in logged(tmp_path, "sign_in_failed")[0]["reason"]


@pytest.mark.parametrize(("said", "must_say"), [("https://evil.example", False), (None, True)])
async def test_who_sends_the_browser_back_must_be_the_provider(
    client: Client, provider: HostileProvider, said: str | None, *, must_say: bool
) -> None:
    provider.configuration = {"authorization_response_iss_parameter_supported": must_say}
    sent = await begin(client)
    provider.nonce = sent.query["nonce"]
    query = {"state": sent.query["state"], "code": "x", **({"iss": said} if said else {})}

    answer = await client.get("/sign-in-callback", params=query)

    assert answer.status == 403
    assert provider.forms == [], "the code is not given away"


async def test_failures_are_counted_by_address(client: Client) -> None:
    for _ in range(FAILURES_MAX):
        assert (await come_back(client, "made-up")).status == 403

    assert (await come_back(client, "made-up")).status == 429
    assert (await client.get("/sign-in-start")).status == 429


async def test_so_are_beginnings(client: Client) -> None:
    for _ in range(STARTS_MAX):
        await begin(client)

    assert (await client.get("/sign-in-start", allow_redirects=False)).status == 429


# A provider that is unwell


@pytest.mark.parametrize(
    "configuration",
    [
        {"issuer": "https://elsewhere.example"},
        {"authorization_endpoint": "http://elsewhere.example/authorize"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": None},
    ],
)
async def test_a_provider_that_is_another_one_is_not_asked(
    client: Client, provider: HostileProvider, configuration: dict[str, Any]
) -> None:
    provider.configuration = configuration

    answer = await client.get("/sign-in-start", allow_redirects=False)

    assert answer.status == 502
    assert "does not answer as it should" in await answer.text()


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(text="<html>", status=500),
        lambda: web.json_response({"error": "invalid_grant"}, status=400),
        lambda: web.json_response(["id_token"]),
        lambda: web.json_response({"id_token": 7}),
        lambda: web.Response(body=b" " * (2 << 20)),
    ],
    ids=["500", "invalid_grant", "list", "number", "long"],
)
async def test_an_answer_that_is_none_opens_nothing(
    client: Client, provider: HostileProvider, answer: Callable[[], web.Response]
) -> None:
    provider.answer = answer

    assert (await sign_in(client, provider)).status == 502
    assert not await is_signed_in(client)


async def test_a_provider_that_sends_us_elsewhere_is_not_followed(
    client: Client, provider: HostileProvider
) -> None:
    def once() -> web.Response:
        provider.answer = None  # who comes again would get an honest token
        return web.Response(status=307, headers={"Location": "/token"})

    provider.answer = once

    assert (await sign_in(client, provider)).status == 502
    assert len(provider.forms) == 1, "neither code nor verifier went elsewhere"


async def test_a_provider_that_is_away_does_not_keep_the_page_from_starting(
    provider: HostileProvider, hub: LiveHub, tmp_path: Path
) -> None:
    settings = access_settings(provider.issuer, tmp_path)
    await provider.server.close()
    app = build_app(hub, entrance=build_entrance(settings, TlsSettings(), url=PAGE))
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/sign-in")).status == 200
        assert (await client.get("/sign-in-start")).status == 502


async def test_groups_may_stand_within_another_claim(
    provider: HostileProvider, hub: LiveHub, tmp_path: Path
) -> None:
    settings = access_settings(
        provider.issuer, tmp_path, groups_claim="realm_access.roles", user_claim="email"
    )
    app = build_app(hub, entrance=build_entrance(settings, TlsSettings(), url=PAGE))
    provider.forge = lambda claims: provider.sign(claims | {"realm_access": {"roles": ["ward-3"]}})
    async with TestClient(TestServer(app)) as client:
        await sign_in(client, provider)
        me = await (await client.get("/api/me?subject=ward-3-1")).json()

    assert me == {"user": "account-of-anna"}, "no email: the account names the user"
    assert provider.authorizations == [""], "a public client has no secret"
    assert provider.forms[0]["client_id"] == CLIENT_ID
