"""Observations to Avro, written by hand: a worker writes twenty a second of every subject.

The bytes are those that any Avro writer makes by ``schemas/observation.2.avsc``. What an
observation has in common with the ones before it (its quantity, its algorithm, the names of its
channels, its second) is written once and kept.

Source: Apache Avro 1.12 specification, "Binary encoding".
"""

import functools
import struct
from collections.abc import Sequence
from typing import Final

from ingest.observation import Observation

_DOUBLE: Final = struct.Struct("<d").pack
_TWO_DOUBLES: Final = struct.Struct("<dd").pack
_NULL: Final = b"\x00"
_SECOND_OF_UNION: Final = b"\x02"
_END_OF_ARRAY: Final = b"\x00"
_LONG_MAX: Final = 2**63 - 1
_MORE: Final = 0x80


def observations_bytes(subject_id: str, observations: Sequence[Observation]) -> bytes:
    """Write the body of a record of schema ``observation.2``.

    Raises
    ------
    OverflowError, UnicodeEncodeError
        Avro cannot say it: a number beyond 64 bits, or half of a surrogate pair.
    """
    parts = [_string(subject_id), _long(len(observations))]
    for _, t_ns, name, mdc_code, unit, value, reason, quality, age_s, channels, *by in observations:
        parts += (
            _long(t_ns),
            _quantity(name, mdc_code, unit),
            _NULL if value is None else _SECOND_OF_UNION + _DOUBLE(value),
            _NULL if reason is None else _SECOND_OF_UNION + _string(reason),
            _TWO_DOUBLES(quality, age_s),
            _array(channels),
            _algorithm(*by),
        )
    parts.append(_END_OF_ARRAY)
    return b"".join(parts)


@functools.lru_cache(maxsize=256)
def _long(number: int) -> bytes:
    """Write zigzag, seven bits to a byte, the lowest first."""
    if not -_LONG_MAX - 1 <= number <= _LONG_MAX:
        raise OverflowError(f"{number} is beyond 64 bits")
    rest = number << 1 if number >= 0 else ~(number << 1)
    written = bytearray()
    while rest >= _MORE:
        written.append(rest & (_MORE - 1) | _MORE)
        rest >>= 7
    written.append(rest)
    return bytes(written)


@functools.lru_cache(maxsize=16_384)
def _string(text: str) -> bytes:
    utf_8 = text.encode()
    return _long(len(utf_8)) + utf_8


@functools.lru_cache(maxsize=256)
def _quantity(name: str, mdc_code: int, unit: str) -> bytes:
    return _string(name) + _long(mdc_code) + _string(unit)


@functools.lru_cache(maxsize=256)
def _algorithm(name: str, version: int) -> bytes:
    return _string(name) + _long(version)


def _array(texts: Sequence[str]) -> bytes:
    if not texts:
        return _END_OF_ARRAY
    return b"".join((_long(len(texts)), *map(_string, texts), _END_OF_ARRAY))
