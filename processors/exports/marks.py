"""Beats and labels by time, as they go into every format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from ingest.annotation import ANNOTATOR, NOTE, SubjectAnnotation
from ingest.annotation_words import Said, words_of
from ingest.frame import NS_PER_S
from ingest.wfdb_annotations import AUX_BYTES_MAX, CODES, Annotation, code_of
from processors.exports.tracks import ExportError
from processors.scoring.tracks import LABEL_OF

_SUBTYPES: Final = range(-128, 128)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that is marked: a beat, a rhythm, a label of a researcher."""

    t_ns: int
    """UTC."""
    symbol: str = NOTE
    """As in WFDB annotations: ``N`` a normal beat, ``+`` a rhythm, ``"`` a text."""
    text: str = ""
    subtype: int = 0
    """-128 to 127, of WFDB only."""
    chan: int = 0
    num: int = 0
    """0 to 255 and -128 to 127, of WFDB only."""
    duration_ns: int = 0
    """0: a moment."""
    annotator: str = ""
    """The set that it belongs to; empty: the one of all that are not told apart."""

    def __post_init__(self) -> None:
        if code_of(self.symbol) is None or self.subtype not in _SUBTYPES or self.duration_ns < 0:
            raise ExportError(
                f"mark {self.symbol!r} with subtype {self.subtype} and {self.duration_ns} ns: "
                f"symbols are {''.join(CODES)}, subtypes -128 to 127, durations not negative"
            )

    @property
    def is_beat(self) -> bool:
        """Whether it marks a heart beat."""
        return self.symbol in LABEL_OF

    @property
    def words(self) -> str:
        """What it says where there are texts only: ``beat N``, ``+ (AFIB``, or the bare text."""
        return words_of(
            Said(
                annotator=self.annotator or ANNOTATOR,
                symbol=self.symbol,
                subtype=self.subtype,
                chan=self.chan,
                num=self.num,
                text=self.text,
            )
        )


def marks_of_annotations(annotations: Iterable[SubjectAnnotation]) -> Iterator[Mark]:
    """Give what people say as marks, each of its set."""
    for one in annotations:
        yield Mark(
            t_ns=one.t_ns,
            symbol=one.symbol,
            text=one.text,
            subtype=one.subtype,
            chan=one.chan,
            num=one.num,
            duration_ns=one.duration_ns,
            annotator=one.annotator,
        )


def marks_of(annotations: Iterable[Annotation], start_ns: int, rate: Fraction) -> Iterator[Mark]:
    """Give annotations their times.

    Parameters
    ----------
    start_ns
        UTC of the sample that they count from.
    rate
        Of what they count, per second.
    """
    for one in annotations:
        since_ns = one.sample * NS_PER_S / rate
        yield Mark(
            t_ns=start_ns + int(since_ns),
            symbol=one.symbol,
            text=one.aux,
            subtype=one.subtype,
            chan=one.chan,
            num=one.num,
        )


def annotations_of(
    marks: Iterable[Mark], start_ns: int, rate: Fraction, n_frames: int
) -> tuple[list[Annotation], list[str]]:
    """Count marks in frames, each to the nearest.

    A mark with a duration becomes two notes, ``begins`` and ``ends``: annotations of WFDB are
    moments.

    Returns
    -------
    The annotations in order of time, and in words what was lost of them.
    """
    found: list[Annotation] = []
    n_outside = n_cut = 0
    for mark in sorted(_moments(marks), key=lambda one: one.t_ns):
        sample = round((mark.t_ns - start_ns) * rate / NS_PER_S)
        if not 0 <= sample < n_frames:
            n_outside += 1
            continue
        aux = mark.text.encode("latin-1", "replace")
        n_cut += len(aux) > AUX_BYTES_MAX or aux.decode("latin-1") != mark.text
        found.append(
            Annotation(
                sample=sample,
                symbol=mark.symbol,
                subtype=mark.subtype,
                chan=mark.chan,
                num=mark.num,
                aux=aux[:AUX_BYTES_MAX].decode("latin-1"),
            )
        )
    lost: list[str] = []
    if n_outside:
        lost.append(f"{n_outside} marks lie outside of the record and are not in its annotations")
    if n_cut:
        lost.append(
            f"{n_cut} texts are cut at {AUX_BYTES_MAX} bytes, or not in Latin-1 as they were"
        )
    return found, lost


def _moments(marks: Iterable[Mark]) -> Iterator[Mark]:
    for mark in marks:
        if not mark.duration_ns:
            yield mark
            continue
        words = replace(mark, annotator="").words
        yield Mark(t_ns=mark.t_ns, text=f"{words} begins")
        yield Mark(t_ns=mark.t_ns + mark.duration_ns, text=f"{words} ends")
