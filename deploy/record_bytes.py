"""What the bytes of a refused record are, as far as this version of Chevet can tell."""

import functools
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any, Final

import fastavro

from ingest.codec import (
    HEADER_BYTES,
    MARKER,
    decode_alarm,
    decode_dead_letter,
    decode_frame,
    decode_observations,
    decode_role_status,
    fingerprint,
)
from ingest.errors import RecordError

BYTES_PER_LINE: Final = 16
DUMP_BYTES_MAX: Final = 1_024
"""Bytes of a hex dump; the whole goes to a file."""

TEXT_CHARS_MAX: Final = 200
"""Characters shown of a text that somebody else wrote."""

_DECODERS: Final[Mapping[str, Callable[[bytes], object]]] = MappingProxyType(
    {
        "alarm": decode_alarm,
        "dead_letter": decode_dead_letter,
        "frame": decode_frame,
        "observation": decode_observations,
        "role_status": decode_role_status,
    }
)
_PLAIN_TYPES: Final = frozenset({"boolean", "double", "float", "int", "long", "string"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordBytes:
    """What bytes turned out to be."""

    schema: str | None
    """Such as ``frame.2``; None: no header, or of no schema that is known here."""
    leading: Mapping[str, Any]
    """The plain fields that a record of this schema begins with, as many as can be read."""
    trouble: str | None
    """Why they cannot be read; None: they can."""

    def as_text(self) -> str:
        """Say it in a line."""
        fields = ", ".join(f"{name} {printable(value)}" for name, value in self.leading.items())
        what = f"{self.schema or 'no known record'}{f' ({fields})' if fields else ''}"
        return f"{what}: " + ("can be read" if self.trouble is None else printable(self.trouble))


def inspect(payload: bytes) -> RecordBytes:
    """Tell what bytes are; any bytes will do."""
    schema = schema_of(payload)
    if schema is None:
        # Any of the decoders says what is wrong with a header.
        return RecordBytes(schema=None, leading={}, trouble=_trouble(decode_frame, payload))
    decode = _DECODERS[schema.partition(".")[0]]
    return RecordBytes(
        schema=schema,
        leading=dict(_leading_fields(schema, payload)),
        trouble=_trouble(decode, payload),
    )


def schema_of(payload: bytes) -> str | None:
    """Name the schema that the header states; None where it is none of ours."""
    if len(payload) < HEADER_BYTES or payload[: len(MARKER)] != MARKER:
        return None
    return _schemas().get(payload[len(MARKER) : HEADER_BYTES])


def _trouble(decode: Callable[[bytes], object], payload: bytes) -> str | None:
    try:
        decode(payload)
    except RecordError as error:
        return str(error)
    return None


@functools.cache
def _schemas() -> Mapping[bytes, str]:
    """Give the names of the schemas by fingerprint."""
    files = resources.files("ingest").joinpath("schemas").iterdir()
    names = (file.name.removesuffix(".avsc") for file in files if file.name.endswith(".avsc"))
    return {fingerprint(name): name for name in names}


def _leading_fields(schema: str, payload: bytes) -> Iterator[tuple[str, Any]]:
    text = resources.files("ingest").joinpath("schemas", f"{schema}.avsc").read_text("utf-8")
    buffer = io.BytesIO(payload)
    buffer.seek(HEADER_BYTES)
    for field in json.loads(text)["fields"]:
        if not isinstance(field["type"], str) or field["type"] not in _PLAIN_TYPES:
            return
        try:
            yield field["name"], fastavro.schemaless_reader(buffer, field["type"], None)
        except (ArithmeticError, EOFError, LookupError, MemoryError, TypeError, ValueError):
            return


def printable(value: object) -> str:
    """Make a text safe to print: control characters shown, not sent to the terminal; not long."""
    text = str(value)
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= TEXT_CHARS_MAX else f"{shown[:TEXT_CHARS_MAX]}…"


def hex_dump(payload: bytes) -> str:
    """Lay the first bytes out as ``hexdump -C`` does."""
    lines = []
    for at in range(0, min(len(payload), DUMP_BYTES_MAX), BYTES_PER_LINE):
        part = payload[at : at + BYTES_PER_LINE]
        halves = "  ".join(part[i : i + 8].hex(" ") for i in (0, 8))
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)  # noqa: PLR2004
        lines.append(f"{at:08x}  {halves:<49}|{text}|")
    if (n_left := len(payload) - DUMP_BYTES_MAX) > 0:
        lines.append(f"… and {n_left} bytes more: --out FILE writes all of them")
    return "\n".join(lines)
