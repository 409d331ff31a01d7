"""Workers as processes, Frames of made-up people, and what came out of them."""

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local.process import free_ports, port_is_free
from ingest.codec import decode_alarm, decode_observations, encode_frame
from ingest.frame import Frame
from ingest.kafka import open_consumer, open_producer
from ingest.observation import AlarmEvent
from ingest.settings import KafkaSettings
from ingest.topics import ALARMS, FRAMES, OBSERVATIONS
from processors.pipeline import Output, SubjectPipeline
from tests.benchmarks import subject as made_up

WAIT_S = 100.0
STOP_S = 40.0
HANG_VARIABLE = "CHEVET_TEST_HANG"
"""Tells ``tests.worker.hanging`` how."""

Identity = tuple[object, ...]
Found = dict[Identity, Output]


def identity(output: Output) -> Identity:
    if isinstance(output, AlarmEvent):
        return (output.subject_id, output.t_ns, output.name, output.active)
    one = output
    return (one.subject_id, one.t_ns, one.name, one.algorithm, one.channels)


def frames_of(names: Sequence[str], seconds: int) -> list[Frame]:
    """Seconds of several people with everything on, in turns, each from a moment of their own."""
    recorded = list(made_up.frames(seconds + 7 * len(names)))
    return [
        dataclasses.replace(recorded[second + 7 * n], subject_id=name)
        for second in range(seconds)
        for n, name in enumerate(names)
    ]


def in_process(frames: Iterable[Frame]) -> Found:
    """What the pipeline says, without anything in between."""
    pipelines: dict[str, SubjectPipeline] = {}
    found: Found = {}
    for frame in frames:
        pipeline = pipelines.setdefault(frame.subject_id, SubjectPipeline(frame.subject_id))
        for output in pipeline.process(frame):
            assert found.setdefault(identity(output), output) == output
    return found


async def send(settings: KafkaSettings, frames: Iterable[Frame]) -> None:
    async with open_producer(settings) as producer:
        records = [(frame.subject_id, encode_frame(frame)) for frame in frames]
        await producer.send(FRAMES, records)


class Outputs:
    """What the workers have said of some subjects. A repeat that differs is an error."""

    def __init__(self, settings: KafkaSettings, names: Iterable[str]) -> None:
        self._settings = settings
        self._names = set(names)
        self.found: Found = {}
        self.n_repeats = 0
        self._changed = asyncio.Event()

    async def run(self) -> None:
        topics = (OBSERVATIONS, ALARMS)
        async with open_consumer(self._settings, topics, group=None) as consumer:
            while True:
                for record in await consumer.poll(timeout_s=0.5, n_records_max=500):
                    outputs: Sequence[Output] = (
                        decode_observations(record.payload)
                        if record.topic == OBSERVATIONS.name
                        else [decode_alarm(record.payload)]
                    )
                    for output in outputs:
                        self._add(output)
                self._changed.set()

    def _add(self, output: Output) -> None:
        if output.subject_id not in self._names:
            return
        known = self.found.setdefault(identity(output), output)
        assert known == output, f"{known} and then {output}"
        self.n_repeats += known is not output

    async def at_least(self, n: int) -> None:
        """Wait until so many different ones have come."""
        async with asyncio.timeout(WAIT_S):
            while len(self.found) < n:
                self._changed.clear()
                await self._changed.wait()


@contextlib.asynccontextmanager
async def outputs_of(settings: KafkaSettings, names: Iterable[str]) -> AsyncIterator[Outputs]:
    outputs = Outputs(settings, names)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(outputs.run(), name="outputs")
        yield outputs
        task.cancel()


class RunningWorker:
    """``chevet worker``, from its start until it is left."""

    def __init__(
        self,
        settings: KafkaSettings,
        folder: Path,
        group: str,
        *,
        interval_s: float = 0.5,
        n_workers: int = 1,
        program: str = "deploy.cli",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.port = port_with_the_next(n_workers)
        self._n_workers = n_workers
        self._program = program
        self._environment = {**os.environ, **(environment or {})}
        self._folder = folder / f"worker-{self.port}"
        self._folder.mkdir()
        lines = [
            f'group = "{group}"',
            f'data_dir = "{self._folder}/data"',
            f"checkpoint_interval_s = {interval_s}",
            "[kafka]",
            "session_timeout_s = 6",
            f'bootstrap_servers = "{settings.bootstrap_servers}"',
        ]
        self._config = self._folder / "worker.toml"
        self._config.write_text("\n".join(lines))
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", self._program, "worker", "--config", str(self._config)]
        command += ["--metrics-port", str(self.port), "--workers", str(self._n_workers)]
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=self._environment)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill() if error else self.process.terminate()
        self.process.wait(timeout=STOP_S)

    def kill(self) -> None:
        """End it where it stands."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=10)

    def kill_and_start(self) -> None:
        self.kill()
        self.process = self._start()

    async def ended_by_itself(self) -> int:
        """Wait until it has ended; give its exit code."""
        await until(lambda: self.process.poll() is not None)
        return self.process.returncode

    def start_again(self) -> None:
        self.process = self._start()

    def stop(self) -> int:
        """Tell it to stop; give its exit code."""
        self.process.terminate()
        return self.process.wait(timeout=STOP_S)

    def pids(self) -> list[int]:
        """The processes that a supervisor has started, in the order of their starts."""
        said = [json.loads(line) for line in self.log().splitlines() if "process_started" in line]
        return [int(one["pid"]) for one in said]

    def answer(self, path: str, number: int = 0) -> int:
        """Ask one of the workers over HTTP; 0: nobody answers."""
        url = f"http://127.0.0.1:{self.port + number}{path}"
        try:
            with urllib.request.urlopen(url, timeout=30) as one:
                return int(one.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def metrics(self) -> dict[str, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as one:
            return dict(_values(one.read().decode()))

    async def until_ready(self, number: int = 0) -> None:
        await until(lambda: self.answer("/ready", number) == 200)

    def log(self) -> str:
        return (self._folder / "log").read_text()


def port_with_the_next(n_ports: int) -> int:
    """A port that is free, and so are those behind it."""
    while True:
        port = free_ports(1)[0]
        if all(port_is_free(port + n) for n in range(1, n_ports)):
            return port


def _values(text: str) -> Iterator[tuple[str, float]]:
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            yield name, float(value)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for a condition outside this process."""
    async with asyncio.timeout(WAIT_S):
        while not await asyncio.to_thread(is_so):  # noqa: ASYNC110  # nothing here would tell us
            await asyncio.sleep(0.1)
