"""HL7 version 2 as text: escapes, segments, times and numbers.

Source: HL7 v2.6, chapter 2 (control) and 2A (data types).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from ingest.frame import NS_PER_S

END: Final = "\r"
ENCODING_CHARACTERS: Final = "^~\\&"
_NS_PER_TICK: Final = 100_000
"""The finest time that HL7 v2 can say: a tenth of a millisecond."""

_ESCAPES: Final = str.maketrans(
    {
        "\\": "\\E\\",
        "|": "\\F\\",
        "^": "\\S\\",
        "&": "\\T\\",
        "~": "\\R\\",
        "\r": "\\X0D\\",
        "\n": "\\X0A\\",
    }
)


def escaped(text: str) -> str:
    """Write text so that no character of it is taken for a separator."""
    return text.translate(_ESCAPES)


def components(*parts: str) -> str:
    """Join the components of a field; empty ones at the end are left out."""
    return "^".join(map(escaped, parts)).rstrip("^")


def segment(name: str, fields: Mapping[int, str]) -> str:
    """Write a segment.

    Parameters
    ----------
    name
        Three letters.
    fields
        By number from 1, already escaped.
    """
    cells = [fields.get(i, "") for i in range(1, max(fields) + 1)]
    return "|".join([name, *cells]) + END


def header(fields: Mapping[int, str]) -> str:
    """Write the segment MSH, whose first two fields are the separators themselves."""
    cells = [fields.get(i, "") for i in range(3, max(fields) + 1)]
    return "|".join(["MSH", ENCODING_CHARACTERS, *cells]) + END


def date_time(t_ns: int) -> str:
    """Write UTC nanoseconds as a DTM, to the tenth of a millisecond before."""
    seconds, rest_ns = divmod(t_ns, NS_PER_S)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%d%H%M%S")
    return f"{whole}.{rest_ns // _NS_PER_TICK:04d}+0000"


def number(value: float) -> str:
    """Write a number as an NM: every digit of it, and no exponent."""
    return f"{Decimal(repr(value)):f}"
