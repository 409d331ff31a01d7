import asyncio
import itertools
import re
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from prometheus_client import REGISTRY

from deploy.local.influx import InfluxServer
from deploy.local.process import LOCALHOST, free_ports
from deploy.readback import WAVEFORMS, InfluxReader
from processors.sinks.influx import N_HALVINGS_MAX, N_LINES_MAX, InfluxStore, _bodies
from processors.sinks.measurements import Bucket
from processors.sinks.store import (
    RejectedLines,
    StoreRefusedError,
    StoreUnavailableError,
)

pytestmark = pytest.mark.usefixtures("no_task_left_behind")

TOKEN = "s3cr3t"  # noqa: S105  # nobody's
Answer = Callable[[list[bytes]], web.Response]


def no_content(_lines: list[bytes]) -> web.Response:
    return web.Response(status=204)


@dataclass
class FakeInflux:
    """Answers as a version 2 server would, but with what the test wants."""

    url: str = ""
    answer: Answer = no_content
    delay_s: float = 0.0
    requests: list[web.Request] = field(default_factory=list)
    bodies: list[list[bytes]] = field(default_factory=list)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.Response:
        lines = (await request.read()).split(b"\n")
        self.requests.append(request)
        self.bodies.append(lines)
        if self.delay_s:
            async with asyncio.timeout(self.delay_s):
                await self.let_go.wait()
        return self.answer(lines)

    def store(self, *, timeout_s: float = 10.0, gzip_level: int = 0) -> InfluxStore:
        return InfluxStore(
            url=self.url,
            bucket="ward/three days",
            org="clinic",
            token=TOKEN,
            timeout_s=timeout_s,
            gzip_level=gzip_level,
        )


@pytest.fixture
async def influx() -> AsyncIterator[FakeInflux]:
    fake = FakeInflux()
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/api/v2/write", fake.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, LOCALHOST, 0)
    await site.start()
    fake.url = f"http://{LOCALHOST}:{runner.addresses[0][1]}"
    yield fake
    fake.let_go.set()
    await runner.cleanup()


def numbered(n_lines: int) -> list[bytes]:
    return [b"m v=%di %d" % (i, i) for i in range(n_lines)]


def refuse(*bad: bytes, status: int = 400) -> Answer:
    """Refuse what holds one of these lines, and name one of them."""

    def answer(lines: list[bytes]) -> web.Response:
        found = [line for line in lines if line in bad]
        if not found:
            return web.Response(status=204)
        error = {"code": "invalid", "message": f"unable to parse {found[0].decode()}"}
        return web.json_response(error, status=status)

    return answer


def status(code: int, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _lines: web.json_response(
        {"code": "told so", "message": "as the test wants"}, status=code, headers=named
    )


# What is sent


async def test_a_write_is_one_request_in_nanoseconds_with_bucket_org_and_token(
    influx: FakeInflux,
) -> None:
    store = influx.store()

    assert await store.write(numbered(3)) == []
    await store.close()

    (request,) = influx.requests
    assert dict(request.query) == {"bucket": "ward/three days", "org": "clinic", "precision": "ns"}
    assert request.headers["Authorization"] == f"Token {TOKEN}"
    assert influx.bodies == [numbered(3)]


async def test_many_lines_are_several_requests_in_order(influx: FakeInflux) -> None:
    store = influx.store()
    lines = numbered(2 * N_LINES_MAX + 5)

    assert await store.write(lines) == []
    await store.close()

    assert [len(body) for body in influx.bodies] == [N_LINES_MAX, N_LINES_MAX, 5]
    assert [line for body in influx.bodies for line in body] == lines


async def test_pieces_of_several_lines_are_joined_to_requests_of_so_many_lines(
    influx: FakeInflux,
) -> None:
    store = influx.store()
    lines = numbered(3 * N_LINES_MAX)
    ends = [0, 1, N_LINES_MAX - 1, N_LINES_MAX, N_LINES_MAX + 7, len(lines)]
    pieces = [b"\n".join(lines[begin:end]) for begin, end in itertools.pairwise(ends)]

    assert await store.write(pieces) == []
    await store.close()

    assert [line for body in influx.bodies for line in body] == lines
    # A piece with more lines than a request is sent alone.
    assert [len(body) for body in influx.bodies] == [N_LINES_MAX, 7, 2 * N_LINES_MAX - 7]


async def test_a_bad_line_is_found_in_a_piece_of_many(influx: FakeInflux) -> None:
    lines = numbered(100)
    influx.answer = refuse(lines[37])
    store = influx.store()

    rejected = await store.write([b"\n".join(lines)])
    await store.close()

    assert [each.lines for each in rejected] == [lines[37]]


async def test_what_is_compressed_arrives_as_it_was(influx: FakeInflux) -> None:
    store = influx.store(gzip_level=1)

    assert await store.write(numbered(1_000)) == []
    await store.close()

    (request,) = influx.requests
    assert request.headers["Content-Encoding"] == "gzip"
    assert int(request.headers["Content-Length"]) < len(b"\n".join(numbered(1_000))) / 2
    assert influx.bodies == [numbered(1_000)]


# Errors of the server


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
async def test_a_server_that_is_unwell_is_unavailable(influx: FakeInflux, code: int) -> None:
    influx.answer = status(code)
    store = influx.store()

    with pytest.raises(StoreUnavailableError, match=rf"{code} as the test wants") as unwell:
        await store.write(numbered(1))
    await store.close()

    assert unwell.value.retry_after_s is None
    assert influx.url in str(unwell.value)
    assert TOKEN not in str(unwell.value)
    assert len(influx.requests) == 1


@pytest.mark.parametrize(
    ("header", "retry_after_s"),
    [("7", 7.0), ("0", 0.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None), ("1.5", None)],
)
async def test_the_server_may_say_when_to_come_again(
    influx: FakeInflux, header: str, retry_after_s: float | None
) -> None:
    influx.answer = status(503, Retry_After=header)
    store = influx.store()

    with pytest.raises(StoreUnavailableError) as unwell:
        await store.write(numbered(1))
    await store.close()

    assert unwell.value.retry_after_s == retry_after_s


@pytest.mark.parametrize("code", [301, 302, 307, 308, 401, 403, 404, 405])
async def test_a_server_that_says_no_to_everything_has_refused(
    influx: FakeInflux, code: int
) -> None:
    influx.answer = status(code, Location="http://elsewhere.example/")
    store = influx.store()

    with pytest.raises(
        StoreRefusedError, match=rf"{code} .*check url, org, bucket and token"
    ) as no:
        await store.write(numbered(1))
    await store.close()

    assert TOKEN not in str(no.value)


async def test_without_a_server_the_store_is_unavailable() -> None:
    (port,) = free_ports(1)
    store = InfluxStore(url=f"http://{LOCALHOST}:{port}", bucket="b", org="o", token=TOKEN)

    with pytest.raises(StoreUnavailableError, match=f"{LOCALHOST}:{port}") as unwell:
        await store.write(numbered(1))
    await store.close()

    assert TOKEN not in str(unwell.value)


async def test_a_server_that_takes_too_long_is_unavailable(influx: FakeInflux) -> None:
    influx.delay_s = 30.0
    store = influx.store(timeout_s=0.2)

    with pytest.raises(StoreUnavailableError, match=r"[Tt]imed out"):
        await store.write(numbered(1))
    await store.close()


async def test_a_connection_that_is_cut_is_unavailable_and_the_next_write_is_not(
    influx: FakeInflux,
) -> None:
    def cut(_lines: list[bytes]) -> web.Response:
        transport = influx.requests[-1].transport
        assert transport is not None
        transport.abort()
        return web.Response(status=204)

    store = influx.store()
    await store.write(numbered(1))
    influx.answer = cut
    with pytest.raises(StoreUnavailableError):
        await store.write(numbered(1))
    influx.answer = no_content

    assert await store.write(numbered(1)) == []
    await store.close()


async def test_an_answer_without_a_text_still_has_its_status(influx: FakeInflux) -> None:
    influx.answer = lambda _lines: web.Response(status=500)
    store = influx.store()

    with pytest.raises(StoreUnavailableError, match="500 Internal Server Error"):
        await store.write(numbered(1))
    await store.close()


# Errors of the lines


@pytest.mark.parametrize("code", [400, 422])
async def test_each_bad_line_is_rejected_alone_and_the_others_are_sent(
    influx: FakeInflux, code: int
) -> None:
    lines = numbered(N_LINES_MAX + 500)
    bad = (lines[0], lines[4_321], lines[4_322], lines[-1])
    influx.answer = refuse(*bad, status=code)
    store = influx.store()

    rejected = await store.write(lines)
    await store.close()

    assert rejected == [
        RejectedLines(reason=f"{code} unable to parse {line.decode()}", lines=line) for line in bad
    ]
    refused = set(bad)
    taken = [line for body in influx.bodies if not refused & set(body) for line in body]
    assert taken == [line for line in lines if line not in refused]


async def test_a_body_that_is_too_large_is_sent_in_smaller_ones(influx: FakeInflux) -> None:
    def answer(lines: list[bytes]) -> web.Response:
        n_bytes = sum(map(len, lines))
        return status(413)(lines) if n_bytes > 1_000 else no_content(lines)

    influx.answer = answer
    store = influx.store()
    endless = b'm s="' + b"x" * 2_000 + b'" 1'

    rejected = await store.write([*numbered(200), endless])
    await store.close()

    assert [each.lines for each in rejected] == [endless]
    assert rejected[0].reason.startswith("413")


@pytest.mark.parametrize("n_lines", [1, 2, N_LINES_MAX, 2 * N_LINES_MAX + 1])
async def test_looking_for_bad_lines_has_an_end(influx: FakeInflux, n_lines: int) -> None:
    influx.answer = status(400)
    store = influx.store()
    lines = numbered(n_lines)

    rejected = await store.write(lines)
    await store.close()

    assert b"\n".join(each.lines for each in rejected).split(b"\n") == lines
    assert len(influx.requests) < N_HALVINGS_MAX + 50


async def test_when_the_server_goes_away_in_the_middle_all_lines_are_kept(
    influx: FakeInflux,
) -> None:
    bad = numbered(10)[3]

    def answer(lines: list[bytes]) -> web.Response:
        return refuse(bad)(lines) if len(influx.requests) < 4 else status(503)(lines)

    influx.answer = answer
    store = influx.store()

    with pytest.raises(StoreUnavailableError):
        await store.write(numbered(10))
    await store.close()


# The real server


def store_of(server: InfluxServer, bucket: str | None = None) -> InfluxStore:
    return InfluxStore(url=server.url, bucket=bucket or server.bucket, org="clinic", token=TOKEN)


async def test_a_field_of_another_type_is_rejected_and_the_rest_is_stored(
    influx_server: InfluxServer, unique_name: str
) -> None:
    store = store_of(influx_server)
    good = [f"{unique_name},n={i} v={i}i 1000".encode() for i in range(1_000)]
    bad = {
        17: f"{unique_name},n=17 v=1.5 1000".encode(),
        500: f'{unique_name},n=500 v="text" 1000'.encode(),
        998: f"{unique_name} no fields at all".encode(),
        999: f"{unique_name},n=999 v=1i 99999999999999999999".encode(),
    }
    assert await store.write(good[:1]) == []

    rejected = await store.write([bad.get(i, line) for i, line in enumerate(good)])
    await store.close()

    assert [each.lines for each in rejected] == list(bad.values())
    assert all(each.reason.startswith("400 ") for each in rejected)
    assert re.search("field type conflict", rejected[0].reason)
    reader = InfluxReader(influx_server.url, influx_server.database)
    (row,) = reader.query(f'SELECT count("v"), sum("v") FROM "{unique_name}"')  # noqa: S608
    kept = [i for i in range(1_000) if i not in bad]
    assert row["values"][0][1:] == [len(kept), sum(kept)]


def test_pieces_go_into_the_bucket_of_their_measurement_in_order() -> None:
    long, wave = (
        [b"m v=%di 1" % i for i in range(3)],
        [b"waveform,a=b v=%di 1" % i for i in range(3)],
    )
    fine = b"envelope_25hz,a=b min=1i 1\nenvelope_25hz,a=b min=1i 2"

    bodies = list(_bodies([long[0], wave[0], fine, wave[1], long[1], wave[2], long[2]]))

    assert bodies == [
        (Bucket.LONG, b"\n".join(long)),
        (Bucket.WAVEFORMS, b"\n".join(wave)),
        (Bucket.ENVELOPES, fine),
    ]


async def test_each_bucket_is_written_under_its_name(influx: FakeInflux) -> None:
    store = influx.store()

    await store.write([b"waveform,a=b v=1i 1", b"m v=1i 1", b"envelope_25hz,a=b min=1i 1"])
    await store.close()

    assert [request.query["bucket"] for request in influx.requests] == [
        "ward/three days",
        "ward/waveforms",
        "ward/envelopes",
    ]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (400, "partial write: points beyond retention policy dropped=3"),
        (
            422,
            "failure writing points to database: partial write: dropped 3 points outside retention "
            "policy of duration 72h0m0s - oldest point m at 2022-05-09T10:22:00Z dropped because "
            "it violates a Retention Policy Lower Bound dropped=3 for database: 91040e1bf6671dfd",
        ),
        (500, "unexpected error writing points to database: partial write: points beyond "
         "retention policy dropped=3"),
    ],
)  # fmt: skip
async def test_lines_older_than_their_bucket_keeps_them_are_counted_and_no_dead_letters(
    influx: FakeInflux, code: int, said: str
) -> None:
    influx.answer = lambda _lines: web.json_response({"message": said}, status=code)
    before = too_old("waveforms")
    store = influx.store()

    assert await store.write([b"waveform,a=b v=1i %d" % i for i in range(5)]) == []
    await store.close()

    assert len(influx.requests) == 1
    assert too_old("waveforms") - before == 3


def too_old(bucket: str) -> float:
    name = "chevet_processors_lines_too_old_total"
    return REGISTRY.get_sample_value(name, {"bucket": bucket}) or 0.0


async def test_the_server_keeps_what_is_young_enough_and_drops_the_rest(
    influx_server: InfluxServer, unique_name: str
) -> None:
    now_ns, hour_ns = time.time_ns(), 3_600 * 10**9
    before = too_old("waveforms")
    store = store_of(influx_server)
    lines = [
        f"waveform,channel=c,device=d,subject={unique_name} v={age_h}i {now_ns - age_h * hour_ns}"
        for age_h in (0, 71, 100, 2_000)
    ]

    assert await store.write([line.encode() for line in lines]) == []
    await store.close()

    reader = InfluxReader(influx_server.url, influx_server.database)
    (row,) = reader.query(f'SELECT "v" FROM {WAVEFORMS} WHERE "subject" = \'{unique_name}\'')  # noqa: S608
    assert [v for _, v in row["values"]] == [71, 0]
    assert too_old("waveforms") - before == 2


async def test_a_database_without_the_policies_is_refused_and_says_what_makes_them(
    influx_server: InfluxServer, unique_name: str
) -> None:
    statement = urllib.parse.urlencode({"q": f'CREATE DATABASE "{unique_name}"'}).encode()
    await asyncio.to_thread(urllib.request.urlopen, f"{influx_server.url}/query", statement)
    store = store_of(influx_server, bucket=unique_name)

    assert await store.write([b"m v=1i 1"]) == []
    with pytest.raises(StoreRefusedError, match=rf"{unique_name}/waveforms: 500 ") as no:
        await store.write([b"waveform,a=b v=1i 1"])
    await store.close()

    assert "chevet influx setup" in str(no.value)


async def test_a_bucket_that_is_not_there_is_refused(influx_server: InfluxServer) -> None:
    store = store_of(influx_server, bucket="never_made")

    with pytest.raises(StoreRefusedError, match=r"404 .*never_made.*chevet influx setup"):
        await store.write(numbered(1))
    await store.close()


@pytest.mark.parametrize(
    "url", ["", "nowhere", "localhost:8086", "http://", "http://[", "http://host:port", "ftp://h"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(StoreRefusedError, match="is no address of an InfluxDB"):
        InfluxStore(url=url, bucket="b", org="o", token=TOKEN)
