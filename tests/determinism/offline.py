"""Print the digest of each record: ``python -m tests.determinism.offline [SECONDS]``."""

import sys

from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

from tests.determinism.records import RECORDS, SECONDS, processed, recorded


def vectors() -> list[str]:
    """The instructions between which NumPy chooses and that are in use."""
    return [name for name in __cpu_dispatch__ if __cpu_features__[name]]


if __name__ == "__main__":
    print(f"vectors: {' '.join(vectors())}")
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    for record in RECORDS:
        print(record, processed(recorded(record, seconds=seconds)))
