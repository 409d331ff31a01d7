"""The ward: what it is told of whom, and how often."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import aiohttp
import numpy as np
import pytest
from aiohttp import WSMsgType
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.grafana.model import ORANGE, SKY, VERMILLION, YELLOW
from deploy.grafana.numerals import NUMERALS
from devices import codes
from ingest.frame import (
    NS_PER_S,
    DeviceEvent,
    DeviceEventKind,
    Reading,
    SamplePeriod,
)
from ingest.observation import AlarmEvent, AlarmPriority
from processors.sinks.live import LiveHub, build_app
from processors.sinks.live.access_gate import SIGNED_OUT
from processors.sinks.live.hub import SUBJECTS_MAX, TooManyPagesError
from processors.sinks.live.limits import LIMITS, score
from processors.sinks.live.ward import BIN_MS, BINS_MAX, SOURCES_MAX, WardPage, envelope
from tests.live.conftest import Person
from tests.live.entrance import House
from tests.live.frames import T0_NS, block, frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ingest.observation import Observation

BIN_NS = BIN_MS * 1_000_000


def everybody(_subject_id: str) -> bool:
    return True


class Ward:
    """A hub and a clock that a test moves."""

    def __init__(self) -> None:
        self.hub = LiveHub()
        self.now_ns = T0_NS
        self.page = self.hub.open_ward()

    def pass_s(self, seconds: float) -> None:
        self.now_ns += int(seconds * NS_PER_S)

    def read(
        self, page: WardPage | None = None, may_watch: Callable[[str], bool] = everybody
    ) -> dict[str, Any]:
        text = self.hub.ward_message(page or self.page, self.now_ns, may_watch)
        return json.loads(text) if text is not None else {}

    def samples(self, second: int, subject_id: str = "s1", **changes: Any) -> None:  # noqa: ANN401 - any field
        one = frame(second, subject_id, waveforms=(block(250 * second, 250, **changes),))
        self.hub.add_frame(one, self.now_ns)


@pytest.fixture
def ward() -> Ward:
    return Ward()


def bins(message: dict[str, Any]) -> list[tuple[int, int, int]]:
    [trace] = message["traces"]
    return list(zip(trace["i"], trace["low"], trace["high"], strict=True))


def test_a_subject_is_told_with_numerals_devices_and_alarms(
    ward: Ward, make_observation: Callable[..., Observation]
) -> None:
    connected = DeviceEvent(device_id="strap", kind=DeviceEventKind.CONNECTED, t_ns=T0_NS)
    ward.hub.add_frame(frame(0, waveforms=(block(n=250),), events=(connected,)), ward.now_ns)
    ward.hub.add_observation(make_observation(codes.HEART_RATE, 61.0, T0_NS, subject_id="s1"))
    ward.hub.add_observation(make_observation(codes.PERFUSION_INDEX, 4.0, T0_NS, subject_id="s1"))
    ward.hub.add_alarm(
        AlarmEvent(
            subject_id="s1",
            t_ns=T0_NS,
            name="no_heart_rate",
            priority=AlarmPriority.LOW,
            active=True,
            detail="no heart rate: lead_off",
        )
    )

    [row] = ward.read()["subjects"]

    assert row["subject"] == "s1"
    assert row["heard_ms"] == T0_NS / 1e6
    assert row["lag_ms"] is None
    assert [(one["name"], one["value"]) for one in row["numerals"]] == [("heart_rate", 61.0)]
    assert [one["device"] for one in row["devices"]] == ["strap"]
    assert [one["name"] for one in row["alarms"]] == ["no_heart_rate"]
    assert row["trace"]["label"] == "ECG II"


def test_of_whom_nothing_changes_nothing_is_told(ward: Ward) -> None:
    ward.samples(0)
    ward.samples(0, "s2")
    ward.read()

    ward.pass_s(1)
    ward.samples(1)
    message = ward.read()

    assert [row["subject"] for row in message["subjects"]] == ["s1"]
    assert [trace["subject"] for trace in message["traces"]] == ["s1"]
    ward.pass_s(1)
    assert ward.read() == {}


def test_it_is_looked_at_once_a_second_whoever_asks(ward: Ward) -> None:
    other = ward.hub.open_ward()
    ward.samples(0)
    first = ward.read()

    ward.pass_s(0.4)
    ward.samples(1)

    assert ward.read(other) == first
    assert ward.read() == {}
    ward.pass_s(0.6)
    assert len(ward.read()["subjects"]) == 1


def test_a_page_gets_each_bin_once_and_one_that_opens_the_last_seconds(ward: Ward) -> None:
    told: list[tuple[int, int, int]] = []
    for second in range(12):
        ward.samples(second)
        told += bins(ward.read())
        ward.pass_s(1)

    late = bins(ward.read(ward.hub.open_ward()))

    numbers = [one[0] for one in told]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert late == told[-BINS_MAX:]


def test_a_page_that_missed_a_look_gets_all_that_is_kept(ward: Ward) -> None:
    slow = ward.hub.open_ward()
    for second in range(3):
        ward.samples(second)
        ward.read()
        if second == 0:
            ward.read(slow)
        ward.pass_s(1)

    assert len(bins(ward.read(slow))) == 3 * 1000 // BIN_MS - 1


def test_who_may_not_be_watched_is_not_told_of(ward: Ward) -> None:
    allowed = {"s1", "s2"}
    for subject_id in ("s1", "s2", "s3"):
        ward.samples(0, subject_id)

    message = ward.read(None, allowed.__contains__)
    assert [row["subject"] for row in message["subjects"]] == ["s1", "s2"]
    assert [trace["subject"] for trace in message["traces"]] == ["s1", "s2"]

    allowed.remove("s2")
    assert ward.read(None, allowed.__contains__) == {
        "type": "ward",
        "subjects": [],
        "traces": [],
        "gone": ["s2"],
    }


def test_who_is_forgotten_is_gone(ward: Ward) -> None:
    ward.samples(0, "first")
    ward.read()
    for number in range(SUBJECTS_MAX):
        ward.samples(0, f"s{number}")
    ward.pass_s(1)

    message = ward.read()

    assert message["gone"] == ["first"]
    assert len(message["subjects"]) == SUBJECTS_MAX


def test_an_ecg_that_falls_silent_gives_way_to_what_comes(ward: Ward) -> None:
    pleth: dict[str, Any] = {
        "channel": "pleth",
        "mdc_code": codes.PLETH.mdc,
        "device_id": "oximeter",
    }
    ward.hub.add_frame(frame(0, waveforms=(block(n=250), block(n=250, **pleth))), ward.now_ns)
    assert ward.read()["subjects"][0]["trace"]["label"] == "ECG II"

    for second in range(1, 8):
        ward.pass_s(1)
        ward.samples(second, **pleth)
    message = ward.read()

    assert message["subjects"][0]["trace"]["label"] == "Pleth"
    assert bins(message)[-1][0] == (T0_NS + 8 * NS_PER_S) // BIN_NS - 2


def test_a_recording_says_how_old_it_is(ward: Ward) -> None:
    ward.now_ns += 400 * 86_400 * NS_PER_S
    ward.samples(0)

    [row] = ward.read()["subjects"]

    assert row["lag_ms"] == pytest.approx(400 * 86_400_000, abs=1_000)
    assert row["received_ms"] is None


def test_of_many_sources_of_one_quantity_the_newest_are_told(
    ward: Ward, make_observation: Callable[..., Observation]
) -> None:
    for number in range(SOURCES_MAX + 3):
        ward.hub.add_observation(
            make_observation(
                codes.SPO2,
                90.0 + number,
                T0_NS + number * NS_PER_S,
                subject_id="s1",
                channels=(f"oximeter-{number}",),
            )
        )

    [row] = ward.read()["subjects"]

    assert [one["value"] for one in row["numerals"]] == [96.0, 95.0, 94.0, 93.0]


def test_a_subject_without_waveforms_has_no_miniature(ward: Ward) -> None:
    reading = Reading(
        device_id="thermometer",
        mdc_code=codes.BODY_TEMPERATURE.mdc,
        unit="Cel",
        value=37,
        t_ns=T0_NS,
    )
    ward.hub.add_frame(frame(0, readings=(reading,)), ward.now_ns)

    message = ward.read()

    assert message["subjects"][0]["trace"] is None
    assert message["traces"] == []


def test_no_more_wards_are_open_than_are_served() -> None:
    hub = LiveHub(n_pages_max=1)
    page = hub.open_ward()

    with pytest.raises(TooManyPagesError):
        hub.open_ward()

    hub.close_ward(page)
    assert hub.n_ward_pages == 0
    assert hub.counts.n_pages_refused == 1


@given(
    cuts=st.lists(st.integers(1, 400), max_size=12),
    period_ns=st.sampled_from([1_953_125, 4_000_000, 7_812_500, 40_000_000]),
    start=st.integers(0, 10**9),
)
@settings(max_examples=80, deadline=None)
def test_an_envelope_does_not_depend_on_how_the_samples_were_cut(
    cuts: list[int], period_ns: int, start: int
) -> None:
    period = SamplePeriod(ns_numerator=period_ns, ns_denominator=1)
    counts = np.random.default_rng(7).integers(-2_000, 2_000, 400).astype(np.int32)
    edges = sorted({0, 400, *(cut for cut in cuts if cut < 400)})
    t0_ns = T0_NS + start
    parts = [
        block(first, counts=counts[first:end], period=period, t0_ns=t0_ns + period.offset_ns(first))
        for first, end in pairwise(edges)
    ]

    found = envelope(parts, 0)

    in_bin: dict[int, list[int]] = {}
    for i, count in enumerate(counts.tolist()):
        in_bin.setdefault((t0_ns + period.offset_ns(i)) // BIN_NS, []).append(count)
    expected = [(number, min(one), max(one)) for number, one in in_bin.items()][:-1]
    assert found == expected


@pytest.mark.parametrize("name", LIMITS)
def test_limits_rise_and_have_a_usual_band(name: str) -> None:
    edges = [edge for edge, _ in LIMITS[name]]

    assert edges[0] is None
    assert edges[1:] == sorted({edge for edge in edges if edge is not None})
    assert 0 in [found for _, found in LIMITS[name]]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("heart_rate", 40, 3),
        ("heart_rate", 41, 1),
        ("heart_rate", 72, 0),
        ("heart_rate", 111, 2),
        ("heart_rate", 131, 3),
        ("spo2", 91, 3),
        ("spo2", 96, 0),
        ("respiratory_rate", 21, 2),
        ("body_temperature", 38.1, 1),
        ("perfusion_index", 0.1, 0),
    ],
)
def test_limits_are_those_of_the_early_warning_score(
    name: str, value: float, expected: int
) -> None:
    assert score(name, value) == expected


@pytest.fixture
async def client(hub: LiveHub, person: Person) -> Any:  # noqa: ANN401 - a generator of clients
    now_ns = person.t0_ns + NS_PER_S
    hub.add_frame(person.frame(now_ns), now_ns)
    app = build_app(hub, clock_ns=lambda: now_ns, names=frozenset({"127.0.0.1"}))
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_the_socket_says_hello_and_then_all_subjects(client: Any) -> None:  # noqa: ANN401
    async with client.ws_connect("/ws/ward") as socket:
        told = [await socket.receive_json(timeout=30) for _ in range(4)]

    assert [one["type"] for one in told] == ["hello", "ward", "heartbeat", "heartbeat"]
    assert told[0]["limits"]["spo2"][0] == [None, 3]
    assert [row["subject"] for row in told[1]["subjects"]] == ["subject-7f3a"]


async def test_a_ward_of_another_origin_is_refused(client: Any) -> None:  # noqa: ANN401
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.ws_connect("/ws/ward", origin="http://elsewhere.example")

    assert refused.value.status == 403


async def test_one_ward_too_many_is_told_to_come_later() -> None:
    async with TestClient(TestServer(build_app(LiveHub(n_pages_max=0)))) as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect("/ws/ward")

    assert refused.value.status == 503


async def test_a_ward_that_says_much_is_closed_and_forgotten(client: Any, hub: LiveHub) -> None:  # noqa: ANN401
    async with client.ws_connect("/ws/ward") as socket:
        await socket.send_str("x" * 2_000)
        while (await socket.receive(timeout=30)).type is WSMsgType.TEXT:
            pass
        assert socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG

    async with asyncio.timeout(5):
        while hub.n_ward_pages:  # noqa: ASYNC110 - the hub has no event for it, and needs none
            await asyncio.sleep(0)


def test_the_boards_have_the_same_limits() -> None:
    colours = (SKY, YELLOW, ORANGE, VERMILLION)

    bands = {name: tuple((edge, colours[found]) for edge, found in LIMITS[name]) for name in LIMITS}

    assert {one.quantity.name: one.steps for one in NUMERALS} == bands


@pytest.fixture
async def guarded(hub: LiveHub, house: House) -> Any:  # noqa: ANN401 - a generator of clients
    for subject_id in ("icu-7", "ward-3"):
        person = Person(subject_id=subject_id)
        hub.add_frame(person.frame(person.t0_ns + NS_PER_S), person.t0_ns)
    async with TestClient(TestServer(build_app(hub, entrance=house.entrance()))) as client:
        yield client


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.add("anna", "icu-*")
    return house


async def test_a_ward_is_of_those_only_whom_one_may_watch(guarded: Any, house: House) -> None:  # noqa: ANN401
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await guarded.ws_connect("/ws/ward")
    assert refused.value.status == 401
    await guarded.post("/sign-in", data={"token": house.tokens["anna"]}, allow_redirects=False)

    async with guarded.ws_connect("/ws/ward") as socket:
        told = [await socket.receive_json(timeout=30) for _ in range(2)]
        assert [row["subject"] for row in told[1]["subjects"]] == ["icu-7"]
        assert "ward-3" not in str(told)
        [began] = house.logged("watch_began")
        assert (began["user"], began["patterns"], began["by"]) == ("anna", ["icu-*"], "ward")

        house.revoke("anna")
        house.now_s += 1

        async with asyncio.timeout(20):
            while (await socket.receive()).type is WSMsgType.TEXT:
                pass
        assert socket.close_code == SIGNED_OUT
