"""The small parts that FHIR resources are made of: identities, times, codes, quantities.

Source: HL7 FHIR R4 4.0.1, data types; Personal Health Device Implementation Guide 2.0.0 (PHD).
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, TypeAlias
from uuid import uuid5

from ingest.frame import NS_PER_S
from processors.exports.codings import CHEVET, NAMESPACE, NO_UNIT, UCUM, Coding

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json]"
Resource: TypeAlias = dict[str, Json]
"""A resource, ``resourceType`` and ``id`` within."""

FHIR: Final = "http://hl7.org/fhir/StructureDefinition"
PHD: Final = "http://hl7.org/fhir/uv/phd/StructureDefinition"
TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem"
PHD_CATEGORIES: Final = "http://hl7.org/fhir/uv/phd/CodeSystem/PhdObservationCategories"

SUBJECTS: Final = uuid5(NAMESPACE, "subjects").urn
"""System of the pseudonyms of subjects."""
DEVICES: Final = uuid5(NAMESPACE, "devices").urn
"""System of the pseudonyms of devices and agents."""

TEST_DATA: Final[Json] = {"system": f"{TERMINOLOGY}/v3-ActReason", "code": "HTEST"}
"""Label of what is nobody's."""

UNKNOWN: Final[Json] = {
    "extension": [{"url": f"{FHIR}/data-absent-reason", "valueCode": "unknown"}],
}
"""In the place of a string that must be there and that nobody knows."""


def resource_id(kind: str, *parts: str) -> str:
    """Name a resource by what it is about, so that it has the same name in every export.

    Parameters
    ----------
    kind
        The type of the resource, or what sort of it.
    parts
        What tells it from the others of its kind, as exported: who has the name may try out what
        it was made of.
    """
    # The length of each part goes in: "a", "bc" is not "ab", "c".
    return str(uuid5(NAMESPACE, json.dumps([kind, *parts], ensure_ascii=False)))


def urn(identity: str) -> str:
    """Write an id as the address that a bundle knows the resource by."""
    return f"urn:uuid:{identity}"


def reference(identity: str) -> Json:
    """Point to a resource of the same bundle."""
    return {"reference": urn(identity)}


def instant(t_ns: int) -> str:
    """Write UTC nanoseconds as an instant: all of them, and no more digits than are needed."""
    seconds, rest_ns = divmod(t_ns, NS_PER_S)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{rest_ns:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{whole}.{digits}Z" if digits else f"{whole}Z"


def coding(code: Coding) -> Json:
    """Write one code."""
    found = {"system": code.system, "code": code.code}
    return found | {"display": code.display} if code.display else found


def concept(codes: Sequence[Coding], text: str) -> Json:
    """Write codes for one and the same thing, and the thing in words."""
    return {"coding": [coding(one) for one in codes], "text": text}


def own(code: str, text: str) -> Json:
    """Write a code that no other system has."""
    return concept([Coding(CHEVET, code)], text)


def quantity(value: float, ucum: str, factor: Decimal = Decimal(1)) -> Json:
    """Write a number with its unit.

    Parameters
    ----------
    value
        Every digit of it is kept.
    ucum
        Unit of what is written; empty: none was stated.
    factor
        From the unit of `value` to that; exact.
    """
    if factor != 1:
        # In decimals, as it was written: 1.83 m are 183 cm, and not 183.00000000000003.
        value = float(Decimal(repr(value)) * factor)
    unit = ucum or NO_UNIT
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


def category(code: str) -> Json:
    """Write a category of observations."""
    return {"coding": [{"system": f"{TERMINOLOGY}/observation-category", "code": code}]}


PHD_CATEGORY: Final[Json] = {"coding": [{"system": PHD_CATEGORIES, "code": "phd-observation"}]}
"""What marks an observation that a personal health device made."""


def identifier_of(identity: str) -> Json:
    """Write the id as an identifier, for a server that gives ids of its own."""
    return [{"system": "urn:ietf:rfc:3986", "value": urn(identity)}]


def extension(url: str, **value: Json) -> Json:
    """Write an extension: its address and its one value."""
    return {"url": url, **value}
