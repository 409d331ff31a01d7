"""Print the digest of each record: ``python -m tests.determinism.offline [SECONDS]``."""

import importlib
import sys

from tests.determinism.records import RECORDS, SECONDS, processed, recorded


def vectors() -> list[str]:
    """The instructions between which NumPy chooses and that are in use."""
    numpy_core = importlib.import_module("numpy._core._multiarray_umath")
    return [name for name in numpy_core.__cpu_dispatch__ if numpy_core.__cpu_features__[name]]


if __name__ == "__main__":
    print(f"vectors: {' '.join(vectors())}")
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    for record in RECORDS:
        print(record, processed(recorded(record, seconds=seconds)))
