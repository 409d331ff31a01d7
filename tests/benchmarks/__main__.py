"""Run the benchmarks: ``python -m tests.benchmarks [speed] [accuracy] [signals]``; all unless told.

Recordings are those that CHEVET_DATA names. Results go to ``.benchmarks/``; ``signals`` writes
docs/signals.md from the code and from the results that are there.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path


def _speed() -> None:
    from tests.benchmarks import speed

    speed.measure()


def _accuracy() -> None:
    from tests.benchmarks import accuracy

    named = os.environ.get("CHEVET_DATA")
    if not named or not Path(named).is_dir():
        sys.exit("benchmarks: CHEVET_DATA does not name the folder with the recordings")
    accuracy.measure(Path(named))


def _signals() -> None:
    from tests.benchmarks.write_signals import write

    print(f"\nwrote {write()}")


PARTS: dict[str, Callable[[], None]] = {
    "speed": _speed,
    "accuracy": _accuracy,
    "signals": _signals,
}


def main(words: list[str]) -> None:
    """Run what is asked for, in the order of the table."""
    unknown = [word for word in words if word not in PARTS]
    if unknown:
        sys.exit(f"benchmarks: {', '.join(unknown)}: there are {', '.join(PARTS)}")
    for name, run in PARTS.items():
        if not words or name in words:
            run()


if __name__ == "__main__":
    main(sys.argv[1:])
