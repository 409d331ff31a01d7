"""What of an annotation file a comparator looks at: beats with their labels, and spans.

Source: ANSI/AAMI EC57:2012, beat labels; WFDB Applications Guide, annotations for evaluations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.wfdb_annotations import Annotation

Ints = NDArray[np.int64]

LABELS: Final = "NSVFQ"
"""Normal, supraventricular ectopic, ventricular ectopic, fusion, and what cannot be told."""

LABEL_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        symbol: label
        for label, symbols in {
            "N": "NLRB",
            "S": "aJASejn",
            "V": "VrE",
            "F": "F",
            "Q": "/fQ?",
        }.items()
        for symbol in symbols
    }
)
"""The label of every annotation that marks a beat; paced beats count as Q, as in ``bxb``."""

END_SAMPLE: Final = 2**40
"""Where a span ends that its file does not end."""

_SHUTDOWN_BITS: Final = 0x30
"""No signal is readable: in the subtype of a ``~``."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BeatTrack:
    """The beats of one annotation file, and the spans that change how they count."""

    samples: Ints
    """Ascending; shape ``(n_beats,)``."""
    labels: Ints
    """Index into `LABELS`; shape ``(n_beats,)``."""
    fibrillation: Ints
    """First and last sample of each ventricular flutter or fibrillation; shape ``(n, 2)``."""
    shutdown: Ints
    """First and last sample of each shutdown; shape ``(n, 2)``."""


def beat_track(annotations: Iterable[Annotation], *, scale: float = 1.0) -> BeatTrack:
    """Sort a file's annotations out.

    Parameters
    ----------
    scale
        Samples of the wanted grid per sample of the file; times are rounded to the grid.
    """
    ordered = sorted(annotations, key=lambda one: one.sample)
    beats = [one for one in ordered if one.symbol in LABEL_OF]
    return BeatTrack(
        samples=scaled([one.sample for one in beats], scale),
        labels=np.array([LABELS.index(LABEL_OF[one.symbol]) for one in beats], dtype=np.int64),
        fibrillation=scaled(spans(ordered, fibrillates), scale).reshape(-1, 2),
        shutdown=scaled(spans(ordered, _is_shut_down), scale).reshape(-1, 2),
    )


def scaled(samples: Sequence[int] | Sequence[tuple[int, int]], scale: float) -> Ints:
    """Bring sample numbers to another grid."""
    return np.rint(np.array(samples, dtype=np.float64) * scale).astype(np.int64)


def spans(
    ordered: Iterable[Annotation], state: Callable[[Annotation], bool | None]
) -> list[tuple[int, int]]:
    """Find where a state lasts.

    Parameters
    ----------
    ordered
        In order of time.
    state
        True where an annotation begins the state or goes on with it, False where it ends it, None
        where it says nothing of it.
    """
    found: list[tuple[int, int]] = []
    began: int | None = None
    for one in ordered:
        lasts = state(one)
        if lasts and began is None:
            began = one.sample
        elif lasts is False and began is not None:
            found.append((began, one.sample))
            began = None
    return found if began is None else [*found, (began, END_SAMPLE)]


def fibrillates(one: Annotation) -> bool | None:
    """Tell what an annotation says of ventricular flutter or fibrillation; see `spans`."""
    return {"[": True, "]": False}.get(one.symbol)


def _is_shut_down(one: Annotation) -> bool:
    # A file that does not say when the signal came back shows it by its next annotation.
    return one.symbol == "~" and one.subtype & _SHUTDOWN_BITS == _SHUTDOWN_BITS


def without_fibrillation(track: BeatTrack) -> BeatTrack:
    """Leave out the beats that a file marks within ventricular flutter or fibrillation."""
    is_kept = ~within(track.samples, track.fibrillation)
    return replace(track, samples=track.samples[is_kept], labels=track.labels[is_kept])


def within(samples: Ints, intervals: Ints) -> NDArray[np.bool_]:
    """Tell of each sample whether it lies in one of the intervals, both ends included."""
    inside = np.zeros(samples.size, dtype=bool)
    for first, last in intervals.tolist():
        inside |= (samples >= first) & (samples <= last)
    return inside
