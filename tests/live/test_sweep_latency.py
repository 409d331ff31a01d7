"""From a radio to the pixels of a browser; ``python -m tests.live.latency`` takes longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ingest.kafka import create_topics
from ingest.settings import KafkaSettings
from tests.live.latency import N_BLOCKS_MIN, LivePath, measure

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.local.kafka import KafkaBroker

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def test_what_a_radio_receives_is_drawn_and_its_age_is_told(
    kafka_broker: KafkaBroker, unique_name: str, tmp_path: Path
) -> None:
    await create_topics(KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers))
    with LivePath(kafka_broker.bootstrap_servers, unique_name, tmp_path) as path:
        latency, view = await measure(path.page, seconds=0)

    print("\n" + latency.line())
    assert latency.n_blocks >= N_BLOCKS_MIN
    # Nothing is shown before it is there, and nothing before it has come to the page.
    assert 0 < latency.to_page[0] < latency.to_screen[0]
    assert latency.to_screen[0] <= latency.to_screen[1]
    assert view.complaints == []
