"""The role around the core: pauses, tokens, losses; and the whole way from Kafka to Grafana."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from deploy.grafana_live_commands import run_grafana_live_role
from deploy.local.kafka import KafkaBroker
from ingest.codec import decode_role_status, encode_alarm, encode_frame, encode_observations
from ingest.frame import NS_PER_S, Frame
from ingest.kafka import create_topics, open_consumer, open_producer
from ingest.observation import AlarmEvent, AlarmPriority
from ingest.role_status import GRAFANA_LIVE, RoleState, RoleStatus
from ingest.settings import KafkaSettings
from ingest.topics import ALARMS, FRAMES, OBSERVATIONS, STATUS
from processors.settings import GrafanaLiveSettings, GrafanaSettings
from processors.sinks.grafana_live import runner
from processors.sinks.grafana_live.client import PushClient
from processors.sinks.grafana_live.pusher import LivePusher
from processors.sinks.grafana_live.runner import GrafanaLive
from tests.grafana_live.conftest import T0_NS, block, end_ns, frame, no_task_left_behind
from tests.grafana_live.endpoint import TOKEN, Endpoint, open_endpoint
from tests.grafana_live.test_client import NEW, write
from tests.grafana_live.test_numerals import observation
from tests.sinks.line_protocol import Point, parse
from tests.waiting import WAIT_S, until

__all__ = ["no_task_left_behind"]

INTERVAL_S: Final = 0.02
NAN: Final = "NaN"


class Clock:
    """A clock that a test sets."""

    now_ns = T0_NS

    def __call__(self) -> int:
        return self.now_ns


class Running:
    """A role without a broker, between a test's hand and an endpoint."""

    def __init__(self, endpoint: Endpoint, pusher: LivePusher, live: GrafanaLive) -> None:
        self.endpoint = endpoint
        self.pusher = pusher
        self.live = live
        self.clock = Clock()
        self._i_first = 0

    def feed(self, n_samples: int = 25) -> None:
        """Give it samples that came just now and are all due."""
        one = block(self._i_first, n_samples)
        self._i_first += n_samples
        self.pusher.add_frame(frame(one), end_ns(one))
        self.clock.now_ns = end_ns(one) + 2 * NS_PER_S

    def rows(self, name: str = "icu-1_ecg") -> list[Point]:
        parsed = (parse(line) for body in self.endpoint.bodies for line in body.splitlines())
        return [point for point in parsed if point.measurement == name]


@asynccontextmanager
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN, encoding="ascii")
    stop = asyncio.Event()
    async with open_endpoint() as endpoint:
        client = PushClient(url=endpoint.url, stream="chevet", token_file=token_file, timeout_s=60)
        pusher = LivePusher(lambda _: True)
        live = GrafanaLive(pusher, client, interval_s=INTERVAL_S)
        run = Running(endpoint, pusher, live)
        live._clock_ns = run.clock
        async with client:
            pushing = asyncio.create_task(live.run(stop), name="push")
            try:
                yield run
            finally:
                stop.set()
                await pushing


async def test_what_is_fed_arrives(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        run.feed()
        await until(lambda: run.pusher.counts.samples_pushed == 25)

    assert len(run.rows()) == 1 + 25


@pytest.mark.parametrize("answer", [(429, "0"), 503, "drop"])
async def test_after_a_failure_it_goes_on_with_what_is_live_then(
    tmp_path: Path, answer: int | tuple[int, str] | str
) -> None:
    async with running(tmp_path) as run:
        run.endpoint.answers = [answer]
        run.feed()
        await until(lambda: run.pusher.counts.samples_lost == 25)
        run.live.reads = True
        assert run.live.waits_for == "grafana"
        run.feed()
        await until(lambda: run.pusher.counts.samples_pushed == 25)
        assert not run.live.waits_for

    taken = run.rows()
    first_ns = T0_NS if answer == "drop" else T0_NS + 25 * 4_000_000
    assert next(row.t_ns for row in taken if row.fields["v"] != NAN) == first_ns
    # The break is there whether or not the first push had arrived.
    assert taken[-26].fields["v"] == NAN
    assert len({row.t_ns for row in taken}) == len(taken)


async def test_while_the_server_asks_for_a_pause_nothing_is_sent(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        run.endpoint.answers = [(429, "60")]
        run.feed()
        await until(lambda: run.pusher.counts.samples_lost == 25)
        for _ in range(20):
            run.feed()
            await asyncio.sleep(INTERVAL_S)

        turned_s = run.live._turned_s
        await until(lambda: run.live._turned_s > turned_s, "the loop comes round in the pause")

        assert run.endpoint.n_requests == 1
        assert run.live.is_live
        # It is stopped at once all the same.


async def test_a_token_that_was_renewed_is_taken_up_without_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        run.endpoint.token = NEW
        run.feed()
        await until(lambda: run.live.last.answer == "token_refused")
        assert not run.live.is_ready
        run.live.reads = True
        assert run.live.waits_for == "grafana"
        assert run.live.said().state is RoleState.WAITING
        assert run.live.said().reason == "grafana"

        write(tmp_path / "token", NEW)

        def is_pushed() -> bool:
            run.feed()
            return run.pusher.counts.samples_pushed > 0

        await until(is_pushed)
        assert run.live.is_ready


async def test_at_the_end_the_numerals_are_taken_from_the_panels(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        run.pusher.add_observation(observation(), T0_NS)
        await until(lambda: run.pusher.counts.numerals_pushed == 1)

    first, last = run.rows("icu-1_numerals")
    assert first.fields["spo2"] == 97.0
    assert set(last.fields.values()) == {NAN}


async def test_who_watches_nobody_is_no_standstill_and_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "token", TOKEN)
    monkeypatch.setattr(runner, "STALL_S", -1.0)
    stop = asyncio.Event()
    host = "127.0.0.2"
    with socket.create_server((host, 0)) as probe:
        port = probe.getsockname()[1]
    settings = GrafanaLiveSettings(
        grafana=GrafanaSettings(url="http://127.0.0.1:1", token_file=tmp_path / "token"),
        metrics_port=port,
        metrics_host=host,
    )
    role = asyncio.create_task(run_grafana_live_role(settings, stop), name="role")
    answers: dict[str, int] = {}
    async with aiohttp.ClientSession() as session:

        async def ask(path: str) -> int:
            async with session.get(f"http://{host}:{port}/{path}") as answer:
                return answer.status

        async with asyncio.timeout(WAIT_S):
            while not answers:
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    answers = {path: await ask(path) for path in ("live", "ready")}
                await asyncio.sleep(0.01)
    stop.set()
    await role

    assert answers == {"live": 200, "ready": 503}


def quarters(subject: str, n_frames: int) -> list[Frame]:
    """Frames of 250 Hz that were taken just now."""
    begin_ns = time.time_ns() - n_frames * NS_PER_S // 4
    return [
        frame(block(62 * i, 62, t0_ns=begin_ns), subject=subject, sequence=i)
        for i in range(n_frames)
    ]


def alarm_of(subject: str) -> AlarmEvent:
    return AlarmEvent(
        subject_id=subject,
        t_ns=time.time_ns(),
        name="no_heart_rate",
        priority=AlarmPriority.MEDIUM,
        active=True,
        detail="",
    )


async def statuses_of(kafka: KafkaSettings, instance: str) -> list[RoleStatus]:
    """What it has said of itself, up to its last word."""
    said: list[RoleStatus] = []
    async with asyncio.timeout(WAIT_S), open_consumer(kafka, (STATUS,), group=None) as consumer:
        while not said or said[-1].state is not RoleState.STOPPING:
            records = await consumer.poll(timeout_s=0.5, n_records_max=500)
            key = f"{GRAFANA_LIVE}/{instance}".encode()
            said += [decode_role_status(one.payload) for one in records if one.key == key]
    return said


async def test_from_kafka_to_grafana_every_sample_is_counted_on_both_ends(
    kafka_broker: KafkaBroker, unique_name: str, tmp_path: Path
) -> None:
    kafka = KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers)
    await create_topics(kafka)
    (tmp_path / "token").write_text(TOKEN, encoding="ascii")
    watched, other = f"{unique_name}-a", f"{unique_name}-b"
    stop = asyncio.Event()
    async with open_endpoint() as endpoint, open_producer(kafka) as producer:
        settings = GrafanaLiveSettings(
            kafka=kafka,
            grafana=GrafanaSettings(url=endpoint.url, token_file=tmp_path / "token", timeout_s=10),
            watched=(watched,),
            late_s=600,
            instance=unique_name,
        )
        role = asyncio.create_task(run_grafana_live_role(settings, stop), name="role")

        def rows(name: str) -> list[Point]:
            parsed = (parse(line) for body in endpoint.bodies for line in body.splitlines())
            return [point for point in parsed if point.measurement == f"{watched}_{name}"]

        async def send(subject: str, sent: list[Frame]) -> None:
            await producer.send(FRAMES, ((subject, encode_frame(one)) for one in sent))

        # It reads from the topics' ends; that it has begun is known when something has come.
        async with asyncio.timeout(WAIT_S):
            while not rows("events"):
                await producer.send(ALARMS, [(watched, encode_alarm(alarm_of(watched)))])
                await asyncio.sleep(0.1)

        frames = quarters(watched, 8)
        await send(watched, frames)
        await send(other, quarters(other, 8))
        await producer.send(FRAMES, [(watched, b"no Frame")])
        numeral = observation(t_ns=time.time_ns())._replace(subject_id=watched)
        await producer.send(OBSERVATIONS, [(watched, encode_observations([numeral]))])
        n_samples = sum(one.n_samples for each in frames for one in each.waveforms)
        await until(lambda: len(rows("ecg")) == 1 + n_samples)
        await until(lambda: any(row.fields["spo2"] == 97.0 for row in rows("numerals")))
        stop.set()
        await role

        times = [row.t_ns for row in rows("ecg")]
        assert times[1:] == [
            t_ns for each in frames for t_ns in each.waveforms[0].times_ns().tolist()
        ]
        assert set(rows("numerals")[-1].fields.values()) == {NAN}
        assert other.encode() not in b"".join(endpoint.bodies)
    *_, last = await statuses_of(kafka, unique_name)
    assert last.state is RoleState.STOPPING
