"""A scale card for people: on the terminal, and as a marked part of a page in Markdown."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.bench.extrapolation import table

_LATENCIES = ("p50", "p95", "p99")


def as_text(card: Mapping[str, Any]) -> str:
    """Write a card, as its JSON object has it, for a terminal."""
    return "\n".join(_lines(card))


def _lines(card: Mapping[str, Any]) -> Iterator[str]:
    machine, latency, cores = card["machine"], card["latency_ms"], card["cores_used"]
    verdict = "kept up" if card["kept_up"] else "did NOT keep up"
    yield (
        f"{card['subjects']} subjects for {card['seconds']:g} s: {verdict}    "
        f"({card['workers']} workers, raw waveforms of {card['raw_share_stored']:.1%} of them)"
    )
    for failure in card["failures"]:
        yield f"  but {failure}"
    if card.get("not_kept_up"):
        yield f"  {card['not_kept_up']} subjects did not, in a run of their own"
    yield (
        f"{machine['cores']} cores of {machine['processor']}, {machine['memory_gb']:g} GB, "
        f"Python {machine['python']}"
    )
    yield ""
    yield "from a Frame made            p50        p95        p99"
    yield _percentiles("to its observations sent", card["processing_ms"])
    yield _percentiles("to their points readable", latency) + f"    {card['latency_probes']} Frames"
    yield ""
    yield "stage        CPU per subject-second   cores used     memory MB: start    end   per min"
    for stage, cpu_ms in card["cpu_per_subject_second_ms"].items():
        if stage not in card["memory_mb"]:
            continue
        memory = card["memory_mb"][stage]
        yield (
            f"{stage:<12} {cpu_ms:>19.3f} ms {cores[stage]:>12.2f}"
            f" {memory['start']:>20.0f} {memory['end']:>6.0f} {memory['slope_per_min']:>9.2f}"
        )
    total_ms = card["cpu_per_subject_second_ms"]["all_but_generator"]
    yield f"{'all but the generator':<12} {total_ms:>10.3f} ms"
    yield (
        f"{card['subjects_per_core']} subjects per core; cores used by the measuring "
        f"{cores['observer']:.2f}, by other programs {cores['others']:.2f}"
    )
    yield f"bound by: {card['bound_by']}"
    yield ""
    frames, observations = card["frames"], card["observations"]
    yield (
        f"Frames: {frames['made']} made, {frames['processed']} processed, "
        f"{frames['sink']} seen by the sink; lag at the end {card['lag_s']['end']:.2f} s, "
        f"at most {card['lag_s']['max']:.2f} s"
    )
    yield (
        f"observations: {observations['made']} made, {observations['stored']} stored; "
        f"{card['points_per_s']} points/s into InfluxDB"
    )
    yield f"a Frame: {card['bytes_per_frame']} bytes before compression"
    yield "bytes per subject and day:"
    for name, n_bytes in card["bytes_per_subject_day"].items():
        settled = "" if name != "influxdb" or card["influxdb_compacted"] else "  (not compacted)"
        yield f"  {name:<22} {n_bytes / 1e6:>9.1f} MB{settled}"
    yield f"  checkpoints, at once   {card['checkpoint_bytes_per_subject'] / 1e6:>9.2f} MB"


def _percentiles(name: str, latency: Mapping[str, float | None]) -> str:
    cells = (latency[p] for p in _LATENCIES)
    return f"  {name:<24}" + "".join(
        f"{'–' if one is None else f'{one:.0f} ms':>11}" for one in cells
    )


def check_page(page: Path, raw_share: float) -> None:
    """Look whether a page has a part for the card of this share.

    Raises
    ------
    ValueError, OSError
    """
    begin, end = marks(raw_share)
    text = page.read_text(encoding="utf-8")
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"{page} has no lines {begin} and {end} to write between")


def write_into(page: Path, card: Mapping[str, Any], now: datetime) -> None:
    """Replace the measured part of a page that is of this share of raw waveforms.

    Raises
    ------
    ValueError, OSError
        The page has no such part, or cannot be read or written.
    """
    check_page(page, card["raw_share"])
    begin, end = marks(card["raw_share"])
    text = page.read_text(encoding="utf-8")
    before, after = text.split(begin)[0], text.split(end)[1]
    lines = [
        begin,
        f"Measured on {now.astimezone(UTC):%Y-%m-%d} by `chevet bench scale`.",
        "",
        "```",
        as_text(card),
        "```",
        "",
        *table(card),
        end,
    ]
    page.write_text(before + "\n".join(lines) + after, encoding="utf-8")


def marks(raw_share: float) -> tuple[str, str]:
    """Give the lines between which a page has the card of a share of raw waveforms."""
    name = f"raw waveforms of {raw_share:.0%}"
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
