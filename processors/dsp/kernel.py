"""Loops over samples, compiled: the same source is the compiled kernel and its oracle.

A kernel is a function of arrays that goes through its samples one by one and keeps what it must
remember in a record (a NumPy structured array of one element). So the order of every floating-point
operation is fixed by the sample index and not by how the input was cut, and a state is the bytes of
its record. ``kernel_function.py_func`` is the plain Python form; tests compare the two bit for bit.

Inside kernels stand only arithmetic, ``math`` and loops; no fastmath, so that nothing is reordered.

The machine code is kept in a folder named after all kernels' sources: numba itself looks only at
the file of the kernel that is called, and would go on with old code of those that this one calls.
"""

from __future__ import annotations

import hashlib
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba  # pyright: ignore[reportMissingTypeStubs]
import numpy as np
from numpy.typing import NDArray

from processors.dsp.state import MalformedStateError

Record = NDArray[np.void]
"""A structured array of shape ``(1,)``: everything that a kernel remembers."""

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_PACKAGE: Final = Path(__file__).parents[1]
_PREFIX: Final = "kernels-"


def _sources_digest() -> str:
    """Fingerprint of everything that goes into a kernel."""
    digest = hashlib.sha256()
    for pattern in ("*_kernel.py", "*_layout.py"):
        for source in sorted(_PACKAGE.rglob(pattern)):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _cache_folder() -> Path:
    """Where ``NUMBA_CACHE_DIR`` says, else beside the sources, else in the user's cache."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    beside = _PACKAGE / "__pycache__"
    if named:
        base = Path(named)
    elif os.access(beside if beside.is_dir() else _PACKAGE, os.W_OK):
        base = beside
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chevet"
    return base / f"{_PREFIX}{_sources_digest()}"


CACHE_FOLDER: Final = _cache_folder()
"""Machine code of these sources."""
cast("Any", numba).config.CACHE_DIR = str(CACHE_FOLDER)


def forget_old_kernels() -> None:
    """Remove the machine code of other versions of the sources."""
    for folder in CACHE_FOLDER.parent.glob(f"{_PREFIX}*"):
        if folder != CACHE_FOLDER:
            shutil.rmtree(folder, ignore_errors=True)


def kernel(function: Kernel) -> Kernel:
    """Compile at the first call and keep the machine code in ``CACHE_FOLDER``.

    Where no cache can be written it is compiled anew in each process.
    """
    compiler = cast("Any", numba)
    try:
        return cast("Kernel", compiler.njit(cache=True)(function))
    except RuntimeError:
        return cast("Kernel", compiler.njit(function))


def new_record(dtype: np.dtype[np.void]) -> Record:
    """Make a record of zeros."""
    return np.zeros(1, dtype)


def restored_record(state: bytes, dtype: np.dtype[np.void]) -> Record:
    """Read a record back from its ``tobytes()``.

    Raises
    ------
    MalformedStateError
        The bytes are not one record of this layout, or a number among them is not finite.
    """
    if len(state) != dtype.itemsize:
        raise MalformedStateError(f"a record of {len(state)} bytes, not {dtype.itemsize}")
    record = np.frombuffer(state, dtype).copy()
    for name, (field_type, *_) in (dtype.fields or {}).items():
        if field_type.base.kind == "f" and not _is_finite(record[name]):
            raise MalformedStateError(f"{name} of a record is not finite")
    return record


def _is_finite(values: NDArray[np.float64]) -> bool:
    return math.isfinite(float(np.abs(values).max(initial=0.0)))
