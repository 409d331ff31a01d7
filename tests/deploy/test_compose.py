import copy
import http.server
import re
import socket
import ssl
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
from deploy.local.prometheus import SETTINGS_FOLDER
from deploy.sensors import parse_person
from edge.settings import EdgeSettings
from edge.virtual.ether import Ether
from edge.virtual.player import SteadyClock
from edge.virtual.sensors import SensorsSettings, build_sensors
from ingest.settings import ENV_PREFIX, ProcessSettings, load_settings, unknown_variables
from processors import metrics
from processors.settings import (
    GrafanaLiveSettings,
    LiveSettings,
    RecorderSettings,
    SetupSettings,
    SinkSettings,
    WorkerSettings,
)
from tests.deploy.test_prometheus_rules import JOBS

DEPLOY: Final = Path(deploy.__path__[0])
FILE: Final = DEPLOY / "compose.yaml"

SETTINGS: Final[dict[str, type[ProcessSettings] | None]] = {
    "edge": EdgeSettings,
    "grafana-live": GrafanaLiveSettings,
    "influx": SetupSettings,
    "live": LiveSettings,
    "record": RecorderSettings,
    "sensors": None,
    "sink": SinkSettings,
    "topics": ProcessSettings,
    "worker": WorkerSettings,
}
"""What each role reads; None: nothing but its arguments."""

ONE_SHOTS: Final = {"topics", "influxdb-setup", "grafana-token"}

WRITABLE: Final = {"kafka", "influxdb"}
"""Images that write settings into their own root when they start."""

RESTARTS: Final = {True: "on-failure:5", False: "unless-stopped"}
"""Of what ends, and of what does not."""

Project = dict[str, Any]


def load() -> Project:
    loaded: Project = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return loaded


def images_of_ours(project: Project) -> dict[str, Project]:
    """Give the services that run our image."""
    services = project["services"]
    return {
        name: one for name, one in services.items() if one["image"].partition(":")[0] == "chevet"
    }


def chevets(project: Project) -> dict[str, Project]:
    """Give those that run one of our roles."""
    ours = images_of_ours(project)
    return {name: one for name, one in ours.items() if "entrypoint" not in one}


# The rules: each names what breaks it.


def findings(project: Project) -> list[str]:
    return [
        *_wrong_ports(project),
        *_wrong_images(project),
        *_wrong_commands(project),
        *_wrong_mounts(project),
        *_wrong_variables(project),
        *_wrong_secrets(project),
        *_wrong_waiting(project),
        *_wrong_targets(project),
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
        if isinstance(found, click.Group) and (
            not found.invoke_without_command or {*rest[:1]} & {*found.commands}
        ):
            command = found
            continue
        return role, found.make_context(word, list(rest)).params
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
        role = service["command"][0]
        if role not in SETTINGS:
            continue
        settings = SETTINGS[role]
        ours = [one for one in service.get("environment", {}) if one.startswith(ENV_PREFIX)]
        unknown = ours if settings is None else unknown_variables(settings, ours)
        for variable in unknown:
            yield f"{name}: nobody reads {variable}"
        if settings and "instance" in settings.model_fields and f"{ENV_PREFIX}INSTANCE" not in ours:
            yield f"{name}: has another name after each start"


def _wrong_secrets(project: Project) -> Iterator[str]:
    declared = set(project["secrets"])
    used = {one for service in project["services"].values() for one in service.get("secrets", [])}
    for secret in sorted(declared ^ used):
        yield f"secret {secret}: either not declared or not used"
    for name, service in project["services"].items():
        text = yaml.safe_dump(service)
        named = set(re.findall(r"/run/secrets/([\w-]+)", text))
        for secret in sorted(named ^ set(service.get("secrets", []))):
            yield f"{name}: secret {secret} is either not given or not read"
        for variable in service.get("environment", {}):
            if re.search(r"(PASSWORD|TOKEN|KEY)$", variable):
                value = str(service["environment"][variable])
                if not value.startswith("/run/"):
                    yield f"{name}: {variable} stands in the environment"


def _wrong_targets(project: Project) -> Iterator[str]:
    """Name what Prometheus would look for in vain, and whom it would not look for."""
    services = project["services"]
    shared = {one["network_mode"]: name for name, one in services.items() if "network_mode" in one}
    seen = set()
    for group in _targets():
        if group["labels"]["job"] not in JOBS:
            yield f"no rule knows the job {group['labels']['job']}"
        for target in group["targets"]:
            host, port = target.split(":")
            seen.add(host)
            answering = [
                one
                for name, one in services.items()
                if name == host or one.get("network_mode") == f"service:{host}"
            ]
            if port not in {port for one in answering for port in _metrics_ports(one)}:
                yield f"nobody answers at {target}"
    for name, service in chevets(project).items():
        host = service.get("network_mode", f"service:{name}").partition(":")[2]
        if _metrics_ports(service) and host not in seen:
            yield f"{name}: not scraped"
        if _metrics_ports(service) and service["environment"].get("CHEVET_METRICS_HOST") is None:
            yield f"{name}: its metrics are for itself alone"
    assert shared


def _metrics_ports(service: Project) -> list[str]:
    first = service.get("environment", {}).get("CHEVET_METRICS_PORT")
    if first is None:
        return []
    words = [str(word) for word in service["command"]]
    n = int(words[words.index("--workers") + 1]) if "--workers" in words else 1
    return [str(int(first) + number) for number in range(n)]


def _targets() -> list[Project]:
    found: list[Project] = yaml.safe_load((DEPLOY / "compose/targets/chevet.yml").read_text())
    return found


def _wrong_waiting(project: Project) -> Iterator[str]:
    services = project["services"]
    for name, service in services.items():
        if service.get("restart") != RESTARTS[name in ONE_SHOTS]:
            yield f"{name}: no restart policy, or a wrong one"
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
        if "no-new-privileges:true" not in service.get("security_opt", []):
            yield f"{name}: may become more than it is"
        if not service.get("mem_limit") or not service.get("pids_limit"):
            yield f"{name}: may take all memory or all processes"
        if name not in WRITABLE and not (
            service.get("read_only") and service.get("cap_drop") == ["ALL"]
        ):
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
    "password in the environment": (
        lambda s: s["grafana"]["environment"].update({"GF_DATABASE_PASSWORD": "x"}),
        "stands in the environment",
    ),
    "secret that is not given": (lambda s: s["grafana"].pop("secrets"), "not given"),
    "secret that nobody declared": (
        lambda s: s["sink"].update(secrets=["sink-token"]),
        "secret sink-token",
    ),
    "metrics on another port": (
        lambda s: s["sink"]["environment"].update(CHEVET_METRICS_PORT="9109"),
        "nobody answers at sink:9100",
    ),
    "one worker less": (
        lambda s: s["worker"].update(command=["worker"]),
        "nobody answers at worker:9102",
    ),
    "metrics for itself": (
        lambda s: s["sink"]["environment"].pop("CHEVET_METRICS_HOST"),
        "for itself alone",
    ),
    "role that is not scraped": (
        lambda s: s.update(sink_2=copy.deepcopy(s["sink"])),
        "sink_2: not scraped",
    ),
    "another name after each start": (
        lambda s: s["worker"]["environment"].pop("CHEVET_INSTANCE"),
        "another name",
    ),
    "no memory limit": (lambda s: s["kafka"].pop("mem_limit"), "all memory"),
    "new privileges": (lambda s: s["influxdb"].pop("security_opt"), "more than it is"),
    "restarts what has ended": (
        lambda s: s["topics"].update(restart="unless-stopped"),
        "a wrong one",
    ),
    "root of Grafana": (lambda s: s["grafana"].pop("read_only"), "more than it needs"),
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


def test_every_role_reads_its_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    n_roles = 0
    for name, service in chevets(load()).items():
        role = service["command"][0]
        settings = SETTINGS.get(role)
        if settings is None:
            continue
        _, arguments = _parse(service["command"])
        config, host = arguments.get("config"), arguments.get("host")
        with monkeypatch.context() as environment:
            for variable, value in _environment_here(service, tmp_path).items():
                environment.setenv(variable, value)
            told = {"host": host} if role == "live" else {}
            loaded = load_settings(settings, config and _on_the_host(service, config), **told)
        if name != "influxdb-setup":
            assert loaded.kafka.bootstrap_servers == "kafka:9092", name
        n_roles += 1
    assert n_roles == 9


def _environment_here(service: Project, folder: Path) -> dict[str, str]:
    """The variables of a service, with a secret in a file of ours wherever it names one."""
    found = {}
    for variable, value in service.get("environment", {}).items():
        found[variable] = str(value)
        if found[variable].startswith(("/run/secrets/", "/run/tokens/")):
            file = folder / Path(value).name
            file.write_text("secret")
            found[variable] = str(file)
    return found


def _on_the_host(service: Project, path: Path) -> Path:
    for mount in service["volumes"]:
        source, target, *_ = str(mount).split(":")
        if target == str(path):
            return DEPLOY / source
    raise AssertionError(f"{path} is not mounted")


def test_the_sink_writes_where_grafana_reads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    services = load()["services"]
    for variable, value in _environment_here(services["sink"], tmp_path).items():
        monkeypatch.setenv(variable, value)

    influx = load_settings(SinkSettings, None).influx

    grafana, server = services["grafana"]["environment"], services["influxdb"]["environment"]
    setup = services["influxdb-setup"]["environment"]
    assert influx is not None
    assert influx.url == grafana["INFLUX_URL"] == setup["CHEVET_INFLUX__URL"]
    assert influx.org == server["DOCKER_INFLUXDB_INIT_ORG"] == setup["CHEVET_INFLUX__ORG"]
    assert (
        influx.bucket
        == grafana["INFLUX_DATABASE"]
        == server["DOCKER_INFLUXDB_INIT_BUCKET"]
        == setup["CHEVET_INFLUX__BUCKET"]
    )
    assert influx.read_token() == "secret"


TOKENS: Final = "tokens:/run/tokens"


def test_only_the_setup_has_the_token_that_may_do_everything() -> None:
    """The others read tokens that it has made, from a volume that they cannot write."""
    services = load()["services"]

    holders = {name for name, one in services.items() if "influx-token" in one.get("secrets", [])}
    writers = {name for name, one in services.items() if TOKENS in one.get("volumes", [])}
    readers = {name for name, one in services.items() if f"{TOKENS}:ro" in one.get("volumes", [])}

    assert holders == {"influxdb", "influxdb-setup"}
    assert writers == {"influxdb-setup", "grafana-token"}
    assert readers == {"sink", "grafana", "grafana-live"}
    # As `chevet influx setup` names them.
    assert "TOKEN_FILE: /run/tokens/influx-sink.token" in yaml.safe_dump(services["sink"])
    assert "cat /run/tokens/influx-grafana.token)" in services["grafana"]["entrypoint"][-1]
    # What one may read, another user of the same volume may not.
    assert services["grafana"]["user"].startswith(f"{user_of_the_image()}:")


def test_the_page_says_how_much_memory_it_may_take() -> None:
    factor = {"m": 1, "g": 1024}
    limits = [
        int(one["mem_limit"][:-1]) * factor[one["mem_limit"][-1]]
        for name, one in load()["services"].items()
        if name not in ONE_SHOTS
    ]
    (said,) = re.findall(r"add up to (\d+) GB", Path("docs/operations.md").read_text("utf-8"))

    assert int(said) == -(-sum(limits) // 1024)


def user_of_the_image() -> str:
    (number,) = re.findall(r"useradd --system --uid (\d+)", (DEPLOY / "Dockerfile").read_text())
    return str(number)


def test_samples_are_kept_as_long_as_their_scale() -> None:
    server = load()["services"]["influxdb"]["environment"]

    assert "DOCKER_INFLUXDB_INIT_RETENTION" not in server


def test_grafana_finds_all_that_is_provisioned_and_may_ask_every_second() -> None:
    grafana = load()["services"]["grafana"]
    folder = DEPLOY / "grafana/provisioning"
    mounts = dict(mount.split(":")[:2] for mount in grafana["volumes"])
    targets = {target: source for source, target in mounts.items()}
    (provider,) = yaml.safe_load((folder / "dashboards/chevet.yaml").read_text())["providers"]
    texts = [file.read_text() for file in folder.rglob("*.yaml")]
    # $$ is a dollar sign; ${name} in a rule's text is of Grafana's own templates.
    used = {name for text in texts for name in re.findall(r"(?<!\$)\$\{([A-Z_]+)\}", text)}

    environment = grafana["environment"]
    assert DEPLOY / targets["/etc/grafana/provisioning"] == DEPLOY / "./grafana/provisioning"
    assert (DEPLOY / targets[provider["options"]["path"]] / "bedside.json").is_file()
    assert environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].startswith(
        provider["options"]["path"]
    )
    assert used - {"INFLUX_TOKEN"} <= set(environment)
    assert {"INFLUX_URL", "INFLUX_TOKEN"} <= used
    assert environment["GF_DASHBOARDS_MIN_REFRESH_INTERVAL"] == "1s"
    assert int(environment["GF_LIVE_MAX_CONNECTIONS"]) > 100
    assert grafana["image"].split(":")[1].startswith("13.")  # what the boards are written for


def test_the_boards_read_the_prometheus_that_is_there() -> None:
    services = load()["services"]
    (port,) = [port.split(":")[-1] for port in services["prometheus"]["ports"]]

    assert services["grafana"]["environment"]["PROMETHEUS_URL"] == f"http://prometheus:{port}"


def test_prometheus_gets_the_settings_and_the_rules_that_the_tests_judge() -> None:
    mounts = [mount.split(":") for mount in load()["services"]["prometheus"]["volumes"]]
    sources = {target: DEPLOY / source for source, target, *_ in mounts}
    settings = yaml.safe_load(sources["/etc/prometheus/prometheus.yml"].read_text())
    (scraped,) = settings["scrape_configs"]
    (found,) = scraped["file_sd_configs"]

    assert sources["/etc/prometheus/prometheus.yml"].resolve() == SETTINGS_FOLDER / "prometheus.yml"
    assert [Path("/etc/prometheus") / one for one in settings["rule_files"]] == [
        Path("/etc/prometheus/rules/*.yml")
    ]
    assert list(sources["/etc/prometheus/rules"].glob("*.yml"))
    assert list(sources["/etc/prometheus/targets"].glob("*.yml"))
    assert "targets/*.yml" in found["files"]


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


def make_secrets(folder: Path) -> subprocess.CompletedProcess[str]:
    script = DEPLOY / "compose/make_secrets.sh"
    return subprocess.run(
        ["sh", str(script), str(folder)], capture_output=True, text=True, check=False
    )


def test_the_script_makes_every_secret_once(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    declared = {Path(one["file"]).name for one in load()["secrets"].values()}

    first = make_secrets(folder)
    made = {file.name: file.read_bytes() for file in folder.iterdir()}
    (folder / "grafana-password").unlink()
    second = make_secrets(folder)
    again = {file.name: file.read_bytes() for file in folder.iterdir()}

    assert (first.returncode, first.stdout + first.stderr) == (0, "")
    assert (second.returncode, second.stdout + second.stderr) == (0, "")
    assert set(made) == declared
    assert {name for name in made if made[name] != again[name]} == {"grafana-password"}
    assert len({made[name] for name in made}) == len(made)
    assert all(len(text) > 60 for text in made.values())


def test_nobody_else_on_the_host_reaches_the_secrets_but_every_container_reads_its_own(
    tmp_path: Path,
) -> None:
    make_secrets(tmp_path / "secrets")

    modes = {file.stat().st_mode & 0o777 for file in (tmp_path / "secrets").iterdir()}

    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert modes == {0o644}


def test_the_certificate_is_good_for_the_address_that_is_published(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "live-certificate", tmp_path / "live-key")
    client = ssl.create_default_context(cafile=str(tmp_path / "live-certificate"))
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with server.wrap_socket(theirs, server_side=True) as secure:
            secure.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(ours, server_hostname="127.0.0.1") as secure:
        secure.sendall(b"x")
        spoken = secure.version()
    thread.join()

    assert spoken == "TLSv1.3"


def test_no_secret_is_committed() -> None:
    text = FILE.read_text()

    assert "${" not in text  # nothing is filled in from a file of variables
    assert "/deploy/secrets/" in Path(".gitignore").read_text().splitlines()
    assert "**/secrets" in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert {Path(one["file"]).parent for one in load()["secrets"].values()} == {Path("secrets")}


def test_the_image_is_no_roots_and_has_exact_versions() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()

    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert set(bases) == {"python:3.12-slim"}
    assert users[-1] == "chevet"
    assert any("--constraint constraints.txt" in line for line in lines)
    assert 'ENTRYPOINT ["chevet"]' in lines


class _Role(http.server.BaseHTTPRequestHandler):
    body = b""
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None: ...


def verdict(check: str, ports: dict[str, str], **said: object) -> int:
    """Run a healthcheck against a role that says this; give its exit code."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Role", (_Role,), said)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for old, new in ports.items():
            check = check.replace(old, new.format(server.server_port))
        code = subprocess.run([sys.executable, "-c", check], check=False).returncode
        server.shutdown()
    return code


def test_the_sink_is_healthy_only_while_it_is_ready() -> None:
    (gauge,) = metrics.READY.describe()
    check = load()["services"]["sink"]["healthcheck"]["test"][-1]

    codes = [
        verdict(
            check, {":9100/": ":{}/"}, body=f'{gauge.name}{{role="sink-influx"}} {n}\n'.encode()
        )
        for n in (1.0, 0.0)
    ]

    assert codes == [0, 1]


def test_the_workers_are_healthy_only_while_they_are_ready() -> None:
    check = load()["services"]["worker"]["healthcheck"]["test"][-1]

    codes = [verdict(check, {"(9101, 9102)": "({},)"}, status=code) for code in (200, 503)]

    assert "/ready" in check
    assert codes == [0, 1]
