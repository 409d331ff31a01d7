"""What ``chevet analyze`` prints at its end: a row for each recording, and their sum."""

import os
from collections.abc import Sequence
from typing import Final

from deploy.analysis_summary import Summary

_TITLES: Final = ("record", "duration", "events", "heart rate", "coverage", "CPU", "")
_IS_TEXT: Final = (True, False, True, False, False, False, True)
_HOUR_S: Final = 3600


def as_table(results: Sequence[tuple[str, Summary | None]], wall_s: float, cpu_s: float) -> str:
    """Lay the results out for people.

    Parameters
    ----------
    results
        The record's name, and what became of it; None where it failed.
    wall_s
        Seconds that all of it took.
    cpu_s
        Seconds of processors, those of starting included.
    """
    rows = [_TITLES, *(_row(name, summary) for name, summary in results)]
    lines = aligned(rows, _IS_TEXT)
    done = [summary for _, summary in results if summary is not None]
    signal_s = sum(summary.duration_s for summary in done)
    n_failed = len(results) - len(done)
    failed = f", {n_failed} failed" if n_failed else ""
    lines.append(
        f"{len(done)} recordings{failed}, {signal_s / _HOUR_S:.1f} h of signal in {wall_s:.1f} s: "
        f"{signal_s / max(wall_s, 1e-3):.0f} times real time, "
        f"{cpu_s:.1f} s CPU, {cpu_s / max(wall_s, 1e-3):.2f} cores used"
    )
    return "\n".join(lines)


def _row(name: str, summary: Summary | None) -> tuple[str, ...]:
    if summary is None:
        return name, "", "", "", "", "", "failed"
    rate = summary.heart_rate_median_bpm
    coverage = summary.heart_rate_coverage
    return (
        name,
        f"{summary.duration_s:.0f} s",
        ", ".join(f"{n} {annotator}" for annotator, n in summary.n_events.items()) or "-",
        "-" if rate is None else f"{rate:.0f}/min",
        "-" if coverage is None or rate is None else f"{100 * coverage:.1f} %",
        f"{summary.cpu_s:.1f} s",
        f"ok{summary.remarks}",
    )


def aligned(rows: Sequence[Sequence[str]], is_text: Sequence[bool]) -> list[str]:
    """Write rows of cells as lines, texts to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(row, widths, is_text, strict=True)
        ).rstrip()
        for row in rows
    ]


def spent_s(began: os.times_result) -> tuple[float, float]:
    """Give seconds since then, and seconds of processors, those of ended processes included."""
    now = os.times()
    wall_s = now.elapsed - began.elapsed
    return wall_s, sum(now[:4]) - sum(began[:4])
