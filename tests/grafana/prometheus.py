"""A real Prometheus that scrapes a real process of ours four times a second."""

import contextlib
import json
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any, Final

from deploy.local.process import LOCALHOST, find_program, free_ports
from deploy.local.server import LocalServer

SCRAPED_S_MAX: Final = 60.0
N_SCRAPES: Final = 5

SETTINGS: Final = """\
global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}
scrape_configs:
  - job_name: worker
    static_configs: [{{targets: ["{host}:{port}"]}}]
  - job_name: sink
    static_configs: [{{targets: ["{host}:{dead_port}"]}}]
"""
"""The sink is dead: nobody answers there."""


class QuickPrometheus(LocalServer):
    """Prometheus for one test."""

    title = "prometheus"

    def __init__(self, scraped_port: int) -> None:
        super().__init__()
        self._scraped_port = scraped_port
        self.port, self._dead_port = free_ports(2)

    @property
    def ports(self) -> tuple[int, ...]:
        return (self.port,)

    def query(self, expr: str) -> list[dict[str, Any]]:
        """Evaluate PromQL now; an expression that it does not understand is a ValueError."""
        return list(self._get("query", query=expr)["result"])

    def query_range(self, expr: str, window_s: int, step_s: float) -> list[dict[str, Any]]:
        """Evaluate PromQL over the last seconds."""
        now_s = time.time()
        span = {"start": str(now_s - window_s), "end": str(now_s), "step": str(step_s)}
        return list(self._get("query_range", query=expr, **span)["result"])

    def _start_programs(self) -> None:
        program = find_program("prometheus", how_to_get_it="sh deploy/install_services.sh")
        settings = self.data_dir / "prometheus.yml"
        settings.write_text(
            SETTINGS.format(host=LOCALHOST, port=self._scraped_port, dead_port=self._dead_port)
        )
        command = [
            str(program),
            f"--config.file={settings}",
            f"--storage.tsdb.path={self.data_dir / 'data'}",
            f"--web.listen-address={LOCALHOST}:{self.port}",
            "--log.level=warn",
        ]
        self._run(self.title, command, self._is_scraping, start_s_max=SCRAPED_S_MAX)

    def _is_scraping(self) -> bool:
        with contextlib.suppress(urllib.error.HTTPError):
            scraped = self.query(f'count_over_time(up{{job="worker"}}[1m]) >= {N_SCRAPES}')
            return bool(scraped) and bool(self.query("chevet_processors_frames_total"))
        return False

    def _get(self, what: str, **arguments: str) -> dict[str, Any]:
        url = f"http://{LOCALHOST}:{self.port}/api/v1/{what}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                data: dict[str, Any] = json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:  # it has only just begun
                raise
            raise ValueError(f"{arguments}: {error.read().decode()}") from error
        return data


@contextlib.contextmanager
def scraping() -> Iterator[QuickPrometheus]:
    """Start the process and a Prometheus that has scraped it some times."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "tests.grafana.metrics_process", str(port)]
    with subprocess.Popen(command) as process:
        try:
            with QuickPrometheus(port) as prometheus:
                yield prometheus
        finally:
            process.kill()
