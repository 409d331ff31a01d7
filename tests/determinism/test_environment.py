"""Hash seeds, threads and the processor's vector instructions: none of them shows in a bit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.determinism.offline import vectors
from tests.determinism.records import RECORDS, processed, recorded

ENVIRONMENTS = {
    "one thread, hash seed 1": {
        "PYTHONHASHSEED": "1",
        "NUMBA_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    },
    "two threads, hash seed 4711": {
        "PYTHONHASHSEED": "4711",
        "NUMBA_NUM_THREADS": "2",
        "OMP_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
    },
    "NumPy without AVX-512": {"NPY_DISABLE_CPU_FEATURES": " ".join(set(vectors()) - {"X86_V3"})},
    "OpenBLAS for another processor": {"OPENBLAS_CORETYPE": "Nehalem"},
}


@pytest.fixture(scope="module")
def found(chevet_data: Path) -> dict[str, str]:
    """Start a process for each environment, all at once, and give what they print."""
    started = {
        name: subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.determinism.offline"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "CHEVET_DATA": str(chevet_data), **environment},
        )
        for name, environment in ENVIRONMENTS.items()
    }
    return {name: process.communicate(timeout=150)[0] for name, process in started.items()}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_environment_changes_nothing(found: dict[str, str], environment: str) -> None:
    expected = [f"{record} {processed(recorded(record))}" for record in RECORDS]

    assert found[environment].splitlines()[1:] == expected


def test_wide_vectors_are_really_off(found: dict[str, str]) -> None:
    used = {environment: said.splitlines()[0] for environment, said in found.items()}

    assert used["one thread, hash seed 1"] == f"vectors: {' '.join(vectors())}"
    assert used["NumPy without AVX-512"].split()[1:] in ([], ["X86_V3"])
