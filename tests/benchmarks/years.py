"""What years cost: bytes of a day of one subject, and the queries of a month of fifty.

``python -m tests.benchmarks.years`` starts an InfluxDB of its own, writes both into it, prints what
it measured, and puts it into docs/influx.md. The whole takes some minutes of a quiet machine.
"""

import argparse
import asyncio
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from deploy.bench.disk import wait_until_compacted
from deploy.bench.span import machine
from deploy.influx_setup import set_up
from deploy.local.influx import InfluxServer
from deploy.readback import InfluxReader
from ingest.frame import NS_PER_S
from processors.settings import InfluxSetupSettings
from processors.sinks.influx import InfluxStore
from processors.sinks.measurements import MEASUREMENTS, Bucket, bucket_of
from tests.benchmarks.years_points import SUBJECT, Day, month_pieces, posture_pieces
from tests.benchmarks.years_queries import BOARD, Asked, Span, ask_all

PAGE: Final = Path("docs/influx.md")
BEGIN: Final = "<!-- years: begin -->"
END: Final = "<!-- years: end -->"

COLD_S: Final = 4
QUERY_S_MAX: Final = 2.0
"""What the issue of the boards asks of each query."""

DAY_S: Final = 86_400
_PIECES_BYTES: Final = 2_000_000
_BLOCK_BYTES: Final = 512
_WAITS_MAX: Final = 5


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0, help="of one subject; 24")
    parser.add_argument("--days", type=int, default=30, help="of what Trends reads; 30")
    parser.add_argument("--subjects", type=int, default=50, help="of whom; 50")
    parser.add_argument("--board", type=Path, default=BOARD, help=f"with the queries; {BOARD}")
    parser.add_argument("--no-page", action="store_true", help="print only")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chevet-years-") as folder:
        data_dir = Path(folder)
        with InfluxServer(data_dir=data_dir, cold_s=COLD_S) as server:
            text = measure(server, chosen.hours, chosen.days, chosen.subjects, chosen.board)
    print(text)
    if not chosen.no_page:
        page = PAGE.read_text("utf-8")
        PAGE.write_text(
            re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{text}\n{END}", page, flags=re.DOTALL),
            "utf-8",
        )


def measure(server: InfluxServer, hours: float, days: int, n_subjects: int, board: Path) -> str:
    """Do both, and give what came of it as text."""
    began_load = os.getloadavg()[0]
    end_ns = time.time_ns() // (600 * NS_PER_S) * 600 * NS_PER_S
    seconds = round(hours * 3_600)
    day = Day(end_ns - seconds * NS_PER_S)
    print(f"a day: {hours:g} h of one subject")
    points, day_s = _write_day(server, day.pieces(seconds))
    n_bytes = _compacted(server)
    print(f"a month: {days} d of {n_subjects} subjects")
    subjects = [SUBJECT, *(f"years-{i:02d}" for i in range(2, n_subjects + 1))]
    start_ns = end_ns - days * DAY_S * NS_PER_S
    began_s = time.monotonic()
    n_month = asyncio.run(_write(server, server.database, month_pieces(start_ns, days, subjects)))
    # The envelopes that the board draws: of the newest hours.
    wanted = (b"envelope,", b"envelope_25hz,", b"waveform_meta,")
    tail = Day(end_ns - min(seconds, 6 * 3_600) * NS_PER_S).pieces(min(seconds, 6 * 3_600))
    asyncio.run(_write(server, server.database, (p for p in tail if p.startswith(wanted))))
    asyncio.run(_write(server, server.database, posture_pieces(start_ns, days)))
    month_s = time.monotonic() - began_s
    _compacted(server)
    asked = ask_all(
        InfluxReader(server.url, server.database),
        Span(SUBJECT, "strap", "ecg", start_ns, end_ns),
        board,
    )
    here = machine()
    return "\n".join(
        [
            f"{here['processor']}, {here['cores']} cores; load {began_load:.1f} before and "
            f"{os.getloadavg()[0]:.1f} at the end. InfluxDB 1.6, compacted.",
            "",
            *_day_table(points, n_bytes, seconds, day.n_samples_per_s, day_s),
            "",
            *_query_table(asked, f"{days} days of {n_subjects} subjects", n_month, month_s),
        ]
    )


def _write_day(server: InfluxServer, pieces: Iterable[bytes]) -> tuple[Counter[str], float]:
    """Write each measurement into a database of its own; give their points."""
    for one in MEASUREMENTS:
        settings = InfluxSetupSettings(url=server.url, bucket=_database(one.name))
        set_up(settings, check=False, shorten=False)
    began_s = time.monotonic()
    points: Counter[str] = Counter()

    async def write() -> None:
        waiting: dict[str, list[bytes]] = {}
        sizes: Counter[str] = Counter()
        stores = {one.name: _store(server, _database(one.name)) for one in MEASUREMENTS}
        for piece in pieces:
            name = piece[:64].partition(b",")[0].decode()
            waiting.setdefault(name, []).append(piece)
            sizes[name] += len(piece)
            points[name] += piece.count(b"\n") + 1
            if sizes[name] >= _PIECES_BYTES:
                await _taken(stores[name], waiting.pop(name))
                sizes[name] = 0
        for name, left in waiting.items():
            await _taken(stores[name], left)
        for store in stores.values():
            await store.close()

    asyncio.run(write())
    return points, time.monotonic() - began_s


async def _write(server: InfluxServer, bucket: str, pieces: Iterable[bytes]) -> int:
    """Write everything; give the number of points."""
    store = _store(server, bucket)
    n_points = 0
    for batch in _batches(pieces):
        n_points += sum(piece.count(b"\n") + 1 for piece in batch)
        await _taken(store, batch)
    await store.close()
    return n_points


def _batches(pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for piece in pieces:
        batch.append(piece)
        if sum(map(len, batch)) >= _PIECES_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


async def _taken(store: InfluxStore, pieces: list[bytes]) -> None:
    rejected = await store.write(pieces)
    if rejected:
        raise SystemExit(f"refused: {rejected[0].reason}")


def _store(server: InfluxServer, bucket: str) -> InfluxStore:
    return InfluxStore(url=server.url, bucket=bucket, org="o", token="", timeout_s=300)


def _database(name: str) -> str:
    return f"years_{name}"


def _compacted(server: InfluxServer) -> dict[str, int]:
    """Wait until files stand still; give the bytes of each measurement's database."""
    for _ in range(_WAITS_MAX):
        if wait_until_compacted(server.data_dir, print):
            break
    found = {}
    for one in MEASUREMENTS:
        files = (server.data_dir / "data" / _database(one.name)).glob("*/*/*.tsm")
        sizes = [file.stat() for file in files]
        found[one.name] = sum(min(s.st_size, s.st_blocks * _BLOCK_BYTES) for s in sizes)
    return found


def _day_table(
    points: Counter[str], n_bytes: dict[str, int], seconds: int, samples_per_s: int, day_s: float
) -> list[str]:
    n_samples = samples_per_s * seconds
    rows = [
        f"{seconds / 3_600:g} h of one subject (ECG 250 Hz, pulse wave 125 Hz, three axes of "
        f"acceleration 50 Hz; {n_samples:,} samples), {sum(points.values()):,} points written in "
        f"{day_s:,.0f} s.",
        "",
        "| measurement | bucket | points a day | bytes per point | MB per subject-day |",
        "|---|---|---:|---:|---:|",
    ]
    total = 0.0
    for name, n_points in points.items():
        bucket = bucket_of(f"{name},".encode())
        a_day = DAY_S / seconds
        megabytes = n_bytes[name] * a_day / 1e6
        total += megabytes
        rows.append(
            f"| `{name}` | {bucket} | {n_points * a_day:,.0f} | "
            f"{n_bytes[name] / n_points:.2f} | {megabytes:.2f} |"
        )
    kept = {
        bucket: sum(
            n_bytes[one.name] for one in MEASUREMENTS if one.bucket is bucket
        ) * DAY_S / seconds / 1e6
        for bucket in Bucket
    }  # fmt: skip
    return [
        *rows,
        f"| all | | | | {total:.2f} |",
        "",
        f"Per waveform sample: **{n_bytes['waveform'] / n_samples:.2f} bytes**, and "
        f"{n_bytes['envelope_25hz'] / n_samples:.2f} for its envelope of 40 ms, "
        f"{n_bytes['envelope'] / n_samples:.3f} for that of a second. A subject who is there "
        f"always takes {3 * kept[Bucket.WAVEFORMS] + 30 * kept[Bucket.ENVELOPES]:,.0f} MB of "
        f"waveforms and envelopes, no more, and {365 * kept[Bucket.LONG]:,.0f} MB a year of what "
        "is kept long.",
    ]


def _query_table(asked: list[Asked], what: str, n_points: int, month_s: float) -> list[str]:
    of_board = [one for one in asked if one.of_board] or asked
    slowest = max(of_board, key=lambda one: one.seconds)
    by_panel: dict[str, list[Asked]] = {}
    for one in asked:
        by_panel.setdefault(one.panel, []).append(one)
    source = "of the board" if slowest.of_board else "of the board's kind"
    verdict = "each within" if slowest.seconds <= QUERY_S_MAX else "NOT each within"
    return [
        f"{what}, {n_points:,} points of `trend` written in "
        f"{month_s:,.0f} s; every query {source}: **{verdict} {QUERY_S_MAX:g} s**, the slowest "
        f"{slowest.seconds * 1e3:,.0f} ms ({slowest.panel}).",
        "",
        "| what is asked | queries | points in the answer | slowest, ms |",
        "|---|---:|---:|---:|",
        *(
            f"| {panel}{'' if each[0].of_board else ' (not of the board)'} | {len(each)} | "
            f"{max(one.n_points for one in each):,} | "
            f"{max(one.seconds for one in each) * 1e3:,.0f} |"
            for panel, each in by_panel.items()
        ),
    ]


if __name__ == "__main__":
    main()
