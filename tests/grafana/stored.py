"""Puts lines into a real InfluxDB, each where it belongs."""

import asyncio
import json
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Iterable

from deploy.local.influx import InfluxServer
from deploy.readback import InfluxReader
from processors.sinks.influx import InfluxStore

POLICIES = {"waveforms": "72h", "envelopes": "720h"}
BUCKETS = {b"waveform": "waveforms", b"envelope_25hz": "envelopes"}
"""By measurement; all others are in the database's default policy."""


def make_policies(server: InfluxServer) -> None:
    """Make the retention policies that are missing."""
    reader = InfluxReader(server.url, server.database)
    shown = reader.query(f'SHOW RETENTION POLICIES ON "{server.database}"')
    there = {row[0] for row in shown[0]["values"]}
    for name in POLICIES.keys() - there:
        _post(
            server,
            f'CREATE RETENTION POLICY "{name}" ON "{server.database}" '
            f"DURATION {POLICIES[name]} REPLICATION 1",
        )


def _post(server: InfluxServer, statement: str) -> None:
    body = urllib.parse.urlencode({"q": statement}).encode()
    with urllib.request.urlopen(f"{server.url}/query", body, timeout=20) as answer:
        (result,) = json.load(answer)["results"]
    assert "error" not in result, result


def write(server: InfluxServer, pieces: Iterable[bytes]) -> int:
    """Write pieces of lines, each of one measurement; give the number of lines."""
    make_policies(server)
    by_bucket: dict[str, list[bytes]] = defaultdict(list)
    for piece in pieces:
        by_bucket[BUCKETS.get(piece.partition(b",")[0], server.bucket.partition("/")[2])].append(
            piece
        )

    async def store() -> None:
        for policy, lines in by_bucket.items():
            bucket = f"{server.database}/{policy}"
            one = InfluxStore(url=server.url, bucket=bucket, org="any", token=bucket)
            assert await one.write(lines) == []
            await one.close()

    asyncio.run(store())
    return sum(piece.count(b"\n") + 1 for lines in by_bucket.values() for piece in lines)
