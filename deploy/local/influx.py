"""InfluxDB 1.x on 127.0.0.1, with the write endpoint of InfluxDB 2 in front of it.

Debian has InfluxDB 1.6, which knows no ``/api/v2/write``; an nginx of ours translates that one
call, so that the writer is tested with the client and the URL that a hospital's InfluxDB 2 gets.
Reads are InfluxQL at ``/query`` on both.
"""

import functools
import http.client
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from deploy.influx_setup import SetupError, plan_of, texts
from deploy.influx_setup_v1 import set_up_v1
from deploy.local.process import (
    LOCALHOST,
    ServerFailedError,
    ServerMissingError,
    find_program,
    free_ports,
    run_tool,
)
from deploy.local.server import LocalServer
from processors.settings import InfluxSetupSettings

HOW_TO_INSTALL: Final = "sh deploy/install_services.sh"
PING_S_MAX: Final = 1.0
CREATE_S_MAX: Final = 20.0

INFLUX_SETTINGS: Final = """\
reporting-enabled = false
bind-address = "{host}:{backup_port}"

[meta]
dir = "{folder}/meta"
logging-enabled = false

[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
query-log-enabled = false
cache-snapshot-memory-size = "{cache_mb}m"
cache-snapshot-write-cold-duration = "{cold_s}s"
compact-full-write-cold-duration = "{compact_s}s"

[monitor]
store-enabled = false

[subscriber]
enabled = false

[continuous_queries]
log-enabled = false

[http]
bind-address = "{host}:{influx_port}"
log-enabled = false
access-log-path = ""

[logging]
level = "warn"
suppress-logo = true
"""

CACHE_MB: Final = 50
"""Of a shard, until it is written into a file. With InfluxDB's own 25 there are twice as many files
under load, and putting them together costs it time that the writers wait for; with 128 it takes a
gigabyte of memory."""

COLD_S: Final = 600
COMPACT_S: Final = 14_400
"""InfluxDB's own choice."""

NGINX_SETTINGS: Final = """\
# One process: no other user, no workers that a kill would leave behind.
master_process off;
daemon off;
pid "{folder}/nginx.pid";
error_log stderr warn;
events {{ worker_connections 512; }}

http {{
    access_log off;
    client_body_temp_path "{folder}/nginx-body";
    proxy_temp_path "{folder}/nginx-proxy";
    fastcgi_temp_path "{folder}/nginx-fastcgi";
    uwsgi_temp_path "{folder}/nginx-uwsgi";
    scgi_temp_path "{folder}/nginx-scgi";
    client_max_body_size 0;  # how much is too much is for InfluxDB to say
    client_body_buffer_size 1m;

    # Version 1 takes a word that it does not know for nanoseconds, and would store a wrong time.
    map $arg_precision $v1_precision {{
        "" n;
        ns n;
        us u;
        ms ms;
        s s;
        default "";
    }}
    # The bucket is DATABASE/RETENTION-POLICY or DATABASE; clients send the slash as %2F.
    map $arg_bucket $v1_database {{
        "~*^(?<database>.+?)(?:%2f|/)" $database;
        default $arg_bucket;
    }}
    map $arg_bucket $v1_retention {{
        "~*^.+?(?:%2f|/)(?<retention>.+)$" $retention;
        default "";
    }}

    upstream influxdb {{
        server {host}:{influx_port};
        keepalive 16;
    }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";

    server {{
        listen {host}:{port};

        location = /api/v2/write {{
            default_type application/json;
            if ($v1_precision = "") {{
                return 400 '{{"code":"invalid","message":"precision must be ns, us, ms or s"}}';
            }}
            rewrite ^ /write?db=$v1_database&rp=$v1_retention&precision=$v1_precision? break;
            proxy_set_header Connection "";
            proxy_set_header Authorization "";  # a token, which version 1 would take for a log-in
            proxy_pass http://influxdb;
        }}
        location = /health {{
            auth_request /ping;
            error_page 500 =503 /health-failed;
            default_type application/json;
            alias "{folder}/health.json";
        }}
        location = /health-failed {{
            internal;
            default_type application/json;
            return 503 '{{"name":"influxdb","status":"fail","message":"InfluxDB does not answer"}}';
        }}
        location / {{
            proxy_pass http://influxdb;
        }}
    }}
}}
"""


class InfluxServer(LocalServer):
    """InfluxDB 1.x behind nginx; its data outlive kill and restart.

    Any token and any organisation are accepted.

    Parameters
    ----------
    database
        Made at start, with its retention policies. A bucket in the version 2 sense is ``DATABASE``,
        ``DATABASE/autogen``, ``DATABASE/waveforms`` or ``DATABASE/envelopes``.
    cold_s
        So long after the last write InfluxDB brings everything into its final form on disk; minutes
        and hours unless told.
    keeps_all
        No bucket forgets anything: for samples of long ago, which InfluxDB would drop at once.
    """

    title = "influxdb"

    def __init__(
        self,
        *,
        database: str = "chevet",
        port: int | None = None,
        data_dir: Path | None = None,
        outlives_parent: bool = False,
        cold_s: int | None = None,
        keeps_all: bool = False,
    ) -> None:
        if not re.fullmatch(r"\w[\w-]*", database, re.ASCII):
            raise ValueError(f"a database is named by letters, digits, _ and -: {database!r}")
        super().__init__(data_dir=data_dir, outlives_parent=outlives_parent)
        self.database: Final = database
        self._cold_s: Final = cold_s
        self._keeps_all: Final = keeps_all
        self.port: Final = port if port is not None else free_ports(1)[0]
        self._influx_port, self._backup_port = free_ports(2)

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports of nginx, of InfluxDB, and of InfluxDB's backup service."""
        return (self.port, self._influx_port, self._backup_port)

    @property
    def url(self) -> str:
        """The address for InfluxDB clients."""
        return f"http://{LOCALHOST}:{self.port}"

    @property
    def bucket(self) -> str:
        """The database as version 2's clients name it."""
        return f"{self.database}/autogen"

    @property
    def backup_address(self) -> str:
        """Where ``influxd backup`` and ``influxd restore`` find it, as ``-host``."""
        return f"{LOCALHOST}:{self._backup_port}"

    def _start_programs(self) -> None:
        nginx, influxd = find_nginx(), find_influxd()
        influx_file = self._write("influxdb.conf", self._fill(INFLUX_SETTINGS))
        nginx_file = self._write("nginx.conf", self._fill(NGINX_SETTINGS))
        self._write("health.json", json.dumps({"name": "influxdb", "status": "pass"}))
        self._run(
            "influxd",
            [str(influxd), "run", "-config", str(influx_file)],
            functools.partial(_answers_ping, self._influx_port),
        )
        self._run(
            "nginx",
            [str(nginx), "-p", str(self.data_dir), "-e", "stderr", "-c", str(nginx_file)],
            functools.partial(_answers_ping, self.port),
        )
        self._create_buckets()

    def _write(self, name: str, text: str) -> Path:
        file = self.data_dir / name
        file.write_text(text, encoding="utf-8")
        return file

    def _fill(self, settings: str) -> str:
        return settings.format(
            host=LOCALHOST,
            folder=self.data_dir,
            port=self.port,
            influx_port=self._influx_port,
            backup_port=self._backup_port,
            cache_mb=CACHE_MB,
            cold_s=self._cold_s or COLD_S,
            compact_s=self._cold_s or COMPACT_S,
        )

    def _create_buckets(self) -> None:
        settings = InfluxSetupSettings(url=self.url, bucket=self.database, timeout_s=CREATE_S_MAX)
        plan = plan_of(settings)
        if self._keeps_all:
            plan = tuple(replace(one, retention_h=0) for one in plan)
        try:
            findings = list(set_up_v1(settings, plan, check=False, shorten=False))
        except SetupError as error:
            raise ServerFailedError("influxd", f"made no database: {error}") from error
        if not all(finding.ok for finding in findings):
            raise ServerFailedError("influxd", "; ".join(texts(findings)))


def _answers_ping(port: int) -> bool:
    return _request(port, "GET", "/ping", timeout_s=PING_S_MAX)[0] == http.client.NO_CONTENT


def _request(port: int, method: str, path: str, *, timeout_s: float) -> tuple[int, str]:
    connection = http.client.HTTPConnection(LOCALHOST, port, timeout=timeout_s)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except http.client.HTTPException as error:
        raise ConnectionError(f"port {port} does not answer in HTTP: {error!r}") from error
    finally:
        connection.close()


def find_nginx() -> Path:
    """Find nginx, also where an ordinary user's PATH does not look.

    Raises
    ------
    ServerMissingError
    """
    return find_program("nginx", how_to_get_it=HOW_TO_INSTALL)


def find_influxd() -> Path:
    """Find InfluxDB's server, version 1.

    Raises
    ------
    ServerMissingError
    """
    influxd = find_program("influxd", how_to_get_it=HOW_TO_INSTALL)
    version = influxd_version(influxd)
    if not version.startswith("1."):
        what = f"InfluxDB 1.x ({influxd} is {version or 'of unknown version'})"
        raise ServerMissingError(what, HOW_TO_INSTALL)
    return influxd


@functools.cache
def influxd_version(influxd: Path) -> str:
    """Return the version of an InfluxDB server, nothing if it does not say."""
    text = run_tool("influxd", [influxd, "version"], folder=Path("/"), timeout_s=30.0)
    found = re.search(r"v?(\d+\.\d+\S*)", text)
    return found[1] if found else ""
