"""The same signals give the same observations: live, replayed at any speed, killed, offline."""

import asyncio
import secrets
from pathlib import Path

import pytest

from deploy.local.kafka import KafkaBroker
from ingest.settings import KafkaSettings
from tests.determinism.play import CELLS, FIRST, KILLED, LIVE, Played, play
from tests.determinism.records import RECORDS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def played(
    kafka_broker: KafkaBroker, chevet_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Played:
    settings = KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers)
    folder = tmp_path_factory.mktemp("determinism")
    found = asyncio.run(play(settings, folder, f"test-{secrets.token_hex(4)}"))
    print(f"\n{found.table()}")
    return found


@pytest.mark.parametrize(("record", "way"), CELLS)
def test_each_way_gives_the_same_observations(played: Played, record: str, way: str) -> None:
    assert played.digests[record, way] == played.digests[record, FIRST[record]]


@pytest.mark.parametrize("record", [*RECORDS, LIVE])
def test_the_workers_were_killed_in_the_middle(played: Played, record: str) -> None:
    assert 0 < played.n_said_at_kill[record] < played.digests[record, KILLED].n_observations


def test_no_two_records_give_the_same(played: Played) -> None:
    assert len({played.digests[cell].observations for cell in FIRST.items()}) == len(FIRST)
