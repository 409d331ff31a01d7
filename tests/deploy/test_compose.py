import copy
import http.server
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import click
import pytest
import yaml

import deploy
from deploy.cli import main
from deploy.sensors import parse_person
from edge.settings import EdgeSettings
from edge.virtual.ether import Ether
from edge.virtual.player import SteadyClock
from edge.virtual.sensors import SensorsSettings, build_sensors
from ingest.settings import ENV_PREFIX, ProcessSettings, load_settings, unknown_variables
from processors import metrics
from processors.settings import LiveSettings, SinkSettings, WorkerSettings

DEPLOY: Final = Path(deploy.__path__[0])
FILE: Final = DEPLOY / "compose.yaml"

SETTINGS: Final[dict[str, type[ProcessSettings] | None]] = {
    "edge": EdgeSettings,
    "live": LiveSettings,
    "sensors": None,
    "sink": SinkSettings,
    "topics": ProcessSettings,
    "worker": WorkerSettings,
}
"""What each role reads; None: nothing but its arguments."""

ONE_SHOTS: Final = {"topics", "influxdb-mapping"}
SECRETS: Final = {"INFLUX_PASSWORD", "INFLUX_TOKEN", "GRAFANA_PASSWORD"}

Project = dict[str, Any]


def load() -> Project:
    loaded: Project = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return loaded


def chevets(project: Project) -> dict[str, Project]:
    """Give the services that run one of our roles."""
    services = project["services"]
    return {
        name: one for name, one in services.items() if one["image"].partition(":")[0] == "chevet"
    }


# The rules: each names what breaks it.


def findings(project: Project) -> list[str]:
    return [
        *_wrong_ports(project),
        *_wrong_images(project),
        *_wrong_commands(project),
        *_wrong_mounts(project),
        *_wrong_variables(project),
        *_wrong_waiting(project),
        *_soft_containers(project),
    ]


def _wrong_ports(project: Project) -> Iterator[str]:
    for name, service in project["services"].items():
        for port in service.get("ports", []):
            if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", str(port)):
                yield f"{name}: port {port} is published to others than this machine"


def _wrong_images(project: Project) -> Iterator[str]:
    for name, service in project["services"].items():
        _, _, tag = service["image"].partition(":")
        if tag in {"", "latest"}:
            yield f"{name}: image {service['image']} without a version"


def _wrong_commands(project: Project) -> Iterator[str]:
    for name, service in chevets(project).items():
        try:
            _parse(service["command"])
        except click.ClickException as error:
            yield f"{name}: {error.format_message()}"


def _parse(words: list[str]) -> tuple[str, dict[str, Any]]:
    """Read a command line as ``chevet`` does, and run nothing; give the role and its arguments."""
    role, command = words[0], main
    for depth, word in enumerate(words):
        found = command.commands.get(word)
        if found is None:
            raise click.UsageError(f"no such command: {word}")
        rest = words[depth + 1 :]
        runs_itself = isinstance(found, click.Group) and found.invoke_without_command
        if not isinstance(found, click.Group) or (
            runs_itself and not {*rest[:1]} & {*found.commands}
        ):
            return role, found.make_context(word, list(rest)).params
        command = found
    raise click.UsageError("no command")


def _wrong_mounts(project: Project) -> Iterator[str]:
    used = set()
    for name, service in project["services"].items():
        for mount in service.get("volumes", []):
            source, _, rest = mount.partition(":")
            if not source.startswith("."):
                used.add(source)
            elif not (DEPLOY / source).exists():
                yield f"{name}: no {source} to mount"
            elif not rest.endswith(":ro"):
                yield f"{name}: {source} can be written"
    for volume in sorted(used ^ set(project["volumes"])):
        yield f"volume {volume}: either not declared or not used"


def _wrong_variables(project: Project) -> Iterator[str]:
    for name, service in chevets(project).items():
        settings = SETTINGS[service["command"][0]]
        ours = [one for one in service.get("environment", {}) if one.startswith(ENV_PREFIX)]
        unknown = ours if settings is None else unknown_variables(settings, ours)
        for variable in unknown:
            yield f"{name}: nobody reads {variable}"


def _wrong_waiting(project: Project) -> Iterator[str]:
    services = project["services"]
    for name, service in services.items():
        if not service.get("restart"):
            yield f"{name}: no restart policy"
        if name not in ONE_SHOTS and not service.get("healthcheck", {}).get("test"):
            yield f"{name}: no healthcheck"
        for other, how in service.get("depends_on", {}).items():
            ends = how["condition"] == "service_completed_successfully"
            if other not in services or ends != (other in ONE_SHOTS):
                yield f"{name}: waits for {other} in vain"


def _soft_containers(project: Project) -> Iterator[str]:
    for name, service in project["services"].items():
        if service.get("privileged") or "/var/run/docker.sock" in str(service):
            yield f"{name}: rules the host"
    for name, service in chevets(project).items():
        if not service.get("read_only") or service.get("cap_drop") != ["ALL"]:
            yield f"{name}: may do more than it needs"


def test_the_project_keeps_every_rule() -> None:
    assert findings(load()) == []


Mutate = Callable[[dict[str, Project]], object]

MUTANTS: Final[dict[str, tuple[Mutate, str]]] = {
    "port for everybody": (lambda s: s["live"].update(ports=["8080:8080"]), "others than this"),
    "port on all addresses": (
        lambda s: s["live"].update(ports=["0.0.0.0:8080:8080"]),
        "others than this",
    ),
    "latest": (lambda s: s["grafana"].update(image="grafana/grafana:latest"), "without a version"),
    "no tag": (lambda s: s["kafka"].update(image="apache/kafka"), "without a version"),
    "misspelt option": (lambda s: s["live"]["command"].append("--hosts"), "--hosts"),
    "misspelt command": (lambda s: s["edge-1"].update(command=["edge", "runs"]), "runs"),
    "option out of range": (
        lambda s: s["live"].update(command=["live", "--port", "80800"]),
        "80800",
    ),
    "option left out": (lambda s: s["sensors"].update(command=["sensors"]), "--person"),
    "file that is not there": (
        lambda s: s["edge-1"]["volumes"].append("./compose/edge-3.toml:/x:ro"),
        "to mount",
    ),
    "file that can be written": (
        lambda s: s["edge-1"]["volumes"].append("./compose/edge-1.toml:/x"),
        "can be written",
    ),
    "volume not declared": (lambda s: s["sink"].update(volumes=["sink:/x"]), "volume sink"),
    "misspelt variable": (
        lambda s: s["sink"]["environment"].update(CHEVET_INFLUXDB__URL="x"),
        "CHEVET_INFLUXDB__URL",
    ),
    "another role's variable": (
        lambda s: s["live"].update(environment={"CHEVET_DATA_DIR": "x"}),
        "CHEVET_DATA_DIR",
    ),
    "variable for the sensors": (
        lambda s: s["sensors"].update(environment={"CHEVET_LOG_LEVEL": "info"}),
        "CHEVET_LOG_LEVEL",
    ),
    "no restart": (lambda s: s["sink"].pop("restart"), "no restart"),
    "no healthcheck": (lambda s: s["sink"].pop("healthcheck"), "no healthcheck"),
    "waits for an end that never comes": (
        lambda s: s["sink"]["depends_on"].update(
            kafka={"condition": "service_completed_successfully"}
        ),
        "in vain",
    ),
    "waits for nobody": (
        lambda s: s["sink"]["depends_on"].update(redis={"condition": "service_healthy"}),
        "in vain",
    ),
    "root file system": (lambda s: s["worker"].update(read_only=False), "more than it needs"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_project_is_caught(name: str) -> None:
    mutate, words = MUTANTS[name]
    broken = copy.deepcopy(load())

    mutate(broken["services"])

    assert any(words in finding for finding in findings(broken)), findings(broken)


def test_every_role_of_the_system_is_there() -> None:
    roles = {service["command"][0] for service in chevets(load()).values()}

    assert roles == set(SETTINGS)


def test_every_role_reads_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    n_roles = 0
    for name, service in chevets(load()).items():
        role, arguments = _parse(service["command"])
        settings = SETTINGS[role]
        if settings is None:
            continue
        with monkeypatch.context() as environment:
            for variable, value in service.get("environment", {}).items():
                environment.setenv(variable, str(value))
            config = arguments.get("config")
            loaded = load_settings(settings, config and _on_the_host(service, config))
        assert loaded.kafka.bootstrap_servers == "kafka:9092", name
        n_roles += 1
    assert n_roles == 6


def _on_the_host(service: Project, path: Path) -> Path:
    for mount in service["volumes"]:
        source, target, *_ = str(mount).split(":")
        if target == str(path):
            return DEPLOY / source
    raise AssertionError(f"{path} is not mounted")


def test_the_sink_writes_where_grafana_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    services = load()["services"]
    for variable, value in services["sink"]["environment"].items():
        monkeypatch.setenv(variable, value)

    influx = load_settings(SinkSettings, None).influx

    grafana, server = services["grafana"]["environment"], services["influxdb"]["environment"]
    mapping = services["influxdb-mapping"]["environment"]
    assert influx is not None
    assert influx.url == grafana["INFLUX_URL"] == mapping["INFLUX_HOST"]
    assert influx.org == server["DOCKER_INFLUXDB_INIT_ORG"] == mapping["INFLUX_ORG"]
    assert (
        influx.bucket
        == grafana["INFLUX_DATABASE"]
        == server["DOCKER_INFLUXDB_INIT_BUCKET"]
        == mapping["INFLUX_BUCKET"]
    )
    assert influx.token.get_secret_value() == server["DOCKER_INFLUXDB_INIT_ADMIN_TOKEN"]
    assert influx.token.get_secret_value() == grafana["INFLUX_TOKEN"] == mapping["INFLUX_TOKEN"]


def test_samples_are_kept_as_long_as_their_scale() -> None:
    server = load()["services"]["influxdb"]["environment"]

    assert "DOCKER_INFLUXDB_INIT_RETENTION" not in server


def test_grafana_finds_its_boards_and_may_ask_every_second() -> None:
    grafana = load()["services"]["grafana"]
    folder = DEPLOY / "grafana/provisioning"
    mounts = dict(mount.split(":")[:2] for mount in grafana["volumes"])
    targets = {target: source for source, target in mounts.items()}
    (provider,) = yaml.safe_load((folder / "dashboards/chevet.yaml").read_text())["providers"]
    used = set(re.findall(r"\$\{(\w+)\}", (folder / "datasources/influxdb.yaml").read_text()))

    environment = grafana["environment"]
    assert (DEPLOY / targets[provider["options"]["path"]] / "bedside.json").is_file()
    assert environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].startswith(
        provider["options"]["path"]
    )
    assert used <= set(environment)
    assert environment["GF_DASHBOARDS_MIN_REFRESH_INTERVAL"] == "1s"
    assert grafana["image"].split(":")[1].startswith("13.")  # what panels.py is written for


async def test_the_agents_reach_the_sensors_that_are_worn() -> None:
    services = load()["services"]
    _, arguments = _parse(services["sensors"]["command"])
    persons = tuple(parse_person(text) for text in arguments["persons"])
    sensors = build_sensors(SensorsSettings(persons=persons), Ether(), SteadyClock())

    agents = {
        name: tomllib.loads((DEPLOY / "compose" / f"{name}.toml").read_text())
        for name in ("edge-1", "edge-2")
    }

    names = [device["name"] for agent in agents.values() for device in agent["devices"]]
    assert sorted(names) == sorted(sensor.identity.name for sensor in sensors)
    for name, agent in agents.items():
        assert services[name]["network_mode"] == "service:sensors"
        assert agent["radio_transport"] == f"tcp-client:127.0.0.1:{arguments['port']}"
        assert Path(agent["spool_path"]).parent == Path("/var/lib/chevet")
        assert f"{name}:/var/lib/chevet" in services[name]["volumes"]
    assert len({agent["subject_id"] for agent in agents.values()}) == 2
    assert len({agent["agent_id"] for agent in agents.values()}) == 2


def test_agents_that_share_a_network_have_ports_of_their_own() -> None:
    services = load()["services"]

    ports = {
        name: services[name]["environment"]["CHEVET_METRICS_PORT"] for name in ("edge-1", "edge-2")
    }

    assert len(set(ports.values())) == 2
    for name, port in ports.items():
        assert f"127.0.0.1:{port}/" in services[name]["healthcheck"]["test"][-1]


def test_the_broker_is_of_the_version_that_the_tests_use() -> None:
    pom = (DEPLOY / "local/kafka-pom.xml").read_text()

    (version,) = re.findall(
        r"<groupId>org.apache.kafka</groupId>.*?<version>([\d.]+)</version>", pom, re.DOTALL
    )[:1]

    assert load()["services"]["kafka"]["image"] == f"apache/kafka:{version}"


def test_no_secret_is_committed_and_none_is_forgotten() -> None:
    asked = set(re.findall(r"\$\{(\w+):\?[^}]+\}", FILE.read_text()))
    unguarded = re.findall(r"\$\{\w+(?!:\?)\}", FILE.read_text())
    example = dict(
        line.split("=", 1)
        for line in (DEPLOY / "compose/.env.example").read_text().splitlines()
        if line and not line.startswith("#")
    )

    assert asked == SECRETS
    assert unguarded == []
    assert example == dict.fromkeys(SECRETS, "")
    assert "**/.env" in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()


def test_the_image_is_no_roots_and_has_exact_versions() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()

    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert set(bases) == {"python:3.12-slim"}
    assert users[-1] == "chevet"
    assert any("--constraint constraints.txt" in line for line in lines)
    assert 'ENTRYPOINT ["chevet"]' in lines


class _Metrics(http.server.BaseHTTPRequestHandler):
    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None: ...


@pytest.mark.parametrize(("service", "role"), [("worker", "worker"), ("sink", "sink-influx")])
def test_a_role_is_healthy_only_while_it_is_ready(service: str, role: str) -> None:
    (gauge,) = metrics.READY.describe()
    check = load()["services"][service]["healthcheck"]["test"][-1]
    codes = []

    for body in (f'{gauge.name}{{role="{role}"}} 1.0\n', f'{gauge.name}{{role="{role}"}} 0.0\n'):
        handler = type("Metrics", (_Metrics,), {"body": body.encode()})
        with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            here = check.replace(":9100/", f":{server.server_port}/")
            codes.append(subprocess.run([sys.executable, "-c", here], check=False).returncode)
            server.shutdown()

    assert codes == [0, 1]
