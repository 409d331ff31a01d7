"""What InfluxDB must have before anything is written: planned, compared and made.

Which server it is, is found out by asking it. A second run changes nothing. Nothing that is stored
is ever lost by it: a bucket that keeps points for longer than planned is left as it is, unless told
otherwise.
"""

import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from processors.settings import InfluxSetupSettings
from processors.sinks.measurements import KEPT, Bucket, bucket_name

State = Literal["right", "made", "changed", "missing", "different"]
"""The last two: not as it must be, and nothing was done."""

_VERSION_HEADER: Final = "X-Influxdb-Version"
_S_PER_H: Final = 3_600


class SetupError(Exception):
    """The server cannot be asked, or refuses; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketPlan:
    """One bucket as it should be."""

    bucket: Bucket
    name: str
    """As version 2's clients name it."""
    retention_h: int
    """0: for ever."""
    shard_h: int

    @property
    def retention_s(self) -> int:
        """How long points are kept; 0: for ever."""
        return self.retention_h * _S_PER_H

    @property
    def shard_s(self) -> int:
        """Of how long pieces are dropped."""
        return self.shard_h * _S_PER_H

    @property
    def database(self) -> str:
        """The database of InfluxQL."""
        return self.name.partition("/")[0]

    @property
    def policy(self) -> str:
        """The retention policy of InfluxQL; none: the default one."""
        return self.name.partition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that the server must have, and how it is now."""

    what: str
    state: State
    detail: str

    @property
    def ok(self) -> bool:
        """Whether it is as it must be."""
        return self.state not in {"missing", "different"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was found and done."""

    version: str
    findings: tuple[Finding, ...]
    tokens: dict[str, str] = field(default_factory=dict)
    """Made in this run, by who uses it; a server may never show them again."""

    @property
    def ok(self) -> bool:
        """Whether all is as it must be."""
        return all(finding.ok for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Everything but the tokens."""
        return {
            "version": self.version,
            "ok": self.ok,
            "findings": [asdict(finding) for finding in self.findings],
        }


def token_of(settings: InfluxSetupSettings) -> str:
    """Give the token of the settings.

    Raises
    ------
    SetupError
        Its file cannot be read.
    """
    try:
        return settings.read_token()
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"token_file {settings.token_file}: {error}") from error


def plan_of(settings: InfluxSetupSettings) -> tuple[BucketPlan, ...]:
    """Say which buckets there must be."""
    retention_h = {
        Bucket.LONG: settings.long_retention_h or 0,
        Bucket.WAVEFORMS: settings.waveforms_retention_h,
        Bucket.ENVELOPES: settings.envelopes_retention_h,
    }
    return tuple(
        BucketPlan(
            bucket=bucket,
            name=bucket_name(settings.bucket, bucket),
            retention_h=retention_h[bucket],
            shard_h=kept.shard_h,
        )
        for bucket, kept in KEPT.items()
    )


def set_up(settings: InfluxSetupSettings, *, check: bool, shorten: bool) -> Outcome:
    """Bring a server into the state that Chevet needs.

    Parameters
    ----------
    check
        Only compare.
    shorten
        Also where points are kept for longer than planned: those beyond are lost.

    Raises
    ------
    SetupError
    """
    from deploy.influx_setup_v1 import set_up_v1
    from deploy.influx_setup_v2 import set_up_v2

    version = server_version(settings.url, settings.timeout_s)
    plan = plan_of(settings)
    if version.startswith("1."):
        findings = set_up_v1(settings, plan, check=check, shorten=shorten)
        return Outcome(version=version, findings=tuple(findings))
    if version.startswith("2."):
        found, tokens = set_up_v2(settings, plan, check=check, shorten=shorten)
        return Outcome(version=version, findings=tuple(found), tokens=tokens)
    raise SetupError(
        f"{settings.url} is InfluxDB {version}; 1.x and 2.x are known. On 3.x make the databases "
        + ", ".join(f'"{one.name}"' for one in plan)
        + " with its own tools"
    )


def server_version(url: str, timeout_s: float) -> str:
    """Ask a server for its version, ``1.6.7`` or ``2.7.12``.

    Raises
    ------
    SetupError
    """
    said = _version_of_ping(url, timeout_s) or _version_of_health(url, timeout_s)
    found = re.search(r"\d+\.\d+[\w.+-]*", said)
    if found is None:
        raise SetupError(
            f"{url} does not say which version it is ({_VERSION_HEADER} of /ping, or version of "
            "/health): is it an InfluxDB?"
        )
    return found[0]


def _version_of_ping(url: str, timeout_s: float) -> str:
    try:
        with urllib.request.urlopen(f"{url}/ping", timeout=timeout_s) as answer:  # noqa: S310
            return str(answer.headers.get(_VERSION_HEADER, ""))
    except urllib.error.HTTPError as error:
        return str(error.headers.get(_VERSION_HEADER, ""))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SetupError(f"InfluxDB at {url} does not answer: {_reason(error)}") from error


def _version_of_health(url: str, timeout_s: float) -> str:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=timeout_s) as answer:  # noqa: S310
            said = json.load(answer)
    except (OSError, http.client.HTTPException, ValueError):
        return ""
    return str(said.get("version", "")) if isinstance(said, dict) else ""


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", "") or error)


def kept_text(retention_h: float, shard_h: float) -> str:
    """Say how long points are kept."""
    kept = "kept for ever" if retention_h == 0 else f"kept {retention_h:g} h"
    return f"{kept}, dropped by {shard_h:g} h"


def loses_points(now_h: float, planned_h: float) -> bool:
    """Whether a retention is shorter than the present one; 0 is for ever."""
    return planned_h != 0 and (now_h == 0 or now_h > planned_h)


def compared(
    plan: BucketPlan, now_h: float, now_shard_h: float, *, shorten: bool
) -> tuple[State, str]:
    """Say what is to be done about a bucket that is there, and why."""
    now, planned = kept_text(now_h, now_shard_h), kept_text(plan.retention_h, plan.shard_h)
    if (now_h, now_shard_h) == (plan.retention_h, plan.shard_h):
        return "right", now
    if loses_points(now_h, plan.retention_h) and not shorten:
        return "different", f"{now}; planned: {planned}. To delete what is older: --shorten"
    return "changed", f"{now}; now {planned}"


def texts(findings: Sequence[Finding]) -> list[str]:
    """Write each finding as a line."""
    width = max((len(one.what) for one in findings), default=0)
    return [f"{one.state:<9}  {one.what:<{width}}  {one.detail}" for one in findings]
