"""The servers and roles of a chaos run, each to be killed, stopped and started."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from deploy.local.influx import InfluxServer
from deploy.local.kafka import KafkaBroker
from deploy.local.process import free_ports

READY_S_MAX = 60
STOP_S_MAX = 40


class Role:
    """One process of ``chevet``."""

    def __init__(self, folder: Path, name: str, role: str, lines: list[str]) -> None:
        self.name = name
        self._port = free_ports(1)[0]
        self.n_starts = 0
        self._role = role
        self._config = folder / f"{name}.toml"
        self._config.write_text("\n".join([f"metrics_port = {self._port}", *lines]))
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def ended_with(self) -> int | None:
        """The exit code, where it has ended and nobody told it to."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        if self.is_running:
            return
        self.n_starts += 1
        environment = {n: v for n, v in os.environ.items() if not n.startswith("CHEVET_")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "deploy.cli", self._role, "--config", str(self._config)],
                stdout=log,
                stderr=log,
                env=environment,
            )

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        # First of all forgotten: who looks meanwhile must not think that it ended by itself.
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{self.name} did not stop within {STOP_S_MAX} s") from None

    def until_ready(self) -> None:
        """Wait until it says that it has its share of the work."""
        for _ in range(READY_S_MAX * 5):
            with contextlib.suppress(OSError):
                address = f"http://127.0.0.1:{self._port}/ready"
                with urllib.request.urlopen(address, timeout=5):
                    return
            time.sleep(0.2)
        raise AssertionError(f"{self.name} was not ready within {READY_S_MAX} s")

    def said(self, n_bytes: int = 2_000) -> str:
        return self._log.read_text("utf-8", "replace")[-n_bytes:] if self._log.exists() else ""


class Town:
    """Kafka, InfluxDB, three workers and a sink."""

    def __init__(self, folder: Path) -> None:
        self.kafka = KafkaBroker()
        # Everybody's five minutes are of a day long ago.
        self.influx = InfluxServer(keeps_all=True)
        connection = ["[kafka]", f'bootstrap_servers = "{self.kafka.bootstrap_servers}"']
        database = ["[influx]", f'url = "{self.influx.url}"', f'bucket = "{self.influx.bucket}"']
        self.workers = [
            Role(
                folder,
                f"worker-{n}",
                "worker",
                ['group = "chaos"', f'data_dir = "{folder}/worker-{n}"', *connection],
            )
            for n in range(3)
        ]
        self.sink = Role(
            folder,
            "sink",
            "sink",
            ['group = "chaos-sink"', *connection, *database],
        )

    @property
    def roles(self) -> list[Role]:
        return [*self.workers, self.sink]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run the servers; the roles are started by whoever wants them."""
        with self.kafka, self.influx:
            try:
                yield
            finally:
                for role in self.roles:
                    role.kill()

    def said(self) -> str:
        return "\n".join(f"--- {role.name}\n{role.said()}" for role in self.roles)
