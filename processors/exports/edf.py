"""EDF+ and BDF+ files: what the tracks of a subject are in them, and what they lose.

Source: Kemp et al., Electroencephalogr. Clin. Neurophysiol. 82:391-393 (1992); Kemp and Olivan,
Clin. Neurophysiol. 114:1755-1761 (2003); BioSemi, the BDF file format.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from types import MappingProxyType
from typing import Final

import numpy as np

from ingest.frame import NS_PER_S
from processors.exports.edf_cut import Cut, cut_into_records
from processors.exports.edf_fields import calibrate, shortest_fraction
from processors.exports.edf_header import (
    DIMENSION_CHARS,
    LABEL_CHARS,
    SAMPLE_BYTES,
    Column,
    EdfKind,
    encode_header,
    printable,
)
from processors.exports.marks import Mark
from processors.exports.tracks import ExportError, Track, common_rate, grouped

_N_PER_FRAME_MAX: Final = 1_024

_DIMENSIONS: Final[Mapping[str, str]] = MappingProxyType(
    {"1": "", "mm[Hg]": "mmHg", "[g]": "g", "Cel": "degC", "/min": "bpm"}
)
"""Of a UCUM code how EDF writes it; others are written as they are."""

_LARGER: Final = ("uV", "mV", 1_000)
"""A voltage that is too large for a header in the one unit is written in the other."""

_TEXT_CHARS_MAX: Final = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantisation:
    """How counts were changed that do not fit into a file: ``(count - shift) / step``, rounded."""

    step: int
    """1: none was rounded."""
    shift: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EdfFile:
    """A file as bytes."""

    name: str
    content: bytes
    quantised: Mapping[str, Quantisation]
    """By label, the signals of which the integers are others than those that were recorded."""
    lost: tuple[str, ...]
    """What the file does not hold of what was to be exported, in words."""


def encode_edf(
    name: str,
    tracks: Sequence[Track],
    marks: Iterable[Mark] = (),
    *,
    subject_id: str,
    kind: EdfKind = "edf",
) -> list[EdfFile]:
    """Encode tracks as few files: of signals that have samples at the same times one.

    A file without gaps is EDF+C. Where samples are missing it is EDF+D, whose data records end with
    the samples in front of a gap and go on behind it. No sample is invented to fill a record, so
    a record has as many as divide every stretch without a gap, in the worst case one.

    Parameters
    ----------
    name
        Of the first file, without suffix; the others have ``_2``, ``_3`` behind it.
    subject_id
        The pseudonym, all that a file says of the person.

    Raises
    ------
    ExportError
    """
    if not tracks:
        raise ExportError(f"{name}: there is no signal to export")
    marks = sorted(marks, key=lambda one: one.t_ns)
    files: list[EdfFile] = []
    for number, group in zip(count(1), grouped(tracks, _fits), strict=False):
        file_name = f"{name}.{kind}" if number == 1 else f"{name}_{number}.{kind}"
        files.append(_encode(file_name, group, marks, subject_id, kind))
    return files


def _times(track: Track) -> tuple[object, ...]:
    """Give what signals of one file have in common: when they have samples, exactly."""
    return track.t0_ns, *((begin / track.rate, end / track.rate) for begin, end in track.runs())


def _fits(track: Track, group: Sequence[Track]) -> bool:
    rates = [one.rate for one in (*group, track)]
    has_measure = max(rates) / common_rate(rates) <= _N_PER_FRAME_MAX
    return has_measure and _times(track) == _times(group[0])


def _encode(
    name: str, tracks: Sequence[Track], marks: Sequence[Mark], subject_id: str, kind: EdfKind
) -> EdfFile:
    width = SAMPLE_BYTES[kind]
    frame_rate = common_rate(track.rate for track in tracks)
    first = tracks[0]
    to_frames = frame_rate / first.rate
    runs = [(int(begin * to_frames), int(end * to_frames)) for begin, end in first.runs()]
    frame_bytes = width * int(sum(track.rate for track in tracks) / frame_rate)
    cut = cut_into_records(runs, frame_rate, frame_bytes)
    lost: list[str] = []
    quantised: dict[str, Quantisation] = {}
    columns: list[Column] = []
    for track, label in zip(tracks, _labels(tracks, lost), strict=True):
        n_per_record = cut.frames_per_record * int(track.rate / frame_rate)
        column, how = _column(track, label, n_per_record, width, lost)
        columns.append(column)
        if how is not None:
            quantised[label] = how
    if cut.rate_error:
        lost.append(
            f"a data record of {cut.frames_per_record} frames lasts {cut.duration} s by the "
            f"header: the rate {float(frame_rate):.12g} Hz is read with an error of "
            f"{cut.rate_error:.2g}"
        )
    start_s, begins_ns = divmod(first.t0_ns, NS_PER_S)
    lists, lost_marks = _annotation_lists(cut, marks, begins_ns, start_s * NS_PER_S, tracks)
    lost += lost_marks
    header = encode_header(subject_id, start_s, cut, columns, len(lists[0]) // width, kind)
    content = header + _records(columns, lists, width)
    return EdfFile(name=name, content=content, quantised=quantised, lost=tuple(lost))


def _labels(tracks: Sequence[Track], lost: list[str]) -> list[str]:
    """Label the signals as EDF's standard texts do: ``ECG II``; two of one label get a number."""
    labels: list[str] = []
    for track in tracks:
        name = track.signal.name
        is_typed = track.signal.kind != "ecg" or name.lower().startswith(("ecg", "ekg"))
        full = printable(name if is_typed else f"ECG {name}", 80)
        label = full[:LABEL_CHARS].strip() or "signal"
        plain, n_same = label, 1
        while label in labels or label in {"EDF Annotations", "BDF Annotations"}:
            n_same += 1
            number = f"#{n_same}"
            label = plain[: LABEL_CHARS - len(number)] + number
        if label != full:
            lost.append(f"{track.channel} of {track.device_id} is labelled {label!r}")
        labels.append(label)
    return labels


def _column(
    track: Track, label: str, n_per_record: int, width: int, lost: list[str]
) -> tuple[Column, Quantisation | None]:
    signal = track.signal
    runs = [signal.counts[begin:end] for begin, end in track.runs()]
    counts = runs[0] if len(runs) == 1 else np.concatenate(runs)
    limits = -(1 << (8 * width - 1)), (1 << (8 * width - 1)) - 1
    low, high = int(counts.min()), int(counts.max())
    how = _quantisation(low, high, limits)
    scale, offset = shortest_fraction(signal.scale), shortest_fraction(signal.offset)
    if how is not None:
        counts = np.rint((counts.astype(np.int64) - how.shift) / how.step).astype(np.int32)
        low, high = int(counts.min()), int(counts.max())
        scale, offset = scale * how.step, offset + scale * how.shift
        lost.append(
            f"{label}: its counts are beyond {8 * width} bits; stored is (count - {how.shift}) / "
            f"{how.step}, rounded: a step is {float(scale):g} {signal.unit}"
        )
    unit, factor = signal.unit, 1
    try:
        calibration = calibrate(scale, offset, counts=(low, high), limits=limits)
    except ExportError:
        if unit != _LARGER[0]:
            raise
        _, unit, factor = _LARGER
        calibration = calibrate(scale / factor, offset / factor, counts=(low, high), limits=limits)
    read = float(calibration.scale * factor), float(calibration.offset * factor)
    if how is None and read != (signal.scale, signal.offset):
        lost.append(
            f"{label}: the scale {signal.scale!r} and offset {signal.offset!r} are read as "
            f"{read[0]!r} and {read[1]!r} {signal.unit}"
        )
    if track.deviation_ns:
        lost.append(
            f"{label}: times of its own are up to {track.deviation_ns} ns from an even rate"
        )
    dimension = printable(_DIMENSIONS.get(unit, unit.strip("{}")), 80)
    if len(dimension) > DIMENSION_CHARS:
        lost.append(f"{label}: its unit {signal.unit} is cut off")
    column = Column(
        label=label,
        transducer=track.device_id,
        dimension=dimension[:DIMENSION_CHARS],
        calibration=calibration,
        counts=counts,
        n_per_record=n_per_record,
    )
    return column, how


def _quantisation(low: int, high: int, limits: tuple[int, int]) -> Quantisation | None:
    if limits[0] <= low and high <= limits[1]:
        return None
    # Both ends round to within the limits.
    step = max(1, -(-(high - low) // (limits[1] - limits[0] - 1)))
    return Quantisation(step=step, shift=(low + high) // 2)


def _records(columns: Sequence[Column], lists: Sequence[bytes], width: int) -> bytes:
    n_records = len(lists)
    parts = [
        column.counts.astype("<i4")
        .view(np.uint8)
        .reshape(n_records, column.n_per_record, 4)[:, :, :width]
        .reshape(n_records, -1)
        for column in columns
    ]
    annotations = np.frombuffer(b"".join(lists), dtype=np.uint8).reshape(n_records, -1)
    return np.hstack([*parts, annotations]).tobytes()


# Annotations


def _annotation_lists(
    cut: Cut, marks: Sequence[Mark], begins_ns: int, start_ns: int, tracks: Sequence[Track]
) -> tuple[list[bytes], list[str]]:
    """Encode for each data record when it begins, and the marks of its time, all of one length.

    Parameters
    ----------
    begins_ns
        When the first record begins, since the file's start, which is ``start_ns``.
    """
    lists = [_onset(begins_ns + onset_ns) + b"\x14\x14\0" for onset_ns in cut.onsets_ns]
    n_outside = n_changed = 0
    behind_ns = max(track.end_ns for track in tracks)
    for mark in marks:
        since_ns = mark.t_ns - start_ns
        if since_ns < begins_ns or mark.t_ns >= behind_ns:
            n_outside += 1
            continue
        text = "".join(one if one.isprintable() else " " for one in mark.words)[:_TEXT_CHARS_MAX]
        n_changed += text != mark.words
        duration = b"\x15" + _seconds(mark.duration_ns).encode() if mark.duration_ns else b""
        i_record = bisect_right(cut.onsets_ns, since_ns - begins_ns) - 1
        lists[i_record] += _onset(since_ns) + duration + b"\x14" + text.encode() + b"\x14\0"
    # Six is a whole number of samples in both formats.
    n_bytes = -(-max(map(len, lists)) // 6) * 6
    lost: list[str] = []
    if n_outside:
        lost.append(f"{n_outside} marks lie outside of the file's time and are not in it")
    if n_changed:
        lost.append(f"{n_changed} texts are cut off, or had characters that no text may have")
    return [one.ljust(n_bytes, b"\0") for one in lists], lost


def _onset(since_ns: int) -> bytes:
    return f"+{_seconds(since_ns)}".encode()


def _seconds(since_ns: int) -> str:
    whole, ns = divmod(since_ns, NS_PER_S)
    return f"{whole}.{ns:09d}".rstrip("0").rstrip(".") if ns else f"{whole}"
