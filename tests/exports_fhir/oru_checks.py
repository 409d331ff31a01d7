"""What a receiver of PCD-01 may hold a message to, besides what hl7apy knows of HL7 v2.

Source: IHE Patient Care Device Technical Framework, volume 2: OBX-3, OBX-4, OBX-6; the pairs of
codes as in `r4_checks`.
"""

from collections.abc import Iterator

from devices.ghs_units import ucum_of
from tests.exports_fhir.er7 import segments_of
from tests.exports_fhir.r4_checks import SAME


def problems(message: bytes) -> list[str]:
    """Everything that is wrong; empty: nothing."""
    return list(_problems(message))


def _problems(message: bytes) -> Iterator[str]:
    places: set[str] = set()
    for name, fields in segments_of(message):
        if name == "OBR":
            places = set()
        if name == "OBX":
            where = f"OBX {fields[3]} at {fields[4]}"
            yield from (f"{where}: {problem}" for problem in _row(fields, places))
            places.add(fields[4])


def _row(fields: list[str], places: set[str]) -> Iterator[str]:
    code, _, _, other, _, system = [*fields[3].split("^"), *[""] * 6][:6]
    if system == "LN" and code not in SAME.get(other, set()):
        yield f"LOINC {other} is not MDC {code}"
    unit = [*fields[6].split("^"), *[""] * 6]
    if unit[2] == "MDC" and unit[3] not in {ucum_of(int(unit[0]) - (4 << 16)), "/s"}:
        yield f"MDC unit {unit[0]} is not {unit[3]}"
    if fields[4] in places:
        yield "two rows with one place"
    parent = _parent(fields[4])
    if parent is not None and parent not in places:
        yield f"nothing stands at {parent}"
    if fields[11] == "X" and fields[5]:
        yield "a value that could not be obtained"


def _parent(place: str) -> str | None:
    steps = place.split(".")
    if len(steps) == 5:
        return ".".join(steps[:4])
    return None if steps[1:] == ["0", "0", "0"] else f"{steps[0]}.0.0.0"
