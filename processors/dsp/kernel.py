"""Loops over samples, compiled: the same source is the compiled kernel and its oracle.

A kernel is a function of arrays that goes through its samples one by one and keeps what it must
remember in a record (a NumPy structured array of one element). So the order of every floating-point
operation is fixed by the sample index and not by how the input was cut, and a state is the bytes of
its record. ``kernel_function.py_func`` is the plain Python form; tests compare the two bit for bit.

Inside kernels stand only arithmetic, ``math`` and loops; no fastmath, so that nothing is reordered.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba  # pyright: ignore[reportMissingTypeStubs]
import numpy as np
from numpy.typing import NDArray

from processors.dsp.state import MalformedStateError

Record = NDArray[np.void]
"""A structured array of shape ``(1,)``: everything that a kernel remembers."""

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def kernel(function: Kernel) -> Kernel:
    """Compile at the first call and keep the machine code beside the source where that is allowed.

    Where no cache can be written (a read-only installation without ``NUMBA_CACHE_DIR``), it is
    compiled anew in each process.
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
