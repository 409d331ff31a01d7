"""The database and the retention policies of InfluxDB 1.x, through InfluxQL.

Source: InfluxDB 1.8 documentation, "Manage your database using InfluxQL".
"""

import base64
import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from deploy.influx_setup import (
    BucketPlan,
    Finding,
    SetupError,
    State,
    compared,
    kept_text,
    token_of,
)
from processors.settings import InfluxSetupSettings
from processors.sinks.measurements import Bucket

DEFAULT_POLICY: Final = "autogen"
"""What a new database has."""

_DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


@dataclass(frozen=True, slots=True)
class _Policy:
    name: str
    retention_h: float
    shard_h: float
    is_default: bool


class _Server:
    """Asks in InfluxQL."""

    def __init__(self, settings: InfluxSetupSettings) -> None:
        self._url = settings.url
        self._timeout_s = settings.timeout_s
        token = token_of(settings)
        self._headers: dict[str, str] = {}
        if ":" in token:
            encoded = base64.b64encode(token.encode()).decode("ascii")
            self._headers["Authorization"] = f"Basic {encoded}"

    def query(self, statement: str) -> list[list[Any]]:
        """Run one statement; give the rows of its first series."""
        body = urllib.parse.urlencode({"q": statement}).encode()
        request = urllib.request.Request(  # noqa: S310
            f"{self._url}/query", data=body, headers=self._headers, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as answer:  # noqa: S310
                said = json.load(answer)
        except urllib.error.HTTPError as error:
            words = error.read().decode(errors="replace").strip()
            raise SetupError(
                f"InfluxDB at {self._url} refuses {statement}: {error.code} {words}; with users, "
                "token is USER:PASSWORD of an administrator"
            ) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SetupError(f"InfluxDB at {self._url}, {statement}: {error}") from error
        result = said["results"][0]
        if "error" in result:
            raise SetupError(f"InfluxDB at {self._url}, {statement}: {result['error']}")
        series = result.get("series", [])
        return list(series[0].get("values", [])) if series else []


def set_up_v1(
    settings: InfluxSetupSettings, plan: Sequence[BucketPlan], *, check: bool, shorten: bool
) -> Iterator[Finding]:
    """Make the database and its policies, or say what differs.

    Raises
    ------
    SetupError
    """
    server = _Server(settings)
    database = plan[0].database
    names = {row[0] for row in server.query("SHOW DATABASES")}
    state: State = "right" if database in names else "missing" if check else "made"
    if state == "made":
        server.query(f"CREATE DATABASE {_quoted(database)}")
    yield Finding(what=f"database {database}", state=state, detail="")
    policies = {} if state == "missing" else _policies(server, database)
    for one in plan:
        yield _policy(server, one, policies, check=check, shorten=shorten)


def _policy(
    server: _Server,
    plan: BucketPlan,
    policies: dict[str, _Policy],
    *,
    check: bool,
    shorten: bool,
) -> Finding:
    must_be_default = plan.bucket is Bucket.LONG
    default = next((name for name, one in policies.items() if one.is_default), DEFAULT_POLICY)
    name = plan.policy or default
    what = f"retention policy {plan.database}/{name}"
    found = policies.get(name)
    wanted = kept_text(plan.retention_h, plan.shard_h)
    if found is None:
        if check:
            return Finding(what=what, state="missing", detail=f"planned: {wanted}")
        server.query(f"CREATE {_statement(plan, name, 'REPLICATION 1', must_be_default)}")
        return Finding(what=what, state="made", detail=wanted)
    state, detail = compared(plan, found.retention_h, found.shard_h, shorten=shorten)
    if state == "right" and must_be_default and not found.is_default:
        state, detail = "changed", f"{detail}; the default now"
    if state == "changed":
        if check:
            return Finding(what=what, state="different", detail=detail)
        server.query(f"ALTER {_statement(plan, name, '', must_be_default)}")
    return Finding(what=what, state=state, detail=detail)


def _statement(plan: BucketPlan, name: str, replication: str, is_default: bool) -> str:  # noqa: FBT001
    duration = f"{plan.retention_h}h" if plan.retention_h else "INF"
    words = [
        f"RETENTION POLICY {_quoted(name)} ON {_quoted(plan.database)} DURATION {duration}",
        replication,
        f"SHARD DURATION {plan.shard_h}h",
        "DEFAULT" if is_default else "",
    ]
    return " ".join(word for word in words if word)


def _policies(server: _Server, database: str) -> dict[str, _Policy]:
    rows = server.query(f"SHOW RETENTION POLICIES ON {_quoted(database)}")
    return {
        name: _Policy(name, _hours(duration), _hours(shard), bool(is_default))
        for name, duration, shard, _, is_default, *_ in rows
    }


def _hours(duration: str) -> float:
    found = _DURATION.fullmatch(duration)
    if found is None:
        raise SetupError(f"InfluxDB says a duration that cannot be read: {duration!r}")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return hours + minutes / 60 + seconds / 3_600


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
