"""The servers that Chevet needs, together: for one ``with`` block, or in the background.

In the background the servers outlive the command that started them. A state file names their
processes by pid and start time, and only those are ever stopped.
"""

import contextlib
import dataclasses
import fcntl
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, cast

from deploy.local.embedded_broker import EmbeddedBroker
from deploy.local.folders import home_folder
from deploy.local.influx import InfluxServer
from deploy.local.kafka import KafkaBroker
from deploy.local.process import (
    ProcessIdentity,
    ServerError,
    port_or_free,
    stop_process,
)
from deploy.local.server import LocalServer

Services = Literal["embedded", "real"]
"""``embedded``: the broker from the wheel. ``real``: Apache Kafka and InfluxDB."""

DATABASE: Final = "chevet"
KAFKA_PORT: Final = 9092
INFLUX_PORT: Final = 8086
"""The usual ports, for the background only and only if free: settings then stay the same."""

STATE_FILE: Final = "services.json"


class LocalStack:
    """The broker, and with ``real`` services InfluxDB too; a context manager.

    Parameters
    ----------
    data_dir
        Keeps the data, in one folder for each server; without it they are temporary.
    broker_port, influx_port
        Free ones are picked if None.
    """

    def __init__(
        self,
        services: Services = "embedded",
        *,
        data_dir: Path | None = None,
        broker_port: int | None = None,
        influx_port: int | None = None,
        outlives_parent: bool = False,
    ) -> None:
        def folder_of(title: str) -> Path | None:
            return None if data_dir is None else data_dir / title

        broker_class = KafkaBroker if services == "real" else EmbeddedBroker
        self.services: Final[Services] = services
        self.influx_database: Final = DATABASE
        self.broker: Final[KafkaBroker | EmbeddedBroker] = broker_class(
            port=broker_port,
            data_dir=folder_of(broker_class.title),
            outlives_parent=outlives_parent,
        )
        self.influx: Final = (
            InfluxServer(
                database=DATABASE,
                port=influx_port,
                data_dir=folder_of(InfluxServer.title),
                outlives_parent=outlives_parent,
            )
            if services == "real"
            else None
        )

    @property
    def servers(self) -> tuple[LocalServer, ...]:
        """The servers in the order of their start."""
        return (self.broker,) if self.influx is None else (self.broker, self.influx)

    @property
    def bootstrap_servers(self) -> str:
        """The address for Kafka clients."""
        return self.broker.bootstrap_servers

    @property
    def influx_url(self) -> str | None:
        """The address for InfluxDB clients; None with embedded services."""
        return None if self.influx is None else self.influx.url

    def start(self) -> Self:
        """Start all servers, or none.

        Raises
        ------
        ServerMissingError, ServerFailedError
        """
        try:
            for server in self.servers:
                server.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop all servers, the last one first."""
        for server in reversed(self.servers):
            server.stop()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            for server in self.servers:
                undo.enter_context(server)
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._undo.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program of a server in the background."""

    name: str
    identity: ProcessIdentity
    log_file: str

    @property
    def is_running(self) -> bool:
        """Whether it runs now."""
        return self.identity.is_running()


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundServices:
    """What was started in the background, as the state file has it."""

    services: Services
    bootstrap_servers: str
    influx_url: str | None
    influx_database: str
    programs: tuple[Program, ...]

    @property
    def all_running(self) -> bool:
        """Whether every program runs now."""
        return all(program.is_running for program in self.programs)


def start_services(
    services: Services = "real", *, run_folder: Path | None = None
) -> BackgroundServices:
    """Start the servers in the background; if they run already, only say where.

    Data stay in the run folder from one start to the next (but the embedded broker keeps none).

    Raises
    ------
    ServerError
        Among others, when services of the other kind run.
    """
    with _locked(run_folder) as folder:
        earlier = _read_state(folder)
        if earlier is not None:
            if earlier.all_running and earlier.services == services:
                return earlier
            if earlier.all_running:
                raise ServerError(f"{earlier.services} services run: stop them first")
            _stop_programs(earlier)
        stack = LocalStack(
            services,
            data_dir=folder,
            broker_port=port_or_free(KAFKA_PORT),
            influx_port=port_or_free(INFLUX_PORT),
            outlives_parent=True,
        ).start()
        try:
            return _write_state(folder, stack)
        except BaseException:
            stack.stop()
            raise


def stop_services(*, run_folder: Path | None = None) -> BackgroundServices | None:
    """Stop what `start_services` started; return what that was, None if nothing was."""
    with _locked(run_folder) as folder:
        state = _read_state(folder)
        if state is not None:
            _stop_programs(state)
            (folder / STATE_FILE).unlink()
        return state


def services_status(*, run_folder: Path | None = None) -> BackgroundServices | None:
    """Return what `start_services` started and nobody stopped; None if nothing was started."""
    with _locked(run_folder) as folder:
        return _read_state(folder)


def _stop_programs(state: BackgroundServices) -> None:
    for program in reversed(state.programs):
        stop_process(program.identity)


@contextlib.contextmanager
def _locked(run_folder: Path | None) -> Iterator[Path]:
    """Make the run folder and hold it against another start or stop."""
    folder = (run_folder or home_folder() / "run").absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def _write_state(folder: Path, stack: LocalStack) -> BackgroundServices:
    programs = [
        Program(name=process.name, identity=process.identity, log_file=str(process.log_file))
        for server in stack.servers
        for process in server.processes
        if process.identity is not None
    ]
    state = BackgroundServices(
        services=stack.services,
        bootstrap_servers=stack.bootstrap_servers,
        influx_url=stack.influx_url,
        influx_database=stack.influx_database,
        programs=tuple(programs),
    )
    unfinished = folder / f"{STATE_FILE}.new"
    unfinished.write_text(json.dumps(dataclasses.asdict(state), indent=2), encoding="utf-8")
    unfinished.replace(folder / STATE_FILE)
    return state


def _read_state(folder: Path) -> BackgroundServices | None:
    state_file = folder / STATE_FILE
    try:
        text = state_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        return _parse_state(text)
    except (ValueError, TypeError, KeyError) as error:
        raise ServerError(f"{state_file} is not a state file of ours: {error!r}") from error


def _parse_state(text: str) -> BackgroundServices:
    state = json.loads(text)
    programs = [
        Program(
            name=str(program["name"]),
            identity=ProcessIdentity(**program["identity"]),
            log_file=str(program["log_file"]),
        )
        for program in state["programs"]
    ]
    return BackgroundServices(
        services=cast("Services", state["services"]),
        bootstrap_servers=str(state["bootstrap_servers"]),
        influx_url=state["influx_url"],
        influx_database=str(state["influx_database"]),
        programs=tuple(programs),
    )
