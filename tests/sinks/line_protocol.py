"""A reader of line protocol, written from the reference and not from the writer.

Source: InfluxDB 2.x, "Line protocol": elements, data types, special characters.
"""

from collections.abc import Iterable
from dataclasses import dataclass

Field = int | float | bool | str


@dataclass(frozen=True, slots=True)
class Point:
    measurement: str
    tags: dict[str, str]
    fields: dict[str, Field]
    t_ns: int


def parse(line: bytes) -> Point:
    """Read one line, the whole of it."""
    text = line.decode()
    assert "\n" not in text
    head, at = _until(text, 0, " ")
    names = [_until(part, 0, "")[0] for part in _split(head, ",")]
    pairs = [_split(part, "=") for part in names[1:]]
    fields, at = _fields(text, at + 1)
    return Point(
        measurement=_plain(names[0]),
        tags={_plain(key): _plain(value) for key, value in pairs},
        fields=fields,
        t_ns=int(text[at + 1 :]),
    )


def points(lines: Iterable[bytes]) -> list[Point]:
    return [parse(line) for line in lines]


def _until(text: str, at: int, ends: str) -> tuple[str, int]:
    """Read raw text up to an end that no backslash precedes."""
    start = at
    while at < len(text) and text[at] not in ends:
        at += 2 if text[at] == "\\" and at + 1 < len(text) else 1
    return text[start:at], at


def _split(text: str, separator: str) -> list[str]:
    parts, at = [], -1
    while at < len(text):
        part, at = _until(text, at + 1, separator)
        parts.append(part)
    return parts


def _plain(raw: str) -> str:
    for character in ",= ":
        raw = raw.replace(f"\\{character}", character)
    return raw


def _fields(text: str, at: int) -> tuple[dict[str, Field], int]:
    fields: dict[str, Field] = {}
    while True:
        key, at = _until(text, at, "=")
        fields[_plain(key)], at = _value(text, at + 1)
        if text[at] == " ":
            return fields, at
        assert text[at] == ","
        at += 1


def _value(text: str, at: int) -> tuple[Field, int]:
    if text[at] == '"':
        raw, at = _until(text, at + 1, '"')
        return raw.replace('\\"', '"').replace("\\\\", "\\"), at + 1
    raw, at = _until(text, at, ", ")
    if raw in {"true", "false"}:
        return raw == "true", at
    return (int(raw[:-1]) if raw.endswith("i") else float(raw)), at
