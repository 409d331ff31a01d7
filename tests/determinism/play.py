"""The matrix: every record in every way through Kafka, with all at once that may be."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from random import Random

from ingest.frame import Frame
from ingest.settings import KafkaSettings
from processors.frame_order import HELD_NS_MAX
from processors.sinks.archive import open_archive
from tests.determinism.live import LiveRun
from tests.determinism.records import (
    FRAME_S,
    RECORDS,
    SECONDS,
    START,
    Digest,
    path_of,
    processed,
    recorded,
    renamed,
)
from tests.determinism.stage import Processes, Stage, stage
from tests.pipeline.arrivals import by_time, halved, joined
from tests.pipeline.test_frame_order import disordered
from tests.waiting import until
from tests.worker.running import RunningWorker

LIVE = "live"
LIVE_RECORD = "bidmc/bidmc02"
OFFLINE = "offline, as replayed"
SPEEDS = ("4", "20", "max")
KILLED = "Kafka, workers killed"
AGAIN = "Kafka, in disorder, some twice"

LIVE_WAYS = (
    "live",
    "archive, offline",
    "archive, joined by 7",
    "archive, each Frame cut in two",
    "archive, Frames of 1/10 s",
    "archive, Frames of 1 s",
    "archive, Frames of 10 s",
    "Kafka, max",
    "Kafka, all twice",
    KILLED,
)
RECORDED_WAYS = (
    OFFLINE,
    "offline, Frames of 1/10 s",
    "offline, Frames of 1 s",
    "offline, Frames of 10 s",
    "offline, each Frame cut in two",
    *(f"Kafka, speed {speed}" for speed in SPEEDS),
    AGAIN,
    KILLED,
)
CELLS = [
    *((record, way) for record in RECORDS for way in RECORDED_WAYS),
    *((LIVE, way) for way in LIVE_WAYS),
]
FIRST = {**dict.fromkeys(RECORDS, OFFLINE), LIVE: "live"}
"""What all others of a record are held against."""


@dataclass
class Played:
    """All that came out."""

    digests: dict[tuple[str, str], Digest] = field(default_factory=dict)
    n_said_at_kill: dict[str, int] = field(default_factory=dict)
    """Observations of each record when its worker was killed."""

    def table(self) -> str:
        lines = [f"{'record':14} {'way':34} digest        observations"]
        lines += [f"{r:14} {way:34} {self.digests[r, way]}" for r, way in CELLS]
        return "\n".join(lines)


class Matrix:
    """One stage on which everything is played.

    Parameters
    ----------
    name
        That nobody else uses.
    """

    def __init__(self, on: Stage, folder: Path, name: str, processes: Processes) -> None:
        self._on = on
        self._folder = folder
        self._name = name
        self._processes = processes
        self._played = Played()
        self._frames = {record: recorded(record) for record in RECORDS}

    async def run(self) -> Played:
        live = LiveRun(self._on, self._folder, self._subject(LIVE, "live"), self._processes)
        with self._worker() as first, self._worker() as second:
            await first.until_ready()
            await second.until_ready()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(live.run(path_of(LIVE_RECORD)))
                for record in RECORDS:
                    tasks.create_task(self._send_again(record))
                    tasks.create_task(self._replay_at_all_speeds(record))
            self._frames[LIVE] = list(open_archive(live.archive).subject(live.subject_id).frames())
            await self._send_live(self._frames[LIVE])
            await self._on.until_all_is_said()
            await self._kill(first, second)
            await self._on.until_all_is_said()
        self._take_offline()
        self._take_online()
        return self._played

    def _worker(self) -> RunningWorker:
        return RunningWorker(self._on.settings, self._folder, self._on.group)

    def _subject(self, record: str, way: str) -> str:
        cell = CELLS.index((record, way))
        return f"{self._name}-{cell:02d}"

    # Into Kafka

    async def _replay_at_all_speeds(self, record: str) -> None:
        for speed in SPEEDS:
            subject = self._subject(record, f"Kafka, speed {speed}")
            words = ("--speed", speed, "--subject", subject, "--start", START)
            duration = ("--duration", str(SECONDS))
            kafka = ("--kafka", self._on.settings.bootstrap_servers)
            process = self._processes.start("replay", path_of(record), *words, *duration, *kafka)
            await process.ended()
            await self._on.send(renamed(self._frames[record][-1:], subject))

    async def _send_again(self, record: str) -> None:
        *frames, last = renamed(self._frames[record], self._subject(record, AGAIN))
        n_ahead_max = int(HELD_NS_MAX / 10**9 / FRAME_S) - 1
        random = Random(self._name)
        sent = disordered(frames, random, n_ahead_max=n_ahead_max, n_again=len(frames) // 2)
        await self._on.send([*sent, last])

    async def _send_live(self, frames: Sequence[Frame]) -> None:
        await self._on.send(renamed(frames, self._subject(LIVE, "Kafka, max")))
        twice = renamed(frames, self._subject(LIVE, "Kafka, all twice"))
        for i in range(0, len(twice), 10):
            await self._on.send([*twice[i : i + 10], *twice[i : i + 10]])

    async def _kill(self, *workers: RunningWorker) -> None:
        """Kill the workers when something has come out of the first half of each record."""
        subjects = {record: self._subject(record, KILLED) for record in (*RECORDS, LIVE)}
        parts = [renamed(self._frames[record], subject) for record, subject in subjects.items()]
        heard = self._on.heard
        for frames in parts:
            await self._on.send(frames[: len(frames) // 2])
        await until(lambda: all(map(heard.n_outputs, subjects.values())), "each has begun")
        for worker in workers:
            worker.kill()
        self._played.n_said_at_kill = {
            record: heard.n_outputs(subject) for record, subject in subjects.items()
        }
        for worker in workers:
            worker.start_again()
        for frames in parts:
            await self._on.send(frames[len(frames) // 2 :])

    # What came out

    def _take_online(self) -> None:
        for record, way in CELLS:
            if (record, way) not in self._played.digests:
                self._played.digests[record, way] = self._on.heard.digest(
                    self._subject(record, way)
                )

    def _take_offline(self) -> None:
        for record in RECORDS:
            frames = self._frames[record]
            self._offline(record, OFFLINE, frames)
            self._offline(record, "offline, each Frame cut in two", self._halved(frames))
            for length in ("1/10", "1", "10"):
                cut = recorded(record, Fraction(length))
                self._offline(record, f"offline, Frames of {length} s", cut)
        frames = self._frames[LIVE]
        self._offline(LIVE, "archive, offline", frames)
        self._offline(LIVE, "archive, joined by 7", joined(frames, 7))
        self._offline(LIVE, "archive, each Frame cut in two", self._halved(frames))
        for length in ("1/10", "1", "10"):
            cut = by_time(frames, Fraction(length))
            self._offline(LIVE, f"archive, Frames of {length} s", cut)

    def _halved(self, frames: Sequence[Frame]) -> list[Frame]:
        return halved(frames, Random(self._name))

    def _offline(self, record: str, way: str, frames: Sequence[Frame]) -> None:
        self._played.digests[record, way] = processed(frames)


async def play(settings: KafkaSettings, folder: Path, name: str) -> Played:
    """Play everything; give what came out."""
    async with stage(settings, name) as on:
        with Processes(folder) as processes:
            return await Matrix(on, folder, name, processes).run()
