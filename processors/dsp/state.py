"""How a stream step is written down, so that another process continues where it stood.

A state is ``magic, header length, header as JSON, arrays``: numbers survive bit for bit.

    StateError              start afresh: what was kept cannot be used
    ├── StateVersionError   written by another step or another version of it
    └── MalformedStateError not a state at all, or a damaged one
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Scalar = int | float | str | bool | None
Array = NDArray[np.float64] | NDArray[np.int64]

_MAGIC = b"CVS1"
_HEADER_AT = len(_MAGIC) + 4
_DTYPES = {"<f8": np.dtype("<f8"), "<i8": np.dtype("<i8")}


class StateError(ValueError):
    """The kept state cannot be used."""


class StateVersionError(StateError):
    """The state is of another step, or of another version of this one."""

    def __init__(self, *, expected: str, found: str) -> None:
        super().__init__(f"state is {found}, not {expected}")
        self.expected = expected
        self.found = found


class MalformedStateError(StateError):
    """The bytes are not a state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything one step remembers; ``children`` are the states of its parts."""

    kind: str
    version: int
    scalars: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])
    arrays: Mapping[str, Array] = field(default_factory=dict[str, Array])
    children: Mapping[str, bytes] = field(default_factory=dict[str, bytes])

    def to_bytes(self) -> bytes:
        """Write it down."""
        blobs = [_array_bytes(array) for array in self.arrays.values()]
        header = {
            "kind": self.kind,
            "version": self.version,
            "scalars": dict(self.scalars),
            "arrays": {name: [a.dtype.str, *a.shape] for name, a in self.arrays.items()},
            "children": {name: len(child) for name, child in self.children.items()},
        }
        text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
        parts = [_MAGIC, len(text).to_bytes(4, "little"), text, *blobs, *self.children.values()]
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, state: bytes, *, kind: str, version: int) -> State:
        """Read it back; another kind or version raises StateVersionError."""
        try:
            return _decode(state, kind=kind, version=version)
        except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise MalformedStateError(f"{kind}: {error}") from error

    def integer(self, name: str) -> int:
        """A whole number."""
        value = self._scalar(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise MalformedStateError(f"{self.kind}: {name} is {value!r}, not a whole number")
        return value

    def optional_integer(self, name: str) -> int | None:
        """A whole number, or None."""
        return None if self._scalar(name) is None else self.integer(name)

    def number(self, name: str) -> float:
        """A finite number."""
        value = self._scalar(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise MalformedStateError(f"{self.kind}: {name} is {value!r}, not a finite number")
        return float(value)

    def flag(self, name: str) -> bool:
        """True or False."""
        value = self._scalar(name)
        if not isinstance(value, bool):
            raise MalformedStateError(f"{self.kind}: {name} is {value!r}, not true or false")
        return value

    def float_array(self, name: str, shape: Sequence[int | None]) -> NDArray[np.float64]:
        """An array of finite floats; None in ``shape`` is any length."""
        array = self._array(name, "<f8", shape)
        if not np.isfinite(array).all():
            raise MalformedStateError(f"{self.kind}: {name} is not finite")
        return array.astype(np.float64)

    def int_array(self, name: str) -> NDArray[np.int64]:
        """A one-dimensional array of whole numbers."""
        return self._array(name, "<i8", (None,)).astype(np.int64)

    def child(self, name: str) -> bytes:
        """The state of a part."""
        if name not in self.children:
            raise MalformedStateError(f"{self.kind}: {name} is missing")
        return self.children[name]

    def _scalar(self, name: str) -> Scalar:
        if name not in self.scalars:
            raise MalformedStateError(f"{self.kind}: {name} is missing")
        return self.scalars[name]

    def _array(self, name: str, dtype: str, shape: Sequence[int | None]) -> Array:
        array = self.arrays.get(name)
        if array is None or array.dtype.str != dtype or not _fits(array.shape, shape):
            raise MalformedStateError(f"{self.kind}: {name} is missing or of another shape")
        return array


def _fits(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    return len(shape) == len(wanted) and all(
        w is None or n == w for n, w in zip(shape, wanted, strict=True)
    )


def _array_bytes(array: Array) -> bytes:
    if array.dtype.str not in _DTYPES:
        raise TypeError(f"{array.dtype} is not kept, only {', '.join(_DTYPES)}")
    return array.tobytes()


def _decode(state: bytes, *, kind: str, version: int) -> State:
    if state[: len(_MAGIC)] != _MAGIC or len(state) < _HEADER_AT:
        raise MalformedStateError(f"{kind}: not a state ({len(state)} bytes)")
    at = _HEADER_AT + int.from_bytes(state[len(_MAGIC) : _HEADER_AT], "little")
    header = json.loads(state[_HEADER_AT:at].decode())
    found = f"{header['kind']} {header['version']}"
    if found != f"{kind} {version}":
        raise StateVersionError(expected=f"{kind} {version}", found=found)
    arrays: dict[str, Array] = {}
    for name, (dtype, *shape) in header["arrays"].items():
        n_bytes = math.prod(shape) * _DTYPES[dtype].itemsize
        arrays[name] = _array(_piece(state, at, n_bytes), dtype, shape)
        at += n_bytes
    children: dict[str, bytes] = {}
    for name, n_bytes in header["children"].items():
        children[name] = _piece(state, at, n_bytes)
        at += n_bytes
    if at != len(state):
        raise MalformedStateError(f"{kind}: {len(state) - at} bytes too many")
    return State(
        kind=kind, version=version, scalars=header["scalars"], arrays=arrays, children=children
    )


def _piece(state: bytes, at: int, n_bytes: int) -> bytes:
    if n_bytes < 0 or at + n_bytes > len(state):
        raise MalformedStateError(f"truncated: needed {n_bytes} bytes, {len(state) - at} available")
    return state[at : at + n_bytes]


def _array(piece: bytes, dtype: str, shape: list[int]) -> Array:
    try:
        return np.frombuffer(piece, dtype=_DTYPES[dtype]).reshape(shape)
    except ValueError as error:
        raise MalformedStateError(str(error)) from error
