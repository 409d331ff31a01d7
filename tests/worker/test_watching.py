"""What a worker says of itself, and how one that hangs ends."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from processors import metrics as declared
from processors.health import HealthServer
from processors.watchdog import EXIT_LOOP_STUCK, EXIT_STALLED, Watchdog

STALL_S = 60.0


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def broker() -> Iterator[str]:
    """Something that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def watchdog_of(servers: str) -> tuple[Watchdog, Clock, list[int]]:
    clock, ended = Clock(), list[int]()
    return Watchdog(STALL_S, servers, end=ended.append, now_s=clock), clock, ended


def run(watchdog: Watchdog, clock: Clock, seconds: int, *, has_input: bool) -> None:
    for _ in range(seconds):
        clock.now_s += 1.0
        watchdog.turned(has_input=has_input)
        watchdog.look()


def test_a_worker_that_has_input_and_does_not_move_is_ended(broker: str) -> None:
    watchdog, clock, ended = watchdog_of(broker)

    run(watchdog, clock, 59, has_input=True)
    assert ended == []
    run(watchdog, clock, 1, has_input=True)

    assert ended == [EXIT_STALLED]


def test_a_worker_that_moves_or_has_nothing_to_do_is_left_alone(broker: str) -> None:
    watchdog, clock, ended = watchdog_of(broker)
    for _ in range(10):
        run(watchdog, clock, 59, has_input=True)
        watchdog.moved()
    run(watchdog, clock, 1_000, has_input=False)
    run(watchdog, clock, 59, has_input=True)

    assert ended == []


def test_a_partition_that_stands_still_while_others_move_is_a_stall(broker: str) -> None:
    watchdog, clock, ended = watchdog_of(broker)

    for second in range(60):
        clock.now_s += 1.0
        watchdog.moved()
        watchdog.turned(has_input=True, places={0: second, 3: -1})
        watchdog.look()
    assert ended == []
    clock.now_s += 1.0
    watchdog.turned(has_input=True, places={0: 60, 3: -1})
    watchdog.look()

    assert ended == [EXIT_STALLED]


def test_a_partition_that_moves_or_has_no_input_or_a_reason_is_left_alone(broker: str) -> None:
    watchdog, clock, ended = watchdog_of(broker)

    for second in range(1_000):
        clock.now_s += 1.0
        watchdog.moved()
        places = {0: second // 59} | ({1: 7} if second % 50 else {}) | {2: 7}
        if second % 55 == 0:
            watchdog.excused()
        watchdog.turned(has_input=True, places=places)
        watchdog.look()

    assert ended == []


def test_a_worker_waits_for_a_broker_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = f"127.0.0.1:{server.getsockname()[1]}"
    watchdog, clock, ended = watchdog_of(nobody)

    run(watchdog, clock, 1_000, has_input=True)

    assert ended == []


def test_a_loop_that_does_not_come_round_is_ended(broker: str) -> None:
    watchdog, clock, ended = watchdog_of(broker)
    watchdog.turned(has_input=False)
    assert watchdog.is_turning()

    clock.now_s += STALL_S
    watchdog.look()

    assert not watchdog.is_turning()
    assert ended == [EXIT_LOOP_STUCK]


def get(port: int | None, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_live_and_ready_are_told_over_http_with_the_metrics() -> None:
    said = {"live": True, "ready": False}
    with HealthServer(lambda: said["live"], lambda: said["ready"], 0) as server:
        live, ready = get(server.port, "/live"), get(server.port, "/ready?verbose")
        said.update(live=False, ready=True)
        dead, at_work = get(server.port, "/live"), get(server.port, "/ready")
        code, metrics = get(server.port, "/metrics")
        nothing, _ = get(server.port, "/else")

    assert (live[0], json.loads(live[1])) == (200, {"live": True})
    assert (ready[0], json.loads(ready[1])) == (503, {"ready": False})
    assert (dead[0], at_work[0]) == (503, 200)
    assert code == 200
    assert f"{declared.CHECKPOINTS._name}_total".encode() in metrics
    assert nothing == 404


def test_without_a_port_nothing_is_served() -> None:
    with HealthServer(lambda: True, lambda: True, None) as server:
        assert server.port is None
