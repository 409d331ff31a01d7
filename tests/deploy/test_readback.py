"""What was written can be read back, from either store, whatever bucket it is in."""

import asyncio
from pathlib import Path

import numpy as np

from deploy.local.influx import InfluxServer
from deploy.readback import InfluxReader, Stored, read_files
from processors.sinks.files import LineFileStore
from processors.sinks.influx import InfluxStore
from processors.sinks.lines import LineEncoder
from processors.sinks.store import LineStore
from tests.ingest import records


def test_both_stores_give_the_same_back(tmp_path: Path) -> None:
    block = records.block(np.arange(-50, 50), channel="ecg")
    frame = records.frame(
        block,
        gaps=(records.gap(n_samples=73),),
        readings=(records.reading(value=None, reason="x"),),
    )
    lines = [*LineEncoder().frame(frame), *LineEncoder().observation(records.observation())]

    async def write(store: LineStore) -> None:
        for _ in range(2):
            assert await store.write(lines) == []
        await store.close()

    with InfluxServer() as server:
        asyncio.run(write(InfluxStore(url=server.url, bucket=server.bucket, org="any", token="")))
        from_influx = InfluxReader(server.url, server.database).read()
    asyncio.run(write(LineFileStore(tmp_path)))

    for stored in (from_influx, read_files(tmp_path)):
        _assert_all(stored)


def _assert_all(stored: Stored) -> None:
    (ecg,) = stored.samples.values()
    assert list(stored.samples) == [("p-1", "strap-1", "ecg")]
    assert ecg.values.tolist() == list(range(-50, 50))
    assert stored.dropped == {"radio_loss": 73}
    assert (stored.n_samples, stored.n_observations) == (100, 1)
    (reading,) = stored.readings.values()
    assert np.isnan(reading.values).tolist() == [True]
