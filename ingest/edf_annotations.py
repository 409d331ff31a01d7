"""Annotation signals of EDF+ and BDF+: when each data record begins, and what is marked.

Source: Kemp and Olivan, Clin. Neurophysiol. 114:1755-1761 (2003), section 2.2: time-stamped
annotations lists.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from ingest.errors import RecordingError

_DURATION, _TEXT, _END = b"\x15", b"\x14", b"\0"

# As many digits as anybody needs: a number of ten thousand digits is a hostile one.
_ONSET: Final = re.compile(rb"[+-]\d{1,12}(\.\d{0,12})?")
_LENGTH: Final = re.compile(rb"\d{1,12}(\.\d{0,12})?")

_BEAT: Final = re.compile(r"beat .+|r[ -](wave|peak)s?|qrs( complex)?", re.IGNORECASE)
"""What marks a beat: as Chevet writes it, and as people do."""


_FOUND: Final = "[qrs] "
"""In front of what Chevet has found, where it stands beside what people say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdfAnnotation:
    """Something that is marked."""

    onset_s: Fraction
    """Seconds from the file's start, which is a whole second."""
    duration_s: Fraction | None
    text: str


def decode_annotations(content: bytes) -> list[EdfAnnotation]:
    """Read what an annotation signal holds in one data record.

    In the first annotation signal the first annotation has no text, and says when the record
    begins.

    Raises
    ------
    RecordingError
    """
    return [one for part in content.split(_END) if part for one in _of_list(part)]


def _of_list(content: bytes) -> Iterator[EdfAnnotation]:
    head, *texts = content.split(_TEXT)
    onset, has_duration, duration = head.partition(_DURATION)
    is_number = _ONSET.fullmatch(onset) and (not has_duration or _LENGTH.fullmatch(duration))
    if not is_number or not texts or texts[-1]:
        raise RecordingError(
            f"{content[:60]!r} is no annotation: it must be an onset with its sign in seconds, a "
            "duration behind byte 21 if it has one, and texts, each between bytes 20"
        )
    for text in texts[:-1]:
        yield EdfAnnotation(
            onset_s=Fraction(onset.decode()),
            duration_s=Fraction(duration.decode()) if has_duration else None,
            text=text.decode("utf-8", "replace"),
        )


def is_beat(text: str) -> bool:
    """Tell whether a text marks a heart beat."""
    return _BEAT.fullmatch(text.strip().removeprefix(_FOUND)) is not None


def is_found_beat(text: str) -> bool:
    """Tell whether a text marks a heart beat that Chevet has found by itself."""
    return text.startswith(_FOUND) and is_beat(text)
