"""Every recording all the way: ``python -m tests.round_trip [RECORD...]``.

Without a RECORD all of mitdb and bidmc in the folder that CHEVET_DATA names.
"""

import os
import sys
import tempfile
from pathlib import Path

from deploy.local.kafka import KafkaBroker
from tests.round_trip.journey import travel


def main() -> None:
    """Print a line for each; exit with 1 at the first that is not what it was."""
    records = [Path(one) for one in sys.argv[1:]]
    if not records:
        data = Path(os.environ["CHEVET_DATA"])
        headers = sorted([*data.glob("mitdb/*.hea"), *data.glob("bidmc/*.hea")])
        records = [header.with_suffix("") for header in headers]
    n_samples = 0
    with (
        tempfile.TemporaryDirectory(prefix="chevet-round-trip-") as folder,
        KafkaBroker() as broker,
    ):
        try:
            for arrival in travel(records, broker.bootstrap_servers, Path(folder) / "journey"):
                print(arrival.line(), flush=True)
                n_samples += arrival.n_samples
        except AssertionError as error:
            sys.exit(f"FAILED {error}")
    print(f"{len(records)} recordings, {n_samples} samples: identical")


if __name__ == "__main__":
    main()
