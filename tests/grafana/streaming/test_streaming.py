"""What is pushed, as Grafana's own StreamingDataFrame takes it: ten minutes of a recorded person.

From recorded Frames through the pipeline and the real sink's core to request bodies; what the
server makes of them is imitated (``grafana_server.py``), what the browser makes of that is
Grafana's own code.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from ingest.frame import NS_PER_S, Frame
from ingest.observation import Observation
from ingest.recording import open_recording
from ingest.replay import ReplayPlan, frames_of
from processors.pipeline import SubjectPipeline
from processors.sinks.grafana_live.numerals import NUMERALS
from processors.sinks.grafana_live.pusher import LivePusher
from tests.grafana.streaming.browser import FOLDER, Table, show, show_messages
from tests.grafana.streaming.grafana_server import GrafanaServer, PushRefusedError

START_NS: Final = 1_800_000_000 * NS_PER_S
FLUSH_NS: Final = NS_PER_S // 4
STEP_NS: Final = NS_PER_S // 20
TEN_MINUTES_S: Final = 600
RATE_HZ: Final = 360
PERIOD_MS: Final = 1_000 / RATE_HZ
SUBJECT: Final = "icu-1"
ECG: Final = f"{SUBJECT}_ecg"
NUMERALS_OF_IT: Final = f"{SUBJECT}_numerals"
EVENTS_OF_IT: Final = f"{SUBJECT}_events"

N_SHORT: Final = 100
"""Frames that the mutants are made of: 25 s, 250 pushes."""


@dataclass(frozen=True, slots=True)
class Person:
    """A recording's first ten minutes, and what the pipeline says of them."""

    frames: list[Frame]
    observations: list[list[Observation]]


@pytest.fixture(scope="module")
def person(chevet_data: Path) -> Person:
    recording = open_recording(str(chevet_data / "mitdb" / "101"), beats=False)
    plan = ReplayPlan(
        subject_id=SUBJECT, agent_id="replay", start_ns=START_NS, seconds_max=TEN_MINUTES_S
    )
    frames = list(frames_of(recording, plan))
    pipeline = SubjectPipeline(SUBJECT)
    derived = [
        [one for one in pipeline.process(frame) if isinstance(one, Observation)] for frame in frames
    ]
    return Person(frames, derived)


def pushed(
    person: Person,
    n_frames: int | None = None,
    *,
    left_out: Sequence[int] = (),
    lose: Callable[[int], bool] = lambda _i_push: False,
) -> Iterator[bytes]:
    """Give the bodies that a Grafana gets; each Frame comes when its time is over."""
    pusher = LivePusher(lambda _: True)
    n_frames = len(person.frames) if n_frames is None else n_frames
    i_push = 0
    for now_ns in range(START_NS, START_NS + (n_frames + 8) * FLUSH_NS, STEP_NS):
        i_over, rest = divmod(now_ns - START_NS, FLUSH_NS)
        if rest == 0 and 0 < i_over <= n_frames and i_over - 1 not in left_out:
            pusher.add_frame(person.frames[i_over - 1], now_ns)
            for observation in person.observations[i_over - 1]:
                pusher.add_observation(observation, now_ns)
        if (now_ns - START_NS) % (2 * STEP_NS) == 0:
            for body in pusher.take(now_ns):
                i_push += 1
                arrived = not lose(i_push)
                pusher.settle(body, arrived=arrived)
                if arrived:
                    yield body.payload
    assert pusher.n_waiting == 0
    assert pusher.counts.samples_came == pusher.counts.samples_settled


def test_the_imitated_server_makes_what_grafanas_go_code_makes() -> None:
    bodies = (FOLDER / "golden.lines").read_bytes().split(b"\n\n")
    golden = json.loads((FOLDER / "golden.json").read_text("utf-8"))

    server = GrafanaServer()
    for body, expected in zip(bodies, golden, strict=True):
        if isinstance(expected, dict):
            with pytest.raises(PushRefusedError):
                list(server.push(body))
            continue
        made = [{"channel": name, "message": message} for name, message in server.push(body)]
        assert made == expected


@pytest.fixture(scope="module")
def ten_minutes(person: Person) -> dict[str, Table]:
    """What a panel has after all of it, if nothing is ever too old for it."""
    return show(pushed(person))


def test_ten_minutes_are_taken_without_mismatch_disorder_or_hole(
    person: Person, ten_minutes: dict[str, Table]
) -> None:
    assert set(ten_minutes) == {ECG, f"{ECG}--2", NUMERALS_OF_IT, EVENTS_OF_IT}
    for i_lead, name in enumerate((ECG, f"{ECG}--2")):
        table = ten_minutes[name]
        assert table.faults(PERIOD_MS) == []
        assert list(table.columns) == ["time", "v"]
        recorded = [frame.waveforms[i_lead] for frame in person.frames]
        assert table.columns["v"][0] is None
        got = np.array(table.columns["v"][1:], dtype=np.float64)
        assert got.size == TEN_MINUTES_S * RATE_HZ
        expected = np.concatenate([block.physical() for block in recorded])
        in_millivolt = expected * {"uV": 1e-3, "mV": 1.0}[recorded[0].unit]
        np.testing.assert_allclose(got, in_millivolt, rtol=1e-6, atol=1e-9)
        times_ms = np.concatenate([block.times_ns() for block in recorded]) // 1_000_000
        np.testing.assert_array_equal(np.array(table.columns["time"][1:]), times_ms)
        # Ten pushes a second, the first and the last cut short.
        assert table.n_messages == pytest.approx(10 * TEN_MINUTES_S, rel=0.01)


def test_numerals_are_taken_and_what_is_absent_is_a_null(ten_minutes: dict[str, Table]) -> None:
    table = ten_minutes[NUMERALS_OF_IT]

    assert table.faults() == []
    assert list(table.columns) == ["time", *(one.quantity.name for one in NUMERALS)]
    assert set(table.types.values()) == {"time", "number"}
    assert set(table.columns["spo2"]) == {None}
    heart_rates = table.columns["heart_rate"]
    assert heart_rates[0] is None
    known = [value for value in heart_rates if value is not None]
    assert len(known) > 0.9 * TEN_MINUTES_S
    assert all(50 < value < 90 for value in known)


def test_events_are_taken_with_every_field(ten_minutes: dict[str, Table]) -> None:
    table = ten_minutes[EVENTS_OF_IT]

    assert table.faults() == []
    assert list(table.types.items()) == [
        ("time", "time"),
        ("active", "boolean"),
        ("at_ms", "number"),
        ("detail", "string"),
        ("kind", "string"),
        ("name", "string"),
        ("priority", "string"),
    ]
    assert table.columns["detail"][:2] == [
        "recording-101 ecg/MLII",
        "recording-101 ecg/V1",
    ]


def test_frames_that_never_came_are_holes_and_a_lost_push_too(person: Person) -> None:
    bodies = pushed(
        person, N_SHORT, left_out=(20, 21, 45), lose=lambda i_push: i_push in {150, 200}
    )

    table = show(bodies)[ECG]

    assert table.faults(PERIOD_MS) == []
    assert table.columns["v"].count(None) == 1 + 2 + 2


def drop_a_field(bodies: list[bytes]) -> list[bytes]:
    """One row of numerals without SpO2."""
    changed = list(bodies)
    i_body = next(i for i, body in enumerate(bodies) if i > 100 and b"_numerals" in body)
    changed[i_body] = changed[i_body].replace(b',spo2="NaN"', b"")
    return changed


def add_a_field(bodies: list[bytes]) -> list[bytes]:
    changed = list(bodies)
    changed[100] = changed[100].replace(b" v=", b" lead=2,v=", 1)
    return changed


def two_subjects_in_one_channel(bodies: list[bytes]) -> list[bytes]:
    """The second lead, as if it were another subject's, under the first one's name."""
    return [body.replace(f"{ECG}--2".encode(), ECG.encode()) for body in bodies]


def two_subjects_by_a_tag(bodies: list[bytes]) -> list[bytes]:
    return [body.replace(f"{ECG}--2 ".encode(), f"{ECG},subject=b ".encode()) for body in bodies]


def a_late_packet(bodies: list[bytes]) -> list[bytes]:
    return [*bodies[:100], *bodies[101:120], bodies[100], *bodies[120:]]


def a_packet_twice(bodies: list[bytes]) -> list[bytes]:
    return [*bodies[:100], bodies[99], *bodies[100:]]


def a_lost_packet_unmarked(bodies: list[bytes]) -> list[bytes]:
    return [*bodies[:100], *bodies[101:]]


def times_in_milliseconds(bodies: list[bytes]) -> list[bytes]:
    """The endpoint takes nanoseconds, whatever is meant."""
    return [
        b"".join(row[: -len(b"000000\n")] + b"\n" for row in body.splitlines(keepends=True))
        for body in bodies
    ]


def nothing(bodies: list[bytes]) -> list[bytes]:
    return bodies


MUTANTS: Final[tuple[tuple[Callable[[list[bytes]], list[bytes]], str], ...]] = (
    (nothing, ""),
    (drop_a_field, "begun anew"),
    (add_a_field, "begun anew"),
    (two_subjects_in_one_channel, "disorder"),
    (two_subjects_by_a_tag, "labels"),
    (a_late_packet, "disorder"),
    (a_packet_twice, "disorder"),
    (a_lost_packet_unmarked, "hole"),
    (times_in_milliseconds, "disorder"),
)


@pytest.fixture(scope="module")
def short(person: Person) -> list[bytes]:
    return list(pushed(person, N_SHORT))


@pytest.fixture(scope="module")
def tables_of_mutants(short: list[bytes]) -> dict[str, Table]:
    """The tables of all mutants, of one run of Node."""
    messages = []
    for mutate, _ in MUTANTS:
        server = GrafanaServer()
        for body in mutate(short):
            messages += [
                (f"{mutate.__name__} {name}", message) for name, message in server.push(body)
            ]
    return show_messages(messages)


@pytest.mark.parametrize(("mutate", "fault"), MUTANTS)
def test_a_mutant_is_caught(
    tables_of_mutants: dict[str, Table],
    mutate: Callable[[list[bytes]], list[bytes]],
    fault: str,
) -> None:
    tables = {
        name: table
        for name, table in tables_of_mutants.items()
        if name.startswith(f"{mutate.__name__} ")
    }
    assert len(tables) >= 2

    found = [
        one
        for name, table in tables.items()
        for one in table.faults(PERIOD_MS if "_ecg" in name else None)
    ]

    assert any(one.startswith(fault) for one in found) if fault else found == []


def test_a_panel_of_ten_seconds_keeps_the_newest_in_order(short: list[bytes]) -> None:
    """With a panel's own limits: 2,500 points, of ten seconds."""
    server = GrafanaServer()
    messages = [message for body in short for message in server.push(body)]

    for table in show_messages(messages, 2_500, 10_000).values():
        assert table.faults() == []
        assert len(table.columns["time"]) <= 2_500
    ecg = show_messages(messages, 10_000, 5_000)[ECG].columns["time"]
    assert ecg[-1] - ecg[0] == pytest.approx(5_000, abs=PERIOD_MS)


def test_a_field_that_is_lost_while_the_schema_is_kept_stops_the_panel(
    short: list[bytes],
) -> None:
    """As from a server that sends the schema once: Grafana #108807."""
    server = GrafanaServer()
    messages = [message for body in drop_a_field(short) for message in server.push(body)]
    seen: set[str] = set()
    for name, message in messages:
        if name in seen:
            message.pop("schema", None)
        seen.add(name)

    tables = show_messages(messages)

    assert "push message mismatch" in str(tables[NUMERALS_OF_IT].error)
