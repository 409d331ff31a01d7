"""What was looked at, how it is, and what to do about it: for ``doctor`` and ``edge check``."""

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check.

    ``ok`` is False for what is broken or was asked for and does not answer, and None for what is
    not here and only some uses need.
    """

    name: str
    ok: bool | None
    detail: str
    remedy: str = ""


def render(findings: list[Finding]) -> str:
    """Lay the findings out for a terminal, each remedy under what it mends."""
    words = {True: "ok", False: "FAILED", None: "-"}
    width = max((len(finding.name) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{words[finding.ok]:>6}  {finding.name:<{width}}  {finding.detail}")
        if finding.remedy and finding.ok is not True:
            lines.append(f"{'':>6}  {'':<{width}}  -> {finding.remedy}")
    n_ok, n_failed = (sum(finding.ok is word for finding in findings) for word in (True, False))
    n_absent = len(findings) - n_ok - n_failed
    lines.append(f"{n_ok} ok, {n_absent} not here, {n_failed} failed")
    return "\n".join(lines)


def as_records(findings: list[Finding]) -> list[dict[str, str | bool | None]]:
    """Return the findings as plain values, for JSON."""
    return [dataclasses.asdict(finding) for finding in findings]
