"""The agent on a ring that only answers: numbers, waveform, and what nobody asked for in time."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices import codes
from edge.intakes.viatom import WAVEFORM_HZ
from edge.virtual.ether import Ether
from edge.virtual.o2ring import MODEL, O2Ring, ring_waveform
from edge.virtual.peripheral import Identity
from edge.virtual.player import Body, Clock
from ingest.frame import DeviceEventKind, WaveformBlock
from ingest.settings import KafkaSettings
from tests.edge.device_ward import DeviceWard, events_of, readings_of
from tests.edge.test_agent import kafka
from tests.edge_virtual.conftest import ppg_recording
from tests.waiting import until

__all__ = ["kafka"]


def body(clock: Clock) -> Body:
    recording = ppg_recording(with_numerics=True)
    return Body(recording=recording, start_ns=clock.now_ns(), loops=True)


def ward_of(kafka: KafkaSettings, folder: Path) -> DeviceWard[O2Ring]:
    def ring(ether: Ether, clock: Clock) -> O2Ring:
        return O2Ring(
            ether,
            Identity(model=MODEL, serial="0001", address="C4:E7:09:00:00:01"),
            clock,
            body(clock),
            advertising_interval_ms=20.0,
        )

    return DeviceWard(kafka, folder, ring)


def offsets(blocks: list[WaveformBlock], table: NDArray[np.int64]) -> list[int]:
    """Find by how much each block's numbers differ from those of the ring."""
    found: list[int] = []
    for block in blocks:
        n_samples = np.arange(block.n_samples)
        [offset] = [
            i - block.i_first
            for i in map(int, np.flatnonzero(table == block.counts[0]))
            if np.array_equal(table[(i + n_samples) % len(table)], block.counts)
        ]
        found.append(offset % len(table))
    return found


async def test_answers_are_counted_on_both_ends_and_what_the_ring_threw_away_is_a_gap(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    ward = ward_of(kafka, tmp_path)
    ring = ward.device
    sensors = ring.readings["sensors"]
    async with ward.running():
        async with ward.agent():
            await until(lambda: sensors.sent >= 2)
            # It measures on, and keeps two seconds: the rest of these four is lost.
            ring.answers = False
            n_asked = ring.n_asked
            await until(lambda: ring.n_asked >= n_asked + 2)
            ring.answers = True
            await until(lambda: sensors.sent >= 4)
            await ward.lose_the_link(dark_s=2.5)
            n_before = sensors.sent
            await until(lambda: sensors.sent >= n_before + 2)
        frames = await ward.frames()

    assert len(readings_of(frames, codes.SPO2.mdc)) == sensors.sent
    assert len(readings_of(frames, codes.PULSE_RATE.mdc)) == sensors.sent
    blocks = [block for frame in frames for block in frame.waveforms]
    gaps = [gap for frame in frames for gap in frame.gaps]
    assert {block.channel for block in blocks} == {"pleth"}
    n_missing = sum(gap.n_samples for gap in gaps)
    assert blocks[-1].i_end == sum(block.n_samples for block in blocks) + n_missing
    assert {gap.cause for gap in gaps} == {"radio_loss", "link_lost"}
    # Numbers are those of the ring, but for the latency of the answers around each gap: much less
    # than the second that a ring throws away at once.
    table = ring_waveform(body(ward.clock))
    found = offsets(blocks, table)
    spread = (np.array(found) - found[0] + len(table) // 2) % len(table) - len(table) // 2
    assert np.abs(spread).max() <= WAVEFORM_HZ // 2, spread
    assert len(events_of(frames, DeviceEventKind.STREAM_STARTED)) == 2
