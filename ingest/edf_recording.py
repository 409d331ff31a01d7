"""Recordings in EDF, EDF+, BDF and BDF+ files.

The integers are those of the file, and their scale and offset follow from its header exactly. What
a file does not have is missing: the time between two data records of EDF+D. A file that is shorter
or longer than its header says is refused, but for one that was never closed: its whole data records
are read.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from ingest import recorded
from ingest.edf_annotations import EdfAnnotation, decode_annotations, is_beat, is_found_beat
from ingest.edf_header import (
    FIXED_BYTES,
    EdfHeader,
    EdfSignalHeader,
    decode_header,
    n_signals_of,
)
from ingest.errors import RecordingError
from ingest.recorded import Recording, Signal
from ingest.signal_kinds import labelled, ucum_exactly

SUFFIXES: Final = frozenset({".edf", ".bdf"})

_CHUNK_BYTES: Final = 1 << 24
"""So much of a file is held at once beside the samples that were taken from it."""

Counts = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class _Run:
    """Data records that follow each other without time between."""

    i_first: int
    i_end: int
    later_s: Fraction
    """How much later than the first record of the file they begin."""


def read_edf(path: Path, *, beats: bool = True) -> tuple[Recording, NDArray[np.float64] | None]:
    """Read a file, and the beats that it marks.

    Parameters
    ----------
    beats
        False: annotations are not read.

    Returns
    -------
    The recording, and seconds from its first sample, rising; None where no beat is marked. Other
    annotations have no place in a recording and are left out.

    Raises
    ------
    RecordingError
        The message names the file, the place, and what is wrong there.
    """
    with _errors_of(path), path.open("rb") as file:
        return _read(path, file, with_beats=beats)


def read_edf_annotations(path: Path) -> list[EdfAnnotation]:
    """Read what is marked in a file, in the order of its records; none of one that is not EDF+.

    Onsets are since the first sample, and negative before it.

    Raises
    ------
    RecordingError
    """
    with _errors_of(path), path.open("rb") as file:
        header = _header(file)
        if not header.is_plus:
            return []
        n_records = _n_records(header, path.stat().st_size)
        marks = _marks(header, n_records, _read_samples(file, header, n_records))
    began_s = marks[0][0].onset_s
    return [
        replace(one, onset_s=one.onset_s - began_s)
        for of_record in marks
        for one in of_record
        if one.text
    ]


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a name with a NUL in it
        raise RecordingError(f"no recording {str(path)!r}: {error}") from error
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from error


def _header(file: BinaryIO) -> EdfHeader:
    fixed = file.read(FIXED_BYTES)
    return decode_header(fixed + file.read(FIXED_BYTES * n_signals_of(fixed)))


def _read(
    path: Path, file: BinaryIO, *, with_beats: bool
) -> tuple[Recording, NDArray[np.float64] | None]:
    header = _header(file)
    n_records = _n_records(header, path.stat().st_size)
    stored = _read_samples(file, header, n_records)
    marks = _marks(header, n_records, stored) if header.is_plus else None
    runs = [_Run(0, n_records, Fraction(0))]
    if marks is not None and header.is_discontinuous:
        onsets_s = [of_record[0].onset_s for of_record in marks]
        runs = _runs(header, onsets_s)
        header = _timed(header, runs, onsets_s)
    _check_missing(header, runs)
    family = "EDF" if header.sample_bytes == 2 else "BDF"  # noqa: PLR2004 - bytes of a sample
    recording = Recording(
        name=path.stem,
        signals=tuple(
            _signal(header, signal, counts, runs)
            for signal, counts in zip(header.signals, stored, strict=True)
            if not signal.is_annotations
        ),
        source=f"{family}{'+' if header.is_plus else ''} file {path.name} ({path.parent.name})",
    )
    if marks is None or not with_beats:
        return recording, None
    return recording, _beats(marks, recording.duration_s)


def _n_records(header: EdfHeader, n_bytes: int) -> int:
    """Tell how many data records there are, and refuse a file that has more or fewer than it says.

    Raises
    ------
    RecordingError
    """
    n_found, n_left = divmod(n_bytes - header.header_bytes, header.record_bytes)
    n_records = n_found if header.n_records is None else header.n_records
    if n_found < n_records:
        raise RecordingError(
            f"the file ends at byte {n_bytes}, within data record {n_found} of {n_records}: it is "
            "cut off; get it anew, or state how many whole records there are (at byte 236)"
        )
    if header.n_records is not None and (n_found > n_records or n_left):
        raise RecordingError(
            f"the file has {n_bytes} bytes, {n_bytes - header.header_bytes} of them behind its "
            f"header, and {n_records} data records of {header.record_bytes} bytes are announced: "
            "state how many there are (at byte 236), or -1 if nobody knows"
        )
    if n_records == 0:
        raise RecordingError("the file holds no data record")
    for signal in header.signals:
        if (n_samples := n_records * signal.n_per_record) > recorded.N_SAMPLES_MAX:
            raise RecordingError(
                f"{signal.label} has {n_samples} samples, more than {recorded.N_SAMPLES_MAX}"
            )
    return n_records


def _read_samples(
    file: BinaryIO, header: EdfHeader, n_records: int
) -> list[Counts | NDArray[np.uint8]]:
    """Read the samples of every signal, and the bytes of annotation signals, record by record."""
    width = header.sample_bytes
    stored: list[Counts | NDArray[np.uint8]] = [
        np.empty((n_records, one.n_per_record * width), dtype=np.uint8)
        if one.is_annotations
        else np.empty((n_records, one.n_per_record), dtype=np.int32)
        for one in header.signals
    ]
    n_at_once = max(1, _CHUNK_BYTES // header.record_bytes)
    for i_first in range(0, n_records, n_at_once):
        n = min(n_at_once, n_records - i_first)
        content = file.read(n * header.record_bytes)
        if len(content) < n * header.record_bytes:
            raise RecordingError(f"the file became shorter while record {i_first} was read")
        records = np.frombuffer(content, dtype=np.uint8).reshape(n, header.record_bytes)
        for one, taken in zip(header.signals, stored, strict=True):
            part = records[:, one.begin_byte : one.begin_byte + one.n_per_record * width]
            taken[i_first : i_first + n] = part if one.is_annotations else _integers(part, width)
    return stored


def _integers(part: NDArray[np.uint8], width: int) -> Counts:
    """Read integers of two or three bytes, the least first, of shape ``(n_records, n_bytes)``."""
    bytes_of = np.zeros((*part.shape[:1], part.shape[1] // width, 4), dtype=np.uint8)
    bytes_of[:, :, 4 - width :] = part.reshape(part.shape[0], -1, width)
    # The highest byte is at the top, so that shifting back extends its sign.
    integers: Counts = bytes_of.view("<i4")[:, :, 0] >> (8 * (4 - width))
    return integers


def _marks(
    header: EdfHeader, n_records: int, stored: Sequence[NDArray[np.generic]]
) -> list[list[EdfAnnotation]]:
    """Read all annotations, record by record; the first of each says when the record begins."""
    of_file = [i for i, signal in enumerate(header.signals) if signal.is_annotations]
    if not of_file:
        raise RecordingError(
            "the file says that it is EDF+ or BDF+, but has no signal of annotations"
        )
    marks: list[list[EdfAnnotation]] = []
    for i_record in range(n_records):
        found: list[EdfAnnotation] = []
        for i_signal in of_file:
            try:
                found += decode_annotations(stored[i_signal][i_record].tobytes())
            except RecordingError as error:
                raise RecordingError(f"data record {i_record}: {error}") from error
        if not found or found[0].text:
            raise RecordingError(f"data record {i_record} does not say when it begins")
        marks.append(found)
    return marks


def _runs(header: EdfHeader, onsets_s: Sequence[Fraction]) -> list[_Run]:
    """Put the data records together that follow each other to within half a sample.

    Raises
    ------
    RecordingError
        One begins before the one in front of it ends.
    """
    tolerance_s = min(1 / header.sampling_rate(one) for one in header.signals) / 2
    runs: list[_Run] = []
    i_first = 0
    for i in range(1, len(onsets_s)):
        later_s = onsets_s[i] - onsets_s[i - 1] - header.record_s
        if later_s < -tolerance_s:
            raise RecordingError(
                f"data record {i} begins at {float(onsets_s[i]):g} s, before the one in front of "
                f"it ends, which begins at {float(onsets_s[i - 1]):g} s and lasts "
                f"{float(header.record_s):g} s"
            )
        if later_s > tolerance_s:
            runs.append(_Run(i_first, i, onsets_s[i_first] - onsets_s[0]))
            i_first = i
    runs.append(_Run(i_first, len(onsets_s), onsets_s[i_first] - onsets_s[0]))
    return runs


def _timed(header: EdfHeader, runs: Sequence[_Run], onsets_s: Sequence[Fraction]) -> EdfHeader:
    """Take the duration of a record from when they begin, where the header has rounded it.

    Records of one sample at 360 Hz last 0.002777 s by the header, which after an hour would be a
    second wrong; that the thousandth of them begins at 2.775 s says it better.
    """
    longest = max(runs, key=lambda run: run.i_end - run.i_first)
    n_steps = longest.i_end - 1 - longest.i_first
    if not n_steps or not header.record_s_rounding:
        return header
    first_s, last_s = onsets_s[longest.i_first], onsets_s[longest.i_end - 1]
    record_s = (last_s - first_s) / n_steps
    digit_s = min(Fraction(1, _digits_of(one)) for one in (first_s, last_s))
    rounding = digit_s / n_steps
    is_better = rounding < header.record_s_rounding and record_s > rounding
    return replace(header, record_s=record_s, record_s_rounding=rounding) if is_better else header


def _digits_of(decimal: Fraction) -> int:
    """Give the power of ten of the last digit behind the point."""
    power = 1
    while power % decimal.denominator:
        power *= 10
    return power


def _places(
    header: EdfHeader, signal: EdfSignalHeader, runs: Sequence[_Run]
) -> Iterator[tuple[int, int, int]]:
    """Give of each run: its first sample as it is stored, the one behind its last, its place.

    A run begins at the whole sample next to its time: a recording has one grid for all samples.
    """
    rate = header.sampling_rate(signal)
    i_behind = 0
    for run in runs:
        i_begin, i_end = (i * signal.n_per_record for i in (run.i_first, run.i_end))
        i_place = max(i_behind, round(run.later_s * rate))
        yield i_begin, i_end, i_place
        i_behind = i_place + i_end - i_begin


def _check_missing(header: EdfHeader, runs: Sequence[_Run]) -> None:
    """Refuse a file of few samples that would need room for many that are missing."""
    n_missing = 0
    for signal in header.signals:
        if signal.is_annotations:
            continue
        *_, (i_begin, i_end, i_place) = _places(header, signal, runs)
        n_samples = i_place + i_end - i_begin
        n_missing += n_samples - i_end
        if n_samples > recorded.N_SAMPLES_MAX or n_missing > recorded.N_SAMPLES_MAX:
            raise RecordingError(
                f"{signal.label} would have {n_samples} samples, and all signals so far "
                f"{n_missing} that are missing; of neither more than {recorded.N_SAMPLES_MAX} are "
                "read"
            )


def _signal(
    header: EdfHeader,
    signal: EdfSignalHeader,
    stored: NDArray[np.generic],
    runs: Sequence[_Run],
) -> Signal:
    rate = header.sampling_rate(signal)
    unit, factor = ucum_exactly(signal.dimension)
    name, kind = labelled(signal.label, signal.dimension, float(rate))
    counts, missing = _placed(stored.reshape(-1), list(_places(header, signal, runs)))
    return Signal(
        name=name,
        kind=kind,
        unit=unit,
        sampling_rate=rate,
        counts=counts,
        scale=float(signal.scale * factor),
        offset=float(signal.offset * factor),
        missing=missing,
    )


def _placed(
    stored: NDArray[np.generic], places: Sequence[tuple[int, int, int]]
) -> tuple[Counts, tuple[tuple[int, int], ...]]:
    if len(places) == 1:
        return stored.astype(np.int32, copy=False), ()
    i_begin, i_end, i_place = places[-1]
    counts = np.zeros(i_place + i_end - i_begin, dtype=np.int32)
    missing: list[tuple[int, int]] = []
    i_behind = 0
    for i_begin, i_end, i_place in places:
        if i_place > i_behind:
            missing.append((i_behind, i_place))
        i_behind = i_place + i_end - i_begin
        counts[i_place:i_behind] = stored[i_begin:i_end]
    return counts, tuple(missing)


def _beats(
    marks: Sequence[Sequence[EdfAnnotation]], duration_s: float
) -> NDArray[np.float64] | None:
    began_s = marks[0][0].onset_s
    beats = [one for of_record in marks for one in of_record if is_beat(one.text)]
    # Those that a program has found are for want of better ones.
    reference = [one for one in beats if not is_found_beat(one.text)]
    found = {float(one.onset_s - began_s) for one in reference or beats}
    inside = sorted(at_s for at_s in found if 0 <= at_s < duration_s)
    return np.array(inside, dtype=np.float64) if inside else None
