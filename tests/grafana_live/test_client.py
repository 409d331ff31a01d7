"""The client: what it sends, and what it makes of each answer."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from processors.sinks.grafana_live.client import PushClient, TokenError, read_token
from tests.grafana_live.conftest import no_task_left_behind
from tests.grafana_live.endpoint import TOKEN, Endpoint, open_endpoint

__all__ = ["no_task_left_behind"]

NEW = "glsa_new"


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with open_endpoint() as opened:
        yield opened


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n", encoding="ascii")
    return file


def write(token_file: Path, token: str) -> None:
    token_file.write_text(token, encoding="ascii")


def client_of(endpoint: Endpoint, token_file: Path, timeout_s: float = 60) -> PushClient:
    return PushClient(url=endpoint.url, stream="chevet", token_file=token_file, timeout_s=timeout_s)


async def test_a_body_comes_as_it_was_sent(endpoint: Endpoint, token_file: Path) -> None:
    async with client_of(endpoint, token_file) as client:
        outcome = await client.push(b"a_ecg v=1 2\n")

    assert outcome.answer == "taken"
    assert endpoint.bodies == [b"a_ecg v=1 2\n"]


async def test_a_grafana_under_a_path_is_found(token_file: Path) -> None:
    async with open_endpoint("/grafana") as endpoint, client_of(endpoint, token_file) as client:
        assert (await client.push(b"x")).answer == "taken"


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (429, "too_many"),
        (500, "unwell"),
        (502, "unwell"),
        (503, "unwell"),
        (403, "token_refused"),
        (400, "refused"),
        (404, "refused"),
        (302, "refused"),
    ],
)
async def test_what_is_made_of_an_answer(
    endpoint: Endpoint, token_file: Path, status: int, answer: str
) -> None:
    endpoint.answers = [status]
    async with client_of(endpoint, token_file) as client:
        outcome = await client.push(b"x")

        assert outcome.answer == answer
        assert str(status) in outcome.text
        assert TOKEN not in outcome.text
        assert (await client.push(b"x")).answer == "taken"
    assert endpoint.n_requests == 2


@pytest.mark.parametrize(
    ("said", "pause_s"), [("7", 7.0), ("100000", 60.0), ("soon", None), ("-1", None)]
)
async def test_the_pause_is_the_servers_but_bounded(
    endpoint: Endpoint, token_file: Path, said: str, pause_s: float | None
) -> None:
    endpoint.answers = [(429, said)]
    async with client_of(endpoint, token_file) as client:
        assert (await client.push(b"x")).retry_after_s == pause_s


async def test_a_connection_that_breaks_is_no_answer_and_no_second_request(
    endpoint: Endpoint, token_file: Path
) -> None:
    endpoint.answers = ["drop"]
    async with client_of(endpoint, token_file) as client:
        assert (await client.push(b"x")).answer == "unreachable"
    assert endpoint.bodies == [b"x"]


async def test_nobody_at_the_address_is_unreachable(endpoint: Endpoint, token_file: Path) -> None:
    endpoint.url = "http://127.0.0.1:1"
    async with client_of(endpoint, token_file) as client:
        assert (await client.push(b"x")).answer == "unreachable"


async def test_a_server_that_is_silent_is_given_up(token_file: Path) -> None:
    async def say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server:
        endpoint = Endpoint(url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with client_of(endpoint, token_file, timeout_s=0.05) as client:
            assert (await client.push(b"x")).answer == "unreachable"


async def test_a_token_is_renewed_from_its_file(endpoint: Endpoint, token_file: Path) -> None:
    endpoint.token = NEW
    async with client_of(endpoint, token_file) as client:
        assert (await client.push(b"x")).answer == "token_refused"
        assert not await client.renew_token()

        write(token_file, NEW)

        assert await client.renew_token()
        assert (await client.push(b"x")).answer == "taken"


@pytest.mark.parametrize("content", [b"", b" \n", b"two words", b"\xff", b"a\nb", b"x" * 20_000])
def test_a_file_that_holds_no_token_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)

    with pytest.raises(TokenError, match="token_file"):
        read_token(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenError, match="nowhere"):
        read_token(tmp_path / "nowhere")
