"""WFDB records: header, one signal file and annotations.

Source: WFDB Applications Guide, header(5), signal(5) and annot(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import count
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.frame import NS_PER_S
from ingest.recorded import N_SAMPLES_MAX, Signal
from ingest.wfdb_annotations import encode_annotations
from processors.exports.marks import Mark, annotations_of
from processors.exports.tracks import GAP_S_MAX, ExportError, Track, common_rate, grouped

REFERENCE: Final = "atr"

_BITS: Final = (16, 24, 32)
"""The formats by their names: each holds integers of as many bits, and of them one that stands for
no sample."""

_N_PER_FRAME_MAX: Final = 1_024
"""Most samples of a signal in a frame: signals whose rates have less in common go apart."""

_FRAMES_AT_ONCE: Final = 1 << 18
"""So many are packed at a time, so that little is in memory twice."""

_UNITS: Final[Mapping[str, tuple[str, float]]] = MappingProxyType(
    {
        "uV": ("mV", 1e3),
        "1": ("NU", 1.0),
        "mm[Hg]": ("mmHg", 1.0),
        "[g]": ("g", 1.0),
        "/min": ("bpm", 1.0),
        "Cel": ("degC", 1.0),
    }
)
"""Of a UCUM code WFDB's unit, and how many of the former it is. Others are written as they are."""

_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_]")
_NO_UNIT: Final = re.compile(r"[^A-Za-z0-9%/^_-]")
_BASELINE_MAX: Final = 2**31 - 1
_N_DIGITS: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class WfdbRecord:
    """A record as bytes."""

    name: str
    files: Mapping[str, bytes]
    """By their names, the header last."""
    lost: tuple[str, ...]
    """What the format does not hold of what was to be exported, in words; each stands in the header
    too."""


def encode_wfdb(
    name: str, tracks: Sequence[Track], marks: Iterable[Mark] = (), *, annotator: str = REFERENCE
) -> list[WfdbRecord]:
    """Encode tracks as few records: of signals whose rates have a common measure one.

    Counts are the same integers; what is missing is the format's invalid sample. A channel that has
    several tracks has each in another record. Marks are in every record in whose time they lie.

    Parameters
    ----------
    name
        Of the first record; the others have ``_2``, ``_3`` behind it. What WFDB does not allow in a
        name becomes an underscore.
    annotator
        Who made the marks that name no set, the suffix of their file: ``atr`` for a reference,
        ``qrs`` for beats that a program has found. Each set has a file of its own.

    Raises
    ------
    ExportError
    """
    if not tracks:
        raise ExportError(f"{name}: there is no signal to export")
    stem = _NO_NAME.sub("_", name)
    marks = list(marks)
    numbered = zip(count(1), grouped(tracks, _fits), strict=False)
    return [
        _encode(stem if number == 1 else f"{stem}_{number}", group, marks, annotator)
        for number, group in numbered
    ]


def _fits(track: Track, group: Sequence[Track]) -> bool:
    together = [*group, track]
    common = common_rate(one.rate for one in together)
    named = {(one.device_id, one.channel) for one in group}
    is_near = track.t0_ns <= max(one.end_ns for one in group) + GAP_S_MAX * NS_PER_S
    return (
        (track.device_id, track.channel) not in named
        and is_near
        and max(one.rate for one in together) / common <= _N_PER_FRAME_MAX
    )


def _encode(
    name: str, tracks: Sequence[Track], marks: Sequence[Mark], annotator: str
) -> WfdbRecord:
    frame_rate = common_rate(track.rate for track in tracks)
    start_ns = min(track.t0_ns for track in tracks)
    n_before = [round((track.t0_ns - start_ns) * track.rate / NS_PER_S) for track in tracks]
    per_frame = [int(track.rate / frame_rate) for track in tracks]
    n_frames = max(
        -(-(before + track.signal.n_samples) // n)
        for before, track, n in zip(n_before, tracks, per_frame, strict=True)
    )
    if n_frames * max(per_frame) > N_SAMPLES_MAX:
        raise ExportError(
            f"{name}: {n_frames * max(per_frame)} samples of a signal, more than {N_SAMPLES_MAX}: "
            "export a shorter time"
        )
    n_bits = _bits_of(track.signal for track in tracks)
    columns = [
        _column(track.signal, before, n_frames, n, n_bits)
        for track, before, n in zip(tracks, n_before, per_frame, strict=True)
    ]
    lost: list[str] = []
    sets: dict[str, bytes] = {}
    for suffix in sorted({mark.annotator or annotator for mark in marks}):
        of_set = [mark for mark in marks if (mark.annotator or annotator) == suffix]
        annotations, lost_of_set = annotations_of(of_set, start_ns, frame_rate, n_frames)
        lost += [f"{suffix}: {one}" for one in lost_of_set]
        if annotations:
            sets[f"{name}.{suffix}"] = encode_annotations(annotations)
    lost += _lost_of_time(tracks, n_before, start_ns, frame_rate, n_frames)
    lines = [_record_line(name, len(tracks), frame_rate, n_frames, start_ns)]
    comments = [f"sample 0 was taken at {_iso(start_ns)}"]
    for track, signal_name, n, column in zip(
        tracks, _names(tracks), per_frame, columns, strict=True
    ):
        meaning, lost_of_scale = _gain(track.signal)
        layout = f"{n_bits}x{n}" if n > 1 else f"{n_bits}"
        checksum = (int(column.sum(dtype=np.int64)) + (1 << 15)) % (1 << 16) - (1 << 15)
        numbers = f"{n_bits} 0 {column.flat[0]} {checksum} 0"
        lines.append(f"{name}.dat {layout} {meaning} {numbers} {signal_name}")
        comments.append(
            f"{signal_name} is {track.channel} of {track.device_id}: count * "
            f"{track.signal.scale!r} + {track.signal.offset!r} {track.signal.unit}"
        )
        lost += [f"{signal_name}: {one}" for one in lost_of_scale]
        lost += _lost_counts(track.signal, n_bits)
    comments += [f"lost: {one}" for one in lost]
    header = "\n".join([*lines, *(f"# chevet: {_one_line(one)}" for one in comments), ""])
    files = {f"{name}.dat": _pack(columns, n_bits), **sets}
    files[f"{name}.hea"] = header.encode()
    return WfdbRecord(name=name, files=files, lost=tuple(lost))


def _one_line(text: str) -> str:
    return " ".join(text.split())


# Samples


def _present(signal: Signal) -> list[NDArray[np.int32]]:
    return [signal.counts[begin:end] for begin, end in signal.present(0, signal.n_samples)]


def _bits_of(signals: Iterable[Signal]) -> int:
    """Give the least number of bits that hold all counts beside the one for no sample."""
    pieces = [piece for signal in signals for piece in _present(signal)]
    largest = max((max(int(piece.max()), -int(piece.min())) for piece in pieces), default=0)
    return next((n for n in _BITS if largest < 1 << (n - 1)), _BITS[-1])


def _lost_counts(signal: Signal, n_bits: int) -> list[str]:
    n_lost = sum(int((piece == -(1 << (n_bits - 1))).sum()) for piece in _present(signal))
    if not n_lost:
        return []
    return [f"{signal.name}: {n_lost} samples of the count {-(1 << 31)} read as missing"]


def _column(
    signal: Signal, n_before: int, n_frames: int, per_frame: int, n_bits: int
) -> NDArray[np.int32]:
    """Lay a signal out as its part of every frame, shape ``(n_frames, per_frame)``."""
    if not n_before and not signal.missing and signal.n_samples == n_frames * per_frame:
        return signal.counts.reshape(n_frames, per_frame)
    column = np.full(n_frames * per_frame, -(1 << (n_bits - 1)), dtype=np.int32)
    for begin, end in signal.present(0, signal.n_samples):
        column[n_before + begin : n_before + end] = signal.counts[begin:end]
    return column.reshape(n_frames, per_frame)


def _pack(columns: Sequence[NDArray[np.int32]], n_bits: int) -> bytes:
    packed = (
        _little_endian([column[begin : begin + _FRAMES_AT_ONCE] for column in columns], n_bits)
        for begin in range(0, len(columns[0]), _FRAMES_AT_ONCE)
    )
    return b"".join(packed)


def _little_endian(columns: Sequence[NDArray[np.int32]], n_bits: int) -> bytes:
    frames = np.hstack(columns).astype("<i4", copy=False)
    in_bytes = frames.view(np.uint8).reshape(*frames.shape, 4)
    return in_bytes[:, :, : n_bits // 8].tobytes()


# Header


def _record_line(name: str, n: int, frame_rate: Fraction, n_frames: int, start_ns: int) -> str:
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=start_ns // 10**6)
    time = f"{start:%H:%M:%S}.{start.microsecond // 1000:03d}"
    return f"{name} {n} {_decimal(frame_rate)} {n_frames} {time} {start:%d/%m/%Y}"


def _decimal(number: Fraction) -> str:
    """Write a number as a decimal without an exponent, of so many digits as a float has."""
    text = f"{Decimal(number.numerator) / Decimal(number.denominator):.{_N_DIGITS}g}"
    return f"{Decimal(text):f}"


def _iso(t_ns: int) -> str:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=t_ns // NS_PER_S)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{t_ns % NS_PER_S:09d}Z"


def _names(tracks: Sequence[Track]) -> list[str]:
    """Name the signals; those of one name by their device too."""
    names = [_one_line(track.signal.name) for track in tracks]
    return [
        name if names.count(name) == 1 else f"{name} ({_one_line(track.device_id)})"
        for name, track in zip(names, tracks, strict=True)
    ]


def _gain(signal: Signal) -> tuple[str, list[str]]:
    """Write gain, baseline and unit; tell what they do not say exactly."""
    plain = _NO_UNIT.sub("_", signal.unit.strip("{}[]")) or "NU"
    unit, factor = _UNITS.get(signal.unit, (plain, 1.0))
    if factor != 1 and factor / (factor / signal.scale) != signal.scale:
        unit, factor = plain, 1.0
    gain = factor / signal.scale
    exact = -Fraction(signal.offset) / Fraction(signal.scale)
    baseline = round(exact)
    if abs(baseline) > _BASELINE_MAX or not 0 < abs(gain) < float("inf"):
        raise ExportError(
            f"{signal.name}: scale {signal.scale} and offset {signal.offset} have no gain and "
            "baseline in WFDB, whose baseline has 32 bits"
        )
    lost: list[str] = []
    scale = factor / gain
    if scale != signal.scale:
        lost.append(f"the scale {signal.scale!r} is read as {scale!r} {signal.unit}")
    if -baseline * scale != signal.offset:
        lost.append(
            f"the offset {signal.offset!r} is read as {-baseline * scale!r} {signal.unit}: a "
            "baseline is a whole count"
        )
    number = f"{Decimal(repr(gain)).normalize():f}"
    return f"{number}({baseline})/{unit}", lost


def _lost_of_time(
    tracks: Sequence[Track],
    n_before: Sequence[int],
    start_ns: int,
    frame_rate: Fraction,
    n_frames: int,
) -> list[str]:
    lost: list[str] = []
    if start_ns % 10**6:
        lost.append(f"the header's start is {start_ns % 10**6} ns early: it has milliseconds")
    read = Fraction(_decimal(frame_rate))
    off_ns = abs(n_frames / read - n_frames / frame_rate) * NS_PER_S
    if off_ns:
        lost.append(
            f"the rate {frame_rate} Hz is read as {_decimal(frame_rate)}, which is off by "
            f"{float(off_ns):.3g} ns at the end"
        )
    for track, before in zip(tracks, n_before, strict=True):
        shift_ns = float(track.t0_ns - start_ns - before * NS_PER_S / track.rate)
        if abs(shift_ns) >= 1:
            lost.append(f"{track.signal.name} is moved by {-shift_ns:.0f} ns onto the frames")
        if track.deviation_ns:
            lost.append(
                f"{track.signal.name} has times of its own up to {track.deviation_ns} ns from an "
                "even rate"
            )
    return lost
