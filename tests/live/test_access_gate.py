"""The gate: nobody passes who has not signed in, nobody sees more than their rights."""

from __future__ import annotations

import asyncio
import ipaddress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import WSMsgType
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request
from aiohttp.web import Request, Response

from processors.sinks.live import LiveHub, build_app, serve
from processors.sinks.live.access_clients import Clients
from processors.sinks.live.access_gate import (
    GATE,
    NOT_ALLOWED,
    SIGNED_OUT,
    Rule,
    allowed,
    watching,
)
from processors.sinks.live.access_guard import PUBLIC
from processors.sinks.live.access_limits import FAILURES_MAX
from tests.live.conftest import Person
from tests.live.entrance import House

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from typing import TypeAlias

    from aiohttp import ClientWebSocketResponse
    from aiohttp.web import Application

    Client: TypeAlias = TestClient[Request, Application]

OWN, OTHERS, UNKNOWN = "icu-7", "ward-3", "nobody-here"


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.add("anna", "icu-*")
    return house


@pytest.fixture
async def client(house: House, hub: LiveHub) -> AsyncIterator[Client]:
    for subject_id in (OWN, OTHERS):
        person = Person(subject_id=subject_id)
        hub.add_frame(person.frame(person.t0_ns + 1_000_000_000), person.t0_ns)
    app = build_app(hub, entrance=house.entrance())
    async with TestClient(TestServer(app)) as client:
        yield client


async def sign_in(client: Client, token: str) -> None:
    answer = await client.post("/sign-in", data={"token": token}, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "./")


async def status_of_socket(client: Client, subject_id: str) -> int:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.ws_connect(f"/ws?subject={subject_id}")
    return refused.value.status


async def close_code_of(socket: ClientWebSocketResponse) -> int | None:
    async with asyncio.timeout(20):
        while (await socket.receive()).type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            pass
    return socket.close_code


async def until_heartbeats(socket: ClientWebSocketResponse, n: int) -> None:
    async with asyncio.timeout(20):
        while n > 0:
            message = await socket.receive()
            n -= message.type is WSMsgType.TEXT and message.json()["type"] == "heartbeat"


# Nobody who has not signed in


async def test_every_route_is_closed_but_those_that_one_needs_to_sign_in(client: Client) -> None:
    routes = [
        (route.method, route.resource.canonical)
        for route in client.app.router.routes()
        if route.resource is not None
    ]
    closed = [(method, path) for method, path in routes if path not in PUBLIC]

    assert {path for _, path in closed} >= {"/", "/ws", "/api/subjects", "/api/me", "/sign-out"}
    for method, path in closed:
        answer = await client.request(method, f"{path}?subject={OWN}", allow_redirects=False)
        is_turned_away = answer.status == 303 and answer.headers["Location"].startswith("sign-in")
        assert answer.status == 401 or is_turned_away, (method, path, answer.status)
        assert OWN not in await answer.text()


async def test_no_route_tells_a_user_of_a_subject_without_rights(
    client: Client, house: House
) -> None:
    await sign_in(client, house.tokens["anna"])

    for route in client.app.router.routes():
        if route.method == "GET" and route.resource is not None:
            path = f"{route.resource.canonical}?subject={OTHERS}"
            answer = await client.get(path, allow_redirects=False)
            assert OTHERS not in await answer.text(), path


async def test_what_is_public_shows_nothing_of_a_subject(client: Client) -> None:
    for path in sorted(PUBLIC - {"/static"}):
        text = await (await client.get(path, allow_redirects=False)).text()
        assert OWN not in text
        assert OTHERS not in text
    assert await (await client.get("/healthz")).json() == {"status": "ok"}


async def test_a_route_that_there_is_not_is_closed_too(client: Client) -> None:
    assert (await client.get("/api/nothing")).status == 401
    assert (await client.get("/static/../api/subjects")).status == 401


async def test_a_stranger_is_led_to_the_sign_in_and_then_to_what_they_wanted(
    client: Client, house: House
) -> None:
    page = await client.get(f"/?subject={OWN}&view=ward")
    assert page.url.path == "/sign-in"
    assert page.url.query["to"] == f"subject={OWN}&view=ward"
    assert f'value="subject={OWN}&amp;view=ward"' in await page.text()

    form = {"token": house.tokens["anna"], "to": page.url.query["to"]}
    answer = await client.post("/sign-in", data=form, allow_redirects=False)

    assert answer.headers["Location"] == f"./?subject={OWN}&view=ward"


# Signing in and out


async def test_who_has_signed_in_is_known_and_out_again_is_not(
    client: Client, house: House
) -> None:
    await sign_in(client, house.tokens["anna"])
    assert await (await client.get("/api/me")).json() == {"user": "anna"}
    assert "counts" in await (await client.get("/healthz")).json()

    answer = await client.post("/sign-out", allow_redirects=False)

    assert answer.headers["Location"] == "sign-in?left=1"
    assert (await client.get("/api/me")).status == 401
    [signed_in], [signed_out] = house.logged("signed_in"), house.logged("signed_out")
    assert signed_in["session"] == signed_out["session"]
    assert signed_in["user"] == "anna"


async def test_the_cookie_is_for_this_server_alone(client: Client, house: House) -> None:
    form = {"token": house.tokens["anna"]}
    answer = await client.post("/sign-in", data=form, allow_redirects=False)

    words = answer.headers["Set-Cookie"]
    assert words.startswith("chevet=")
    assert "HttpOnly" in words
    assert "SameSite=Lax" in words
    assert "Path=/" in words
    assert house.tokens["anna"] not in words


async def test_under_tls_the_cookie_is_for_tls_alone(house: House, hub: LiveHub) -> None:
    app = build_app(hub, entrance=house.entrance(is_secure=True))
    async with TestClient(TestServer(app)) as client:
        form = {"token": house.tokens["anna"]}
        answer = await client.post("/sign-in", data=form, allow_redirects=False)

    assert answer.headers["Set-Cookie"].startswith("__Host-chevet=")
    assert "Secure" in answer.headers["Set-Cookie"]
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.parametrize("token", ["", "wrong", "x" * 5_000, "chevet_" + "A" * 43])
async def test_a_wrong_token_opens_nothing(client: Client, house: House, token: str) -> None:
    answer = await client.post("/sign-in", data={"token": token}, allow_redirects=False)

    assert answer.status == 403
    assert "Set-Cookie" not in answer.headers
    assert (await client.get("/api/me")).status == 401
    [failed] = house.logged("sign_in_failed")
    assert failed["address"] == "127.0.0.1"
    assert "wrong" not in str(failed)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"token", "application/x-www-form-urlencoded"),
        (b"token=%ff%fe", "application/x-www-form-urlencoded"),
        (b"\xff\xfe", "application/x-www-form-urlencoded; charset=klingon"),
        (b"&".join([b"a=b"] * 100), "application/x-www-form-urlencoded"),
        (b"--x", "multipart/form-data"),
        (b"", "nonsense"),
    ],
)
async def test_a_form_that_is_none_opens_nothing(client: Client, body: bytes, kind: str) -> None:
    answer = await client.post("/sign-in", data=body, headers={"Content-Type": kind})

    assert answer.status == 403
    assert "not valid" in await answer.text()


async def test_a_form_that_is_too_long_is_not_read(client: Client) -> None:
    answer = await client.post("/sign-in", data={"token": "x" * 100_000})

    assert answer.status == 413


async def test_who_fails_too_often_waits_even_with_the_right_token(
    client: Client, house: House
) -> None:
    for _ in range(FAILURES_MAX):
        assert (await client.post("/sign-in", data={"token": "guess"})).status == 403

    answer = await client.post("/sign-in", data={"token": house.tokens["anna"]})
    assert answer.status == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 301

    house.now_s += 301
    await sign_in(client, house.tokens["anna"])


@pytest.mark.parametrize(
    "origin", ["https://elsewhere.example", "null", "http://[", "http://127.0.0.1:1"]
)
@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
async def test_another_site_can_sign_nobody_in_or_out(
    client: Client, house: House, path: str, origin: str
) -> None:
    await sign_in(client, house.tokens["anna"])
    form = {"token": house.tokens["anna"]}

    answer = await client.post(path, data=form, headers={"Origin": origin}, allow_redirects=False)

    assert answer.status == 403
    assert (await client.get("/api/me")).status == 200


async def test_a_link_signs_nobody_in_or_out(client: Client, house: House) -> None:
    answer = await client.get(f"/sign-in?token={house.tokens['anna']}")
    assert "Set-Cookie" not in answer.headers

    await sign_in(client, house.tokens["anna"])
    await client.get("/sign-out")
    assert (await client.get("/api/me")).status == 200


async def test_a_new_sign_in_ends_the_old_session(client: Client, house: House) -> None:
    await sign_in(client, house.tokens["anna"])
    [old] = [cookie.value for cookie in client.session.cookie_jar]

    await sign_in(client, house.tokens["anna"])

    client.session.cookie_jar.clear()
    assert (await client.get("/api/me", cookies={"chevet": old})).status == 401


# Rights: page, socket and API


async def test_only_those_are_listed_who_may_be_watched(client: Client, house: House) -> None:
    await sign_in(client, house.tokens["anna"])

    rows = await (await client.get("/api/subjects")).json()

    assert [row["subject"] for row in rows] == [OWN]
    assert [line["by"] for line in house.logged("read")] == ["api"]


async def test_the_page_of_a_subject_without_rights_says_so(client: Client, house: House) -> None:
    await sign_in(client, house.tokens["anna"])

    refused = await client.get(f"/?subject={OTHERS}")
    own = await client.get(f"/?subject={OWN}")

    assert (refused.status, own.status) == (403, 200)
    assert "no subject of this name that you may watch" in await refused.text()
    [line] = house.logged("refused")
    assert (line["user"], line["subject"], line["by"]) == ("anna", OTHERS, "page")
    [line] = [line for line in house.logged("read") if line["by"] == "page"]
    assert (line["user"], line["subject"]) == ("anna", OWN)


async def test_a_subject_without_rights_and_one_that_there_is_not_are_answered_alike(
    client: Client, house: House
) -> None:
    await sign_in(client, house.tokens["anna"])

    for path in ("/?subject=", "/api/me?subject=", "/ws?subject="):
        answers = [await client.get(f"{path}{name}") for name in (OTHERS, UNKNOWN)]
        texts = [await answer.text() for answer in answers]
        assert [answer.status for answer in answers] == [403, 403]
        assert texts[0] == texts[1]
        assert answers[0].headers["Content-Length"] == answers[1].headers["Content-Length"]


async def test_a_socket_without_rights_is_refused_and_one_with_them_is_written_down(
    client: Client, house: House
) -> None:
    assert await status_of_socket(client, OWN) == 401
    await sign_in(client, house.tokens["anna"])
    assert await status_of_socket(client, OTHERS) == 403

    async with client.ws_connect(f"/ws?subject={OWN}") as socket:
        assert (await socket.receive_json(timeout=30))["subject"] == OWN
        [began] = house.logged("watch_began")
        assert (began["user"], began["subject"], began["by"]) == ("anna", OWN, "socket")
        house.now_s += 5

    async with asyncio.timeout(10):
        while not house.logged("watch_ended"):  # noqa: ASYNC110 - of another task, in a file
            await asyncio.sleep(0.01)
    [ended] = house.logged("watch_ended")
    assert ended["watch"] == began["watch"]
    assert ended["seconds"] == 5
    assert {(line.get("user"), line["subject"]) for line in house.logged("refused")} == {
        (None, OWN),
        ("anna", OTHERS),
    }


async def test_a_ward_is_written_down_with_all_its_patterns(house: House) -> None:
    patterns = tuple(f"icu-{i}-*" for i in range(200))

    async def ward(request: Request) -> Response:
        async with watching(request, allowed(request), None):
            return Response()

    token = house.add("bert", *patterns)
    app = build_app(LiveHub(), entrance=house.entrance())
    app.router.add_get("/ws/ward-of-test", ward)
    async with TestClient(TestServer(app)) as client:
        await sign_in(client, token)
        assert (await client.get("/ws/ward-of-test")).status == 200

    [began] = house.logged("watch_began")
    assert (began["user"], began["by"]) == ("bert", "ward")
    assert tuple(began["patterns"]) == patterns
    assert "subject" not in began


async def test_a_subject_that_is_not_there_yet_may_be_waited_for(
    client: Client, house: House
) -> None:
    await sign_in(client, house.tokens["anna"])

    async with client.ws_connect("/ws?subject=icu-99") as socket:
        assert (await socket.receive_json(timeout=30))["heard_ms"] is None


# What is taken away is gone


async def test_a_revoked_user_loses_open_sockets_and_everything_else(
    client: Client, house: House
) -> None:
    await sign_in(client, house.tokens["anna"])
    async with client.ws_connect(f"/ws?subject={OWN}") as socket:
        await socket.receive_json(timeout=30)

        house.revoke("anna")
        house.now_s += 1

        assert await close_code_of(socket) == SIGNED_OUT
    assert (await client.get("/api/subjects")).status == 401
    assert await status_of_socket(client, OWN) == 401
    assert house.logged("watch_ended")[0]["reason"] == "signed out"


async def test_a_user_with_fewer_rights_loses_those_sockets(client: Client, house: House) -> None:
    token = house.add("bert", OWN, OTHERS)
    house.now_s += 1
    await sign_in(client, token)
    async with client.ws_connect(f"/ws?subject={OTHERS}") as socket:
        await socket.receive_json(timeout=30)

        text = house.users_file.read_text()
        house.users_file.write_text(text.replace(f',\n        "{OTHERS}"', ""))
        house.now_s += 1

        assert await close_code_of(socket) == NOT_ALLOWED
    async with client.ws_connect(f"/ws?subject={OWN}") as socket:
        assert (await socket.receive_json(timeout=30))["subject"] == OWN


async def test_an_expired_token_ends_what_was_opened_with_it(client: Client, house: House) -> None:
    token = house.add("bert", "*", expires=datetime.now(UTC) + timedelta(hours=1))
    house.now_s += 1
    await sign_in(client, token)
    async with client.ws_connect(f"/ws?subject={OTHERS}") as socket:
        await socket.receive_json(timeout=30)
        house.ahead_s = 3_600

        assert await close_code_of(socket) == SIGNED_OUT


async def test_an_idle_session_ends_and_an_open_page_is_not_idle(
    client: Client, house: House
) -> None:
    await sign_in(client, house.tokens["anna"])
    async with client.ws_connect(f"/ws?subject={OWN}") as socket:
        for _ in range(2):
            house.now_s += 400
            await until_heartbeats(socket, 2)
        house.now_s += 400
    assert (await client.get("/api/me")).status == 200

    house.now_s += 600
    assert (await client.get("/api/me")).status == 401


async def test_a_session_ends_at_last_while_a_page_is_open(client: Client, house: House) -> None:
    await sign_in(client, house.tokens["anna"])
    async with client.ws_connect(f"/ws?subject={OWN}") as socket:
        await socket.receive_json(timeout=30)
        house.now_s += 3_600

        assert await close_code_of(socket) == SIGNED_OUT


async def test_a_file_of_users_that_cannot_be_read_holds_for_a_while_and_no_longer(
    client: Client, house: House
) -> None:
    await sign_in(client, house.tokens["anna"])
    house.users_file.write_text("{")

    house.now_s += 2
    assert (await client.get("/api/me")).status == 200
    house.now_s += 300
    assert (await client.get("/api/me")).status == 401


async def test_a_rule_is_that_of_the_moment(house: House) -> None:
    rules: list[Rule] = []

    async def keep(request: Request) -> Response:
        rules.append(Rule(request))
        return Response()

    app = build_app(LiveHub(), entrance=house.entrance())
    app.router.add_get("/keep", keep)
    async with TestClient(TestServer(app)) as other:
        assert (await other.get("/keep")).status == 401
        await sign_in(other, house.tokens["anna"])
        await other.get("/keep")
        [rule] = rules
        assert (rule(OWN), rule(OTHERS)) == (True, False)

        house.revoke("anna")
        house.now_s += 2

        assert (rule(OWN), rule(OTHERS)) == (False, False)


# What cannot be written down is not shown


async def test_nothing_is_shown_while_the_access_log_cannot_be_written(
    client: Client, house: House
) -> None:
    await sign_in(client, house.tokens["anna"])
    house.log_file.unlink()
    house.log_file.mkdir()

    assert await status_of_socket(client, OWN) == 503
    assert (await client.get("/api/subjects")).status == 503
    page = await client.get(f"/?subject={OWN}")
    assert page.status == 503
    assert "nothing is shown" in await page.text()

    house.log_file.rmdir()
    async with client.ws_connect(f"/ws?subject={OWN}") as socket:
        assert (await socket.receive_json(timeout=30))["subject"] == OWN
    assert house.logged("watch_began")


async def test_nobody_is_signed_in_while_the_access_log_cannot_be_written(
    client: Client, house: House
) -> None:
    house.log_file.unlink()
    house.log_file.mkdir()

    answer = await client.post("/sign-in", data={"token": house.tokens["anna"]})

    assert answer.status == 503
    gate = client.app[GATE].gate
    assert gate is not None
    assert len(gate._sessions) == 0
    assert (await client.get("/api/me")).status == 401


# Proxies


async def test_behind_a_proxy_only_the_proxy_is_answered(house: House, hub: LiveHub) -> None:
    elsewhere = (ipaddress.ip_network("192.0.2.0/24"),)
    app = build_app(hub, entrance=house.entrance(proxies=elsewhere))
    async with TestClient(TestServer(app)) as client:
        answers = {
            path: (await client.get(path, headers={"X-Forwarded-For": "192.0.2.1"})).status
            for path in ("/", "/sign-in", "/api/me", "/static/main.js", "/healthz")
        }

    assert answers == {
        "/": 403, "/sign-in": 403, "/api/me": 403, "/static/main.js": 403, "/healthz": 200
    }  # fmt: skip


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ([], "127.0.0.1"),
        (["198.51.100.7"], "198.51.100.7"),
        (["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        (["203.0.113.9", "198.51.100.7, 127.0.0.2"], "198.51.100.7"),
        (["203.0.113.9, nonsense"], "127.0.0.1"),
        (["203.0.113.9, nonsense, 198.51.100.7"], "198.51.100.7"),
        (["127.0.0.3"], "127.0.0.3"),
        (["2001:db8::1"], "2001:db8::1"),
    ],
)
async def test_the_address_is_the_last_that_is_no_proxy_of_ours(
    house: House, hub: LiveHub, told: list[str], address: str
) -> None:
    app = build_app(hub, entrance=house.entrance(proxies=(ipaddress.ip_network("127.0.0.0/8"),)))
    async with TestClient(TestServer(app)) as client:
        headers = [("X-Forwarded-For", text) for text in told]
        await client.post("/sign-in", data={"token": "wrong"}, headers=headers)

    assert house.logged("sign_in_failed")[0]["address"] == address


def test_without_a_proxy_nobody_says_where_they_come_from() -> None:
    request = make_mocked_request("GET", "/", headers={"X-Forwarded-For": "192.0.2.1"})

    assert "192.0.2.1" not in Clients().address(request)


# The server


@pytest.mark.parametrize("host", ["::", "192.0.2.1", "chevet.example"])
async def test_an_open_page_is_served_to_this_machine_only(hub: LiveHub, host: str) -> None:
    with pytest.raises(ValueError, match="every patient"):
        await serve(hub, host=host, stop=asyncio.Event())


async def test_users_are_not_asked_for_tokens_in_the_clear(hub: LiveHub, house: House) -> None:
    with pytest.raises(ValueError, match="in the clear"):
        await serve(hub, host="::", entrance=house.entrance(), stop=asyncio.Event())


async def test_the_beginning_and_the_end_of_the_server_are_written_down(
    hub: LiveHub, house: House
) -> None:
    stop = asyncio.Event()

    addresses: asyncio.Queue[str] = asyncio.Queue()
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(
            serve(hub, entrance=house.entrance(), stop=stop, on_ready=addresses.put_nowait)
        )
        url = await addresses.get()
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            await session.post(f"{url}sign-in", data={"token": house.tokens["anna"]})
            async with session.ws_connect(f"{url}ws?subject={OWN}") as socket:
                await socket.receive_json(timeout=30)
                stop.set()
                assert await close_code_of(socket) == aiohttp.WSCloseCode.GOING_AWAY

    events = [line["event"] for line in house.logged()]
    assert (events[0], events[-2:]) == ("started", ["watch_ended", "stopped"])
    assert house.logged("watch_ended")[0]["reason"] == "server stops"
