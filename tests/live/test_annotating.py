"""Marks that are made on the page: who may make them, what becomes of them, and who is told."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from ingest.annotation import SubjectAnnotation
from ingest.errors import BrokerUnavailableError
from processors.access_settings import AccessSettings
from processors.sinks.live import LiveHub, build_app
from processors.sinks.live.annotating import PER_MINUTE, AnnotationDesk
from tests.live.entrance import House

Client = TestClient[web.Request, web.Application]
SAID = {"subject": "icu-7", "t_ms": 1_800_000_000_000.25, "text": " artefact "}
NOW_NS = 1_800_000_100_000_000_000


class Topic:
    """Takes annotations, unless it is away."""

    def __init__(self) -> None:
        self.taken: list[SubjectAnnotation] = []
        self.is_away = False

    async def send(self, annotation: SubjectAnnotation) -> None:
        if self.is_away:
            raise BrokerUnavailableError("nobody answers")
        self.taken.append(annotation)


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.add("anna", "icu-*")
    house.add("bo", "*")
    house.annotators = {"anna"}
    return house


@pytest.fixture
def topic() -> Topic:
    return Topic()


@pytest.fixture
async def client(house: House, hub: LiveHub, topic: Topic) -> AsyncIterator[Client]:
    desk = AnnotationDesk(topic.send, clock_s=house.clock_s, clock_ns=lambda: NOW_NS)
    app = build_app(hub, entrance=house.entrance(), desk=desk)
    async with TestClient(TestServer(app)) as client:
        yield client


async def sign_in(client: Client, token: str) -> None:
    answer = await client.post("/sign-in", data={"token": token}, allow_redirects=False)
    assert answer.status == 303


async def post(client: Client, said: object = None, **headers: str) -> tuple[int, str]:
    content = json.dumps(SAID if said is None else said)
    kind = {"Content-Type": "application/json"} | headers
    answer = await client.post("/api/annotations", data=content, headers=kind)
    return answer.status, await answer.text()


async def test_who_may_marks_under_their_own_name_and_it_is_written_down(
    client: Client, house: House, topic: Topic
) -> None:
    await sign_in(client, house.tokens["anna"])
    assert await (await client.get("/api/me")).json() == {"user": "anna", "annotates": True}
    socket = await client.ws_connect("/ws?subject=icu-7")
    interval = SAID | {"until_ms": SAID_END, "device": "strap", "channel": "ecg"}

    status, content = await post(client, interval)

    assert status == 201
    (made,) = topic.taken
    assert made == SubjectAnnotation(
        subject_id="icu-7",
        annotation_id=json.loads(content)["id"],
        t_ns=1_800_000_000_000_250_000,
        duration_ns=1_500_000_000,
        text="artefact",
        device_id="strap",
        channel="ecg",
        author="anna",
        created_ns=NOW_NS,
    )
    (line,) = house.logged("annotated")
    assert (line["user"], line["subject"]) == ("anna", "icu-7")
    assert line["annotation"] == made.annotation_id
    for told in (socket, await client.ws_connect("/ws?subject=icu-7")):
        label = await told_label(told)
        assert (label["text"], label["author"], label["channel"]) == ("artefact", "anna", "ecg")
        assert (label["t_ms"], label["end_ms"]) == (SAID["t_ms"], SAID_END)
        await told.close()


SAID_END = 1_800_000_001_500.25


async def told_label(socket: Any) -> dict[str, Any]:  # noqa: ANN401
    async with asyncio.timeout(20):
        while True:
            message: dict[str, Any] = json.loads(await socket.receive_str())
            if message["type"] == "label":
                return message


@pytest.mark.parametrize(
    ("said", "status", "why"),
    [
        ([], 400, "an object with"),
        ({"subject": "icu-7", "t_ms": 1}, 400, "an object with"),
        (SAID | {"author": "somebody else"}, 400, "an object with"),
        (SAID | {"t_ms": "now"}, 400, "t_ms is of the wrong kind"),
        (SAID | {"t_ms": True}, 400, "t_ms is of the wrong kind"),
        (SAID | {"t_ms": float("nan")}, 400, "t_ms is of the wrong kind"),
        (SAID | {"t_ms": 10**400}, 400, "t_ms is of the wrong kind"),
        (SAID | {"t_ms": -1}, 400, "t_ns"),
        (SAID | {"until_ms": 5}, 400, "ends when it begins or later"),
        (SAID | {"text": "  "}, 400, "say something"),
        (SAID | {"text": "x" * 501}, 400, "say something"),
        (SAID | {"text": "a\nb"}, 400, "say something"),
        (SAID | {"channel": "ecg"}, 400, "without the device"),
        (SAID | {"text": "x" * 9_000}, 413, ""),
        (SAID | {"subject": "ward-3"}, 403, "no subject of this name"),
    ],
)
async def test_what_is_no_mark_is_refused_and_why(
    client: Client, house: House, topic: Topic, said: object, status: int, why: str
) -> None:
    await sign_in(client, house.tokens["anna"])

    found, text = await post(client, said)

    assert found == status
    assert why in text
    assert topic.taken == []


async def test_who_may_only_look_or_is_unknown_marks_nothing(
    client: Client, house: House, topic: Topic
) -> None:
    assert (await post(client))[0] == 401
    await sign_in(client, house.tokens["bo"])
    assert await (await client.get("/api/me")).json() == {"user": "bo"}
    assert (await post(client))[0] == 403
    assert topic.taken == []
    assert [line.get("user") for line in house.logged("refused")] == [None, "bo"]


async def test_another_site_marks_nothing(client: Client, house: House, topic: Topic) -> None:
    await sign_in(client, house.tokens["anna"])

    assert (await post(client, Origin="https://elsewhere.example"))[0] == 403
    form = {"Content-Type": "text/plain"}
    assert (await post(client, **form))[0] == 415
    assert (await client.post("/api/annotations", data={"subject": "icu-7"})).status == 415
    assert topic.taken == []


async def test_what_the_broker_does_not_take_is_not_kept_and_said(
    client: Client, house: House, topic: Topic
) -> None:
    await sign_in(client, house.tokens["anna"])
    topic.is_away = True

    assert await post(client) == (503, "not kept: the broker does not take it; try again\n")
    events = [line["event"] for line in house.logged() if "annotation" in line]
    assert events == ["annotated", "annotation_not_kept"]


async def test_nobody_marks_without_end(client: Client, house: House, topic: Topic) -> None:
    await sign_in(client, house.tokens["anna"])
    for _ in range(PER_MINUTE):
        assert (await post(client))[0] == 201
    assert (await post(client))[0] == 429
    house.now_s += 61

    assert (await post(client))[0] == 201
    assert len(topic.taken) == PER_MINUTE + 1


async def test_where_nobody_signs_in_nobody_marks(hub: LiveHub, topic: Topic) -> None:
    async with TestClient(TestServer(build_app(hub, desk=AnnotationDesk(topic.send)))) as client:
        status, text = await post(client)

        assert (status, topic.taken) == (403, [])
        assert "who says so is not known" in text
        assert await (await client.get("/api/me")).json() == {"user": None}


def test_annotators_need_a_way_to_sign_in() -> None:
    with pytest.raises(ValueError, match="where nobody signs in"):
        AccessSettings(annotators=("anna",))
