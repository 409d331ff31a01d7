"""Prometheus on 127.0.0.1, with the settings and rules that a hospital gets.

Nothing is written for it but a list of targets: ``prometheus.yml`` and ``rules/`` are those of
``deploy/prometheus``, so that a rule that is wrong is found here.
"""

import functools
import http.client
import json
import shutil
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import deploy
from deploy.local.process import (
    LOCALHOST,
    ServerFailedError,
    find_program,
    free_ports,
    run_tool,
)
from deploy.local.server import LocalServer

HOW_TO_INSTALL: Final = "sh deploy/install_services.sh"
SETTINGS_FOLDER: Final = Path(deploy.__path__[0]) / "prometheus"
ANSWER_S_MAX: Final = 10.0
START_S_MAX: Final = 60.0

Targets = Mapping[str, Iterable[str]]
"""``host:port`` by job: ``{"worker": ["127.0.0.1:9100"]}``."""


class PrometheusServer(LocalServer):
    """Prometheus; its data outlive kill and restart.

    Parameters
    ----------
    targets
        What is scraped from the start on; `scrape` gives others later.
    """

    title = "prometheus"

    def __init__(
        self,
        targets: Targets | None = None,
        *,
        port: int | None = None,
        data_dir: Path | None = None,
        outlives_parent: bool = False,
    ) -> None:
        super().__init__(data_dir=data_dir, outlives_parent=outlives_parent)
        self.port: Final = port if port is not None else free_ports(1)[0]
        self._targets: Targets = targets or {}

    @property
    def ports(self) -> tuple[int, ...]:
        """The one port."""
        return (self.port,)

    @property
    def url(self) -> str:
        """The address for browsers and for Grafana."""
        return f"http://{LOCALHOST}:{self.port}"

    def scrape(self, targets: Targets) -> None:
        """Scrape these targets from now on, and no others; it takes some seconds to be so."""
        self._targets = targets
        self._write_targets()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate PromQL now; give the series, each with ``metric`` and ``value``.

        Raises
        ------
        ValueError
            The expression is not understood.
        OSError
            Prometheus does not answer.
        """
        found: list[dict[str, Any]] = self._get("query", query=expression)["result"]
        return found

    def value(self, expression: str) -> float | None:
        """Evaluate PromQL to one number; None where nothing comes out.

        Raises
        ------
        ValueError, OSError
        """
        found = self.query(expression)
        if len(found) > 1:
            raise ValueError(f"{expression} gives {len(found)} series, not one")
        return float(found[0]["value"][1]) if found else None

    def alerts(self) -> dict[str, str]:
        """Give the state, ``pending`` or ``firing``, of every alert that is not quiet, by name."""
        states: dict[str, str] = {}
        for alert in self._get("alerts")["alerts"]:
            name = alert["labels"]["alertname"]
            states[name] = max(states.get(name, ""), alert["state"], key=_ALERT_STATES.index)
        return states

    def _start_programs(self) -> None:
        prometheus = find_prometheus()
        shutil.copyfile(SETTINGS_FOLDER / "prometheus.yml", self.data_dir / "prometheus.yml")
        shutil.copytree(SETTINGS_FOLDER / "rules", self.data_dir / "rules", dirs_exist_ok=True)
        self._write_targets()
        self._run(
            self.title,
            [
                str(prometheus),
                f"--config.file={self.data_dir / 'prometheus.yml'}",
                f"--storage.tsdb.path={self.data_dir / 'data'}",
                f"--web.listen-address={LOCALHOST}:{self.port}",
                "--log.level=warn",
            ],
            self._is_ready,
            start_s_max=START_S_MAX,
        )

    def _write_targets(self) -> None:
        folder = self.data_dir / "targets"
        folder.mkdir(exist_ok=True)
        groups = [
            {"targets": list(addresses), "labels": {"job": job}}
            for job, addresses in self._targets.items()
        ]
        # Put in its place whole: Prometheus reads it whenever it changes.
        new = folder / "chevet.json.new"
        new.write_text(json.dumps(groups), encoding="utf-8")
        new.rename(folder / "chevet.json")

    def _is_ready(self) -> bool:
        return _get(self.port, "/-/ready")[0] == http.client.OK

    def _get(self, what: str, **arguments: str) -> Any:  # noqa: ANN401
        path = f"/api/v1/{what}?{urllib.parse.urlencode(arguments)}"
        status, body = _get(self.port, path)
        answer = json.loads(body)
        if status != http.client.OK:
            raise ValueError(f"{arguments or what}: {answer.get('error', status)}")
        return answer["data"]


_ALERT_STATES: Final = ("", "inactive", "pending", "firing")


def _get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(LOCALHOST, port, timeout=ANSWER_S_MAX)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"port {port} does not answer in HTTP: {error!r}") from error
    finally:
        connection.close()


def find_prometheus() -> Path:
    """Find Prometheus.

    Raises
    ------
    ServerMissingError
    """
    return find_program("prometheus", how_to_get_it=HOW_TO_INSTALL)


@functools.cache
def prometheus_version(prometheus: Path) -> str:
    """Return Prometheus' version, nothing if it does not say."""
    text = run_tool("prometheus", [prometheus, "--version"], folder=Path("/"), timeout_s=30.0)
    words = text.split()
    return words[words.index("version") + 1] if "version" in words[:-1] else ""


def promtool(words: Sequence[str | Path], folder: Path) -> tuple[bool, str]:
    """Run Prometheus' own checker; give whether it is content, and what it said.

    Raises
    ------
    ServerMissingError
    """
    program = find_program("promtool", how_to_get_it=HOW_TO_INSTALL)
    try:
        return True, run_tool("promtool", [program, *words], folder=folder, timeout_s=60.0)
    except ServerFailedError as error:
        return False, str(error)
