"""TLS of the live page: certificates, renewed while it serves; which settings go together."""

from __future__ import annotations

import asyncio
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from ingest.settings import SettingsError, load_settings
from processors.access_settings import AccessSettings, TlsSettings
from processors.settings import LiveSettings
from processors.sinks.live import LiveHub, serve
from processors.sinks.live.access_setup import build_entrance
from processors.sinks.live.access_tls import Certificate
from tests.live.certificates import Issued
from tests.live.entrance import House

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def issued(tmp_path: Path) -> Issued:
    return Issued(tmp_path)


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.add("anna", "*")
    return house


def access_of(house: House) -> AccessSettings:
    return AccessSettings(mode="tokens", users_file=house.users_file, log_file=house.log_file)


@pytest.fixture
async def served(hub: LiveHub, house: House, issued: Issued) -> AsyncIterator[tuple[str, Any]]:
    """The address of a page on all interfaces, and its certificate."""
    tls = TlsSettings(certificate=issued.certificate, key=issued.key)
    entrance = build_entrance(access_of(house), tls)
    stop, ready, address = asyncio.Event(), asyncio.Event(), [""]

    def on_ready(url: str) -> None:
        address[0] = url
        ready.set()

    serving = asyncio.create_task(
        serve(hub, host="0.0.0.0", entrance=entrance, stop=stop, on_ready=on_ready)  # noqa: S104
    )
    await asyncio.wait_for(ready.wait(), timeout=30)
    yield address[0].replace("0.0.0.0", "localhost"), entrance.certificate  # noqa: S104
    stop.set()
    await asyncio.wait_for(serving, timeout=30)


async def test_the_page_is_served_through_tls_with_a_socket(
    served: tuple[str, Any], house: House, issued: Issued
) -> None:
    url, _ = served
    assert url.startswith("https://localhost:")
    jar = aiohttp.CookieJar()
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=issued.trust()), cookie_jar=jar
    ) as session:
        answer = await session.post(
            f"{url}sign-in", data=house.tokens, headers={"Origin": url.rstrip("/")}
        )
        assert answer.status == 403, "a token under another name"
        form = {"token": house.tokens["anna"]}
        answer = await session.post(f"{url}sign-in", data=form, headers={"Origin": url.rstrip("/")})
        assert answer.status == 200
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        async with session.ws_connect(f"{url}ws?subject=a") as socket:
            assert (await socket.receive_json(timeout=30))["type"] == "hello"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_tls_before_1_2_is_not_spoken(served: tuple[str, Any], issued: Issued) -> None:
    url, _ = served
    old = issued.trust()
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=old)) as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{url}healthz")


async def test_a_renewed_certificate_is_taken_without_a_restart(
    served: tuple[str, Any], issued: Issued
) -> None:
    url, certificate = served

    async def status() -> int:
        connector = aiohttp.TCPConnector(ssl=issued.trust(), force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            return (await session.get(f"{url}healthz")).status

    assert await status() == 200
    assert not certificate.renew(), "nothing has changed"

    issued.renew()

    assert certificate.renew()
    assert await status() == 200


async def test_half_of_a_renewal_changes_nothing(served: tuple[str, Any], issued: Issued) -> None:
    url, certificate = served
    trusted = issued.trust()
    issued.renew(with_key=False)

    assert not certificate.renew()

    connector = aiohttp.TCPConnector(ssl=trusted, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        assert (await session.get(f"{url}healthz")).status == 200
    issued.renew()
    assert certificate.renew(), "the other half has come"


def test_files_that_do_not_belong_together_are_named(issued: Issued) -> None:
    issued.renew(with_key=False)

    with pytest.raises(OSError, match=r"tls\.pem.*tls\.key"):
        Certificate(issued.certificate, issued.key)


# Settings

OIDC = {"issuer": "https://login.example", "client_id": "chevet"}
PROXIED = {"terminated_by_proxy": True, "trusted_proxies": ["10.0.0.0/8"]}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"host": "localhost"},
        {"host": "::1", "access": {"mode": "tokens"}},
        {"host": "0.0.0.0", "access": {"mode": "tokens"}, "tls": PROXIED},  # noqa: S104
        {
            "host": "::",
            "access": {"mode": "tokens"},
            "tls": {"certificate": "a.pem", "key": "a.key"},
        },
        {
            "url": "https://chevet.example/",
            "access": {"mode": "oidc", "oidc": OIDC, "rights": {"nurses": ["icu-*"]}},
        },
    ],
)
def test_these_settings_go_together(settings: dict[str, Any]) -> None:
    assert load_settings(LiveSettings, None, **settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"host": "0.0.0.0"}, "every patient"),  # noqa: S104
        ({"host": "chevet.example"}, "every patient"),
        ({"tls": PROXIED}, "every patient"),
        ({"host": "::", "access": {"mode": "tokens"}}, "without TLS"),
        ({"access": {"mode": "tokens"}, "tls": {"certificate": "a.pem"}}, "go together"),
        ({"access": {"mode": "tokens"}, "tls": {"terminated_by_proxy": True}}, "go together"),
        (
            {"access": {"mode": "tokens"}, "tls": {"trusted_proxies": ["10.0.0.0/8"]}},
            "go together",
        ),
        (
            {
                "access": {"mode": "tokens"},
                "tls": PROXIED | {"certificate": "a.pem", "key": "a.key"},
            },
            "either",
        ),
        ({"access": {"mode": "oidc"}}, "access.oidc"),
        ({"access": {"mode": "tokens", "oidc": OIDC}}, "access.oidc"),
        ({"access": {"mode": "oidc", "oidc": OIDC}}, "access.rights"),
        (
            {"access": {"mode": "oidc", "oidc": OIDC, "rights": {"nurses": ["icu-*"]}}},
            "needs url",
        ),
        (
            {"access": {"mode": "oidc", "oidc": OIDC | {"issuer": "http://login.example"}}},
            "https://",
        ),
        ({"url": "http://chevet.example/"}, "https://"),
        ({"url": "https://user@chevet.example/"}, "more than a host"),
        ({"access": {"mode": "none"}}, "open"),
    ],
)
def test_these_settings_do_not_and_it_is_said_why(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load_settings(LiveSettings, None, **settings)


def test_the_settings_of_the_manual_go_together(tmp_path: Path) -> None:
    manual = (Path(__file__).parents[2] / "docs" / "live.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", manual, re.DOTALL)

    modes = []
    for block in blocks:
        (tmp_path / "live.toml").write_text(block)
        modes.append(load_settings(LiveSettings, tmp_path / "live.toml").access.mode)

    assert modes == ["tokens", "oidc", "tokens"]


def test_the_name_of_the_url_is_known() -> None:
    settings = load_settings(LiveSettings, None, url="https://chevet.example/", names=("other",))

    assert settings.known_names == {"chevet.example", "other"}


def test_a_secret_may_come_as_a_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "live.toml"
    file.write_text(
        'url = "https://chevet.example/"\n[access]\nmode = "oidc"\n'
        '[access.oidc]\nissuer = "https://login.example"\nclient_id = "chevet"\n'
        '[access.rights]\nnurses = ["icu-*"]\n'
    )
    monkeypatch.setenv("CHEVET_ACCESS__OIDC__CLIENT_SECRET", "hidden")

    settings = load_settings(LiveSettings, file)

    assert settings.access.oidc is not None
    assert settings.access.oidc.client_secret is not None
    assert settings.access.oidc.client_secret.get_secret_value() == "hidden"
    assert "hidden" not in repr(settings)
