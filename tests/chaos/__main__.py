"""The long chaos run: ``python -m tests.chaos [--seeds 10] [--first 1] [--short]``."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.chaos.chaos import ChaosRun
from tests.chaos.schedule import LONG, SHORT


def main() -> None:
    """Run one seed after the other; exit with 1 where one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--short", action="store_true", help="as `make test` runs it")
    given = parser.parse_args()
    failed = []
    for seed in range(given.first, given.first + given.seeds):
        with tempfile.TemporaryDirectory(prefix="chevet-chaos-") as folder:
            run = ChaosRun(SHORT if given.short else LONG, seed, Path(folder))
            try:
                print(asyncio.run(run.run()).line(), flush=True)
            except AssertionError as error:
                failed.append(seed)
                print(f"FAILED {error}", flush=True)
    if failed:
        sys.exit(f"failed with the seeds {failed}")


if __name__ == "__main__":
    main()
