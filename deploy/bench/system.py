"""The system that is measured: real servers and every role, each a process of its own."""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Self

from deploy.bench.generator import LoadStatistics
from deploy.bench.load_plan import LoadPlan
from deploy.local.influx import InfluxServer
from deploy.local.kafka import KafkaBroker
from deploy.local.process import ServerProcess, free_ports
from deploy.readback import InfluxReader
from deploy.scrape import Metrics, scrape
from ingest.kafka import create_topics
from ingest.settings import KafkaSettings

START_S_MAX: Final = 300.0
"""A worker compiles its kernels at its very first start."""
DATABASE: Final = "chevet"

COLD_S: Final = 4
"""InfluxDB compacts after so long without a write: to see what a day takes on disk."""

STAGES: Final = ("generator", "kafka", "worker", "sink", "influxdb")
"""What is counted apart, in the order of the data."""

_READY: Final = "chevet_processors_ready"


class ScaleSystem:
    """Servers, workers and sink of one run; all are stopped when the ``with`` block is left.

    Parameters
    ----------
    folder
        For data and logs; new for each run.
    n_workers
        Worker processes in one group.
    sink_settings
        Lines of TOML for the sink.
    """

    def __init__(self, folder: Path, *, n_workers: int, sink_settings: Iterable[str]) -> None:
        # Java's own choice of compilers: these servers run for minutes.
        self.broker: Final = KafkaBroker(data_dir=folder / "kafka", java_options=())
        self.influx: Final = InfluxServer(
            database=DATABASE, data_dir=folder / "influxdb", cold_s=COLD_S
        )
        self.statistics: Final = folder / "generator.json"
        self._folder = folder
        self._sink_settings = tuple(sink_settings)
        ports = free_ports(n_workers + 1)
        self._ports: Mapping[str, int] = {
            **{f"worker-{n}": port for n, port in enumerate(ports[1:], start=1)},
            "sink": ports[0],
        }
        self._roles: dict[str, ServerProcess] = {}
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with self._undo as undo:
            undo.enter_context(self.broker)
            undo.enter_context(self.influx)
            kafka = KafkaSettings(bootstrap_servers=self.broker.bootstrap_servers)
            asyncio.run(create_topics(kafka))
            for name in self._ports:
                self._start_role(name, self._words(name), self._is_ready(name))
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def start_load(self, records: Iterable[str], n_subjects: int, seconds: int) -> LoadPlan:
        """Start the generator; give its plan, which begins within a second."""
        self._start_role(
            "generator",
            [
                "bench",
                "load",
                *self._kafka_words(),
                f"--subjects={n_subjects}",
                f"--seconds={seconds}",
                f"--statistics={self.statistics}",
                *(f"--record={record}" for record in records),
            ],
            self.statistics.exists,
        )
        return LoadStatistics.read(self.statistics).plan

    def pids(self) -> dict[str, list[int]]:
        """Name the processes of each stage that run."""
        found: dict[str, list[ServerProcess]] = {
            "kafka": list(self.broker.processes),
            "influxdb": list(self.influx.processes),
        }
        for name, role in self._roles.items():
            found.setdefault(name.partition("-")[0], []).append(role)
        return {
            stage: [one.identity.pid for one in found[stage] if one.identity is not None]
            for stage in STAGES
            if stage in found
        }

    def ended(self) -> list[str]:
        """Name the roles that no longer run; the generator may have ended."""
        return [
            f"{name} (its log: {role.log_file})"
            for name, role in self._roles.items()
            if name != "generator" and not role.is_running()
        ]

    def forget_generator(self) -> LoadStatistics | None:
        """Give what the generator said at its end; None while it runs."""
        if self._roles["generator"].is_running():
            return None
        del self._roles["generator"]
        return LoadStatistics.read(self.statistics)

    def stop_roles(self) -> None:
        """Stop workers and sink: while they say that they live, InfluxDB's files change."""
        for role in self._roles.values():
            role.stop()

    def metrics(self, stage: str) -> list[Metrics]:
        """Ask every process of a stage for its metrics.

        Raises
        ------
        OSError
        """
        return [
            scrape(port) for name, port in self._ports.items() if name.partition("-")[0] == stage
        ]

    def reader(self) -> InfluxReader:
        """Give what reads the store."""
        return InfluxReader(self.influx.url, DATABASE)

    def _kafka_words(self) -> list[str]:
        return ["--kafka", self.broker.bootstrap_servers]

    def _words(self, name: str) -> list[str]:
        config = self._folder / f"{name}.toml"
        role = name.partition("-")[0]
        words = [role, "--config", str(config), *self._kafka_words()]
        words += ["--metrics-port", str(self._ports[name])]
        if role == "worker":
            config.write_text(f'data_dir = "{self._folder / name}"\n', encoding="utf-8")
            return words
        config.write_text("\n".join(self._sink_settings), encoding="utf-8")
        return [*words, "--influx-url", self.influx.url, "--influx-bucket", DATABASE]

    def _is_ready(self, name: str) -> Callable[[], bool]:
        return lambda: scrape(self._ports[name]).total(_READY) == 1.0

    def _start_role(self, name: str, words: list[str], ready: Callable[[], bool]) -> None:
        role = ServerProcess(
            name=name,
            command=[sys.executable, "-m", "deploy.cli", *words],
            folder=self._folder,
            ready=ready,
            start_s_max=START_S_MAX,
        )
        self._undo.callback(role.stop)
        role.start()
        self._roles[name] = role
