"""One segment of a WFDB record: its header, and the samples that its signal files hold of it.

wfdb reads the bytes. Here is what it does not check: signal files shorter than their header
says, and checksums; and what it does wrong: skews, and formats 61 and 311.

Source: WFDB Applications Guide, header(5) and signal(5).
"""

import math
from collections.abc import Mapping, Sequence
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
from ingest.wfdb_header import began, errors_of, header_file, read_header, units_of

Counts = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class _Format:
    """How a format stores its samples."""

    invalid: int | None
    """What stands where there is no sample; None: nothing does."""
    sample_bytes: Fraction | None
    """None: compressed, so that the length of a file says nothing."""


_FORMATS: Final[Mapping[str, _Format]] = {
    "8": _Format(None, Fraction(1)),
    "16": _Format(-(1 << 15), Fraction(2)),
    "24": _Format(-(1 << 23), Fraction(3)),
    "32": _Format(-(1 << 31), Fraction(4)),
    "61": _Format(-(1 << 15), Fraction(2)),
    "80": _Format(-(1 << 7), Fraction(1)),
    "160": _Format(-(1 << 15), Fraction(2)),
    "212": _Format(-(1 << 11), Fraction(3, 2)),
    "310": _Format(-(1 << 9), Fraction(4, 3)),
    "311": _Format(-(1 << 9), Fraction(4, 3)),
    "508": _Format(-(1 << 7), None),
    "516": _Format(-(1 << 15), None),
    "524": _Format(-(1 << 23), None),
}

_NO_SAMPLES: Final = "0"
"""The format of a signal that a header only names."""

_BIG_ENDIAN: Final = "61"
"""The one format that wfdb 4.3 decodes and then fails on."""

_TEN_BITS: Final = "311"
"""The format of whose unused bits wfdb 4.3 makes a part of each third sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSignal:
    """What a segment has of one signal."""

    name: str
    unit: str
    """As in the header."""
    per_frame: int
    """Samples in a frame."""
    gain: float
    """Counts per unit."""
    baseline: int
    """The count of 0 units."""
    counts: Counts
    """From the segment's beginning on, shape ``(n_samples,)``; fewer than its frames have where the
    signal is skewed, none in a header that only names signals."""
    invalid: int | None
    """The count that stands for no sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A record of one segment, or a part of one that has several."""

    frame_rate: Fraction
    """Frames per second."""
    n_frames: int
    signals: tuple[SegmentSignal, ...]
    began: datetime | time | None
    """When the first sample was taken, in local time, as far as the header says it."""


def read_layout(path: Path) -> Segment:
    """Read a header that names signals and has no samples: the first segment of many a record.

    Raises
    ------
    RecordingError
    """
    header = read_header(path)
    with errors_of(header_file(path)):
        _check_header(header)
        empty = [np.zeros(0, dtype=np.int32)] * header.n_sig
        return _segment(path, header, empty, 0)


def read_segment(path: Path) -> Segment:
    """Read a header and all samples that it names.

    Raises
    ------
    RecordingError
        Also where the files hold less than the header says, and where the samples do not add up to
        its checksums.
    """
    header = read_header(path)
    with errors_of(header_file(path)), third_party_warnings_off():
        _check_header(header)
        if header.n_sig == 0:
            return _segment(path, header, [], header.sig_len or 0)
        _check_files(path.parent, header)
        counts = _read_counts(path, header)
        _check_sums(header, counts)
        return _segment(path, header, counts, counts[0].size // _per_frame(header)[0])


def _segment(path: Path, header: Any, counts: Sequence[Counts], n_frames: int) -> Segment:  # noqa: ANN401
    units = units_of(path, header)
    return Segment(
        frame_rate=Fraction(str(header.fs)),
        n_frames=n_frames,
        began=began(header),
        signals=tuple(
            SegmentSignal(
                name=header.sig_name[i] or f"signal {i}",
                unit=units[i],
                per_frame=per_frame,
                gain=header.adc_gain[i],
                baseline=header.baseline[i],
                # A skewed signal was stored so many frames late; its last samples are in no file.
                counts=counts[i][(header.skew[i] or 0) * per_frame :],
                invalid=_format_of(header, i).invalid,
            )
            for i, per_frame in enumerate(_per_frame(header))
        ),
    )


def _format_of(header: Any, i_signal: int) -> _Format:  # noqa: ANN401
    return _FORMATS.get(header.fmt[i_signal], _Format(None, None))


def _per_frame(header: Any) -> list[int]:  # noqa: ANN401
    # 0 is a placeholder for 1.
    return [per_frame or 1 for per_frame in header.samps_per_frame or ()]


def _check_header(header: Any) -> None:  # noqa: ANN401
    if hasattr(header, "seg_name"):
        raise RecordingError("a segment has segments itself")
    n_described = len(header.file_name or ())
    if header.n_sig != n_described:
        raise RecordingError(f"{header.n_sig} signals are announced, {n_described} described")


# Signal files


def _check_files(folder: Path, header: Any) -> None:  # noqa: ANN401
    """See that every signal file holds what the header says, before anything is allocated."""
    for i, fmt in enumerate(header.fmt):
        if fmt not in _FORMATS:
            why = "which has no samples" if fmt == _NO_SAMPLES else "which is none that can be read"
            raise RecordingError(f"signal {i} is in format {fmt}, {why}")
    n_bytes = {name: (folder / name).stat().st_size for name in header.file_name}
    if not any(n_bytes.values()):
        raise RecordingError("the record holds no sample: its signal files are empty")
    if header.sig_len is None:
        return
    _check_length(header.sig_len, max(_per_frame(header)))
    for name, n_bytes_found in n_bytes.items():
        if n_bytes_found < (n_bytes_needed := _n_bytes_needed(header, name)):
            raise RecordingError(
                f"the signal file {folder / name} is cut off: it has {n_bytes_found} of the "
                f"{n_bytes_needed} bytes that the header says"
            )


def _check_length(n_frames: int, per_frame: int) -> None:
    if n_frames == 0:
        raise RecordingError(
            "the header says that the record has 0 samples: state how many there are, or leave the "
            "number out"
        )
    if (n_samples := n_frames * per_frame) > recorded.N_SAMPLES_MAX:
        raise RecordingError(f"a signal of {n_samples} samples, more than {recorded.N_SAMPLES_MAX}")


def _of_file(header: Any, file_name: str) -> list[int]:  # noqa: ANN401
    return [i for i, name in enumerate(header.file_name) if name == file_name]


def _n_bytes_needed(header: Any, file_name: str) -> int:  # noqa: ANN401
    of_file = _of_file(header, file_name)
    sample_bytes = _format_of(header, of_file[0]).sample_bytes
    if sample_bytes is None:
        return 0
    n_samples: int = header.sig_len * sum(_per_frame(header)[i] for i in of_file)
    n_bytes_before: int = header.byte_offset[of_file[0]] or 0
    return n_bytes_before + math.ceil(n_samples * sample_bytes)


def _read_counts(path: Path, header: Any) -> list[Counts]:  # noqa: ANN401
    """Read all signals as they are stored, skews not yet undone."""
    by_wfdb = [i for i, fmt in enumerate(header.fmt) if fmt != _BIG_ENDIAN]
    if header.sig_len is None and any(_format_of(header, i).sample_bytes is None for i in by_wfdb):
        raise RecordingError("a record that is compressed must state its length, and does not")
    counts: dict[int, Counts] = {}
    if by_wfdb:
        wfdb = import_package("wfdb", "recordings")
        record = wfdb.rdrecord(
            str(path),
            channels=by_wfdb,
            physical=False,
            smooth_frames=False,
            ignore_skew=True,
            return_res=32,
        )
        counts = dict(zip(by_wfdb, record.e_d_signal, strict=True))
    for name in dict.fromkeys(header.file_name):
        of_file = _of_file(header, name)
        if header.fmt[of_file[0]] == _BIG_ENDIAN:
            counts |= _read_big_endian(path.parent / name, header, of_file)
    return [_ten_bits(counts[i].astype(np.int32), header.fmt[i]) for i in range(header.n_sig)]


def _ten_bits(counts: Counts, fmt: str) -> Counts:
    return ((counts & 0x3FF) ^ 0x200) - np.int32(0x200) if fmt == _TEN_BITS else counts


def _read_big_endian(file: Path, header: Any, of_file: Sequence[int]) -> dict[int, Counts]:  # noqa: ANN401
    per_frame = [_per_frame(header)[i] for i in of_file]
    n_samples = -1 if header.sig_len is None else header.sig_len * sum(per_frame)
    stored = np.fromfile(file, ">i2", n_samples, offset=header.byte_offset[of_file[0]] or 0)
    n_frames = stored.size // sum(per_frame)
    frames = stored[: n_frames * sum(per_frame)].reshape(n_frames, -1)
    begins = np.cumsum([0, *per_frame])
    return {
        i: frames[:, begin : begin + n].ravel().astype(np.int32)
        for i, begin, n in zip(of_file, begins.tolist(), per_frame, strict=False)
    }


def _check_sums(header: Any, counts: Sequence[Counts]) -> None:  # noqa: ANN401
    """See that the samples of each signal add up to what its header says, modulo 65,536.

    A 0 is how headers keep the place of a checksum that nobody has computed, and where they do not
    say how many samples there are they do not say of which the sum is.
    """
    if header.sig_len is None:
        return
    for i, (stated, stored) in enumerate(zip(header.checksum, counts, strict=True)):
        found = int(stored.sum(dtype=np.int64))
        if stated and (found - stated) % (1 << 16):
            raise RecordingError(
                f"the samples of {header.sig_name[i]} in {header.file_name[i]} add up to "
                f"{found % (1 << 16)}, not to the checksum {stated % (1 << 16)} of the header: get "
                "the files anew, or write 0 for the checksum if you trust them"
            )
