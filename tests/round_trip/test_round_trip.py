"""Some recordings all the way; ``make test-round-trip`` sends all of them."""

from pathlib import Path

from deploy.local.kafka import KafkaBroker
from tests.round_trip.journey import travel


def test_recordings_arrive_with_every_integer_and_every_annotation(
    chevet_data: Path, tmp_path: Path
) -> None:
    # 208 has beats of five kinds; bidmc12 two annotators and five signals.
    records = [chevet_data / "mitdb" / "208", chevet_data / "bidmc" / "bidmc12"]
    with KafkaBroker() as broker:
        for arrival in travel(records, broker.bootstrap_servers, tmp_path / "journey"):
            print(arrival.line())
            assert arrival.n_samples > 0
            assert sum(arrival.n_annotations.values()) > 0
            assert max(arrival.edf_error.values()) < 1e-6
