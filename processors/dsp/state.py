"""How a stream step is written down, so that another process continues where it stood.

A state is ``magic, CRC-32, header length, header as JSON, arrays, parts``: numbers survive bit for
bit, and damage is noticed. A part that is a state itself has a sum of its own and is not summed
again: of steps within steps, every byte would be summed at each level.

    StateError              start afresh: what was kept cannot be used
    ├── StateVersionError   written by another step or another version of it
    └── MalformedStateError not a state at all, or a damaged one
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Scalar = int | float | str | bool | None
Array = NDArray[np.float64] | NDArray[np.int64]

_MAGIC = b"CVS2"
_LENGTH_AT = len(_MAGIC) + 4
_HEADER_AT = _LENGTH_AT + 4
_FLOAT = "<f8"
_INT = "<i8"
_ITEM_BYTES = 8
_to_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


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
        text = _to_json(header).encode()
        own = b"".join((len(text).to_bytes(4, "little"), text, *blobs))
        crc = _sum(own, self.children.values())
        return b"".join((_MAGIC, crc.to_bytes(4, "little"), own, *self.children.values()))

    @classmethod
    def from_bytes(cls, state: bytes, *, kind: str, version: int) -> State:
        """Read it back; another kind or version raises StateVersionError."""
        with translated_errors(kind):
            return _decode(state, kind=kind, version=version)

    def integer(self, name: str) -> int:
        """Return a whole number."""
        value = self._scalar(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise MalformedStateError(f"{self.kind}: {name} is {value!r}, not a whole number")
        return value

    def optional_integer(self, name: str) -> int | None:
        """Return a whole number or None."""
        return None if self._scalar(name) is None else self.integer(name)

    def number(self, name: str) -> float:
        """Return a finite number."""
        value = self._scalar(name)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            raise MalformedStateError(f"{self.kind}: {name} is {value!r}, not a finite number")
        return float(value)

    def flag(self, name: str) -> bool:
        """Return True or False."""
        value = self._scalar(name)
        if not isinstance(value, bool):
            raise MalformedStateError(f"{self.kind}: {name} is {value!r}, not true or false")
        return value

    def text(self, name: str) -> str:
        """Return a text."""
        value = self._scalar(name)
        if not isinstance(value, str):
            raise MalformedStateError(f"{self.kind}: {name} is {value!r}, not a text")
        return value

    def optional_text(self, name: str) -> str | None:
        """Return a text or None."""
        return None if self._scalar(name) is None else self.text(name)

    def float_array(self, name: str, shape: Sequence[int | None]) -> NDArray[np.float64]:
        """Return an array of finite floats; None in ``shape`` is any length."""
        array = self._array(name, _FLOAT, shape)
        if not np.isfinite(array).all():
            raise MalformedStateError(f"{self.kind}: {name} is not finite")
        return array.astype(np.float64)

    def int_array(self, name: str) -> NDArray[np.int64]:
        """Return a one-dimensional array of whole numbers."""
        return self._array(name, _INT, (None,)).astype(np.int64)

    def child(self, name: str) -> bytes:
        """Return the state of a part."""
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


@contextmanager
def translated_errors(kind: str) -> Generator[None, None, None]:
    """Name whatever goes wrong while a state is read a MalformedStateError."""
    try:
        yield
    except StateError:
        raise
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as e:
        raise MalformedStateError(f"{kind}: {e}") from e


def _fits(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    return len(shape) == len(wanted) and all(
        w is None or n == w for n, w in zip(shape, wanted, strict=True)
    )


def _array_bytes(array: Array) -> bytes:
    if array.dtype.str not in (_FLOAT, _INT):
        raise TypeError(f"arrays of {array.dtype} are not kept")
    return array.tobytes()


def _sum(own: bytes, parts: Iterable[bytes]) -> int:
    """CRC-32 of what a state has itself, and of those of its parts that are no states."""
    crc = zlib.crc32(own)
    for part in parts:
        if not part.startswith(_MAGIC):
            crc = zlib.crc32(part, crc)
    return crc


def _decode(state: bytes, *, kind: str, version: int) -> State:
    if not state.startswith(_MAGIC):
        raise MalformedStateError(f"{kind}: no state ({len(state)} bytes)")
    at = _HEADER_AT + int.from_bytes(state[_LENGTH_AT:_HEADER_AT], "little")
    header = json.loads(state[_HEADER_AT:at].decode())
    arrays: dict[str, Array] = {}
    for name, (dtype, *shape) in header["arrays"].items():
        n_bytes = math.prod(shape) * _ITEM_BYTES
        arrays[name] = _array(_piece(state, at, n_bytes), dtype, shape)
        at += n_bytes
    own = state[_LENGTH_AT:at]
    children: dict[str, bytes] = {}
    for name, n_bytes in header["children"].items():
        children[name] = _piece(state, at, n_bytes)
        at += n_bytes
    crc = int.from_bytes(state[len(_MAGIC) : _LENGTH_AT], "little")
    if at != len(state) or crc != _sum(own, children.values()):
        raise MalformedStateError(f"{kind}: a damaged state ({len(state)} bytes)")
    found = f"{header['kind']} {header['version']}"
    if found != f"{kind} {version}":
        raise StateVersionError(expected=f"{kind} {version}", found=found)
    return State(
        kind=kind,
        version=version,
        scalars=dict(header["scalars"]),
        arrays=arrays,
        children=children,
    )


def _piece(state: bytes, at: int, n_bytes: int) -> bytes:
    if n_bytes < 0 or at + n_bytes > len(state):
        raise MalformedStateError(f"truncated: needed {n_bytes} bytes, {len(state) - at} available")
    return state[at : at + n_bytes]


def _array(piece: bytes, dtype: str, shape: list[int]) -> Array:
    if dtype == _FLOAT:
        return np.frombuffer(piece, dtype=np.float64).reshape(shape)
    if dtype == _INT:
        return np.frombuffer(piece, dtype=np.int64).reshape(shape)
    raise MalformedStateError(f"arrays of {dtype} are not kept")
