"""Avro records whose arrays are refused before there is room made for them.

An array in Avro is a series of blocks, each with the number of its items in front: few bytes may
announce many items, and items of few bytes become objects of many.

Source: Apache Avro 1.12 specification, "Complex types", "Arrays".
"""

import io
from collections.abc import Callable, Mapping
from typing import Any, Final

import fastavro

from ingest.errors import MalformedRecordError
from ingest.frame_limits import check_number

_LONG_BITS_MAX: Final = 64
_MORE: Final = 0x80
"""The bit of a byte behind which the number goes on."""

_Json = dict[str, Any]
_Read = Callable[[io.BytesIO], Any]


class BoundedReader:
    """Reads records of one schema, field by field.

    Parameters
    ----------
    document
        The schema: a record.
    n_items_max
        The most items of each array among its fields, by the field's name.
    """

    def __init__(self, document: _Json, n_items_max: Mapping[str, int]) -> None:
        named: _Json = {}

        def parsed(schema: Any) -> Any:  # noqa: ANN401
            if isinstance(schema, dict):
                schema = {"namespace": document["namespace"], **schema}
            return fastavro.parse_schema(schema, named_schemas=named)

        self._whole = _reader(fastavro.parse_schema(document))
        self._n_bytes_harmless = min(
            (
                n_items_max[field["name"]] * _n_bytes_min(field["type"]["items"])
                for field in document["fields"]
                if field["name"] in n_items_max
            ),
            default=0,
        )
        self._fields: dict[str, _Read] = {}
        for field in document["fields"]:
            name, schema = field["name"], field["type"]
            if name in n_items_max:
                item = parsed(schema["items"])
                self._fields[name] = _array_reader(name, item, n_items_max[name])
            else:
                self._fields[name] = _reader(parsed(schema))

    def read(self, buffer: io.BytesIO) -> _Json:
        """Read the next record; bytes that are none raise whatever fastavro raises of them.

        Raises
        ------
        MalformedRecordError
            An array is longer than it may be.
        """
        begin = buffer.tell()
        if buffer.getbuffer().nbytes - begin <= self._n_bytes_harmless:
            # Nearly always. So few bytes hold no array that is too long: all fields in one go.
            try:
                record: _Json = self._whole(buffer)
            except Exception:  # noqa: BLE001  # read field by field it fails again, and says why
                buffer.seek(begin)
            else:
                return record
        return {name: read(buffer) for name, read in self._fields.items()}


_N_BYTES_MIN: Final = {"null": 0, "float": 4, "double": 8}
"""Other types take a byte at the least: a number, a length, or which of several it is."""


def _n_bytes_min(schema: Any) -> int:  # noqa: ANN401
    """Give the fewest bytes that a value of a schema takes."""
    if isinstance(schema, dict):
        if schema["type"] == "record":
            return sum(_n_bytes_min(field["type"]) for field in schema["fields"])
        return _n_bytes_min(schema["type"])
    return 1 if isinstance(schema, list) else _N_BYTES_MIN.get(schema, 1)


def _reader(schema: Any) -> _Read:  # noqa: ANN401
    def read(buffer: io.BytesIO) -> Any:  # noqa: ANN401
        return fastavro.schemaless_reader(buffer, schema, None)

    return read


def _array_reader(name: str, item: Any, n_max: int) -> _Read:  # noqa: ANN401
    read_record = fastavro.schemaless_reader

    def read(buffer: io.BytesIO) -> list[Any]:
        items: list[Any] = []
        while n := _read_long(buffer):
            if n < 0:
                # The block's length in bytes follows, for those who skip it.
                n = -n
                _read_long(buffer)
            check_number(name, len(items) + n, n_max)
            items += [read_record(buffer, item, None) for _ in range(n)]
        return items

    return read


def _read_long(buffer: io.BytesIO) -> int:
    """Read a zigzag number, seven bits to a byte, the lowest first."""
    number = 0
    for shift in range(0, _LONG_BITS_MAX, 7):
        byte = ord(buffer.read(1) or b"\xff")
        number |= (byte & ~_MORE) << shift
        if byte < _MORE:
            return (number >> 1) ^ -(number & 1)
    raise MalformedRecordError("the number of an array's items does not end")
