"""Prometheus as it is installed, with the rules that a hospital gets, watching real roles."""

import asyncio
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.local.kafka import KafkaBroker
from deploy.local.process import LOCALHOST, ServerMissingError, free_ports
from deploy.local.prometheus import PrometheusServer, find_prometheus, prometheus_version
from ingest.frame import Frame
from ingest.kafka import create_topics
from ingest.settings import KafkaSettings
from tests.worker.running import RunningWorker, frames_of, send, until

MakePrometheus = Callable[..., PrometheusServer]


def test_it_answers_and_comes_back_with_its_data_after_a_kill(
    prometheus_server: MakePrometheus,
) -> None:
    server = prometheus_server()
    assert server.value("vector(7)") == 7
    assert server.value("absent_metric") is None

    server.kill()
    assert not server.is_running()
    server.restart()

    assert server.value("vector(8)") == 8
    assert server.alerts().keys() <= {"ChevetNoWorker", "ChevetNoSink"}


def test_an_expression_that_is_none_is_a_value_error(prometheus_server: MakePrometheus) -> None:
    server = prometheus_server()

    with pytest.raises(ValueError, match="parse error"):
        server.value("sum(")
    with pytest.raises(ValueError, match="2 series"):
        server.value('label_replace(vector(1), "a", "b", "", "") or vector(1)')


def test_without_the_program_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("deploy.local.process.ADMIN_FOLDERS", ())

    with pytest.raises(ServerMissingError, match="install_services"):
        find_prometheus()


def test_its_version_is_known() -> None:
    assert prometheus_version(find_prometheus())[0].isdigit()


def start(command: list[str], log_file: Path, environ: dict[str, str]) -> subprocess.Popen[bytes]:
    with log_file.open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environ)


@asynccontextmanager
async def running_sink(settings: KafkaSettings, folder: Path) -> AsyncIterator[int]:
    """``chevet sink`` into files; gives the port of its metrics."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "deploy.cli", "sink", "--kafka", settings.bootstrap_servers]
    command += ["--folder", str(folder / "store"), "--metrics-port", str(port)]
    environ = os.environ | {"CHEVET_GROUP": f"sink-{port}"}
    process = start(command, folder / "sink.log", environ)
    try:
        yield port
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 60)


def received_now(frame: Frame) -> Frame:
    now_ns = time.time_ns()
    blocks = (dataclasses.replace(block, received_ns=now_ns) for block in frame.waveforms)
    return dataclasses.replace(frame, waveforms=tuple(blocks))


async def test_a_worker_that_is_killed_is_seen_and_everything_it_said_before(
    kafka_broker: KafkaBroker,
    prometheus_server: MakePrometheus,
    unique_name: str,
    tmp_path: Path,
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers)
    await create_topics(settings)
    server = prometheus_server()
    with RunningWorker(settings, tmp_path, unique_name) as worker:
        async with running_sink(settings, tmp_path) as sink_port:
            server.scrape(
                {
                    "worker": [f"{LOCALHOST}:{worker.port}"],
                    "sink": [f"{LOCALHOST}:{sink_port}"],
                }
            )
            await until(lambda: server.value("count(up == 1)") == 2)
            await worker.until_ready()
            # The rates need a counter that grows while it is watched.
            frames = frames_of([f"{unique_name}-{n}" for n in range(2)], 20)
            for second in range(0, len(frames), 4):
                await send(settings, map(received_now, frames[second : second + 4]))
                await asyncio.sleep(0.5)

            for figure in (
                'chevet_processors_ready{job="worker"} == 1',
                'chevet_processors_ready{job="sink"} == 1',
                "chevet:lag_records:sum",
                "chevet:lag_seconds:max",
                'chevet:frames:rate1m{role="worker"} > 0',
                'chevet:frames:rate1m{role=~"sink-.*"} > 0',
                "chevet:radio_to_observation_seconds:p50_1m > 0",
                "chevet:radio_to_observation_seconds:p99_1m > 0",
                "chevet:radio_to_stored_seconds:p99_1m > 0",
                'chevet:cpu:rate5m{job="worker"} > 0',
            ):
                await until(lambda one=figure: server.value(one) is not None)  # type: ignore[misc]
            assert server.alerts().get("ChevetNoWorker") is None

            killed_s = time.monotonic()
            worker.kill()
            await until(lambda: server.value('up{job="worker"}') == 0)
            down_s = time.monotonic() - killed_s
            await until(lambda: server.alerts().get("ChevetNoWorker") == "firing")
            fires_s = time.monotonic() - killed_s

            assert server.value('up{job="sink"}') == 1
    load = os.getloadavg()[0]
    print(f"worker killed: up 0 after {down_s:.1f} s, alert after {fires_s:.1f} s, load {load:.1f}")
