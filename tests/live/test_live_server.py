"""The server: what it answers, whom it refuses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import WSMsgType
from aiohttp.test_utils import TestClient, TestServer

from processors.sinks.live import LiveHub, build_app, serve
from processors.sinks.live.protocol import decode_samples

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import TypeAlias

    from aiohttp.web import Application, Request

    from tests.live.conftest import Person

    Client: TypeAlias = TestClient[Request, Application]


@pytest.fixture
async def client(hub: LiveHub, person: Person) -> AsyncIterator[Client]:
    now_ns = person.t0_ns + 1_000_000_000
    hub.add_frame(person.frame(now_ns), now_ns)
    app = build_app(hub, clock_ns=lambda: now_ns, names=frozenset({"127.0.0.1"}))
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_the_page_and_its_files_are_served(client: Client) -> None:
    page = await client.get("/")

    assert page.status == 200
    assert page.content_type == "text/html"
    for path, kind in (("main.js", "javascript"), ("live.css", "css"), ("icon.svg", "svg")):
        answer = await client.get(f"/static/{path}")
        assert answer.status == 200
        assert kind in answer.content_type


@pytest.mark.parametrize("path", ["/", "/static/main.js", "/api/subjects", "/nothing", "/healthz"])
async def test_every_answer_has_the_security_headers(client: Client, path: str) -> None:
    answer = await client.get(path)

    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "no-" in answer.headers["Cache-Control"]


async def test_the_page_has_nothing_inline_and_nothing_from_elsewhere(client: Client) -> None:
    page = await (await client.get("/")).text()

    assert "style=" not in page
    assert "<style" not in page
    assert "http" not in page
    assert page.count("<script") == page.count('<script type="module" src="static/') == 1


async def test_nothing_outside_the_static_folder_is_served(client: Client) -> None:
    answer = await client.get("/static/%2e%2e/server.py")

    assert answer.status in {403, 404}


async def test_the_subjects_are_listed(client: Client) -> None:
    [row] = await (await client.get("/api/subjects")).json()

    assert row["subject"] == "subject-7f3a"
    assert row["devices"] == ["chest-strap", "oximeter"]
    assert row["age_s"] == pytest.approx(0, abs=0.05)


async def test_health_says_what_was_counted(client: Client) -> None:
    answer = await (await client.get("/healthz")).json()

    assert answer["status"] == "ok"
    assert answer["counts"]["n_frames"] == 1


async def test_another_host_name_is_refused(client: Client) -> None:
    answer = await client.get("/api/subjects", headers={"Host": "rebound.example"})

    assert answer.status == 421


async def test_the_socket_tells_the_state_and_then_what_happens(
    client: Client, hub: LiveHub, person: Person
) -> None:
    async with client.ws_connect("/ws?subject=subject-7f3a") as socket:
        hello = await socket.receive_json(timeout=30)
        assert hello["type"] == "hello"
        types = set()
        history = set()
        while "heartbeat" not in types:
            message = await socket.receive(timeout=30)
            if message.type is WSMsgType.BINARY:
                history.add(decode_samples(message.data).history)
            else:
                types.add(message.json()["type"])
        assert {"channel", "device", "numeral", "heartbeat"} <= types
        assert history == {True}

        hub.add_frame(person.frame(person.t0_ns + 1_250_000_000), person.t0_ns)
        samples = decode_samples(await socket.receive_bytes(timeout=30))
        assert not samples.history
        assert samples.sent_ns == person.t0_ns + 1_000_000_000


async def test_the_heart_beats_every_second(client: Client) -> None:
    async with client.ws_connect("/ws?subject=nobody") as socket:
        types = [(await socket.receive_json(timeout=30))["type"] for _ in range(3)]

    assert types == ["hello", "heartbeat", "heartbeat"]


async def test_a_page_of_the_same_origin_may_listen(client: Client) -> None:
    origin = str(client.make_url("/")).rstrip("/")

    async with client.ws_connect("/ws?subject=a", origin=origin) as socket:
        assert (await socket.receive_json(timeout=30))["type"] == "hello"


@pytest.mark.parametrize(
    "origin", ["http://elsewhere.example", "http://127.0.0.1:1", "null", "https://127.0.0.1"]
)
async def test_a_page_of_another_origin_is_refused(client: Client, origin: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.ws_connect("/ws?subject=a", origin=origin)

    assert refused.value.status == 403


@pytest.mark.parametrize("query", ["", "?subject=", f"?subject={'x' * 300}"])
async def test_a_socket_needs_a_subject(client: Client, query: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.ws_connect(f"/ws{query}")

    assert refused.value.status == 400


async def test_one_page_too_many_is_told_to_come_later() -> None:
    async with TestClient(TestServer(build_app(LiveHub(n_pages_max=0)))) as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect("/ws?subject=a")

    assert refused.value.status == 503


async def _until_no_page(hub: LiveHub) -> None:
    while hub.n_pages:  # noqa: ASYNC110 - the hub has no event for it, and needs none
        await asyncio.sleep(0)


async def test_a_page_that_leaves_is_forgotten(client: Client, hub: LiveHub) -> None:
    async with client.ws_connect("/ws?subject=a") as socket:
        await socket.receive_json(timeout=30)
        assert hub.n_pages == 1

    await asyncio.wait_for(_until_no_page(hub), timeout=30)


async def test_a_page_that_says_much_is_closed(client: Client) -> None:
    async with client.ws_connect("/ws?subject=a") as socket:
        await socket.send_str("x" * 2_000)

        async with asyncio.timeout(5):
            while (await socket.receive()).type is WSMsgType.TEXT:
                pass
        assert socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


async def test_a_page_that_was_given_up_is_closed_as_too_slow(client: Client, hub: LiveHub) -> None:
    async with client.ws_connect("/ws?subject=a") as socket:
        await socket.receive_json(timeout=30)
        [page] = hub._pages
        for _ in range(2_000):
            page.push_text("{}")

        async with asyncio.timeout(5):
            while (await socket.receive()).type is WSMsgType.TEXT:
                pass
        assert socket.close_code == aiohttp.WSCloseCode.TRY_AGAIN_LATER


async def test_serving_ends_when_it_is_told_to(hub: LiveHub) -> None:
    stop = asyncio.Event()
    addresses: list[str] = []
    ready = asyncio.Event()

    def on_ready(address: str) -> None:
        addresses.append(address)
        ready.set()

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(hub, host="127.0.0.1", port=0, stop=stop, on_ready=on_ready))
        await ready.wait()
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{addresses[0]}ws?subject=a") as socket,
        ):
            await socket.receive_json(timeout=30)
            stop.set()
            while (await socket.receive()).type is WSMsgType.TEXT:
                pass
            assert socket.close_code == aiohttp.WSCloseCode.GOING_AWAY

    assert addresses[0].startswith("http://127.0.0.1:")
