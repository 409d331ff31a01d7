"""The SubjectAnnotation: what somebody says of a moment or an interval of a subject's data. Pure.

Each is a version: whoever changes one writes the next version of the same ``annotation_id``, and
whoever takes it back a version that is ``retracted``. Nothing is ever overwritten.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from ingest.errors import MalformedRecordError
from ingest.frame import TIME_NS_MAX, check_names, check_texts, check_time
from ingest.wfdb_annotations import CODES, code_of

ANNOTATOR: Final = "atr"
"""The set that an annotation belongs to unless another is named, as in WFDB the reference."""

NOTE: Final = '"'
"""The symbol of what is text only."""

AUTHOR_CHARS_MAX: Final = 200
VERSION_MAX: Final = 2**31 - 1

ID_CHARS: Final = "letters and digits of ASCII and -_./:%@, at most 200"

_ANNOTATOR: Final = re.compile(r"[A-Za-z0-9_]{1,32}")
_ID: Final = re.compile(r"[A-Za-z0-9_./:%@-]{1,200}")
_NOT_ANNOTATORS: Final = frozenset({"hea", "dat"})
"""Suffixes of other files of a record."""

_SIGNED: Final = range(-128, 128)
_UNSIGNED: Final = range(256)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectAnnotation:
    """One version of an annotation.

    Raises
    ------
    MalformedRecordError
        The message names the field, what it is and what it may be.
    """

    subject_id: str
    annotation_id: str
    """The same in all versions."""
    version: int = 1
    """A later one replaces the earlier ones."""
    retracted: bool = False
    """Whether it does not hold any more."""
    annotator: str = ANNOTATOR
    """The set that it belongs to: the suffix of an annotation file."""
    t_ns: int
    """UTC, nanoseconds since 1970."""
    duration_ns: int = 0
    """0: a moment."""
    symbol: str = NOTE
    """As in WFDB annotations: ``N`` a normal beat, ``+`` a rhythm, ``"`` a text."""
    subtype: int = 0
    """Of WFDB, -128 to 127."""
    chan: int = 0
    """Of WFDB, the number of a signal in its record, 0 to 255."""
    num: int = 0
    """Of WFDB, -128 to 127."""
    text: str = ""
    device_id: str | None = None
    """The device that it is about; None: of all there is of the subject."""
    channel: str | None = None
    """And its channel; None: all of them."""
    author: str
    """Whoever says so, as they named themselves."""
    created_ns: int | None = None
    """When this version was made, UTC; None: nobody has said."""

    def __post_init__(self) -> None:
        check_names(
            subject_id=self.subject_id, device_id=self.device_id or "", channel=self.channel or ""
        )
        check_texts(text=self.text)
        check_time("t_ns", self.t_ns)
        check_time("created_ns", self.created_ns or 0)
        if not self.subject_id:
            raise MalformedRecordError("an annotation of nobody: subject_id is empty")
        if not _ID.fullmatch(self.annotation_id):
            raise MalformedRecordError(
                f"annotation_id {self.annotation_id[:80]!r}: it may have {ID_CHARS}"
            )
        if not _ANNOTATOR.fullmatch(self.annotator) or self.annotator.lower() in _NOT_ANNOTATORS:
            raise MalformedRecordError(
                f"annotator {self.annotator[:80]!r}: at most 32 letters, digits and _ of ASCII, "
                f"and none of {', '.join(sorted(_NOT_ANNOTATORS))}, which other files end with"
            )
        _check_author(self.author)
        if self.channel is not None and not self.device_id:
            raise MalformedRecordError(f"channel {self.channel!r} without the device that has it")
        if not 1 <= self.version <= VERSION_MAX:
            raise MalformedRecordError(
                f"version {self.version} of annotation {self.annotation_id}: 1 to {VERSION_MAX}"
            )
        if not 0 <= self.duration_ns <= TIME_NS_MAX - self.t_ns:
            raise MalformedRecordError(
                f"duration_ns {self.duration_ns} from {self.t_ns} on: an annotation ends when it "
                f"begins or later, and by {TIME_NS_MAX}"
            )
        self._check_code()

    def _check_code(self) -> None:
        if code_of(self.symbol) is None:
            raise MalformedRecordError(
                f"symbol {self.symbol[:20]!r} is none of WFDB: {''.join(CODES)}, or a bare code "
                "as [47]"
            )
        for name, value, allowed in (
            ("subtype", self.subtype, _SIGNED),
            ("chan", self.chan, _UNSIGNED),
            ("num", self.num, _SIGNED),
        ):
            if value not in allowed:
                raise MalformedRecordError(
                    f"{name} {value} is not within {allowed[0]} to {allowed[-1]}"
                )

    @property
    def end_ns(self) -> int:
        """When it ends; of a moment, when it is."""
        return self.t_ns + self.duration_ns

    @property
    def identity(self) -> tuple[str, str, int]:
        """Subject, annotation and version."""
        return (self.subject_id, self.annotation_id, self.version)

    @property
    def words(self) -> str:
        """What it says, for people to read: its text, or its symbol, or both."""
        text = "".join(one if one.isprintable() else " " for one in self.text).strip()
        return text if self.symbol == NOTE and text else f"{self.symbol} {text}".strip()

    def meets(self, start_ns: int | None, end_ns: int | None) -> bool:
        """Tell whether it has a part of the time from the one to before the other."""
        is_moment = not self.duration_ns
        is_behind = end_ns is not None and self.t_ns >= end_ns
        is_before = start_ns is not None and (
            self.t_ns < start_ns if is_moment else self.end_ns <= start_ns
        )
        return not (is_behind or is_before)

    def changed(
        self,
        *,
        author: str,
        created_ns: int | None,
        **changes: Any,  # noqa: ANN401
    ) -> "SubjectAnnotation":
        """Give its next version; what is not named stays.

        Raises
        ------
        MalformedRecordError
        """
        fixed = {"subject_id", "annotation_id", "version"} & changes.keys()
        if fixed:
            raise MalformedRecordError(f"{', '.join(sorted(fixed))} of an annotation stay")
        return replace(
            self, version=self.version + 1, author=author, created_ns=created_ns, **changes
        )


def _check_author(author: str) -> None:
    if not author.strip():
        raise MalformedRecordError("an annotation needs an author: who says so?")
    if len(author) > AUTHOR_CHARS_MAX or not author.isprintable():
        raise MalformedRecordError(
            f"author of {len(author)} characters; at most {AUTHOR_CHARS_MAX}, all printable, are "
            "allowed"
        )


def in_order(annotations: Iterable[SubjectAnnotation]) -> list[SubjectAnnotation]:
    """Sort annotations by time; of one time, by set, id and version."""
    return sorted(
        annotations, key=lambda one: (one.t_ns, one.annotator, one.annotation_id, one.version)
    )


def newest(annotations: Iterable[SubjectAnnotation]) -> list[SubjectAnnotation]:
    """Give what holds: of each the last version, if it was not taken back, in order of time.

    Parameters
    ----------
    annotations
        As they became known: where two are the same version of the same, the later one holds.
    """
    found: dict[tuple[str, str], SubjectAnnotation] = {}
    for one in annotations:
        key = (one.subject_id, one.annotation_id)
        known = found.get(key)
        if known is None or one.version >= known.version:
            found[key] = one
    return in_order(one for one in found.values() if not one.retracted)
