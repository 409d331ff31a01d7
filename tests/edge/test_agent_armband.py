"""The agent on an armband whose frames are compressed and come with a factor."""

import asyncio
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from edge.virtual.player import SteadyClock
from edge.virtual.sensors import PersonSettings, SensorsSettings, build_sensors
from edge.virtual.strap import still_person_mg
from ingest.settings import KafkaSettings
from tests.edge.test_agent import Ward, broker_of, kafka, until

__all__ = ["kafka"]


class ArmbandWard(Ward):
    """One person with an armband."""

    def __init__(self, kafka: KafkaSettings, folder: Path) -> None:
        super().__init__(kafka, folder)
        settings = SensorsSettings(persons=(PersonSettings(armband="heartpy"),))
        self.sensors = build_sensors(settings, self.ether, SteadyClock())


async def test_light_and_motion_arrive_in_their_units(
    kafka: KafkaSettings,
    tmp_path: Path,
) -> None:
    ward = ArmbandWard(kafka, tmp_path)
    armband = ward.sensors[0]
    async with ward.radio, broker_of(kafka):
        run = asyncio.create_task(armband.run(), name=armband.identity.name)
        try:
            await armband.started.wait()
            async with ward.agent():
                await until(lambda: armband.channels["gyro/x"].sent >= 150)
            frames = await ward.frames()
        finally:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)

    stored: Counter[str] = Counter()
    physical: defaultdict[str, list[float]] = defaultdict(list)
    for frame in frames:
        assert frame.gaps == ()
        for block in frame.waveforms:
            stored[block.channel] += block.n_samples
            physical[block.channel] += block.physical().tolist()
    assert stored == {name: one.produced for name, one in armband.channels.items()}
    assert len(stored) == 10
    i_first = armband.channels["acc/x"].i_first or 0
    expected_mg = still_person_mg(52, seed=1)[i_first : i_first + stored["acc/x"]]
    for axis, name in enumerate(("acc/x", "acc/y", "acc/z")):
        np.testing.assert_allclose(physical[name], expected_mg[:, axis] / 1000, atol=2e-4)
    assert max(map(abs, physical["gyro/x"])) < 4.0
